//! The live version as the first line of a file, or at a place in its JSON document. It must never
//! wait for a pipe's writer or read more than a file of that kind has.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::model::live::Live;

/// The largest file in bytes: a manifest of a build with all that went into it.
const MAX_FILE: u64 = 1 << 20;

/// Reads it.
pub(super) fn read(path: &Path, pointer: Option<&str>) -> Live {
    let text = match text(path) {
        Ok(text) => text,
        Err(why) => return Live::unknown(&format!("{}: {why}", path.display())),
    };
    let Some(pointer) = pointer else { return Live::of_text(&text) };
    match serde_json::from_str::<Value>(&text) {
        Ok(document) => Live::of_json(&document, pointer),
        Err(error) => Live::unknown(&format!("{}: not JSON: {error}", path.display())),
    }
}

fn text(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    // Asked before opening, because opening a pipe waits for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Version;

    #[test]
    fn a_file_says_it_by_its_first_line_or_within_json() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("VERSION");
        let v2 = Live::Version(Version::new("v2").unwrap());
        fs::write(&path, "v2\nbuilt by make\n").unwrap();
        assert_eq!(read(&path, None), v2);
        fs::write(&path, r#"{"app": {"version": "v2"}}"#).unwrap();
        assert_eq!(read(&path, Some("/app/version")), v2);
        for text in ["", "{\"app\":", "{}"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read(&path, Some("/app/version")), Live::Unknown(_)), "{text}");
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_unknown() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("VERSION");
        assert!(matches!(read(&path, None), Live::Unknown(_)));
        assert!(matches!(read(home.path(), None), Live::Unknown(_)));
        fs::write(&path, "v".repeat(2 << 20)).unwrap();
        assert!(matches!(read(&path, None), Live::Unknown(_)));
    }
}
