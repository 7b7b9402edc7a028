//! How many steps wait for a worker. Told by every server, also by one that does not work itself: that is the one whose
//! steps wait.

use services::Services;
use std::{collections::BTreeSet, time::Duration};

/// Between two counts.
const COUNT: Duration = Duration::from_secs(5);

/// Counts again and again.
pub async fn watch(services: Services) {
    let mut known = BTreeSet::from(["default".to_owned()]);
    loop {
        match services.steps_waiting().await {
            Ok(waiting) => {
                known.extend(waiting.iter().map(|(pool, _)| pool.clone()));
                for pool in &known {
                    let count = waiting.iter().find(|(name, _)| name == pool).map_or(0, |(_, count)| *count);
                    #[allow(clippy::cast_precision_loss, reason = "nobody has 2⁵³ steps")]
                    metrics::gauge!("slipway_queue_depth", "queue" => pool.clone()).set(count as f64);
                }
            }
            Err(error) => tracing::debug!(%error, "waiting steps could not be counted"),
        }
        tokio::time::sleep(COUNT).await;
    }
}
