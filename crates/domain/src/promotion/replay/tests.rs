use super::{segment::of_feature, *};
use crate::inference::Datatype;
use proptest::prelude::*;
use serde_json::json;

fn spec(name: &str, datatype: Datatype) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: vec![-1] }
}

fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("no object: {value}") };
    map
}

fn answered(rows: usize, features: Value, before: Value, after: Value) -> AnsweredTwice {
    AnsweredTwice {
        id: PredictionId::new(),
        request_id: Some("r".to_owned()),
        at: DateTime::UNIX_EPOCH,
        rows,
        features: map(features),
        before: map(before),
        after: map(after),
    }
}

fn replay(answered: &[AnsweredTwice], outputs: &[TensorSpec]) -> (Replay, Vec<ReplayExample>) {
    Replay::of(answered, outputs, BTreeMap::new()).unwrap()
}

fn told(replay: &Replay) -> Vec<(&str, &str, u32)> {
    replay.transitions.iter().map(|one| (one.from.as_str(), one.to.as_str(), one.rows)).collect()
}

#[test]
fn a_label_decides_before_any_probability() {
    let asked = [
        answered(
            3,
            json!({"plan": ["pro", "basic", "basic"]}),
            json!({"label": ["approve", "decline", "approve"], "p": [0.9, 0.2, 0.7]}),
            json!({"label": ["approve", "approve", "decline"], "p": [0.4, 0.6, 0.1]}),
        ),
        answered(
            1,
            json!({"plan": ["pro"]}),
            json!({"label": ["approve"], "p": [0.6]}),
            json!({"label": ["decline"], "p": [0.5]}),
        ),
    ];
    let (found, examples) = replay(&asked, &[spec("label", Datatype::Bytes), spec("p", Datatype::Fp32)]);
    assert_eq!(found.basis, DecisionBasis::Label { outputs: vec!["label".to_owned()] });
    assert_eq!((found.all.rows, found.all.flips), (4, 3));
    assert_eq!(told(&found), [("approve", "decline", 2), ("decline", "approve", 1)]);
    // The largest difference first, with both answers and what was asked.
    let first = &examples[0];
    assert_eq!((examples.len(), first.row, first.from.as_str(), first.to.as_str()), (3, 2, "approve", "decline"));
    assert!((first.difference.unwrap() - 0.6).abs() < 1e-9);
    assert_eq!(json!([first.features, first.before["p"], first.after["p"]]), json!([{"plan": "basic"}, 0.7, 0.1]));
    let segments: Vec<_> = found.segments.iter().map(|one| (one.value.as_str(), one.share.flips)).collect();
    assert_eq!(segments, [("basic", 2), ("pro", 1)]);
}

#[test]
fn the_same_whole_number_is_the_same_label_however_it_is_written() {
    let asked = [answered(2, json!({}), json!({"y": [1.0, 0]}), json!({"y": [1, 0.0]}))];
    assert_eq!(replay(&asked, &[spec("y", Datatype::Int64)]).0.all.flips, 0);
}

#[test]
fn the_most_likely_class_decides_where_there_is_no_label() {
    let before = json!({"p[0]": [0.5, 0.1], "p[1]": [0.3, 0.2], "p[10]": [0.2, 0.7]});
    let after = json!({"p[0]": [0.2, 0.1], "p[1]": [0.5, 0.3], "p[10]": [0.3, 0.6]});
    let (found, _) = replay(&[answered(2, json!({}), before, after)], &[spec("p", Datatype::Fp32)]);
    assert_eq!(found.basis, DecisionBasis::MostLikely { outputs: vec!["p".to_owned()] });
    assert_eq!(told(&found), [("class 0", "class 1", 1)]);
    assert_eq!(found.differences.len(), 3);
}

#[test]
fn a_single_probability_decides_at_a_half() {
    let asked = [answered(3, json!({}), json!({"old": [0.49, 0.5, 0.9]}), json!({"new": [0.5, 0.51, 0.1]}))];
    let (found, _) = replay(&asked, &[spec("new", Datatype::Fp64)]);
    assert_eq!(found.basis, DecisionBasis::AtLeastHalf { outputs: vec!["new".to_owned()] });
    assert_eq!(told(&found), [("< 0.5", "≥ 0.5", 1), ("≥ 0.5", "< 0.5", 1)]);
}

