//! The pages of push hooks, and what their forms do.

use super::{
    Form, PageResult, View,
    chosen::Chosen,
    form::can_mend,
    schedule::{in_form, params, pipelines, written},
};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::push_hook::{One, PushHookPage, PushHooks, PushHooksPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error,
    audit::ObjectKind,
    permission::Permission,
    push_hook::{PushField, PushHook},
};
use leptos::prelude::*;
use services::{NewPushHook, PushHookChange};
use std::collections::BTreeMap;

const SECTION: Option<Section> = Some(Section::Pipelines);
/// How many hooks or deliveries a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePipelines));
    routes
        .page(Method::GET, "/push-hooks", read, list)
        .page(Method::POST, "/push-hooks", write, create)
        .page(Method::GET, "/push-hooks/{name}", read, show)
        .page(Method::POST, "/push-hooks/{name}", write, act)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let of = chosen.get("pipeline").map(str::trim).filter(|name| !name.is_empty());
    let page = PushHooksPage {
        workspace_id: ctx.workspace_id(),
        hooks: services.push_hooks(ctx, of, chosen.get("page_token"), ROWS).await?,
        pipelines: pipelines(&view).await?,
        may_write: ctx.may(Permission::WritePipelines),
    };
    let links = view.links.clone();
    let address = chosen.address(links.push_hooks());
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Push hooks", SECTION, move || view! { <PushHooks links address page draft/> }).await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    one_page(view, &name, chosen, None, None).await
}

async fn one_page(
    view: View,
    name: &str,
    chosen: Chosen,
    secret: Option<String>,
    refused: Option<(Error, Draft)>,
) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let hook = services.push_hook(ctx, name).await?;
    let page = PushHookPage {
        url: format!("{}/hooks/{}", view.public_url(), hook.id),
        secret,
        deliveries: services.push_deliveries(ctx, name, chosen.get("page_token"), ROWS).await?,
        events: view.history(ObjectKind::PushHook, hook.id, EVENTS).await?,
        pipelines: pipelines(&view).await?,
        may_write: ctx.may(Permission::WritePipelines),
        hook,
    };
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_else(|| drafted(&page.hook));
    let links = view.links.clone();
    let address = chosen.address(links.push_hook(name));
    let title = format!("Push hook {name}");
    view.form_page(error.as_ref(), title, SECTION, move || view! { <One links address page draft/> }).await
}

/// A hook as its form shows it.
fn drafted(hook: &PushHook) -> Draft {
    let from_push: Vec<String> =
        hook.from_push.iter().map(|(name, field)| format!("{name} = {}", field.as_str())).collect();
    Draft::of([
        ("name", hook.name.clone()),
        ("pipeline", hook.pipeline.clone()),
        ("branches", hook.branches.join(", ")),
        ("paths", hook.paths.join(", ")),
        ("params", written(&hook.params)),
        ("from_push", from_push.join("\n")),
    ])
}

/// Which params get what of a push.
fn from_push(form: &Form) -> Result<BTreeMap<String, PushField>, Error> {
    let field = |(name, value): (String, serde_json::Value)| {
        let field = value.as_str().unwrap_or_default().parse::<PushField>();
        Ok((name, field.map_err(|error| Error::invalid_field("from_push", format!("{error}.")))?))
    };
    params(form, "from_push")?.into_iter().map(field).collect()
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let new = NewPushHook {
            name: form.text("name").to_owned(),
            pipeline: form.text("pipeline").to_owned(),
            forge: form.parse("forge")?,
            branches: form.list("branches"),
            paths: form.list("paths"),
            params: params(&form, "params")?,
            from_push: from_push(&form)?,
            enabled: true,
        };
        view.services().create_push_hook(view.ctx()?, new).await.map_err(in_form)
    };
    match created.await {
        // Not redirected: the secret is shown this once, and kept nowhere on the way.
        Ok((hook, secret)) => one_page(view, &hook.name, Chosen::default(), Some(secret), None).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn act(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    services.push_hook(ctx, &name).await?;
    let enable = |enabled| PushHookChange { enabled: Some(enabled), ..PushHookChange::default() };
    match form.text("do") {
        "change" => save(view, &name, form).await,
        "on" => {
            services.change_push_hook(ctx, &name, enable(true)).await?;
            view.done(&view.links.push_hook(&name), format!("{name} is on.")).await
        }
        "off" => {
            services.change_push_hook(ctx, &name, enable(false)).await?;
            view.done(&view.links.push_hook(&name), format!("{name} is off: pushes are ignored.")).await
        }
        "secret" => {
            let (_, secret) = services.renew_push_hook_secret(ctx, &name).await?;
            one_page(view, &name, Chosen::default(), Some(secret), None).await
        }
        "delete" => {
            services.delete_push_hook(ctx, &name).await?;
            view.done(&view.links.push_hooks(), format!("{name} is deleted.")).await
        }
        _ => Err(Error::invalid("The form does not say what to do with the push hook.").into()),
    }
}

async fn save(view: View, name: &str, form: Form) -> PageResult {
    let saved = async {
        let change = PushHookChange {
            name: Some(form.text("name").to_owned()),
            pipeline: Some(form.text("pipeline").to_owned()),
            branches: Some(form.list("branches")),
            paths: Some(form.list("paths")),
            params: Some(params(&form, "params")?),
            from_push: Some(from_push(&form)?),
            enabled: None,
        };
        view.services().change_push_hook(view.ctx()?, name, change).await.map_err(in_form)
    };
    match saved.await {
        Ok(hook) => view.done(&view.links.push_hook(&hook.name), format!("{} is changed.", hook.name)).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            one_page(view, name, Chosen::default(), None, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
