//! The settings of secrets.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::settings::{Secrets, SecretsPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, permission::Permission, secret::SecretValue};
use leptos::prelude::*;

const SECTION: Option<Section> = Some(Section::Settings);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageSecrets));
    routes.page(Method::GET, "/settings/secrets", read, list).page(Method::POST, "/settings/secrets", manage, set).page(
        Method::POST,
        "/settings/secrets/{name}",
        manage,
        act,
    )
}

async fn list(view: View) -> PageResult {
    list_page(view, None).await
}

async fn list_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let page = SecretsPage { secrets: services.secrets(ctx).await?, may_manage: ctx.may(Permission::ManageSecrets) };
    let links = view.links.clone();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Secrets", SECTION, move || view! { <Secrets links page draft/> }).await
}

async fn set(view: View, form: Form) -> PageResult {
    let name = form.text("name").to_owned();
    let set = async {
        // A browser ends the lines of a field with two characters; a key has one.
        let value = SecretValue::choose(form.lines("secret")).map_err(|error| error.in_field("secret"))?;
        view.services().set_secret(view.ctx()?, &name, value).await
    };
    match set.await {
        Ok((secret, true)) => view.done(&view.links.secrets(), format!("{} is set.", secret.name)).await,
        Ok((secret, false)) => {
            let notice = format!("{} has its version {} now.", secret.name, secret.version);
            view.done(&view.links.secrets(), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn act(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    match form.text("do") {
        "delete" => {
            view.services().delete_secret(view.ctx()?, &name).await?;
            view.done(&view.links.secrets(), format!("{name} is deleted.")).await
        }
        _ => Err(Error::invalid("The form does not say what to do with the secret.").into()),
    }
}
