//! What is different between two versions of a model.

use crate::{
    digest::Digest,
    log_key::is_of_model,
    model::{ModelVersion, Signature, SignatureField, VersionFile},
    policy::Better,
    repository::{self, REPOSITORY_TAG},
    run::Run,
    text_diff::TextDiff,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files that say what a model needs to run, whose texts are held against each other.
pub const ENVIRONMENT_FILES: [&str; 3] = ["requirements.txt", "conda.yaml", "python_env.yaml"];
/// The most bytes of such a file.
pub const MAX_ENVIRONMENT_BYTES: u64 = 64 << 10;
/// The tag of a run that names the commit of its code.
pub const COMMIT_TAG: &str = "mlflow.source.git.commit";

/// A version with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionSide {
    /// The version.
    pub version: ModelVersion,
    /// Its files, by path.
    pub files: Vec<VersionFile>,
    /// The run that made it.
    pub run: Option<Run>,
    /// The texts of its [`ENVIRONMENT_FILES`] that are small and UTF-8, by path.
    pub texts: BTreeMap<String, String>,
}

/// A metric of both, or of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricDiff {
    /// Which metric.
    pub key: String,
    /// In the first; null also when it is not a number.
    pub a: Option<f64>,
    /// In the second.
    pub b: Option<f64>,
    /// Which way is better, when a gate of a policy says so.
    pub better: Option<Better>,
}

/// A text of both, or of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValueDiff {
    /// What it is: the key of a parameter, the name of a data set.
    pub name: String,
    /// In the first.
    pub a: Option<String>,
    /// In the second.
    pub b: Option<String>,
}

impl ValueDiff {
    /// Whether the two are different.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.a != self.b
    }
}

/// A field of a signature that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldDiff {
    /// Whether the model takes it, rather than gives it.
    pub is_input: bool,
    /// Its name, or its place when it has none.
    pub name: String,
    /// In the first.
    pub a: Option<SignatureField>,
    /// In the second.
    pub b: Option<SignatureField>,
}

/// A file that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileDiff {
    /// Its path.
    pub path: String,
    /// Digest and size in the first.
    pub a: Option<FileFacts>,
    /// Digest and size in the second.
    pub b: Option<FileFacts>,
}

/// What names a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileFacts {
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: i64,
}

/// A text file that is not the same in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TextFileDiff {
    /// Its path.
    pub path: String,
    /// What is different. A file that one of them lacks is all added or all removed.
    pub diff: TextDiff,
}

/// What is different between two versions, from the first to the second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionDiff {
    /// Every metric of either run, but what clients measure of their machines; those that a gate names first.
    pub metrics: Vec<MetricDiff>,
    /// Every parameter of either run; those that differ first.
    pub params: Vec<ValueDiff>,
    /// Fields of the signatures that are not the same.
    pub signature: Vec<FieldDiff>,
    /// Whether either has a signature; else nothing is known of it.
    pub has_signature: bool,
    /// MLflow flavours of the first alone.
    pub flavors_removed: Vec<String>,
    /// MLflow flavours of the second alone.
    pub flavors_added: Vec<String>,
    /// Files that are not the same, by path.
    pub files: Vec<FileDiff>,
    /// How many files are the same in both.
    pub same_files: usize,
    /// The data sets that either run read, by name, with their digests.
    pub datasets: Vec<ValueDiff>,
    /// The commit of the code, when a run names one.
    pub code: Option<ValueDiff>,
    /// Where the host of their repository shows what is different between the two commits, when both are of one repository.
    pub code_compare: Option<String>,
    /// What is different in the files that say what the model needs to run.
    pub environment: Vec<TextFileDiff>,
}

