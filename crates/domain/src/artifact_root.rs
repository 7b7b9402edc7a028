//! Whose artifacts are meant: the addresses that the server gives to clients, and what clients may give as one.
//!
//! All artifact roots are the server's. A client sends back what it was given, or names a run, model or version; no
//! address of another place is ever opened. It can at most be written down.

use crate::{
    artifact_path::{ArtifactFolder, ArtifactPath},
    error::Error,
    id::{ExperimentId, LoggedModelId, ModelVersionId, RunId},
    names::{AliasName, RegisteredModelName},
    wording::quoted,
};
use std::fmt;

/// Who has the artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactOwner {
    /// A run.
    Run(RunId),
    /// A logged model.
    LoggedModel(LoggedModelId),
}

/// The root of a run's or logged model's artifacts. As text it is what MLflow's clients see below the artifact
/// service: `7/<run>/artifacts` or `7/models/<model>/artifacts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArtifactRoot {
    /// The experiment of the owner. Only the owner is looked up; a root with the wrong experiment is no root.
    pub experiment_id: ExperimentId,
    /// Whose.
    pub owner: ArtifactOwner,
}

impl ArtifactRoot {
    /// The address that clients are given: `mlflow-artifacts:/7/<run>/artifacts`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mlflow-artifacts:/{self}")
    }

    /// Reads a path below the artifact service that names a root and a file there: to be written.
    ///
    /// # Errors
    /// When the path is unsafe, names no root, no file in it, or a file of a version, which stays as it is.
    pub fn parse_file(text: &str) -> Result<(Self, ArtifactPath), Error> {
        let (address, file) = ArtifactAddress::parse_file(text)?;
        Ok((address.to_be_written(text)?, file))
    }

    /// Reads a path below the artifact service that names a root and a folder there, or the root itself: to be written.
    ///
    /// # Errors
    /// When the path is unsafe, names no root, or a version's, which stays as it is.
    pub fn parse_folder(text: &str) -> Result<(Self, ArtifactFolder), Error> {
        let (address, folder) = ArtifactAddress::parse_folder(text)?;
        Ok((address.to_be_written(text)?, folder))
    }

    fn split(path: &str) -> Option<(Self, ArtifactFolder)> {
        let (experiment, rest) = path.split_once('/')?;
        let experiment_id: ExperimentId = experiment.parse().ok()?;
        let (owner, rest) = match rest.strip_prefix("models/") {
            Some(rest) => {
                let (id, rest) = rest.split_once('/')?;
                (ArtifactOwner::LoggedModel(logged_model(id)?), rest)
            }
            None => {
                let (id, rest) = rest.split_once('/')?;
                (ArtifactOwner::Run(run(id)?), rest)
            }
        };
        let folder = match rest.strip_prefix("artifacts")? {
            "" => ArtifactFolder::root(),
            below => ArtifactFolder::parse(below.strip_prefix('/')?).ok()?,
        };
        (experiment_id.to_string() == experiment).then_some((Self { experiment_id, owner }, folder))
    }
}

impl fmt::Display for ArtifactRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.owner {
            ArtifactOwner::Run(id) => write!(f, "{}/{}/artifacts", self.experiment_id, id.simple()),
            ArtifactOwner::LoggedModel(id) => write!(f, "{}/models/{}/artifacts", self.experiment_id, id.wire()),
        }
    }
}

/// What a path below the artifact service begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactAddress {
    /// What a run or logged model has now.
    Root(ArtifactRoot),
    /// What a model version was registered with: `versions/<id>`. Nobody changes it.
    Version(ModelVersionId),
}

impl ArtifactAddress {
    /// Reads a path below the artifact service that names a file.
    ///
    /// # Errors
    /// When the path is unsafe, names no root, or no file in it.
    pub fn parse_file(text: &str) -> Result<(Self, ArtifactPath), Error> {
        // As a file's path it may not end with a slash.
        ArtifactPath::parse(text)?;
        let (address, folder) = Self::parse_folder(text)?;
        let file = folder.as_file().ok_or_else(|| refused(text, "it names no file"))?;
        Ok((address, file))
    }

