//! Which files the patterns of a main file mean: drop-in directories in their order of precedence,
//! what replaces what, and what is masked. It must never read what a file says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Diagnostic, Pattern};

use super::LoadError;
use super::file::{Use, trust_listed, trust_parent};

/// The most files of one configuration. Beyond it a pattern matches what was not meant.
pub(super) const MAX_FILES: usize = 256;

/// The drop-in directory: patterns in it are looked up in every directory of the rules path.
const DROP_IN: &str = "rules.d";

/// The main file's directory for which there is a default rules path.
const INSTALLED: &str = "/etc/rollguard";

/// The default rules path of an installed main file, lowest first: what packages bring, and what
/// holds until the next boot.
const DEFAULT_PATH: [&str; 2] = ["/usr/lib/rollguard", "/run/rollguard"];

/// How a file keeps another one from being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hides {
    /// It is read in its place.
    Replaces,
    /// It is empty or a link to /dev/null: nothing is read in its place.
    Masks,
}

/// A file that is not read because of one of the same name in a higher directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The file.
    pub path: PathBuf,
    /// The one in the higher directory.
    pub by: PathBuf,
    /// What that one does.
    pub how: Hides,
}

/// What the patterns mean.
#[derive(Debug, Default)]
pub(super) struct Search<'p> {
    /// The files, in the order in which they are read, and the pattern that led to each.
    pub(super) files: Vec<(PathBuf, &'p Pattern)>,
    /// The files that are not read.
    pub(super) hidden: Vec<Hidden>,
    /// Patterns and directories that are wrong, each where it is named.
    pub(super) problems: Vec<Diagnostic>,
}

/// The directories above which the main file's own is, lowest first.
pub(super) fn rules_path(main: &Path, stated: Option<Vec<PathBuf>>) -> Vec<PathBuf> {
    let installed = || {
        let main = std::path::absolute(main).ok();
        main.is_some_and(|main| main.parent() == Some(Path::new(INSTALLED)))
    };
    match stated {
        Some(path) => path,
        None if installed() => DEFAULT_PATH.iter().map(PathBuf::from).collect(),
        None => Vec::new(),
    }
}

/// Looks the patterns up.
pub(super) fn search<'p>(
    main: &Path,
    path: &[PathBuf],
    patterns: &'p [Pattern],
    purpose: Use,
) -> Search<'p> {
    let mut search = Search::default();
    for pattern in patterns {
        if let Err(error) = search.add(main, path, pattern, purpose) {
            search.problems.push(pattern.fails(format!("failed to {error}")));
        }
        if search.files.len() > MAX_FILES {
            let error = LoadError::TooMany(main.to_owned());
            search.problems.push(pattern.fails(format!("failed to {error}")));
            search.files.clear();
            break;
        }
    }
    search
}

impl<'p> Search<'p> {
    fn add(
        &mut self,
        main: &Path,
        path: &[PathBuf],
        pattern: &'p Pattern,
        purpose: Use,
    ) -> Result<(), LoadError> {
        let own = main.parent().unwrap_or(Path::new(""));
        let layered = is_drop_in(&pattern.text);
        let below = path.iter().rev().filter(|_| layered).map(PathBuf::as_path);
        // Highest first, so that the first of a name is the one that counts.
        let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for base in std::iter::once(own).chain(below) {
            for (name, file) in matches(main, &base.join(&pattern.text), purpose)? {
                found.entry(name).or_default().push(file);
            }
        }
        if found.is_empty() {
            if pattern.text.contains('*') {
                self.problems.push(pattern.matches_nothing());
            } else {
                // Reading it says why it is not there.
                self.files.push((own.join(&pattern.text), pattern));
            }
        }
        for files in found.into_values() {
            self.pick(files, layered, pattern);
        }
        Ok(())
    }

    /// Takes the highest of the files of one name.
    fn pick(&mut self, files: Vec<PathBuf>, layered: bool, pattern: &'p Pattern) {
        let mut files = files.into_iter();
        let Some(first) = files.next() else { return };
        let how = if layered && masks(&first) { Hides::Masks } else { Hides::Replaces };
        let hidden = files.map(|path| Hidden { path, by: first.clone(), how });
        for hidden in hidden.collect::<Vec<_>>() {
            if !self.hidden.contains(&hidden) {
                self.hidden.push(hidden);
            }
        }
        // A file that two patterns match is read once.
        if how == Hides::Replaces && !self.files.iter().any(|(known, _)| *known == first) {
            self.files.push((first, pattern));
        }
    }
}

/// Whether the pattern lies in the drop-in directory beside the main file.
fn is_drop_in(pattern: &str) -> bool {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    pattern.strip_prefix(DROP_IN).and_then(|rest| rest.strip_prefix('/')).is_some_and(|name| {
        let name = name.trim_start_matches('/');
        !name.is_empty() && !name.contains('/')
    })
}

/// Whether the file says that nothing is to be read in its place.
fn masks(path: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    if is_link && path.canonicalize().is_ok_and(|target| target == Path::new("/dev/null")) {
        return true;
    }
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

/// The files that a pattern matches in one directory, each with its name.
fn matches(main: &Path, path: &Path, purpose: Use) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !name.contains('*') {
        if fs::symlink_metadata(path).is_err() {
            return Ok(Vec::new());
        }
        if purpose == Use::Run {
            trust_parent(path)?;
        }
        return Ok(vec![(name.to_owned(), path.to_owned())]);
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let listed = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let failed = |source| LoadError::Read { path: listed.to_owned(), source };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    if purpose == Use::Run {
        trust_listed(listed)?;
    }
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
    Ok(names.into_iter().map(|name| (name.clone(), directory.join(name))).collect())
}

/// What a pattern matches: hidden files, backups and what packages leave behind end otherwise,
/// tests are not rules.
fn is_rules_file(name: &str) -> bool {
    !name.starts_with('.') && name.ends_with(".toml") && !name.ends_with(".test.toml")
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
    fn only_what_lies_right_in_the_drop_in_directory_is_looked_up_elsewhere() {
        for pattern in ["rules.d/*.toml", "./rules.d/a.toml", "rules.d//a.toml"] {
            assert!(is_drop_in(pattern), "{pattern}");
        }
        for pattern in ["/etc/rollguard/rules.d/*.toml", "rules.d/x/*.toml", "a.toml", "rules.d2/a"]
        {
            assert!(!is_drop_in(pattern), "{pattern}");
        }
    }

    #[test]
    fn an_installed_main_file_has_a_rules_path_unless_it_states_another() {
        let main = Path::new("/etc/rollguard/rollguard.toml");
        let both = ["/usr/lib/rollguard", "/run/rollguard"].map(PathBuf::from);
        assert_eq!(rules_path(main, None), both);
        assert_eq!(rules_path(main, Some(vec![])), Vec::<PathBuf>::new());
        assert_eq!(rules_path(Path::new("/srv/rollguard.toml"), None), Vec::<PathBuf>::new());
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
