//! `slipway serve`: everything in one process.

use crate::{
    access::{self, Access, Route, Surface},
    assets,
    client::url_of,
    config, demo,
    events::Events,
    gauges,
    health::Readiness,
    hosts::KnownHosts,
    installation::{ready_secrets, with_services},
    middleware::{panic::Panicked, security, telemetry},
    mlflow,
    peer::TrustedProxies,
    prefix, recorder,
    router::{self, Routes},
    state::AppState,
    stop::Stop,
    supervise::supervise,
    worker,
};
use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    handler::Handler as _,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state, map_request},
    response::Response,
    routing::{MethodRouter, any},
};
use domain::{Error, ErrorKind};
use metrics_exporter_prometheus::PrometheusHandle;
use outbound::{Outbound, Prometheus};
use services::Services;
use serving::{Engine, ModelCache};
use std::{future::IntoFuture as _, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use store::session::Sessions;
use tokio::{net::TcpListener, sync::broadcast::error::RecvError, task::JoinSet};
use tokio_util::task::AbortOnDropHandle;
use tower::Layer as _;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use tower_sessions::{
    Expiry, SessionManagerLayer,
    cookie::{SameSite, time},
};

/// How long a session lasts without being used.
const SESSION_DAYS: i64 = 14;
/// The most bytes that a JSON body or form may have where a route says nothing else.
const BODY_LIMIT: usize = 2 << 20;
/// How long requests may go on once the server is to stop. Open event streams never end by themselves.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Runs the server until it is told to stop.
///
/// # Errors
/// When it cannot start: the database, the data folder or the address is not to be had.
pub async fn run(options: config::Serve) -> Result<()> {
    let stop = Stop::on_signal()?;
    let metrics = recorder::install()?;
    let serve = async |services, data_dir: &Path| serve(&options, services, data_dir, metrics, &stop).await;
    with_services(&options.data, 20, true, serve).await
}

async fn serve(
    options: &config::Serve,
    mut services: Services,
    data_dir: &Path,
    metrics: PrometheusHandle,
    stop: &Stop,
) -> Result<()> {
    if let Some(models) = open_engine(options.work.onnxruntime.clone()) {
        services = services.with_models(models);
    }
    services = services.with_outbound(Outbound::new(options.work.webhook_allow_private));
    if let Some(address) = &options.work.prometheus_url {
        services = services.with_prometheus(Prometheus::new(address).map_err(anyhow::Error::msg)?);
    }
    if let Some(mailer) = options.work.mailer().map_err(anyhow::Error::msg)? {
        services = services.with_mailer(mailer);
    }
    services.ensure_default_workspace().await?;
    ready_secrets(&services).await;

    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr()?;
    let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();
    services = services.with_public_url(&public_url);
    let events = Events::default();
    let informed = keep_informed(&services, &events, stop);
    let state = AppState {
        services: services.clone(),
        public_url: public_url.as_str().into(),
        hosts: KnownHosts::new(&public_url, &options.allowed_hosts),
        assets: Arc::new(assets::load().unwrap_or_else(missing_assets)),
        events,
        readiness: Readiness::default(),
        trusted_proxies: TrustedProxies::new(&options.trusted_proxy),
        sign_in_limit: Arc::default(),
        demo: demo::Background::new(address, data_dir),
        metrics,
    };
    let working = (!options.no_worker).then(|| {
        // Steps are on this machine, from which the public address need not be reachable.
        let how = worker::Options::new(&options.work, data_dir, &url_of(address));
        AbortOnDropHandle::new(tokio::spawn(worker::run(services.clone(), how, stop.asked().clone())))
    });
    let server = axum::serve(listener, service(&state).into_make_service_with_connect_info::<SocketAddr>());

    announce(&services, &public_url).await?;
    let graceful = server.with_graceful_shutdown(stop.asked().clone().cancelled_owned()).into_future();
    let ended = tokio::select! {
        ended = graceful => ended.context("the server failed"),
        () = async { stop.asked().cancelled().await; tokio::time::sleep(LAST_ANSWERS).await } => Ok(()),
    };
    // A server that failed by itself takes its workers with it.
    stop.asked().cancel();
    tracing::info!("stopping");
    stop.in_time(async {
        let working = async {
            if let Some(Err(error)) = futures::future::OptionFuture::from(working).await {
                tracing::error!(%error, "the worker failed");
            }
        };
        tokio::join!(working, services.flush_predictions());
        // It would find the database gone, and say so.
        drop(informed);
        services.pool().close().await;
    })
    .await;
    ended
}

/// Starts what keeps this process informed of what the database says, until the answer is dropped.
fn keep_informed(services: &Services, events: &Events, stop: &Stop) -> JoinSet<()> {
    let mut parts = JoinSet::new();
    let asked = || stop.asked().clone();
    let (heard, pool) = (events.clone(), services.pool().clone());
    parts.spawn(supervise("listening for changes", asked(), move || heard.clone().listen(pool.clone())));
    let (heard, remembering) = (events.clone(), services.clone());
    parts.spawn(supervise("hearing who may", asked(), move || hear_access(remembering.clone(), heard.clone())));
    let (heard, live) = (events.clone(), services.clone());
    parts.spawn(supervise("following endpoints", asked(), move || follow_endpoints(live.clone(), heard.clone())));
    let counted = services.clone();
    parts.spawn(supervise("reading gauges", asked(), move || gauges::watch(counted.clone())));
    parts
}

/// The whole HTTP service: the routes inside their layers.
pub fn service(state: &AppState) -> Router {
    layered(router::routes(state), state)
}

/// Routes inside the layers of the whole service.
pub fn layered(routes: Routes, state: &AppState) -> Router {
    let (_, _, routes) = routes.finish();
    let is_https = state.public_url.starts_with("https://");
    let sessions = SessionManagerLayer::new(Sessions(state.services.pool().clone()))
        .with_name("slipway_session")
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(is_https)
        .with_expiry(Expiry::OnInactivity(time::Duration::days(SESSION_DAYS)));
    let anywhere = Route { method: "GET", path: "*", access: Access::Public, surface: Surface::Page };
    let guard = from_fn_with_state((state.clone(), anywhere), access::guard);
    let nothing: MethodRouter = any(not_found).layer(guard.clone()).with_state(state.clone());
    let inner = routes
        .fallback_service(nothing)
        .method_not_allowed_fallback(wrong_method.layer(guard))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(sessions)
        .layer(CompressionLayer::new())
        // A route catches its own; this is for the layers between.
        .layer(CatchPanicLayer::custom(Panicked(Surface::Api)))
        .layer(from_fn(telemetry::measure))
        .layer(from_fn_with_state(is_https, security::headers))
        .layer(from_fn(telemetry::request_id))
        .with_state(state.clone());
    // The prefix must be gone before a route is chosen, so this layer lies around the router as a whole.
    let stripped = map_request(|request: Request| async { prefix::strip(request) }).layer(inner);
    Router::new().fallback_service(stripped)
}

async fn not_found(request: Request) -> Response {
    let surface = surface(&request);
    if surface == Surface::Mlflow {
        return mlflow::no_endpoint(request.uri().path());
    }
    let message = format!("Nothing is at {}.", request.uri().path());
    surface.refuse(Error::new(ErrorKind::NotFound, message))
}

async fn wrong_method(request: Request) -> Response {
    let message = format!("{} does not take {}.", request.uri().path(), request.method());
    surface(&request).refuse_as(StatusCode::METHOD_NOT_ALLOWED, Error::invalid(message))
}

/// How addresses begin that MLflow's server has, and its clients ask for: traces are sent to `/v1/traces`.
const MLFLOWS: [&str; 5] = ["/api/", "/ajax-api/", "/v1/", "/graphql", "/gateway/"];

/// Which sort of client asks for an address that is none.
fn surface(request: &Request) -> Surface {
    use Surface as S;
    let path = request.uri().path();
    if path.starts_with("/api/v1") {
        S::Api
    } else if MLFLOWS.iter().any(|prefix| path.starts_with(prefix)) {
        S::Mlflow
    } else if path.starts_with("/v2") || path.starts_with("/environments/") && path.contains("/v2") {
        S::Inference
    } else {
        S::Page
    }
}

/// The engine that runs models; without it everything else works.
pub(crate) fn open_engine(library: Option<std::path::PathBuf>) -> Option<Arc<ModelCache>> {
    match Engine::load(&library.unwrap_or_else(serving::default_library)) {
        Ok(engine) => Some(Arc::new(ModelCache::new(engine))),
        Err(error) => {
            tracing::warn!(%error, "models cannot be served by this process");
            None
        }
    }
}

/// Keeps the models in memory those that the database says are live: at once when told, and every few seconds anyway.
async fn follow_endpoints(services: Services, events: Events) {
    let mut changes = events.subscribe();
    loop {
        if let Err(error) = services.follow_endpoints().await {
            tracing::warn!(%error, "endpoints could not be followed");
        }
        let told = async {
            loop {
                match changes.recv().await {
                    Ok(Some(topic)) if !topic.starts_with("deployments:") => {}
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), told).await;
    }
}

/// Has what is remembered of who may do what forgotten as soon as it changes.
async fn hear_access(services: Services, events: Events) {
    let mut changes = events.subscribe();
    services.access_changed(true);
    loop {
        match changes.recv().await {
            Ok(Some(topic)) if *topic == *"access" => services.access_changed(true),
            Ok(Some(_)) => {}
            // The connection was lost or is there again, and something may have been missed.
            Ok(None) | Err(RecvError::Lagged(_)) => services.access_changed(true),
            Err(RecvError::Closed) => return services.access_changed(false),
        }
    }
}

/// Plain names, under which nothing is found: pages are readable without style and scripts.
fn missing_assets() -> app::shell::Assets {
    tracing::warn!("this binary was built without styles and scripts: run scripts/build-web.sh, then build it again");
    let name = |name: &str| format!("/pkg/{name}");
    app::shell::Assets {
        css: name("main.css"),
        ui_js: name("ui.js"),
        chart_js: name("chart.js"),
        bundle: "slipway".to_owned(),
    }
}

/// Says where the server is, and how to get in for the first time. On standard output: it is what was asked for.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
async fn announce(services: &Services, public_url: &str) -> Result<()> {
    println!("Slipway serves at {public_url}");
    if let Some(secret) = services.setup_link().await? {
        println!(
            "Nobody administers it yet. Set up the first administrator, once, at\n{public_url}/setup?link={secret}"
        );
    }
    Ok(())
}
