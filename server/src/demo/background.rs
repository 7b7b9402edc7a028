//! The same walk by one click: in the background, against the server itself.

use super::{
    Route, client, file, go, local,
    station::{Line, Progress, Station},
};
use crate::{client::url_of, events::Events, state::AppState};
use domain::{Error, ErrorKind, id::WorkspaceId, permission::Permission};
use services::Ctx;
use std::{
    convert::Infallible,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long after its beginning a walk is told on the home page.
const TOLD: Duration = Duration::from_secs(3600);
/// Open pages are told of progress no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// The walks of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Background(Arc<Walks>);

#[derive(Debug, Default)]
struct Walks {
    /// None where no demo can be walked.
    place: Option<Place>,
    /// The last one.
    last: Mutex<Option<Begun>>,
}

#[derive(Debug)]
struct Place {
    url: String,
    data_dir: PathBuf,
    python: Option<PathBuf>,
}

#[derive(Debug)]
struct Begun {
    workspace: WorkspaceId,
    at: Instant,
    progress: Progress,
    work: AbortOnDropHandle<()>,
}

impl Background {
    /// Walks of the server that listens there and has this data folder.
    #[must_use]
    pub fn new(listening: SocketAddr, data_dir: &Path) -> Self {
        let url = url_of(listening);
        let python = std::env::var_os("SLIPWAY_DEMO_PYTHON").filter(|path| !path.is_empty()).map(PathBuf::from);
        let place = Place { url, data_dir: data_dir.to_owned(), python };
        Self(Arc::new(Walks { place: Some(place), last: Mutex::default() }))
    }

    fn last(&self) -> MutexGuard<'_, Option<Begun>> {
        self.0.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a walk in the workspace, unless one is on its way there already.
///
/// # Errors
/// `Forbidden` to whoever may not manage the workspace, `Conflict` in one that holds work of somebody's own, and while
/// another workspace walks; `Unavailable` in a process that does not serve.
pub async fn start(state: &AppState, ctx: &Ctx) -> Result<(), Error> {
    ctx.require(Permission::ManageWorkspace)?;
    state.services.refuse_demo_among_work(ctx, file::NAME).await?;
    let Some(place) = &state.demo.0.place else {
        return Err(Error::new(ErrorKind::Unavailable, "This server cannot walk the demo; run slipway demo instead."));
    };
    let http = client::http().map_err(|failure| {
        tracing::error!(seen = failure.seen, "the demo has no HTTP client");
        Error::internal()
    })?;
    let mut last = state.demo.last();
    if let Some(begun) = last.as_ref().filter(|begun| !begun.work.is_finished()) {
        return if begun.workspace == ctx.workspace_id() {
            Ok(())
        } else {
            Err(Error::conflict("The demo is being walked in another workspace; try again in a few minutes."))
        };
    }
    let progress = Progress::default();
    let (url, folder, python) = (place.url.clone(), local::folder(&place.data_dir), place.python.clone());
    let (services, ctx, walked) = (state.services.clone(), ctx.clone(), progress.clone());
    let (workspace, events, topic) = (ctx.workspace_id(), state.events.clone(), topic(ctx.workspace_id()));
    let work = tokio::spawn(async move {
        let route = Route { url: &url, folder, python: python.as_deref() };
        // It ends with the server, or by itself.
        let stop = CancellationToken::new();
        let ended = tokio::select! {
            ended = go(&services, &ctx, &route, &http, &walked, &stop) => ended,
            never = tell(&walked, &events, &topic) => match never {},
        };
        match ended {
            Ok(()) => tracing::info!("demo: the loop is closed"),
            Err(failure) => tracing::warn!(failure.expected, failure.seen, failure.look, "the demo came to an end"),
        }
        events.tell(&topic);
    });
    *last = Some(Begun { workspace, at: Instant::now(), progress, work: AbortOnDropHandle::new(work) });
    Ok(())
}

/// What pages listen to that show a walk in the workspace.
fn topic(workspace: WorkspaceId) -> String {
    format!("example:{workspace}")
}

/// Tells open pages how far the walk has come.
async fn tell(progress: &Progress, events: &Events, topic: &str) -> Infallible {
    loop {
        progress.changed().await;
        events.tell(topic);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether whoever asks may begin a walk now.
///
/// # Errors
/// When the database does not answer.
pub async fn is_offered(state: &AppState, ctx: &Ctx) -> Result<bool, Error> {
    let walking = state.demo.last().as_ref().is_some_and(|begun| !begun.work.is_finished());
    let is_possible = state.demo.0.place.is_some() && ctx.may(Permission::ManageWorkspace) && !walking;
    Ok(is_possible && state.services.is_free_for_demo(ctx, file::NAME).await?)
}

/// How far a walk has come.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its stations so far, in order.
    pub lines: Vec<Line>,
    /// Whether it goes on.
    pub goes_on: bool,
}

impl Told {
    fn of(lines: Vec<Line>, is_at_work: bool) -> Self {
        // The work goes on a moment longer than what it has to tell.
        let is_over = lines.last().is_some_and(|line| match &line.ended {
            Some(Ok(_)) => line.station == Station::Candidate,
            Some(Err(_)) => true,
            None => false,
        });
        Self { goes_on: is_at_work && !is_over, lines }
    }
}

/// How far the last walk in the workspace has come, when it is worth telling: it goes on, or began lately.
#[must_use]
pub fn progress(state: &AppState, ctx: &Ctx) -> Option<Told> {
    let last = state.demo.last();
    let begun = last.as_ref().filter(|begun| begun.workspace == ctx.workspace_id())?;
    let told = Told::of(begun.progress.lines(), !begun.work.is_finished());
    (told.goes_on || begun.at.elapsed() < TOLD).then_some(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::station::{Failure, Reached};

    fn line(station: Station, ended: Option<Result<Reached, Failure>>) -> Line {
        Line { station, ended, note: String::new(), took: Duration::ZERO }
    }

    #[test]
    fn a_walk_goes_on_until_its_last_station_or_a_failure() {
        let reached = || Some(Ok(Reached::new(1, "succeeded", "")));
        let on_the_way = || vec![line(Station::Policy, reached()), line(Station::Pipeline, None)];
        assert!(Told::of(Vec::new(), true).goes_on);
        assert!(Told::of(on_the_way(), true).goes_on);
        assert!(!Told::of(on_the_way(), false).goes_on, "it broke off");
        assert!(!Told::of(vec![line(Station::Candidate, reached())], true).goes_on);
        let failed = Some(Err(Failure::new("an alert", "none")));
        assert!(!Told::of(vec![line(Station::Alert, failed)], true).goes_on);
    }
}
