//! What goes on by itself: gates run, approval falls away when its subject changes, an approved version is deployed.
//!
//! Called by whoever is woken, as often as they like and by several at once: each step reads the tables, works outside
//! of any lock, and writes what it found only if the promotion still stands where it stood and is still about the same.
//! A process that dies in between leaves a state that the next call goes on from.

use super::{
    announce, candidate_of,
    decide::{approvals, fall_away, invalidate, settle},
    event, move_to,
    present::{Present, Standing, standing},
    run_gates_again, write_as_system,
};
use crate::{Event, Result, Services, boxed, commit, deployment, now, promotion::no_promotion};
use domain::{
    Error, ErrorKind,
    deployment::{Deployment, DeploymentState},
    environment::GateSpec,
    id::{DeploymentId, PromotionId},
    promotion::{Finding, Promotion, PromotionState, Verdict, after_gates},
};
use sqlx::{Postgres, Transaction};
use store::PgConnection;

/// More turns than there are stations: something else changes it all the time, and the next call goes on.
const TURNS: usize = 12;

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
                PromotionState::AwaitingApproval => self.look_again(&promotion).await?,
                PromotionState::Approved => self.begin_deployment(&promotion).await?,
                PromotionState::Deploying => self.deploy(&promotion).await?,
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
        let read = Present::read(&mut *self.conn().await?, seen).await?;
        let trial = match &read {
            Ok(present) if asks_for_golden_rows(present) => match self.try_version(present).await {
                Ok(trial) => Some(trial),
                Err(error) if error.kind == ErrorKind::Unavailable => return self.gates_wait(seen, error).await,
                Err(error) => return Err(error),
            },
            _ => None,
        };
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        let present = match Present::read(&mut tx, &promotion).await? {
            Ok(present) => present,
            Err(sentence) => {
                invalidate(&mut tx, &mut promotion, sentence).await?;
                commit(tx).await?;
                return Ok(true);
            }
        };
        // What the engine answered says nothing about other files.
        let tried = trial.as_ref().filter(|_| read.is_ok_and(|read| read.files == present.files));
        let Some(findings) = present.findings(|tolerance| Some(tried?.finding(tolerance, &present.digest))) else {
            return Ok(true);
        };
        let policy = &present.policy;
        store::promotion::reset_gates(&mut tx, promotion.id, policy.id, &policy.document.gates).await?;
        store::promotion::set_findings(&mut tx, promotion.id, &findings).await?;
        let (subject, digest) = present.subject(&findings)?;
        store::promotion::set_subject(&mut tx, promotion.id, Some((&subject, &digest))).await?;
        promotion.subject = Some(subject);
        promotion.subject_digest = Some(digest.clone());

        let title = promotion.title();
        let verdicts = findings.iter().map(|finding| finding.verdict);
        let (action, summary) = if after_gates(verdicts) == PromotionState::AwaitingApproval {
            let reason = promotion.state_reason.clone();
            move_to(&mut tx, &mut promotion, PromotionState::AwaitingApproval, reason).await?;
            let members = store::workspace::members(&mut tx, promotion.workspace_id).await?;
            let approvals = settle(&mut tx, &mut promotion, &present, &members).await?;
            let summary = match (policy.document.rule.approvals, approvals) {
                (0, _) => format!("found that {title} passes its gates; nobody needs to approve"),
                (_, 0) => format!("found that {title} passes its gates, and asks for approval"),
                (_, n) => format!("found that {title} passes its gates as before; approvals that count: {n}"),
            };
            ("promotion.gates_passed", summary)
        } else {
            let reason = obstacles(&policy.document.gates, &findings);
            let summary = format!("found that {title} does not pass its gates: {reason}");
            move_to(&mut tx, &mut promotion, PromotionState::Blocked, sentence(&reason)).await?;
            ("promotion.blocked", summary)
        };
        let event = event(action, &promotion, &present.candidate, summary).details(
            serde_json::json!({ "subject_digest": digest, "policy": policy.digest, "state": promotion.state }),
        );
        write_as_system(event, &mut tx, &promotion).await?;
        commit(tx).await?;
        Ok(true)
    }

    /// Says on the page what the gates wait for that cannot be evaluated here and now.
    async fn gates_wait(&self, seen: &Promotion, why: Error) -> Result<Moved> {
        let Some((mut tx, promotion)) = self.still(seen).await? else { return Ok(true) };
        let waiting = Finding::waiting(format!("Waits to be tried. {}", why.message));
        if store::promotion::set_waiting(&mut tx, promotion.id, &waiting).await? {
            tracing::warn!(promotion = %promotion.id, %why, "gates wait");
            announce(&mut tx, &promotion).await?;
            commit(tx).await?;
        }
        Ok(false)
    }

    /// Lets approval fall away when its subject is no longer what there is; counts again who has approved.
    async fn look_again(&self, seen: &Promotion) -> Result<Moved> {
        {
            let mut conn = self.conn().await?;
            if let Standing::Same(present) = standing(&mut conn, seen).await? {
                let members = store::workspace::members(&mut conn, seen.workspace_id).await?;
                if approvals(&mut conn, seen, &members).await? < present.policy.document.rule.approvals {
                    return Ok(false);
                }
            }
        }
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        match standing(&mut tx, &promotion).await? {
            Standing::Same(present) => {
                let members = store::workspace::members(&mut tx, promotion.workspace_id).await?;
                settle(&mut tx, &mut promotion, &present, &members).await?;
                if promotion.state == PromotionState::AwaitingApproval {
                    return Ok(false);
                }
                let summary = format!("counted the approvals of {} again: enough", promotion.title());
                let event = event("promotion.approvals_counted", &promotion, &present.candidate, summary);
                write_as_system(event, &mut tx, &promotion).await?;
            }
            changed => drop(fall_away(&mut tx, &mut promotion, changed).await?),
        }
        commit(tx).await?;
        Ok(true)
    }

    /// Begins to bring an approved version into its environment. A worker that cannot try it does not begin: until then
    /// the request can be withdrawn.
    async fn begin_deployment(&self, seen: &Promotion) -> Result<Moved> {
        let Some((mut tx, mut promotion)) = self.still(seen).await? else { return Ok(true) };
        let Some(present) = self.still_agreed(&mut tx, &mut promotion).await? else {
            commit(tx).await?;
            return Ok(true);
        };
        if let Err(why) = self.models() {
            return stay(tx, &promotion, why).await;
        }
        let deployment = Deployment {
            id: DeploymentId::new(),
            workspace_id: promotion.workspace_id,
            number: store::counter::next(&mut tx, promotion.workspace_id, "deployment").await?,
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
        store::deployment::insert(&mut tx, &deployment).await?;
        move_to(&mut tx, &mut promotion, PromotionState::Deploying, String::new()).await?;
        let summary = format!("began to deploy {} to {}", promotion.version_title(), promotion.environment);
        let event = deployment::event("deployment.started", &deployment, summary)
            .details(serde_json::json!({ "subject_digest": promotion.subject_digest, "digest": deployment.digest }));
        write_as_system(event, &mut tx, &promotion).await?;
        deployment::announce(&mut tx, &deployment).await?;
        commit(tx).await?;
        Ok(true)
    }

    /// Tries the version in the engine, and makes it live when it answers and is still what was agreed on.
    async fn deploy(&self, seen: &Promotion) -> Result<Moved> {
        let read = Present::read(&mut *self.conn().await?, seen).await?;
        let trial = match &read {
            Ok(present) => match self.try_version(present).await {
                Err(error) if error.kind != ErrorKind::Unavailable => return Err(error),
                tried => Some(tried),
            },
            Err(_) => None,
        };
        let mut tx = self.begin().await?;
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
        let Some(present) = self.still_agreed(&mut tx, &mut promotion).await? else {
            let reason = format!("What was approved no longer holds. {}", promotion.state_reason);
            deployment::fail(&mut tx, &deployment, &reason).await?;
            commit(tx).await?;
            metrics::counter!("slipway_deployments_total", "result" => "failed").increment(1);
            return Ok(true);
        };
        let (Ok(read), Some(trial)) = (read, trial) else { return Ok(true) };
        if read.files != present.files {
            return Ok(true);
        }
        let trial = match trial {
            Ok(trial) => trial,
            Err(why) => return stay(tx, &promotion, why).await,
        };
        let result = match trial.objection(&present) {
            Some(reason) => {
                deployment::fail(&mut tx, &deployment, &reason).await?;
                move_to(&mut tx, &mut promotion, PromotionState::Failed, reason).await?;
                "failed"
            }
            None => {
                go_live(&mut tx, &mut promotion, &deployment, &present).await?;
                "live"
            }
        };
        commit(tx).await?;
        self.endpoints.changed();
        metrics::counter!("slipway_deployments_total", "result" => result).increment(1);
        Ok(true)
    }

    /// The promotion, locked, with what is in force in its environment held; none when it has moved on since it was seen.
    async fn still(&self, seen: &Promotion) -> Result<Option<(Transaction<'static, Postgres>, Promotion)>> {
        let mut tx = self.begin().await?;
        store::environment::hold(&mut tx, seen.environment_id).await?;
        let locked = store::promotion::lock(&mut tx, seen.id).await?.ok_or_else(|| no_promotion(seen.number))?;
        Ok((locked.state == seen.state).then_some((tx, locked)))
    }

    /// What would be deployed, when it is what was agreed on and enough of those who agreed still count. Otherwise the
    /// promotion goes back to where that can be mended, and there is nothing.
    async fn still_agreed(&self, tx: &mut PgConnection, promotion: &mut Promotion) -> Result<Option<Box<Present>>> {
        let present = match standing(tx, promotion).await? {
            Standing::Same(present) => present,
            changed => {
                fall_away(tx, promotion, changed).await?;
                return Ok(None);
            }
        };
        let members = store::workspace::members(tx, promotion.workspace_id).await?;
        let (count, needed) = (approvals(tx, promotion, &members).await?, present.policy.document.rule.approvals);
        if count >= needed {
            return Ok(Some(present));
        }
        let reason =
            format!("Asked again: of {needed} approvals only {count} still count, because an approver is one no more.");
        let summary =
            format!("asked for approval of {} again: {count} of {needed} approvals still count", promotion.title());
        move_to(tx, promotion, PromotionState::AwaitingApproval, reason).await?;
        let event = event("promotion.approval_lapsed", promotion, &present.candidate, summary);
        write_as_system(event, tx, promotion).await?;
        Ok(None)
    }
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

/// Sends what is on its way to take the place of what serves now back to its gates: it has somebody else to beat. What
/// is being deployed finds out by itself, before it is live.
pub(crate) async fn meet_new_champion(tx: &mut PgConnection, live: &Deployment) -> Result<()> {
    let policy = store::environment::policy_in_force(tx, live.environment_id).await?;
    let title = deployment::title(live);
    for mut open in store::promotion::lock_open(tx, live.environment_id, Some(live.model_id)).await? {
        if open.state == PromotionState::Deploying {
            continue;
        }
        let reason = format!("Asked again: {} now serves {title}.", live.environment);
        run_gates_again(tx, &mut open, &policy, reason).await?;
        let summary = format!("ran the gates of {} again: {} now serves {title}", open.title(), live.environment);
        let candidate = candidate_of(tx, &open).await?;
        write_as_system(event("promotion.gates_restarted", &open, &candidate, summary), tx, &open).await?;
    }
    Ok(())
}

/// Ends a promotion because another version is live now: one that is open, or was live until then.
pub(crate) async fn supersede(tx: &mut PgConnection, promotion: &mut Promotion, by: &str) -> Result<()> {
    let reason = format!("{by} went live.");
    if promotion.state == PromotionState::Deploying
        && let Some(under_way) = store::deployment::under_way(tx, promotion.id).await?
    {
        deployment::fail(tx, &under_way, &reason).await?;
    }
    move_to(tx, promotion, PromotionState::Superseded, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("ended {}: {by} went live", promotion.title());
    write_as_system(event("promotion.superseded", promotion, &candidate, summary), tx, promotion).await
}

/// `failed: x` as `Failed: x.`
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn asks_for_golden_rows(present: &Present) -> bool {
    present.policy.document.gates.iter().any(|gate| matches!(gate, GateSpec::GoldenRow { .. }))
}

/// The gates that did not pass, in words.
fn obstacles(gates: &[GateSpec], findings: &[Finding]) -> String {
    let those = |verdict: Verdict| {
        let titles =
            gates.iter().zip(findings).filter(|(_, finding)| finding.verdict == verdict).map(|(g, _)| g.title());
        titles.collect::<Vec<_>>().join(", ")
    };
    let (failed, unknown) = (those(Verdict::Fail), those(Verdict::Inconclusive));
    match (failed.is_empty(), unknown.is_empty()) {
        (false, true) => format!("failed: {failed}"),
        (true, _) => format!("cannot be told: {unknown}"),
        (false, false) => format!("failed: {failed}; cannot be told: {unknown}"),
    }
}
