//! Steps that wait for people: asked when their turn comes, ended by the last vote that their rules ask for, by a no, or by
//! time. Whoever changes anything about one holds its run, so that of two last votes one is the last.

use super::{
    inputs::{self, InputFiles},
    outputs::{Given, Spot},
    settle::{self, Settled},
};
use crate::{
    Ctx, Event, NewDecision, Result, Services,
    ballot::{Standing, details},
    boxed, commit, mail, pipeline_run,
    promotion::people::People,
    webhook,
};
use domain::{
    Digest, Error, ErrorKind, Page,
    audit::{Actor, Object, ObjectKind},
    id::{StepId, UserId},
    mail::letter_of_step,
    page,
    permission::Permission,
    pipeline::PipelineSpec,
    pipeline_run::{PipelineRun, StepState},
    promotion::{Decision, DecisionVerdict, RuleStanding},
    step::{StepInput, StepKind},
    step_approval::{ApprovalInput, ApprovalState, ApprovalSubject, StepApproval},
};
use std::collections::{BTreeMap, BTreeSet};
use store::{
    PgConnection,
    mail::About,
    promotion::On,
    step::{
        approval,
        progress::{self, Ended, Waiting},
    },
};

/// The most open approvals that are looked through for those that wait for somebody.
const LOOKED_THROUGH: i64 = 200;
/// The most approvals that one round of sweeping ends.
const ROUND: i64 = 200;

/// An approval with everything that is shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepApprovalDetail {
    /// The approval.
    pub approval: StepApproval,
    /// How each of its rules stands.
    pub rules: Vec<RuleStanding>,
    /// Decisions, oldest first.
    pub decisions: Vec<Decision>,
}

