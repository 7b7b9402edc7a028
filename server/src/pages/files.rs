//! The files of a run or version on its page, and the addresses that show them within it.

use super::chosen::Chosen;
use crate::{
    access::Context,
    download,
    error::ApiError,
    extract::{Path, Query},
    notebook, preview,
    state::AppState,
};
use app::{
    links::Links,
    pages::files::{FilesPage, ShownFile},
    ui::query::Address,
};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse as _, Redirect, Response},
};
use domain::{Error, ErrorKind, id::RunId, preview::Kind};
use serde::Deserialize;
use services::{Ctx, FilesOf, Services};

/// What is looked at of the files: the root alone, when they are not what the page is about.
pub(super) async fn look(
    services: &Services,
    ctx: &Ctx,
    of: &FilesOf,
    chosen: &Chosen,
    is_about_them: bool,
) -> Result<FilesPage, Error> {
    let (path, from) = match is_about_them {
        true => (chosen.get("path").unwrap_or_default(), chosen.get("from")),
        false => ("", None),
    };
    let (tree, missing) = match services.artifact_tree(ctx, of, path, from).await {
        Err(Error { kind: ErrorKind::NotFound, .. }) if !path.is_empty() => {
            (services.artifact_tree(ctx, of, "", None).await?, Some(path.to_owned()))
        }
        tree => (tree?, None),
    };
    let file = match tree.file {
        Some((path, file)) => {
            let preview = preview::of(services, path.as_str(), &file).await?;
            Some(ShownFile { path, size: file.size, digest: file.digest, preview })
        }
        None => None,
    };
    Ok(FilesPage { open: tree.open, file, missing })
}

/// Nothing is at the path that was asked for; what the page shows says so, too.
pub(super) fn no_file() -> Error {
    Error::new(ErrorKind::NotFound, "No such artifact.")
}

/// Which file.
#[derive(Deserialize)]
pub(super) struct At {
    path: String,
    /// Of a notebook: the place of a cell, from 0, of one of whose outputs the document is asked for.
    cell: Option<usize>,
    /// The place of that output.
    output: Option<usize>,
}

/// A picture or document of a run, as a part of its page.
pub(super) async fn of_run(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<RunId>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Links::new(&ctx.workspace.slug).run(&id);
    embedded(&state, &ctx, &FilesOf::Run(id), page, "artifacts", at, &headers).await
}

/// A picture or document of a version, as a part of its page.
pub(super) async fn of_version(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path((model, version)): Path<(String, i32)>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let page = Links::new(&ctx.workspace.slug).version(&model, version);
    embedded(&state, &ctx, &FilesOf::Version(model, version), page, "files", at, &headers).await
}

async fn embedded(
    state: &AppState,
    ctx: &Ctx,
    of: &FilesOf,
    page: String,
    tab: &str,
    at: At,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    let file = state.services.artifact_of(ctx, of, &at.path).await?;
    let shown = match (Kind::of(&at.path), at.cell, at.output) {
        (Kind::Notebook, Some(cell), Some(output)) => {
            let content = preview::whole(&state.services, &file).await?;
            download::document(notebook::document(content, cell, output).await?, headers)
        }
        _ => download::embed(state, &file, headers).await?,
    };
    match shown {
        Some(response) => Ok(response),
        None => {
            let pairs = [("tab".to_owned(), tab.to_owned()), ("path".to_owned(), at.path)];
            Ok(Redirect::to(&Address::new(page, pairs).href()).into_response())
        }
    }
}
