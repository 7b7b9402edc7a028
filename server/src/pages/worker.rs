//! The page of workers, pools and limits.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{pages::worker::Workers, shell::Section, ui::field::Draft};
use axum::http::Method;
use domain::{Error, permission::Permission};
use leptos::prelude::*;

const SECTION: Option<Section> = Some(Section::Pipelines);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    routes.page(Method::GET, "/workers", read, show).page(Method::POST, "/workers/limits", write, set_limit).page(
        Method::POST,
        "/workers/limits/{name}/delete",
        write,
        delete_limit,
    )
}

async fn show(view: View) -> PageResult {
    page(view, None).await
}

async fn page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services::Queue { workers, pools, gpus, limits, running, ready } = view.services().queue(ctx).await?;
    let (links, workspace_id) = (view.links.clone(), ctx.workspace_id());
    let may_write = ctx.may(Permission::WritePipelines);
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Workers", SECTION, move || {
        view! { <Workers links workspace_id workers pools gpus limits running ready may_write draft/> }
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
