//! Policies: writing a revision, retiring one, and what becomes of the promotions that are on their way.

use crate::{
    Ctx, Effect, Event, Result, Services, boxed, change_request, commit,
    environment::{self, is_name},
    now,
    promotion::meet_new_policies,
};
use domain::{
    Digest, Error,
    audit::{Object, ObjectKind},
    change_request::Change,
    environment::{Environment, Sight},
    id::{PolicyId, WorkspaceId},
    model::Model,
    permission::Permission,
    policy::{Action, Better, Policy, PolicyDocument, Scope, parse_name},
};
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

/// A revision to be written.
#[derive(Debug, Clone)]
pub struct NewPolicy {
    /// The policy's name.
    pub name: String,
    /// What it asks for.
    pub document: PolicyDocument,
    /// The file that the document was read from, when it was one.
    pub source: Option<String>,
    /// The digest of the revision that the author looked at; when another one is in force by now, nothing changes.
    pub instead_of: Option<Digest>,
}

impl Services {
    /// The last revision of each policy, in order of name; retired ones when they are wanted.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn policies(&self, ctx: &Ctx, retired: bool) -> Result<Vec<Policy>> {
        let mut conn = self.conn().await?;
        let all = store::policy::latest(&mut conn, ctx.workspace_id()).await?;
        let hidden = hidden(&mut conn, ctx).await?;
        Ok(all
            .into_iter()
            .filter(|policy| (retired || !policy.retired) && is_seen(&policy.document.scope, &hidden))
            .collect())
    }

    /// The revisions of a policy, the last first.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn policy(&self, ctx: &Ctx, name: &str) -> Result<Vec<Policy>> {
        let mut conn = self.conn().await?;
        let mut revisions = match is_name(name) {
            true => store::policy::revisions(&mut conn, ctx.workspace_id(), name).await?,
            false => Vec::new(),
        };
        let hidden = hidden(&mut conn, ctx).await?;
        revisions.retain(|policy| is_seen(&policy.document.scope, &hidden));
        if revisions.is_empty() { Err(Error::not_found("policy", name)) } else { Ok(revisions) }
    }

    /// Puts a policy in force, as a new revision unless it is the one in force. Open promotions are held against it at
    /// once: those that nobody was asked about run their gates under it, the others end when it is stricter than what
    /// they were agreed on under. Where policies ask for approval of that, people are asked first.
    ///
    /// # Errors
    /// `Invalid` for a policy without sense, `Conflict` when somebody else changed it first.
    #[boxed]
    pub async fn write_policy(&self, ctx: &Ctx, new: NewPolicy) -> Result<Effect<Policy>> {
        let name = parse_name(&new.name)?;
        new.document.validate()?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = store::policy::last(&mut tx, ctx.workspace_id(), &name).await?;
        check_unchanged(&name, before.as_ref(), new.instead_of.as_ref())?;
        check_names(&mut tx, ctx, &new.document, before.as_ref()).await?;
        let in_force = before.filter(|before| !before.retired);
        if let Some(in_force) = in_force.as_ref().filter(|in_force| in_force.document == new.document) {
            return Ok(Effect::Done(in_force.clone()));
        }
        let change = Change::WritePolicy {
            name: name.clone(),
            document: Box::new(new.document.clone()),
            source: new.source.clone(),
            instead_of: in_force.map(|in_force| in_force.digest),
        };
        if let Some(request) = change_request::ask_first(&mut tx, ctx, change, String::new()).await? {
            commit(tx).await?;
            return Ok(Effect::Requested(Box::new(request)));
        }
        let policy = write(&mut tx, ctx, &name, new.document, new.source, ctx.actor().name()).await?;
        commit(tx).await?;
        Ok(Effect::Done(policy))
    }

    /// Ends a policy: a last revision says that it holds no more. Doing it again changes nothing. Where policies ask for
    /// approval of that, people are asked first.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when somebody else changed it first.
    #[boxed]
    pub async fn retire_policy(&self, ctx: &Ctx, name: &str, instead_of: Option<&Digest>) -> Result<Effect<Policy>> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = match is_name(name) {
            true => store::policy::last(&mut tx, ctx.workspace_id(), name).await?,
            false => None,
        };
        let before = before.ok_or_else(|| Error::not_found("policy", name))?;
        check_unchanged(name, Some(&before), instead_of)?;
        if before.retired {
            return Ok(Effect::Done(before));
        }
        let change = Change::RetirePolicy {
            name: name.to_owned(),
            document: Box::new(before.document.clone()),
            instead_of: before.digest,
        };
        if let Some(request) = change_request::ask_first(&mut tx, ctx, change, String::new()).await? {
            commit(tx).await?;
            return Ok(Effect::Requested(Box::new(request)));
        }
        let policy = retire(&mut tx, ctx, name, ctx.actor().name()).await?;
        commit(tx).await?;
        Ok(Effect::Done(policy))
    }

    /// Puts the policy of an environment's own name in force, for that environment.
    ///
    /// # Errors
    /// As [`Services::write_policy`], and `NotFound` without such an environment.
    #[boxed]
    pub async fn set_policy(
        &self,
        ctx: &Ctx,
        environment: &str,
        document: PolicyDocument,
        instead_of: Option<&Digest>,
    ) -> Result<Effect<Policy>> {
        let environment = environment::named(&mut *self.conn().await?, ctx, environment).await?;
        let scope = Scope {
            environments: BTreeSet::from([environment.name.clone()]),
            tiers: BTreeSet::new(),
            ..document.scope
        };
        let document = PolicyDocument { scope, ..document };
        let instead_of = instead_of.cloned();
        self.write_policy(ctx, NewPolicy { name: environment.name, document, source: None, instead_of }).await
    }
}

