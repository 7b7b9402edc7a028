//! Replaying recorded predictions on candidates: one at a time, apart from what goes on with promotions, so that no gate
//! waits for it.

use super::Worker;
use std::time::Duration;

/// Between two looks, when nobody told of any: whoever died over one left it.
const POLL: Duration = Duration::from_secs(10);

/// Replays until told to stop. One that is under way then is left, and done again when its lease has ended.
pub(super) async fn run(worker: Worker) {
    loop {
        let replayed = tokio::select! {
            () = worker.stop.cancelled() => return,
            replayed = worker.services.replay_next() => replayed,
        };
        match replayed {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "predictions could not be replayed; it is tried again"),
        }
        tokio::select! {
            () = worker.stop.cancelled() => return,
            () = worker.replays.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}
