//! Workers: what goes on without anybody asking. The tables say what there is to do; wake-ups say when to look, and the
//! sweeper looks anyway.

pub mod command;
mod datasets;
mod gpu;
mod outbox;
mod process;
mod replays;
mod starts;
mod steps;
mod sweep;
mod wake;

use crate::supervise::supervise;
use domain::gpu::Gpu;
use executors::{Confinement, Shim};
use outbox::Outbox;
use services::Services;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// How long a pod may wait for a node, for room in its quota, or to be begun there, before its step is given back.
const KUBERNETES_PENDING: Duration = Duration::from_secs(1800);
/// How long an image may fail to be fetched before that is the step's fault.
const KUBERNETES_FETCHING: Duration = Duration::from_secs(180);

/// What the parts of a worker share.
#[derive(Clone)]
pub(crate) struct Worker {
    services: Services,
    /// Told when steps may be ready.
    steps: Arc<Notify>,
    /// Whether that was heard here alone, and not passed on since.
    heard_alone: Arc<AtomicBool>,
    /// Told when deliveries may wait to be sent.
    webhooks: Arc<Notify>,
    /// Told when predictions may wait to be replayed.
    replays: Arc<Notify>,
    /// Told when messages to people may.
    mails: Arc<Notify>,
    /// Told when something may be due to be started.
    starts: Arc<Notify>,
    /// Told when versions of datasets may wait to be looked at.
    datasets: Arc<Notify>,
    /// One for each step that may run at once.
    slots: Arc<Semaphore>,
    options: Options,
    stop: CancellationToken,
}

/// How a worker works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name: different for each process and start, so that a dead worker's work is never taken for a live one's.
    pub name: String,
    /// How many steps may run at once.
    pub steps: usize,
    /// The pools whose steps it runs.
    pub pools: Vec<String>,
    /// The graphics processors that it hands out; steps see no others. None when none are known on its machine: then they
    /// find what there is.
    pub gpus: Option<Vec<Gpu>>,
    /// Variables that steps get where their file does not set them.
    pub step_env: BTreeMap<String, String>,
    /// Where the directories of steps are made. Workers of a machine may share it.
    pub steps_dir: PathBuf,
    /// What steps are kept from.
    pub confinement: Confinement,
    /// The socket of the Docker engine.
    pub docker_socket: PathBuf,
    /// The network of containers.
    pub docker_network: String,
    /// The cluster in which steps can run.
    pub kubernetes: Option<kubernetes::Settings>,
    /// How a program becomes the supervisor of a step.
    pub shim: Shim,
    /// The address at which steps reach the server.
    pub server_url: String,
    /// For how long a step is held before the worker must say that it still lives.
    pub lease: Duration,
    /// Between two looks at the traffic of deployed models.
    pub monitor_interval: Duration,
    /// For how long predictions, and the checks that were made of them, are kept.
    pub keep_predictions: chrono::TimeDelta,
}

impl Options {
    /// Its name for people: host and process.
    #[must_use]
    pub fn label(&self) -> String {
        self.name.split('/').take(2).collect::<Vec<_>>().join("-")
    }

    /// From the command line. `data_dir` is absolute, `server_url` has no slash at the end.
    #[must_use]
    pub fn new(work: &crate::config::Work, data_dir: &Path, server_url: &str) -> Self {
        let name = process::ProcessName::own()
            .map_or_else(|| format!("worker-{}", uuid::Uuid::now_v7().simple()), |name| name.to_string());
        Self {
            name,
            steps: usize::from(work.steps),
            pools: work.pools.clone(),
            gpus: gpu::of_machine(&work.gpus),
            step_env: work.step_env.iter().filter_map(|name| Some((name.clone(), std::env::var(name).ok()?))).collect(),
            steps_dir: data_dir.join("steps"),
            docker_socket: work.docker_socket.clone(),
            docker_network: work.docker_network.clone(),
            kubernetes: work.kubernetes_namespace.as_ref().map(|namespace| kubernetes::Settings {
                namespace: namespace.clone(),
                volume: work.kubernetes_claim.clone().map_or(kubernetes::Volume::Host, kubernetes::Volume::Claim),
                installation: work.kubernetes_installation.clone(),
                pull_policy: work.kubernetes_pull_policy.clone(),
                pending: KUBERNETES_PENDING,
                fetching: KUBERNETES_FETCHING,
            }),
            confinement: Confinement {
                enabled: !work.no_sandbox,
                hidden: vec![data_dir.to_owned()],
                shown: vec![crate::demo::python(data_dir)],
                writable: work.step_dirs.clone(),
            },
            shim: Shim::beside_this_program("slipway-step", &["step-shim"]),
            server_url: server_url.to_owned(),
            lease: Duration::from_secs(u64::from(work.lease)),
            monitor_interval: Duration::from_secs(u64::from(work.monitor_interval)),
            keep_predictions: chrono::TimeDelta::days(i64::from(work.prediction_days)),
        }
    }
}

/// Works until told to stop, then ends what it holds in good order.
pub async fn run(services: Services, options: Options, stop: CancellationToken) {
    tracing::info!(worker = %options.name, steps = options.steps, "working");
    let slots = Arc::new(Semaphore::new(options.steps));
    let (steps, webhooks, replays, mails, starts, datasets) = Default::default();
    let heard_alone = Arc::default();
    let worker =
        Worker { services, steps, heard_alone, webhooks, replays, mails, starts, datasets, slots, options, stop };
    let mut parts = JoinSet::new();
    worker.part(&mut parts, "the job queue", wake::listen);
    worker.part(&mut parts, "running steps", steps::run);
    worker.part(&mut parts, "starting what is due", starts::run);
    worker.part(&mut parts, "advancing promotions", sweep::promotions);
    worker.part(&mut parts, "watching what is due", sweep::due);
    worker.part(&mut parts, "checking monitors", sweep::monitors);
    worker.part(&mut parts, "packing points", sweep::points);
    worker.part(&mut parts, "chaining history", sweep::history);
    worker.part(&mut parts, "sending webhooks", |worker| outbox::run(worker, Outbox::Webhooks));
    worker.part(&mut parts, "replaying predictions", replays::run);
    if worker.services.sends_mail() {
        worker.part(&mut parts, "sending mail", |worker| outbox::run(worker, Outbox::Mails));
        worker.part(&mut parts, "offering mail", outbox::offer_mail);
    }
    worker.part(&mut parts, "archiving logs", sweep::logs);
    worker.part(&mut parts, "looking at datasets", datasets::profile);
    worker.part(&mut parts, "sweeping datasets", datasets::sweep);
    worker.part(&mut parts, "tidying", sweep::leftovers);
    while let Some(ended) = parts.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of the worker failed");
        }
    }
}

impl Worker {
    /// Keeps a part of the worker going until it stops.
    fn part<F>(&self, parts: &mut JoinSet<()>, name: &'static str, part: impl Fn(Self) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let worker = self.clone();
        parts.spawn(supervise(name, self.stop.clone(), move || part(worker.clone())));
    }

    /// Waits, but not longer than it takes to be told to stop. Tells whether to go on.
    async fn pause(&self, how_long: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(how_long) => true,
        }
    }
}
