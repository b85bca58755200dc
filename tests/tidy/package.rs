//! What is not Rust: the manifest gives each dependency its reason, no file names one machine's
//! paths, and ARCHITECTURE.md says which test holds which invariant, truthfully.

/// The map is read in one sitting.
const ARCHITECTURE_LINES: usize = 150;
/// The invariants, numbered from one.
const INVARIANTS: usize = 12;

/// Dependencies of `Cargo.toml` without a comment right above them.
pub(crate) fn check_manifest(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut section, mut above) = ("", "");
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let is_entry = section.ends_with("dependencies") && line.contains('=');
        let is_table = line.starts_with('[') && section.contains("dependencies.");
        if (is_entry && !line.starts_with('#') || is_table) && !above.starts_with('#') {
            problems.push(format!("Cargo.toml:{}: no comment says why it is here", index + 1));
        }
        above = line;
    }
    problems
}

/// Paths that exist on one machine only.
pub(crate) fn check_paths(path: &str, text: &str) -> Vec<String> {
    // In halves, so as not to find themselves.
    let roots = [concat!("/wo", "rk/"), concat!("/tmp", "/rg"), concat!("/ro", "ot/.")];
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for root in roots {
            let is_absolute = |(at, _): (usize, &str)| {
                !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}>)".contains(c))
            };
            if line.match_indices(root).any(is_absolute) {
                problems.push(format!("{path}:{}: `{root}` is a path of one machine", index + 1));
            }
        }
    }
    problems
}

/// `ARCHITECTURE.md`: its size, and a row `| 1 | … | `path.rs::test` |` or `not yet` for each
/// invariant. `read` gives the text of a file of the package.
pub(crate) fn check_architecture(text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let lines = text.lines().count();
    if lines > ARCHITECTURE_LINES {
        problems.push(format!("ARCHITECTURE.md:1: {lines} lines; {ARCHITECTURE_LINES} are enough"));
    }
    let mut has_row = [false; INVARIANTS];
    for (index, line) in text.lines().enumerate() {
        let Some(invariant) = row_number(line) else { continue };
        has_row[invariant - 1] = true;
        let whats = check_row(line, read);
        problems.extend(whats.into_iter().map(|w| format!("ARCHITECTURE.md:{}: {w}", index + 1)));
    }
    for (index, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let is_file = |name: &&str| name.starts_with("tests/") && name.ends_with(".rs");
        for path in quoted.filter(is_file).filter(|path| read(path).is_none()) {
            problems.push(format!("ARCHITECTURE.md:{}: there is no {path}", index + 1));
        }
    }
    for (index, _) in has_row.iter().enumerate().filter(|(_, has)| !**has) {
        problems.push(format!("ARCHITECTURE.md:1: no row for invariant {}", index + 1));
    }
    problems
}

/// The invariant that a table row is about.
fn row_number(line: &str) -> Option<usize> {
    let first = line.strip_prefix('|')?.split('|').next()?;
    first.trim().parse().ok().filter(|n| (1..=INVARIANTS).contains(n))
}

fn check_row(line: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let quoted = line.split('`').skip(1).step_by(2);
    let tests: Vec<_> = quoted.filter_map(|name| name.split_once(".rs::")).collect();
    if tests.is_empty() && !line.contains("not yet") {
        return vec!["neither `path.rs::test_name` nor `not yet`".to_owned()];
    }
    let mut problems = Vec::new();
    for (stem, name) in tests {
        let path = format!("{stem}.rs");
        let name = name.rsplit("::").next().unwrap_or(name);
        match read(&path) {
            None => problems.push(format!("there is no {path}")),
            Some(text) if !text.contains(&format!("fn {name}(")) => {
                problems.push(format!("{path} has no test `{name}`"));
            }
            Some(_) => {}
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_fails() {
        let fine = "[package]\nname = \"x\"\n\n[dependencies]\n# Why.\na = \"1\"\n\n\
                    [dev-dependencies]\n# Why.\nb = { version = \"1\" }\n\n[lints]\nc = 1\n";
        assert_eq!(check_manifest(fine), Vec::<String>::new());
        let found = check_manifest(&fine.replace("# Why.\nb", "b"));
        assert_eq!(found, ["Cargo.toml:9: no comment says why it is here"]);
        let target = "[target.'cfg(unix)'.dependencies]\na = \"1\"\n[dependencies.b]\n";
        assert_eq!(check_manifest(target).len(), 2);
    }

    #[test]
    fn a_path_of_one_machine_fails() {
        let bad = concat!("a\nsee /wo", "rk/x, \"/tmp", "/rg/y\"\n");
        let found = check_paths("a.md", bad);
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("a.md:2: "), "{found:?}");
        assert!(check_paths("a.md", concat!("https://a.example/wo", "rk/x\n")).is_empty());
        assert!(check_paths("a.md", "/var/lib/rollguard\n").is_empty());
    }

    fn read(path: &str) -> Option<String> {
        (path == "tests/crash.rs").then(|| "#[test]\nfn at_most_one() {}\n".to_owned())
    }

    fn table(row_one: &str) -> String {
        let rest = (2..=INVARIANTS).map(|n| format!("| {n} | x | not yet |\n"));
        format!("# Map\n{row_one}\n{}", rest.collect::<String>())
    }

    #[test]
    fn each_invariant_names_a_test_that_exists() {
        let check = |row: &str| check_architecture(&table(row), &read);
        assert_eq!(check("| 1 | x | `tests/crash.rs::at_most_one` |"), Vec::<String>::new());
        assert_eq!(check("| 1 | `x` | `tests/crash.rs::tests::at_most_one` |"), [""; 0]);
        let renamed = check("| 1 | x | `tests/crash.rs::at_most` |");
        assert_eq!(renamed, ["ARCHITECTURE.md:2: tests/crash.rs has no test `at_most`"]);
        assert_eq!(
            check("| 1 | x | `tests/a.rs::b` |"),
            ["ARCHITECTURE.md:2: there is no tests/a.rs"]
        );
        let file = check("| 1 | x | `tests/crash.rs::at_most_one`, `tests/b.rs` |");
        assert_eq!(file, ["ARCHITECTURE.md:2: there is no tests/b.rs"]);
        assert!(check("| 1 | x | held, surely |")[0].contains("neither"));
        assert_eq!(check("text"), ["ARCHITECTURE.md:1: no row for invariant 1"]);
    }

    #[test]
    fn the_map_is_short() {
        let long = table("| 1 | x | not yet |") + &"x\n".repeat(ARCHITECTURE_LINES);
        assert!(check_architecture(&long, &read)[0].contains("150 are enough"));
    }
}
