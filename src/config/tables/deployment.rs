//! `[deployment]` and the settings at the top of the main file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::deployment::{Along, Arm, DeploymentSettings, Mode};
use crate::model::index::HookIx;
use crate::model::name::{ServiceName, Version};

use super::live::live;
use super::named::Listed;
use super::people;
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Fault, Item, Section};

/// How long a deployment is guarded where the configuration does not say: long enough for most
/// bad releases to show, and for every rule of the shipped packs.
pub(crate) const DEFAULT_BAKE: Duration = Duration::from_secs(3600);

/// How long no rule fires after arming where the configuration does not say: a restart, and a few
/// scrapes to fill windows with.
const DEFAULT_WARMUP: Duration = Duration::from_secs(15);

/// The longest bake and warm-up. A release that was good for a month is good.
const MAX_BAKE: Duration = Duration::from_secs(30 * 24 * 3600);

const MIN_BAKE: Duration = Duration::from_secs(1);

/// Where the daemon keeps and shows things. Paths that are not given are the shell's business: it
/// knows which directories the service manager made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The state directory.
    pub state: Option<PathBuf>,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// Page and metrics.
    pub listen: Listen,
}

/// Whether there is a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// None.
    Off,
    /// At this address.
    Addr(SocketAddr),
}

/// The page's address where the configuration does not say: this machine only.
const DEFAULT_LISTEN: Listen =
    Listen::Addr(SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9786));

/// Keys that only the main file has.
pub(crate) const MAIN_KEYS: [&str; 11] = [
    "mode",
    "rules",
    "rules_path",
    "state",
    "listen",
    "control",
    "deployment",
    "target",
    "hook",
    "notify",
    "drill",
];

/// Keys of every file.
pub(crate) const SHARED_KEYS: [&str; 3] = ["signal", "rule", "stage"];

/// The longest path of a Unix socket, in bytes: the system's 108 without the final NUL.
const MAX_SOCKET: usize = 107;

/// Checks the keys at the top of the main file and reads its settings.
pub(crate) fn settings(root: &Section<'_>, sink: &mut Sink) -> Option<(Mode, Settings)> {
    let misplaced = people::misplaced(root, sink);
    root.only(&[&MAIN_KEYS[..], &SHARED_KEYS, &misplaced].concat(), &[], sink);
    let mode = mode(root, sink);
    let state = root.opt("state", |item| item.path(sink));
    let control = root.opt("control", |item| socket(item, sink));
    let listen = root.or("listen", DEFAULT_LISTEN, |item| listen(item, sink));
    Some((mode?, Settings { state: state?, control: control?, listen: listen? }))
}

fn mode(root: &Section<'_>, sink: &mut Sink) -> Option<Mode> {
    let words = [Mode::Observe, Mode::Notify, Mode::Confirm, Mode::Auto];
    let words = words.map(|mode| (mode.to_string(), mode));
    let words = words.each_ref().map(|(word, mode)| (word.as_str(), *mode));
    root.or("mode", Mode::Observe, |item| item.choice(&words, &[], sink))
}

fn socket(item: Item<'_>, sink: &mut Sink) -> Option<PathBuf> {
    let path = item.path(sink)?;
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET {
        return Some(path);
    }
    let message = format!("a socket's path has {MAX_SOCKET} bytes at most, this has {length}");
    sink.report(Diagnostic::error(item.place(), message));
    None
}

fn listen(item: Item<'_>, sink: &mut Sink) -> Option<Listen> {
    item.text(sink)?.parse(sink, |text| match text {
        "off" => Ok(Listen::Off),
        _ => text.parse().map(Listen::Addr).map_err(|_| {
            Fault::new(0..text.len(), "not an address and a port")
                .help("write one like \"127.0.0.1:9786\", or \"off\"")
        }),
    })
}

/// Keys of `[deployment]`.
const KEYS: [&str; 16] = [
    "service",
    "arm",
    "bake",
    "warmup",
    "then",
    "good",
    "version",
    "notify",
    "live",
    "live_unknown",
    "confirm",
    "budget",
    "on_begin",
    "on_stage",
    "on_trip",
    "on_commit",
];

