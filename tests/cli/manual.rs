//! The manual and the rules that are shipped, run as a reader would run them: every example of
//! `docs/rules.md`, `docs/hooks.md` and `docs/notifications.md` goes through the real binary, every
//! pack passes `check` and its own tests, and the tables of `rules/README.md` name what is there. A
//! block of TOML that nobody runs is a failure.
//!
//! How a block is marked, after its three backticks:
//!
//!   toml rules    a rules file; `check --deny-lints` finds nothing
//!   toml test     tests of the rules before it, without their first line; `test` passes them
//!   toml main     a main file beside the rules before it; `check --deny-lints` finds nothing
//!   toml channel  in place of the channels of the main file before it, likewise
//!   toml hook     hooks of a main file that has all else; `check --deny-lints` finds nothing
//!   toml lint     a rules file that `check` accepts with lints
//!   toml refused  a rules file that `check` refuses
//!   yaml alerts   alerts of Prometheus, all of which `import prometheus` takes
//!   text answer   what was printed about the block before it, word for word

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Rules,
    Test,
    Main,
    Channel,
    Hook,
    Lint,
    Refused,
    Alerts,
    Answer,
}

/// What a main file has beside its hooks.
const BESIDE_HOOKS: &str = r#"
[deployment]
service = "api"
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
[signal.latency]
gauge = 'latency_seconds'
[rule.slow]
when = "latency > 2"
for = "1m"
then = "rollback"
"#;

/// A fenced block that is run.
#[derive(Debug)]
struct Block {
    kind: Kind,
    /// The number of its first line.
    line: usize,
    text: String,
}

/// What a mark says; `None` is for what nobody could run.
fn kind(mark: &str) -> Result<Option<Kind>, String> {
    let kind = match mark {
        "toml rules" => Kind::Rules,
        "toml test" => Kind::Test,
        "toml main" => Kind::Main,
        "toml channel" => Kind::Channel,
        "toml hook" => Kind::Hook,
        "toml lint" => Kind::Lint,
        "toml refused" => Kind::Refused,
        "yaml alerts" => Kind::Alerts,
        "text answer" => Kind::Answer,
        "text" | "sh" => return Ok(None),
        _ => return Err(format!("nobody runs a block marked `{mark}`")),
    };
    Ok(Some(kind))
}

/// The blocks of a document, or what cannot be run.
fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = document.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(mark) = line.trim_start().strip_prefix("```") else { continue };
        let kind = kind(mark.trim()).map_err(|why| format!("line {}: {why}", at + 1))?;
        let mut text = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, inner)) => text.extend([inner, "\n"]),
                None => return Err(format!("line {}: the block does not end", at + 1)),
            }
        }
        blocks.extend(kind.map(|kind| Block { kind, line: at + 2, text }));
    }
    Ok(blocks)
}

