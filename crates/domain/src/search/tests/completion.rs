//! What may stand where somebody types.

use crate::{log_key::KeyKind, search::*};

/// What is found where `|` stands.
fn at(text: &str) -> Completion {
    let cursor = text.chars().take_while(|c| *c != '|').count();
    complete(&text.replacen('|', "", 1), cursor)
}

fn words(text: &str) -> Vec<&'static str> {
    at(text).words.iter().map(|word| word.text).collect()
}

/// The filter after the first word that is found was taken.
fn taken(text: &str) -> String {
    let found = at(text);
    let inserted = found.insert_word(found.words[0]);
    let whole = text.replacen('|', "", 1);
    let (head, tail) = (whole.chars().take(found.from), whole.chars().skip(found.to));
    head.chain(inserted.chars()).chain(tail).collect()
}

#[test]
fn a_filter_begins_with_what_runs_have() {
    assert_eq!(words("|")[..3], ["metrics.", "params.", "tags."]);
    assert_eq!(words("me|"), ["metrics."]);
    assert_eq!(words("ST|"), ["status", "start_time"]);
    assert_eq!(words("metrics.a = 1 AND n|"), ["NOT"]);
}

#[test]
fn a_key_is_looked_for_by_what_is_typed_of_it() {
    let place = |text: &str| at(text).keys.map(|place| (place.kind, place.typed));
    assert_eq!(place("f1|"), Some((None, "f1".to_owned())));
    assert_eq!(place("metrics.|"), Some((Some(KeyKind::Metric), String::new())));
    assert_eq!(place("NOT (param.val/l|"), Some((Some(KeyKind::Param), "val/l".to_owned())));
    assert_eq!(place("tags.`a b|"), Some((Some(KeyKind::Tag), "a b".to_owned())));
    assert_eq!(place("metrics.f1 |"), None);
    let found = at("metrics.f|1 > 3");
    assert_eq!((found.from, found.to), (0, 10));
    assert_eq!(found.insert_key(KeyKind::Metric, "val/f1"), "metrics.val/f1");
    assert_eq!(at("tags.|").insert_key(KeyKind::Tag, "a `b`"), "tags.`a ``b``` ");
}

#[test]
fn what_a_key_is_compared_by_depends_on_what_it_is_of() {
    assert_eq!(words("metrics.a |"), [">", ">=", "<", "<=", "=", "!=", "IS NOT NULL", "IS NULL"]);
    assert_eq!(words("params.a n|"), ["NOT LIKE", "NOT ILIKE", "NOT IN ("]);
    assert_eq!(words("params.a NOT |"), ["LIKE", "ILIKE", "IN ("]);
    assert!(words("start_time NOT |").is_empty(), "no sign of a time begins so");
    assert!(words("metrics.a NOT |").is_empty());
    assert_eq!(words("params.a IS |"), ["NULL", "NOT NULL"]);
    assert_eq!(words("status !|"), ["!="]);
    assert!(!words("status |").contains(&"IS NULL"));
    assert!(at("metrics.a > |").hint.is_some());
}

#[test]
fn a_value_is_looked_for_inside_quotes_and_without() {
    let place = |text: &str| at(text).values.map(|place| (place.of, place.typed));
    let model = || ValueOf::Key(KeyKind::Param, "model".to_owned());
    assert_eq!(place("params.model = |"), Some((model(), String::new())));
    assert_eq!(place("params.model = 'it''|"), Some((model(), "it'".to_owned())));
    assert_eq!(place("params.model = hg|"), Some((model(), "hg".to_owned())));
    assert_eq!(place("params.model IN ('a', \"b|"), Some((model(), "b".to_owned())));
    assert_eq!(place("status = |"), Some((ValueOf::Text(RunText::Status), String::new())));
    assert_eq!(place("start_time > |"), Some((ValueOf::Time, String::new())));
    assert_eq!(place("params.model LIKE '|"), None);
    assert_eq!(at("params.model = '|").insert_value("it's"), "'it''s' ");
    // The next text is not swallowed.
    assert_eq!(at("params.a = '| AND params.b = 'c'").to, 12);
}

#[test]
fn a_comparison_is_followed_by_another_or_the_end() {
    assert_eq!(words("metrics.a = 1 |"), ["AND", "OR"]);
    assert_eq!(words("(metrics.a = 1 |"), ["AND", "OR", ")"]);
    assert_eq!(words("params.a IN ('x' |"), [",", ")"]);
    assert_eq!(taken("params.a = 'x'|"), "params.a = 'x' AND ");
    assert_eq!(taken("params.a = 'x' a| params.b = 'y'"), "params.a = 'x' AND params.b = 'y'");
    assert_eq!(taken("(metrics.a = 1 AND |)"), "(metrics.a = 1 AND metrics.)");
}

#[test]
fn nothing_is_suggested_behind_a_mistake() {
    for text in ["metrics.a = 'x' |", "nonsense |", "metrics.a == 1 |", "a b c |", "metrics.a = 1)|"] {
        assert_eq!(at(text).words, [], "{text}");
    }
}
