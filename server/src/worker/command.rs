//! `slipway worker`: work on jobs and steps, without the web.

use super::Options;
use crate::{
    config,
    installation::{ready_secrets, with_services},
    recorder, serve,
    stop::Stop,
};
use anyhow::{Context as _, Result};
use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use outbound::{Outbound, Prometheus};
use services::Services;
use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::Path,
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Works until told to stop.
///
/// # Errors
/// When it cannot start: the database, the data folder or the address for its metrics is not to be had.
pub async fn run(options: config::Worker) -> Result<()> {
    let stop = Stop::on_signal()?;
    let telling = match options.metrics_listen {
        Some(address) => Some(tell_metrics(address, recorder::install()?).await?),
        None => None,
    };
    let work = async |services, data_dir: &Path| work(&options, services, data_dir, &stop).await;
    with_services(&options.data, 10, true, work).await?;
    drop(telling);
    Ok(())
}

async fn work(options: &config::Worker, mut services: Services, data_dir: &Path, stop: &Stop) -> Result<()> {
    if let Some(models) = serve::open_engine(options.work.onnxruntime.clone()) {
        services = services.with_models(models);
    }
    services = services.with_outbound(Outbound::new(options.work.webhook_allow_private));
    if let Some(address) = &options.work.prometheus_url {
        services = services.with_prometheus(Prometheus::new(address).map_err(anyhow::Error::msg)?);
    }
    if let Some(mailer) = options.work.mailer().map_err(anyhow::Error::msg)? {
        services = services.with_mailer(mailer);
    }
    ready_secrets(&services).await;
    let server_url = options.public_url.trim_end_matches('/');
    services = services.with_public_url(server_url);
    let how = Options::new(&options.work, data_dir, server_url);
    let working = AbortOnDropHandle::new(tokio::spawn(super::run(services.clone(), how, stop.asked().clone())));
    stop.asked().cancelled().await;
    tracing::info!("stopping");
    stop.in_time(async {
        if let Err(error) = working.await {
            tracing::error!(%error, "the worker failed");
        }
        services.pool().close().await;
    })
    .await;
    Ok(())
}

/// Answers to `/metrics` and `/healthz` at the address, until it is dropped. Says where, on standard output: the port
/// may be any.
async fn tell_metrics(address: SocketAddr, kept: PrometheusHandle) -> Result<AbortOnDropHandle<()>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let _ = writeln!(io::stdout().lock(), "Metrics are at http://{}/metrics", listener.local_addr()?);
    let service = Router::new()
        .route("/metrics", get(move || async move { recorder::exposition(&kept) }))
        .route("/healthz", get(|| async { "ok\n" }));
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "metrics cannot be told any more");
        }
    })))
}
