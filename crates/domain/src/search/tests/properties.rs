//! For all filters and all texts.

use crate::{id::ExperimentId, log_key::KeyKind, logged_model::LoggedModelStatus, search::*};
use proptest::{collection::vec, prelude::*, sample::select};

/// Any text that can be asked for: everything but NUL.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z%_'\"`\\\\ ]{0,6}", "\\PC{0,6}"].prop_map(|text: String| text.replace('\0', ""))
}

fn key() -> impl Strategy<Value = String> {
    text().prop_filter("a key is not empty", |key| !key.is_empty())
}

fn pattern() -> impl Strategy<Value = Pattern> {
    text().prop_filter_map("a whole pattern", Pattern::new)
}

fn texts() -> impl Strategy<Value = Values<String>> {
    vec(text(), 1..4).prop_filter_map("one or more", Values::new)
}

fn text_test() -> impl Strategy<Value = TextTest> {
    prop_oneof![
        text().prop_map(TextTest::Eq),
        text().prop_map(TextTest::Ne),
        pattern().prop_map(TextTest::Like),
        pattern().prop_map(TextTest::NotLike),
        pattern().prop_map(TextTest::ILike),
        pattern().prop_map(TextTest::NotILike),
        texts().prop_map(TextTest::In),
        texts().prop_map(TextTest::NotIn),
    ]
}

fn op() -> impl Strategy<Value = NumberOp> {
    select(NumberOp::ALL.to_vec())
}

fn number_test() -> impl Strategy<Value = NumberTest> {
    (op(), any::<f64>().prop_filter_map("a number", Finite::new)).prop_map(|(op, value)| NumberTest { op, value })
}

fn integer_test() -> impl Strategy<Value = IntegerTest> {
    (op(), any::<i64>()).prop_map(|(op, value)| IntegerTest { op, value })
}

fn keyed<T: std::fmt::Debug + Clone>(test: impl Strategy<Value = T>) -> impl Strategy<Value = Keyed<T>> {
    prop_oneof![1 => Just(Keyed::Present), 1 => Just(Keyed::Absent), 4 => test.prop_map(Keyed::Is)]
}

fn one_of<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = OneOf<T>> {
    (any::<bool>(), vec(value, 1..4).prop_filter_map("one or more", Values::new))
        .prop_map(|(negated, values)| OneOf { negated, values })
}

fn filter<C: std::fmt::Debug + Clone + 'static>(
    clause: impl Strategy<Value = C> + 'static,
) -> impl Strategy<Value = Filter<C>> {
    clause.prop_map(Filter::Is).prop_recursive(5, 24, 4, |part| {
        prop_oneof![
            vec(part.clone(), 2..4).prop_map(Filter::And),
            vec(part.clone(), 2..4).prop_map(Filter::Or),
            part.prop_map(|part| Filter::Not(Box::new(part))),
        ]
    })
}

fn run_clause() -> impl Strategy<Value = RunClause> {
    let texts = vec![RunText::RunId, RunText::RunName, RunText::UserId, RunText::Status, RunText::ArtifactUri];
    let fields = vec![DatasetField::Name, DatasetField::Digest, DatasetField::Context];
    prop_oneof![
        (key(), keyed(number_test())).prop_map(|(key, test)| RunClause::Metric { key, test }),
        (key(), keyed(text_test())).prop_map(|(key, test)| RunClause::Param { key, test }),
        (key(), keyed(text_test())).prop_map(|(key, test)| RunClause::Tag { key, test }),
        (select(texts), text_test()).prop_map(|(attribute, test)| RunClause::Text { attribute, test }),
        (select(vec![RunTime::Start, RunTime::End]), integer_test())
            .prop_map(|(attribute, test)| RunClause::Time { attribute, test }),
        (select(fields), text_test()).prop_map(|(field, test)| RunClause::Dataset { field, test }),
    ]
}

