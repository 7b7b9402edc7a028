//! History: who did what to which object, when. Written in the transaction that does it, never changed.

use crate::id::{AuditEventId, UserId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A sort of object that has a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    Workspace,
    User,
    Token,
    Experiment,
    Run,
    LoggedModel,
    Model,
    ModelVersion,
    Dataset,
    DatasetVersion,
    Pipeline,
    PipelineRun,
    Environment,
    Policy,
    Promotion,
    Deployment,
    Monitor,
    Alert,
    Trigger,
    Schedule,
    PushHook,
    Backfill,
    Secret,
    SecretKey,
    Webhook,
    Team,
    Freeze,
    Delegation,
    ChangeRequest,
    AuditKey,
}

impl ObjectKind {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::User => "user",
            Self::Token => "token",
            Self::Experiment => "experiment",
            Self::Run => "run",
            Self::LoggedModel => "logged_model",
            Self::Model => "model",
            Self::ModelVersion => "model_version",
            Self::Dataset => "dataset",
            Self::DatasetVersion => "dataset_version",
            Self::Pipeline => "pipeline",
            Self::PipelineRun => "pipeline_run",
            Self::Environment => "environment",
            Self::Policy => "policy",
            Self::Promotion => "promotion",
            Self::Deployment => "deployment",
            Self::Monitor => "monitor",
            Self::Alert => "alert",
            Self::Trigger => "trigger",
            Self::Schedule => "schedule",
            Self::PushHook => "push_hook",
            Self::Backfill => "backfill",
            Self::Secret => "secret",
            Self::SecretKey => "secret_key",
            Self::Webhook => "webhook",
            Self::Team => "team",
            Self::Freeze => "freeze",
            Self::Delegation => "delegation",
            Self::ChangeRequest => "change_request",
            Self::AuditKey => "audit_key",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use ObjectKind as O;
        [
            O::Workspace,
            O::User,
            O::Token,
            O::Experiment,
            O::Run,
            O::LoggedModel,
            O::Model,
            O::ModelVersion,
            O::Dataset,
            O::DatasetVersion,
            O::Pipeline,
            O::PipelineRun,
            O::Environment,
            O::Policy,
            O::Promotion,
            O::Deployment,
            O::Monitor,
            O::Alert,
            O::Trigger,
            O::Schedule,
            O::PushHook,
            O::Backfill,
            O::Secret,
            O::SecretKey,
            O::Webhook,
            O::Team,
            O::Freeze,
            O::Delegation,
            O::ChangeRequest,
            O::AuditKey,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == text)
    }
}

/// An object that an event is about, or also concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Object {
    /// Its sort.
    pub kind: ObjectKind,
    /// Its identifier, as text.
    pub id: String,
    /// What people call it, when the event happened: `churn v7`, `#87`.
    pub name: String,
}

impl Object {
    /// The object of this sort with this identifier, called this.
    pub fn new(kind: ObjectKind, id: impl ToString, name: impl Into<String>) -> Self {
        Self { kind, id: id.to_string(), name: name.into() }
    }
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A person or service account.
    User {
        /// Who.
        id: UserId,
        /// Their name then.
        name: String,
        /// Whether it is a service account.
        is_service: bool,
    },
    /// Slipway itself: a worker, a monitor, a trigger.
    System,
}

impl Actor {
    /// The name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::User { name, .. } => name,
            Self::System => "Slipway",
        }
    }
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// The event.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What was done: a verb of the past and its object kind, such as `promotion.approved`.
    pub action: String,
    /// To what.
    pub object: Object,
    /// What else it concerns; the event is on their timelines too.
    pub related: Vec<Object>,
    /// One sentence without the actor: `approved churn v7 for production`.
    pub summary: String,
    /// Facts of the event by name, such as the digest that was seen.
    pub details: serde_json::Value,
    /// The request that caused it, to be found in the log.
    pub request_id: Option<String>,
}
