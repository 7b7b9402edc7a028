//! What pages say that a request through the server does not make them say.

use super::*;
use crate::render::fragment;
use chrono::Utc;
use domain::{
    Page,
    dataset::{Dataset, DatasetSummary, DatasetVersion},
    drift::{FeatureDrift, Method, Verdict},
    id::{DatasetId, DatasetVersionId, WorkspaceId},
    table_profile::TableDiff,
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
    let column = |mean: f64| domain::table_profile::ColumnProfile {
        name: "age".to_owned(),
        kind: domain::table_profile::ColumnKind::Number,
        missing: 0,
        distinct: 9,
        is_distinct_cut: false,
        min: None,
        max: None,
        mean: Some(mean),
        deviation: None,
        top: Vec::new(),
        values: Vec::new(),
    };
    let table = TableDiff {
        path: "wine.csv".to_owned(),
        rows: (100, 120),
        added: vec!["size".to_owned()],
        removed: Vec::new(),
        retyped: Vec::new(),
        drift: vec![drift],
        before: vec![column(1.5)],
        after: vec![column(7.25)],
    };
    let html = fragment(move || {
        let links = Links::new("lab");
        let address = Address::new(links.to("datasets/wine/versions/2/diff"), []);
        let page = DiffPage {
            before: version(1, ChecksState::Passed),
            after: version(2, ChecksState::Passed),
            counts: (0, 0, 0),
            changes: Vec::new(),
            next: None,
            tables: vec![table],
        };
        view! { <Diff links address page/> }
    });
    for shown in ["wine from v1 to v2", "100 to 120 rows", "size is new", "Drifted", "7.25", "the same files"] {
        assert!(html.contains(shown), "{shown}: {html}");
    }
}
