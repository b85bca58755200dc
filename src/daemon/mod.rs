//! L3: the daemon. It selects an event, hands it to the guard and performs the effects in order.
//! It decides nothing about deployments.

mod doctor;
mod run;
mod shell;
mod signals;
mod supervisor;

pub(crate) use run::{DaemonError, names, run};
pub(crate) use shell::{chain, write_whole};
