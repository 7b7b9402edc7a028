//! Environments, and the policies that say what a version needs to enter them.

use crate::{Ctx, Result, Services, boxed};
use domain::{
    Error,
    environment::{Environment, EnvironmentDetail, EnvironmentOverview, PRODUCTION},
    policy::Policy,
};

impl Services {
    /// The environments, in the order of promotion, with what is in force and goes on there.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn environments(&self, ctx: &Ctx) -> Result<Vec<EnvironmentOverview>> {
        let mut conn = self.conn().await?;
        let policies = store::policy::latest(&mut conn, ctx.workspace_id()).await?;
        let mut all = store::environment::overview(&mut conn, ctx.workspace_id()).await?;
        for overview in &mut all {
            let (name, tier) = (&overview.environment.name, overview.environment.tier.as_str());
            let holds = |policy: &&Policy| !policy.retired && policy.document.scope.reaches(name, tier);
            overview.policies = policies.iter().filter(holds).cloned().collect();
        }
        Ok(all)
    }

    /// An environment with the policy in force and all that were.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn environment(&self, ctx: &Ctx, name: &str) -> Result<EnvironmentDetail> {
        let mut conn = self.conn().await?;
        let environment = named(&mut conn, ctx, name).await?;
        let revisions = store::policy::revisions(&mut conn, ctx.workspace_id(), &environment.name).await?;
        let policy = revisions.first().cloned().ok_or_else(|| {
            tracing::error!(environment = %environment.id, "an environment has no policy");
            Error::internal()
        })?;
        let (name, tier) = (&environment.name, environment.tier.as_str());
        let holds = |policy: &Policy| {
            !policy.retired && policy.name != *name && policy.document.scope.reaches(name, tier)
        };
        let all = store::policy::latest(&mut conn, ctx.workspace_id()).await?;
        Ok(EnvironmentDetail { others: all.into_iter().filter(holds).collect(), environment, policy, revisions })
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

/// Whether a text can be the name of anything: the database takes no zero bytes, not even to look for them.
pub(crate) fn is_name(text: &str) -> bool {
    !text.contains('\0')
}
