//! Rules files on arbitrary text, and main files with them.
//!
//! `cargo fuzz run rules`. It must not panic or overflow the stack, what it refuses it must say
//! why, what it says must be showable and bounded, and the same text is always answered the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollguard::config::{
    Color, DiagnosticLevel, SourceFile, check_rules, compile, patterns, rules_path,
};

fuzz_target!(|text: &str| {
    let file = SourceFile { path: "fuzz.toml".to_owned(), text: text.to_owned() };
    let files = std::slice::from_ref(&file);
    let checked = check_rules(files);
    assert_eq!(checked, check_rules(files));
    let shown = match checked {
        Ok(checked) => checked.lints.render(Color::Plain),
        Err(wrong) => {
            assert!(wrong.count(DiagnosticLevel::Error) > 0);
            wrong.render(Color::Ansi)
        }
    };
    assert!(shown.len() < 4 << 20);
    let _ = (patterns(&file), rules_path(&file));
    if let Err(wrong) = compile(&file, &[]) {
        assert!(!wrong.render(Color::Plain).is_empty());
    }
});
