//! The registry: models, their versions, and the aliases that point at versions.

use crate::{
    digest::Digest,
    id::{LoggedModelId, ModelId, ModelVersionId, RunId, UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A registered model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Model {
    /// The model.
    pub id: ModelId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Which version each alias points at.
    pub aliases: BTreeMap<String, i32>,
}

/// MLflow's stages. Deprecated there, still used by clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Stage {
    #[default]
    None,
    Staging,
    Production,
    Archived,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// Reads the name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str().eq_ignore_ascii_case(text))
    }
}

/// A tensor or column that a model takes or gives, from its MLmodel file's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureField {
    /// Its name, when it has one.
    pub name: Option<String>,
    /// Its type, as MLflow writes it: `double`, `long`, `string`, `tensor(float32)`.
    pub dtype: String,
    /// Its shape, for a tensor; -1 is any.
    pub shape: Option<Vec<i64>>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Signature {
    /// What it takes.
    pub inputs: Vec<SignatureField>,
    /// What it gives.
    pub outputs: Vec<SignatureField>,
}

/// One version of a registered model. Its content never changes: `digest` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelVersion {
    /// The version.
    pub id: ModelVersionId,
    /// Its model.
    pub model_id: ModelId,
    /// Its model's name.
    pub model: String,
    /// 1, 2, 3 …; a number is never given twice.
    pub version: i32,
    /// Where the client said it comes from: `models:/m-…` or `runs:/…`. Resolved to artifacts of ours, never opened.
    pub source: String,
    /// The run that made it.
    pub run_id: Option<RunId>,
    /// The logged model that it is.
    pub logged_model_id: Option<LoggedModelId>,
    /// Who registered it.
    pub created_by: Option<UserId>,
    /// What is said about it.
    pub description: String,
    /// MLflow's deprecated stage.
    pub stage: Stage,
    /// Of the manifest of its files: path, digest and size of each. Absent when the source holds no files of ours.
    pub digest: Option<Digest>,
    /// Bytes of all files.
    pub size: i64,
    /// What it takes and gives, when its MLmodel file says so.
    pub signature: Option<Signature>,
    /// MLflow flavours in its MLmodel file, such as `onnx`, `sklearn`.
    pub flavors: Vec<String>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Aliases that point at it.
    pub aliases: Vec<String>,
}

impl ModelVersion {
    /// `churn v7`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} v{}", self.model, self.version)
    }

    /// Whether Slipway can serve it: it holds an ONNX model.
    #[must_use]
    pub fn is_servable(&self) -> bool {
        self.digest.is_some() && self.flavors.iter().any(|flavor| flavor == "onnx")
    }
}

/// A move of an alias: the history answers what `@champion` was on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AliasMove {
    /// Which alias.
    pub alias: String,
    /// The version it points at from then on; none when it was removed.
    pub version: Option<i32>,
    /// When.
    pub at: DateTime<Utc>,
    /// Who moved it.
    pub by: String,
}
