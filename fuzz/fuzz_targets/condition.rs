//! Conditions and expressions on arbitrary text, within a rules file that is otherwise in order.
//!
//! `cargo fuzz run condition`. It must not panic or overflow the stack, and a fault stands within
//! the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rollguard::config::{Color, SourceFile, check_rules};

const SIGNALS: &str = "\
[signal.a]\ngauge = 'g'\n[signal.b]\nrate = 'c_total'\nwindow = \"1m\"\n\
[signal.p95]\nquantile = 0.95\nof = 'd_seconds'\nwindow = \"1m\"\n";

/// A TOML string; JSON's escapes are all TOML's too, but for the solidus, which is never escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fuzz_target!(|text: &str| {
    let condition = quoted(text);
    for key in ["[rule.r]\nwhen", "[rule.r]\nwhen = \"a > 1\"\ngiven", "[signal.e]\nexpr"] {
        let text = format!("{SIGNALS}{key} = {condition}\n");
        let length = text.len();
        let file = SourceFile { path: "fuzz.toml".to_owned(), text };
        let found = match check_rules(&[file]) {
            Ok(checked) => checked.lints,
            Err(wrong) => wrong,
        };
        assert!(found.iter().all(|d| d.span.start <= d.span.end && d.span.end <= length));
        let _ = found.render(Color::Plain);
    }
});
