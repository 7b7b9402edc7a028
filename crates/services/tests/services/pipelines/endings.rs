//! How tries end, and what the run makes of it.

use crate::pipelines::engine::{Engine, graph, lease};
use domain::{
    ErrorKind,
    pipeline_run::{AttemptOutcome as O, PipelineRunState, StepState as S},
};
use services::LetGo;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn a_run_succeeds_when_all_its_steps_did_and_history_says_so() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])])).await;
    let mut order = Vec::new();
    while let Some(held) = engine.claim().await {
        engine
            .services
            .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(engine.state(run).await, PipelineRunState::Running);
        order.push(held.name.clone());
        engine.end(&held, O::Succeeded).await;
    }
    assert_eq!((order[0].as_str(), order[3].as_str(), order.len()), ("a", "d", 4));
    let detail = engine.detail(run).await;
    assert_eq!(detail.run.state, PipelineRunState::Succeeded);
    assert!(detail.run.started_at.is_some() && detail.run.ended_at.is_some());
    assert_eq!(detail.steps[3].needs, ["b", "c"]);
    insta::assert_snapshot!(engine.history(run).await.join("\n"), @r"
    pipeline_run.started: started graph #1
    pipeline_run.begun: began graph #1
    pipeline_run.succeeded: finished graph #1
    ");
}

#[tokio::test]
async fn what_comes_after_a_failed_step_is_skipped_and_the_rest_goes_on() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("x", &[]), ("y", &["x"])])).await;
    engine.play(|held| if held.name == "a" { O::Failed } else { O::Succeeded }).await;
    let steps = engine.steps(run).await;
    assert_eq!(
        steps.into_values().collect::<Vec<_>>(),
        [S::Failed, S::Skipped, S::Skipped, S::Succeeded, S::Succeeded]
    );
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
    assert_eq!(engine.reason(run, "b").await, "a failed");
    assert_eq!(engine.reason(run, "c").await, "b was skipped");
    assert_eq!(
        engine.history(run).await.last().unwrap(),
        "pipeline_run.failed: ended graph #1: step a failed: failed here"
    );
}

#[tokio::test]
async fn a_step_is_tried_again_as_often_as_its_file_says_after_a_wait() {
    let engine = Engine::start().await;
    let yaml = "name: flaky\nsteps:\n  only:\n    command: 'true'\n    retries: { count: 2, backoff: 30s }\n";
    let run = engine.run(yaml).await;
    for (outcome, after) in [(O::Failed, S::Ready), (O::TimedOut, S::Ready), (O::Failed, S::Failed)] {
        let held = engine.claim().await.unwrap();
        assert_eq!(engine.end(&held, outcome).await, Some(after));
        if after == S::Ready {
            assert!(engine.claim().await.is_none(), "it waits");
            let due = engine
                .services
                .next_step_due(&["default".to_owned()], &[domain::pipeline::ExecutorKind::Process], &[])
                .await
                .unwrap()
                .unwrap();
            assert!(due > Duration::from_secs(15) && due <= Duration::from_secs(60), "{due:?}");
            sqlx::query("update steps set next_at = now()").execute(&engine.database.pool).await.unwrap();
        }
    }
    assert_eq!(engine.outcomes(run, "only").await, [O::Failed, O::TimedOut, O::Failed]);
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
}

#[tokio::test]
async fn losses_are_counted_apart_and_end_a_step_that_takes_its_workers_down() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("poison", &[])])).await;
    let mut lost = 0;
    while let Some(held) = engine.claim().await {
        engine.let_expire(&held).await;
        engine.services.let_go(&lease(&held), &LetGo::Expired(Duration::ZERO)).await.unwrap();
        lost += 1;
    }
    assert_eq!(lost, 6);
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);
    assert_eq!(
        engine.reason(run, "poison").await,
        "its worker was lost too often, the last time because its worker was not heard of any more"
    );
    let attempt = engine.services.step_attempt(&engine.ctx(), run, "poison", 6).await.unwrap();
    let log = engine.services.log_lines(attempt.id, 0, 10).await.unwrap();
    assert_eq!(log[0].text, "The try was lost: its worker was not heard of any more.");
}

#[tokio::test]
async fn a_step_that_a_stopping_worker_gives_back_is_not_charged_for_it() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    for _ in 0..8 {
        let held = engine.claim().await.unwrap();
        let back = LetGo::GivenBack("its worker stopped".to_owned());
        assert_eq!(engine.services.let_go(&lease(&held), &back).await.unwrap(), Some(S::Ready));
    }
    engine.play(|_| O::Succeeded).await;
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);
}

#[tokio::test]
async fn a_run_that_does_not_stand_as_its_steps_do_is_set_right() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("a", &[]), ("b", &["a"])])).await;
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0);
    // As if a count had gone wrong: nobody would ever make b ready.
    sqlx::query("update steps set needs_left = 2 where name = 'b'").execute(&engine.database.pool).await.unwrap();
    engine.play(|_| O::Succeeded).await;
    assert_eq!(engine.steps(run).await["b"], S::Waiting);
    assert_eq!(engine.services.settle_runs().await.unwrap(), 1);
    engine.play(|_| O::Succeeded).await;
    assert_eq!(engine.state(run).await, PipelineRunState::Succeeded);
    assert_eq!(engine.services.settle_runs().await.unwrap(), 0);
}

