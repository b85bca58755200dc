//! Import circles: files that cannot be understood, moved or tested one without the other, because
//! each leads to each by what they mention of one another.

use std::collections::{BTreeMap, BTreeSet};

use crate::ceilings::exact;
use crate::layers::{module_of, resolve};
use crate::paths::{Mention, mentions};
use crate::source::Source;

/// A module's path from the crate's root.
type Module = Vec<String>;

/// How often a re-export is followed to another one. A longer chain leads back to itself.
const REEXPORTS: usize = 8;

/// Reports each circle that is larger than its ceiling, and each ceiling that is larger than its
/// circle.
pub(crate) fn check(sources: &[&Source], ceilings: &[(&str, usize)]) -> Vec<String> {
    let circles = Graph::new(sources).circles();
    let mut largest: BTreeMap<String, &[String]> = BTreeMap::new();
    for circle in &circles {
        for path in circle {
            let found = largest.entry(top(path)).or_default();
            if circle.len() > found.len() {
                *found = circle;
            }
        }
    }
    let ceiling = |top: &str| ceilings.iter().find(|(name, _)| *name == top).map_or(1, |c| c.1);
    let above =
        largest.iter().filter(|(top, circle)| circle.len() > ceiling(top)).map(|(top, circle)| {
            let (size, files) = (circle.len(), circle.join(" "));
            let allowed = ceiling(top);
            format!("{}:1: {size} files import each other, {allowed} may: {files}", circle[0])
        });
    let below = ceilings.iter().filter_map(|(top, ceiling)| {
        let size = largest.get(*top).map_or(1, |circle| circle.len());
        exact(&format!("CIRCLES of {top}"), *ceiling, size)
    });
    above.chain(below).collect()
}

/// The top-level module of a file.
fn top(path: &str) -> String {
    module_of(path).into_iter().next().unwrap_or_default()
}

