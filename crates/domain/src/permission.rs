//! Who may do what: five roles, the permissions of each, and the scopes of tokens. This table is the whole matrix.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// What a member is in a workspace. A member may hold several roles and has the permissions of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads everything but webhooks.
    Viewer,
    /// Logs runs, registers models, writes and starts pipelines, requests promotions.
    Contributor,
    /// Deploys, rolls back, handles alerts.
    Operator,
    /// Is whom rules of policies ask for. Being an approver gives no right to change what is decided on.
    Approver,
    /// Everything in the workspace. Counts for a rule of a policy only where the rule names admins.
    Admin,
}

impl Role {
    /// All roles, least first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Contributor, Self::Operator, Self::Approver, Self::Admin];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Contributor => "contributor",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Whether this role carries the permission: the matrix.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            // Whose decision counts for what, the rules of policies say.
            P::Read | P::Predict | P::ManageAccount | P::MakeTokens | P::DecidePromotion => true,
            P::Comment => self != Self::Viewer,
            P::WriteTracking
            | P::WriteRegistry
            | P::WriteDatasets
            | P::WritePipelines
            | P::RunPipelines
            | P::RequestPromotion => matches!(self, Self::Contributor | Self::Admin),
            P::Deploy | P::HandleAlerts | P::WriteMonitors => matches!(self, Self::Operator | Self::Admin),
            P::WritePolicies
            | P::ManageMembers
            | P::ManageWebhooks
            | P::ManageSecrets
            | P::ManagePools
            | P::ManageWorkspace
            | P::MakeWorkspaces => self == Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role, scope or the like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{given}\" is not one of: {expected}")]
pub struct UnknownName {
    /// What was given, cut to a length that can be shown.
    pub given: String,
    /// The names there are, separated by commas.
    pub expected: String,
}

impl UnknownName {
    /// `given` is none of `names`.
    pub fn new(given: &str, names: impl IntoIterator<Item = &'static str>) -> Self {
        let expected = names.into_iter().collect::<Vec<_>>().join(", ");
        Self { given: given.chars().take(64).collect(), expected }
    }
}

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// Something a member may or may not do in a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See everything in the workspace but webhooks.
    Read,
    /// Send inference requests to deployed models.
    Predict,
    /// Change one's own password, revoke one's tokens, end one's sessions.
    ManageAccount,
    /// Make API tokens of one's own.
    MakeTokens,
    /// Make further workspaces, and administer them. Whoever may, may do everything in some workspace already.
    MakeWorkspaces,
    /// Log experiments, runs, metrics, artifacts.
    WriteTracking,
    /// Say something of runs and versions, and change what one said.
    Comment,
    /// Register models and versions, move aliases that no environment protects.
    WriteRegistry,
    /// Make datasets and versions of them, and say what is expected of them.
    WriteDatasets,
    /// Store pipeline files.
    WritePipelines,
    /// Start and cancel pipeline runs.
    RunPipelines,
    /// Request that a version be promoted, and withdraw the request.
    RequestPromotion,
    /// Approve or reject a promotion, as far as a rule of its policies counts whoever does.
    DecidePromotion,
    /// Roll back a deployment.
    Deploy,
    /// Acknowledge and resolve alerts.
    HandleAlerts,
    /// Change monitors and triggers.
    WriteMonitors,
    /// Change the promotion policies of environments.
    WritePolicies,
    /// Invite, change and remove members.
    ManageMembers,
    /// See and change webhooks: their addresses may hold secrets of other services.
    ManageWebhooks,
    /// Set and delete secrets. Whoever may write pipelines may use them.
    ManageSecrets,
    /// Say how many steps of a pool of workers may run at once, in all workspaces.
    ManagePools,
    /// Load the example into the workspace.
    ManageWorkspace,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 22] = [
        Self::Read,
        Self::Predict,
        Self::ManageAccount,
        Self::MakeTokens,
        Self::MakeWorkspaces,
        Self::WriteTracking,
        Self::Comment,
        Self::WriteRegistry,
        Self::WriteDatasets,
        Self::WritePipelines,
        Self::RunPipelines,
        Self::RequestPromotion,
        Self::DecidePromotion,
        Self::Deploy,
        Self::HandleAlerts,
        Self::WriteMonitors,
        Self::WritePolicies,
        Self::ManageMembers,
        Self::ManageWebhooks,
        Self::ManageSecrets,
        Self::ManagePools,
        Self::ManageWorkspace,
    ];

    /// The least scope that a token needs to use this permission.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Read | Self::Predict => Scope::Read,
            Self::MakeTokens
            | Self::MakeWorkspaces
            | Self::WritePolicies
            | Self::ManageMembers
            | Self::ManageWebhooks
            | Self::ManageSecrets
            | Self::ManagePools
            | Self::ManageWorkspace => Scope::Admin,
            _ => Scope::Write,
        }
    }

    /// What it allows, to end the sentence "You may not …".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Read => "see this workspace",
            Self::Predict => "send inference requests",
            Self::ManageAccount => "change your account",
            Self::MakeTokens => "make tokens",
            Self::MakeWorkspaces => "make workspaces",
            Self::WriteTracking => "log experiments and runs",
            Self::Comment => "comment",
            Self::WriteRegistry => "change registered models",
            Self::WriteDatasets => "change datasets",
            Self::WritePipelines => "change pipelines",
            Self::RunPipelines => "start or cancel pipeline runs",
            Self::RequestPromotion => "request promotions",
            Self::DecidePromotion => "decide on promotions",
            Self::Deploy => "deploy or roll back",
            Self::HandleAlerts => "handle alerts",
            Self::WriteMonitors => "change monitors and triggers",
            Self::WritePolicies => "change environments and policies",
            Self::ManageMembers => "manage members",
            Self::ManageWebhooks => "manage webhooks",
            Self::ManageSecrets => "manage secrets",
            Self::ManagePools => "manage pools of workers",
            Self::ManageWorkspace => "change the workspace",
        }
    }

    /// The roles that carry it, for a message that says whom to ask.
    #[must_use]
    pub fn roles(self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| role.may(self)).collect()
    }
}

