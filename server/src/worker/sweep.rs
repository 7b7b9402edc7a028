//! Looking at the tables again and again, for whatever a lost wake-up left lying.

use super::Worker;
use domain::id::PromotionId;
use std::time::Duration;

/// Between two looks for promotions that have something to do.
const PROMOTIONS: Duration = Duration::from_secs(5);
/// Between two rounds of tidying.
const LEFTOVERS: Duration = Duration::from_secs(60);
/// How long finished wake-ups are kept, for whoever looks into a fault.
const KEEP_JOBS_S: i32 = 3600;

/// Goes on with promotions that wait for nobody.
pub(super) async fn promotions(worker: Worker) {
    while worker.pause(PROMOTIONS).await {
        match worker.services.promotions_to_advance().await {
            Ok(moving) => {
                for id in moving {
                    worker.advance_promotion(id).await;
                }
            }
            Err(error) => tracing::warn!(%error, "promotions could not be looked for"),
        }
        if let Err(error) = worker.services.record_gauges().await {
            tracing::debug!(%error, "gauges could not be recorded");
        }
    }
}

impl Worker {
    /// Goes on with a promotion.
    pub(super) async fn advance_promotion(&self, id: PromotionId) {
        if let Err(error) = self.services.advance_promotion(id).await {
            tracing::warn!(promotion = %id, %error, "a promotion could not be advanced; it is tried again");
        }
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
