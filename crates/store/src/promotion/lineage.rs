//! Who had a part in what is to be promoted.

use crate::Result;
use domain::{
    id::{PromotionId, RunId, UserId},
    pipeline_run::Verdict,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeSet, HashMap};

/// Who stands behind a run, and what it says of its code.
#[derive(Debug, Clone, FromRow)]
pub struct RunPeople {
    /// Whose credential logged it.
    pub user_id: Option<UserId>,
    /// Whether that is no person.
    pub is_service: Option<bool>,
    /// Who started the pipeline run whose step logged it.
    pub started_by: Option<UserId>,
    /// The person behind that pipeline run, when a step of another one started it.
    pub on_behalf_of: Option<UserId>,
    /// The address of the author of its commit, as its tag `slipway.git.author` names it.
    pub author: Option<String>,
}

/// Who stands behind the runs that made the versions of these promotions.
///
/// # Errors
/// When the statement fails.
pub async fn people_behind(
    conn: &mut PgConnection,
    promotions: &[PromotionId],
) -> Result<HashMap<PromotionId, RunPeople>> {
    #[derive(FromRow)]
    struct Row {
        promotion_id: PromotionId,
        #[sqlx(flatten)]
        people: RunPeople,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select o.id as promotion_id, r.user_id, u.is_service, p.started_by, p.on_behalf_of,
             (select t.value
              from run_tags t
              join log_keys k on k.id = t.key_id
              where t.run_key = r.key and k.experiment_id = r.experiment_id and k.kind = 'tag'
                and k.name = 'slipway.git.author'
             ) as author
         from promotions o
         join model_versions v on v.id = o.model_version_id
         join runs r on r.id = v.run_id
         left join users u on u.id = r.user_id
         left join step_attempts a on a.id = r.step_attempt_id
         left join steps s on s.id = a.step_id
         left join pipeline_runs p on p.id = s.run_id
         where o.id = any($1)",
    )
    .bind(promotions)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.promotion_id, row.people)).collect())
}

/// Who uploaded the evidence of these promotions.
///
/// # Errors
/// When the statement fails.
pub async fn uploaders(
    conn: &mut PgConnection,
    promotions: &[PromotionId],
) -> Result<HashMap<PromotionId, BTreeSet<UserId>>> {
    let rows: Vec<(PromotionId, UserId)> = sqlx::query_as(
        "select distinct promotion_id, uploaded_by
         from evidence
         where promotion_id = any($1) and uploaded_by is not null",
    )
    .bind(promotions)
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<PromotionId, BTreeSet<UserId>> = HashMap::new();
    for (promotion, user) in rows {
        all.entry(promotion).or_default().insert(user);
    }
    Ok(all)
}

/// The address of who wrote the code of a run, as its tag `slipway.git.author` names them.
///
/// # Errors
/// When the statement fails.
pub async fn author_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<String>> {
    let author = sqlx::query_scalar(
        "select t.value
         from runs r
         join run_tags t on t.run_key = r.key
         join log_keys k on k.id = t.key_id
         where r.id = $1 and k.name = 'slipway.git.author'",
    )
    .bind(run)
    .fetch_optional(conn)
    .await?;
    Ok(author)
}

/// The image that a run was made in, when it names one: its digest.
///
/// # Errors
/// When the statement fails.
pub async fn image_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<String>> {
    let image = sqlx::query_scalar(
        "select t.value
         from runs r
         join run_tags t on t.run_key = r.key
         join log_keys k on k.id = t.key_id
         where r.id = $1 and k.name in ('mlflow.docker.image.id', 'slipway.image.digest')
         order by k.name desc
         limit 1",
    )
    .bind(run)
    .fetch_optional(conn)
    .await?;
    Ok(image)
}

/// The number of the pipeline run that a run was logged from, that of the last that did it again, and what came of that.
///
/// # Errors
/// When the statement fails.
pub async fn pipeline_reproduction_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<(i64, i64, Verdict)>> {
    let found: Option<(i64, i64, Json<Verdict>)> = sqlx::query_as(
        "select first.number, second.number, second.verdict
         from runs r
         join step_attempts a on a.id = r.step_attempt_id
         join steps s on s.id = a.step_id
         join pipeline_runs first on first.id = s.run_id
         join pipeline_runs second on second.reproduces = first.id
         where r.id = $1 and second.verdict is not null
         order by second.number desc
         limit 1",
    )
    .bind(run)
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(first, second, verdict)| (first, second, verdict.0)))
}

/// The last finished run that repeated this one: it says so by its tag `slipway.reproduces`.
///
/// # Errors
/// When the statement fails.
pub async fn reproduction_of_run(conn: &mut PgConnection, run: RunId) -> Result<Option<RunId>> {
    let second = sqlx::query_scalar(
        "select s.id
         from runs r
         join log_keys k on k.experiment_id = r.experiment_id and k.kind = 'tag' and k.name = 'slipway.reproduces'
         join run_tags t on t.key_id = k.id and left(t.value, 250) = replace(r.id::text, '-', '')
         join runs s on s.key = t.run_key
         where r.id = $1 and s.lifecycle_stage = 'active' and s.status = 'FINISHED'
         order by s.start_time desc, s.id desc
         limit 1",
    )
    .bind(run)
    .fetch_optional(conn)
    .await?;
    Ok(second)
}
