//! Lists the checks that a configuration asks for: everything that its hooks, targets and channels
//! need and that must be there beforehand. No check changes anything.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::run::drill::acting_step;
use crate::model::channel::{Channel, System};
use crate::model::hook::{Hook, Piece, Placeholder, Step, Template};
use crate::model::live::{LiveSettings, LiveSource};
use crate::model::plan::Plan;
use crate::model::step::{Action, SecretText, Via, Wording};
use crate::model::target::{Secret, Target};

use super::report::{Finding, FindingLevel};

/// CheckGroup that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckGroup {
    /// What they are about: `hook rollback`.
    pub group: String,
    /// In the order in which their findings are shown.
    pub checks: Vec<PreflightCheck>,
}

/// One thing to be checked.
#[derive(Clone, Debug, PartialEq)]
pub enum PreflightCheck {
    /// A program that a step runs.
    Program {
        /// As it is written.
        program: String,
        /// The absolute paths among its arguments, as far as they are known now.
        paths: Vec<PathBuf>,
        /// How it is started.
        via: Via,
    },
    /// A secret.
    Secret {
        /// What it is for.
        what: String,
        /// Where it is.
        secret: Secret,
    },
    /// A server that must accept connections; no request is sent.
    Server {
        /// Where it is.
        url: Wording<String>,
        /// What it means that it does not.
        on_failure: FindingLevel,
    },
    /// `host:port`, as a server.
    Address(String),
    /// A Unix socket that must accept connections.
    Socket(PathBuf),
    /// A target that must answer a scrape.
    Scrape(Box<Target>),
    /// The live version, which must be known: a rollback starts only then.
    Live(Arc<LiveSettings>),
    /// What is known without looking.
    Said(Finding),
}

/// Everything that a plan asks for.
pub fn checks(plan: &Plan) -> Vec<CheckGroup> {
    let hooks = plan.hooks.iter().map(|hook| of_hook(plan, hook));
    let targets = plan.targets.iter().map(of_target);
    let channels = plan.channels.iter().map(of_channel);
    let live = plan.deployment.live.iter().map(of_live);
    hooks
        .chain(std::iter::once(of_drill(plan)))
        .chain(live)
        .chain(targets)
        .chain(channels)
        .collect()
}

fn of_hook(plan: &Plan, hook: &Hook) -> CheckGroup {
    let mut checks = Vec::new();
    for (place, step) in hook.steps.iter().enumerate() {
        of_step(plan, place + 1, step, &mut checks);
    }
    if plan.deployment.then.is_some_and(|then| plan.hook(then).name == hook.name)
        && hook.names(Placeholder::Good)
        && plan.deployment.good.is_none()
    {
        let what = "it needs a good version, which only deployments can tell";
        let remedy = "`deploy begin --good`, or `good` in [deployment], until a version has baked";
        checks.push(PreflightCheck::Said(Finding::warn(what, remedy)));
    }
    CheckGroup { group: format!("hook {}", hook.name), checks }
}

fn of_step(plan: &Plan, place: usize, step: &Step, checks: &mut Vec<PreflightCheck>) {
    checks.push(match &step.action {
        Action::Run { argv, via, .. } => {
            let program =
                argv.first().and_then(|program| filled(program, None)).unwrap_or_default();
            let paths = argv.iter().skip(1).filter_map(known_path).collect();
            PreflightCheck::Program { program, paths, via: *via }
        }
        // A probe waits for something that is not there yet; anything else would fail.
        Action::Probe { url, .. } => server(plan, place, url, FindingLevel::Warn),
        Action::Http(call) => match &call.url {
            Wording::Open(url) => server(plan, place, url, FindingLevel::Fail),
            Wording::Secret(secret) => {
                let url = Wording::Secret(secret.clone());
                PreflightCheck::Server { url, on_failure: FindingLevel::Fail }
            }
        },
        Action::Tcp { address, .. } => {
            match filled(address, Some(plan.deployment.service.as_str())) {
                Some(address) => PreflightCheck::Address(address),
                None => unknown(place, "address"),
            }
        }
        Action::Unix(call) => PreflightCheck::Socket(call.path.clone()),
        Action::Sleep(pause) => {
            let pause = crate::model::time::format_duration(*pause);
            PreflightCheck::Said(Finding::ok(format!("step {place} sleeps for {pause}")))
        }
    });
    let secrets = step.action.secrets();
    let secret = |(part, secret)| secret_check(format!("{part} of step {place}"), secret);
    checks.extend(secrets.into_iter().map(secret));
}

