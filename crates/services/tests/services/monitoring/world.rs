//! A workspace of one test's own, with versions that serve and traffic that is recorded.

use artifacts::Artifacts;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    artifact_path::ArtifactPath,
    artifact_root::ArtifactOwner,
    deployment::{Deployment, DeploymentState, Prediction},
    environment::Sight,
    id::{DeploymentId, EnvironmentId, ModelId, ModelVersionId, PredictionId, RunId},
    monitor::{Alert, Check, Firing, Monitor},
    user::Workspace,
};
use serde_json::{Value, json};
use services::{Ctx, MonitorChange, NewTrigger, PipelineFile, RunFilter, Services};
use testkit::TestDatabase;

pub(crate) const MODEL: &str = "iris";
pub(crate) const PRODUCTION: &str = "production";
pub(crate) const PIPELINE: &str = "retrain";

pub(crate) struct World {
    pub(crate) services: Services,
    pub(crate) database: TestDatabase,
    workspace: Workspace,
    environment: EnvironmentId,
    model: ModelId,
    artifacts: Artifacts,
    _directory: tempfile::TempDir,
}

/// A version, and the run that made it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) id: ModelVersionId,
    run: RunId,
    number: i32,
}

/// Two features of a hundred rows: from 0 to 9.9, and from 0 to 19.8.
pub(crate) fn reference() -> String {
    let rows = (0..100).map(|i| f64::from(i) / 10.0).map(|x| format!("{x},{},label\n", x * 2.0));
    format!("x,y,target\n{}", rows.collect::<String>())
}

/// Rows as in [`reference`], moved by `by`.
pub(crate) fn rows(n: u32, by: f64) -> Value {
    let x = (0..n).map(|i| f64::from(i * 100 / n) / 10.0);
    let y: Vec<f64> = x.clone().map(|x| x * 2.0 + by).collect();
    json!({ "x": x.map(|x| x + by).collect::<Vec<f64>>(), "y": y })
}

impl World {
    /// One where a version with [`reference`] serves.
    pub(crate) async fn start() -> Self {
        let world = Self::without_model().await;
        let version = world.version(&[("reference.csv", &reference())], None).await;
        world.deploy(version).await;
        world
    }

