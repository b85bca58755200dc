//! `[deployment]`: what is guarded, for how long, and how far rollguard may act without people.

use std::time::Duration;

use crate::model::deployment::{Along, Arm, Budget, Confirm, DeploymentSettings, Mode, Unanswered};
use crate::model::index::HookIx;
use crate::model::name::{ServiceName, Version};

use super::live::live;
use super::named_table::KnownNames;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue};

/// How long a deployment is guarded where the configuration does not say: long enough for most
/// bad releases to show, and for every rule of the shipped packs.
pub(crate) const DEFAULT_BAKE: Duration = Duration::from_secs(3600);

/// How to write `confirm`.
const CONFIRM: &str = "write confirm = { within = \"10m\", default = \"rollback\" } below \
                       [deployment], or default = \"deny\" to keep the version";

/// Reads `[deployment]`.
pub(crate) fn deployment(
    root: &TomlTable<'_>,
    hooks: &KnownNames,
    mode: Option<Mode>,
    sink: &mut ErrorSink,
) -> Option<DeploymentSettings> {
    if root.get("deployment").is_none() {
        let error = root.error("the file has no [deployment]");
        sink.missing(error.help("write [deployment] and service = \"NAME\" below it"));
    }
    let table = root.subtable("deployment", sink)?;
    table.check_keys(sink);
    let (confirm, budget) = (confirm(&table, mode, sink), budget(&table, sink));
    let service = table.read("service", sink, |value, sink| value.name(sink, ServiceName::new));
    let arms = [("deploy", Arm::Deploy), ("detect", Arm::Detect), ("always", Arm::Always)];
    let arm = table.read("arm", sink, |value, sink| value.choice(&arms, sink));
    let bake = table.opt("bake", sink, TomlValue::duration);
    let warmup = table.read("warmup", sink, TomlValue::duration);
    let mut hook = |key| table.opt(key, sink, |value, sink| hook_named(value, hooks, sink));
    let (then, notify) = (hook("then"), hook("notify"));
    let (begin, stage) = (hook("on_begin"), hook("on_stage"));
    let (trip, commit) = (hook("on_trip"), hook("on_commit"));
    let mut version = |key| table.opt(key, sink, |value, sink| value.name(sink, Version::new));
    let (good, version) = (version("good"), version("version"));
    let live = live(&table, sink);
    let arm = arm?;
    if let (Arm::Detect, Some(None)) = (arm, &live) {
        let error = table.error_at("arm", "`arm = \"detect\"` needs `live`");
        return sink
            .refuse(error.help("write live = { symlink = \"/srv/api/current\" }, for example"));
    }
    if let (Arm::Deploy | Arm::Detect, Some(value)) = (arm, table.get("version")) {
        let error = value.error("`version` is only for `arm = \"always\"`");
        let help = "otherwise `rollguard deploy begin` names the version, or it is what is live";
        return sink.refuse(error.help(help));
    }
    let bake = match arm {
        Arm::Deploy | Arm::Detect => Some(bake?.unwrap_or(DEFAULT_BAKE)),
        Arm::Always => bake?,
    };
    let (service, warmup) = (service?, warmup?);
    if bake.is_some_and(|bake| warmup >= bake) {
        let message = "the warm-up is not shorter than the bake, no rule could ever fire";
        return sink.refuse(table.error_at("warmup", message));
    }
    Some(DeploymentSettings {
        service,
        arm,
        bake,
        warmup,
        then: then?,
        good: good?,
        version: version?,
        notify: notify?,
        confirm: confirm?,
        budget: budget?,
        along: Along { begin: begin?, stage: stage?, trip: trip?, commit: commit? },
        live: live?,
    })
}

/// A hook by its name.
pub(crate) fn hook_named(
    value: TomlValue<'_>,
    hooks: &KnownNames,
    sink: &mut ErrorSink,
) -> Option<HookIx> {
    hooks.find("hook", value, sink).map(HookIx)
}

/// Reads `confirm`, which mode `confirm` needs: what happens when nobody answers is for people to
/// choose beforehand.
fn confirm(
    deployment: &TomlTable<'_>,
    mode: Option<Mode>,
    sink: &mut ErrorSink,
) -> Option<Option<Confirm>> {
    let Some(value) = deployment.get("confirm") else {
        if mode == Some(Mode::Confirm) {
            let message = "mode `confirm` asks people, and nobody said what happens when none \
                           answers";
            sink.missing(deployment.error(message).help(CONFIRM));
            return None;
        }
        return Some(None);
    };
    let table = TomlTable::of(value, "confirm", sink)?;
    table.check_keys(sink);
    let words = [("rollback", Unanswered::Rollback), ("deny", Unanswered::Deny)];
    for key in ["within", "default"] {
        if table.get(key).is_none() {
            sink.missing(table.error(format!("`confirm` has no `{key}`")).help(CONFIRM));
        }
    }
    let within = table.opt("within", sink, TomlValue::duration);
    let default = table.opt("default", sink, |value, sink| value.choice(&words, sink));
    Some(Some(Confirm { within: within??, default: default?? }))
}

fn budget(deployment: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<Budget> {
    let Some(value) = deployment.get("budget") else { return Some(Budget::default()) };
    let table = TomlTable::of(value, "budget", sink)?;
    table.check_keys(sink);
    let rollbacks = table.read("rollbacks", sink, |value, sink| {
        if value.toml().as_integer().is_some_and(|number| number.as_str() == "0") {
            let error = value.error("a budget of 0 never rolls back");
            return sink.refuse(error.help("say mode = \"notify\" to be told only"));
        }
        value.integer(sink)
    });
    let per = table.read("per", sink, TomlValue::duration);
    Some(Budget { rollbacks: rollbacks?, per: per? })
}
