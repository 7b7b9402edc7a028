//! Finding runs, and the table of an experiment's runs.

use crate::{Ctx, Result, Services, boxed, experiment, page_rows};
use domain::{
    Page,
    experiment::ViewType,
    id::{ExperimentId, RunId},
    page,
    run::{Run, RunRow, RunTable},
    search,
};
use std::sync::Arc;
use store::{
    PgConnection,
    keyset::Place,
    run::{RunKey, input, log, metric},
};

/// Which page of which runs.
#[derive(Debug, Clone)]
pub struct RunSearch<'a> {
    /// Runs of these experiments; `0` is the default one. Of none when empty.
    pub experiments: Vec<ExperimentId>,
    /// In use, put away, or both.
    pub view: ViewType,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Entries of an order; without any, the last started first.
    pub order: &'a [String],
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most runs of the page.
    pub limit: usize,
}

/// Which page of an experiment's runs, with which columns.
#[derive(Debug, Clone, Default)]
pub struct RunTableSearch<'a> {
    /// The experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Entries of an order; without any, the last started first.
    pub order: &'a [String],
    /// The metrics to show; those that most runs of the page have when none.
    pub metric_keys: Option<Vec<String>>,
    /// The params to show; those that most runs of the page have when none.
    pub param_keys: Option<Vec<String>>,
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most runs of the page.
    pub limit: usize,
}

/// How many metrics, and how many params, a table shows when nobody has chosen.
const SHOWN: i64 = 8;
/// How many metrics, and how many params, there are to choose from.
const MAX_COLUMNS: i64 = 10_000;
/// How many metrics, and how many params, somebody may choose.
const MAX_SHOWN: usize = 50;

impl Services {
    /// A page of runs, with the latest of all that was logged to each.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn search_runs(&self, ctx: &Ctx, wanted: &RunSearch<'_>) -> Result<Page<Arc<Run>>> {
        let after: Option<Place> = wanted.page_token.map(page::decode).transpose()?;
        let filter = search::run_filter(wanted.filter)?;
        let order = search::run_order(wanted.order)?;
        let mut conn = self.conn().await?;
        let experiments = resolve(&mut conn, ctx, &wanted.experiments).await?;
        if experiments.is_empty() {
            return Ok(Page { items: Vec::new(), next_page_token: None });
        }
        let search =
            store::run::search::Search { workspace: ctx.workspace_id(), experiments, view: wanted.view, filter, order };
        let found = store::run::search::search(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        let runs = self.load_runs(&mut conn, &found.items).await?;
        Ok(experiment::to_page(found.with(runs)))
    }

    /// The runs of these ids, deleted or not, in the order of the ids; those that the workspace has.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn runs(&self, ctx: &Ctx, ids: &[RunId]) -> Result<Vec<Arc<Run>>> {
        let mut conn = self.conn().await?;
        let stamps = store::run::stamps(&mut conn, ctx.workspace_id(), ids).await?;
        self.load_runs(&mut conn, &stamps).await
    }

    /// The keys of the metrics and of the params that the newest runs of an experiment have, the most frequent first.
    ///
    /// # Errors
    /// `NotFound` without such an experiment.
    #[boxed]
    pub async fn run_columns(&self, ctx: &Ctx, id: ExperimentId) -> Result<(Vec<String>, Vec<String>)> {
        let mut conn = self.conn().await?;
        let search = store::run::search::Search {
            workspace: ctx.workspace_id(),
            experiments: vec![experiment::experiment(&mut conn, ctx, id).await?.id],
            view: ViewType::ActiveOnly,
            filter: None,
            order: search::run_order(&["start_time DESC"])?,
        };
        let newest = store::run::search::search(&mut conn, &search, None, page_rows(page::MAX_PAGE)).await?.items;
        let newest: Vec<RunKey> = newest.iter().map(|stamp| stamp.key).collect();
        let metrics = metric::keys(&mut conn, &newest, MAX_COLUMNS).await?;
        Ok((metrics, log::param_keys(&mut conn, &newest, MAX_COLUMNS).await?))
    }

    /// A page of an experiment's active runs, as a table.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` for a wrong filter, order, page token, or too many columns.
    #[boxed]
    pub async fn run_table(&self, ctx: &Ctx, wanted: &RunTableSearch<'_>) -> Result<RunTable> {
        let after: Option<Place> = wanted.page_token.map(page::decode).transpose()?;
        for chosen in [&wanted.metric_keys, &wanted.param_keys].into_iter().flatten() {
            if chosen.len() > MAX_SHOWN {
                return Err(domain::Error::invalid(format!("A table shows at most {MAX_SHOWN} columns of a sort.")));
            }
        }
        let order = search::run_order(wanted.order)?;
        let filter = search::run_filter(wanted.filter)?;
        let mut conn = self.conn().await?;
        let experiment = experiment::experiment(&mut conn, ctx, wanted.experiment_id).await?;
        let mut search = store::run::search::Search {
            workspace: ctx.workspace_id(),
            experiments: vec![experiment.id],
            view: ViewType::ActiveOnly,
            filter,
            order,
        };
        let limit = page_rows(wanted.limit.min(page::MAX_PAGE));
        let found = store::run::search::search(&mut conn, &search, after.as_deref(), limit).await?;
        let keys: Vec<RunKey> = found.items.iter().map(|stamp| stamp.key).collect();
        let filtered = store::run::search::count(&mut conn, &search).await?;
        let total = match search.filter.take() {
            Some(_) => store::run::search::count(&mut conn, &search).await?,
            None => filtered,
        };
        let metric_keys = match &wanted.metric_keys {
            Some(keys) => keys.clone(),
            None => metric::keys(&mut conn, &keys, SHOWN).await?,
        };
        let param_keys = match &wanted.param_keys {
            Some(keys) => keys.clone(),
            None => log::param_keys(&mut conn, &keys, SHOWN).await?,
        };
        let rows = rows(&mut conn, &keys, &metric_keys, &param_keys).await?;
        let next_page_token = found.next.map(|place| page::encode(&place));
        Ok(RunTable { rows, metric_keys, param_keys, total, filtered, next_page_token })
    }
}

/// The experiments of these numbers, with `0` as the number of the default one.
pub(crate) async fn resolve(conn: &mut PgConnection, ctx: &Ctx, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>> {
    let mut resolved: Vec<ExperimentId> = ids.iter().copied().filter(|id| id.0 != 0).collect();
    if resolved.len() < ids.len() {
        resolved.push(experiment::experiment(conn, ctx, ExperimentId(0)).await?.id);
    }
    Ok(resolved)
}

async fn rows(
    conn: &mut PgConnection,
    keys: &[RunKey],
    metric_keys: &[String],
    param_keys: &[String],
) -> Result<Vec<RunRow>> {
    let infos = store::run::infos(conn, keys).await?;
    let mut metrics = metric::latest(conn, keys, metric_keys).await?;
    let mut params = log::params(conn, keys, param_keys).await?;
    let mut datasets = input::dataset_names(conn, keys).await?;
    let mut versions = store::run::versions(conn, keys).await?;
    let row = |(info, key)| RunRow {
        info,
        metrics: metrics.remove(key).unwrap_or_default().into_iter().map(|metric| (metric.key, metric.value)).collect(),
        params: params.remove(key).unwrap_or_default(),
        datasets: datasets.remove(key).unwrap_or_default(),
        versions: versions.remove(key).unwrap_or_default(),
    };
    Ok(infos.into_iter().zip(keys).map(row).collect())
}
