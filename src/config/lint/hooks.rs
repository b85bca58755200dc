//! Lints about hooks: steps that do something else when they are done a second time, leave a moment
//! in which nothing is there, or go somewhere else than they seem to, and placeholders that may be
//! filled in with nothing. Which commands are risky, [`commands`](super::commands) knows.

use crate::model::deployment::Milestone;
use crate::model::hook::{Placeholder, Step};
use crate::model::index::HookIx;
use crate::model::plan::Plan;
use crate::model::step::Action;

use super::commands::{Risk, RiskyCommand, commands, pattern, program, risky, risky_url};
use crate::config::syntax::{TomlTable, TomlValue};

/// Reports hooks that name `{good}` although no good version may be known: those that tell people
/// run all the same, and those that go along with a deployment or enter a stage do not, unless the
/// configuration names a version.
pub(crate) fn empty_good(plan: &Plan, hooks: &[TomlTable<'_>]) {
    let deployment = &plan.deployment;
    let along = Milestone::ALL.iter().map(|(key, _)| (*key).to_owned()).zip(deployment.along);
    let entered = plan.stages.iter().map(|stage| ("enter".to_owned(), stage.enter));
    let along = along.chain(entered).filter(|_| deployment.good.is_none());
    // Who tells people is followed by who tells them that this failed.
    let next = |HookIx(hook): &HookIx| plan.hooks.get(*hook)?.on_failure;
    let told = std::iter::successors(deployment.notify, next).take(plan.hooks.len());
    let told = told.map(|hook| ("notify".to_owned(), Some(hook)));
    let mut seen: Vec<HookIx> = Vec::new();
    for (key, ix) in told.chain(along) {
        let Some(ix) = ix.filter(|ix| !seen.contains(ix)) else { continue };
        if !plan.hooks[ix.0].names(Placeholder::Good) {
            continue;
        }
        seen.push(ix);
        let table = &hooks[ix.0];
        let help = match &*key {
            "notify" => "people are also told while no good version is known; `{reason}` says \
                         what is"
                .to_owned(),
            _ => format!(
                "`{key}` does not run it while no good version is known; `good` in \
                 [deployment] names one for the time until then"
            ),
        };
        table.lint("steps", format!("`{{good}}` may be empty in hook `{}`", table.name), help);
    }
}

/// Reports steps that should not be repeated, or that do not do what they seem to do.
pub(crate) fn unrepeatable_steps(plan: &Plan, hooks: &[TomlTable<'_>]) {
    for (hook, table) in plan.hooks.iter().zip(hooks) {
        let written = table.get("steps").and_then(TomlValue::list).unwrap_or_default();
        for (at, (step, written)) in hook.steps.iter().zip(written).enumerate() {
            let command = risk_of(step, &hook.steps[..at], &hook.steps[at + 1..]);
            let judged = command.and_then(|command| judge(command, step));
            if let Some(((message, help), step)) = judged.zip(TomlTable::unchecked(written, "step"))
            {
                // What the step runs or asks for, as it is written.
                let key = if step.get("run").is_some() { "run" } else { "http" };
                step.lint(key, message, help);
            }
        }
    }
}

/// The risky command of a step, if it has one.
fn risk_of(step: &Step, earlier: &[Step], later: &[Step]) -> Option<RiskyCommand> {
    if let Action::Http(call) = &step.action {
        return risky_url(&call.url.open()?.fill(|_| "{}"));
    }
    let words = words(step);
    let commands = commands(&words);
    let found = commands.iter().enumerate().find_map(|(at, command)| {
        let found = risky(command)?;
        let moved = found.risk == Risk::HasAGap
            && (is_moved(command, &commands[at + 1..])
                || later.iter().any(|step| is_moved(command, &self::commands(&self::words(step)))));
        (!moved).then_some(found)
    });
    found.or_else(|| moves_into(&commands, earlier))
}

/// The program that a step runs and its arguments, as far as they are known now.
fn words(step: &Step) -> Vec<String> {
    let Action::Run { argv, .. } = &step.action else { return Vec::new() };
    argv.iter().map(|word| word.fill(|_| "{}")).collect()
}

/// Whether a link is moved to its place by a later command: nobody uses it before.
fn is_moved(link: &[&str], later: &[Vec<&str>]) -> bool {
    let Some(link) = link.last() else { return false };
    later
        .iter()
        .any(|command| mv(command).is_some_and(|(whole, names)| whole && names.contains(link)))
}

/// Of an `mv`: whether the target is never taken for a directory to move into, with `-T`, and what
/// it moves.
fn mv<'w>(command: &[&'w str]) -> Option<(bool, Vec<&'w str>)> {
    let at = command.iter().position(|word| program(word) == Some("mv"))?;
    let (flags, names): (Vec<&str>, Vec<&str>) =
        command[at + 1..].iter().partition(|word| word.starts_with('-'));
    let is_whole = |flag: &&str| {
        *flag == "--no-target-directory" || (!flag.starts_with("--") && flag.contains('T'))
    };
    Some((flags.iter().any(is_whole), names))
}

