//! Configurations to guard by: every mode, small budgets, with and without a good version, a cure,
//! retries, idempotent steps, a probe, people to tell.

use std::sync::{Arc, OnceLock};

use rollguard::config::{Color, SourceFile, compile};
use rollguard::model::plan::Plan;

use super::random::Random;

/// How many different plans there are: parsing one takes longer than simulating with it.
const PLANS: u64 = 96;

/// One of the plans.
pub(crate) fn any(random: &mut Random) -> Arc<Plan> {
    static ALL: OnceLock<Vec<Arc<Plan>>> = OnceLock::new();
    let all = ALL.get_or_init(|| (0..PLANS).map(|seed| plan(&mut Random::new(seed))).collect());
    let chosen = random.below(all.len() as u64);
    all[usize::try_from(chosen).unwrap()].clone()
}

fn plan(random: &mut Random) -> Arc<Plan> {
    let text = text(random);
    let file = SourceFile { path: "simulation.toml".to_owned(), text };
    let compiled = compile(&file, &[]);
    Arc::new(compiled.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain))).plan)
}

fn text(random: &mut Random) -> String {
    let mode = random.pick(&["auto", "auto", "auto", "confirm", "confirm", "notify", "observe"]);
    let live = random.pick(&["", "", LIVE, LIVE, "live_unknown = \"proceed\"\n"]);
    let live = if live.starts_with("live_") { format!("{LIVE}{live}") } else { (*live).to_owned() };
    let arms: &[&str] = match live.is_empty() {
        true => &["deploy", "deploy", "always"],
        false => &["deploy", "detect", "detect", "always"],
    };
    let arm = random.pick(arms);
    let bake = random.pick(&["12s", "30s", "60s"]);
    let warmup = random.pick(&["0s", "3s", "10s"]);
    let good = random.pick(&["", "good = \"v0\""]);
    let notify = random.pick(&["", "notify = \"tell\""]);
    let confirm = random.pick(&["rollback", "rollback", "deny"]);
    let confirm = format!("confirm = {{ within = \"12s\", default = \"{confirm}\" }}");
    let budget = random.pick(&["", "", "budget = { rollbacks = 1, per = \"1m\" }"]);
    let on_failure = random.pick(&["", "on_failure = \"page\""]);
    let version = if random.one_in(2) && *arm == "always" { "version = \"sidecar\"" } else { "" };
    let cure = random.pick(&[
        "",
        "cure = { when = \"latency < 1\", for = \"2s\", within = \"20s\" }",
        "cure = { when = \"errors < 1\", for = \"0s\", within = \"10s\" }",
    ]);
    // The order of hooks is what indices into them depend on.
    let along = random.pick(&["", "on_begin = \"along\"\non_stage = \"along\"", ALONG]);
    let stages = stages(random, arm);
    let mut hooks = [
        hook_rollback(random, cure, on_failure),
        PAGE.to_owned(),
        TELL.to_owned(),
        hook_shift(random),
        "[hook.along]\nsteps = [ { run = [\"along\"] } ]\n".to_owned(),
    ];
    let turn = usize::try_from(random.below(5)).unwrap();
    hooks.rotate_left(turn);
    let limit = random.pick(&["2", "2", "3"]);
    let slow = format!("[rule.slow]\nwhen = \"latency > {limit}\"\nfor = \"2s\"\n");
    let sharpen = random.pick(&["", "sharpen = \"100ms\"", "sharpen = \"300ms\""]);
    let rules = if random.one_in(4) { slow } else { format!("{slow}{RULES}") };
    format!(
        "mode = \"{mode}\"\n[deployment]\nservice = \"shop\"\narm = \"{arm}\"\n{version}\n\
         bake = \"{bake}\"\nwarmup = \"{warmup}\"\nthen = \"rollback\"\n{good}\n{notify}\n{live}\n\
         {confirm}\n{budget}\n{along}\n\
         {TARGET}{sharpen}\n{CHANNEL}{SIGNALS}{}{DRILL}{rules}{stages}",
        hooks.concat()
    )
}

