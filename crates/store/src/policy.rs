//! Revisions of policies. Rows are only ever added.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{PolicyId, PromotionId, WorkspaceId},
    policy::{Policy, PolicyDocument, PolicySet},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::HashMap;

#[derive(FromRow)]
struct Row {
    id: PolicyId,
    workspace_id: WorkspaceId,
    name: String,
    revision: i32,
    document: Json<PolicyDocument>,
    source: Option<String>,
    retired: bool,
    digest: Digest,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl From<Row> for Policy {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            revision: row.revision,
            document: row.document.0,
            source: row.source,
            retired: row.retired,
            digest: row.digest,
            created_at: row.created_at,
            created_by: row.created_by,
        }
    }
}

/// Holds the policies, freezes and members of a workspace as they are until the transaction ends. Others may hold them too;
/// who changes them takes [`crate::workspace::lock`]. Taken before any environment or promotion is locked.
///
/// # Errors
/// When the statement fails.
pub async fn hold(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<()> {
    sqlx::query("select from workspaces where id = $1 for share").bind(workspace).execute(conn).await?;
    Ok(())
}

/// The last revision of each policy of a workspace, in order of name; retired ones too.
///
/// # Errors
/// When the statement fails.
pub async fn latest(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Policy>> {
    let rows: Vec<Row> = sqlx::query_as(
        // From name to name in the index: a policy that is synced from a file may have thousands of revisions, and this is
        // asked at each step of each promotion.
        "with recursive names as (
             (select name from policies where workspace_id = $1 order by name limit 1)
             union all
             select (select name from policies where workspace_id = $1 and name > before.name order by name limit 1)
             from names before
             where before.name is not null
         )
         select p.id, p.workspace_id, p.name, p.revision, p.document, p.source, p.retired, p.digest, p.created_at,
             p.created_by
         from names
         cross join lateral (
             select *
             from policies
             where workspace_id = $1 and name = names.name
             order by revision desc
             limit 1
         ) p
         order by p.name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Policy::from).collect())
}

/// The most revisions of a policy that are read.
const MAX_REVISIONS: i64 = 1000;

/// The revisions of a policy, the last first.
///
/// # Errors
/// When the statement fails.
pub async fn revisions(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Vec<Policy>> {
    newest(conn, workspace, name, MAX_REVISIONS).await
}

/// The last revision of a policy.
///
/// # Errors
/// When the statement fails.
pub async fn last(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Policy>> {
    Ok(newest(conn, workspace, name, 1).await?.pop())
}

async fn newest(conn: &mut PgConnection, workspace: WorkspaceId, name: &str, limit: i64) -> Result<Vec<Policy>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, revision, document, source, retired, digest, created_at, created_by
         from policies
         where workspace_id = $1 and name = $2
         order by revision desc
         limit $3",
    )
    .bind(workspace)
    .bind(name)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Policy::from).collect())
}

/// Adds a revision.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the policy has that revision already.
pub async fn insert(conn: &mut PgConnection, policy: &Policy) -> Result<()> {
    sqlx::query(
        "insert into policies
             (id, workspace_id, name, revision, document, source, retired, digest, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(policy.id)
    .bind(policy.workspace_id)
    .bind(&policy.name)
    .bind(policy.revision)
    .bind(Json(&policy.document))
    .bind(&policy.source)
    .bind(policy.retired)
    .bind(&policy.digest)
    .bind(policy.created_at)
    .bind(&policy.created_by)
    .execute(conn)
    .await?;
    Ok(())
}

/// The revisions that a promotion is held against.
///
/// # Errors
/// When the statement fails.
pub async fn of_promotion(conn: &mut PgConnection, promotion: PromotionId) -> Result<PolicySet> {
    Ok(of_promotions(conn, &[promotion]).await?.remove(&promotion).unwrap_or_default())
}

/// The revisions that each of these promotions is held against; none for those that are held against nothing.
///
/// # Errors
/// When the statement fails.
pub async fn of_promotions(
    conn: &mut PgConnection,
    promotions: &[PromotionId],
) -> Result<HashMap<PromotionId, PolicySet>> {
    #[derive(FromRow)]
    struct Pinned {
        promotion_id: PromotionId,
        #[sqlx(flatten)]
        policy: Row,
    }
    let rows: Vec<Pinned> = sqlx::query_as(
        "select u.promotion_id, p.id, p.workspace_id, p.name, p.revision, p.document, p.source, p.retired, p.digest,
             p.created_at, p.created_by
         from promotion_policies u
         join policies p on p.id = u.policy_id
         where u.promotion_id = any($1)",
    )
    .bind(promotions)
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<PromotionId, Vec<Policy>> = HashMap::new();
    for row in rows {
        all.entry(row.promotion_id).or_default().push(row.policy.into());
    }
    Ok(all.into_iter().map(|(promotion, policies)| (promotion, PolicySet::pinned(policies))).collect())
}

/// Holds a promotion against these revisions instead of those before.
///
/// # Errors
/// When a statement fails.
pub async fn pin(conn: &mut PgConnection, promotion: PromotionId, policies: &PolicySet) -> Result<()> {
    let ids: Vec<PolicyId> = policies.policies().iter().map(|policy| policy.id).collect();
    sqlx::query("delete from promotion_policies where promotion_id = $1 and policy_id <> all($2)")
        .bind(promotion)
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into promotion_policies (promotion_id, policy_id)
         select $1, id from unnest($2::uuid[]) as p (id)
         on conflict do nothing",
    )
    .bind(promotion)
    .bind(&ids)
    .execute(conn)
    .await?;
    Ok(())
}