fn experiment_clause() -> impl Strategy<Value = ExperimentClause> {
    prop_oneof![
        text_test().prop_map(ExperimentClause::Name),
        one_of((0..i64::MAX).prop_map(ExperimentId)).prop_map(ExperimentClause::Id),
        (select(vec![ExperimentTime::Creation, ExperimentTime::LastUpdate]), integer_test())
            .prop_map(|(attribute, test)| ExperimentClause::Time { attribute, test }),
        (key(), keyed(text_test())).prop_map(|(key, test)| ExperimentClause::Tag { key, test }),
    ]
}

fn model_clause() -> impl Strategy<Value = ModelClause> {
    prop_oneof![
        text_test().prop_map(ModelClause::Name),
        (key(), keyed(text_test())).prop_map(|(key, test)| ModelClause::Tag { key, test }),
        Just(ModelClause::NoPrompt),
    ]
}

fn version_clause() -> impl Strategy<Value = VersionClause> {
    prop_oneof![
        (select(vec![VersionText::Name, VersionText::RunId, VersionText::Source]), text_test())
            .prop_map(|(attribute, test)| VersionClause::Text { attribute, test }),
        integer_test().prop_map(VersionClause::Number),
        (key(), keyed(text_test())).prop_map(|(key, test)| VersionClause::Tag { key, test }),
        Just(VersionClause::NoPrompt),
    ]
}

fn logged_model_clause() -> impl Strategy<Value = LoggedModelClause> {
    use LoggedModelText::{ArtifactLocation, LifecycleStage, ModelId, ModelType, Name, SourceRunId, StatusMessage};
    let statuses = vec![LoggedModelStatus::Pending, LoggedModelStatus::Ready, LoggedModelStatus::UploadFailed];
    prop_oneof![
        (key(), keyed(number_test())).prop_map(|(key, test)| LoggedModelClause::Metric { key, test }),
        (key(), keyed(text_test())).prop_map(|(key, test)| LoggedModelClause::Param { key, test }),
        (key(), keyed(text_test())).prop_map(|(key, test)| LoggedModelClause::Tag { key, test }),
        (
            select(vec![Name, ModelId, ModelType, SourceRunId, ArtifactLocation, LifecycleStage, StatusMessage]),
            text_test(),
        )
            .prop_map(|(attribute, test)| LoggedModelClause::Text { attribute, test }),
        one_of(select(statuses)).prop_map(|one_of| LoggedModelClause::Status(Choice::OneOf(one_of))),
        (any::<bool>(), any::<bool>(), pattern()).prop_map(|(negated, any_case, pattern)| {
            LoggedModelClause::Status(Choice::Like(PatternTest { negated, any_case, pattern }))
        }),
        one_of((0..i64::MAX).prop_map(ExperimentId)).prop_map(LoggedModelClause::Experiment),
        (select(vec![LoggedModelTime::Creation, LoggedModelTime::LastUpdated]), integer_test())
            .prop_map(|(attribute, test)| LoggedModelClause::Time { attribute, test }),
    ]
}

fn order_key() -> impl Strategy<Value = RunOrderKey> {
    prop_oneof![
        key().prop_map(RunOrderKey::Metric),
        key().prop_map(RunOrderKey::Param),
        key().prop_map(RunOrderKey::Tag),
        Just(RunOrderKey::Text(RunText::Status)),
        Just(RunOrderKey::Time(RunTime::End)),
    ]
}

/// Pieces of the language in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "metrics.",
        "params.x",
        "tags.`a b`",
        "status",
        "run_id",
        "start_time",
        "datasets.name",
        "AND",
        "OR",
        "NOT",
        "IN",
        "LIKE",
        "IS",
        "NULL",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "'a'",
        "\"b\"",
        "'",
        "`",
        "\"",
        "1",
        "-1.5e3",
        ".",
        "é",
        "\\",
        "\0",
    ];
    vec((select(pieces.to_vec()), any::<bool>()), 0..24).prop_map(|pieces| {
        pieces.iter().map(|(piece, space)| format!("{piece}{}", if *space { " " } else { "" })).collect()
    })
}

