//! The pages of models and their versions.

use super::{PageResult, View, chosen::Chosen, experiment::plain_or_filter, files};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::model::{Detail, List, ModelPage, Version, VersionLineage, VersionPage},
    shell::Section,
};
use axum::http::Method;
use domain::{Error, ErrorKind, Page, audit::ObjectKind, permission::Permission, promotion::PromotionState};
use leptos::prelude::*;
use services::{FilesOf, ModelSearch, PromotionFilter};

const SECTION: Option<Section> = Some(Section::Models);
/// How many models, versions, promotions or events a page shows.
const ROWS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .page(Method::GET, "/models", read, list)
        .page(Method::GET, "/models/{model}", read, show)
        .page(Method::GET, "/models/{model}/versions/{version}", read, show_version)
        .stream("/models/{model}/versions/{version}/shown", read, files::of_version)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "name");
    let search =
        ModelSearch { filter: &filter, page_token: chosen.get("page_token"), limit: ROWS, ..ModelSearch::default() };
    let (page, error) = match view.services().model_summaries(ctx, &search).await {
        Ok(page) => (page, None),
        // A filter is typed by a person, who sees at once what is wrong with it.
        Err(error) if error.kind == ErrorKind::Invalid => {
            (Page { items: Vec::new(), next_page_token: None }, Some(error.message))
        }
        Err(error) => return Err(error.into()),
    };
    let endpoints = view.services().endpoints(ctx).await?;
    let links = view.links.clone();
    let address = chosen.address(links.models());
    let (models, next) = (page.items, page.next_page_token);
    view.page("Models", SECTION, move || view! { <List links address models next endpoints error/> }).await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.model_detail(ctx, &name, chosen.get("page_token"), ROWS).await?;
    let endpoints =
        services.endpoints(ctx).await?.into_iter().filter(|e| e.deployment.model_id == detail.model.id).collect();
    let open = PromotionState::ALL.into_iter().filter(|state| state.is_open()).collect();
    let filter = PromotionFilter { states: open, model: Some(name.clone()), ..PromotionFilter::default() };
    let promotions = services.promotions(ctx, &filter, None, ROWS).await?.items;
    let events = view.history(ObjectKind::Model, detail.model.id, ROWS).await?;
    let page = ModelPage {
        model: detail.model,
        versions: detail.versions.items,
        next: detail.versions.next_page_token,
        endpoints,
        promotions,
        moves: detail.alias_moves,
        events,
        may_request: ctx.may(Permission::RequestPromotion),
    };
    let links = view.links.clone();
    let address = chosen.address(links.model(&name));
    view.page(name, SECTION, move || view! { <Detail links address page/> }).await
}

async fn show_version(view: View, Path((name, number)): Path<(String, i32)>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.version_detail(ctx, &name, number).await?;
    let lineage = match detail.version.run_id {
        Some(run) => match services.run_detail(ctx, run).await {
            Ok(run) => {
                let pipeline_run = run.lineage.pipeline_run.map(|(_, pipeline, number)| (pipeline, number));
                VersionLineage { run: Some(run.run), pipeline_run }
            }
            Err(Error { kind: ErrorKind::NotFound, .. }) => VersionLineage::default(),
            Err(error) => return Err(error.into()),
        },
        None => VersionLineage::default(),
    };
    let filter = PromotionFilter { model: Some(name.clone()), version: Some(number), ..PromotionFilter::default() };
    let promotions = services.promotions(ctx, &filter, None, ROWS).await?.items;
    let live = services.endpoints(ctx).await?.into_iter().map(|endpoint| endpoint.deployment);
    let live = live.filter(|deployment| deployment.model_version_id == detail.version.id).collect();
    let events = view.history(ObjectKind::ModelVersion, detail.version.id, ROWS).await?;
    let is_about_files = chosen.get("tab") == Some("files");
    let of = FilesOf::Version(name.clone(), number);
    let looked_at = files::look(services, ctx, &of, &chosen, is_about_files).await?;
    let (has_frame, is_missing) = (looked_at.has_frame(), looked_at.missing.is_some());
    let page = VersionPage {
        looked_at,
        lineage,
        promotions,
        live,
        events,
        files: detail.files,
        may_request: ctx.may(Permission::RequestPromotion),
        version: detail.version,
    };
    let (links, address) = (view.links.clone(), chosen.address(view.links.version(&name, number)));
    let (title, view) = (page.version.title(), view.with_frame(has_frame));
    let body = move || view! { <Version links address page/> };
    if is_missing {
        return view.refused(&files::no_file(), title, SECTION, body).await;
    }
    view.page(title, SECTION, body).await
}
