//! Change requests: what a policy lets nobody do alone is asked for here, agreed to, and done in the transaction of the last
//! yes. Whoever changes anything about one holds the workspace's policies or takes their lock, so that what was agreed on and
//! what is done are the same.

use crate::{
    Ctx, Event, NewDecision, Result, Services,
    ballot::{Standing, details},
    boxed, commit, deployment, policy,
    promotion::{checked_comment, in_force, people::People},
    step::account,
};
use domain::{
    Error, ErrorKind, Page,
    audit::{Actor, Object, ObjectKind},
    change_request::{Change, ChangeRequest, ChangeState},
    deployment::{Deployment, DeploymentState},
    id::{ChangeRequestId, WorkspaceId},
    page,
    permission::{Permission, Role},
    policy::{Action, PolicyDocument, PolicySet, Scope},
    promotion::{Decision, DecisionVerdict, RuleStanding},
};
use std::collections::BTreeSet;
use store::{PgConnection, promotion::On};

/// The most open requests that are looked through for those that wait for somebody.
const LOOKED_THROUGH: i64 = 200;

/// The most requests that one round of sweeping ends.
const ROUND: i64 = 200;

/// What became of something that a policy may let nobody do alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<T> {
    /// It is done.
    Done(T),
    /// People are asked first.
    Requested(Box<ChangeRequest>),
}

impl<T> Effect<T> {
    /// What was done; none when people are asked first.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            Self::Requested(_) => None,
        }
    }
}

/// A change request with everything that is shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRequestDetail {
    /// The request.
    pub request: ChangeRequest,
    /// The policies that ask for approval, as they are now.
    pub policies: PolicySet,
    /// How each of their rules stands.
    pub rules: Vec<RuleStanding>,
    /// Decisions, oldest first.
    pub decisions: Vec<Decision>,
    /// What the policy asks for now that is to be changed.
    pub before: Option<PolicyDocument>,
}

