//! The only crate with SQL: one file a noun, over one Postgres database.
//!
//! Functions take a connection and never open a transaction: `services` decides what happens together. Rows are private
//! to their file; what goes in and comes out are values of `domain`. Statements are literals checked by this crate's
//! tests against a real database, see `docs/decisions/0002-queries-are-checked-by-tests.md`.

/// The states in which a promotion is open, as a list in SQL: those of `PromotionState::open`.
macro_rules! open_promotion_states {
    () => {
        "('draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled', 'deploying', 'verifying')"
    };
}
pub(crate) use open_promotion_states;

pub mod alert;
pub mod artifact;
pub mod audit;
pub mod audit_chain;
pub mod backfill;
pub mod change_request;
pub mod comment;
mod condition;
pub mod counter;
pub mod dataset;
pub mod dataset_object;
pub mod dataset_profile;
pub mod dataset_version;
pub mod delegation;
pub mod demo;
pub mod deployment;
pub mod endpoint;
pub mod environment;
mod error;
pub mod event;
pub mod experiment;
pub mod freeze;
pub mod gpu;
pub mod keyset;
pub mod log;
pub mod logged_model;
pub mod mail;
mod migrate;
pub mod model;
pub mod model_card;
pub mod model_version;
pub mod monitor;
pub mod palette;
pub mod pipeline;
pub mod pipeline_run;
pub mod policy;
pub mod prediction;
pub mod promotion;
pub mod push_hook;
pub mod registration;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod secret_key;
pub mod session;
pub mod step;
pub mod team;
pub mod token;
pub mod trigger;
pub mod upload;
pub mod user;
pub mod wake;
pub mod webhook;
pub mod worker;
pub mod workspace;

pub use error::{Error, Result};
pub use migrate::{is_migrated, migrate, schema_key};
pub use sqlx::{PgConnection, PgPool};

use sqlx::{
    Connection as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr as _, time::Duration};

/// How long a transaction may lie still. A process that was stopped in the middle of one must not hold up all others.
const IDLE_IN_TRANSACTION: (&str, &str) = ("idle_in_transaction_session_timeout", "60s");

/// No statement here runs for so long that compiling it were worth a tenth of a second.
const JIT: (&str, &str) = ("jit", "off");

/// Opens a pool of up to `connections` connections. The database need not answer yet: each use says so by itself.
///
/// # Errors
/// When the URL is not one of a Postgres database.
pub fn connect(url: &str, connections: u32) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)?.application_name("slipway").statement_cache_capacity(256);
    Ok(pool(options.options([IDLE_IN_TRANSACTION, JIT]), connections))
}

/// Opens another pool to the same database: for what must not wait behind everything else.
#[must_use]
pub fn connect_beside(other: &PgPool, connections: u32) -> PgPool {
    pool((*other.connect_options()).clone(), connections)
}

/// Opens a pool to the same database whose statements are planned once and never again: for one that is asked all the time
/// and has one good plan, whatever its values. Planning it anew takes the longer the larger the tables are.
#[must_use]
pub fn connect_planning_once(other: &PgPool, connections: u32) -> PgPool {
    let options = (*other.connect_options()).clone();
    pool(options.options([("plan_cache_mode", "force_generic_plan")]), connections)
}

/// What time it is by the database's clock, which all processes share.
///
/// # Errors
/// When the statement fails.
pub async fn clock(conn: &mut PgConnection) -> Result<chrono::DateTime<chrono::Utc>> {
    Ok(sqlx::query_scalar("select clock_timestamp()").fetch_one(conn).await?)
}

/// A connection that was used so lately is taken for good: asking the database each time whether it still lives would be a
/// question more for every request.
const SURELY_ALIVE: Duration = Duration::from_secs(5);

fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .before_acquire(|conn, used| {
            Box::pin(async move { Ok(used.idle_for < SURELY_ALIVE || conn.ping().await.is_ok()) })
        })
        .connect_lazy_with(options)
}
