//! Which files belong to a configuration, and which are refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rollguard::config::{Color, DiagnosticLevel, Listen};
use rollguard::load::{Directories, Hidden, Hides, LoadError, find, load, load_rules, load_with};
use tempfile::TempDir;

const MAIN: &str = r#"
rules = ["rules.d/*.toml"]

[deployment]
service = "api"
then    = "rollback"

[target.api]
scrape = "http://127.0.0.1:9000/metrics"

[hook.rollback]
steps = [{ run = ["switch", "{good}"] }]
"#;

/// A directory with a main file and, below `rules.d`, one rule in each of the named files.
fn configuration(main: &str, rules: &[&str]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("rules.d")).unwrap();
    for (n, name) in rules.iter().enumerate() {
        let text = format!("[signal.s{n}]\ngauge = 'g'\n[rule.r{n}]\nwhen = \"s{n} > 1\"\n");
        fs::write(directory.path().join("rules.d").join(name), text).unwrap();
    }
    let path = directory.path().join("rollguard.toml");
    fs::write(&path, main).unwrap();
    (directory, path)
}

fn names(files: &[PathBuf]) -> Vec<&str> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect()
}

/// The diagnostics of a configuration that cannot be used.
fn wrong(path: &Path) -> String {
    match load(path) {
        Err(LoadError::Wrong(wrong)) => wrong.render(Color::Plain),
        other => panic!("{other:?}"),
    }
}

fn message(path: &Path) -> String {
    load(path).unwrap_err().to_string()
}

#[test]
fn rules_are_read_in_the_order_of_their_names_and_leftovers_are_not_read() {
    let files = [
        "20-b.toml",
        "10-a.toml",
        ".hidden.toml",
        "a.toml~",
        "a.toml.rpmnew",
        "a.toml.dpkg-dist",
        "a.test.toml",
        "README",
    ];
    let (_directory, path) = configuration(MAIN, &files);
    let loaded = load(&path).unwrap();
    assert_eq!(names(&loaded.files), ["rollguard.toml", "10-a.toml", "20-b.toml"]);
    assert_eq!(loaded.plan.rules.len(), 2);
    assert!(loaded.lints.is_empty());
}

#[test]
fn the_order_of_files_is_that_of_their_names_however_the_directory_has_them() {
    let mut files: Vec<String> = (10..60).rev().map(|n| format!("{n}.toml")).collect();
    let (_directory, path) =
        configuration(MAIN, &files.iter().map(String::as_str).collect::<Vec<_>>());
    files.sort();
    assert_eq!(names(&load(&path).unwrap().files[1..]), files);
}

#[test]
fn a_file_that_two_patterns_match_is_read_once() {
    let main = MAIN.replace("\"rules.d/*.toml\"", "\"rules.d/a.toml\", \"rules.d/*.toml\"");
    let (_directory, path) = configuration(&main, &["a.toml", "b.toml"]);
    assert_eq!(names(&load(&path).unwrap().files), ["rollguard.toml", "a.toml", "b.toml"]);
}

#[test]
fn a_pattern_that_matches_nothing_is_a_lint_and_a_named_file_that_is_not_there_an_error() {
    let (_directory, path) = configuration(MAIN, &[]);
    let lints = load(&path).unwrap().lints;
    assert!(lints.iter().any(|lint| lint.message == "no file matches `rules.d/*.toml`"));
    assert_eq!(lints.count(DiagnosticLevel::Error), 0);
    let main = MAIN.replace("*.toml", "absent.toml");
    let (_directory, path) = configuration(&main, &[]);
    let shown = wrong(&path);
    assert!(shown.contains("rollguard.toml:2:10\n"), "{shown}");
    assert!(shown.contains("rules.d/absent.toml: No such file"), "{shown}");
}

