//! Logged models.

use crate::tracking::world::World;
use domain::{log_batch::RawMetric, logged_model::LoggedModelStatus, values::MetricValue};
use services::{NewLoggedModel, NewModel, NewModelVersion};
use std::time::Duration;

#[tokio::test]
async fn who_looks_at_a_flag_of_a_logged_model_does_not_read_its_points() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let experiment_id = world.experiment("wine").await;
    let run = world.run(experiment_id, "first", &[], &[]).await;
    let new = NewLoggedModel { experiment_id, source_run_id: Some(run), ..NewLoggedModel::default() };
    let id = services.create_logged_model(ctx, new).await.unwrap().0.id;
    let point = RawMetric {
        key: "acc".to_owned(),
        value: MetricValue::new(0.5),
        timestamp: 1,
        model_id: Some(id),
        ..RawMetric::default()
    };
    services.log_metric(ctx, run, &point).await.unwrap();
    services.create_model(ctx, NewModel { name: "churn".to_owned(), ..NewModel::default() }).await.unwrap();

    // Nobody reads a point meanwhile.
    let mut holder = world.database.pool.begin().await.unwrap();
    sqlx::query("lock table logged_model_metrics in access exclusive mode").execute(&mut *holder).await.unwrap();
    let flags = async {
        let params = [("depth".to_owned(), "3".to_owned())];
        services.log_logged_model_params(ctx, id, &params).await.unwrap();
        let new = NewModelVersion {
            model: "churn".to_owned(),
            source: format!("models:/{}", id.wire()),
            ..NewModelVersion::default()
        };
        services.create_model_version(ctx, new).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(60), flags).await.expect("it does not wait for the points");
    holder.rollback().await.unwrap();

    let model = services.finalize_logged_model(ctx, id, LoggedModelStatus::Ready).await.unwrap();
    assert_eq!(model.metrics.len(), 1);
    assert_eq!(model.params["depth"], "3");
    assert_eq!(services.logged_model(ctx, id, false).await.unwrap(), model);
}