/// The first revision of the policy of a new environment's own name; a further one when there was a policy of that name.
pub(crate) async fn begin(tx: &mut PgConnection, ctx: &Ctx, name: &str, document: PolicyDocument) -> Result<()> {
    write(tx, ctx, name, document, None, ctx.actor().name()).await.map(drop)
}

/// Puts a revision in force. The caller has the workspace's lock.
pub(crate) async fn write(
    tx: &mut PgConnection,
    ctx: &Ctx,
    name: &str,
    document: PolicyDocument,
    source: Option<String>,
    by: &str,
) -> Result<Policy> {
    let before = store::policy::last(tx, ctx.workspace_id(), name).await?;
    check_teams(tx, ctx, &document, before.as_ref()).await?;
    let policy = Policy {
        id: PolicyId::new(),
        workspace_id: ctx.workspace_id(),
        name: name.to_owned(),
        revision: before.as_ref().map_or(0, |before| before.revision) + 1,
        digest: Digest::of_json(&document).map_err(no_form)?,
        document,
        source,
        retired: false,
        created_at: now(),
        created_by: by.to_owned(),
    };
    put_in_force(tx, ctx, &policy, before.as_ref(), "policy.changed").await?;
    Ok(policy)
}

/// Ends a policy. The caller has the workspace's lock.
pub(crate) async fn retire(tx: &mut PgConnection, ctx: &Ctx, name: &str, by: &str) -> Result<Policy> {
    let before = store::policy::last(tx, ctx.workspace_id(), name).await?;
    let before = before.ok_or_else(|| Error::not_found("policy", name))?;
    let policy = Policy {
        id: PolicyId::new(),
        revision: before.revision + 1,
        retired: true,
        created_at: now(),
        created_by: by.to_owned(),
        ..before.clone()
    };
    put_in_force(tx, ctx, &policy, Some(&before), "policy.retired").await?;
    Ok(policy)
}

