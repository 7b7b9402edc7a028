//! What goes on by itself: gates run, agreement falls away when what was agreed on changes, an approved version is
//! deployed and verified, requests expire.
//!
//! Called by whoever is woken, as often as they like and by several at once: each step reads the tables, works outside
//! of any lock, and writes what it found only if the promotion still stands where it stood and is still about the same.
//! A process that dies in between leaves a state that the next call goes on from.

use super::{
    announce, candidate_of, event,
    gates::{Known, Observed, advisory, are_of, deciding, hold_back},
    go_on, move_to,
    present::{Present, in_force},
    replay::want_replay,
    run_gates_again, skips,
    standing::{Standing, red, stand},
    trial::Trial,
    write_as_system,
};
use crate::{Event, Result, Services, boxed, commit, deployment, now, promotion::no_promotion};
use domain::{
    Error, ErrorKind,
    deployment::{Deployment, DeploymentState},
    id::{DeploymentId, PromotionId},
    policy::{Action, GateSpec},
    promotion::{Attempt, Finding, GatesStand, Promotion, PromotionState, advance, together},
    prose::{minute, sentence},
};
use sqlx::{Postgres, Transaction};
use store::PgConnection;

/// More turns than there are stations: something else changes it all the time, and the next call goes on.
const TURNS: usize = 16;

/// The most promotions that one round of sweeping takes up: so many that wait for nobody, and as many that wait for
/// people.
const SWEEP: i64 = 500;

/// Where the last round of sweeping stopped, so that the next one goes on from there and nothing waits for ever behind
/// the first ones.
#[derive(Debug, Default)]
pub struct Sweep {
    moving: Option<PromotionId>,
    awaiting: Option<PromotionId>,
}

/// Whether a step changed anything, so that there may be another one.
type Moved = bool;

impl Services {
    /// Goes on with a promotion until it waits for somebody or has ended. Tells where it stands then.
    ///
    /// What cannot be done here and now, for want of the engine or of the artifact store, stays to be done: the page says
    /// what for, and another worker, or the same call later, goes on.
    ///
    /// # Errors
    /// `NotFound` for an unknown id, `Unavailable` when the database does not answer.
    #[boxed]
    pub async fn advance_promotion(&self, id: PromotionId) -> Result<PromotionState> {
        let mut state = PromotionState::GatesRunning;
        for _ in 0..TURNS {
            let promotion = store::promotion::by_id(&mut *self.conn().await?, id).await?;
            let promotion = promotion.ok_or_else(|| Error::not_found("promotion", id))?;
            state = promotion.state;
            let moved = match state {
                PromotionState::GatesRunning => self.run_gates(&promotion).await?,
                PromotionState::Deploying | PromotionState::Verifying => self.deploy(&promotion).await?,
                open if open.is_open() => self.look_again(&promotion).await?,
                _ => false,
            };
            if !moved {
                return Ok(state);
            }
        }
        Ok(state)
    }

