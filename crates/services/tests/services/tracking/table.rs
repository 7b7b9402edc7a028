//! The table of an experiment's runs.

use crate::tracking::world::World;
use domain::{
    audit::ObjectKind,
    experiment::ViewType,
    id::{RunId, WorkspaceId},
    run::DatasetInput,
    run_table::{RunColumn, RunTable},
    user::Workspace,
};
use services::{
    Ctx, ErrorKind, ExportFormat, NewModel, NewModelVersion, RunExportSearch, RunGroupSearch, RunTableSearch,
    RunsChange,
};
use std::collections::BTreeSet;

fn names(table: &RunTable) -> Vec<&str> {
    table.rows.iter().map(|row| row.info.name.as_str()).collect()
}

fn columns(names: &[&str]) -> Vec<RunColumn> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_table_shows_the_columns_that_its_runs_have() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    for (name, acc) in [("a", 0.7), ("b", 0.9)] {
        world.run(experiment, name, &[("acc", acc), ("loss", 0.1)], &[("depth", "3")]).await;
    }
    world.run(experiment, "c", &[("acc", f64::NAN)], &[("depth", "4"), ("rare", "x")]).await;
    world.run(world.experiment("other").await, "elsewhere", &[("secret", 1.0)], &[]).await;

    let wanted = RunTableSearch {
        experiment_id: experiment,
        order: &["metrics.acc DESC".to_owned()],
        limit: 2,
        ..RunTableSearch::default()
    };
    let first = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    assert_eq!((names(&first), first.total, first.filtered), (vec!["b", "a"], 3, 3));
    // The most frequent first.
    assert_eq!(first.columns[4..], columns(&["metrics.acc", "metrics.loss", "params.depth"]));
    assert_eq!(first.rows[0].metrics.get("acc"), Some(&0.9));
    let wanted = RunTableSearch { page_token: first.next_page_token.as_deref(), ..wanted };
    let second = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    assert_eq!((names(&second), second.next_page_token.as_deref()), (vec!["c"], None));
    assert!(second.rows[0].metrics["acc"].is_nan());

    let wanted = RunTableSearch {
        experiment_id: experiment,
        filter: "metrics.acc > 0.8",
        columns: Some(columns(&["metrics.loss", "metrics.none", "tags.mlflow.runName"])),
        limit: 100,
        ..RunTableSearch::default()
    };
    let chosen = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    assert_eq!((names(&chosen), chosen.total, chosen.filtered), (vec!["b"], 3, 1));
    assert_eq!(chosen.rows[0].metrics.keys().collect::<Vec<_>>(), ["loss"]);
    assert_eq!(chosen.rows[0].tags["mlflow.runName"], "b");
    assert!(chosen.rows[0].params.is_empty());

    let too_many = RunTableSearch {
        experiment_id: experiment,
        columns: Some((0..61).map(|number| RunColumn::Metric(number.to_string())).collect()),
        limit: 1,
        ..RunTableSearch::default()
    };
    assert!(world.services.run_table(&world.ctx(), &too_many).await.is_err());
}

#[tokio::test]
async fn a_curve_comes_with_each_row_that_has_one() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    world.run(experiment, "a", &[("loss", 0.7)], &[]).await;
    world.run(experiment, "b", &[("acc", 0.7)], &[]).await;
    let wanted = RunTableSearch {
        experiment_id: experiment,
        curve: Some("loss"),
        limit: 10,
        order: &["run_name".to_owned()],
        ..RunTableSearch::default()
    };
    let table = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    let curves: Vec<Vec<f64>> =
        table.rows.iter().map(|row| row.curve.iter().map(|point| point.value).collect()).collect();
    assert_eq!(curves, [vec![0.7], vec![]]);
    let strange = RunTableSearch { curve: Some("no\0such"), ..wanted };
    assert!(world.services.run_table(&world.ctx(), &strange).await.unwrap().rows[0].curve.is_empty());
}

