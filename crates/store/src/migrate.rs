//! Bringing a database to the schema of this build.

use crate::Result;
use sqlx::{PgPool, migrate::Migrator};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Brings the database to the schema of this build. Safe to call from several processes at once, and again.
///
/// # Errors
/// When the database does not answer, holds a newer schema, or a migration fails.
pub async fn migrate(pool: &PgPool) -> Result<()> {
    // The job queue's own tables first: one of our migrations improves one of its functions.
    apalis_postgres::PostgresStorage::migrations().run(pool).await.map_err(of_migrator)?;
    MIGRATIONS.run(pool).await.map_err(of_migrator)
}

/// Whether the database has every migration of this build.
///
/// # Errors
/// When the database does not answer.
pub async fn is_migrated(pool: &PgPool) -> Result<bool> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(pool).await?;
    if !exists {
        return Ok(false);
    }
    let applied: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success order by version")
        .fetch_all(pool)
        .await?;
    Ok(MIGRATIONS.iter().all(|migration| applied.contains(&migration.version)))
}

/// A name that changes whenever a migration does: for templates of test databases.
#[must_use]
pub fn schema_key() -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    MIGRATIONS.iter().for_each(|migration| migration.checksum.hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}

fn of_migrator(error: sqlx::migrate::MigrateError) -> crate::Error {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => error.into(),
        error => crate::Error::Database(sqlx::Error::Migrate(Box::new(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_only_ever_added_to_can_be_changed_by_nobody() {
        let database = testkit::database(&schema_key(), |pool| async move { migrate(&pool).await.unwrap() }).await;
        for statement in [
            "update audit_events set summary = ''",
            "delete from policies",
            "delete from decisions",
            "delete from alias_moves",
            "update model_cards set text = ''",
            "update model_version_files set digest = ''",
            "delete from model_version_files",
            "update audit_chain set seq = seq + 1",
            "delete from audit_chain",
            "delete from audit_checkpoints",
            "truncate audit_events cascade",
            "truncate decisions",
            "truncate policies cascade",
            "truncate alias_moves",
            "truncate model_cards",
            "truncate model_version_files",
            "truncate audit_chain cascade",
            "truncate audit_checkpoints",
            "truncate audit_keys cascade",
        ] {
            let refused = sqlx::query(statement).execute(&database.pool).await.unwrap_err();
            assert!(refused.to_string().contains("is append-only"), "{statement}: {refused}");
        }
    }

    #[tokio::test]
    async fn what_was_logged_before_points_were_packed_is_there_afterwards() {
        use crate::run::{RunKey, metric};
        // A key of its own: this database is changed further by each test that takes it, and made again.
        let key = format!("{}_before_points", schema_key());
        let database = testkit::database(&key, |pool| async move {
            apalis_postgres::PostgresStorage::migrations().run(&pool).await.unwrap();
            let before = MIGRATIONS.iter().filter(|migration| migration.version < 10).cloned().collect();
            Migrator::with_migrations(before).run(&pool).await.unwrap();
        })
        .await;
        sqlx::raw_sql(
            "insert into workspaces (id, slug, name) values (gen_random_uuid(), 'lab', 'Lab');
             insert into experiments (workspace_id, name, creation_time, last_update_time)
             select id, 'one', 0, 0 from workspaces union all select id, 'other', 0, 0 from workspaces;
             insert into runs (id, workspace_id, experiment_id, name, start_time)
             select gen_random_uuid(), e.workspace_id, e.id, e.name, 0 from experiments e order by e.id;
             insert into params (run_key, key, value) select key, 'depth', name from runs;
             insert into run_tags (run_key, key, value) select key, 'team', name from runs;
             insert into metric_keys (name) values ('loss'), ('acc');
             insert into metrics (run_key, metric_id, step, timestamp, value)
             select r.key, k.id, n, n * 10, case n when 300 then 'NaN'::float8 else n + r.key * 1000 end
             from runs r, metric_keys k, generate_series(1, 600) n;
             insert into latest_metrics (run_key, metric_id, step, timestamp, value)
             select r.key, k.id, 600, 6000, 600 + r.key * 1000 from runs r, metric_keys k;
             insert into logged_models (id, workspace_id, experiment_id, name, creation_time, last_update_time)
             select gen_random_uuid(), workspace_id, id, 'm', 0, 0 from experiments limit 1;
             insert into logged_model_metrics (logged_model_id, metric_id, run_key, step, timestamp, value)
             select m.id, k.id, r.key, 1, 2, 3 from logged_models m, metric_keys k, runs r where r.name = 'one';",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        migrate(&database.pool).await.unwrap();

        let mut conn = database.pool.acquire().await.unwrap();
        let runs: Vec<(RunKey, String)> =
            sqlx::query_as("select key, name from runs order by key").fetch_all(&mut *conn).await.unwrap();
        let keys = sqlx::query_scalar("select id from log_keys where kind = 'metric' and name = 'loss' order by id")
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        assert_eq!((runs.len(), keys.len()), (2, 2), "a key belongs to an experiment");
        for ((run, name), key) in runs.iter().zip(keys) {
            let points = metric::history(&mut conn, *run, key, None, 1000).await.unwrap().points;
            assert_eq!(points.len(), 600);
            assert!(points[299].value.is_nan() && points[0].step == 1 && points[599].timestamp == 6000);
            assert_eq!(points[599].value, 600.0 + 1000.0 * (points[599].value / 1000.0).floor());
            let (_, read) = crate::run::load(&mut conn, &[*run]).await.unwrap().remove(0);
            assert_eq!(read.metric("acc"), Some(points[599].value));
            assert_eq!((&read.params["depth"], &read.tags["team"]), (name, name));
        }
        let models: Vec<String> = sqlx::query_scalar("select key from logged_model_metrics order by key")
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        assert_eq!(models, ["acc", "loss"]);
    }
}
