//! What every kind of source says of a failure: its class and a bounded sentence for people.
//! Nothing that a request carries ever enters a sentence.

use std::fmt::Display;

use crate::model::scrape::{Failure, FailureClass};

/// The longest detail in characters: two lines of a terminal. The journal keeps these.
const MAX_DETAIL: usize = 200;

/// A failure; its detail is cut at [`MAX_DETAIL`].
pub(super) fn failure(class: FailureClass, detail: impl Display) -> Failure {
    let mut detail = detail.to_string();
    if let Some((end, _)) = detail.char_indices().nth(MAX_DETAIL) {
        detail.truncate(end);
    }
    Failure { class, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_cut_between_characters() {
        let long = failure(FailureClass::Broken, "é".repeat(500));
        assert_eq!(long.detail, "é".repeat(MAX_DETAIL));
        assert_eq!(failure(FailureClass::Broken, "short").detail, "short");
    }
}
