//! L2: reads configuration files and hands them to `config`. It decides which files belong to a
//! configuration and whether they may be trusted; what they say is none of its business. The
//! daemon, `check` and every other command load through here, so that all of them agree.

#![expect(clippy::disallowed_methods, reason = "systemd says where files go")]

mod file;
mod search;
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{
    CheckedRules, Diagnostic, DiagnosticLevel, Diagnostics, Listen, SourceFile, check_rules,
    compile_found, compile_rules, is_main, patterns, rules_path, state_path,
};
use crate::model::plan::Plan;
use crate::model::target::Target;

use self::file::{Opened, Use, read};
use self::search::{MAX_FILES, search};

pub use self::search::{Hidden, Hides};
pub use self::tests::{is_test_file, load_tests, same_file, test_files};

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
    /// Larger than 256 KiB.
    #[error("read {}: it is larger than 256 KiB; rules may stand in several files", .0.display())]
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
    #[error("use the configuration: {} errors in it", .0.count(DiagnosticLevel::Error))]
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

/// A configuration that can be used.
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

/// The files of a configuration, read and not yet understood.
#[derive(Clone, Debug)]
pub struct Found {
    /// Every file that was read, the main file first.
    pub files: Vec<PathBuf>,
    /// Every file that was not read because of one of the same name.
    pub hidden: Vec<Hidden>,
    main: SourceFile,
    rules: Vec<SourceFile>,
    /// What is wrong with finding and reading, each where the main file names it.
    problems: Vec<Diagnostic>,
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
    find(path)?.compile(directories)
}

/// Finds and reads the files of the configuration whose main file is at `path`.
///
/// # Errors
/// The main file cannot be read or trusted. What is wrong with another file is part of the answer,
/// so that it is shown with everything else that is wrong.
pub fn find(path: &Path) -> Result<Found, LoadError> {
    find_for(path, Use::Run)
}

fn find_for(path: &Path, purpose: Use) -> Result<Found, LoadError> {
    let Opened { source: main, identity } = read(path, purpose)?;
    let patterns = patterns(&main);
    let below = search::rules_path(path, rules_path(&main));
    let search = search(path, &below, &patterns, purpose);
    let (hidden, mut problems) = (search.hidden, search.problems);
    let (mut files, mut rules) = (vec![path.to_owned()], Vec::new());
    let mut names = HashMap::from([(identity, path.to_owned())]);
    for (file, pattern) in search.files {
        match read(&file, purpose) {
            Err(error) => problems.push(pattern.fails(format!("failed to {error}"))),
            Ok(Opened { source, identity }) => {
                if let Some(known) = names.get(&identity) {
                    problems.push(pattern.repeats(&source.path, &known.display().to_string()));
                    continue;
                }
                names.insert(identity, file.clone());
                files.push(file);
                rules.push(source);
            }
        }
    }
    Ok(Found { files, hidden, main, rules, problems })
}

impl Found {
    /// Makes a plan of what the files say.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn compile(self, directories: &Directories) -> Result<Loaded, LoadError> {
        let compiled = compile_found(&self.main, &self.rules, self.problems);
        let compiled = compiled.map_err(LoadError::Wrong)?;
        let settings = compiled.settings;
        let runtime = directories.runtime.clone().unwrap_or_else(|| DEFAULT_RUNTIME.into());
        let places = Places {
            state: settings.state.unwrap_or_else(|| usual_state_dir(directories)),
            control: settings.control.unwrap_or_else(|| runtime.join("rollguard.sock")),
            listen: settings.listen,
        };
        Ok(Loaded { places, plan: compiled.plan, lints: compiled.lints, files: self.files })
    }
}

/// The state directory that the main file at `path` names, or else the usual one. Nothing is run
/// by this, and whatever else is wrong with the file does not matter: the past is asked for in
/// trouble.
///
/// # Errors
/// The file cannot be read.
pub fn state_dir(path: &Path, directories: &Directories) -> Result<PathBuf, LoadError> {
    let named = state_path(&read(path, Use::Look)?.source);
    Ok(named.unwrap_or_else(|| usual_state_dir(directories)))
}

/// The state directory where no configuration names one.
pub fn usual_state_dir(directories: &Directories) -> PathBuf {
    directories.state.clone().unwrap_or_else(|| DEFAULT_STATE.into())
}

/// Checks rules files without a main file. Nothing is run by them, so who can write them does not
/// matter. A file that is named twice is read once.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say.
pub fn load_rules(paths: &[PathBuf]) -> Result<CheckedRules, LoadError> {
    check_rules(&read_once(paths)?).map_err(LoadError::Wrong)
}

/// Loads rules files without a main file, to be judged on these targets. Nothing is run by them,
/// so who can write them does not matter.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say.
pub fn load_rules_for(paths: &[PathBuf], targets: &[Target]) -> Result<Plan, LoadError> {
    compile_rules(&read_once(paths)?, targets).map_err(LoadError::Wrong)
}

fn read_once(paths: &[PathBuf]) -> Result<Vec<SourceFile>, LoadError> {
    let opened = paths.iter().map(|path| read(path, Use::Look)).collect::<Result<Vec<_>, _>>()?;
    let mut known = Vec::new();
    let mut files = Vec::new();
    for Opened { source, identity } in opened {
        if !known.contains(&identity) {
            known.push(identity);
            files.push(source);
        }
    }
    Ok(files)
}

/// Whether the file is a main file rather than one of rules.
///
/// # Errors
/// A file that cannot be read.
pub fn is_main_file(path: &Path) -> Result<bool, LoadError> {
    Ok(is_main(&read(path, Use::Look)?.source))
}