#[tokio::test]
async fn groups_are_what_their_runs_come_to() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let mut best = None;
    for (name, model, acc) in [
        ("a", Some("hgb"), 0.5),
        ("b", Some("hgb"), 0.9),
        ("c", Some("hgb"), f64::NAN),
        ("d", Some("it's"), f64::MAX),
        ("e", Some("it's"), f64::MAX),
        ("f", None, 5e-324),
    ] {
        let params: Vec<(&str, &str)> = model.map(|model| ("model", model)).into_iter().collect();
        let run = world.run(experiment, name, &[("acc", acc)], &params).await;
        best = if name == "b" { Some(run) } else { best };
    }
    let wanted = RunGroupSearch {
        experiment_id: experiment,
        view: ViewType::ActiveOnly,
        filter: "",
        by: "params.model".parse().unwrap(),
        metrics: Some(vec!["acc".to_owned(), "none".to_owned()]),
        sort: ("count".parse().unwrap(), true),
        limit: 10,
    };
    let found = world.services.run_groups(&world.ctx(), &wanted).await.unwrap();
    let shape: Vec<_> = found.groups.iter().map(|group| (group.value.as_deref(), group.runs)).collect();
    assert_eq!(shape, [(Some("hgb"), 3), (Some("it's"), 2), (None, 1)]);
    assert_eq!((found.all, found.runs), (3, 6));
    let acc = &found.groups[0].metrics["acc"];
    // Not-a-number is no number.
    assert_eq!((acc.runs, acc.mean, acc.min, acc.max), (2, 0.7, 0.5, 0.9));
    assert_eq!(Some(acc.max_run), best);
    // The greatest numbers have a mean, and the least.
    assert_eq!(found.groups[1].metrics["acc"].mean, f64::MAX);
    assert_eq!(found.groups[2].metrics["acc"].mean, 5e-324);
    assert!(!found.groups[0].metrics.contains_key("none"));

    // Each leads to exactly its runs.
    for filter in ["", "metrics.acc > 0.6 OR run_name IN ('c', 'f')"] {
        let found =
            world.services.run_groups(&world.ctx(), &RunGroupSearch { filter, ..wanted.clone() }).await.unwrap();
        assert!(found.groups.len() > 1);
        for group in &found.groups {
            let search = RunTableSearch {
                experiment_id: experiment,
                filter: &group.filter,
                limit: 10,
                ..RunTableSearch::default()
            };
            let table = world.services.run_table(&world.ctx(), &search).await.unwrap();
            assert_eq!(table.filtered, group.runs, "{}", group.filter);
        }
    }

    let sorted = async |sort: &str, descending: bool| {
        let wanted = RunGroupSearch { sort: (sort.parse().unwrap(), descending), ..wanted.clone() };
        let found = world.services.run_groups(&world.ctx(), &wanted).await.unwrap();
        found.groups.into_iter().map(|group| group.value.unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(sorted("mean.acc", true).await, ["it's", "hgb", ""]);
    assert_eq!(sorted("min.acc", false).await, ["", "hgb", "it's"]);
    assert_eq!(sorted("group", false).await, ["hgb", "it's", ""]);
    assert_eq!(sorted("max.none", true).await, ["hgb", "it's", ""]);
    assert_eq!(sorted("latest", true).await.len(), 3);

    let first = RunGroupSearch { limit: 1, ..wanted.clone() };
    let first = world.services.run_groups(&world.ctx(), &first).await.unwrap();
    assert_eq!((first.groups.len(), first.all, first.runs), (1, 3, 6));
    for by in ["status", "user_id", "run_name", "tags.none", "params.none"] {
        let by = RunGroupSearch { by: by.parse().unwrap(), metrics: None, ..wanted.clone() };
        assert_eq!(world.services.run_groups(&world.ctx(), &by).await.unwrap().runs, 6);
    }
    let by_metric = RunGroupSearch { by: "metrics.acc".parse().unwrap(), ..wanted };
    assert!(world.services.run_groups(&world.ctx(), &by_metric).await.is_err());
}

#[tokio::test]
async fn many_runs_are_changed_all_or_none() {
    let world = World::start().await;
    let (experiment, other) = (world.experiment("wine").await, world.experiment("beer").await);
    let mut runs = BTreeSet::new();
    for name in ["a", "b", "c"] {
        runs.insert(world.run(experiment, name, &[], &[]).await);
    }
    let elsewhere = world.run(other, "d", &[], &[]).await;
    let tag = |value: &str| RunsChange::Tag { key: "team".to_owned(), value: value.to_owned() };
    let change = async |runs: &BTreeSet<RunId>, change: &RunsChange| {
        world.services.change_runs(&world.ctx(), experiment, runs, change).await
    };
    let tags = async || {
        let ids: Vec<RunId> = runs.iter().copied().collect();
        let runs = world.services.runs(&world.ctx(), &ids).await.unwrap();
        runs.iter().map(|run| run.tags.get("team").cloned().unwrap_or_default()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(change(&runs, &tag("lab")).await.unwrap(), 3);
    assert_eq!(tags().await, "lab lab lab");

    let mixed: BTreeSet<RunId> = runs.iter().copied().chain([elsewhere]).collect();
    for what in [tag("other"), RunsChange::Delete] {
        assert_eq!(change(&mixed, &what).await.unwrap_err().kind, ErrorKind::NotFound);
    }
    // One that is put away cannot be tagged, and so none is.
    let first: BTreeSet<RunId> = runs.iter().copied().take(1).collect();
    assert_eq!(change(&first, &RunsChange::Delete).await.unwrap(), 1);
    assert_eq!(change(&runs, &tag("other")).await.unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(tags().await, "lab lab lab");
    assert_eq!(change(&runs, &RunsChange::Delete).await.unwrap(), 2);
    assert_eq!(change(&runs, &RunsChange::Restore).await.unwrap(), 3);
    assert_eq!(change(&runs, &RunsChange::Restore).await.unwrap(), 0);

    for (key, value) in [("", "v"), ("mlflow.runName", "v"), ("k", "a\0b"), ("..", "v")] {
        let wrong = RunsChange::Tag { key: key.to_owned(), value: value.to_owned() };
        assert_eq!(change(&runs, &wrong).await.unwrap_err().kind, ErrorKind::Invalid, "{key:?}");
    }
    let many: BTreeSet<RunId> = (0..1001).map(|_| RunId::new()).collect();
    for runs in [&many, &BTreeSet::new()] {
        assert_eq!(change(runs, &RunsChange::Delete).await.unwrap_err().kind, ErrorKind::Invalid);
    }
    let number = experiment.to_string();
    let history = world.services.audit_events(&world.ctx(), &[(ObjectKind::Experiment, &number)], None, 100).await;
    let actions: Vec<String> = history.unwrap().items.into_iter().map(|event| event.action).collect();
    let count = |wanted: &str| actions.iter().filter(|action| *action == wanted).count();
    assert_eq!((count("experiment.runs_tagged"), count("run.deleted"), count("run.restored")), (1, 3, 3));
}

/// The whole file as text.
async fn exported(world: &World, wanted: &RunExportSearch<'_>) -> String {
    let mut file = world.services.export_runs(&world.ctx(), wanted).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = file.next().await.unwrap() {
        bytes.extend(piece);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_file_holds_what_a_search_finds() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let mut ids = Vec::new();
    for number in 0..1203 {
        let acc = if number % 7 == 0 { f64::NAN } else { f64::from(number) / 3.0 };
        let metrics: &[(&str, f64)] = if number % 5 == 0 { &[] } else { &[("acc", acc)] };
        ids.push(world.run(experiment, &format!("run {number}"), metrics, &[("p", "=1,2")]).await);
    }
    let none = BTreeSet::new();
    let wanted = RunExportSearch {
        experiment_id: experiment,
        view: ViewType::ActiveOnly,
        filter: "metrics.acc IS NOT NULL",
        order: &["metrics.acc DESC".to_owned()],
        runs: &none,
        columns: Some(columns(&["metrics.acc", "params.p", "tags.none", "run_name"])),
        format: ExportFormat::Csv,
    };
    let file = exported(&world, &wanted).await;
    let mut lines = file.lines();
    assert_eq!(lines.next(), Some("run_id,run_name,metrics.acc,params.p,tags.none"));
    // The same runs in the same order, page after page.
    let (mut found, mut token): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let search = RunTableSearch {
            experiment_id: experiment,
            filter: wanted.filter,
            order: wanted.order,
            columns: wanted.columns.clone(),
            page_token: token.as_deref(),
            limit: 200,
            ..RunTableSearch::default()
        };
        let table = world.services.run_table(&world.ctx(), &search).await.unwrap();
        found.extend(
            table
                .rows
                .iter()
                .map(|row| format!("{},{},{:?},\"=1,2\",", row.info.id.simple(), row.info.name, row.metrics["acc"])),
        );
        token = table.next_page_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 962);
    assert!(lines.eq(found.iter().map(String::as_str)));

    let some: BTreeSet<RunId> = [ids[5], ids[6]].into();
    let chosen = RunExportSearch { runs: &some, filter: "", columns: None, ..wanted.clone() };
    let file = exported(&world, &chosen).await;
    assert_eq!(file.lines().count(), 3);
    assert!(file.starts_with("run_id,run_name,status,start_time,end_time,duration,user_id,datasets,versions,metrics.acc,params.p,tags.mlflow.runName\n"), "{file}");
    let wrong = RunExportSearch { filter: "nonsense", ..wanted };
    assert!(world.services.export_runs(&world.ctx(), &wrong).await.is_err());
}

#[tokio::test]
async fn a_filter_is_completed_by_what_the_experiment_has() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    world
        .run(
            experiment,
            "a",
            &[("val/f1", 0.5), ("f1", 0.5), ("train/f1_macro", 0.5)],
            &[("model", "hgb"), ("lr", "0.1")],
        )
        .await;
    world.run(experiment, "b", &[], &[("model", "it's"), ("model name", "x")]).await;
    world.run(world.experiment("other").await, "c", &[("f1_secret", 1.0)], &[("model", "secret")]).await;
    let labels = async |text: &str| {
        let cursor = text.chars().count();
        let found = world.services.complete_run_filter(&world.ctx(), experiment, text, cursor).await.unwrap();
        found.items.into_iter().map(|item| item.label).collect::<Vec<_>>()
    };
    assert_eq!(labels("f1").await, ["metrics.f1", "metrics.val/f1", "metrics.train/f1_macro"]);
    assert_eq!(labels("params.mo").await, ["params.model", "params.model name"]);
    assert_eq!(labels("params.model = ").await, ["hgb", "it's"]);
    assert_eq!(labels("params.model = 'it").await, ["it's"]);
    assert_eq!(labels("status IN ('F").await, ["FINISHED", "FAILED"]);
    assert_eq!(labels("run_name = ").await.len(), 2);
    assert_eq!(labels("start_time > ").await.len(), 4);
    assert_eq!(labels("params.none = ").await, [""; 0]);
    assert_eq!(labels("params.`a\0").await, [""; 0]);
    let found = world.services.complete_run_filter(&world.ctx(), experiment, "params.model = 'i", 17).await.unwrap();
    assert_eq!((found.from, found.to, found.items[0].text.as_str()), (15, 17, "'it''s' "));

    let columns = async |text: &str, grouping: bool| {
        let found = world.services.complete_run_column(&world.ctx(), experiment, text, grouping).await.unwrap();
        found.into_iter().map(|item| item.text).collect::<Vec<_>>()
    };
    assert_eq!(columns("mod", false).await, ["params.model", "params.model name", "params.mod*"]);
    assert_eq!(columns("metrics.f1", false).await, ["metrics.f1", "metrics.val/f1", "metrics.train/f1_macro"]);
    assert_eq!(columns("dur", false).await, ["duration"]);
    assert!(!columns("", true).await.iter().any(|column| column.starts_with("metrics.")));

    let named = async |text: &str| world.services.run_columns_named(&world.ctx(), experiment, text).await;
    let all: Vec<String> = named("params.model*").await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["params.model", "params.model name"]);
    assert_eq!(named("lr").await.unwrap(), self::columns(&["params.lr"]));
    assert_eq!(named("tags.later").await.unwrap(), self::columns(&["tags.later"]));
    for text in ["", "nothing", "nothing*", "a\0"] {
        assert_eq!(named(text).await.unwrap_err().kind, ErrorKind::Invalid, "{text:?}");
    }
}

#[tokio::test]
async fn a_row_tells_what_the_run_read_and_made() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let run = world.run(experiment, "a", &[], &[]).await;
    let input = |name: &str, digest: &str| DatasetInput {
        name: name.to_owned(),
        digest: digest.to_owned(),
        source_type: "code".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: None,
        tags: Default::default(),
    };
    let inputs = vec![input("grapes", "1"), input("grapes", "2"), input("barrels", "1")];
    world.services.log_inputs(&world.ctx(), run, inputs, &[]).await.unwrap();
    world
        .services
        .create_model(&world.ctx(), NewModel { name: "churn".to_owned(), ..NewModel::default() })
        .await
        .unwrap();
    let version = NewModelVersion {
        model: "churn".to_owned(),
        source: format!("runs:/{}/model", run.simple()),
        ..NewModelVersion::default()
    };
    world.services.create_model_version(&world.ctx(), version).await.unwrap();
    let wanted = RunTableSearch { experiment_id: experiment, limit: 10, ..RunTableSearch::default() };
    let table = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    assert_eq!(table.rows[0].datasets, ["barrels", "grapes"]);
    assert_eq!(table.rows[0].versions, [("churn".to_owned(), 1)]);
}

#[tokio::test]
async fn chosen_runs_come_in_the_order_in_which_they_were_chosen() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let one = world.run(experiment, "one", &[("acc", 1.0)], &[]).await;
    let other = world.run(experiment, "other", &[], &[]).await;
    let runs = world.services.runs(&world.ctx(), &[other, RunId::new(), one]).await.unwrap();
    let names: Vec<_> = runs.iter().map(|run| run.info.name.as_str()).collect();
    assert_eq!(names, ["other", "one"]);
    assert_eq!(runs[1].metric("acc"), Some(1.0));
}

#[tokio::test]
async fn keys_are_counted_that_were_ever_logged_and_not_for_another_workspace() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    let run = world.run(experiment, "a", &[("loss", 0.5)], &[("depth", "3")]).await;
    let before = world.services.count_run_keys(&world.ctx(), experiment).await.unwrap();
    world.run(experiment, "b", &[("loss", 0.5), ("acc", 0.5)], &[("depth", "3")]).await;
    world.services.delete_run(&world.ctx(), run).await.unwrap();
    assert_eq!(world.services.count_run_keys(&world.ctx(), experiment).await.unwrap(), before + 1);
    let other = Ctx::system(Workspace { id: WorkspaceId::new(), ..world.workspace.clone() });
    let refused = world.services.count_run_keys(&other, experiment).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotFound);
}