/// Names and tiers of the environments of a workspace.
pub(crate) async fn environments(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<(String, String)>> {
    let all = store::environment::list(conn, workspace).await?;
    Ok(all.into_iter().map(|environment| (environment.name, environment.tier.as_str().to_owned())).collect())
}

/// Refuses to let an environment out of a policy by its tier, where changing policies takes approval.
pub(crate) async fn refuse_unguarded(conn: &mut PgConnection, before: &Environment, after: &Environment) -> Result<()> {
    if before.tier == after.tier {
        return Ok(());
    }
    let policies = store::policy::latest(conn, before.workspace_id).await?;
    let reaches = |policy: &Policy, environment: &Environment| {
        !policy.retired && policy.document.scope.reaches(&environment.name, environment.tier.as_str())
    };
    let lost: Vec<&str> = policies
        .iter()
        .filter(|policy| reaches(policy, before) && !reaches(policy, after))
        .map(|policy| policy.name.as_str())
        .collect();
    let is_guarded = policies.iter().any(|policy| {
        let actions = &policy.document.scope.actions;
        reaches(policy, before) && actions.contains(&Action::ChangePolicy) && !policy.document.rules.is_empty()
    });
    if lost.is_empty() || !is_guarded {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "With another tier {} would hold for {} no longer, and changing policies takes approval here. Name the environment \
         in the policy first.",
        lost.join(", "),
        before.name
    ))
    .in_field("tier"))
}

/// Refuses to let a model out of a policy that holds for it, by its name or tags, to whoever may not change policies by
/// themselves.
pub(crate) async fn refuse_escape(conn: &mut PgConnection, ctx: &Ctx, before: &Model, after: &Model) -> Result<()> {
    let policies = store::policy::latest(conn, ctx.workspace_id()).await?;
    let concerns = |policy: &Policy, model: &Model| policy.document.scope.concerns(&model.name, &model.tags);
    let left: Vec<&Policy> = policies
        .iter()
        .filter(|policy| !policy.retired && concerns(policy, before) && !concerns(policy, after))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    if ctx.may(Permission::WritePolicies) {
        let environments = environments(conn, ctx.workspace_id()).await?;
        let guards = |policy: &Policy| {
            let scope = &policy.document.scope;
            let is_guard =
                !policy.retired && scope.actions.contains(&Action::ChangePolicy) && !policy.document.rules.is_empty();
            is_guard && left.iter().any(|left| scope.meets(&left.document.scope, &environments))
        };
        if !policies.iter().any(guards) {
            return Ok(());
        }
    }
    let hidden = hidden(conn, ctx).await?;
    let seen: Vec<&str> = left
        .iter()
        .filter(|policy| is_seen(&policy.document.scope, &hidden))
        .map(|policy| policy.name.as_str())
        .collect();
    let which = if seen.is_empty() { "a policy".to_owned() } else { format!("the policy {}", seen.join(", ")) };
    Err(Error::forbidden(format!(
        "{} would no longer be held against {which}. That takes whoever may change policies, where nobody else has to agree.",
        before.name
    )))
}

/// The names of the environments that whoever asks does not see.
pub(crate) async fn hidden(conn: &mut PgConnection, ctx: &Ctx) -> Result<BTreeSet<String>> {
    let hidden = store::environment::hidden(conn, &ctx.sight()).await?;
    Ok(hidden.into_iter().map(|(_, name)| name).collect())
}

/// Whether a policy of this scope is seen: one that names hidden environments alone is hidden like them.
pub(crate) fn is_seen(scope: &Scope, hidden: &BTreeSet<String>) -> bool {
    scope.environments.is_empty() || !scope.environments.is_subset(hidden)
}

fn no_form(error: serde_json::Error) -> Error {
    tracing::error!(%error, "a policy has no canonical form");
    Error::internal()
}

fn check_unchanged(name: &str, before: Option<&Policy>, instead_of: Option<&Digest>) -> Result<()> {
    match (before, instead_of) {
        (Some(before), Some(seen)) if *seen != before.digest => Err(Error::conflict(format!(
            "Somebody else changed the policy {name} meanwhile: revision {} is in force. Look at it and change that.",
            before.revision
        ))),
        (None, Some(_)) => {
            Err(Error::conflict(format!("There is no policy {name} that this could take the place of.")))
        }
        _ => Ok(()),
    }
}

