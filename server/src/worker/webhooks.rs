//! Sending what webhooks are told: taking a delivery when there is one, and sending several at once.

use super::Worker;
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};

/// How many deliveries are under way at once.
const AT_ONCE: usize = 8;
/// Between two looks, when nobody told of any and none waits for its time.
const POLL: Duration = Duration::from_secs(5);
/// Between two looks, when those that may be sent are held back because others of their webhook are under way.
const HELD_BACK: Duration = Duration::from_secs(1);
/// How long those under way may go on once the worker is to stop. The others are sent again by another, when their lease
/// has ended.
const LAST: Duration = Duration::from_secs(5);

/// Sends deliveries until told to stop.
pub(super) async fn run(worker: Worker) {
    let mut under_way = JoinSet::new();
    while !worker.stop.is_cancelled() {
        let pause = worker.take_deliveries(&mut under_way).await;
        tokio::select! {
            () = worker.stop.cancelled() => {}
            () = worker.webhooks.notified() => {}
            Some(ended) = under_way.join_next() => tell_failure(ended),
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(ended) = under_way.try_join_next() {
            tell_failure(ended);
        }
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    if timeout(LAST, rest).await.is_err() {
        tracing::info!("deliveries are under way; they are sent again by another worker");
    }
}

/// A task that did not end as it should: a mistake of ours.
fn tell_failure(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "sending a delivery failed");
    }
}

impl Worker {
    /// Takes deliveries while there are any and a place is free. Tells how long to wait until the next look.
    async fn take_deliveries(&self, under_way: &mut JoinSet<()>) -> Duration {
        while under_way.len() < AT_ONCE {
            match self.services.take_delivery().await {
                Ok(Some(taken)) => {
                    let services = self.services.clone();
                    under_way.spawn(async move {
                        if let Err(error) = services.send_delivery(taken).await {
                            tracing::warn!(%error, "how a delivery went could not be noted; it is sent again");
                        }
                    });
                }
                Ok(None) => {
                    return match self.services.next_delivery_due().await {
                        Ok(Some(due)) if due.is_zero() => HELD_BACK,
                        Ok(Some(due)) => due.clamp(Duration::from_millis(10), POLL),
                        Ok(None) | Err(_) => POLL,
                    };
                }
                Err(error) => {
                    tracing::warn!(%error, "no delivery could be taken; trying again");
                    return HELD_BACK;
                }
            }
        }
        POLL
    }
}
