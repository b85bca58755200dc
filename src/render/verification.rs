//! What a check of the journal found, for people.

use crate::history::{Integrity, Noted, Verification};
use crate::record::{Broken, Torn};

use super::line::facts;

/// The findings about the journal at `path`.
pub fn verification(path: &str, found: &Verification) -> String {
    let Verification { verdict, entries, bytes, first, last, head, unknown, torn, damage, noted } =
        found;
    let whole = match verdict {
        Integrity::Whole => "ok: every line is as it was written\n",
        Integrity::Damaged => "DAMAGED: what follows is what can still be trusted\n",
        Integrity::HeadMissing => "NOT THE SAME: the head that was noted is not in it\n",
    };
    let times = first.zip(*last).map(|(first, last)| format!("{first} to {last}"));
    let unknown = (*unknown > 0)
        .then(|| format!("{unknown} entries verify; a newer rollguard may be able to read them"));
    let found = [
        ("journal", Some(path.to_owned())),
        ("entries", Some(format!("{entries}, {bytes} bytes"))),
        ("written", times),
        ("head", Some(head.clone())),
        ("unknown", unknown),
        ("torn", torn.as_ref().map(self::torn)),
        ("damage", damage.as_ref().map(self::damage)),
        ("noted head", noted.as_ref().map(|noted| self::noted(noted, *entries))),
    ];
    format!("{whole}{}", facts(found))
}

fn torn(Torn { line, offset, length }: &Torn) -> String {
    format!(
        "line {line} at byte {offset} was not written whole, {length} bytes of it are there; it \
         never counted"
    )
}

fn damage(Broken { line, offset, why }: &Broken) -> String {
    let before = match line - 1 {
        0 => "no line is trustworthy".to_owned(),
        1 => "line 1 is trustworthy".to_owned(),
        before => format!("lines 1 to {before} are trustworthy"),
    };
    format!("line {line} at byte {offset}: {why}; {before}, nothing from there on is")
}

fn noted(noted: &Noted, entries: u64) -> String {
    let Some(line) = noted.line else {
        return "is not in what verifies: the journal was cut short or written anew".to_owned();
    };
    match entries - line {
        0 => "is the head: nothing was written since".to_owned(),
        1 => format!("is line {line}: 1 entry was written since"),
        more => format!("is line {line}: {more} entries were written since"),
    }
}
