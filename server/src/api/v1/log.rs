//! Logs of tries: in parts, whole as text, and as a stream while they go on.

use crate::{
    access::{Access, Context},
    error::{ApiError, Problem},
    events::{self, Events},
    extract::{Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response, sse::Event},
};
use domain::{
    id::StepAttemptId,
    log::{LogLine, LogStream},
    permission::Permission,
    pipeline_run::AttemptOutcome,
};
use futures::stream;
use serde::{Deserialize, Serialize};
use services::{Services, log_topic};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use utoipa::{IntoParams, ToSchema};

/// Lines in one event, and in one part of a whole log.
const PART: usize = 1000;
/// A stream looks for lines at least so often: word of them may be lost.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.api(read, operation!(lines)).api(read, operation!(follow))
}

/// Which try: run, step, number of the try.
type Which = (i64, String, i32);

/// Which lines.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct After {
    /// Only lines after this one; from the first when nothing is said.
    #[serde(default)]
    after: i64,
    /// The most lines to answer with: 1000 when nothing is said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// Only lines with this in them, as they are read: without colours, and with A to Z as a to z. Up to 200,000 lines are
    /// looked at; `searched_to` says how far that came.
    find: Option<String>,
}

/// Lines of a log.
#[derive(Serialize, ToSchema)]
struct Lines {
    /// The lines, in order. Without `find`, their numbers have no gaps.
    items: Vec<LogLine>,
    /// The last line that was looked at, where lines were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    searched_to: Option<i64>,
    /// How many lines the log had when the question came.
    total: i64,
    /// How the try ended, or that it runs. When it has ended, no lines are added.
    outcome: AttemptOutcome,
}

/// Lines of the log of a try. To whoever asks for text, as a browser does that follows a link, it answers with the whole
/// log as text, as far as it has come; lines of Slipway's own begin with `[slipway]`.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/log", tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path), After),
    responses((status = 200, content((Lines = "application/json"), (String = "text/plain"))),
        (status = 404, body = Problem)))]
async fn lines(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let attempt = state.services.step_attempt(&ctx, number, &step, attempt).await?;
    if wants_text(&headers) {
        return Ok(text(state.services, attempt.id));
    }
    let limit = after.limit.unwrap_or(1000).clamp(1, 10_000);
    let (items, searched_to) = match after.find.as_deref().filter(|find| !find.is_empty()) {
        None => (state.services.log_lines(attempt.id, after.after, limit).await?, None),
        Some(find) => {
            let hits = state.services.search_log(attempt.id, find, after.after, limit).await?;
            (hits.lines, Some(hits.up_to))
        }
    };
    Ok(Json(Lines { items, searched_to, total: attempt.log_lines, outcome: attempt.outcome }).into_response())
}

/// Whether the client would rather have text than JSON: it names text, and JSON not before it.
fn wants_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = accepted.split(',').map(str::trim).find(|kind| kind.starts_with("text/") || kind.contains("json"));
    wanted.is_some_and(|kind| kind.starts_with("text/"))
}

/// The log of a try as server-sent events, from `after` or, when the client comes back, from the last event that it got.
///
/// `lines` has the number of its last line as id, and as data a list of lines as the log itself has them. `end` comes when
/// the try has ended and all its lines were sent; its data is how, in a word. A stream that breaks off before goes on when
/// the client comes back, which it has to every few minutes.
#[utoipa::path(get, path = "/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/log/stream",
    tag = "pipelines",
    params(("number" = i64, Path), ("step" = String, Path), ("attempt" = i32, Path), After),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 404, body = Problem)))]
async fn follow(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<Which>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let attempt = state.services.step_attempt(&ctx, number, &step, attempt).await?;
    let last =
        headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse::<i64>().ok());
    let follower = Follower::new(&state.services, &state.events, attempt.id, last.unwrap_or(0).max(after.after));
    let lines = stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        Some(match follower.next().await {
            Some(event) => (Ok::<_, Infallible>(event), Some(follower)),
            None => (Ok(follower.end()), None),
        })
    });
    Ok(events::answer(lines))
}

/// Reads a log while it grows.
struct Follower {
    services: Services,
    changes: Receiver<Option<Arc<str>>>,
    topic: String,
    attempt: StepAttemptId,
    after: i64,
    outcome: AttemptOutcome,
}

impl Follower {
    fn new(services: &Services, events: &Events, attempt: StepAttemptId, after: i64) -> Self {
        Self {
            services: services.clone(),
            // Before the first look, so that nothing falls between the two.
            changes: events.subscribe(),
            topic: log_topic(attempt),
            attempt,
            after,
            outcome: AttemptOutcome::Running,
        }
    }

    /// The next lines; none when there will be no more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            match self.look().await {
                Ok(lines) if !lines.is_empty() => return Some(self.event(&lines)),
                Ok(_) if self.outcome.is_final() => return None,
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "a log could not be read; trying again"),
            }
            self.wait().await;
        }
    }

    /// Whether it goes on first: then lines that are not there now will never come.
    async fn look(&mut self) -> services::Result<Vec<LogLine>> {
        self.outcome = self.services.attempt_outcome(self.attempt).await?;
        self.services.log_lines(self.attempt, self.after, PART).await
    }

    async fn wait(&mut self) {
        let told = async {
            loop {
                match self.changes.recv().await {
                    Ok(Some(topic)) if *topic != *self.topic => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        let _ = tokio::time::timeout(LOOK, told).await;
    }

    fn event(&mut self, lines: &[LogLine]) -> Event {
        self.after = lines.last().map_or(self.after, |line| line.number);
        let data = serde_json::to_string(lines).unwrap_or_default();
        Event::default().event("lines").id(self.after.to_string()).data(data)
    }

    fn end(&self) -> Event {
        Event::default().event("end").data(self.outcome.as_str().replace('_', " "))
    }
}

/// The whole log, read part by part.
fn text(services: Services, attempt: StepAttemptId) -> Response {
    let parts = stream::try_unfold(0_i64, move |after| {
        let services = services.clone();
        async move {
            let lines = services.log_lines(attempt, after, PART).await?;
            let Some(last) = lines.last().map(|line| line.number) else { return Ok::<_, domain::Error>(None) };
            Ok(Some((plain(&lines), last)))
        }
    });
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(parts)).into_response()
}

fn plain(lines: &[LogLine]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        if line.stream == LogStream::Sys {
            text += "[slipway] ";
        }
        text += &line.text;
        text.push('\n');
        text
    })
}