fn hook_rollback(random: &mut Random, cure: &str, on_failure: &str) -> String {
    let good = random.pick(&["{good}", "{good}", "{version}"]);
    let attempts = 1 + random.below(3);
    let idempotent = random.one_in(2);
    let options = format!("timeout = \"5s\", attempts = {attempts}, idempotent = {idempotent}");
    let switch = format!("{{ run = [\"switch\", \"{{service}}\", \"{good}\"], {options} }}");
    let then = random.pick(&[
        "",
        ", { run = [\"restart\"], timeout = \"5s\" }",
        ", { probe = { http = \"http://127.0.0.1:9000/health\" }, within = \"5s\", attempts = 2 }",
        ", { run = [\"drain\"], timeout = \"5s\", attempts = 2, idempotent = true }, \
         { run = [\"restart\"], timeout = \"5s\" }",
    ]);
    let then = if random.one_in(3) { other_steps(random) } else { (*then).to_owned() };
    let limit = random.pick(&["", "", "timeout = \"25s\"\n"]);
    format!("[hook.rollback]\nsteps = [ {switch}{then} ]\n{limit}{cure}\n{on_failure}\n")
}

/// Steps that are no programs, some of them tried again and some that may be sent twice.
fn other_steps(random: &mut Random) -> String {
    let again = random.pick(&["", ", attempts = 3", ", attempts = 2, idempotent = true"]);
    let call = "http = { method = \"POST\", url = \"http://127.0.0.1:9000/{good}\" }";
    let lines = "unix = { path = \"/run/admin.sock\", send = [\"set {good}\"] }";
    let steps = [
        format!("{{ {call}, timeout = \"3s\"{again} }}"),
        format!("{{ {lines}, timeout = \"3s\"{again} }}"),
        "{ sleep = \"2s\" }".to_owned(),
        "{ probe = { tcp = \"127.0.0.1:9000\" }, within = \"4s\" }".to_owned(),
    ];
    let count = 1 + random.below(3);
    (0..count).map(|_| format!(", {}", random.pick(&steps))).collect()
}

/// Stages or none; the hook of each is slow, fails and hangs as any other.
fn stages(random: &mut Random, arm: &str) -> String {
    let mut stages = String::new();
    let names = random.pick(&["", "canary full", "canary half full"]);
    for name in names.split_whitespace() {
        let hold = random.pick(&["2s", "4s", "8s"]);
        let enter = *random.pick(&["", "enter = \"shift\""]);
        // Where nobody begins, nobody enters the first.
        let enter = if arm == "deploy" || !stages.is_empty() { enter } else { "" };
        let within = random.pick(&["", "within = \"20s\""]);
        let rules = random.pick(&["", "rules = [\"slow\"]", "rules = []"]);
        stages.push_str(&format!(
            "[[stage]]\nname = \"{name}\"\nhold = \"{hold}\"\nlimits = [\"latency < 1\"]\n\
             {enter}\n{within}\n{rules}\n"
        ));
    }
    stages
}

fn hook_shift(random: &mut Random) -> String {
    let attempts = 1 + random.below(3);
    let idempotent = random.one_in(2);
    let limit = random.pick(&["", "timeout = \"12s\""]);
    let then = random.pick(&["", ", { sleep = \"1s\" }"]);
    format!(
        "[hook.shift]\n{limit}\nsteps = [ {{ run = [\"shift\", \"{{stage}}\"], timeout = \"5s\", \
         attempts = {attempts}, idempotent = {idempotent} }}{then} ]\n"
    )
}

const ALONG: &str =
    "on_begin = \"along\"\non_stage = \"along\"\non_trip = \"along\"\non_commit = \"along\"";
/// Read often enough to matter within a run.
const LIVE: &str = "live = { file = \"/srv/VERSION\", timeout = \"1s\" }\n";

const PAGE: &str = "[hook.page]\nsteps = [ { run = [\"page\", \"{reason}\"] } ]\n";
const TELL: &str = "[hook.tell]\nsteps = [ { run = [\"tell\", \"{rule}\"], attempts = 3 } ]\n";

const DRILL: &str = r#"
[drill]
service = "gym"
version = "v7"
good = "v6"
hook = "exercise"
[hook.exercise]
steps = [
  { run = ["exercise", "{service}"], timeout = "5s", attempts = 2, idempotent = true },
  { run = ["again", "{service}"], timeout = "5s" },
]
"#;

const TARGET: &str = r#"
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
interval = "1s"
timeout = "800ms"
"#;

const CHANNEL: &str = "[notify.log]\nwebhook = { url = \"http://127.0.0.1:9001/\" }\n";

const SIGNALS: &str = r#"
[signal.latency]
gauge = 'latency_seconds'
[signal.errors]
rate = 'errors_total'
window = "4s"
"#;

const RULES: &str = r#"
[rule.errors]
when = "errors > 1"
for = "2s"
[rule.hot]
when = "latency > 4"
for = "1s"
relative = true
[rule.note]
when = "latency > 1"
then = "notify"
[rule.dry]
when = "latency > 1"
then = "report"
"#;
