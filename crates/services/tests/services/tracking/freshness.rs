//! What is remembered of a run is never shown once the run has changed, and requests that are written together do not
//! know of each other.

use crate::tracking::world::World;
use domain::{
    ErrorKind,
    id::RunId,
    log_batch::{LogBatch, RawMetric},
    run::{DatasetInput, ModelLink, Run, RunModel, RunStatus},
    values::MetricValue,
};
use futures::future::join_all;
use services::{NewLoggedModel, RunChange};

fn metric(key: &str, step: i64, value: f64) -> RawMetric {
    RawMetric { key: key.to_owned(), value: MetricValue::new(value), step, timestamp: 1, ..RawMetric::default() }
}

#[tokio::test]
async fn a_run_is_read_anew_after_every_sort_of_change() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let experiment_id = world.experiment("wine").await;
    let id = world.run(experiment_id, "first", &[("loss", 0.5)], &[("depth", "3")]).await;
    let new = NewLoggedModel { experiment_id, source_run_id: Some(id), ..NewLoggedModel::default() };
    let model = services.create_logged_model(ctx, new).await.unwrap().0.id;
    let read = async || Run::clone(&*services.run(ctx, id).await.unwrap());
    let mut before = read().await;
    let mut has_changed = async |what: &str| {
        let now = read().await;
        assert_ne!(now, before, "{what}");
        // From another process, which remembers nothing.
        let other = services::Services::new(world.database.pool.clone(), world.artifacts().await);
        assert_eq!(*other.run(ctx, id).await.unwrap(), now, "{what}");
        before = now;
    };
    services.log_metric(ctx, id, &metric("loss", 1, 0.4)).await.unwrap();
    has_changed("a point").await;
    services.log_param(ctx, id, "rate", "0.1").await.unwrap();
    has_changed("a param").await;
    services.set_run_tag(ctx, id, "team", "red").await.unwrap();
    has_changed("a tag").await;
    services.set_run_tag(ctx, id, "mlflow.runName", "second").await.unwrap();
    has_changed("a name by its tag").await;
    services.delete_run_tag(ctx, id, "team").await.unwrap();
    has_changed("a tag less").await;
    let (params, tags) = ([("a".to_owned(), "1".to_owned())], [("b".to_owned(), "2".to_owned())]);
    let batch = LogBatch::parse(&[metric("acc", 0, 1.0)], &params, &tags).unwrap();
    services.log_batch(ctx, id, &batch).await.unwrap();
    has_changed("a batch").await;
    let change = RunChange { status: Some(RunStatus::Finished), end_time: Some(7), name: Some("third".to_owned()) };
    services.update_run(ctx, id, change).await.unwrap();
    has_changed("a status").await;
    let dataset = DatasetInput {
        name: "wine".to_owned(),
        digest: "d".to_owned(),
        source_type: "local".to_owned(),
        source: "x".to_owned(),
        schema: None,
        profile: None,
        tags: [].into(),
    };
    services.log_inputs(ctx, id, vec![dataset], &[]).await.unwrap();
    has_changed("a data set").await;
    services.log_inputs(ctx, id, vec![], &[model]).await.unwrap();
    has_changed("a model that it read").await;
    services.log_outputs(ctx, id, &[ModelLink { model_id: model, step: 3 }]).await.unwrap();
    has_changed("a model that it wrote").await;
    let model = serde_json::json!({ "artifact_path": "m", "run_id": "r", "utc_time_created": "now", "flavors": {} });
    services.log_run_model(ctx, id, RunModel::read(&model).unwrap()).await.unwrap();
    has_changed("a model by its old name").await;
    services.delete_run(ctx, id).await.unwrap();
    has_changed("a deletion").await;
    services.restore_run(ctx, id).await.unwrap();
    has_changed("a restoration").await;
    services.delete_experiment(ctx, experiment_id).await.unwrap();
    has_changed("the deletion of its experiment").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_requests_that_are_written_together_each_gets_its_own_answer() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let experiment = world.experiment("wine").await;
    let (used, deleted) =
        (world.run(experiment, "used", &[], &[]).await, world.run(experiment, "deleted", &[], &[]).await);
    services.delete_run(ctx, deleted).await.unwrap();
    let log = async |id: RunId, step: i64| services.log_metric(ctx, id, &metric("loss", step, step as f64)).await;
    let answers = join_all((0..200).map(|step| log(if step % 3 == 0 { deleted } else { used }, step))).await;
    for (step, answer) in answers.into_iter().enumerate() {
        match (step % 3, answer) {
            (0, Err(error)) => assert_eq!(error.kind, ErrorKind::Invalid, "{error}"),
            (0, Ok(())) => panic!("a run that is put away took a point"),
            (_, answer) => answer.unwrap(),
        }
    }
    let steps =
        |page: domain::Page<domain::series::Point>| page.items.iter().map(|point| point.step).collect::<Vec<_>>();
    let written = steps(services.metric_history(ctx, used, "loss", None, 1000).await.unwrap());
    let mut expected: Vec<i64> = (0..200).filter(|step| step % 3 != 0).collect();
    expected.sort_unstable();
    let mut sorted = written.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert!(services.metric_history(ctx, deleted, "loss", None, 1000).await.unwrap().items.is_empty());
    assert_eq!(services.run(ctx, used).await.unwrap().metric("loss"), Some(199.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_held_up_holds_up_no_other() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let experiment = world.experiment("wine").await;
    let (held, free) = (world.run(experiment, "held", &[], &[]).await, world.run(experiment, "free", &[], &[]).await);
    let mut holder = world.database.pool.begin().await.unwrap();
    sqlx::query("update runs set version = version where id = $1").bind(held).execute(&mut *holder).await.unwrap();
    let (services_, ctx_) = (services.clone(), ctx.clone());
    let waiting = tokio::spawn(async move { services_.log_metric(&ctx_, held, &metric("loss", 0, 1.0)).await });
    for step in 0..20 {
        services.log_metric(ctx, free, &metric("loss", step, 1.0)).await.unwrap();
    }
    assert!(!waiting.is_finished());
    holder.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(services.run(ctx, held).await.unwrap().metric("loss"), Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_wait_for_a_run_that_is_held_up_others_are_logged_to() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let experiment = world.experiment("wine").await;
    let (held, free) = (world.run(experiment, "held", &[], &[]).await, world.run(experiment, "free", &[], &[]).await);
    let mut holder = world.database.pool.begin().await.unwrap();
    sqlx::query("update runs set version = version where id = $1").bind(held).execute(&mut *holder).await.unwrap();
    let waiters = 4 * i64::from(world.database.pool.options().get_max_connections());
    let waiting: Vec<_> = (0..waiters)
        .map(|step| {
            let (services, ctx) = (services.clone(), ctx.clone());
            tokio::spawn(async move { services.log_metric(&ctx, held, &metric("loss", step, 1.0)).await })
        })
        .collect();
    world.until_waiting(1).await;
    for step in 0..20 {
        services.log_metric(ctx, free, &metric("loss", step, 1.0)).await.unwrap();
    }
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    holder.commit().await.unwrap();
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    let written = services.metric_history(ctx, held, "loss", None, 1000).await.unwrap().items;
    assert_eq!(written.len() as i64, waiters);
}