/// A link that was made a moment ago and is moved over a link to a directory without `-T`: it ends
/// up in that directory.
fn moves_into(commands_here: &[Vec<&str>], earlier: &[Step]) -> Option<RiskyCommand> {
    let earlier: Vec<Vec<String>> = earlier.iter().map(words).collect();
    let before: Vec<Vec<&str>> = earlier.iter().flat_map(|argv| commands(argv)).collect();
    commands_here.iter().enumerate().find_map(|(at, command)| {
        let (_, names) = mv(command).filter(|(whole, _)| !whole)?;
        let mut made = before.iter().chain(&commands_here[..at]);
        let is_link = made.any(|made| {
            let links = made.iter().any(|word| program(word) == Some("ln"));
            links && made.last() == names.first()
        });
        is_link.then_some(pattern("mv", Risk::GoesInto, "write `mv -T`"))
    })
}

/// The message and the help about a risky command, unless the step is only done once.
fn judge(command: RiskyCommand, step: &Step) -> Option<(String, String)> {
    let RiskyCommand { what, risk, instead, .. } = command;
    let may_repeat = step.idempotent || step.attempts > 1;
    let (message, why) = match risk {
        Risk::Toggles | Risk::Repeats if !may_repeat => return None,
        Risk::Toggles if step.idempotent => (
            "is not idempotent",
            "it goes back to whatever came before, so that run twice it brings the bad version \
             back; after an interruption it would be run twice",
        ),
        Risk::Toggles => {
            ("goes back to whatever came before", "run twice it brings the bad version back")
        }
        Risk::Repeats => (
            "is not idempotent",
            "run twice it makes two deployments, and the second may be refused or wait",
        ),
        Risk::Steps => {
            ("goes back by a step, wherever it starts from", "run twice it goes back by two")
        }
        Risk::Newest => {
            ("names whatever is newest", "by the time of a rollback that is the bad version")
        }
        Risk::HasAGap => (
            "leaves a moment in which there is no link",
            "it removes the old link before it makes the new one",
        ),
        Risk::GoesInto => (
            "without -T moves the link into the old release",
            "the target is a link to a directory, which it follows",
        ),
    };
    Some((format!("`{what}` {message}"), format!("{why}; {instead}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        line.split('|').map(str::to_owned).collect()
    }

    #[test]
    fn a_link_that_is_moved_to_its_place_leaves_no_gap() {
        let moved = |then: &str| {
            let (link, then) = (split("ln|-sfn|releases/v1|/srv/new"), split(then));
            is_moved(&commands(&link)[0], &commands(&then))
        };
        assert!(moved("/usr/bin/mv|-T|/srv/new|/srv/current"));
        assert!(moved("mv|-fT|/srv/new|/srv/current"));
        assert!(moved("sh|-c|test -e x && mv -T /srv/new /srv/current"));
        assert!(!moved("mv|/srv/new|/srv/current"));
        assert!(!moved("mv|-T|/srv/other|/srv/current"));
        assert!(!moved("cp|-T|/srv/new|/srv/current"));
    }

    #[test]
    fn a_link_is_moved_into_the_old_release_unless_it_is_moved_whole() {
        let into = |line: &str| {
            let argv = split(line);
            moves_into(&commands(&argv), &[]).is_some()
        };
        assert!(into("sh|-c|ln -s releases/v1 new && mv new current"));
        assert!(!into("sh|-c|ln -s releases/v1 new && mv -T new current"));
        assert!(!into("sh|-c|ln -s releases/v1 new && mv other current"));
        assert!(!into("mv|new|current"));
    }
}
