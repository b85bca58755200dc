//! L2: reads configuration files and hands them to `config`. It decides which files belong to a
//! configuration and whether they may be trusted; what they say is none of its business. The
//! daemon, `check` and every other command load through here, so that all of them agree.

#![expect(clippy::disallowed_methods, reason = "systemd says where files go")]

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{
    Basis, CheckedRules, Diagnostic, Diagnostics, Level, Listen, Pattern, SourceFile, basics,
    check_rules, compile, compile_rules, is_main, patterns, rehearsal,
};
use crate::model::plan::Plan;
use crate::model::target::Target;
use crate::rehearsal::Case;

/// The largest configuration file. A thousand rules are a tenth of it.
const MAX_FILE: u64 = 1 << 20;

/// The most files of one configuration. Beyond it a pattern matches what was not meant.
const MAX_FILES: usize = 256;

/// Where the journal is kept unless the configuration or the service manager says otherwise.
const DEFAULT_STATE: &str = "/var/lib/rollguard";

/// Where the control socket is unless the configuration or the service manager says otherwise.
const DEFAULT_RUNTIME: &str = "/run/rollguard";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or directory cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("read {}: it is not a file", .0.display())]
    NotAFile(PathBuf),
    /// Larger than 1 MiB.
    #[error("read {}: it is larger than 1 MiB, which no configuration is", .0.display())]
    TooLarge(PathBuf),
    /// Not a text.
    #[error("read {}: it is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The patterns match more files than anyone means.
    #[error("load {}: its `rules` match more than {MAX_FILES} files", .0.display())]
    TooMany(PathBuf),
    /// The directory holds more tests than anyone means.
    #[error("load {}: it holds more than {MAX_FILES} files of tests", .0.display())]
    TooManyTests(PathBuf),
    /// The directory holds no tests.
    #[error("find tests: no file in {} is called *.test.toml", .0.display())]
    NoTests(PathBuf),
    /// The file decides what runs as root, and others than root can write it.
    #[error(
        "trust {}: it decides what runs as root, but {who} can write it; \
         make root its owner and take write permission from everybody else",
        path.display()
    )]
    Untrusted {
        /// Which file.
        path: PathBuf,
        /// Who can write it.
        who: String,
    },
    /// What the files say is wrong.
    #[error("use the configuration: {} errors in it", .0.count(Level::Error))]
    Wrong(Diagnostics),
}

/// Where the daemon keeps and shows things, all of it decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The state directory.
    pub state: PathBuf,
    /// The control socket.
    pub control: PathBuf,
    /// Page and metrics.
    pub listen: Listen,
}

/// A configuration as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Where the daemon keeps and shows things.
    pub places: Places,
    /// What the core is driven by.
    pub plan: Plan,
    /// What is allowed and will hardly do what was meant.
    pub lints: Diagnostics,
    /// Every file that was read, the main file first.
    pub files: Vec<PathBuf>,
}

/// Directories that the service manager made for the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// `STATE_DIRECTORY`.
    pub state: Option<PathBuf>,
    /// `RUNTIME_DIRECTORY`.
    pub runtime: Option<PathBuf>,
}

impl Directories {
    /// What the environment says. Of several directories the first is taken.
    #[must_use]
    pub fn from_environment() -> Self {
        let first = |name: &str| {
            let value = std::env::var_os(name)?;
            let first = std::env::split_paths(&value).next()?;
            first.is_absolute().then_some(first)
        };
        Self { state: first("STATE_DIRECTORY"), runtime: first("RUNTIME_DIRECTORY") }
    }
}

/// Loads the configuration whose main file is at `path`.
///
/// # Errors
/// A file that cannot be read or trusted, or everything that is wrong with what the files say.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    load_with(path, &Directories::from_environment())
}

