//! `[hook.NAME]`: steps, how the cure is seen, and what follows when it is not.

use std::path::Path;
use std::time::Duration;

use crate::model::hook::{
    Action, Cure, ExpectedJson, Hook, JsonExpectation, Piece, Step, Template,
};
use crate::model::name::HookName;
use crate::model::place::HookIx;

use super::condition::Names;
use super::declare::{Declared, Listed};
use super::diagnostic::{Diagnostic, Place};
use super::json::json;
use super::rule::read_condition;
use super::sink::Sink;
use super::target::scrape_url;
use super::template::template;
use super::walk::{Fault, Item, Section, Text, unavailable};

/// The most steps of a hook. A longer procedure is a program of its own.
const MAX_STEPS: usize = 32;

/// The most arguments of a program, far below what the system allows.
pub(super) const MAX_ARGUMENTS: usize = 256;

/// The most attempts of a step. What failed ten times needs a person.
const MAX_ATTEMPTS: u32 = 10;

/// The longest that anything in a hook may wait. A rollback that takes an hour is one that failed.
const MAX_WAIT: Duration = Duration::from_secs(3600);

const MIN_WAIT: Duration = Duration::from_millis(1);
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_WITHIN: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);
const BACKOFF: Duration = Duration::from_secs(1);
const CURE_FOR: Duration = Duration::from_secs(10);
const CURE_WITHIN: Duration = Duration::from_secs(120);

const COMMON: [&str; 4] = ["timeout", "attempts", "backoff", "idempotent"];
const LATER_ACTIONS: [&str; 4] = ["http", "unix", "sleep", "tcp"];

/// Reads one hook.
pub(super) fn hook(
    declared: &Declared<'_>,
    signals: &Names,
    hooks: &Listed,
    sink: &mut Sink,
) -> Option<Hook> {
    let section = &declared.section;
    section.only(&["steps", "cure", "on_failure"], &[], sink);
    let name = name(declared, sink);
    let steps = section.required("steps", sink).and_then(|item| steps(item, sink));
    let cure = section.opt("cure", |item| cure(item, signals, sink));
    let on_failure = section.opt("on_failure", |item| {
        let name = item.text(sink)?;
        hooks.find("hook", name, sink).map(HookIx)
    });
    Some(Hook { name: name?, steps: steps?, cure: cure?, on_failure: on_failure? })
}

fn name(declared: &Declared<'_>, sink: &mut Sink) -> Option<HookName> {
    let mut wrong =
        |message: String| sink.report(Diagnostic::error(declared.place.clone(), message));
    if ["notify", "report"].contains(&declared.name) {
        wrong(format!(
            "a hook is not called `{}`, a rule's `then` means something else by it",
            declared.name
        ));
        return None;
    }
    HookName::new(declared.name).map_err(|e| wrong(e.to_string())).ok()
}

