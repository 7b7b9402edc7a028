//! What history says of runs, logged models and experiments.

use crate::tracking::world::World;
use domain::{
    ErrorKind, audit::ObjectKind, experiment::LifecycleStage, log_batch::LogBatch, logged_model::LoggedModelStatus,
    run::RunStatus,
};
use services::{NewExperimentRun, NewLoggedModel, RunChange};
use std::time::Duration;

/// What happened to an object, oldest first.
async fn history(world: &World, kind: ObjectKind, id: &str) -> Vec<String> {
    let events = world.services.audit_events(&world.ctx(), &[(kind, id)], None, 100).await.unwrap();
    events.items.into_iter().rev().map(|event| format!("{}: {}", event.action, event.summary)).collect()
}

#[tokio::test]
async fn every_move_of_a_run_has_its_line_and_what_is_logged_has_none() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment = world.experiment("wine").await;
    let run = world.run(experiment, "first", &[("loss", 0.5)], &[("depth", "3")]).await;
    let update = |status: Option<RunStatus>, name: Option<&str>| {
        let change = RunChange { status, end_time: Some(5), name: name.map(ToOwned::to_owned) };
        let (world, ctx) = (&world, &ctx);
        async move { world.services.update_run(ctx, run, change).await.unwrap() }
    };
    update(Some(RunStatus::Finished), None).await;
    // The same again is no move.
    update(Some(RunStatus::Finished), None).await;
    update(Some(RunStatus::Running), Some("second")).await;
    update(None, Some("second")).await;
    world.services.set_run_tag(&ctx, run, "team", "red").await.unwrap();
    world.services.set_run_tag(&ctx, run, "mlflow.runName", "third").await.unwrap();
    let tags = [("mlflow.runName".to_owned(), "fourth".to_owned()), ("team".to_owned(), "blue".to_owned())];
    world.services.log_batch(&ctx, run, &LogBatch::parse(&[], &[], &tags).unwrap()).await.unwrap();
    update(Some(RunStatus::Failed), None).await;
    insta::assert_snapshot!(history(&world, ObjectKind::Run, &run.to_string()).await.join("\n"), @r"
    run.created: started the run first
    run.finished: finished the run first
    run.renamed: renamed the run first to second
    run.resumed: went on with the run second
    run.renamed: renamed the run second to third
    run.renamed: renamed the run third to fourth
    run.failed: ended the run fourth as failed
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_end_a_run_at_once_one_has_a_line() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment = world.experiment("wine").await;
    for _ in 0..10 {
        let run = world.run(experiment, "raced", &[], &[]).await;
        let end = || RunChange { status: Some(RunStatus::Finished), end_time: Some(5), name: None };
        let (one, other) =
            tokio::join!(world.services.update_run(&ctx, run, end()), world.services.update_run(&ctx, run, end()));
        one.unwrap();
        other.unwrap();
        assert_eq!(
            history(&world, ObjectKind::Run, &run.to_string()).await,
            ["run.created: started the run raced", "run.finished: finished the run raced"]
        );
    }
}

#[tokio::test]
async fn every_move_of_a_logged_model_has_its_line_on_the_timeline_of_its_run_too() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment_id = world.experiment("wine").await;
    let run = world.run(experiment_id, "first", &[], &[]).await;
    let new = NewLoggedModel {
        experiment_id,
        name: Some("forest".to_owned()),
        source_run_id: Some(run),
        ..NewLoggedModel::default()
    };
    let model = world.services.create_logged_model(&ctx, new).await.unwrap().0.id;
    for status in [LoggedModelStatus::Ready, LoggedModelStatus::Ready, LoggedModelStatus::UploadFailed] {
        world.services.finalize_logged_model(&ctx, model, status).await.unwrap();
    }
    world.services.set_logged_model_tags(&ctx, model, &[("k".to_owned(), "v".to_owned())]).await.unwrap();
    world.services.delete_logged_model(&ctx, model).await.unwrap();
    world.services.delete_logged_model(&ctx, model).await.unwrap();
    let of_model = history(&world, ObjectKind::LoggedModel, &model.wire()).await;
    insta::assert_snapshot!(of_model.join("\n"), @r"
    logged_model.created: logged the model forest
    logged_model.completed: completed the model forest
    logged_model.failed: could not upload the model forest
    logged_model.deleted: deleted the model forest
    ");
    assert_eq!(history(&world, ObjectKind::Run, &run.to_string()).await[1..], of_model[..]);
}

#[tokio::test]
async fn tags_of_an_experiment_have_their_lines() {
    let world = World::start().await;
    let ctx = world.ctx();
    let experiment = world.experiment("wine").await;
    world.services.set_experiment_tag(&ctx, experiment, "team", "red").await.unwrap();
    world.services.delete_experiment_tag(&ctx, experiment, "team").await.unwrap();
    let missing = world.services.delete_experiment_tag(&ctx, experiment, "team").await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    insta::assert_snapshot!(history(&world, ObjectKind::Experiment, &experiment.to_string()).await.join("\n"), @r"
    experiment.created: created the experiment wine
    experiment.tag_set: set the tag team of the experiment wine
    experiment.tag_deleted: removed the tag team of the experiment wine
    ");
}

#[tokio::test]
async fn no_run_is_started_in_an_experiment_that_is_being_deleted() {
    let world = World::start().await;
    let experiment_id = world.experiment("wine").await;
    let pool = &world.database.pool;
    let mut deleting = pool.begin().await.unwrap();
    store::experiment::lock(&mut deleting, experiment_id).await.unwrap();
    store::experiment::set_stage(&mut deleting, experiment_id, LifecycleStage::Deleted, 1).await.unwrap();
    let (services, ctx) = (world.services.clone(), world.ctx());
    let starting = tokio::spawn(async move {
        services.create_run(&ctx, NewExperimentRun { experiment_id, ..NewExperimentRun::default() }).await
    });
    world.until_waiting(1).await;
    deleting.commit().await.unwrap();
    assert_eq!(starting.await.unwrap().unwrap_err().kind, ErrorKind::Invalid);
    let runs: i64 = sqlx::query_scalar("select count(*) from runs").fetch_one(pool).await.unwrap();
    assert_eq!(runs, 0);
}

#[tokio::test]
async fn pages_are_told_when_an_experiment_is_renamed_deleted_or_restored() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.ctx());
    let id = world.experiment("wine").await;
    let mut listener = store::event::Listener::open(&world.database.pool).await.unwrap();
    let told = async |listener: &mut store::event::Listener| {
        for topic in [format!("experiment:{id}"), format!("runs:{}", world.workspace.id)] {
            let next = tokio::time::timeout(Duration::from_secs(60), listener.next()).await;
            assert_eq!(next.expect("something is told").unwrap(), Some(topic));
        }
    };
    services.rename_experiment(ctx, id, "beer").await.unwrap();
    told(&mut listener).await;
    services.delete_experiment(ctx, id).await.unwrap();
    told(&mut listener).await;
    services.restore_experiment(ctx, id).await.unwrap();
    told(&mut listener).await;
}
