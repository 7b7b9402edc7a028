//! The installation that the options name: its database at the schema of this version, its artifacts, and the use cases
//! on both.

use crate::{config::Data, postgres::with_database};
use anyhow::{Context as _, Result};
use artifacts::Artifacts;
use services::{SecretKeys, Services};
use std::path::Path;

/// Works with the use cases of the installation, over so many connections. `work` also gets the data folder, as an
/// absolute path. A private database is stopped however that ends; with `watch`, it is started again should it die
/// meanwhile.
///
/// # Errors
/// When the database or the data folder is not to be had, and what `work` gives.
pub async fn with_services<T>(
    data: &Data,
    connections: u32,
    watch: bool,
    work: impl AsyncFnOnce(Services, &Path) -> Result<T>,
) -> Result<T> {
    let data_dir = std::path::absolute(&data.data_dir).context("the data folder has no absolute path")?;
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
    with_database(data, watch, async |url| {
        let pool = store::connect(url, connections)?;
        store::migrate(&pool).await.context("the database could not be brought to this version's schema")?;
        let artifacts = Artifacts::open_dir(data_dir.join("artifacts")).await?;
        let services = Services::new(pool, artifacts)
            .with_audit_keys(&data_dir.join("audit-keys"))
            .with_secret_keys(secret_keys(data, &data_dir)?);
        work(services, &data_dir).await
    })
    .await
}

/// The keys that secrets are encrypted with: those that are given, or those in the data folder.
fn secret_keys(data: &Data, data_dir: &Path) -> Result<SecretKeys> {
    if data.secret_keys.is_empty() {
        return Ok(SecretKeys::in_folder(&data_dir.join("secret-keys")));
    }
    SecretKeys::given(data.secret_keys.iter().map(String::as_str)).map_err(anyhow::Error::msg)
}

/// Has a key for secrets in use. Without one everything works but secrets, so it is no reason not to start.
pub async fn ready_secrets(services: &Services) {
    if let Err(error) = services.ready_secrets().await {
        tracing::warn!(%error, "secrets cannot be read or set by this process");
    }
}
