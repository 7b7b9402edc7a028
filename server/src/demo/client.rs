//! What the walk asks of the server, and how it waits for what is to come.

use super::station::Failure;
pub(super) use crate::client::{Client, Refusal};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(250);

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
}

impl Refusal {
    /// As the failure of a station where this was expected.
    pub(super) fn instead_of(self, expected: impl Into<String>) -> Failure {
        Failure::new(expected, self)
    }
}

/// An HTTP client for loopback and for servers elsewhere.
pub(super) fn http() -> Result<reqwest::Client, Failure> {
    crate::client::http().map_err(|error| Failure::new("an HTTP client", format!("an error: {error}")))
}

/// What a look at something that is awaited shows.
pub(super) enum Look<T> {
    /// It is there.
    There(T),
    /// It may still come; so far, this is seen.
    NotYet(String),
    /// It will not come; this is why.
    Never(String),
}

/// Looks until it is there, but no longer than this. A server that does not answer for a moment may do so at the next
/// look.
pub(super) async fn wait<T, L, F>(expected: impl Into<String>, at_most: Duration, mut look: L) -> Result<T, Failure>
where
    L: FnMut() -> F,
    F: Future<Output = Result<Look<T>, Refusal>>,
{
    let expected = expected.into();
    let deadline = Instant::now() + at_most;
    loop {
        let seen = match look().await {
            Ok(Look::There(there)) => return Ok(there),
            Ok(Look::Never(why)) => return Err(Failure::new(expected, why)),
            Ok(Look::NotYet(seen)) => seen,
            Err(refusal) if refusal.status.is_none_or(|status| status.is_server_error()) => refusal.to_string(),
            Err(refusal) => return Err(refusal.instead_of(expected)),
        };
        if Instant::now() >= deadline {
            return Err(Failure::new(format!("{expected} within {} s", at_most.as_secs()), seen));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use std::cell::Cell;

    #[tokio::test]
    async fn waiting_ends_when_it_is_there_or_never_comes() {
        let looks = Cell::new(0);
        let there = wait("it", Duration::from_secs(10), || async {
            looks.set(looks.get() + 1);
            Ok(if looks.get() < 3 { Look::NotYet(String::new()) } else { Look::There(looks.get()) })
        });
        assert_eq!(there.await, Ok(3));
        let never = wait("it", Duration::from_secs(10), || async { Ok(Look::<()>::Never("gone".to_owned())) }).await;
        assert_eq!(never, Err(Failure::new("it", "gone")));
    }

    #[tokio::test]
    async fn waiting_in_vain_says_what_was_seen_last() {
        let failed = wait("it", Duration::ZERO, || async { Ok(Look::<()>::NotYet("queued".to_owned())) }).await;
        assert_eq!(failed, Err(Failure::new("it within 0 s", "queued")));
    }

    #[tokio::test]
    async fn a_server_that_is_away_for_a_moment_is_waited_for_and_a_refusal_is_not() {
        let looks = Cell::new(0);
        let refusal = |status| Refusal { status, asked: "GET /".to_owned(), detail: "no".to_owned() };
        let there = wait("it", Duration::from_secs(10), || async {
            looks.set(looks.get() + 1);
            if looks.get() == 1 { Err(refusal(None)) } else { Ok(Look::There(())) }
        });
        assert_eq!(there.await, Ok(()));
        let refused =
            wait("it", Duration::from_secs(10), || async { Err::<Look<()>, _>(refusal(Some(StatusCode::FORBIDDEN))) });
        assert_eq!(refused.await, Err(Failure::new("it", "403 Forbidden to GET /: no")));
    }
}
