//! `rollguard init`: looks at a live metrics page and writes a configuration that fits it. What is
//! on the page decides what is watched, never where anything is written or what is run.

#![expect(clippy::disallowed_methods, reason = "the owner of the file that it writes")]

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::check::count;
use super::client::with_runtime;
use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::clock::Clock;
use crate::config::{Color, DiagnosticLevel, SourceFile, compile};
use crate::discovery::{ConfigRequest, PageFamilies, RequestsFound, configuration};
use crate::model::name::ServiceName;
use crate::model::scrape::{self, FailureClass, Page};
use crate::model::target::Target;
use crate::source::scrape_once;

/// How the file may be read and written; nothing in it is secret.
const MODE: u32 = 0o644;

/// Where the file is written unless another is named.
const DEFAULT_OUTPUT: &str = "rollguard.toml";

/// The service where neither the person nor the URL names it.
const DEFAULT_SERVICE: &str = "app";

/// Time for the one scrape, four fifths of it: a page that a person asks for may take longer than
/// one that is sampled every second.
const PATIENCE: &str = "15s";

/// Look at a live metrics page and write a commented configuration that fits it.
#[derive(Args)]
#[command(after_help = "\
The page is read once. What the common client libraries, proxies and exporters
call things is known; the file says what was found, what was chosen and why. It
observes and runs nothing until you write the hook and change `mode`.

Examples:
  rollguard init http://127.0.0.1:9000/metrics
  rollguard init http://api.example:9000/metrics --service api --force
  rollguard init http://127.0.0.1:9000/metrics --output -

Exit codes: 0 written, 1 failed, 2 usage.")]
pub(super) struct InitArgs {
    /// The metrics page
    url: String,
    /// The guarded service [default: the URL's host, or app]
    #[arg(long, value_name = "NAME", value_parser = ServiceName::new)]
    service: Option<ServiceName>,
    /// Where to write; - for stdout
    #[arg(long, value_name = "FILE", default_value = DEFAULT_OUTPUT)]
    output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// What went wrong stands after "failed to".
fn failed(message: impl Display) -> CommandError {
    CommandError::failed(format_args!("failed to {message}"))
}

/// The same, with what may help.
fn hinted(message: impl Display, hint: impl Display) -> CommandError {
    failed(format_args!("{message}\nhelp: {hint}"))
}

pub(super) fn run(args: &InitArgs) -> Ended {
    let target = target(&args.url)?;
    let flags = if args.force { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
    let file = (args.output.as_os_str() != "-").then_some(args.output.as_path());
    // Asked before the page is: an answer that cannot be written is worth nothing.
    if let Some(file) = file {
        may_write(file, flags)?;
    }
    let page = fetch(&target)?;
    let service = args.service.clone().unwrap_or_else(|| service_of(target.kind.host()));
    let url = target.kind.to_string();
    let request = ConfigRequest { url: &url, service: &service };
    let written = configuration(&PageFamilies::read(&page), request);
    let parts = verify(&written.text)?;
    match file {
        Some(file) => {
            write(file, flags, &written.text).map_err(|error| cannot_write(file, &error))?;
            out::note(&format!("wrote {}: {parts}", file.display()));
        }
        None => {
            out::print(&written.text)?;
        }
    }
    remark(&page, written.found);
    Ok(exit::OK)
}

/// The page as a target of a configuration, so that the URL is judged by the same code.
fn target(url: &str) -> Result<Target, CommandError> {
    let url_written = crate::toml_text::string(url);
    let text = format!(
        "[deployment]\nservice = \"x\"\n[target.page]\nscrape = {url_written}\n\
         interval = \"{PATIENCE}\"\n"
    );
    let file = SourceFile { path: String::new(), text };
    let compiled = compile(&file, &[]).map_err(|wrong| {
        let first = wrong.iter().find(|found| found.level == DiagnosticLevel::Error);
        let message = first.map_or("", |found| found.message.as_str());
        let hint = first.and_then(|found| found.help.as_ref());
        let hint = hint.map(|hint| format!("\nhelp: {hint}")).unwrap_or_default();
        let url = url.escape_debug();
        CommandError::new(
            exit::USAGE,
            format_args!("failed to use the URL `{url}`: {message}{hint}"),
        )
    })?;
    Ok(compiled.plan.targets.into_iter().next().expect("the text has one target"))
}

fn fetch(target: &Target) -> Result<Page, CommandError> {
    let scrape = with_runtime(async { Ok(scrape_once(target, None, Clock::start()).await) })?;
    let page = scrape.result.map_err(|failure| unread(target, &failure))?;
    if page.sample_count == 0 {
        return Err(hinted(
            format_args!("find anything on {}: it holds no sample", target.kind),
            "is it a metrics page in the Prometheus format?",
        ));
    }
    Ok(page)
}

fn unread(target: &Target, failure: &scrape::Failure) -> CommandError {
    let hint = match failure.class {
        FailureClass::Refused => "is the service running, and is that the port of its metrics?",
        FailureClass::TimedOut => "is the address right, and does a firewall let it through?",
        FailureClass::Dns => "is the host's name right, and known on this machine?",
        FailureClass::Tls => "is the page served over https, by a certificate trusted here?",
        FailureClass::Status => "is the path right? most services serve their page at /metrics",
        FailureClass::Malformed => "is it a metrics page in the Prometheus format?",
        FailureClass::TooLarge => "is it a metrics page? 64 MiB and 200000 samples are the most",
        FailureClass::Broken => "does the service answer `curl` with the same URL?",
    };
    let scrape::Failure { class, detail } = failure;
    hinted(format_args!("read {}: {class}: {detail}", target.kind), hint)
}

/// The first word of the host's name. An address is no name.
fn service_of(host: &str) -> ServiceName {
    let first = host.split('.').next().unwrap_or_default();
    let named = host.parse::<IpAddr>().is_err() && first != "localhost";
    let name = if named { ServiceName::new(first).ok() } else { None };
    name.unwrap_or_else(|| ServiceName::new(DEFAULT_SERVICE).expect("the constant is a name"))
}

/// Compiles what was written, as `check` would, and says what is in it.
fn verify(text: &str) -> Result<String, CommandError> {
    let file = SourceFile { path: DEFAULT_OUTPUT.to_owned(), text: text.to_owned() };
    let compiled = compile(&file, &[]).map_err(|wrong| {
        let wrong = wrong.render(Color::Plain);
        hinted(
            format_args!("make a configuration that passes `rollguard check`:\n{wrong}"),
            "this is a mistake in rollguard: please report it with the page",
        )
    })?;
    let plan = compiled.plan;
    let (signals, rules) = (plan.signals.len(), plan.rules.len());
    Ok(format!("{}, {}", count(signals, "signal"), count(rules, "rule")))
}

/// Refuses what is there and may not be replaced, and what is no file at all.
fn may_write(file: &Path, flags: RenameFlags) -> Result<(), CommandError> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => {
            Err(failed(format_args!("write {}: it is not a file", file.display())))
        }
        Ok(_) if flags == RenameFlags::NOREPLACE => {
            Err(cannot_write(file, &io::Error::from(io::ErrorKind::AlreadyExists)))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn cannot_write(file: &Path, error: &io::Error) -> CommandError {
    let file = file.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return hinted(
            format_args!("write {file}: the file exists"),
            "name another with --output, or write over it with --force",
        );
    }
    failed(format_args!("write {file}: {error}"))
}

/// Writes the whole file or none of it: beside its place first, then moved there. A link is
/// followed, so that what it leads to is replaced and not the link.
fn write(file: &Path, flags: RenameFlags, text: &str) -> io::Result<()> {
    let place = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    let beside = place.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let mut new = File::options().write(true).create_new(true).mode(MODE).open(&beside)?;
    let done = new
        .write_all(text.as_bytes())
        // Whatever the umask takes away: others may read it.
        .and_then(|()| new.set_permissions(fs::Permissions::from_mode(MODE)))
        .and_then(|()| new.sync_all())
        .and_then(|()| Ok(renameat_with(CWD, &beside, CWD, &place, flags)?));
    if done.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&beside));
    }
    done
}

