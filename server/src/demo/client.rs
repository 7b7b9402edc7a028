//! Talking to the server as everybody does: over HTTP, with a token.

use super::station::Failure;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, time::Duration};
use tokio::time::Instant;

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One person's way to a workspace of the server.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The server's address and the workspace's prefix.
    base: String,
    token: String,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
}

/// A request that was not answered as hoped.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// None when there was no answer at all.
    pub(super) status: Option<StatusCode>,
    /// `POST /api/v1/promotions`
    asked: String,
    /// What the server says.
    pub(super) detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} {} to {}: {}", status.as_u16(), reason(status), self.asked, self.detail),
            None => write!(f, "no answer to {}: {}", self.asked, self.detail),
        }
    }
}

fn reason(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

impl Refusal {
    /// As the failure of a station where this was expected.
    pub(super) fn instead_of(self, expected: impl Into<String>) -> Failure {
        Failure::new(expected, self)
    }
}

/// What a server says when it refuses: problem+json, or MLflow's form.
#[derive(Deserialize)]
struct Problem {
    #[serde(alias = "message", alias = "error")]
    detail: String,
}

/// An HTTP client for loopback and for servers elsewhere.
pub(super) fn http() -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .map_err(|error| Failure::new("an HTTP client", format!("an error: {error}")))
}

impl Client {
    /// That of whoever holds the token. `workspace` is a slug.
    pub(super) fn new(http: reqwest::Client, url: &str, workspace: &str, token: String) -> Self {
        Self { http, base: format!("{}/w/{workspace}", url.trim_end_matches('/')), token }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        self.send(Method::GET, path, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        self.send(Method::POST, path, Some(&body)).await
    }

    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        self.send(Method::PUT, path, Some(&body)).await
    }

    pub(super) async fn patch<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        self.send(Method::PATCH, path, Some(&body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<(), Refusal> {
        self.ask(Method::DELETE, path, None).await.map(|_| ())
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, Refusal> {
        let asked = format!("{method} {path}");
        let bytes = self.ask(method, path, body).await?;
        serde_json::from_slice(&bytes).map_err(|error| Refusal {
            status: Some(StatusCode::OK),
            asked,
            detail: format!("the answer is not what this demo knows: {error}"),
        })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Vec<u8>, Refusal> {
        let asked = format!("{method} {path}");
        let unanswered = |error: reqwest::Error| Refusal {
            status: None,
            asked: asked.clone(),
            // The cause says more than the error, which repeats the address.
            detail: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unanswered)?.to_vec();
        if status.is_success() {
            return Ok(bytes);
        }
        let detail = serde_json::from_slice::<Problem>(&bytes)
            .map_or_else(|_| String::from_utf8_lossy(&bytes).chars().take(200).collect(), |problem| problem.detail);
        Err(Refusal { status: Some(status), asked, detail })
    }
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
