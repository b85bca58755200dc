//! What the common libraries, proxies and exporters call things, as tables. A new convention is a
//! new row. The code that reads the tables knows no metric by name.

/// A part of a row.
type Text = &'static str;

/// Whether a row knows a metric of that name: by its whole name, or by its end where the row's name
/// begins with an underscore and the rest is the application's own prefix.
pub(super) fn fits(row: &str, name: &str) -> bool {
    if is_end(row) { name.ends_with(row) } else { name == row }
}

/// Whether a row knows metrics by the end of their names alone.
pub(super) fn is_end(row: &str) -> bool {
    row.starts_with('_')
}

/// What counts or times requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convention {
    pub(super) name: &'static str,
    /// Whether a proxy before the service counts, and not the service itself.
    pub(super) by_proxy: bool,
    /// The label that tells services behind one proxy apart.
    pub(super) scope: Option<&'static str>,
}

const fn service(name: &'static str) -> Convention {
    Convention { name, by_proxy: false, scope: None }
}

const fn proxy(name: &'static str, scope: &'static str) -> Convention {
    Convention { name, by_proxy: true, scope: Some(scope) }
}

/// Counters of requests, and histograms and summaries whose count is one; the best first. What a
/// service says of itself goes before what a proxy says of it, the exact name before the end.
pub(super) const REQUESTS: &[Convention] = &[
    // OpenTelemetry's semantic conventions, stable and old.
    service("http_server_request_duration_seconds"),
    service("http_server_duration_milliseconds"),
    service("http_server_duration_seconds"),
    // Micrometer: Spring Boot, Quarkus.
    service("http_server_requests_seconds"),
    // client_golang's promhttp, and whoever follows the Prometheus documentation.
    service("http_requests_total"),
    service("flask_http_request_total"),
    service("starlette_requests_total"),
    service("django_http_responses_total_by_status_total"),
    service("axum_http_requests_total"),
    service("grpc_server_handled_total"),
    // prom-client's usual middleware counts with the histogram alone.
    service("http_request_duration_seconds"),
    service("http_request_duration_ms"),
    // actix-web-prom and others put the application's name before it.
    service("_http_requests_total"),
    service("_http_responses_total"),
    service("_http_request_duration_seconds"),
    service("rpc_server_duration_milliseconds"),
    service("rpc_server_call_duration_seconds"),
    proxy("haproxy_backend_http_responses_total", "proxy"),
    proxy("haproxy_frontend_http_responses_total", "proxy"),
    proxy("envoy_cluster_upstream_rq", "envoy_cluster_name"),
    proxy("envoy_cluster_upstream_rq_xx", "envoy_cluster_name"),
    proxy("nginx_vts_server_requests_total", "host"),
    proxy("nginx_ingress_controller_requests", "service"),
    Convention { name: "nginx_http_requests_total", by_proxy: true, scope: None },
    proxy("traefik_service_requests_total", "service"),
    // Anything may be called so: only what says how it ended is taken.
    service(ANY_REQUESTS),
    service(ANY_RESPONSES),
];

/// Ends of names that many things have which are no requests to a service.
const ANY_REQUESTS: &str = "_requests_total";
const ANY_RESPONSES: &str = "_responses_total";

/// The row that knows a metric of that name, by its place: one that knows the whole name before one
/// that knows its end.
pub(super) fn row(
    table: &[Convention],
    name: &str,
    fits: impl Fn(&Convention) -> bool,
) -> Option<usize> {
    let place = |by_end| {
        let known = |row: &Convention| is_end(row.name) == by_end && self::fits(row.name, name);
        table.iter().position(|row| known(row) && fits(row))
    };
    place(false).or_else(|| place(true))
}

/// Gauges by which an exporter says whether it reaches what it tells of.
pub(super) const REACHED: [&str; 6] =
    ["nginx_up", "haproxy_up", "redis_up", "pg_up", "mysql_up", "memcached_up"];

impl Convention {
    /// Whether the name alone does not tell that these are requests to a service.
    pub(super) fn is_vague(&self) -> bool {
        matches!(self.name, ANY_REQUESTS | ANY_RESPONSES)
    }
}

