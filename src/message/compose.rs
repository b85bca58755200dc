//! Composes what a channel sends of an alert. This is the only file that knows which kinds of
//! channels there are. A channel closes what it opened even if nobody asked it to tell of the end.

use crate::engine::effect::Telling;
use crate::model::alert::AlertAction;
use crate::model::channel::{Channel, Sends, System};

use super::request::{Context, EventAction, Outgoing, Sender};
use super::{grafana, opsgenie, pagerduty, slack, statuspage, webhook};

/// What a channel remembers of the alerts under one dedup key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Whether an alert is open there.
    pub opened: bool,
    /// The identifier that the other system gave to it.
    pub reference: Option<String>,
}

/// Composes the requests that a channel sends of an alert, in order; often there are none.
/// Alertmanager is sent all active alerts instead, see [`Alerts`](super::Alerts).
pub fn compose(
    channel: &Channel,
    telling: &Telling,
    memory: &Memory,
    sender: &Sender,
) -> Vec<Outgoing> {
    let (news, reference) = (&*telling.news, memory.reference.as_deref());
    let event = event_action(channel, telling, memory).and_then(|action| {
        compose_event(&channel.system, &Context { telling, news, action, reference, sender })
    });
    let mut requests = Vec::from_iter(event);
    if let System::PagerDuty { url, routing_key, changes: Sends::Yes } = &channel.system {
        requests.extend(pagerduty::change_event(url, routing_key, telling, sender));
    }
    requests
}

fn compose_event(system: &System, cx: &Context<'_>) -> Option<Outgoing> {
    match system {
        System::Slack { url } => Some(slack::compose(url, cx)),
        System::PagerDuty { url, routing_key, .. } => pagerduty::event(url, routing_key, cx),
        System::Opsgenie { url, key } => opsgenie::compose(url, key, cx),
        System::Alertmanager { .. } => None,
        System::Grafana { url, token, dashboard, tags } => {
            Some(grafana::compose(url, token, dashboard.as_deref(), tags, cx))
        }
        System::Statuspage { url, key, page, components, subscribers } => {
            statuspage::compose(url, key, page, components, *subscribers, cx)
        }
        System::Webhook { url, headers } => Some(webhook::compose(url, headers, cx)),
        System::CloudEvent { url, source, headers } => {
            Some(webhook::compose_cloud_event(url, source, headers, cx))
        }
    }
}

/// What the channel has to do; `None`: nothing, because it was not asked to tell of this and has
/// nothing to close.
fn event_action(channel: &Channel, telling: &Telling, memory: &Memory) -> Option<EventAction> {
    let another_is_open = telling.open.iter().any(|change| channel.wants(*change));
    let action = match &telling.news.action {
        AlertAction::Resolve(_) | AlertAction::ResolveAll if memory.opened && !another_is_open => {
            return Some(EventAction::Resolve);
        }
        AlertAction::Trigger(_) => EventAction::Trigger,
        AlertAction::Resolve(_) | AlertAction::ResolveAll => EventAction::InformOfEnd,
        AlertAction::Inform => EventAction::Inform,
    };
    channel.wants(telling.news.change).then_some(action)
}