/// The same, told which directories the service manager made.
///
/// # Errors
/// As [`load`].
pub fn load_with(path: &Path, directories: &Directories) -> Result<Loaded, LoadError> {
    let Gathered { main, rules, unmatched, paths } = gather(path, Use::Run)?;
    let compiled = compile(&main, &rules).map_err(|wrong| {
        LoadError::Wrong(unmatched.iter().cloned().fold(wrong, Diagnostics::and))
    })?;
    let settings = compiled.settings;
    let runtime = directories.runtime.clone().unwrap_or_else(|| DEFAULT_RUNTIME.into());
    let state = settings.state.or_else(|| directories.state.clone());
    let places = Places {
        state: state.unwrap_or_else(|| DEFAULT_STATE.into()),
        control: settings.control.unwrap_or_else(|| runtime.join("rollguard.sock")),
        listen: settings.listen,
    };
    let lints = unmatched.into_iter().fold(compiled.lints, Diagnostics::and);
    let files = std::iter::once(path.to_owned()).chain(paths).collect();
    Ok(Loaded { places, plan: compiled.plan, lints, files })
}

/// A main file and the rules files that it names, as they were read.
struct Gathered {
    main: SourceFile,
    rules: Vec<SourceFile>,
    /// Patterns that match nothing.
    unmatched: Vec<Diagnostic>,
    /// The rules files' paths.
    paths: Vec<PathBuf>,
}

fn gather(path: &Path, purpose: Use) -> Result<Gathered, LoadError> {
    let main = read(path, purpose)?;
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut unmatched = Vec::new();
    for pattern in &patterns(&main) {
        let found = matches(path, pattern)?;
        if found.is_empty() {
            unmatched.push(pattern.matches_nothing());
        }
        add_new(&mut paths, found, path)?;
    }
    let rules = paths.iter().map(|path| read(path, purpose)).collect::<Result<Vec<_>, _>>()?;
    Ok(Gathered { main, rules, unmatched, paths })
}

/// A file that two patterns match is read once.
fn add_new(paths: &mut Vec<PathBuf>, found: Vec<PathBuf>, of: &Path) -> Result<(), LoadError> {
    let new = found.into_iter().filter(|file| !paths.contains(file)).collect::<Vec<_>>();
    paths.extend(new);
    if paths.len() > MAX_FILES { Err(LoadError::TooMany(of.to_owned())) } else { Ok(()) }
}

/// What the name of a file of rule tests ends in.
const TESTS: &str = ".test.toml";

/// Whether a file holds rule tests, going by its name.
#[must_use]
pub fn is_test_file(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(TESTS))
}

/// The files of rule tests that a path stands for: itself, or those in a directory, by name.
///
/// # Errors
/// A directory that cannot be read, or that holds none.
pub fn test_files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if is_test_file(&file) {
            files.push(file);
        }
        if files.len() > MAX_FILES {
            return Err(LoadError::TooManyTests(path.to_owned()));
        }
    }
    files.sort_unstable();
    if files.is_empty() { Err(LoadError::NoTests(path.to_owned())) } else { Ok(files) }
}

/// Loads a file of rule tests with the rules that it names. Nothing is run by them, so who can
/// write them does not matter.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say: first with
/// the rules, because what tests say depends on them.
pub fn load_tests(path: &Path) -> Result<Vec<Case>, LoadError> {
    let file = read(path, Use::Look)?;
    let basics = basics(&file).map_err(LoadError::Wrong)?;
    let config = basics.config.map(|config| beside(path, &config));
    let gathered = config.map(|config| gather(&config, Use::Look)).transpose()?;
    let mut paths = Vec::new();
    for pattern in &basics.rules {
        let found = matches(path, pattern)?;
        if found.is_empty() {
            let text = SourceFile { path: file.path.clone(), text: file.text.clone() };
            return Err(LoadError::Wrong(pattern.no_rules(text)));
        }
        add_new(&mut paths, found, path)?;
    }
    let known = gathered.as_ref().map(|gathered| gathered.paths.as_slice()).unwrap_or_default();
    paths.retain(|path| !known.iter().any(|known| same_file(path, known)));
    let rules = paths.iter().map(|path| read(path, Use::Look)).collect::<Result<Vec<_>, _>>()?;
    let basis = match gathered {
        Some(gathered) => {
            let rules = [gathered.rules, rules].concat();
            let compiled = compile(&gathered.main, &rules).map_err(LoadError::Wrong)?;
            Basis::Configuration(Box::new(compiled.plan))
        }
        None => Basis::rules(&rules).map_err(LoadError::Wrong)?,
    };
    rehearsal(&file, &basis).map_err(LoadError::Wrong)
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).join(name)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

