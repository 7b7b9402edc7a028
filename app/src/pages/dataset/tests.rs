//! What pages say that a request through the server does not make them say.

use super::*;
use crate::render::fragment;
use chrono::Utc;
use domain::{
    Page,
    dataset::{Dataset, DatasetSummary, DatasetVersion, TakenBy, VersionLineage},
    drift::{FeatureDrift, Method, Verdict},
    id::{DatasetId, DatasetVersionId, WorkspaceId},
    pipeline_run::PipelineRunState,
    step::StepRef,
    table_profile::{ColumnKind, ColumnProfile, TableDiff},
};

fn dataset() -> Dataset {
    Dataset {
        id: DatasetId::new(),
        workspace_id: WorkspaceId::new(),
        name: "wine".to_owned(),
        description: "Wines\nof the north".to_owned(),
        expectations: Vec::new(),
        author: "Ada".to_owned(),
        created_at: Utc::now(),
        updated_at: Utc::now(),
        versions: 2,
    }
}

fn version(number: i32, checks: ChecksState) -> DatasetVersion {
    DatasetVersion {
        id: DatasetVersionId::new(),
        dataset: "wine".to_owned(),
        number,
        digest: format!("blake3:{}", "0".repeat(64)).parse().unwrap(),
        files: 3,
        bytes: 2048,
        external: 0,
        message: String::new(),
        author: "Ada".to_owned(),
        created_at: Utc::now(),
        mlflow_digests: Vec::new(),
        checks,
    }
}

#[test]
fn a_list_says_how_each_latest_version_stands() {
    let of = |latest| DatasetSummary { dataset: dataset(), latest };
    let list = |datasets: Vec<DatasetSummary>, may_write: bool| {
        fragment(move || {
            let links = Links::new("lab");
            let address = Address::new(links.datasets(), []);
            view! { <List links address total=1 next=None datasets may_write/> }
        })
    };
    let html = list(vec![of(Some(version(2, ChecksState::Failed)))], false);
    assert!(html.contains("Not as expected") && html.contains("2.0 KiB") && !html.contains("New dataset"), "{html}");
    assert!(html.contains(">Wines<") && !html.contains("of the north"), "{html}");
    assert!(list(vec![of(None)], true).contains("No version yet"));
    assert!(list(Vec::new(), true).contains("slipway data push wine data/wine"));
}

#[test]
fn only_who_may_change_a_dataset_is_offered_to() {
    let detail = |may_write: bool| {
        fragment(move || {
            let links = Links::new("lab");
            let address = Address::new(links.dataset("wine"), []);
            let versions = Page { items: vec![version(2, ChecksState::Waiting)], next_page_token: None };
            let page = DetailPage { dataset: dataset(), versions, events: Vec::new(), may_write };
            view! { <Detail links address page/> }
        })
    };
    let html = detail(true);
    assert!(html.contains("multipart/form-data") && html.contains("webkitdirectory"), "{html}");
    assert!(html.contains("diff?from=1") && html.contains("Being looked at"), "{html}");
    let html = detail(false);
    assert!(!html.contains("<form"), "{html}");
}

#[test]
fn a_diff_says_which_columns_drifted() {
    let verdict = Verdict::Scored { method: Method::KolmogorovSmirnov, score: 0.01, threshold: 0.05, drifted: true };
    let drift = FeatureDrift {
        feature: "age".to_owned(),
        verdict,
        reference_rows: 100,
        reference_nulls: 0,
        current_rows: 100,
        current_nulls: 0,
        bins: None,
    };
    let column = |mean: f64| ColumnProfile { mean: Some(mean), ..text("age", ColumnKind::Number, &[]) };
    let kind = |count| text("kind", ColumnKind::Text, &[("red", count), ("white", 3)]);
    let table = TableDiff {
        path: "wine.csv".to_owned(),
        rows: (100, 120),
        added: vec!["size".to_owned()],
        removed: vec!["old".to_owned()],
        retyped: Vec::new(),
        drift: vec![drift],
        before: vec![column(1.5), kind(70), text("old", ColumnKind::Boolean, &[])],
        after: vec![column(7.25), kind(90), text("size", ColumnKind::Integer, &[])],
    };
    let html = diff(vec![table], Vec::new());
    for shown in [
        "wine from v1 to v2",
        "100 to 120 rows",
        "size (integer) is new; old (boolean) is gone",
        "Drifted",
        "7.25",
        "the same files",
        ">red (90), white (3)<",
        "before: red (70), white (3)",
        "action=\"/w/lab/datasets/wine/versions/2/diff\"",
        "<option value=\"1\" selected",
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
}

#[test]
fn a_diff_says_of_which_version_the_tables_are_not_known_yet() {
    let html = diff(Vec::new(), vec!["wine@2 is being profiled; look again in a moment.".to_owned()]);
    assert!(html.contains("wine@2 is being profiled; look again in a moment."), "{html}");
}

/// A column of which little is known but its most frequent values.
fn text(name: &str, kind: ColumnKind, top: &[(&str, i64)]) -> ColumnProfile {
    ColumnProfile {
        name: name.to_owned(),
        kind,
        missing: 0,
        distinct: 9,
        is_distinct_cut: false,
        min: None,
        max: None,
        mean: None,
        deviation: None,
        top: top.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect(),
        values: Vec::new(),
    }
}

fn diff(tables: Vec<TableDiff>, unknown: Vec<String>) -> String {
    fragment(move || {
        let links = Links::new("lab");
        let address = Address::new(links.to("datasets/wine/versions/2/diff"), []);
        let page = DiffPage {
            before: version(1, ChecksState::Passed),
            after: version(2, ChecksState::Passed),
            counts: (0, 0, 0),
            changes: Vec::new(),
            next: None,
            tables,
            unknown,
            others: vec![1],
        };
        view! { <Diff links address page/> }
    })
}

#[test]
fn a_version_says_which_step_made_it_and_which_runs_took_it() {
    let lineage = VersionLineage {
        made_by: Some(StepRef { pipeline: "prepare".to_owned(), run: 7, step: "rows".to_owned() }),
        taken_by: vec![TakenBy {
            pipeline: "train".to_owned(),
            run: 8,
            state: PipelineRunState::Failed,
            created_at: Utc::now(),
        }],
    };
    let html = fragment(move || {
        let links = Links::new("lab");
        let address = Address::new(links.dataset_version("wine", 4), []);
        let page = VersionPage {
            version: version(4, ChecksState::Passed),
            folder: String::new(),
            files: Vec::new(),
            next: None,
            tables: Vec::new(),
            checks: Vec::new(),
            objection: None,
            read_by: Vec::new(),
            lineage,
            others: vec![5, 2],
            events: Vec::new(),
            may_write: false,
        };
        view! { <Version links address page/> }
    });
    for shown in [
        "/w/lab/pipeline-runs/7?step=rows",
        "prepare #7",
        "/w/lab/pipeline-runs/8\"",
        "train #8",
        "Failed",
        // The one before was deleted.
        "Compare with v2",
        "<option value=\"5\">version 5",
    ] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
}
