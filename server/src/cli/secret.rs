//! `slipway secret`: set secrets that steps get, list and delete them; and `slipway admin rotate-secret-key`.

use super::{Remote, path, refused};
use crate::{config::Data, installation::with_services};
use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use domain::{Page, secret::Secret};
use reqwest::{Method, StatusCode};
use serde_json::json;
use std::io::{IsTerminal as _, Write as _};

/// The connections of a command that does one thing.
const CONNECTIONS: u32 = 4;

/// Commands of `slipway secret`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set a secret to what standard input says, up to its last line break. Steps that begin from then on get it.
    Set {
        /// Its name: letters, digits and underscores, such as HF_TOKEN.
        name: String,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Print the secrets: name, version, when each was set and by whom, and when a step last got it. Never a value.
    List {
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a secret. Runs of pipelines that need it are not started any more.
    Delete {
        /// Its name.
        name: String,
        /// Which server, and as whom.
        #[command(flatten)]
        remote: Remote,
    },
}

/// Carries the command out.
///
/// # Errors
/// When the server does not answer or refuses.
pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::Set { name, remote } => {
            if std::io::stdin().is_terminal() {
                say("Type the value, then Ctrl-D on a line of its own:")?;
            }
            let mut value = std::io::read_to_string(std::io::stdin())
                .context("the value could not be read from standard input; it is text in UTF-8")?;
            if value.ends_with('\n') {
                value.pop();
                if value.ends_with('\r') {
                    value.pop();
                }
            }
            let (client, path) = (remote.client()?, path(&["secrets", &name]));
            let set =
                client.send::<Secret>(Method::PUT, &path, |request| request.json(&json!({ "value": value }))).await;
            let (status, secret) = set.map_err(refused)?;
            match status {
                StatusCode::CREATED => say(&format!("{} is set", secret.name)),
                _ => say(&format!("{} has its version {} now", secret.name, secret.version)),
            }
        }
        Command::List { remote } => {
            let page: Page<Secret> = remote.client()?.get(&path(&["secrets"])).await.map_err(refused)?;
            let mut out = String::new();
            for secret in page.items {
                let used = secret
                    .last_used_at
                    .map_or_else(|| "never used".to_owned(), |at| format!("used {}", at.to_rfc3339()));
                let (at, by) = (secret.updated_at.to_rfc3339(), secret.updated_by);
                out += &format!("{}  v{}  set {at} by {by}  {used}\n", secret.name, secret.version);
            }
            print(&out)
        }
        Command::Delete { name, remote } => {
            remote.client()?.delete(&path(&["secrets", &name])).await.map_err(refused)?;
            say(&format!("{name} is deleted"))
        }
    }
}

/// Encrypts all secrets with another key.
///
/// # Errors
/// When the database or the key is not to be had, or a value could not be read; all others are encrypted anew then.
pub async fn rotate(data: &Data) -> Result<()> {
    let rotated = with_services(data, CONNECTIONS, false, async |services, _| Ok(services.rotate_secret_key().await?));
    let rotated = rotated.await?;
    print(&format!("{}\n", rotated.key))?;
    say(&format!("{} values are encrypted with it now", rotated.resealed))?;
    for key in &rotated.dropped {
        say(&format!("nothing needs the key {key} any more"))?;
    }
    if !rotated.unreadable.is_empty() {
        bail!("could not be read, and must be set again: {}", rotated.unreadable.join(", "));
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr().lock(), "{text}")?)
}
