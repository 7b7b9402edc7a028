//! Running steps of pipelines: taking one when there is a free slot, holding it, running it, letting go of it.
//!
//! ```text
//! take ──▶ attempt ──▶ let go        renew: keeps hold, learns of cancellation
//!   ▲ ready                          reap:  takes what lost workers held
//! ```

mod adopt;
mod attempt;
mod facts;
mod held;
mod log;
mod notebook;
mod places;
mod reap;
mod samples;

use super::{Options, Worker};
use crate::supervise::supervise;
use domain::{
    gpu::GpuUuid,
    id::{PipelineRunId, StepId},
};
use held::{Held, Timing};
use places::Places;
use services::{LetGo, Services};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use store::{event::Listener, step::READY};
use tokio::{
    sync::{Notify, Semaphore},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Between two looks for steps, when nobody told of any.
const POLL: Duration = Duration::from_secs(2);
/// How long taking a step may take.
const TAKING: Duration = Duration::from_secs(10);

/// What the parts share.
#[derive(Clone)]
struct Steps {
    services: Services,
    /// On connections of its own: a renewal must not wait behind anything.
    leases: Services,
    /// On connections of its own: a step that writes much must not hold up anything.
    logs: Services,
    places: Arc<Places>,
    facts: Arc<facts::Known>,
    /// Tries that are gone on with, beside those that were taken.
    adopted: TaskTracker,
    held: Arc<Held>,
    timing: Timing,
    options: Options,
    /// The graphics processors that it hands out.
    gpus: Arc<[GpuUuid]>,
    ready: Arc<Notify>,
    heard_alone: Arc<AtomicBool>,
    /// Steps that became ready by the ends of steps here, which this worker takes next: no other was told of them.
    promised: Arc<Mutex<BTreeSet<StepId>>>,
    renew_now: Arc<Notify>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
}

/// Runs steps until told to stop; then ends what runs, and gives it back.
pub(super) async fn run(worker: Worker) {
    let Worker { services, steps: ready, heard_alone, slots, options, stop, .. } = worker;
    let steps = Steps {
        leases: services.beside(2),
        logs: services.beside(2),
        facts: Arc::new(facts::Known::new(&options, services.clone())),
        services,
        places: Arc::new(Places::new(&options)),
        adopted: TaskTracker::new(),
        held: Arc::default(),
        timing: Timing::new(options.lease),
        gpus: options.gpus.iter().flatten().map(|gpu| gpu.uuid.clone()).collect(),
        options,
        ready,
        heard_alone,
        promised: Arc::default(),
        renew_now: Arc::default(),
        slots,
        stop,
    };
    steps.places.probe().await;
    // Leases are renewed until the last step has ended.
    let over = CancellationToken::new();
    let mut parts = JoinSet::new();
    let until = over.clone();
    steps.part(&mut parts, "renewing leases", &over, move |steps| steps.renew(until.clone()));
    steps.part(&mut parts, "reaping steps", &steps.stop, Steps::reap);
    steps.part(&mut parts, "looking around", &steps.stop, Steps::look_around);
    steps.part(&mut parts, "listening for steps", &steps.stop, Steps::listen);
    steps.take().await;
    over.cancel();
    while let Some(ended) = parts.join_next().await {
        tell_failure(ended);
    }
}

/// A task that did not end as it should: a mistake of ours.
fn tell_failure(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a part of the worker failed");
    }
}

impl Worker {
    /// Steps of this pool may be ready. A worker that cannot take one passes it on: a job comes to one worker only.
    pub(super) async fn steps_ready(&self, pool: &str) {
        // Before the look at the slots: whoever takes the last one after it passes it on.
        self.heard_alone.store(true, Ordering::SeqCst);
        if self.slots.available_permits() > 0 && self.options.pools.iter().any(|own| own == pool) {
            self.steps.notify_one();
        } else {
            pass_on(&self.services, &self.heard_alone).await;
        }
    }
}

