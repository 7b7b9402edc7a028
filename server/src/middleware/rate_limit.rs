//! How often one may try to sign in: by address of the account, and by address of the client.

use domain::{Error, ErrorKind};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::{net::IpAddr, num::NonZeroU32};

/// The limits. Successful tries count as well: nobody needs many.
pub struct SignInLimit {
    by_account: DefaultKeyedRateLimiter<String>,
    by_client: DefaultKeyedRateLimiter<IpAddr>,
}

const ACCOUNT_A_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
const CLIENT_A_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();

impl Default for SignInLimit {
    fn default() -> Self {
        Self {
            by_account: RateLimiter::keyed(Quota::per_minute(ACCOUNT_A_MINUTE)),
            by_client: RateLimiter::keyed(Quota::per_minute(CLIENT_A_MINUTE)),
        }
    }
}

impl SignInLimit {
    /// Counts a try.
    ///
    /// # Errors
    /// `RateLimited` when there were too many of late.
    pub fn check(&self, email: &str, client: Option<IpAddr>) -> Result<(), Error> {
        let account = self.by_account.check_key(&email.trim().to_lowercase().chars().take(254).collect());
        let client = client.map_or(Ok(()), |client| self.by_client.check_key(&client));
        if account.is_ok() && client.is_ok() {
            return Ok(());
        }
        self.by_account.retain_recent();
        self.by_client.retain_recent();
        Err(Error::new(ErrorKind::RateLimited, "Too many attempts to sign in. Wait a minute and try again."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_one_account_is_stopped_and_others_are_not() {
        let limit = SignInLimit::default();
        let client = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..ACCOUNT_A_MINUTE.get() {
            assert_eq!(limit.check("approver@example.com", client), Ok(()));
        }
        assert!(limit.check(" Approver@Example.com", client).is_err());
        assert_eq!(limit.check("operator@example.com", client), Ok(()));
    }
}
