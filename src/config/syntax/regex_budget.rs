//! Regular expressions of selectors, and how much memory all of them may take together.

use regex_lite::{Regex, RegexBuilder};

/// The most memory that one compiled regular expression may take. A hundred alternatives need a
/// tenth of it; `(a{100}){100}` needs more. A file may hold thousands of them.
const MAX_REGEX_BYTES: usize = 1 << 17;

/// What compiled expressions are counted as: a code of three letters fits into the first, a dozen
/// words into the second. The compiler does not say how large an expression became.
const REGEX_STEPS: [usize; 3] = [1 << 11, 1 << 14, MAX_REGEX_BYTES];

/// How much the regular expressions of all files may take: four thousand small ones, or 64 of the
/// largest, of which each takes a third of a millisecond to compile.
const MAX_ALL_REGEXES: usize = 1 << 23;

/// How deep a regular expression may nest; far beyond what people write, far below what would
/// exhaust the stack.
const MAX_REGEX_DEPTH: u32 = 50;

/// How much the regular expressions that are still to come may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegexBudget(usize);

impl Default for RegexBudget {
    fn default() -> Self {
        Self(MAX_ALL_REGEXES)
    }
}

impl RegexBudget {
    /// An expression anchored at both ends, in the smallest of the steps that it fits into. The
    /// outer `None` means that there is no room for it.
    pub(crate) fn compile(&mut self, pattern: &str) -> Option<Result<Regex, regex_lite::Error>> {
        let mut built = None;
        for step in REGEX_STEPS {
            let left = self.0.checked_sub(step)?;
            let regex = anchored(pattern, step);
            let done = regex.is_ok() || step == MAX_REGEX_BYTES;
            built = Some(regex);
            if done {
                self.0 = left;
                break;
            }
        }
        built
    }
}

fn anchored(pattern: &str, bytes: usize) -> Result<Regex, regex_lite::Error> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(bytes)
            .nest_limit(MAX_REGEX_DEPTH)
            .dot_matches_new_line(true)
            .build()
    };
    // On its own first: `a)|(b` must not become valid by what is put around it.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}
