//! A database with a workspace, and workers that are only played.

use artifacts::Artifacts;
use domain::{
    pipeline::ExecutorKind,
    pipeline_run::{AttemptOutcome, PipelineRunDetail, PipelineRunState, StepState},
    step::StepOutput,
    user::Workspace,
};
use services::{
    AttemptEnd, Claimed, Ctx, Lease, LetGo, NewRun, PipelineFile, SecretKeys, Services, StartedRun, StepFilter,
};
use std::{collections::BTreeMap, time::Duration};
use testkit::TestDatabase;

/// A lease that no test outlives.
pub(crate) const LONG: Duration = Duration::from_secs(600);

/// A database of one test's own.
pub(crate) struct Engine {
    pub(crate) services: Services,
    pub(crate) database: TestDatabase,
    pub(crate) workspace: Workspace,
    pub(crate) directory: tempfile::TempDir,
}

impl Engine {
    pub(crate) async fn start() -> Self {
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(directory.path().join("artifacts")).await.unwrap();
        let keys = SecretKeys::in_folder(&directory.path().join("secret-keys"));
        let services = Services::new(database.pool.clone(), artifacts).with_secret_keys(keys);
        let workspace = services.ensure_default_workspace().await.unwrap();
        Self { services, database, workspace, directory }
    }

    /// Another workspace, and a run that was started there.
    pub(crate) async fn run_elsewhere(&self, yaml: &str) -> Workspace {
        let workspace = Workspace {
            id: domain::id::WorkspaceId::new(),
            slug: "elsewhere".to_owned(),
            name: "Elsewhere".to_owned(),
            created_at: chrono::Utc::now(),
        };
        store::workspace::insert(&mut self.database.pool.acquire().await.unwrap(), &workspace).await.unwrap();
        let ctx = Ctx::system(workspace.clone());
        let file = PipelineFile::read(yaml.to_owned()).unwrap();
        let pipeline = self.services.store_pipeline(&ctx, file, None).await.unwrap().pipeline.name;
        self.services.start_pipeline_run(&ctx, NewRun { pipeline, ..NewRun::default() }).await.unwrap();
        workspace
    }

    /// Another process of the installation, or one with other keys.
    pub(crate) async fn process(&self, keys: SecretKeys) -> Services {
        let artifacts = Artifacts::open_dir(self.directory.path().join("artifacts")).await.unwrap();
        Services::new(self.database.pool.clone(), artifacts).with_secret_keys(keys)
    }

