//! Logged models: a model as a run wrote it, before anybody registered it.

use crate::{
    error::Error,
    id::{ExperimentId, LoggedModelId, RunId, WorkspaceId},
    run::Metric,
    values::spaced_json,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tag with the versions that were registered from a logged model: a list of names and numbers as JSON.
pub const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// What that tag says once another version was registered.
#[must_use]
pub fn with_version(before: Option<&str>, name: &str, version: i32) -> String {
    // In the order of MLflow's fields.
    #[derive(Serialize)]
    struct Entry<'a> {
        name: &'a str,
        version: i32,
    }
    let entry = spaced_json(&Entry { name, version });
    let known: Option<Vec<serde_json::Value>> = before.and_then(|text| serde_json::from_str(text).ok());
    let known = known.filter(|known| !known.is_empty()).unwrap_or_default();
    if known.iter().any(|known| known["name"] == name && known["version"] == version) {
        return before.unwrap_or_default().to_owned();
    }
    match before.and_then(|text| text.trim_end().strip_suffix(']')) {
        Some(open) if !known.is_empty() => format!("{open}, {entry}]"),
        _ => format!("[{entry}]"),
    }
}

/// Refuses parameters that are there with another value.
///
/// # Errors
/// When one would change.
pub fn check_unchanged(
    id: LoggedModelId,
    known: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Result<(), Error> {
    for (key, value) in new {
        if let Some(old) = known.get(key).filter(|old| *old != value) {
            return Err(Error::invalid_field(
                "params",
                format!(
                    "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' \
                     for the logged model with ID='{}'. Attempted logging new value '{value}'.",
                    id.wire()
                ),
            ));
        }
    }
    Ok(())
}

/// How far a logged model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoggedModelStatus {
    /// Its files are still being uploaded.
    Pending,
    /// Complete.
    Ready,
    /// The upload failed.
    UploadFailed,
}

impl LoggedModelStatus {
    /// The name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::UploadFailed => "upload_failed",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Ready, Self::UploadFailed].into_iter().find(|status| status.as_str() == text)
    }
}

/// A value of a metric that was logged of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedModelMetric {
    /// The point.
    pub point: Metric,
    /// The run that logged it.
    pub run_id: RunId,
    /// The data set it was measured on, by the name that the client gave; empty when none.
    pub dataset_name: String,
    /// That data set's digest; empty when none.
    pub dataset_digest: String,
}

/// A model as a run wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedModel {
    /// The model.
    pub id: LoggedModelId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its experiment.
    pub experiment_id: ExperimentId,
    /// Its name.
    pub name: String,
    /// What the client calls its type.
    pub model_type: String,
    /// The run that wrote it.
    pub source_run_id: Option<RunId>,
    /// How far it is.
    pub status: LoggedModelStatus,
    /// Why it failed, when it did.
    pub status_message: String,
    /// Made, in milliseconds since 1970.
    pub creation_time: i64,
    /// Last changed, in milliseconds since 1970.
    pub last_update_time: i64,
    /// Whether it was put away.
    pub deleted: bool,
    /// Parameters by key.
    pub params: BTreeMap<String, String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Every value that was logged of it, by metric, time and step.
    pub metrics: Vec<LoggedModelMetric>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_noted_in_a_tag_as_mlflow_writes_it() {
        let one = with_version(None, "wine", 1);
        assert_eq!(one, r#"[{"name": "wine", "version": 1}]"#);
        let two = with_version(Some(&one), "wine \"b\"", 2);
        assert_eq!(two, r#"[{"name": "wine", "version": 1}, {"name": "wine \"b\"", "version": 2}]"#);
        assert_eq!(with_version(Some(&two), "wine", 1), two);
        for strange in ["", "x", "{}", "[]", "[1"] {
            assert_eq!(with_version(Some(strange), "wine", 1), one, "{strange}");
        }
    }

    #[test]
    fn a_param_of_a_model_stays_as_it_is() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let (id, known) = (LoggedModelId::new(), map(&[("depth", "3")]));
        assert_eq!(check_unchanged(id, &known, &map(&[("depth", "3"), ("rate", "1")])), Ok(()));
        let error = check_unchanged(id, &known, &map(&[("depth", "4")])).unwrap_err();
        assert!(error.message.contains("was already logged with value='3'"), "{error}");
    }
}
