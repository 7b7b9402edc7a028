//! What is shown of promotions.

use super::{PromotionFilter, no_promotion, people::People};
use crate::{Ctx, Result, Services, boxed, environment::is_name, link::Links};
use domain::{
    Page,
    deployment::Deployment,
    id::PromotionId,
    log_key::is_of_model,
    page,
    permission::Permission,
    policy::Better,
    promotion::{DecisionVerdict, Electorate, MetricComparison, Promotion, PromotionDetail, PromotionState, standing},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{PgConnection, promotion::Candidate};

impl Services {
    /// Promotions of the workspace, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn promotions(
        &self,
        ctx: &Ctx,
        filter: &PromotionFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Promotion>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        if !filter.model.iter().chain(&filter.environment).all(|name| is_name(name)) {
            return Ok(Page { items: Vec::new(), next_page_token: None });
        }
        let mut conn = self.conn().await?;
        let rows = store::promotion::list(&mut conn, &ctx.sight(), filter, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |promotion| promotion.number))
    }

    /// What waits for whoever asks, oldest first: promotions that they are to decide on, and those in whose discussion
    /// somebody waits for an answer of theirs.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn promotions_waiting_for_me(&self, ctx: &Ctx) -> Result<Vec<Promotion>> {
        let mut waiting = self.promotions_to_decide(ctx).await?;
        let mentioning = self.promotions_mentioning_me(ctx).await?;
        waiting.extend(
            mentioning.into_iter().filter(|one| waiting.iter().all(|known| known.id != one.id)).collect::<Vec<_>>(),
        );
        waiting.sort_by_key(|promotion| promotion.number);
        Ok(waiting)
    }

    /// The open promotions in whose discussion somebody else mentioned whoever asks, who has neither commented on it nor
    /// decided since; oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn promotions_mentioning_me(&self, ctx: &Ctx) -> Result<Vec<Promotion>> {
        let Some(user) = ctx.user().filter(|user| !user.is_service) else { return Ok(Vec::new()) };
        Ok(store::promotion::mentioning(&mut *self.conn().await?, &ctx.sight(), user.id).await?)
    }

    /// What whoever asks is to decide on: promotions that await approval, which they may decide on for a rule that is not
    /// met, and have not yet; oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn promotions_to_decide(&self, ctx: &Ctx) -> Result<Vec<Promotion>> {
        let Some(user) = ctx.user().filter(|user| !user.is_service && ctx.may(Permission::DecidePromotion)) else {
            return Ok(Vec::new());
        };
        let mut conn = self.conn().await?;
        let undecided = store::promotion::undecided_by(&mut conn, &ctx.sight(), user.id).await?;
        if undecided.is_empty() {
            return Ok(undecided);
        }
        let ids: Vec<PromotionId> = undecided.iter().map(|promotion| promotion.id).collect();
        let policies = store::policy::of_promotions(&mut conn, &ids).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let waits = |promotion: &Promotion, electorate: &Electorate| {
            policies
                .get(&promotion.id)
                .is_some_and(|policies| policies.rules().any(|(_, rule)| electorate.seat(user.id, rule).is_ok()))
        };
        let waits = people.each(&mut conn, &undecided, waits).await?;
        Ok(undecided.into_iter().zip(waits).filter_map(|(promotion, waits)| waits.then_some(promotion)).collect())
    }

    /// The names of the rules that are not met, for those of these promotions that await approval.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn open_rules(&self, ctx: &Ctx, promotions: &[Promotion]) -> Result<HashMap<PromotionId, Vec<String>>> {
        let awaiting = promotions.iter().filter(|one| one.state == PromotionState::AwaitingApproval);
        let awaiting: Vec<Promotion> = awaiting.cloned().collect();
        if awaiting.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<PromotionId> = awaiting.iter().map(|promotion| promotion.id).collect();
        let mut conn = self.conn().await?;
        let policies = store::policy::of_promotions(&mut conn, &ids).await?;
        let decisions = store::promotion::decisions_on(&mut conn, &ids).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let open = |promotion: &Promotion, electorate: &Electorate| {
            let decisions = decisions.get(&promotion.id).map(Vec::as_slice).unwrap_or_default();
            let last = promotion.subject_digest.as_ref().map(|digest| standing(decisions, digest)).unwrap_or_default();
            let rules = policies.get(&promotion.id).map(|policies| electorate.standings(policies, &last));
            let open = rules.into_iter().flatten().filter(|rule| !rule.met).map(|rule| rule.rule.name);
            (promotion.id, open.collect())
        };
        Ok(people.each(&mut conn, &awaiting, open).await?.into_iter().collect())
    }

    /// How many that are.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn count_waiting_for_me(&self, ctx: &Ctx) -> Result<i64> {
        Ok(self.promotions_waiting_for_me(ctx).await?.len() as i64)
    }

    /// How many promotions wait for people.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn promotions_awaiting_approval(&self, ctx: &Ctx) -> Result<i64> {
        Ok(store::promotion::count_awaiting(&mut *self.conn().await?, &ctx.sight()).await?)
    }

    /// Who approved the promotion that brought a version to where it serves, in the order in which they did. Nobody when
    /// none did.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn approvers(&self, ctx: &Ctx, deployment: &Deployment) -> Result<Vec<String>> {
        let Some(number) = deployment.promotion_number else { return Ok(Vec::new()) };
        let mut conn = self.conn().await?;
        let promotion = found(&mut conn, ctx, number).await?;
        let Some(digest) = &promotion.subject_digest else { return Ok(Vec::new()) };
        let decisions = store::promotion::decisions(&mut conn, promotion.id).await?;
        let last = standing(&decisions, digest);
        let yes = last.into_iter().filter(|decision| decision.verdict == DecisionVerdict::Approve);
        Ok(yes.map(|decision| decision.user_name.clone()).collect())
    }

    /// The address of a promotion's page, for messages.
    #[must_use]
    pub fn promotion_address(&self, ctx: &Ctx, number: i64) -> String {
        Links { base: self.public_url(), slug: &ctx.workspace.slug }.promotion(number)
    }

    /// A promotion with everything an approver looks at.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn promotion(&self, ctx: &Ctx, number: i64) -> Result<PromotionDetail> {
        let mut conn = self.conn().await?;
        // The digest first: what is read after it can only be newer, and whoever saw newer evidence with an older digest
        // is told to look again. The other way round they would agree to what they did not see.
        let promotion = found(&mut conn, ctx, number).await?;
        let gates = store::promotion::gates(&mut conn, promotion.id).await?;
        let policies = store::policy::of_promotion(&mut conn, promotion.id).await?;
        let decisions = store::promotion::decisions(&mut conn, promotion.id).await?;
        let overrides = store::promotion::overrides(&mut conn, promotion.id).await?;
        let uploaded = store::promotion::evidence(&mut conn, promotion.id).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let electorate = people.electorate(&mut conn, &promotion).await?;

        let candidate = store::promotion::candidate(&mut conn, promotion.model_version_id).await?;
        let champion = match &candidate {
            Some(candidate) => champion(&mut conn, &promotion, candidate).await?,
            None => None,
        };
        let (mut theirs, mut ours) = (BTreeMap::new(), BTreeMap::new());
        if let Some(run) = candidate.and_then(|candidate| candidate.run_id) {
            ours = store::promotion::metrics_of_run(&mut conn, run).await?;
        }
        if let Some(run) = champion.as_ref().and_then(|champion| champion.run_id) {
            theirs = store::promotion::metrics_of_run(&mut conn, run).await?;
        }

        let last = promotion.subject_digest.as_ref().map(|digest| standing(&decisions, digest)).unwrap_or_default();
        let rules = electorate.standings(&policies, &last);
        Ok(PromotionDetail {
            rules,
            champion: champion.map(|champion| champion.version),
            metrics: compare(&ours, &theirs, &policies.better()),
            gates,
            decisions,
            policies,
            overrides,
            evidence: uploaded,
            promotion,
        })
    }
}