    /// Where keys for secrets are.
    pub(crate) fn key_folder(&self) -> std::path::PathBuf {
        self.directory.path().join("secret-keys")
    }

    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::system(self.workspace.clone())
    }

    /// Stores a file.
    pub(crate) async fn store(&self, yaml: &str) -> services::StoredPipeline {
        let file = PipelineFile::read(yaml.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
        self.services.store_pipeline(&self.ctx(), file, None).await.unwrap()
    }

    /// Stores a file and starts a run of it.
    pub(crate) async fn run(&self, yaml: &str) -> i64 {
        let pipeline = self.store(yaml).await.pipeline.name;
        self.again(&pipeline).await.run.number
    }

    pub(crate) async fn again(&self, pipeline: &str) -> StartedRun {
        let new = NewRun { pipeline: pipeline.to_owned(), ..NewRun::default() };
        self.services.start_pipeline_run(&self.ctx(), new).await.unwrap()
    }

    pub(crate) async fn detail(&self, number: i64) -> PipelineRunDetail {
        self.services.pipeline_run(&self.ctx(), number).await.unwrap()
    }

    pub(crate) async fn state(&self, number: i64) -> PipelineRunState {
        self.detail(number).await.run.state
    }

    /// The states of the steps, by name.
    pub(crate) async fn steps(&self, number: i64) -> BTreeMap<String, StepState> {
        self.detail(number).await.steps.into_iter().map(|step| (step.name, step.state)).collect()
    }

    /// The states of all steps, those inside of others among them, by name.
    pub(crate) async fn all_steps(&self, number: i64) -> BTreeMap<String, StepState> {
        let steps = self.services.steps(&self.ctx(), number, &StepFilter::default(), None, 1000).await.unwrap();
        steps.items.into_iter().map(|step| (step.name, step.state)).collect()
    }

    pub(crate) async fn reason(&self, number: i64, step: &str) -> String {
        self.services.step(&self.ctx(), number, step).await.unwrap().reason
    }

    pub(crate) async fn outcomes(&self, number: i64, step: &str) -> Vec<AttemptOutcome> {
        let attempts = self.services.step_attempts(&self.ctx(), number, step).await.unwrap();
        attempts.into_iter().map(|attempt| attempt.outcome).collect()
    }

    /// Ends a step that gives on this value.
    pub(crate) async fn give(&self, held: &Claimed, name: &str, value: serde_json::Value) -> Option<StepState> {
        let output = StepOutput {
            name: name.to_owned(),
            path: format!("{name}.json"),
            kind: None,
            is_folder: false,
            digest: domain::Digest::blake3(blake3::hash(value.to_string().as_bytes()).into()),
            size: 1,
            value: Some(value),
            version: None,
        };
        self.end_with(held, AttemptOutcome::Succeeded, vec![output]).await
    }

    /// Takes a step, as a worker of this name.
    pub(crate) async fn claim_as(&self, worker: &str, ttl: Duration) -> Option<Claimed> {
        self.services
            .claim_step(worker, worker, &["default".to_owned()], &[ExecutorKind::Process], &[], ttl)
            .await
            .unwrap()
    }

    pub(crate) async fn claim(&self) -> Option<Claimed> {
        self.claim_as("worker", LONG).await
    }

    pub(crate) async fn end(&self, held: &Claimed, outcome: AttemptOutcome) -> Option<StepState> {
        self.end_with(held, outcome, Vec::new()).await
    }

    pub(crate) async fn end_with(
        &self,
        held: &Claimed,
        outcome: AttemptOutcome,
        outputs: Vec<StepOutput>,
    ) -> Option<StepState> {
        let end = AttemptEnd {
            outcome,
            reason: format!("{} here", outcome.as_str()),
            exit_code: None,
            spawned_at: None,
            place: None,
            outputs,
        };
        self.services.let_go(&lease(held), &LetGo::Ended(end)).await.unwrap()
    }

    /// Runs everything that is ready, each step ending as `fate` says.
    pub(crate) async fn play(&self, fate: impl Fn(&Claimed) -> AttemptOutcome) {
        while let Some(held) = self.claim().await {
            self.end(&held, fate(&held)).await;
        }
    }

    /// Lets the lease of a step end now.
    pub(crate) async fn let_expire(&self, held: &Claimed) {
        let ended = sqlx::query("update steps set lease_until = clock_timestamp() - interval '1 hour' where id = $1")
            .bind(held.step_id.0)
            .execute(&self.database.pool)
            .await
            .unwrap();
        assert_eq!(ended.rows_affected(), 1);
    }

    /// How many connections wait for a row or table that another holds.
    pub(crate) async fn waiting(&self) -> i64 {
        let sql =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }

    /// Returns once so many connections wait for what another holds.
    pub(crate) async fn until_waiting(&self, count: i64) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while self.waiting().await < count {
            assert!(tokio::time::Instant::now() < deadline, "nobody waits");
        }
    }

    /// What history says of the run, oldest first.
    pub(crate) async fn history(&self, number: i64) -> Vec<String> {
        let run = self.detail(number).await.run;
        let object = (domain::audit::ObjectKind::PipelineRun, &*run.id.to_string());
        let events = self.services.audit_events(&self.ctx(), &[object], None, 100).await.unwrap();
        events.items.into_iter().rev().map(|event| format!("{}: {}", event.action, event.summary)).collect()
    }
}

pub(crate) fn lease(held: &Claimed) -> Lease {
    Lease { step_id: held.step_id, run_id: held.run_id, attempt_id: held.attempt_id, fence: held.fence }
}

/// A pipeline of these steps, each with the steps that it needs.
pub(crate) fn graph(steps: &[(&str, &[&str])]) -> String {
    let mut yaml = "name: graph\nsteps:\n".to_owned();
    for (step, needs) in steps {
        yaml += &format!("  {step}:\n    command: 'true'\n    needs: [{}]\n", needs.join(", "));
    }
    yaml
}
