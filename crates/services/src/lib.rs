//! Use cases: what people and machines can do with Slipway, each one function that validates, changes things in one
//! transaction, writes history and wakes whoever goes on. Knows neither HTTP nor HTML, and holds no SQL.
//!
//! The coarse question, whether a role may do such a thing at all, was answered before by the one authorisation layer
//! that made the [`Ctx`]; rules about the object itself (who requested, what state it is in) are here.

mod admission;
mod alert;
mod artifact;
mod artifact_tree;
mod audit;
mod audit_bundle;
mod audit_chain;
mod audit_key;
mod backfill;
mod ballot;
mod bearer;
mod change_request;
mod comment;
mod ctx;
mod dataset;
mod dataset_input;
mod delegation;
mod demo;
mod deployment;
mod endpoint;
mod environment;
mod experiment;
mod freeze;
mod gauges;
mod key_file;
mod link;
mod log;
mod log_archive;
mod logged_model;
mod mail;
mod model;
mod model_card;
mod model_version;
mod monitor;
mod palette;
mod password;
mod pipeline;
mod pipeline_run;
mod policy;
mod prediction;
mod promotion;
mod push_hook;
mod reference;
mod registration;
mod retention;
mod run;
mod schedule;
mod secret;
mod session;
mod setup;
mod step;
mod task;
mod team;
mod token;
mod trigger;
mod upload;
mod user;
mod vault;
mod version_diff;
mod webhook;
mod worker;
mod workspace;

pub use admission::{Admitted, Limits};
pub use artifact::{Artifact, MAX_ARTIFACT};
pub use artifact_tree::{ArtifactTree, FilesOf};
pub use audit::Event;
pub use audit_bundle::{AuditBundle, BundleLine, BundleOf};
pub use audit_chain::AuditHead;
pub use backfill::NewBackfill;
pub use ballot::NewDecision;
pub use change_request::{ChangeRequestDetail, Effect, may_withdraw_change};
pub use ctx::{Caller, Credential, Ctx};
pub use dataset::{
    DatasetChange, DatasetDiff, DatasetFile, DatasetFolder, NewDataset, NewDatasetVersion, ObjectsAsked, StoredPack,
    TableDiffs,
};
pub use delegation::NewDelegation;
pub use demo::DemoPerson;
pub use deployment::{DeploymentFilter, NewRollback};
pub use domain::{Error, ErrorKind};
pub use endpoint::{LiveEndpoint, Outcome};
pub use environment::{EnvironmentChange, NewEnvironment};
pub use experiment::{ExperimentSearch, NewExperiment};
pub use export::Format as ExportFormat;
pub use freeze::{FreezeChange, NewFreeze};
pub use gauges::{DriftScore, Gauges};
pub use log::{Appended, LogHits, log_topic};
pub use logged_model::{LoggedModelSearch, NewLoggedModel, no_logged_model};
pub use mail::TakenMail;
pub use model::{ModelDetail, ModelSearch, NewModel};
pub use model_card::no_card;
pub use model_version::{VersionDetail, VersionSearch, parse_stage};
pub use monitor::MonitorChange;
pub use pipeline::{PipelineFile, StoredPipeline};
pub use pipeline_run::{NewRun, Refused, Rerun, RunFilter, StartedRun, StepFilter};
pub use policy::NewPolicy;
pub use promotion::{NewAnswer, NewEvidence, NewOverride, NewPromotion, PromotionFilter, Sweep, may_withdraw};
pub use push_hook::{NewPushHook, ProvedPush, PushHookChange};
pub use registration::{NewModelVersion, NewRegistration};
pub use run::{
    Curves, MAX_CHART_KEYS, MAX_CHART_RUNS, NewExperimentRun, RunChange, RunDetail, RunExport, RunExportSearch,
    RunGroupSearch, RunSearch, RunTableSearch, RunsChange, Unpacked, no_run,
};
pub use schedule::{NewSchedule, ScheduleChange, ScheduleFilter};
pub use session::Browser;
pub use setup::{NewUser, used_link};
pub use step::{
    Adopted, AttemptEnd, Claimed, FileTrouble, Given, Hit, InputFiles, KfpWork, Lease, LetGo, MAX_NOTEBOOK,
    NOTEBOOK_PROGRESS, NotebookAgainst, NotebookWork, Place, Renewed, Source, StepApprovalDetail, StepWork,
    Surroundings, compare_notebooks,
};
pub use task::blocking;
pub use token::{IssuedToken, NewToken};
pub use trigger::{NewPipelineTrigger, NewTrigger, NewTriggerOn};
pub use upload::BegunUpload;
pub use vault::{Rotated, SecretKeys};
pub use version_diff::ComparedVersions;
pub use webhook::{NewWebhook, TakenDelivery, WebhookChange, WebhookSummary, WebhookTest, no_webhook};
pub use worker::{Beat, Queue};