fn server(plan: &Plan, place: usize, url: &Template, on_failure: FindingLevel) -> PreflightCheck {
    const UNKNOWN: &str = "\0";
    let service = plan.deployment.service.as_str();
    let known = |placeholder| if placeholder == Placeholder::Service { service } else { UNKNOWN };
    let url = url.fill(known);
    // What stands behind scheme, host and port does not matter here.
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    let authority = &url[..end];
    if authority.contains(UNKNOWN) {
        return unknown(place, "host");
    }
    PreflightCheck::Server { url: Wording::Open(authority.to_owned()), on_failure }
}

fn unknown(place: usize, what: &str) -> PreflightCheck {
    let what = format!("the {what} of step {place} is only known when it runs: not looked at");
    PreflightCheck::Said(Finding::warn(what, "try it: rollguard drill"))
}

fn secret_check(what: String, secret: &Secret) -> PreflightCheck {
    PreflightCheck::Secret { what, secret: secret.clone() }
}

fn of_drill(plan: &Plan) -> CheckGroup {
    let finding = match &plan.drill {
        None => Finding::warn(
            "there is no [drill], so no hook was ever tried in full",
            "write [drill]; see `rollguard drill --help`",
        ),
        Some(drill) if drill.service == plan.deployment.service => Finding::fail(
            format!("[drill] names the guarded service {}", drill.service),
            "name something that nobody uses",
        ),
        Some(drill) => match drill.hook.or(plan.deployment.then).map(|ix| plan.hook(ix)) {
            None => Finding::warn("no hook is named to be drilled", "`hook` in [drill]"),
            Some(hook) => match acting_step(hook) {
                None => {
                    Finding::ok(format!("hook {} can be tried on {}", hook.name, drill.service))
                }
                Some(step) => Finding::warn(
                    format!(
                        "step {step} of hook {} names neither {{service}} nor {{deployment}}",
                        hook.name
                    ),
                    "name it, or the hook acts in a drill on what it acts on in a rollback",
                ),
            },
        },
    };
    CheckGroup { group: "drill".to_owned(), checks: vec![PreflightCheck::Said(finding)] }
}

fn of_live(settings: &Arc<LiveSettings>) -> CheckGroup {
    let mut checks = Vec::new();
    match &settings.source {
        LiveSource::Symlink(_) | LiveSource::File { .. } => {}
        LiveSource::Http(request) => checks.extend(secrets(&request.headers)),
        LiveSource::Run(argv) => {
            let program = argv.first().cloned().unwrap_or_default();
            let paths = argv.iter().skip(1).filter(|word| word.starts_with('/'));
            let paths = paths.map(PathBuf::from).collect();
            checks.push(PreflightCheck::Program { program, paths, via: Via::Child });
        }
        LiveSource::Metric { of, label } => {
            let what = format!("it is the label {label} of {}, as sampled", of.metric);
            checks.push(PreflightCheck::Said(Finding::ok(what)));
        }
    }
    if !matches!(settings.source, LiveSource::Metric { .. }) {
        checks.push(PreflightCheck::Live(settings.clone()));
    }
    CheckGroup { group: "live version".to_owned(), checks }
}

fn of_target(target: &Target) -> CheckGroup {
    let mut checks: Vec<PreflightCheck> = secrets(target.kind.headers()).collect();
    checks.push(PreflightCheck::Scrape(Box::new(target.clone())));
    CheckGroup { group: format!("target {}", target.name), checks }
}

fn secrets(headers: &[(String, Secret)]) -> impl Iterator<Item = PreflightCheck> {
    headers.iter().map(|(name, secret)| secret_check(format!("header {name}"), secret))
}

fn of_channel(channel: &Channel) -> CheckGroup {
    let open = |url: &String| Wording::Open(url.clone());
    let hidden = |from: &Secret| {
        vec![Wording::Secret(SecretText { prefix: String::new(), from: from.clone() })]
    };
    let key = |what: &str, secret: &Secret| secret_check(what.to_owned(), secret);
    let (urls, secrets): (Vec<Wording<String>>, Vec<PreflightCheck>) = match &channel.system {
        System::Slack { url } => (hidden(url), vec![key("url", url)]),
        System::PagerDuty { url, routing_key, .. } => {
            (vec![open(url)], vec![key("routing_key", routing_key)])
        }
        System::Opsgenie { url, key: secret } => (vec![open(url)], vec![key("key", secret)]),
        System::Alertmanager { urls, headers } => {
            (urls.iter().map(open).collect(), secrets(headers).collect())
        }
        System::Grafana { url, token, .. } => (vec![open(url)], vec![key("token", token)]),
        System::Statuspage { url, key: secret, .. } => (vec![open(url)], vec![key("key", secret)]),
        System::Webhook { url, headers } | System::CloudEvent { url, headers, .. } => {
            let keys = std::iter::once(key("url", url)).chain(secrets(headers));
            (hidden(url), keys.collect())
        }
    };
    // Nobody is told, and a rollback runs all the same; but then nobody knows.
    let server = |url| PreflightCheck::Server { url, on_failure: FindingLevel::Fail };
    let checks = secrets.into_iter().chain(urls.into_iter().map(server)).collect();
    CheckGroup { group: format!("notify {}", channel.name), checks }
}

