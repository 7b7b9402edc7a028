//! Where this worker can run steps.

use crate::worker::Options;
use docker::DockerExecutor;
use domain::{id::StepAttemptId, pipeline::ExecutorKind};
use executors::{Executor, ProcessExecutor};
use kubernetes::KubernetesExecutor;
use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::timeout;

/// How long an engine or a cluster may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(10);

/// What runs steps, and what that is called.
pub(super) type Place = (ExecutorKind, Arc<dyn Executor>);

/// The executors of a worker.
#[derive(Debug)]
pub(super) struct Places {
    process: Arc<ProcessExecutor>,
    /// What processes get here, once that is found out.
    sandbox: OnceLock<String>,
    docker: Arc<DockerExecutor>,
    has_docker: AtomicBool,
    kubernetes: Option<Arc<KubernetesExecutor>>,
    has_kubernetes: AtomicBool,
    /// Where the directories of containers and of jobs are.
    outliving: [PathBuf; 2],
}

impl Places {
    pub(super) fn new(options: &Options) -> Self {
        let process = ProcessExecutor::new(options.shim.clone(), &options.steps_dir);
        // Beside each other: a sweep of one would take the directories of another's.
        let beside = |name: &str| options.steps_dir.with_file_name(name);
        let docker = DockerExecutor::new(
            &options.docker_socket,
            beside("containers"),
            &options.docker_network,
            options.shim.clone(),
        );
        let kubernetes = options.kubernetes.clone().map(|settings| KubernetesExecutor::new(beside("jobs"), settings));
        Self {
            process: Arc::new(process.confined(options.confinement.clone())),
            sandbox: OnceLock::new(),
            docker: Arc::new(docker),
            has_docker: AtomicBool::new(false),
            kubernetes: kubernetes.map(Arc::new),
            has_kubernetes: AtomicBool::new(false),
            outliving: [beside("containers"), beside("jobs")],
        }
    }

    /// Whether this machine has the directory of a try that may outlive its worker.
    pub(super) fn may_be_left(&self, attempt: StepAttemptId) -> bool {
        self.outliving.iter().any(|root| root.join(attempt.to_string()).exists())
    }

    /// Finds out what processes get here, and says so.
    pub(super) async fn probe(&self) {
        match self.process.probe().await {
            Ok(sandbox) => {
                tracing::info!(%sandbox, "steps run as processes");
                let _ = self.sandbox.set(sandbox.to_string());
            }
            Err(error) => tracing::warn!(%error, "no process can be started for a step on this machine"),
        }
    }

    /// What processes get here, in words.
    pub(super) fn sandbox(&self) -> Option<&str> {
        self.sandbox.get().map(String::as_str)
    }

    /// Looks which engine and which cluster are there. They may come and go.
    pub(super) async fn look(&self) {
        let docker = async {
            let version = timeout(ANSWER, self.docker.version()).await.map_err(|late| late.to_string());
            version.and_then(|version| version.map_err(|error| error.to_string()))
        };
        tell("docker", &self.has_docker, docker.await, false);
        if let Some(kubernetes) = &self.kubernetes {
            let version = timeout(ANSWER, kubernetes.version()).await.map_err(|late| late.to_string());
            let version = version.and_then(|version| version.map_err(|error| error.to_string()));
            tell("kubernetes", &self.has_kubernetes, version, true);
        }
    }

    /// Where steps can run now.
    pub(super) fn kinds(&self) -> Vec<ExecutorKind> {
        ExecutorKind::ALL.into_iter().filter(|kind| self.of(*kind).is_some()).collect()
    }

    /// The place of this kind, when there is one.
    pub(super) fn of(&self, kind: ExecutorKind) -> Option<Place> {
        let executor: Arc<dyn Executor> = match kind {
            ExecutorKind::Process => Arc::clone(&self.process) as Arc<dyn Executor>,
            ExecutorKind::Docker if self.has_docker.load(Ordering::Relaxed) => Arc::clone(&self.docker) as _,
            ExecutorKind::Kubernetes if self.has_kubernetes.load(Ordering::Relaxed) => {
                Arc::clone(self.kubernetes.as_ref()?) as _
            }
            ExecutorKind::Docker | ExecutorKind::Kubernetes => return None,
        };
        Some((kind, executor))
    }

    /// Whether everything in which a step can outlive its worker answers.
    pub(super) fn are_all_there(&self) -> bool {
        self.has_docker.load(Ordering::Relaxed)
            && (self.kubernetes.is_none() || self.has_kubernetes.load(Ordering::Relaxed))
    }

    /// Those whose steps outlive their worker.
    pub(super) fn containers(&self) -> Vec<Place> {
        [ExecutorKind::Docker, ExecutorKind::Kubernetes].into_iter().filter_map(|kind| self.of(kind)).collect()
    }

    /// Removes what dead workers left.
    pub(super) async fn sweep(&self) {
        for (kind, executor) in self.of(ExecutorKind::Process).into_iter().chain(self.containers()) {
            match timeout(ANSWER, executor.sweep()).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, executor = kind.as_str(), "directories that were left could not be removed");
                }
                Err(_) => tracing::warn!(executor = kind.as_str(), "what was left could not be looked for in time"),
            }
        }
    }
}

/// Says it when a place is found or lost.
fn tell(place: &str, has: &AtomicBool, version: Result<String, String>, is_wanted: bool) {
    let had = has.swap(version.is_ok(), Ordering::Relaxed);
    match version {
        Ok(version) if !had => tracing::info!(place, version, "steps can run there"),
        Ok(_) => {}
        Err(error) if had || is_wanted => tracing::warn!(place, error, "no step can run there now"),
        // Most machines have none.
        Err(error) => tracing::debug!(place, error, "no step can run there"),
    }
}
