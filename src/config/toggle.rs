//! Lints over commands that do something else when they are run a second time, or leave a moment in
//! which nothing is there. They know the commands that people roll back with, and no others.

use std::path::Path;

use crate::model::hook::{Action, Step, Template};
use crate::model::plan::Plan;

use super::declare::Declared;
use super::diagnostic::Diagnostic;
use super::sink::Sink;

/// A command and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Habit {
    what: &'static str,
    kind: Kind,
    instead: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Goes back to whatever came before: run twice it goes forward again.
    Toggles,
    /// Goes one step back: run twice it goes two.
    Steps,
    /// Leaves a moment in which there is neither the old nor the new.
    HasAGap,
}

/// Looks at every program that a hook runs.
pub(super) fn toggles(plan: &Plan, hooks: &[Declared<'_>], sink: &mut Sink) {
    for (hook, declared) in plan.hooks.iter().zip(hooks) {
        for (at, step) in hook.steps.iter().enumerate() {
            if let Action::Run { argv, .. } = &step.action
                && let Some(habit) = habit(argv)
                && !(habit.kind == Kind::HasAGap && is_moved(argv, &hook.steps[at + 1..]))
                && let Some(lint) = judge(habit, step)
            {
                sink.report(lint(declared, at));
            }
        }
    }
}

/// Whether a link is moved to its place by a later step: nobody uses it before.
fn is_moved(link: &[Template], later: &[Step]) -> bool {
    let words = |argv: &[Template]| -> Vec<String> {
        argv.iter().map(|word| word.fill(|_| "{}")).collect()
    };
    let Some(link) = words(link).pop() else { return false };
    let moves = |argv: &[Template]| {
        let words = words(argv);
        let is = |word: &String| word == "--no-target-directory";
        let short = |word: &String| !word.starts_with("--") && word.starts_with('-');
        let whole = words.iter().any(|word| is(word) || (short(word) && word.contains('T')));
        let program = words.first().map(Path::new).and_then(Path::file_name);
        program.is_some_and(|name| name == "mv") && whole && words.contains(&link)
    };
    later.iter().any(|step| matches!(&step.action, Action::Run { argv, .. } if moves(argv)))
}

/// What to say of it, if anything.
fn judge(habit: Habit, step: &Step) -> Option<impl Fn(&Declared<'_>, usize) -> Diagnostic> {
    let Habit { what, kind, instead } = habit;
    let (message, why) = match kind {
        Kind::Toggles if step.idempotent => (
            format!("`{what}` is not idempotent"),
            "it goes back to whatever came before, so that run twice it brings the bad version \
             back; after an interruption it would be run twice",
        ),
        Kind::Toggles if step.attempts == 1 => return None,
        Kind::Toggles => (
            format!("`{what}` goes back to whatever came before"),
            "run twice it brings the bad version back",
        ),
        Kind::Steps => (
            format!("`{what}` goes back by a step, wherever it starts from"),
            "run twice it goes back by two",
        ),
        Kind::HasAGap => (
            format!("`{what}` leaves a moment in which there is no link"),
            "it removes the old link before it makes the new one",
        ),
    };
    Some(move |declared: &Declared<'_>, at: usize| {
        let steps = declared.section.get("steps");
        let step = steps.and_then(|steps| {
            steps.list(&mut Sink::default())?.get(at)?.section("", &mut Sink::default())
        });
        let run = step.and_then(|step| step.get("run"));
        let place = run.map_or(declared.place.clone(), |run| run.place());
        Diagnostic::lint(place, message.clone()).help(format!("{why}; {instead}"))
    })
}

