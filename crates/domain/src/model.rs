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

/// MLflow keeps prompts as registered models with this tag.
pub const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";

impl Model {
    /// Whether it is a prompt: [`PROMPT_TAG`] says `true`, in any case.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        self.tags.get(PROMPT_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
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
    /// Whether it may be left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
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

/// A file of a version, as it was when the version was registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionFile {
    /// The path below the model's folder: `model.onnx`.
    pub path: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: i64,
}

/// The digest of a version's files: of the list of path, digest and size of each, sorted by path. None without files.
///
/// # Errors
/// When the list has no JSON form, which does not happen.
pub fn manifest_digest(files: &[VersionFile]) -> Result<Option<Digest>, serde_json::Error> {
    let mut manifest: Vec<(&str, &str, i64)> =
        files.iter().map(|file| (file.path.as_str(), file.digest.as_str(), file.size)).collect();
    manifest.sort_unstable();
    if manifest.is_empty() { Ok(None) } else { Digest::of_json(&manifest).map(Some) }
}

/// A model in a list, with what its versions come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelSummary {
    /// The model.
    pub model: Model,
    /// How many versions it has.
    pub versions: i64,
    /// The newest of them.
    pub latest: Option<i32>,
    /// When that was registered.
    pub latest_at: Option<DateTime<Utc>>,
    /// Who registered it, by name.
    pub latest_by: Option<String>,
}

/// A version in a table of its model, with the names and values that are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionRow {
    /// The version.
    pub version: ModelVersion,
    /// Who registered it, by name.
    pub created_by: Option<String>,
    /// The name of the run that made it.
    pub run: Option<String>,
    /// The latest value of each shown metric that its run has.
    pub metrics: BTreeMap<String, f64>,
}

/// A page of a model's versions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionTable {
    /// The versions.
    pub rows: Vec<VersionRow>,
    /// The metrics that are shown, in order: those that gates of production ask for, or a few that the runs share.
    pub metric_keys: Vec<String>,
    /// How many versions the model has.
    pub total: i64,
    /// Ask with this for the versions after these; absent on the last page.
    pub next_page_token: Option<String>,
}

/// A move of an alias: the history answers what `@champion` was on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AliasMove {
    /// The move; greater than those before it.
    pub id: i64,
    /// Which alias.
    pub alias: String,
    /// The version it pointed at until then; none when it was not there.
    pub from: Option<i32>,
    /// The version it points at from then on; none when it was removed.
    pub version: Option<i32>,
    /// Whether that version was deleted since.
    pub is_deleted: bool,
    /// When.
    pub at: DateTime<Utc>,
    /// Who moved it.
    pub by: String,
    /// What moved it, when no client did.
    pub cause: Option<AliasCause>,
}

/// What moved an alias that no client may move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AliasCause {
    /// The deployment that went live: its number in the workspace.
    pub deployment: i64,
    /// The promotion that allowed it, by its number.
    pub promotion: Option<i64>,
    /// Whether it went back to an earlier version.
    pub is_rollback: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_files_does_not_depend_on_their_order() {
        let file =
            |path: &str, byte: u8| VersionFile { path: path.to_owned(), digest: Digest::blake3([byte; 32]), size: 3 };
        let one = manifest_digest(&[file("MLmodel", 1), file("model.onnx", 2)]).unwrap();
        assert_eq!(one, manifest_digest(&[file("model.onnx", 2), file("MLmodel", 1)]).unwrap());
        assert_ne!(one, manifest_digest(&[file("MLmodel", 2), file("model.onnx", 1)]).unwrap());
        assert_eq!(manifest_digest(&[]).unwrap(), None);
    }
}
