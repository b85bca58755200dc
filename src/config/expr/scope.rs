//! The signals that conditions and expressions may name.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use crate::model::index::SignalIx;
use crate::model::signal::Unit;

use crate::config::syntax::Diagnostic;
use crate::config::syntax::diagnostic::MAX_SUGGESTED;

/// The signals that a condition may name.
#[derive(Debug, Default)]
pub(crate) struct SignalScope {
    /// Where a signal is and what it measures. A signal that could not be read has a place too,
    /// so that its users are judged for their own mistakes only.
    signals: HashMap<String, (SignalIx, Option<Unit>)>,
    /// The labels by which a signal is read, where it is.
    by: HashMap<SignalIx, Vec<String>>,
    /// Why a signal has no earlier reading.
    no_before: HashMap<String, String>,
    /// For how many unknown names a near one was looked up.
    suggested: Cell<usize>,
    /// How many words were read.
    words: Cell<usize>,
}

/// The most words in the conditions and expressions of all files: a thousand rules of fifty
/// words each, where people write ten. Each takes most of a microsecond.
pub(crate) const MAX_WORDS: usize = 50_000;

impl SignalScope {
    pub(crate) fn insert(&mut self, name: &str, ix: SignalIx, unit: Option<Unit>) {
        self.signals.insert(name.to_owned(), (ix, unit));
    }

    /// Says by which labels a signal is read.
    pub(crate) fn read_by(&mut self, ix: SignalIx, by: &[String]) {
        self.by.insert(ix, by.to_vec());
    }

    /// Says why a signal has no earlier reading.
    pub(crate) fn refuse_before(&mut self, name: &str, why: String) {
        self.no_before.insert(name.to_owned(), why);
    }

    /// Where a signal is and what it measures.
    pub(crate) fn get(&self, name: &str) -> Option<(SignalIx, Option<Unit>)> {
        self.signals.get(name).copied()
    }

    /// Takes note of words that were read; answers whether they were not too many.
    pub(crate) fn count_words(&self, words: usize) -> bool {
        let all = self.words.get() + words;
        let fits = all <= MAX_WORDS;
        if fits {
            self.words.set(all);
        }
        fits
    }

    /// What is wrong with a name that no signal has.
    pub(crate) fn unknown(&self, name: &str, span: &Range<usize>) -> Diagnostic {
        let error = |message: String| Diagnostic::new(span.clone(), message);
        match name.split_once('.').filter(|(of, _)| self.signals.contains_key(*of)) {
            Some((of, "baseline")) => {
                return error(format!("signal `{of}` has no baseline"))
                    .help(format!("write [signal.{of}.baseline], as in `from = \"before\"`"));
            }
            Some((of, _)) => {
                let why = self.no_before.get(of).map_or("", String::as_str);
                return error(format!("there is no `{name}`")).label(why);
            }
            None => {}
        }
        let unknown = error(format!("unknown signal `{name}`"));
        let suggested = self.suggested.get();
        if suggested == MAX_SUGGESTED {
            return unknown;
        }
        self.suggested.set(suggested + 1);
        let mut known: Vec<_> = self.signals.keys().map(String::as_str).collect();
        known.sort_unstable();
        unknown.suggest(name, known)
    }

    /// The labels by which the signals are read that `each` goes through; an error says which two
    /// are read by different ones.
    pub(crate) fn groups(
        &self,
        each: impl FnOnce(&mut dyn FnMut(SignalIx)),
    ) -> Result<Vec<String>, String> {
        let mut found: Option<SignalIx> = None;
        let mut odd: Option<(SignalIx, SignalIx)> = None;
        each(&mut |ix| {
            let Some(by) = self.by.get(&ix).filter(|by| !by.is_empty()) else { return };
            match found {
                None => found = Some(ix),
                Some(first) if self.by.get(&first) != Some(by) => odd = odd.or(Some((first, ix))),
                Some(_) => {}
            }
        });
        match (found, odd) {
            (_, Some((a, b))) => Err(format!("{} but {}", self.describe(a), self.describe(b))),
            (Some(ix), None) => Ok(self.by[&ix].clone()),
            (None, None) => Ok(Vec::new()),
        }
    }

    fn describe(&self, ix: SignalIx) -> String {
        let named = |(name, (at, _)): (&String, &(SignalIx, Option<Unit>))| {
            (*at == ix).then(|| name.clone())
        };
        let name = self.signals.iter().filter_map(named).min().unwrap_or_default();
        let by = self.by.get(&ix).map(|by| by.join(", ")).unwrap_or_default();
        format!("`{name}` is read by {by}")
    }
}