/// What is wrong with a command, where it is one of those that are known.
fn habit(argv: &[Template]) -> Option<Habit> {
    const KNOWN: [&str; 15] = [
        "kubectl",
        "kubectl-argo-rollouts",
        "oc",
        "helm",
        "docker",
        "nomad",
        "cap",
        "alembic",
        "goose",
        "migrate",
        "rake",
        "rails",
        "sequelize",
        "sequelize-cli",
        "ln",
    ];
    let words: Vec<String> = argv.iter().map(|word| word.fill(|_| "{}")).collect();
    // A script for a shell is one word.
    let words: Vec<&str> = words.iter().flat_map(|word| word.split_whitespace()).collect();
    words.iter().enumerate().find_map(|(at, word)| {
        let name = Path::new(word).file_name().and_then(|name| name.to_str())?;
        let name = KNOWN.into_iter().find(|known| *known == name)?;
        let rest = words[at + 1..].iter().copied();
        let ends = |word: &&str| ["&&", "||", "|", ";"].contains(word);
        let rest: Vec<&str> = rest.take_while(|word| !ends(word)).collect();
        of_program(name, &rest)
    })
}

fn of_program(name: &str, rest: &[&str]) -> Option<Habit> {
    let after = |word: &str| rest.iter().position(|w| *w == word).map(|at| &rest[at + 1..]);
    let toggles = |what, instead| Some(Habit { what, kind: Kind::Toggles, instead });
    let steps = |what, instead| Some(Habit { what, kind: Kind::Steps, instead });
    match name {
        "kubectl" | "kubectl-argo-rollouts" | "oc" => {
            after("undo")?;
            let set = |word: &&str| {
                word.strip_prefix("--to-revision").is_some_and(|revision| revision != "=0")
            };
            let rolls = name == "kubectl-argo-rollouts"
                || rest.iter().any(|word| ["rollout", "rollouts"].contains(word));
            if !rolls || rest.iter().any(set) {
                return None;
            }
            toggles("kubectl rollout undo", "add `--to-revision` or set the image")
        }
        "helm" => {
            let operands = operands(after("rollback")?);
            let pinned = operands.get(1).is_some_and(|revision| *revision != "0");
            let instead = "name the revision after the release";
            if pinned { None } else { toggles("helm rollback", instead) }
        }
        "docker" => {
            after("service")?.contains(&"rollback").then_some(())?;
            toggles("docker service rollback", "use `docker service update --image`")
        }
        "nomad" => {
            let operands = operands(after("revert")?);
            let instead = "name the version after the job";
            if operands.len() > 1 { None } else { toggles("nomad job revert", instead) }
        }
        "cap" => {
            after("deploy:rollback")?;
            toggles("cap deploy:rollback", "deploy the good revision by its name")
        }
        "alembic" => {
            let target = after("downgrade")?.iter().find(|w| !w.starts_with("--"))?;
            target.starts_with('-').then_some(())?;
            steps("alembic downgrade -1", "name the revision to go back to")
        }
        "goose" => {
            after("down")?;
            steps("goose down", "use `goose down-to VERSION`")
        }
        "migrate" => {
            after("down")?;
            steps("migrate down", "use `migrate goto VERSION`")
        }
        "rake" | "rails" => {
            after("db:rollback")?;
            steps("rails db:rollback", "use `rails db:migrate VERSION=…`")
        }
        "sequelize" | "sequelize-cli" => {
            after("db:migrate:undo")?;
            steps("sequelize db:migrate:undo", "use `db:migrate:undo:all --to NAME`")
        }
        _ => link(rest),
    }
}

fn link(rest: &[&str]) -> Option<Habit> {
    let is_short = |word: &&&str| word.starts_with('-') && !word.starts_with("--");
    let has = |short: char, long: &str| {
        rest.iter().filter(is_short).any(|word| word.contains(short)) || rest.contains(&long)
    };
    let instead = "make a link of another name, then `mv -T` it over the old one";
    (has('s', "--symbolic") && has('f', "--force")).then_some(Habit {
        what: "ln -sf",
        kind: Kind::HasAGap,
        instead,
    })
}

