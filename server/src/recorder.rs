//! Keeping what this process counts and measures, for `/metrics`.

use crate::supervise::supervise;
use anyhow::{Context as _, Result};
use axum::{http::header, response::IntoResponse};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Seconds: the upper bounds of the latency histograms' buckets.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds, from a minute to 30 days: how long people take.
const LONG_BUCKETS: [f64; 10] =
    [60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0, 2_592_000.0];
/// Between two rounds of gathering what histograms have got.
const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to keep metrics. Once in a process.
///
/// # Errors
/// When they are kept already.
pub(crate) fn install() -> Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .set_buckets_for_metric(Matcher::Full("slipway_promotion_decision_seconds".to_owned()), &LONG_BUCKETS)?
        .install_recorder()
        .context("metrics cannot be kept")?;
    let kept = handle.clone();
    // As long as the process.
    tokio::spawn(supervise("the upkeep of metrics", CancellationToken::new(), move || upkeep(kept.clone())));
    Ok(handle)
}

/// All metrics as Prometheus reads them.
pub(crate) fn exposition(kept: &PrometheusHandle) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], kept.render())
}

async fn upkeep(kept: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        kept.run_upkeep();
    }
}
