//! The end of a worker's hold on a step, from whichever side.

use super::{
    Hit, Lease, publish, settle,
    settle::{Settled, Taker},
};
use crate::{Result, Services, boxed, commit};
use chrono::{DateTime, Utc};
use domain::{
    id::StepId,
    pipeline_run::{AfterAttempt, AttemptOutcome, StepState, after_attempt},
    step::StepOutput,
};
use std::{collections::BTreeSet, time::Duration};
use store::{
    PgConnection,
    step::lease::{AttemptEnded, Released},
};

/// How long a step waits that its worker could not run, the first time; twice as long every further time.
const LOST_WAIT: Duration = Duration::from_secs(2);

/// Where a try ran, and what became of it there.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// `process`, `docker` or `kubernetes`.
    pub executor: &'static str,
    /// The image, by digest.
    pub image: Option<String>,
    /// What kept it from the rest of the machine.
    pub sandbox: Option<String>,
    /// The most memory that it had at once, in bytes.
    pub peak_memory_bytes: Option<i64>,
}

/// How a try ended, as its worker saw it.
#[derive(Debug, Clone)]
pub struct AttemptEnd {
    /// How.
    pub outcome: AttemptOutcome,
    /// Why, when that needs a word.
    pub reason: String,
    /// The command's exit status, when it had one.
    pub exit_code: Option<i32>,
    /// When its process began, when there was one.
    pub spawned_at: Option<DateTime<Utc>>,
    /// Where it ran, when it did.
    pub place: Option<Place>,
    /// What it gives on. Visible once this is recorded, and not before.
    pub outputs: Vec<StepOutput>,
}

impl AttemptEnd {
    fn has_versions(&self) -> bool {
        self.outputs.iter().any(|output| output.version.is_some())
    }
}

/// Why a hold ends.
#[derive(Debug, Clone)]
pub enum LetGo {
    /// The try has ended.
    Ended(AttemptEnd),
    /// The step did not have to run: it gives what it gave before.
    Cached(Hit),
    /// The worker stops and gives the step back. Nothing is counted against the step.
    GivenBack(String),
    /// The worker is given up: it did not renew its lease for so long after its end.
    Expired(Duration),
    /// The worker is known to be dead, and all that it had started.
    Dead(String),
}

impl LetGo {
    fn outcome(&self) -> AttemptOutcome {
        match self {
            Self::Ended(end) => end.outcome,
            Self::Cached(_) => AttemptOutcome::Succeeded,
            Self::GivenBack(_) | Self::Expired(_) | Self::Dead(_) => AttemptOutcome::Lost,
        }
    }

    /// The last line of the log, where the worker has not written it.
    fn last_word(&self) -> Option<String> {
        match self {
            Self::Ended(_) | Self::Cached(_) => None,
            Self::GivenBack(reason) => Some(format!("Given back: {reason}.")),
            Self::Expired(_) | Self::Dead(_) => Some(format!("The try was lost: {}.", self.reason())),
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Ended(end) => &end.reason,
            Self::Cached(hit) => &hit.reason,
            Self::GivenBack(reason) | Self::Dead(reason) => reason,
            Self::Expired(_) => "its worker was not heard of any more",
        }
    }
}

impl Services {
    /// Ends the hold on a step, and moves its run on: outputs appear, steps become ready or are skipped, the run ends,
    /// history is written, workers are woken; all of it or nothing. Answers with where the step stands now; none when the
    /// lease is not held any more, so that nobody wants to know.
    ///
    /// # Errors
    /// When the database does not answer. It may have been carried out all the same; doing it again is harmless.
    #[boxed]
    pub async fn let_go(&self, lease: &Lease, how: &LetGo) -> Result<Option<StepState>> {
        Ok(self.end_hold(lease, how, false).await?.map(|(state, _)| state))
    }

    /// The same by a worker that takes another step now. One that becomes ready by this end, of the same pool and executor, is
    /// promised to it and nobody is woken for that: the answer names it. A worker that does not take it tells the others.
    ///
    /// # Errors
    /// As [`Self::let_go`].
    #[boxed]
    pub async fn let_go_for_next(&self, lease: &Lease, how: &LetGo) -> Result<Option<(StepState, Option<StepId>)>> {
        self.end_hold(lease, how, true).await
    }

    async fn end_hold(&self, lease: &Lease, how: &LetGo, takes: bool) -> Result<Option<(StepState, Option<StepId>)>> {
        match (self.try_end_hold(lease, how, takes).await, how) {
            // What the try gives on cannot become what it should: so the try has failed.
            (Err(error), LetGo::Ended(end)) if end.has_versions() && publish::is_authors(&error) => {
                let failed = AttemptEnd {
                    outcome: AttemptOutcome::Failed,
                    reason: error.message,
                    outputs: Vec::new(),
                    ..end.clone()
                };
                self.try_end_hold(lease, &LetGo::Ended(failed), takes).await
            }
            (ended, _) => ended,
        }
    }