/// The text, as far as the service alone fills it; `None`: something is only known later.
fn filled(template: &Template, service: Option<&str>) -> Option<String> {
    let known = |piece: &Piece| match piece {
        Piece::Text(_) => true,
        Piece::Fill(placeholder) => *placeholder == Placeholder::Service && service.is_some(),
    };
    let is_known = template.0.iter().all(known);
    is_known.then(|| template.fill(|_| service.unwrap_or_default()))
}

/// The absolute path that an argument is or begins with: a directory where the rest is not known.
fn known_path(argument: &Template) -> Option<PathBuf> {
    let Some(Piece::Text(first)) = argument.0.first() else { return None };
    if !first.starts_with('/') {
        return None;
    }
    let known = if argument.0.len() == 1 { first } else { &first[..first.rfind('/')?] };
    let path = Path::new(known);
    (path.parent().is_some()).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SourceFile, compile};

    fn plan(hooks: &str) -> Plan {
        let text = format!(
            "[deployment]\nservice = \"api\"\n[target.api]\nscrape = \"http://127.0.0.1:1/\"\n\
             headers = {{ x = {{ file = \"/t\" }} }}\n[signal.s]\ngauge = 'g'\n[rule.r]\n\
             when = \"s > 1\"\nthen = \"h\"\n{hooks}"
        );
        let file = SourceFile { path: "a.toml".to_owned(), text };
        compile(&file, &[]).unwrap().plan
    }

    fn of_group(hooks: &str, group: &str) -> Vec<PreflightCheck> {
        let all = checks(&plan(hooks));
        let found = all.into_iter().find(|checks| checks.group == group);
        found.map(|found| found.checks).unwrap_or_default()
    }

    #[test]
    fn every_step_is_looked_at() {
        let steps = r#"[hook.h]
steps = [
  { run = ["/opt/switch", "{good}", "/srv/{service}/x", "/srv/api/current", "x"] },
  { http = { method = "PUT", url = "https://{service}.example:8443/{good}", headers = { A = { env = "T" } } } },
  { probe = { http = "http://{good}.example/" } },
  { unix = { path = "/run/h.sock", send = ["x"] } },
  { sleep = "1s" },
]"#;
        let found = of_group(steps, "hook h");
        let paths = vec![PathBuf::from("/srv"), PathBuf::from("/srv/api/current")];
        let program = "/opt/switch".to_owned();
        assert_eq!(found[0], PreflightCheck::Program { program, paths, via: Via::Child });
        let url = Wording::Open("https://api.example:8443".to_owned());
        assert_eq!(found[1], PreflightCheck::Server { url, on_failure: FindingLevel::Fail });
        assert!(
            matches!(&found[2], PreflightCheck::Secret { what, .. } if what == "header a of step 2")
        );
        assert!(
            matches!(&found[3], PreflightCheck::Said(said) if said.what.contains("only known when"))
        );
        assert_eq!(found[4], PreflightCheck::Socket("/run/h.sock".into()));
        assert!(matches!(&found[5], PreflightCheck::Said(said) if said.what.contains("sleeps")));
    }

    #[test]
    fn targets_channels_and_the_drill_are_looked_at() {
        let more = "[hook.h]\nsteps = [{ sleep = \"1s\" }]\n[notify.pager]\n\
                    pagerduty = { routing_key = { file = \"/k\" } }\n[drill]\nservice = \"api\"\n\
                    version = \"v2\"\ngood = \"v1\"";
        assert_eq!(of_group(more, "target api").len(), 2);
        let pager = of_group(more, "notify pager");
        assert!(matches!(&pager[0], PreflightCheck::Secret { what, .. } if what == "routing_key"));
        assert!(matches!(&pager[1], PreflightCheck::Server { url: Wording::Open(_), .. }));
        let drill = of_group(more, "drill");
        assert!(
            matches!(&drill[0], PreflightCheck::Said(said) if said.what.contains("guarded service"))
        );
    }
}
