//! The page of a notebook that a step runs, and the documents of its outputs.

use super::{PageResult, View, chosen::Chosen, form::can_mend};
use crate::{
    access::{Access, Context},
    download,
    error::ApiError,
    extract::{Path, Query},
    notebook,
    router::Routes,
    state::AppState,
};
use app::{
    links::Links,
    pages::notebook::{Against, NotebookOfStep, NotebookPage},
    shell::Section,
};
use axum::{
    extract::State,
    http::{HeaderMap, Method},
    response::{IntoResponse as _, Redirect, Response},
};
use domain::{ErrorKind, permission::Permission, pipeline_run::AttemptOutcome, preview::Notebook};
use leptos::prelude::*;
use serde::Deserialize;
use services::RunFilter;

/// How many other runs the page offers to compare with.
const OTHERS: usize = 30;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes.page(Method::GET, "/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook", read, show).page(
        Method::GET,
        "/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/notebook/shown",
        read,
        shown,
    )
}

async fn show(view: View, Path((number, step, attempt)): Path<(i64, String, i32)>, chosen: Chosen) -> PageResult {
    let (ctx, services) = (view.ctx()?, view.services());
    let found = services.step_attempt(ctx, number, &step, attempt).await?;
    let (id, about) = services.step_notebook(ctx, number, &step, attempt).await?;
    let run = services.pipeline_run(ctx, number).await?.run;
    let (against, others) = match chosen.get("against") {
        None => (None, Vec::new()),
        Some(text) => {
            let compared = async {
                let against = notebook::against(text, None)?;
                services.compare_notebook(ctx, number, &step, attempt, &against).await
            };
            let diff = match compared.await {
                Ok(diff) => Ok(diff),
                Err(error) if can_mend(&error) || error.kind == ErrorKind::TooLarge => Err(error.message),
                Err(error) => return Err(error.into()),
            };
            let filter = RunFilter { pipeline: Some(run.pipeline_name.clone()), ..RunFilter::default() };
            let others = services.pipeline_runs(ctx, &filter, None, OTHERS).await?;
            let numbers = others.items.iter().map(|other| other.run.number).filter(|other| *other != number);
            let chosen = text.strip_prefix('#').unwrap_or(text).to_owned();
            (Some(Against { chosen, diff }), numbers.collect())
        }
    };
    // What is compared is not shown as well.
    let most = if against.is_some() { 0 } else { usize::MAX };
    let notebook = notebook::shown(services, id, about, most).await?;
    // One that runs may show a document later, and the page keeps the policy that it came with.
    let runs = found.outcome == AttemptOutcome::Running;
    let has_frame = runs || notebook.cells.as_ref().is_some_and(Notebook::has_frame);
    let title = format!("{}, {step} of #{number}", notebook.about.path);
    let page = NotebookPage { run, step, attempt: found, notebook, against, others };
    let links = view.links.clone();
    let view = view.with_frame(has_frame);
    view.page(title, Some(Section::Pipelines), move || view! { <NotebookOfStep links page/> }).await
}

/// Which output.
#[derive(Deserialize)]
struct At {
    cell: usize,
    output: usize,
}

/// The document of an output, as a part of the page.
async fn shown(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((number, step, attempt)): Path<(i64, String, i32)>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (id, about) = state.services.step_notebook(&ctx, number, &step, attempt).await?;
    let content = state.services.notebook_content(id, &about).await?.ok_or_else(notebook::nothing_yet)?;
    let html = notebook::document(content, at.cell, at.output).await?;
    match download::document(html, &headers) {
        Some(response) => Ok(response),
        None => {
            let page = Links::new(&ctx.workspace.slug).step_notebook(number, &step, attempt);
            Ok(Redirect::to(&format!("{page}#cell-{}", at.cell + 1)).into_response())
        }
    }
}