impl Services {
    /// Steps that ask people, those that were asked last first: those that are open, or all.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn step_approvals(
        &self,
        ctx: &Ctx,
        open: bool,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<StepApproval>> {
        let before = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let rows = approval::list(&mut conn, ctx.workspace_id(), open, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |approval: &StepApproval| approval.created_at))
    }

    /// The open approvals that whoever asks can agree to, and has not decided on: among the newest 200.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn step_approvals_waiting_for_me(&self, ctx: &Ctx) -> Result<Vec<StepApproval>> {
        let Some(user) = ctx.user().filter(|_| ctx.may(Permission::DecidePromotion)) else { return Ok(Vec::new()) };
        let mut conn = self.conn().await?;
        let open = approval::list(&mut conn, ctx.workspace_id(), true, None, LOOKED_THROUGH).await?;
        if open.is_empty() {
            return Ok(open);
        }
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let mut mine = Vec::new();
        for one in open {
            let standing = stand(&mut conn, &people, &one).await?;
            if standing.rules(&one.digest).iter().any(|rule| rule.waits_for(user.id)) {
                mine.push(one);
            }
        }
        Ok(mine)
    }

    /// What a step of a run asks, whom, and what they said.
    ///
    /// # Errors
    /// `NotFound` without such a run or step, and for one that asks nobody, or nobody yet.
    #[boxed]
    pub async fn step_approval(&self, ctx: &Ctx, number: i64, step: &str) -> Result<StepApprovalDetail> {
        let mut conn = self.conn().await?;
        let run = pipeline_run::by_number(&mut conn, ctx, number).await?;
        let approval = found(&mut conn, &run, step).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let standing = stand(&mut conn, &people, &approval).await?;
        Ok(StepApprovalDetail { rules: standing.rules(&approval.digest), decisions: standing.decisions, approval })
    }

    /// Decides on a step that asks. With the last yes that its rules ask for it succeeds, with a no it fails. Tells whether the
    /// decision is new: the same sent again gives the same.
    ///
    /// # Errors
    /// `Forbidden` when they may not decide on this one; `Conflict` when they decided otherwise before, when it is not what
    /// they saw, or when nothing is to be decided; `Invalid` when a rule asks for more than was given.
    #[boxed]
    pub async fn decide_step(&self, ctx: &Ctx, number: i64, step: &str, new: NewDecision) -> Result<(Decision, bool)> {
        ctx.require(Permission::DecidePromotion)?;
        if new.verdict == DecisionVerdict::RequestChanges {
            let message = "A step is approved or rejected: what it asks about has happened, and cannot be changed.";
            return Err(Error::invalid_field("verdict", message));
        }
        let comment = new.reason()?;
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people decide on steps.")) };
        let reauthenticated = self.is_reauthenticated(user.id, new.password.clone()).await?;
        let mut tx = self.begin().await?;
        let id = pipeline_run::by_number(&mut tx, ctx, number).await?.id;
        let run = store::pipeline_run::lock(&mut tx, id).await?.ok_or_else(Error::internal)?;
        let approval = found(&mut tx, &run, step).await?;
        let people = People::read(&mut tx, ctx.workspace_id()).await?;
        let mut standing = stand(&mut tx, &people, &approval).await?;
        let title = approval.title();
        if let Some(bar) = standing.ballot().barred(user.id) {
            return Err(Error::forbidden(format!("You may not decide on {title}: {}.", bar.to_them())));
        }
        if let Some(earlier) = standing.ballot().repeated(user.id, &new, &comment)? {
            return Ok((earlier, false));
        }
        if !approval.state.is_open() {
            let state = approval.state.describe();
            return Err(Error::conflict(format!("{title} is not to be decided on: it {state}.")));
        }
        if approval.expires_at <= store::clock(&mut tx).await? {
            let settled = expire(&mut tx, &run, &approval).await?;
            commit(tx).await?;
            settled.count();
            return Err(Error::conflict(format!("{title} expired. Run the pipeline again from there.")));
        }
        if approval.digest != new.subject_digest {
            return Err(Error::conflict(format!("This is not what {title} asks about. Look at it again.")));
        }
        let decision = standing.ballot().cast(user, new, comment, reauthenticated)?;
        store::promotion::insert_decision(&mut tx, On::Step(approval.step_id), &decision).await?;
        let (action, past) = match decision.verdict {
            DecisionVerdict::Approve => ("pipeline_run.step_approved", "approved"),
            _ => ("pipeline_run.step_rejected", "rejected"),
        };
        event(action, &run, &approval, format!("{past} {title}"))
            .details(details(&decision)?)
            .write(&mut tx, ctx)
            .await?;
        standing.decisions.push(decision.clone());
        let settled = if decision.verdict == DecisionVerdict::Reject {
            let reason = format!("{} said no: {}", decision.user_name, decision.comment);
            Some(end(&mut tx, &run, &approval, ApprovalState::Rejected, &reason).await?)
        } else if standing.is_agreed(&approval.digest) {
            Some(end(&mut tx, &run, &approval, ApprovalState::Approved, "").await?)
        } else {
            store::event::notify(&mut tx, &store::event::of_run(run.id)).await?;
            None
        };
        commit(tx).await?;
        settled.iter().for_each(Settled::count);
        Ok((decision, true))
    }

    /// Ends the approvals whose time is over: their steps fail. Tells how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn expire_step_approvals(&self) -> Result<usize> {
        let overdue = approval::overdue(&mut *self.conn().await?, ROUND).await?;
        let count = overdue.len();
        for (step, run) in overdue {
            let mut tx = self.begin().await?;
            let Some(run) = store::pipeline_run::lock(&mut tx, run).await? else { continue };
            let Some(found) = approval::by_id(&mut tx, step).await? else { continue };
            if found.state.is_open() {
                let settled = expire(&mut tx, &run, &found).await?;
                commit(tx).await?;
                settled.count();
            }
        }
        Ok(count)
    }
}

async fn found(conn: &mut PgConnection, run: &PipelineRun, step: &str) -> Result<StepApproval> {
    if let Some(found) = approval::by_name(conn, run.id, step).await? {
        return Ok(found);
    }
    let known = store::step::by_name(conn, run.id, step).await?;
    let known = known.ok_or_else(|| pipeline_run::no_step(run.number, step))?;
    Err(Error::new(
        ErrorKind::NotFound,
        match known.kind {
            StepKind::Approval => {
                format!(
                    "Step \"{}\" of run #{} has asked nobody: it is {}.",
                    known.name,
                    run.number,
                    known.state.as_str()
                )
            }
            _ => format!("Step \"{}\" of run #{} asks nobody.", known.name, run.number),
        },
    ))
}

