//! L1: composes the requests that each kind of channel sends of an alert, as plain values. A
//! request names its secrets and never holds one; `notify` sends it. Nothing here waits, tries
//! again or asks for the time.

mod alertmanager;
mod compose;
mod grafana;
mod opsgenie;
mod pagerduty;
mod reply;
mod request;
mod slack;
mod statuspage;
mod text;
mod webhook;

#[cfg(test)]
mod tests;

pub use alertmanager::Alerts;
pub use compose::{Memory, compose};
pub use reply::{Fate, fate, reference};
pub use request::{Address, ApiRequest, Header, OnAccepted, Outgoing, Repeat, Sender};