/// Reads `[deployment]`.
pub(crate) fn deployment(
    root: &Section<'_>,
    hooks: &Listed,
    mode: Option<Mode>,
    sink: &mut Sink,
) -> Option<DeploymentSettings> {
    let section = section(root, sink)?;
    section.only(&KEYS, &[], sink);
    let (confirm, budget) = (people::confirm(&section, mode, sink), people::budget(&section, sink));
    let service = section.required("service", sink);
    let service = service.and_then(|item| item.text(sink)?.name(sink, ServiceName::new));
    let words = [("deploy", Arm::Deploy), ("detect", Arm::Detect), ("always", Arm::Always)];
    let arm = section.or("arm", Arm::Deploy, |item| item.choice(&words, &[], sink));
    let bake = section.opt("bake", |item| item.duration_within(MIN_BAKE, MAX_BAKE, sink));
    let warmup = section
        .or("warmup", DEFAULT_WARMUP, |item| item.duration_within(Duration::ZERO, MAX_BAKE, sink));
    let mut hook = |key: &str| section.opt(key, |item| hook_named(item, hooks, sink));
    let (then, notify) = (hook("then"), hook("notify"));
    let along = along(&section, hooks, sink);
    let mut version =
        |key: &str| section.opt(key, |item| item.text(sink)?.name(sink, Version::new));
    let (good, version) = (version("good"), version("version"));
    let live = live(&section, sink);
    let arm = arm?;
    if let (Arm::Detect, Some(None)) = (arm, &live) {
        return nothing_to_detect(&section, sink);
    }
    if let (Arm::Deploy | Arm::Detect, Some(item)) = (arm, section.get("version")) {
        let error = Diagnostic::error(item.place(), "`version` is only for `arm = \"always\"`");
        let help = "otherwise `rollguard deploy begin` names the version, or it is what is live";
        sink.report(error.help(help));
        return None;
    }
    let bake = match arm {
        Arm::Deploy | Arm::Detect => Some(bake?.unwrap_or(DEFAULT_BAKE)),
        Arm::Always => bake?,
    };
    let (service, warmup) = (service?, warmup?);
    if bake.is_some_and(|bake| warmup >= bake) {
        return nothing_could_fire(&section, sink);
    }
    let (then, good, version, notify) = (then?, good?, version?, notify?);
    let (confirm, budget, along, live) = (confirm?, budget?, along?, live?);
    let settings = DeploymentSettings {
        service,
        arm,
        bake,
        warmup,
        then,
        good,
        version,
        notify,
        confirm,
        budget,
        along,
        live,
    };
    Some(settings)
}

/// The hooks that go along.
fn along(section: &Section<'_>, hooks: &Listed, sink: &mut Sink) -> Option<Along> {
    let mut hook = |key: &str| section.opt(key, |item| hook_named(item, hooks, sink));
    let (begin, stage) = (hook("on_begin"), hook("on_stage"));
    let (trip, commit) = (hook("on_trip"), hook("on_commit"));
    Some(Along { begin: begin?, stage: stage?, trip: trip?, commit: commit? })
}

fn nothing_could_fire<T>(section: &Section<'_>, sink: &mut Sink) -> Option<T> {
    let place = section.get("warmup").map_or(section.place.clone(), |item| item.place());
    let message = "the warm-up is not shorter than the bake, no rule could ever fire";
    sink.report(Diagnostic::error(place, message));
    None
}

fn nothing_to_detect<T>(section: &Section<'_>, sink: &mut Sink) -> Option<T> {
    let place = section.get("arm").map_or(section.place.clone(), |item| item.place());
    let error = Diagnostic::error(place, "`arm = \"detect\"` needs `live`");
    sink.report(error.help("write live = { symlink = \"/srv/api/current\" }, for example"));
    None
}

fn section<'a>(root: &Section<'a>, sink: &mut Sink) -> Option<Section<'a>> {
    let Some(entry) = root.entries().into_iter().find(|entry| entry.key == "deployment") else {
        let error = Diagnostic::error(root.place.clone(), "the file has no [deployment]");
        sink.missing(error.help("write [deployment] and service = \"NAME\" below it"));
        return None;
    };
    let mut section = entry.item.section("[deployment]", sink)?;
    section.place = entry.key_place();
    Some(section)
}

pub(crate) fn hook_named(item: Item<'_>, hooks: &Listed, sink: &mut Sink) -> Option<HookIx> {
    hooks.find("hook", item.text(sink)?, sink).map(HookIx)
}
