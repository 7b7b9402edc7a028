//! The job queue: wake-ups arrive here, within milliseconds of the change that sent them.

use super::Worker;
use apalis::prelude::{BackendExt as _, BoxDynError, Data, Monitor, WorkerBuilder, WorkerBuilderExt as _};
use apalis_postgres::{Config, PostgresStorage};
use std::time::Duration;
use store::wake::{QUEUE, Wake};

/// How many wake-ups are followed at once.
const AT_ONCE: usize = 4;

/// Listens until told to stop.
///
/// The queue's own idea of who lives decides nothing here: a job only says what to look at, and may be lost or come twice.
/// Most take milliseconds. One of a promotion takes as long as its version is tried, which is bounded by `services::Limits`;
/// meanwhile the others of this worker go on beside it, and when all of them are so busy, the sweeper sees to the rest.
pub(super) async fn listen(worker: Worker) {
    while !worker.stop.is_cancelled() {
        let stop = worker.stop.clone();
        let registered = worker.clone();
        let monitor = Monitor::new()
            .register(move |restarts| {
                // One job at a time from the table: a worker that buffers more forgets to say that it lives.
                let config = Config::default()
                    .queue(QUEUE)
                    .batch_size(1)
                    .heartbeat_interval(Duration::from_secs(5))
                    .missed_heartbeats(6);
                // A notification may be lost with its connection, so the table is looked at as well.
                let backend = PostgresStorage::<serde_json::Value>::new(registered.services.pool())
                    .with_config(config)
                    .with_pubsub()
                    .poll_with_interval(Duration::from_secs(2));
                WorkerBuilder::new(format!("{}-{restarts}", registered.options.name))
                    .backend(backend)
                    .concurrency(AT_ONCE)
                    .catch_panic()
                    .data(registered.clone())
                    .build(handle)
            })
            .should_restart(|_, _| true)
            .shutdown_timeout(Duration::from_secs(10));
        let ended = monitor.run_with_signal(async move {
            stop.cancelled().await;
            Ok(())
        });
        if let Err(error) = ended.await {
            tracing::warn!(%error, "the job queue failed; trying again");
        }
        if !worker.pause(Duration::from_secs(1)).await {
            return;
        }
    }
}

async fn handle(wake: serde_json::Value, worker: Data<Worker>) -> Result<(), BoxDynError> {
    // A job that this version does not know is of a newer one; the sweeper sees to what it meant.
    match serde_json::from_value(wake) {
        Ok(Wake::Steps { pool }) => worker.steps_ready(&pool).await,
        Ok(Wake::Promotion { id }) => worker.advance_promotion(id).await,
        Ok(Wake::Webhooks) => worker.webhooks.notify_one(),
        Ok(Wake::Replays) => worker.replays.notify_one(),
        Ok(Wake::Mails) => worker.mails.notify_one(),
        Ok(Wake::Starts) => worker.starts.notify_one(),
        Ok(Wake::Datasets) => worker.datasets.notify_one(),
        Err(error) => tracing::warn!(%error, "an unknown wake-up"),
    }
    Ok(())
}
