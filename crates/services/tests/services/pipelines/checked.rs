//! Versions of datasets that steps take only when they passed their checks.

use crate::pipelines::engine::Engine;
use domain::{
    Digest,
    dataset::{ChecksState, VersionRef},
    expectation::Expectation,
    pipeline_run::{AttemptOutcome, PipelineRunState, StepState},
    worker::Facts,
};
use executors::{ProcessExecutor, Shim};
use services::{Claimed, DatasetChange, ErrorKind, FileTrouble, NewDataset, NewRun, Source, StepWork};
use std::collections::BTreeMap;

const READS: &str = "
name: reads
steps:
  train:
    command: 'true'
    inputs: { data: { dataset: wine, checked: true } }
";

/// What is expected: so many rows.
pub(crate) fn at_least(rows: u32) -> Vec<Expectation> {
    vec![serde_json::from_value(serde_json::json!({ "rule": "row_count", "min": rows })).unwrap()]
}

impl Engine {
    /// The dataset wine, of which this is expected.
    pub(crate) async fn wine(&self, expectations: Vec<Expectation>) {
        let new = NewDataset { name: "wine".to_owned(), description: String::new(), expectations };
        self.services.create_dataset(&self.ctx(), new).await.unwrap();
    }

    /// Expects something else of it.
    pub(crate) async fn expect(&self, expectations: Vec<Expectation>) {
        let change = DatasetChange { description: None, expectations: Some(expectations) };
        self.services.change_dataset(&self.ctx(), "wine", change).await.unwrap();
    }

    /// A version of wine with so many rows, which nobody has looked at.
    pub(crate) async fn push_rows(&self, rows: u32) -> i32 {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..rows).map(|row| format!("{row}\n")).collect();
        std::fs::write(folder.path().join("rows.csv"), format!("x\n{text}")).unwrap();
        let made = self.services.make_dataset_version_of(&self.ctx(), "wine", folder.path().to_owned(), "").await;
        made.unwrap().0.number
    }

    /// Looks at all versions that wait for it.
    pub(crate) async fn check_all(&self) {
        while self.services.profile_next_dataset().await.unwrap() {}
    }

    /// What a worker is told whose environment is known, so that it may be told what the step gave before.
    async fn begin(&self, held: &Claimed) -> Option<StepWork> {
        let facts = Facts { machine: None, environment: Some(Digest::blake3([1; 32])) };
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::worker::add_facts(&mut conn, &Digest::blake3([1; 32]), &serde_json::json!({})).await.unwrap();
        drop(conn);
        self.services.begin_attempt(held, "http://slipway", &facts).await.unwrap()
    }

    /// What keeps a step from its command; none when nothing does.
    async fn kept_from_it(&self, held: &Claimed) -> Option<String> {
        let work = self.begin(held).await.unwrap();
        assert!(work.cached.is_none(), "what it gave before is not given instead");
        let executor = ProcessExecutor::new(Shim::at("/nonexistent", &[]), self.directory.path().join("steps"));
        let dir = executor.prepare(&held.attempt_id.to_string(), BTreeMap::new()).await.unwrap();
        match self.services.put_inputs(&work.ctx, &dir, &work.inputs).await {
            Ok(()) => None,
            Err(FileTrouble::Step(sentence)) => Some(sentence),
            Err(trouble) => panic!("{trouble}"),
        }
    }

    async fn try_to_start(&self, pipeline: &str) -> Result<i64, services::Error> {
        let new = NewRun { pipeline: pipeline.to_owned(), ..NewRun::default() };
        Ok(self.services.start_pipeline_run(&self.ctx(), new).await?.run.number)
    }
}

#[tokio::test]
async fn a_step_waits_while_the_version_that_it_takes_is_checked_and_holds_nothing() {
    let engine = Engine::start().await;
    engine.wine(at_least(2)).await;
    engine.push_rows(2).await;
    engine.services.set_step_limit(&engine.ctx(), "licences", 1).await.unwrap();
    let run = engine.run(&READS.replace("command:", "limits: licences\n    command:")).await;
    let held = engine.claim().await.unwrap();
    assert!(engine.begin(&held).await.is_none());
    let step = engine.services.step(&engine.ctx(), run, "train").await.unwrap();
    assert_eq!((step.state, step.blocked_by.as_deref()), (StepState::Ready, Some("check of wine@1")));
    assert_eq!((step.attempts, step.started_at), (0, None), "that was no try");
    assert!(engine.outcomes(run, "train").await.is_empty());
    assert_eq!(engine.state(run).await, PipelineRunState::Queued);
    let limits = engine.services.step_limits(&engine.ctx()).await.unwrap();
    assert_eq!((limits[0].held, limits[0].waiting), (0, 0), "its place of the limit is free");
    let queue = engine.services.queue(&engine.ctx()).await.unwrap();
    assert_eq!(queue.ready[0].blocked_by.as_deref(), Some("check of wine@1"));
    // Whoever looks for what waits for nothing leaves it.
    engine.services.unblock_steps().await.unwrap();
    assert!(engine.claim().await.is_none());

    engine.check_all().await;
    let held = engine.claim().await.unwrap();
    assert_eq!(held.number, 1);
    assert_eq!(engine.kept_from_it(&held).await, None);
    assert_eq!(engine.state(run).await, PipelineRunState::Running);
}

