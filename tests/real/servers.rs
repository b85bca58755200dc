//! Steps against the systems that they are made for: each goes through the whole daemon, and what
//! it did is read from the system itself.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::common::{KillOnDrop, free_port, real, wait_for};
use crate::support::world::{LONG, World};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;

/// A server of its own, in the directory of the test.
pub(crate) fn start(world: &World, program: &Path, arguments: &[&str]) -> KillOnDrop {
    let log = fs::File::create(world.path("server.log")).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).current_dir(world.path(""));
    KillOnDrop(command.spawn().unwrap())
}

/// What an HTTP server answers, head and all; `None`: it does not.
fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    ask(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))
}

#[test]
fn a_current_link_is_switched_without_a_gap() {
    let steps = r#"{ run = ["ln", "-s", "{good}", "DIR/current.{attempt}"] },
        { run = ["mv", "-T", "DIR/current.1", "DIR/current"] },"#;
    let Some(world) = World::new(&[(STEP, steps)]) else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("v1"));
}

/// The state of a server that people set, by `show servers state`; bit 0: it is in maintenance.
pub(crate) fn haproxy_state(socket: &Path, server: &str) -> Option<u32> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(b"show servers state be\n").ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut table = String::new();
    stream.read_to_string(&mut table).ok()?;
    // be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state …
    let row = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    row.into_iter().find(|row| row.get(3) == Some(&server))?.get(6)?.parse().ok()
}

#[test]
fn haproxy_sends_traffic_back_the_good_one_first() {
    let Some(haproxy) = real("haproxy") else { return };
    let Some(world) = World::new(&[]) else { return };
    let socket = world.path("admin.sock");
    let config = format!(
        "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  \
         timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nbackend be\n  \
         server v1 127.0.0.1:{port} disabled\n  server v2 127.0.0.1:{port}\n",
        socket.display(),
        port = world.app.port
    );
    fs::write(world.path("haproxy.cfg"), config).unwrap();
    let _haproxy = start(&world, &haproxy, &["-db", "-f", "haproxy.cfg"]);
    wait_for(LONG, "haproxy", || haproxy_state(&socket, "v1"));
    assert_eq!(haproxy_state(&socket, "v2"), Some(0));
    let unix = r#"{ unix = { path = "DIR/admin.sock", send = [
        "set server be/{good} state ready",
        "set server be/{version} state maint",
    ] }, idempotent = true },"#;
    world.configure(&[(STEP, &format!("{unix}\n{STEP}"))]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(haproxy_state(&socket, "v1").map(|state| state & 1), Some(0));
    assert_eq!(haproxy_state(&socket, "v2").map(|state| state & 1), Some(1));
}

#[test]
fn what_haproxy_does_not_know_is_a_failure() {
    let Some(haproxy) = real("haproxy") else { return };
    let unix =
        r#"{ unix = { path = "DIR/admin.sock", send = ["set server be/other state ready"] } },"#;
    let Some(world) = World::new(&[(STEP, unix)]) else { return };
    let socket = world.path("admin.sock");
    let config = format!(
        "global\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  \
         timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nbackend be\n  \
         server v1 127.0.0.1:{}\n",
        socket.display(),
        world.app.port
    );
    fs::write(world.path("haproxy.cfg"), config).unwrap();
    let _haproxy = start(&world, &haproxy, &["-db", "-f", "haproxy.cfg"]);
    wait_for(LONG, "haproxy", || haproxy_state(&socket, "v1"));
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    let result = world.entries("outcome")[0]["data"]["result"]["failed"].clone();
    let why = result.as_str().unwrap();
    assert!(why.contains("No such server") && why.ends_with("expected nothing"), "{why}");
}

const SWITCH: &str = r#"printf 'server 127.0.0.1:%s;\n' "$1" > DIR/upstream.new &&
mv DIR/upstream.new DIR/upstream.conf && NGINX -t && NGINX -s reload"#;

