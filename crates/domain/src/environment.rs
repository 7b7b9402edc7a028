//! Environments: where versions serve.

use crate::{
    error::Error,
    id::{EnvironmentId, WorkspaceId},
    names::AliasName,
    permission::{Role, UnknownName},
    policy::Policy,
    wording::is_word,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::FromStr};

/// Where versions serve: staging, production. Its name is also the alias that it protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// The environment.
    pub id: EnvironmentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace and never another.
    pub name: String,
    /// How much depends on it.
    pub tier: Tier,
    /// Its place in the order of promotion, from 1.
    pub position: i32,
    /// Whether the alias of its name moves only by a promotion.
    pub protected: bool,
    /// How long an approved version waits before it is deployed, in seconds.
    pub wait_timer_s: i32,
    /// The roles that see it and what is in it; everybody when none is given. Admins always do.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Role>>))]
    pub visible_to: Option<BTreeSet<Role>>,
    /// When it was archived. Nothing is brought there from then on; its history stays.
    pub archived_at: Option<DateTime<Utc>>,
}

/// How much depends on an environment. Rules and freezes may name it instead of environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Customers depend on it.
    Production,
    /// What goes to production next.
    Staging,
    /// For tests.
    Testing,
    /// For whoever develops.
    Development,
    /// Anything else.
    #[default]
    Other,
}

impl Tier {
    /// All of them, the one that most depends on first.
    pub const ALL: [Self; 5] = [Self::Production, Self::Staging, Self::Testing, Self::Development, Self::Other];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Testing => "testing",
            Self::Development => "development",
            Self::Other => "other",
        }
    }

    /// The name to show.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Production => "Production",
            Self::Staging => "Staging",
            Self::Testing => "Testing",
            Self::Development => "Development",
            Self::Other => "Other",
        }
    }

    /// The tier of an environment of this name, when nobody says another.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name).unwrap_or_default()
    }
}

impl FromStr for Tier {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// What somebody sees of a workspace: everything, but of its environments those that one of their roles may, and what is in
/// them. The database has the same rule in `may_see_environment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    workspace: WorkspaceId,
    roles: Option<BTreeSet<Role>>,
}

impl Sight {
    /// All of a workspace: for Slipway itself.
    #[must_use]
    pub fn all(workspace: WorkspaceId) -> Self {
        Self { workspace, roles: None }
    }

    /// What somebody with these roles sees of a workspace.
    #[must_use]
    pub fn of(workspace: WorkspaceId, roles: BTreeSet<Role>) -> Self {
        Self { workspace, roles: Some(roles) }
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The names of the roles; none for whoever sees everything.
    #[must_use]
    pub fn roles(&self) -> Option<Vec<&'static str>> {
        self.roles.as_ref().map(|roles| roles.iter().map(|role| role.as_str()).collect())
    }

    /// Whether an environment that these roles see is seen.
    #[must_use]
    pub fn sees(&self, visible_to: Option<&BTreeSet<Role>>) -> bool {
        let (Some(roles), Some(visible_to)) = (&self.roles, visible_to) else { return true };
        roles.contains(&Role::Admin) || !roles.is_disjoint(visible_to)
    }
}

/// The most characters of a name.
pub const MAX_NAME: usize = 63;
/// What addresses have in the place of an environment's name.
const RESERVED: [&str; 2] = ["new", "order"];
/// The most seconds between an approval and the deployment: 30 days.
pub const MAX_WAIT_S: i32 = 30 * 24 * 60 * 60;
/// The most environments of a workspace that are not archived.
pub const MAX_ENVIRONMENTS: usize = 50;

/// Refuses what is no environment's name: it stands in addresses, and is an alias of each model that serves there.
///
/// # Errors
/// When it is empty, longer than 63 characters, holds anything but lower-case letters, digits, underscores and hyphens,
/// begins or ends with one of the last two, or is a name that no alias may have or that addresses
/// have in its place.
pub fn check_name(name: &str) -> Result<(), Error> {
    if is_word(name, MAX_NAME) && AliasName::parse(name).is_ok() && !RESERVED.contains(&name) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        format!(
            "An environment's name has 1 to {MAX_NAME} lower-case letters, digits, underscores and hyphens, and starts \
             and ends with a letter or digit, such as pre-production. It is an alias too, so neither \"latest\" nor a \
             version like \"v1\"; \"new\" and \"order\" are taken."
        ),
    ))
}

/// Refuses a time to wait that is none.
///
/// # Errors
/// When it is negative or longer than 30 days.
pub fn check_wait(seconds: i32) -> Result<(), Error> {
    if (0..=MAX_WAIT_S).contains(&seconds) {
        return Ok(());
    }
    Err(Error::invalid_field("wait_timer_s", format!("Give 0 to {MAX_WAIT_S} seconds, which are 30 days.")))
}

/// Refuses to hide an environment from everybody.
///
/// # Errors
/// When roles are given and there is none.
pub fn check_visible_to(roles: Option<&BTreeSet<Role>>) -> Result<(), Error> {
    if roles.is_some_and(BTreeSet::is_empty) {
        return Err(Error::invalid_field(
            "visible_to",
            "Choose at least one role that sees it, or let everybody see it.",
        ));
    }
    Ok(())
}

/// The environment that unqualified inference requests go to.
pub const PRODUCTION: &str = "production";

/// An environment with what is in force and what goes on there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentOverview {
    /// The environment.
    pub environment: Environment,
    /// The policies that versions are held against there, of some models at least: not those for other actions alone.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_addresses_and_is_an_alias() {
        for name in ["production", "pre-production", "eu_1", "a"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in
            ["", "Production", "a b", "-a", "latest", "v1", "new", "order", "eu.1", "a\0", "a/b", &"x".repeat(64)]
        {
            assert_eq!(check_name(name).unwrap_err().field.as_deref(), Some("name"), "{name:?}");
        }
    }

    #[test]
    fn a_tier_is_read_from_its_name_and_guessed_from_the_environments() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse(), Ok(tier));
            assert_eq!(Tier::of_name(tier.as_str()), tier);
        }
        assert_eq!(Tier::of_name("canary"), Tier::Other);
        assert!("prod".parse::<Tier>().is_err());
    }

    #[test]
    fn who_sees_an_environment_has_one_of_its_roles_or_is_an_admin() {
        let workspace = WorkspaceId::new();
        let of = |roles: &[Role]| Sight::of(workspace, roles.iter().copied().collect());
        let operators = BTreeSet::from([Role::Operator]);
        assert!(of(&[Role::Viewer]).sees(None));
        assert!(of(&[Role::Viewer, Role::Operator]).sees(Some(&operators)));
        assert!(of(&[Role::Admin]).sees(Some(&operators)));
        assert!(Sight::all(workspace).sees(Some(&operators)));
        assert!(!of(&[Role::Viewer, Role::Approver]).sees(Some(&operators)));
        assert!(!of(&[]).sees(Some(&operators)));
    }

    #[test]
    fn waiting_and_hiding_have_bounds() {
        assert!(check_wait(0).is_ok() && check_wait(MAX_WAIT_S).is_ok());
        assert!(check_wait(-1).is_err() && check_wait(MAX_WAIT_S + 1).is_err());
        assert!(check_visible_to(None).is_ok() && check_visible_to(Some(&BTreeSet::new())).is_err());
    }
}
