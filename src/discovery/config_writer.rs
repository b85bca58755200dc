//! Writes the configuration: sections of prose and the tables below them. A section that is not to
//! count is written all the same, as comments that become right once the `#` is taken away: prose
//! begins with `# `, a table that is switched off with `#` alone.

use super::text::COLUMNS;
use crate::toml_text::{Table, UniqueNames, comment};

/// `[signal.NAME]`.
pub(super) fn signal_table(name: &str, description: &str) -> Table {
    Table::new(format!("signal.{name}")).text("description", description)
}

/// `[rule.NAME]`.
pub(super) fn rule_table(name: &str, description: &str, when: &str) -> Table {
    Table::new(format!("rule.{name}")).text("description", description).text("when", when)
}

/// Prose and the tables below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConfigSection {
    /// Paragraphs.
    pub(super) prose: Vec<String>,
    pub(super) tables: Vec<Table>,
    /// Whether it counts; else it is there to be read, and to be switched on by a person.
    pub(super) active: bool,
}

impl ConfigSection {
    /// A section that counts.
    pub(super) fn new(prose: impl Into<String>, tables: Vec<Table>) -> Self {
        Self { prose: vec![prose.into()], tables, active: true }
    }

    /// The section, switched off.
    pub(super) fn off(self) -> Self {
        Self { active: false, ..self }
    }
}

/// The configuration as far as it is written, and the names that are taken.
#[derive(Debug, Default)]
pub(super) struct ConfigWriter {
    pub(super) out: String,
    signals: UniqueNames,
    rules: UniqueNames,
}

impl ConfigWriter {
    pub(super) fn heading(&mut self, title: &str) {
        let line = format!("# --- {title} ");
        let dashes = "-".repeat(COLUMNS.saturating_sub(line.len()));
        self.out += &format!("\n{line}{dashes}\n");
    }

    pub(super) fn section(&mut self, section: &ConfigSection) {
        let prose: Vec<_> = section.prose.iter().map(|text| comment(text, COLUMNS)).collect();
        self.out += &format!("\n{}", prose.join("#\n"));
        let tables: Vec<_> = section.tables.iter().map(Table::to_string).collect();
        let mark = if section.active { "" } else { "#" };
        for line in tables.join("\n").lines() {
            self.out += &format!("{mark}{line}\n");
        }
    }

    pub(super) fn note(&mut self, text: &str) {
        self.section(&ConfigSection::new(text, Vec::new()));
    }

    /// Takes this name for a signal, or the next one that is free.
    pub(super) fn signal(&mut self, name: &str) -> String {
        self.signals.take(&[name.to_owned()], '_')
    }

    /// Takes this name for a rule, or the next one that is free.
    pub(super) fn rule(&mut self, name: &str) -> String {
        self.rules.take(&[name.to_owned()], '-')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_right_without_its_marks() {
        let mut writer = ConfigWriter::default();
        let name = writer.signal("a");
        let tables = vec![signal_table(&name, "it's \"y\"").raw("value", "1")];
        writer.section(&ConfigSection::new("why", tables).off());
        let expected =
            "\n# why\n#[signal.a]\n#description = \"it's \\\"y\\\"\"\n#value       = 1\n";
        assert_eq!((writer.signal("a").as_str(), writer.rule("a").as_str()), ("a_2", "a"));
        assert_eq!(writer.out, expected);
    }
}
