//! Looking at the tables again and again, for whatever a lost wake-up left lying.

use super::Worker;
use chrono::{TimeDelta, Utc};
use domain::id::PromotionId;
use futures::{FutureExt as _, future::BoxFuture};
use services::Sweep;
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use store::PgConnection;
use tokio::{
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Between two looks for promotions that have something to do.
const PROMOTIONS: Duration = Duration::from_secs(5);
/// How many promotions are gone on with at once. One that is tried may take minutes, and must not hold up the others.
const AT_ONCE: usize = 4;
/// Between two rounds of tidying.
const LEFTOVERS: Duration = Duration::from_secs(60);
/// How long finished wake-ups are kept, for whoever looks into a fault.
const KEEP_JOBS_S: i32 = 3600;
/// For how many days tokens are kept that expired or were revoked.
const KEEP_TOKENS_DAYS: i64 = 30;
/// Between two looks for predictions, checks and tokens that have had their time.
const OLD: Duration = Duration::from_secs(3600);
/// How many rows a statement deletes, so that none takes long.
const ROWS: i64 = 5000;

/// Goes on with promotions that wait for nobody.
pub(super) async fn promotions(worker: Worker) {
    let mut sweep = Sweep::default();
    let mut waiting: VecDeque<PromotionId> = VecDeque::new();
    let mut under_way = AtOnce::default();
    let mut look = interval_at(Instant::now() + PROMOTIONS, PROMOTIONS);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        while under_way.len() < AT_ONCE
            && let Some(id) = waiting.pop_front()
        {
            let worker = worker.clone();
            under_way.start(id, async move { worker.advance_promotion(id).await });
        }
        tokio::select! {
            () = worker.stop.cancelled() => return,
            () = under_way.ended() => {}
            _ = look.tick(), if waiting.is_empty() => match worker.services.promotions_to_advance(&mut sweep).await {
                Ok(moving) => waiting.extend(moving.into_iter().filter(|id| !under_way.has(id))),
                Err(error) => tracing::warn!(%error, "promotions could not be looked for"),
            }
        }
    }
}

/// What is worked on at once, each thing by one.
struct AtOnce<T> {
    tasks: JoinSet<()>,
    things: HashMap<task::Id, T>,
}

impl<T> Default for AtOnce<T> {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), things: HashMap::new() }
    }
}

impl<T: Eq> AtOnce<T> {
    fn len(&self) -> usize {
        self.things.len()
    }

    fn has(&self, thing: &T) -> bool {
        self.things.values().any(|known| known == thing)
    }

    fn start(&mut self, thing: T, work: impl Future<Output = ()> + Send + 'static) {
        self.things.insert(self.tasks.spawn(work).id(), thing);
    }

    /// Waits until the work on one of them has ended; for ever when there is none.
    async fn ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "going on with a promotion failed");
                error.id()
            }
            None => std::future::pending().await,
        };
        self.things.remove(&id);
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

/// Deletes what has had its time: jobs that are done, sessions and tokens that ended, old predictions and checks.
pub(super) async fn leftovers(worker: Worker) {
    let mut look_for_old = Instant::now();
    while worker.pause(LEFTOVERS).await {
        let Ok(mut conn) = worker.services.pool().acquire().await else { continue };
        if let Err(error) = store::wake::clean(&mut conn, KEEP_JOBS_S).await {
            tracing::warn!(%error, "finished jobs could not be deleted");
        }
        if let Err(error) = store::session::delete_expired(&mut conn).await {
            tracing::warn!(%error, "ended sessions could not be deleted");
        }
        if look_for_old <= Instant::now() {
            look_for_old = Instant::now() + OLD;
            worker.delete_old(&mut conn).await;
        }
    }
}

impl Worker {
    /// Deletes predictions and checks that are older than they are kept, and tokens that ended long ago.
    async fn delete_old(&self, conn: &mut PgConnection) {
        let kept_from = Utc::now() - self.options.keep_predictions;
        let tokens_from = Utc::now() - TimeDelta::days(KEEP_TOKENS_DAYS);
        self.delete(conn, "predictions", |conn| store::prediction::delete_before(conn, kept_from, ROWS).boxed()).await;
        self.delete(conn, "checks", |conn| store::monitor::delete_checks_before(conn, kept_from, ROWS).boxed()).await;
        self.delete(conn, "tokens", |conn| store::token::delete_ended_before(conn, tokens_from, ROWS).boxed()).await;
    }

    /// Repeats a statement that deletes up to [`ROWS`] rows until it deletes fewer.
    async fn delete(
        &self,
        conn: &mut PgConnection,
        what: &str,
        statement: impl for<'c> Fn(&'c mut PgConnection) -> BoxFuture<'c, store::Result<u64>>,
    ) {
        let mut count = 0;
        loop {
            match statement(conn).await {
                Ok(deleted) => {
                    count += deleted;
                    if deleted == ROWS.unsigned_abs() && !self.stop.is_cancelled() {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(what, %error, "old rows could not be deleted"),
            }
            if count > 0 {
                tracing::info!(what, count, "old rows were deleted");
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_never_ends_holds_up_no_other_and_one_that_panics_is_forgotten() {
        let mut under_way = AtOnce::default();
        under_way.start("never", std::future::pending());
        for thing in ["first", "second"] {
            under_way.start(thing, async {});
            under_way.ended().await;
            assert!(!under_way.has(&thing) && under_way.has(&"never"));
        }
        under_way.start("panics", async { panic!("a mistake") });
        under_way.ended().await;
        assert_eq!(under_way.len(), 1);
    }
}
