//! Commands: those that talk to a server as any other client does, over the REST API with a token; and those that read or
//! write files alone.

pub mod audit_key;
mod code;
pub mod data;
pub mod pipeline;
pub mod promotion;
pub mod secret;
pub mod verify;

use crate::client::{Client, Refusal, http, parse_url};
use anyhow::{Context as _, anyhow};
use app::ui::query::encode;
use clap::Args;

/// Which server, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// The server.
    #[arg(long, env = "SLIPWAY_URL", default_value = "http://127.0.0.1:3000", value_name = "URL", value_parser = parse_url)]
    url: String,
    /// An API token.
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: String,
    /// The workspace. Without one, the token's.
    #[arg(long, env = "SLIPWAY_WORKSPACE", value_name = "SLUG")]
    workspace: Option<String>,
}

impl Remote {
    fn client(&self) -> anyhow::Result<Client> {
        let http = http().context("no HTTP client could be made")?;
        Ok(Client::new(http, &self.url, self.workspace.as_deref(), self.token.clone()))
    }
}

/// A path of the REST API.
fn path(parts: &[&str]) -> String {
    parts.iter().fold("/api/v1".to_owned(), |path, part| format!("{path}/{}", encode(part)))
}

/// A refusal for whoever gave the command: what the server says is enough.
fn refused(refusal: Refusal) -> anyhow::Error {
    if refusal.status.is_some() { anyhow!(refusal.detail) } else { anyhow!("{refusal}") }
}
