//! What goes on with datasets: deleting what no version needs.

use super::Worker;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks for datasets that are due to be swept.
const SWEEP: Duration = Duration::from_secs(300);
/// Between two looks for bodies that nobody owns. All are listed.
const PACKS: Duration = Duration::from_secs(6 * 3600);

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
