//! Looking back: what a drafted policy would have decided on promotions that are past, and what became of those of a period.

use super::people::People;
use crate::{Ctx, Result, Services, boxed, now};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Digest, Error,
    environment::Sight,
    id::{PolicyId, PromotionId},
    policy::{Action, Policy, PolicyDocument, PolicySet, Target, parse_name},
    promotion::{Past, PolicySimulation, Promotion, PromotionState, PromotionStatistics, simulate},
};
use std::collections::{BTreeMap, HashMap};
use store::{PgConnection, promotion::Period};

/// How many promotions a draft is held against.
const SIMULATED: usize = 50;
/// How many of the last promotions are looked at to find those that it would hold for.
const LOOKED_AT: usize = 2000;
/// How many of them are read at once.
const PART: i64 = 200;
/// The most promotions that statistics are made of.
const COUNTED: i64 = 10_000;
/// The most reasons of rejections that are told.
const REJECTIONS: i64 = 100;
/// The period of statistics when nothing is said.
const USUAL: TimeDelta = TimeDelta::days(90);

impl Services {
    /// What a policy of this name with this document would have decided on the last promotions that it would hold for,
    /// given what their gates found and people decided then. Nothing is changed.
    ///
    /// # Errors
    /// `Invalid` for a policy without sense.
    #[boxed]
    pub async fn simulate_policy(&self, ctx: &Ctx, name: &str, document: PolicyDocument) -> Result<PolicySimulation> {
        let name = parse_name(name)?;
        document.validate()?;
        let digest = Digest::of_json(&document).map_err(super::present::unexpected)?;
        let draft = PolicySet::pinned([Policy {
            id: PolicyId::new(),
            workspace_id: ctx.workspace_id(),
            name: name.clone(),
            revision: 0,
            document,
            source: None,
            retired: false,
            digest,
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
        }]);
        let mut conn = self.conn().await?;
        let (found, looked_at) = held_for(&mut conn, ctx, &draft).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let ids: Vec<PromotionId> = found.iter().map(|promotion| promotion.id).collect();
        let decisions = store::promotion::decisions_on(&mut conn, &ids).await?;
        let mut gates = HashMap::new();
        for id in ids {
            gates.insert(id, store::promotion::gates(&mut conn, id).await?);
        }
        let simulated = people
            .each(&mut conn, &found, |promotion, electorate| {
                let of = promotion.id;
                let gates = gates.get(&of).map(Vec::as_slice).unwrap_or_default();
                let decisions = decisions.get(&of).map(Vec::as_slice).unwrap_or_default();
                simulate(&draft, &Past { promotion, gates, decisions, electorate })
            })
            .await?;
        Ok(PolicySimulation::new(&name, looked_at, simulated))
    }

    /// What became of the promotions that were requested in a period: the last 90 days when nothing is said.
    ///
    /// # Errors
    /// `Invalid` for a period that ends before it begins.
    #[boxed]
    pub async fn promotion_statistics(
        &self,
        ctx: &Ctx,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<PromotionStatistics> {
        let to = to.unwrap_or_else(now);
        let from = match from {
            Some(from) => from,
            None => to.checked_sub_signed(USUAL).ok_or_else(|| Error::invalid_field("to", "That is too long ago."))?,
        };
        if from >= to {
            return Err(Error::invalid_field("from", "A period begins before it ends."));
        }
        let sight = ctx.sight();
        let period = Period { from, to, most: COUNTED };
        let mut conn = self.conn().await?;
        let promotions = store::promotion::count_of_period(&mut conn, &sight, &period).await?;
        Ok(PromotionStatistics {
            from,
            to,
            promotions: promotions.min(COUNTED),
            is_cut: promotions > COUNTED,
            environments: store::promotion::by_environment(&mut conn, &sight, &period).await?,
            policies: store::promotion::by_policy(&mut conn, &sight, &period).await?,
            rules: store::promotion::by_rule(&mut conn, &sight, &period).await?,
            rejections: store::promotion::rejections(&mut conn, &sight, &period, REJECTIONS).await?,
        })
    }
}

/// The last promotions that a draft would hold for, newest first, and how many were looked at. Drafts of promotions are
/// left out: nobody asked for anything.
async fn held_for(conn: &mut PgConnection, ctx: &Ctx, draft: &PolicySet) -> Result<(Vec<Promotion>, usize)> {
    let environments: HashMap<_, _> = store::environment::list(conn, ctx.workspace_id())
        .await?
        .into_iter()
        .map(|environment| (environment.id, environment.tier))
        .collect();
    let mut tags: HashMap<String, BTreeMap<String, String>> = HashMap::new();
    let sight: Sight = ctx.sight();
    let filter = super::PromotionFilter {
        states: PromotionState::ALL.into_iter().filter(|state| *state != PromotionState::Draft).collect(),
        ..super::PromotionFilter::default()
    };
    let (mut found, mut looked_at, mut before) = (Vec::new(), 0, None);
    while looked_at < LOOKED_AT {
        let part = store::promotion::list(conn, &sight, &filter, before, PART).await?;
        let Some(last) = part.last() else { break };
        before = Some(last.number);
        for promotion in part {
            looked_at += 1;
            if !tags.contains_key(&promotion.model) {
                let of_model = match super::candidate_of(conn, &promotion).await {
                    Ok(candidate) => store::model::tags(conn, candidate.model_id).await?,
                    Err(error) => return Err(error),
                };
                tags.insert(promotion.model.clone(), of_model);
            }
            let Some(tier) = environments.get(&promotion.environment_id) else { continue };
            let target = Target {
                model: &promotion.model,
                tags: &tags[&promotion.model],
                environment: &promotion.environment,
                tier: tier.as_str(),
                action: Action::Promote,
            };
            if draft.policies().iter().all(|policy| policy.document.scope.holds_for(&target)) {
                found.push(promotion);
            }
            if found.len() == SIMULATED {
                return Ok((found, looked_at));
            }
        }
    }
    Ok((found, looked_at))
}
