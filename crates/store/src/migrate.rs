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
            "update model_version_files set digest = ''",
            "delete from model_version_files",
        ] {
            let refused = sqlx::query(statement).execute(&database.pool).await.unwrap_err();
            assert!(refused.to_string().contains("is append-only"), "{statement}: {refused}");
        }
    }
}
