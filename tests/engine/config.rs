//! What a configuration becomes: every key of the language, and what is assumed where it is not
//! written.

use std::path::PathBuf;
use std::time::Duration;

use rollguard::config::{Compiled, Listen, SourceFile, compile};
use rollguard::model::condition::{Arith, Compare, Cond, Num};
use rollguard::model::deployment::{Arm, Mode};
use rollguard::model::hook::Placeholder;
use rollguard::model::index::{HookIx, SignalIx};
use rollguard::model::rule::{OnNoData, Severity, Then};
use rollguard::model::signal::{Aggregation, OverTime, Reduction, SignalKind, Unit};
use rollguard::model::step::{Action, Json};
use rollguard::model::target::{Scheme, Secret, TargetKind};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

fn compiled(main: &str, rules: &[&str]) -> Compiled {
    let rules: Vec<_> = rules.iter().map(|text| file("rules.toml", text)).collect();
    compile(&file("main.toml", main), &rules)
        .map_err(|wrong| panic!("{}", wrong.render(rollguard::config::Color::Plain)))
        .unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

const FULL: &str = r#"
mode = "auto"
rules = ["rules.d/*.toml"]
state = "/srv/state"
listen = "[::1]:80"
control = "/srv/control.sock"

[deployment]
service = "api"
arm = "always"
bake = "2h"
warmup = "1m"
then = "rollback"
good = "repo/app@sha256:0a1b"
version = "v2"
notify = "page"

[target.api]
scrape = "https://api.internal/metrics?a=b"
interval = "250ms"
sharpen = "125ms"
timeout = "100ms"
labels = { role = "canary" }
headers = { authorization = { file = "/run/token" }, x-a = "b", x-c = { env = "C" } }
ca_file = "/etc/ca.pem"
max_body = "64KiB"

[target.stable]
scrape = "http://127.0.0.1:9000/metrics"

[hook.rollback]
steps = [
  { run = ["/bin/switch", "", "{service}={good}"], timeout = "9s",
    attempts = 3, backoff = "2s", grace = "0s", idempotent = true },
  { probe = { http = "http://{service}/health", status = 204, json = { pointer = "/v", equals = "{good}" } }, within = "7s" },
  { probe = { http = "http://h/", json = { pointer = "", equals = { a = [1, 2.5, true] } } } },
]
cure = { when = "limit > 0 && peak < limit", for = "5s", within = "1m" }
on_failure = "page"

[hook.page]
steps = [{ run = ["page"] }]
"#;

const SIGNALS: &str = r#"
[signal.headroom]
expr = "limit - peak * 2"
unit = "bytes"

[signal.peak]
gauge = 'memory_bytes{a="b"}'
across = "max"
over = "avg"
window = "1m"
target = "api"
labels = { zone = "eu" }
stale = "5s"
description = "memory"

[signal.limit]
value = "64MiB"

[signal.alive]
up = "stable"

[signal.mean]
mean = true
of = 'latency_seconds'
window = "1m"

[signal.summary]
quantile = 1
of = 'latency_seconds'

[rule.full]
when = "headroom < 0 || alive < 1"
given = "mean > 0 && summary > 0"
for = "30s"
keep_firing_for = "1m"
on_no_data = "breach"
then = "page"
relative = true
description = "d"
runbook = "https://runbook"
owner = "o"

[rule.quiet]
when = "alive < 1"
severity = "warning"

[rule.dry]
when = "alive < 1"
severity = "warning"
then = "report"
"#;

#[test]
fn every_key_of_the_main_file_arrives() {
    let Compiled { settings, plan, .. } = compiled(FULL, &[SIGNALS]);
    assert_eq!(settings.state, Some(PathBuf::from("/srv/state")));
    assert_eq!(settings.control, Some(PathBuf::from("/srv/control.sock")));
    assert_eq!(settings.listen, Listen::Addr("[::1]:80".parse().unwrap()));
    assert_eq!(plan.mode, Mode::Auto);
    let deployment = &plan.deployment;
    assert_eq!((deployment.service.as_str(), deployment.arm), ("api", Arm::Always));
    assert_eq!((deployment.bake, deployment.warmup), (Some(SECOND * 7200), SECOND * 60));
    assert_eq!((deployment.then, deployment.notify), (Some(HookIx(0)), Some(HookIx(1))));
    assert_eq!(deployment.good.as_ref().unwrap().as_str(), "repo/app@sha256:0a1b");
    assert_eq!(deployment.version.as_ref().unwrap().as_str(), "v2");
    let api = &plan.targets[0];
    let TargetKind::Page(page) = &api.kind;
    assert_eq!((api.name.as_str(), page.url.scheme), ("api", Scheme::Https));
    assert_eq!((page.url.host.as_str(), page.url.port), ("api.internal", 443));
    assert_eq!(page.url.path, "/metrics?a=b");
    assert_eq!((api.interval.as_millis(), api.timeout.as_millis()), (250, 100));
    assert_eq!(api.sharpen, Some(Duration::from_millis(125)));
    assert_eq!(api.labels, [("role".to_owned(), "canary".to_owned())]);
    let headers = [
        ("authorization".to_owned(), Secret::File("/run/token".into())),
        ("x-a".to_owned(), Secret::Literal("b".into())),
        ("x-c".to_owned(), Secret::Env("C".into())),
    ];
    assert_eq!(page.headers, headers);
    assert_eq!((page.ca_file.clone(), page.max_body), (Some("/etc/ca.pem".into()), 65_536));
}

#[test]
fn what_is_not_written_is_the_documented_default() {
    let Compiled { settings, plan, .. } = compiled(
        "[deployment]\nservice = \"api\"\n[target.t]\nscrape = \"http://h/m\"\n\
         [hook.h]\nsteps = [{ run = [\"a\"] }, { probe = { http = \"http://h/\" } }]\n\
         cure = { when = \"u > 0\" }\n[signal.u]\nup = \"t\"\n[rule.r]\nwhen = \"u < 1\"\n",
        &[],
    );
    assert_eq!((settings.state, settings.control), (None, None));
    assert_eq!(settings.listen, Listen::Addr("127.0.0.1:9786".parse().unwrap()));
    assert_eq!((plan.mode, plan.deployment.arm), (Mode::Observe, Arm::Deploy));
    let deployment = &plan.deployment;
    assert_eq!((deployment.bake, deployment.warmup), (Some(SECOND * 3600), SECOND * 15));
    assert_eq!((deployment.then, deployment.notify), (None, None));
    let target = &plan.targets[0];
    assert_eq!((target.interval, target.timeout.as_millis()), (SECOND, 800));
    assert_eq!(target.sharpen, None);
    let TargetKind::Page(page) = &target.kind;
    assert_eq!((page.max_body, &page.ca_file), (64 << 20, &None));
    let [run, probe] = plan.hooks[0].steps.as_slice() else { panic!() };
    assert_eq!((run.timeout, run.attempts, run.backoff), (SECOND * 60, 1, SECOND));
    assert!(!run.idempotent);
    assert!(matches!(run.action, Action::Run { grace, .. } if grace == SECOND * 5));
    assert_eq!(probe.timeout, SECOND * 5);
    let Action::Probe { status, json, within, .. } = &probe.action else { panic!() };
    assert_eq!((status, json, *within), (&None, &None, SECOND * 30));
    let cure = plan.hooks[0].cure.as_ref().unwrap();
    assert_eq!((cure.hold, cure.within), (SECOND * 10, SECOND * 120));
    let rule = &plan.rules[0];
    assert_eq!((rule.hold, rule.keep_firing_for), (Duration::ZERO, Duration::ZERO));
    assert_eq!((rule.on_no_data, rule.severity), (OnNoData::Hold, Severity::Critical));
    assert_eq!((rule.then, rule.relative), (Then::Notify, false));
    assert_eq!(plan.signals[0].unit, None);
}

#[test]
fn hooks_arrive_with_steps_and_cure() {
    let plan = compiled(FULL, &[SIGNALS]).plan;
    let hook = &plan.hooks[0];
    assert_eq!((hook.name.as_str(), hook.on_failure), ("rollback", Some(HookIx(1))));
    let [run, probe, exact] = hook.steps.as_slice() else { panic!() };
    assert_eq!((run.timeout, run.attempts, run.backoff), (SECOND * 9, 3, SECOND * 2));
    assert!(run.idempotent);
    let Action::Run { argv, grace, .. } = &run.action else { panic!() };
    let words: Vec<_> = argv
        .iter()
        .map(|word| word.fill(|p| if p == Placeholder::Good { "G" } else { "S" }))
        .collect();
    assert_eq!(
        (words, *grace),
        (vec!["/bin/switch".into(), String::new(), "S=G".into()], Duration::ZERO)
    );
    let Action::Probe { url, status, json, within, .. } = &probe.action else { panic!() };
    assert_eq!(url.fill(|_| "X"), "http://X/health");
    assert_eq!((*status, *within), (Some(204), SECOND * 7));
    let (pointer, json) = json.as_ref().unwrap();
    assert_eq!(pointer, "/v");
    assert!(matches!(json, Json::Text(text) if text.names(Placeholder::Good)));
    let Action::Probe { json: Some((_, json)), .. } = &exact.action else { panic!() };
    assert_eq!(json, &Json::Exactly(serde_json::json!({"a": [1, 2.5, true]})));
    let cure = hook.cure.as_ref().unwrap();
    assert_eq!((cure.when.text.as_str(), cure.hold), ("limit > 0 && peak < limit", SECOND * 5));
}

#[test]
fn signals_arrive_sorted_so_that_an_expression_comes_after_what_it_uses() {
    let plan = compiled(FULL, &[SIGNALS]).plan;
    let names: Vec<_> = plan.signals.iter().map(|signal| signal.name.as_str()).collect();
    assert_eq!(names, ["limit", "peak", "headroom", "alive", "mean", "summary"]);
    let headroom = &plan.signals[2];
    let twice =
        Num::Arith(Arith::Mul, Box::new(Num::Signal(SignalIx(1))), Box::new(Num::Const(2.0)));
    let expected = Num::Arith(Arith::Sub, Box::new(Num::Signal(SignalIx(0))), Box::new(twice));
    assert_eq!((&headroom.kind, headroom.unit), (&SignalKind::Expr(expected), Some(Unit::Bytes)));
    let peak = &plan.signals[1];
    let SignalKind::Series { of, reduction, window } = &peak.kind else { panic!() };
    let (across, over) = (Some(Aggregation::Max), OverTime::Avg);
    assert_eq!((reduction, *window), (&Reduction::Gauge { across, over }, SECOND * 60));
    assert_eq!((peak.unit, peak.stale), (Some(Unit::Bytes), Some(SECOND * 5)));
    let labels: Vec<_> = of.matchers.iter().map(|matcher| matcher.label.as_str()).collect();
    assert_eq!(labels, ["a", "target", "zone"]);
    assert!(of.accepts(|label| match label {
        "a" => "b",
        "target" => "api",
        _ => "eu",
    }));
    assert_eq!(plan.signals[0].kind, SignalKind::Value(67_108_864.0));
    assert!(matches!(&plan.signals[3].kind, SignalKind::Up(target) if target.as_str() == "stable"));
    let mean = &plan.signals[4].kind;
    assert!(matches!(mean, SignalKind::Series { reduction: Reduction::Mean, .. }));
    assert_eq!(mean.window(), SECOND * 60);
    let summary = &plan.signals[5].kind;
    assert!(matches!(summary, SignalKind::Series { reduction: Reduction::Quantile(_), .. }));
    assert_eq!(summary.window(), Duration::ZERO);
}

#[test]
fn rules_arrive_and_a_warning_never_rolls_back() {
    let plan = compiled(FULL, &[SIGNALS]).plan;
    let [full, quiet, dry] = plan.rules.as_slice() else { panic!() };
    assert_eq!((full.hold, full.keep_firing_for), (SECOND * 30, SECOND * 60));
    assert_eq!((full.on_no_data, full.relative), (OnNoData::Breach, true));
    assert_eq!(full.then, Then::Rollback(HookIx(1)));
    assert_eq!(full.about.owner.as_deref(), Some("o"));
    assert!(full.given.is_some());
    let expected = Cond::Compare(Num::Signal(SignalIx(3)), Compare::Less, Num::Const(1.0));
    assert_eq!((&quiet.when.cond, quiet.when.text.as_str()), (&expected, "alive < 1"));
    assert_eq!((quiet.then, dry.then), (Then::Notify, Then::Report));
}

#[test]
fn dotted_keys_and_inline_tables_say_the_same() {
    let table = compiled(
        "[deployment]\nservice = \"api\"\n[target.t]\nscrape = \"http://h/m\"\n\
         [signal.u]\nup = \"t\"\n[rule.r]\nwhen = \"u < 1\"\n",
        &[],
    );
    let dotted = compiled(
        "\u{feff}deployment.service = 'api'\r\ntarget.t.scrape = \"\"\"http://h/m\"\"\"\r\n\
         signal = { u = { up = \"t\" } }\r\n\"rule\".r.when = '''u < 1'''\r\n",
        &[],
    );
    assert_eq!(table.plan, dotted.plan);
}
