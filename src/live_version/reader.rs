//! One reading within its time. What hangs costs that reading and, while it hangs, the next ones;
//! never the loop, and never more than a few threads.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{file, http, run, symlink};
use crate::model::live::{Live, LiveSettings, LiveSource};
use crate::model::time::format_duration;
use crate::net::client::Client;

/// How many readings of files may hang at once, each in a thread of its own: one that was made to
/// look and one that a rollback waits for.
const MAX_HANGING: usize = 2;

/// Reads the live version.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Arc<Client>,
    places: Arc<Semaphore>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { client: Arc::default(), places: Arc::new(Semaphore::new(MAX_HANGING)) }
    }
}

impl Reader {
    /// Reads it, once. There is always an answer, and it comes within the time limit and the
    /// moment that it takes to end a program.
    pub async fn read(&self, settings: &LiveSettings) -> Live {
        let limit = settings.timeout;
        let reading = self.read_source(&settings.source, limit);
        let late = || Live::unknown(&format!("no answer within {}", format_duration(limit)));
        timeout(limit, reading).await.unwrap_or_else(|_| late())
    }

    async fn read_source(&self, source: &LiveSource, limit: Duration) -> Live {
        match source {
            LiveSource::Symlink(path) => {
                let path = path.clone();
                self.beside(move || symlink::read(&path)).await
            }
            LiveSource::File { path, pointer } => {
                let (path, pointer) = (path.clone(), pointer.clone());
                self.beside(move || file::read(&path, pointer.as_deref())).await
            }
            LiveSource::Http(request) => http::read(&self.client, request, limit).await,
            LiveSource::Run(argv) => run::read(argv).await,
            LiveSource::Metric { .. } => Live::unknown("it is read from what is sampled"),
        }
    }

    /// In a thread of its own: a file system may hang.
    async fn beside(&self, read: impl FnOnce() -> Live + Send + 'static) -> Live {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Live::unknown("earlier readings still hang");
        };
        let reading = tokio::task::spawn_blocking(move || {
            let live = read();
            drop(place);
            live
        });
        reading.await.unwrap_or_else(|_| Live::unknown("the reading broke off"))
    }
}
