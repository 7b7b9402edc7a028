//! What made a run.

use crate::tracking::world::World;
use domain::permission::Scope;
use services::{Caller, Credential, Ctx, NewExperimentRun, NewRun, PipelineFile};
use std::time::Duration;

#[tokio::test]
async fn a_run_logged_with_a_steps_token_is_the_steps() {
    let world = World::start().await;
    let ctx = world.ctx();
    let yaml = "name: train\nsteps:\n  fit:\n    command: 'true'\n";
    let file = PipelineFile::read(yaml.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
    world.services.store_pipeline(&ctx, file, None).await.unwrap();
    let started = NewRun { pipeline: "train".to_owned(), ..NewRun::default() };
    let started = world.services.start_pipeline_run(&ctx, started).await.unwrap().run;
    let pools = ["default".to_owned()];
    let held = world
        .services
        .claim_step(
            "worker",
            "worker",
            &pools,
            &[domain::pipeline::ExecutorKind::Process],
            &[],
            Duration::from_secs(60),
        )
        .await
        .unwrap()
        .unwrap();
    let work = world
        .services
        .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    let bearer = world.services.bearer(&work.invocation.env["MLFLOW_TRACKING_TOKEN"], None).await.unwrap().unwrap();
    let caller = Caller {
        user: bearer.user,
        credential: Credential::Token(bearer.token_id),
        scope: Scope::Write,
        request_id: None,
    };
    let (workspace, roles) = bearer.place.unwrap();
    let step = Ctx { caller: Some(caller), workspace, roles };

    let (run, _) = world.services.create_run(&step, NewExperimentRun::default()).await.unwrap();
    let lineage = world.services.run_detail(&ctx, run.info.id).await.unwrap().lineage;
    assert_eq!(lineage.pipeline_run, Some((started.id, "train".to_owned(), started.number)));
    let (by_hand, _) = world.services.create_run(&ctx, NewExperimentRun::default()).await.unwrap();
    assert_eq!(world.services.run_detail(&ctx, by_hand.info.id).await.unwrap().lineage.pipeline_run, None);
}
