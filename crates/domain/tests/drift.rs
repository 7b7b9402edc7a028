//! Drift, compared with what Evidently computed for the same values (`scripts/fixtures/drift.py`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use domain::drift::{Bins, Column, DatasetDrift, FeatureDrift, Method, Reason, Verdict, feature_drift};
use serde::Deserialize;

#[derive(Deserialize)]
struct Dataset {
    name: String,
    columns: Vec<Feature>,
    drifted: usize,
    share: f64,
}

#[derive(Deserialize)]
struct Feature {
    feature: String,
    kind: String,
    scale: Option<f64>,
    #[serde(default)]
    names: Vec<String>,
    reference: Vec<Option<i32>>,
    current: Vec<Option<i32>>,
    method: Method,
    threshold: f64,
    score: f64,
    drifted: bool,
}

impl Feature {
    fn column(&self, side: &[Option<i32>]) -> Column {
        match self.kind.as_str() {
            "numeric" => {
                Column::numeric(side.iter().map(|cell| cell.map(|value| f64::from(value) / self.scale.unwrap())))
            }
            _ => Column::categorical(
                side.iter().map(|cell| cell.map(|i| self.names[usize::try_from(i).unwrap()].clone())),
            ),
        }
    }

    fn compare(&self) -> FeatureDrift {
        feature_drift(&self.feature, &self.column(&self.reference), &self.column(&self.current), 1)
    }
}

fn datasets() -> Vec<Dataset> {
    serde_json::from_str(include_str!("../fixtures/drift/evidently.json")).unwrap()
}

fn shares(bins: &Bins) -> (f64, f64, usize) {
    match bins {
        Bins::Ranges { edges, reference, current } => {
            assert_eq!((reference.len(), current.len()), (edges.len() - 1, edges.len() - 1));
            (reference.iter().sum(), current.iter().sum(), reference.len())
        }
        Bins::Values { values, reference, current, reference_rest, current_rest } => {
            assert_eq!((reference.len(), current.len()), (values.len(), values.len()));
            (reference.iter().sum::<f64>() + reference_rest, current.iter().sum::<f64>() + current_rest, values.len())
        }
    }
}

#[test]
fn every_feature_has_the_method_the_score_and_the_decision_of_evidently() {
    let mut compared = 0;
    for dataset in datasets() {
        for expected in &dataset.columns {
            let name = format!("{}, {}", dataset.name, expected.feature);
            let found = expected.compare();
            match found.verdict {
                Verdict::Scored { method, score, threshold, drifted } => {
                    assert_eq!(method, expected.method, "{name}");
                    assert_eq!(threshold.to_bits(), expected.threshold.to_bits(), "{name}");
                    assert_eq!(drifted, expected.drifted, "{name}: {score} and {}", expected.score);
                    // Evidently's Z-test and SciPy's p-values near 0 have lost their digits to 1 − x.
                    let (relative, absolute) = if method.is_p_value() { (1e-6, 1e-15) } else { (1e-9, 1e-15) };
                    let difference = (score - expected.score).abs();
                    assert!(
                        difference <= expected.score * relative || difference <= absolute,
                        "{name}: {score}, Evidently has {}",
                        expected.score
                    );
                    compared += 1;
                }
                Verdict::Inconclusive { reason } => {
                    assert_eq!(reason, Reason::Constant, "{name}");
                    assert!(expected.feature.contains("constant") && !expected.drifted, "{name}");
                }
            }
        }
    }
    assert!(compared > 30);
}

#[test]
fn a_data_set_has_the_share_of_drifted_features_of_evidently() {
    for dataset in datasets() {
        let features: Vec<_> = dataset.columns.iter().map(Feature::compare).collect();
        let found = DatasetDrift::of(&features);
        assert_eq!((found.drifted, found.compared), (dataset.drifted, dataset.columns.len()), "{}", dataset.name);
        assert_eq!(found.share, Some(dataset.share), "{}", dataset.name);
        assert_eq!(found.is_drifted(), Some(dataset.share >= 0.5), "{}", dataset.name);
    }
}

