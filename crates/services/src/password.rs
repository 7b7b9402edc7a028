//! Hashing passwords with argon2id, a few at a time: each hash takes 19 MiB and tens of milliseconds.

use crate::{Result, task::blocking};
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use domain::{Error, user::Password};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The most hashes at once.
const AT_ONCE: usize = 4;

pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Passwords {
    /// The password's hash in PHC form.
    pub(crate) async fn hash(&self, password: Password) -> Result<String> {
        self.blocking(move || {
            Argon2::default().hash_password(password.reveal().as_bytes()).map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Error::internal()
        })
    }

    /// Whether the password has this hash. Takes as long when there is no hash, so that the time does not tell whether
    /// somebody has an account.
    pub(crate) async fn verify(&self, password: Password, hash: Option<String>) -> Result<bool> {
        self.blocking(move || match hash {
            Some(hash) => Argon2::default().verify_password(password.reveal().as_bytes(), hash.as_str()).is_ok(),
            None => {
                let _ = Argon2::default().hash_password(password.reveal().as_bytes());
                false
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::internal())?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }
}