impl VersionDiff {
    /// Holds one version against another. `better` says which way is better, for the metrics that gates name.
    #[must_use]
    pub fn of(a: &VersionSide, b: &VersionSide, better: &BTreeMap<String, Better>) -> Self {
        let flavors = |version: &ModelVersion| version.flavors.iter().cloned().collect::<BTreeSet<String>>();
        let (mine, theirs) = (flavors(&a.version), flavors(&b.version));
        let (files, same_files) = files(&a.files, &b.files);
        let code = ValueDiff { name: "commit".to_owned(), a: tag(a, COMMIT_TAG), b: tag(b, COMMIT_TAG) };
        let repository = |side| tag(side, REPOSITORY_TAG);
        let code_compare = match (&code.a, &code.b, repository(a), repository(b)) {
            (Some(before), Some(after), Some(one), Some(two)) if one == two && before != after => {
                repository::compare(&one, before, after)
            }
            _ => None,
        };
        Self {
            metrics: metrics(a.run.as_ref(), b.run.as_ref(), better),
            params: params(a.run.as_ref(), b.run.as_ref()),
            signature: signature(a.version.signature.as_ref(), b.version.signature.as_ref()),
            has_signature: a.version.signature.is_some() || b.version.signature.is_some(),
            flavors_removed: mine.difference(&theirs).cloned().collect(),
            flavors_added: theirs.difference(&mine).cloned().collect(),
            files,
            same_files,
            datasets: pairs(&datasets(a.run.as_ref()), &datasets(b.run.as_ref())),
            code_compare,
            code: (code.a.is_some() || code.b.is_some()).then_some(code),
            environment: environment(a, b),
        }
    }
}

/// Every key of either, with its value in both.
fn pairs(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<ValueDiff> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    keys.into_iter()
        .map(|key| ValueDiff { name: key.clone(), a: a.get(key).cloned(), b: b.get(key).cloned() })
        .collect()
}

fn metrics(a: Option<&Run>, b: Option<&Run>, better: &BTreeMap<String, Better>) -> Vec<MetricDiff> {
    let both = a.into_iter().chain(b).flat_map(|run| &run.metrics);
    let all: BTreeSet<String> = both.map(|metric| metric.key.clone()).filter(|key| is_of_model(key)).collect();
    let (gated, others): (Vec<String>, Vec<String>) = all.into_iter().partition(|key| better.contains_key(key));
    let value = |run: Option<&Run>, key: &str| run.and_then(|run| run.metric(key));
    let diff =
        |key: String| MetricDiff { a: value(a, &key), b: value(b, &key), better: better.get(&key).copied(), key };
    gated.into_iter().chain(others).map(diff).collect()
}

fn params(a: Option<&Run>, b: Option<&Run>) -> Vec<ValueDiff> {
    let of = |run: Option<&Run>| run.map(|run| run.params.clone()).unwrap_or_default();
    let (mut changed, same): (Vec<_>, Vec<_>) = pairs(&of(a), &of(b)).into_iter().partition(ValueDiff::differs);
    changed.extend(same);
    changed
}

