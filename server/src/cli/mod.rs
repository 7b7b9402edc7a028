//! Commands that talk to a server as any other client does: over the REST API, with a token.

mod client;
pub mod pipeline;

use clap::Args;

/// Which server, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// The server.
    #[arg(long, env = "SLIPWAY_URL", default_value = "http://127.0.0.1:3000", value_name = "URL")]
    url: String,
    /// An API token.
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: String,
    /// The workspace. Without one, the token's.
    #[arg(long, env = "SLIPWAY_WORKSPACE", value_name = "SLUG")]
    workspace: Option<String>,
}