    /// Reads a path below the artifact service that names a folder, or a root itself.
    ///
    /// # Errors
    /// When the path is unsafe or names no root.
    pub fn parse_folder(text: &str) -> Result<(Self, ArtifactFolder), Error> {
        Self::find_folder(text)?.ok_or_else(|| {
            refused(text, "artifacts lie below <experiment>/<run>/artifacts or <experiment>/models/<model>/artifacts")
        })
    }

    /// The same, to look at what is there: none for a path that names no root, where nothing lies.
    ///
    /// # Errors
    /// When the path is unsafe.
    pub fn find_folder(text: &str) -> Result<Option<(Self, ArtifactFolder)>, Error> {
        let path = ArtifactFolder::parse(text)?;
        let version = || Self::split(path.as_str()).map(|(id, folder)| (Self::Version(id), folder));
        let root = || ArtifactRoot::split(path.as_str()).map(|(root, folder)| (Self::Root(root), folder));
        Ok(version().or_else(root))
    }

    fn split(path: &str) -> Option<(ModelVersionId, ArtifactFolder)> {
        let rest = path.strip_prefix("versions/")?;
        let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
        let id = id.parse().ok().filter(|version: &ModelVersionId| version.to_string() == id)?;
        Some((id, if below.is_empty() { ArtifactFolder::root() } else { ArtifactFolder::parse(below).ok()? }))
    }

    fn to_be_written(self, text: &str) -> Result<ArtifactRoot, Error> {
        match self {
            Self::Root(root) => Ok(root),
            Self::Version(_) => Err(refused(text, "the files of a registered version stay as they are")),
        }
    }

    /// The address that clients are given: `mlflow-artifacts:/versions/<id>`.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Root(root) => root.uri(),
            Self::Version(id) => format!("mlflow-artifacts:/versions/{id}"),
        }
    }
}

/// Where the files of a new model version come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// `models:/m-…`, or a folder in it.
    LoggedModel { id: LoggedModelId, folder: ArtifactFolder },
    /// `runs:/<run>/<folder>`
    Run { id: RunId, folder: ArtifactFolder },
    /// `mlflow-artifacts:/7/<run>/artifacts/<folder>`: an address that the server gave.
    Artifacts { root: ArtifactRoot, folder: ArtifactFolder },
    /// `mlflow-artifacts:/versions/<id>`: another version, by the address of its files, which are taken over.
    VersionFiles(ModelVersionId),
    /// `models:/churn/7`: another version, whose files are taken over.
    Version { model: RegisteredModelName, version: i32 },
    /// `models:/churn@champion`
    Alias { model: RegisteredModelName, alias: AliasName },
    /// An object store that is not ours, or the word that clients send for a prompt. It is written down, and the
    /// version has no files.
    Elsewhere(String),
}

/// The most characters of a source.
pub const MAX_SOURCE: usize = 500;

/// What clients send as the source of a prompt.
const PLACEHOLDER: &str = "dummy-source";

/// Schemes of stores that a source may name although nothing is ever fetched from there.
const ELSEWHERE: [&str; 11] = ["s3", "gs", "r2", "b2", "abfss", "wasbs", "azureml", "hdfs", "viewfs", "dbfs", "oci"];