#[tokio::test]
async fn a_try_has_a_token_of_its_own_that_ends_with_it() {
    let engine = Engine::start().await;
    engine.run(&graph(&[("a", &[]), ("b", &[])])).await;
    let (one, other) = (engine.claim().await.unwrap(), engine.claim().await.unwrap());
    // At once: the account is made once.
    let facts = domain::worker::Facts::default();
    let (first, second) = tokio::join!(
        engine.services.begin_attempt(&one, "http://slipway.test", &facts),
        engine.services.begin_attempt(&other, "http://slipway.test", &facts),
    );
    let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());
    let secret = &first.invocation.env["SLIPWAY_TOKEN"];
    assert_ne!(secret, &second.invocation.env["SLIPWAY_TOKEN"]);
    let bearer = engine.services.bearer(secret, None).await.unwrap().unwrap();
    assert_eq!(bearer.user.email.as_str(), "pipelines@default.slipway.invalid");
    assert!(bearer.user.is_service);
    let attempt: Uuid = sqlx::query_scalar("select id from step_attempts where token_id = $1")
        .bind(bearer.token_id.0)
        .fetch_one(&engine.database.pool)
        .await
        .unwrap();
    assert_eq!(attempt, one.attempt_id.0);

    let env = &first.invocation.env;
    let shown = [
        "SLIPWAY_URL",
        "SLIPWAY_WORKSPACE",
        "SLIPWAY_PIPELINE_RUN",
        "SLIPWAY_STEP",
        "SLIPWAY_ATTEMPT",
        "MLFLOW_TRACKING_URI",
    ];
    assert_eq!(
        shown.map(|name| env[name].as_str()),
        ["http://slipway.test", "default", "1", &one.name, "1", "http://slipway.test/w/default"]
    );
    assert_eq!((&env["MLFLOW_TRACKING_TOKEN"], &env["SLIPWAY_FENCE"]), (secret, &one.fence.to_string()));

    engine.end(&one, O::Failed).await;
    assert!(engine.services.bearer(secret, None).await.unwrap().is_none());
    assert!(
        engine
            .services
            .begin_attempt(&one, "http://slipway.test", &domain::worker::Facts::default())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_try_that_is_given_up_while_it_begins_leaves_no_token_that_works() {
    let engine = Engine::start().await;
    engine.run(&graph(&[("a", &[]), ("b", &[])])).await;
    let (first, slow) = (engine.claim().await.unwrap(), engine.claim().await.unwrap());
    // The account is there from now on.
    engine
        .services
        .begin_attempt(&first, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap()
        .unwrap();
    // Whoever makes a token waits for its account.
    let mut account = engine.database.pool.begin().await.unwrap();
    sqlx::query("select id from users for update").execute(&mut *account).await.unwrap();
    let (services, held) = (engine.services.clone(), slow.clone());
    let beginning = tokio::spawn(async move {
        services.begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default()).await.unwrap()
    });
    engine.until_waiting(1).await;
    let (services, held) = (engine.services.clone(), lease(&slow));
    let giving_up =
        tokio::spawn(async move { services.let_go(&held, &LetGo::Dead("its worker died".to_owned())).await.unwrap() });
    // Either it waits for the one who begins, or it is through already.
    while !giving_up.is_finished() && engine.waiting().await < 2 {}
    account.commit().await.unwrap();

    assert_eq!(giving_up.await.unwrap(), Some(S::Ready));
    let begun = beginning.await.unwrap();
    if let Some(work) = begun {
        assert!(engine.services.bearer(&work.invocation.env["SLIPWAY_TOKEN"], None).await.unwrap().is_none());
    }
    let live: i64 = sqlx::query_scalar(
        "select count(*)
         from step_attempts a
         join tokens t on t.id = a.token_id
         where a.outcome <> 'running' and t.revoked_at is null",
    )
    .fetch_one(&engine.database.pool)
    .await
    .unwrap();
    assert_eq!(live, 0);
}

#[tokio::test]
async fn steps_do_not_act_as_a_person_who_took_their_address() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    let person = domain::user::User {
        id: domain::id::UserId::new(),
        email: domain::user::Email::parse("pipelines@default.slipway.invalid").unwrap(),
        name: "Mallory".to_owned(),
        is_service: false,
        created_at: chrono::Utc::now(),
    };
    store::user::insert(&mut engine.database.pool.acquire().await.unwrap(), &person, None).await.unwrap();
    let held = engine.claim().await.unwrap();
    let refused = engine
        .services
        .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(engine.state(run).await, PipelineRunState::Queued);
}

#[tokio::test]
async fn a_step_that_its_worker_could_not_run_waits_before_it_is_taken_again() {
    let engine = Engine::start().await;
    let run = engine.run(&graph(&[("only", &[])])).await;
    let held = engine.claim().await.unwrap();
    assert_eq!(engine.end(&held, O::Lost).await, Some(S::Ready));
    assert!(engine.claim().await.is_none());
    let due = engine
        .services
        .next_step_due(&["default".to_owned()], &[domain::pipeline::ExecutorKind::Process], &[])
        .await
        .unwrap()
        .unwrap();
    assert!(due <= Duration::from_secs(2), "{due:?}");
    let attempts = engine.services.pipeline_run_attempts(&engine.ctx(), run, &["only".to_owned()]).await.unwrap();
    assert_eq!(attempts["only"][0].outcome, O::Lost);
}
