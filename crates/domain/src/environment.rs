//! Environments: where versions serve.

use crate::{
    id::{EnvironmentId, WorkspaceId},
    policy::Policy,
};
use serde::{Deserialize, Serialize};

/// Where versions serve: staging, production. Its name is also the alias that it protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// The environment.
    pub id: EnvironmentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace. The alias of this name moves only by a promotion.
    pub name: String,
    /// Its place in the order of promotion, from 1.
    pub position: i32,
}

/// The environment that unqualified inference requests go to.
pub const PRODUCTION: &str = "production";

/// An environment with what is in force and what goes on there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentOverview {
    /// The environment.
    pub environment: Environment,
    /// The policies that hold there, for some models at least.
    pub policies: Vec<Policy>,
    /// How many models serve there.
    pub live_models: i64,
    /// How many promotions are on their way there.
    pub open_promotions: i64,
}

/// An environment with the history of its own policy: the one of its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentDetail {
    /// The environment.
    pub environment: Environment,
    /// The policy of its name in force.
    pub policy: Policy,
    /// Every revision of that policy, the one in force first.
    pub revisions: Vec<Policy>,
    /// Other policies that hold there, for some models at least.
    pub others: Vec<Policy>,
}