/// What a person should know beside the file.
fn remark(page: &Page, found: RequestsFound) {
    if page.malformed_count > 0 {
        let lines = count(page.malformed_count, "malformed line");
        out::note(&format!(
            "note: {lines} of the page left out; `rollguard debug exposition` shows why"
        ));
    }
    match found {
        RequestsFound::Errors => {}
        RequestsFound::RequestsAlone => {
            out::note("note: requests are counted, but not how they ended: no rule over errors");
        }
        RequestsFound::NoRequests => {
            out::note("note: nothing on the page counts requests: no rule over errors");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_named_by_the_host_unless_that_is_no_name() {
        let check = |url: &str, expected: &str| {
            let target = target(url).unwrap_or_else(|stop| panic!("{}", stop.text));
            assert_eq!(service_of(target.kind.host()).as_str(), expected, "{url}");
        };
        check("http://api.prod.example:9000/metrics", "api");
        check("http://localhost:9000/metrics", "app");
        check("http://127.0.0.1:9000/metrics", "app");
        check("http://[::1]:9000/metrics", "app");
    }

    #[test]
    fn a_url_is_judged_as_in_a_configuration() {
        let message = |url: &str| {
            let stop = target(url).err().unwrap();
            stop.text.lines().next().unwrap().to_owned()
        };
        assert_eq!(
            message("ftp://h"),
            "error: failed to use the URL `ftp://h`: not an http or https URL"
        );
        assert_eq!(message(""), "error: failed to use the URL ``: an empty string says nothing");
        assert!(message("http://h/\"\n[x]").contains("this character does not stand in a URL"));
    }
}
