//! The form that registers a model of a run.

use super::{Form, PageResult, View, form::can_mend, model::model_name};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::registration::{Register, RegisterPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, id::RunId, permission::Permission};
use leptos::prelude::*;
use services::{ModelSearch, NewRegistration};

const SECTION: Option<Section> = Some(Section::Experiments);
/// How many registered models are offered by name: those that changed last.
const MODELS: usize = 200;

pub(crate) fn routes(routes: Routes) -> Routes {
    let write = Access::Needs(Permission::WriteRegistry);
    routes.page(Method::GET, "/runs/{run_id}/register", write, show).page(
        Method::POST,
        "/runs/{run_id}/register",
        write,
        register,
    )
}

async fn show(view: View, Path(id): Path<RunId>) -> PageResult {
    page(view, id, Draft::default(), None).await
}

async fn page(view: View, id: RunId, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.run_detail(ctx, id).await?;
    let order = ["last_updated_timestamp DESC".to_owned()];
    let search = ModelSearch { order: &order, limit: MODELS, ..ModelSearch::default() };
    let page = RegisterPage {
        found: services.registrable_models(ctx, id).await?,
        models: services.search_models(ctx, &search).await?.items.into_iter().map(|model| model.name).collect(),
        run: detail.run.info,
        experiment: detail.experiment,
    };
    let links = view.links.clone();
    let title = format!("Register a model of {}", page.run.name);
    let body = move || view! { <Register links page draft/> };
    view.form_page(refused.as_ref(), title, SECTION, body).await
}

async fn register(view: View, Path(id): Path<RunId>, form: Form) -> PageResult {
    let registered = async {
        let new = NewRegistration {
            run: id,
            source: form.text("source").to_owned(),
            model: model_name(&form)?,
            description: form.lines("description").trim().to_owned(),
        };
        view.services().register_run_model(view.ctx()?, new).await
    };
    match registered.await {
        Ok(version) => {
            let notice = format!("{} is registered.", version.title());
            view.done(&view.links.version(&version.model, version.version), notice).await
        }
        // Without the run there is no page either.
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            page(view, id, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}
