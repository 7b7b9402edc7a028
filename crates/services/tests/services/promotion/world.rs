//! A workspace of one test's own, people in it, and versions that can be promoted.

use artifacts::Artifacts;
use chrono::Utc;
use domain::{
    Digest, Error,
    audit::AuditEvent,
    deployment::Deployment,
    id::{EnvironmentId, ModelId, ModelVersionId, PromotionId, RunId, UserId},
    model::{VersionFile, manifest_digest},
    permission::{Role, Scope},
    policy::{GateSpec, Order, PolicyDocument, Rule},
    promotion::{Decision, DecisionVerdict, Promotion, PromotionDetail, PromotionState},
    user::{Email, User, Workspace},
};
use services::{
    Caller, Credential, Ctx, Limits, NewDecision, NewPromotion, NewRollback, NewRun, PipelineFile, PromotionFilter,
    SecretKeys, Services, Sweep,
};
use serving::{Engine, ModelCache, default_library};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use testkit::TestDatabase;

pub(crate) const MODEL: &str = "iris";
pub(crate) const PRODUCTION: &str = "production";

pub(crate) struct World {
    pub(crate) services: Services,
    pub(crate) database: TestDatabase,
    pub(crate) workspace: Workspace,
    /// May request.
    pub(crate) contributor: Ctx,
    /// May decide.
    pub(crate) approver: Ctx,
    /// May change policies, roles and roll back.
    pub(crate) admin: Ctx,
    people: AtomicU32,
    artifacts: tempfile::TempDir,
}

/// A version to be made. The default one passes the initial policies.
pub(crate) struct NewVersion {
    pub(crate) accuracy: Option<f64>,
    pub(crate) onnx: Vec<u8>,
    pub(crate) golden: Option<(&'static str, Vec<u8>)>,
    pub(crate) flavor: &'static str,
}

impl Default for NewVersion {
    fn default() -> Self {
        let fixture: serde_json::Value = serde_json::from_slice(&fixture("classifier.json")).unwrap();
        let golden = serde_json::json!({ "inputs": fixture["request"]["inputs"], "outputs": fixture["outputs"] });
        Self {
            accuracy: Some(0.9),
            onnx: fixture_model(),
            golden: Some(("golden.json", golden.to_string().into_bytes())),
            flavor: "onnx",
        }
    }
}

fn engine() -> Arc<ModelCache> {
    let path = std::env::var_os("SLIPWAY_ONNXRUNTIME").map_or_else(default_library, PathBuf::from);
    let engine = Engine::load(&path)
        .unwrap_or_else(|error| panic!("the tests need the ONNX Runtime; run `make setup`: {error}"));
    Arc::new(ModelCache::new(engine))
}

/// A file of the tests of `serving`: models and what scikit-learn answers.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../serving/fixtures").join(name)).unwrap()
}

fn fixture_model() -> Vec<u8> {
    fixture("classifier.onnx")
}

pub(crate) fn metric_gate(threshold: f64) -> GateSpec {
    GateSpec::MetricThreshold { metric: "accuracy".to_owned(), better: Default::default(), threshold }
}

pub(crate) fn document(gates: Vec<GateSpec>, approvals: u8) -> PolicyDocument {
    PolicyDocument {
        gates,
        rules: (approvals > 0).then(|| Rule::of_approvers(approvals)).into_iter().collect(),
        order: Order::Skip,
        ..PolicyDocument::default()
    }
}

