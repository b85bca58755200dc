//! Reads from `/proc/self/status` and `/proc/self/mountinfo` what the system keeps a process from
//! doing. Children inherit all of it.

use std::path::{Path, PathBuf};

use super::report::Finding;

/// What holds for a process and its children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Setuid programs and file capabilities give no rights.
    pub no_new_privs: bool,
    /// System calls are filtered.
    pub seccomp: bool,
    /// Effective capabilities, as bits.
    pub capabilities: u64,
    /// Every mount, in the order in which the system lists them.
    pub mounts: Vec<Mount>,
}

/// A mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Which directory of its file system is mounted.
    pub root: String,
    /// Where.
    pub point: PathBuf,
    /// Nothing can be written.
    pub read_only: bool,
}

impl Sandbox {
    /// Reads both files; what cannot be understood is taken as not there. See proc(5).
    pub fn read(status: &str, mountinfo: &str) -> Self {
        let field = |name: &str| {
            let mut values = status.lines().filter_map(|line| line.strip_prefix(name));
            values.next().map(str::trim)
        };
        Self {
            no_new_privs: field("NoNewPrivs:") == Some("1"),
            seccomp: field("Seccomp:") == Some("2"),
            capabilities: field("CapEff:")
                .and_then(|bits| u64::from_str_radix(bits, 16).ok())
                .unwrap_or_default(),
            mounts: mountinfo.lines().filter_map(mount).collect(),
        }
    }

    /// The mount that a path lies on.
    pub fn mount_of(&self, path: &Path) -> Option<&Mount> {
        let over = self.mounts.iter().filter(|mount| path.starts_with(&mount.point));
        // Of two at the same place the later one covers the earlier.
        over.max_by_key(|mount| mount.point.as_os_str().len())
    }

    /// Whether a path is in a `/tmp` that nobody else sees.
    pub fn is_private(&self, path: &Path) -> bool {
        let shared = ["/tmp", "/var/tmp"];
        let below = shared.iter().any(|tmp| path.starts_with(tmp));
        let mount = self
            .mount_of(path)
            .filter(|mount| shared.iter().any(|tmp| mount.point == Path::new(tmp)));
        below && mount.is_some_and(|mount| mount.root.contains("systemd-private-"))
    }

    /// The sandbox in a line.
    pub fn describe(&self) -> Finding {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let root = self.mount_of(Path::new("/usr")).is_some_and(|mount| mount.read_only);
        let capabilities = match self.capabilities {
            0 => "none".to_owned(),
            bits => format!("{}", bits.count_ones()),
        };
        Finding::ok(format!(
            "no new privileges: {}, system calls filtered: {}, capabilities: {capabilities}, \
             /usr read-only: {}",
            yes(self.no_new_privs),
            yes(self.seccomp),
            yes(root)
        ))
    }
}

/// A line of mountinfo: id, parent, device, root, mount point, options.
fn mount(line: &str) -> Option<Mount> {
    let mut words = line.split(' ').skip(3);
    let (root, point, options) = (words.next()?, words.next()?, words.next()?);
    let read_only = options.split(',').any(|option| option == "ro");
    Some(Mount { root: unescape(root), point: unescape(point).into(), read_only })
}

/// Spaces, tabs, line feeds and backslashes are written as `\` and three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str =
        "Name:\trollguard\nCapEff:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    const MOUNTS: &str = "\
22 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw
23 22 8:1 /var/lib/rollguard /var/lib/rollguard rw,relatime shared:2 - ext4 /dev/sda1 rw
24 22 8:1 /tmp/systemd-private-abc-rollguard.service-x/tmp /tmp rw shared:3 - ext4 /dev/sda1 rw
25 22 8:1 / /srv/my\\040app rw,relatime shared:4 - ext4 /dev/sda1 rw
";

    #[test]
    fn what_the_system_says_is_understood() {
        let sandbox = Sandbox::read(STATUS, MOUNTS);
        assert!(sandbox.no_new_privs && sandbox.seccomp);
        assert_eq!((sandbox.capabilities, sandbox.mounts.len()), (0x400, 4));
        let read_only = |path: &str| sandbox.mount_of(Path::new(path)).unwrap().read_only;
        assert!(read_only("/srv/other") && read_only("/var/lib/rollguardian"));
        assert!(!read_only("/var/lib/rollguard/journal.jsonl") && !read_only("/srv/my app/x"));
        assert!(sandbox.is_private(Path::new("/tmp/x")));
        assert!(!sandbox.is_private(Path::new("/srv/x")));
        let line = sandbox.describe().what;
        assert!(line.contains("privileges: yes") && line.contains("capabilities: 1"), "{line}");
    }

    #[test]
    fn what_is_not_understood_is_not_there() {
        let sandbox = Sandbox::read("NoNewPrivs: maybe\nCapEff: zz", "a b c\n");
        assert_eq!(sandbox, Sandbox::default());
        assert_eq!(sandbox.mount_of(Path::new("/")), None);
    }
}
