//! Deleting what has had its time: jobs that are done, sessions and tokens that ended, old predictions, checks, deliveries and messages.

use crate::{Result, Services, boxed};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How long finished wake-ups are kept, for whoever looks into a fault.
const KEEP_JOBS_S: i32 = 3600;
/// Workers that were not heard of for so long are forgotten.
const KEEP_WORKERS: Duration = Duration::from_secs(86_400);
/// For how many days tokens are kept that expired or were revoked.
const KEEP_TOKENS_DAYS: i64 = 30;
/// For how many days deliveries of webhooks and messages to people are kept.
const KEEP_DELIVERIES_DAYS: i64 = 30;
/// For how many days it is kept what came of the fires of schedules.
const KEEP_FIRES_DAYS: i64 = 180;
/// After how many hours a message to somebody is given up that no worker took.
const GIVE_MAIL_UP_HOURS: i64 = 24;
/// How many rows a statement deletes, so that none takes long.
const ROWS: u32 = 5000;

impl Services {
    /// Deletes wake-ups that were handled, and sessions that ended by themselves. Deliveries and messages that nobody will send are dropped.
    /// Uploads that took too long are given up.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer.
    #[boxed]
    pub async fn delete_finished(&self) -> Result<()> {
        let mut conn = self.conn().await?;
        store::wake::clean(&mut conn, KEEP_JOBS_S).await?;
        store::worker::forget_silent(&mut conn, KEEP_WORKERS).await?;
        store::session::delete_expired(&mut conn).await?;
        store::webhook::delivery::drop_lost(&mut conn).await?;
        store::mail::give_up_before(&mut conn, Utc::now() - TimeDelta::hours(GIVE_MAIL_UP_HOURS)).await?;
        drop(conn);
        // Last: of all this, it alone needs the artifact store.
        self.delete_ended_uploads().await
    }

    /// Deletes some predictions and checks from before a moment, and tokens, deliveries and messages that ended long ago. Tells whether there may be
    /// more.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn delete_old(&self, kept_from: DateTime<Utc>) -> Result<bool> {
        let (mut conn, rows) = (self.conn().await?, i64::from(ROWS));
        let tokens_from = Utc::now() - TimeDelta::days(KEEP_TOKENS_DAYS);
        let deliveries_from = Utc::now() - TimeDelta::days(KEEP_DELIVERIES_DAYS);
        let fires_from = Utc::now() - TimeDelta::days(KEEP_FIRES_DAYS);
        let deleted = [
            ("predictions", store::prediction::delete_before(&mut conn, kept_from, rows).await?),
            ("examples of replays", store::promotion::delete_examples_before(&mut conn, kept_from, rows).await?),
            ("checks", store::monitor::delete_checks_before(&mut conn, kept_from, rows).await?),
            ("tokens", store::token::delete_ended_before(&mut conn, tokens_from, rows).await?),
            ("deliveries", store::webhook::delivery::delete_before(&mut conn, deliveries_from, rows).await?),
            ("messages", store::mail::delete_before(&mut conn, deliveries_from, rows).await?),
            ("pushes", store::push_hook::delete_deliveries_before(&mut conn, deliveries_from, rows).await?),
            ("fires", store::schedule::delete_fires_before(&mut conn, fires_from, rows).await?),
        ];
        for (what, count) in deleted.iter().filter(|(_, count)| *count > 0) {
            tracing::info!(what, count, "old rows were deleted");
        }
        Ok(deleted.iter().any(|(_, count)| *count == u64::from(ROWS)))
    }
}
