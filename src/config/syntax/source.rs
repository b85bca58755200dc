//! Files of text as TOML trees.

use toml::Spanned;
use toml::de::DeTable;

use super::context::{MAX_SYNTAX, ReadContext};
use super::declaration::declaration;
use super::diagnostic::{SourceFile, SourceSpan};
use super::table::TomlTable;

/// The text without a byte order mark.
pub(crate) fn body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The files, each without a byte order mark.
pub(crate) fn without_bom<'f>(files: impl Iterator<Item = &'f SourceFile>) -> Vec<SourceFile> {
    let clean =
        |f: &SourceFile| SourceFile { path: f.path.clone(), text: body(&f.text).to_owned() };
    files.map(clean).collect()
}

/// The tree of a file as far as it is TOML. What is not is reported.
pub(crate) fn parse<'t>(cx: &ReadContext, file: usize, text: &'t str) -> Spanned<DeTable<'t>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(MAX_SYNTAX) {
        let span = error.span().unwrap_or(text.len()..text.len());
        cx.syntax(text, SourceSpan::new(file, span), error.message());
    }
    tree
}

/// Reads a part of a main file, whatever else may be wrong with it.
pub(crate) fn read_part<T>(main: &SourceFile, read: impl FnOnce(&TomlTable<'_>) -> T) -> T {
    let text = body(&main.text);
    let (tree, _) = DeTable::parse_recoverable(text);
    let cx = ReadContext::default();
    read(&TomlTable::root(&cx, 0, text, tree.get_ref(), declaration("main")))
}