fn rollguard(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    command.args(arguments).current_dir(directory).output().unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

/// Runs blocks in order; each stands in a directory with the rules before it.
struct Reader {
    directory: tempfile::TempDir,
    answer: Option<String>,
    /// The main file as far as its channels.
    main: String,
    wrong: Vec<String>,
}

impl Reader {
    fn run(&mut self, name: &str, text: &str, arguments: &[&str]) -> (Option<i32>, String) {
        fs::write(self.directory.path().join(name), text).unwrap();
        let output = rollguard(self.directory.path(), arguments);
        (output.status.code(), said(&output))
    }

    fn read(&mut self, block: &Block) {
        let text = &block.text;
        let check = ["check", "--deny-lints"];
        let (code, expected) = match block.kind {
            Kind::Rules => (self.run("rules.toml", text, &[check[0], check[1], "rules.toml"]), 0),
            Kind::Main => {
                text.split("[notify.").next().unwrap().clone_into(&mut self.main);
                (self.run("main.toml", text, &[check[0], check[1], "main.toml"]), 0)
            }
            Kind::Channel => {
                let whole = format!("{}{text}", self.main);
                (self.run("main.toml", &whole, &[check[0], check[1], "main.toml"]), 0)
            }
            Kind::Hook => {
                let whole = format!("{BESIDE_HOOKS}\n{text}");
                (self.run("hooks.toml", &whole, &[check[0], check[1], "hooks.toml"]), 0)
            }
            Kind::Test => {
                let whole = format!("rules = [\"rules.toml\"]\n\n{text}");
                (self.run("rules.test.toml", &whole, &["test", "rules.test.toml"]), 0)
            }
            Kind::Lint => {
                let strict = self.run("lint.toml", text, &[check[0], check[1], "lint.toml"]);
                self.expect(block, strict, 78);
                let found = self.run("lint.toml", text, &["check", "lint.toml"]);
                if !found.1.contains("lint: ") {
                    self.wrong.push(format!("line {}: there is no lint", block.line));
                }
                (found, 0)
            }
            Kind::Refused => (self.run("refused.toml", text, &["check", "refused.toml"]), 78),
            Kind::Alerts => {
                let output = format!("imported-{}.toml", block.line);
                let import = ["import", "prometheus", "alerts.yml", "--output", &output];
                let imported = self.run("alerts.yml", text, &import);
                let checked = rollguard(self.directory.path(), &["check", &output]);
                self.expect(block, (checked.status.code(), said(&checked)), 0);
                (imported, 0)
            }
            Kind::Answer => return self.compare(block),
        };
        self.expect(block, code, expected);
    }

    fn expect(&mut self, block: &Block, (code, said): (Option<i32>, String), expected: i32) {
        if code != Some(expected) {
            let line = block.line;
            self.wrong.push(format!("line {line}: exit {code:?}, not {expected}\n{said}"));
        }
        self.answer = Some(said);
    }

    fn compare(&mut self, block: &Block) {
        let said = self.answer.take().unwrap_or_default();
        if said.trim() != block.text.trim() {
            let line = block.line;
            self.wrong.push(format!("line {line}: this is not what was said\n{said}"));
        }
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn every_example_of_the_manual_does_what_the_manual_says() {
    let tests = read("docs/rules.md").iter().filter(|block| block.kind == Kind::Test).count();
    assert!(tests > 20, "only {tests} examples have tests");
}

#[test]
fn every_example_of_the_manual_of_hooks_is_in_order() {
    let hooks = read("docs/hooks.md").iter().filter(|block| block.kind == Kind::Hook).count();
    assert!(hooks >= 7, "only {hooks} examples have hooks");
}

/// Runs every block of a document; panics with what is wrong.
fn read(document: &str) -> Vec<Block> {
    let manual = fs::read_to_string(here(document)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut reader = Reader { directory, answer: None, main: String::new(), wrong: Vec::new() };
    let blocks = blocks(&manual).unwrap_or_else(|why| panic!("{document}, {why}"));
    blocks.iter().for_each(|block| reader.read(block));
    assert!(reader.wrong.is_empty(), "{document}\n{}", reader.wrong.join("\n"));
    blocks
}

#[test]
fn every_example_of_the_page_on_stages_does_what_the_page_says() {
    let blocks = read("docs/stages.md");
    assert!(blocks.iter().any(|block| block.kind == Kind::Test), "no example has a test");
}

#[test]
fn every_example_of_the_page_on_notifications_is_in_order() {
    let page = fs::read_to_string(here("docs/notifications.md")).unwrap();
    let blocks = read("docs/notifications.md");
    assert!(blocks.len() >= 10, "only {} blocks are run", blocks.len());
    for (word, _) in rollguard::model::channel::Change::ALL {
        assert!(page.contains(&format!("| `{word}` |")), "{word} is not explained");
    }
}

#[test]
fn a_block_that_nobody_runs_and_one_without_an_end_are_found() {
    assert!(blocks("a\n```toml\nx = 1\n```\n").unwrap_err().starts_with("line 2: nobody runs"));
    assert!(blocks("```toml rules\nx = 1\n").unwrap_err().contains("does not end"));
    let two = blocks("```text\n```\n```toml rules\nx = 1\n```\n").unwrap();
    assert_eq!((two.len(), two[0].kind, two[0].line), (1, Kind::Rules, 4));
}

/// The rules files that are shipped.
fn packs() -> Vec<String> {
    let names = fs::read_dir(here("rules")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_pack = |name: &String| {
        name.ends_with(".toml") && !name.ends_with(".test.toml") && !name.contains("example")
    };
    let mut names: Vec<String> = names.filter(is_pack).collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    names
}

/// The rules files that are shipped, and the profiles of stages.
fn packs_and_profiles() -> Vec<String> {
    let profiles = fs::read_dir(here("rules/profiles")).unwrap();
    let profiles = profiles.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let profiles = profiles.filter(|name| !name.ends_with(".test.toml"));
    let profiles: Vec<String> = profiles.map(|name| format!("profiles/{name}")).collect();
    assert_eq!(profiles.len(), 4, "{profiles:?}");
    [packs(), profiles].concat()
}

#[test]
fn every_pack_is_in_order_alone_and_beside_all_the_others() {
    let packs = packs();
    let alone = packs.iter().map(|pack| vec![pack.as_str()]);
    let together = std::iter::once(packs.iter().map(String::as_str).collect());
    for files in alone.chain(together) {
        let arguments = [vec!["check", "--deny-lints"], files].concat();
        let output = rollguard(&here("rules"), &arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{}", said(&output));
    }
}

#[test]
fn every_pack_has_tests_that_pass() {
    for pack in packs_and_profiles() {
        let tests = pack.replace(".toml", ".test.toml");
        let output = rollguard(&here("rules"), &["test", &tests]);
        assert_eq!(output.status.code(), Some(0), "{tests}\n{}", said(&output));
    }
}

/// The names of the rules that a file defines.
fn rules_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("[rule.")?.strip_suffix(']'))
}

#[test]
fn the_tables_of_the_packs_name_every_rule_and_nothing_else() {
    let readme = fs::read_to_string(here("rules/README.md")).unwrap();
    let mut named = BTreeSet::new();
    for line in readme.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [_, file, rule] = cells[..]
            && file.ends_with(".toml")
        {
            assert!(named.insert((file.to_owned(), rule.to_owned())), "{line} stands there twice");
        }
    }
    let mut defined = BTreeSet::new();
    for pack in packs_and_profiles() {
        let text = fs::read_to_string(here("rules").join(&pack)).unwrap();
        defined.extend(rules_of(&text).map(|rule| (pack.clone(), rule.to_owned())));
    }
    assert_eq!(named, defined);
}

#[test]
fn every_rule_of_a_pack_fires_in_one_of_its_tests() {
    for pack in packs_and_profiles() {
        let text = fs::read_to_string(here("rules").join(&pack)).unwrap();
        let tests = pack.replace(".toml", ".test.toml");
        let tests = fs::read_to_string(here("rules").join(tests)).unwrap();
        for rule in rules_of(&text) {
            let fires = format!("rule = \"{rule}\", state = \"firing\", decision = \"");
            let quiet = [
                format!("rule = \"{rule}\", state = \"inactive\""),
                format!("rule = \"{rule}\", decision = \"none\""),
                "decision = \"none\"".to_owned(),
            ];
            // A second rule of the same test fires without deciding: the first one decided.
            let after = format!("rule = \"{rule}\", state = \"firing\" }}");
            assert!(tests.contains(&fires) || tests.contains(&after), "{pack}: {rule} never fires");
            assert!(quiet.iter().any(|quiet| tests.contains(quiet)), "{pack}: {rule} never rests");
        }
    }
}
