//! Logs of tries: written by the worker that runs the step, read by pages and clients while it goes on.

use crate::{Ctx, Result, Services, boxed, pipeline_run};
use domain::{id::StepAttemptId, log::LogLine, pipeline_run::AttemptOutcome, step::StepAttempt};
pub use store::log::Appended;

/// The topic under which pages are told that a log has grown or ended.
#[must_use]
pub fn log_topic(attempt: StepAttemptId) -> String {
    format!("step_log:{attempt}")
}

impl Services {
    /// Appends lines to the log of a try that runs. Sending them again is harmless.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn append_log(&self, attempt: StepAttemptId, lines: &[LogLine]) -> Result<Appended> {
        Ok(store::log::append(&mut *self.conn().await?, attempt, lines).await?)
    }

    /// Tells open pages that the log has grown.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn announce_log(&self, attempt: StepAttemptId) -> Result<()> {
        Ok(store::event::notify(&mut *self.conn().await?, &log_topic(attempt)).await?)
    }

    /// The try of a step, by number.
    ///
    /// # Errors
    /// `NotFound` without such a run, step or try.
    #[boxed]
    pub async fn step_attempt(&self, ctx: &Ctx, run: i64, step: &str, number: i32) -> Result<StepAttempt> {
        let mut conn = self.conn().await?;
        if let Some(attempt) = store::step::attempt::find(&mut conn, ctx.workspace_id(), run, step, number).await? {
            return Ok(attempt);
        }
        // Say what is missing.
        let known = pipeline_run::step(&mut conn, ctx, run, step).await?;
        let message = match known.attempts {
            0 => format!("Step \"{}\" of pipeline run #{run} has not begun.", known.name),
            _ => format!("Step \"{}\" of pipeline run #{run} has no try {number}.", known.name),
        };
        Err(domain::Error::new(domain::ErrorKind::NotFound, message))
    }

    /// Up to `limit` lines after this one of the log of a try that [`Services::step_attempt`] found.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn log_lines(&self, attempt: StepAttemptId, after: i64, limit: usize) -> Result<Vec<LogLine>> {
        Ok(store::log::read(&mut *self.conn().await?, attempt, after, limit).await?)
    }

    /// The last lines of a log, at most so many.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn last_log_lines(&self, attempt: &StepAttempt, limit: usize) -> Result<Vec<LogLine>> {
        let after = attempt.log_lines.saturating_sub(i64::try_from(limit).unwrap_or(i64::MAX));
        self.log_lines(attempt.id, after, limit).await
    }

    /// How the try ended, or that it runs. When it has ended, its log is whole.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn attempt_outcome(&self, attempt: StepAttemptId) -> Result<AttemptOutcome> {
        Ok(store::step::attempt::outcome_of(&mut *self.conn().await?, attempt).await?)
    }
}
