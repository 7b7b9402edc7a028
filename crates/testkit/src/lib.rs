//! A migrated database without rows for every test.
//!
//! The first test of a run migrates a template, and each test that finds no free copy of it makes one. A test that ends
//! leaves its copy to those that follow: emptying what a test wrote takes a tenth of the time of copying the hundreds of
//! files of a database. The cluster is the one that `SLIPWAY_TEST_DATABASE_URL` names; `scripts/test-postgres.sh` starts
//! a throw-away one.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot get its database has failed")]

use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{future::Future, str::FromStr as _, sync::Mutex};

/// A database of one test's own, until this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// Connections to it.
    pub pool: PgPool,
    /// Its URL, for processes that the test starts.
    pub url: String,
    /// Holds the lock on it. Postgres lets go of it also when the test is killed.
    _lease: Mutex<PgConnection>,
}

/// What a template has beside the schema under test: which tables hold no rows at first, and whether anybody changed the
/// schema since.
const NOTES: &str = "
    create schema testkit;
    create table testkit.empty (name regclass);
    create table testkit.altered (at timestamptz default now());
    do $$
    declare each regclass; filled boolean;
    begin
        for each in select oid from pg_class where relkind = 'r' and relnamespace not in (
            'pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'testkit'::regnamespace
        ) loop
            execute format('select exists (select from %s)', each) into filled;
            if not filled then insert into testkit.empty values (each); end if;
        end loop;
    end $$;
    create function testkit.remember() returns event_trigger language plpgsql
        as 'begin insert into testkit.altered default values; end';
    create event trigger altered on ddl_command_end execute function testkit.remember();
";

/// The tables that hold rows which a test wrote, or did until the last vacuum.
const WRITTEN: &str = "select name::text from testkit.empty where pg_relation_size(name) > 0";

/// Gives a copy of a template. `migrate` brings the template to the present schema; it runs once for each `key`, which
/// must change when the schema does.
pub async fn database<F, Fut>(key: &str, migrate: F) -> TestDatabase
where
    F: FnOnce(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let base = std::env::var("SLIPWAY_TEST_DATABASE_URL")
        .expect("set SLIPWAY_TEST_DATABASE_URL, or run the tests through scripts/test-postgres.sh or make test");
    let options =
        PgConnectOptions::from_str(&base).expect("SLIPWAY_TEST_DATABASE_URL is the URL of a Postgres database");
    let mut admin = PgConnection::connect_with(&options).await.expect("the test database answers");

    let mut number = 1;
    let name = loop {
        let name = format!("slipway_test_{key}_{number}");
        if flag(&mut admin, "select pg_try_advisory_lock(hashtextextended($1, 7164))", &name).await {
            break name;
        }
        number += 1;
    };
    let used = flag(&mut admin, "select exists (select from pg_database where datname = $1)", &name).await;
    if !(used && emptied(&mut admin, &options, &name).await) {
        copy(&mut admin, &options, key, &name, migrate).await;
    }

    let pool = PgPoolOptions::new()
        .max_connections(10)
        // It does not go away, and some tests send thousands of requests.
        .test_before_acquire(false)
        .connect_with(options.database(&name).statement_cache_capacity(512))
        .await
        .expect("the database answers");
    TestDatabase { pool, url: with_database(&base, &name), _lease: Mutex::new(admin) }
}

/// Makes the database by copying the template, which it makes as well when there is none.
async fn copy<F, Fut>(admin: &mut PgConnection, options: &PgConnectOptions, key: &str, name: &str, migrate: F)
where
    F: FnOnce(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let template = format!("slipway_template_{key}");
    // Copying needs a template that nobody is connected to: one at a time, under a lock.
    admin.execute("select pg_advisory_lock(7164, 1)").await.expect("the lock of the template");
    let query = "select exists (select from pg_database where datname = $1 and datistemplate)";
    if !flag(admin, query, &template).await {
        execute(admin, format!("drop database if exists {template}")).await;
        execute(admin, format!("create database {template}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone().database(&template))
            .await
            .expect("the template answers");
        migrate(pool.clone()).await;
        pool.execute(NOTES).await.expect("the notes of the template");
        pool.close().await;
        execute(admin, format!("alter database {template} is_template true")).await;
    }
    execute(admin, format!("drop database if exists {name} with (force)")).await;
    execute(admin, format!("create database {name} template {template}")).await;
    admin.execute("select pg_advisory_unlock(7164, 1)").await.expect("the lock of the template");
}

/// Makes a used database as good as new. Not one whose schema a test changed: that has to be made again.
async fn emptied(admin: &mut PgConnection, options: &PgConnectOptions, name: &str) -> bool {
    // What a killed test left running must not write to the next one's.
    sqlx::query("select pg_terminate_backend(pid, 60000) from pg_stat_activity where datname = $1")
        .bind(name)
        .execute(&mut *admin)
        .await
        .expect("the connections to the database");
    let mut conn =
        PgConnection::connect_with(&options.clone().database(name)).await.expect("the used database answers");
    let altered: bool = sqlx::query_scalar("select exists (select from testkit.altered)")
        .fetch_one(&mut conn)
        .await
        .expect("the notes of the database");
    if !altered {
        let written: Vec<String> =
            sqlx::query_scalar(WRITTEN).fetch_all(&mut conn).await.expect("the tables of the database");
        // The role of a replica: neither foreign keys nor the triggers of what is only ever added to.
        let mut statements = "set session_replication_role = replica;".to_owned();
        statements.extend(written.iter().map(|table| format!("delete from {table};")));
        statements += "select setval(seqrelid, seqstart, false) from pg_sequence;";
        execute(&mut conn, statements).await;
        if !written.is_empty() {
            // Else the rows that are gone would slow down those that follow.
            execute(&mut conn, format!("vacuum {}", written.join(", "))).await;
        }
    }
    conn.close().await.expect("the used database answers");
    !altered
}

/// What a query about this name says.
async fn flag(conn: &mut PgConnection, query: &'static str, name: &str) -> bool {
    sqlx::query_scalar(query).bind(name).fetch_one(conn).await.expect("the test database answers")
}

/// The same URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let scheme = address.find("://").map_or(0, |at| at + 3);
    let end = address[scheme..].find('/').map_or(address.len(), |at| scheme + at);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{name}{query}", &address[..end])
}

async fn execute(conn: &mut PgConnection, statement: String) {
    #[allow(clippy::disallowed_types, reason = "a database's name cannot be bound; it is made here")]
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement).execute(conn).await.expect("the statement");
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn a_url_keeps_its_address_and_options() {
        assert_eq!(with_database("postgres://u@h:1/a", "b"), "postgres://u@h:1/b");
        assert_eq!(with_database("postgres:///a?host=/run/x", "b"), "postgres:///b?host=/run/x");
        assert_eq!(with_database("postgres://u@h", "b"), "postgres://u@h/b");
    }
}
