//! `slipway worker`: work on jobs and steps, without the web.

use super::Options;
use crate::{config, postgres::Postgres, serve};
use anyhow::{Context as _, Result};
use artifacts::Artifacts;
use services::Services;

/// Works until told to stop.
///
/// # Errors
/// When it cannot start: the database or the data folder is not to be had.
pub async fn run(options: config::Worker) -> Result<()> {
    let stop = serve::stop_signal()?;
    let data_dir = std::path::absolute(&options.data.data_dir).context("the data folder has no absolute path")?;
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
    let postgres = Postgres::open(&options.data, true).await?;
    let pool = store::connect(postgres.url(), 10)?;
    store::migrate(&pool).await.context("the database could not be brought to this version's schema")?;
    let mut services = Services::new(pool.clone(), Artifacts::open_dir(data_dir.join("artifacts")).await?);
    if let Some(models) = serve::open_engine(options.work.onnxruntime.clone()) {
        services = services.with_models(models);
    }
    let public_url = options.public_url.trim_end_matches('/');
    super::run(services.clone(), Options::new(&options.work, &data_dir, public_url), stop).await;
    tracing::info!("stopping");
    services.flush_predictions().await;
    pool.close().await;
    postgres.stop().await
}