#[tokio::test]
async fn a_step_whose_wake_up_was_lost_is_found() {
    let engine = Engine::start().await;
    engine.wine(at_least(2)).await;
    engine.push_rows(2).await;
    engine.run(READS).await;
    let held = engine.claim().await.unwrap();
    assert!(engine.begin(&held).await.is_none());
    let ended = "update dataset_profiles set state = 'done', checks_state = 'passed'";
    sqlx::query(ended).execute(&engine.database.pool).await.unwrap();
    assert!(engine.claim().await.is_none());
    engine.services.unblock_steps().await.unwrap();
    assert!(engine.claim().await.is_some());
}

#[tokio::test]
async fn a_run_that_waits_for_a_check_can_be_cancelled() {
    let engine = Engine::start().await;
    engine.wine(at_least(2)).await;
    engine.push_rows(2).await;
    let run = engine.run(READS).await;
    let held = engine.claim().await.unwrap();
    assert!(engine.begin(&held).await.is_none());
    engine.services.cancel_pipeline_run(&engine.ctx(), run).await.unwrap();
    assert_eq!(engine.state(run).await, PipelineRunState::Cancelled);
    engine.check_all().await;
    assert!(engine.claim().await.is_none());
}

#[tokio::test]
async fn a_check_that_ends_while_a_step_begins_to_wait_lets_it_go_on() {
    let engine = Engine::start().await;
    engine.wine(at_least(1)).await;
    for rows in 1..=8 {
        engine.push_rows(rows).await;
        engine.run(READS).await;
        let held = engine.claim().await.unwrap();
        let (begun, ()) = tokio::join!(engine.begin(&held), engine.check_all());
        let held = match begun {
            Some(_) => held,
            // Nobody had to look for it. Who takes checks passes over one that a step looks at, until the next time.
            None => {
                engine.check_all().await;
                engine.claim().await.unwrap()
            }
        };
        engine.end(&held, AttemptOutcome::Succeeded).await;
    }
}

#[tokio::test]
async fn a_version_that_did_not_pass_fails_its_step_before_the_command() {
    let engine = Engine::start().await;
    engine.wine(at_least(3)).await;
    engine.push_rows(2).await;
    engine.check_all().await;
    let cached = READS.replace("command:", "cache: true\n    command:");
    let run = engine.run(&cached).await;
    let held = engine.claim().await.unwrap();
    let told = "The input \"data\" (dataset wine@latest) must have passed its checks. wine@1 is not what is expected of \
                it: \"has at least 3 rows\" in rows.csv is not met (It has 2 rows).";
    assert_eq!(engine.kept_from_it(&held).await.as_deref(), Some(told));
    engine.end(&held, AttemptOutcome::Failed).await;
    assert_eq!(engine.state(run).await, PipelineRunState::Failed);

    // What is expected changes, and with it what was found of the same version.
    engine.expect(at_least(2)).await;
    engine.check_all().await;
    engine.again("reads").await;
    let held = engine.claim().await.unwrap();
    assert_eq!(engine.kept_from_it(&held).await, None);
    engine.end(&held, AttemptOutcome::Succeeded).await;

    // It was kept what the step gave; that is not given when the version does not pass any more.
    engine.expect(at_least(3)).await;
    engine.check_all().await;
    engine.again("reads").await;
    let held = engine.claim().await.unwrap();
    assert!(engine.kept_from_it(&held).await.unwrap().contains("is not met"));
    engine.end(&held, AttemptOutcome::Failed).await;
    engine.expect(at_least(2)).await;
    engine.check_all().await;
    engine.again("reads").await;
    let held = engine.claim().await.unwrap();
    assert!(engine.begin(&held).await.unwrap().cached.is_some(), "it is when it does");
    engine.end(&held, AttemptOutcome::Succeeded).await;

    // Nothing is expected: nothing passed.
    engine.expect(Vec::new()).await;
    engine.check_all().await;
    engine.again("reads").await;
    let held = engine.claim().await.unwrap();
    let told = engine.kept_from_it(&held).await.unwrap();
    assert!(told.ends_with("wine@1 was checked for nothing: declare what is expected of wine."), "{told}");
}

