//! `[drill]`: what hooks are told when they are drilled.

use crate::model::drill::DrillSettings;
use crate::model::name::{ServiceName, Version};

use super::deployment::hook_named;
use super::named::Listed;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::Section;

/// The table's keys.
const KEYS: [&str; 4] = ["service", "version", "good", "hook"];

/// Reads `[drill]`; the outer `None`: it is wrong, the inner one: it is not there.
pub(crate) fn drill(
    root: &Section<'_>,
    hooks: &Listed,
    sink: &mut Sink,
) -> Option<Option<DrillSettings>> {
    let Some(entry) = root.entries().into_iter().find(|entry| entry.key == "drill") else {
        return Some(None);
    };
    let mut section = entry.item.section("[drill]", sink)?;
    section.place = entry.key_place();
    section.only(&KEYS, &[], sink);
    let service = section.required("service", sink);
    let service = service.and_then(|item| item.text(sink)?.name(sink, ServiceName::new));
    let mut version = |key: &str| {
        let item = section.required(key, sink)?;
        item.text(sink)?.name(sink, Version::new)
    };
    let (version, good) = (version("version"), version("good"));
    let hook = section.opt("hook", |item| hook_named(item, hooks, sink));
    let (service, version, good, hook) = (service?, version?, good?, hook?);
    Some(Some(DrillSettings { service, good, version, hook }))
}
