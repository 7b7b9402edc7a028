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
    fmt::Display,
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
    let (database, artifacts) = tokio::join!(
        answer("the database", store::is_migrated(services.pool())),
        answer("the artifact store", services.check_artifacts()),
    );
    let (database, migrations) = match database {
        Some(true) => ("ok", "ok"),
        Some(false) => ("ok", "missing"),
        None => ("unavailable", "unknown"),
    };
    let artifacts = if artifacts.is_some() { "ok" } else { "unavailable" };
    let ready = [database, migrations, artifacts].iter().all(|part| *part == "ok");
    Report { ready, database, migrations, artifacts }
}

/// What `part` answers, in time; none when it does not.
async fn answer<T, E: Display>(part: &str, asked: impl Future<Output = Result<T, E>>) -> Option<T> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => return Some(answer),
        Ok(Err(error)) => tracing::warn!(part, %error, "not ready"),
        Err(_) => tracing::warn!(part, "not ready: no answer in time"),
    }
    None
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
