//! Runs of pipelines: watching one, cancelling it. [`start`] starts one.
//!
//! How its steps go on is in [`crate::step`].

mod code;
mod reproduction;
mod rerun;
mod start;
pub(crate) mod turn;

pub(crate) use reproduction::start_again;
pub use rerun::Rerun;
pub(crate) use start::{Cause, Insert, is_refusal, start_for, start_version};
pub use start::{NewRun, Refused, StartedRun};
use start::{earlier, insert, sender_key};

use crate::{Ctx, Event, Result, Services, boxed, commit, pipeline, step::settle};
use chrono::{DateTime, Datelike as _, Utc};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    id::RunId,
    page,
    pipeline_run::{PipelineRun, PipelineRunDetail, PipelineRunState, PipelineRunSummary, RunCause, StepState},
    step::{Step, StepAttempt},
};
use std::collections::BTreeMap;
use store::PgConnection;

/// The longest text that runs are looked for with.
const MAX_TEXT: usize = 200;

/// Which runs a list shows.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of the pipeline of this name.
    pub pipeline: Option<String>,
    /// In this state.
    pub state: Option<PipelineRunState>,
    /// Started by this.
    pub cause: Option<RunCause>,
    /// Started by somebody with this in the name.
    pub by: Option<String>,
    /// With this in the names of the pipeline and of what started it, in the values of the params or in its number.
    pub text: Option<String>,
    /// Asked for at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Asked for before this moment.
    pub to: Option<DateTime<Utc>>,
}

impl RunFilter {
    fn check(&self) -> Result<()> {
        for (name, text) in [("by", &self.by), ("text", &self.text)] {
            let unfit = |text: &String| text.chars().count() > MAX_TEXT || text.contains('\0');
            if text.as_ref().is_some_and(unfit) {
                let rule = format!("Look for up to {MAX_TEXT} characters.");
                return Err(Error::invalid_field(name, rule));
            }
        }
        for (name, moment) in [("from", &self.from), ("to", &self.to)] {
            if moment.is_some_and(|moment| !(1..=9999).contains(&moment.year())) {
                return Err(Error::invalid_field(name, "Give a time of the years 1 to 9999."));
            }
        }
        Ok(())
    }
}

/// Which steps of a run a list shows.
#[derive(Debug, Clone, Default)]
pub struct StepFilter {
    /// Those directly inside of the step of this name.
    pub parent: Option<String>,
    /// In this state.
    pub state: Option<StepState>,
    /// Commands alone.
    pub commands: bool,
}