    async fn try_end_hold(
        &self,
        lease: &Lease,
        how: &LetGo,
        takes: bool,
    ) -> Result<Option<(StepState, Option<StepId>)>> {
        let mut outputs = match how {
            LetGo::Ended(end) => end.outputs.clone(),
            LetGo::Cached(hit) => hit.outputs.clone(),
            _ => Vec::new(),
        };
        let published = match how {
            LetGo::Ended(end) => self.to_publish(lease, end).await?,
            _ => None,
        };
        let mut tx = self.begin().await?;
        if let Some(published) = &published {
            publish::lock(&mut tx, published, &outputs).await?;
        }
        let Some(run) = store::pipeline_run::lock(&mut tx, lease.run_id).await? else { return Ok(None) };
        if run.reproduces.is_some() {
            // Nothing becomes a version: see `to_publish`.
            outputs.iter_mut().for_each(|output| output.version = None);
        }
        let grace = if let LetGo::Expired(grace) = how { *grace } else { Duration::ZERO };
        let running = store::step::lease::running(&mut tx, lease.step_id, lease.fence, grace).await?;
        let Some(step) = running.filter(|step| step.expired || !matches!(how, LetGo::Expired(_))) else {
            return Ok(None);
        };

        let cancelling = run.cancel_requested_at.is_some() && !step.finally;
        let (mut failures, mut losses) = (step.failures, step.losses);
        match how.outcome() {
            AttemptOutcome::Failed | AttemptOutcome::TimedOut => failures += 1,
            AttemptOutcome::Lost if !matches!(how, LetGo::GivenBack(_)) => losses += 1,
            _ => {}
        }
        let after = match how {
            LetGo::GivenBack(_) if !cancelling => AfterAttempt::TriesAgain(Duration::ZERO),
            LetGo::GivenBack(_) => AfterAttempt::Ends(StepState::Cancelled),
            // How often it may be tried is of no matter then.
            _ if how.outcome() == AttemptOutcome::Succeeded => AfterAttempt::Ends(StepState::Succeeded),
            _ => {
                let retries = store::step::retries(&mut tx, run.version_id, &step.place).await?;
                let positive = |count: i32| u32::try_from(count).unwrap_or_default();
                after_attempt(how.outcome(), positive(failures), positive(losses), &retries, cancelling, jitter())
            }
        };
        if let Some(text) = how.last_word() {
            store::log::append_last(&mut tx, lease.attempt_id, Utc::now().timestamp_millis(), &text).await?;
            store::event::notify(&mut tx, &crate::log_topic(lease.attempt_id)).await?;
        }

        let (state, wait) = match after {
            AfterAttempt::Ends(state) => (state, Duration::ZERO),
            // A worker that lives and cannot run it would take it again at once, and fail again.
            AfterAttempt::TriesAgain(_) if matches!(how, LetGo::Ended(end) if end.outcome == AttemptOutcome::Lost) => {
                (StepState::Ready, LOST_WAIT * 2_u32.saturating_pow(u32::try_from(losses).unwrap_or(1).clamp(1, 8) - 1))
            }
            AfterAttempt::TriesAgain(wait) => (StepState::Ready, wait),
        };
        let end = match how {
            LetGo::Ended(end) => Some(end),
            _ => None,
        };
        if let Some(published) = published {
            self.publish(&mut tx, &run, lease, published, &mut outputs).await?;
        }
        let reason = reason(how, state);
        let released = Released { state, reason: &reason, failures, losses, wait, outputs: &outputs };
        let place = end.and_then(|end| end.place.as_ref());
        let ended = AttemptEnded {
            outcome: how.outcome(),
            reason: how.reason(),
            exit_code: end.and_then(|end| end.exit_code),
            spawned_at: end.and_then(|end| end.spawned_at),
            executor: place.map(|place| place.executor),
            image: place.and_then(|place| place.image.as_deref()),
            sandbox: place.and_then(|place| place.sandbox.as_deref()),
            peak_memory_bytes: place.and_then(|place| place.peak_memory_bytes),
        };
        if !store::step::lease::release(&mut tx, lease.step_id, lease.fence, &released, &ended).await? {
            return Ok(None);
        }
        if step.is_kept && state == StepState::Succeeded && !matches!(how, LetGo::Cached(_)) {
            store::step::cache::keep(&mut tx, lease.step_id).await?;
        }
        let freed = match step.has_places {
            true => store::step::limit::give_back(&mut tx, lease.fence).await?,
            false => BTreeSet::new(),
        };
        if step.has_gpus {
            // Workers of other pools may hand out the same graphics processors.
            store::event::notify_workers(&mut tx, store::step::READY).await?;
        }
        let own = Taker { pool: step.pool, executor: step.executor };
        let mut settled = move_on(&mut tx, &run, lease, (state, wait), (own, takes)).await?;
        settle::wake(&mut tx, &freed).await?;
        settled.outcome = Some(how.outcome());
        commit(tx).await?;
        settled.count();
        Ok(Some((state, settled.promised)))
    }
}

async fn move_on(
    conn: &mut PgConnection,
    run: &domain::pipeline_run::PipelineRun,
    lease: &Lease,
    (state, wait): (StepState, Duration),
    (own, takes): (Taker, bool),
) -> Result<Settled> {
    match state {
        StepState::Ready => {
            store::event::notify(conn, &store::event::of_run(run.id)).await?;
            // For one that waits there is time: workers look when it is due.
            if wait.is_zero() {
                settle::wake(conn, &BTreeSet::from([own.pool])).await?;
            }
            Ok(Settled::default())
        }
        _ => settle::after_end(conn, run, lease.step_id, takes.then_some(own)).await,
    }
}

/// What stands beside the state of the step.
fn reason(how: &LetGo, state: StepState) -> String {
    match (how, state) {
        (LetGo::Cached(hit), StepState::Succeeded) => hit.reason.clone(),
        (_, StepState::Succeeded) => String::new(),
        (LetGo::Ended(end), StepState::Cancelled) if end.outcome != AttemptOutcome::Cancelled => {
            format!("{}; the run was cancelled", end.reason)
        }
        (_, StepState::Cancelled) => "the run was cancelled".to_owned(),
        (how, StepState::Failed) if how.outcome() == AttemptOutcome::Lost => {
            format!("its worker was lost too often, the last time because {}", how.reason())
        }
        (how, _) => how.reason().to_owned(),
    }
}

/// In 0..1.
fn jitter() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}