/// Histograms, summaries and averages of how long requests take; the best first.
pub(super) const LATENCY: &[Convention] = &[
    service("http_server_request_duration_seconds"),
    service("http_server_duration_milliseconds"),
    service("http_server_duration_seconds"),
    service("http_server_requests_seconds"),
    service("http_request_duration_seconds"),
    service("http_request_duration_milliseconds"),
    service("http_request_duration_ms"),
    service("flask_http_request_duration_seconds"),
    service("starlette_request_duration_seconds"),
    service("django_http_requests_latency_including_middlewares_seconds"),
    service("django_http_requests_latency_seconds_by_view_method"),
    service("axum_http_requests_duration_seconds"),
    service("grpc_server_handling_seconds"),
    service("_http_requests_duration_seconds"),
    service("_http_request_duration_seconds"),
    service("rpc_server_duration_milliseconds"),
    service("rpc_server_call_duration_seconds"),
    proxy("envoy_cluster_upstream_rq_time", "envoy_cluster_name"),
    proxy("nginx_ingress_controller_request_duration_seconds", "service"),
    proxy("traefik_service_request_duration_seconds", "service"),
    proxy("haproxy_backend_response_time_average_seconds", "proxy"),
    proxy("nginx_vts_server_request_seconds", "host"),
    service("_request_duration_seconds"),
    service("_request_latency_seconds"),
];

/// Metrics in milliseconds whose names end like no unit.
pub(super) const IN_MILLISECONDS: [&str; 1] = ["envoy_cluster_upstream_rq_time"];

/// Beginnings of names that are never the service's own traffic: the metrics page itself, the
/// runtime, the host, calls that go out, and proxies, of which only the rows above are taken.
pub(super) const NEVER_BEGINS: [&str; 15] = [
    "promhttp_",
    "go_",
    "python_",
    "process_",
    "nodejs_",
    "jvm_",
    "rest_",
    "net_conntrack_",
    "node_",
    "haproxy_",
    "envoy_",
    "scrape_",
    "probe_",
    "prometheus_remote_",
    "prometheus_sd_",
];

/// Parts of names, between underscores, that say that the calls go out.
pub(super) const NEVER_PART: [&str; 8] =
    ["client", "clients", "outgoing", "outbound", "upstream", "egress", "exporter", "scrape"];

/// Labels and values that say that some of a family's series count calls that go out.
pub(super) const OUTGOING: [(&str, &str); 9] = [
    ("direction", "outbound"),
    ("direction", "outgoing"),
    ("direction", "egress"),
    ("kind", "client"),
    ("kind", "CLIENT"),
    ("side", "client"),
    ("span_kind", "SPAN_KIND_CLIENT"),
    ("span_kind", "client"),
    ("reporter", "source"),
];

/// Labels that name a route.
pub(super) const ROUTES: [&str; 11] = [
    "handler",
    "http_route",
    "route",
    "path",
    "uri",
    "endpoint",
    "path_template",
    "url_rule",
    "url",
    "http_target",
    "view",
];

/// Routes that only machines ask, several times a minute and always with success: they would thin
/// the share of failures.
pub(super) const MACHINES: [&str; 18] = [
    "/metrics",
    "/health",
    "/healthz",
    "/livez",
    "/readyz",
    "/live",
    "/liveness",
    "/ready",
    "/readiness",
    "/ping",
    "/status",
    "/-/healthy",
    "/-/ready",
    "/actuator/health",
    "/actuator/prometheus",
    "/actuator/health/liveness",
    "/actuator/health/readiness",
    "prometheus-django-metrics",
];

/// Backends of a proxy that are never the service: its own control plane and pages.
pub(super) const NEVER_SCOPE: [&str; 8] =
    ["", "_", "stats", "prometheus", "MASTER", "xds_cluster", "admin", "sds-grpc"];

/// A value that already is the sum over the others.
pub(super) const SUM_SCOPE: &str = "*";

/// How much of something is in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    /// What it is, for people.
    pub(super) what: &'static str,
    /// The beginning of the signals' names and, with a hyphen, of the rule's.
    pub(super) signal: &'static str,
    /// The gauge of what is in use.
    pub(super) used: &'static str,
    /// The gauge of what there is: its name, or what stands there in place of `used`'s end.
    pub(super) most: &'static str,
    /// A matcher for both.
    pub(super) both: Option<(&'static str, &'static str)>,
    /// A matcher for what is in use.
    pub(super) only_used: Option<(&'static str, &'static str)>,
    /// How much of it may be in use, in per cent.
    pub(super) limit: u8,
}

const fn pool(what: Text, signal: Text, used: Text, most: Text) -> Pool {
    Pool { what, signal, used, most, both: None, only_used: None, limit: 90 }
}

const DATABASE: &str = "connections of the database pool";
const THREADS: &str = "threads that serve requests";
const FILES: &str = "open files of the process";
const CONNECTIONS: &str = "connections of the pool";
const HEAP: &str = "Java heap, after collections";

