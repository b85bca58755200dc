//! One step of a hook: which kind it is, what all kinds have in common, and programs.

use std::path::Path;
use std::time::Duration;

use crate::model::hook::{Piece, Step, Template};
use crate::model::step::{Action, Via};

use super::call::{http_action, unix_action};
use super::probe::probe_action;
use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::template::template;
use crate::config::syntax::tree::{Fault, Item, Section};

/// The most steps of a hook. A longer procedure is a program of its own.
const MAX_STEPS: usize = 32;

/// The most arguments of a program, far below what the system allows.
const MAX_ARGUMENTS: usize = 256;

/// The most attempts of a step. What failed ten times needs a person.
const MAX_ATTEMPTS: u32 = 10;

/// The longest that anything in a hook may wait. A rollback that takes an hour is one that failed.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(3600);

/// The shortest that anything may be given.
pub(crate) const MIN_WAIT: Duration = Duration::from_millis(1);

const RUN_TIMEOUT: Duration = Duration::from_secs(60);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
const UNIX_TIMEOUT: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(5);
const BACKOFF: Duration = Duration::from_secs(1);

const COMMON: [&str; 4] = ["timeout", "attempts", "backoff", "idempotent"];
const KINDS: [&str; 5] = ["run", "http", "unix", "probe", "sleep"];