impl ModelSource {
    /// Reads the source of a new model version.
    ///
    /// # Errors
    /// When it is a file of this machine, an address that would have to be opened, or unsafe in any reading.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = |reason: &str| {
            Error::invalid_field("source", format!("Invalid model version source: {}: {reason}.", quoted(text)))
        };
        if text.chars().count() > MAX_SOURCE {
            return Err(refused(&format!("it has more than {MAX_SOURCE} characters")));
        }
        if text == PLACEHOLDER {
            return Ok(Self::Elsewhere(text.to_owned()));
        }
        let ours = "it must be models:/<logged model>, runs:/<run>/<folder> or an artifact address of this server";
        let (scheme, rest) = text.split_once(':').ok_or_else(|| refused(ours))?;
        if ELSEWHERE.contains(&scheme) {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            return match ArtifactFolder::parse(path.trim_start_matches('/')) {
                Ok(folder) if !folder.is_root() => Ok(Self::Elsewhere(text.to_owned())),
                _ => Err(refused("its path is not safe")),
            };
        }
        // One slash: with two, clients would take the next part for a host.
        let path = rest.strip_prefix('/').filter(|path| !path.starts_with('/')).ok_or_else(|| refused(ours))?;
        let folder = ArtifactFolder::parse(path).map_err(|error| refused(error.message.trim_end_matches('.')))?;
        let (first, below) = folder.as_str().split_once('/').unwrap_or((folder.as_str(), ""));
        let below_folder = || ArtifactFolder::parse(below);
        let source = match scheme {
            "runs" => Self::Run { id: run(first).ok_or_else(|| refused(ours))?, folder: below_folder()? },
            "mlflow-artifacts" => {
                let (address, below) = ArtifactAddress::parse_folder(folder.as_str())
                    .map_err(|error| refused(error.message.trim_end_matches('.')))?;
                match address {
                    ArtifactAddress::Root(root) => Self::Artifacts { root, folder: below },
                    ArtifactAddress::Version(id) if below.is_root() => Self::VersionFiles(id),
                    ArtifactAddress::Version(_) => return Err(refused("a version is taken over as a whole")),
                }
            }
            "models" => match (logged_model(first), first.split_once('@')) {
                (Some(id), _) => Self::LoggedModel { id, folder: below_folder()? },
                (None, Some((model, alias))) if below.is_empty() => Self::Alias {
                    model: RegisteredModelName::parse(model, "source")?,
                    alias: AliasName::lookup(alias)?,
                },
                (None, _) => Self::Version {
                    model: RegisteredModelName::parse(first, "source")?,
                    version: below.parse().ok().filter(|version| *version > 0).ok_or_else(|| refused(ours))?,
                },
            },
            _ => return Err(refused(ours)),
        };
        Ok(source)
    }
}

/// What a client of MLflow names beside the source of a new version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The run that made it.
    pub run_id: Option<RunId>,
    /// The logged model that it is.
    pub model_id: Option<LoggedModelId>,
    /// Whether its tags make it a prompt, which has no files.
    pub is_prompt: bool,
}

impl Lineage {
    /// Checks that the run or logged model that is named is the one that contains the source: MLflow takes no source
    /// without it, so that nobody registers what they were not given. `text` is the source as it was sent.
    ///
    /// # Errors
    /// When it names nothing, or another.
    pub fn check(self, source: &ModelSource, text: &str) -> Result<(), Error> {
        use ModelSource as S;
        let not_named = |name: &str| {
            let message = format!(
                "Invalid model version source: {}. The {name} request parameter must identify the resource that contains the \
                 source.",
                quoted(text)
            );
            Err(Error::invalid_field("source", message))
        };
        let (of_run, of_model) = match source {
            S::Elsewhere(placeholder) if placeholder == PLACEHOLDER => {
                if self.is_prompt {
                    return Ok(());
                }
                let message = format!(
                    "Invalid model version source: {}. It stands for the files of a prompt, which has none; a model is \
                     registered from models:/<logged model> or runs:/<run>/<folder>.",
                    quoted(text)
                );
                return Err(Error::invalid_field("source", message));
            }
            _ if self.is_prompt => {
                let message =
                    format!("Invalid prompt source: {}. Prompt sources must use an MLflow placeholder.", quoted(text));
                return Err(Error::invalid_field("source", message));
            }
            // Of a version, what it is from is known.
            S::Elsewhere(_) | S::Version { .. } | S::Alias { .. } | S::VersionFiles(_) => return Ok(()),
            S::LoggedModel { id, .. } => (None, Some(*id)),
            S::Run { id, .. } => (Some(*id), None),
            S::Artifacts { root, .. } => match root.owner {
                ArtifactOwner::Run(id) => (Some(id), None),
                ArtifactOwner::LoggedModel(id) => (None, Some(id)),
            },
        };
        let is_model = matches!(source, S::LoggedModel { .. });
        match (self.model_id, self.run_id) {
            (Some(model), _) if of_model == Some(model) => Ok(()),
            (Some(_), _) => not_named("model_id"),
            (None, Some(run)) if of_run == Some(run) => Ok(()),
            (None, _) => not_named(if is_model { "model_id" } else { "run_id" }),
        }
    }
}

