//! Drift, compared with what Evidently computed for the same values (`scripts/fixtures/drift.py`).

use domain::{
    drift::{Bins, Cell, Column, DatasetDrift, FeatureDrift, Kind, Method, Reason, Verdict, feature_drift},
    inference::{Tensor, TensorData, columns},
};
use serde::Deserialize;
use serde_json::{Value, json};

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
        let scale = self.scale.unwrap_or(1.0);
        let cell = |value: i32| match self.kind.as_str() {
            "boolean" => Cell::Boolean(value != 0),
            "categorical" => Cell::Text(&self.names[usize::try_from(value).unwrap()]),
            _ => Cell::Number(f64::from(value) / scale),
        };
        let kind = match self.kind.as_str() {
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer,
            "categorical" => Kind::Text,
            "numeric" | "float32" => Kind::Real,
            other => panic!("{other}"),
        };
        Column::of(kind, side.iter().map(|value| value.map(cell)))
    }

    fn compare(&self) -> FeatureDrift {
        feature_drift(&self.feature, &self.column(&self.reference), &self.column(&self.current), 1)
    }
}

fn datasets() -> Vec<Dataset> {
    serde_json::from_str(include_str!("../../fixtures/drift/evidently.json")).unwrap()
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
                    // It subtracts float32 values as float32.
                    let rough = method.is_p_value() || expected.kind == "float32";
                    let (relative, absolute) = if rough { (1e-6, 1e-15) } else { (1e-9, 1e-15) };
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
    assert!(compared > 60);
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
    Column::of(Kind::Real, values.into_iter().map(|value| Some(Cell::Number(value))))
}

fn names<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    Column::of(Kind::Text, values.into_iter().map(|value| Some(Cell::Text(value))))
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
    let cells = [Some(Cell::Number(1.0)), None, Some(Cell::Number(f64::NAN)), Some(Cell::Number(f64::INFINITY))];
    let found = feature_drift("age", &Column::of(Kind::Real, cells), &numbers([1.0, 2.0]), 1);
    assert_eq!((found.reference_rows, found.reference_nulls, found.current_rows, found.current_nulls), (1, 3, 2, 0));
    assert_eq!(reason(&Column::of(Kind::Real, [None, None]), &numbers([1.0])), Reason::AllMissing);
    assert_eq!(reason(&numbers([1.0]), &Column::of(Kind::Text, [None])), Reason::AllMissing);
}

#[test]
fn numbers_and_names_are_not_compared() {
    let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
    let names = Column::of(Kind::Text, names.iter().map(|name| Some(Cell::Text(name))));
    assert_eq!(reason(&names, &numbers((0..40).map(f64::from))), Reason::DifferentTypes);
    let unlike = Column::of(Kind::Real, [Some(Cell::Number(1.0)), None, Some(Cell::Text("many"))]);
    assert_eq!((unlike.rows(), unlike.nulls()), (2, 1));
    assert_eq!(reason(&unlike, &numbers((0..40).map(f64::from))), Reason::DifferentTypes);
}