/// What a token may be used for, whatever its owner may do. Each includes the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look and predict.
    Read,
    /// Also log, register, run, request, decide, deploy.
    Write,
    /// Also change policies, members and webhooks, and make tokens.
    Admin,
}

impl Scope {
    /// All scopes, least first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// Whether somebody with these roles, through a credential of this scope, may do this.
#[must_use]
pub fn may(roles: &BTreeSet<Role>, scope: Scope, permission: Permission) -> bool {
    scope >= permission.scope() && roles.iter().any(|role| role.may(permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_is_what_the_documentation_shows() {
        let mut table = String::new();
        for permission in Permission::ALL {
            let roles = permission.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ");
            table += &format!("{permission:?} ({}): {roles}\n", permission.scope().as_str());
        }
        insta::assert_snapshot!(table, @"
        Read (read): viewer contributor operator approver admin
        Predict (read): viewer contributor operator approver admin
        ManageAccount (write): viewer contributor operator approver admin
        MakeTokens (admin): viewer contributor operator approver admin
        MakeWorkspaces (admin): admin
        WriteTracking (write): contributor admin
        Comment (write): contributor operator approver admin
        WriteRegistry (write): contributor admin
        WriteDatasets (write): contributor admin
        WritePipelines (write): contributor admin
        RunPipelines (write): contributor admin
        RequestPromotion (write): contributor admin
        DecidePromotion (write): viewer contributor operator approver admin
        Deploy (write): operator admin
        HandleAlerts (write): operator admin
        WriteMonitors (write): operator admin
        WritePolicies (admin): admin
        ManageMembers (admin): admin
        ManageWebhooks (admin): admin
        ManageSecrets (admin): admin
        ManagePools (admin): admin
        ManageWorkspace (admin): admin
        ");
    }

    #[test]
    fn a_read_token_of_an_admin_only_reads() {
        let roles = BTreeSet::from([Role::Admin, Role::Approver]);
        for permission in Permission::ALL {
            assert_eq!(may(&roles, Scope::Read, permission), permission.scope() == Scope::Read, "{permission:?}");
        }
    }

    #[test]
    fn nobody_without_a_role_may_do_anything() {
        assert!(Permission::ALL.into_iter().all(|permission| !may(&BTreeSet::new(), Scope::Admin, permission)));
    }

    #[test]
    fn several_roles_add_up() {
        let roles = BTreeSet::from([Role::Viewer, Role::Approver]);
        assert!(may(&roles, Scope::Write, Permission::DecidePromotion));
        assert!(!may(&roles, Scope::Write, Permission::RequestPromotion));
    }
}
