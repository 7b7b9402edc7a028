//! What of a run can be registered.

use crate::{
    artifact_path::ArtifactFolder,
    id::{LoggedModelId, RunId},
};

/// A model that a run left, and that can be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunModel {
    /// What the run called it; of a folder, the last part of its path.
    pub name: String,
    /// The source of a version of it: `models:/m-…`, or `runs:/<run>/<folder>`.
    pub source: String,
    /// The logged model that it is; none for a folder among the run's files.
    pub logged_model_id: Option<LoggedModelId>,
}

impl RunModel {
    /// A logged model of this name.
    #[must_use]
    pub fn logged(id: LoggedModelId, name: String) -> Self {
        Self { name, source: format!("models:/{}", id.wire()), logged_model_id: Some(id) }
    }

    /// A folder of a run's files; that of all of them is called `model`.
    #[must_use]
    pub fn folder(run: RunId, folder: &ArtifactFolder) -> Self {
        let name = folder.as_str().rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("model");
        let below = if folder.is_root() { String::new() } else { format!("/{folder}") };
        Self { name: name.to_owned(), source: format!("runs:/{}{below}", run.simple()), logged_model_id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact_root::ModelSource;

    #[test]
    fn what_can_be_registered_is_named_by_a_source_that_is_read_as_the_same() {
        let (run, id) = (RunId::new(), LoggedModelId::new());
        let logged = RunModel::logged(id, "wine".to_owned());
        let read = ModelSource::LoggedModel { id, folder: ArtifactFolder::root() };
        assert_eq!((logged.name.as_str(), ModelSource::parse(&logged.source).unwrap()), ("wine", read));
        for (path, name) in [("", "model"), ("model", "model"), ("fold 1/best", "best")] {
            let folder = ArtifactFolder::parse(path).unwrap();
            let found = RunModel::folder(run, &folder);
            assert_eq!(found.name, name);
            assert_eq!(ModelSource::parse(&found.source).unwrap(), ModelSource::Run { id: run, folder });
        }
    }
}
