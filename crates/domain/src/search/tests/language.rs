//! Filters that are right, and what they mean.

use crate::{id::ExperimentId, logged_model::LoggedModelStatus, search::*};

fn runs(text: &str) -> RunFilter {
    run_filter(text).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap()
}

/// The canonical text of a filter of runs.
fn printed(text: &str) -> String {
    runs(text).to_string()
}

fn metric(key: &str, op: NumberOp, value: f64) -> RunFilter {
    let test = Keyed::Is(NumberTest { op, value: Finite::new(value).unwrap() });
    Filter::Is(RunClause::Metric { key: key.to_owned(), test })
}

#[test]
fn blank_text_is_no_filter() {
    for text in ["", "   ", "\n\t"] {
        assert_eq!(run_filter(text), Ok(None));
    }
}

#[test]
fn a_metric_is_compared_with_a_number() {
    for (text, op, value) in [
        ("metrics.acc = 1", NumberOp::Eq, 1.0),
        ("metrics.acc != 0.5", NumberOp::Ne, 0.5),
        ("metric.acc>.5", NumberOp::Gt, 0.5),
        ("metrics.acc >= -1", NumberOp::Ge, -1.0),
        ("metrics.acc < 1e-3", NumberOp::Lt, 0.001),
        ("metrics.acc<=+1E5", NumberOp::Le, 100_000.0),
        ("metrics.acc<-.5e+1", NumberOp::Lt, -5.0),
        ("metrics.acc > 1e400", NumberOp::Gt, f64::MAX),
        ("metrics.acc > -1e400", NumberOp::Gt, f64::MIN),
    ] {
        assert_eq!(runs(text), metric("acc", op, value), "{text}");
    }
}

#[test]
fn a_key_may_be_bare_or_quoted() {
    for (text, key) in [
        ("metrics.a.b > 1", "a.b"),
        ("metrics.1a > 1", "1a"),
        ("metrics.val/acc>1", "val/acc"),
        ("metrics.top-5:acc > 1", "top-5:acc"),
        ("metrics.é日本 > 1", "é日本"),
        ("metrics.order > 1", "order"),
        ("metrics.and > 1", "and"),
        ("metrics.`a b` > 1", "a b"),
        ("metrics.\"a b\" > 1", "a b"),
        ("metrics.'a b' > 1", "a b"),
        ("metrics.\"a'b\" > 1", "a'b"),
        ("metrics.`a``b` > 1", "a`b"),
        ("`metrics`.x > 1", "x"),
    ] {
        assert_eq!(runs(text), metric(key, NumberOp::Gt, 1.0), "{text}");
    }
}

#[test]
fn entities_and_attributes_go_by_all_of_their_names() {
    for (text, canonical) in [
        ("param.x = 'a'", "params.x = 'a'"),
        ("parameters.x = 'a'", "params.x = 'a'"),
        ("parameter.x = \"a\"", "params.x = 'a'"),
        ("tag.mlflow.user = 'a'", "tags.mlflow.user = 'a'"),
        ("attribute.status = 'RUNNING'", "status = 'RUNNING'"),
        ("attributes.status = 'RUNNING'", "status = 'RUNNING'"),
        ("attr.status = 'RUNNING'", "status = 'RUNNING'"),
        ("run.status = 'RUNNING'", "status = 'RUNNING'"),
        ("`run name` = 'x'", "run_name = 'x'"),
        ("\"run name\" = 'x'", "run_name = 'x'"),
        ("attributes.`Run Name` = 'x'", "run_name = 'x'"),
        ("created > 1", "start_time > 1"),
        ("attributes.Created > 1", "start_time > 1"),
        ("dataset.name = 'wine'", "datasets.name = 'wine'"),
        ("datasets.context != 'train'", "datasets.context != 'train'"),
    ] {
        assert_eq!(printed(text), canonical, "{text}");
    }
}

#[test]
fn keywords_are_read_in_any_case() {
    assert_eq!(
        printed("tags.x like '%a' and not params.y Is Not\nNull or run_id not in ('1')"),
        "(tags.x LIKE '%a' AND NOT params.y IS NOT NULL) OR run_id NOT IN ('1')"
    );
}

