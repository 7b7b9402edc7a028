//! Backfills: made by people, gone on with by workers. The run of a date and the note that it has one are one transaction
//! under the backfill's lock: whenever a worker is killed, no date is left out and none has two runs.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, now, pipeline,
    pipeline_run::{Cause, name, start_for},
    schedule::{check_params, of_time, param_named},
};
use chrono::{DateTime, Utc};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    backfill::{Backfill, BackfillRun, BackfillState, DateFormat, MAX_AT_ONCE, Progress, Range},
    id::BackfillId,
    page,
    pipeline_run::RunCause,
};
use serde_json::{Map, Value};
use std::time::Duration;
use store::{PgConnection, wake::Wake};

/// How long a backfill rests whose pipeline takes no more runs.
const BUSY: Duration = Duration::from_secs(30);

/// A backfill to be made.
#[derive(Debug, Clone)]
pub struct NewBackfill {
    /// The schedule whose pipeline, times and params it takes where nothing else is said, that which gets the date among
    /// them.
    pub schedule: Option<String>,
    /// The pipeline.
    pub pipeline: Option<String>,
    /// The first date is not before.
    pub from: DateTime<Utc>,
    /// The last date is not after.
    pub to: DateTime<Utc>,
    /// A cron expression.
    pub expression: Option<String>,
    /// Or so many seconds from one date to the next.
    pub step_s: Option<i64>,
    /// Where it is that time.
    pub timezone: Option<String>,
    /// The param that gets the date.
    pub param: Option<String>,
    /// How it gets it.
    pub param_format: Option<DateFormat>,
    /// Params of all its runs.
    pub params: Option<Map<String, Value>>,
    /// How many of its runs are open at once.
    pub at_once: i32,
}