#[test]
fn a_quantity_is_otherwise_beyond_a_tolerance_also_near_zero() {
    // The median of what was recorded is 100: 5 is let pass also where 0 was recorded.
    let asked = [answered(
        6,
        json!({}),
        json!({"y": [100.0, 100.0, 200.0, 0.0, 0.0, null]}),
        json!({"y": [105.0, 94.0, 211.0, 4.0, 6.0, 1.0]}),
    )];
    let (found, examples) = replay(&asked, &[spec("y", Datatype::Fp32)]);
    assert_eq!(found.basis, DecisionBasis::Quantity { outputs: vec!["y".to_owned()], tolerance: REPLAY_TOLERANCE });
    assert_eq!(told(&found), [("recorded", "higher", 2), ("recorded", "a number", 1), ("recorded", "lower", 1)]);
    let difference = &found.differences[0];
    assert_eq!((difference.mean, difference.p50, difference.largest), (4.0, 5.0, 11.0));
    assert_eq!((examples[0].difference, examples[3].difference), (Some(11.0), None));
    // Counts are quantities too, when there are many.
    let counts: Vec<u32> = (0..40).collect();
    let asked = [answered(40, json!({}), json!({"n": counts}), json!({"n": counts}))];
    assert!(matches!(replay(&asked, &[spec("n", Datatype::Int64)]).0.basis, DecisionBasis::Quantity { .. }));
}

#[test]
fn numbers_are_cut_into_quarters_and_what_is_missing_stands_for_itself() {
    let ages: Vec<Value> = (0..40).map(|at| if at < 8 { Value::Null } else { json!(at) }).collect();
    let after: Vec<u8> = (0..40).map(|at| u8::from(at >= 32)).collect();
    let ids: Vec<String> = (0..40).map(|at| format!("id-{at}")).collect();
    let asked = [answered(40, json!({"age": ages, "id": ids}), json!({"y": vec![0; 40]}), json!({"y": after}))];
    let (found, _) = replay(&asked, &[spec("y", Datatype::Bool)]);
    let segments: Vec<_> =
        found.segments.iter().map(|one| (one.value.as_str(), one.share.rows, one.share.flips)).collect();
    assert_eq!(
        segments,
        [("> 31.25", 8, 8), ("≤ 15.75", 8, 0), ("15.75 … 23.5", 8, 0), ("23.5 … 31.25", 8, 0), ("(nothing)", 8, 0),]
    );
}

#[test]
fn outputs_that_have_nothing_in_common_are_not_compared() {
    for (before, after) in [
        (json!({"label": ["a"], "p": [1.0]}), json!({"score": [1.0], "q": [0.5]})),
        (json!({"y": ["a"]}), json!({"y": [1]})),
        (json!({"y": [[1, 2]]}), json!({"y": [[1, 2]]})),
    ] {
        let asked = [answered(1, json!({}), before, after)];
        let outputs = ["score", "q", "y"].map(|name| spec(name, Datatype::Fp32));
        let sentence = Replay::of(&asked, &outputs, BTreeMap::new()).unwrap_err();
        assert!(sentence.ends_with("there is nothing to compare."), "{sentence}");
    }
    assert!(Replay::of(&[], &[], BTreeMap::new()).is_err());
}

#[test]
fn reasons_are_told_apart_as_far_as_they_can_be_read() {
    let skipped = (1..=10).map(|rows| (format!("Reason {rows}."), rows)).collect();
    let asked = [answered(1, json!({}), json!({"y": [1]}), json!({"y": [1]}))];
    let (found, _) = Replay::of(&asked, &[spec("y", Datatype::Int8)], skipped).unwrap();
    assert_eq!(found.skipped.len(), MAX_REASONS);
    assert_eq!(found.skipped.iter().map(|one| one.rows).sum::<u32>(), 55);
    assert_eq!(found.skipped[0], NotReplayed { reason: "Reason 10.".to_owned(), rows: 10 });
}

#[test]
fn what_is_kept_has_bounds() {
    let rows = 300;
    let features: Map<String, Value> =
        (0..100).map(|at| (format!("f{at}"), json!(vec!["x".repeat(500); rows]))).collect();
    let (before, after): (Vec<_>, Vec<_>) = (0..rows).map(|at| (format!("a{at}"), format!("b{at}"))).unzip();
    let asked = [answered(rows, Value::Object(features), json!({"y": before}), json!({"y": after}))];
    let (found, examples) = replay(&asked, &[spec("y", Datatype::Bytes)]);
    let counted: u32 = found.transitions.iter().map(|one| one.rows).sum();
    assert_eq!((found.transitions.len(), counted + found.other_transitions), (MAX_TRANSITIONS, 300));
    assert_eq!((examples.len(), examples[0].features.len()), (MAX_REPLAY_EXAMPLES, MAX_VALUES));
    assert!(examples[0].features.values().all(|text| text.as_str().unwrap().chars().count() == MAX_TEXT + 1));
}