#[test]
fn what_cannot_be_a_configuration_is_refused_with_its_path() {
    let (directory, _) = configuration(MAIN, &[]);
    let at = |name: &str| directory.path().join(name);
    assert!(matches!(load(&at("absent.toml")), Err(LoadError::Read { .. })));
    assert!(matches!(load(directory.path()), Err(LoadError::NotAFile(_))));
    fs::write(at("large.toml"), "#".repeat((256 << 10) + 1)).unwrap();
    assert!(matches!(load(&at("large.toml")), Err(LoadError::TooLarge(_))));
    fs::write(at("latin.toml"), b"# caf\xe9\n").unwrap();
    assert!(matches!(load(&at("latin.toml")), Err(LoadError::NotText(_))));
    assert!(message(&at("latin.toml")).contains("latin.toml"));
}

#[test]
fn more_files_than_anyone_means_are_refused() {
    let files: Vec<String> = (0..300).map(|n| format!("{n}.toml")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (_directory, path) = configuration(MAIN, &files);
    let shown = wrong(&path);
    assert!(shown.contains("match more than 256 files"), "{shown}");
}

#[test]
fn root_refuses_files_that_others_can_write() {
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let rules = directory.path().join("rules.d/a.toml");
    let is_root = rustix::process::geteuid().is_root();
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set(&path, 0o646);
    match load(&path) {
        Err(error @ LoadError::Untrusted { .. }) if is_root => {
            assert!(error.to_string().contains("everybody can write it"), "{error}");
        }
        loaded => assert!(loaded.is_ok() && !is_root),
    }
    set(&path, 0o644);
    set(&rules, 0o646);
    if is_root {
        let shown = wrong(&path);
        assert!(shown.contains("rollguard.toml:2:10\n"), "{shown}");
        assert!(shown.contains("rules.d/a.toml: it decides what runs as root"), "{shown}");
    } else {
        assert!(load(&path).is_ok());
    }
    // Group root is root.
    set(&rules, 0o664);
    assert!(load(&path).is_ok());
}

#[test]
fn root_refuses_directories_in_which_others_can_exchange_or_add_files() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    // The main file's own directory: with the sticky bit nobody can exchange root's files.
    set(directory.path(), 0o777);
    assert!(
        matches!(load(&path), Err(LoadError::Untrusted { path, .. }) if path == directory.path())
    );
    set(directory.path(), 0o1777);
    assert!(load(&path).is_ok());
    // One that is listed: everybody can add a file to it even so.
    let rules = directory.path().join("rules.d");
    for mode in [0o777, 0o1777] {
        set(&rules, mode);
        let shown = wrong(&path);
        assert!(shown.contains("rules.d: it decides what runs as root"), "{shown}");
    }
    rustix::fs::chown(&rules, Some(rustix::fs::Uid::from_raw(1)), None).unwrap();
    set(&rules, 0o755);
    assert!(wrong(&path).contains("its owner, user 1, can write it"));
}

/// A configuration with three layers: `low` and `high` below the main file's own directory.
fn layers() -> (TempDir, PathBuf) {
    let main = MAIN.replace("[deployment]", "rules_path = [\"LOW\", \"HIGH\"]\n[deployment]");
    let (directory, path) = configuration(&main, &[]);
    let mut main = main;
    for (name, word) in [("low", "LOW"), ("high", "HIGH")] {
        let layer = directory.path().join(name);
        fs::create_dir_all(layer.join("rules.d")).unwrap();
        main = main.replace(word, layer.to_str().unwrap());
    }
    fs::write(&path, main).unwrap();
    (directory, path)
}

fn put(directory: &TempDir, file: &str) {
    let name: String = file.chars().filter(char::is_ascii_alphanumeric).collect();
    let text =
        format!("[signal.s_{name}]\ngauge = 'g'\n[rule.r-{name}]\nwhen = \"s_{name} > 1\"\n");
    fs::write(directory.path().join(file), text).unwrap();
}

/// The paths below a directory.
fn below(directory: &TempDir, files: &[PathBuf]) -> Vec<String> {
    let short = |path: &PathBuf| path.strip_prefix(directory.path()).unwrap().display().to_string();
    files.iter().map(short).collect()
}

