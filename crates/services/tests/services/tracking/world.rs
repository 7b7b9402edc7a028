//! A workspace of one test's own, and runs in it.

use artifacts::Artifacts;
use chrono::Utc;
use domain::{
    id::{ExperimentId, RunId, UserId},
    log_batch::{LogBatch, RawMetric},
    permission::{Role, Scope},
    user::{Email, User, Workspace},
    values::MetricValue,
};
use services::{Caller, Credential, Ctx, NewExperiment, NewExperimentRun, SecretKeys, Services};
use std::{path::PathBuf, time::Duration};
use testkit::TestDatabase;

pub(crate) struct World {
    pub(crate) services: Services,
    pub(crate) workspace: Workspace,
    pub(crate) database: TestDatabase,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(directory.path()).await.unwrap();
        let services = Services::new(database.pool.clone(), artifacts)
            .with_secret_keys(SecretKeys::in_folder(&directory.path().join("secret-keys")));
        let workspace = services.ensure_default_workspace().await.unwrap();
        Self { services, workspace, database, directory }
    }

    /// The artifact store, as another process opens it.
    pub(crate) async fn artifacts(&self) -> Artifacts {
        Artifacts::open_dir(self.directory.path()).await.unwrap()
    }

    /// Where the artifact store keeps parts of files.
    pub(crate) fn parts_dir(&self) -> PathBuf {
        self.directory.path().join("parts")
    }

    /// Slipway itself.
    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::system(self.workspace.clone())
    }

    /// Returns once so many connections wait for what another holds.
    pub(crate) async fn until_waiting(&self, count: i64) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let waits =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&self.database.pool).await.unwrap() < count {
            assert!(tokio::time::Instant::now() < deadline, "nobody waits");
        }
    }

    /// A member who may write.
    pub(crate) async fn contributor(&self) -> Ctx {
        let user = User {
            id: UserId::new(),
            email: Email::parse("contributor@slipway.test").unwrap(),
            name: "Contributor".to_owned(),
            is_service: false,
            created_at: Utc::now(),
        };
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::user::insert(&mut conn, &user, None).await.unwrap();
        store::workspace::set_member(&mut conn, self.workspace.id, user.id, &[Role::Contributor].into()).await.unwrap();
        drop(conn);
        let caller =
            Caller { user, credential: Credential::Session("test".to_owned()), scope: Scope::Write, request_id: None };
        self.services.enter(caller, Some(&self.workspace.slug)).await.unwrap().unwrap()
    }

    pub(crate) async fn experiment(&self, name: &str) -> ExperimentId {
        let new = NewExperiment { name: name.to_owned(), ..NewExperiment::default() };
        self.services.create_experiment(&self.ctx(), new).await.unwrap().id
    }

    /// A run with these metrics and params.
    pub(crate) async fn run(
        &self,
        experiment_id: ExperimentId,
        name: &str,
        metrics: &[(&str, f64)],
        params: &[(&str, &str)],
    ) -> RunId {
        let new =
            NewExperimentRun { experiment_id, name: name.to_owned(), start_time: 1, ..NewExperimentRun::default() };
        let run = self.services.create_run(&self.ctx(), new).await.unwrap().0.info.id;
        let metric = |(key, value): &(&str, f64)| RawMetric {
            key: (*key).to_owned(),
            value: MetricValue::new(*value),
            timestamp: 1,
            ..RawMetric::default()
        };
        let metrics: Vec<RawMetric> = metrics.iter().map(metric).collect();
        let params: Vec<(String, String)> =
            params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let batch = LogBatch::parse(&metrics, &params, &[]).unwrap();
        self.services.log_batch(&self.ctx(), run, &batch).await.unwrap();
        run
    }
}