impl Services {
    /// Change requests of the workspace, newest first: those that are open, or all.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn change_requests(
        &self,
        ctx: &Ctx,
        open: bool,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChangeRequest>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let hidden = policy::hidden(&mut conn, ctx).await?;
        let rows =
            store::change_request::list(&mut conn, ctx.workspace_id(), open, &hidden, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |request| request.number))
    }

    /// The open change requests that whoever asks can agree to, and has not decided on: among the newest 200.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn change_requests_waiting_for_me(&self, ctx: &Ctx) -> Result<Vec<ChangeRequest>> {
        let Some(user) = ctx.user().filter(|_| ctx.may(Permission::DecidePromotion)) else { return Ok(Vec::new()) };
        let mut conn = self.conn().await?;
        let hidden = policy::hidden(&mut conn, ctx).await?;
        let open =
            store::change_request::list(&mut conn, ctx.workspace_id(), true, &hidden, None, LOOKED_THROUGH).await?;
        if open.is_empty() {
            return Ok(open);
        }
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let mut mine = Vec::new();
        for request in open {
            let standing = stand(&mut conn, &people, &request).await?;
            if standing.rules(&request.digest).iter().any(|rule| rule.waits_for(user.id)) {
                mine.push(request);
            }
        }
        Ok(mine)
    }

    /// One change request.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn change_request(&self, ctx: &Ctx, number: i64) -> Result<ChangeRequestDetail> {
        let mut conn = self.conn().await?;
        let request = found(&mut conn, ctx, number).await?;
        let hidden = policy::hidden(&mut conn, ctx).await?;
        let people = People::read(&mut conn, ctx.workspace_id()).await?;
        let standing = stand(&mut conn, &people, &request).await?;
        let before = match &request.change {
            Change::WritePolicy { name, .. } => store::policy::last(&mut conn, ctx.workspace_id(), name).await?,
            _ => None,
        };
        Ok(ChangeRequestDetail {
            rules: standing.rules(&request.digest),
            request,
            policies: standing.policies,
            decisions: standing.decisions,
            before: before
                .filter(|before| !before.retired && policy::is_seen(&before.document.scope, &hidden))
                .map(|before| before.document),
        })
    }

    /// Decides on a change request. With the last yes that its rules ask for, the change is made. Tells whether the decision
    /// is new: the same sent again gives the same.
    ///
    /// # Errors
    /// `Forbidden` when they may not decide on this one; `Conflict` when they decided otherwise before, when what they saw
    /// has changed, or when nothing is to be decided; `Invalid` when a rule asks for more than was given.
    #[boxed]
    pub async fn decide_change(&self, ctx: &Ctx, number: i64, new: NewDecision) -> Result<(Decision, bool)> {
        ctx.require(Permission::DecidePromotion)?;
        let comment = new.reason()?;
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people decide on change requests.")) };
        let reauthenticated = self.is_reauthenticated(user.id, new.password.clone()).await?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let request = found(&mut tx, ctx, number).await?;
        let serves = lock_target(&mut tx, &request.change).await?;
        let people = People::read(&mut tx, ctx.workspace_id()).await?;
        let mut standing = stand(&mut tx, &people, &request).await?;
        if request.state.is_open()
            && let Some(sentence) = outdated(&mut tx, ctx, &request, &standing.policies, serves.as_ref()).await?
        {
            end_as_system(&mut tx, &request, ChangeState::Invalidated, &sentence).await?;
            commit(tx).await?;
            return Err(Error::conflict(format!(
                "{sentence} Change request #{number} ends; ask for the change again."
            )));
        }
        if let Some(bar) = standing.ballot().barred(user.id) {
            let why = bar.to_them();
            return Err(Error::forbidden(format!("You may not decide on change request #{number}: {why}.")));
        }
        if let Some(earlier) = standing.ballot().repeated(user.id, &new, &comment)? {
            return Ok((earlier, false));
        }
        if !request.state.is_open() {
            let state = request.state.describe();
            return Err(Error::conflict(format!("Change request #{number} is not to be decided on: it {state}.")));
        }
        if request.expires_at <= store::clock(&mut tx).await? {
            end_as_system(&mut tx, &request, ChangeState::Expired, "Nobody decided in time.").await?;
            commit(tx).await?;
            return Err(Error::conflict(format!("Change request #{number} expired. Ask for the change again.")));
        }
        if request.digest != new.subject_digest {
            return Err(Error::conflict(format!(
                "This is not what change request #{number} asks for. Look at it again."
            )));
        }
        let decision = standing.ballot().cast(user, new, comment, reauthenticated)?;
        store::promotion::insert_decision(&mut tx, On::Change(request.id), &decision).await?;
        let action = match decision.verdict {
            DecisionVerdict::Approve => "change_request.approved",
            DecisionVerdict::Reject => "change_request.rejected",
            DecisionVerdict::RequestChanges => "change_request.changes_requested",
        };
        event(action, &mut tx, &request, format!("{} {}", decision.verdict.past(), request.title()))
            .await?
            .details(details(&decision)?)
            .write(&mut tx, ctx)
            .await?;
        standing.decisions.push(decision.clone());
        let agreed = standing.is_agreed(&request.digest);
        if decision.verdict == DecisionVerdict::Reject {
            let reason = format!("{} said no: {}", decision.user_name, decision.comment);
            end(&mut tx, &request, ChangeState::Rejected, &reason).await?;
        } else if agreed {
            apply(&mut tx, ctx, &request, serves.as_ref()).await?;
            end(&mut tx, &request, ChangeState::Applied, "").await?;
            let summary = format!("applied {}", request.title());
            event("change_request.applied", &mut tx, &request, summary).await?.write(&mut tx, ctx).await?;
        }
        commit(tx).await?;
        if agreed && serves.is_some() {
            self.endpoints.changed();
        }
        Ok((decision, true))
    }

    /// Takes a change request back. Doing it again changes nothing.
    ///
    /// # Errors
    /// `Forbidden` to others than the requester and admins; `Conflict` when it has ended otherwise.
    #[boxed]
    pub async fn withdraw_change(&self, ctx: &Ctx, number: i64) -> Result<ChangeRequest> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let request = found(&mut tx, ctx, number).await?;
        if !may_withdraw_change(ctx, &request) {
            return Err(Error::forbidden(format!(
                "Only {}, who asked for it, or an admin may withdraw change request #{number}.",
                request.requester
            )));
        }
        match request.state {
            ChangeState::Withdrawn => return Ok(request),
            ChangeState::AwaitingApproval => {}
            state => {
                let state = state.describe();
                return Err(Error::conflict(format!("Change request #{number} cannot be withdrawn: it {state}.")));
            }
        }
        end(&mut tx, &request, ChangeState::Withdrawn, "").await?;
        event("change_request.withdrawn", &mut tx, &request, format!("withdrew {}", request.title()))
            .await?
            .write(&mut tx, ctx)
            .await?;
        let withdrawn = found(&mut tx, ctx, number).await?;
        commit(tx).await?;
        Ok(withdrawn)
    }

    /// Ends the change requests whose time is over. Tells how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn expire_change_requests(&self) -> Result<usize> {
        let overdue = {
            let mut conn = self.conn().await?;
            let now = store::clock(&mut conn).await?;
            store::change_request::overdue(&mut conn, now, ROUND).await?
        };
        let count = overdue.len();
        for request in overdue {
            let mut tx = self.begin().await?;
            store::workspace::lock(&mut tx, request.workspace_id).await?;
            let now = store::change_request::by_number(&mut tx, request.workspace_id, request.number).await?;
            if now.is_some_and(|now| now.state.is_open()) {
                end_as_system(&mut tx, &request, ChangeState::Expired, "Nobody decided in time.").await?;
                commit(tx).await?;
            }
        }
        Ok(count)
    }

    /// Takes what serves out of an environment, with nothing in its place: the alias of the environment's name goes, too.
    /// Where policies ask for approval of that, people are asked first.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it does not serve.
    #[boxed]
    pub async fn retire_deployment(&self, ctx: &Ctx, number: i64, comment: &str) -> Result<Effect<Deployment>> {
        let comment = checked_comment(comment)?;
        let seen = self.deployment(ctx, number).await?;
        let mut tx = self.begin().await?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        let change = Change::RetireDeployment {
            deployment_id: seen.id,
            deployment: seen.number,
            environment_id: seen.environment_id,
            environment: seen.environment.clone(),
            model_id: seen.model_id,
            model: seen.model.clone(),
            version: seen.version,
        };
        let Some(live) = lock_target(&mut tx, &change).await? else {
            return Err(Error::conflict(format!("Deployment #{number} does not serve: there is nothing to retire.")));
        };
        if let Some(request) = ask_first(&mut tx, ctx, change, comment.clone()).await? {
            commit(tx).await?;
            return Ok(Effect::Requested(Box::new(request)));
        }
        deployment::take_out(&mut tx, ctx, &live, &comment).await?;
        commit(tx).await?;
        self.endpoints.changed();
        Ok(Effect::Done(self.deployment(ctx, number).await?))
    }
}

