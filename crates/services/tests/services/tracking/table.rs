//! The table of an experiment's runs.

use crate::tracking::world::World;
use domain::{id::RunId, run::DatasetInput};
use services::{NewModel, NewModelVersion, RunTableSearch};

fn names(table: &domain::run::RunTable) -> Vec<&str> {
    table.rows.iter().map(|row| row.info.name.as_str()).collect()
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
    assert_eq!(
        (first.metric_keys, first.param_keys),
        (vec!["acc".to_owned(), "loss".to_owned()], vec!["depth".to_owned()])
    );
    assert_eq!(first.rows[0].metrics.get("acc"), Some(&0.9));
    let wanted = RunTableSearch { page_token: first.next_page_token.as_deref(), ..wanted };
    let second = world.services.run_table(&world.ctx(), &wanted).await.unwrap();
    assert_eq!((names(&second), second.next_page_token.as_deref()), (vec!["c"], None));
    assert!(second.rows[0].metrics["acc"].is_nan());
    assert_eq!(second.param_keys, ["depth", "rare"]);

    let chosen = RunTableSearch {
        experiment_id: experiment,
        filter: "metrics.acc > 0.8",
        metric_keys: Some(vec!["loss".to_owned(), "none".to_owned()]),
        param_keys: Some(Vec::new()),
        limit: 100,
        ..RunTableSearch::default()
    };
    let chosen = world.services.run_table(&world.ctx(), &chosen).await.unwrap();
    assert_eq!((names(&chosen), chosen.total, chosen.filtered), (vec!["b"], 3, 1));
    assert_eq!(chosen.rows[0].metrics.keys().collect::<Vec<_>>(), ["loss"]);
    assert!(chosen.rows[0].params.is_empty());

    let too_many = RunTableSearch {
        experiment_id: experiment,
        metric_keys: Some(vec!["a".to_owned(); 51]),
        limit: 1,
        ..RunTableSearch::default()
    };
    assert!(world.services.run_table(&world.ctx(), &too_many).await.is_err());
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
async fn columns_to_choose_from_are_those_of_the_experiment() {
    let world = World::start().await;
    let experiment = world.experiment("wine").await;
    world.run(experiment, "a", &[("acc", 1.0), ("loss", 1.0)], &[("depth", "3")]).await;
    world.run(experiment, "b", &[("acc", 1.0)], &[]).await;
    world.run(world.experiment("other").await, "c", &[("secret", 1.0)], &[("hidden", "1")]).await;
    let columns = world.services.run_columns(&world.ctx(), experiment).await.unwrap();
    assert_eq!(columns, (vec!["acc".to_owned(), "loss".to_owned()], vec!["depth".to_owned()]));
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
