//! How often one may try to sign in: by address of the account, and by address of the client.

use domain::{Error, ErrorKind};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::DefaultClock,
    nanos::Nanos,
    state::{
        StateStore,
        keyed::{DashMapStateStore, ShrinkableKeyedStateStore},
    },
};
use std::{net::IpAddr, num::NonZeroU32, sync::Arc};

/// The limits. What was tried of an account is forgotten when its owner gets in; what a client tried is not.
pub struct SignInLimit {
    tries: Tries,
    by_account: RateLimiter<String, Tries, DefaultClock>,
    by_client: DefaultKeyedRateLimiter<IpAddr>,
}

const ACCOUNT_A_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Many people may have one address.
const CLIENT_A_MINUTE: NonZeroU32 = NonZeroU32::new(300).unwrap();

impl Default for SignInLimit {
    fn default() -> Self {
        let tries = Tries::default();
        Self {
            by_account: RateLimiter::new(Quota::per_minute(ACCOUNT_A_MINUTE), tries.clone(), DefaultClock::default()),
            by_client: RateLimiter::keyed(Quota::per_minute(CLIENT_A_MINUTE)),
            tries,
        }
    }
}

impl SignInLimit {
    /// Counts a try.
    ///
    /// # Errors
    /// `RateLimited` when there were too many of late.
    pub fn check(&self, email: &str, client: Option<IpAddr>) -> Result<(), Error> {
        let account = self.by_account.check_key(&account(email));
        let client = client.map_or(Ok(()), |client| self.by_client.check_key(&client));
        if account.is_ok() && client.is_ok() {
            return Ok(());
        }
        self.by_account.retain_recent();
        self.by_client.retain_recent();
        Err(Error::new(ErrorKind::RateLimited, "Too many attempts to sign in. Wait a minute and try again."))
    }

    /// Forgets what was tried of an account: its owner is in.
    pub fn forget(&self, email: &str) {
        self.tries.0.remove(&account(email));
    }
}

fn account(email: &str) -> String {
    email.trim().to_lowercase().chars().take(254).collect()
}

/// What was tried of each account. Governor's own store, held here as well, since a limiter lets nothing be forgotten.
#[derive(Clone, Default)]
struct Tries(Arc<DashMapStateStore<String>>);

impl StateStore for Tries {
    type Key = String;

    fn measure_and_replace<T, F, E>(&self, key: &String, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, f)
    }
}

impl ShrinkableKeyedStateStore<String> for Tries {
    fn retain_recent(&self, drop_below: Nanos) {
        ShrinkableKeyedStateStore::retain_recent(&*self.0, drop_below);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
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

    #[test]
    fn an_owner_who_gets_in_is_not_held_up_by_what_was_tried_before() {
        let limit = SignInLimit::default();
        for _ in 0..3 * ACCOUNT_A_MINUTE.get() {
            assert_eq!(limit.check("approver@example.com", None), Ok(()));
            limit.forget(" Approver@example.com");
        }
    }
}