fn read_all(text: &str) {
    let problem = [
        run_filter(text).err(),
        experiment_filter(text).err(),
        model_filter(text).err(),
        version_filter(text).err(),
        logged_model_filter(text).err(),
        run_order(&[text]).err(),
        experiment_order(&[text]).err(),
        model_order(&[text]).err(),
        version_order(&[text]).err(),
    ];
    for error in problem.into_iter().flatten() {
        assert!(error.position <= text.chars().count(), "{error}");
        assert!(!error.expected.is_empty());
    }
}

/// Takes each suggestion at the cursor: the filter must then be right up to its end, and before it as it was.
fn suggestions_are_right(text: &str, cursor: usize, name: &str, value: &str) -> Result<(), TestCaseError> {
    let found = complete(text, cursor);
    let mut taken: Vec<String> = found.words.iter().map(|word| found.insert_word(*word)).collect();
    if let Some(place) = &found.keys {
        for kind in KeyKind::ALL {
            if place.kind.is_none_or(|wanted| wanted == kind) {
                taken.push(found.insert_key(kind, name));
            }
        }
    }
    if let Some(place) = &found.values {
        let value = if place.of == ValueOf::Time { "1700000000000" } else { value };
        taken.push(found.insert_value(value));
    }
    let part = |range: std::ops::Range<usize>| text.chars().skip(range.start).take(range.len()).collect::<String>();
    for inserted in taken {
        let (head, tail) = (part(0..found.from), part(found.to..text.chars().count()));
        let whole = format!("{head}{inserted}{tail}");
        if let Err(error) = run_filter(&whole) {
            let end = found.from + inserted.trim_end().chars().count();
            // NUL is refused before anything is read.
            prop_assert!(error.position >= end || tail.contains('\0'), "{text:?} at {cursor}: {whole:?}: {error}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_filter_of_runs_reads_back_as_printed(filter in filter(run_clause())) {
        prop_assert_eq!(run_filter(&filter.to_string()), Ok(Some(filter)));
    }

    #[test]
    fn a_filter_of_experiments_reads_back_as_printed(filter in filter(experiment_clause())) {
        prop_assert_eq!(experiment_filter(&filter.to_string()), Ok(Some(filter)));
    }

    #[test]
    fn a_filter_of_models_reads_back_as_printed(filter in filter(model_clause())) {
        prop_assert_eq!(model_filter(&filter.to_string()), Ok(Some(filter)));
    }

    #[test]
    fn a_filter_of_versions_reads_back_as_printed(filter in filter(version_clause())) {
        prop_assert_eq!(version_filter(&filter.to_string()), Ok(Some(filter)));
    }

    #[test]
    fn a_filter_of_logged_models_reads_back_as_printed(filter in filter(logged_model_clause())) {
        prop_assert_eq!(logged_model_filter(&filter.to_string()), Ok(Some(filter)));
    }

    #[test]
    fn an_order_reads_back_as_printed(key in order_key(), descending: bool) {
        let direction = if descending { Direction::Desc } else { Direction::Asc };
        let by = OrderBy { key, direction };
        let order = run_order(&[by.to_string()]).unwrap();
        prop_assert_eq!(&order[0], &by);
        let again: Vec<String> = order.iter().map(ToString::to_string).collect();
        prop_assert_eq!(run_order(&again), Ok(order));
    }

    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        read_all(&text);
    }

    #[test]
    fn what_is_suggested_is_never_wrong_where_it_stands(
        text in prop_oneof![soup(), filter(run_clause()).prop_map(|filter| filter.to_string())],
        share in 0.0..=1.0_f64,
        name in key(),
        value in text(),
    ) {
        let length = text.chars().count();
        suggestions_are_right(&text, (share * length as f64).round() as usize, &name, &value)?;
    }

    #[test]
    fn no_cursor_breaks_the_completion(text in any::<String>(), cursor: usize) {
        for cursor in [cursor, cursor % (text.len() + 2)] {
            prop_assert!(complete(&text, cursor).to <= text.chars().count());
        }
    }

    #[test]
    fn no_pieces_of_the_language_break_the_parser(text in soup()) {
        read_all(&text);
    }
}
