//! Schedules: made and changed by people, fired by workers. A fire, the run that it starts and when the schedule is looked
//! at next are one transaction under the schedule's lock, so there is one run a fire however many workers look.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, now, pipeline,
    pipeline_run::{Cause, Refused, start_for},
};
use chrono::{DateTime, Utc};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    backfill::DateFormat,
    id::ScheduleId,
    page,
    pipeline_run::{PipelineRun, RunCause},
    schedule::{CatchUp, Fire, FireOutcome, MAX_SCHEDULES, Schedule},
};
use serde_json::{Map, Value};
use store::{PgConnection, schedule::Filter, wake::Wake};

/// A schedule to be made.
#[derive(Debug, Clone)]
pub struct NewSchedule {
    /// Its name.
    pub name: String,
    /// The pipeline that it starts.
    pub pipeline: String,
    /// When: a cron expression of five fields.
    pub expression: String,
    /// Where it is that time.
    pub timezone: String,
    /// Params of its runs.
    pub params: Map<String, Value>,
    /// The param that gets the time of the fire; an empty text is none.
    pub param: Option<String>,
    /// How it gets it.
    pub param_format: DateFormat,
    /// What happens with fires that nobody was there for.
    pub catch_up: CatchUp,
    /// How many of them are made up for, when all are.
    pub catch_up_limit: i32,
    /// By up to how many seconds a fire is put off.
    pub jitter_s: i32,
    /// Whether it fires.
    pub enabled: bool,
}

/// What of a schedule is to be another.
#[derive(Debug, Clone, Default)]
pub struct ScheduleChange {
    /// Its name.
    pub name: Option<String>,
    /// The pipeline that it starts.
    pub pipeline: Option<String>,
    /// When.
    pub expression: Option<String>,
    /// Where it is that time.
    pub timezone: Option<String>,
    /// Params of its runs, all of them.
    pub params: Option<Map<String, Value>>,
    /// The param that gets the time of the fire; an empty text is none.
    pub param: Option<String>,
    /// How it gets it.
    pub param_format: Option<DateFormat>,
    /// What happens with fires that nobody was there for.
    pub catch_up: Option<CatchUp>,
    /// How many of them are made up for, when all are.
    pub catch_up_limit: Option<i32>,
    /// By up to how many seconds a fire is put off.
    pub jitter_s: Option<i32>,
    /// Whether it fires.
    pub enabled: Option<bool>,
}

/// Which schedules a list shows.
#[derive(Debug, Clone, Default)]
pub struct ScheduleFilter {
    /// Of the pipeline of this name.
    pub pipeline: Option<String>,
    /// Those that fire, or those that are paused.
    pub enabled: Option<bool>,
}