impl World {
    /// One with the engine.
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    /// One with the engine, in which models may take so much.
    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::with(Some(engine()), limits).await
    }

    /// One whose workers cannot run models.
    pub(crate) async fn without_engine() -> Self {
        Self::with(None, Limits::default()).await
    }

    async fn with(models: Option<Arc<ModelCache>>, limits: Limits) -> Self {
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(directory.path()).await.unwrap();
        let services = Services::new(database.pool.clone(), artifacts)
            .with_limits(limits)
            .with_secret_keys(SecretKeys::in_folder(&directory.path().join("secret-keys")));
        let services = match models {
            Some(models) => services.with_models(models),
            None => services,
        };
        let workspace = services.ensure_default_workspace().await.unwrap();
        let people = AtomicU32::new(1);
        let admin = join(&services, &workspace, &people, &[Role::Admin], false).await;
        let contributor = join(&services, &workspace, &people, &[Role::Contributor], false).await;
        let approver = join(&services, &workspace, &people, &[Role::Approver], false).await;
        Self { services, database, workspace, contributor, approver, admin, people, artifacts: directory }
    }

    /// Another process of the same installation, which cannot run models.
    pub(crate) async fn process_without_engine(&self) -> Services {
        Services::new(self.database.pool.clone(), Artifacts::open_dir(self.artifacts.path()).await.unwrap())
            .with_secret_keys(SecretKeys::in_folder(&self.artifacts.path().join("secret-keys")))
    }

    /// Another process of the same installation, which has loaded nothing yet.
    pub(crate) async fn process_with_engine(&self) -> Services {
        self.process_without_engine().await.with_models(engine())
    }

    /// The artifact store does not answer until [`World::let_artifacts_answer`]: what is stored leads nowhere.
    pub(crate) fn silence_artifacts(&self) {
        let blobs = self.artifacts.path().join("blobs");
        fs::rename(&blobs, self.artifacts.path().join("away")).unwrap();
        symlink("blobs", &blobs).unwrap();
    }

    pub(crate) fn let_artifacts_answer(&self) {
        let blobs = self.artifacts.path().join("blobs");
        fs::remove_file(&blobs).unwrap();
        fs::rename(self.artifacts.path().join("away"), &blobs).unwrap();
    }

    /// What the artifact store held is gone, though it answers.
    pub(crate) fn empty_artifacts(&self) {
        fs::remove_dir_all(self.artifacts.path().join("blobs")).unwrap();
    }

    /// What a step acts as, in a run that `who` started.
    pub(crate) async fn step_of(&self, who: &Ctx) -> Ctx {
        let file = PipelineFile::read("name: train\nsteps:\n  fit:\n    command: 'true'\n".to_owned());
        let file = file.unwrap_or_else(|problems| panic!("{problems}"));
        self.services.store_pipeline(&Ctx::system(self.workspace.clone()), file, None).await.unwrap();
        let new = NewRun { pipeline: "train".to_owned(), ..NewRun::default() };
        self.services.start_pipeline_run(who, new).await.unwrap();
        let (pools, lease) = (["default".to_owned()], Duration::from_secs(600));
        let held = self
            .services
            .claim_step("worker", "worker", &pools, &[domain::pipeline::ExecutorKind::Process], &[], lease)
            .await
            .unwrap()
            .unwrap();
        let work = self
            .services
            .begin_attempt(&held, "http://slipway.test", &domain::worker::Facts::default())
            .await
            .unwrap()
            .unwrap();
        let bearer = self.services.bearer(&work.invocation.env["SLIPWAY_TOKEN"], None).await.unwrap().unwrap();
        let credential = Credential::Token(bearer.token_id);
        let caller = Caller { user: bearer.user, credential, scope: bearer.scope, request_id: None };
        let (workspace, roles) = bearer.place.unwrap();
        Ctx { caller: Some(caller), workspace, roles }
    }

    /// A new member with these roles.
    pub(crate) async fn member(&self, roles: &[Role]) -> Ctx {
        join(&self.services, &self.workspace, &self.people, roles, false).await
    }

    /// A new service account with these roles.
    pub(crate) async fn machine(&self, roles: &[Role]) -> Ctx {
        join(&self.services, &self.workspace, &self.people, roles, true).await
    }

    /// Gives a member exactly these roles.
    pub(crate) async fn set_roles(&self, who: &Ctx, roles: &[Role]) {
        let roles = roles.iter().copied().collect();
        self.services.set_member_roles(&self.admin, who.user().unwrap().id, roles, None).await.unwrap();
    }

    /// Runs a statement that no use case would: somebody meddles with the tables.
    pub(crate) async fn meddle(&self, statement: &'static str) -> u64 {
        sqlx::query(statement).execute(&self.database.pool).await.unwrap().rows_affected()
    }

    /// The database refuses to change the files of a version: whoever meddles with them takes that away first.
    pub(crate) async fn unseal_files(&self) {
        self.meddle("alter table model_version_files disable trigger model_version_files_append_only").await;
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.database.pool).await.unwrap()
    }

    pub(crate) async fn text(&self, query: &'static str) -> Option<String> {
        sqlx::query_scalar(query).fetch_optional(&self.database.pool).await.unwrap()
    }

    /// A version of [`MODEL`] that passes the initial policies.
    pub(crate) async fn version(&self) -> i32 {
        self.version_of(MODEL, NewVersion::default()).await
    }

    /// A version of [`MODEL`] with this accuracy.
    pub(crate) async fn version_with(&self, accuracy: f64) -> i32 {
        self.version_of(MODEL, NewVersion { accuracy: Some(accuracy), ..NewVersion::default() }).await
    }

    /// A version as a client would register it, with its run.
    pub(crate) async fn version_of(&self, model: &str, new: NewVersion) -> i32 {
        let pool = &self.database.pool;
        let artifacts = Artifacts::open_dir(self.artifacts.path()).await.unwrap();
        let onnx = artifacts.put_bytes(new.onnx).await.unwrap();
        let file =
            |path: &str, digest: Digest, size: u64| VersionFile { path: path.to_owned(), digest, size: size as i64 };
        let mut files = vec![file("model.onnx", onnx.digest, onnx.size)];
        if let Some((name, bytes)) = new.golden {
            let golden = artifacts.put_bytes(bytes).await.unwrap();
            files.push(file(name, golden.digest, golden.size));
        }
        let run = RunId::new();
        let key: i64 = sqlx::query_scalar(
            "insert into runs (id, workspace_id, experiment_id, name, start_time)
             select $1, $2, id, 'train', 0 from experiments where workspace_id = $2 and is_default
             returning key",
        )
        .bind(run.0)
        .bind(self.workspace.id.0)
        .fetch_one(pool)
        .await
        .unwrap();
        if let Some(accuracy) = new.accuracy {
            self.log(key, "accuracy", accuracy).await;
        }
        let tag = self.key(key, "tag", "mlflow.source.git.commit").await;
        sqlx::query("insert into run_tags (run_key, key_id, value) values ($1, $2, '9f03a71')")
            .bind(key)
            .bind(tag)
            .execute(pool)
            .await
            .unwrap();
        sqlx::query(
            "with data as (
                 insert into datasets (experiment_id, name, digest, source_type, source)
                 select experiment_id, 'flowers', '4f1c', 'local', '' from runs where key = $1
                 on conflict (experiment_id, name, digest) do update set source = ''
                 returning id
             )
             insert into run_datasets (run_key, dataset_id) select $1, id from data",
        )
        .bind(key)
        .execute(pool)
        .await
        .unwrap();
        let (id, number): (uuid::Uuid, i32) = sqlx::query_as(
            "insert into models (id, workspace_id, name, last_version)
             values ($1, $2, $3, 1)
             on conflict (workspace_id, name) where deleted_at is null do update set last_version = models.last_version + 1
             returning id, last_version",
        )
        .bind(ModelId::new().0)
        .bind(self.workspace.id.0)
        .bind(model)
        .fetch_one(pool)
        .await
        .unwrap();
        let version = ModelVersionId::new();
        sqlx::query(
            "insert into model_versions (id, model_id, version, source, run_id, digest, flavors)
             values ($1, $2, $3, 'runs:/x/model', $4, $5, $6)",
        )
        .bind(version.0)
        .bind(id)
        .bind(number)
        .bind(run.0)
        .bind(manifest_digest(&files).unwrap().unwrap().as_str())
        .bind(vec![new.flavor, "python_function"])
        .execute(pool)
        .await
        .unwrap();
        for file in files {
            sqlx::query(
                "insert into model_version_files (model_version_id, path, digest, size) values ($1, $2, $3, $4)",
            )
            .bind(version.0)
            .bind(file.path)
            .bind(file.digest.as_str())
            .bind(file.size)
            .execute(pool)
            .await
            .unwrap();
        }
        number
    }

    /// The number of a key of the run's experiment.
    async fn key(&self, run_key: i64, kind: &str, name: &str) -> i32 {
        sqlx::query_scalar(
            "insert into log_keys (experiment_id, kind, name)
             select experiment_id, $2, $3 from runs where key = $1
             on conflict (experiment_id, kind, name) do update set name = excluded.name
             returning id",
        )
        .bind(run_key)
        .bind(kind)
        .bind(name)
        .fetch_one(&self.database.pool)
        .await
        .unwrap()
    }

    async fn log(&self, run_key: i64, metric: &str, value: f64) {
        let key = self.key(run_key, "metric", metric).await;
        sqlx::query(
            "insert into latest_metrics (run_key, key_id, step, timestamp, value) values ($1, $2, 0, 0, $3)
             on conflict (run_key, key_id) do update set value = excluded.value",
        )
        .bind(run_key)
        .bind(key)
        .bind(value)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }

    /// The files of the version of a promotion, as they are stored now.
    pub(crate) async fn files(&self, promotion: &Promotion) -> Vec<VersionFile> {
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::model_version::files(&mut conn, promotion.model_version_id).await.unwrap()
    }

    /// Logs another value of a metric to the run of a version of [`MODEL`].
    pub(crate) async fn log_to(&self, version: i32, metric: &str, value: f64) {
        let key: i64 = sqlx::query_scalar(
            "select r.key from model_versions v join models m on m.id = v.model_id join runs r on r.id = v.run_id
             where m.name = $1 and v.version = $2",
        )
        .bind(MODEL)
        .bind(version)
        .fetch_one(&self.database.pool)
        .await
        .unwrap();
        self.log(key, metric, value).await;
    }

    pub(crate) async fn set_policy(&self, environment: &str, gates: Vec<GateSpec>, approvals: u8) {
        self.services.set_policy(&self.admin, environment, document(gates, approvals), None).await.unwrap();
    }

    pub(crate) async fn environment_id(&self, name: &str) -> EnvironmentId {
        self.services.environment(&self.admin, name).await.unwrap().environment.id
    }

    /// The contributor asks for a version of [`MODEL`] in production.
    pub(crate) async fn request(&self, version: i32) -> Promotion {
        self.try_request(version, PRODUCTION).await.unwrap()
    }

    /// The same, of a process that has no engine and so knows nothing of the version.
    pub(crate) async fn request_elsewhere(&self, version: i32) -> Promotion {
        let (model, environment) = (MODEL.to_owned(), PRODUCTION.to_owned());
        let new = NewPromotion { model, version, environment, comment: "better".to_owned(), draft: false, again: None };
        self.process_without_engine().await.request_promotion(&self.contributor, new).await.unwrap()
    }

    pub(crate) async fn try_request(&self, version: i32, environment: &str) -> Result<Promotion, Error> {
        self.request_as(&self.contributor, version, environment).await
    }

    pub(crate) async fn request_as(&self, who: &Ctx, version: i32, environment: &str) -> Result<Promotion, Error> {
        let (model, environment) = (MODEL.to_owned(), environment.to_owned());
        let new = NewPromotion { model, version, environment, comment: "better".to_owned(), draft: false, again: None };
        self.services.request_promotion(who, new).await
    }

    /// A request whose gates have run.
    pub(crate) async fn awaiting(&self, version: i32) -> Promotion {
        let promotion = self.request(version).await;
        assert_eq!(self.advance(&promotion).await, PromotionState::AwaitingApproval);
        self.read(&promotion).await
    }

    /// A version that was promoted to production with the approver's consent.
    pub(crate) async fn live(&self, version: i32) -> Promotion {
        let promotion = self.awaiting(version).await;
        self.approve(&self.approver, &promotion).await.unwrap();
        assert_eq!(self.advance(&promotion).await, PromotionState::Live);
        self.read(&promotion).await
    }

    /// What a worker does when it is woken.
    pub(crate) async fn advance(&self, promotion: &Promotion) -> PromotionState {
        self.services.advance_promotion(promotion.id).await.unwrap()
    }

    /// What a worker looks at that was not woken, when all of it fits one round.
    pub(crate) async fn to_advance(&self) -> Vec<PromotionId> {
        self.services.promotions_to_advance(&mut Sweep::default()).await.unwrap()
    }

    /// How many people have approved what it is about, and count.
    pub(crate) async fn approvals(&self, promotion: &Promotion) -> usize {
        self.detail(promotion).await.rules.iter().map(|rule| rule.votes.len()).sum()
    }

    pub(crate) async fn detail(&self, promotion: &Promotion) -> PromotionDetail {
        self.services.promotion(&self.admin, promotion.number).await.unwrap()
    }

    pub(crate) async fn read(&self, promotion: &Promotion) -> Promotion {
        self.detail(promotion).await.promotion
    }

    /// Approves what the promotion holds in memory: what the person looked at.
    pub(crate) async fn approve(&self, who: &Ctx, seen: &Promotion) -> Result<(Decision, bool), Error> {
        self.decide(who, seen, DecisionVerdict::Approve, "").await
    }

    pub(crate) async fn decide(
        &self,
        who: &Ctx,
        seen: &Promotion,
        verdict: DecisionVerdict,
        comment: &str,
    ) -> Result<(Decision, bool), Error> {
        let subject_digest = seen.subject_digest.clone().expect("the gates have run");
        let new = new_decision(verdict, comment, subject_digest);
        self.services.decide_promotion(who, seen.number, new).await
    }

    /// Goes back in production from whatever serves at this moment.
    pub(crate) async fn roll_back(&self) -> Result<Deployment, Error> {
        let endpoints = self.services.endpoints(&self.admin).await.unwrap();
        let here = endpoints.iter().find(|e| e.deployment.environment == PRODUCTION && e.deployment.model == MODEL);
        self.roll_back_from(here.map_or(0, |endpoint| endpoint.deployment.number)).await
    }

    /// Goes back in production from the deployment that somebody saw.
    pub(crate) async fn roll_back_from(&self, deployment: i64) -> Result<Deployment, Error> {
        let new = NewRollback {
            environment: PRODUCTION.to_owned(),
            model: MODEL.to_owned(),
            deployment,
            comment: "Refuses every third customer.".to_owned(),
        };
        self.services.rollback(&self.admin, new).await
    }

    /// The version of [`MODEL`] that serves in production.
    pub(crate) async fn serving(&self) -> Option<i32> {
        let endpoints = self.services.endpoints(&self.admin).await.unwrap();
        let here = endpoints.iter().find(|e| e.deployment.environment == PRODUCTION && e.deployment.model == MODEL);
        here.map(|endpoint| endpoint.deployment.version)
    }

    pub(crate) async fn promotions(&self) -> Vec<Promotion> {
        let page = self.services.promotions(&self.admin, &PromotionFilter::default(), None, 1000).await.unwrap();
        page.items
    }

    /// What happened, oldest first: `actor action`.
    pub(crate) async fn history(&self, object: (domain::audit::ObjectKind, &str)) -> Vec<String> {
        let mut events: Vec<AuditEvent> =
            self.services.audit_events(&self.admin, &[object], None, 1000).await.unwrap().items;
        events.reverse();
        events.into_iter().map(|event| format!("{} {}", event.actor.name(), event.action)).collect()
    }
}

/// A verdict with nothing but a comment.
pub(crate) fn new_decision(verdict: DecisionVerdict, comment: &str, subject_digest: Digest) -> NewDecision {
    NewDecision {
        verdict,
        comment: comment.to_owned(),
        subject_digest,
        rules: Vec::new(),
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        password: None,
    }
}

async fn join(services: &Services, workspace: &Workspace, people: &AtomicU32, roles: &[Role], is_service: bool) -> Ctx {
    let number = people.fetch_add(1, Ordering::Relaxed);
    let user = User {
        id: UserId::new(),
        email: Email::parse(&format!("person-{number}@slipway.test")).unwrap(),
        name: format!("Person {number}"),
        is_service,
        created_at: Utc::now(),
    };
    let mut conn = services.pool().acquire().await.unwrap();
    store::user::insert(&mut conn, &user, None).await.unwrap();
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    store::workspace::set_member(&mut conn, workspace.id, user.id, &roles).await.unwrap();
    drop(conn);
    let caller =
        Caller { user, credential: Credential::Session("test".to_owned()), scope: Scope::Admin, request_id: None };
    services.enter(caller, Some(&workspace.slug)).await.unwrap().unwrap()
}