#[test]
fn every_drawn_distribution_adds_up_to_one_and_fits_a_chart() {
    for dataset in datasets() {
        for feature in &dataset.columns {
            let (reference, current, bins) = shares(&feature.compare().bins.unwrap());
            assert!((reference - 1.0).abs() < 1e-9 && (current - 1.0).abs() < 1e-9, "{}", feature.feature);
            assert!((1..=40).contains(&bins), "{}: {bins} bins", feature.feature);
        }
    }
}

fn numbers(values: impl IntoIterator<Item = f64>) -> Column {
    Column::numeric(values.into_iter().map(Some))
}

fn reason(reference: &Column, current: &Column) -> Reason {
    match feature_drift("age", reference, current, 30).verdict {
        Verdict::Inconclusive { reason } => reason,
        scored @ Verdict::Scored { .. } => panic!("{scored:?}"),
    }
}

#[test]
fn too_few_values_are_not_compared_but_drawn() {
    let (enough, few) = (numbers((0..30).map(f64::from)), numbers((0..29).map(f64::from)));
    assert_eq!(reason(&enough, &few), Reason::TooFewRows);
    assert_eq!(reason(&few, &enough), Reason::TooFewRows);
    assert!(feature_drift("age", &enough, &few, 30).bins.is_some());
    assert_eq!(feature_drift("age", &enough, &enough, 30).drifted(), Some(false));
}

#[test]
fn missing_and_infinite_values_are_counted_apart() {
    let some = Column::numeric([Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY)]);
    let found = feature_drift("age", &some, &numbers([1.0, 2.0]), 1);
    assert_eq!((found.reference_rows, found.reference_nulls, found.current_rows, found.current_nulls), (1, 3, 2, 0));
    assert_eq!(reason(&Column::numeric([None, None]), &numbers([1.0])), Reason::AllMissing);
    assert_eq!(reason(&numbers([1.0]), &Column::categorical([None])), Reason::AllMissing);
}

#[test]
fn numbers_and_names_are_not_compared() {
    let names = Column::categorical((0..40).map(|i| Some(i.to_string())));
    assert_eq!(reason(&names, &numbers((0..40).map(f64::from))), Reason::DifferentTypes);
}

#[test]
fn the_two_zeros_are_one_value() {
    assert_eq!(reason(&numbers([0.0; 40]), &numbers([-0.0; 40])), Reason::Constant);
}

#[test]
fn values_at_the_ends_of_the_scale_are_neither_compared_nor_drawn() {
    let wide = |sign: f64| numbers((0..2000).map(|i| sign * f64::MAX / f64::from(1 + i % 29)));
    let found = feature_drift("age", &wide(1.0), &wide(-1.0), 30);
    assert_eq!(found.bins, None);
    assert_eq!(found.verdict, Verdict::Inconclusive { reason: Reason::TooLarge });
}

#[test]
fn a_column_of_json_is_numeric_when_all_of_it_is() {
    let json = |text: &str| Column::from_json(&serde_json::from_str::<Vec<_>>(text).unwrap());
    assert_eq!(json("[1, 2.5, null]"), Column::Numeric { values: vec![1.0, 2.5], nulls: 1 });
    assert_eq!(
        json("[1, \"a\", true, null]"),
        Column::Categorical { values: vec!["1".into(), "a".into(), "true".into()], nulls: 1 }
    );
}

#[test]
fn many_names_are_drawn_as_the_most_frequent_and_a_rest() {
    let names = |n: u32| Column::categorical((0..n).flat_map(|i| vec![Some(format!("n{i:02}")); (n - i) as usize]));
    let found = feature_drift("city", &names(30), &names(30), 30);
    let Some(Bins::Values { values, reference_rest, .. }) = &found.bins else { panic!("{found:?}") };
    assert_eq!((values.len(), values[0].as_str()), (20, "n00"));
    assert!((reference_rest - 55.0 / 465.0).abs() < 1e-12);
}

#[test]
fn a_verdict_reads_well_in_json() {
    let found = feature_drift("age", &numbers([1.0; 40]), &numbers([1.0; 40]), 30);
    assert_eq!(
        serde_json::to_value(found.verdict).unwrap(),
        serde_json::json!({"state": "inconclusive", "reason": "constant"})
    );
}