#[test]
fn nginx_sends_traffic_back_and_a_probe_sees_where_it_goes() {
    let Some(nginx) = real("nginx") else { return };
    let Some(world) = World::new(&[]) else { return };
    let [front, one, two] = [free_port(), free_port(), free_port()];
    let dir = world.path("");
    let dir = dir.to_str().unwrap().trim_end_matches('/');
    let release = |port: u16, name: &str| {
        format!(
            "  server {{ listen 127.0.0.1:{port}; default_type application/json; \
             location / {{ return 200 '{{\"release\":\"{name}\"}}'; }} }}\n"
        )
    };
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log {dir}/nginx.log;\n\
         events {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {dir}/body;\n  \
         proxy_temp_path {dir}/proxy;\n  fastcgi_temp_path {dir}/fastcgi;\n  \
         uwsgi_temp_path {dir}/uwsgi;\n  scgi_temp_path {dir}/scgi;\n  \
         upstream api {{ include {dir}/upstream.conf; }}\n  \
         server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://api; }} }}\n{}{}}}\n",
        release(one, "v1"),
        release(two, "v2"),
    );
    fs::write(world.path("nginx.conf"), config).unwrap();
    fs::write(world.path("upstream.conf"), format!("server 127.0.0.1:{two};\n")).unwrap();
    let conf = format!("{dir}/nginx.conf");
    let _nginx = start(&world, &nginx, &["-c", &conf]);
    wait_for(LONG, "nginx", || get(front, "/").filter(|answer| answer.contains("v2")));
    let program = format!("{} -c {conf}", nginx.display());
    let script = SWITCH.replace("NGINX", &program).replace('\n', " ");
    let script = script.replace('\\', "\\\\").replace('"', "\\\"");
    let steps = format!(
        "{{ run = [\"sh\", \"-c\", \"{script}\", \"sh\", \"{one}\"], idempotent = true }},\n\
         {{ probe = {{ http = \"http://127.0.0.1:{front}/\", \
         json = {{ pointer = \"/release\", equals = \"{{good}}\" }} }} }},\n{STEP}"
    );
    world.configure(&[(STEP, &steps)]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert!(get(front, "/").unwrap().contains("{\"release\":\"v1\"}"));
}

#[test]
fn etcd_gets_the_good_version_over_its_gateway() {
    let Some(etcd) = real("etcd") else { return };
    let Some(world) = World::new(&[]) else { return };
    let (client, peer) = (free_port(), free_port());
    let (client_url, peer_url) =
        (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let cluster = format!("default={peer_url}");
    let arguments = [
        ["--data-dir", "etcd"],
        ["--listen-client-urls", &client_url],
        ["--advertise-client-urls", &client_url],
        ["--listen-peer-urls", &peer_url],
        ["--initial-advertise-peer-urls", &peer_url],
        ["--initial-cluster", &cluster],
    ];
    let _etcd = start(&world, &etcd, &arguments.concat());
    wait_for(LONG, "etcd", || get(client, "/health").filter(|said| said.contains("\"true\"")));
    // "current" and "v1" in base64, as the gateway wants them.
    let put = format!(
        "{{ http = {{ method = \"POST\", url = \"{client_url}/v3/kv/put\", \
         json = {{ key = \"Y3VycmVudA==\", value = \"djE=\" }}, \
         expect = {{ status = 200, text = {{ contains = \"revision\" }} }} }}, \
         attempts = 3, idempotent = true }},\n{STEP}"
    );
    world.configure(&[(STEP, &put)]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let body = "{\"key\":\"Y3VycmVudA==\"}";
    let request = format!(
        "POST /v3/kv/range HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = ask(client, &request).unwrap();
    let (_, answer) = answer.split_once("\r\n\r\n").unwrap();
    let answer: Value = serde_json::from_str(answer).unwrap();
    assert_eq!(answer["kvs"][0]["value"], "djE=");
}
