//! One's own browser sessions.

use crate::{Caller, Event, Result, Services, boxed, commit};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    user::Session,
};

impl Services {
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
        Event::new(
            "user.session_ended",
            Object::new(ObjectKind::User, caller.user.id, &caller.user.name),
            "ended one of their sessions",
        )
        .details(serde_json::json!({ "user_agent": user_agent, "address": address }))
        .write_by(&mut tx, caller)
        .await?;
        commit(tx).await
    }
}
