//! Looking at the tables again and again, for whatever a lost wake-up left lying.

use super::Worker;
use chrono::Utc;
use domain::id::PromotionId;
use services::{Sweep, Unpacked};
use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};
use tokio::{
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Between two looks for promotions that have something to do.
const PROMOTIONS: Duration = Duration::from_secs(5);
/// Between two looks for promotions that expire and reviews that are overdue. Both are told of hours before or after.
const DUE: Duration = Duration::from_secs(30);
/// How many promotions are gone on with at once. One that is tried may take minutes, and must not hold up the others.
const AT_ONCE: usize = 4;
/// Between two looks for points that wait to be packed.
const POINTS: Duration = Duration::from_secs(20);
/// Between two looks for events that wait to be chained. Nobody is woken for them: that would cost each event's writer.
const HISTORY: Duration = Duration::from_secs(2);
/// Between two looks for logs to archive.
const LOGS: Duration = Duration::from_secs(60);
/// How long the log of a try that has ended stays in the database.
const LOGS_KEPT: chrono::TimeDelta = chrono::TimeDelta::minutes(10);
/// Between two rounds of tidying.
const LEFTOVERS: Duration = Duration::from_secs(60);
/// Between two looks for predictions, checks and tokens that have had their time.
const OLD: Duration = Duration::from_secs(3600);

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

/// Tells of promotions that expire soon, ends those that have, and reminds of reviews that are overdue.
pub(super) async fn due(worker: Worker) {
    while worker.pause(DUE).await {
        if let Err(error) = worker.services.watch_expiry().await {
            tracing::warn!(%error, "promotions that expire could not be looked for");
        }
        if let Err(error) = worker.services.expire_change_requests().await {
            tracing::warn!(%error, "change requests that expire could not be looked for");
        }
        if let Err(error) = worker.services.expire_step_approvals().await {
            tracing::warn!(%error, "steps that nobody decided on in time could not be looked for");
        }
        if let Err(error) = worker.services.nag_about_reviews().await {
            tracing::warn!(%error, "overdue reviews could not be looked for");
        }
    }
}

/// Looks at the traffic of deployed models.
pub(super) async fn monitors(worker: Worker) {
    while worker.pause(worker.options.monitor_interval).await {
        if let Err(error) = worker.services.check_monitors().await {
            tracing::warn!(%error, "traffic could not be checked");
        }
    }
}

/// Packs points that nobody packed: of runs that ended while a process died, or were logged to after their end.
pub(super) async fn points(worker: Worker) {
    let mut seen = Unpacked::default();
    while worker.pause(POINTS).await {
        if let Err(error) = worker.services.pack_runs(&mut seen).await {
            tracing::warn!(%error, "points could not be packed");
        }
    }
}

/// Chains history.
pub(super) async fn history(worker: Worker) {
    while worker.pause(HISTORY).await {
        if let Err(error) = worker.services.chain_audit_events().await {
            tracing::warn!(%error, "history could not be chained");
        }
    }
}

/// Moves logs out of the database once nobody is likely to follow them any more.
pub(super) async fn logs(worker: Worker) {
    while worker.pause(LOGS).await {
        while !worker.stop.is_cancelled() {
            match worker.services.archive_logs(Utc::now() - LOGS_KEPT).await {
                Ok(0) => break,
                Ok(moved) => tracing::debug!(moved, "logs were archived"),
                Err(error) => {
                    tracing::warn!(%error, "logs could not be archived");
                    break;
                }
            }
        }
    }
}

/// Deletes what has had its time.
pub(super) async fn leftovers(worker: Worker) {
    let mut look_for_old = Instant::now();
    while worker.pause(LEFTOVERS).await {
        if let Err(error) = worker.services.delete_finished().await {
            tracing::warn!(%error, "what is finished could not be deleted");
        }
        if look_for_old <= Instant::now() {
            look_for_old = Instant::now() + OLD;
            let kept_from = Utc::now() - worker.options.keep_predictions;
            while !worker.stop.is_cancelled() {
                match worker.services.delete_old(kept_from).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "old rows could not be deleted");
                        break;
                    }
                }
            }
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
