//! What servers and workers tell of themselves to Prometheus.

use crate::slipway::{PATIENCE, Slipway};
use tokio::time::Instant;

async fn read(url: &str) -> String {
    reqwest::get(url).await.unwrap().error_for_status().unwrap().text().await.unwrap()
}

/// The metrics, once they have this line.
async fn with_line(url: &str, line: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let metrics = read(url).await;
        if metrics.lines().any(|known| known == line) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "{line} in {metrics}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_server_tells_what_the_database_says_and_a_worker_what_it_does() {
    let (slipway, mut server) = Slipway::start(&["--no-worker"]).await;
    let of_server = format!("{}/metrics", slipway.url);
    let run = slipway.run("name: one\nsteps:\n  only: { command: 'true' }\n").await;
    let metrics = with_line(&of_server, "slipway_queue_depth{queue=\"default\"} 1").await;
    let of_production = |name: &str| format!("{name}{{environment=\"production\"}} 0");
    for line in [
        "slipway_alerts_open 0".to_owned(),
        of_production("slipway_promotions_pending"),
        of_production("slipway_freezes_active"),
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} in {metrics}");
    }

    let (mut worker, of_worker) = slipway.work_and_tell(&[]);
    assert_eq!(read(&of_worker.replace("/metrics", "/healthz")).await, "ok\n");
    slipway.ended(run).await;
    let metrics = with_line(&of_worker, "slipway_pipeline_runs_total{state=\"succeeded\"} 1").await;
    assert!(metrics.lines().any(|line| line == "slipway_step_attempts_total{outcome=\"succeeded\"} 1"), "{metrics}");
    assert!(!metrics.contains("slipway_queue_depth"), "the server tells it: {metrics}");
    let metrics = with_line(&of_server, "slipway_queue_depth{queue=\"default\"} 0").await;
    assert!(!metrics.contains("slipway_pipeline_runs_total"), "the worker tells it: {metrics}");
    worker.stop();
    server.stop();
}
