//! Diagnostics: what is wrong with a configuration, where it stands and what to write instead,
//! shown the way compilers do. It must never quote more than the line that an operator wrote, and
//! never anything that a line refers to: what a file or a variable holds may be a secret.

use std::cmp::Reverse;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Element, Group, Origin, Renderer, Snippet};
use memchr::memchr_iter;

/// A configuration file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as it is shown.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiagnosticLevel {
    /// The configuration cannot be used.
    Error,
    /// It can, but it will hardly do what was meant.
    Lint,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// For terminals.
    Ansi,
    /// For everything else.
    Plain,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceSpan {
    /// The file's index in the list of files.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
}

impl SourceSpan {
    pub(crate) fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: DiagnosticLevel,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: SourceSpan,
    /// What stands beside the underline: most often what to write instead.
    pub label: Option<String>,
    /// Another place that belongs to it, and why.
    pub also: Option<Box<(SourceSpan, String)>>,
    /// Advice.
    pub help: Option<String>,
    /// Whether something is not there, which may be in a part that could not be read.
    pub(crate) is_missing: bool,
}

impl Diagnostic {
    /// A mistake within a text that has a syntax of its own, by the text's own offsets. Where the
    /// text stands in a file is known to [`TomlValue`](super::value::TomlValue).
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::error(SourceSpan::new(0, span), message)
    }

    pub(crate) fn error(span: SourceSpan, message: impl Into<String>) -> Self {
        let (level, message) = (DiagnosticLevel::Error, message.into());
        Self { level, message, span, label: None, also: None, help: None, is_missing: false }
    }

    pub(crate) fn lint(span: SourceSpan, message: impl Into<String>) -> Self {
        Self { level: DiagnosticLevel::Lint, ..Self::error(span, message) }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn also(mut self, span: SourceSpan, why: impl Into<String>) -> Self {
        self.also = Some(Box::new((span, why.into())));
        self
    }

    /// Labels the place with the nearest known name, where there is one.
    pub(crate) fn suggest<'n>(self, name: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        match nearest(name, known) {
            Some(near) => self.label(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// The most diagnostics that are shown. Nobody reads more, and a file that is not a configuration
/// at all must not fill a screen for minutes.
const MAX_SHOWN: usize = 100;

/// The longest line that is quoted; of a longer one the span is told. Each quote is laid out
/// letter by letter, and the longest condition fits into it twice, escapes and all.
const MAX_QUOTED: usize = 16 << 10;

/// Everything that is wrong with some files: errors in the order of the files, then lints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    files: Vec<SourceFile>,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn new(files: Vec<SourceFile>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by(|a, b| (a.level, &a.span).cmp(&(b.level, &b.span)));
        list.dedup();
        Self { files, list }
    }

    /// The same and one more, about one of the same files.
    #[must_use]
    pub fn and(mut self, diagnostic: Diagnostic) -> Self {
        self.list.push(diagnostic);
        Self::new(self.files, self.list)
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many there are of this level.
    pub fn count(&self, level: DiagnosticLevel) -> usize {
        self.list.iter().filter(|d| d.level == level).count()
    }

    /// The first error and where it stands, in a line: `rules.toml:12: unknown signal`. It quotes
    /// nothing of the file.
    pub fn first_error(&self) -> Option<String> {
        let first = self.list.iter().find(|d| d.level == DiagnosticLevel::Error)?;
        let file = &self.files[first.span.file];
        let start = first.span.start.min(file.text.len());
        let line = file.text[..start].matches('\n').count() + 1;
        Some(format!("{}:{line}: {}", file.path, first.message))
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them as text for people, one blank line after each.
    pub fn render(&self, color: Color) -> String {
        let renderer = match color {
            Color::Ansi => Renderer::styled(),
            Color::Plain => Renderer::plain(),
        };
        let mut text = String::new();
        for diagnostic in self.list.iter().take(MAX_SHOWN) {
            text.push_str(&renderer.render(&[self.group(diagnostic)]));
            text.push_str("\n\n");
        }
        if let Some(more @ 1..) = self.list.len().checked_sub(MAX_SHOWN) {
            text.push_str(&format!("and {more} more\n\n"));
        }
        text
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.level {
            DiagnosticLevel::Error => annotate_snippets::Level::ERROR,
            DiagnosticLevel::Lint => annotate_snippets::Level::WARNING.with_name("lint"),
        };
        let span = &diagnostic.span;
        let label = diagnostic.label.as_deref();
        let mut group = level.primary_title(&*diagnostic.message).element(self.snippet(
            span,
            label,
            AnnotationKind::Primary,
        ));
        if let Some((span, why)) = diagnostic.also.as_deref() {
            group = group.element(self.snippet(span, Some(why), AnnotationKind::Context));
        }
        if let Some(help) = &diagnostic.help {
            group = group.element(annotate_snippets::Level::HELP.message(&**help));
        }
        group
    }

    /// The first line of the place: more than that is not needed to find it, and the cost of
    /// showing it does not depend on the size of the file.
    fn snippet<'a>(
        &'a self,
        span: &SourceSpan,
        label: Option<&'a str>,
        kind: AnnotationKind,
    ) -> Element<'a> {
        let file = &self.files[span.file];
        let start = span.start.min(file.text.len());
        let line_start = file.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &file.text[line_start..];
        let line = rest[..rest.find('\n').unwrap_or(rest.len())].trim_end_matches('\r');
        let from = (start - line_start).min(line.len());
        let to = span.end.saturating_sub(line_start).clamp(from, line.len());
        let number = memchr_iter(b'\n', &file.text.as_bytes()[..line_start]).count() + 1;
        if line.len() > MAX_QUOTED {
            let column = line.get(..from).map_or(0, |before| before.chars().count()) + 1;
            return Origin::path(&*file.path).line(number).char_column(column).into();
        }
        let mark = kind.span(from..to).label(label);
        Snippet::source(line).path(&*file.path).line_start(number).annotation(mark).into()
    }
}

