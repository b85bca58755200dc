//! Who is told of what: the alerts that channels are sent, the hooks that tell people, and the
//! incident reports.

pub(crate) mod incident;
pub(crate) mod outbox;