/// A scope that names an environment that is not there holds nowhere, and nobody would notice.
async fn check_scope(conn: &mut PgConnection, ctx: &Ctx, scope: &Scope) -> Result<()> {
    for name in scope.environments.iter().filter(|name| !name.contains('*')) {
        if !is_name(name) || store::environment::by_name(conn, &Sight::all(ctx.workspace_id()), name).await?.is_none() {
            let shown: String = name.chars().take(100).collect();
            return Err(Error::invalid_field(
                "scope/environments",
                format!("There is no environment \"{shown}\" in this workspace."),
            ));
        }
    }
    Ok(())
}

/// Refuses a document that names environments or teams that are not there.
pub(crate) async fn check_names(
    conn: &mut PgConnection,
    ctx: &Ctx,
    document: &PolicyDocument,
    before: Option<&Policy>,
) -> Result<()> {
    check_scope(conn, ctx, &document.scope).await?;
    check_teams(conn, ctx, document, before).await
}

/// A rule that names a team that is not there would wait for nobody. Those that were named before may be gone since.
async fn check_teams(
    conn: &mut PgConnection,
    ctx: &Ctx,
    document: &PolicyDocument,
    before: Option<&Policy>,
) -> Result<()> {
    let known = before.filter(|before| !before.retired).map(|before| before.document.teams()).unwrap_or_default();
    let mut named = document.teams();
    named.retain(|team| !known.contains(team));
    if named.is_empty() {
        return Ok(());
    }
    let there = store::team::list(conn, ctx.workspace_id()).await?;
    match named.into_iter().find(|name| there.iter().all(|team| team.name != *name)) {
        Some(missing) => {
            let message = format!("There is no team \"{missing}\" in this workspace. Make it first.");
            Err(Error::invalid_field("rules", message))
        }
        None => Ok(()),
    }
}

async fn put_in_force(
    tx: &mut PgConnection,
    ctx: &Ctx,
    policy: &Policy,
    before: Option<&Policy>,
    action: &'static str,
) -> Result<()> {
    store::policy::insert(tx, policy).await?;
    let verb = match (policy.retired, before) {
        (true, _) => "retired",
        (false, None) => "wrote",
        (false, Some(_)) => "changed",
    };
    let name = format!("{} {}", policy.name, policy.revision);
    let summary = format!("{verb} the policy {}: revision {}", policy.name, policy.revision);
    let mut event =
        Event::new(action, Object::new(ObjectKind::Policy, policy.id, name), summary).details(serde_json::json!({
            "before": before.map(|before| &before.digest), "after": policy.digest, "document": policy.document,
        }));
    let environments = store::environment::list(tx, ctx.workspace_id()).await?;
    for environment in environments {
        let (scope, former) = (&policy.document.scope, before.map(|before| &before.document.scope));
        if scope.reaches(&environment.name, environment.tier.as_str())
            || former.is_some_and(|scope| scope.reaches(&environment.name, environment.tier.as_str()))
        {
            event = event.related(Object::new(ObjectKind::Environment, environment.id, &environment.name));
            store::event::notify(tx, &format!("environment:{}", environment.id)).await?;
        }
    }
    event.write(tx, ctx).await?;
    let open = store::promotion::lock_open_of_workspace(tx, ctx.workspace_id()).await?;
    let because = format!("revision {} of the policy {} is in force", policy.revision, policy.name);
    meet_new_policies(tx, open, &because).await
}

/// Which way is better, for the metrics that gates of an environment's policies name.
pub(crate) async fn better_in(conn: &mut PgConnection, environment: &Environment) -> Result<BTreeMap<String, Better>> {
    let all = store::policy::latest(conn, environment.workspace_id).await?;
    let reaches = |policy: &Policy| {
        !policy.retired && policy.document.scope.reaches(&environment.name, environment.tier.as_str())
    };
    Ok(all.iter().filter(|policy| reaches(policy)).flat_map(|policy| policy.document.better()).collect())
}

/// The same, of production.
pub(crate) async fn better_in_production(conn: &mut PgConnection, ctx: &Ctx) -> Result<BTreeMap<String, Better>> {
    match environment::production(conn, ctx).await? {
        Some(production) => better_in(conn, &production).await,
        None => Ok(BTreeMap::new()),
    }
}