impl Services {
    /// Runs of the workspace, newest first.
    ///
    /// # Errors
    /// `NotFound` for a pipeline that there is not, `Invalid` for a page token that is not of this list, and for texts and
    /// times that no run can have.
    #[boxed]
    pub async fn pipeline_runs(
        &self,
        ctx: &Ctx,
        filter: &RunFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<PipelineRunSummary>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        filter.check()?;
        let mut conn = self.conn().await?;
        let pipeline = match &filter.pipeline {
            Some(name) => Some(pipeline::find(&mut conn, ctx, name).await?.id),
            None => None,
        };
        let filter = store::pipeline_run::Filter {
            pipeline,
            state: filter.state,
            cause: filter.cause,
            by: filter.by.as_deref(),
            text: filter.text.as_deref(),
            from: filter.from,
            to: filter.to,
        };
        let rows = store::pipeline_run::list(&mut conn, ctx.workspace_id(), filter, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.run.number))
    }

    /// How many runs of the workspace are open, by state, those that run first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn open_pipeline_runs(&self, ctx: &Ctx) -> Result<Vec<(PipelineRunState, i64)>> {
        let mut open = store::pipeline_run::count_open(&mut *self.conn().await?, ctx.workspace_id()).await?;
        open.sort_by_key(|(state, _)| *state == PipelineRunState::Queued);
        Ok(open)
    }

    /// A step of a run, by its name.
    ///
    /// # Errors
    /// `NotFound` without such a run or step.
    #[boxed]
    pub async fn step(&self, ctx: &Ctx, number: i64, name: &str) -> Result<Step> {
        step(&mut *self.conn().await?, ctx, number, name).await
    }

    /// Steps of a run, those inside of others among them, in their order.
    ///
    /// # Errors
    /// `NotFound` without such a run, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn steps(
        &self,
        ctx: &Ctx,
        number: i64,
        filter: &StepFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Step>> {
        let after: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        let filter =
            store::step::Filter { parent: filter.parent.as_deref(), state: filter.state, commands: filter.commands };
        let rows = store::step::list(&mut conn, run.id, &filter, after, limit as i64 + 1).await?;
        let page = Page::cut(rows, limit, |(position, _)| *position);
        Ok(Page {
            items: page.items.into_iter().map(|(_, step)| step).collect(),
            next_page_token: page.next_page_token,
        })
    }

    /// A run with its steps.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<PipelineRunDetail> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        let steps = store::step::top(&mut conn, run.id).await?;
        let (total, ended) = store::pipeline_run::steps(&mut conn, run.id).await?;
        Ok(PipelineRunDetail {
            cause_page: run.cause_page(),
            run,
            steps_total: total.into(),
            steps_ended: ended.into(),
            steps,
        })
    }

    /// The tries of a step, first to last.
    ///
    /// # Errors
    /// `NotFound` without such a run or step.
    #[boxed]
    pub async fn step_attempts(&self, ctx: &Ctx, number: i64, step: &str) -> Result<Vec<StepAttempt>> {
        let mut conn = self.conn().await?;
        let found = self::step(&mut conn, ctx, number, step).await?;
        Ok(store::step::attempt::list(&mut conn, found.id).await?)
    }

    /// The tries of these steps of a run, by the step's name, first to last.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline_run_attempts(
        &self,
        ctx: &Ctx,
        number: i64,
        steps: &[String],
    ) -> Result<BTreeMap<String, Vec<StepAttempt>>> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        Ok(store::step::attempt::of_steps(&mut conn, run.id, steps).await?)
    }

    /// Tracked runs that steps of a run logged to, the first of each step that tried; up to a hundred.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn runs_of_pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<Vec<RunId>> {
        let mut conn = self.conn().await?;
        let run = by_number(&mut conn, ctx, number).await?;
        Ok(store::step::attempt::logged_runs(&mut conn, run.id, 100).await?)
    }

    /// Cancels a run: what has not begun does not begin, and what runs is ended. Asking again changes nothing.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has ended otherwise.
    #[boxed]
    pub async fn cancel_pipeline_run(&self, ctx: &Ctx, number: i64) -> Result<PipelineRun> {
        let mut tx = self.begin().await?;
        let id = by_number(&mut tx, ctx, number).await?.id;
        let mut run = store::pipeline_run::lock(&mut tx, id).await?.ok_or_else(Error::internal)?;
        if run.state.is_final() && run.state != PipelineRunState::Cancelled {
            return Err(Error::conflict(format!("{} has {} already.", name(&run), run.state.as_str())));
        }
        if run.cancel_requested_at.is_some() {
            return Ok(run);
        }
        let settled = cancel(&mut tx, ctx, &mut run, "").await?;
        commit(tx).await?;
        settled.iter().for_each(settle::Settled::count);
        let mut conn = self.conn().await?;
        by_number(&mut conn, ctx, number).await
    }
}

/// Cancels an open run that is locked and that nobody cancelled.
pub(crate) async fn cancel(
    conn: &mut PgConnection,
    ctx: &Ctx,
    run: &mut PipelineRun,
    because: &str,
) -> Result<Option<settle::Settled>> {
    store::pipeline_run::request_cancel(conn, run.id).await?;
    run.state =
        run.state.move_to(PipelineRunState::Cancelling).map_err(|illegal| Error::conflict(illegal.to_string()))?;
    store::pipeline_run::set_state(conn, run.id, run.state).await?;
    Event::new("pipeline_run.cancelled", object(run), format!("cancelled {}{because}", name(run)))
        .related(Object::new(ObjectKind::Pipeline, run.pipeline_id, &run.pipeline_name))
        .write(conn, ctx)
        .await?;
    run.cancel_requested_at = Some(Utc::now());
    let settled = settle::cancel(conn, run).await?;
    // Workers learn of it with their next renewal; this makes them ask at once.
    store::event::notify_workers(conn, &format!("cancel:{}", run.id)).await?;
    Ok(Some(settled))
}

pub(crate) async fn by_number(conn: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<PipelineRun> {
    store::pipeline_run::by_number(conn, ctx.workspace_id(), number)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No pipeline run #{number} in this workspace.")))
}

/// A step of a run, by its name.
pub(crate) async fn step(conn: &mut PgConnection, ctx: &Ctx, number: i64, name: &str) -> Result<Step> {
    let run = by_number(conn, ctx, number).await?;
    store::step::by_name(conn, run.id, name).await?.ok_or_else(|| no_step(number, name))
}

pub(crate) fn no_step(number: i64, step: &str) -> Error {
    let step: String = step.chars().take(64).collect();
    Error::new(ErrorKind::NotFound, format!("Pipeline run #{number} has no step \"{step}\"."))
}

/// What people call it: `train-wine #512`.
pub(crate) fn name(run: &PipelineRun) -> String {
    format!("{} #{}", run.pipeline_name, run.number)
}

pub(crate) fn object(run: &PipelineRun) -> Object {
    Object::new(ObjectKind::PipelineRun, run.id, name(run))
}
