//! What only the main file says: the settings at its top, and which rules files there are. Finding
//! those is `load`'s business.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::deployment::Mode;

use crate::config::syntax::declaration::declaration;
use crate::config::syntax::source::{read_part, without_bom};
use crate::config::syntax::{
    Diagnostic, DiagnosticLevel, Diagnostics, FromToml, SourceFile, SourceSpan, TomlTable,
    TomlValue,
};

/// The longest path of a Unix socket, in bytes: the system's 108 without the final NUL.
const MAX_SOCKET: usize = 107;

/// Where the daemon keeps and shows things. Paths that are not given are the shell's business: it
/// knows which directories the service manager made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The state directory.
    pub state: Option<PathBuf>,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// Page and metrics.
    pub listen: Listen,
}

/// Whether there is a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// None.
    Off,
    /// At this address.
    Addr(SocketAddr),
}

/// A pattern of the main file's `rules`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Relative to the main file.
    pub text: String,
    span: SourceSpan,
}

impl Pattern {
    /// Says that no file is named so.
    pub fn matches_nothing(&self) -> Diagnostic {
        let message = format!("no file matches `{}`", self.text.escape_debug());
        Diagnostic::lint(self.span.clone(), message)
    }

    /// Says why what it names cannot be used.
    pub fn fails(&self, message: String) -> Diagnostic {
        Diagnostic::error(self.span.clone(), message)
    }

    /// Says that it leads to a file that was read under another name.
    pub fn repeats(&self, path: &str, known: &str) -> Diagnostic {
        let message =
            format!("`{}` is the same file as `{}`", path.escape_debug(), known.escape_debug());
        Diagnostic::lint(self.span.clone(), message).help("it is read once, as the latter")
    }
}

/// What is wrong with the patterns of a file of rule tests: tests of no rules test nothing.
pub fn wrong_patterns(file: &SourceFile, problems: Vec<Diagnostic>) -> Diagnostics {
    let error = |problem| Diagnostic { level: DiagnosticLevel::Error, ..problem };
    let files = without_bom(std::iter::once(file));
    Diagnostics::new(files, problems.into_iter().map(error).collect())
}

/// The patterns of the main file's `rules`. [`crate::config::compile()`] reports what is wrong with
/// them.
pub fn patterns(main: &SourceFile) -> Vec<Pattern> {
    read_part(main, |root| root.read("rules")).unwrap_or_default()
}

/// The main file's `rules_path`: the directories in which patterns of the drop-in directory are
/// looked up too, lowest first. `None` where it says nothing sensible of them.
pub fn rules_path(main: &SourceFile) -> Option<Vec<PathBuf>> {
    read_part(main, |root| root.read("rules_path"))?
}

/// The main file's `state`, whatever else may be wrong with the file. `None` where it says nothing
/// sensible of it.
pub fn state_path(main: &SourceFile) -> Option<PathBuf> {
    read_part(main, |root| root.read("state"))?
}

/// The keys that only main files have.
pub(crate) fn main_keys() -> impl Iterator<Item = &'static str> {
    let shared = declaration("rules").names();
    declaration("main").names().into_iter().filter(move |key| !shared.contains(key))
}

/// Checks the keys at the top of the main file and reads its settings.
pub(crate) fn settings(root: &TomlTable<'_>) -> Option<(Mode, Settings)> {
    let mut misplaced = root.entries();
    // Keys of [deployment] that one looks for beside `mode` first.
    misplaced.retain(|entry| ["confirm", "budget"].contains(&entry.key));
    for entry in &misplaced {
        let message = format!("`{}` belongs below [deployment]", entry.key);
        root.cx.report(entry.key_error(message));
    }
    let misplaced: Vec<&str> = misplaced.iter().map(|entry| entry.key).collect();
    root.check_keys_but(&misplaced);
    let control = root.opt("control", socket);
    let listen = root.read_with("listen", listen);
    let (mode, state) = root.all(["mode", "state"])?;
    Some((mode, Settings { state, control: control?, listen: listen? }))
}

fn socket(value: TomlValue<'_>) -> Option<PathBuf> {
    let path = value.path()?;
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET {
        return Some(path);
    }
    value.refuse(format!("a socket's path has {MAX_SOCKET} bytes at most, this has {length}"))
}

fn listen(value: TomlValue<'_>) -> Option<Listen> {
    value.parse(|text| match text {
        "off" => Ok(Listen::Off),
        _ => text.parse().map(Listen::Addr).map_err(|_| {
            Diagnostic::new(0..text.len(), "not an address and a port")
                .help("write one like \"127.0.0.1:9786\", or \"off\"")
        }),
    })
}

impl FromToml for Pattern {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        let text = value.text()?;
        value.refuse(match text.rsplit_once('/') {
            _ if text.contains('\0') => "a path holds no NUL character",
            Some((directory, _)) if directory.contains('*') => {
                "only the last part of the path may hold `*`"
            }
            Some((_, "")) => "the path names no file",
            Some(_) | None => return Some(Self { text: text.to_owned(), span: value.span() }),
        })
    }
}