/// Pools, in the order in which they are written.
pub(super) const POOLS: &[Pool] = &[
    pool(DATABASE, "pool", "hikaricp_connections_active", "hikaricp_connections_max"),
    pool(DATABASE, "pool", "jdbc_connections_active", "jdbc_connections_max"),
    pool(DATABASE, "pool", "go_sql_in_use_connections", "go_sql_max_open_connections"),
    pool(DATABASE, "pool", "go_sql_stats_connections_in_use", "go_sql_stats_connections_max_open"),
    Pool {
        only_used: Some(("state", "used")),
        ..pool(DATABASE, "pool", "db_client_connections_usage", "db_client_connections_max")
    },
    pool(CONNECTIONS, "pool", "_pool_in_use", "_pool_max"),
    pool(CONNECTIONS, "pool", "_connections_in_use", "_connections_max"),
    pool(CONNECTIONS, "pool", "_pool_connections_in_use", "_pool_connections_max"),
    pool(THREADS, "threads", "tomcat_threads_busy_threads", "tomcat_threads_config_max_threads"),
    pool(THREADS, "threads", "jetty_threads_busy", "jetty_threads_config_max"),
    Pool {
        both: Some(("area", "heap")),
        limit: 95,
        ..pool(HEAP, "heap", "jvm_memory_used_bytes", "jvm_memory_max_bytes")
    },
    pool(FILES, "fds", "process_open_fds", "process_max_fds"),
    pool(FILES, "fds", "process_files_open_files", "process_files_max_files"),
    pool("open files of the host", "host_files", "node_filefd_allocated", "node_filefd_maximum"),
];

/// What waits, lags or is busy.
#[derive(Clone, Copy, Debug)]
pub(super) struct LevelConvention {
    pub(super) what: &'static str,
    pub(super) signal: &'static str,
    pub(super) name: &'static str,
    pub(super) limit: f64,
    pub(super) unit: LevelUnit,
    pub(super) scope: Option<&'static str>,
}

/// What a level is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LevelUnit {
    Things,
    Seconds,
    Share,
}

const fn level(about: (Text, Text), name: Text, limit: f64, unit: LevelUnit) -> LevelConvention {
    LevelConvention { what: about.0, signal: about.1, name, limit, unit, scope: None }
}

const fn waiting(what: &'static str, name: &'static str) -> LevelConvention {
    level((what, "waiting"), name, 10.0, LevelUnit::Things)
}

const TASKS: &str = "tasks that wait";
const FOR_SERVER: &str = "requests that wait for a server";
const FOR_CONNECTION: &str = "requests that wait for a connection";
const LAG: (&str, &str) = ("99th percentile of the lag of the event loop", "loop_lag");
const CPU: (&str, &str) = ("share of the machine's processors that the process uses", "cpu_use");

/// Levels, in the order in which they are written.
pub(super) const LEVELS: &[LevelConvention] = &[
    LevelConvention {
        scope: Some("proxy"),
        ..waiting(FOR_SERVER, "haproxy_backend_current_queue")
    },
    LevelConvention {
        scope: Some("envoy_cluster_name"),
        ..waiting(FOR_CONNECTION, "envoy_cluster_upstream_rq_pending_active")
    },
    waiting("threads that wait for a connection", "hikaricp_connections_pending"),
    waiting(TASKS, "executor_queued_tasks"),
    waiting(TASKS, "_queue_depth"),
    waiting(TASKS, "_queue_length"),
    waiting(TASKS, "_queue_size"),
    waiting(TASKS, "_queued_tasks"),
    level(LAG, "nodejs_eventloop_lag_p99_seconds", 0.5, LevelUnit::Seconds),
    level(CPU, "process_cpu_usage", 0.95, LevelUnit::Share),
];

/// Ends of names of queues that are no sign of waiting work: their capacity.
pub(super) const NO_LEVEL: [&str; 4] = ["capacity", "max", "limit", "remaining"];

/// Metrics that tell who wrote the page, for people.
pub(super) const LIBRARIES: [(&str, &str); 11] = [
    ("node_uname_info", "node_exporter"),
    ("nginx_vts_info", "nginx-module-vts"),
    ("nginx_connections_active", "the nginx exporter"),
    ("haproxy_process_start_time_seconds", "HAProxy"),
    ("envoy_server_live", "Envoy"),
    ("prometheus_build_info", "Prometheus"),
    ("jvm_memory_used_bytes", "Micrometer or the Java client"),
    ("nodejs_version_info", "prom-client for Node.js"),
    ("python_info", "prometheus_client for Python"),
    ("go_info", "client_golang for Go"),
    ("target_info", "OpenTelemetry"),
];
