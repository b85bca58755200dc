//! `run` steps: programs and their arguments. There is no shell, and what is filled in must never
//! become a program or a part of a script.

use std::path::Path;

use crate::model::hook::{Piece, Template};
use crate::model::step::{Action, Via};

use crate::config::syntax::{Diagnostic, TomlTable, TomlValue, all, template};

/// An argument as it is written and as it is filled in.
type Argument<'a> = (TomlValue<'a>, Template);

/// Reads the `run` of a step.
pub(crate) fn run_action(step: &TomlTable<'_>) -> Option<Action<Template>> {
    let argv = step.read_with("run", argv);
    let (grace, ok_exit, via): (_, _, Option<Via>) = step.all(["grace", "ok_exit", "via"])?;
    Some(Action::Run { argv: argv?, grace, ok_exit, via: via.unwrap_or(Via::Child) })
}

fn argv(value: TomlValue<'_>) -> Option<Vec<Template>> {
    let list = command(value)?.into_iter();
    let words = all(list.map(|word| Some((word, argument(word)?))))?;
    if !is_program(&words) | !no_injection(&words) {
        return None;
    }
    Some(words.into_iter().map(|(_, template)| template).collect())
}

/// A program and its arguments, each as it is written.
pub(crate) fn command(value: TomlValue<'_>) -> Option<Vec<TomlValue<'_>>> {
    if value.as_str().is_some() {
        let error = value.error("`run` is a list of a program and its arguments");
        let help = "there is no shell: write [\"program\", \"argument\", …]";
        return value.cx.refuse(error.help(help));
    }
    value.list()
}

/// An argument, which may be empty.
fn argument(value: TomlValue<'_>) -> Option<Template> {
    match value.as_str() {
        Some("") => Some(Template::default()),
        Some(blank) if blank.trim().is_empty() => {
            Some(Template(vec![Piece::Text(blank.to_owned())]))
        }
        Some(_) | None => value.parse(|text| no_nul(text).and_then(|()| template(text))),
    }
}

/// Refuses what would end an argument.
pub(crate) fn no_nul(text: &str) -> Result<(), Diagnostic> {
    match text.find('\0') {
        Some(at) => Err(Diagnostic::new(at..at + 1, "an argument holds no NUL character")),
        None => Ok(()),
    }
}

/// Whether the first word is a program that the operator chose: an absolute path or a bare name.
fn is_program(words: &[Argument<'_>]) -> bool {
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
    place.cx.report(place.error(message));
    false
}

/// A placeholder within a script would be read by the shell as part of the script.
fn no_injection(words: &[Argument<'_>]) -> bool {
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
    let error = place.error("a placeholder stands within a shell script");
    let help =
        "pass it as an argument: [\"sh\", \"-c\", \"switch \\\"$1\\\"\", \"sh\", \"{good}\"]";
    place.cx.report(error.help(help));
    false
}
