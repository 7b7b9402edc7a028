//! The decisions of people. Rows are only ever added.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{ChangeRequestId, DecisionId, PromotionId, StepId, UserId},
    promotion::{Decision, DecisionVerdict},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::{BTreeMap, HashMap};

#[derive(FromRow)]
struct Row {
    promotion_id: Option<PromotionId>,
    id: DecisionId,
    user_id: UserId,
    user_name: String,
    verdict: String,
    comment: String,
    subject_digest: Digest,
    rules: Vec<String>,
    acting_for: Vec<Option<UserId>>,
    inputs: Json<BTreeMap<String, BTreeMap<String, serde_json::Value>>>,
    checked: Json<BTreeMap<String, Vec<String>>>,
    reauthenticated: bool,
    at: DateTime<Utc>,
}

impl TryFrom<Row> for Decision {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let seats = row.rules.iter().cloned().zip(row.acting_for);
        let acting_for: BTreeMap<String, UserId> = seats.filter_map(|(rule, away)| Some((rule, away?))).collect();
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            user_name: row.user_name,
            verdict: DecisionVerdict::parse(&row.verdict).ok_or_else(|| Error::unknown("verdict", &row.verdict))?,
            comment: row.comment,
            subject_digest: row.subject_digest,
            rules: row.rules,
            acting_for: (!acting_for.is_empty()).then_some(acting_for),
            inputs: row.inputs.0,
            checked: row.checked.0,
            reauthenticated: row.reauthenticated,
            at: row.at,
        })
    }
}

/// The decisions on a promotion, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn decisions(conn: &mut PgConnection, promotion: PromotionId) -> Result<Vec<Decision>> {
    Ok(decisions_on(conn, &[promotion]).await?.remove(&promotion).unwrap_or_default())
}

/// The decisions on each of these promotions, oldest first; none for those that nobody decided on.
///
/// # Errors
/// When the statement fails.
pub async fn decisions_on(
    conn: &mut PgConnection,
    promotions: &[PromotionId],
) -> Result<HashMap<PromotionId, Vec<Decision>>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select promotion_id, id, user_id, user_name, verdict, comment, subject_digest, rules, acting_for, inputs,
             checked, reauthenticated, at
         from decisions
         where promotion_id = any($1)
         order by id",
    )
    .bind(promotions)
    .fetch_all(conn)
    .await?;
    let mut all: HashMap<PromotionId, Vec<Decision>> = HashMap::new();
    for row in rows {
        let Some(promotion) = row.promotion_id else { continue };
        all.entry(promotion).or_default().push(row.try_into()?);
    }
    Ok(all)
}

/// The decisions on a change request, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn decisions_on_change(conn: &mut PgConnection, request: ChangeRequestId) -> Result<Vec<Decision>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select promotion_id, id, user_id, user_name, verdict, comment, subject_digest, rules, acting_for, inputs,
             checked, reauthenticated, at
         from decisions
         where change_request_id = $1
         order by id",
    )
    .bind(request)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Decision::try_from).collect()
}

/// The decisions on a step, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn decisions_on_step(conn: &mut PgConnection, step: StepId) -> Result<Vec<Decision>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select promotion_id, id, user_id, user_name, verdict, comment, subject_digest, rules, acting_for, inputs,
             checked, reauthenticated, at
         from decisions
         where step_id = $1
         order by id",
    )
    .bind(step)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Decision::try_from).collect()
}

/// What is decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A promotion.
    Promotion(PromotionId),
    /// A change request.
    Change(ChangeRequestId),
    /// A step of a pipeline run.
    Step(StepId),
}

/// Adds a decision.
///
/// # Errors
/// [`Error::Duplicate`] when the person has said the same of this subject.
pub async fn insert_decision(conn: &mut PgConnection, on: On, decision: &Decision) -> Result<()> {
    let (promotion, change, step) = match on {
        On::Promotion(id) => (Some(id), None, None),
        On::Change(id) => (None, Some(id), None),
        On::Step(id) => (None, None, Some(id)),
    };
    let acting_for: Vec<Option<UserId>> = match &decision.acting_for {
        None => Vec::new(),
        Some(_) => decision.rules.iter().map(|rule| decision.acting_for(rule)).collect(),
    };
    sqlx::query(
        "insert into decisions (id, promotion_id, user_id, user_name, verdict, comment, subject_digest, rules,
             acting_for, inputs, checked, reauthenticated, at, change_request_id, step_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(decision.id)
    .bind(promotion)
    .bind(decision.user_id)
    .bind(&decision.user_name)
    .bind(decision.verdict.as_str())
    .bind(&decision.comment)
    .bind(&decision.subject_digest)
    .bind(&decision.rules)
    .bind(acting_for)
    .bind(Json(&decision.inputs))
    .bind(Json(&decision.checked))
    .bind(decision.reauthenticated)
    .bind(decision.at)
    .bind(change)
    .bind(step)
    .execute(conn)
    .await?;
    Ok(())
}