/// Whether whoever asks may take a change request back: who made it, and admins.
#[must_use]
pub fn may_withdraw_change(ctx: &Ctx, request: &ChangeRequest) -> bool {
    let is_theirs = ctx.user().is_none_or(|user| request.requested_by == Some(user.id));
    ctx.may(Permission::Deploy) && (is_theirs || ctx.roles.contains(&Role::Admin))
}

/// Asks people for a change where policies say so; none where nobody is to be asked. The caller holds the workspace's
/// policies.
pub(crate) async fn ask_first(
    tx: &mut PgConnection,
    ctx: &Ctx,
    change: Change,
    comment: String,
) -> Result<Option<ChangeRequest>> {
    let policies = holding(tx, ctx.workspace_id(), &change).await?;
    match policies.asks_anybody() {
        true => ask(tx, ctx, change, &policies, comment).await.map(Some),
        false => Ok(None),
    }
}

/// Asks people for a change; the request that is open already when somebody asked for exactly this. The caller holds the
/// workspace's policies.
async fn ask(
    tx: &mut PgConnection,
    ctx: &Ctx,
    change: Change,
    policies: &PolicySet,
    comment: String,
) -> Result<ChangeRequest> {
    let digest = change.digest(&policies.pins()).map_err(unexpected)?;
    let now = store::clock(tx).await?;
    match store::change_request::open_for(tx, ctx.workspace_id(), &digest).await? {
        Some(open) if open.expires_at > now => return Ok(open),
        Some(late) => end_as_system(tx, &late, ChangeState::Expired, "Nobody decided in time.").await?,
        None => {}
    }

    let at = crate::now();
    let request = ChangeRequest {
        id: ChangeRequestId::new(),
        workspace_id: ctx.workspace_id(),
        number: store::counter::next(tx, ctx.workspace_id(), "change_request").await?,
        change,
        digest,
        state: ChangeState::AwaitingApproval,
        state_reason: String::new(),
        requested_by: ctx.user().map(|user| user.id),
        on_behalf_of: account::person_behind(tx, ctx).await?,
        requester: ctx.actor().name().to_owned(),
        comment,
        expires_at: at + policies.expires_after().delta(),
        created_at: at,
        updated_at: at,
    };
    match store::change_request::insert(tx, &request).await {
        Ok(()) => {}
        Err(error) if error.is_duplicate_of("change_requests_same") => {
            return Err(Error::conflict("Somebody asked for the same at this moment; try again."));
        }
        Err(error) => return Err(error.into()),
    }
    event("change_request.opened", tx, &request, format!("asked to {}", request.change.title()))
        .await?
        .details(serde_json::json!({
            "change": request.change, "digest": request.digest, "policies": policies.pins(), "comment": request.comment,
            "expires_at": request.expires_at,
        }))
        .write(tx, ctx)
        .await?;
    Ok(request)
}

