//! Starting what starts by itself: schedules whose time has come, runs that waited for others to end, what triggers wait
//! for, the runs of backfills. Whatever makes something due sends a wake-up; what is due by the clock is slept for.

use super::Worker;
use domain::Error;
use services::Services;
use std::time::Duration;

/// Between two looks, when nobody told of anything and nothing is due before: a wake-up may be lost.
const POLL: Duration = Duration::from_secs(10);
/// The least time between two looks.
const LEAST: Duration = Duration::from_millis(20);
/// Before the next look, after one that failed.
const FAULT: Duration = Duration::from_secs(2);

/// Starts things until told to stop.
pub(super) async fn run(worker: Worker) {
    loop {
        let looked = tokio::select! {
            () = worker.stop.cancelled() => return,
            looked = look(&worker.services) => looked,
        };
        let pause = looked.unwrap_or_else(|error| {
            tracing::warn!(%error, "what is due could not be started; it is tried again");
            FAULT
        });
        tokio::select! {
            () = worker.stop.cancelled() => return,
            () = worker.starts.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Starts all that is due. Tells how long to wait until the next look.
async fn look(services: &Services) -> Result<Duration, Error> {
    while services.see_to_ending().await? {}
    while services.see_to_sub_run().await? {}
    while services.fire_schedule().await? {}
    while services.advance_backfill().await? {}
    services.unstick_runs().await?;
    Ok(services.next_start_due().await?.map_or(POLL, |due| due.clamp(LEAST, POLL)))
}
