//! The page of workers, pools and limits.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{pages::worker::Workers, shell::Section, ui::field::Draft};
use axum::http::Method;
use domain::{Error, permission::Permission, pipeline::ExecutorKind};
use leptos::prelude::*;

const SECTION: Option<Section> = Some(Section::Pipelines);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    let pools = Access::Needs(Permission::ManagePools);
    routes
        .page(Method::GET, "/workers", read, show)
        .page(Method::POST, "/workers/limits", write, set_limit)
        .page(Method::POST, "/workers/limits/{name}/delete", write, delete_limit)
        .page(Method::POST, "/workers/pools", pools, limit_pool)
        .page(Method::POST, "/workers/pools/{name}/delete", pools, delete_pool_limit)
        .page(Method::POST, "/workers/pools/executor", pools, set_pool_executor)
}

async fn show(view: View) -> PageResult {
    page(view, None).await
}

async fn page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services::Queue { workers, pools, gpus, limits, blocking, running, ready } = view.services().queue(ctx).await?;
    let (links, workspace_id) = (view.links.clone(), ctx.workspace_id());
    let (may_write, may_limit_pools) = (ctx.may(Permission::WritePipelines), ctx.may(Permission::ManagePools));
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Workers", SECTION, move || {
        view! {
            <Workers links workspace_id workers pools gpus limits blocking running ready may_write may_limit_pools draft/>
        }
    })
    .await
}

async fn set_limit(view: View, form: Form) -> PageResult {
    let (name, slots) = (form.text("name").trim().to_owned(), form.text("slots").trim().to_owned());
    let set = match slots.parse() {
        Ok(slots) => view.services().set_step_limit(view.ctx()?, &name, slots).await,
        Err(_) => Err(Error::invalid_field("slots", "This must be a whole number.")),
    };
    match set {
        Ok(limit) => {
            let notice = format!("{} steps that name {} may run at once.", limit.slots, limit.name);
            view.done(&view.links.to("workers"), &notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = Draft::of([("name", name), ("slots", slots)]).refused(&error);
            page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn delete_limit(view: View, Path(name): Path<String>) -> PageResult {
    view.services().delete_step_limit(view.ctx()?, &name).await?;
    view.done(&view.links.to("workers"), &format!("The limit {name} is gone; steps that waited for it run.")).await
}

async fn limit_pool(view: View, form: Form) -> PageResult {
    let set = match form.text("pool_slots").parse() {
        Ok(slots) => view.services().set_pool_limit(view.ctx()?, form.text("pool"), slots).await,
        Err(_) => Err(Error::invalid_field("slots", "This must be a whole number.")),
    };
    match set {
        Ok(limit) => {
            let notice = format!("{} steps of the pool {} may run at once.", limit.slots, limit.name);
            view.done(&view.links.to("workers"), &notice).await
        }
        Err(error) if can_mend(&error) => {
            let error = in_form(error, "slots", "pool_slots");
            let draft = form.refused(&error);
            page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn delete_pool_limit(view: View, Path(name): Path<String>) -> PageResult {
    view.services().delete_pool_limit(view.ctx()?, &name).await?;
    let notice = format!("The pool {name} has no limit any more: as many of its steps run as its workers take.");
    view.done(&view.links.to("workers"), &notice).await
}

async fn set_pool_executor(view: View, form: Form) -> PageResult {
    let (ctx, pool) = (view.ctx()?, form.text("executor_pool"));
    let set = match form.text("executor") {
        "" => view.services().delete_pool_executor(ctx, pool).await.map(|()| "processes".to_owned()),
        name => match ExecutorKind::parse(name) {
            Some(executor) => {
                let set = view.services().set_pool_executor(ctx, pool, executor).await;
                set.map(|()| executor.as_str().to_owned())
            }
            None => Err(Error::invalid_field("executor", "This is no place where steps run.")),
        },
    };
    match set {
        Ok(executor) => {
            let notice = format!("Steps of the pool {pool} that do not say otherwise run by {executor}.");
            view.done(&view.links.to("workers"), &notice).await
        }
        Err(error) if can_mend(&error) => {
            let error = match error.field {
                Some(_) => in_form(error, "pool", "executor_pool"),
                None => error.in_field("executor"),
            };
            let draft = form.refused(&error);
            page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The same error about what this page calls the field: another form of it has one of that name.
fn in_form(error: Error, field: &str, here: &str) -> Error {
    if error.field.as_deref() == Some(field) { error.in_field(here) } else { error }
}
