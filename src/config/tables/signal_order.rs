//! The order of signals: one that is computed from others comes after all of them. Signals that
//! are computed from themselves are an error that names the circle.

use std::collections::HashMap;

use super::signal::report_expression;
use crate::config::expr::lexer::mentioned;
use crate::config::syntax::TomlTable;

/// How far the search has come with a signal.
#[derive(Clone, Copy, PartialEq)]
enum Visit {
    New,
    /// On the path that is being followed.
    Open,
    Done,
}

/// The signals' indices in the order in which they are computed; those of a circle are reported
/// and left out.
pub(crate) fn order(signals: &[TomlTable<'_>]) -> Vec<usize> {
    let indices: HashMap<&str, usize> =
        signals.iter().enumerate().map(|(i, s)| (s.name, i)).collect();
    let uses = |signal: &TomlTable<'_>| {
        let text = signal.get("expr").and_then(|value| value.as_str());
        let names = text.map(mentioned).unwrap_or_default();
        // What is derived from a signal comes right after it.
        let of = |name: &String| name.split('.').next().and_then(|of| indices.get(of).copied());
        names.iter().filter_map(of).collect::<Vec<_>>()
    };
    let uses: Vec<Vec<usize>> = signals.iter().map(uses).collect();
    let mut visits = vec![Visit::New; signals.len()];
    let mut order = Vec::new();
    let mut circular = vec![false; signals.len()];
    for first in 0..signals.len() {
        // Each entry is a signal and how many of its uses were followed; a stack of its own,
        // because a chain of signals may be as long as a file allows.
        let mut path = vec![(first, 0)];
        if visits[first] != Visit::New {
            continue;
        }
        visits[first] = Visit::Open;
        while let Some((signal, followed)) = path.pop() {
            let Some(next) = uses[signal].get(followed).copied() else {
                visits[signal] = Visit::Done;
                order.push(signal);
                continue;
            };
            path.push((signal, followed + 1));
            match visits[next] {
                Visit::Done => {}
                Visit::New => {
                    visits[next] = Visit::Open;
                    path.push((next, 0));
                }
                Visit::Open => {
                    let start = path.iter().position(|(on, _)| *on == next).unwrap_or(0);
                    let circle: Vec<_> = path[start..].iter().map(|(on, _)| *on).collect();
                    report(signals, &circle);
                    circle.iter().for_each(|on| circular[*on] = true);
                }
            }
        }
    }
    order.retain(|signal| !circular[*signal]);
    order
}

fn report(signals: &[TomlTable<'_>], circle: &[usize]) {
    let Some(first) = circle.iter().min().copied() else { return };
    let start = circle.iter().position(|on| *on == first).unwrap_or(0);
    let round = circle.iter().cycle().skip(start).take(circle.len() + 1);
    let names: Vec<_> = round.map(|on| format!("`{}`", signals[*on].name)).collect();
    let message = format!("a signal is computed from itself: {}", names.join(" from "));
    report_expression(&signals[first], message);
}
