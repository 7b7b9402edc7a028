//! The page of triggers, and what its forms do.

use super::{
    Form, PageResult, View,
    form::can_mend,
    schedule::{in_form, number, params, pipelines},
};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::trigger::{Triggers, TriggersPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, id::TriggerId, permission::Permission, pipeline_run::PipelineRunState};
use leptos::prelude::*;
use services::{NewPipelineTrigger, NewTriggerOn};

const SECTION: Option<Section> = Some(Section::Pipelines);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, run) = (Access::Needs(Permission::Read), Access::Needs(Permission::RunPipelines));
    routes.page(Method::GET, "/triggers", read, list).page(Method::POST, "/triggers", run, create).page(
        Method::POST,
        "/triggers/{id}",
        run,
        act,
    )
}

async fn list(view: View) -> PageResult {
    list_page(view, None).await
}

async fn list_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let mut triggers = Vec::new();
    for trigger in services.triggers(ctx).await? {
        let last = match trigger.on.monitor() {
            // What it did for an alert stands on the alert's page.
            Some(_) => None,
            None => services.trigger_firings(ctx, trigger.id).await?.into_iter().next(),
        };
        triggers.push((trigger, last));
    }
    let page =
        TriggersPage { triggers, pipelines: pipelines(&view).await?, may_run: ctx.may(Permission::RunPipelines) };
    let links = view.links.clone();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Triggers", SECTION, move || view! { <Triggers links page draft/> }).await
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let state = |name: &str| {
            PipelineRunState::parse(name).ok_or_else(|| Error::invalid_field("states", "There is no such state."))
        };
        let on = match form.text("kind") {
            "pipeline" => NewTriggerOn::Pipeline {
                source: form.text("source").to_owned(),
                states: form.all("states").map(state).collect::<Result<_, _>>()?,
            },
            "dataset" => NewTriggerOn::Dataset {
                dataset: form.text("dataset").to_owned(),
                checked: form.text("checked") == "true",
            },
            _ => return Err(Error::invalid_field("kind", "Say what it waits for.")),
        };
        let new = NewPipelineTrigger {
            pipeline: form.text("pipeline").to_owned(),
            on,
            params: params(&form, "params")?,
            enabled: true,
            cool_down_s: number(&form, "cool_down_s")?,
        };
        view.services().set_pipeline_trigger(view.ctx()?, new).await.map_err(in_form)
    };
    match created.await {
        Ok((trigger, _)) => {
            let notice = format!("{} start {}.", app::format::capitalised(&trigger.on.words()), trigger.pipeline);
            view.done(&view.links.triggers(), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn act(view: View, Path(id): Path<TriggerId>, form: Form) -> PageResult {
    if form.text("do") != "delete" {
        view.services().trigger_firings(view.ctx()?, id).await?;
        return Err(Error::invalid("The form does not say what to do with the trigger.").into());
    }
    let trigger = view.services().delete_pipeline_trigger(view.ctx()?, id).await?;
    let notice = format!("{} start {} no more.", app::format::capitalised(&trigger.on.words()), trigger.pipeline);
    view.done(&view.links.triggers(), notice).await
}