impl Services {
    /// The backfills of the workspace, newest first; of one pipeline, when named.
    ///
    /// # Errors
    /// `NotFound` for a pipeline that there is not, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn backfills(
        &self,
        ctx: &Ctx,
        of: Option<&str>,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Backfill>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let of = match of {
            Some(name) => Some(pipeline::find(&mut conn, ctx, name).await?.id),
            None => None,
        };
        let rows = store::backfill::list(&mut conn, ctx.workspace_id(), of, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.number))
    }

    /// The backfill of this number.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn backfill(&self, ctx: &Ctx, number: i64) -> Result<Backfill> {
        let mut conn = self.conn().await?;
        store::backfill::by_number(&mut conn, ctx.workspace_id(), number).await?.ok_or_else(|| missing(number))
    }

    /// Its dates, earliest first, each with its run.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn backfill_runs(
        &self,
        ctx: &Ctx,
        number: i64,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<BackfillRun>> {
        let after: Option<DateTime<Utc>> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let backfill = self.backfill(ctx, number).await?;
        let mut conn = self.conn().await?;
        let rows = store::backfill::runs(&mut conn, backfill.id, after, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.date))
    }

    /// Makes a backfill. Workers start its runs, earliest date first.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline or schedule, `Invalid` for what makes no sense, a param that takes no date among
    /// it.
    #[boxed]
    pub async fn create_backfill(&self, ctx: &Ctx, new: NewBackfill) -> Result<Backfill> {
        let mut tx = self.begin().await?;
        let schedule = match &new.schedule {
            Some(name) => {
                let found = store::schedule::by_name(&mut tx, ctx.workspace_id(), name).await?;
                Some(found.ok_or_else(|| {
                    Error::not_found("schedule", name.chars().take(64).collect::<String>()).in_field("schedule")
                })?)
            }
            None => None,
        };
        let of_schedule = schedule.as_ref();
        let named = new.pipeline.or_else(|| of_schedule.map(|one| one.pipeline.clone()));
        let named = named.ok_or_else(|| Error::invalid_field("pipeline", "Name a pipeline, or a schedule of one."))?;
        let pipeline = pipeline::find(&mut tx, ctx, &named).await?;
        let expression = match new.step_s {
            Some(_) => new.expression,
            None => new.expression.or_else(|| of_schedule.map(|one| one.expression.clone())),
        };
        let timezone = new.timezone.or_else(|| of_schedule.map(|one| one.timezone.clone()));
        let range = Range {
            from: new.from,
            to: new.to,
            expression,
            step_s: new.step_s,
            timezone: timezone.unwrap_or_else(|| "UTC".to_owned()),
        };
        let dates = range.dates()?;
        if !(1..=MAX_AT_ONCE).contains(&new.at_once) {
            let text = format!("From 1 to {MAX_AT_ONCE} runs of a backfill are open at once.");
            return Err(Error::invalid_field("at_once", text));
        }
        let param = param_named(new.param).or_else(|| of_schedule.and_then(|one| one.param.clone()));
        let param = param.ok_or_else(|| Error::invalid_field("param", "Name the param that gets the date."))?;
        let param_format = new.param_format.or_else(|| of_schedule.map(|one| one.param_format)).unwrap_or_default();
        let params = new.params.or_else(|| of_schedule.map(|one| one.params.clone())).unwrap_or_default();
        let first = dates.first().copied().unwrap_or(range.from);
        // The params of the first run: the one that gets the date need not have a default.
        let mut all = params.clone();
        all.insert(param.clone(), param_format.write(first, &range.timezone).into());
        check_params(&mut tx, &pipeline, &all).await.map_err(|error| of_time(error, &param))?;
        let total = i64::try_from(dates.len()).unwrap_or(i64::MAX);
        let backfill = Backfill {
            id: BackfillId::new(),
            workspace_id: ctx.workspace_id(),
            number: store::counter::next(&mut tx, ctx.workspace_id(), "backfill").await?,
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            range,
            param,
            param_format,
            params,
            at_once: new.at_once,
            state: BackfillState::Running,
            progress: Progress { total, waiting: total, ..Progress::default() },
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
            ended_at: None,
        };
        store::backfill::insert(&mut tx, &backfill, &dates).await?;
        let summary = format!("began a backfill of {} over {total} dates", backfill.pipeline);
        tell(&mut tx, ctx, "backfill.created", &backfill, summary).await?;
        store::wake::push(&mut tx, &Wake::Starts).await?;
        commit(tx).await?;
        Ok(backfill)
    }

    /// Cancels a backfill: no more of its runs are started, and those that are open are cancelled. Again changes nothing.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it is done.
    #[boxed]
    pub async fn cancel_backfill(&self, ctx: &Ctx, number: i64) -> Result<Backfill> {
        let id = self.backfill(ctx, number).await?.id;
        let mut tx = self.begin().await?;
        let backfill = store::backfill::lock(&mut tx, id).await?.ok_or_else(|| missing(number))?;
        if backfill.state == BackfillState::Done {
            return Err(Error::conflict(format!("The backfill #{number} is done already.")));
        }
        if backfill.state == BackfillState::Running {
            store::backfill::set_state(&mut tx, id, BackfillState::Cancelled).await?;
            let summary = format!("cancelled the backfill #{number} of {}", backfill.pipeline);
            tell(&mut tx, ctx, "backfill.cancelled", &backfill, summary).await?;
        }
        let open = store::backfill::open_runs(&mut tx, id).await?;
        commit(tx).await?;
        for run in open {
            match self.cancel_pipeline_run(ctx, run).await {
                // It has ended by itself meanwhile.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                cancelled => drop(cancelled?),
            }
        }
        self.backfill(ctx, number).await
    }

    /// Goes on with a backfill that has something to do. Tells whether there was one.
    ///
    /// # Errors
    /// When the database does not answer. Nothing has been started then.
    #[boxed]
    pub async fn advance_backfill(&self) -> Result<bool> {
        let mut tx = self.begin().await?;
        let Some(id) = store::backfill::take(&mut tx).await? else { return Ok(false) };
        // Looked at once more: what was seen before the lock may be over.
        let Some(backfill) = store::backfill::lock(&mut tx, id).await? else { return Ok(false) };
        if backfill.state != BackfillState::Running {
            return Ok(true);
        }
        let workspace = store::workspace::by_id(&mut tx, backfill.workspace_id).await?.ok_or_else(Error::internal)?;
        let ctx = Ctx::system(workspace);
        let Progress { waiting, open, .. } = backfill.progress;
        let is_done = waiting == 0 && open == 0;
        if is_done {
            store::backfill::set_state(&mut tx, id, BackfillState::Done).await?;
            let Progress { succeeded, total, .. } = backfill.progress;
            let summary = format!("finished the backfill #{}: {succeeded} of {total} runs succeeded", backfill.number);
            tell(&mut tx, &ctx, "backfill.done", &backfill, summary).await?;
        } else {
            let places = i64::from(backfill.at_once).saturating_sub(open);
            for date in store::backfill::waiting(&mut tx, id, places).await? {
                if !start(&mut tx, &ctx, &backfill, date).await? {
                    store::backfill::put_off(&mut tx, id, BUSY).await?;
                    break;
                }
            }
            store::event::notify(&mut tx, &topic(&backfill)).await?;
        }
        commit(tx).await?;
        if is_done {
            metrics::counter!("slipway_backfills_total", "state" => BackfillState::Done.as_str()).increment(1);
        }
        Ok(true)
    }
}