/// The words that are neither flags nor values of flags.
fn operands<'w>(words: &[&'w str]) -> Vec<&'w str> {
    const WITH_VALUE: [&str; 7] = [
        "-n",
        "--namespace",
        "--timeout",
        "--history-max",
        "--kube-context",
        "--kubeconfig",
        "-namespace",
    ];
    let mut operands = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(word) {
            words.next();
        } else if !word.starts_with('-') {
            operands.push(*word);
        }
    }
    operands
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::hook::Piece;
    use crate::model::step::Via;

    #[test]
    fn a_link_that_is_moved_to_its_place_leaves_no_gap() {
        let argv = |line: &str| -> Vec<Template> {
            line.split('|').map(|word| Template(vec![Piece::Text(word.to_owned())])).collect()
        };
        let moved = |then: &str| {
            let (grace, ok_exit, via) = (Duration::ZERO, vec![0], Via::Child);
            let action = Action::Run { argv: argv(then), grace, ok_exit, via };
            let (timeout, attempts, backoff) = (Duration::ZERO, 1, Duration::ZERO);
            let step = Step { action, timeout, attempts, backoff, idempotent: false };
            is_moved(&argv("ln|-sfn|releases/v1|/srv/new"), &[step])
        };
        assert!(moved("/usr/bin/mv|-T|/srv/new|/srv/current"));
        assert!(moved("mv|-fT|/srv/new|/srv/current"));
        assert!(!moved("mv|/srv/new|/srv/current"));
        assert!(!moved("mv|-T|/srv/other|/srv/current"));
        assert!(!moved("cp|-T|/srv/new|/srv/current"));
    }

    #[test]
    fn commands_that_must_not_run_twice_are_told_from_those_that_name_where_to_go() {
        let check = |line: &str, kind: Option<Kind>| {
            let argv: Vec<_> =
                line.split('|').map(|word| Template(vec![Piece::Text(word.to_owned())])).collect();
            assert_eq!(habit(&argv).map(|habit| habit.kind), kind, "{line}");
        };
        let (toggles, steps, gap) = (Some(Kind::Toggles), Some(Kind::Steps), Some(Kind::HasAGap));
        check("kubectl|-n|prod|rollout|undo|deployment/api", toggles);
        check("kubectl|rollout|undo|deployment/api|--to-revision=0", toggles);
        check("/usr/bin/kubectl|argo|rollouts|undo|api", toggles);
        check("kubectl|rollout|undo|deployment/api|--to-revision=3", None);
        check("kubectl|rollout|undo|deployment/api|--to-revision|3", None);
        check("kubectl|rollout|status|deployment/api", None);
        check("kubectl|set|image|deployment/api|c=repo/api@sha256:1", None);
        check("helm|rollback|api", toggles);
        check("helm|-n|prod|rollback|api|-n|prod|--wait|--timeout|5m", toggles);
        check("helm|rollback|api|0", toggles);
        check("helm|rollback|api|12|--wait", None);
        check("helm|-n|prod|rollback|--wait|api|12", None);
        check("sudo|docker|service|rollback|web", toggles);
        check("docker|service|update|--image|repo/api@sha256:1|web", None);
        check("/usr/local/bin/rollback|api", None);
        check("bundle|exec|cap|production|deploy:rollback", toggles);
        check("nomad|job|revert|api", toggles);
        check("nomad|job|revert|api|-1", toggles);
        check("nomad|job|revert|-namespace|prod|api|12", None);
        check("alembic|downgrade|-1", steps);
        check("alembic|downgrade|ae1027a6acf", None);
        check("goose|postgres|dsn|down", steps);
        check("goose|postgres|dsn|down-to|12", None);
        check("migrate|-path|m|down|1", steps);
        check("bin/rails|db:rollback", steps);
        check("rails|db:migrate|VERSION=3", None);
        check("ln|-sfn|releases/v1|current", gap);
        check("ln|-s|-f|releases/v1|current", gap);
        check("ln|-s|releases/v1|current.new", None);
        check("sh|-c|helm rollback \"$1\" && echo 3|sh|api", toggles);
    }
}
