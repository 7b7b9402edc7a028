//! Where this worker can run steps.

use crate::worker::Options;
use docker::DockerExecutor;
use executors::{Executor, ProcessExecutor};
use std::sync::Arc;

/// What runs steps, and what it is called in the database.
pub(super) type Place = (&'static str, Arc<dyn Executor>);

/// The executors of a worker.
#[derive(Debug)]
pub(super) struct Places {
    process: Arc<ProcessExecutor>,
    docker: Arc<DockerExecutor>,
}

impl Places {
    pub(super) fn new(options: &Options) -> Self {
        let process = ProcessExecutor::new(options.shim.clone(), &options.steps_dir);
        let process = process.confined(options.confinement.clone());
        // Beside the others: a sweep of those would take the directories of containers that are left.
        let root = options.steps_dir.with_file_name("containers");
        let docker = DockerExecutor::new(&options.docker_socket, root, &options.docker_network, options.shim.clone());
        Self { process: Arc::new(process), docker: Arc::new(docker) }
    }

    /// Says what there is.
    pub(super) async fn probe(&self) {
        match self.process.probe().await {
            Ok(sandbox) => tracing::info!(%sandbox, "steps run as processes"),
            Err(error) => tracing::warn!(%error, "no process can be started for a step on this machine"),
        }
        match self.docker.version().await {
            Ok(version) => tracing::info!(%version, "steps can run in Docker"),
            Err(error) => tracing::debug!(%error, "no step can run in Docker"),
        }
    }

    /// Processes of this machine.
    pub(super) fn process(&self) -> Place {
        ("process", Arc::clone(&self.process) as Arc<dyn Executor>)
    }

    /// Those whose steps outlive their worker.
    pub(super) fn containers(&self) -> Vec<Place> {
        vec![("docker", Arc::clone(&self.docker) as Arc<dyn Executor>)]
    }

    /// Removes what dead workers left.
    pub(super) async fn sweep(&self) {
        for (name, executor) in [self.process()].into_iter().chain(self.containers()) {
            match executor.sweep().await {
                Ok(_) => {}
                Err(error) if name == "process" => {
                    tracing::warn!(%error, "directories that were left could not be removed");
                }
                // Most machines have none.
                Err(error) => tracing::debug!(%error, executor = name, "what was left could not be removed"),
            }
        }
    }
}
