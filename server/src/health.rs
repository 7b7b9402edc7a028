//! Whether this process lives, whether it can work, and what it measures.

use crate::{access::Access, recorder, router::Routes, state::AppState};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
    response::IntoResponse,
};
use serde::Serialize;
use services::Services;
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// How long a look is good for: looking writes to the artifact store, and anybody may ask.
const FRESH: Duration = Duration::from_secs(2);
/// How long each may take to answer: whoever asks has an answer before they lose patience.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.page(Method::GET, "/healthz", Access::Open, alive).page(Method::GET, "/readyz", Access::Open, ready).page(
        Method::GET,
        "/metrics",
        Access::Open,
        metrics,
    )
}

async fn alive() -> &'static str {
    "ok\n"
}

/// What was there at the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    ready: bool,
    database: &'static str,
    migrations: &'static str,
    artifacts: &'static str,
}

impl Report {
    /// Whether the database answers, and has this version's schema.
    pub(crate) fn has_database(&self) -> bool {
        self.migrations == "ok"
    }
}

/// Whether this process can work. However many ask, one looks.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Report)>>>);

impl Readiness {
    /// What is there now, or was a moment ago.
    pub(crate) async fn look(&self, services: &Services) -> Report {
        self.latest(Instant::now, report(services)).await
    }

    async fn latest(&self, now: impl Fn() -> Instant, look: impl Future<Output = Report>) -> Report {
        let mut last = self.0.lock().await;
        match *last {
            Some((at, report)) if now().saturating_duration_since(at) < FRESH => report,
            _ => {
                let report = look.await;
                *last = Some((now(), report));
                report
            }
        }
    }
}

async fn report(services: &Services) -> Report {
    let (database, migrations) = match timeout(PATIENCE, store::is_migrated(services.pool())).await {
        Ok(Ok(true)) => ("ok", "ok"),
        Ok(Ok(false)) => ("ok", "missing"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the database");
            ("unavailable", "unknown")
        }
        Err(_) => {
            tracing::warn!("not ready: the database did not answer in time");
            ("unavailable", "unknown")
        }
    };
    let artifacts = match timeout(PATIENCE, services.check_artifacts()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the artifact store");
            "unavailable"
        }
        Err(_) => {
            tracing::warn!("not ready: the artifact store did not answer in time");
            "unavailable"
        }
    };
    let ready = [database, migrations, artifacts].iter().all(|part| *part == "ok");
    Report { ready, database, migrations, artifacts }
}

async fn ready(State(state): State<AppState>) -> impl IntoResponse {
    let report = state.readiness.look(&state.services).await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    recorder::exposition(&state.metrics)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Report = Report { ready: true, database: "ok", migrations: "ok", artifacts: "ok" };
    const BAD: Report = Report { ready: false, artifacts: "unavailable", ..GOOD };

    #[tokio::test]
    async fn a_look_is_good_for_a_moment_and_then_taken_again() {
        let readiness = Readiness::default();
        let begin = Instant::now();
        let just_before = begin + FRESH - Duration::from_millis(1);
        assert_eq!(readiness.latest(|| begin, async { GOOD }).await, GOOD);
        assert_eq!(readiness.latest(|| just_before, async { BAD }).await, GOOD);
        assert_eq!(readiness.latest(|| begin + FRESH, async { BAD }).await, BAD);
    }
}
