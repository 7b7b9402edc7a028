//! The people of the demo. They have no password, so nobody signs in as one of them, and an installation that was only
//! shown the demo still waits for its first administrator; their tokens end with the walk.

use crate::{Caller, Credential, Ctx, Event, IssuedToken, NewToken, Result, Services, boxed, commit};
use chrono::Utc;
use domain::{
    Error,
    audit::{Object, ObjectKind},
    id::UserId,
    permission::{Permission, Role, Scope},
    user::{DEMO_DOMAIN, Email, User},
};
use std::collections::BTreeSet;

/// Somebody of the demo.
#[derive(Debug, Clone, Copy)]
pub struct DemoPerson {
    /// Their address, up to the at sign.
    pub account: &'static str,
    /// Their name.
    pub name: &'static str,
    /// What they are in the workspace.
    pub roles: &'static [Role],
    /// What their token may be used for.
    pub scope: Scope,
}

impl Services {
    /// Whether the workspace holds nothing but what the demo makes. `name` is that of its model and its experiment.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn is_free_for_demo(&self, ctx: &Ctx, name: &str) -> Result<bool> {
        Ok(!store::demo::has_other_work(&mut *self.conn().await?, ctx.workspace_id(), name).await?)
    }

    /// Refuses the demo in a workspace where people work: it would change what their production asks for.
    ///
    /// # Errors
    /// `Conflict` when the workspace holds a model or run of somebody's own.
    #[boxed]
    pub async fn refuse_demo_among_work(&self, ctx: &Ctx, name: &str) -> Result<()> {
        if self.is_free_for_demo(ctx, name).await? {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "{} holds runs or models of your own, and the example would change what its production asks for. Load it in \
             a workspace of its own.",
            ctx.workspace.name
        )))
    }

    /// Makes somebody of the demo a member with their roles, unless they are that already, and gives them a token for a
    /// day.
    ///
    /// # Errors
    /// `Forbidden` to whoever may not manage the workspace, `Conflict` when the address belongs to somebody who can sign
    /// in.
    #[boxed]
    pub async fn admit_demo_person(&self, ctx: &Ctx, person: &DemoPerson) -> Result<IssuedToken> {
        ctx.require(Permission::ManageWorkspace)?;
        let email = Email::parse(&format!("{}@{DEMO_DOMAIN}", person.account))?;
        let roles: BTreeSet<Role> = person.roles.iter().copied().collect();
        let mut tx = self.begin().await?;
        // One walk at a time makes its people.
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let user = match store::user::by_email(&mut tx, &email).await? {
            Some((user, None)) => user,
            Some((user, Some(_))) => {
                return Err(Error::conflict(format!("{} belongs to somebody who can sign in.", user.email)));
            }
            None => {
                let name = person.name.to_owned();
                let user = User { id: UserId::new(), email, name, is_service: false, created_at: Utc::now() };
                store::user::insert(&mut tx, &user, None).await?;
                user
            }
        };
        if store::workspace::roles(&mut tx, ctx.workspace_id(), user.id).await? != roles {
            store::workspace::set_member(&mut tx, ctx.workspace_id(), user.id, &roles).await?;
            let names = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
            let object = Object::new(ObjectKind::User, user.id, &user.name);
            Event::new("user.added", object, format!("added {} of the demo as {names}", user.name))
                .details(serde_json::json!({ "email": user.email, "roles": roles }))
                .write(&mut tx, ctx)
                .await?;
        }
        commit(tx).await?;

        let credential = Credential::Session("demo".to_owned());
        let caller = Caller { user, credential, scope: Scope::Admin, request_id: None };
        let theirs = self.enter(caller, Some(&ctx.workspace.slug)).await?.ok_or_else(Error::internal)?;
        let token = NewToken { name: "demo".to_owned(), scope: person.scope, days: Some(1) };
        self.create_token(&theirs, token).await
    }
}