/// Checks rules files without a main file. Nothing is run by them, so who can write them does not
/// matter.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say.
pub fn load_rules(paths: &[PathBuf]) -> Result<CheckedRules, LoadError> {
    let files = paths.iter().map(|path| read(path, Use::Look)).collect::<Result<Vec<_>, _>>()?;
    check_rules(&files).map_err(LoadError::Wrong)
}

/// Loads rules files without a main file, to be judged on these targets. Nothing is run by them,
/// so who can write them does not matter.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say.
pub fn load_rules_for(paths: &[PathBuf], targets: &[Target]) -> Result<Plan, LoadError> {
    let files = paths.iter().map(|path| read(path, Use::Look)).collect::<Result<Vec<_>, _>>()?;
    compile_rules(&files, targets).map_err(LoadError::Wrong)
}

/// Whether the file is a main file rather than one of rules.
///
/// # Errors
/// A file that cannot be read.
pub fn is_main_file(path: &Path) -> Result<bool, LoadError> {
    Ok(is_main(&read(path, Use::Look)?))
}

/// Whether what a file says is going to be done.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// It decides what runs.
    Run,
    /// It is only looked at.
    Look,
}

fn read(path: &Path, purpose: Use) -> Result<SourceFile, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    // Asked before opening, because opening a pipe waits for a writer; what is trusted is then
    // judged by the opened file, which nobody can exchange.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if purpose == Use::Run
        && rustix::process::geteuid().is_root()
        && let Some(who) = writable_by(&metadata)
    {
        return Err(LoadError::Untrusted { path: path.to_owned(), who });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| LoadError::NotText(path.to_owned()))?;
    Ok(SourceFile { path: path.display().to_string(), text })
}

/// Who can write the file apart from root.
fn writable_by(metadata: &Metadata) -> Option<String> {
    const GROUP: u32 = 0o020;
    const WORLD: u32 = 0o002;
    let (mode, owner, group) = (metadata.mode(), metadata.uid(), metadata.gid());
    if owner != 0 {
        return Some(format!("its owner, user {owner},"));
    }
    if mode & WORLD != 0 {
        return Some("everybody".to_owned());
    }
    (mode & GROUP != 0 && group != 0).then(|| format!("group {group}"))
}

/// The files that a pattern of the main file matches, by name.
fn matches(main: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>, LoadError> {
    let base = main.parent().unwrap_or(Path::new(""));
    let path = base.join(&pattern.text);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains('*') {
        return Ok(vec![path]);
    }
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory };
    let failed = |source| LoadError::Read { path: directory.clone(), source };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry.map_err(failed)?.file_name();
        let Some(file) = file.to_str() else { continue };
        if is_rules_file(file) && fits(name, file) && directory.join(file) != main {
            names.push(file.to_owned());
        }
        if names.len() > MAX_FILES {
            return Err(LoadError::TooMany(main.to_owned()));
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// What a pattern matches: hidden files, backups and what packages leave behind end otherwise,
/// tests are not rules.
fn is_rules_file(name: &str) -> bool {
    !name.starts_with('.') && name.ends_with(".toml") && !name.ends_with(TESTS)
}

/// Whether a name fits a pattern, in which each `*` stands for any number of characters.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves the most for what follows.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        let check = |pattern: &str, name: &str, wanted: bool| {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        };
        check("*.toml", "http.toml", true);
        check("*.toml", "http.toml.rpmnew", false);
        check("*", "x", true);
        check("10-*.toml", "10-http.toml", true);
        check("10-*.toml", "20-http.toml", false);
        check("a*b*c", "axxbyyc", true);
        check("a*b*c", "axxc", false);
        check("ab*b", "ab", false);
        check("**", "", true);
    }

    #[test]
    fn only_rules_files_are_taken() {
        for name in [
            ".http.toml",
            "http.toml~",
            "http.toml.rpmnew",
            "http.toml.dpkg-dist",
            "http.test.toml",
        ] {
            assert!(!is_rules_file(name), "{name}");
        }
        assert!(is_rules_file("http.toml"));
    }
}
