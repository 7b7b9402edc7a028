//! The pages of schedules, and what their forms do.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::schedule::{One, SchedulePage, ScheduleRow, Schedules, SchedulesPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    freeze::{in_zone, timezones},
    permission::Permission,
    schedule::Schedule,
};
use leptos::prelude::*;
use serde_json::{Map, Value};
use services::{NewSchedule, ScheduleChange, ScheduleFilter};

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many schedules or fires a page shows.
const ROWS: usize = 50;
/// How many fires ahead it shows.
const AHEAD: usize = 5;
/// How many events the page of one shows.
const EVENTS: usize = 10;
/// How many names of pipelines a form offers.
const NAMES: usize = 500;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/schedules", read, list)
        .page(Method::POST, "/schedules", run, create)
        .page(Method::GET, "/schedules/{name}", read, show)
        .page(Method::POST, "/schedules/{name}", run, act)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, Draft::default(), None).await
}

/// The names of pipelines, for forms to offer.
pub(super) async fn pipelines(view: &View) -> Result<Vec<String>, Error> {
    let pipelines = view.services().pipelines(view.ctx()?, None, NAMES).await?.items;
    Ok(pipelines.into_iter().map(|summary| summary.pipeline.name).collect())
}

async fn list_page(view: View, chosen: Chosen, draft: Draft, refused: Option<Error>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let enabled = match chosen.get("state") {
        Some("on") => Some(true),
        Some("paused") => Some(false),
        _ => None,
    };
    let pipeline = chosen.get("pipeline").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let filter = ScheduleFilter { pipeline, enabled };
    let row = |schedule: Schedule| ScheduleRow {
        next: schedule.next_fire.map(|at| in_zone(at, &schedule.timezone)),
        schedule,
    };
    let page = SchedulesPage {
        workspace_id: ctx.workspace_id(),
        schedules: services.schedules(ctx, &filter, chosen.get("page_token"), ROWS).await?.map(row),
        pipelines: pipelines(&view).await?,
        timezones: timezones(),
        may_run: ctx.may(Permission::RunPipelines),
    };
    let links = view.links.clone();
    let address = chosen.address(links.schedules());
    let title = "Schedules";
    view.form_page(refused.as_ref(), title, SECTION, move || view! { <Schedules links address page draft/> }).await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    one_page(view, &name, chosen, None).await
}

async fn one_page(view: View, name: &str, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let schedule = services.schedule(ctx, name).await?;
    let zone = schedule.timezone.clone();
    let fires = services.schedule_fires(ctx, name, chosen.get("page_token"), ROWS).await?;
    let page = SchedulePage {
        ahead: schedule.ahead(AHEAD).into_iter().map(|at| in_zone(at, &zone)).collect(),
        fires: fires.map(|fire| {
            let time = in_zone(fire.fire_time, &zone);
            (fire, time)
        }),
        events: view.history(ObjectKind::Schedule, schedule.id, EVENTS).await?,
        pipelines: pipelines(&view).await?,
        timezones: timezones(),
        may_run: ctx.may(Permission::RunPipelines),
        schedule,
    };
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_else(|| drafted(&page.schedule));
    let links = view.links.clone();
    let address = chosen.address(links.schedule(name));
    let title = format!("Schedule {name}");
    view.form_page(error.as_ref(), title, SECTION, move || view! { <One links address page draft/> }).await
}

/// A schedule as its form shows it.
fn drafted(schedule: &Schedule) -> Draft {
    Draft::of([
        ("name", schedule.name.clone()),
        ("pipeline", schedule.pipeline.clone()),
        ("expression", schedule.expression.clone()),
        ("timezone", schedule.timezone.clone()),
        ("params", written(&schedule.params)),
        ("param", schedule.param.clone().unwrap_or_default()),
        ("param_format", schedule.param_format.as_str().to_owned()),
        ("catch_up", schedule.catch_up.as_str().to_owned()),
        ("catch_up_limit", schedule.catch_up_limit.to_string()),
        ("jitter_s", schedule.jitter_s.to_string()),
    ])
}

