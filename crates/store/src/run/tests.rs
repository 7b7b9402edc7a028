//! Against a real database: pages in every order join to the whole, and points are read however they lie.

use super::{
    NewRun, RunKey, Stamp, insert,
    key::{self, KeyId},
    log,
    metric::{self, Append},
    pack, search,
};
use crate::{Error, keyset::Mark};
use domain::{
    experiment::ViewType,
    id::{ExperimentId, RunId, WorkspaceId},
    log_key::KeyKind,
    search::run_order,
    series::Point,
    user::Workspace,
};
use sqlx::PgConnection;
use std::collections::HashSet;

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
    let keys = [(KeyKind::Metric, "a"), (KeyKind::Metric, "b"), (KeyKind::Param, "p")];
    let [a_id, b_id, p_id] = key::ids(&mut conn, experiment, &keys).await.unwrap()[..] else { unreachable!() };
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
        let run = insert(&mut conn, &new).await.unwrap();
        // Equal values, not-a-number and missing ones, in several mixes.
        let a = [Some(-0.5), Some(f64::NAN), None, Some(f64::MAX), Some(3.0), Some(3.0)][(number % 6) as usize];
        let b = [Some(1.0), None, Some(f64::NAN)][(number % 3) as usize];
        let points: Vec<(KeyId, Point)> = [(a_id, a), (b_id, b)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, Point { step: 0, timestamp: 0, value: value? })))
            .collect();
        append(&mut conn, run.key(), &points).await;
        let long = "x".repeat(300);
        let value = ["", "é", "É", long.as_str()][(number % 4) as usize];
        if number % 4 != 0 {
            log::insert_params(&mut conn, &run, &[(p_id, value)]).await.unwrap();
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
            let mut joined: Vec<Stamp> = Vec::new();
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
async fn a_key_gets_one_number_whoever_asks_first() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (_, experiment) = workspace(&mut conn).await;
    let keys = [(KeyKind::Metric, "loss"), (KeyKind::Metric, "acc"), (KeyKind::Param, "loss")];
    let racers = (0..8).map(|_| {
        let pool = database.pool.clone();
        tokio::spawn(async move { key::ids(&mut pool.acquire().await.unwrap(), experiment, &keys).await.unwrap() })
    });
    let mut seen = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        seen.push(racer.await.unwrap());
    }
    assert!(seen.iter().all(|ids| *ids == seen[0]));
    assert_eq!(seen[0].iter().collect::<HashSet<_>>().len(), 3);
    // Asking again gives no numbers away: they would run out.
    for _ in 0..20 {
        key::ids(&mut conn, experiment, &keys).await.unwrap();
    }
    key::ids(&mut conn, experiment, &[(KeyKind::Tag, "new")]).await.unwrap();
    let last: i32 = sqlx::query_scalar("select max(id) from log_keys").fetch_one(&mut *conn).await.unwrap();
    assert!(last <= 8 * 3 + 1, "{last}");
}

/// A run of its own, with metrics.
async fn run_with_metrics(conn: &mut PgConnection, names: &[&str]) -> (RunKey, Vec<KeyId>) {
    let (workspace, experiment) = workspace(conn).await;
    let new = NewRun {
        id: RunId::new(),
        workspace,
        experiment,
        name: "run",
        start_time: 0,
        user: None,
        user_name: "",
        token: None,
    };
    let run = insert(conn, &new).await.unwrap().key();
    let keys: Vec<_> = names.iter().map(|name| (KeyKind::Metric, *name)).collect();
    (run, key::ids(conn, experiment, &keys).await.unwrap())
}

async fn append(conn: &mut PgConnection, run: RunKey, points: &[(KeyId, Point)]) -> i64 {
    metric::append(conn, &[Append { run, points }], true).await.unwrap()[&run]
}

