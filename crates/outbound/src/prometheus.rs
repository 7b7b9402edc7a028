//! Asking a Prometheus. Its address is the installation's own option, not something that people chose: it may be private.

use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of an answer.
const MOST: usize = 1 << 20;

/// A Prometheus, or whatever else answers to its API.
#[derive(Debug, Clone)]
pub struct Prometheus {
    client: reqwest::Client,
    query: reqwest::Url,
}

impl Prometheus {
    /// The one at this address: `http://prometheus:9090`, with a path when it stands behind one.
    ///
    /// # Errors
    /// A sentence, when that is no address.
    pub fn new(address: &str) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let query = format!("{}/api/v1/query", address.trim_end_matches('/'));
        let query: reqwest::Url = query.parse().map_err(|_| format!("{address:.200} is no address."))?;
        if !matches!(query.scheme(), "http" | "https") {
            return Err("The address of Prometheus begins with http:// or https://.".to_owned());
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .timeout(PATIENCE)
            .build();
        match client {
            Ok(client) => Ok(Self { client, query }),
            Err(error) => {
                tracing::error!(%error, "Prometheus cannot be asked");
                Err("The connection to Prometheus could not be set up.".to_owned())
            }
        }
    }

    /// What it answers to an instant query: JSON, also when it refuses the query.
    ///
    /// # Errors
    /// A sentence, when it does not answer, or with too much.
    pub async fn ask(&self, query: &str) -> Result<Vec<u8>, String> {
        let mut url = self.query.clone();
        url.query_pairs_mut().append_pair("query", query);
        let mut response = self.client.get(url).send().await.map_err(|error| unreached(&error))?;
        let status = response.status();
        // It says in its own words what is wrong with a query.
        if !(status.is_success() || matches!(status.as_u16(), 400 | 422 | 503)) {
            return Err(format!("Prometheus answers {}.", status.as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreached(&error))? {
            if body.len() + chunk.len() > MOST {
                return Err("Prometheus answers with more than 1 MiB.".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn unreached(error: &reqwest::Error) -> String {
    tracing::warn!(%error, "Prometheus does not answer");
    match error.is_timeout() {
        true => format!("Prometheus did not answer within {} seconds.", PATIENCE.as_secs()),
        false => "Prometheus does not answer.".to_owned(),
    }
}