    /// One where nothing serves yet.
    pub(crate) async fn without_model() -> Self {
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(directory.path()).await.unwrap();
        let services = Services::new(database.pool.clone(), artifacts.clone());
        let workspace = services.ensure_default_workspace().await.unwrap();
        let mut conn = database.pool.acquire().await.unwrap();
        let environment =
            store::environment::by_name(&mut conn, &Sight::all(workspace.id), PRODUCTION).await.unwrap().unwrap().id;
        let model = ModelId::new();
        sqlx::query("insert into models (id, workspace_id, name) values ($1, $2, $3)")
            .bind(model.0)
            .bind(workspace.id.0)
            .bind(MODEL)
            .execute(&mut *conn)
            .await
            .unwrap();
        drop(conn);
        Self { services, database, workspace, environment, model, artifacts, _directory: directory }
    }

    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::system(self.workspace.clone())
    }

    /// A version whose run has these files.
    pub(crate) async fn version(&self, files: &[(&str, &str)], signature: Option<Value>) -> Version {
        let pool = &self.database.pool;
        let run = RunId::new();
        sqlx::query(
            "insert into runs (id, workspace_id, experiment_id, name, start_time)
             select $1, $2, id, 'train', 0 from experiments where workspace_id = $2 and is_default",
        )
        .bind(run.0)
        .bind(self.workspace.id.0)
        .execute(pool)
        .await
        .unwrap();
        let number: i32 = sqlx::query_scalar(
            "update models set last_version = last_version + 1 where id = $1 returning last_version",
        )
        .bind(self.model.0)
        .fetch_one(pool)
        .await
        .unwrap();
        let id = ModelVersionId::new();
        sqlx::query(
            "insert into model_versions (id, model_id, version, source, run_id, digest, flavors, signature)
             values ($1, $2, $3, 'runs:/x/model', $4, $5, '{onnx}', $6)",
        )
        .bind(id.0)
        .bind(self.model.0)
        .bind(number)
        .bind(run.0)
        .bind(Digest::blake3([7; 32]).as_str())
        .bind(signature)
        .execute(pool)
        .await
        .unwrap();
        let version = Version { id, run, number };
        for (path, text) in files {
            self.log_artifact(version, path, text).await;
        }
        version
    }

    /// Logs a file to the run of a version, or another under the same path.
    pub(crate) async fn log_artifact(&self, version: Version, path: &str, text: &str) {
        let blob = self.artifacts.put_bytes(text.as_bytes().to_vec()).await.unwrap();
        let mut conn = self.database.pool.acquire().await.unwrap();
        let (owner, path) = (ArtifactOwner::Run(version.run), ArtifactPath::parse(path).unwrap());
        assert!(store::artifact::put(&mut conn, owner, &path, &blob.digest, blob.size as i64).await.unwrap());
    }

    /// Lets a version serve in production, in place of what does.
    pub(crate) async fn deploy(&self, version: Version) -> DeploymentId {
        let mut conn = self.database.pool.acquire().await.unwrap();
        if let Some(live) = store::deployment::live(&mut conn, self.environment, self.model).await.unwrap() {
            self.retire(live.id).await;
        }
        let id = DeploymentId::new();
        let deployment = Deployment {
            id,
            workspace_id: self.workspace.id,
            number: store::counter::next(&mut conn, self.workspace.id, "deployment").await.unwrap(),
            environment_id: self.environment,
            environment: PRODUCTION.to_owned(),
            model_id: self.model,
            model: MODEL.to_owned(),
            model_version_id: version.id,
            version: version.number,
            digest: Digest::blake3([7; 32]),
            promotion_id: None,
            promotion_number: None,
            rollback_of: None,
            state: DeploymentState::Deploying,
            state_reason: String::new(),
            created_by: "Risk approver".to_owned(),
            created_at: Utc::now(),
            live_at: None,
            retired_at: None,
        };
        store::deployment::insert(&mut conn, &deployment).await.unwrap();
        let (from, to) = (DeploymentState::Deploying, DeploymentState::Live);
        assert!(store::deployment::set_state(&mut conn, id, from, to, "").await.unwrap());
        store::monitor::ensure(&mut conn, self.workspace.id, self.environment, self.model).await.unwrap();
        id
    }

    pub(crate) async fn retire(&self, deployment: DeploymentId) {
        let mut conn = self.database.pool.acquire().await.unwrap();
        let (from, to) = (DeploymentState::Live, DeploymentState::Retired);
        assert!(store::deployment::set_state(&mut conn, deployment, from, to, "").await.unwrap());
    }

    /// What serves.
    pub(crate) async fn live(&self) -> Deployment {
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::deployment::live(&mut conn, self.environment, self.model).await.unwrap().unwrap()
    }

    /// What serves answers a request.
    pub(crate) async fn answer(&self, features: Value) {
        self.answer_at(Utc::now(), features).await;
    }

    /// The same, by the clock of whoever answers.
    pub(crate) async fn answer_at(&self, at: DateTime<Utc>, features: Value) {
        let live = self.live().await;
        let rows = features.as_object().unwrap().values().next().map_or(0, |cells| cells.as_array().unwrap().len());
        let prediction = Prediction {
            id: PredictionId::new(),
            request_id: None,
            deployment_id: live.id,
            version: live.version,
            at,
            status: 200,
            latency_us: 900,
            rows: i32::try_from(rows).unwrap(),
            features,
            output: json!({}),
        };
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::prediction::insert(&mut conn, &[prediction]).await.unwrap();
    }

    /// What workers do every few seconds.
    pub(crate) async fn check(&self) {
        self.services.check_monitors().await.unwrap();
    }

    /// A request of 50 rows that look like the reference, and a check of them.
    pub(crate) async fn usual(&self) -> Check {
        self.answer(rows(50, 0.0)).await;
        self.check().await;
        self.checks().await.remove(0)
    }

    /// A request of 50 rows that look different, and a check of them.
    pub(crate) async fn shifted(&self) -> Check {
        self.answer(rows(50, 100.0)).await;
        self.check().await;
        self.checks().await.remove(0)
    }

    pub(crate) async fn monitor(&self) -> Monitor {
        self.services.monitor(&self.ctx(), PRODUCTION, MODEL).await.unwrap()
    }

    /// Looks at 50 rows, no more and no less.
    pub(crate) async fn watch_fifty(&self) {
        self.change(MonitorChange { window_rows: Some(50), min_rows: Some(50), enabled: None, instead_of: None }).await;
    }

    pub(crate) async fn change(&self, change: MonitorChange) {
        self.services.change_monitor(&self.ctx(), PRODUCTION, MODEL, change).await.unwrap();
    }

    /// What was found, newest first.
    pub(crate) async fn checks(&self) -> Vec<Check> {
        self.services.checks(&self.monitor().await, None, 100).await.unwrap().items
    }

    /// All alerts, newest first.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        self.services.alerts(&self.ctx(), false, None, 100).await.unwrap().items
    }

    /// Lets alerts start [`PIPELINE`].
    pub(crate) async fn trigger(&self, cool_down_s: i32, enabled: bool) {
        self.store(&format!("name: {PIPELINE}\nsteps:\n  train:\n    command: 'true'\n")).await;
        let new = NewTrigger {
            model: MODEL.to_owned(),
            environment: PRODUCTION.to_owned(),
            pipeline: PIPELINE.to_owned(),
            params: serde_json::Map::new(),
            enabled,
            cool_down_s,
        };
        self.services.set_trigger(&self.ctx(), new).await.unwrap();
    }

    /// Stores a pipeline's file.
    pub(crate) async fn store(&self, yaml: &str) {
        let file = PipelineFile::read(yaml.to_owned()).unwrap_or_else(|problems| panic!("{problems}"));
        self.services.store_pipeline(&self.ctx(), file, None).await.unwrap();
    }

    /// How many runs triggers started.
    pub(crate) async fn started(&self) -> usize {
        let filter = RunFilter { pipeline: Some(PIPELINE.to_owned()), ..RunFilter::default() };
        self.services.pipeline_runs(&self.ctx(), &filter, None, 1000).await.unwrap().items.len()
    }

    pub(crate) async fn firings(&self, alert: &Alert) -> Vec<Firing> {
        self.services.alert_by_number(&self.ctx(), alert.number).await.unwrap().1
    }

    /// Lets every cool-down be over.
    pub(crate) async fn let_cool_downs_end(&self) {
        self.meddle("update firings set at = at - interval '10 days'").await;
    }

    /// Runs a statement that no use case would.
    pub(crate) async fn meddle(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.database.pool).await.unwrap();
    }

    /// What history has of this action.
    pub(crate) async fn told(&self, action: &str) -> usize {
        let events = self.services.audit_events(&self.ctx(), &[], None, 1000).await.unwrap();
        events.items.iter().filter(|event| event.action == action).count()
    }

    /// Waits until somebody waits for a lock of the test's own database.
    pub(crate) async fn until_somebody_waits(&self) {
        loop {
            let waits: bool = sqlx::query_scalar(
                "select exists (
                     select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                 )",
            )
            .fetch_one(&self.database.pool)
            .await
            .unwrap();
            if waits {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}
