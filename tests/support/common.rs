//! What tests against real servers share: finding the server, a port, waiting, cleaning up.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

/// Set where every real server must be there, so that no test passes by being skipped.
const REQUIRE_REAL: &str = "ROLLGUARD_REQUIRE_REAL";

/// Set to write golden files anew instead of comparing with them; the difference is then reviewed.
const BLESS: &str = "ROLLGUARD_BLESS";

/// How often a condition is looked at: often enough not to matter, seldom enough to leave the
/// processor to what is waited for.
const POLL: Duration = Duration::from_millis(10);

/// The path of a program that a test needs. `None`: not installed, and the test is to return; it
/// has been said why. Panics instead where `ROLLGUARD_REQUIRE_REAL=1`.
pub(crate) fn real(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let places = std::env::split_paths(&path).chain(system);
    let found = places.map(|place| place.join(program)).find(|file| is_program(file));
    if found.is_none() {
        let required = std::env::var_os(REQUIRE_REAL).is_some_and(|value| value == "1");
        assert!(!required, "{program} is not installed and {REQUIRE_REAL}=1");
        println!("skipped: {program} is not installed ({REQUIRE_REAL}=1 makes this a failure)");
    }
    found
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Compares with `tests/golden/NAME`, which `ROLLGUARD_BLESS=1` writes anew.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        let directory = path.parent().expect("it is inside tests/golden");
        std::fs::create_dir_all(directory).expect("the package's directory can be written");
        std::fs::write(&path, actual).expect("the package's directory can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "tests/golden/{name} differs ({BLESS}=1 writes it anew)\n-- expected\n{expected}\n\
         -- actual\n{actual}\n--"
    );
}

/// A TCP port of the loopback that was free a moment ago. A server that can be given port 0 and
/// tells the port it got is better.
pub(crate) fn free_port() -> u16 {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has free ports");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Waits until `look` finds something; panics with `what` when it did not `within` that time.
#[track_caller]
pub(crate) fn wait_for<T, F: FnMut() -> Option<T>>(within: Duration, what: &str, mut look: F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < within, "waited {within:?} in vain for {what}");
        std::thread::sleep(POLL);
    }
}

/// A child process that does not outlive its test, however the test ends.
pub(crate) struct KillOnDrop(pub(crate) Child);

impl Deref for KillOnDrop {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for KillOnDrop {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only if it has ended and been waited for, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