impl Services {
    /// The schedules of the workspace, by name.
    ///
    /// # Errors
    /// `NotFound` for a pipeline that there is not, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn schedules(
        &self,
        ctx: &Ctx,
        filter: &ScheduleFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Schedule>> {
        let after: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let pipeline = match &filter.pipeline {
            Some(name) => Some(pipeline::find(&mut conn, ctx, name).await?.id),
            None => None,
        };
        let filter = Filter { pipeline, enabled: filter.enabled };
        let rows =
            store::schedule::list(&mut conn, ctx.workspace_id(), filter, after.as_deref(), limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.name.clone()))
    }

    /// The schedule of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn schedule(&self, ctx: &Ctx, name: &str) -> Result<Schedule> {
        let mut conn = self.conn().await?;
        store::schedule::by_name(&mut conn, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))
    }

    /// What came of its fires, latest first.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn schedule_fires(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Fire>> {
        let before: Option<DateTime<Utc>> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let schedule = self.schedule(ctx, name).await?;
        let mut conn = self.conn().await?;
        let rows = store::schedule::fires(&mut conn, schedule.id, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.fire_time))
    }

    /// Makes a schedule. It fires from now on.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline, `Invalid` for what makes no sense, params that the pipeline does not take among
    /// it, `AlreadyExists` when another has the name, `Conflict` when there are as many as may be.
    #[boxed]
    pub async fn create_schedule(&self, ctx: &Ctx, new: NewSchedule) -> Result<Schedule> {
        let mut tx = self.begin().await?;
        let pipeline = pipeline::find(&mut tx, ctx, &new.pipeline).await?;
        let mut schedule = Schedule {
            id: ScheduleId::new(),
            workspace_id: ctx.workspace_id(),
            name: new.name.trim().to_owned(),
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            expression: new.expression.trim().to_owned(),
            timezone: new.timezone.trim().to_owned(),
            params: new.params,
            param: param_named(new.param),
            param_format: new.param_format,
            catch_up: new.catch_up,
            catch_up_limit: new.catch_up_limit,
            jitter_s: new.jitter_s,
            enabled: new.enabled,
            next_fire: None,
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
        };
        schedule.check()?;
        check_params_of(&mut tx, &pipeline, &schedule).await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        if store::schedule::count(&mut tx, ctx.workspace_id()).await? >= MAX_SCHEDULES {
            return Err(Error::conflict(format!("A workspace has at most {MAX_SCHEDULES} schedules; delete one.")));
        }
        let next_at = plan(&mut schedule)?;
        store::schedule::insert(&mut tx, &schedule, next_at).await.map_err(|error| named_twice(error, &schedule))?;
        let summary = format!("scheduled {} by {}", schedule.pipeline, schedule.name);
        tell(&mut tx, ctx, "schedule.created", &schedule, summary).await?;
        commit(tx).await?;
        Ok(schedule)
    }

    /// Changes a schedule. Fires whose time passed while it was paused are not made up for.
    ///
    /// # Errors
    /// `NotFound`, and as when it is made.
    #[boxed]
    pub async fn change_schedule(&self, ctx: &Ctx, name: &str, change: ScheduleChange) -> Result<Schedule> {
        let mut tx = self.begin().await?;
        let before = store::schedule::lock(&mut tx, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))?;
        let pipeline = pipeline::find(&mut tx, ctx, change.pipeline.as_deref().unwrap_or(&before.pipeline)).await?;
        let text = |new: Option<String>, old: &str| new.map_or_else(|| old.to_owned(), |new| new.trim().to_owned());
        let mut after = Schedule {
            name: text(change.name, &before.name),
            pipeline_id: pipeline.id,
            pipeline: pipeline.name.clone(),
            expression: text(change.expression, &before.expression),
            timezone: text(change.timezone, &before.timezone),
            params: change.params.unwrap_or_else(|| before.params.clone()),
            param: change.param.map_or_else(|| before.param.clone(), |param| param_named(Some(param))),
            param_format: change.param_format.unwrap_or(before.param_format),
            catch_up: change.catch_up.unwrap_or(before.catch_up),
            catch_up_limit: change.catch_up_limit.unwrap_or(before.catch_up_limit),
            jitter_s: change.jitter_s.unwrap_or(before.jitter_s),
            enabled: change.enabled.unwrap_or(before.enabled),
            ..before.clone()
        };
        if after == before {
            return Ok(before);
        }
        after.check()?;
        let of = |schedule: &Schedule| (schedule.pipeline_id, schedule.params.clone(), schedule.param.clone());
        if of(&after) != of(&before) {
            check_params_of(&mut tx, &pipeline, &after).await?;
        }
        let is_same_time = after.expression == before.expression && after.timezone == before.timezone;
        let next_at = match before.next_fire.filter(|_| is_same_time && after.enabled) {
            Some(next) => Some(next + after.jitter(next)),
            None => plan(&mut after)?,
        };
        store::schedule::update(&mut tx, &after, next_at).await.map_err(|error| named_twice(error, &after))?;
        let (action, what) = match (before.enabled, after.enabled) {
            (true, false) => ("schedule.paused", "paused"),
            (false, true) => ("schedule.resumed", "resumed"),
            _ => ("schedule.changed", "changed"),
        };
        let summary = format!("{what} the schedule {} of {}", after.name, after.pipeline);
        tell(&mut tx, ctx, action, &after, summary).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Deletes a schedule. The runs that it started stay, and history keeps what it was.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_schedule(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let schedule = store::schedule::lock(&mut tx, ctx.workspace_id(), name).await?.ok_or_else(|| missing(name))?;
        store::schedule::delete(&mut tx, schedule.id).await?;
        let summary = format!("deleted the schedule {} of {}", schedule.name, schedule.pipeline);
        tell(&mut tx, ctx, "schedule.deleted", &schedule, summary).await?;
        commit(tx).await
    }

    /// Sees to a schedule whose time has come. Tells whether there was one.
    ///
    /// # Errors
    /// When the database does not answer. Nothing has been started then, and it is seen to again.
    #[boxed]
    pub async fn fire_schedule(&self) -> Result<bool> {
        let mut tx = self.begin().await?;
        let Some((schedule, at)) = store::schedule::take_due(&mut tx).await? else { return Ok(false) };
        let Some(workspace) = store::workspace::by_id(&mut tx, schedule.workspace_id).await? else {
            return Err(Error::internal());
        };
        let ctx = Ctx::system(workspace);
        // One that cannot be read any more rests until somebody changes it.
        let due = schedule.next_fire.and_then(|next| schedule.due(next, at).ok());
        let next = due.as_ref().and_then(|due| due.next);
        let mut counted = Vec::new();
        if let Some(due) = due {
            let missed = store::schedule::insert_fires(
                &mut tx,
                schedule.id,
                &due.missed,
                FireOutcome::Missed,
                "Nobody was there at its time.",
            );
            let missed = missed.await?;
            if missed > 0 {
                let fires = if missed == 1 { "a fire".to_owned() } else { format!("{missed} fires") };
                let summary = format!("missed {fires} of the schedule {} of {}", schedule.name, schedule.pipeline);
                tell(&mut tx, &ctx, "schedule.missed", &schedule, summary).await?;
                counted.push((FireOutcome::Missed, missed));
            }
            for fire_time in due.start {
                if let Some(outcome) = fire(&mut tx, &ctx, &schedule, fire_time).await? {
                    counted.push((outcome, 1));
                }
            }
        }
        store::schedule::set_next(&mut tx, schedule.id, next, next.map(|next| next + schedule.jitter(next))).await?;
        store::event::notify(&mut tx, &topic(&schedule)).await?;
        commit(tx).await?;
        for (outcome, count) in counted {
            metrics::counter!("slipway_schedule_fires_total", "outcome" => outcome.as_str()).increment(count);
        }
        Ok(true)
    }
}

