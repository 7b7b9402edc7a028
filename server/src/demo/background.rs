//! The same walk by one click: in the background, against the server itself.

use super::{
    Route, client, go, local,
    station::{Line, Progress},
};
use crate::state::AppState;
use domain::{Error, ErrorKind, id::WorkspaceId, permission::Permission};
use services::Ctx;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::task::AbortOnDropHandle;

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
    progress: Progress,
    work: AbortOnDropHandle<()>,
}

impl Background {
    /// Walks of the server that listens there and has this data folder.
    #[must_use]
    pub fn new(listening: SocketAddr, data_dir: &Path) -> Self {
        let ip = match listening.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let url = format!("http://{}", SocketAddr::new(ip, listening.port()));
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
/// `Forbidden` to whoever may not manage the workspace, `Conflict` while another workspace walks, `Unavailable` in a
/// process that does not serve.
pub fn start(state: &AppState, ctx: &Ctx) -> Result<(), Error> {
    ctx.require(Permission::ManageWorkspace)?;
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
    let workspace = ctx.workspace_id();
    let work = tokio::spawn(async move {
        let route = Route { url: &url, folder, python: python.as_deref() };
        match go(&services, &ctx, &route, &http, &walked).await {
            Ok(()) => tracing::info!("demo: the loop is closed"),
            Err(failure) => tracing::warn!(failure.expected, failure.seen, failure.look, "the demo came to an end"),
        }
    });
    *last = Some(Begun { workspace, progress, work: AbortOnDropHandle::new(work) });
    Ok(())
}

/// Whether whoever asks may begin a walk now.
#[must_use]
pub fn is_offered(state: &AppState, ctx: &Ctx) -> bool {
    let walking = state.demo.last().as_ref().is_some_and(|begun| !begun.work.is_finished());
    state.demo.0.place.is_some() && ctx.may(Permission::ManageWorkspace) && !walking
}

/// The stations of the last walk in the workspace, in order. None when there was none since the server started.
#[must_use]
pub fn progress(state: &AppState, ctx: &Ctx) -> Option<Vec<Line>> {
    let last = state.demo.last();
    last.as_ref().filter(|begun| begun.workspace == ctx.workspace_id()).map(|begun| begun.progress.lines())
}
