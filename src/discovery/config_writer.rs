//! What is going to be written: sections of prose and tables. What is not to count is there all the
//! same, as comments that become right by taking the `#` away: prose begins with `# `, tables that
//! are switched off with `#` alone.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::text::{comment, string};

/// Whether a section counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Active {
    Yes,
    /// It is there to be read, and to be switched on by a person.
    No,
}

/// `[signal.NAME]` or `[rule.NAME]` and what is below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    header: String,
    rows: Vec<(&'static str, String)>,
}

impl Table {
    pub(super) fn new(header: impl Into<String>) -> Self {
        Self { header: header.into(), rows: Vec::new() }
    }

    pub(super) fn signal(name: &str, description: &str) -> Self {
        Self::new(format!("signal.{name}")).text("description", description)
    }

    pub(super) fn rule(name: &str, description: &str, when: &str) -> Self {
        let table = Self::new(format!("rule.{name}"));
        table.text("description", description).text("when", when)
    }

    /// A value that is a string.
    pub(super) fn text(self, key: &'static str, value: &str) -> Self {
        self.raw(key, string(value))
    }

    /// A value as TOML writes it.
    pub(super) fn raw(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.rows.push((key, value.into()));
        self
    }

    fn written(&self) -> String {
        let mut out = format!("[{}]\n", self.header);
        let width = self.rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        for (key, value) in &self.rows {
            writeln!(out, "{key:width$} = {value}").expect("a String takes everything");
        }
        out
    }
}

/// Prose and the tables below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// Paragraphs.
    pub(super) prose: Vec<String>,
    pub(super) tables: Vec<Table>,
    pub(super) active: Active,
}

/// Sections under headings, and the names that they took.
#[derive(Debug, Default)]
pub(super) struct Draft {
    out: String,
    signals: BTreeSet<String>,
    rules: BTreeSet<String>,
}

impl Draft {
    pub(super) fn heading(&mut self, title: &str) {
        let line = format!("# --- {title} ");
        let dashes = "-".repeat(80_usize.saturating_sub(line.len()));
        self.out.push_str(&format!("\n{line}{dashes}\n"));
    }

    pub(super) fn section(&mut self, section: &Section) {
        self.out.push('\n');
        let prose: Vec<String> = section.prose.iter().map(|text| comment(text)).collect();
        self.out.push_str(&prose.join("#\n"));
        let tables: Vec<String> = section.tables.iter().map(Table::written).collect();
        let tables = tables.join("\n");
        match section.active {
            Active::Yes => self.out.push_str(&tables),
            Active::No => {
                for line in tables.lines() {
                    self.out.push('#');
                    self.out.push_str(line);
                    self.out.push('\n');
                }
            }
        }
    }

    pub(super) fn note(&mut self, text: &str) {
        self.section(&Section {
            prose: vec![text.to_owned()],
            tables: Vec::new(),
            active: Active::Yes,
        });
    }

    /// The name for a signal, or the next one that is free.
    pub(super) fn signal(&mut self, name: &str) -> String {
        free(&mut self.signals, name, '_')
    }

    /// The name for a rule, or the next one that is free.
    pub(super) fn rule(&mut self, name: &str) -> String {
        free(&mut self.rules, name, '-')
    }

    pub(super) fn written(self) -> String {
        self.out
    }
}

fn free(taken: &mut BTreeSet<String>, name: &str, joint: char) -> String {
    let others = (2..).map(|number| format!("{name}{joint}{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(others);
    let name = names.find(|name| !taken.contains(name)).expect("numbers do not run out");
    taken.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_right_without_its_marks() {
        let mut draft = Draft::default();
        let name = draft.signal("a");
        let tables = vec![Table::signal(&name, "x \"y\"").raw("value", "1")];
        draft.section(&Section { prose: vec!["why".into()], tables, active: Active::No });
        let expected = "\n# why\n#[signal.a]\n#description = \"x \\\"y\\\"\"\n#value       = 1\n";
        assert_eq!((draft.signal("a").as_str(), draft.rule("a").as_str()), ("a_2", "a"));
        assert_eq!(draft.written(), expected);
    }
}