#[test]
fn a_file_in_a_higher_directory_replaces_the_one_of_its_name_and_all_are_read_by_name() {
    let (directory, path) = layers();
    let files = ["low/rules.d/10-a.toml", "low/rules.d/20-b.toml", "high/rules.d/20-b.toml"];
    let more = ["high/rules.d/15-c.toml", "rules.d/20-b.toml", "rules.d/05-d.toml"];
    files.iter().chain(&more).for_each(|file| put(&directory, file));
    let found = find(&path).unwrap();
    let read = [
        "rollguard.toml",
        "rules.d/05-d.toml",
        "low/rules.d/10-a.toml",
        "high/rules.d/15-c.toml",
        "rules.d/20-b.toml",
    ];
    assert_eq!(below(&directory, &found.files), read);
    let at = |file: &str| directory.path().join(file);
    let replaced =
        |path: &str| Hidden { path: at(path), by: at("rules.d/20-b.toml"), how: Hides::Replaces };
    let hidden = ["high/rules.d/20-b.toml", "low/rules.d/20-b.toml"].map(replaced);
    assert_eq!(found.hidden, hidden);
    assert_eq!(load(&path).unwrap().plan.rules.len(), 4);
}

#[test]
fn an_empty_file_and_a_link_to_nothing_mask_the_files_below_them() {
    let (directory, path) = layers();
    for name in ["10-a.toml", "20-b.toml", "30-c.toml"] {
        put(&directory, &format!("low/rules.d/{name}"));
    }
    put(&directory, "high/rules.d/20-b.toml");
    let at = |file: &str| directory.path().join(file);
    fs::write(at("high/rules.d/10-a.toml"), "").unwrap();
    symlink("/dev/null", at("rules.d/20-b.toml")).unwrap();
    let up = "../".repeat(at("rules.d").components().count());
    symlink(format!("{up}dev/null"), at("rules.d/30-c.toml")).unwrap();
    let found = find(&path).unwrap();
    assert_eq!(below(&directory, &found.files), ["rollguard.toml"]);
    assert!(found.hidden.iter().all(|hidden| hidden.how == Hides::Masks));
    let hidden: Vec<_> = found.hidden.into_iter().map(|hidden| hidden.path).collect();
    let masked = ["low/rules.d/10-a.toml", "high/rules.d/20-b.toml", "low/rules.d/20-b.toml"];
    assert_eq!(below(&directory, &hidden[..3]), masked);
    // A file above the mask is read all the same.
    put(&directory, "rules.d/10-a.toml");
    let files = load(&path).unwrap().files;
    assert_eq!(below(&directory, &files), ["rollguard.toml", "rules.d/10-a.toml"]);
}

#[test]
fn a_file_that_is_named_is_looked_up_in_every_directory_and_other_patterns_only_in_their_own() {
    let (directory, path) = layers();
    put(&directory, "low/rules.d/10-a.toml");
    let main = fs::read_to_string(&path).unwrap();
    fs::write(&path, main.replace("*.toml", "10-a.toml")).unwrap();
    let files = load(&path).unwrap().files;
    assert_eq!(below(&directory, &files), ["rollguard.toml", "low/rules.d/10-a.toml"]);
    fs::write(directory.path().join("low/more.toml"), "").unwrap();
    fs::write(&path, main.replace("rules.d/*.toml", "more.toml")).unwrap();
    assert!(wrong(&path).contains("more.toml: No such file"));
}

