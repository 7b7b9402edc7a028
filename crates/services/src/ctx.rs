//! Who asks, where, and with what rights: the first argument of use cases that somebody asks for.

use domain::{
    Error,
    audit::Actor,
    environment::Sight,
    id::{TokenId, WorkspaceId},
    permission::{self, Permission, Role, Scope},
    user::{User, Workspace},
};
use std::collections::BTreeSet;

/// How somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A browser's session, by its id.
    Session(String),
    /// An API token.
    Token(TokenId),
}

/// Somebody who is signed in, in no workspace in particular.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: User,
    /// How they proved it.
    pub credential: Credential,
    /// What the credential may be used for.
    pub scope: Scope,
    /// The request, to be found in the log.
    pub request_id: Option<String>,
}

impl Caller {
    /// As history names them.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::User { id: self.user.id, name: self.user.name.clone(), is_service: self.user.is_service }
    }

    /// The id of the session that asks, when it is one.
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        match &self.credential {
            Credential::Session(id) => Some(id),
            Credential::Token(_) => None,
        }
    }
}

/// Somebody, or Slipway itself, in a workspace.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Who; none for Slipway itself.
    pub caller: Option<Caller>,
    /// Where.
    pub workspace: Workspace,
    /// What they are there.
    pub roles: BTreeSet<Role>,
}

impl Ctx {
    /// Slipway itself, in a workspace: workers, monitors, triggers.
    #[must_use]
    pub fn system(workspace: Workspace) -> Self {
        Self { caller: None, workspace, roles: BTreeSet::new() }
    }

    /// The workspace's id.
    #[must_use]
    pub fn workspace_id(&self) -> WorkspaceId {
        self.workspace.id
    }

    /// What they see of the workspace. Slipway itself sees all of it.
    #[must_use]
    pub fn sight(&self) -> Sight {
        match self.caller {
            Some(_) => Sight::of(self.workspace_id(), self.roles.clone()),
            None => Sight::all(self.workspace_id()),
        }
    }

    /// As history names who asks.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.caller.as_ref().map_or(Actor::System, Caller::actor)
    }

    /// Who asks, when it is a user.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.caller.as_ref().map(|caller| &caller.user)
    }

    /// The request, to be found in the log.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.caller.as_ref()?.request_id.as_deref()
    }

    /// Whether they may do this. Slipway itself may do everything.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.caller.as_ref().is_none_or(|caller| permission::may(&self.roles, caller.scope, permission))
    }

    /// Refuses when they may not do this, and says who may.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, permission: Permission) -> Result<(), Error> {
        if self.may(permission) {
            return Ok(());
        }
        let what = permission.describe();
        let by_role = self.roles.iter().any(|role| role.may(permission));
        Err(Error::forbidden(if by_role {
            format!("This token may not {what}: it needs the scope \"{}\".", permission.scope().as_str())
        } else {
            let roles: Vec<_> = permission.roles().iter().map(|role| role.as_str()).collect();
            format!("You may not {what} in {}: that takes the role {}.", self.workspace.name, roles.join(" or "))
        }))
    }
}