#[test]
fn ids_are_not_compared_until_they_turn_into_something_else() {
    let ids = |n: u32, of: u32| {
        let ids: Vec<String> = (0..n).map(|i| format!("c-{}", i % of)).collect();
        Column::of(Kind::Text, ids.iter().map(|id| Some(Cell::Text(id))))
    };
    assert_eq!(reason(&ids(100, 100), &ids(60, 60)), Reason::FreeText);
    assert_eq!(reason(&ids(100, 51), &ids(60, 31)), Reason::FreeText);
    // Names that were few and are many now are drift.
    assert_eq!(feature_drift("city", &ids(100, 5), &ids(60, 60), 30).drifted(), Some(true));
    assert_eq!(feature_drift("id", &ids(100, 100), &ids(60, 1), 30).drifted(), Some(true));
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

/// What a model with one column of this type records.
fn recorded(data: TensorData) -> Vec<Value> {
    let tensor = Tensor { name: "x".to_owned(), shape: vec![data.len()], data };
    match columns(&[tensor], &[]).remove("x") {
        Some(Value::Array(cells)) => cells,
        other => panic!("{other:?}"),
    }
}

/// A reference as it is read from a file, beside what was recorded.
fn file(cells: &[&str], current: &Column) -> Column {
    Column::of(current.kind(), cells.iter().map(|cell| (!cell.is_empty()).then_some(Cell::Text(cell))))
}

/// Petal widths of irises: tenths of a centimetre.
fn petal_widths(n: u32) -> Vec<f64> {
    (0..n).map(|i| f64::from(1 + i * 7 % 25) / 10.0).collect()
}

#[test]
fn a_feature_of_few_digits_is_the_same_in_32_and_64_bits() {
    let widths = petal_widths(150);
    let written: Vec<String> = widths.iter().map(ToString::to_string).collect();
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    let single: Vec<f32> = widths.iter().map(|width| *width as f32).collect();
    for data in [TensorData::Fp64(widths.clone()), TensorData::Fp32(single.clone())] {
        let cells = recorded(data);
        assert_eq!(cells, widths.iter().map(|width| json!(width)).collect::<Vec<_>>());
        let current = Column::recorded(&cells, None);
        let found = feature_drift("petal width", &file(&written, &current), &current, 30);
        let Verdict::Scored { score, .. } = found.verdict else { panic!("{found:?}") };
        assert_eq!(score.to_bits(), 1.0_f64.to_bits());
    }
    // What was recorded in full.
    let current = numbers(single.iter().map(|width| f64::from(*width)));
    assert_eq!(feature_drift("petal width", &file(&written, &current), &current, 30).drifted(), Some(false));
    // And a shift is found in 32 bits as well.
    let shifted: Vec<f32> = single.iter().map(|width| width + 0.5).collect();
    let current = Column::recorded(&recorded(TensorData::Fp32(shifted)), None);
    assert_eq!(feature_drift("petal width", &file(&written, &current), &current, 30).drifted(), Some(true));
}

#[test]
fn a_reference_with_more_digits_than_32_bits_hold_is_compared_as_the_model_takes_it() {
    let thirds: Vec<f64> = (0..2000).map(|i| f64::from(1 + i % 6) / 3.0).collect();
    let single = recorded(TensorData::Fp32(thirds.iter().map(|third| *third as f32).collect()));
    let current = Column::recorded(&single, None);
    for n in [300, 2000] {
        let found = feature_drift("x", &numbers(thirds[..n].iter().copied()), &current, 30);
        assert_eq!(found.drifted(), Some(false), "{found:?}");
    }
    // Where the model takes 64 bits, they count.
    let finer = numbers(thirds.iter().map(|third| third + 1e-9));
    assert_eq!(feature_drift("x", &numbers(thirds[..300].iter().copied()), &finer, 30).drifted(), Some(true));
}

#[test]
fn booleans_are_the_same_however_they_are_written() {
    let python = |i: usize| if i.is_multiple_of(3) { "True" } else { "False" };
    let forms: [(TensorData, Option<Kind>); 6] = [
        (TensorData::Bool((0..90).map(|i| i % 3 == 0).collect()), None),
        (TensorData::Bool((0..90).map(|i| i % 3 == 0).collect()), Some(Kind::Boolean)),
        (TensorData::Fp32((0..90).map(|i| f32::from(u8::from(i % 3 == 0))).collect()), None),
        (TensorData::Fp32((0..90).map(|i| f32::from(u8::from(i % 3 == 0))).collect()), Some(Kind::Boolean)),
        (TensorData::Int64((0..90).map(|i| i64::from(i % 3 == 0)).collect()), None),
        (TensorData::Bytes((0..90).map(|i| python(i).to_owned()).collect()), None),
    ];
    for (data, signature) in forms {
        let current = Column::recorded(&recorded(data.clone()), signature);
        let written: Vec<&str> = (0..90).map(python).collect();
        let found = feature_drift("gold", &file(&written, &current), &current, 30);
        let Verdict::Scored { method: Method::ZTest, score, .. } = found.verdict else { panic!("{data:?}: {found:?}") };
        assert_eq!(score.to_bits(), 1.0_f64.to_bits());
        let numbers: Vec<&str> = (0..90).map(|i| if i % 3 == 0 { "1" } else { "0.0" }).collect();
        if current.kind() != Kind::Text {
            assert_eq!(feature_drift("gold", &file(&numbers, &current), &current, 30).drifted(), Some(false));
        }
        if current.kind() == Kind::Boolean {
            let Some(Bins::Values { values, .. }) = &found.bins else { panic!("{found:?}") };
            assert_eq!(*values, ["false", "true"]);
        }
    }
}

#[test]
fn text_that_looks_like_numbers_stays_text() {
    let codes: Vec<String> = (0..90).map(|i| format!("0{}", 10 + i % 3)).collect();
    let current = Column::recorded(&recorded(TensorData::Bytes(codes.clone())), Some(Kind::Text));
    let written: Vec<&str> = codes.iter().map(String::as_str).collect();
    let found = feature_drift("postcode", &file(&written, &current), &current, 30);
    assert_eq!((current.kind(), found.drifted()), (Kind::Text, Some(false)));
    // The file may have lost the zeros: those are other names.
    let lost: Vec<&str> = written.iter().map(|code| &code[1..]).collect();
    assert_eq!(feature_drift("postcode", &file(&lost, &current), &current, 30).drifted(), Some(true));
    // A file of JSON may hold numbers.
    let of_json =
        Column::of(Kind::Text, [Cell::of_json(&json!(3)), Cell::of_json(&json!(2.5)), Cell::of_json(&json!(true))]);
    assert_eq!(of_json, names(["3", "2.5", "true"]));
}

#[test]
fn a_signature_refines_numbers_when_it_fits_them() {
    let kind = |cells: &str, signature| {
        Column::recorded(&serde_json::from_str::<Vec<Value>>(cells).unwrap(), signature).kind()
    };
    assert_eq!(kind("[1, 2, null]", None), Kind::Integer);
    assert_eq!(kind("[1, 2.5]", None), Kind::Real);
    assert_eq!(kind("[true, null]", None), Kind::Boolean);
    assert_eq!(kind("[1, \"a\", true]", None), Kind::Text);
    assert_eq!(kind("[null]", None), Kind::Text);
    assert_eq!(kind("[null]", Some(Kind::Real)), Kind::Real);
    assert_eq!(kind("[3.0, 4.0]", Some(Kind::Integer)), Kind::Integer);
    assert_eq!(kind("[3.5, 4.0]", Some(Kind::Integer)), Kind::Real);
    assert_eq!(kind("[1, 0]", Some(Kind::Boolean)), Kind::Boolean);
    assert_eq!(kind("[1, 2]", Some(Kind::Boolean)), Kind::Integer);
    assert_eq!(kind("[1, 2]", Some(Kind::Text)), Kind::Integer);
    assert_eq!(kind("[\"1\"]", Some(Kind::Real)), Kind::Text);
}

#[test]
fn the_types_of_signatures_have_kinds() {
    for (dtype, kind) in [
        ("boolean", Some(Kind::Boolean)),
        ("long", Some(Kind::Integer)),
        ("tensor(uint8)", Some(Kind::Integer)),
        ("double", Some(Kind::Real)),
        ("tensor(float32)", Some(Kind::Real)),
        ("string", Some(Kind::Text)),
        ("tensor(str)", Some(Kind::Text)),
        ("datetime", None),
        ("binary", None),
        ("tensor(", None),
    ] {
        assert_eq!(Kind::of_dtype(dtype), kind, "{dtype}");
    }
}

#[test]
fn few_whole_numbers_are_compared_one_by_one_only_without_gaps() {
    let method = |cells: Vec<Value>| {
        let current = Column::recorded(&cells, None);
        let reference = numbers((0..100).map(|i| f64::from(i % 7)));
        match feature_drift("rooms", &reference, &current, 30).verdict {
            Verdict::Scored { method, .. } => method,
            other => panic!("{other:?}"),
        }
    };
    let rooms = |n: i32| (0..60).map(|i| json!(i % n)).collect::<Vec<_>>();
    assert_eq!(method(rooms(10)), Method::ChiSquare);
    assert_eq!(method(rooms(11)), Method::KolmogorovSmirnov);
    let mut gap = rooms(10);
    gap[0] = Value::Null;
    assert_eq!(method(gap), Method::KolmogorovSmirnov);
    assert_eq!(method((0..60).map(|i| json!(f64::from(i % 10))).collect()), Method::KolmogorovSmirnov);
}

#[test]
fn many_names_are_drawn_as_the_most_frequent_and_a_rest() {
    let many: Vec<String> = (0..30).flat_map(|i| vec![format!("n{i:02}"); 30 - i]).collect();
    let many = names(many.iter().map(String::as_str));
    let found = feature_drift("city", &many, &many, 30);
    let Some(Bins::Values { values, reference_rest, .. }) = &found.bins else { panic!("{found:?}") };
    assert_eq!((values.len(), values[0].as_str()), (20, "n00"));
    assert!((reference_rest - 55.0 / 465.0).abs() < 1e-12);
}

#[test]
fn a_verdict_reads_well_in_json() {
    let found = feature_drift("age", &numbers([1.0; 40]), &numbers([1.0; 40]), 30);
    assert_eq!(serde_json::to_value(found.verdict).unwrap(), json!({"state": "inconclusive", "reason": "constant"}));
}