/// The policies in force that are asked about a change.
async fn holding(conn: &mut PgConnection, workspace: WorkspaceId, change: &Change) -> Result<PolicySet> {
    let (name, after) = match change {
        Change::WritePolicy { name, document, .. } => (name, Some(&document.scope)),
        Change::RetirePolicy { name, .. } => (name, None),
        Change::RetireDeployment { environment_id, deployment_id, .. } => {
            let environment = store::environment::by_id(conn, *environment_id).await?;
            let deployment = store::deployment::by_id(conn, *deployment_id).await?;
            let candidate = match deployment {
                Some(deployment) => store::promotion::candidate(conn, deployment.model_version_id).await?,
                None => None,
            };
            return match (environment, candidate) {
                (Some(environment), Some(candidate)) => in_force(conn, &environment, &candidate, Action::Retire).await,
                _ => Err(Error::conflict("What is to be retired is no more.")),
            };
        }
    };
    let all = store::policy::latest(conn, workspace).await?;
    let environments = policy::environments(conn, workspace).await?;
    let before = all.iter().find(|policy| policy.name == *name && !policy.retired);
    let before = before.map(|policy| policy.document.scope.clone());
    let touched: Vec<&Scope> = after.into_iter().chain(&before).collect();
    Ok(PolicySet::pinned(
        all.iter()
            .filter(|policy| {
                let scope = &policy.document.scope;
                !policy.retired
                    && scope.actions.contains(&Action::ChangePolicy)
                    && touched.iter().any(|touched| scope.meets(touched, &environments))
            })
            .cloned(),
    ))
}

