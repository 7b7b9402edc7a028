//! Workspaces and who is a member of them.

use crate::{Caller, Ctx, Event, NewUser, Result, Services, boxed, commit};
use chrono::Utc;
use domain::{
    Error,
    audit::{Object, ObjectKind},
    id::{UserId, WorkspaceId},
    permission::{Permission, Role},
    user::{Email, Member, User, Workspace, parse_slug},
};
use std::collections::BTreeSet;

impl Services {
    /// Somebody's context in a workspace: the one of this slug, or the first of theirs. None when it does not exist or
    /// they are not a member, which are the same to them.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn enter(&self, caller: Caller, slug: Option<&str>) -> Result<Option<Ctx>> {
        let mut conn = self.conn().await?;
        let entered = match slug {
            Some(slug) => store::workspace::membership(&mut conn, slug, caller.user.id).await?,
            None => store::workspace::of_user(&mut conn, caller.user.id).await?.into_iter().next(),
        };
        Ok(entered.map(|(workspace, roles)| Ctx { caller: Some(caller), workspace, roles }))
    }

    /// Makes a workspace, with its maker as administrator.
    ///
    /// # Errors
    /// `AlreadyExists` when the slug is taken, `Invalid` when it is no slug.
    #[boxed]
    pub async fn create_workspace(&self, caller: &Caller, slug: &str, name: &str) -> Result<Workspace> {
        let name = check_name(name)?;
        let workspace = Workspace {
            id: WorkspaceId::new(),
            slug: parse_slug(slug)?,
            name: name.to_owned(),
            created_at: Utc::now(),
        };
        let mut tx = self.begin().await?;
        store::workspace::insert(&mut tx, &workspace).await.map_err(|error| match error {
            error if error.is_duplicate_of("workspaces_slug_key") => {
                Error::already_exists(format!("There is a workspace at /w/{slug} already.")).in_field("slug")
            }
            error => error.into(),
        })?;
        store::workspace::set_member(&mut tx, workspace.id, caller.user.id, &BTreeSet::from([Role::Admin])).await?;
        let object = Object::new(ObjectKind::Workspace, workspace.id, &workspace.name);
        Event::new("workspace.created", object, format!("created the workspace {name}"))
            .write_as(&mut tx, Some(workspace.id), caller.actor(), caller.request_id.as_deref())
            .await?;
        commit(tx).await?;
        Ok(workspace)
    }

    /// Gives a workspace another name to show. Its slug stays: addresses are made of it.
    ///
    /// # Errors
    /// `Invalid` for a name that is none; `Forbidden` for those who do not manage the workspace.
    #[boxed]
    pub async fn rename_workspace(&self, ctx: &Ctx, name: &str) -> Result<Workspace> {
        ctx.require(Permission::ManageWorkspace)?;
        let workspace = Workspace { name: check_name(name)?.to_owned(), ..ctx.workspace.clone() };
        if workspace.name == ctx.workspace.name {
            return Ok(workspace);
        }
        let mut tx = self.begin().await?;
        store::workspace::rename(&mut tx, workspace.id, &workspace.name).await?;
        let object = Object::new(ObjectKind::Workspace, workspace.id, &workspace.name);
        let summary = format!("renamed the workspace {} to {}", ctx.workspace.name, workspace.name);
        Event::new("workspace.renamed", object, summary)
            .details(serde_json::json!({ "from": ctx.workspace.name, "to": workspace.name }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(workspace)
    }

    /// The members, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn members(&self, ctx: &Ctx) -> Result<Vec<Member>> {
        Ok(store::workspace::members(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// Adds somebody who has an account.
    ///
    /// # Errors
    /// `NotFound` when no user has the address, `AlreadyExists` when they are a member.
    #[boxed]
    pub async fn add_member(&self, ctx: &Ctx, email: &Email, roles: BTreeSet<Role>) -> Result<User> {
        check_roles(&roles)?;
        let mut tx = self.begin().await?;
        let (user, _) = store::user::by_email(&mut tx, email).await?.ok_or_else(|| {
            Error::new(
                domain::ErrorKind::NotFound,
                format!("No user has the address {email}. Give a password to add them."),
            )
            .in_field("email")
        })?;
        if !store::workspace::set_member(&mut tx, ctx.workspace_id(), user.id, &roles).await? {
            return Err(Error::already_exists(format!(
                "{} is a member already; change their roles instead.",
                user.name
            ))
            .in_field("email"));
        }
        Event::new("user.added", object(&user), format!("added {} as {}", user.name, list(&roles)))
            .details(serde_json::json!({ "roles": roles }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        self.bearers.forget();
        Ok(user)
    }

    /// Adds somebody new, with a password that they should change.
    ///
    /// # Errors
    /// `AlreadyExists` when the address is taken.
    #[boxed]
    pub async fn add_new_member(&self, ctx: &Ctx, new: NewUser, roles: BTreeSet<Role>) -> Result<User> {
        check_roles(&roles)?;
        let user = new.user()?;
        let hash = self.passwords.hash(new.password).await?;
        let mut tx = self.begin().await?;
        self.insert_member(&mut tx, &user, &hash, ctx.workspace_id(), roles, ctx.actor()).await?;
        commit(tx).await?;
        Ok(user)
    }

    /// Changes a member's roles; only from those in `instead_of`, when given.
    ///
    /// # Errors
    /// `NotFound` when they are no member, `Conflict` when the workspace would be left without an administrator, or when
    /// they have other roles meanwhile.
    #[boxed]
    pub async fn set_member_roles(
        &self,
        ctx: &Ctx,
        user: UserId,
        roles: BTreeSet<Role>,
        instead_of: Option<&BTreeSet<Role>>,
    ) -> Result<()> {
        check_roles(&roles)?;
        let mut tx = self.begin().await?;
        let member = self.member_to_change(&mut tx, ctx, user, roles.contains(&Role::Admin)).await?;
        if member.roles == roles {
            return Ok(());
        }
        if instead_of.is_some_and(|seen| *seen != member.roles) {
            return Err(Error::conflict(format!(
                "Somebody changed what {} is since you opened the page: {} now. Look again.",
                member.user.name,
                list(&member.roles)
            )));
        }
        store::workspace::set_member(&mut tx, ctx.workspace_id(), user, &roles).await?;
        let summary = format!("changed {} from {} to {}", member.user.name, list(&member.roles), list(&roles));
        Event::new("user.roles_changed", object(&member.user), summary)
            .details(serde_json::json!({ "from": member.roles, "to": roles }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        self.bearers.forget();
        Ok(())
    }

    /// Ends a membership.
    ///
    /// # Errors
    /// `NotFound` when they are no member, `Conflict` when the workspace would be left without an administrator.
    #[boxed]
    pub async fn remove_member(&self, ctx: &Ctx, user: UserId) -> Result<()> {
        let mut tx = self.begin().await?;
        let member = self.member_to_change(&mut tx, ctx, user, false).await?;
        store::workspace::remove_member(&mut tx, ctx.workspace_id(), user).await?;
        Event::new("user.removed", object(&member.user), format!("removed {}", member.user.name))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        self.bearers.forget();
        Ok(())
    }

    /// The member, under a lock of all members; refuses to lose the last administrator.
    async fn member_to_change(
        &self,
        tx: &mut store::PgConnection,
        ctx: &Ctx,
        user: UserId,
        stays_admin: bool,
    ) -> Result<Member> {
        store::workspace::lock(tx, ctx.workspace_id()).await?;
        let members = store::workspace::members(tx, ctx.workspace_id()).await?;
        let others_admin = members.iter().any(|member| member.user.id != user && member.roles.contains(&Role::Admin));
        let member = members
            .into_iter()
            .find(|member| member.user.id == user)
            .ok_or_else(|| Error::not_found("member", user))?;
        if member.roles.contains(&Role::Admin) && !stays_admin && !others_admin {
            return Err(Error::conflict(format!(
                "{} is the only administrator; make somebody else one first.",
                member.user.name
            )));
        }
        Ok(member)
    }
}

fn check_name(name: &str) -> Result<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::invalid_field("name", "Give the workspace a name of 1 to 100 characters."));
    }
    Ok(name)
}

fn check_roles(roles: &BTreeSet<Role>) -> Result<()> {
    if roles.is_empty() { Err(Error::invalid_field("roles", "Choose at least one role.")) } else { Ok(()) }
}

fn object(user: &User) -> Object {
    Object::new(ObjectKind::User, user.id, &user.name)
}

fn list(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}