/// Tells all workers that there may be steps to take, when that was heard here alone.
async fn pass_on(services: &Services, heard_alone: &AtomicBool) {
    if !heard_alone.swap(false, Ordering::SeqCst) {
        return;
    }
    let told = match services.pool().acquire().await {
        Ok(mut conn) => store::event::notify_workers(&mut conn, READY).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = told {
        heard_alone.store(true, Ordering::SeqCst);
        tracing::debug!(%error, "other workers could not be told of steps; they look by themselves");
    }
}

impl Steps {
    /// Keeps a part of running steps going until `stop`.
    fn part<F>(
        &self,
        parts: &mut JoinSet<()>,
        name: &'static str,
        stop: &CancellationToken,
        part: impl Fn(Self) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let steps = self.clone();
        parts.spawn(supervise(name, stop.clone(), move || part(steps.clone())));
    }

    /// Takes steps while there are free slots, until told to stop; then waits for the end of those that run.
    async fn take(&self) {
        let mut running = JoinSet::new();
        // Whether a step may be ours without our knowing.
        let mut in_doubt = false;
        loop {
            let slot = tokio::select! {
                () = self.stop.cancelled() => break,
                slot = Arc::clone(&self.slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            let deadline = self.timing.deadline();
            let (name, label) = (&self.options.name, self.options.label());
            let (executors, pools, ttl) = (self.places.kinds(), &self.options.pools, self.timing.ttl);
            let taking = self.services.claim_step(name, &label, pools, &executors, &self.gpus, ttl);
            match timeout(TAKING, taking).await {
                Ok(Ok(Some(claimed))) => {
                    self.promised().remove(&claimed.step_id);
                    let hand = self.held.add(&claimed, deadline);
                    let steps = self.clone();
                    running.spawn(async move {
                        steps.attempt(claimed, hand).await;
                        drop(slot);
                    });
                    if let Some(passing_on) = self.pass_on_when_full() {
                        running.spawn(passing_on);
                    }
                }
                Ok(Ok(None)) => {
                    // Somebody has them, or they wait for something else.
                    self.promised().clear();
                    drop(slot);
                    self.wait_for_steps().await;
                }
                failed => {
                    drop(slot);
                    in_doubt = true;
                    if let Ok(Err(error)) = failed {
                        tracing::warn!(%error, "no step could be taken; trying again");
                    }
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                    continue;
                }
            }
            if in_doubt {
                in_doubt = !self.give_back_unheard().await;
            }
            while let Some(ended) = running.try_join_next() {
                tell_failure(ended);
            }
        }
        self.held.end_all();
        self.hear_of_promised();
        pass_on(&self.services, &self.heard_alone).await;
        while let Some(ended) = running.join_next().await {
            tell_failure(ended);
        }
        self.adopted.close();
        self.adopted.wait().await;
    }

    /// Tells the others that there may be more steps than this worker has slots for, when that is so.
    fn pass_on_when_full(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        if self.slots.available_permits() > 0 {
            return None;
        }
        self.hear_of_promised();
        self.heard_alone.load(Ordering::SeqCst).then(|| {
            let (services, heard_alone) = (self.services.clone(), Arc::clone(&self.heard_alone));
            async move { pass_on(&services, &heard_alone).await }
        })
    }

    fn promised(&self) -> MutexGuard<'_, BTreeSet<StepId>> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes of what was promised to this worker, and it has not taken, a word that it heard alone.
    fn hear_of_promised(&self) {
        if !std::mem::take(&mut *self.promised()).is_empty() {
            self.heard_alone.store(true, Ordering::SeqCst);
        }
    }

    /// Waits until there may be something to take.
    async fn wait_for_steps(&self) {
        let due =
            self.services.next_step_due(&self.options.pools, &self.places.kinds(), &self.gpus).await.ok().flatten();
        let pause = due.map_or(POLL, |due| due.clamp(Duration::from_millis(10), POLL));
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.ready.notified() => {}
            // What is found now, nobody was told of.
            () = tokio::time::sleep(pause) => self.heard_alone.store(true, Ordering::SeqCst),
        }
    }

    /// Gives back what was taken without hearing so, because the connection was lost in between. Tells whether nothing
    /// of the kind is left.
    async fn give_back_unheard(&self) -> bool {
        let Ok(leases) = self.services.held_besides(&self.options.name, &self.held.fences()).await else {
            return false;
        };
        for lease in leases {
            tracing::warn!(step = %lease.step_id, "a step was taken without hearing so; giving it back");
            let how = LetGo::GivenBack("its worker did not hear that it had it".to_owned());
            if self.services.let_go(&lease, &how).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Listens for steps that other workers have no slot or no graphics processors for, and for runs that are cancelled.
    async fn listen(self) {
        loop {
            let ended = tokio::select! {
                () = self.stop.cancelled() => return,
                ended = self.hear() => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "not told of steps; trying again");
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }

    async fn hear(&self) -> store::Result<()> {
        let mut listener = Listener::of_workers(self.services.pool()).await?;
        loop {
            match listener.next().await? {
                Some(topic) if topic == READY => self.ready.notify_one(),
                Some(topic) => {
                    let run = topic.strip_prefix("cancel:").and_then(|id| id.parse::<PipelineRunId>().ok());
                    if run.is_some_and(|run| self.held.is_of(run)) {
                        self.renew_now.notify_one();
                    }
                }
                None => {
                    self.ready.notify_one();
                    self.renew_now.notify_one();
                }
            }
        }
    }
}
