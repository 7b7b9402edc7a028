//! Whether this process lives, whether it can work, and what it measures.

use crate::{access::Access, router::Routes, state::AppState};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .page(Method::GET, "/healthz", Access::Public, alive)
        .page(Method::GET, "/readyz", Access::Public, ready)
        .page(Method::GET, "/metrics", Access::Public, metrics)
}

async fn alive() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    database: &'static str,
    migrations: &'static str,
    artifacts: &'static str,
}

async fn ready(State(state): State<AppState>) -> impl IntoResponse {
    let migrated = store::is_migrated(state.services.pool()).await;
    let (database, migrations) = match migrated {
        Ok(true) => ("ok", "ok"),
        Ok(false) => ("ok", "missing"),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database");
            ("unavailable", "unknown")
        }
    };
    let artifacts = match state.services.check_artifacts().await {
        Ok(()) => "ok",
        Err(error) => {
            tracing::warn!(%error, "not ready: the artifact store");
            "unavailable"
        }
    };
    let ready = [database, migrations, artifacts].iter().all(|part| *part == "ok");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, database, migrations, artifacts }))
}

async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