/// All points of a metric, by pages of this size.
async fn whole_history(conn: &mut PgConnection, run: RunKey, key: KeyId, limit: usize) -> Vec<Point> {
    let mut joined: Vec<Point> = Vec::new();
    loop {
        let page = metric::history(conn, run, key, joined.last().copied(), limit).await.unwrap();
        assert!(page.points.len() <= limit && !(page.points.is_empty() && page.has_more));
        joined.extend(page.points);
        if !page.has_more {
            return joined;
        }
    }
}

/// Numbers that look random and are the same every time.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

#[tokio::test]
async fn what_was_logged_is_read_however_it_lies() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (run, keys) = run_with_metrics(&mut conn, &["loss", "rare", "same moment", "little"]).await;
    let mut number = numbers(7);
    let mut logged: [Vec<Point>; 4] = Default::default();
    for round in 0..60_i64 {
        let mut points = Vec::new();
        // Late ones, repeated ones, not-a-number, many of one moment, more than a page holds.
        for at in 0..=(number(300) as i64) {
            let time = (round * 200 + at - number(400) as i64).max(0);
            let value = if number(50) == 0 { f64::NAN } else { number(9) as f64 };
            points.push((keys[0], Point { step: time / 3, timestamp: time, value }));
            if number(40) == 0 {
                points.push((keys[1], Point { step: round, timestamp: 5, value: at as f64 }));
            }
            points.push((keys[2], Point { step: number(5000) as i64, timestamp: 1, value: 0.0 }));
        }
        if round % 6 == 0 {
            points.push((keys[3], Point { step: round, timestamp: round, value: 1.0 }));
        }
        if number(3) == 0 {
            let again: Vec<Point> = logged[0].iter().rev().take(20).copied().collect();
            points.extend(again.into_iter().map(|point| (keys[0], point)));
        }
        for part in points.chunks(1000) {
            append(&mut conn, run, part).await;
        }
        for (key, point) in points {
            logged[keys.iter().position(|known| *known == key).unwrap()].push(point);
        }
        if number(2) == 0 {
            pack::pack(&mut conn, run, number(4) == 0).await.unwrap();
        }
    }
    for whole in [false, true] {
        for (key, logged) in keys.iter().zip(&mut logged) {
            logged.sort_by(Point::by_time);
            logged.dedup();
            for limit in [7, 1000, 5000, usize::MAX] {
                let read = whole_history(&mut conn, run, *key, limit).await;
                assert_eq!(read.len(), logged.len(), "by {limit}");
                assert!(read == *logged, "by {limit}");
            }
        }
        let series = metric::series(&mut conn, &[run], &keys, None).await.unwrap();
        for (key, logged) in keys.iter().zip(&logged) {
            let mut by_step = logged.clone();
            by_step.sort_by(Point::by_step);
            assert!(series[&(run, *key)] == by_step);
        }
        pack::pack(&mut conn, run, whole).await.unwrap();
    }
    // What was much lies in chunks, whole; what was little lies together in the journal.
    let chunks: Vec<(KeyId, i64)> =
        sqlx::query_as("select key_id, sum(count) from metric_chunks group by key_id order by key_id")
            .fetch_all(&mut *conn)
            .await
            .unwrap();
    let much: Vec<(KeyId, i64)> = keys.iter().zip(&logged).take(3).map(|(key, all)| (*key, all.len() as i64)).collect();
    assert_eq!(chunks, much);
    let journal: Vec<(bool, Vec<u8>)> =
        sqlx::query_as("select packed, points from metric_journal").fetch_all(&mut *conn).await.unwrap();
    let [(true, row)] = &journal[..] else { panic!("one packed row: {journal:?}") };
    let little: Vec<points::journal::Entry> = logged[3].iter().map(|point| (keys[3].0, *point)).collect();
    assert_eq!(points::journal::decode(row).unwrap().collect::<Vec<_>>(), little);
    assert!(pack::waiting(&mut conn).await.unwrap().is_empty());
}