/// Who votes on an approval, by its own rules.
async fn stand(conn: &mut PgConnection, people: &People, approval: &StepApproval) -> Result<Standing> {
    // Whoever stands in for a part of somebody's decisions, those on some models, does not decide on steps.
    let mut electorate = people.whoever(|one| one.scope.is_all());
    electorate.lineage.requesters = approval.requested_by.into_iter().chain(approval.on_behalf_of).collect();
    let policies = approval.asks.policies(approval.workspace_id, approval.created_at);
    let decisions = store::promotion::decisions_on_step(conn, approval.step_id).await?;
    Ok(Standing { policies, electorate, decisions })
}

/// A step has its turn: people are asked.
pub(super) async fn ask(
    conn: &mut PgConnection,
    run: &PipelineRun,
    spec: &PipelineSpec,
    waiting: &Waiting,
) -> Result<()> {
    let spot = Spot { place: waiting.place.clone(), name: waiting.name.clone() };
    let Some(step) = spec.step(&spot.place) else { return Err(Error::internal()) };
    let Some(asks) = step.approval() else { return Err(Error::internal()) };
    let params = spec.values(&spot.place, &run.params, &waiting.items);
    let workspace = store::workspace::by_id(conn, run.workspace_id).await?.ok_or_else(Error::internal)?;
    let found = inputs::find(conn, &Ctx::system(workspace), run.id, spec, (&spot, step), &params).await?;
    let inputs: BTreeMap<String, ApprovalInput> = found.into_iter().map(shown).collect();
    let subject = ApprovalSubject {
        run: run.number,
        version: &spec.digest(),
        step: &waiting.name,
        params: &params,
        inputs: &inputs,
        asks,
    };
    let digest = Digest::of_json(&subject).map_err(|error| {
        tracing::error!(%error, "what a step asks about has no canonical form");
        Error::internal()
    })?;
    let (requested_by, on_behalf_of) = store::pipeline_run::people(conn, run.id).await?;
    let at = store::clock(conn).await?;
    let approval = StepApproval {
        step_id: waiting.id,
        workspace_id: run.workspace_id,
        run: run.number,
        pipeline: run.pipeline_name.clone(),
        step: waiting.name.clone(),
        description: step.description.clone(),
        asks: asks.clone(),
        params,
        inputs,
        digest,
        state: ApprovalState::AwaitingApproval,
        state_reason: String::new(),
        requested_by,
        on_behalf_of,
        requester: run.started_by_name.clone(),
        created_at: at,
        expires_at: at + asks.expires_after.delta(),
        ended_at: None,
    };
    approval::insert(conn, run.id, &approval).await?;
    progress::open_outer(conn, waiting.id, 0).await?;
    let asked = format!("asks for approval of {}", approval.title());
    event("pipeline_run.approval_asked", run, &approval, asked)
        .details(serde_json::json!({
            "step": approval.step, "subject_digest": approval.digest, "rules": approval.asks.rules,
            "expires_at": approval.expires_at,
        }))
        .write_as(conn, Some(run.workspace_id), Actor::System, None)
        .await?;
    tell(conn, &approval).await
}

/// A step of a run that does another again has its turn: nobody is asked. Answers with how the step ended that asked then, and
/// with a word on where that was.
pub(super) async fn take_over(
    conn: &mut PgConnection,
    run: &PipelineRun,
    before: i64,
    waiting: &Waiting,
) -> Result<(StepState, String)> {
    let first = store::pipeline_run::by_number(conn, run.workspace_id, before).await?.ok_or_else(Error::internal)?;
    let asked = store::step::by_name(conn, first.id, &waiting.name).await?;
    let (state, reason) = match asked.map(|step| (step.state, step.reason)) {
        Some((StepState::Succeeded, reason)) if reason.is_empty() => {
            (StepState::Succeeded, format!("approved in run #{before}"))
        }
        // It took the answer over itself.
        Some((StepState::Succeeded, reason)) => (StepState::Succeeded, reason),
        Some((StepState::Failed, reason)) => (StepState::Failed, format!("in run #{before}: {reason}")),
        _ => (StepState::Failed, format!("nobody was asked in run #{before}, and nobody is asked to reproduce it")),
    };
    let title = format!("{} of {}", waiting.name, pipeline_run::name(run));
    Event::new(
        "pipeline_run.approval_taken_over",
        pipeline_run::object(run),
        format!("{title} is not asked: {reason}"),
    )
    .related(pipeline_run::object(&first))
    .details(serde_json::json!({ "step": waiting.name, "state": state, "reproduces": before }))
    .write_as(conn, Some(run.workspace_id), Actor::System, None)
    .await?;
    Ok((state, reason))
}

