//! Composes what a channel sends of an alert. This is the only file that knows which kinds of
//! channels there are. A channel closes what it opened even if nobody asked it to tell of the end.

use crate::engine::effect::Telling;
use crate::model::alert::AlertAction;
use crate::model::channel::{Channel, System};

use super::context::{Context, EventAction, Sender};
use super::grafana::Grafana;
use super::pagerduty::PagerDuty;
use super::request::Outgoing;
use super::statuspage::Statuspage;
use super::{cloudevent, opsgenie, slack, webhook};

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
    let reference = memory.reference.as_deref();
    let event = event_action(channel, telling, memory).and_then(|action| {
        let news = &telling.news;
        compose_event(&channel.system, &Context { telling, news, action, reference, sender })
    });
    let change = match &channel.system {
        System::PagerDuty { url, routing_key, changes } => {
            PagerDuty { url, routing_key }.change_event(*changes, telling, sender)
        }
        System::Slack { .. }
        | System::Opsgenie { .. }
        | System::Alertmanager { .. }
        | System::Grafana { .. }
        | System::Statuspage { .. }
        | System::Webhook { .. }
        | System::CloudEvent { .. } => None,
    };
    event.into_iter().chain(change).collect()
}

fn compose_event(system: &System, cx: &Context<'_>) -> Option<Outgoing> {
    match system {
        System::Slack { url } => Some(slack::compose(url, cx)),
        System::PagerDuty { url, routing_key, .. } => PagerDuty { url, routing_key }.event(cx),
        System::Opsgenie { url, key } => opsgenie::compose(url, key, cx),
        System::Alertmanager { .. } => None,
        System::Grafana { url, token, dashboard, tags } => {
            let grafana = Grafana { url, token, dashboard: dashboard.as_deref(), tags };
            Some(grafana.compose(cx))
        }
        System::Statuspage { url, key, page, components, subscribers } => {
            Statuspage { url, key, page, components, subscribers: *subscribers }.compose(cx)
        }
        System::Webhook { url, headers } => Some(webhook::compose(url, headers, cx)),
        System::CloudEvent { url, source, headers } => {
            Some(cloudevent::compose(url, source, headers, cx))
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
