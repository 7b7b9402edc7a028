//! Orders: what they take, how they end, what they refuse.

use crate::search::*;

fn printed<K: std::fmt::Display>(order: Result<Vec<OrderBy<K>>, ParseError>) -> String {
    order.unwrap().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

const NONE: [&str; 0] = [];

#[test]
fn every_order_ends_so_that_no_two_objects_are_equal() {
    assert_eq!(printed(run_order(&NONE)), "start_time DESC, run_id ASC");
    assert_eq!(printed(run_order(&["metrics.acc DESC"])), "metrics.acc DESC, start_time DESC, run_id ASC");
    assert_eq!(printed(run_order(&["created"])), "start_time ASC, run_id ASC");
    assert_eq!(printed(run_order(&["run_id desc"])), "run_id DESC, start_time DESC");

    assert_eq!(printed(experiment_order(&NONE)), "creation_time DESC, experiment_id ASC");
    assert_eq!(printed(experiment_order(&["name"])), "name ASC, experiment_id DESC");

    assert_eq!(printed(model_order(&NONE)), "name ASC");
    assert_eq!(printed(model_order(&["timestamp DESC"])), "last_updated_timestamp DESC, name ASC");

    assert_eq!(printed(version_order(&NONE)), "last_updated_timestamp DESC, name ASC, version_number DESC");
    assert_eq!(printed(version_order(&["version_number"])), "version_number ASC, name ASC");
}

#[test]
fn a_run_is_ordered_by_anything_it_has() {
    assert_eq!(
        printed(run_order(&[
            "metrics.`val loss` asc",
            "params.\"lr\"",
            "tag.mlflow.user DESC",
            "attributes.status",
            "end_time\tDESC",
            "metrics.val/acc DESC",
        ])),
        "metrics.`val loss` ASC, params.lr ASC, tags.mlflow.user DESC, status ASC, end_time DESC, \
         metrics.`val/acc` DESC, start_time DESC, run_id ASC"
    );
}

#[test]
fn a_wrong_order_is_refused_with_its_place() {
    let too_many: Vec<String> = (0..=MAX_ORDER).map(|n| format!("metrics.m{n}")).collect();
    let sentences = [
        run_order(&["metrics.acc DOWN"]).unwrap_err(),
        run_order(&["metrics.acc DESC NULLS LAST"]).unwrap_err(),
        run_order(&["metrics.acc, params.x"]).unwrap_err(),
        run_order(&["accuracy"]).unwrap_err(),
        run_order(&[""]).unwrap_err(),
        run_order(&["datasets.name"]).unwrap_err(),
        run_order(&["metrics.a", "metrics.`a` DESC"]).unwrap_err(),
        run_order(&["start_time", "Created"]).unwrap_err(),
        run_order(&["params.x\0"]).unwrap_err(),
        experiment_order(&["tags.x"]).unwrap_err(),
        model_order(&["version_number"]).unwrap_err(),
        version_order(&["timestamp"]).unwrap_err(),
        run_order(&too_many).unwrap_err(),
    ]
    .map(|error| error.message);
    insta::assert_snapshot!(sentences.join("\n"));
}

fn field(name: &str, ascending: bool) -> LoggedModelOrderField {
    LoggedModelOrderField { field_name: name.to_owned(), ascending, dataset_name: None, dataset_digest: None }
}

#[test]
fn logged_models_are_ordered_by_fields() {
    let on = |digest: Option<&str>| LoggedModelOrderField {
        dataset_name: Some("wine".to_owned()),
        dataset_digest: digest.map(str::to_owned),
        ..field("metrics.a b", false)
    };
    let order = logged_model_order(vec![on(Some("d1")), on(None), field("creation_time", true)]).unwrap();
    let metric = |digest: Option<&str>| OrderBy {
        key: LoggedModelOrderKey::Metric {
            key: "a b".to_owned(),
            dataset: Some(DatasetRef { name: "wine".to_owned(), digest: digest.map(str::to_owned) }),
        },
        direction: Direction::Desc,
    };
    let attribute = |attribute| OrderBy { key: LoggedModelOrderKey::Attribute(attribute), direction: Direction::Asc };
    assert_eq!(
        order,
        [
            metric(Some("d1")),
            metric(None),
            attribute(LoggedModelAttribute::Time(LoggedModelTime::Creation)),
            attribute(LoggedModelAttribute::Text(LoggedModelText::ModelId)),
        ]
    );
}

#[test]
fn what_logged_models_are_ordered_by_already_changes_nothing() {
    let twice = vec![field("name", true), field("experiment_id", false), field("attributes.name", false)];
    let once = vec![field("name", true), field("experiment_id", false)];
    assert_eq!(logged_model_order(twice), logged_model_order(once));
}

#[test]
fn a_wrong_order_of_logged_models_is_refused() {
    let digest_alone = LoggedModelOrderField { dataset_digest: Some("d".to_owned()), ..field("metrics.acc", true) };
    for fields in [
        vec![field("params.x", true)],
        vec![field("metrics.", true)],
        vec![field("", true)],
        vec![field("metrics.a\0", true)],
        vec![digest_alone],
        vec![field("name", true); MAX_ORDER + 1],
    ] {
        assert!(logged_model_order(fields.clone()).is_err(), "{fields:?}");
    }
}