#[tokio::test]
async fn what_runs_in_the_end_is_refused_what_did_not_pass_as_well() {
    let engine = Engine::start().await;
    engine.wine(at_least(3)).await;
    engine.push_rows(2).await;
    engine.check_all().await;
    let last = READS.replace("steps:", "steps:\n  first: { command: 'true' }\nfinally:");
    engine.run(&last).await;
    let held = engine.claim().await.unwrap();
    engine.end(&held, AttemptOutcome::Succeeded).await;
    let held = engine.claim().await.unwrap();
    assert_eq!(held.name, "train");
    assert!(engine.kept_from_it(&held).await.unwrap().contains("is not met"));
}

#[tokio::test]
async fn the_newest_version_that_passed_is_taken_by_that_name() {
    let engine = Engine::start().await;
    engine.wine(at_least(2)).await;
    engine.store(&READS.replace("checked: true", "version: passed")).await;
    engine.push_rows(2).await;
    let refused = engine.try_to_start("reads").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(
        refused.message,
        "Step \"train\" takes \"data\", which is not there: The dataset \"wine\" has no version that passed its checks."
    );
    engine.push_rows(3).await;
    engine.push_rows(1).await;
    engine.check_all().await;
    let version = engine.services.dataset_version(&engine.ctx(), "wine", &VersionRef::Passed).await.unwrap();
    assert_eq!(version.number, 2, "of three the last fails");
    let run = engine.try_to_start("reads").await.unwrap();
    // Which it was is noted, whatever passes since.
    engine.push_rows(4).await;
    engine.check_all().await;
    let held = engine.claim().await.unwrap();
    let work = engine.begin(&held).await.unwrap();
    assert!(matches!(&work.inputs[0].source, Source::Dataset { number: 2, .. }), "{:?}", work.inputs[0].source);
    let attempts = engine.services.step_attempts(&engine.ctx(), run, "train").await.unwrap();
    assert_eq!(attempts[0].inputs[0].from, "dataset wine@passed");
}

#[tokio::test]
async fn what_is_done_again_takes_what_was_taken_whatever_was_found_of_it_since() {
    let engine = Engine::start().await;
    engine.wine(at_least(2)).await;
    engine.push_rows(2).await;
    engine.check_all().await;
    let run = engine.run(READS).await;
    let held = engine.claim().await.unwrap();
    assert_eq!(engine.kept_from_it(&held).await, None);
    engine.end(&held, AttemptOutcome::Succeeded).await;
    engine.expect(at_least(3)).await;
    engine.check_all().await;
    engine.services.reproduce_pipeline_run(&engine.ctx(), run, None).await.unwrap();
    let held = engine.claim().await.unwrap();
    assert_eq!(engine.kept_from_it(&held).await, None);
}

#[tokio::test]
async fn a_version_is_checked_again_by_what_is_expected_now() {
    let engine = Engine::start().await;
    engine.wine(at_least(3)).await;
    for rows in [2, 5] {
        engine.push_rows(rows).await;
    }
    engine.check_all().await;
    let state = async |number| {
        let which = VersionRef::Number(number);
        engine.services.dataset_version(&engine.ctx(), "wine", &which).await.unwrap().checks
    };
    engine.expect(at_least(1)).await;
    engine.check_all().await;
    assert_eq!((state(1).await, state(2).await), (ChecksState::Failed, ChecksState::Passed), "only the latest");
    let first = VersionRef::Number(1);
    let asked = engine.services.check_dataset_again(&engine.ctx(), "wine", &first).await.unwrap();
    assert_eq!((asked.checks, state(1).await), (ChecksState::Waiting, ChecksState::Waiting));
    // Asked again, it waits as it did.
    engine.services.check_dataset_again(&engine.ctx(), "wine", &first).await.unwrap();
    let object = (domain::audit::ObjectKind::DatasetVersion, &*asked.id.to_string());
    let events = engine.services.audit_events(&engine.ctx(), &[object], None, 100).await.unwrap();
    let asked = events.items.iter().filter(|event| event.action == "dataset_version.check_asked").count();
    assert_eq!(asked, 1);
    engine.check_all().await;
    assert_eq!(state(1).await, ChecksState::Passed);
    let missing = engine.services.check_dataset_again(&engine.ctx(), "wine", &VersionRef::Number(9)).await;
    assert_eq!(missing.unwrap_err().kind, ErrorKind::NotFound);
}
