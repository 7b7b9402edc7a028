//! Where a step runs: a Job of a Kubernetes cluster.
//!
//! ```text
//! worker ── API ── Job slipway-<try> ── Pod ── Container      the volume of the steps' directories, mounted
//! ```
//!
//! A Job goes on when its worker dies, as a container of Docker does: the next worker that holds the step finds it by its
//! name and goes on with it. It carries its own deadline, `activeDeadlineSeconds`, which is moved on with every renewal of
//! the lease: the cluster itself ends it when nobody does. A cluster may start a pod twice, or not be able to end one on a
//! node that it does not reach; then the fence of the lease is what keeps its word from counting.
//!
//! Files go in and out through a volume that worker and pods share: a claim that many nodes may mount, or a directory of
//! the one node.

mod job;
mod life;
mod logs;
mod sample;
mod secret;

use executors::{Controls, Error, Executor, Finished, Mask, StepDir, StepDirs, Task};
use futures::future::BoxFuture;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Pod, Secret},
};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams},
};
use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::OnceCell, time::sleep};

/// Says which try a Job is of.
const TRY: &str = "slipway.dev/try";
/// Says which installation's it is: several may share a namespace.
const INSTALLATION: &str = "slipway.dev/installation";
/// How long the cluster may be silent. The log of a pod that says nothing is asked for again so often.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the end of a pod is waited for.
const ENDING: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// How steps run in a cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace.
    pub namespace: String,
    /// The volume in which the directories of steps are.
    pub volume: Volume,
    /// Tells the Jobs of this installation from those of others. Letters, digits and `-`, at most 63.
    pub installation: String,
    /// When images are fetched: `IfNotPresent`, `Always` or `Never`.
    pub pull_policy: String,
    /// How long a pod may wait for a node, for room in its quota, or to be begun there, before the step is given back.
    pub pending: Duration,
    /// How long an image may fail to be fetched before that is the step's fault.
    pub fetching: Duration,
}

/// The volume in which the directories of steps are.
#[derive(Debug, Clone)]
pub enum Volume {
    /// A claim in the namespace, whose root the worker has mounted as the root of its directories.
    Claim(String),
    /// The root of the directories itself: for a cluster of one node, on which the worker runs.
    Host,
}

/// Runs steps as Jobs.
#[derive(Clone)]
pub struct KubernetesExecutor {
    client: Arc<OnceCell<Client>>,
    dirs: StepDirs,
    settings: Arc<Settings>,
}

impl std::fmt::Debug for KubernetesExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesExecutor").field("root", &self.dirs.root()).field("settings", &self.settings).finish()
    }
}

impl KubernetesExecutor {
    /// Jobs of the cluster that `KUBECONFIG`, the user's own settings or the pod that this process runs in name.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, settings: Settings) -> Self {
        Self { client: Arc::default(), dirs: StepDirs::at(root), settings: Arc::new(settings) }
    }

    async fn client(&self) -> Result<Client, Error> {
        let connect = async {
            let mut config = Config::infer().await.map_err(kube::Error::InferConfig)?;
            config.read_timeout = Some(ANSWER);
            config.reset_reader_on_write = true;
            Client::try_from(config)
        };
        let found = self.client.get_or_try_init(|| connect).await;
        Ok(found.map_err(|error| failed("no cluster is known", error))?.clone())
    }

    /// Asks the cluster who it is: its version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, Error> {
        let version = self.client().await?.apiserver_version().await;
        Ok(version.map_err(|error| failed("the cluster does not answer", error))?.git_version)
    }

    async fn jobs(&self) -> Result<Api<Job>, Error> {
        Ok(Api::namespaced(self.client().await?, &self.settings.namespace))
    }

    async fn pods(&self) -> Result<Api<Pod>, Error> {
        Ok(Api::namespaced(self.client().await?, &self.settings.namespace))
    }

    async fn secrets(&self) -> Result<Api<Secret>, Error> {
        Ok(Api::namespaced(self.client().await?, &self.settings.namespace))
    }

    /// The pod of a try, when it is there.
    async fn pod(&self, name: &str) -> Result<Option<Pod>, Error> {
        let params = ListParams::default().labels(&format!("job-name={}", job_name(name)));
        let found = self.pods().await?.list(&params).await;
        let found = found.map_err(|error| failed("the step's pod could not be looked at", error))?;
        // Should there be more than one, the one that was made last.
        Ok(found.items.into_iter().max_by_key(|pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0)))
    }

    async fn job(&self, name: &str) -> Result<Option<Job>, Error> {
        let found = self.jobs().await?.get_opt(&job_name(name)).await;
        found.map_err(|error| failed("the step's job could not be looked at", error))
    }

    async fn list(&self) -> Result<Vec<String>, Error> {
        let params = ListParams::default().labels(&format!("{INSTALLATION}={}", self.settings.installation));
        let found = self.jobs().await?.list(&params).await;
        let found = found.map_err(|error| failed("jobs of steps could not be listed", error))?;
        Ok(found.items.into_iter().filter_map(|job| job.metadata.labels?.remove(TRY)).collect())
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        match self.jobs().await?.delete(&job_name(name), &DeleteParams::background()).await {
            Err(error) if !is_missing(&error) => return Err(failed("the step's job could not be removed", error)),
            _ => {}
        }
        secret::remove(self, name).await?;
        let give_up = Instant::now() + ENDING;
        // One that has ended is there for a while yet.
        let runs = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Failed" | "Succeeded"))
        };
        while self.pod(name).await?.as_ref().is_some_and(runs) {
            if give_up < Instant::now() {
                return Err(Error::new("the step's pod does not end", io::ErrorKind::TimedOut));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

impl Executor for KubernetesExecutor {
    fn about(&self) -> String {
        "A pod of Kubernetes: no capabilities, no new privileges, a user that is not root, a root directory that cannot be \
         written to"
            .to_owned()
    }

    fn prepare<'a>(&'a self, name: &'a str, files: BTreeMap<String, String>) -> BoxFuture<'a, Result<StepDir, Error>> {
        Box::pin(self.dirs.create(name, files))
    }

    fn seen(&self, _: &StepDir) -> PathBuf {
        PathBuf::from(job::INSIDE).join("work")
    }

    fn run<'a>(
        &'a self,
        dir: &'a StepDir,
        task: &'a Task,
        controls: Controls,
    ) -> BoxFuture<'a, Result<Finished, Error>> {
        Box::pin(life::run(self, dir, task, controls))
    }

    fn left(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(self.list())
    }

    fn adopt<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<StepDir>, Error>> {
        Box::pin(async move {
            if self.job(name).await?.is_none() {
                return Ok(None);
            }
            self.dirs.open(name).await
        })
    }

    fn mask<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Mask, Error>> {
        Box::pin(async move {
            match self.job(name).await? {
                Some(job) => secret::mask(self, name, &job).await,
                None => Ok(Mask::default()),
            }
        })
    }

    fn discard<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.remove(name))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, Error>> {
        Box::pin(async move { self.dirs.sweep(self.list().await?.into_iter().collect()).await })
    }
}

/// The name of a try's Job: letters in lower case, digits and `-`.
fn job_name(name: &str) -> String {
    format!("slipway-{}", name.to_ascii_lowercase().replace('_', "-"))
}

fn is_missing(error: &kube::Error) -> bool {
    code(error) == Some(404)
}

/// The status with which the cluster refused.
fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn failed(what: &str, error: kube::Error) -> Error {
    Error::new(what, io::Error::other(error))
}