#[test]
fn texts_take_all_text_operators() {
    for text in [
        "params.x = 'a'",
        "params.x != 'a'",
        "params.x LIKE 'a%'",
        "params.x NOT LIKE 'a%'",
        "params.x ILIKE 'a%'",
        "params.x NOT ILIKE 'a%'",
        "params.x IN ('a', 'b')",
        "params.x NOT IN ('a')",
        "params.x IS NULL",
        "params.x IS NOT NULL",
        "metrics.x IS NULL",
        "tags.x IS NOT NULL",
        "status IN ('RUNNING', 'FAILED')",
        "artifact_uri LIKE 'mlflow-artifacts:/1/%'",
    ] {
        assert_eq!(printed(text), text);
    }
}

#[test]
fn a_list_may_end_with_a_comma_and_mix_quotes() {
    assert_eq!(printed("run_id IN (\"a\" , 'b',)"), "run_id IN ('a', 'b')");
}

#[test]
fn a_quote_is_written_twice_inside_its_own_quotes() {
    let eq = |value: &str| {
        let test = Keyed::Is(TextTest::Eq(value.to_owned()));
        Filter::Is(RunClause::Param { key: "x".to_owned(), test })
    };
    assert_eq!(runs("params.x = 'it''s'"), eq("it's"));
    assert_eq!(runs("params.x = \"it's\""), eq("it's"));
    assert_eq!(runs("params.x = \"a \"\"b\"\"\""), eq("a \"b\""));
    assert_eq!(runs("params.x = ''''"), eq("'"));
    assert_eq!(runs("params.x = ''"), eq(""));
    assert_eq!(runs("params.x = 'C:\\'"), eq("C:\\"));
    assert_eq!(runs("params.x = 'a\nb -- (c) AND'"), eq("a\nb -- (c) AND"));
}

#[test]
fn not_binds_tighter_than_and_and_that_tighter_than_or() {
    let (a, b, c) = (metric("a", NumberOp::Eq, 1.0), metric("b", NumberOp::Eq, 1.0), metric("c", NumberOp::Eq, 1.0));
    assert_eq!(
        runs("metrics.a=1 OR NOT metrics.b=1 AND metrics.c=1"),
        Filter::Or(vec![a.clone(), Filter::And(vec![Filter::Not(Box::new(b.clone())), c.clone()])])
    );
    assert_eq!(
        runs("(metrics.a=1 OR metrics.b=1) AND(metrics.c=1)"),
        Filter::And(vec![Filter::Or(vec![a.clone(), b.clone()]), c.clone()])
    );
    assert_eq!(
        runs("NOT (metrics.a=1 AND metrics.b=1 AND metrics.c=1)"),
        Filter::Not(Box::new(Filter::And(vec![a, b, c])))
    );
}

#[test]
fn parentheses_stay_where_they_group() {
    assert_eq!(printed("((metrics.a = 1))"), "metrics.a = 1.0");
    assert_eq!(
        printed("metrics.a=1 AND (metrics.b=2 AND (metrics.c=3 OR metrics.d=4))"),
        "metrics.a = 1.0 AND (metrics.b = 2.0 AND (metrics.c = 3.0 OR metrics.d = 4.0))"
    );
    assert_eq!(printed("NOT NOT (metrics.a=1 OR metrics.b=2)"), "NOT NOT (metrics.a = 1.0 OR metrics.b = 2.0)");
}

#[test]
fn a_time_with_a_fraction_compares_as_the_whole_numbers_around_it() {
    for (text, canonical) in [
        ("start_time > 1.5", "start_time > 1"),
        ("start_time >= 1.5", "start_time >= 2"),
        ("start_time < 1.5", "start_time < 2"),
        ("start_time <= 1.5", "start_time <= 1"),
        ("start_time > -1.5", "start_time > -2"),
        ("start_time = 1.7e12", "start_time = 1700000000000"),
        ("start_time < 1e30", "start_time < 9223372036854775807"),
        ("end_time != 9223372036854775807", "end_time != 9223372036854775807"),
    ] {
        assert_eq!(printed(text), canonical, "{text}");
    }
}