/// Reads the steps of a hook.
pub(crate) fn steps(item: Item<'_>, sink: &mut Sink) -> Option<Vec<Step>> {
    let list = item.list(sink)?;
    if list.is_empty() || list.len() > MAX_STEPS {
        let message = format!("a hook has 1 to {MAX_STEPS} steps");
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    let steps: Vec<_> = list.into_iter().map(|item| step(item, sink)).collect();
    steps.into_iter().collect()
}

fn step(item: Item<'_>, sink: &mut Sink) -> Option<Step> {
    let section = item.section("the step", sink)?;
    let kinds: Vec<_> = KINDS.iter().filter_map(|kind| Some((*kind, section.get(kind)?))).collect();
    let [(kind, action)] = kinds.as_slice() else {
        let error = Diagnostic::error(
            section.place.clone(),
            "a step has exactly one of `run`, `http`, `unix`, `probe` and `sleep`",
        );
        let known = [&KINDS[..], &COMMON[..], &["grace", "within", "ok_exit", "via"]].concat();
        let unknown = section.entries().into_iter().find(|entry| !known.contains(&entry.key));
        let error = match unknown {
            Some(entry) if kinds.is_empty() => sink.suggest(error, entry.key, KINDS),
            Some(_) | None => error,
        };
        sink.report(error);
        return None;
    };
    let keys = |own: &[&'static str]| [&[*kind], own, &COMMON[..]].concat();
    let (action, timeout) = match *kind {
        "run" => {
            section.only(&keys(&["grace", "ok_exit", "via"]), &[], sink);
            (run_action(&section, *action, sink), RUN_TIMEOUT)
        }
        "http" => {
            section.only(&keys(&[]), &[], sink);
            (http_action(*action, sink), HTTP_TIMEOUT)
        }
        "unix" => {
            section.only(&keys(&[]), &[], sink);
            (unix_action(*action, sink), UNIX_TIMEOUT)
        }
        "probe" => {
            section.only(&keys(&["within"]), &[], sink);
            (probe_action(&section, *action, sink), PROBE_TIMEOUT)
        }
        _ => return sleep(&section, *action, sink),
    };
    common(&section, action, timeout, sink)
}

/// A pause has nothing that could fail.
fn sleep(section: &Section<'_>, item: Item<'_>, sink: &mut Sink) -> Option<Step> {
    let known = section.only(&["sleep"], &[], sink);
    let pause = item.duration_within(MIN_WAIT, MAX_WAIT, sink).filter(|_| known)?;
    Some(Step {
        action: Action::Sleep(pause),
        timeout: pause,
        attempts: 1,
        backoff: BACKOFF,
        idempotent: true,
    })
}

fn common(
    section: &Section<'_>,
    action: Option<Action<Template>>,
    timeout: Duration,
    sink: &mut Sink,
) -> Option<Step> {
    let wait = |item: Item<'_>, sink: &mut Sink| item.duration_within(MIN_WAIT, MAX_WAIT, sink);
    let timeout = section.or("timeout", timeout, |item| wait(item, sink));
    let attempts = section.or("attempts", 1, |item| item.integer(1..MAX_ATTEMPTS + 1, sink));
    let backoff = section.or("backoff", BACKOFF, |item| wait(item, sink));
    let idempotent = section.or("idempotent", false, |item| item.boolean(sink));
    Some(Step {
        action: action?,
        timeout: timeout?,
        attempts: attempts?,
        backoff: backoff?,
        idempotent: idempotent?,
    })
}

fn run_action(section: &Section<'_>, item: Item<'_>, sink: &mut Sink) -> Option<Action<Template>> {
    let grace =
        section.or("grace", GRACE, |item| item.duration_within(Duration::ZERO, MAX_WAIT, sink));
    let ok_exit = section.or("ok_exit", vec![0], |item| ok_exit(item, sink));
    let via = section
        .or("via", Via::Child, |item| item.choice(&[("systemd-run", Via::SystemdRun)], &[], sink));
    let list = command(item, sink)?;
    let words: Vec<_> = list.into_iter().map(|item| argument(item, sink)).collect();
    let words: Vec<(Place, Template)> = words.into_iter().collect::<Option<_>>()?;
    if !program(&words, sink) | !no_injection(&words, sink) {
        return None;
    }
    let argv = words.into_iter().map(|(_, template)| template).collect();
    Some(Action::Run { argv, grace: grace?, ok_exit: ok_exit?, via: via? })
}

/// A program and its arguments, each as it is written.
pub(crate) fn command<'a>(item: Item<'a>, sink: &mut Sink) -> Option<Vec<Item<'a>>> {
    if item.value().as_str().is_some() {
        let error =
            Diagnostic::error(item.place(), "`run` is a list of a program and its arguments");
        sink.report(error.help("there is no shell: write [\"program\", \"argument\", …]"));
        return None;
    }
    let list = item.list(sink)?;
    if list.is_empty() || list.len() > MAX_ARGUMENTS {
        let message = format!("`run` has a program and at most {} arguments", MAX_ARGUMENTS - 1);
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    Some(list)
}

/// Exit statuses that mean success.
fn ok_exit(item: Item<'_>, sink: &mut Sink) -> Option<Vec<u8>> {
    let list = item.list(sink)?;
    if list.is_empty() || list.len() > usize::from(u8::MAX) {
        let error = Diagnostic::error(item.place(), "`ok_exit` names no exit status");
        sink.report(error.help("0 is the only one that means success unless you say otherwise"));
        return None;
    }
    let statuses: Vec<_> = list
        .into_iter()
        .map(|item| item.integer(0..256, sink).and_then(|status| u8::try_from(status).ok()))
        .collect();
    statuses.into_iter().collect()
}

/// An argument, which may be empty.
fn argument(item: Item<'_>, sink: &mut Sink) -> Option<(Place, Template)> {
    if item.value().as_str() == Some("") {
        return Some((item.place(), Template::default()));
    }
    let text = if item.value().as_str().is_some_and(|text| text.trim().is_empty()) {
        return Some((item.place(), literal(item.value().as_str().unwrap_or_default())));
    } else {
        item.text(sink)?
    };
    let template = text.parse(sink, |text| match text.find('\0') {
        Some(at) => Err(Fault::new(at..at + 1, "an argument holds no NUL character")),
        None => template(text),
    });
    template.map(|template| (item.place(), template))
}

fn literal(text: &str) -> Template {
    Template(vec![Piece::Text(text.to_owned())])
}

/// The first word is a program that the operator chose: an absolute path or a bare name.
fn program(words: &[(Place, Template)], sink: &mut Sink) -> bool {
    let Some((place, template)) = words.first() else { return false };
    let message = match template.0.as_slice() {
        [Piece::Text(name)] if name.starts_with('/') || !name.contains('/') => {
            if !name.trim().is_empty() && !name.starts_with('-') {
                return true;
            }
            "the program has no name"
        }
        [Piece::Text(_)] => "the program is neither an absolute path nor a bare name",
        [] => "the program has no name",
        [Piece::Text(_) | Piece::Fill(_), ..] => "the program's name holds no placeholder",
    };
    sink.report(Diagnostic::error(place.clone(), message));
    false
}

/// A placeholder within a script would be read by the shell as part of the script.
fn no_injection(words: &[(Place, Template)], sink: &mut Sink) -> bool {
    const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "busybox"];
    let is_shell = |template: &Template| {
        let [Piece::Text(text)] = template.0.as_slice() else { return false };
        let name = Path::new(text).file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| SHELLS.contains(&name))
    };
    let is_command = |template: &Template| {
        let [Piece::Text(text)] = template.0.as_slice() else { return false };
        text.starts_with('-') && !text.starts_with("--") && text.contains('c')
    };
    let Some(shell) = words.iter().position(|(_, word)| is_shell(word)) else { return true };
    let flag = words[shell..].iter().position(|(_, word)| is_command(word)).map(|n| shell + n);
    let Some((place, script)) = flag.and_then(|flag| words.get(flag + 1)) else { return true };
    if !script.0.iter().any(|piece| matches!(piece, Piece::Fill(_))) {
        return true;
    }
    let error = Diagnostic::error(place.clone(), "a placeholder stands within a shell script");
    let help =
        "pass it as an argument: [\"sh\", \"-c\", \"switch \\\"$1\\\"\", \"sh\", \"{good}\"]";
    sink.report(error.help(help));
    false
}