/// Params as a form shows them: a line for each.
pub(super) fn written(params: &Map<String, Value>) -> String {
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name} = {text}"),
        other => format!("{name} = {other}"),
    };
    params.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Params as a form sends them.
pub(super) fn params(form: &Form, field: &str) -> Result<Map<String, Value>, Error> {
    let mut params = Map::new();
    for line in form.lines(field).lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            let shown: String = line.chars().take(64).collect();
            return Err(Error::invalid_field(field, format!("\"{shown}\" is no param; write it as name = value.")));
        };
        if params.insert(name.trim().to_owned(), value.trim().into()).is_some() {
            return Err(Error::invalid_field(field, format!("The param {} is there twice.", name.trim())));
        }
    }
    Ok(params)
}

/// A whole number in a field.
pub(super) fn number(form: &Form, field: &str) -> Result<i32, Error> {
    form.text(field).parse().map_err(|_| Error::invalid_field(field, "Give a whole number."))
}

/// A refused param is told at the field of all of them; a pipeline that is not there at its own.
pub(super) fn in_form(error: Error) -> Error {
    match (error.kind, error.field.as_deref()) {
        (_, Some(field)) if field.starts_with("params.") => error.in_field("params"),
        (ErrorKind::NotFound, None) => error.in_field("pipeline"),
        _ => error,
    }
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let new = NewSchedule {
            name: form.text("name").to_owned(),
            pipeline: form.text("pipeline").to_owned(),
            expression: form.text("expression").to_owned(),
            timezone: form.text("timezone").to_owned(),
            params: params(&form, "params")?,
            param: Some(form.text("param").to_owned()),
            param_format: form.parse("param_format")?,
            catch_up: form.parse("catch_up")?,
            catch_up_limit: number(&form, "catch_up_limit")?,
            jitter_s: number(&form, "jitter_s")?,
            enabled: true,
        };
        view.services().create_schedule(view.ctx()?, new).await.map_err(in_form)
    };
    match created.await {
        Ok(schedule) => {
            let notice = format!("{} starts {} from now on.", schedule.name, schedule.pipeline);
            view.done(&view.links.schedule(&schedule.name), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn act(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    services.schedule(ctx, &name).await?;
    let enable = |enabled| ScheduleChange { enabled: Some(enabled), ..ScheduleChange::default() };
    match form.text("do") {
        "change" => save(view, &name, form).await,
        "pause" => {
            services.change_schedule(ctx, &name, enable(false)).await?;
            view.done(&view.links.schedule(&name), format!("{name} is paused.")).await
        }
        "resume" => {
            services.change_schedule(ctx, &name, enable(true)).await?;
            view.done(&view.links.schedule(&name), format!("{name} fires again from now on.")).await
        }
        "delete" => {
            services.delete_schedule(ctx, &name).await?;
            view.done(&view.links.schedules(), format!("{name} is deleted.")).await
        }
        _ => Err(Error::invalid("The form does not say what to do with the schedule.").into()),
    }
}

async fn save(view: View, name: &str, form: Form) -> PageResult {
    let saved = async {
        let change = ScheduleChange {
            name: Some(form.text("name").to_owned()),
            pipeline: Some(form.text("pipeline").to_owned()),
            expression: Some(form.text("expression").to_owned()),
            timezone: Some(form.text("timezone").to_owned()),
            params: Some(params(&form, "params")?),
            param: Some(form.text("param").to_owned()),
            param_format: Some(form.parse("param_format")?),
            catch_up: Some(form.parse("catch_up")?),
            catch_up_limit: Some(number(&form, "catch_up_limit")?),
            jitter_s: Some(number(&form, "jitter_s")?),
            enabled: None,
        };
        view.services().change_schedule(view.ctx()?, name, change).await.map_err(in_form)
    };
    match saved.await {
        Ok(schedule) => view.done(&view.links.schedule(&schedule.name), format!("{} is changed.", schedule.name)).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            one_page(view, name, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