#[test]
fn experiments_are_found_by_name_id_time_and_tag() {
    let read = |text: &str| experiment_filter(text).unwrap().unwrap();
    let id = |negated, ids: &[i64]| {
        let values = Values::new(ids.iter().copied().map(ExperimentId).collect()).unwrap();
        Filter::Is(ExperimentClause::Id(OneOf { negated, values }))
    };
    assert_eq!(read("experiment_id = '7'"), id(false, &[7]));
    assert_eq!(read("experiment_id != 7"), id(true, &[7]));
    assert_eq!(read("attribute.experiment_id NOT IN ('1', '2')"), id(true, &[1, 2]));
    for text in ["name ILIKE 'churn%'", "creation_time > 5", "last_update_time <= 5", "tags.team IS NULL"] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn models_and_versions_are_found_by_name_and_tag() {
    for text in ["name = 'churn'", "name IN ('a', 'b')", "tags.team LIKE 'r%' AND NOT name = 'x'"] {
        assert_eq!(model_filter(text).unwrap().unwrap().to_string(), text);
        assert_eq!(version_filter(text).unwrap().unwrap().to_string(), text);
    }
    for (text, canonical) in [
        ("version_number >= 2", "version_number >= 2"),
        ("version_number = '2'", "version_number = 2"),
        ("run_id IN ('a')", "run_id IN ('a')"),
        ("attribute.source_path LIKE 'models:/%'", "source_path LIKE 'models:/%'"),
    ] {
        assert_eq!(version_filter(text).unwrap().unwrap().to_string(), canonical);
    }
}

#[test]
fn the_prompt_tag_asks_whether_something_is_a_prompt() {
    for text in ["tag.`mlflow.prompt.is_prompt` != 'true'", "tags.mlflow.prompt.is_prompt = 'False'"] {
        let filter = model_filter(text).unwrap().unwrap();
        assert!(filter.mentions_prompts());
        assert_eq!(filter, Filter::Is(ModelClause::NoPrompt), "{text}");
        let filter = version_filter(text).unwrap().unwrap();
        assert!(filter.mentions_prompts());
        assert_eq!(filter, Filter::Is(VersionClause::NoPrompt), "{text}");
    }
    // What is asked for is the tag's value, as it is written.
    for text in ["tags.mlflow.prompt.is_prompt = 'TRUE'", "tags.mlflow.prompt.is_prompt != 'False'"] {
        let filter = model_filter(text).unwrap().unwrap();
        assert!(filter.mentions_prompts());
        assert_eq!(filter.to_string(), text);
        let filter = version_filter(text).unwrap().unwrap();
        assert!(filter.mentions_prompts());
        assert_eq!(filter.to_string(), text);
    }
    assert!(!model_filter("name = 'x' AND tags.x = 'true'").unwrap().unwrap().mentions_prompts());
    assert!(!version_filter("tags.mlflow.prompt.is_prompt LIKE 't%'").unwrap().unwrap().mentions_prompts());
}

#[test]
fn logged_models_are_found_by_what_was_logged_and_by_status() {
    let read = |text: &str| logged_model_filter(text).unwrap().unwrap();
    for text in [
        "name = 'model'",
        "model_id IN ('m-1')",
        "model_type ILIKE 'sk%'",
        "source_run_id != 'a'",
        "artifact_location LIKE '%/models/%'",
        "lifecycle_stage = 'active'",
        "status_message ILIKE '%disk%'",
        "metrics.acc > 0.5",
        "params.lr = '0.1'",
        "tags.x IN ('a')",
        "status NOT IN ('PENDING', 'FAILED')",
        "status LIKE 'R%'",
        "status NOT ILIKE '%ready'",
        "experiment_id = '7'",
        "experiment_id NOT IN ('0', '7')",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
    for (text, canonical) in [
        ("attributes.creation_time > 5", "creation_timestamp > 5"),
        ("last_updated_time < 5", "last_updated_timestamp < 5"),
        ("status IN ('ready')", "status = 'READY'"),
        ("attributes.experiment_id != 7", "experiment_id != '7'"),
        ("status != 'LOGGED_MODEL_UPLOAD_FAILED'", "status != 'FAILED'"),
    ] {
        assert_eq!(read(text).to_string(), canonical);
    }
    let ready = Values::new(vec![LoggedModelStatus::Ready]).unwrap();
    let is_ready = Choice::OneOf(OneOf { negated: false, values: ready });
    assert_eq!(read("status = 'READY'"), Filter::Is(LoggedModelClause::Status(is_ready)));
    assert!(read("name = 'a' OR NOT metrics.acc IS NULL").mentions_metrics());
    assert!(!read("name = 'metrics.acc' AND params.acc = '1'").mentions_metrics());
}

#[test]
fn filters_join() {
    let (a, b) = (metric("a", NumberOp::Eq, 1.0), metric("b", NumberOp::Eq, 1.0));
    let both = a.clone().and(b.clone());
    assert_eq!(both, Filter::And(vec![a.clone(), b.clone()]));
    assert_eq!(both.clone().and(both), Filter::And(vec![a.clone(), b.clone(), a, b]));
}
