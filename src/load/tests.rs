//! Which files a file of rule tests is about. Nothing is run by them, so who can write them does
//! not matter.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::wrong_patterns;
use crate::ruletest::{TestCase, basics, rehearsal, rules_alone};

use super::file::{Opened, Use, read};
use super::search::{MAX_FILES, search};
use super::{LoadError, find_for};

/// What the name of a file of rule tests ends in.
const TESTS: &str = ".test.toml";

/// Whether a file holds rule tests, going by its name.
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

/// Loads a file of rule tests with the rules that it names.
///
/// # Errors
/// A file that cannot be read, or everything that is wrong with what the files say: first with
/// the rules, because what tests say depends on them.
pub fn load_tests(path: &Path) -> Result<Vec<TestCase>, LoadError> {
    let file = read(path, Use::Look)?.source;
    let basics = basics(&file).map_err(LoadError::Wrong)?;
    let config = basics.config.map(|config| path.parent().unwrap_or(Path::new("")).join(config));
    let found = config.map(|config| find_for(&config, Use::Look)).transpose()?;
    let search = search(path, &[], &basics.rules, Use::Look);
    let (mut rules, mut problems) = (Vec::new(), search.problems);
    let known = found.as_ref().map(|found| found.files.as_slice()).unwrap_or_default();
    for (rules_file, pattern) in search.files {
        if known.iter().any(|known| same_file(&rules_file, known)) {
            continue;
        }
        match read(&rules_file, Use::Look) {
            Ok(Opened { source, .. }) => rules.push(source),
            Err(error) => problems.push(pattern.fails(format!("failed to {error}"))),
        }
    }
    if !problems.is_empty() {
        return Err(LoadError::Wrong(wrong_patterns(&file, problems)));
    }
    let basis = match found {
        Some(mut found) => {
            found.rules.extend(rules);
            found.compile(&super::Directories::default())?.plan
        }
        None => rules_alone(&rules).map_err(LoadError::Wrong)?,
    };
    rehearsal(&file, &basis).map_err(LoadError::Wrong)
}

/// Whether two paths lead to one file that is there.
pub fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}
