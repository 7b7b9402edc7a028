//! Filters that are wrong, and the sentence that says so.

use crate::{error::ErrorKind, search::*};

fn refused(text: &str) -> ParseError {
    match run_filter(text) {
        Err(error) => error,
        Ok(filter) => panic!("{text} was read as {filter:?}"),
    }
}

#[test]
fn the_sentence_says_what_is_wrong_and_where() {
    let error = refused("metrics.acc = 'x'");
    assert_eq!(
        error.to_string(),
        "runs cannot be filtered by \"metrics.acc = 'x'\": a metric is compared with a number (at 14)"
    );
    assert_eq!(error.position, 14);
    assert_eq!(error.expected, "a number");
}

/// Every refusal in one place, to be read as a user reads them.
#[test]
fn each_mistake_has_its_sentence() {
    let mistakes = [
        "metrics.acc",
        "metrics.acc >",
        "metrics.acc > x",
        "metrics.acc LIKE 'x'",
        "metrics.acc > 0x10",
        "metrics.acc > 1_000",
        "metrics.acc > - 1",
        "metrics.acc == 1",
        "metrics.acc <> 1",
        "metrics. > 1",
        "params.x = 0.5",
        "params.x = y",
        "params.x > '1'",
        "params.x = 'open",
        "params.`open = 'a'",
        "params.a b = 'c'",
        "params.x NOT 'a'",
        "params.x IS 'a'",
        "params.x IN ()",
        "params.x IN 'a'",
        "params.x IN ('a' 'b')",
        "params.x IN (1)",
        "params.x LIKE 'a\\'",
        "accuracy > 0.9",
        "attributes.lifecycle_stage = 'active'",
        "Metrics.acc > 1",
        "datasets.size = 'x'",
        "status IS NULL",
        "status = FINISHED",
        "start_time > '1'",
        "start_time = 1.5",
        "start_time LIKE '1'",
        "AND metrics.x = 1",
        "metrics.x = 1 AND",
        "metrics.x = 1 metrics.y = 2",
        "metrics.x = 1; drop",
        "(metrics.x = 1",
        "metrics.x = 1)",
        "NOT",
        "()",
        "1 < metrics.x",
        "'status' = 'x'",
        "params.x = 'a\0b'",
    ];
    let sentences: Vec<String> = mistakes.iter().map(|text| refused(text).message).collect();
    insta::assert_snapshot!(sentences.join("\n"));
}

#[test]
fn the_other_objects_name_themselves() {
    let sentences = [
        experiment_filter("experiment_id = 'x'").unwrap_err(),
        experiment_filter("experiment_id LIKE '1'").unwrap_err(),
        experiment_filter("metrics.acc > 1").unwrap_err(),
        model_filter("version = '1'").unwrap_err(),
        version_filter("version_number LIKE '1'").unwrap_err(),
        version_filter("version_number = 'one'").unwrap_err(),
        logged_model_filter("status = 'DONE'").unwrap_err(),
        logged_model_filter("status > 'READY'").unwrap_err(),
        logged_model_filter("experiment_id = 'x'").unwrap_err(),
        logged_model_filter("datasets.name = 'x'").unwrap_err(),
    ]
    .map(|error| error.message);
    insta::assert_snapshot!(sentences.join("\n"));
}

#[test]
fn the_position_counts_characters_not_bytes() {
    assert_eq!(refused("params.é = 'ü' AND ?").position, 19);
}

#[test]
fn a_refusal_is_an_error_of_the_sender() {
    let error = crate::Error::from(refused("status"));
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn ten_thousand_parentheses_are_refused_and_the_stack_stays_whole() {
    for opening in ["(", "NOT ", "NOT ("] {
        let error = refused(&opening.repeat(10_000));
        assert!(error.message.contains("nest deeper than 32"), "{}", error.message);
    }
    let nested = format!("{}metrics.a = 1{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert!(run_filter(&nested).is_ok());
}

#[test]
fn a_filter_has_a_greatest_size() {
    let clauses = |count: usize| vec!["metrics.a = 1"; count].join(" OR ");
    assert!(run_filter(&clauses(MAX_CLAUSES)).is_ok());
    assert!(refused(&clauses(MAX_CLAUSES + 1)).message.contains("more than 200 comparisons"));

    // Ids of runs, as clients write them.
    let list = |count: usize| {
        let ids: Vec<String> = (0..count).map(|n| format!("'{n:032x}'")).collect();
        format!("attributes.run_id IN ({})", ids.join(", "))
    };
    let filter = run_filter(&list(MAX_VALUES)).unwrap().unwrap();
    let Filter::Is(RunClause::Text { test: TextTest::In(ids), .. }) = filter else { panic!("{filter}") };
    assert_eq!(ids.len(), 2000);
    assert!(refused(&list(MAX_VALUES + 1)).message.contains("at most 2000 values"));

    let long = format!("params.x = '{}'", "é".repeat(MAX_LENGTH));
    let error = refused(&long);
    assert!(error.message.contains("131072 are allowed"), "{}", error.message);
    assert!(error.message.len() < 500);
}

#[test]
fn a_long_mistake_is_repeated_in_part() {
    let error = refused(&format!("params.x = 'a' AND {} = 'b'", "y".repeat(1000)));
    assert!(error.message.len() < 600, "{}", error.message);
    assert_eq!(error.position, 19);
}