/// The promotion of this number, when whoever asks sees it.
pub(super) async fn found(conn: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<Promotion> {
    store::promotion::by_number(conn, &ctx.sight(), number).await?.ok_or_else(|| no_promotion(number))
}

/// The version that the promotion would replace, or at its end was to replace.
async fn champion(conn: &mut PgConnection, promotion: &Promotion, candidate: &Candidate) -> Result<Option<Candidate>> {
    if promotion.state.is_open() {
        let champion = store::deployment::live(conn, promotion.environment_id, candidate.model_id).await?;
        let Some(champion) = champion else { return Ok(None) };
        return Ok(store::promotion::candidate(conn, champion.model_version_id).await?);
    }
    let title = promotion.subject.as_ref().and_then(|subject| subject.champion.as_deref());
    let version = title.and_then(|title| title.rsplit_once(" v")).and_then(|(_, version)| version.parse().ok());
    let Some(version) = version else { return Ok(None) };
    let workspace = promotion.workspace_id;
    Ok(store::promotion::candidate_by_number(conn, workspace, &candidate.model, version).await?)
}

/// Metrics of the candidate beside the champion's, by key; those that a gate asks for first.
fn compare(
    ours: &BTreeMap<String, f64>,
    theirs: &BTreeMap<String, f64>,
    wanted: &BTreeMap<String, Better>,
) -> Vec<MetricComparison> {
    let keys: BTreeSet<&str> =
        ours.keys().chain(theirs.keys()).map(String::as_str).filter(|k| is_of_model(k)).collect();
    let (gated, others): (Vec<&str>, Vec<&str>) = keys.into_iter().partition(|key| wanted.contains_key(*key));
    let comparison = |key: &str| MetricComparison {
        key: key.to_owned(),
        candidate: ours.get(key).copied(),
        champion: theirs.get(key).copied(),
        better: wanted.get(key).copied(),
    };
    gated.into_iter().chain(others).map(comparison).collect()
}
