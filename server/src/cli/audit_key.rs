//! `slipway admin audit-key`: the keys that heads of history and audit bundles are signed with.

use crate::{config::Data, installation::with_services};
use anyhow::Result;
use chain::KeyId;
use clap::Subcommand;
use std::io::Write as _;

/// The connections of a command that does one thing.
const CONNECTIONS: u32 = 4;

/// Commands of `slipway admin audit-key`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and print its name, alone, on standard output. The private half is a file in the data folder; servers and
    /// workers that use the folder sign with it from then on.
    Create {
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Print the keys, newest first: name, when each was made, and whether it is in use.
    List {
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Put a key out of use and delete its private half. What it signed is still good.
    Retire {
        /// Its name.
        key: KeyId,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
}

/// Carries the command out.
///
/// # Errors
/// When the database or the data folder is not to be had, or there is no such key.
pub async fn run(command: Command) -> Result<()> {
    let mut out = String::new();
    match command {
        Command::Create { data } => {
            let key =
                with_services(&data, CONNECTIONS, false, async |services, _| Ok(services.create_audit_key().await?));
            out = format!("{}\n", key.await?.id);
        }
        Command::List { data } => {
            let keys = with_services(&data, CONNECTIONS, false, async |services, _| Ok(services.audit_keys().await?));
            for key in keys.await? {
                let state =
                    key.retired_at.map_or_else(|| "in use".to_owned(), |at| format!("retired {}", at.to_rfc3339()));
                out += &format!("{}  made {}  {state}\n", key.id, key.created_at.to_rfc3339());
            }
        }
        Command::Retire { key, data } => {
            with_services(&data, CONNECTIONS, false, async |services, _| Ok(services.retire_audit_key(&key).await?))
                .await?;
        }
    }
    std::io::stdout().lock().write_all(out.as_bytes())?;
    Ok(())
}