/// Starts the run of a fire. Tells what came of it; none when somebody saw to it before.
async fn fire(
    tx: &mut PgConnection,
    ctx: &Ctx,
    schedule: &Schedule,
    fire_time: DateTime<Utc>,
) -> Result<Option<FireOutcome>> {
    if store::schedule::insert_fires(tx, schedule.id, &[fire_time], FireOutcome::Started, "").await? == 0 {
        return Ok(None);
    }
    match start(tx, ctx, schedule, fire_time).await? {
        Ok(run) => {
            store::schedule::set_fire_run(tx, schedule.id, fire_time, run.id).await?;
            let name = format!("{} #{}", run.pipeline_name, run.number);
            Event::new("schedule.fired", object(schedule), format!("started {name} by the schedule {}", schedule.name))
                .related(Object::new(ObjectKind::PipelineRun, run.id, name))
                .details(serde_json::json!({ "fire_time": fire_time }))
                .write(tx, ctx)
                .await?;
            Ok(Some(FireOutcome::Started))
        }
        // The pipeline changed since the schedule was made, or is busy. The next fire may go better.
        Err(Refused { why, is_busy }) => {
            let outcome = if is_busy { FireOutcome::Skipped } else { FireOutcome::Refused };
            store::schedule::set_fire_refused(tx, schedule.id, fire_time, outcome, &why).await?;
            let summary = format!("did not start {} by {}: {why}", schedule.pipeline, schedule.name);
            tell(tx, ctx, "schedule.held_back", schedule, summary).await?;
            Ok(Some(outcome))
        }
    }
}

