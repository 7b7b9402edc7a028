//! Environments, and the policies that say what a version needs to enter them.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, now,
    promotion::{self, write_as_system},
};
use domain::{
    Digest, Error,
    audit::{Object, ObjectKind},
    environment::{Better, Environment, EnvironmentDetail, EnvironmentOverview, PRODUCTION, Policy, PolicyDocument},
    id::{EnvironmentId, PolicyId},
    promotion::PromotionState,
};
use std::collections::BTreeMap;

impl Services {
    /// The environments, in the order of promotion, with what is in force and goes on there.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn environments(&self, ctx: &Ctx) -> Result<Vec<EnvironmentOverview>> {
        Ok(store::environment::overview(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// An environment with the policy in force and all that were.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn environment(&self, ctx: &Ctx, name: &str) -> Result<EnvironmentDetail> {
        let mut conn = self.conn().await?;
        let environment = named(&mut conn, ctx, name).await?;
        let revisions = store::environment::policies(&mut conn, environment.id).await?;
        let policy = revisions.first().cloned().ok_or_else(|| {
            tracing::error!(environment = %environment.id, "an environment has no policy");
            Error::internal()
        })?;
        Ok(EnvironmentDetail { environment, policy, revisions })
    }

    /// Puts a policy in force, as a new revision unless it is the one in force. `instead_of` is the digest of the policy
    /// that the author looked at; when another one is in force by now, nothing changes.
    ///
    /// Open promotions are held against it at once: what was agreed on under the old one falls away, and their gates run
    /// again.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` for a policy without sense, `Conflict` when somebody else changed it first.
    #[boxed]
    pub async fn set_policy(
        &self,
        ctx: &Ctx,
        environment: &str,
        document: PolicyDocument,
        instead_of: Option<&Digest>,
    ) -> Result<Policy> {
        document.validate()?;
        let digest = Digest::of_json(&document).map_err(|error| {
            tracing::error!(%error, "a policy has no canonical form");
            Error::internal()
        })?;
        let mut tx = self.begin().await?;
        let environment = named(&mut tx, ctx, environment).await?;
        store::environment::lock(&mut tx, environment.id).await?;
        let before = store::environment::policy_in_force(&mut tx, environment.id).await?;
        if instead_of.is_some_and(|seen| *seen != before.digest) {
            return Err(Error::conflict(format!(
                "Somebody else changed the policy of {} meanwhile: revision {} is in force. Look at it and change that.",
                environment.name, before.revision
            )));
        }
        if digest == before.digest {
            return Ok(before);
        }
        let policy = Policy {
            id: PolicyId::new(),
            environment_id: environment.id,
            revision: before.revision + 1,
            document,
            digest,
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
        };
        store::environment::insert_policy(&mut tx, &policy).await?;
        let name = format!("{} policy {}", environment.name, policy.revision);
        let summary = format!("changed the policy of {} to revision {}", environment.name, policy.revision);
        Event::new("policy.changed", Object::new(ObjectKind::Policy, policy.id, name), summary)
            .related(Object::new(ObjectKind::Environment, environment.id, &environment.name))
            .details(
                serde_json::json!({ "before": before.digest, "after": policy.digest, "document": policy.document }),
            )
            .write(&mut tx, ctx)
            .await?;
        hold_open_against(&mut tx, &environment, &policy).await?;
        store::event::notify(&mut tx, &format!("environment:{}", environment.id)).await?;
        commit(tx).await?;
        Ok(policy)
    }
}

/// The environment of this name.
pub(crate) async fn named(conn: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Environment> {
    let found = match is_name(name) {
        true => store::environment::by_name(conn, ctx.workspace_id(), name).await?,
        false => None,
    };
    found.ok_or_else(|| Error::not_found("environment", name))
}

/// The environment that champions are in; none where it is called otherwise.
pub(crate) async fn production(conn: &mut store::PgConnection, ctx: &Ctx) -> Result<Option<Environment>> {
    Ok(store::environment::by_name(conn, ctx.workspace_id(), PRODUCTION).await?)
}

/// Which way is better, for the metrics that gates of an environment name.
pub(crate) async fn better_in(conn: &mut store::PgConnection, id: EnvironmentId) -> Result<BTreeMap<String, Better>> {
    Ok(store::environment::policy_in_force(conn, id).await?.document.better())
}

/// The same, of production.
pub(crate) async fn better_in_production(
    conn: &mut store::PgConnection,
    ctx: &Ctx,
) -> Result<BTreeMap<String, Better>> {
    match production(conn, ctx).await? {
        Some(production) => better_in(conn, production.id).await,
        None => Ok(BTreeMap::new()),
    }
}

/// Whether a text can be the name of anything: the database takes no zero bytes, not even to look for them.
pub(crate) fn is_name(text: &str) -> bool {
    !text.contains('\0')
}

/// Sends what is on its way into an environment back to its gates. What is being deployed finds out by itself, before
/// it is live.
async fn hold_open_against(tx: &mut store::PgConnection, environment: &Environment, policy: &Policy) -> Result<()> {
    for mut open in store::promotion::lock_open(tx, environment.id, None).await? {
        if open.state == PromotionState::Deploying {
            continue;
        }
        let reason = format!("Asked again: revision {} of the policy is in force.", policy.revision);
        promotion::run_gates_again(tx, &mut open, policy, reason).await?;
        let summary = format!("ran the gates of {} again: the policy changed", open.title());
        let candidate = promotion::candidate_of(tx, &open).await?;
        let event = promotion::event("promotion.gates_restarted", &open, &candidate, summary)
            .details(serde_json::json!({ "policy": policy.digest }));
        write_as_system(event, tx, &open).await?;
    }
    Ok(())
}
