//! One try of a step, from the directory that is made for it to the outputs that are taken from it.

use super::{Steps, held::Hand, log::Log};
use domain::{pipeline::OutputSpec, pipeline_run::AttemptOutcome};
use executors::{Controls, Ended, Finished, StepDir, StepProcess};
use services::{AttemptEnd, Claimed, ErrorKind, FileTrouble, Lease, LetGo, StepWork};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::mpsc, time::sleep};

/// How long a command may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of the log that are read and not stored yet.
const UNSTORED: usize = 1000;

impl Steps {
    /// Runs the try to its end and records it. The hold ends with the hand.
    pub(super) async fn attempt(&self, held: Claimed, hand: Hand) {
        let lease =
            Lease { step_id: held.step_id, run_id: held.run_id, attempt_id: held.attempt_id, fence: held.fence };
        if let Some(how) = self.run_attempt(&held, &hand).await {
            self.let_go(&lease, &how).await;
        } else {
            tracing::info!(step = %held.name, fence = held.fence, "the lease of a step is lost; somebody else goes on");
        }
    }

    /// How the try ended; none when the lease is lost, so that there is nothing to say.
    async fn run_attempt(&self, held: &Claimed, hand: &Hand) -> Option<LetGo> {
        let work = match self.begin(held, hand).await {
            Begun::Work(work) => work,
            Begun::Lost => return None,
            Begun::Impossible(reason) => return Some(ended(AttemptOutcome::Failed, reason)),
        };
        if work.cancelling {
            return Some(ended(AttemptOutcome::Cancelled, "cancelled before it began"));
        }
        let mut log = Log::new(self.logs.clone(), held.attempt_id);
        log.say(format!(
            "{}: step {}, try {} of {}, on {}.",
            work.run_name,
            held.name,
            held.number,
            work.max_attempts.max(held.number),
            self.options.label()
        ));
        let how = match self.executor.prepare(&held.attempt_id.to_string(), work.files.clone()).await {
            Ok(dir) => {
                let how = self.run_in(&dir, work, hand, &mut log).await;
                let removed = tokio::task::spawn_blocking(move || dir.remove()).await;
                if let Ok(Err(error)) = removed {
                    tracing::warn!(%error, "the directory of a step was left; it is removed later");
                }
                how
            }
            Err(error) => Some(lost(format!("its directory could not be made on the worker ({error})"))),
        };
        if let Some(LetGo::Ended(end)) = &how {
            log.say(last_words(end));
        }
        log.finish().await;
        how
    }

    /// Asks what there is to do, until the lease has run out.
    async fn begin(&self, held: &Claimed, hand: &Hand) -> Begun {
        let mut wait = Duration::from_millis(50);
        while !hand.is_over() {
            match self.services.begin_attempt(held, &self.options.server_url).await {
                Ok(Some(work)) => return Begun::Work(work),
                Ok(None) => return Begun::Lost,
                Err(error) if error.kind != ErrorKind::Unavailable => {
                    return Begun::Impossible("it could not be begun; the log of the server says why".to_owned());
                }
                Err(error) => tracing::warn!(%error, "a try could not be begun; trying again"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        Begun::Lost
    }

    async fn run_in(&self, dir: &StepDir, work: StepWork, hand: &Hand, log: &mut Log) -> Option<LetGo> {
        if let Err(trouble) = self.services.put_inputs(dir, &work.inputs).await {
            return Some(troubled(trouble));
        }
        // What begins now must be able to end before the lease does.
        if hand.is_over() {
            return None;
        }
        let mut env = self.options.step_env.clone();
        env.extend(work.invocation.env);
        log.hide(env.get("SLIPWAY_TOKEN"));
        let process = StepProcess { argv: work.invocation.argv, env, timeout: work.timeout, grace: GRACE };
        let (sender, lines) = mpsc::channel(UNSTORED);
        let controls = Controls { deadline: hand.deadline.clone(), cancel: hand.cancel.clone(), log: sender };
        let (finished, ()) = tokio::join!(self.executor.run(dir, &process, controls), log.follow(lines));
        match finished {
            Ok(finished) => {
                log.say(account(&finished));
                Some(self.judge(dir, &work.outputs, finished, hand).await)
            }
            Err(error) => Some(lost(format!("no process could be started on the worker ({error})"))),
        }
    }

    /// What the end of the command means for the try.
    async fn judge(
        &self,
        dir: &StepDir,
        outputs: &BTreeMap<String, OutputSpec>,
        finished: Finished,
        hand: &Hand,
    ) -> LetGo {
        let outcome = finished.ended.outcome();
        if outcome == AttemptOutcome::Cancelled && !hand.is_cancelled() {
            return LetGo::GivenBack("its worker stopped".to_owned());
        }
        let mut end = AttemptEnd {
            outcome,
            reason: finished.ended.to_string(),
            exit_code: finished.exit_code,
            spawned_at: chrono::TimeDelta::from_std(finished.usage.wall).ok().map(|wall| chrono::Utc::now() - wall),
            outputs: Vec::new(),
        };
        if outcome == AttemptOutcome::Succeeded {
            match self.services.take_outputs(dir, outputs).await {
                Ok(outputs) => end.outputs = outputs,
                Err(FileTrouble::Step(message)) => (end.outcome, end.reason) = (AttemptOutcome::Failed, message),
                Err(FileTrouble::Ours(message)) => (end.outcome, end.reason) = (AttemptOutcome::Lost, message),
            }
        }
        LetGo::Ended(end)
    }

    /// Records the end of a hold. Tries until the database has answered: the fence keeps a late word from counting.
    pub(super) async fn let_go(&self, lease: &Lease, how: &LetGo) {
        let mut wait = Duration::from_millis(50);
        loop {
            match self.services.let_go(lease, how).await {
                Ok(Some(state)) => {
                    tracing::debug!(step = %lease.step_id, fence = lease.fence, state = state.as_str(), "let go of a step");
                    // A slot is free, and there may be steps that waited for this one.
                    self.ready.notify_one();
                    return;
                }
                Ok(None) => {
                    tracing::info!(step = %lease.step_id, fence = lease.fence, "the end of a try came too late to count");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, fence = lease.fence, "the end of a try could not be recorded; trying again")
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }
}

enum Begun {
    Work(StepWork),
    Lost,
    /// A mistake of ours that no other worker would do better with.
    Impossible(String),
}

fn ended(outcome: AttemptOutcome, reason: impl Into<String>) -> LetGo {
    LetGo::Ended(AttemptEnd { outcome, reason: reason.into(), exit_code: None, spawned_at: None, outputs: Vec::new() })
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
        Ended::Killed(_) => format!("The command was {}", finished.ended),
        Ended::TimedOut => "The command took too long and was ended".to_owned(),
        Ended::Cancelled => "The command was ended on request".to_owned(),
        Ended::Fenced | Ended::Lost => format!("The command was ended: {}", finished.ended),
    };
    let left = match finished.left_behind {
        0 => String::new(),
        1 => " A process that it had left running was killed.".to_owned(),
        count => format!(" {count} processes that it had left running were killed."),
    };
    format!(
        "{ended} after {:.1} s; {:.1} s of processor time, {} MiB of memory.{left}",
        usage.wall.as_secs_f64(),
        (usage.user + usage.system).as_secs_f64(),
        usage.max_rss_bytes.div_ceil(1 << 20),
    )
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
