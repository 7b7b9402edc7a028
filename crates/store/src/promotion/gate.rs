//! The gates of a promotion and what they found.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::PromotionId,
    policy::{GateSpec, PolicySet},
    promotion::{Finding, Gate},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeSet;

#[derive(FromRow)]
struct Row {
    position: i32,
    policy: String,
    advisory: bool,
    spec: Json<GateSpec>,
    finding: Option<Json<Finding>>,
    evaluated_at: Option<DateTime<Utc>>,
    asked_at: Option<DateTime<Utc>>,
}

/// The gates of a promotion, in the policy's order.
///
/// # Errors
/// When the statement fails.
pub async fn gates(conn: &mut PgConnection, promotion: PromotionId) -> Result<Vec<Gate>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select position, policy, advisory, spec, finding, evaluated_at, asked_at
         from gates
         where promotion_id = $1
         order by position",
    )
    .bind(promotion)
    .fetch_all(conn)
    .await?;
    let gate = |row: Row| Gate {
        position: row.position,
        policy: row.policy,
        advisory: row.advisory,
        spec: row.spec.0,
        finding: row.finding.map(|finding| finding.0),
        evaluated_at: row.evaluated_at,
        asked_at: row.asked_at,
    };
    Ok(rows.into_iter().map(gate).collect())
}

/// Holds a promotion against policies: their gates take the place of those it had, first those that decide, and none has
/// found anything yet.
///
/// # Errors
/// When a statement fails.
pub async fn reset_gates(conn: &mut PgConnection, promotion: PromotionId, policies: &PolicySet) -> Result<()> {
    crate::policy::pin(conn, promotion, policies).await?;
    sqlx::query("delete from gates where promotion_id = $1").bind(promotion).execute(&mut *conn).await?;
    let deciding = policies.gates().map(|(policy, gate)| (policy, gate, false));
    let all: Vec<_> = deciding.chain(policies.advisory().map(|(policy, gate)| (policy, gate, true))).collect();
    sqlx::query(
        "insert into gates (promotion_id, position, policy, spec, advisory)
         select $1, (position - 1)::integer, policy, spec, advisory
         from unnest($2::text[], $3::jsonb[], $4::boolean[]) with ordinality as given (policy, spec, advisory, position)",
    )
    .bind(promotion)
    .bind(all.iter().map(|(policy, ..)| policy.name.as_str()).collect::<Vec<_>>())
    .bind(all.iter().map(|(_, gate, _)| Json(*gate)).collect::<Vec<_>>())
    .bind(all.iter().map(|(.., advisory)| *advisory).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that what is outside is asked now, where it was not yet. Tells the names of what is asked, each once.
///
/// # Errors
/// When the statement fails.
pub async fn ask(conn: &mut PgConnection, promotion: PromotionId) -> Result<BTreeSet<String>> {
    let names: Vec<String> = sqlx::query_scalar(
        "update gates
         set asked_at = clock_timestamp()
         where promotion_id = $1 and asked_at is null and spec ->> 'kind' = 'external'
         returning spec ->> 'name'",
    )
    .bind(promotion)
    .fetch_all(conn)
    .await?;
    Ok(names.into_iter().collect())
}

/// Says what those gates of a promotion wait for that need the engine or files. Tells whether that is news.
///
/// # Errors
/// When the statement fails.
pub async fn set_waiting(conn: &mut PgConnection, promotion: PromotionId, waiting: &Finding) -> Result<bool> {
    let changed = sqlx::query(
        "update gates
         set finding = $2
         where promotion_id = $1
           and verdict = 'pending'
           and (spec ->> 'kind' in ('golden_row', 'latency_budget', 'slice_floor') or spec ? 'confidence')
           and finding is distinct from $2",
    )
    .bind(promotion)
    .bind(Json(waiting))
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}

/// Notes what the gates found, in their order. What was found before stays, with its time. Tells whether anything is news.
///
/// # Errors
/// When the statement fails.
pub async fn set_findings(conn: &mut PgConnection, promotion: PromotionId, findings: &[Finding]) -> Result<bool> {
    let places: Vec<i32> = (0..).take(findings.len()).collect();
    let all: Vec<(i32, &Finding)> = places.into_iter().zip(findings).collect();
    set_findings_at(conn, promotion, &all).await
}

/// The same, of the gates at these places.
///
/// # Errors
/// When the statement fails.
pub async fn set_findings_at(
    conn: &mut PgConnection,
    promotion: PromotionId,
    findings: &[(i32, &Finding)],
) -> Result<bool> {
    let changed = sqlx::query(
        "update gates g
         set verdict = found.verdict, finding = found.finding,
             evaluated_at = case when found.verdict <> 'pending' then clock_timestamp() end
         from unnest($2::integer[], $3::text[], $4::jsonb[]) as found (position, verdict, finding)
         where g.promotion_id = $1 and g.position = found.position and g.finding is distinct from found.finding",
    )
    .bind(promotion)
    .bind(findings.iter().map(|(place, _)| *place).collect::<Vec<_>>())
    .bind(findings.iter().map(|(_, finding)| finding.verdict.as_str()).collect::<Vec<_>>())
    .bind(findings.iter().map(|(_, finding)| Json(*finding)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() > 0)
}
