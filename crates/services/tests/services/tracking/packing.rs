//! Packing points behind the requests.

use crate::tracking::world::World;
use domain::{id::RunId, log_batch::RawMetric, values::MetricValue};
use services::Unpacked;

/// The rows of a run's journal that nobody has packed.
async fn waiting(world: &World, run: RunId) -> i64 {
    sqlx::query_scalar(
        "select count(*) from metric_journal j join runs r on r.key = j.run_key where r.id = $1 and not j.packed",
    )
    .bind(run)
    .fetch_one(&world.database.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_run_with_damaged_points_holds_up_no_other() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let mut runs = Vec::new();
    for name in ["first", "damaged", "last"] {
        let run = world.run(experiment, name, &[("loss", 0.5)], &[]).await;
        let again =
            RawMetric { key: "loss".to_owned(), value: MetricValue::new(0.4), timestamp: 2, ..RawMetric::default() };
        world.services.log_metric(&world.ctx(), run, &again).await.unwrap();
        runs.push(run);
    }
    // Not by the service: it packs what it ends at once, beside the test.
    sqlx::query("update runs set status = 'FINISHED'").execute(&world.database.pool).await.unwrap();
    sqlx::query("update metric_journal set points = '\\x00' where run_key = (select key from runs where id = $1)")
        .bind(runs[1])
        .execute(&world.database.pool)
        .await
        .unwrap();
    let mut seen = Unpacked::default();
    // The first look only notes who has ended.
    for _ in 0..2 {
        world.services.pack_runs(&mut seen).await.unwrap();
    }
    assert_eq!((waiting(&world, runs[0]).await, waiting(&world, runs[2]).await), (0, 0));
    // What cannot be read stays as it was.
    assert_eq!(waiting(&world, runs[1]).await, 2);
}
