//! What is known of the job queue's own ways to lose, double and hold up work, each done to a real worker: runs end all the
//! same, and in seconds. The names are those of the list in
//! `docs/decisions/0007-tables-are-the-truth.md`.

use crate::{
    app::{Client, TestApp},
    step::{PATIENCE, Worker, ended, start},
};
use domain::permission::Role;
use sqlx::{Connection as _, PgConnection, PgPool};
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep};

const FILE: &str = "name: two\nsteps:\n  a: { command: echo a }\n  b: { command: echo b, needs: a }\n";

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

async fn until(pool: &PgPool, sql: &'static str) {
    let deadline = Instant::now() + PATIENCE;
    while count(pool, sql).await == 0 {
        assert!(Instant::now() < deadline, "{sql}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// An id as the queue reads it: 26 digits of Crockford's base 32.
fn ulid() -> String {
    let number = uuid::Uuid::now_v7().as_u128();
    let digit = |at: u32| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[(number >> (5 * at) & 31) as usize]);
    (0..26).rev().map(digit).collect()
}

/// A job as one lies there that the worker of this name was running when it was killed.
async fn held_by(pool: &PgPool, worker: &str, job: &[u8]) {
    sqlx::query(
        "insert into apalis.workers (id, worker_type, storage_name, layers, last_seen)
         values ($1, 'slipway.wake', 'PostgresStorage', '', now())
         on conflict (id) do nothing",
    )
    .bind(worker)
    .execute(pool)
    .await
    .unwrap();
    sqlx::query(
        "insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, lock_by, lock_at)
         values ($1, 'slipway.wake', $2, 'Running', 1, 1, now(), $3, now())",
    )
    .bind(ulid())
    .bind(job)
    .bind(worker)
    .execute(pool)
    .await
    .unwrap();
}

async fn pending(pool: &PgPool, job: &[u8]) {
    sqlx::query(
        "insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at)
         values ($1, 'slipway.wake', $2, 'Pending', 0, 25, now() - interval '1 second')",
    )
    .bind(ulid())
    .bind(job)
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn h1_h13_a_wake_up_that_died_with_its_worker_is_not_missed() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let run = start(&client, FILE).await;
    let pool = &app.database.pool;
    // Whoever held the wake-up is dead, and looks alive to the queue.
    sqlx::query("delete from apalis.jobs").execute(pool).await.unwrap();
    held_by(pool, "worker-0", br#"{"what":"steps","pool":"default"}"#).await;
    let worker = Worker::start(&app);
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    worker.stop().await;
}

#[tokio::test]
async fn h2_heartbeats_go_on_while_a_wake_up_takes_its_time() {
    let app = TestApp::start().await;
    let pool = &app.database.pool;
    let worker = Worker::start(&app);
    until(pool, "select count(*) from apalis.workers").await;
    // Promotions are advanced under a lock that somebody else has.
    let mut others = pool.begin().await.unwrap();
    sqlx::query("lock table promotions in access exclusive mode").execute(&mut *others).await.unwrap();
    for _ in 0..8 {
        let id = domain::id::PromotionId::new();
        pending(pool, format!(r#"{{"what":"promotion","id":"{id}"}}"#).as_bytes()).await;
    }
    until(pool, "select count(*) from apalis.jobs where status = 'Running'").await;
    sqlx::query("create table seen as select max(last_seen) as at from apalis.workers").execute(pool).await.unwrap();
    until(pool, "select count(*) from apalis.workers, seen where last_seen > seen.at").await;
    let again = count(pool, "select count(*) from apalis.jobs where attempts > 1").await;
    assert_eq!(again, 0, "nobody took them for a dead worker's");
    others.rollback().await.unwrap();
    until(pool, "select (count(*) = 0)::int::bigint from apalis.jobs where status <> 'Done'").await;
    worker.stop().await;
}

/// Cuts all connections to the database, in the middle of a look of the queue: one that is cut while nobody uses it is
/// replaced without a word.
async fn cut(app: &TestApp, client: &Client) {
    let mut locks = app.database.pool.begin().await.unwrap();
    sqlx::query("lock table apalis.jobs in access exclusive mode").execute(&mut *locks).await.unwrap();
    let looks = "select count(*)
                 from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and query like '%apalis.get_jobs(%'";
    let deadline = Instant::now() + PATIENCE;
    while sqlx::query_scalar::<_, i64>(looks).fetch_one(&mut *locks).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "the queue does not look for jobs");
        // What a transaction sees of the others' activity stays as it was at its first look.
        sqlx::query("select pg_stat_clear_snapshot()").execute(&mut *locks).await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    sqlx::query(
        "select pg_terminate_backend(pid)
         from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut *locks)
    .await
    .unwrap();
    locks.rollback().await.unwrap();
    // Connections that were cut are found out one by one.
    while client.get("/api/v1/pipelines").await.status != 200 {
        sleep(Duration::from_millis(20)).await;
    }
}

/// A pipeline with a step that goes on until there is a file, whatever it is told.
fn patient(name: &str, go: &Path, notes: &Path) -> String {
    let (go, notes) = (go.display(), notes.display());
    format!(
        "name: {name}\nsteps:\n  a:\n    command: |\n      trap '' TERM\n      echo begun >> {notes}\n      \
         while [ ! -e {go} ]; do sleep 0.05; done\n      echo ended >> {notes}\n"
    )
}

#[tokio::test]
async fn h3_h5_a_worker_whose_connections_were_cut_listens_again_under_another_name() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let pool = &app.database.pool;
    let worker = Worker::start(&app);
    until(pool, "select count(*) from apalis.workers").await;
    let folder = tempfile::tempdir().unwrap();
    let (go, notes) = (folder.path().join("go"), folder.path().join("notes"));
    let patient = start(&client, &patient("patient", &go, &notes)).await;
    until(pool, "select count(*) from steps where state = 'running'").await;
    cut(&app, &client).await;
    // What a worker does is not dropped with its connections.
    std::fs::write(&go, "").unwrap();
    let detail = ended(&client, patient).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    assert_eq!(std::fs::read_to_string(&notes).unwrap(), "begun\nended\n");
    let detail = ended(&client, start(&client, FILE).await).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    until(pool, "select (count(*) > 1)::int::bigint from apalis.workers").await;
    pending(pool, br#"{"what":"webhooks"}"#).await;
    until(pool, "select (count(*) = 0)::int::bigint from apalis.jobs where status <> 'Done'").await;
    worker.stop().await;
}

#[tokio::test]
async fn h4_a_step_that_goes_on_while_its_worker_stops_is_nobody_elses() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let pool = &app.database.pool;
    let lease = Duration::from_secs(2);
    let first = Worker::with_lease(&app, lease);
    let folder = tempfile::tempdir().unwrap();
    let (go, notes) = (folder.path().join("go"), folder.path().join("notes"));
    let run = start(&client, &patient("patient", &go, &notes)).await;
    let text = || std::fs::read_to_string(&notes).unwrap_or_default();
    let begun = Instant::now();
    while text().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the step does not begin");
        sleep(Duration::from_millis(20)).await;
    }
    sqlx::query("create table seen as select lease_until as at from steps where state = 'running'")
        .execute(pool)
        .await
        .unwrap();
    let stopping = tokio::spawn(first.stop());
    let second = Worker::with_lease(&app, lease);
    // Longer than anything waits for a worker that is not heard of.
    until(
        pool,
        "select count(*) from steps, seen where state = 'running' and lease_until > seen.at + interval '4 seconds'",
    )
    .await;
    assert_eq!(text(), "begun\n", "nobody else has begun it");
    std::fs::write(&go, "").unwrap();
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    let notes = text();
    assert!(["begun\nended\n", "begun\nended\nbegun\nended\n"].contains(&notes.as_str()), "{notes}");
    stopping.await.unwrap();
    second.stop().await;
}

#[tokio::test]
async fn h6_h10_what_nobody_can_read_holds_up_nobody_and_goes() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let pool = &app.database.pool;
    for job in [b"no JSON at all".as_slice(), br#"{"what":"of a newer version"}"#, b"[]"] {
        pending(pool, job).await;
    }
    let worker = Worker::start(&app);
    let detail = ended(&client, start(&client, FILE).await).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    worker.stop().await;
    // Whatever state it was left in, the janitor takes it when it is old.
    sqlx::query("update apalis.jobs set run_at = now() - interval '1 day', done_at = null")
        .execute(pool)
        .await
        .unwrap();
    app.services().delete_finished().await.unwrap();
    assert_eq!(count(pool, "select count(*) from apalis.jobs").await, 0);
}

#[tokio::test]
async fn h7_a_wake_up_without_a_notification_is_found() {
    let app = TestApp::start().await;
    let pool = &app.database.pool;
    let worker = Worker::start(&app);
    until(pool, "select count(*) from apalis.workers").await;
    let mut quiet = pool.begin().await.unwrap();
    sqlx::query("set local session_replication_role = replica").execute(&mut *quiet).await.unwrap();
    sqlx::query(
        "insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at)
         values ($1, 'slipway.wake', '{\"what\":\"webhooks\"}', 'Pending', 0, 1, now() - interval '1 second')",
    )
    .bind(ulid())
    .execute(&mut *quiet)
    .await
    .unwrap();
    quiet.commit().await.unwrap();
    until(pool, "select count(*) from apalis.jobs where status = 'Done'").await;
    worker.stop().await;
}

#[tokio::test]
async fn h8_taking_a_wake_up_reads_the_same_few_pages_however_many_there_were() {
    let app = TestApp::start().await;
    let pool = &app.database.pool;
    sqlx::query(
        "insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, done_at)
         select 'done-' || n, 'slipway.wake', '{}', 'Done', 1, 1, now() - interval '1 hour', now()
         from generate_series(1, 60000) as n",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("vacuum analyze apalis.jobs").execute(pool).await.unwrap();
    pending(pool, b"{}").await;
    pending(pool, b"{}").await;
    held_by(pool, "worker-h8", b"{}").await;
    let mut conn = pool.acquire().await.unwrap();
    // The first time in a connection reads about the tables as well.
    let take = "explain (analyze, buffers, format json) select * from apalis.get_jobs('worker-h8', 'slipway.wake', 1)";
    sqlx::query(take).execute(&mut *conn).await.unwrap();
    let plan: serde_json::Value = sqlx::query_scalar(take).fetch_one(&mut *conn).await.unwrap();
    let plan = &plan[0]["Plan"];
    assert_eq!(plan["Actual Rows"].as_f64(), Some(1.0));
    let pages = plan["Shared Hit Blocks"].as_i64().unwrap() + plan["Shared Read Blocks"].as_i64().unwrap();
    let all = count(pool, "select pg_relation_size('apalis.jobs') / 8192").await;
    assert!(pages * 4 < all, "{pages} of {all} pages");
}

#[tokio::test]
async fn h9_what_is_done_and_who_is_gone_does_not_stay() {
    let app = TestApp::start().await;
    let pool = &app.database.pool;
    held_by(pool, "gone", b"{}").await;
    sqlx::query("update apalis.jobs set run_at = now() - interval '1 day'").execute(pool).await.unwrap();
    sqlx::query("update apalis.workers set last_seen = now() - interval '1 day'").execute(pool).await.unwrap();
    pending(pool, br#"{"what":"webhooks"}"#).await;
    app.services().delete_finished().await.unwrap();
    assert_eq!(count(pool, "select count(*) from apalis.workers").await, 0);
    assert_eq!(count(pool, "select count(*) from apalis.jobs").await, 1, "one that waits stays");
}

#[tokio::test]
async fn h11_a_worker_that_begins_without_a_database_waits_for_one() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let run = start(&client, FILE).await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&app.database.pool).await.unwrap();
    let mut beside = PgConnection::connect(&std::env::var("SLIPWAY_TEST_DATABASE_URL").unwrap()).await.unwrap();
    let allow = "update pg_database set datallowconn = $2 where datname = $1";
    sqlx::query(allow).bind(&name).bind(false).execute(&mut beside).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
        .bind(&name)
        .execute(&mut beside)
        .await
        .unwrap();
    let worker = Worker::start(&app);
    // It has tried to connect, and was refused.
    let refused = app.services().claim_step("x", "x", &["default".to_owned()], &[], &[], Duration::from_secs(1)).await;
    assert!(refused.is_err());
    sqlx::query(allow).bind(&name).bind(true).execute(&mut beside).await.unwrap();
    while client.get("/api/v1/pipelines").await.status != 200 {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    worker.stop().await;
}

#[tokio::test]
async fn h14_what_is_due_later_is_taken_later_also_by_the_next_worker() {
    let app = TestApp::start().await;
    let pool = &app.database.pool;
    pending(pool, br#"{"what":"webhooks"}"#).await;
    sqlx::query("update apalis.jobs set run_at = now() + interval '1 hour'").execute(pool).await.unwrap();
    for _ in 0..2 {
        let worker = Worker::start(&app);
        pending(pool, br#"{"what":"mails"}"#).await;
        until(pool, "select (count(*) = 0)::int::bigint from apalis.jobs where run_at <= now() and status <> 'Done'")
            .await;
        let early = count(pool, "select count(*) from apalis.jobs where run_at > now() and status <> 'Pending'").await;
        assert_eq!(early, 0, "its hour has not come");
        worker.stop().await;
    }
    sqlx::query("update apalis.jobs set run_at = now() where status = 'Pending'").execute(pool).await.unwrap();
    let worker = Worker::start(&app);
    until(pool, "select (count(*) = 0)::int::bigint from apalis.jobs where status <> 'Done'").await;
    worker.stop().await;
}

#[tokio::test]
async fn h12_a_transaction_sends_one_wake_up_a_pool() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let values: Vec<String> = (0..50).map(|value| value.to_string()).collect();
    let yaml = format!("name: wide\nsteps:\n  each:\n    command: x\n    matrix: {{ n: [{}] }}\n", values.join(", "));
    start(&client, &yaml).await;
    let pool = &app.database.pool;
    assert_eq!(count(pool, "select count(*) from steps where state = 'ready'").await, 50);
    assert_eq!(count(pool, "select count(*) from apalis.jobs").await, 1);
}