#[tokio::test]
async fn curves_of_several_runs_are_read_at_once_and_a_long_one_in_part() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (long, keys) = run_with_metrics(&mut conn, &["loss", "other"]).await;
    let (workspace, experiment): (WorkspaceId, ExperimentId) =
        sqlx::query_as("select workspace_id, experiment_id from runs").fetch_one(&mut *conn).await.unwrap();
    let new = NewRun {
        id: RunId::new(),
        workspace,
        experiment,
        name: "short",
        start_time: 0,
        user: None,
        user_name: "",
        token: None,
    };
    let short = insert(&mut conn, &new).await.unwrap().key();
    let point = |step: i64| Point { step, timestamp: step, value: step as f64 };
    for start in (0..90_000).step_by(10_000) {
        let points: Vec<(KeyId, Point)> = (start..start + 10_000).map(|step| (keys[0], point(step))).collect();
        append(&mut conn, long, &points).await;
        pack::pack(&mut conn, long, true).await.unwrap();
    }
    append(&mut conn, short, &[(keys[0], point(1)), (keys[1], point(2))]).await;
    let whole = metric::series(&mut conn, &[long, short], &keys[..1], None).await.unwrap();
    assert_eq!((whole.len(), whole[&(long, keys[0])].len()), (2, 90_000));
    assert_eq!(whole[&(short, keys[0])], [point(1)]);
    let part = metric::series(&mut conn, &[long, short], &keys[..1], Some(4)).await.unwrap();
    let part = &part[&(long, keys[0])];
    assert!(part.len() < 50_000, "{}", part.len());
    assert_eq!((part[0], part[part.len() - 1]), (point(0), point(89_999)));
}

#[tokio::test]
async fn values_of_a_key_are_told_once_each_from_where_somebody_began() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (workspace, experiment) = workspace(&mut conn).await;
    let keys = [(KeyKind::Param, "p"), (KeyKind::Param, "q"), (KeyKind::Tag, "p")];
    let [p, q, tag] = key::ids(&mut conn, experiment, &keys).await.unwrap()[..] else { unreachable!() };
    for number in 0..30 {
        let new = NewRun {
            id: RunId::new(),
            workspace,
            experiment,
            name: "",
            start_time: 0,
            user: None,
            user_name: "",
            token: None,
        };
        let run = insert(&mut conn, &new).await.unwrap();
        let (value, long) = (format!("v{}", number % 5), "w".repeat(300 + number % 3));
        log::insert_params(&mut conn, &run, &[(p, &value), (q, &long)]).await.unwrap();
        log::set_tags(&mut conn, &run, &[(tag, "%")]).await.unwrap();
    }
    let mut values =
        async |kind, key, start: &str, limit| log::distinct_values(&mut conn, kind, key, start, limit).await.unwrap();
    assert_eq!(values(KeyKind::Param, p, "", 20).await, ["v0", "v1", "v2", "v3", "v4"]);
    assert_eq!(values(KeyKind::Param, p, "v3", 20).await, ["v3"]);
    assert_eq!(values(KeyKind::Param, p, "v", 2).await, ["v0", "v1"]);
    assert_eq!(values(KeyKind::Param, p, "x", 20).await, [""; 0]);
    // What is alike as far as it counts is one.
    assert_eq!(values(KeyKind::Param, q, "", 20).await, ["w".repeat(250)]);
    assert_eq!(values(KeyKind::Tag, tag, "%", 20).await, ["%"]);
}

