//! `[drill]`: what hooks are told when they are drilled.

use crate::model::drill::DrillSettings;
use crate::model::name::{ServiceName, Version};

use super::deployment::hook_named;
use super::named_table::KnownNames;
use crate::config::syntax::{ErrorSink, TomlTable};

/// Reads `[drill]`; the outer `None`: it is wrong, the inner one: it is not there.
pub(crate) fn drill(
    root: &TomlTable<'_>,
    hooks: &KnownNames,
    sink: &mut ErrorSink,
) -> Option<Option<DrillSettings>> {
    if root.get("drill").is_none() {
        return Some(None);
    }
    let table = root.subtable("drill", sink)?;
    table.check_keys(sink);
    let service = table.read("service", sink, |value, sink| value.name(sink, ServiceName::new));
    let mut version = |key| table.read(key, sink, |value, sink| value.name(sink, Version::new));
    let (version, good) = (version("version"), version("good"));
    let hook = table.opt("hook", sink, |value, sink| hook_named(value, hooks, sink));
    Some(Some(DrillSettings { service: service?, good: good?, version: version?, hook: hook? }))
}
