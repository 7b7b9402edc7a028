//! Requests and their answers, for commands.

use super::Remote;
use anyhow::{Context as _, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;

/// The longest that a request may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to one workspace of a server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// Why a request was refused.
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

impl Client {
    pub(super) fn new(remote: &Remote) -> Result<Self> {
        let prefix = remote.workspace.as_ref().map(|slug| format!("/w/{slug}")).unwrap_or_default();
        Ok(Self {
            http: reqwest::Client::builder().timeout(PATIENCE).build()?,
            base: format!("{}{prefix}", remote.url.trim_end_matches('/')),
            token: remote.token.clone(),
        })
    }

    /// A request to a path of the API; its parts are encoded.
    pub(super) fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder> {
        let mut url = reqwest::Url::parse(&self.base).with_context(|| format!("\"{}\" is no address", self.base))?;
        url.path_segments_mut()
            .map_err(|()| anyhow!("\"{}\" is not the address of a server", self.base))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, i64)]) -> Result<T> {
        let (client, request) = self.request(Method::GET, path)?.build_split();
        let mut request = request?;
        for (name, value) in query {
            request.url_mut().query_pairs_mut().append_pair(name, &value.to_string());
        }
        Ok(self.send(RequestBuilder::from_parts(client, request)).await?.1)
    }

    /// Sends it, and reads the answer when it is a success.
    pub(super) async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(StatusCode, T)> {
        let response = request.send().await.map_err(|error| {
            // The cause says more than the error, which repeats the address.
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            anyhow!("{} does not answer: {cause}", self.base)
        })?;
        let status = response.status();
        let bytes = response.bytes().await.context("the answer broke off")?;
        if status.is_success() {
            let answer = serde_json::from_slice(&bytes).context("the answer is not of this version of Slipway")?;
            return Ok((status, answer));
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => bail!("{}", problem.detail),
            Err(_) => bail!("{} answered {status}", self.base),
        }
    }
}
