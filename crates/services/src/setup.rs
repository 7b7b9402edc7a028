//! The first steps of an installation: its default workspace, its first administrator, and users made by command.

use crate::{
    Event, Result, Services, boxed, commit,
    token::{hash_secret, new_secret},
};
use chrono::{Duration, Utc};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    id::{UserId, WorkspaceId},
    permission::Role,
    user::{DEFAULT_WORKSPACE, Email, Password, User, Workspace},
};
use std::collections::BTreeSet;

/// How long a sign-in link works.
const LINK_LASTS: Duration = Duration::hours(24);

/// A person to be added.
#[derive(Debug)]
pub struct NewUser {
    /// Their address.
    pub email: Email,
    /// Their name; the part of the address before the at sign when empty.
    pub name: String,
    /// What they sign in with.
    pub password: Password,
}

impl NewUser {
    pub(crate) fn user(&self) -> Result<User> {
        if self.email.is_reserved() {
            let message = "Addresses of this domain are of Slipway's own accounts; give the person's own address.";
            return Err(Error::invalid_field("email", message));
        }
        let name = self.name.trim();
        let name = if name.is_empty() { self.email.as_str().split('@').next().unwrap_or_default() } else { name };
        if name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::invalid_field("name", "A name has at most 100 characters, all of them visible."));
        }
        Ok(User {
            id: UserId::new(),
            email: self.email.clone(),
            name: name.to_owned(),
            is_service: false,
            created_at: Utc::now(),
        })
    }
}

impl Services {
    /// Makes the default workspace when there is none. Called at every start.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn ensure_default_workspace(&self) -> Result<Workspace> {
        let mut tx = self.begin().await?;
        if let Some(workspace) = store::workspace::by_slug(&mut tx, DEFAULT_WORKSPACE).await? {
            return Ok(workspace);
        }
        let workspace = Workspace {
            id: WorkspaceId::new(),
            slug: DEFAULT_WORKSPACE.to_owned(),
            name: "Default".to_owned(),
            created_at: Utc::now(),
        };
        match store::workspace::insert(&mut tx, &workspace).await {
            Ok(()) => {
                let object = Object::new(ObjectKind::Workspace, workspace.id, &workspace.name);
                let event = Event::new("workspace.created", object, "created the workspace Default");
                event.write_as(&mut tx, Some(workspace.id), Actor::System, None).await?;
                commit(tx).await?;
                Ok(workspace)
            }
            // Another process was first.
            Err(error) if error.is_duplicate_of("workspaces_slug_key") => {
                drop(tx);
                let mut conn = self.conn().await?;
                store::workspace::by_slug(&mut conn, DEFAULT_WORKSPACE).await?.ok_or_else(Error::internal)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Adds a person who is a member of the default workspace with these roles: for the command line, whose user may do
    /// everything anyway.
    ///
    /// # Errors
    /// `AlreadyExists` when the address is taken.
    #[boxed]
    pub async fn create_user(&self, new: NewUser, roles: BTreeSet<Role>) -> Result<User> {
        let workspace = self.ensure_default_workspace().await?;
        let user = new.user()?;
        let hash = self.passwords.hash(new.password).await?;
        let mut tx = self.begin().await?;
        self.insert_member(&mut tx, &user, &hash, workspace.id, roles, Actor::System).await?;
        commit(tx).await?;
        Ok(user)
    }

    /// A link's secret with which the first administrator can set up the installation; none when some person
    /// administers it already. A new one takes the place of the one before.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn setup_link(&self) -> Result<Option<String>> {
        let mut tx = self.begin().await?;
        if store::user::any_administrator(&mut tx).await? {
            return Ok(None);
        }
        let secret = new_secret("link_");
        store::user::insert_link(&mut tx, &hash_secret(&secret), Utc::now() + LINK_LASTS).await?;
        commit(tx).await?;
        Ok(Some(secret))
    }

    /// Whether a set-up link can still be used.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn is_setup_link(&self, secret: &str) -> Result<bool> {
        let mut conn = self.conn().await?;
        let is_link = store::user::is_link(&mut conn, &hash_secret(secret)).await?;
        Ok(is_link && !store::user::any_administrator(&mut conn).await?)
    }

    /// Uses a set-up link: the first administrator, who holds all roles of the default workspace.
    ///
    /// # Errors
    /// `Forbidden` when the link was used or has expired.
    #[boxed]
    pub async fn set_up(&self, secret: &str, new: NewUser) -> Result<User> {
        let user = new.user()?;
        // Before anything that takes long: anybody may send this.
        if !self.is_setup_link(secret).await? {
            return Err(used_link());
        }
        let workspace = self.ensure_default_workspace().await?;
        let hash = self.passwords.hash(new.password).await?;
        let mut tx = self.begin().await?;
        if !store::user::use_link(&mut tx, &hash_secret(secret)).await?
            || store::user::any_administrator(&mut tx).await?
        {
            return Err(used_link());
        }
        let roles = BTreeSet::from([Role::Admin, Role::Approver]);
        self.insert_member(&mut tx, &user, &hash, workspace.id, roles, Actor::System).await?;
        commit(tx).await?;
        Ok(user)
    }

    pub(crate) async fn insert_member(
        &self,
        tx: &mut store::PgConnection,
        user: &User,
        hash: &str,
        workspace: WorkspaceId,
        roles: BTreeSet<Role>,
        actor: Actor,
    ) -> Result<()> {
        store::user::insert(tx, user, Some(hash)).await.map_err(|error| match error {
            error if error.is_duplicate_of("users_email_key") => {
                Error::already_exists(format!("There is a user with the address {} already.", user.email))
                    .in_field("email")
            }
            error => error.into(),
        })?;
        store::workspace::set_member(tx, workspace, user.id, &roles).await?;
        let names = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        Event::new(
            "user.added",
            Object::new(ObjectKind::User, user.id, &user.name),
            format!("added {} as {names}", user.name),
        )
        .details(serde_json::json!({ "email": user.email, "roles": roles }))
        .write_as(tx, Some(workspace), actor, None)
        .await
    }
}

/// What is said of a set-up link that does not work.
#[must_use]
pub fn used_link() -> Error {
    Error::forbidden(
        "This link was used or has expired, or somebody administers this installation already: then sign in. Else start \
         the server again to get a new one.",
    )
}
