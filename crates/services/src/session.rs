//! One's own browser sessions.

use crate::{Caller, Result, Services};
use domain::{Error, user::Session};

impl Services {
    /// One's own sessions, last used first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sessions(&self, caller: &Caller) -> Result<Vec<Session>> {
        Ok(store::session::list(&mut *self.conn().await?, caller.user.id, caller.session()).await?)
    }

    /// Ends one of one's own sessions.
    ///
    /// # Errors
    /// `NotFound` when it ended already or is somebody else's.
    pub async fn revoke_session(&self, caller: &Caller, handle: &str) -> Result<()> {
        if store::session::revoke(&mut *self.conn().await?, caller.user.id, handle).await? {
            Ok(())
        } else {
            Err(Error::new(domain::ErrorKind::NotFound, "This session has ended already."))
        }
    }
}
