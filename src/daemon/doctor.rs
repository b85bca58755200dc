//! Proves from inside the daemon that a rollback has what it needs: what holds here holds for
//! hooks. It runs beside the loop, one look at a time, and must never hold the loop up.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::facts::{Subject, examine};
use crate::load::Places;
use crate::model::drill::DrillResult;
use crate::model::plan::Plan;
use crate::preflight::{Finding, Inside, PreflightReport};
use crate::serve::Answerer;
use crate::serve::api::Status;

/// Looks, whenever somebody asks.
#[derive(Debug)]
pub(super) struct Doctor {
    places: Places,
    clock: Clock,
    /// Whoever asks while somebody is served waits: the second look finds what the first did.
    room: Arc<Semaphore>,
}

impl Doctor {
    pub(super) fn new(places: Places, clock: Clock) -> Self {
        Self { places, clock, room: Arc::new(Semaphore::new(1)) }
    }

    /// Looks at what is in force.
    pub(super) fn examine(
        &self,
        plan: Arc<Plan>,
        status: &Status,
        answer: Answerer<Box<PreflightReport>>,
    ) {
        let (places, config) = (self.places.clone(), status.config.clone());
        let (inside, said) = (Inside::Daemon, known(status));
        let subject = Subject { plan, places, config, inside, said };
        let (room, clock) = (self.room.clone(), self.clock);
        tokio::spawn(async move {
            let Ok(_place) = room.acquire().await else { return };
            let report = examine(subject, clock).await;
            // Whoever asked may have gone.
            drop(answer.send(Box::new(report)));
        });
    }
}

/// What the loop itself knows.
fn known(status: &Status) -> Vec<Finding> {
    let Status { rollguard, pid, .. } = status;
    let mut all = vec![Finding::ok(format!("rollguard {rollguard} answers, process {pid}"))];
    if !status.guard.journal_ok {
        let what = "the journal could not be written: nothing is done any more";
        all.push(Finding::fail(what, "see its log, make room, and start it again"));
    }
    if let Some(drill) = status.guard.drill.as_ref()
        && drill.result == Some(DrillResult::Failed)
    {
        let what = format!("the last drill, {} of hook {}, failed", drill.drill, drill.hook);
        all.push(Finding::warn(what, "rollguard drill shows where"));
    }
    all
}
