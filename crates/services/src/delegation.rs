//! Delegations: who decides for whom while they are away. Whether one counts on a promotion is asked in `promotion`, when
//! somebody decides.

use crate::{Ctx, Event, Result, Services, boxed, commit, freeze::hidden, now, team::member};
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    delegation::{self, Delegation, Scope},
    id::{DelegationId, UserId},
    page,
    permission::Permission,
};
use std::collections::BTreeSet;
use store::PgConnection;

/// The most delegations of somebody that are ahead or hold.
const MOST_OPEN: i64 = 20;

/// A delegation to be made.
#[derive(Debug, Clone)]
pub struct NewDelegation {
    /// For whom is decided; whoever asks when nothing is said.
    pub from: Option<UserId>,
    /// Who decides.
    pub to: UserId,
    /// On what.
    pub scope: Scope,
    /// From when on; from now on when nothing is said.
    pub starts_at: Option<DateTime<Utc>>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
}

impl Services {
    /// The delegations, newest first. Environments that whoever asks does not see are not named, nor delegations of those
    /// alone.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn delegations(&self, ctx: &Ctx, page_token: Option<&str>, limit: usize) -> Result<Page<Delegation>> {
        let before: Option<DelegationId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let rows = store::delegation::list(&mut conn, ctx.workspace_id(), before, limit as i64 + 1).await?;
        let hidden = hidden(&mut conn, ctx).await?;
        let Page { items, next_page_token } = Page::cut(rows, limit, |delegation| delegation.id);
        Ok(Page { items: items.into_iter().filter_map(|one| seen(ctx, one, &hidden)).collect(), next_page_token })
    }

    /// One delegation.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delegation(&self, ctx: &Ctx, id: DelegationId) -> Result<Delegation> {
        let mut conn = self.conn().await?;
        let found = store::delegation::by_id(&mut conn, ctx.workspace_id(), id).await?;
        let hidden = hidden(&mut conn, ctx).await?;
        found.and_then(|one| seen(ctx, one, &hidden)).ok_or_else(|| Error::not_found("delegation", id))
    }

    /// Lets somebody decide for somebody else: for oneself, or as an admin for another member.
    ///
    /// # Errors
    /// `Forbidden` for somebody else without being an admin; `NotFound` when one of them is no member; `Invalid` for a
    /// service account, for the same person, and for times, a scope or a reason that make no sense; `Conflict` when they
    /// have as many as they may.
    #[boxed]
    pub async fn create_delegation(&self, ctx: &Ctx, new: NewDelegation) -> Result<Delegation> {
        let own = ctx.user().map(|user| user.id);
        let Some(from) = new.from.or(own) else {
            return Err(Error::invalid_field("from", "Say for whom is decided."));
        };
        if own != Some(from) && !ctx.may(Permission::ManageMembers) {
            return Err(Error::forbidden(
                "You may let somebody decide for yourself. That somebody decides for another, an admin says.",
            ));
        }
        if own != Some(from) && own == Some(new.to) {
            return Err(Error::forbidden(
                "Nobody makes themselves stand in for somebody else: another admin says that.",
            ));
        }
        let now = now();
        // As exact as the database keeps them.
        let (starts_at, ends_at) = (new.starts_at.unwrap_or(now).trunc_subsecs(6), new.ends_at.trunc_subsecs(6));
        let reason = new.reason.trim().to_owned();
        delegation::check((from, new.to), &new.scope, (starts_at, ends_at), &reason, now)?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let (away, stands_in) = (
            member(&mut tx, ctx, from).await.map_err(|error| error.in_field("from"))?,
            member(&mut tx, ctx, new.to).await.map_err(|error| error.in_field("to"))?,
        );
        for (field, member) in [("from", &away), ("to", &stands_in)] {
            if member.user.is_service {
                let text = format!("{} is a service account: people alone decide.", member.user.name);
                return Err(Error::invalid_field(field, text));
            }
        }
        let seen = store::environment::overview(&mut tx, &ctx.sight(), false).await?;
        let is_there = |name: &String| seen.iter().any(|one| one.environment.name == *name);
        if let Some(missing) = new.scope.environments.iter().find(|name| !is_there(name)) {
            let shown: String = missing.chars().filter(|c| !c.is_control()).take(64).collect();
            let text = format!("There is no environment \"{shown}\" in this workspace.");
            return Err(Error::invalid_field("scope/environments", text));
        }
        if store::delegation::count_of(&mut tx, ctx.workspace_id(), from).await? >= MOST_OPEN {
            let text = format!("{} has {MOST_OPEN} delegations already; take one back.", away.user.name);
            return Err(Error::conflict(text));
        }
        let delegation = Delegation {
            id: DelegationId::new(),
            workspace_id: ctx.workspace_id(),
            from,
            from_name: away.user.name,
            to: new.to,
            to_name: stands_in.user.name,
            scope: new.scope,
            starts_at,
            ends_at,
            reason,
            created_at: now,
            created_by: ctx.actor().name().to_owned(),
            revoked_at: None,
        };
        store::delegation::insert(&mut tx, &delegation).await?;
        let summary = format!("let {} decide for {}", delegation.to_name, delegation.from_name);
        event("delegation.created", &mut tx, &delegation, summary).await?.write(&mut tx, ctx).await?;
        commit(tx).await?;
        Ok(delegation)
    }

    /// Takes a delegation back, from now on. What was decided by it before stands. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` to others than whom it is for, whom it is from, and admins; `Conflict` when it is over.
    #[boxed]
    pub async fn revoke_delegation(&self, ctx: &Ctx, id: DelegationId) -> Result<Delegation> {
        let delegation = self.delegation(ctx, id).await?;
        let own = ctx.user().map(|user| user.id);
        if ![Some(delegation.from), Some(delegation.to)].contains(&own) && !ctx.may(Permission::ManageMembers) {
            let text = format!("{}, {} or an admin takes this back.", delegation.from_name, delegation.to_name);
            return Err(Error::forbidden(text));
        }
        if delegation.revoked_at.is_some() {
            return Ok(delegation);
        }
        if delegation.ends_at <= Utc::now() {
            return Err(Error::conflict("This delegation is over already."));
        }
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        if store::delegation::revoke(&mut tx, id, now()).await? {
            let summary = format!("took back that {} decides for {}", delegation.to_name, delegation.from_name);
            event("delegation.revoked", &mut tx, &delegation, summary).await?.write(&mut tx, ctx).await?;
            commit(tx).await?;
        }
        self.delegation(ctx, id).await
    }
}