/// For how many mistyped names a near one is looked up. Whoever has more of them will have
/// understood.
pub(crate) const MAX_SUGGESTED: usize = 20;

/// The most known names that a mistyped one is compared with letter by letter: each takes some
/// microseconds. They are those that begin and end most alike.
const MAX_COMPARED: usize = 100;

/// The longest name that is compared: the work grows with the square.
const MAX_MISTYPED: usize = 48;

/// The known name that is nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if name.len() > MAX_MISTYPED {
        return None;
    }
    let name = name.to_lowercase();
    // Each letter more is one step of the distance.
    let length = name.chars().count();
    let reach = (length / 3).max(1);
    let similar = known.into_iter().filter(|o| o.chars().count().abs_diff(length) <= reach);
    let mut similar: Vec<&str> = similar.collect();
    if similar.len() > MAX_COMPARED {
        similar.sort_by_cached_key(|other| (Reverse(alike(&name, other)), *other));
        similar.truncate(MAX_COMPARED);
    }
    let distance = |other: &str| strsim::damerau_levenshtein(&name, &other.to_lowercase());
    let near = similar.into_iter().map(|other| (distance(other), other));
    near.filter(|(distance, _)| *distance <= reach).min().map(|(_, other)| other)
}

/// How many letters two names share at their starts and ends.
fn alike(one: &str, other: &str) -> usize {
    let same = |(a, b): &(u8, u8)| a.eq_ignore_ascii_case(b);
    let start = one.bytes().zip(other.bytes()).take_while(same).count();
    let end = one.bytes().rev().zip(other.bytes().rev()).take_while(same).count();
    start + end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str, span: Range<usize>) -> String {
        let file = SourceFile { path: "a.toml".into(), text: text.into() };
        let diagnostic = Diagnostic::error(SourceSpan::new(0, span), "wrong").label("here");
        Diagnostics::new(vec![file], vec![diagnostic]).render(Color::Plain)
    }

    #[test]
    fn a_diagnostic_shows_path_line_column_and_the_line_itself() {
        let expected = "\
error: wrong
 --> a.toml:2:3
  |
2 | x = y
  |   ^ here

";
        assert_eq!(render("first\nx = y\nlast", 8..9), expected);
        assert_eq!(render("first\r\nx = y\r\nlast", 9..10), expected);
    }

    #[test]
    fn a_place_at_the_end_of_a_file_or_over_several_lines_is_shown() {
        assert!(render("", 0..0).contains("a.toml:1:1"));
        assert!(render("a\n", 2..2).contains("a.toml:2:1"));
        assert!(render("ab\ncd\n", 1..6).contains("1 | ab\n  |  ^ here"));
    }

    #[test]
    fn the_first_error_is_told_with_its_file_and_line() {
        let file = SourceFile { path: "a.toml".into(), text: "first\nx = y\n".into() };
        let lint = Diagnostic::lint(SourceSpan::new(0, 0..1), "odd");
        let all = Diagnostics::new(vec![file.clone()], vec![lint.clone()]);
        assert_eq!(all.first_error(), None);
        let error = Diagnostic::error(SourceSpan::new(0, 8..9), "wrong");
        let all = Diagnostics::new(vec![file], vec![lint, error]);
        assert_eq!(all.first_error().as_deref(), Some("a.toml:2: wrong"));
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(nearest("eror_rate", ["p95", "error_rate"]), Some("error_rate"));
        assert_eq!(nearest("GOOD", ["good"]), Some("good"));
        assert_eq!(nearest("latency", ["p95", "error_rate"]), None);
        assert_eq!(nearest("fro", ["for", "owner"]), Some("for"));
    }
}
