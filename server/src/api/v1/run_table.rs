//! The table of an experiment's runs: a page of it, its runs in groups, files of them, what completes a filter, and
//! changes of many at once.

use super::{Listed, Paging};
use crate::{
    access::{Access, Context},
    download,
    error::{ApiError, Problem},
    extract::{Body, Named, Path, Query},
    router::{Routes, operation},
    state::AppState,
};
use app::ui::query::Sort;
use axum::{
    Json,
    body::Body as Stream,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use domain::{
    Error,
    experiment::ViewType,
    id::{ExperimentId, RunId},
    permission::Permission,
    run_table::{RunColumn, RunGroups, RunTable, Suggestion, Suggestions},
};
use futures::stream;
use serde::{Deserialize, Serialize};
use services::{ExportFormat, RunExport, RunExportSearch, RunGroupSearch, RunTableSearch, RunsChange};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .api(read, operation!(table))
        .api(read, operation!(groups))
        .api(read, operation!(columns))
        .api(read, operation!(filter_completions))
        .api(read, operation!(export))
        .api(write, operation!(delete))
        .api(write, operation!(restore))
        .api(write, operation!(tag))
}

/// The columns that are named; none when none is.
fn named_columns(named: &Named) -> Result<Option<Vec<RunColumn>>, Error> {
    let columns: Vec<RunColumn> = named.all("col").map(str::parse).collect::<Result<_, _>>()?;
    Ok(Some(columns).filter(|columns| !columns.is_empty()))
}

fn view(named: &Named) -> Result<ViewType, Error> {
    match named.get("view") {
        None | Some("active") => Ok(ViewType::ActiveOnly),
        Some("deleted") => Ok(ViewType::DeletedOnly),
        Some("all") => Ok(ViewType::All),
        Some(_) => Err(Error::invalid_field("view", "A view is active, deleted or all.")),
    }
}

/// A column, with `-` before it largest first, as an entry of an order.
fn order(named: &Named) -> Result<Vec<String>, Error> {
    let Some(sort) = named.get("sort") else { return Ok(Vec::new()) };
    let sort = Sort::parse(sort);
    Ok(vec![sort.order(&sort.key.parse::<RunColumn>()?.order())])
}

/// Which runs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what Named reads: some names may be there several times")]
struct Which {
    /// A filter in the search language: `metrics.f1 > 0.3 AND params.model = 'hgb'`.
    filter: Option<String>,
    /// A column to sort by, with `-` before it largest first: `-metrics.f1`. The last started first when nothing is said.
    sort: Option<String>,
    /// `active`, `deleted` or `all`.
    view: Option<String>,
    /// A column, once for each: `metrics.f1`, `params.lr`, `tags.team`, `status`. At most 60 in a table, 1000 in a file.
    col: Option<Vec<String>>,
}

/// What else a row shows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what Named reads")]
struct Drawn {
    /// A metric whose course comes with each row, thinned to about 40 points.
    curve: Option<String>,
}