    /// The promotions that [`Services::advance_promotion`] may have something to do for, whether or not anybody was woken:
    /// first those that wait for nobody, then those whose subject may have changed while they wait for people. When there
    /// are more than fit one round, the rounds of a `sweep` come to each in turn.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn promotions_to_advance(&self, sweep: &mut Sweep) -> Result<Vec<PromotionId>> {
        let mut conn = self.conn().await?;
        let mut all = store::promotion::moving(&mut conn, sweep.moving, SWEEP).await?;
        sweep.moving = all.last().copied();
        let awaiting = store::promotion::awaiting(&mut conn, sweep.awaiting, SWEEP).await?;
        sweep.awaiting = awaiting.last().copied();
        all.extend(awaiting);
        Ok(all)
    }

    /// Evaluates the gates, and asks people when they pass.
    async fn run_gates(&self, seen: &Promotion) -> Result<Moved> {
        let (read, policies, noted) = {
            let mut conn = self.conn().await?;
            (
                Present::read(&mut conn, seen).await?,
                store::policy::of_promotion(&mut conn, seen.id).await?,
                store::promotion::gates(&mut conn, seen.id).await?,
            )
        };
        let observed = match &read {
            Ok(present) => match self.observe(present, &policies, &noted).await {
                Ok(observed) => observed,
                Err(error) if error.kind == ErrorKind::Unavailable => return self.gates_wait(seen, error).await,
                Err(error) => return Err(error),
            },
            Err(_) => Observed::default(),
        };
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        let now = store::clock(&mut tx).await?;
        if promotion.expires_at <= now {
            expire(&mut tx, &mut promotion).await?;
            commit(tx).await?;
            return Ok(true);
        }
        let present = match Present::read(&mut tx, &promotion).await? {
            Ok(present) => present,
            Err(sentence) => {
                invalidate(&mut tx, &mut promotion, sentence.trim_end_matches('.')).await?;
                commit(tx).await?;
                return Ok(true);
            }
        };
        // What the engine answered says nothing about other files, and other policies ask for something else.
        let policies_now = store::policy::of_promotion(&mut tx, promotion.id).await?;
        if read.is_ok_and(|read| read.files != present.files) || policies_now != policies {
            return Ok(true);
        }
        // It was asked for under policies that may have let it skip.
        if !policies.may_skip()
            && let Some(environment) = store::environment::by_id(&mut tx, promotion.environment_id).await?
            && let Some(sentence) = skips(&mut tx, &environment, &present.candidate).await?
        {
            invalidate(&mut tx, &mut promotion, sentence.trim_end_matches('.')).await?;
            commit(tx).await?;
            return Ok(true);
        }
        let mut noted = store::promotion::gates(&mut tx, promotion.id).await?;
        if !are_of(&noted, &policies) {
            store::promotion::reset_gates(&mut tx, promotion.id, &policies).await?;
            noted = store::promotion::gates(&mut tx, promotion.id).await?;
        }
        let known = Known { before: &noted, now: Some(&observed) };
        let Some(mut found) = deciding(&present, &policies, &known) else { return Ok(true) };
        let asks = noted.iter().any(|gate| gate.asked_at.is_none() && matches!(gate.spec, GateSpec::External { .. }))
            && !hold_back(policies.gates().map(|(_, gate)| gate).zip(&found));
        if asks {
            self.ask_outside(&mut tx, &promotion, &present).await?;
            noted = store::promotion::gates(&mut tx, promotion.id).await?;
            let known = Known { before: &noted, now: Some(&observed) };
            let Some(with_asked) = deciding(&present, &policies, &known) else { return Ok(true) };
            found = with_asked;
        }
        let known = Known { before: &noted, now: Some(&observed) };
        let Some(dry) = advisory(&present, &policies, &known, &found) else { return Ok(true) };
        let all: Vec<Finding> = found.iter().chain(&dry).cloned().collect();
        let news = store::promotion::set_findings(&mut tx, promotion.id, &all).await?;
        let stand = together(found.iter().map(|finding| finding.verdict), false);
        // Somebody outside is waited for: who answers wakes, and what was found out meanwhile is kept.
        if stand == GatesStand::Pending {
            let replays = want_replay(&mut tx, &promotion, &present).await?;
            if news || asks || replays {
                announce(&mut tx, &promotion).await?;
                commit(tx).await?;
            }
            return Ok(false);
        }
        let (subject, digest) = present.subject(&policies, &found)?;

        let title = promotion.title();
        // People were asked already, and the gates were run again: what they find now must be what was agreed on.
        if let (Some(before), Some(digest_before)) = (&promotion.subject, &promotion.subject_digest) {
            let words = match stand {
                GatesStand::Held => Some(red(&store::promotion::gates(&mut tx, promotion.id).await?)),
                _ if digest != *digest_before => Some(before.differences(&subject)),
                _ => None,
            };
            if let Some(words) = words {
                let words = if words.is_empty() { "its evidence changed".to_owned() } else { words };
                invalidate(&mut tx, &mut promotion, &words).await?;
                commit(tx).await?;
                return Ok(true);
            }
        }
        // What people were shown before stays what they were shown, where it ended just now.
        want_replay(&mut tx, &promotion, &present).await?;
        store::promotion::set_subject(&mut tx, promotion.id, Some((&subject, &digest))).await?;
        promotion.subject = Some(subject);
        promotion.subject_digest = Some(digest.clone());
        let (action, summary) = match stand {
            GatesStand::Pending => return Ok(false),
            GatesStand::Passed => {
                move_to(&mut tx, &mut promotion, PromotionState::AwaitingApproval, String::new()).await?;
                let summary = match policies.rules().next() {
                    None => format!("found that {title} passes its gates; nobody needs to approve"),
                    Some(_) => format!("found that {title} passes its gates, and asks for approval"),
                };
                ("promotion.gates_passed", summary)
            }
            GatesStand::Held => {
                let reason = red(&store::promotion::gates(&mut tx, promotion.id).await?);
                let summary = format!("found that {title} does not pass its gates: {reason}");
                move_to(&mut tx, &mut promotion, PromotionState::Blocked, sentence(&reason)).await?;
                ("promotion.blocked", summary)
            }
        };
        let event = event(action, &promotion, &present.candidate, summary).details(
            serde_json::json!({ "subject_digest": digest, "policies": policies.pins(), "state": promotion.state }),
        );
        write_as_system(event, &mut tx, &promotion).await?;
        commit(tx).await?;
        Ok(true)
    }

    /// Says on the page what the gates wait for that cannot be evaluated here and now.
    async fn gates_wait(&self, seen: &Promotion, why: Error) -> Result<Moved> {
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        if promotion.expires_at <= store::clock(&mut tx).await? {
            expire(&mut tx, &mut promotion).await?;
            commit(tx).await?;
            return Ok(true);
        }
        let waiting = Finding::waiting(format!("Waits to be tried. {}", why.message));
        if store::promotion::set_waiting(&mut tx, promotion.id, &waiting).await? {
            tracing::warn!(promotion = %promotion.id, %why, "gates wait");
            announce(&mut tx, &promotion).await?;
            commit(tx).await?;
        }
        Ok(false)
    }

    /// Goes on with a promotion that waits, when the facts let it: first without any lock, and only if there is something
    /// to do, again with them.
    async fn look_again(&self, seen: &Promotion) -> Result<Moved> {
        {
            let standing = stand(&mut *self.conn().await?, seen).await?;
            let is_news = seen.state == PromotionState::Scheduled && sentence(&standing.words) != seen.state_reason;
            if advance(seen.state, &standing.facts).is_none() && !is_news {
                return Ok(false);
            }
        }
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        let standing = stand(&mut tx, &promotion).await?;
        let Some(to) = advance(promotion.state, &standing.facts) else {
            if promotion.state == PromotionState::Scheduled {
                let reason = sentence(&standing.words);
                if store::promotion::set_reason(&mut tx, promotion.id, promotion.state, &reason).await? {
                    announce(&mut tx, &promotion).await?;
                    commit(tx).await?;
                }
            }
            return Ok(false);
        };
        // A worker that cannot try a version does not begin to deploy it: until then the request can be withdrawn.
        if to == PromotionState::Deploying
            && let Err(why) = self.models()
        {
            return stay(tx, &promotion, why).await;
        }
        apply(&mut tx, &mut promotion, to, standing).await?;
        commit(tx).await?;
        Ok(true)
    }

    /// Loads the version where it is to serve, then tries it there, and makes it live when it answers and is still what
    /// was agreed on.
    async fn deploy(&self, seen: &Promotion) -> Result<Moved> {
        let read = Present::read(&mut *self.conn().await?, seen).await?;
        let trial = match &read {
            Ok(present) => match self.try_version(present, None).await {
                Err(error) if error.kind != ErrorKind::Unavailable => return Err(error),
                tried => Some(tried),
            },
            Err(_) => None,
        };
        let mut tx = self.begin().await?;
        store::policy::hold(&mut tx, seen.workspace_id).await?;
        store::environment::lock(&mut tx, seen.environment_id).await?;
        let Some(mut promotion) = store::promotion::lock(&mut tx, seen.id).await?.filter(|p| p.state == seen.state)
        else {
            return Ok(true);
        };
        let Some(deployment) = store::deployment::under_way(&mut tx, promotion.id).await? else {
            tracing::error!(promotion = %promotion.id, "a promotion is being deployed without a deployment");
            return Err(Error::internal());
        };
        // No version of the model is deleted, and no alias moved, from here on.
        store::model::lock(&mut tx, deployment.model_id).await?;
        let mut standing = stand(&mut tx, &promotion).await?;
        if let Some(to) = advance(promotion.state, &standing.facts) {
            apply(&mut tx, &mut promotion, to, standing).await?;
            commit(tx).await?;
            return Ok(true);
        }
        let (Ok(read), Some(trial), Some(present)) = (read, trial, standing.present.take()) else { return Ok(true) };
        if read.files != present.files {
            return Ok(true);
        }
        let trial = match trial {
            Ok(trial) => trial,
            Err(why) => return stay(tx, &promotion, why).await,
        };
        let objection = match promotion.state {
            PromotionState::Deploying => match &trial {
                Trial::Refused(why) | Trial::TooLong(why) => Some(why.clone()),
                Trial::Loaded(..) => None,
            },
            _ => trial.objection(&present, &standing.policies),
        };
        standing.facts.attempt = if objection.is_some() { Attempt::Failed } else { Attempt::Worked };
        standing.words = objection.unwrap_or_default();
        standing.present = Some(present);
        let Some(to) = advance(promotion.state, &standing.facts) else { return Ok(false) };
        apply(&mut tx, &mut promotion, to, standing).await?;
        commit(tx).await?;
        if to == PromotionState::Live {
            self.endpoints.changed();
        }
        Ok(true)
    }

    /// The promotion, locked, with what is in force in its environment held; none when it has moved on since it was seen.
    async fn still(&self, seen: &Promotion) -> Result<Option<(Transaction<'static, Postgres>, Promotion)>> {
        let mut tx = self.begin().await?;
        store::policy::hold(&mut tx, seen.workspace_id).await?;
        store::environment::hold(&mut tx, seen.environment_id).await?;
        let locked = store::promotion::lock(&mut tx, seen.id).await?.ok_or_else(|| no_promotion(seen.number))?;
        Ok((locked.state == seen.state).then_some((tx, locked)))
    }
}

