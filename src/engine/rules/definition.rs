//! What defines a signal: its kind and options, and the definitions of the signals that it is
//! computed from. Their indices in the plan are no part of it.
//!
//! Frozen baselines are recorded with a hash of it, and a reload keeps the windows and states of
//! signals whose definition did not change.

use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::signal::Signal;

/// A hash of each signal's definition, the same in every process: a baseline in seconds must not be
/// taken for one in milliseconds because a file was edited while the guard was away.
pub(super) fn hashes(plan: &Plan) -> Vec<String> {
    /// FNV-1a, 64 bits.
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut all: Vec<String> = Vec::with_capacity(plan.signals.len());
    for signal in &plan.signals {
        let mut text = format!("{} {:?} {:?}", signal.kind.definition(), signal.by, signal.stale);
        signal.kind.for_each_signal(&mut |inner| {
            text = text.replace(&format!("{inner:?}"), &all[inner.0]);
        });
        let hash = text.bytes().fold(OFFSET, |hash, b| (hash ^ u64::from(b)).wrapping_mul(PRIME));
        all.push(format!("{hash:016x}"));
    }
    all
}

/// For each signal of the new plan, the signal of that name in the old one, if its definition is
/// the same.
pub(super) fn unchanged(old: &Plan, new: &Plan) -> Vec<Option<SignalIx>> {
    let (before, now) = (hashes(old), hashes(new));
    let same = |(signal, hash): (&Signal, String)| {
        let place = old.signals.iter().position(|before| before.name == signal.name);
        place.filter(|ix| before[*ix] == hash).map(SignalIx)
    };
    new.signals.iter().zip(now).map(same).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, SourceFile, compile};

    /// The definition of the signal `x`.
    fn of(signals: &str) -> String {
        let text = format!(
            "[deployment]\nservice = \"s\"\n[target.t]\nscrape = \"http://h/\"\n{signals}\n\
             [rule.r]\nwhen = \"x > x.baseline\"\nseverity = \"warning\"\n"
        );
        let file = SourceFile { path: "of.toml".to_owned(), text };
        let plan = match compile(&file, &[]) {
            Ok(compiled) => compiled.plan,
            Err(wrong) => panic!("{}", wrong.render(Color::Plain)),
        };
        let place = plan.signals.iter().position(|signal| signal.name.as_str() == "x").unwrap();
        hashes(&plan).swap_remove(place)
    }

    #[test]
    fn what_is_computed_is_defined_by_what_it_is_computed_from_and_not_by_places() {
        let a = "[signal.a]\ngauge = 'seconds'\n";
        let b = "[signal.b]\ngauge = 'bytes'\n";
        let x = "[signal.x]\nexpr = \"a / b\"\n[signal.x.baseline]\n";
        let defined = of(&format!("{a}{b}{x}"));
        for same in [
            [b, a, x],
            [x, b, a],
            [
                "[signal.c]\ngauge = 'c'\n[rule.q]\nwhen = \"c > 1\"\n\
            severity = \"warning\"\n",
                a,
                &format!("{b}{x}"),
            ],
        ] {
            assert_eq!(of(&same.concat()), defined, "{same:?}");
        }
        let other = a.replace("seconds", "milliseconds");
        for changed in [[&other, b, x], [&a.replace(".a]", ".b]"), &b.replace(".b]", ".a]"), x]] {
            assert_ne!(of(&changed.concat()), defined, "{changed:?}");
        }
    }

    /// The journal keeps these, and a daemon of a later version compares with them.
    #[test]
    fn a_definition_is_the_same_in_every_version() {
        let selector = "m{a=\"b\",c!=\"d\",e=~\"f.*\",g!~\"h\"}";
        for (keys, expected) in [
            (&*format!("rate = '{selector}'\nwindow = \"30s\""), "a49e9a4dd1c68467"),
            (
                &*format!("increase = '{selector}'\nwindow = \"1m\"\nby = [\"a\"]"),
                "78f585de1b88df71",
            ),
            (
                &*format!("ratio = {{ of = '{selector}', to = 'n' }}\nwindow = \"90s\""),
                "17d81f15f2db933d",
            ),
            ("quantile = 0.95\nof = 'm'\nwindow = \"1m\"", "a17727e08a00826f"),
            ("quantile = 0.5\nof = 'm'\nstale = \"9s\"", "eb4d7d26675db44b"),
            ("mean = 'm'\nwindow = \"1m\"", "8488c72dcdee33b7"),
            ("gauge = 'm'", "66d51e3617bb5505"),
            (
                "gauge = 'm'\nacross = \"avg\"\nover = \"stddev\"\nwindow = \"1m\"",
                "707dd630c3f5f608",
            ),
            ("count = 'm'", "8046309ade7081b3"),
            ("count = 'm'\nvalue = \"> 0\"", "83da7baf744170e3"),
            ("age = 'm'", "3a9fd67772658bac"),
            ("age = 'm'\ntimestamp = true", "1235ea98e69e97ad"),
            ("up = \"t\"", "3e63a42797c2bdca"),
            ("expr = \"max(1, 2) + u\"\n[signal.u]\nup = \"t\"", "f58913e1c7251488"),
        ] {
            let defined = of(&format!("[signal.x.baseline]\n[signal.x]\n{keys}"));
            assert_eq!(defined, expected, "{keys}");
        }
    }
}
