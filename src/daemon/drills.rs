//! Runs the attempts of drills. Unlike those of a rollback they may be ended in the middle, for
//! something more important. It must never end anything else.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::engine::effect::{DrillEffect, Order, Outcome};
use crate::engine::run::drill::CALL_OFF_GRACE;
use crate::hook::Executor;

/// The attempt that runs, if one does.
#[derive(Debug, Default)]
pub(super) struct Drills {
    /// Says that it is to be ended.
    call_off: Option<oneshot::Sender<()>>,
}

impl Drills {
    /// Does what a drill asks for.
    pub(super) fn perform(
        &mut self,
        effect: DrillEffect,
        executor: &Arc<Executor>,
        outcomes: &mpsc::Sender<Outcome>,
    ) {
        match effect {
            DrillEffect::Run(order) => {
                let (call_off, called_off) = oneshot::channel();
                self.call_off = Some(call_off);
                let (executor, outcomes) = (executor.clone(), outcomes.clone());
                tokio::spawn(async move {
                    let outcome = run(&executor, &order, called_off).await;
                    // Nobody takes it only when the daemon has ended.
                    drop(outcomes.send(outcome).await);
                });
            }
            DrillEffect::CallOff => {
                if let Some(call_off) = self.call_off.take() {
                    // It may be over by now.
                    let _ = call_off.send(());
                }
            }
        }
    }
}

/// Performs the order, or as much of it as there is time for.
async fn run(executor: &Executor, order: &Order, mut called_off: oneshot::Receiver<()>) -> Outcome {
    tokio::select! {
        biased;
        outcome = executor.perform(order) => return outcome,
        Ok(()) = &mut called_off => {}
    }
    executor.call_off(order, CALL_OFF_GRACE).await
}
