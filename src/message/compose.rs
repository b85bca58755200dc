//! From news to what is sent of them on a channel: the one place that knows which system there is.
//! Whether a channel tells of news at all follows from what it was asked for, and from what stands
//! open on it: what was opened is closed, whether or not closing was asked for.

use crate::engine::effect::Telling;
use crate::model::alert::Turn;
use crate::model::channel::{Channel, System};

use super::request::Outgoing;
use super::{cloudevent, grafana, opsgenie, pagerduty, slack, statuspage, webhook};

/// What a channel knows of the matters under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Something stands open there.
    pub opened: bool,
    /// What the other system calls it.
    pub reference: Option<String>,
}

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The host's name.
    pub host: String,
    /// rollguard's version.
    pub rollguard: String,
}

/// What is sent of news on a channel, in order; often nothing. Alertmanager is not told of news but
/// of what stands, see [`Alerts`](super::Alerts).
#[must_use]
pub fn compose(
    channel: &Channel,
    telling: &Telling,
    memory: &Memory,
    sender: &Sender,
) -> Vec<Outgoing> {
    let step = step(channel, telling, memory);
    match &channel.system {
        System::Slack { url } => slack::compose(url, telling, step, sender),
        System::PagerDuty { url, routing_key, changes } => {
            let to = pagerduty::To { url, routing_key, changes: *changes };
            pagerduty::compose(&to, telling, step, sender)
        }
        System::Opsgenie { url, key } => opsgenie::compose(url, key, telling, step, sender),
        System::Alertmanager { .. } => Vec::new(),
        System::Grafana { url, token, dashboard, tags } => {
            let to = grafana::To { url, token, dashboard: dashboard.as_deref(), tags };
            grafana::compose(&to, telling, step, memory.reference.as_deref())
        }
        System::Statuspage { url, key, page, components, subscribers } => {
            let to = statuspage::To { url, key, page, components, subscribers: *subscribers };
            statuspage::compose(&to, telling, step, memory.reference.as_deref())
        }
        System::Webhook { url, headers } => webhook::compose(url, headers, telling, step, sender),
        System::CloudEvent { url, source, headers } => {
            let to = cloudevent::To { url, source, headers };
            cloudevent::compose(&to, telling, step, sender)
        }
    }
}

/// What news are to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It was not asked for them.
    Unasked,
    /// It was asked for them, and they open or close nothing.
    Passes,
    /// They open a matter that it was asked for.
    Opens,
    /// They close the last matter that it was told of.
    Closes,
    /// It was asked for them, and what they close was never open there, or more than that is.
    Ends,
}

pub(super) fn step(channel: &Channel, telling: &Telling, memory: &Memory) -> Step {
    let still = telling.open.iter().any(|change| channel.wants(*change));
    let wanted = channel.wants(telling.news.change);
    match telling.news.turn {
        Turn::Opens(_) if wanted => Step::Opens,
        Turn::Closes(_) | Turn::ClosesAll if memory.opened && !still => Step::Closes,
        Turn::Closes(_) | Turn::ClosesAll if wanted => Step::Ends,
        Turn::Passes if wanted => Step::Passes,
        Turn::Opens(_) | Turn::Closes(_) | Turn::ClosesAll | Turn::Passes => Step::Unasked,
    }
}
