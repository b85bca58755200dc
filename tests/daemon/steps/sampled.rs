//! What stands on a metrics page is written by whoever can make a request. Nothing of it reaches a
//! program's arguments or environment, a request, a line for a socket or the name of a file, even
//! where it is what a rule tells groups apart by.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::support::bench::Server;
use crate::support::world::World;

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Every placeholder, for what takes any and for a line, which takes no reason.
const ALL: &str = "{service} {version} {good} {deployment} {stage} {rule} {reason} {key} {attempt}";
const OF_A_LINE: &str = "{service} {version} {good} {deployment} {stage} {rule} {key} {attempt}";

const DUMP: &str = "#!/bin/sh\ndir=$(dirname \"$0\")\ncat > \"$dir/document\"\n\
                    tr '\\0' '\\n' < /proc/$$/cmdline > \"$dir/argv\"\n\
                    tr '\\0' '\\n' < /proc/$$/environ > \"$dir/environment\"\n";

/// A socket that keeps what it was sent.
fn listen(path: &Path) -> Arc<Mutex<String>> {
    let listener = UnixListener::bind(path).unwrap();
    let said = Arc::<Mutex<String>>::default();
    let shared = said.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            shared.lock().unwrap().push_str(&text);
        }
    });
    said
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        }
        files.push(path);
    }
    files
}

#[test]
fn nothing_sampled_reaches_a_hook_though_a_rule_tells_groups_apart_by_it() {
    let Some(world) = World::new(&[]) else { return };
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(OK.as_bytes());
    });
    let lines = listen(&world.path("socket"));
    fs::write(world.path("dump"), DUMP).unwrap();
    fs::set_permissions(world.path("dump"), fs::Permissions::from_mode(0o755)).unwrap();
    let words = ALL.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let steps = format!(
        "{{ run = [\"DIR/dump\", {words}] }},\n\
         {{ http = {{ method = \"POST\", url = \"{}/{{version}}?good={{good}}&rule={{rule}}\", \
         headers = {{ x-all = \"{ALL}\" }}, json = {{ all = \"{ALL}\" }} }} }},\n\
         {{ unix = {{ path = \"DIR/socket\", send = [\"{OF_A_LINE}\"] }} }},\n{STEP}",
        server.url
    );
    world.configure(&[
        (STEP, &steps),
        ("window = \"500ms\"", "window = \"500ms\"\nby = [\"path\"]"),
        // Not what was served before there was the file.
        ("{status=~\"5..\"}'", "{status=~\"5..\",path!=\"/\"}'"),
        ("to = 'http_requests_total'", "to = 'http_requests_total{path!=\"/\"}'"),
    ]);
    let pwned = world.path("pwned").display().to_string();
    let evil =
        format!("EVIL$(touch {pwned})`touch {pwned}`\";'\n../../EVIL\r\n; touch {pwned} #{{good}}");
    fs::write(world.path("path"), evil).unwrap();
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    // It is what the rule fired for, and people are shown so.
    let decided = world.entries("decided").remove(0);
    assert!(decided["data"].to_string().contains("EVIL"), "{decided}");
    for name in ["argv", "environment"] {
        let text = fs::read_to_string(world.path(name)).unwrap();
        assert!(!text.is_empty() && !text.contains("EVIL"), "{name}: {text}");
    }
    let request = server.requests().remove(0);
    assert!(request.contains("/hook/v2?good=v1&rule=error-rate") && !request.contains("EVIL"));
    let line = lines.lock().unwrap().clone();
    assert_eq!(line, "api v2 v1 d1  error-rate d1/rollback/2 1\n");
    let document = fs::read_to_string(world.path("document")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok(), "{document}");
    let paths = files_below(&world.path(""));
    assert!(paths.iter().all(|path| !path.to_string_lossy().contains("EVIL")), "{paths:?}");
    assert!(!world.path("pwned").exists());
}