/// Does what the facts let happen: the move, and all that goes with it.
pub(super) async fn apply(
    tx: &mut PgConnection,
    promotion: &mut Promotion,
    to: PromotionState,
    standing: Standing,
) -> Result<()> {
    use PromotionState as S;
    let title = promotion.title();
    match to {
        S::Expired => expire(tx, promotion).await,
        S::Invalidated => invalidate(tx, promotion, &standing.words).await,
        S::AwaitingApproval => {
            move_to(tx, promotion, to, String::new()).await?;
            let candidate = candidate_of(tx, promotion).await?;
            let summary = format!("asked for approval of {title}: its gates are overridden");
            write_as_system(event("promotion.gates_overridden", promotion, &candidate, summary), tx, promotion).await?;
            go_on(tx, promotion).await
        }
        S::Approved => {
            move_to(tx, promotion, to, String::new()).await?;
            promotion.approved_at = Some(store::promotion::set_approved(tx, promotion.id).await?);
            let candidate = candidate_of(tx, promotion).await?;
            let votes: usize = standing.rules.iter().map(|rule| rule.votes.len()).sum();
            let summary = match standing.rules.is_empty() {
                true => format!("approved {title}: no rule asks anybody"),
                false => format!("approved {title}: every rule is satisfied"),
            };
            let event = event("promotion.agreed", promotion, &candidate, summary)
                .details(serde_json::json!({ "subject_digest": promotion.subject_digest, "votes": votes }));
            write_as_system(event, tx, promotion).await?;
            go_on(tx, promotion).await
        }
        S::Scheduled => {
            let reason = sentence(&standing.words);
            let summary = format!("scheduled {title}: {}", standing.words);
            move_to(tx, promotion, to, reason).await?;
            let candidate = candidate_of(tx, promotion).await?;
            write_as_system(event("promotion.scheduled", promotion, &candidate, summary), tx, promotion).await
        }
        S::Deploying => {
            let present = standing.present.ok_or_else(Error::internal)?;
            begin_deployment(tx, promotion, &present).await
        }
        S::Verifying => {
            move_to(tx, promotion, to, String::new()).await?;
            let candidate = candidate_of(tx, promotion).await?;
            let summary = format!("loaded {title}, and verifies it");
            write_as_system(event("promotion.verifying", promotion, &candidate, summary), tx, promotion).await?;
            go_on(tx, promotion).await
        }
        S::Live => {
            let present = standing.present.ok_or_else(Error::internal)?;
            let deployment = under_way(tx, promotion).await?;
            go_live(tx, promotion, &deployment, &present).await?;
            metrics::counter!("slipway_deployments_total", "result" => "live").increment(1);
            Ok(())
        }
        S::Aborted => {
            let deployment = under_way(tx, promotion).await?;
            deployment::fail(tx, &deployment, &standing.words).await?;
            let summary = format!("gave {title} up: {}", standing.words.trim_end_matches('.'));
            move_to(tx, promotion, to, standing.words).await?;
            let candidate = candidate_of(tx, promotion).await?;
            write_as_system(event("promotion.aborted", promotion, &candidate, summary), tx, promotion).await?;
            metrics::counter!("slipway_deployments_total", "result" => "failed").increment(1);
            Ok(())
        }
        _ => {
            tracing::error!(promotion = %promotion.id, ?to, "nothing leads there by itself");
            Err(Error::internal())
        }
    }
}