/// Starts the run of a date. Tells whether to go on: not while the pipeline takes no more.
async fn start(tx: &mut PgConnection, ctx: &Ctx, backfill: &Backfill, date: DateTime<Utc>) -> Result<bool> {
    let (id, number) = (backfill.id.to_string(), format!("#{}", backfill.number));
    let cause =
        Cause { cause: RunCause::Backfill, id: Some(&id), name: Some(&number), at: Some(date), ..Cause::default() };
    let mut params = backfill.params.clone();
    let written = backfill.param_format.write(date, &backfill.range.timezone);
    params.insert(backfill.param.clone(), written.clone().into());
    match start_for(tx, ctx, backfill.pipeline_id, &params.into_iter().collect(), &cause).await? {
        Ok(run) => {
            store::backfill::set_run(tx, backfill.id, date, Ok(run.id)).await?;
            let summary = format!("started {} for {written}", name(&run));
            Event::new("backfill.started", object(backfill), summary)
                .related(Object::new(ObjectKind::PipelineRun, run.id, name(&run)))
                .write(tx, ctx)
                .await?;
            Ok(true)
        }
        Err(refused) if refused.is_busy => Ok(false),
        // The pipeline changed since the backfill was made, or something is not there that it takes.
        Err(refused) => {
            store::backfill::set_run(tx, backfill.id, date, Err(&refused.why)).await?;
            Ok(true)
        }
    }
}

fn missing(number: i64) -> Error {
    Error::new(ErrorKind::NotFound, format!("No backfill #{number} in this workspace."))
}

fn object(backfill: &Backfill) -> Object {
    Object::new(ObjectKind::Backfill, backfill.id, format!("#{}", backfill.number))
}

/// What open pages of backfills listen for.
fn topic(backfill: &Backfill) -> String {
    format!("backfills:{}", backfill.workspace_id)
}

async fn tell(
    tx: &mut PgConnection,
    ctx: &Ctx,
    action: &'static str,
    backfill: &Backfill,
    summary: String,
) -> Result<()> {
    Event::new(action, object(backfill), summary)
        .related(Object::new(ObjectKind::Pipeline, backfill.pipeline_id, &backfill.pipeline))
        .details(serde_json::json!({
            "range": backfill.range,
            "param": backfill.param,
            "params": backfill.params,
            "at_once": backfill.at_once,
            "dates": backfill.progress.total,
        }))
        .write(tx, ctx)
        .await?;
    Ok(store::event::notify(tx, &topic(backfill)).await?)
}
