//! The claim of an attempt that the guard makes itself, without a program. It must never be given
//! twice; see [`marker`] for the reasoning.

use std::path::Path;

use super::marker::{self, Claim, Marker};
use crate::model::entry::StepResult;

/// The right to make the attempt, or what is known of it where it cannot be had.
pub(super) fn claim(path: &Path) -> Result<Claim, StepResult> {
    match marker::claim_here(path) {
        Ok(Some(claim)) => Ok(claim),
        Ok(None) => Err(match marker::read(path) {
            Ok(Some(Marker::Abandoned | Marker::Started { failure: Some(_), .. })) => {
                StepResult::NotStarted
            }
            Ok(Some(Marker::Started { failure: None, .. }) | None) | Err(_) => StepResult::Unknown,
        }),
        Err(error) => Err(StepResult::Failed(format!("could not start: create a marker: {error}"))),
    }
}
