//! Logs of tries: written by the worker that runs the step, read by pages and clients while it goes on.

use crate::{Ctx, Result, Services, boxed, pipeline_run};
use domain::{
    id::StepAttemptId,
    log::{LogLine, found, plain},
    pipeline_run::AttemptOutcome,
    step::StepAttempt,
};
pub use store::log::Appended;

/// How many lines are searched at a time, and in all for one question.
const SEARCH: (usize, i64) = (5000, 200_000);

/// Lines in which a text was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHits {
    /// The lines, in order.
    pub lines: Vec<LogLine>,
    /// The last line that was looked at.
    pub up_to: i64,
}

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
        let lines = store::log::read(&mut *self.conn().await?, attempt, after, limit).await?;
        // When its rows are gone, it has been archived; the other way round it may have been archived meanwhile.
        if lines.is_empty() { self.archived_lines(attempt, after, limit).await } else { Ok(lines) }
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

    /// Up to `limit` lines after this one that have a text in them as one reads it: without colours, and with `A` to `Z` as
    /// `a` to `z`. Looks at up to 200,000 lines; the answer says how far it came.
    ///
    /// # Errors
    /// When the database or the artifact store does not answer.
    #[boxed]
    pub async fn search_log(&self, attempt: StepAttemptId, find: &str, after: i64, limit: usize) -> Result<LogHits> {
        let mut hits = LogHits { lines: Vec::new(), up_to: after.max(0) };
        let end = hits.up_to.saturating_add(SEARCH.1);
        while hits.up_to < end {
            let lines = self.log_lines(attempt, hits.up_to, SEARCH.0).await?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                hits.up_to = line.number;
                if !found(&plain(&line.text), find).is_empty() {
                    hits.lines.push(line);
                    if hits.lines.len() >= limit {
                        return Ok(hits);
                    }
                }
            }
        }
        Ok(hits)
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
