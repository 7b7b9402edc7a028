//! The pages of tracked runs.

use super::{PageResult, View, chosen::Chosen, files};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::run::{Compare, ComparePage, Detail, MOST_RUNS, RunPage},
    shell::Section,
};
use axum::http::Method;
use domain::{Error, ErrorKind, audit::ObjectKind, id::RunId, permission::Permission, run::MetricSeries};
use leptos::prelude::*;
use services::{Ctx, FilesOf, PromotionFilter, Services};
use std::collections::BTreeMap;

const SECTION: Option<Section> = Some(Section::Experiments);
/// About how many points of a curve are drawn.
const POINTS: usize = 400;
/// How many promotions the page names, and how many events.
const ROWS: usize = 20;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.page(Method::GET, "/runs/compare", read, compare).page(Method::GET, "/runs/{run_id}", read, show).stream(
        "/runs/{run_id}/shown",
        read,
        files::of_run,
    )
}

async fn show(view: View, Path(id): Path<RunId>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.run_detail(ctx, id).await?;
    let champion = services.champion(ctx, detail.experiment.id).await?;
    let mut series = Vec::new();
    for key in RunPage::charted(&detail.run, champion.as_ref(), chosen.get("metric")) {
        series.extend(curve(services, ctx, id, &key).await?);
    }
    let mut promotions = Vec::new();
    for (model, version) in &detail.lineage.versions {
        let filter =
            PromotionFilter { model: Some(model.clone()), version: Some(*version), ..PromotionFilter::default() };
        promotions.extend(services.promotions(ctx, &filter, None, ROWS).await?.items);
    }
    promotions.sort_by_key(|promotion| std::cmp::Reverse(promotion.number));
    let is_about_files = chosen.get("tab") == Some("artifacts");
    let looked_at = files::look(services, ctx, &FilesOf::Run(id), &chosen, is_about_files).await?;
    let (has_frame, is_missing) = (looked_at.has_frame(), looked_at.missing.is_some());
    let page = RunPage {
        events: view.history(ObjectKind::Run, id, ROWS).await?,
        run: detail.run,
        experiment: detail.experiment,
        lineage: detail.lineage,
        promotions,
        series,
        champion,
        files: looked_at,
    };
    let (links, address) = (view.links.clone(), chosen.address(view.links.run(&id)));
    let (title, view) = (page.run.info.name.clone(), view.with_frame(has_frame));
    let body = move || view! { <Detail links address page/> };
    if is_missing {
        return view.refused(&files::no_file(), title, SECTION, body).await;
    }
    view.page(title, SECTION, body).await
}

/// The curve of a metric; none when it has one point only, or none.
async fn curve(services: &Services, ctx: &Ctx, run: RunId, key: &str) -> Result<Option<MetricSeries>, Error> {
    match services.metric_series(ctx, run, key, POINTS).await {
        Ok(series) => Ok(Some(series).filter(|series| series.total > 1)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn compare(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let ids: Result<Vec<RunId>, _> = chosen.all("run").take(MOST_RUNS).map(str::parse).collect();
    let ids = ids.map_err(|_| Error::invalid("The address names something that is no run."))?;
    let runs = services.runs(ctx, &ids).await?;
    let champion = match runs.first() {
        Some(run) => services.champion(ctx, run.info.experiment_id).await?,
        None => None,
    };
    let mut series: BTreeMap<String, Vec<Option<MetricSeries>>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate() {
        for key in RunPage::charted(run, champion.as_ref(), None) {
            let curve = curve(services, ctx, run.info.id, &key).await?;
            if curve.is_some() {
                series.entry(key).or_insert_with(|| vec![None; runs.len()])[at] = curve;
            }
        }
    }
    let page = ComparePage { runs, series, champion };
    let links = view.links.clone();
    view.page("Compare runs", SECTION, move || view! { <Compare links page/> }).await
}