#[test]
fn the_interval_is_wilsons() {
    // 41 of 500 by the formula.
    let share = FlipRate::of(500, 41);
    assert!((share.low - 0.061_019).abs() < 1e-5 && (share.high - 0.109_355).abs() < 1e-5, "{share:?}");
    assert_eq!((FlipRate::of(10, 0).low, FlipRate::of(10, 10).high, FlipRate::of(0, 0).high), (0.0, 1.0, 1.0));
}

#[test]
fn a_replay_is_read_back_as_it_was_written() {
    let asked = [answered(2, json!({"a": [1, 2]}), json!({"y": [1, 0]}), json!({"y": [0, 0]}))];
    let (found, examples) = replay(&asked, &[spec("y", Datatype::Int64)]);
    let read = |value: &Value| serde_json::from_value::<Replay>(value.clone()).unwrap();
    assert_eq!(read(&json!(found)), found);
    assert_eq!(serde_json::from_value::<Vec<ReplayExample>>(json!(examples)).unwrap(), examples);
}

/// A text and a number, either of which may be missing, and a label before and after.
type Row = (Option<u8>, Option<i32>, u8, u8);

fn some_rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (proptest::option::of(0..25_u8), proptest::option::of(-50..50_i32), 0..3_u8, 0..3_u8);
    proptest::collection::vec(row, 1..200)
}

fn as_predictions(rows: &[Row]) -> Vec<AnsweredTwice> {
    rows.chunks(7)
        .map(|part| {
            let column = |of: &dyn Fn(&Row) -> Value| part.iter().map(of).collect::<Value>();
            answered(
                part.len(),
                json!({
                    "text": column(&|row| row.0.map_or(Value::Null, |at| json!(format!("t{at}")))),
                    "number": column(&|row| json!(row.1)),
                    "few": column(&|row| json!(row.1.map(|n| n % 3))),
                }),
                json!({"y": column(&|row| json!(row.2))}),
                json!({"y": column(&|row| json!(row.3))}),
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn every_row_is_in_one_segment_of_a_feature_and_every_flip_in_one_transition(rows in some_rows()) {
        let asked = as_predictions(&rows);
        let (found, examples) = replay(&asked, &[spec("y", Datatype::Int64)]);
        let expected = u32::try_from(rows.iter().filter(|row| row.2 != row.3).count()).unwrap();
        prop_assert_eq!((found.all.rows as usize, found.all.flips), (rows.len(), expected));
        let compared = Compared::of(&asked, &[spec("y", Datatype::Int64)]).unwrap();
        let flips = compared.flips();
        for feature in ["text", "number", "few"] {
            let segments = of_feature(feature, &asked, &flips);
            prop_assert!(segments.len() != 1);
            if !segments.is_empty() {
                prop_assert_eq!(segments.iter().map(|one| one.share.flips).sum::<u32>(), expected);
                prop_assert_eq!(segments.iter().map(|one| one.share.rows as usize).sum::<usize>(), rows.len());
            }
        }
        let moved: u32 = found.transitions.iter().map(|one| one.rows).sum();
        prop_assert_eq!(moved + found.other_transitions, expected);
        prop_assert_eq!(examples.len(), (expected as usize).min(MAX_REPLAY_EXAMPLES));
        prop_assert!(found.segments.is_sorted_by(|a, b| a.share.low >= b.share.low));
    }

    #[test]
    fn who_answers_the_same_flips_nothing(rows in some_rows()) {
        let same: Vec<_> = rows.iter().map(|row| (row.0, row.1, row.2, row.2)).collect();
        let (found, examples) = replay(&as_predictions(&same), &[spec("y", Datatype::Int64)]);
        prop_assert_eq!((found.all.flips, found.transitions.len(), examples.len()), (0, 0, 0));
    }

    #[test]
    fn a_rate_is_within_its_interval(rows in 0..5000_u32, share in 0.0..=1.0_f64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let flips = (f64::from(rows) * share) as u32;
        let share = FlipRate::of(rows, flips);
        prop_assert!(0.0 <= share.low && share.low <= share.rate && share.rate <= share.high && share.high <= 1.0);
    }
}
