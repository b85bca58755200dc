//! Lints over steps that do something else when they are done a second time, leave a moment in
//! which nothing is there, or go somewhere else than they seem to. Which commands those are is
//! [`habit`](super::commands)'s business.

use crate::model::hook::{Step, Template};
use crate::model::plan::Plan;
use crate::model::step::Action;

use super::commands::{Habit, Kind, commands, habit, of_url, program};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::tables::named::Declared;

/// Looks at every step that changes something.
pub(crate) fn toggles(plan: &Plan, hooks: &[Declared<'_>], sink: &mut Sink) {
    for (hook, declared) in plan.hooks.iter().zip(hooks) {
        for (at, step) in hook.steps.iter().enumerate() {
            if let Some(lint) = of_step(step, &hook.steps[..at], &hook.steps[at + 1..]) {
                sink.report(lint(declared, at));
            }
        }
    }
}

/// What to say of a step, if anything.
fn of_step(
    step: &Step,
    earlier: &[Step],
    later: &[Step],
) -> Option<impl Fn(&Declared<'_>, usize) -> Diagnostic + use<>> {
    let found = if let Action::Run { argv, .. } = &step.action {
        let words = words(argv);
        let commands = commands(&words);
        let found = commands.iter().enumerate().find_map(|(at, command)| {
            let habit = habit(command)?;
            let moved = habit.kind == Kind::HasAGap
                && (is_moved(command, &commands[at + 1..])
                    || later.iter().any(|step| moves_in(command, step)));
            (!moved).then_some(habit)
        });
        found.or_else(|| moves_into(&commands, earlier))
    } else if let Action::Http(call) = &step.action {
        let url = call.url.open().map(|url| url.fill(|_| "{}"));
        url.as_deref().and_then(of_url)
    } else {
        None
    };
    judge(found?, step)
}

/// A program and its arguments, as far as they are known now.
fn words(argv: &[Template]) -> Vec<String> {
    argv.iter().map(|word| word.fill(|_| "{}")).collect()
}

/// Whether a link is moved to its place by a later command: nobody uses it before.
fn is_moved(link: &[&str], later: &[Vec<&str>]) -> bool {
    let Some(link) = link.last() else { return false };
    later.iter().any(|command| mv(command).is_some_and(|mv| mv.whole && mv.names.contains(link)))
}

fn moves_in(link: &[&str], step: &Step) -> bool {
    let Action::Run { argv, .. } = &step.action else { return false };
    is_moved(link, &commands(&words(argv)))
}

/// `mv` and what it moves.
struct Mv<'w> {
    /// With `-T`: the target is never taken for a directory to move into.
    whole: bool,
    names: Vec<&'w str>,
}

fn mv<'w>(command: &[&'w str]) -> Option<Mv<'w>> {
    let at = command.iter().position(|word| program(word) == Some("mv"))?;
    let (flags, names): (Vec<&str>, Vec<&str>) =
        command[at + 1..].iter().partition(|word| word.starts_with('-'));
    let is_whole = |flag: &&str| {
        *flag == "--no-target-directory" || (!flag.starts_with("--") && flag.contains('T'))
    };
    Some(Mv { whole: flags.iter().any(is_whole), names })
}

/// A link that was made a moment ago and is moved over a link to a directory without `-T`: it ends
/// up in that directory.
fn moves_into(commands_here: &[Vec<&str>], earlier: &[Step]) -> Option<Habit> {
    let earlier: Vec<Vec<String>> = earlier
        .iter()
        .filter_map(|step| {
            if let Action::Run { argv, .. } = &step.action { Some(words(argv)) } else { None }
        })
        .collect();
    let before: Vec<Vec<&str>> = earlier.iter().flat_map(|argv| commands(argv)).collect();
    commands_here.iter().enumerate().find_map(|(at, command)| {
        let mv = mv(command).filter(|mv| !mv.whole)?;
        let mut made = before.iter().chain(&commands_here[..at]);
        let is_link = made.any(|made| {
            let links = made.iter().any(|word| program(word) == Some("ln"));
            links && made.last() == mv.names.first()
        });
        let (what, instead) = ("mv", "write `mv -T`");
        is_link.then_some(Habit { what, kind: Kind::GoesInto, instead })
    })
}

/// What to say of it, if anything.
fn judge(habit: Habit, step: &Step) -> Option<impl Fn(&Declared<'_>, usize) -> Diagnostic + use<>> {
    let Habit { what, kind, instead } = habit;
    let may_repeat = step.idempotent || step.attempts > 1;
    let (message, why) = match kind {
        Kind::Toggles | Kind::Repeats if !may_repeat => return None,
        Kind::Toggles if step.idempotent => (
            format!("`{what}` is not idempotent"),
            "it goes back to whatever came before, so that run twice it brings the bad version \
             back; after an interruption it would be run twice",
        ),
        Kind::Toggles => (
            format!("`{what}` goes back to whatever came before"),
            "run twice it brings the bad version back",
        ),
        Kind::Repeats => (
            format!("`{what}` is not idempotent"),
            "run twice it makes two deployments, and the second may be refused or wait",
        ),
        Kind::Steps => (
            format!("`{what}` goes back by a step, wherever it starts from"),
            "run twice it goes back by two",
        ),
        Kind::Newest => (
            format!("`{what}` names whatever is newest"),
            "by the time of a rollback that is the bad version",
        ),
        Kind::HasAGap => (
            format!("`{what}` leaves a moment in which there is no link"),
            "it removes the old link before it makes the new one",
        ),
        Kind::GoesInto => (
            format!("`{what}` without -T moves the link into the old release"),
            "the target is a link to a directory, which it follows",
        ),
    };
    Some(move |declared: &Declared<'_>, at: usize| {
        let steps = declared.section.get("steps");
        let step = steps.and_then(|steps| {
            steps.list(&mut Sink::default())?.get(at)?.section("", &mut Sink::default())
        });
        let kind = step.and_then(|step| step.get("run").or_else(|| step.get("http")));
        let place = kind.map_or(declared.place.clone(), |kind| kind.place());
        Diagnostic::lint(place, message.clone()).help(format!("{why}; {instead}"))
    })
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
