//! The page of a monitor: what it looks at, and what its alerts start.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::monitor::{MonitorPage, Settings},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, ErrorKind, audit::ObjectKind, permission::Permission};
use leptos::prelude::*;
use serde_json::{Map, Value};
use services::{MonitorChange, NewTrigger};

const SECTION: Option<Section> = Some(Section::Deployments);
/// How many pipelines the form offers.
const MOST_PIPELINES: usize = 500;
/// How many events the page shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteMonitors));
    routes
        .page(Method::GET, "/environments/{environment}/models/{model}/monitor", read, show)
        .page(Method::POST, "/environments/{environment}/models/{model}/monitor", write, change)
        .page(Method::POST, "/environments/{environment}/models/{model}/monitor/triggers", write, set_trigger)
}

/// What was refused, and which of the two forms it was.
enum Refused {
    Monitor(Draft),
    Trigger(Draft),
}

async fn show(view: View, Path((environment, model)): Path<(String, String)>) -> PageResult {
    monitor_page(view, &environment, &model, None).await
}

async fn monitor_page(view: View, environment: &str, model: &str, refused: Option<(Error, Refused)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let monitor = services.monitor(ctx, environment, model).await?;
    let mut triggers = services.triggers(ctx).await?;
    triggers.retain(|trigger| trigger.on.monitor() == Some(monitor.id));
    let pipelines = services.pipelines(ctx, None, MOST_PIPELINES).await?.items;
    let page = MonitorPage {
        events: view.history(ObjectKind::Monitor, monitor.id, EVENTS).await?,
        monitor,
        triggers,
        pipelines: pipelines.into_iter().map(|summary| summary.pipeline.name).collect(),
        may_write: ctx.may(Permission::WriteMonitors),
    };
    let links = view.links.clone();
    let title = format!("Monitor of {model} in {environment}");
    let (error, draft, trigger_draft) = match refused {
        None => return view.page(title, SECTION, move || view! { <Settings links page/> }).await,
        Some((error, Refused::Monitor(draft))) => (error, draft, Draft::default()),
        Some((error, Refused::Trigger(draft))) => (error, Draft::default(), draft),
    };
    view.refused(&error, title, SECTION, move || view! { <Settings links page draft trigger_draft/> }).await
}

/// Whether the form is shown again rather than an error.
fn is_mended_here(error: &Error) -> bool {
    can_mend(error) && error.kind != ErrorKind::NotFound
}

async fn change(view: View, Path((environment, model)): Path<(String, String)>, form: Form) -> PageResult {
    let changed = async {
        let rows = |field: &str| {
            let number = form.text(field).parse().map_err(|_| Error::invalid_field(field, "Give a whole number."));
            number.map(Some)
        };
        let change = MonitorChange {
            window_rows: rows("window_rows")?,
            min_rows: rows("min_rows")?,
            enabled: Some(form.text("enabled") == "on"),
            instead_of: form.seen(),
        };
        view.services().change_monitor(view.ctx()?, &environment, &model, change).await
    };
    match changed.await {
        Ok(monitor) => {
            let notice =
                if monitor.enabled { "Saved. The next check looks like this." } else { "Saved. The monitor is off." };
            view.done(&view.links.monitor(&environment, &model), notice).await
        }
        Err(error) if is_mended_here(&error) => {
            let draft = form.refused(&error);
            monitor_page(view, &environment, &model, Some((error, Refused::Monitor(draft)))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_trigger(view: View, Path((environment, model)): Path<(String, String)>, form: Form) -> PageResult {
    let set = async {
        let new = NewTrigger {
            model: model.clone(),
            environment: environment.clone(),
            pipeline: form.text("pipeline").to_owned(),
            params: params(form.raw("params"))?,
            enabled: form.text("enabled") == "on",
            cool_down_s: cool_down(&form)?,
        };
        view.services().set_trigger(view.ctx()?, new).await
    };
    match set.await {
        Ok((trigger, _)) => {
            let notice = match trigger.enabled {
                true => format!("Alerts start {} from now on.", trigger.pipeline),
                false => format!("Alerts do not start {} any more.", trigger.pipeline),
            };
            view.done(&view.links.monitor(&environment, &model), notice).await
        }
        Err(error) if can_mend(&error) => {
            // A pipeline that is gone is the form's to say; without the monitor there is no form.
            let error = if error.kind == ErrorKind::NotFound { error.in_field("pipeline") } else { error };
            let draft = form.refused(&error);
            monitor_page(view, &environment, &model, Some((error, Refused::Trigger(draft)))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Seconds, from minutes or as they are.
fn cool_down(form: &Form) -> Result<i32, Error> {
    if let Ok(seconds) = form.text("cool_down_s").parse() {
        return Ok(seconds);
    }
    let minutes: i32 = form
        .text("cool_down")
        .parse()
        .map_err(|_| Error::invalid_field("cool_down", "Give a whole number of minutes."))?;
    minutes.checked_mul(60).ok_or_else(|| Error::invalid_field("cool_down", "This is too long a time."))
}

/// `name=value`, one to a line. Values are text; the pipeline says what they are.
fn params(text: &str) -> Result<Map<String, Value>, Error> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').ok_or_else(|| {
                let shown: String = line.chars().take(40).collect();
                Error::invalid_field("params", format!("Write each param as name=value; \"{shown}\" has no \"=\"."))
            })?;
            Ok((name.trim().to_owned(), Value::from(value.trim())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_are_read_line_by_line() {
        let read = params(" rate = 0.05 \n\nquery=a=b\n").unwrap();
        assert_eq!(Value::Object(read), json!({ "rate": "0.05", "query": "a=b" }));
        assert_eq!(params("rate 0.05").unwrap_err().field.as_deref(), Some("params"));
    }
}
