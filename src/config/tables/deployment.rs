//! `[deployment]`: what is guarded, for how long, and how far rollguard may act without people.
//! `[drill]`: what hooks are told when they are drilled.

use std::time::Duration;

use crate::model::deployment::{Arm, Budget, Confirm, DeploymentSettings, Mode};
use crate::model::drill::DrillSettings;

use super::live::live;
use crate::config::syntax::{TomlTable, TomlValue};

/// How long a deployment is guarded where the configuration does not say: long enough for most
/// bad releases to show, and for every rule of the shipped packs.
pub(crate) const DEFAULT_BAKE: Duration = Duration::from_secs(3600);

/// How to write `confirm`.
const CONFIRM: &str = "write confirm = { within = \"10m\", default = \"rollback\" } below \
                       [deployment], or default = \"deny\" to keep the version";

/// Reads `[deployment]`.
pub(crate) fn deployment(root: &TomlTable<'_>, mode: Option<Mode>) -> Option<DeploymentSettings> {
    if root.get("deployment").is_none() {
        let error = root.error("the file has no [deployment]");
        return root.cx.missing(error.help("write [deployment] and service = \"NAME\" below it"));
    }
    let table = root.subtable("deployment")?;
    table.check_keys();
    let (confirm, budget) = (confirm(&table, mode), table.opt("budget", budget));
    let times: Option<(Option<_>, _)> = table.all(["bake", "warmup"]);
    let hooks = table.all(["then", "notify"]);
    let along = table.all(["on_begin", "on_stage", "on_trip", "on_commit"]);
    let names = table.all(["service", "good", "version"]);
    let (arm, live) = (table.read("arm"), live(&table));
    let arm = arm?;
    if let (Arm::Detect, Some(None)) = (arm, &live) {
        let error = table.error_at("arm", "`arm = \"detect\"` needs `live`");
        let help = "write live = { symlink = \"/srv/api/current\" }, for example";
        return table.cx.refuse(error.help(help));
    }
    if let (Arm::Deploy | Arm::Detect, Some(value)) = (arm, table.get("version")) {
        let error = value.error("`version` is only for `arm = \"always\"`");
        let help = "otherwise `rollguard deploy begin` names the version, or it is what is live";
        return table.cx.refuse(error.help(help));
    }
    let (bake, warmup) = times?;
    let bake = bake.or((arm != Arm::Always).then_some(DEFAULT_BAKE));
    let (service, good, version) = names?;
    if bake.is_some_and(|bake| warmup >= bake) {
        let message = "the warm-up is not shorter than the bake, no rule could ever fire";
        return table.cx.refuse(table.error_at("warmup", message));
    }
    let ((then, notify), (begin, stage, trip, commit)) = (hooks?, along?);
    Some(DeploymentSettings {
        service,
        arm,
        bake,
        warmup,
        then,
        good,
        version,
        notify,
        confirm: confirm?,
        budget: budget?.unwrap_or_default(),
        along: [begin, stage, trip, commit],
        live: live?,
    })
}

/// Reads `confirm`, which mode `confirm` needs: what happens when nobody answers is for people to
/// choose beforehand.
fn confirm(deployment: &TomlTable<'_>, mode: Option<Mode>) -> Option<Option<Confirm>> {
    let cx = deployment.cx;
    let Some(value) = deployment.get("confirm") else {
        if mode == Some(Mode::Confirm) {
            let message = "mode `confirm` asks people, and nobody said what happens when none \
                           answers";
            return cx.missing(deployment.error(message).help(CONFIRM));
        }
        return Some(None);
    };
    let table = TomlTable::of(value, "confirm")?;
    for key in ["within", "default"].into_iter().filter(|key| table.get(key).is_none()) {
        cx.missing::<()>(table.error(format!("`confirm` has no `{key}`")).help(CONFIRM));
    }
    let (within, default) =
        (table.opt("within", TomlValue::duration), table.opt("default", |value| value.choice()));
    Some(Some(Confirm { within: within??, default: default?? }))
}

fn budget(value: TomlValue<'_>) -> Option<Budget> {
    let table = TomlTable::of(value, "budget")?;
    let rollbacks = table.read_with("rollbacks", |value| {
        if value.toml().as_integer().is_some_and(|number| number.as_str() == "0") {
            let error = value.error("a budget of 0 never rolls back");
            return value.cx.refuse(error.help("say mode = \"notify\" to be told only"));
        }
        value.integer()
    });
    Some(Budget { per: table.read("per")?, rollbacks: rollbacks? })
}

/// Reads `[drill]`; the outer `None`: it is wrong, the inner one: it is not there.
pub(crate) fn drill(root: &TomlTable<'_>) -> Option<Option<DrillSettings>> {
    if root.get("drill").is_none() {
        return Some(None);
    }
    let table = root.subtable("drill")?;
    table.check_keys();
    let (service, version, good, hook) = table.all(["service", "version", "good", "hook"])?;
    Some(Some(DrillSettings { service, good, version, hook }))
}
