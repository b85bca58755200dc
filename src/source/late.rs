//! Blocking work that may hang: name resolution, files on a dead network disk. A scrape gives up
//! on it at its timeout, but a thread that blocks cannot be stopped; so each target has at most
//! one such job of a kind, and the next scrape waits for the same one.

use tokio::task::JoinHandle;

/// At most one job that gives a `T`.
#[derive(Debug)]
pub(super) struct Late<T>(Option<JoinHandle<T>>);

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Send + 'static> Late<T> {
    /// What the running job gives, or `job` if none is running. Dropping the future keeps it.
    pub(super) async fn run(&mut self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let handle = self.0.get_or_insert_with(|| tokio::task::spawn_blocking(job));
        let done = handle.await;
        self.0 = None;
        done.expect("jobs do not panic, and the runtime that could cancel them runs this task")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_hanging_job_is_waited_for_again_and_not_started_twice() {
        let mut late = Late::default();
        let (release, hang) = mpsc::channel::<i32>();
        let hanging = late.run(move || hang.recv().unwrap());
        assert!(tokio::time::timeout(Duration::from_millis(1), hanging).await.is_err());
        release.send(1).unwrap();
        assert_eq!(late.run(|| 2).await, 1);
        assert_eq!(late.run(|| 3).await, 3);
    }
}
