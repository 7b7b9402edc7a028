//! Looking at the tables again and again, for whatever a lost wake-up left lying.

use super::Worker;
use domain::id::PromotionId;
use std::time::Duration;

/// Between two rounds of tidying.
const LEFTOVERS: Duration = Duration::from_secs(60);
/// How long finished wake-ups are kept, for whoever looks into a fault.
const KEEP_JOBS_S: i32 = 3600;

impl Worker {
    /// Goes on with a promotion that waits for nobody.
    #[allow(clippy::unused_async, reason = "the use case is on its way")]
    pub(super) async fn advance_promotion(&self, id: PromotionId) {
        tracing::debug!(promotion = %id, "woken");
    }
}

/// Looks at the traffic of deployed models.
pub(super) async fn monitors(worker: Worker) {
    loop {
        tokio::select! {
            () = worker.stop.cancelled() => return,
            () = worker.monitors.notified() => {}
            () = tokio::time::sleep(worker.options.monitor_interval) => {}
        }
        if let Err(error) = worker.services.check_monitors().await {
            tracing::warn!(%error, "traffic could not be checked");
        }
    }
}

/// Deletes what has had its time: jobs that are done, sessions that ended.
pub(super) async fn leftovers(worker: Worker) {
    while worker.pause(LEFTOVERS).await {
        let Ok(mut conn) = worker.services.pool().acquire().await else { continue };
        if let Err(error) = store::wake::clean(&mut conn, KEEP_JOBS_S).await {
            tracing::warn!(%error, "finished jobs could not be deleted");
        }
        if let Err(error) = store::session::delete_expired(&mut conn).await {
            tracing::warn!(%error, "ended sessions could not be deleted");
        }
    }
}
