//! A fresh, migrated database for every test.
//!
//! The first test of a run migrates a template; each test then copies it, which takes tens of milliseconds. The cluster
//! is the one that `SLIPWAY_TEST_DATABASE_URL` names; `scripts/test-postgres.sh` starts a throw-away one.
#![allow(clippy::expect_used, clippy::panic, reason = "a test that cannot get its database has failed")]

use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{future::Future, str::FromStr as _};

/// A database of one test's own. Dropped with the cluster; a test that ends well drops it at once.
#[derive(Debug)]
pub struct TestDatabase {
    /// Connections to it.
    pub pool: PgPool,
    /// Its URL, for processes that the test starts.
    pub url: String,
}

/// Makes a database by copying a template. `migrate` brings the template to the present schema; it runs once for each
/// `key`, which must change when the schema does.
pub async fn database<F, Fut>(key: &str, migrate: F) -> TestDatabase
where
    F: FnOnce(PgPool) -> Fut,
    Fut: Future<Output = ()>,
{
    let base = std::env::var("SLIPWAY_TEST_DATABASE_URL")
        .expect("set SLIPWAY_TEST_DATABASE_URL, or run the tests through scripts/test-postgres.sh or make test");
    let options =
        PgConnectOptions::from_str(&base).expect("SLIPWAY_TEST_DATABASE_URL is the URL of a Postgres database");
    let template = format!("slipway_template_{key}");
    let name = format!("slipway_test_{}", uuid::Uuid::now_v7().simple());

    let mut admin = PgConnection::connect_with(&options).await.expect("the test database answers");
    // Copying needs a template that nobody is connected to: one at a time, under a lock.
    admin.execute("select pg_advisory_lock(7164, 1)").await.expect("the lock of the template");
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1 and datistemplate)")
            .bind(&template)
            .fetch_one(&mut admin)
            .await
            .expect("the list of databases");
    if !exists {
        execute(&mut admin, format!("drop database if exists {template}")).await;
        execute(&mut admin, format!("create database {template}")).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone().database(&template))
            .await
            .expect("the template answers");
        migrate(pool.clone()).await;
        pool.close().await;
        execute(&mut admin, format!("alter database {template} is_template true")).await;
    }
    execute(&mut admin, format!("create database {name} template {template}")).await;
    admin.execute("select pg_advisory_unlock(7164, 1)").await.expect("the lock of the template");
    admin.close().await.expect("the test database answers");

    let pool = PgPoolOptions::new()
        .max_connections(10)
        .connect_with(options.clone().database(&name))
        .await
        .expect("the new database answers");
    TestDatabase { pool, url: with_database(&base, &name) }
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
