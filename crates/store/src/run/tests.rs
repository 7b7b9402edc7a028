//! Pages in every order, against a real database: what one page would show is what many pages show.

use super::{NewRun, RunKey, insert, log, metric, search};
use crate::{Error, keyset::Mark};
use domain::{
    experiment::ViewType,
    id::{ExperimentId, RunId, WorkspaceId},
    log_batch::{LogBatch, RawMetric},
    search::run_order,
    user::Workspace,
    values::MetricValue,
};
use sqlx::PgConnection;
use std::collections::BTreeMap;

async fn database() -> testkit::TestDatabase {
    testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await
}

/// A workspace, and the number of its default experiment.
async fn workspace(conn: &mut PgConnection) -> (WorkspaceId, ExperimentId) {
    let workspace = Workspace {
        id: WorkspaceId::new(),
        slug: "lab".to_owned(),
        name: "Lab".to_owned(),
        created_at: chrono::Utc::now(),
    };
    crate::workspace::insert(conn, &workspace).await.unwrap();
    let experiment = crate::experiment::by_id(conn, workspace.id, ExperimentId(0)).await.unwrap().unwrap();
    (workspace.id, experiment.id)
}

#[tokio::test]
async fn pages_in_any_order_join_to_the_whole() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (workspace, experiment) = workspace(&mut conn).await;
    let ids = metric::ids(&mut conn, &["a", "b"]).await.unwrap();
    for number in 0..60_i64 {
        let name = format!("run-{}", number % 7);
        let new = NewRun {
            id: RunId::new(),
            workspace,
            experiment,
            name: &name,
            start_time: number % 5,
            user: None,
            user_name: "",
            token: None,
        };
        let key = insert(&mut conn, &new).await.unwrap();
        // Equal values, not-a-number and missing ones, in several mixes.
        let metric = |key: &str, value: f64| RawMetric {
            key: key.to_owned(),
            value: MetricValue::new(value),
            ..RawMetric::default()
        };
        let a = [Some(-0.5), Some(f64::NAN), None, Some(f64::INFINITY), Some(3.0), Some(3.0)][(number % 6) as usize];
        let b = [Some(1.0), None, Some(f64::NAN)][(number % 3) as usize];
        let metrics: Vec<_> =
            a.map(|value| metric("a", value)).into_iter().chain(b.map(|value| metric("b", value))).collect();
        let batch = LogBatch::parse(&metrics, &[], &[]).unwrap();
        metric::insert(&mut conn, key, &batch.metrics, &ids).await.unwrap();
        let long = "x".repeat(300);
        let value = ["", "é", "É", long.as_str()][(number % 4) as usize];
        if number % 4 != 0 {
            log::insert_params(&mut conn, key, &BTreeMap::from([("p", value)])).await.unwrap();
        }
    }
    for order in [
        vec![],
        vec!["metrics.a ASC"],
        vec!["metrics.a DESC", "metrics.b ASC"],
        vec!["metrics.b DESC", "params.p DESC", "attributes.run_name"],
        vec!["params.p ASC", "metrics.a DESC"],
        vec!["tags.none DESC", "end_time ASC", "status"],
        vec!["artifact_uri DESC"],
        vec!["user_id", "run_id DESC"],
    ] {
        let search = search::Search {
            workspace,
            experiments: vec![experiment],
            view: ViewType::ActiveOnly,
            filter: None,
            order: run_order(&order).unwrap(),
        };
        let whole = search::search(&mut conn, &search, None, 100).await.unwrap();
        assert_eq!((whole.items.len(), whole.next), (60, None));
        for limit in [1, 7, 59, 60] {
            let mut joined: Vec<RunKey> = Vec::new();
            let mut after: Option<Vec<Mark>> = None;
            loop {
                let page = search::search(&mut conn, &search, after.as_deref(), limit).await.unwrap();
                assert!(page.items.len() as i64 <= limit);
                joined.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(joined, whole.items, "{order:?} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_place_of_another_order_is_refused() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (workspace, experiment) = workspace(&mut conn).await;
    let search = search::Search {
        workspace,
        experiments: vec![experiment],
        view: ViewType::All,
        filter: None,
        order: run_order(&["metrics.a"]).unwrap(),
    };
    for place in [
        vec![],
        vec![Mark::Missing, Mark::Integer(1)],
        vec![Mark::Text("x".to_owned()), Mark::Integer(1), Mark::Id(uuid::Uuid::nil())],
        vec![Mark::Missing, Mark::Missing, Mark::Id(uuid::Uuid::nil())],
        vec![Mark::Missing, Mark::NotANumber, Mark::Id(uuid::Uuid::nil())],
    ] {
        let refused = search::search(&mut conn, &search, Some(&place), 1).await;
        assert!(matches!(refused, Err(Error::ForeignPlace)), "{place:?}");
    }
}

#[tokio::test]
async fn a_metrics_key_gets_one_number_whoever_asks_first() {
    let database = database().await;
    let racers = (0..8).map(|_| {
        let pool = database.pool.clone();
        tokio::spawn(
            async move { metric::ids(&mut pool.acquire().await.unwrap(), &["loss", "acc", "loss"]).await.unwrap() },
        )
    });
    let mut seen = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        seen.push(racer.await.unwrap());
    }
    assert!(seen.iter().all(|ids| *ids == seen[0] && ids.len() == 2));
    // Asking again gives no numbers away: they would run out.
    let mut conn = database.pool.acquire().await.unwrap();
    for _ in 0..20 {
        metric::ids(&mut conn, &["loss"]).await.unwrap();
    }
    let next = metric::ids(&mut conn, &["new"]).await.unwrap();
    let last: i32 = sqlx::query_scalar("select max(id) from metric_keys").fetch_one(&mut *conn).await.unwrap();
    assert_eq!((next.len(), last <= 17), (1, true), "{last}");
}