async fn found(conn: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<ChangeRequest> {
    let found = store::change_request::by_number(conn, ctx.workspace_id(), number).await?;
    let hidden = policy::hidden(conn, ctx).await?;
    found
        .filter(|request| is_seen(request, &hidden))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No change request #{number} in this workspace.")))
}

/// Whether a change is of anything that is seen by whoever does not see these environments.
fn is_seen(request: &ChangeRequest, hidden: &BTreeSet<String>) -> bool {
    let environments = request.change.environments();
    environments.is_empty() || !environments.iter().all(|name| hidden.contains(name))
}

/// Locks what a deployment's change is about, and gives the deployment when it serves.
async fn lock_target(tx: &mut PgConnection, change: &Change) -> Result<Option<Deployment>> {
    let Change::RetireDeployment { deployment_id, environment_id, model_id, .. } = change else { return Ok(None) };
    store::environment::lock(tx, *environment_id).await?;
    store::model::lock(tx, *model_id).await?;
    let live = store::deployment::live(tx, *environment_id, *model_id).await?;
    Ok(live.filter(|live| live.id == *deployment_id && live.state == DeploymentState::Live))
}

/// Who votes on a request, by the rules that hold now.
async fn stand(conn: &mut PgConnection, people: &People, request: &ChangeRequest) -> Result<Standing> {
    let policies = holding(conn, request.workspace_id, &request.change).await?;
    let decisions = store::promotion::decisions_on_change(conn, request.id).await?;
    let mut electorate = match &request.change {
        Change::RetireDeployment { deployment_id, environment, model, .. } => {
            let deployment = store::deployment::by_id(conn, *deployment_id).await?;
            let promotion = match deployment.and_then(|deployment| deployment.promotion_id) {
                Some(id) => store::promotion::by_id(conn, id).await?,
                None => None,
            };
            match promotion {
                Some(promotion) => people.electorate(conn, &promotion).await?,
                None => people.whoever(|one| one.scope.covers(environment, model)),
            }
        }
        // Whoever stands in for a part of somebody's decisions does not decide on policies, which hold for all of it.
        _ => people.whoever(|one| one.scope.is_all()),
    };
    electorate.lineage.requesters = request.requested_by.into_iter().chain(request.on_behalf_of).collect();
    Ok(Standing { policies, electorate, decisions })
}

/// Why what was asked for is no longer what it was; none when it is.
async fn outdated(
    tx: &mut PgConnection,
    ctx: &Ctx,
    request: &ChangeRequest,
    policies: &PolicySet,
    serves: Option<&Deployment>,
) -> Result<Option<String>> {
    if request.change.digest(&policies.pins()).map_err(unexpected)? != request.digest {
        return Ok(Some("The policies that ask for approval changed since.".to_owned()));
    }
    Ok(match &request.change {
        Change::WritePolicy { name, document, instead_of, .. } => {
            let last = store::policy::last(tx, request.workspace_id, name).await?;
            let in_force = last.filter(|last| !last.retired);
            if in_force.as_ref().map(|last| &last.digest) != instead_of.as_ref() {
                return Ok(Some(format!("The policy {name} changed since.")));
            }
            match policy::check_names(tx, ctx, document, in_force.as_ref()).await {
                Err(error) if error.kind == ErrorKind::Invalid => Some(error.message),
                checked => checked.map(|()| None)?,
            }
        }
        Change::RetirePolicy { name, instead_of, .. } => {
            let last = store::policy::last(tx, request.workspace_id, name).await?;
            let stands = last.is_some_and(|last| !last.retired && last.digest == *instead_of);
            (!stands).then(|| format!("The policy {name} changed since."))
        }
        Change::RetireDeployment { deployment, .. } => {
            serves.is_none().then(|| format!("Deployment #{deployment} does not serve any more."))
        }
    })
}

/// Does what everybody asked agreed to.
async fn apply(tx: &mut PgConnection, ctx: &Ctx, request: &ChangeRequest, serves: Option<&Deployment>) -> Result<()> {
    match &request.change {
        Change::WritePolicy { name, document, source, .. } => {
            policy::write(tx, ctx, name, (**document).clone(), source.clone(), &request.requester).await.map(drop)
        }
        Change::RetirePolicy { name, .. } => policy::retire(tx, ctx, name, &request.requester).await.map(drop),
        Change::RetireDeployment { .. } => match serves {
            Some(live) => deployment::take_out(tx, ctx, live, &request.comment).await,
            None => Err(Error::internal()),
        },
    }
}

async fn end(tx: &mut PgConnection, request: &ChangeRequest, state: ChangeState, reason: &str) -> Result<()> {
    if !store::change_request::end(tx, request.id, state, reason).await? {
        tracing::error!(request = %request.id, ?state, "a change request ended twice");
        return Err(Error::internal());
    }
    metrics::counter!("slipway_change_requests_total", "state" => state.as_str()).increment(1);
    Ok(())
}

async fn end_as_system(tx: &mut PgConnection, request: &ChangeRequest, state: ChangeState, reason: &str) -> Result<()> {
    end(tx, request, state, reason).await?;
    let action = if state == ChangeState::Expired { "change_request.expired" } else { "change_request.invalidated" };
    let summary = format!("ended {}: {reason}", request.title());
    event(action, tx, request, summary).await?.write_as(tx, Some(request.workspace_id), Actor::System, None).await
}

/// An event of a request, on the timelines of what it is about: whoever does not see one of its environments does not see
/// the event.
async fn event(action: &'static str, tx: &mut PgConnection, request: &ChangeRequest, summary: String) -> Result<Event> {
    let object = Object::new(ObjectKind::ChangeRequest, request.id, format!("#{}", request.number));
    let event = Event::new(action, object, summary);
    let (name, document) = match &request.change {
        Change::WritePolicy { name, document, .. } | Change::RetirePolicy { name, document, .. } => (name, document),
        Change::RetireDeployment {
            deployment_id, deployment, environment_id, environment, model_id, model, ..
        } => {
            return Ok(event
                .related(Object::new(ObjectKind::Deployment, deployment_id, format!("#{deployment}")))
                .related(Object::new(ObjectKind::Environment, environment_id, environment))
                .related(Object::new(ObjectKind::Model, model_id, model)));
        }
    };
    let before = store::policy::last(tx, request.workspace_id, name).await?;
    let scopes: Vec<&Scope> =
        [&document.scope].into_iter().chain(before.as_ref().map(|before| &before.document.scope)).collect();
    let all = store::environment::list(tx, request.workspace_id).await?;
    let reached = all.into_iter().filter(|one| scopes.iter().any(|scope| scope.reaches(&one.name, one.tier.as_str())));
    Ok(reached.fold(event, |event, one| event.related(Object::new(ObjectKind::Environment, one.id, one.name))))
}

fn unexpected(error: serde_json::Error) -> Error {
    tracing::error!(%error, "a change has no canonical form");
    Error::internal()
}