/// Reports hooks that are run when they fail themselves.
pub(super) fn refuse_circles(hooks: &[Option<Hook>], declared: &[Declared<'_>], sink: &mut Sink) {
    let next = |hook: usize| hooks.get(hook)?.as_ref()?.on_failure.map(|HookIx(next)| next);
    for (start, declared) in declared.iter().enumerate() {
        let followers = std::iter::successors(next(start), |at| next(*at)).take(hooks.len());
        if followers.into_iter().any(|at| at == start) {
            let place = declared.section.get("on_failure").map(|item| item.place());
            let place = place.unwrap_or(declared.place.clone());
            let message = "a hook that failed is run again by its own `on_failure`";
            sink.report(Diagnostic::error(place, message));
        }
    }
}

fn steps(item: Item<'_>, sink: &mut Sink) -> Option<Vec<Step>> {
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
    let later: Vec<_> =
        section.entries().into_iter().filter(|e| LATER_ACTIONS.contains(&e.key)).collect();
    if let Some(later) = later.first() {
        sink.report(unavailable(later.key_place(), later.key));
        return None;
    }
    let (action, timeout) = match (section.get("run"), section.get("probe")) {
        (Some(run), None) => {
            section.only(&[&["run", "grace"], &COMMON[..]].concat(), &[], sink);
            (run_action(&section, run, sink), RUN_TIMEOUT)
        }
        (None, Some(probe)) => {
            section.only(&[&["probe", "within"], &COMMON[..]].concat(), &[], sink);
            (probe_action(&section, probe, sink), PROBE_TIMEOUT)
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "a step has exactly one of `run` and `probe`";
            sink.report(Diagnostic::error(section.place, message));
            return None;
        }
    };
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

fn run_action(section: &Section<'_>, item: Item<'_>, sink: &mut Sink) -> Option<Action> {
    let grace =
        section.or("grace", GRACE, |item| item.duration_within(Duration::ZERO, MAX_WAIT, sink));
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
    let words: Vec<_> = list.into_iter().map(|item| argument(item, sink)).collect();
    let words: Vec<(Place, Template)> = words.into_iter().collect::<Option<_>>()?;
    if !program(&words, sink) | !no_injection(&words, sink) {
        return None;
    }
    let argv = words.into_iter().map(|(_, template)| template).collect();
    Some(Action::Run { argv, grace: grace? })
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

fn probe_action(section: &Section<'_>, item: Item<'_>, sink: &mut Sink) -> Option<Action> {
    let within =
        section.or("within", PROBE_WITHIN, |item| item.duration_within(MIN_WAIT, MAX_WAIT, sink));
    let probe = item.section("the probe", sink)?;
    if !probe.only(&["http", "status", "json"], &["tcp"], sink) {
        return None;
    }
    let url = probe.required("http", sink).and_then(|item| {
        let text = item.text(sink)?;
        url(text, sink)
    });
    let status = probe.opt("status", |item| {
        let status = item.integer(100..600, sink)?;
        u16::try_from(status).ok()
    });
    let json = probe.opt("json", |item| expectation(item, sink));
    Some(Action::Probe { url: url?, status: status?, json: json?, within: within? })
}

/// A URL with placeholders, checked as it would be with each of them filled in.
fn url(text: Text<'_>, sink: &mut Sink) -> Option<Template> {
    let template = text.parse(sink, template)?;
    let filled = template.fill(|_| "0");
    // The places of the filled text are not those of the file, so the whole is underlined.
    let whole = |fault: Fault| Fault { span: 0..text.value.len(), ..fault };
    text.parse(sink, |_| scrape_url(&filled).map_err(whole))?;
    Some(template)
}

fn expectation(item: Item<'_>, sink: &mut Sink) -> Option<JsonExpectation> {
    let section = item.section("`json`", sink)?;
    section.only(&["pointer", "equals"], &[], sink);
    let pointer = section.required("pointer", sink).and_then(|item| pointer(item, sink));
    let equals = section.required("equals", sink).and_then(|item| match item.value().as_str() {
        Some("") => Some(ExpectedJson::Text(Template::default())),
        Some(_) => item.text(sink)?.parse(sink, template).map(ExpectedJson::Text),
        None => json(item, sink).map(ExpectedJson::Exactly),
    });
    Some(JsonExpectation { pointer: pointer?, equals: equals? })
}

/// RFC 6901; the empty pointer is the whole document.
pub(super) fn pointer(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    if item.value().as_str() == Some("") {
        return Some(String::new());
    }
    let text = item.text(sink)?;
    let escapes = text.value.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.value.starts_with('/') && escapes {
        return Some(text.value.to_owned());
    }
    let error = Diagnostic::error(text.place(), "not a JSON pointer");
    sink.report(error.help("write one like \"/status\" or \"/checks/0/state\""));
    None
}

fn cure(item: Item<'_>, signals: &Names, sink: &mut Sink) -> Option<Cure> {
    let section = item.section("the cure", sink)?;
    section.only(&["when", "for", "within"], &[], sink);
    let when = section.required("when", sink);
    let when = when.and_then(|item| read_condition(item, signals, sink));
    let hold =
        section.or("for", CURE_FOR, |item| item.duration_within(Duration::ZERO, MAX_WAIT, sink));
    let within =
        section.or("within", CURE_WITHIN, |item| item.duration_within(MIN_WAIT, MAX_WAIT, sink));
    let (when, hold, within) = (when?, hold?, within?);
    if hold >= within {
        let message = "the cure can never be seen: `for` is not shorter than `within`";
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    Some(Cure { when, hold, within })
}