async fn start(
    tx: &mut PgConnection,
    ctx: &Ctx,
    schedule: &Schedule,
    fire_time: DateTime<Utc>,
) -> Result<std::result::Result<PipelineRun, Refused>> {
    let id = schedule.id.to_string();
    let cause = Cause {
        cause: RunCause::Schedule,
        id: Some(&id),
        name: Some(&schedule.name),
        at: Some(fire_time),
        ..Cause::default()
    };
    start_for(tx, ctx, schedule.pipeline_id, &schedule.params_for(fire_time).into_iter().collect(), &cause).await
}

/// Says when it fires next, from now on. Answers with when it is to be looked at then.
fn plan(schedule: &mut Schedule) -> Result<Option<DateTime<Utc>>> {
    schedule.next_fire = if schedule.enabled { schedule.timetable()?.next(Utc::now()) } else { None };
    Ok(schedule.next_fire.map(|next| next + schedule.jitter(next)))
}

/// The name of a param as a sender gives it: an empty text is none.
pub(crate) fn param_named(param: Option<String>) -> Option<String> {
    param.map(|param| param.trim().to_owned()).filter(|param| !param.is_empty())
}

async fn check_params_of(
    conn: &mut PgConnection,
    pipeline: &domain::pipeline::Pipeline,
    schedule: &Schedule,
) -> Result<()> {
    let params = schedule.params_for(now());
    let Some(param) = &schedule.param else { return check_params(conn, pipeline, &params).await };
    check_params(conn, pipeline, &params).await.map_err(|error| of_time(error, param))
}

/// What is wrong with the param that gets the time of a run is told at the field that names it.
pub(crate) fn of_time(error: Error, param: &str) -> Error {
    if error.field.as_deref().and_then(|field| field.strip_prefix("params.")) != Some(param) {
        return error;
    }
    Error::invalid_field("param", format!("{} It gets a date or a time, as a text.", error.message))
}

/// Refuses params that the pipeline does not take: told now rather than at night.
pub(crate) async fn check_params(
    conn: &mut PgConnection,
    pipeline: &domain::pipeline::Pipeline,
    params: &Map<String, Value>,
) -> Result<()> {
    let version = pipeline::version(conn, pipeline, None).await?;
    version.spec.resolve_params(&params.clone().into_iter().collect()).map(drop)
}

fn named_twice(error: store::Error, schedule: &Schedule) -> Error {
    if error.is_duplicate_of("schedules_workspace_id_name_key") {
        let text = format!("There is a schedule \"{}\" already; give this one another name.", schedule.name);
        return Error::already_exists(text).in_field("name");
    }
    error.into()
}

fn missing(name: &str) -> Error {
    Error::not_found("schedule", name.chars().take(64).collect::<String>())
}

fn object(schedule: &Schedule) -> Object {
    Object::new(ObjectKind::Schedule, schedule.id, &schedule.name)
}

/// What open pages of schedules listen for.
fn topic(schedule: &Schedule) -> String {
    format!("schedules:{}", schedule.workspace_id)
}

/// Writes what happened to a schedule, and has workers look when it is due.
async fn tell(
    tx: &mut PgConnection,
    ctx: &Ctx,
    action: &'static str,
    schedule: &Schedule,
    summary: String,
) -> Result<()> {
    Event::new(action, object(schedule), summary)
        .related(Object::new(ObjectKind::Pipeline, schedule.pipeline_id, &schedule.pipeline))
        .details(serde_json::json!({
            "expression": schedule.expression,
            "timezone": schedule.timezone,
            "params": schedule.params,
            "param": schedule.param,
            "catch_up": schedule.catch_up,
            "catch_up_limit": schedule.catch_up_limit,
            "jitter_s": schedule.jitter_s,
            "enabled": schedule.enabled,
        }))
        .write(tx, ctx)
        .await?;
    if ctx.caller.is_some() || action == "schedule.created" {
        store::wake::push(tx, &Wake::Starts).await?;
    }
    Ok(store::event::notify(tx, &topic(schedule)).await?)
}