/// Which file mentions which.
struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn new(sources: &[&Source]) -> Self {
        let sources = sources.iter().filter(|source| source.is_test.iter().any(|test| !test));
        let read = |source: &&Source| (source.path.clone(), mentions(source));
        let read: Vec<(String, Vec<Mention>)> = sources.map(read).collect();
        let files: BTreeMap<Module, &(String, Vec<Mention>)> =
            read.iter().map(|file| (module_of(&file.0), file)).collect();
        let edges = read.iter().map(|(path, mentions)| {
            let module = module_of(path);
            let used = mentions.iter().filter(|mention| !is_visibility(&module, mention));
            let targets = used.filter_map(|mention| target(&files, &module, mention));
            (path.clone(), targets.filter(|target| target != path).collect())
        });
        Self { edges: edges.collect() }
    }

    /// The strongly connected components of more than one file, the largest first.
    fn circles(&self) -> Vec<Vec<String>> {
        let reached: BTreeMap<&String, BTreeSet<&String>> =
            self.edges.keys().map(|file| (file, self.reached(file))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (file, others) in &reached {
            let together = others
                .iter()
                .filter(|other| reached.get(**other).is_some_and(|back| back.contains(file)));
            let circle: Vec<String> = together.map(|other| (*other).clone()).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        let mut circles: Vec<_> = circles.into_iter().collect();
        circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
        circles
    }

    /// Every file that one leads to, directly or through others.
    fn reached<'a>(&'a self, from: &'a String) -> BTreeSet<&'a String> {
        let mut reached = BTreeSet::new();
        let mut left = vec![from];
        while let Some(file) = left.pop() {
            let targets = self.edges.get(file).into_iter().flatten();
            left.extend(targets.filter(|target| reached.insert(*target)));
        }
        reached
    }
}

type Files<'a> = BTreeMap<Module, &'a (String, Vec<Mention>)>;

/// The file that a mention leads to, if it is one of ours: the one that defines it, where a
/// `mod.rs` only hands it on by its name.
fn target(files: &Files<'_>, module: &Module, mention: &Mention) -> Option<String> {
    let mut path = absolute(files, module, mention)?;
    for _ in 0..REEXPORTS {
        let (found, rest) = owner(files, &path)?;
        let (file, within) = files[&found];
        let Some(name) = rest.first().filter(|_| file.ends_with("/mod.rs")) else {
            return Some(file.clone());
        };
        let handed_on = |mention: &Mention| {
            let is_it = mention.segments.last() == Some(name);
            is_it.then(|| absolute(files, &found, mention)).flatten()
        };
        let Some(next) = within.iter().find_map(handed_on) else { return Some(file.clone()) };
        path = [&next, &rest[1..]].concat();
    }
    None
}

/// A mention's path from the crate's root: it says so, or it starts at a module of the file's own.
/// A word by itself is none: it declares a module, or says who may see something.
fn absolute(files: &Files<'_>, module: &Module, mention: &Mention) -> Option<Module> {
    let segments = &mention.segments;
    let is_child = || files.contains_key(&[module, &segments[..1]].concat());
    match segments.first()?.as_str() {
        _ if segments.len() < 2 => None,
        "self" => Some([module, &segments[1..]].concat()),
        _ if !module.is_empty() && is_child() => Some([&module[..], segments].concat()),
        _ => resolve(module, segments),
    }
}

/// `pub(in crate::a)` names a module that the file is in, and uses nothing of it.
fn is_visibility(module: &Module, mention: &Mention) -> bool {
    resolve(module, &mention.segments).is_some_and(|path| module.starts_with(&path))
}

/// The innermost module of a path that is a file, and what is left of the path.
fn owner(files: &Files<'_>, path: &Module) -> Option<(Module, Module)> {
    let lengths = (1..=path.len()).rev();
    let length = lengths.into_iter().find(|length| files.contains_key(&path[..*length]))?;
    Some((path[..length].to_vec(), path[length..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], ceilings: &[(&str, usize)]) -> Vec<String> {
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&sources.iter().collect::<Vec<_>>(), ceilings)
    }

    const A: (&str, &str) = ("src/x/a.rs", "use super::b::B;");
    const B: (&str, &str) = ("src/x/b.rs", "fn f() { crate::x::c::g() }");
    const C: (&str, &str) = ("src/x/c.rs", "use crate::x::{a::A, d};");
    const D: (&str, &str) = ("src/x/d.rs", "use crate::y;");
    const Y: (&str, &str) = ("src/y.rs", "//! y");

    #[test]
    fn files_that_lead_to_each_other_are_a_circle_however_long_the_way() {
        let problems = found(&[A, B, C, D, Y], &[]);
        let all = "src/x/a.rs:1: 3 files import each other, 1 may: \
                   src/x/a.rs src/x/b.rs src/x/c.rs";
        assert_eq!(problems, [all]);
        assert_eq!(found(&[A, B, D, Y], &[]), [""; 0]);
        let across = [A, B, C, D, ("src/y.rs", "use crate::x::a;")];
        let problems = found(&across, &[("x", 4)]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("5 files import each other")));
    }

    #[test]
    fn a_ceiling_holds_until_it_can_be_lowered() {
        assert_eq!(found(&[A, B, C, D, Y], &[("x", 3)]), [""; 0]);
        let high = found(&[A, B, C, D, Y], &[("x", 4)]);
        assert!(high[0].contains("CIRCLES of x: only 3 left of 4"), "{high:?}");
        let gone = found(&[A, B, D, Y], &[("x", 3)]);
        assert!(gone[0].contains("CIRCLES of x: only 1 left of 3"), "{gone:?}");
    }

    #[test]
    fn a_file_and_the_module_below_it_are_a_circle_if_each_needs_the_other() {
        let up = ("src/x/a.rs", "use super::X;");
        let down = ("src/x.rs", "mod a; use a::A;");
        assert!(found(&[up, down], &[])[0].contains("2 files"));
        assert_eq!(found(&[up, ("src/x.rs", "mod a;")], &[]), [""; 0]);
        assert_eq!(found(&[("src/x/a.rs", "//! a"), down], &[]), [""; 0]);
        assert!(
            found(&[up, ("src/x.rs", "mod a; fn f() { self::a::g() }")], &[])[0].contains("2 ")
        );
    }

    #[test]
    fn what_a_mod_file_hands_on_belongs_to_the_file_that_defines_it() {
        let map = ("src/x/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::{B, f as g};");
        let a = ("src/x/a.rs", "use super::B;");
        assert_eq!(found(&[map, a, ("src/x/b.rs", "//! b")], &[]), [""; 0]);
        let back = found(&[map, a, ("src/x/b.rs", "use crate::x::A;")], &[]);
        assert!(back[0].ends_with("2 files import each other, 1 may: src/x/a.rs src/x/b.rs"));
        // What cannot be followed is taken for the whole map.
        let glob = found(&[map, ("src/x/a.rs", "use super::*;"), ("src/x/b.rs", "//! b")], &[]);
        assert!(glob[0].contains("2 files"), "{glob:?}");
    }

    #[test]
    fn who_may_see_something_is_no_import() {
        let map = ("src/x/mod.rs", "mod a; pub use a::A;");
        let a = ("src/x/a.rs", "pub(super) struct A { pub(in crate::x) b: u8 }");
        assert_eq!(found(&[map, a], &[]), [""; 0]);
    }

    #[test]
    fn tests_make_no_circle() {
        let test = ("src/x/b.rs", "#[cfg(test)]\nmod tests { use super::super::a::A; }");
        assert_eq!(found(&[A, test], &[]), [""; 0]);
    }
}
