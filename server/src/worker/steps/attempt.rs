//! One try of a step, from the directory that is made for it to the outputs that are taken from it.

use super::{
    Steps,
    held::Hand,
    log::Log,
    notebook::{self, Notebook},
    places::Place,
    samples,
};
use domain::{gpu::GpuUuid, pipeline::ExecutorKind, pipeline_run::AttemptOutcome};
use executors::{Controls, Ended, Finished, Gpus, Limits, Mask, StepDir, Task};
use services::{AttemptEnd, Claimed, ErrorKind, FileTrouble, Lease, LetGo, StepWork};
use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Variables whose values must not stand in a log: everybody who may look reads logs.
const SECRETS: [&str; 1] = ["SLIPWAY_TOKEN"];
/// How often the end of a try is tried to be recorded that fails though all that it needs answers.
const TRIES: u32 = 6;
/// Lines of the log that are read and not stored yet.
const UNSTORED: usize = 1000;

impl Steps {
    /// Runs the try to its end and records it. The hold ends with the hand.
    pub(super) async fn attempt(&self, held: Claimed, hand: Hand) {
        let (how, dir) = self.run_attempt(&held, &hand).await;
        self.end(&held, how, dir).await;
    }

    /// The same with a try that another worker began, and that still runs in this place, or has ended there.
    pub(super) async fn adopted_attempt(&self, held: Claimed, hand: Hand, place: Place, dir: StepDir) {
        let how = self.go_on_with(&held, &hand, &place, &dir).await;
        self.end(&held, how, Some((place, dir))).await;
    }

