//! Signing in, and one's own account.

use crate::{Caller, Result, Services, boxed, commit, session::account_event};
use domain::{
    Error,
    permission::Role,
    user::{Email, Password, User, Workspace},
};
use std::collections::BTreeSet;

impl Services {
    /// Who signs in with this address and password.
    ///
    /// # Errors
    /// `Unauthenticated` when there is no such pair; it does not say which half is wrong.
    #[boxed]
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<User> {
        let known = match Email::parse(email) {
            Ok(email) => store::user::by_email(&mut *self.conn().await?, &email).await?,
            Err(_) => None,
        };
        let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), hash));
        let is_right = self.passwords.verify(Password::given(password), hash).await?;
        match user {
            Some(user) if is_right => Ok(user),
            _ => Err(Error::unauthenticated("No account has this e-mail address and password.").in_field("password")),
        }
    }

    /// Notes that somebody was here now.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn seen(&self, user: &User) -> Result<()> {
        Ok(store::user::seen(&mut *self.conn().await?, user.id).await?)
    }

    /// The user of this id.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn user(&self, id: domain::id::UserId) -> Result<Option<User>> {
        Ok(store::user::by_id(&mut *self.conn().await?, id).await?)
    }

    /// The workspaces that somebody is a member of; the default workspace first, then by name.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn workspaces_of(&self, user: &User) -> Result<Vec<(Workspace, BTreeSet<Role>)>> {
        Ok(store::workspace::of_user(&mut *self.conn().await?, user.id).await?)
    }

    /// Whether this is the password of a person.
    pub(crate) async fn is_password_of(&self, user: domain::id::UserId, password: Password) -> Result<bool> {
        let mut conn = self.conn().await?;
        let email = store::user::by_id(&mut conn, user).await?.map(|user| user.email);
        let known = match email {
            Some(email) => store::user::by_email(&mut conn, &email).await?,
            None => None,
        };
        drop(conn);
        self.passwords.verify(password, known.and_then(|(_, hash)| hash)).await
    }

    /// Changes one's own password, and ends one's other sessions.
    ///
    /// # Errors
    /// `Invalid` when the present password is wrong.
    #[boxed]
    pub async fn change_password(&self, caller: &Caller, present: &str, new: Password) -> Result<()> {
        let known = store::user::by_email(&mut *self.conn().await?, &caller.user.email).await?;
        let hash = known.and_then(|(_, hash)| hash);
        if !self.passwords.verify(Password::given(present), hash).await? {
            return Err(Error::invalid_field("present", "This is not your present password."));
        }
        let hash = self.passwords.hash(new).await?;
        let mut tx = self.begin().await?;
        store::user::set_password(&mut tx, caller.user.id, &hash).await?;
        store::session::revoke_others(&mut tx, caller.user.id, caller.session()).await?;
        account_event("user.password_changed", &caller.user, "changed their password")
            .write_by(&mut tx, caller)
            .await?;
        commit(tx).await
    }
}
