//! Histories of metrics: of one run whole, of several thinned.

use super::{
    MlflowError,
    answer::{self, Part, WireMetric, WireRunMetric, done},
    fields::{Fields, missing, run_id},
};
use crate::{
    access::{Access, Context},
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::Method,
    response::{IntoResponse as _, Response},
};
use domain::{Error, id::RunId, permission::Permission};
use services::{Ctx, Services};
use std::ops::RangeInclusive;

/// The most points that are in memory at once, however many are asked for.
const POINTS: usize = 10_000;
/// The most runs of a request.
const RUNS: usize = 100;
/// The most points of each run, when they are sampled.
const SAMPLE: i64 = 2500;
/// The most points of all runs, when they are not.
const WHOLE: usize = 25_000;

pub(super) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    routes
        .mlflow(Method::GET, "/2.0/mlflow/metrics/get-history", read, history)
        .mlflow(Method::GET, "/2.0/mlflow/metrics/get-history-bulk-interval", read, sampled)
        .ajax(Method::GET, "/2.0/mlflow/metrics/get-history-bulk", read, of_runs)
}

async fn history(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let key = fields.required("metric_key")?;
    let limit = match fields.integer("max_results")? {
        None => usize::MAX,
        Some(_) => fields.max_results(usize::MAX, usize::MAX)?.min(100_000),
    };
    // A run that cannot be is one without points.
    let id = match fields.run_id() {
        Err(error) if error.kind == domain::ErrorKind::NotFound => return Ok(done().into_response()),
        id => id?,
    };
    let page = state.services.metric_history(&ctx, id, key, fields.page_token()?, limit.min(POINTS)).await?;
    let metrics: Vec<WireMetric<'_>> = page.items.iter().map(|point| WireMetric::new(key, point)).collect();
    if page.next_page_token.is_none() || limit <= POINTS {
        return Ok(Json(answer::page("metrics", &metrics, page.next_page_token)).into_response());
    }
    let first = Part::new(&metrics, page.next_page_token)?;
    let (services, key) = (state.services, key.to_owned());
    Ok(answer::in_parts("metrics", first, limit, move |token, left| {
        let (services, ctx, key) = (services.clone(), ctx.clone(), key.clone());
        async move {
            let page = services.metric_history(&ctx, id, &key, Some(&token), left.min(POINTS)).await?;
            let metrics: Vec<WireMetric<'_>> = page.items.iter().map(|point| WireMetric::new(&key, point)).collect();
            Part::new(&metrics, page.next_page_token)
        }
    }))
}

/// What is asked of several runs.
struct Sample {
    runs: Vec<RunId>,
    key: String,
    steps: Option<RangeInclusive<i64>>,
    limit: usize,
}

impl Sample {
    fn read(fields: &Fields) -> Result<Self, Error> {
        let ids = fields.texts("run_ids")?;
        if ids.is_empty() {
            return Err(missing("run_ids"));
        }
        if ids.len() > RUNS {
            let message = format!(
                "GetMetricHistoryBulkInterval request must specify at most {RUNS} run_ids. Received {} run_ids. See the API docs \
                 for more information about request parameters.",
                ids.len()
            );
            return Err(Error::invalid_field("run_ids", message));
        }
        let key = fields.required("metric_key")?.to_owned();
        let steps = match (fields.integer("start_step")?, fields.integer("end_step")?) {
            (None, None) => None,
            (Some(start), Some(end)) if start > end => {
                let message =
                    format!("end_step must be greater than start_step. Found start_step={start} and end_step={end}.");
                return Err(Error::invalid_field("end_step", message));
            }
            (Some(start), Some(end)) => Some(start..=end),
            _ => {
                let message = "If either start step or end step are specified, both must be specified.";
                return Err(Error::invalid_field("end_step", message));
            }
        };
        let limit = fields.integer("max_results")?.unwrap_or(SAMPLE);
        if !(1..=SAMPLE).contains(&limit) {
            let message = format!(
                "max_results must be between 1 and {SAMPLE}. See the API docs for more information about request parameters."
            );
            return Err(Error::invalid_field("max_results", message));
        }
        // Ids that no run has are of runs without points.
        let runs = ids.iter().filter_map(|id| run_id(id).ok()).collect();
        Ok(Self { runs, key, steps, limit: usize::try_from(limit).unwrap_or(1) })
    }

    /// The points of the run at this place, and the place of the next one.
    async fn part(&self, services: &Services, ctx: &Ctx, at: usize) -> Result<Part, Error> {
        let Some(id) = self.runs.get(at) else { return Part::new::<WireMetric<'_>>(&[], None) };
        let points = services.metric_sample(ctx, *id, &self.key, self.steps.clone(), self.limit).await?;
        let run = id.simple();
        let points: Vec<_> = points.iter().map(|point| WireRunMetric::new(&run, &self.key, point)).collect();
        Part::new(&points, (at + 1 < self.runs.len()).then(|| (at + 1).to_string()))
    }
}

/// The histories of several runs, of each a sample. One run is read at a time, and sent before the next is.
async fn sampled(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let (services, sample) = (state.services, std::sync::Arc::new(Sample::read(&fields)?));
    let mut first = sample.part(&services, &ctx, 0).await?;
    for at in 1..sample.runs.len() {
        if !first.is_empty() {
            break;
        }
        first = sample.part(&services, &ctx, at).await?;
    }
    if first.is_empty() {
        return Ok(done().into_response());
    }
    Ok(answer::in_parts("metrics", first, usize::MAX, move |token, _| {
        let (services, ctx, sample) = (services.clone(), ctx.clone(), sample.clone());
        async move { sample.part(&services, &ctx, token.parse().unwrap_or(usize::MAX)).await }
    }))
}

/// The histories of several runs, one after the other, until there are too many points.
async fn of_runs(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Response, MlflowError> {
    let mut ids = fields.texts("run_id")?;
    if ids.is_empty() {
        let message = "GetMetricHistoryBulk request must specify at least one run_id.";
        return Err(Error::invalid_field("run_id", message).into());
    }
    if ids.len() > RUNS {
        let message = format!(
            "GetMetricHistoryBulk request cannot specify more than {RUNS} run_ids. Received {} run_ids.",
            ids.len()
        );
        return Err(Error::invalid_field("run_id", message).into());
    }
    let key = fields
        .text("metric_key")?
        .ok_or_else(|| Error::invalid_field("metric_key", "GetMetricHistoryBulk request must specify a metric_key."))?;
    let mut left = fields.max_results(WHOLE, usize::MAX)?.min(WHOLE);
    ids.sort_unstable();
    ids.dedup();
    let (mut metrics, mut truncated) = (Vec::new(), "");
    'runs: for id in &ids {
        let Ok(run) = run_id(id) else { continue };
        let mut token = None;
        loop {
            // One more tells whether something is left out.
            let wanted = (left + 1).min(POINTS);
            let page = state.services.metric_history(&ctx, run, key, token.as_deref(), wanted).await?;
            let kept = &page.items[..page.items.len().min(left)];
            metrics.extend(kept.iter().map(|point| serde_json::json!(WireRunMetric::new(id, key, point))));
            left -= kept.len();
            if kept.len() < page.items.len() {
                truncated = "metrics";
                break 'runs;
            }
            match page.next_page_token {
                Some(next) => token = Some(next),
                None => break,
            }
        }
    }
    Ok(answer::with_truncated(Json(serde_json::json!({ "metrics": metrics })), truncated))
}
