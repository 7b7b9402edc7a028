//! Posting to addresses that people chose: the deliveries of webhooks. What is posted, when and how often is decided
//! elsewhere; here are the promises about the connection:
//!
//! - It is made to a public address, unless the installation allows others. The name is resolved once, every address that
//!   it has is looked at, and the connection goes to one of these: between the look and the connection no other answer of a
//!   name server can come. For a number in the place of a name the address itself is looked at, as it is connected to.
//! - No redirect is followed, no proxy of the environment is used, no connection is kept for the next request.
//! - It takes at most [`PATIENCE`], and no more than [`MOST_READ`] bytes of the answer are read.
//!
//! A Prometheus and a mail server have addresses that the installation chose, and are reached wherever they are.

mod lookup;
mod mail;
mod prometheus;
mod sign;
mod trouble;

pub use lookup::Lookup;
pub use mail::{Letter, Mailer};
pub use prometheus::Prometheus;
pub use sign::signature;

use domain::webhook::WebhookUrl;
use lookup::Checked;
use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How long a request may take, from looking its host up to the end of the answer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer is read, in bytes.
pub const MOST_READ: usize = 16 << 10;
/// How long a connection may take to be made.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long looking up a host may take when an address is given.
const LOOKING_UP: Duration = Duration::from_secs(10);

/// Why nothing was posted, or nothing came back: a sentence for whoever set the webhook up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing may be sent there.
    #[error("{0}")]
    Refused(String),
    /// Nobody was reached, or did not answer in time. It may work later.
    #[error("{0}")]
    Unreached(String),
}

/// What is posted.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What the receiver knows it by, when it comes again.
    pub id: &'a str,
    /// JSON.
    pub body: &'a str,
    /// What it is signed with.
    pub secret: Option<&'a str>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The beginning of the body; what is no text in it is replaced.
    pub body: String,
    /// For how long the receiver asks not to be asked again.
    pub retry_after: Option<Duration>,
}

/// Posts messages.
#[derive(Debug)]
pub struct Outbound {
    private: bool,
    lookup: Lookup,
    client: OnceLock<Result<reqwest::Client, Error>>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Outbound {
    /// Posts to public addresses, by https; with `private`, to any and by http as well.
    #[must_use]
    pub fn new(private: bool) -> Self {
        Self::with_lookup(private, Lookup::system())
    }

    /// The same, asking somebody else for the addresses of hosts: for tests.
    #[must_use]
    pub fn with_lookup(private: bool, lookup: Lookup) -> Self {
        Self { private, lookup, client: OnceLock::new() }
    }

    /// Whether private addresses are allowed.
    #[must_use]
    pub fn allows_private(&self) -> bool {
        self.private
    }

    /// Looks whether something may be sent to an address now: its host is known, and has public addresses alone.
    ///
    /// # Errors
    /// When it may not.
    pub async fn check(&self, url: &WebhookUrl) -> Result<(), Error> {
        let checked = Checked::new(self.private, self.lookup.clone());
        let host = url.host();
        if host.parse::<std::net::IpAddr>().is_ok() {
            // A number was looked at when it was read.
            return Ok(());
        }
        match tokio::time::timeout(LOOKING_UP, checked.addresses(host)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(trouble)) => Err(trouble.into()),
            Err(_) => Err(trouble::Trouble::NoSuchHost.into()),
        }
    }

    /// Posts a message, with the headers and the signature that MLflow's webhooks have.
    ///
    /// # Errors
    /// [`Error::Refused`] when it may not be sent there, [`Error::Unreached`] when nobody answers in time.
    pub async fn post(&self, url: &str, message: &Message<'_>) -> Result<Answer, Error> {
        // Read again: the installation may have become stricter since.
        let url = WebhookUrl::parse(url, self.private).map_err(|error| Error::Refused(error.message))?;
        let client = self.client.get_or_init(|| self.connect()).as_ref().map_err(Clone::clone)?;
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let mut request = client
            .post(url.url().clone())
            .header("content-type", "application/json")
            .header("x-mlflow-delivery-id", message.id)
            .header("x-mlflow-timestamp", &timestamp);
        if let Some(secret) = message.secret.filter(|secret| !secret.is_empty()) {
            request = request.header("x-mlflow-signature", signature(secret, message.id, &timestamp, message.body));
        }
        let mut response = request.body(message.body.to_owned()).send().await.map_err(|error| trouble::of(&error))?;
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        // The status says how it went, whatever becomes of the rest.
        while body.len() < MOST_READ
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(MOST_READ);
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(&body).into_owned(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    fn connect(&self) -> Result<reqwest::Client, Error> {
        // The program has done so already; another may use this alone.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .dns_resolver(Checked::new(self.private, self.lookup.clone()))
            .https_only(!self.private)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECTING)
            .timeout(PATIENCE)
            .build()
            .map_err(|error| {
                tracing::error!(%error, "nothing can be sent");
                Error::Unreached("The connection could not be set up.".to_owned())
            })
    }
}
