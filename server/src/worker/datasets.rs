//! What goes on with datasets: looking at new versions, and deleting what no version needs.

use super::Worker;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks for datasets that are due to be swept.
const SWEEP: Duration = Duration::from_secs(300);
/// Between two looks for bodies that nobody owns. All are listed.
const PACKS: Duration = Duration::from_secs(6 * 3600);

/// Between two looks for versions that wait, when nobody told of any: whoever died over one left it.
const POLL: Duration = Duration::from_secs(10);

/// Looks at new versions until told to stop. One that is under way then is left, and looked at again when its lease has ended.
pub(super) async fn profile(worker: Worker) {
    loop {
        let profiled = tokio::select! {
            () = worker.stop.cancelled() => return,
            profiled = worker.services.profile_next_dataset() => profiled,
        };
        match profiled {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a version of a dataset could not be looked at; it is tried again"),
        }
        tokio::select! {
            () = worker.stop.cancelled() => return,
            () = worker.datasets.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Deletes what no version of a dataset needs.
pub(super) async fn sweep(worker: Worker) {
    let mut look_for_packs = Instant::now() + SWEEP;
    while worker.pause(SWEEP).await {
        while !worker.stop.is_cancelled() {
            match worker.services.sweep_dataset().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "a dataset could not be swept");
                    break;
                }
            }
        }
        if look_for_packs <= Instant::now() {
            look_for_packs = Instant::now() + PACKS;
            if let Err(error) = worker.services.sweep_packs().await {
                tracing::warn!(%error, "bodies that no dataset owns could not be looked for");
            }
        }
    }
}