/// An event of a delegation, on the timelines of both people and of the environments that it names: whoever does not see one
/// of those does not see the event.
async fn event(action: &'static str, tx: &mut PgConnection, delegation: &Delegation, summary: String) -> Result<Event> {
    let name = format!("{} for {}", delegation.to_name, delegation.from_name);
    let event = Event::new(action, Object::new(ObjectKind::Delegation, delegation.id, name), summary)
        .related(Object::new(ObjectKind::User, delegation.from, &delegation.from_name))
        .related(Object::new(ObjectKind::User, delegation.to, &delegation.to_name))
        .details(serde_json::json!({
            "scope": delegation.scope,
            "starts_at": delegation.starts_at,
            "ends_at": delegation.ends_at,
            "reason": delegation.reason,
        }));
    let named = store::environment::list(tx, delegation.workspace_id).await?;
    let named = named.into_iter().filter(|one| delegation.scope.environments.contains(&one.name));
    Ok(named.fold(event, |event, one| event.related(Object::new(ObjectKind::Environment, one.id, one.name))))
}

/// A delegation as whoever asks sees it, who does not see these environments. One's own is there in any case.
fn seen(ctx: &Ctx, mut delegation: Delegation, hidden: &BTreeSet<String>) -> Option<Delegation> {
    if ctx.user().is_some_and(|user| [delegation.from, delegation.to].contains(&user.id)) {
        return Some(delegation);
    }
    let named = !delegation.scope.environments.is_empty();
    delegation.scope.environments.retain(|name| !hidden.contains(name));
    (!named || !delegation.scope.environments.is_empty()).then_some(delegation)
}
