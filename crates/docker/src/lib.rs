//! Where a step runs: a container of a Docker engine on the worker's machine.
//!
//! ```text
//! worker ── engine's socket ── container        its directory: work/, home/ and tmp/ of the try, mounted
//! watch ── .lease, engine's socket ┘
//! ```
//!
//! A container goes on when its worker dies, and that is used: it has a name that follows from its try, and the next
//! worker of the machine that holds the step goes on with it, log and all. What nobody goes on with is discarded. So that
//! it never runs past a lease while nobody is there, a small process watches over the deadline that its worker notes; see
//! [`executors::shim`].
//!
//! It is never removed by the engine itself, because with it would go its exit status and the end of its log. Whoever ran
//! it discards it once the end of the try is recorded.

mod container;
mod image;
mod logs;

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as Refusal,
    models::ContainerInspectResponse,
    query_parameters::{
        InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder,
    },
};
use executors::{Controls, Error, Executor, Finished, Mask, Shim, StepDir, StepDirs, Task};
use futures::future::BoxFuture;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::OnceCell;

/// Says which try a container is of.
const TRY: &str = "slipway.try";
/// Says which installation's it is: several may share an engine.
const ROOT: &str = "slipway.root";
/// How long the engine may take to answer, in seconds.
const ANSWER_SECONDS: u64 = 60;

/// Runs steps as containers.
#[derive(Debug, Clone)]
pub struct DockerExecutor {
    /// Once the version of the engine's language is agreed on.
    docker: Arc<OnceCell<Docker>>,
    socket: PathBuf,
    dirs: StepDirs,
    network: String,
    watch: Shim,
}

impl DockerExecutor {
    /// Containers of the engine behind this Unix socket, with the directories of tries below `root`. They join this network;
    /// `host` is that of the machine, where they reach a server that listens on loopback. `watch` is how a program becomes
    /// a watch.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>, root: impl Into<PathBuf>, network: impl Into<String>, watch: Shim) -> Self {
        Self { docker: Arc::default(), dirs: StepDirs::at(root), socket: socket.into(), network: network.into(), watch }
    }

    /// The engine. Looked for until it is there: it may begin after the worker.
    async fn engine(&self) -> Result<&Docker, Error> {
        let connect = async {
            Docker::connect_with_unix(&self.socket.to_string_lossy(), ANSWER_SECONDS, API_DEFAULT_VERSION)?
                .negotiate_version()
                .await
        };
        self.docker.get_or_try_init(|| connect).await.map_err(|error| failed("no Docker engine answers", error))
    }

    /// Asks the engine who it is: its version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, Error> {
        let version =
            self.engine().await?.version().await.map_err(|error| failed("no Docker engine answers", error))?;
        Ok(version.version.unwrap_or_default())
    }

    /// What the engine knows of the container of a try; none when there is none.
    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        match self.engine().await?.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(failed("the step's container could not be looked at", error)),
        }
    }

    /// Sends a signal. One that does not run any more hears nothing.
    async fn signal(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        match self.engine().await?.kill_container(name, Some(options)).await {
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(failed("the step's container could not be ended", error))
            }
            _ => Ok(()),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("label", vec![format!("{ROOT}={}", self.dirs.root().display())])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = self
            .engine()
            .await?
            .list_containers(Some(options))
            .await
            .map_err(|error| failed("containers of steps could not be listed", error))?;
        Ok(found.into_iter().filter_map(|container| container.labels?.remove(TRY)).collect())
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.engine().await?.remove_container(&container_name(name), Some(options)).await {
            // 409: somebody else removes it.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                return Err(failed("the step's container could not be removed", error));
            }
            _ => {}
        }
        match self.inspect(&container_name(name)).await? {
            Some(found) if is_running(&found) => {
                Err(Error::new("the step's container still runs", io::ErrorKind::ResourceBusy))
            }
            _ => Ok(()),
        }
    }
}

impl Executor for DockerExecutor {
    fn about(&self) -> String {
        "A container of Docker: no capabilities, no new privileges, a user that is not root, a root directory that cannot be \
         written to"
            .to_owned()
    }

    fn prepare<'a>(&'a self, name: &'a str, files: BTreeMap<String, String>) -> BoxFuture<'a, Result<StepDir, Error>> {
        Box::pin(self.dirs.create(name, files))
    }

    fn seen(&self, _: &StepDir) -> PathBuf {
        PathBuf::from(container::INSIDE).join("work")
    }

    fn run<'a>(
        &'a self,
        dir: &'a StepDir,
        task: &'a Task,
        controls: Controls,
    ) -> BoxFuture<'a, Result<Finished, Error>> {
        Box::pin(container::run(self, dir, task, controls))
    }

    fn left(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(self.list())
    }

    fn adopt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StepDir>, Error>> {
        Box::pin(async move {
            if self.inspect(&container_name(name)).await?.is_none() {
                return Ok(None);
            }
            self.dirs.open(name).await
        })
    }

    fn mask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Mask, Error>> {
        Box::pin(async move {
            let found = self.inspect(&container_name(name)).await?;
            Ok(found.as_ref().map(container::mask_of).unwrap_or_default())
        })
    }

    fn discard<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.remove(name))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Error>> {
        Box::pin(async move { self.dirs.sweep(self.list().await?.into_iter().collect()).await })
    }
}

/// The name of a try's container.
fn container_name(name: &str) -> String {
    format!("slipway-{name}")
}

fn lease_file(dir: &Path) -> PathBuf {
    dir.join(".lease")
}

fn is_running(container: &ContainerInspectResponse) -> bool {
    container.state.as_ref().is_some_and(|state| state.running == Some(true))
}

/// The status with which the engine refused.
fn status(error: &Refusal) -> Option<u16> {
    match error {
        Refusal::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn failed(what: &str, error: Refusal) -> Error {
    Error::new(what, io::Error::other(error))
}