/// Gives a use case a boxed future. Else each of its callers would compile everything below it again, and prove of every
/// piece that it may move to another thread, which takes minutes.
pub(crate) use async_recursion::async_recursion as boxed;

use artifacts::Artifacts;
use chrono::{DateTime, SubsecRound as _, Utc};
use outbound::{Mailer, Outbound, Prometheus};
use serving::ModelCache;
use sqlx::{PgPool, Postgres, Transaction};
use std::{path::Path, sync::Arc};
use task::apart;

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// What use cases work with. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    pool: PgPool,
    artifacts: Artifacts,
    models: Option<Arc<ModelCache>>,
    endpoints: Arc<endpoint::Endpoints>,
    admission: Arc<admission::Admission>,
    predictions: prediction::Recorder,
    bearers: Arc<bearer::Bearers>,
    known: Arc<run::Known>,
    appender: run::Appender,
    packer: run::Packer,
    passwords: Arc<password::Passwords>,
    outbound: Arc<Outbound>,
    prometheus: Option<Arc<Prometheus>>,
    mailer: Option<Arc<Mailer>>,
    joining: Arc<upload::Joining>,
    audit_keys: Option<Arc<Path>>,
    secret_keys: SecretKeys,
    chaining: Arc<tokio::sync::Mutex<()>>,
    public_url: Arc<str>,
}

impl Services {
    /// Use cases over this database and artifact store.
    #[must_use]
    pub fn new(pool: PgPool, artifacts: Artifacts) -> Self {
        Self {
            predictions: prediction::Recorder::start(pool.clone()),
            bearers: Arc::default(),
            known: Arc::default(),
            appender: run::Appender::start(&pool),
            packer: run::Packer::start(pool.clone()),
            pool,
            artifacts,
            models: None,
            endpoints: Arc::default(),
            admission: Arc::default(),
            passwords: Arc::default(),
            outbound: Arc::default(),
            prometheus: None,
            mailer: None,
            joining: Arc::default(),
            audit_keys: None,
            secret_keys: SecretKeys::default(),
            chaining: Arc::default(),
            public_url: "".into(),
        }
    }

    /// The same, knowing the address that people and clients use, without a slash at the end: messages name pages by it.
    #[must_use]
    pub fn with_public_url(mut self, url: &str) -> Self {
        self.public_url = url.into();
        self
    }

    /// The address that people and clients use.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The same, with the folder of the private keys that checkpoints of history are signed with.
    #[must_use]
    pub fn with_audit_keys(mut self, folder: &Path) -> Self {
        self.audit_keys = Some(folder.into());
        self
    }

    /// The same, with an engine that runs models.
    #[must_use]
    pub fn with_models(mut self, models: Arc<ModelCache>) -> Self {
        self.models = Some(models);
        self
    }

    /// The same, letting models take so much.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.admission = Arc::new(admission::Admission::new(limits));
        self
    }

    /// The same, with a Prometheus that gates may ask.
    #[must_use]
    pub fn with_prometheus(mut self, prometheus: Prometheus) -> Self {
        self.prometheus = Some(Arc::new(prometheus));
        self
    }

    /// The same, with a mail server to send messages through.
    #[must_use]
    pub fn with_mailer(mut self, mailer: Mailer) -> Self {
        self.mailer = Some(Arc::new(mailer));
        self
    }

    /// The models that are loaded, and the engine to load more.
    ///
    /// # Errors
    /// `Unavailable` when this process has no engine.
    pub fn models(&self) -> Result<&Arc<ModelCache>> {
        self.models.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                "No model can be run here: ONNX Runtime is not installed. An administrator installs it with make setup.",
            )
        })
    }

    /// Whether the artifact store can be written and read.
    ///
    /// # Errors
    /// `Unavailable` when it cannot.
    #[boxed]
    pub async fn check_artifacts(&self) -> Result<()> {
        self.artifacts.check().await.map_err(|error| {
            tracing::warn!(%error, "the artifact store does not answer");
            Error::new(ErrorKind::Unavailable, "The artifact store does not answer.")
        })
    }

    /// The database, for what is not a use case: readiness, listening.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Begins a transaction.
    ///
    /// In a task of its own, which nobody cancels: of a transaction whose beginning is cancelled, as it is when a client
    /// goes away, sqlx 0.9.0 forgets that it is open (its issue 4393), and whoever gets the connection next writes into
    /// it.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        apart(async move { pool.begin().await.map_err(|error| store::Error::from(error).into()) }).await
    }

    /// A connection for reading.
    async fn conn(&self) -> Result<sqlx::pool::PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(|error| store::Error::from(error).into())
    }
}

/// The size of a page as statements take it: at least one row, and never a whole table.
fn page_rows(limit: usize) -> i64 {
    limit.clamp(1, 50_000) as i64
}

/// The time, to the microsecond: as it reads back from the database, so that an answer sent again is the same.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

/// Commits.
async fn commit(tx: Transaction<'static, Postgres>) -> Result<()> {
    tx.commit().await.map_err(|error| store::Error::from(error).into())
}
