//! What is not as it should be yet, counted. A number here may only fall: a change that makes it
//! worse fails, and so does one that makes it better and leaves the number as it was.

/// The most files in one import circle, by top-level module. One that is not listed has no circle.
pub(crate) const CIRCLES: &[(&str, usize)] = &[("exposition", 4), ("journal", 2), ("load", 4)];
/// Names that more than one type has.
pub(crate) const SHARED_TYPE_NAMES: usize = 15;
/// Comparisons with string literals where an enum should be compared.
pub(crate) const COMPARED_STRINGS: usize = 28;
/// Files other than `src/engine/guard.rs` with an `impl Guard`.
pub(crate) const FILES_WITH_IMPL_GUARD: usize = 0;
/// Types of `src/engine/` that change themselves and have fields that others reach.
pub(crate) const OPEN_COMPONENTS: usize = 7;

/// Compares what was found with its ceiling `name`, which must be exact.
pub(crate) fn compare(name: &str, ceiling: usize, found: &[String]) -> Vec<String> {
    let number = found.len();
    if number > ceiling {
        let mut problems = found.to_vec();
        problems.push(format!("{name}: {number} found, no more than {ceiling} allowed"));
        return problems;
    }
    exact(name, ceiling, number).into_iter().collect()
}

/// Reports a ceiling that is above what was found.
pub(crate) fn exact(name: &str, ceiling: usize, number: usize) -> Option<String> {
    (number < ceiling).then(|| {
        format!("{name}: only {number} left of {ceiling}; lower it in tests/tidy/ceilings.rs")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_is_neither_exceeded_nor_left_too_high() {
        let found = ["a.rs:1: x".to_owned(), "b.rs:2: y".to_owned()];
        assert_eq!(compare("N", 2, &found), [""; 0]);
        assert_eq!(
            compare("N", 1, &found),
            ["a.rs:1: x", "b.rs:2: y", "N: 2 found, no more than 1 allowed"]
        );
        assert!(compare("N", 3, &found)[0].starts_with("N: only 2 left of 3; lower it"));
    }
}
