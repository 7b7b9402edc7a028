//! Curves for charts: how many points a metric has, and what is drawn of several metrics of several runs.

use crate::tracking::world::World;
use domain::{
    ErrorKind,
    id::RunId,
    log_batch::{LogBatch, RawMetric},
    series::{Axis, Window},
    values::MetricValue,
};
use services::{Curves, MAX_CHART_KEYS, MAX_CHART_RUNS};

/// Logs a point at each of these steps, a second apart.
async fn log(world: &World, run: RunId, key: &str, steps: impl IntoIterator<Item = i64>) {
    let point = |step: i64| RawMetric {
        key: key.to_owned(),
        value: MetricValue::new(step as f64),
        timestamp: 1 + 1000 * step,
        step,
        ..RawMetric::default()
    };
    let points: Vec<RawMetric> = steps.into_iter().map(point).collect();
    for part in points.chunks(1000) {
        world.services.log_batch(&world.ctx(), run, &LogBatch::parse(part, &[], &[]).unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn a_point_that_was_sent_twice_makes_no_curve() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment = world.experiment("wine").await;
    let (one, other) = (world.run(experiment, "one", &[], &[]).await, world.run(experiment, "other", &[], &[]).await);
    for _ in 0..2 {
        log(&world, one, "final", [7]).await;
    }
    log(&world, one, "loss", 0..3).await;
    log(&world, other, "loss", 0..5000).await;
    let lengths = async |runs: &[RunId]| world.services.metric_lengths(&ctx, runs).await.unwrap();
    assert_eq!(lengths(&[one]).await, [("final".to_owned(), 1), ("loss".to_owned(), 3)].into());
    assert_eq!(lengths(&[one, other]).await["loss"], 5000, "of the run that has the most");
    assert!(lengths(&[]).await.is_empty());
}

#[tokio::test]
async fn several_curves_of_several_runs_come_in_the_order_that_was_asked_for() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment = world.experiment("wine").await;
    let elsewhere = world.experiment("elsewhere").await;
    let (one, other) = (world.run(experiment, "one", &[], &[]).await, world.run(elsewhere, "other", &[], &[]).await);
    log(&world, one, "loss", 0..100).await;
    log(&world, one, "acc", 0..10).await;
    log(&world, other, "loss", 0..100).await;
    let window = Window { axis: Axis::Relative, start: Some(50.0), end: Some(52.0) };
    let wanted = Curves { keys: &["loss", "none", "acc"], points: 100, window };
    let found = world.services.metric_series(&ctx, &[other, one], &wanted).await.unwrap();
    let what: Vec<(RunId, &str, i64, Vec<i64>)> = found
        .iter()
        .map(|found| {
            let steps = found.series.points.iter().map(|point| point.step).collect();
            (found.run_id, found.series.key.as_str(), found.series.total, steps)
        })
        .collect();
    let part = vec![49, 50, 51, 52, 53];
    assert_eq!(
        what,
        [(other, "loss", 100, part.clone()), (one, "loss", 100, part), (one, "acc", 10, vec![9])],
        "runs of different experiments have their own numbers for a name"
    );
}

#[tokio::test]
async fn more_than_an_answer_holds_is_refused() {
    let world = World::start().await;
    let ctx = world.ctx();
    let run = world.run(world.experiment("wine").await, "one", &[("loss", 0.5)], &[]).await;
    let ask = async |runs: &[RunId], keys: &[&str], start, end| {
        let window = Window { axis: Axis::Step, start, end };
        world.services.metric_series(&ctx, runs, &Curves { keys, points: 10, window }).await.map(|found| found.len())
    };
    let kind = |answer: services::Result<usize>| answer.unwrap_err().kind;
    assert_eq!(ask(&[run], &["loss"], None, None).await.unwrap(), 1);
    assert_eq!(kind(ask(&[run; MAX_CHART_RUNS + 1], &["loss"], None, None).await), ErrorKind::Invalid);
    assert_eq!(kind(ask(&[run], &["loss"; MAX_CHART_KEYS + 1], None, None).await), ErrorKind::Invalid);
    assert_eq!(kind(ask(&[run], &["loss"], Some(2.0), Some(1.0)).await), ErrorKind::Invalid);
    assert_eq!(kind(ask(&[run], &["loss"], Some(f64::NAN), None).await), ErrorKind::Invalid);
    assert_eq!(kind(ask(&[RunId::new()], &["loss"], None, None).await), ErrorKind::NotFound);
}
