//! The live version as the last component of what a symbolic link leads to, whether or not that is
//! there. A link is replaced whole, so it is never half written.

use std::fs;
use std::path::Path;

use crate::model::live::Live;

/// Reads it.
pub(super) fn read(path: &Path) -> Live {
    let failed = |why: &str| Live::unknown(&format!("{}: {why}", path.display()));
    match fs::read_link(path) {
        Ok(target) => match target.file_name().and_then(|name| name.to_str()) {
            Some(name) => Live::of_text(name),
            None => failed("it leads to nothing that has a name"),
        },
        Err(error) => failed(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Version;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_last_component_of_the_target_is_the_version() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("current");
        for target in ["v2", "releases/v2", "/srv/api/releases/v2/"] {
            symlink(target, &link).unwrap();
            assert_eq!(read(&link), Live::Version(Version::new("v2").unwrap()), "{target}");
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn what_is_no_link_or_leads_nowhere_is_unknown() {
        let home = tempfile::tempdir().unwrap();
        let is_unknown = |path: &Path| matches!(read(path), Live::Unknown(_));
        assert!(is_unknown(home.path()) && is_unknown(&home.path().join("absent")));
        let link = home.path().join("current");
        symlink("/", &link).unwrap();
        assert!(is_unknown(&link));
    }
}
