//! Talking to a server as everybody does: over HTTP, with a token.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

/// The longest that one request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads the address of a server, as an option gives it.
///
/// # Errors
/// When it is none of a web server.
pub(crate) fn parse_url(text: &str) -> Result<String, String> {
    let is_one = reqwest::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_one {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err("an address begins with http:// or https://, such as http://127.0.0.1:3000".to_owned())
}

/// Where clients on the same machine reach a server that listens there.
pub(crate) fn url_of(listening: SocketAddr) -> String {
    let ip = match listening.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listening.port()))
}

/// An HTTP client for loopback and for servers elsewhere.
///
/// # Errors
/// When the machine's certificates cannot be read.
pub(crate) fn http() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().timeout(PATIENCE).build()
}

/// One person's way to a workspace of a server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// The server's address and the workspace's prefix.
    base: String,
    token: String,
}

/// A request that was not answered as hoped.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// None when there was no answer at all.
    pub(crate) status: Option<StatusCode>,
    /// `POST http://127.0.0.1:3000/api/v1/promotions`
    pub(crate) asked: String,
    /// What the server says.
    pub(crate) detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, asked, detail } = self;
        match status {
            Some(status) => {
                let reason = status.canonical_reason().unwrap_or_default();
                write!(f, "{} {reason} to {asked}: {detail}", status.as_u16())
            }
            None => write!(f, "no answer to {asked}: {detail}"),
        }
    }
}

/// What a server says when it refuses: problem+json, or MLflow's form.
#[derive(Deserialize)]
struct Problem {
    #[serde(alias = "message", alias = "error")]
    detail: String,
}

impl Client {
    /// That of whoever holds the token. `workspace` is a slug; without one, the token's own is meant.
    pub(crate) fn new(http: reqwest::Client, url: &str, workspace: Option<&str>, token: String) -> Self {
        let prefix = workspace.map(|slug| format!("/w/{slug}")).unwrap_or_default();
        Self { http, base: format!("{}{prefix}", url.trim_end_matches('/')), token }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refusal> {
        Ok(self.send(Method::GET, path, |request| request).await?.1)
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        Ok(self.send(Method::POST, path, |request| request.json(&body)).await?.1)
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        Ok(self.send(Method::PUT, path, |request| request.json(&body)).await?.1)
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &str, body: Value) -> Result<T, Refusal> {
        Ok(self.send(Method::PATCH, path, |request| request.json(&body)).await?.1)
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), Refusal> {
        self.ask(Method::DELETE, path, |request| request).await.map(|_| ())
    }

    /// Sends what `with` makes of the request, and reads the answer when it is a success.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(StatusCode, T), Refusal> {
        let asked = self.asked(&method, path);
        let (status, bytes) = self.ask(method, path, with).await?;
        let answer = serde_json::from_slice(&bytes).map_err(|error| Refusal {
            status: Some(status),
            asked,
            detail: format!("the answer is not of this version of Slipway: {error}"),
        })?;
        Ok((status, answer))
    }

    /// Sends what `with` makes of the request, and gives the answer as it is.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), Refusal> {
        let asked = self.asked(&method, path);
        let unanswered = |error: reqwest::Error| Refusal {
            status: None,
            asked: asked.clone(),
            // The cause says more than the error, which repeats the address.
            detail: std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
        };
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = with(request).send().await.map_err(unanswered)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unanswered)?.to_vec();
        if status.is_success() {
            return Ok((status, bytes));
        }
        let detail = serde_json::from_slice::<Problem>(&bytes).map_or_else(
            |_| {
                let begin: String = String::from_utf8_lossy(&bytes).chars().take(200).collect();
                format!("an answer that is not Slipway's: {begin}")
            },
            |problem| problem.detail,
        );
        Err(Refusal { status: Some(status), asked, detail })
    }

    fn asked(&self, method: &Method, path: &str) -> String {
        format!("{method} {}{path}", self.base)
    }
}