/// Data sets by name. Of one name that a run read twice, all digests.
fn datasets(run: Option<&Run>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for data in run.into_iter().flat_map(|run| &run.datasets) {
        all.entry(data.name.clone()).or_default().insert(&data.digest);
    }
    all.into_iter().map(|(name, digests)| (name, digests.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

fn tag(side: &VersionSide, key: &str) -> Option<String> {
    side.run.as_ref()?.tags.get(key).filter(|value| !value.is_empty()).cloned()
}

/// The fields by name, or by place where they have none.
fn fields(fields: &[SignatureField]) -> BTreeMap<String, SignatureField> {
    let name = |at: usize, field: &SignatureField| field.name.clone().unwrap_or_else(|| format!("[{at}]"));
    fields.iter().enumerate().map(|(at, field)| (name(at, field), field.clone())).collect()
}

fn signature(a: Option<&Signature>, b: Option<&Signature>) -> Vec<FieldDiff> {
    let side = |is_input: bool| {
        let of = |signature: Option<&Signature>| {
            let all = signature.map(|signature| if is_input { &signature.inputs } else { &signature.outputs });
            all.map(|all| fields(all)).unwrap_or_default()
        };
        let (a, b) = (of(a), of(b));
        let names: BTreeSet<String> = a.keys().chain(b.keys()).cloned().collect();
        names.into_iter().filter_map(move |name| {
            let (a, b) = (a.get(&name).cloned(), b.get(&name).cloned());
            (a != b).then_some(FieldDiff { is_input, name, a, b })
        })
    };
    side(true).chain(side(false)).collect()
}

fn files(a: &[VersionFile], b: &[VersionFile]) -> (Vec<FileDiff>, usize) {
    let facts = |files: &[VersionFile]| -> BTreeMap<String, FileFacts> {
        let facts = |file: &VersionFile| FileFacts { digest: file.digest.clone(), size: file.size };
        files.iter().map(|file| (file.path.clone(), facts(file))).collect()
    };
    let (a, b) = (facts(a), facts(b));
    let paths: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let total = paths.len();
    let changed: Vec<FileDiff> = paths
        .into_iter()
        .filter(|path| a.get(*path).map(|file| &file.digest) != b.get(*path).map(|file| &file.digest))
        .map(|path| FileDiff { path: path.clone(), a: a.get(path).cloned(), b: b.get(path).cloned() })
        .collect();
    let same = total - changed.len();
    (changed, same)
}

/// Only of files whose text is known wherever there is such a file: one that is too large is told among the files.
fn environment(a: &VersionSide, b: &VersionSide) -> Vec<TextFileDiff> {
    let text = |side: &VersionSide, path: &str| {
        let has = side.files.iter().any(|file| file.path == path);
        if has { side.texts.get(path).cloned() } else { Some(String::new()) }
    };
    let diff = |path: &str| {
        let diff = TextDiff::of(&text(a, path)?, &text(b, path)?);
        (!diff.is_empty()).then(|| TextFileDiff { path: path.to_owned(), diff })
    };
    ENVIRONMENT_FILES.into_iter().filter_map(diff).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiment::LifecycleStage,
        id::{ExperimentId, ModelId, ModelVersionId, RunId, WorkspaceId},
        model::Stage,
        run::{DatasetInput, Metric, RunInfo, RunStatus},
    };
    use chrono::DateTime;

    fn file(path: &str, byte: u8) -> VersionFile {
        VersionFile { path: path.to_owned(), digest: Digest::blake3([byte; 32]), size: i64::from(byte) }
    }

    fn field(name: &str, dtype: &str) -> SignatureField {
        SignatureField { name: Some(name.to_owned()), dtype: dtype.to_owned(), shape: None, optional: false }
    }

    fn own(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn side(number: i32) -> VersionSide {
        let metric = |key: &str, value: f64| Metric { key: key.to_owned(), value, timestamp: 1, step: 0 };
        VersionSide {
            version: ModelVersion {
                id: ModelVersionId::new(),
                model_id: ModelId::new(),
                model: "churn".to_owned(),
                version: number,
                source: String::new(),
                run_id: None,
                logged_model_id: None,
                created_by: None,
                description: String::new(),
                stage: Stage::None,
                digest: None,
                size: 0,
                signature: Some(Signature { inputs: vec![field("age", "long")], outputs: vec![field("p", "double")] }),
                flavors: vec!["sklearn".to_owned()],
                created_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
                tags: BTreeMap::new(),
                aliases: Vec::new(),
            },
            files: vec![file("MLmodel", 1), file("requirements.txt", 2)],
            run: Some(Run {
                info: RunInfo {
                    id: RunId::new(),
                    workspace_id: WorkspaceId::new(),
                    experiment_id: ExperimentId(1),
                    name: "run".to_owned(),
                    status: RunStatus::Finished,
                    lifecycle_stage: LifecycleStage::Active,
                    start_time: 0,
                    end_time: None,
                    user_id: None,
                    user_name: String::new(),
                },
                metrics: vec![metric("accuracy", 0.9), metric("loss", 0.5), metric("system/cpu", 1.0)],
                params: own(&[("depth", "3"), ("lr", "0.1")]),
                tags: own(&[(COMMIT_TAG, "9f03a71")]),
                datasets: vec![DatasetInput {
                    name: "customers".to_owned(),
                    digest: "4f".to_owned(),
                    source_type: String::new(),
                    source: String::new(),
                    schema: None,
                    profile: None,
                    tags: BTreeMap::new(),
                }],
                model_inputs: Vec::new(),
                model_outputs: Vec::new(),
            }),
            texts: own(&[("requirements.txt", "a==1\nb==2\n")]),
        }
    }

    #[test]
    fn a_version_is_not_different_from_itself() {
        let diff = VersionDiff::of(&side(1), &side(2), &BTreeMap::new());
        assert!(diff.signature.is_empty() && diff.files.is_empty() && diff.environment.is_empty());
        assert!(diff.flavors_added.is_empty() && diff.flavors_removed.is_empty());
        assert!(!diff.params.iter().any(ValueDiff::differs) && !diff.datasets.iter().any(ValueDiff::differs));
        assert_eq!((diff.same_files, diff.metrics.len(), diff.code.unwrap().differs()), (2, 2, false));
    }

    #[test]
    fn each_part_that_differs_is_told() {
        let (a, mut b) = (side(1), side(2));
        let run = b.run.as_mut().unwrap();
        run.metrics[1].value = 0.4;
        run.metrics.remove(0);
        run.params.insert("lr".to_owned(), "0.2".to_owned());
        run.params.insert("zeta".to_owned(), "1".to_owned());
        run.datasets[0].digest = "5e".to_owned();
        run.tags.clear();
        b.version.flavors = vec!["onnx".to_owned()];
        b.version.signature =
            Some(Signature { inputs: vec![field("age", "double"), field("city", "string")], outputs: Vec::new() });
        b.files = vec![file("MLmodel", 3), file("requirements.txt", 4), file("model.onnx", 5)];
        b.texts = own(&[("requirements.txt", "a==1\nb==3\n")]);
        let better = BTreeMap::from([("loss".to_owned(), Better::Lower)]);
        let diff = VersionDiff::of(&a, &b, &better);

        let keys: Vec<_> = diff.metrics.iter().map(|m| (m.key.as_str(), m.a, m.b, m.better)).collect();
        assert_eq!(keys, [("loss", Some(0.5), Some(0.4), Some(Better::Lower)), ("accuracy", Some(0.9), None, None)]);
        let params: Vec<_> = diff.params.iter().map(|p| (p.name.as_str(), p.differs())).collect();
        assert_eq!(params, [("lr", true), ("zeta", true), ("depth", false)]);
        let fields: Vec<_> =
            diff.signature.iter().map(|f| (f.is_input, f.name.as_str(), f.a.is_some(), f.b.is_some())).collect();
        assert_eq!(fields, [(true, "age", true, true), (true, "city", false, true), (false, "p", true, false)]);
        assert_eq!((diff.flavors_removed, diff.flavors_added), (vec!["sklearn".to_owned()], vec!["onnx".to_owned()]));
        let files: Vec<_> = diff.files.iter().map(|f| (f.path.as_str(), f.a.is_some(), f.b.is_some())).collect();
        assert_eq!(files, [("MLmodel", true, true), ("model.onnx", false, true), ("requirements.txt", true, true)]);
        assert!(diff.datasets[0].differs());
        assert_eq!(diff.code.unwrap().b, None);
        assert_eq!(
            (diff.environment.len(), diff.environment[0].diff.added, diff.environment[0].diff.removed),
            (1, 1, 1)
        );
    }

    #[test]
    fn an_environment_file_that_is_not_read_is_told_among_the_files_alone() {
        let (a, mut b) = (side(1), side(2));
        b.files[1].digest = Digest::blake3([9; 32]);
        b.texts.clear();
        let diff = VersionDiff::of(&a, &b, &BTreeMap::new());
        assert_eq!((diff.files.len(), diff.environment.len()), (1, 0));
    }

    #[test]
    fn versions_without_runs_signatures_and_files_are_compared_too() {
        let bare = |number| VersionSide {
            files: Vec::new(),
            run: None,
            texts: BTreeMap::new(),
            version: ModelVersion { signature: None, ..side(number).version },
        };
        let diff = VersionDiff::of(&bare(1), &bare(2), &BTreeMap::new());
        assert!(diff.metrics.is_empty() && diff.code.is_none() && !diff.has_signature);
        assert_eq!(VersionDiff::of(&bare(1), &side(2), &BTreeMap::new()).signature.len(), 2);
    }
}