/// Checks the artifact location that a client gives for a new experiment: none, or the server's own.
///
/// # Errors
/// When it is any other place: the server keeps all artifacts itself.
pub fn check_artifact_location(text: &str) -> Result<(), Error> {
    if matches!(text, "" | "mlflow-artifacts:" | "mlflow-artifacts:/") {
        return Ok(());
    }
    let message = if text.starts_with("runs:") {
        format!("Artifact location cannot be a runs:/ URI. Given: {}", quoted(text))
    } else {
        format!(
            "Artifact location {} cannot be used: artifacts are kept by this server. Create the experiment without \
             artifact_location.",
            quoted(text)
        )
    };
    Err(Error::invalid_field("artifact_location", message))
}

fn refused(text: &str, reason: &str) -> Error {
    Error::invalid_field("path", format!("Invalid path {}: {reason}.", quoted(text)))
}

/// A run's id in the one form that the server gives.
fn run(text: &str) -> Option<RunId> {
    text.parse().ok().filter(|id: &RunId| id.simple() == text)
}

/// A logged model's id in the one form that the server gives.
fn logged_model(text: &str) -> Option<LoggedModelId> {
    LoggedModelId::from_wire(text).ok().filter(|id| id.wire() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0198c0de000070008000000000000001";

    fn run_id() -> RunId {
        RUN.parse().unwrap()
    }

    fn model_id() -> LoggedModelId {
        LoggedModelId::from_wire(&format!("m-{RUN}")).unwrap()
    }

    fn folder(text: &str) -> ArtifactFolder {
        ArtifactFolder::parse(text).unwrap()
    }

    #[test]
    fn a_versions_files_are_read_by_its_id_and_written_by_nobody() {
        let version = ModelVersionId::new();
        let address = ArtifactAddress::Version(version);
        let path = address.uri().replace("mlflow-artifacts:/", "");
        assert_eq!(ArtifactAddress::parse_folder(&path), Ok((address, ArtifactFolder::root())));
        assert_eq!(ArtifactAddress::parse_folder(&format!("{path}/data")), Ok((address, folder("data"))));
        let file = format!("{path}/data/model.onnx");
        assert_eq!(ArtifactAddress::parse_file(&file), Ok((address, ArtifactPath::parse("data/model.onnx").unwrap())));
        assert!(ArtifactAddress::parse_file(&path).is_err());
        for wrong in
            [format!("versions/{}", version.to_string().to_uppercase()), "versions".into(), "versions/1".into()]
        {
            assert!(ArtifactAddress::parse_folder(&wrong).is_err(), "{wrong}");
        }
        let refused = ArtifactRoot::parse_file(&file).unwrap_err();
        assert!(refused.message.contains("the files of a registered version stay as they are"), "{refused}");
        assert!(ArtifactRoot::parse_folder(&path).is_err());
    }

    #[test]
    fn a_root_reads_back_from_its_address() {
        for owner in [ArtifactOwner::Run(run_id()), ArtifactOwner::LoggedModel(model_id())] {
            let root = ArtifactRoot { experiment_id: ExperimentId(7), owner };
            let path = root.uri().strip_prefix("mlflow-artifacts:/").unwrap().to_owned();
            assert_eq!(ArtifactRoot::parse_folder(&path), Ok((root, ArtifactFolder::root())));
            let (read, file) = ArtifactRoot::parse_file(&format!("{path}/model/MLmodel")).unwrap();
            assert_eq!((read, file.as_str()), (root, "model/MLmodel"));
        }
    }

    #[test]
    fn a_path_without_a_root_is_refused() {
        for text in [
            String::new(),
            "7".to_owned(),
            format!("7/{RUN}"),
            format!("7/{RUN}/other/x"),
            format!("7/{RUN}/artifactsx"),
            format!("x/{RUN}/artifacts/x"),
            format!("-1/{RUN}/artifacts/x"),
            format!("07/{RUN}/artifacts/x"),
            format!("+7/{RUN}/artifacts/x"),
            "7/not-a-run/artifacts/x".to_owned(),
            format!("7/{}/artifacts/x", RUN.to_uppercase()),
            "7/0198c0de-0000-7000-8000-000000000001/artifacts/x".to_owned(),
            format!("7/models/{RUN}/artifacts/x"),
            format!("7/{RUN}/artifacts/../../x"),
            format!("/7/{RUN}/artifacts/x"),
            format!("7/{RUN}/artifacts/%2e%2e/x"),
            format!("workspaces/a/7/{RUN}/artifacts/x"),
        ] {
            assert!(ArtifactRoot::parse_folder(&text).is_err(), "{text}");
            assert!(ArtifactRoot::parse_file(&text).is_err(), "{text}");
        }
        assert!(ArtifactRoot::parse_file(&format!("7/{RUN}/artifacts")).is_err());
        assert!(ArtifactRoot::parse_file(&format!("7/{RUN}/artifacts/a/")).is_err());
    }

    #[test]
    fn a_source_names_what_the_server_has() {
        let name = |name: &str| RegisteredModelName::parse(name, "name").unwrap();
        let root = ArtifactRoot { experiment_id: ExperimentId(7), owner: ArtifactOwner::Run(run_id()) };
        for (text, expected) in [
            (format!("models:/m-{RUN}"), ModelSource::LoggedModel { id: model_id(), folder: ArtifactFolder::root() }),
            (format!("runs:/{RUN}/model"), ModelSource::Run { id: run_id(), folder: folder("model") }),
            (format!("runs:/{RUN}"), ModelSource::Run { id: run_id(), folder: ArtifactFolder::root() }),
            (
                format!("mlflow-artifacts:/7/{RUN}/artifacts/a/model"),
                ModelSource::Artifacts { root, folder: folder("a/model") },
            ),
            ("models:/churn/7".to_owned(), ModelSource::Version { model: name("churn"), version: 7 }),
            (
                "models:/churn@champion".to_owned(),
                ModelSource::Alias { model: name("churn"), alias: AliasName::lookup("champion").unwrap() },
            ),
            ("s3://bucket/model".to_owned(), ModelSource::Elsewhere("s3://bucket/model".to_owned())),
            ("dummy-source".to_owned(), ModelSource::Elsewhere("dummy-source".to_owned())),
        ] {
            assert_eq!(ModelSource::parse(&text), Ok(expected), "{text}");
        }
    }

    /// Shapes of published attacks through the source of a model version.
    #[test]
    fn a_source_that_would_have_to_be_opened_is_refused() {
        let run = |rest: &str| format!("runs:/{RUN}{rest}");
        let shapes = [
            "",
            "/etc",
            "/etc/passwd",
            "//proc/self/root",
            "etc",
            ".",
            "..",
            "../..",
            "file:///etc",
            "file:/etc",
            "file:etc",
            "file://./etc",
            "FILE:///etc",
            "file://localhost/etc",
            "local:/etc",
            ":/etc",
            "://x",
            "C:\\Windows",
            "C:/Windows",
            "\\\\host\\share",
            "http://attacker/api/2.0/mlflow-artifacts/artifacts/",
            "https://attacker/x",
            "ftp://attacker/a",
            "http://h/api/2.0/mlflow-artifacts/artifacts/../../..",
            "http:///?/../../../../etc/",
            "http://host#/../../etc/",
            "http:///;/../../etc/",
            "mlflow-artifacts://h/../../..",
            "mlflow-artifacts:///7/x",
            "mlflow-artifacts:/",
            "mlflow-artifacts:/../../etc",
            "mlflow-artifacts:/%2e%2e%2f",
            "mlflow-artifacts:/..%252f",
            "models:/",
            "models://x/1",
            "models:/churn",
            "models:/churn/0",
            "models:/churn/latest",
            "models:/churn/../x",
            "models:/a%2Fb/1",
            "models:/../1",
            "models:/churn/1/2",
            "models:/churn@a/b",
            "runs:/",
            "runs://x",
            "runs:/not-a-run/model",
            "s3://b/../c",
            "s3://",
            "s3://b/%2e%2e/c",
            "s3://b/..%252fc",
            "s3://b/c?x",
            "s3://b/c#x",
            "s3://b\\c",
            "s3:\0",
            "S3://b/c",
            "dbfs:/../x",
            "sqlite:///x",
            "data:text/plain,x",
            "ssh://h/x",
            "dummy-source ",
        ];
        for text in shapes.into_iter().map(str::to_owned).chain([
            run("/.."),
            run("/../x"),
            run("/a/../../b"),
            run("/%2e%2e/x"),
            run("/%2%0952e%2%0952e/"),
            run("/a\\b"),
            run("/a?b"),
            run("/a\0"),
            format!("mlflow-artifacts:/7/{RUN}/artifacts/../../../x"),
            format!("runs:/{}/model", "x".repeat(600)),
        ]) {
            assert!(ModelSource::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_source_is_of_the_run_or_model_that_is_named_with_it() {
        let root = |owner| ArtifactRoot { experiment_id: ExperimentId(7), owner }.uri();
        let (run, model) = (format!("runs:/{RUN}/model"), format!("models:/m-{RUN}"));
        let run_file = format!("{}/model", root(ArtifactOwner::Run(run_id())));
        let model_file = root(ArtifactOwner::LoggedModel(model_id()));
        let nothing = Lineage::default();
        let of_run = Lineage { run_id: Some(run_id()), ..nothing };
        let of_model = Lineage { model_id: Some(model_id()), ..nothing };
        let other_run = Lineage { run_id: Some(RunId::new()), ..nothing };
        let other_model = Lineage { model_id: Some(LoggedModelId::new()), run_id: Some(run_id()), ..nothing };
        let prompt = Lineage { is_prompt: true, ..nothing };
        let check = |text: &str, lineage: Lineage| lineage.check(&ModelSource::parse(text).unwrap(), text);
        for (text, right) in [(&run, of_run), (&model, of_model), (&run_file, of_run), (&model_file, of_model)] {
            for lineage in [nothing, of_run, of_model, other_run, other_model, prompt] {
                assert_eq!(check(text, lineage).is_ok(), lineage == right, "{text} {lineage:?}");
            }
        }
        let both = Lineage { run_id: Some(RunId::new()), ..of_model };
        assert_eq!(check(&model, both), Ok(()), "whose run it is, is looked up");
        for text in [
            "models:/churn/7".to_owned(),
            "models:/churn@champion".to_owned(),
            ArtifactAddress::Version(ModelVersionId::new()).uri(),
        ] {
            assert_eq!(check(&text, nothing), Ok(()));
            assert!(check(&text, prompt).is_err());
        }
        assert_eq!(check("dummy-source", prompt), Ok(()));
        assert!(check("dummy-source", of_run).is_err());
    }

    #[test]
    fn an_experiment_has_no_artifact_location_but_ours() {
        assert_eq!(check_artifact_location(""), Ok(()));
        assert_eq!(check_artifact_location("mlflow-artifacts:/"), Ok(()));
        for text in [
            "file:///etc",
            "/etc",
            "./mlruns",
            "s3://b/../c",
            "s3://bucket",
            "runs:/x",
            "http:///?/../../../../etc/",
            "http:///#/../../../../etc/",
            "http://host#/../../etc/",
            "http:///;/../../etc/",
            "mlflow-artifacts:/../x",
            "mlflow-artifacts://h/x",
        ] {
            assert!(check_artifact_location(text).is_err(), "{text}");
        }
        let long = check_artifact_location(&"x".repeat(1_000_000)).unwrap_err();
        assert!(long.message.len() < 1000);
    }
}