async fn under_way(tx: &mut PgConnection, promotion: &Promotion) -> Result<Deployment> {
    store::deployment::under_way(tx, promotion.id).await?.ok_or_else(Error::internal)
}

/// Ends a promotion that nobody decided on in time. That is no rejection, and nobody did it.
pub(super) async fn expire(tx: &mut PgConnection, promotion: &mut Promotion) -> Result<()> {
    let reason = format!("It stood until {}.", minute(promotion.expires_at));
    move_to(tx, promotion, PromotionState::Expired, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("let {} expire", promotion.title());
    write_as_system(event("promotion.expired", promotion, &candidate, summary), tx, promotion).await
}

/// Ends a promotion because what was agreed on, or who agreed, no longer holds. `words` end a sentence.
pub(super) async fn invalidate(tx: &mut PgConnection, promotion: &mut Promotion, words: &str) -> Result<()> {
    let reason = sentence(words);
    if promotion.state.is_under_way()
        && let Some(under_way) = store::deployment::under_way(tx, promotion.id).await?
    {
        deployment::fail(tx, &under_way, &format!("What was approved no longer holds. {reason}")).await?;
        metrics::counter!("slipway_deployments_total", "result" => "failed").increment(1);
    }
    let before = promotion.subject_digest.clone();
    move_to(tx, promotion, PromotionState::Invalidated, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("invalidated {}: {words}", promotion.title());
    let event = event("promotion.invalidated", promotion, &candidate, summary)
        .details(serde_json::json!({ "subject_digest": before, "because": words }));
    write_as_system(event, tx, promotion).await
}

/// Begins to bring an approved version into its environment.
async fn begin_deployment(tx: &mut PgConnection, promotion: &mut Promotion, present: &Present) -> Result<()> {
    let deployment = Deployment {
        id: DeploymentId::new(),
        workspace_id: promotion.workspace_id,
        number: store::counter::next(tx, promotion.workspace_id, "deployment").await?,
        environment_id: promotion.environment_id,
        environment: promotion.environment.clone(),
        model_id: present.candidate.model_id,
        model: promotion.model.clone(),
        model_version_id: promotion.model_version_id,
        version: promotion.version,
        digest: present.digest.clone(),
        promotion_id: Some(promotion.id),
        promotion_number: Some(promotion.number),
        rollback_of: None,
        state: DeploymentState::Deploying,
        state_reason: String::new(),
        created_by: promotion.requester.clone(),
        created_at: now(),
        live_at: None,
        retired_at: None,
    };
    store::deployment::insert(tx, &deployment).await?;
    move_to(tx, promotion, PromotionState::Deploying, String::new()).await?;
    let summary = format!("began to deploy {} to {}", promotion.version_title(), promotion.environment);
    let event = deployment::event("deployment.started", &deployment, summary)
        .details(serde_json::json!({ "subject_digest": promotion.subject_digest, "digest": deployment.digest }));
    write_as_system(event, tx, promotion).await?;
    deployment::announce(tx, &deployment).await?;
    go_on(tx, promotion).await
}

/// Says on the page why a promotion stays where it is: what is next cannot be done here and now.
async fn stay(mut tx: Transaction<'static, Postgres>, promotion: &Promotion, why: Error) -> Result<Moved> {
    let reason = format!("Waits to be tried. {}", why.message);
    if store::promotion::set_reason(&mut tx, promotion.id, promotion.state, &reason).await? {
        tracing::warn!(promotion = %promotion.id, %why, "a deployment waits");
        announce(&mut tx, promotion).await?;
        commit(tx).await?;
    }
    Ok(false)
}

/// Makes a deployment live, in the transaction that found it to be what was agreed on, under the environment's lock.
async fn go_live(
    tx: &mut PgConnection,
    promotion: &mut Promotion,
    deployment: &Deployment,
    present: &Present,
) -> Result<()> {
    let title = promotion.version_title();
    if let Some(champion) = &present.champion {
        deployment::retire(tx, champion, &title).await?;
    }
    deployment::make_live(tx, deployment, &promotion.requester).await?;
    move_to(tx, promotion, PromotionState::Live, String::new()).await?;
    let summary = format!("brought {title} live in {}", promotion.environment);
    let event: Event = deployment::event("deployment.live", deployment, summary).details(serde_json::json!({
        "subject_digest": promotion.subject_digest,
        "digest": deployment.digest,
        "replaced": present.champion.as_ref().map(|champion| champion.version),
    }));
    write_as_system(event, tx, promotion).await?;

    for mut other in store::promotion::lock_open(tx, promotion.environment_id, Some(deployment.model_id)).await? {
        if other.version < promotion.version {
            supersede(tx, &mut other, &title).await?;
        }
    }
    meet_new_champion(tx, deployment).await
}

/// What is on its way to take the place of what serves now has somebody else to beat: what nobody agreed to yet runs its
/// gates again, the rest no longer holds. What is being deployed finds out by itself, before it is live.
pub(crate) async fn meet_new_champion(tx: &mut PgConnection, live: &Deployment) -> Result<()> {
    let title = deployment::title(live);
    for mut open in store::promotion::lock_open(tx, live.environment_id, Some(live.model_id)).await? {
        match open.state {
            PromotionState::Draft | PromotionState::Deploying | PromotionState::Verifying => {}
            PromotionState::GatesRunning | PromotionState::Blocked => {
                let reason = format!("Runs its gates again: {} now serves {title}.", live.environment);
                run_gates_again(tx, &mut open, None, reason).await?;
                let summary =
                    format!("ran the gates of {} again: {} now serves {title}", open.title(), live.environment);
                let candidate = candidate_of(tx, &open).await?;
                write_as_system(event("promotion.gates_restarted", &open, &candidate, summary), tx, &open).await?;
            }
            _ => invalidate(tx, &mut open, &format!("{} now serves {title}", live.environment)).await?,
        }
    }
    Ok(())
}

/// Holds what is open against the policies in force now: what nobody was asked about yet runs its gates under them, and
/// what people were asked about ends when they became stricter. What is being deployed finds out by itself.
pub(crate) async fn meet_new_policies(tx: &mut PgConnection, promotions: Vec<Promotion>, because: &str) -> Result<()> {
    for mut open in promotions {
        let candidate = candidate_of(tx, &open).await?;
        let Some(environment) = store::environment::by_id(tx, open.environment_id).await? else { continue };
        let policies = in_force(tx, &environment, &candidate, Action::Promote).await?;
        let pinned = store::policy::of_promotion(tx, open.id).await?;
        if pinned == policies || open.state.is_under_way() {
            continue;
        }
        match open.state {
            PromotionState::Draft => store::policy::pin(tx, open.id, &policies).await?,
            PromotionState::GatesRunning | PromotionState::Blocked => {
                let reason = format!("Runs its gates again: {because}.");
                run_gates_again(tx, &mut open, Some(&policies), reason).await?;
                let summary = format!("ran the gates of {} again: {because}", open.title());
                let event = event("promotion.gates_restarted", &open, &candidate, summary)
                    .details(serde_json::json!({ "policies": policies.pins() }));
                write_as_system(event, tx, &open).await?;
            }
            _ => {
                let more = domain::policy::stricter(&pinned, &policies);
                if !more.is_empty() {
                    invalidate(tx, &mut open, &format!("the policies became stricter: {}", more.join(", "))).await?;
                }
            }
        }
    }
    Ok(())
}

/// Ends a promotion because another version is live now: one that is open, or was live until then.
pub(crate) async fn supersede(tx: &mut PgConnection, promotion: &mut Promotion, by: &str) -> Result<()> {
    let reason = format!("{by} went live.");
    if promotion.state.is_under_way()
        && let Some(under_way) = store::deployment::under_way(tx, promotion.id).await?
    {
        deployment::fail(tx, &under_way, &reason).await?;
    }
    move_to(tx, promotion, PromotionState::Superseded, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("ended {}: {by} went live", promotion.title());
    write_as_system(event("promotion.superseded", promotion, &candidate, summary), tx, promotion).await
}
