//! The demo's directory: two releases, the link `current`, the configuration. It is private, and
//! it stays, because the report and the configuration are to be read afterwards.

#![expect(clippy::disallowed_methods, reason = "the owner of the demo's files")]

use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::daemon::write_whole;
use crate::journal::{journal_file, reports_dir};
use crate::toml_text::string;

/// How many directories of one name there may be before something is wrong with the place.
const MAX_TRIES: u32 = 100;

/// The file in a release that says how it behaves.
const RELEASE_FILE: &str = "release.json";

/// How a release behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) version: String,
    /// The share of requests that it answers with 500.
    pub(super) error_share: f64,
    /// How long it takes for a request on average, in milliseconds.
    pub(super) latency_ms: f64,
}

impl Release {
    /// The release that answers right now: whatever the link points to.
    pub(super) fn current(root: &Path) -> io::Result<Self> {
        let text = std::fs::read(root.join("current").join(RELEASE_FILE))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Programs that the hook calls, looked up as a shell would.
pub(super) fn programs() -> io::Result<[PathBuf; 2]> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let find = |name: &str| {
        let all = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
        let found = all.map(|directory| directory.join(name)).find(|file| file.is_file());
        found.ok_or_else(|| io::Error::other(format!("`{name}` is not in PATH")))
    };
    Ok([find("ln")?, find("mv")?])
}

/// The demo's directory.
#[derive(Clone, Debug)]
pub(super) struct DemoDirectory {
    pub(super) root: PathBuf,
}

impl DemoDirectory {
    /// Makes the directory with its releases; `current` points to the first.
    pub(super) fn create(releases: &[Release; 2]) -> io::Result<Self> {
        let directory = Self { root: fresh_directory(&std::env::temp_dir())? };
        for release in releases {
            let text = serde_json::to_string_pretty(release)? + "\n";
            let of_release = directory.at("releases").join(&release.version);
            write_whole(&of_release.join(RELEASE_FILE), &text)?;
        }
        directory.switch_to(&releases[0])?;
        Ok(directory)
    }

    /// What a pipeline does to switch to a release: a link made aside and moved into its place.
    pub(super) fn switch_to(&self, release: &Release) -> io::Result<()> {
        symlink(Path::new("releases").join(&release.version), self.at(".current.new"))?;
        std::fs::rename(self.at(".current.new"), self.at("current"))
    }

    /// Writes the configuration for an app on this port.
    pub(super) fn configure(&self, port: u16, [ln, mv]: [PathBuf; 2]) -> io::Result<()> {
        let app = format!("http://127.0.0.1:{port}");
        let path = |path: PathBuf| path.display().to_string();
        let values = [
            ("@STATE@", path(self.at("state"))),
            ("@CONTROL@", path(self.at("control"))),
            ("@METRICS@", format!("{app}/metrics")),
            ("@HEALTH@", format!("{app}/health")),
            ("@LN@", path(ln)),
            ("@MV@", path(mv)),
            ("@NEXT@", path(self.at(".current.new"))),
            ("@CURRENT@", path(self.at("current"))),
        ];
        let text = include_str!("rollguard.toml").to_owned();
        let text =
            values.iter().fold(text, |text, (name, value)| text.replace(name, &string(value)));
        write_whole(&self.config(), &text)?;
        write_whole(&self.at("rules.d/http.toml"), include_str!("http.toml"))
    }

    /// What is called so in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.at("rollguard.toml")
    }

    /// The report of a deployment.
    pub(super) fn report(&self, deployment: &str) -> PathBuf {
        reports_dir(&self.at("state")).join(format!("{deployment}.md"))
    }

    pub(super) fn journal(&self) -> PathBuf {
        journal_file(&self.at("state"))
    }
}

/// A directory that nobody else made or can write.
fn fresh_directory(parent: &Path) -> io::Result<PathBuf> {
    let pid = std::process::id();
    for number in 0..MAX_TRIES {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let path = parent.join(format!("rollguard-demo-{pid}{suffix}"));
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return std::path::absolute(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} is full of old demos", parent.display())))
}