/// A page of an experiment's runs with the values of the columns, and of those alone. Without columns, those that most
/// runs of the page have.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/table", tag = "tracking",
    params(("id" = ExperimentId, Path), Which, Drawn, Paging),
    responses((status = 200, body = RunTable), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn table(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Query(named): Query<Named>,
    Query(paging): Query<Paging>,
) -> Result<Json<RunTable>, ApiError> {
    let search = RunTableSearch {
        experiment_id: id,
        view: view(&named)?,
        filter: named.get("filter").unwrap_or_default(),
        order: &order(&named)?,
        columns: named_columns(&named)?,
        curve: named.get("curve"),
        page_token: paging.page_token.as_deref(),
        limit: paging.limit(),
    };
    Ok(Json(state.services.run_table(&ctx, &search).await?))
}

/// How runs are grouped.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what Named reads: some names may be there several times")]
struct Grouped {
    /// What the runs of a group share: `params.model`, `tags.team`, `status`, `user_id`, `run_name`.
    by: String,
    /// A filter in the search language.
    filter: Option<String>,
    /// `active`, `deleted` or `all`.
    view: Option<String>,
    /// A metric to sum up, once for each, at most 8. Those that most of the newest runs have when none is named.
    metric: Option<Vec<String>>,
    /// `count`, `group`, `latest`, `mean.<metric>`, `min.<metric>` or `max.<metric>`, with `-` before it largest first:
    /// `-count` when nothing is said.
    sort: Option<String>,
    /// The most groups to answer with.
    limit: Option<usize>,
}

/// The runs of an experiment in groups: how many each has, the mean, the least and the greatest of metrics with the runs
/// that have them, and the filter that leaves the group.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/groups", tag = "tracking",
    params(("id" = ExperimentId, Path), Grouped),
    responses((status = 200, body = RunGroups), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn groups(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Query(named): Query<Named>,
    Query(paging): Query<Paging>,
) -> Result<Json<RunGroups>, ApiError> {
    let by = named.get("by").ok_or_else(|| Error::invalid_field("by", "Say what to group by: by=params.model"))?;
    let metrics: Vec<String> = named.all("metric").map(ToOwned::to_owned).collect();
    let sort = Sort::parse(named.get("sort").unwrap_or("-count"));
    let search = RunGroupSearch {
        experiment_id: id,
        view: view(&named)?,
        filter: named.get("filter").unwrap_or_default(),
        by: by.parse()?,
        metrics: Some(metrics).filter(|metrics| !metrics.is_empty()),
        sort: (sort.key.parse()?, sort.descending),
        limit: paging.limit(),
    };
    Ok(Json(state.services.run_groups(&ctx, &search).await?))
}

/// What was typed of a column.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TypedColumn {
    /// A part of a key, with or without `metrics.`, `params.` or `tags.` before it.
    #[serde(default)]
    text: String,
    /// Only those that runs can be grouped by.
    #[serde(default)]
    grouping: bool,
}

/// Up to twenty columns that hold the text, the likeliest first; one that ends with `*` stands for all that begin so.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/columns", tag = "tracking",
    params(("id" = ExperimentId, Path), TypedColumn),
    responses((status = 200, body = Listed<Suggestion>), (status = 404, body = Problem)))]
async fn columns(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Query(typed): Query<TypedColumn>,
) -> Result<Json<Listed<Suggestion>>, ApiError> {
    Ok(Json(state.services.complete_run_column(&ctx, id, &typed.text, typed.grouping).await?.into()))
}

/// What was typed of a filter.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TypedFilter {
    /// The whole filter.
    #[serde(default)]
    text: String,
    /// Where somebody types: characters before that place. The end when nothing is said.
    cursor: Option<usize>,
}

/// Up to twenty texts that may stand where somebody types a filter of runs: words of the language, keys that the
/// experiment has, values that its runs have.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/filter-completions", tag = "tracking",
    params(("id" = ExperimentId, Path), TypedFilter),
    responses((status = 200, body = Suggestions), (status = 404, body = Problem)))]
async fn filter_completions(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Query(typed): Query<TypedFilter>,
) -> Result<Json<Suggestions>, ApiError> {
    let cursor = typed.cursor.unwrap_or(usize::MAX);
    Ok(Json(state.services.complete_run_filter(&ctx, id, &typed.text, cursor).await?))
}

/// Which file.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what Named reads: some names may be there several times")]
struct File {
    /// `csv` or `parquet`.
    format: Option<String>,
    /// A run, once for each of up to 1000; all that the filter leaves when none is named.
    run: Option<Vec<String>>,
}