/// Tells webhooks, and writes to those who are asked, or to those who started the run when it has ended.
async fn tell(conn: &mut PgConnection, approval: &StepApproval) -> Result<()> {
    webhook::tell_of_step(conn, approval).await?;
    if !store::mail::is_sent(conn).await? {
        return Ok(());
    }
    let people: BTreeSet<UserId> = if approval.state.is_open() {
        let people = People::read(conn, approval.workspace_id).await?;
        let rules = stand(conn, &people, approval).await?.rules(&approval.digest);
        let may = rules.into_iter().flat_map(|rule| rule.people).filter(|one| one.barred.is_none());
        may.map(|one| one.user_id).collect()
    } else {
        approval.requested_by.into_iter().chain(approval.on_behalf_of).collect()
    };
    if people.is_empty() {
        return Ok(());
    }
    let about = About::Step(approval.step_id);
    mail::post(conn, approval.workspace_id, about, &people, &letter_of_step(approval)).await
}

/// What people are shown of what a step takes.
fn shown(files: InputFiles) -> (String, ApprovalInput) {
    let value = files.given().and_then(Given::value);
    let StepInput { name, from, digest, version } = files.input;
    (name, ApprovalInput { from, value, digest, version })
}

/// The run is to be cancelled: nobody is asked any more. Answers with the steps, which are cancelled.
pub(super) async fn cancel(conn: &mut PgConnection, run: &PipelineRun) -> Result<Vec<StepId>> {
    let steps = approval::cancel(conn, run.id).await?;
    if steps.is_empty() {
        return Ok(steps);
    }
    count(ApprovalState::Cancelled, steps.len());
    let end = |id: &StepId| Ended { id: *id, state: StepState::Cancelled, reason: "the run was cancelled".to_owned() };
    Ok(progress::end(conn, &steps.iter().map(end).collect::<Vec<_>>()).await?)
}

async fn expire(conn: &mut PgConnection, run: &PipelineRun, approval: &StepApproval) -> Result<Settled> {
    event(
        "pipeline_run.approval_expired",
        run,
        approval,
        format!("ended {}: nobody decided in time", approval.title()),
    )
    .write_as(conn, Some(run.workspace_id), Actor::System, None)
    .await?;
    end(conn, run, approval, ApprovalState::Expired, "nobody decided in time").await
}

/// Ends an approval, its step with it, and moves the run on.
async fn end(
    conn: &mut PgConnection,
    run: &PipelineRun,
    approval: &StepApproval,
    state: ApprovalState,
    reason: &str,
) -> Result<Settled> {
    if !approval::end(conn, approval.step_id, state, reason).await? {
        tracing::error!(step = %approval.step_id, ?state, "an approval ended twice");
        return Err(Error::internal());
    }
    count(state, 1);
    tell(conn, &StepApproval { state, state_reason: reason.to_owned(), ..approval.clone() }).await?;
    let step = if state == ApprovalState::Approved { StepState::Succeeded } else { StepState::Failed };
    let ended = Ended { id: approval.step_id, state: step, reason: reason.to_owned() };
    settle::end(conn, run, ended).await
}

fn count(state: ApprovalState, count: usize) {
    metrics::counter!("slipway_step_approvals_total", "state" => state.as_str()).increment(count as u64);
}

fn event(action: &'static str, run: &PipelineRun, approval: &StepApproval, summary: String) -> Event {
    Event::new(action, pipeline_run::object(run), summary).related(Object::new(
        ObjectKind::Pipeline,
        run.pipeline_id,
        &approval.pipeline,
    ))
}

/// Whether the workspace has all teams that approvals of a file ask: one that it has not would keep them waiting for nobody.
///
/// # Errors
/// `Conflict`, naming the first that is missing.
pub(crate) async fn teams_exist(conn: &mut PgConnection, ctx: &Ctx, spec: &PipelineSpec) -> Result<()> {
    let named = spec.teams();
    if named.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<String> =
        store::team::list(conn, ctx.workspace_id()).await?.into_iter().map(|team| team.name).collect();
    match named.into_iter().find(|name| !known.contains(*name)) {
        Some(name) => Err(Error::conflict(format!(
            "An approval asks the team \"{name}\", which this workspace does not have. Make it first, in the settings."
        ))),
        None => Ok(()),
    }
}
