//! Telling people beforehand that a request expires.

use super::{candidate_of, event, write_as_system};
use crate::{Result, Services, boxed, commit};
use chrono::TimeDelta;
use domain::prose;

/// How long before its end people are told that a request expires.
const NOTICE: TimeDelta = TimeDelta::hours(24);

/// The most in one round.
const ROUND: i64 = 200;

impl Services {
    /// Tells of each request that it expires soon, once, and gives those that have expired to be ended. Tells how many of
    /// both there were.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn watch_expiry(&self) -> Result<usize> {
        let now = store::clock(&mut *self.conn().await?).await?;
        let soon = store::promotion::expiring(&mut *self.conn().await?, now + NOTICE, ROUND).await?;
        let count = soon.len();
        for seen in soon {
            if seen.expires_at <= now {
                self.advance_promotion(seen.id).await?;
                continue;
            }
            // A request that stands for an hour is announced when a quarter of it is left.
            let quarter = (seen.expires_at - seen.created_at) / 4;
            if seen.expires_at - now > quarter {
                continue;
            }
            let mut tx = self.begin().await?;
            let Some(promotion) = store::promotion::lock(&mut tx, seen.id).await? else { continue };
            if !promotion.state.may_expire() || !store::promotion::set_warned(&mut tx, promotion.id).await? {
                continue;
            }
            let candidate = candidate_of(&mut tx, &promotion).await?;
            let until = prose::minute(promotion.expires_at);
            let summary = format!("warned that {} expires on {until}", promotion.title());
            write_as_system(event("promotion.expiring", &promotion, &candidate, summary), &mut tx, &promotion).await?;
            commit(tx).await?;
        }
        Ok(count)
    }
}
