//! The pages of backfills, and what their forms do.

use super::{
    Form, PageResult, View,
    chosen::Chosen,
    form::can_mend,
    schedule::{in_form, number, params, pipelines},
};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::backfill::{BackfillPage, Backfills, BackfillsPage, One},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, audit::ObjectKind, freeze::timezones, permission::Permission};
use leptos::prelude::*;
use services::NewBackfill;

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many backfills a page shows.
const ROWS: usize = 50;
/// How many dates the page of one shows.
const DATES: usize = 100;
/// How many events it shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes
        .page(Method::GET, "/backfills", read, list)
        .page(Method::POST, "/backfills", run, create)
        .page(Method::GET, "/backfills/{number}", read, show)
        .page(Method::POST, "/backfills/{number}/cancel", run, cancel)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let of = chosen.get("pipeline").map(str::trim).filter(|name| !name.is_empty());
    let page = BackfillsPage {
        workspace_id: ctx.workspace_id(),
        backfills: services.backfills(ctx, of, chosen.get("page_token"), ROWS).await?,
        pipelines: pipelines(&view).await?,
        timezones: timezones(),
        may_run: ctx.may(Permission::RunPipelines),
    };
    let links = view.links.clone();
    let address = chosen.address(links.backfills());
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Backfills", SECTION, move || view! { <Backfills links address page draft/> }).await
}

async fn show(view: View, Path(number): Path<i64>, chosen: Chosen) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let backfill = services.backfill(ctx, number).await?;
    let dates = services.backfill_runs(ctx, number, chosen.get("page_token"), DATES).await?;
    let page = BackfillPage {
        dates: dates.map(|one| {
            let date = backfill.param_format.write(one.date, &backfill.range.timezone);
            (one, date)
        }),
        events: view.history(ObjectKind::Backfill, backfill.id, EVENTS).await?,
        may_run: ctx.may(Permission::RunPipelines),
        backfill,
    };
    let links = view.links.clone();
    let address = chosen.address(links.backfill(number));
    view.page(format!("Backfill #{number}"), SECTION, move || view! { <One links address page/> }).await
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let timezone = form.text("timezone");
        if domain::freeze::from_zone("2026-01-01T12:00", timezone).is_err() {
            let text = "Give a time zone by its name in the tz database, such as Europe/Berlin or UTC.";
            return Err(Error::invalid_field("timezone", text));
        }
        let needed = |name: &str| {
            let missing = || Error::invalid_field(name, "Give a date and a time.");
            form.moment(name, timezone)?.ok_or_else(missing)
        };
        let new = NewBackfill {
            schedule: None,
            pipeline: Some(form.text("pipeline").to_owned()),
            from: needed("from")?,
            to: needed("to")?,
            expression: Some(form.text("expression").to_owned()),
            step_s: None,
            timezone: Some(timezone.to_owned()),
            param: Some(form.text("param").to_owned()),
            param_format: Some(form.parse("param_format")?),
            params: Some(params(&form, "params")?),
            at_once: number(&form, "at_once")?,
        };
        view.services().create_backfill(view.ctx()?, new).await.map_err(in_form)
    };
    match created.await {
        Ok(backfill) => {
            let notice = format!("{} runs are started, {} at once.", backfill.progress.total, backfill.at_once);
            view.done(&view.links.backfill(backfill.number), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn cancel(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().cancel_backfill(view.ctx()?, number).await?;
    view.done(&view.links.backfill(number), "The backfill is cancelled.").await
}