#[test]
fn every_file_that_cannot_be_read_is_reported_with_every_other_error() {
    let main = MAIN.replace(
        "rules = [\"rules.d/*.toml\"]",
        "rules = [\"rules.d/*.toml\", \"absent.toml\", \"rules.d/large.txt\"]\nlisten = 1",
    );
    let (directory, path) = configuration(&main, &["a.toml"]);
    let at = |name: &str| directory.path().join("rules.d").join(name);
    fs::write(at("b.toml"), b"# caf\xe9\n").unwrap();
    fs::write(at("c.toml"), "[rule.x]\nwhen = \"nowhere > 1\"\nbad = 1\n").unwrap();
    fs::write(at("large.txt"), "#".repeat((256 << 10) + 1)).unwrap();
    let shown = wrong(&path);
    let lines: Vec<_> = shown.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 5, "{shown}");
    for (line, end) in lines.iter().zip(["it is not UTF-8 text", "(os error 2)", "several files"]) {
        assert!(line.starts_with("error: failed to read ") && line.ends_with(end), "{shown}");
    }
    // `nowhere` may be in a file that could not be read, so nobody says that it is nowhere.
    assert_eq!(
        lines[3..],
        ["error: expected a string, found a number", "error: unknown key `bad` in [rule.x]"]
    );
}

#[test]
fn one_file_under_two_names_is_read_once_and_a_copy_is_called_one() {
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let at = |name: &str| directory.path().join("rules.d").join(name);
    symlink(at("a.toml"), at("b.toml")).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(names(&loaded.files), ["rollguard.toml", "a.toml"]);
    let lint = loaded.lints.iter().next().unwrap();
    assert!(lint.message.ends_with("rules.d/a.toml`") && lint.message.contains("is the same file"));
    assert_eq!(load_rules(&[at("a.toml"), at("b.toml")]).unwrap().signals, 1);
    fs::remove_file(at("b.toml")).unwrap();
    fs::copy(at("a.toml"), at("b.toml")).unwrap();
    let shown = wrong(&path);
    assert!(shown.contains("signal `s0` is defined twice"), "{shown}");
    assert!(shown.contains("both files say the same: one is a copy of the other"), "{shown}");
}

#[test]
fn a_link_leads_to_its_file_and_a_pipe_blocks_nobody() {
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let link = directory.path().join("link.toml");
    symlink(&path, &link).unwrap();
    assert_eq!(load(&link).unwrap().plan, load(&path).unwrap().plan);
    let pipe = directory.path().join("rules.d/pipe.toml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(wrong(&path).contains("pipe.toml: it is not a file"));
}

#[test]
fn places_come_from_the_file_then_the_service_manager_then_the_defaults() {
    let (_directory, path) = configuration(MAIN, &["a.toml"]);
    let none = load_with(&path, &Directories::default()).unwrap().places;
    assert_eq!(none.state, Path::new("/var/lib/rollguard"));
    assert_eq!(none.control, Path::new("/run/rollguard/rollguard.sock"));
    assert_eq!(none.listen, Listen::Addr("127.0.0.1:9786".parse().unwrap()));
    let made = Directories { state: Some("/srv/s".into()), runtime: Some("/srv/r".into()) };
    let places = load_with(&path, &made).unwrap().places;
    assert_eq!(places.state, Path::new("/srv/s"));
    assert_eq!(places.control, Path::new("/srv/r/rollguard.sock"));
    let stated = "state = \"/a\"\ncontrol = \"/b\"\nlisten = \"off\"\n".to_owned() + MAIN;
    let (_directory, path) = configuration(&stated, &["a.toml"]);
    let places = load_with(&path, &made).unwrap().places;
    assert_eq!((places.state, places.control), ("/a".into(), "/b".into()));
    assert_eq!(places.listen, Listen::Off);
}

#[test]
fn the_same_files_give_the_same_plan() {
    let (_directory, path) = configuration(MAIN, &["a.toml", "b.toml"]);
    assert_eq!(load(&path).unwrap(), load(&path).unwrap());
}

#[test]
fn rules_files_are_checked_together() {
    let (directory, _) = configuration(MAIN, &["a.toml", "b.toml"]);
    let files = ["a.toml", "b.toml"].map(|name| directory.path().join("rules.d").join(name));
    let checked = load_rules(&files).unwrap();
    assert_eq!((checked.signals, checked.rules), (2, 2));
}
