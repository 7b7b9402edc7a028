//! `slipway serve`: everything in one process.

use crate::{
    access::{self, Access, Route, Surface},
    assets, config, demo,
    events::Events,
    middleware::{security, telemetry},
    mlflow,
    postgres::Postgres,
    prefix, router,
    state::AppState,
    worker,
};
use anyhow::{Context as _, Result};
use artifacts::Artifacts;
use axum::{
    Extension, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state, map_request},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::{Error, ErrorKind};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use services::Services;
use serving::{Engine, ModelCache};
use std::{any::Any, future::IntoFuture as _, net::SocketAddr, sync::Arc, time::Duration};
use store::session::Sessions;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
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
/// Seconds: the upper bounds of the latency histograms' buckets.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Runs the server until it is told to stop.
///
/// # Errors
/// When it cannot start: the database, the data folder or the address is not to be had.
pub async fn run(options: config::Serve) -> Result<()> {
    let stop = stop_signal()?;
    let metrics = install_metrics()?;
    let data_dir = std::path::absolute(&options.data.data_dir).context("the data folder has no absolute path")?;
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("the data folder {} cannot be made", data_dir.display()))?;
    let postgres = Postgres::open(&options.data, true).await?;
    let pool = store::connect(postgres.url(), 20)?;
    store::migrate(&pool).await.context("the database could not be brought to this version's schema")?;
    let artifacts = Artifacts::open_dir(data_dir.join("artifacts")).await?;
    let mut services = Services::new(pool.clone(), artifacts);
    if let Some(models) = open_engine(options.work.onnxruntime.clone()) {
        services = services.with_models(models);
    }
    services.ensure_default_workspace().await?;

    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr()?;
    let public_url = options.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();
    services = services.with_public_url(&public_url);
    let events = Events::default();
    tokio::spawn(events.clone().listen(pool.clone()));
    tokio::spawn(follow_endpoints(services.clone(), events.clone()));
    tokio::spawn(worker::depth::watch(services.clone()));
    let state = AppState {
        services: services.clone(),
        public_url: public_url.as_str().into(),
        assets: Arc::new(assets::load().unwrap_or_else(missing_assets)),
        events,
        sign_in_limit: Arc::default(),
        demo: demo::Background::new(address, &data_dir),
        metrics,
    };
    let working = (!options.no_worker).then(|| {
        tokio::spawn(worker::run(
            services.clone(),
            worker::Options::new(&options.work, &data_dir, &public_url),
            stop.clone(),
        ))
    });
    let server = axum::serve(listener, service(&state).into_make_service_with_connect_info::<SocketAddr>());

    announce(&services, &public_url).await?;
    let graceful = server.with_graceful_shutdown(stop.clone().cancelled_owned()).into_future();
    let ended = tokio::select! {
        ended = graceful => ended.context("the server failed"),
        // Open event streams never end by themselves.
        () = async { stop.cancelled().await; tokio::time::sleep(Duration::from_secs(5)).await } => Ok(()),
    };
    tracing::info!("stopping");
    if let Some(working) = working {
        let _ = tokio::time::timeout(Duration::from_secs(20), working).await;
    }
    services.flush_predictions().await;
    pool.close().await;
    postgres.stop().await?;
    ended
}

/// The whole HTTP service: the routes inside their layers.
pub fn service(state: &AppState) -> Router {
    let (_, _, routes) = router::routes(state).finish();
    let sessions = SessionManagerLayer::new(Sessions(state.services.pool().clone()))
        .with_name("slipway_session")
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_secure(state.public_url.starts_with("https://"))
        .with_expiry(Expiry::OnInactivity(time::Duration::days(SESSION_DAYS)));
    let anywhere = Route { method: "GET", path: "*", access: Access::Public, surface: Surface::Page };
    let nothing =
        get(not_found).layer(from_fn_with_state((state.clone(), anywhere), access::guard)).fallback(not_found);
    let nothing = nothing.with_state(state.clone());
    let inner = routes
        .fallback_service(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(sessions)
        .layer(from_fn(telemetry::measure))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(security::headers))
        .layer(from_fn(telemetry::request_id))
        .with_state(state.clone());
    // The prefix must be gone before a route is chosen, so this layer lies around the router as a whole.
    let stripped = map_request(|request: Request| async { prefix::strip(request) }).layer(inner);
    Router::new().fallback_service(stripped).layer(Extension(()))
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
    let mut response = surface(&request).refuse(Error::invalid(message));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Which sort of client asks for an address that is none.
fn surface(request: &Request) -> Surface {
    use Surface as S;
    let path = request.uri().path();
    if path.starts_with("/api/v1") {
        S::Api
    } else if path.starts_with("/api/") || path.starts_with("/ajax-api/") {
        S::Mlflow
    } else if path.starts_with("/v2") || path.starts_with("/environments/") && path.contains("/v2") {
        S::Inference
    } else {
        S::Page
    }
}

/// A handler panicked: a mistake of ours, told without its text.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> axum::http::Response<Body> {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("unknown"), "a handler panicked");
    crate::error::ApiError(Error::internal()).into_response()
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
        if let Err(error) = services.refresh_endpoints().await {
            tracing::warn!(%error, "endpoints could not be refreshed");
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

fn install_metrics() -> Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?
        .install_recorder()
        .context("metrics cannot be kept")?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Says where the server is, and how to get in for the first time. On standard output: it is what was asked for.
#[allow(clippy::print_stdout, reason = "the answer to the command")]
async fn announce(services: &Services, public_url: &str) -> Result<()> {
    println!("Slipway serves at {public_url}");
    if let Some(secret) = services.setup_link().await? {
        println!("Nobody can sign in yet. Set up the first administrator, once, at\n{public_url}/setup?link={secret}");
    }
    Ok(())
}

/// Is cancelled when the process is asked to stop: Ctrl-C, or a service manager's SIGTERM.
///
/// # Errors
/// When signals cannot be listened for.
pub fn stop_signal() -> Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
    });
    Ok(stop)
}