#[tokio::test]
async fn the_latest_point_is_kept_and_a_point_twice_is_one() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (run, keys) = run_with_metrics(&mut conn, &["loss"]).await;
    let point = |step, timestamp, value| (keys[0], Point { step, timestamp, value });
    assert_eq!(append(&mut conn, run, &[point(2, 5, 1.0), point(2, 6, -1.0), point(1, 9, 9.0)]).await, 1);
    assert_eq!(append(&mut conn, run, &[point(2, 6, -1.0)]).await, 2);
    assert_eq!(append(&mut conn, run, &[point(2, 6, f64::NAN), point(2, 6, -2.0)]).await, 3);
    let latest = metric::latest(&mut conn, &[run], &keys).await.unwrap();
    let [(_, latest)] = &latest[&run][..] else { panic!("one metric") };
    assert!(latest.value.is_nan() && latest.step == 2, "not-a-number counts as 0: {latest:?}");
    assert_eq!(whole_history(&mut conn, run, keys[0], 10).await.len(), 5);
    // To a run that is put away nothing comes.
    super::set_stage(&mut conn, run, domain::experiment::LifecycleStage::Deleted).await.unwrap();
    let refused = metric::append(&mut conn, &[Append { run, points: &[point(7, 7, 7.0)] }], true).await.unwrap();
    assert!(refused.is_empty());
    assert_eq!(whole_history(&mut conn, run, keys[0], 10).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_seen_twice_while_it_is_packed() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (run, keys) = run_with_metrics(&mut conn, &["loss"]).await;
    let key = keys[0];
    let writers: Vec<_> = (0..3_i64)
        .map(|writer| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                for round in 0..60_i64 {
                    let point = |at| Point { step: round * 10 + at, timestamp: writer, value: 1.0 };
                    let points: Vec<(KeyId, Point)> = (0..10).map(|at| (key, point(at))).collect();
                    append(&mut pool.acquire().await.unwrap(), run, &points).await;
                }
            })
        })
        .collect();
    let packers: Vec<_> = (0..2)
        .map(|packer| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    let mut tx = pool.begin().await.unwrap();
                    pack::pack(&mut tx, run, packer == 0).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    let mut before = 0;
    while !(writers.iter().all(|task| task.is_finished()) && packers.iter().all(|task| task.is_finished())) {
        let count = metric::series(&mut conn, &[run], &keys, None).await.unwrap().get(&(run, key)).map_or(0, Vec::len);
        assert!(count >= before, "{count} after {before}");
        before = count;
    }
    for task in writers.into_iter().chain(packers) {
        task.await.unwrap();
    }
    assert_eq!(whole_history(&mut conn, run, key, 1000).await.len(), 1800);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_to_several_runs_at_once_waits_for_nobody_for_ever() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let (first, keys) = run_with_metrics(&mut conn, &["loss"]).await;
    let (second, _) = {
        let (workspace, experiment): (WorkspaceId, ExperimentId) =
            sqlx::query_as("select workspace_id, experiment_id from runs").fetch_one(&mut *conn).await.unwrap();
        let new = NewRun {
            id: RunId::new(),
            workspace,
            experiment,
            name: "second",
            start_time: 0,
            user: None,
            user_name: "",
            token: None,
        };
        (insert(&mut conn, &new).await.unwrap().key(), ())
    };
    let key = keys[0];
    let racers: Vec<_> = [[first, second], [second, first]]
        .into_iter()
        .map(|[one, other]| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                for step in 0..200 {
                    let points = [(key, Point { step, timestamp: 0, value: 0.0 })];
                    let both = [Append { run: one, points: &points }, Append { run: other, points: &points }];
                    let opened = metric::append(&mut pool.acquire().await.unwrap(), &both, true).await.unwrap();
                    assert_eq!(opened.len(), 2);
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_numbers_to_overlapping_keys_waits_for_nobody_for_ever() {
    let database = database().await;
    let (_, experiment) = workspace(&mut database.pool.acquire().await.unwrap()).await;
    let racers: Vec<_> = (0..4_usize)
        .map(|racer| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                for round in 0..40 {
                    let mut names: Vec<String> = (0..400).map(|at| format!("{round}/{at}")).collect();
                    names.rotate_left(racer * 100);
                    names.truncate([400, 350, 250, 150][racer]);
                    if racer % 2 == 1 {
                        names.reverse();
                    }
                    let keys: Vec<key::NamedKey<'_>> =
                        names.iter().map(|name| (KeyKind::Metric, name.as_str())).collect();
                    let ids = key::ids(&mut pool.acquire().await.unwrap(), experiment, &keys).await.unwrap();
                    assert_eq!(ids.len(), names.len());
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let count = key::count(&mut database.pool.acquire().await.unwrap(), experiment).await.unwrap();
    assert_eq!(count, 40 * 400);
}
