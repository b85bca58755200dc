//! L1: what each system is told, as plain values: news in, requests out. A request names its
//! secrets and never holds one; sending is `notify`'s business. Nothing here waits, tries again
//! or asks for the time.

mod alertmanager;
mod cloudevent;
mod compose;
mod grafana;
mod key;
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
pub use compose::{Memory, Sender, compose};
pub use reply::{Fate, fate, reference};
pub use request::{Address, Header, Method, Outgoing, Repeat, Request, Then};
