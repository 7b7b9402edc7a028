//! One's own browser sessions.

use crate::{Caller, Event, Result, Services, boxed, commit};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    user::{Session, User},
};
use serde_json::json;

/// Where somebody signs in from.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// The browser, as it names itself.
    pub user_agent: String,
    /// The address it comes from; empty when that is not known.
    pub address: String,
}

impl Services {
    /// Notes that somebody who proved who they are signs in, before their session is kept.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn begin_session(&self, user: &User, from: &Browser, request_id: Option<&str>) -> Result<()> {
        let actor = Actor::User { id: user.id, name: user.name.clone(), is_service: user.is_service };
        let mut tx = self.begin().await?;
        store::user::seen(&mut tx, user.id).await?;
        account_event("user.signed_in", user, "signed in")
            .details(json!({ "user_agent": from.user_agent, "address": from.address }))
            .write_as(&mut tx, None, actor, request_id)
            .await?;
        commit(tx).await
    }

    /// Ends the session that asks. A token has none to end.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn sign_out(&self, caller: &Caller) -> Result<()> {
        let Some(id) = caller.session() else { return Ok(()) };
        let mut tx = self.begin().await?;
        if store::session::end(&mut tx, id).await? {
            account_event("user.signed_out", &caller.user, "signed out").write_by(&mut tx, caller).await?;
        }
        commit(tx).await
    }

    /// One's own sessions, last used first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>> {
        Ok(store::session::list(&mut *self.conn().await?, caller.user.id, caller.session()).await?)
    }

    /// Ends one of one's own sessions.
    ///
    /// # Errors
    /// `NotFound` when it ended already or is somebody else's.
    #[boxed]
    pub async fn revoke_session(&self, caller: &Caller, handle: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let (user_agent, address) = store::session::revoke(&mut tx, caller.user.id, handle)
            .await?
            .ok_or_else(|| Error::new(domain::ErrorKind::NotFound, "This session has ended already."))?;
        account_event("user.session_ended", &caller.user, "ended one of their sessions")
            .details(json!({ "user_agent": user_agent, "address": address }))
            .write_by(&mut tx, caller)
            .await?;
        commit(tx).await
    }
}

/// An event of somebody's account.
pub(crate) fn account_event(action: &'static str, user: &User, summary: &'static str) -> Event {
    Event::new(action, Object::new(ObjectKind::User, user.id, &user.name), summary)
}
