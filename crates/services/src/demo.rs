//! The people of the demo. They have no password, so nobody signs in as one of them, and an installation that was only
//! shown the demo still waits for its first administrator; their tokens end with the walk.

use crate::{Caller, Credential, Ctx, Event, IssuedToken, NewToken, Result, Services, commit};
use chrono::Utc;
use domain::{
    Error,
    audit::{Object, ObjectKind},
    id::UserId,
    permission::{Permission, Role, Scope},
    user::{Email, User},
};
use std::collections::BTreeSet;

/// Where their addresses are: a name that no mail server will ever have.
const DOMAIN: &str = "demo.invalid";

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
    /// Makes somebody of the demo a member with their roles, unless they are that already, and gives them a token for a
    /// day.
    ///
    /// # Errors
    /// `Forbidden` to whoever may not manage the workspace.
    pub async fn admit_demo_person(&self, ctx: &Ctx, person: &DemoPerson) -> Result<IssuedToken> {
        ctx.require(Permission::ManageWorkspace)?;
        let email = Email::parse(&format!("{}@{DOMAIN}", person.account))?;
        let roles: BTreeSet<Role> = person.roles.iter().copied().collect();
        let mut tx = self.begin().await?;
        // One walk at a time makes its people.
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let user = match store::user::by_email(&mut tx, &email).await? {
            Some((user, _)) => user,
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
