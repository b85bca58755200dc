//! TOML with places, and the texts inside it that have a syntax of their own: selectors and
//! templates. Diagnostics say what is wrong, where, and what to write instead.

pub(crate) mod context;
pub(crate) mod declaration;
pub(crate) mod diagnostic;
pub(crate) mod json;
pub(crate) mod regex_budget;
pub(crate) mod selector;
pub(crate) mod source;
pub(crate) mod table;
pub(crate) mod template;
pub(crate) mod value;

pub(crate) use context::ReadContext;
pub(crate) use diagnostic::{Diagnostic, DiagnosticLevel, Diagnostics, SourceFile, SourceSpan};
pub(crate) use table::TomlTable;
pub(crate) use template::template;
pub(crate) use value::{FromToml, TomlEntry, TomlValue, all, read_by};