/// The runs that a filter leaves, as a file: their ids and names, then the columns; all that there are, up to 1000, when
/// none is named. Numbers are exact, and `NaN` and missing are told apart.
#[utoipa::path(get, path = "/api/v1/experiments/{id}/runs/export", tag = "tracking",
    params(("id" = ExperimentId, Path), File, Which),
    responses((status = 200, content_type = "text/csv", description = "Parquet is `application/vnd.apache.parquet`"),
        (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn export(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Query(named): Query<Named>,
) -> Result<Response, ApiError> {
    let (format, ending, kind) = match named.get("format") {
        None | Some("csv") => (ExportFormat::Csv, "csv", "text/csv; charset=utf-8"),
        Some("parquet") => (ExportFormat::Parquet, "parquet", "application/vnd.apache.parquet"),
        Some(_) => return Err(Error::invalid_field("format", "A file is csv or parquet.").into()),
    };
    let runs: BTreeSet<RunId> = named
        .all("run")
        .map(|run| run.parse().map_err(|_| Error::invalid_field("run", "Name runs by their ids.")))
        .collect::<Result<_, _>>()?;
    let search = RunExportSearch {
        experiment_id: id,
        view: view(&named)?,
        filter: named.get("filter").unwrap_or_default(),
        order: &order(&named)?,
        runs: &runs,
        columns: named_columns(&named)?,
        format,
    };
    let experiment = state.services.experiment(&ctx, id).await?;
    let mut file = state.services.export_runs(&ctx, &search).await?;
    // What is wrong with the question shows before the answer has begun.
    let first = file.next().await?;
    let pieces = stream::try_unfold((first, file), |(piece, mut file): (Option<Vec<u8>>, RunExport)| async move {
        let Some(piece) = piece else { return Ok::<_, Error>(None) };
        let next = file.next().await?;
        Ok(Some((piece, (next, file))))
    });
    let name = format!("{}-runs.{ending}", experiment.name);
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, download::attachment(&name)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Stream::from_stream(pieces)).into_response())
}

/// Some runs of an experiment.
#[derive(Deserialize, ToSchema)]
struct ChosenRuns {
    /// Their ids, up to 1000.
    runs: BTreeSet<RunId>,
}

/// Some runs of an experiment, and a tag for them.
#[derive(Deserialize, ToSchema)]
struct Tagged {
    /// Their ids, up to 1000.
    runs: BTreeSet<RunId>,
    /// The tag's key.
    key: String,
    /// The tag's value.
    value: String,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
struct Changed {
    /// How many runs are otherwise than before.
    changed: usize,
}

/// Puts runs of an experiment away, all of them or none. Runs that were put away before stay so.
#[utoipa::path(post, path = "/api/v1/experiments/{id}/runs/delete", tag = "tracking",
    params(("id" = ExperimentId, Path)), request_body = ChosenRuns,
    responses((status = 200, body = Changed), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn delete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Body(some): Body<ChosenRuns>,
) -> Result<Json<Changed>, ApiError> {
    let changed = state.services.change_runs(&ctx, id, &some.runs, &RunsChange::Delete).await?;
    Ok(Json(Changed { changed }))
}

/// Brings deleted runs of an experiment back, all of them or none.
#[utoipa::path(post, path = "/api/v1/experiments/{id}/runs/restore", tag = "tracking",
    params(("id" = ExperimentId, Path)), request_body = ChosenRuns,
    responses((status = 200, body = Changed), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn restore(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Body(some): Body<ChosenRuns>,
) -> Result<Json<Changed>, ApiError> {
    let changed = state.services.change_runs(&ctx, id, &some.runs, &RunsChange::Restore).await?;
    Ok(Json(Changed { changed }))
}

/// Sets a tag of runs of an experiment, of all of them or none.
#[utoipa::path(post, path = "/api/v1/experiments/{id}/runs/tag", tag = "tracking",
    params(("id" = ExperimentId, Path)), request_body = Tagged,
    responses((status = 200, body = Changed), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn tag(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(id): Path<ExperimentId>,
    Body(tagged): Body<Tagged>,
) -> Result<Json<Changed>, ApiError> {
    let Tagged { runs, key, value } = tagged;
    let changed = state.services.change_runs(&ctx, id, &runs, &RunsChange::Tag { key, value }).await?;
    Ok(Json(Changed { changed }))
}
