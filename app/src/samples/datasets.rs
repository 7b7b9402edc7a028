//! Datasets: a version with what it comes from and goes into, and what is different between two.

use super::{ago, digest};
use crate::pages::dataset::{Changed, DiffPage, FileRow, ReadBy, VersionPage, Way};
use domain::{
    dataset::{ChecksState, DatasetVersion, TakenBy, VersionLineage},
    drift::{FeatureDrift, Method, Verdict},
    id::{DatasetVersionId, RunId},
    pipeline_run::PipelineRunState,
    step::StepRef,
    table_profile::{ColumnKind, ColumnProfile, TableDiff, TableProfile},
};

fn version(number: i32, minutes: i64) -> DatasetVersion {
    DatasetVersion {
        id: DatasetVersionId::new(),
        dataset: "wine-rows".to_owned(),
        number,
        digest: digest(u8::try_from(number).unwrap_or_default()),
        files: 3,
        bytes: 412_832,
        external: 0,
        message: format!("prepare-wine #{}, step rows", 500 + number),
        author: "Pipelines".to_owned(),
        created_at: ago(minutes),
        mlflow_digests: vec!["4f1a90cc".to_owned()],
        checks: ChecksState::Passed,
    }
}

fn numbers(name: &str, kind: ColumnKind, mean: f64, missing: i64) -> ColumnProfile {
    ColumnProfile {
        name: name.to_owned(),
        kind,
        missing,
        distinct: 104,
        is_distinct_cut: false,
        min: Some("8".to_owned()),
        max: Some("14.9".to_owned()),
        mean: Some(mean),
        deviation: Some(1.192),
        top: vec![("9.5".to_owned(), 367), ("9.4".to_owned(), 332), ("10".to_owned(), 229)],
        values: Vec::new(),
    }
}

fn texts(name: &str, top: &[(&str, i64)], last: &str) -> ColumnProfile {
    ColumnProfile {
        name: name.to_owned(),
        kind: ColumnKind::Text,
        missing: 0,
        distinct: i64::try_from(top.len()).unwrap_or_default(),
        is_distinct_cut: false,
        min: top.first().map(|(text, _)| (*text).to_owned()),
        max: Some(last.to_owned()),
        mean: None,
        deviation: None,
        top: top.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect(),
        values: Vec::new(),
    }
}

/// A version that a pipeline made and others took.
#[must_use]
pub fn version_page() -> VersionPage {
    let run = |run, state, minutes| TakenBy { pipeline: "train-wine".to_owned(), run, state, created_at: ago(minutes) };
    let table = TableProfile {
        path: "wine.parquet".to_owned(),
        rows: 4898,
        columns: vec![
            numbers("alcohol", ColumnKind::Number, 10.514, 0),
            texts("kind", &[("red", 1599), ("white", 3299)], "white"),
        ],
        sample: Vec::new(),
        trouble: String::new(),
    };
    let file = |path: &str, size| FileRow { path: path.to_owned(), folder: None, size: Some(size), uri: None };
    VersionPage {
        version: version(41, 60 * 26),
        folder: String::new(),
        files: vec![file("README.md", 812), file("schema.json", 1_204), file("wine.parquet", 410_816)],
        next: None,
        tables: vec![table],
        checks: Vec::new(),
        objection: None,
        read_by: vec![ReadBy {
            id: RunId::new(),
            name: "amber-finch-412".to_owned(),
            start_time: Some(ago(60).timestamp_millis()),
            context: Some("training".to_owned()),
        }],
        lineage: VersionLineage {
            made_by: Some(StepRef { pipeline: "prepare-wine".to_owned(), run: 541, step: "rows".to_owned() }),
            taken_by: vec![
                run(512, PipelineRunState::Running, 3),
                run(509, PipelineRunState::Failed, 60 * 5),
                run(508, PipelineRunState::Succeeded, 60 * 25),
            ],
        },
        others: vec![42, 40, 39, 12],
        events: Vec::new(),
        may_write: true,
    }
}

/// What is different between two versions of which one has a column that the other has not.
#[must_use]
pub fn diff_page() -> DiffPage {
    let drift = FeatureDrift {
        feature: "alcohol".to_owned(),
        verdict: Verdict::Scored { method: Method::KolmogorovSmirnov, score: 0.004, threshold: 0.05, drifted: true },
        reference_rows: 2000,
        reference_nulls: 0,
        current_rows: 2000,
        current_nulls: 31,
        bins: None,
    };
    let table = TableDiff {
        path: "wine.parquet".to_owned(),
        rows: (4311, 4898),
        added: vec!["vintage".to_owned()],
        removed: vec!["bottle".to_owned()],
        retyped: vec![("quality".to_owned(), ColumnKind::Integer, ColumnKind::Number)],
        drift: vec![drift],
        before: vec![
            numbers("alcohol", ColumnKind::Number, 10.514, 0),
            numbers("quality", ColumnKind::Integer, 5.6, 0),
            texts("kind", &[("red", 1599), ("white", 2712)], "white"),
            texts("bottle", &[("cork", 4000), ("screw", 311)], "screw"),
        ],
        after: vec![
            numbers("alcohol", ColumnKind::Number, 11.902, 74),
            numbers("quality", ColumnKind::Number, 5.6, 0),
            texts("kind", &[("red", 1599), ("rosé", 587), ("white", 2712)], "white"),
            numbers("vintage", ColumnKind::Integer, 2014.2, 12),
        ],
    };
    DiffPage {
        before: version(40, 60 * 50),
        after: version(42, 60),
        counts: (1, 0, 1),
        changes: vec![
            Changed { way: Way::Added, path: "schema.json".to_owned(), before: None, after: Some(1_204) },
            Changed { way: Way::Changed, path: "wine.parquet".to_owned(), before: Some(388_102), after: Some(410_816) },
        ],
        next: None,
        tables: vec![table],
        unknown: vec!["wine-rows@42 is being profiled; look again in a moment.".to_owned()],
        others: vec![41, 40, 39, 12],
    }
}
