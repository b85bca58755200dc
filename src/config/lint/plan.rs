//! What only the whole of a configuration shows: settings of the deployment that do not go together
//! with its rules and stages. Nothing is read here.

use crate::model::deployment::Arm;
use crate::model::plan::Plan;
use crate::model::time::format_duration;

use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::Section;

pub(crate) fn bake_is_long_enough(main: &Section<'_>, plan: &Plan, sink: &mut Sink) {
    let Some((slowest, reach)) = plan.slowest() else { return };
    let Some(bake) = plan.deployment.bake.filter(|bake| *bake < reach) else { return };
    let place = place_of(main, "bake");
    let (bake, reach) = (format_duration(bake), format_duration(reach));
    let error =
        Diagnostic::error(place, format!("a bake of {bake} ends before every rule can fire"));
    let rule = &slowest.name;
    sink.report(
        error.help(format!("rule `{rule}` needs {reach}: its longest window and its `for`")),
    );
}

/// Where nobody says that a deployment begins, nobody says either that traffic is to be shifted.
pub(crate) fn nothing_is_entered_unasked(main: &Section<'_>, plan: &Plan, sink: &mut Sink) {
    let Some(first) = plan.stages.first().filter(|stage| stage.enter.is_some()) else { return };
    let arm = match plan.deployment.arm {
        Arm::Deploy => return,
        Arm::Detect => "detect",
        Arm::Always => "always",
    };
    let message = format!("with `arm = \"{arm}\"` nobody asks to enter stage {}", first.name);
    let error = Diagnostic::error(place_of(main, "arm"), message);
    let help = "write `arm = \"deploy\"`, or take `enter` out of the first stage";
    sink.report(error.help(help));
}

fn place_of(main: &Section<'_>, key: &str) -> Place {
    let deployment = main.get("deployment").and_then(|item| item.value().as_table());
    let written = deployment.and_then(|table| table.get(key));
    let table = main.entries().into_iter().find(|entry| entry.key == "deployment");
    match (written, table) {
        (Some(value), _) => Place::new(main.place.file, value.span()),
        (None, Some(table)) => table.key_place(),
        (None, None) => main.place.clone(),
    }
}
