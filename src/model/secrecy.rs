//! Which secrets a configuration names, so that they can be kept out of whatever is shown. Where
//! they are kept is known here; what they are is not.

use super::channel::{Channel, System};
use super::hook::Action;
use super::live::LiveSource;
use super::plan::Plan;
use super::step::{Body, Wording};
use super::target::Secret;

/// A secret by what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A token, a key, a whole body.
    Text(Secret),
    /// A URL, parts of which are secrets on their own.
    Url(Secret),
}

/// What a header's name has in it whose value is a secret even where it is written out.
const SECRET_HEADERS: [&str; 5] = ["auth", "token", "key", "cookie", "secret"];

impl Plan {
    /// Every secret that the configuration names.
    #[must_use]
    pub fn secrets(&self) -> Vec<Kept> {
        let mut kept = Vec::new();
        self.targets.iter().for_each(|target| of_headers(&target.headers, &mut kept));
        if let Some(LiveSource::Http(http)) = self.deployment.live.as_ref().map(|l| &l.source) {
            of_headers(&http.headers, &mut kept);
        }
        let steps = self.hooks.iter().flat_map(|hook| &hook.steps);
        steps.for_each(|step| of_action(&step.action, &mut kept));
        self.channels.iter().for_each(|channel| of_channel(channel, &mut kept));
        // Written in the configuration, a URL is there for everybody who may read that.
        kept.retain(|kept| !matches!(kept, Kept::Url(Secret::Literal(_))));
        kept
    }
}

fn of_headers(headers: &[(String, Secret)], kept: &mut Vec<Kept>) {
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let is_secret = match value {
            Secret::Literal(_) => SECRET_HEADERS.iter().any(|part| name.contains(part)),
            Secret::File(_) | Secret::Env(_) => true,
        };
        if is_secret {
            kept.push(Kept::Text(value.clone()));
        }
    }
}

fn of_wordings<'a, T: 'a>(
    wordings: impl IntoIterator<Item = &'a Wording<T>>,
    kept: &mut Vec<Kept>,
) {
    for wording in wordings {
        match wording {
            Wording::Open(_) => {}
            Wording::Secret(secret) => kept.push(Kept::Text(secret.from.clone())),
        }
    }
}

fn of_action(action: &Action, kept: &mut Vec<Kept>) {
    match action {
        Action::Probe { headers, .. } => of_wordings(headers.iter().map(|(_, text)| text), kept),
        Action::Http(call) => {
            if let Wording::Secret(secret) = &call.url {
                kept.push(Kept::Url(secret.from.clone()));
            }
            of_wordings(call.headers.iter().map(|(_, text)| text), kept);
            match &call.body {
                Body::Text(text) => of_wordings([text], kept),
                Body::Json(_) | Body::Empty => {}
            }
        }
        Action::Run { .. } | Action::Tcp { .. } | Action::Unix(_) | Action::Sleep(_) => {}
    }
}

fn of_channel(channel: &Channel, kept: &mut Vec<Kept>) {
    match &channel.system {
        System::Slack { url } => kept.push(Kept::Url(url.clone())),
        System::PagerDuty { routing_key, .. } => kept.push(Kept::Text(routing_key.clone())),
        System::Opsgenie { key, .. } | System::Statuspage { key, .. } => {
            kept.push(Kept::Text(key.clone()));
        }
        System::Grafana { token, .. } => kept.push(Kept::Text(token.clone())),
        System::Alertmanager { headers, .. } => of_headers(headers, kept),
        System::Webhook { url, headers } | System::CloudEvent { url, headers, .. } => {
            kept.push(Kept::Url(url.clone()));
            of_headers(headers, kept);
        }
    }
}
