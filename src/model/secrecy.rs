//! Which secrets a configuration names, so that they can be kept out of whatever is shown. Where
//! they are kept is known here; what they are is not.

use super::channel::{Channel, System};
use super::live::LiveSource;
use super::plan::Plan;
use super::step::SecretPart;
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
        let secrets = steps.flat_map(|step| step.action.secrets());
        kept.extend(secrets.map(|(part, secret)| match part {
            SecretPart::Url => Kept::Url(secret.clone()),
            SecretPart::Header(_) | SecretPart::Body => Kept::Text(secret.clone()),
        }));
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