    /// Records how the try ended, none when its lease is lost, and takes away what it needed. In this order: should this
    /// worker die before its word counts, the next finds a container's files and exit status where they are.
    async fn end(&self, held: &Claimed, how: Option<LetGo>, ran: Option<(Place, StepDir)>) {
        let lease =
            Lease { step_id: held.step_id, run_id: held.run_id, attempt_id: held.attempt_id, fence: held.fence };
        match how {
            Some(how) => {
                // What a container leaves may take long to go, and its slot is taken until then.
                let is_quick = ran.as_ref().is_none_or(|((executor, _), _)| *executor == ExecutorKind::Process);
                self.let_go(&lease, &how, is_quick).await;
            }
            None => {
                tracing::info!(step = %held.name, fence = held.fence, "a step is held no more: its lease is lost, or it waits for a check")
            }
        }
        let Some(((_, executor), dir)) = ran else { return };
        if let Err(error) = executor.discard(&held.attempt_id.to_string()).await {
            tracing::warn!(%error, "the container of a step was left; it is removed later");
        }
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || dir.remove()).await {
            tracing::warn!(%error, "the directory of a step was left; it is removed later");
        }
    }

    /// How the try ended, none when the lease is lost, so that there is nothing to say; and where it ran.
    async fn run_attempt(&self, held: &Claimed, hand: &Hand) -> (Option<LetGo>, Option<(Place, StepDir)>) {
        let mut work = match self.begin(held, hand).await {
            Begun::Work(work) => work,
            Begun::Gone => return (None, None),
            Begun::Impossible(reason) => return (Some(ended(AttemptOutcome::Failed, reason)), None),
        };
        if work.cancelling {
            return (Some(ended(AttemptOutcome::Cancelled, "cancelled before it began")), None);
        }
        if let Some(hit) = work.cached {
            return (Some(LetGo::Cached(hit)), None);
        }
        self.note_facts(held, &mut work);
        let mut log = Log::new(self.logs.clone(), held.attempt_id);
        let Some(place) = self.places.of(work.executor) else {
            let reason = format!("its worker cannot run steps in {} any more", work.executor.as_str());
            return (Some(lost(reason)), None);
        };
        log.say(format!(
            "{}: step {}, try {} of {}, on {}. {}.",
            work.run_name,
            held.name,
            held.number,
            work.max_attempts.max(held.number),
            self.options.label(),
            place.1.about()
        ));
        if let Some(told) = told(&self.gpus(place.0, held, &work)) {
            log.say(told);
        }
        let (how, dir) = match place.1.prepare(&held.attempt_id.to_string(), work.files.clone()).await {
            Ok(dir) => (self.run_in(held, &place, &dir, work, hand, &mut log).await, Some((place, dir))),
            Err(error) => (Some(lost(format!("its directory could not be made on the worker ({error})"))), None),
        };
        close(log, how.as_ref()).await;
        (how, dir)
    }

    async fn go_on_with(&self, held: &Claimed, hand: &Hand, place: &Place, dir: &StepDir) -> Option<LetGo> {
        let adopted = loop {
            match self.services.adopted(held).await {
                Ok(Some(adopted)) => break adopted,
                Ok(None) => return None,
                Err(error) if error.kind != ErrorKind::Unavailable || hand.is_over() => {
                    tracing::error!(%error, "a try cannot be gone on with");
                    return Some(lost("it could not be gone on with; the log of the server says why".to_owned()));
                }
                Err(error) => tracing::warn!(%error, "a try cannot be gone on with; trying again"),
            }
            sleep(Duration::from_millis(200)).await;
        };
        let mut log = Log::new(self.logs.clone(), held.attempt_id).after(adopted.log_lines);
        log.say(format!("Its worker is gone; {} goes on with it.", self.options.label()));
        let gpus = self.gpus(place.0, held, &adopted.work);
        let task = task(&adopted.work, adopted.work.invocation.env.clone(), gpus);
        let before = u64::try_from(adopted.lines_of_command).unwrap_or_default();
        let how = match place.1.mask(&held.attempt_id.to_string()).await {
            Ok(mask) => self.follow(held, place, dir, (&task, mask), &adopted.work, (hand, before), &mut log).await,
            Err(error) => Some(lost(format!("it could not be gone on with on the worker ({error})"))),
        };
        close(log, how.as_ref()).await;
        how
    }

    /// Asks what there is to do, until the lease has run out.
    async fn begin(&self, held: &Claimed, hand: &Hand) -> Begun {
        let mut wait = Duration::from_millis(50);
        while !hand.is_over() {
            match self.services.begin_attempt(held, &self.options.server_url, &*self.facts).await {
                Ok(Some(work)) => return Begun::Work(Box::new(work)),
                Ok(None) => return Begun::Gone,
                Err(error) if error.kind != ErrorKind::Unavailable => {
                    return Begun::Impossible("it could not be begun; the log of the server says why".to_owned());
                }
                Err(error) => tracing::warn!(%error, "a try could not be begun; trying again"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        Begun::Gone
    }

    async fn run_in(
        &self,
        held: &Claimed,
        place: &Place,
        dir: &StepDir,
        mut work: Box<StepWork>,
        hand: &Hand,
        log: &mut Log,
    ) -> Option<LetGo> {
        if let Err(trouble) = self.services.put_inputs(&work.ctx, dir, &work.inputs).await {
            return Some(troubled(trouble));
        }
        if let Err(trouble) = self.services.tell_kfp(dir, &place.1.seen(dir), &mut work).await {
            return Some(troubled(trouble));
        }
        // What begins now must be able to end before the lease does.
        if hand.is_over() {
            return None;
        }
        let mut env = self.options.step_env.clone();
        env.extend(work.invocation.env.clone());
        match self.services.open_secrets(held, &work.secrets).await {
            Ok(secrets) => {
                env.extend(secrets.into_iter().map(|(variable, value)| (variable, value.reveal().to_owned())));
            }
            Err(trouble) => return Some(troubled(trouble)),
        }
        let task = task(&work, env, self.gpus(place.0, held, &work));
        self.follow(held, place, dir, (&task, task.mask()), &work, (hand, 0), log).await
    }

    /// Which graphics processors the try may use in this place.
    fn gpus(&self, executor: ExecutorKind, held: &Claimed, work: &StepWork) -> Gpus {
        match executor {
            ExecutorKind::Kubernetes => Gpus::OfCluster(work.resources.gpu),
            ExecutorKind::Process | ExecutorKind::Docker if self.options.gpus.is_some() => {
                Gpus::Given(held.gpus.clone())
            }
            ExecutorKind::Process | ExecutorKind::Docker => Gpus::Unmanaged,
        }
    }

    /// Has the command run, or goes on with it when it runs already, and takes its log, its samples and its outputs.
    #[allow(clippy::too_many_arguments)] // all that a try is
    async fn follow(
        &self,
        held: &Claimed,
        place: &Place,
        dir: &StepDir,
        (task, mask): (&Task, Mask),
        work: &StepWork,
        (hand, lines_before): (&Hand, u64),
        log: &mut Log,
    ) -> Option<LetGo> {
        let (ended, hung) = (CancellationToken::new(), hand.cancel.child_token());
        let notebook = work.notebook.as_ref();
        let notebook = notebook.map(|work| Notebook::new(&self.logs, held, work, dir, mask, hung.clone()));
        if let Some(notebook) = &notebook
            && let Err(trouble) = notebook.begin().await
        {
            return Some(troubled(trouble));
        }
        let ((sender, lines), (sampled, samples)) = (mpsc::channel(UNSTORED), mpsc::channel(UNSTORED));
        let controls = Controls {
            lines_before,
            samples: Some(sampled),
            ..Controls::new(hand.deadline.clone(), hung.clone(), sender)
        };
        let run = async {
            let finished = place.1.run(dir, task, controls).await;
            ended.cancel();
            finished
        };
        let watch = async {
            if let Some(notebook) = &notebook {
                notebook.follow(&ended).await;
            }
        };
        let (finished, (), (), ()) =
            tokio::join!(run, log.follow(lines), samples::follow(&self.logs, held.attempt_id, samples), watch);
        match finished {
            Ok(finished) => {
                log.say(account(&finished));
                let reached = match &notebook {
                    Some(notebook) => Some(notebook.keep(dir).await),
                    None => None,
                };
                let is_hung = hung.is_cancelled() && !hand.cancel.is_cancelled();
                if let (true, Some(progress)) = (is_hung, &reached) {
                    return Some(LetGo::Ended(AttemptEnd {
                        place: Some(where_it_ran(place.0, &finished)),
                        ..end(AttemptOutcome::Failed, notebook::hung(progress))
                    }));
                }
                let reason = match &reached {
                    Some(progress) => notebook::reason(&finished.ended, progress),
                    None => finished.ended.to_string(),
                };
                Some(self.judge(held, place, dir, work, (finished, reason), hand).await)
            }
            Err(error) => Some(lost(format!("it could not be run on the worker ({error})"))),
        }
    }

    /// What the end of the command means for the try.
    async fn judge(
        &self,
        held: &Claimed,
        place: &Place,
        dir: &StepDir,
        work: &StepWork,
        (finished, reason): (Finished, String),
        hand: &Hand,
    ) -> LetGo {
        let outcome = finished.ended.outcome();
        if outcome == AttemptOutcome::Cancelled && !hand.is_cancelled() {
            return LetGo::GivenBack("its worker stopped".to_owned());
        }
        let mut end = AttemptEnd {
            outcome,
            reason,
            exit_code: finished.exit_code,
            spawned_at: chrono::TimeDelta::from_std(finished.usage.wall).ok().map(|wall| chrono::Utc::now() - wall),
            place: Some(where_it_ran(place.0, &finished)),
            outputs: Vec::new(),
        };
        if outcome == AttemptOutcome::Succeeded {
            let taken = match &work.kfp {
                Some(kfp) => {
                    self.services.take_answer(&work.ctx, dir, &place.1.seen(dir), &kfp.contract, &work.outputs).await
                }
                None => self.services.take_outputs(&work.ctx, dir, &work.outputs).await,
            };
            match taken {
                Ok(outputs) => end.outputs = outputs,
                Err(FileTrouble::Step(message)) => (end.outcome, end.reason) = (AttemptOutcome::Failed, message),
                Err(FileTrouble::Ours(message)) => (end.outcome, end.reason) = (AttemptOutcome::Lost, message),
            }
        }
        let tracked = self.services.track_outputs(&work.ctx, held.attempt_id, &work.pipeline, &end.outputs).await;
        if let Err(error) = tracked {
            tracing::warn!(%error, step = %held.name, "the metrics of a step could not be logged to a tracked run");
            end.outcome = AttemptOutcome::Lost;
            end.reason = format!("its metrics could not be logged: {}", error.message);
        }
        LetGo::Ended(end)
    }

    /// Records how the try ended. Tries until the database has answered: the fence keeps a late word from counting. What fails
    /// again and again although everything answers is a mistake of ours, and the try is lost by it; when not even that can be
    /// recorded, its lease runs out. `goes_on` says that the slot is free at once for what follows.
    async fn let_go(&self, lease: &Lease, how: &LetGo, goes_on: bool) {
        let mut wait = Duration::from_millis(50);
        let unrecorded = lost("its end could not be recorded; the log of the server says why".to_owned());
        let (mut how, mut failed) = (how, 0);
        loop {
            let answer = match goes_on && !self.stop.is_cancelled() {
                true => self.services.let_go_for_next(lease, how).await,
                false => self.services.let_go(lease, how).await.map(|state| state.map(|state| (state, None))),
            };
            match answer {
                Ok(Some((state, promised))) => {
                    self.promised().extend(promised);
                    tracing::debug!(step = %lease.step_id, fence = lease.fence, state = state.as_str(), "let go of a step");
                    // A slot is free, and there may be steps that waited for this one.
                    self.ready.notify_one();
                    return;
                }
                Ok(None) => {
                    tracing::info!(step = %lease.step_id, fence = lease.fence, "the end of a try came too late to count");
                    // Or its first word did count, and promised something to this worker.
                    self.heard_alone.store(true, Ordering::SeqCst);
                    self.ready.notify_one();
                    return;
                }
                Err(error) if error.kind == ErrorKind::Unavailable => {
                    tracing::warn!(%error, fence = lease.fence, "the end of a try could not be recorded; trying again");
                }
                Err(error) => {
                    tracing::error!(%error, step = %lease.step_id, fence = lease.fence, "the end of a try could not be recorded");
                    failed += 1;
                    match failed {
                        TRIES => how = &unrecorded,
                        _ if failed >= 2 * TRIES => return,
                        _ => {}
                    }
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }
}

/// What the try is to run, with these variables and graphics processors.
fn task(work: &StepWork, env: BTreeMap<String, String>, gpus: Gpus) -> Task {
    Task {
        argv: work.invocation.argv.clone(),
        env,
        timeout: work.timeout,
        grace: GRACE,
        secrets: SECRETS.into_iter().map(str::to_owned).chain(work.secrets.keys().cloned()).collect(),
        image: work.image.clone(),
        limits: Limits { cpus: work.resources.cpu, memory_bytes: work.resources.memory_bytes },
        gpus,
        labels: BTreeMap::from([("slipway.run".to_owned(), work.run_name.clone())]),
    }
}

/// What it was given, for its log.
fn told(gpus: &Gpus) -> Option<String> {
    let given: Vec<&str> = gpus.given().iter().map(GpuUuid::as_str).collect();
    (!given.is_empty()).then(|| format!("It has {}: {}.", domain::gpu::count(given.len()), given.join(", ")))
}

/// The last words on a try, and the end of its log.
async fn close(mut log: Log, how: Option<&LetGo>) {
    if let Some(LetGo::Ended(end)) = how {
        log.say(last_words(end));
    }
    log.finish().await;
}

enum Begun {
    Work(Box<StepWork>),
    /// It is not held any more: the lease is lost, or the step was put back to wait.
    Gone,
    /// A mistake of ours that no other worker would do better with.
    Impossible(String),
}

fn ended(outcome: AttemptOutcome, reason: impl Into<String>) -> LetGo {
    LetGo::Ended(end(outcome, reason))
}

/// The end of a try of which there is nothing more to say.
fn end(outcome: AttemptOutcome, reason: impl Into<String>) -> AttemptEnd {
    let reason = reason.into();
    AttemptEnd { outcome, reason, exit_code: None, spawned_at: None, place: None, outputs: Vec::new() }
}

fn where_it_ran(executor: ExecutorKind, finished: &Finished) -> services::Place {
    services::Place {
        executor: executor.as_str(),
        image: finished.image.clone(),
        sandbox: Some(finished.sandbox.to_string()),
        peak_memory_bytes: i64::try_from(finished.usage.peak_memory_bytes).ok().filter(|peak| *peak > 0),
    }
}

/// The worker could not run it, which is no fault of the step.
fn lost(reason: String) -> LetGo {
    ended(AttemptOutcome::Lost, reason)
}

fn troubled(trouble: FileTrouble) -> LetGo {
    match trouble {
        FileTrouble::Step(message) => ended(AttemptOutcome::Failed, message),
        FileTrouble::Ours(message) => lost(message),
    }
}

/// What the command took, for the log.
fn account(finished: &Finished) -> String {
    let usage = &finished.usage;
    let ended = match &finished.ended {
        Ended::NotStarted(message) => return message.clone(),
        Ended::Exited(code) => format!("The command ended with exit status {code}"),
        Ended::Killed(_) | Ended::OutOfMemory { .. } => format!("The command was {}", finished.ended),
        Ended::TimedOut => "The command took too long and was ended".to_owned(),
        Ended::Cancelled => "The command was ended on request".to_owned(),
        Ended::Fenced | Ended::Lost => format!("The command was ended: {}", finished.ended),
    };
    let left = match finished.left_behind {
        0 => String::new(),
        1 => " A process that it had left running was killed.".to_owned(),
        count => format!(" {count} processes that it had left running were killed."),
    };
    let took = usage.user + usage.system;
    // What a cluster does not tell is not said.
    let mut used = String::new();
    if !took.is_zero() {
        used.push_str(&format!("; {:.1} s of processor time", took.as_secs_f64()));
    }
    if usage.peak_memory_bytes > 0 {
        let sign = if used.is_empty() { ';' } else { ',' };
        used.push_str(&format!("{sign} {} MiB of memory", usage.peak_memory_bytes.div_ceil(1 << 20)));
    }
    format!("{ended} after {:.1} s{used}.{left}", usage.wall.as_secs_f64())
}

fn last_words(end: &AttemptEnd) -> String {
    let word = match end.outcome {
        AttemptOutcome::Succeeded => {
            return match end.outputs.len() {
                0 => "Succeeded.".to_owned(),
                1 => "Succeeded, with 1 output stored.".to_owned(),
                count => format!("Succeeded, with {count} outputs stored."),
            };
        }
        AttemptOutcome::TimedOut => "Timed out",
        AttemptOutcome::Cancelled => "Cancelled",
        AttemptOutcome::Lost => "Lost",
        AttemptOutcome::Failed | AttemptOutcome::Running => "Failed",
    };
    format!("{word}: {}", full_stop(&end.reason))
}

fn full_stop(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}
