//! The table of an experiment's runs: a page of it, and its runs in groups.

use crate::{Ctx, Result, Services, boxed, experiment, page_rows};
use domain::{
    Error,
    experiment::{Experiment, ViewType},
    id::{ExperimentId, RunId},
    log_key::{KeyKind, is_of_model},
    page,
    run_table::{
        GroupSort, MAX_COLUMNS, MetricSummary, RunAttribute, RunColumn, RunGroup, RunGroups, RunRow, RunTable,
        group_filter,
    },
    search::{self, RunFilter},
    series,
};
use std::collections::{BTreeMap, HashMap};
use store::{
    PgConnection,
    keyset::Place,
    run::{
        RunKey, group, input,
        key::{self, KeyId, NamedKey},
        log, metric,
        search::Search,
    },
};

/// Which page of an experiment's runs, with which columns.
#[derive(Debug, Clone, Default)]
pub struct RunTableSearch<'a> {
    /// The experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// In use, put away, or both.
    pub view: ViewType,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// Entries of an order; without any, the last started first.
    pub order: &'a [String],
    /// The columns to show; when none, what most people want to see and what most runs of the page have.
    pub columns: Option<Vec<RunColumn>>,
    /// A metric whose course is drawn in each row.
    pub curve: Option<&'a str>,
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most runs of the page.
    pub limit: usize,
}

/// Which runs of an experiment, in which groups.
#[derive(Debug, Clone)]
pub struct RunGroupSearch<'a> {
    /// The experiment; `0` is the default one.
    pub experiment_id: ExperimentId,
    /// In use, put away, or both.
    pub view: ViewType,
    /// A filter in the search language; empty for none.
    pub filter: &'a str,
    /// What the runs of a group share.
    pub by: RunColumn,
    /// The metrics to sum up; some that most of the newest runs have when none.
    pub metrics: Option<Vec<String>>,
    /// What groups are ordered by, and whether the largest comes first.
    pub sort: (GroupSort, bool),
    /// The most groups.
    pub limit: usize,
}

/// How many metrics, and how many params, a table shows when nobody has chosen.
const SHOWN: (i64, i64) = (6, 4);
/// Of how many runs of a page the keys are counted to know what most of them have.
const SAMPLE: usize = 12;
/// How many metrics groups sum up when nobody has chosen, and at most.
const SUMMED: (i64, usize) = (3, 8);
/// The most groups that are answered with.
const MAX_GROUPS: usize = 1000;
/// About how many points of a curve a row shows, and of how many packed stretches they are taken.
const CURVE: (usize, i64) = (40, 8);

impl Services {
    /// A page of an experiment's runs, as a table.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` for a wrong filter, order, page token, or too many columns.
    #[boxed]
    pub async fn run_table(&self, ctx: &Ctx, wanted: &RunTableSearch<'_>) -> Result<RunTable> {
        let after: Option<Place> = wanted.page_token.map(page::decode).transpose()?;
        check_columns(wanted.columns.as_deref().unwrap_or_default())?;
        let order = search::run_order(wanted.order)?;
        let filter = search::run_filter(wanted.filter)?;
        let mut conn = self.conn().await?;
        let experiment = experiment::experiment(&mut conn, ctx, wanted.experiment_id).await?;
        let mut search = of_experiment(ctx, &experiment, wanted.view, filter);
        search.order = order;
        let limit = page_rows(wanted.limit.min(page::MAX_PAGE));
        let found = store::run::search::search(&mut conn, &search, after.as_deref(), limit).await?;
        let keys: Vec<RunKey> = found.items.iter().map(|stamp| stamp.key).collect();
        let filtered = store::run::search::count(&mut conn, &search).await?;
        let total = match search.filter.take() {
            Some(_) => store::run::search::count(&mut conn, &search).await?,
            None => filtered,
        };
        let columns = match &wanted.columns {
            Some(columns) => columns.clone(),
            None => usual_columns(&mut conn, &keys).await?,
        };
        let mut rows = rows(&mut conn, experiment.id, &keys, &columns).await?;
        if let Some(curve) = wanted.curve.filter(|curve| !curve.contains('\0')) {
            draw(&mut conn, experiment.id, &keys, &mut rows, curve).await?;
        }
        let next_page_token = found.next.map(|place| page::encode(&place));
        Ok(RunTable { rows, columns, total, filtered, next_page_token })
    }

    /// The runs of an experiment in groups: the first of them, and how many there are.
    ///
    /// # Errors
    /// `NotFound` without such an experiment; `Invalid` for a wrong filter, for what runs cannot be grouped by, or too many
    /// metrics.
    #[boxed]
    pub async fn run_groups(&self, ctx: &Ctx, wanted: &RunGroupSearch<'_>) -> Result<RunGroups> {
        let filter = search::run_filter(wanted.filter)?;
        if wanted.metrics.as_ref().is_some_and(|metrics| metrics.len() > SUMMED.1) {
            return Err(Error::invalid(format!("Groups sum up at most {} metrics; take some away.", SUMMED.1)));
        }
        if let Some(metric) = wanted.metrics.iter().flatten().find(|metric| metric.contains('\0')) {
            return Err(Error::invalid(format!("There is no metric \"{}\".", metric.replace(char::is_control, " "))));
        }
        let mut conn = self.conn().await?;
        let experiment = experiment::experiment(&mut conn, ctx, wanted.experiment_id).await?;
        let search = of_experiment(ctx, &experiment, wanted.view, filter.clone());
        let by = by(&mut conn, experiment.id, &wanted.by).await?;
        let mut metrics = match &wanted.metrics {
            Some(metrics) => metrics.clone(),
            None => self.usual_metrics(&mut conn, &search).await?,
        };
        if let Some(sorted) = wanted.sort.0.metric()
            && !metrics.iter().any(|metric| metric == sorted)
        {
            metrics.insert(0, sorted.to_owned());
        }
        let named: Vec<NamedKey<'_>> = metrics.iter().map(|metric| (KeyKind::Metric, metric.as_str())).collect();
        let known = key::known(&mut conn, &[experiment.id], &named).await?;
        let id = |metric: &str| known.get(&(KeyKind::Metric, metric)).and_then(|ids| ids.first()).copied();
        let (order, descending) = match &wanted.sort {
            (GroupSort::Count, descending) => (group::Order::Count, *descending),
            (GroupSort::Value, descending) => (group::Order::Value, *descending),
            (GroupSort::Latest, descending) => (group::Order::Latest, *descending),
            // By what no run has, all groups are equal.
            (GroupSort::Mean(key), descending) => {
                id(key).map_or((group::Order::Value, false), |id| (group::Order::Mean(id), *descending))
            }
            (GroupSort::Min(key), descending) => {
                id(key).map_or((group::Order::Value, false), |id| (group::Order::Min(id), *descending))
            }
            (GroupSort::Max(key), descending) => {
                id(key).map_or((group::Order::Value, false), |id| (group::Order::Max(id), *descending))
            }
        };
        let limit = page_rows(wanted.limit.min(MAX_GROUPS));
        let found = group::groups(&mut conn, &search, by, (order, descending), limit).await?;
        let values: Vec<Option<String>> = found.iter().map(|group| group.value.clone()).collect();
        let ids: Vec<KeyId> = metrics.iter().filter_map(|metric| id(metric)).collect();
        let mut summaries = summaries(&mut conn, &search, by, &values, &ids).await?;
        let (all, runs) = found.first().map_or((0, 0), |group| (group.all, group.all_runs));
        let groups = found.into_iter().map(|found| {
            let metrics = metrics
                .iter()
                .filter_map(|metric| Some((metric.clone(), summaries.remove(&(found.value.clone(), id(metric)?))?)));
            let condition = group_filter(&wanted.by, found.value.as_deref());
            let filter = match (filter.clone(), condition) {
                (Some(filter), Some(condition)) => Some(filter.and(condition)),
                (filter, condition) => condition.or(filter),
            };
            RunGroup {
                metrics: metrics.collect(),
                runs: found.runs,
                latest: found.latest,
                filter: filter.map(|filter| filter.to_string()).unwrap_or_default(),
                value: found.value,
            }
        });
        Ok(RunGroups { groups: groups.collect(), by: wanted.by.clone(), metrics, all, runs })
    }

    /// The metrics that most of the newest runs have.
    async fn usual_metrics(&self, conn: &mut PgConnection, search: &Search) -> Result<Vec<String>> {
        let newest = store::run::search::search(conn, search, None, page_rows(SAMPLE)).await?;
        let newest: Vec<RunKey> = newest.items.iter().map(|stamp| stamp.key).collect();
        common_metrics(conn, &newest, SUMMED.0).await
    }

    /// How many metrics, params and tags were ever logged in an experiment, each key once.
    ///
    /// # Errors
    /// `NotFound` without such an experiment.
    #[boxed]
    pub async fn count_run_keys(&self, ctx: &Ctx, id: ExperimentId) -> Result<i64> {
        let mut conn = self.conn().await?;
        let id = experiment::experiment(&mut conn, ctx, id).await?.id;
        Ok(key::count(&mut conn, id).await?)
    }
}

/// A search of the runs of one experiment, the last started first.
pub(super) fn of_experiment(ctx: &Ctx, experiment: &Experiment, view: ViewType, filter: Option<RunFilter>) -> Search {
    // The order of no entries is always right.
    let order = search::run_order(&[] as &[&str]).unwrap_or_default();
    Search { workspace: ctx.workspace_id(), experiments: vec![experiment.id], view, filter, order }
}

fn check_columns(columns: &[RunColumn]) -> Result<()> {
    if columns.len() > MAX_COLUMNS {
        return Err(Error::invalid(format!("A table shows at most {MAX_COLUMNS} columns; take some away.")));
    }
    Ok(())
}

/// What a table shows when nobody has chosen: how each run stands, and the metrics and params that most of some runs of
/// the page have. Of all of them it is not asked, since each may have thousands.
async fn usual_columns(conn: &mut PgConnection, keys: &[RunKey]) -> Result<Vec<RunColumn>> {
    let sample: Vec<RunKey> = keys.iter().step_by(keys.len().div_ceil(SAMPLE).max(1)).copied().collect();
    let metrics = common_metrics(conn, &sample, SHOWN.0).await?;
    let params = key::common(conn, &sample, KeyKind::Param, SHOWN.1).await?;
    let fixed = [RunAttribute::Status, RunAttribute::Start, RunAttribute::Duration, RunAttribute::User];
    let mut columns: Vec<RunColumn> = fixed.into_iter().map(RunColumn::Attribute).collect();
    columns.extend(metrics.into_iter().map(RunColumn::Metric));
    columns.extend(params.into_iter().map(RunColumn::Param));
    if !input::dataset_names(conn, keys).await?.is_empty() {
        columns.push(RunColumn::Attribute(RunAttribute::Datasets));
    }
    Ok(columns)
}

/// The metrics that most of these runs have, but for those of the machine.
async fn common_metrics(conn: &mut PgConnection, runs: &[RunKey], limit: i64) -> Result<Vec<String>> {
    let mut metrics = key::common(conn, runs, KeyKind::Metric, limit).await?;
    metrics.retain(|key| is_of_model(key));
    Ok(metrics)
}

/// The keys of an experiment that these columns show, by number: of metrics, of params, of tags.
pub(super) async fn column_keys(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    columns: &[RunColumn],
) -> Result<[HashMap<KeyId, String>; 3]> {
    let named: Vec<NamedKey<'_>> = columns.iter().filter_map(|column| Some((column.kind()?, column.key()))).collect();
    let known = key::known(conn, &[experiment], &named).await?;
    Ok(KeyKind::ALL.map(|kind| {
        let of_kind = known.iter().filter(|((of, _), _)| *of == kind);
        of_kind.filter_map(|((_, name), ids)| Some((*ids.first()?, (*name).to_owned()))).collect()
    }))
}

/// The rows of these runs, with what the columns show and no more.
pub(super) async fn rows(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    keys: &[RunKey],
    columns: &[RunColumn],
) -> Result<Vec<RunRow>> {
    let names = column_keys(conn, experiment, columns).await?;
    rows_of(conn, keys, &names).await
}

/// The same, with the keys by number.
pub(super) async fn rows_of(
    conn: &mut PgConnection,
    keys: &[RunKey],
    [metrics, params, tags]: &[HashMap<KeyId, String>; 3],
) -> Result<Vec<RunRow>> {
    let ids = |names: &HashMap<KeyId, String>| names.keys().copied().collect::<Vec<_>>();
    let infos = store::run::infos(conn, keys).await?;
    let mut found_metrics = metric::latest(conn, keys, &ids(metrics)).await?;
    let mut found_params = log::values(conn, KeyKind::Param, keys, &ids(params)).await?;
    let mut found_tags = log::values(conn, KeyKind::Tag, keys, &ids(tags)).await?;
    let mut datasets = input::dataset_names(conn, keys).await?;
    let mut versions = store::run::versions(conn, keys).await?;
    let texts = |names: &HashMap<KeyId, String>, found: Option<Vec<(KeyId, String)>>| -> BTreeMap<String, String> {
        let found = found.unwrap_or_default().into_iter();
        found.filter_map(|(key, value)| Some((names.get(&key)?.clone(), value))).collect()
    };
    let row = |(info, key)| RunRow {
        info,
        metrics: (found_metrics.remove(key).unwrap_or_default().into_iter())
            .filter_map(|(key, point)| Some((metrics.get(&key)?.clone(), point.value)))
            .collect(),
        params: texts(params, found_params.remove(key)),
        tags: texts(tags, found_tags.remove(key)),
        datasets: datasets.remove(key).unwrap_or_default(),
        versions: versions.remove(key).unwrap_or_default(),
        curve: Vec::new(),
    };
    Ok(infos.into_iter().zip(keys).map(row).collect())
}

/// Gives each row the course of a metric.
async fn draw(
    conn: &mut PgConnection,
    experiment: ExperimentId,
    keys: &[RunKey],
    rows: &mut [RunRow],
    curve: &str,
) -> Result<()> {
    let Some(id) = key::known_one(conn, experiment, KeyKind::Metric, curve).await? else { return Ok(()) };
    let mut found = metric::series(conn, keys, &[id], Some(CURVE.1)).await?;
    for (row, key) in rows.iter_mut().zip(keys) {
        row.curve = series::thin(&found.remove(&(*key, id)).unwrap_or_default(), CURVE.0);
    }
    Ok(())
}

async fn by(conn: &mut PgConnection, experiment: ExperimentId, column: &RunColumn) -> Result<group::By> {
    Ok(match (column, column.kind()) {
        (RunColumn::Attribute(RunAttribute::Name), _) => group::By::Name,
        (RunColumn::Attribute(RunAttribute::Status), _) => group::By::Status,
        (RunColumn::Attribute(RunAttribute::User), _) => group::By::User,
        (RunColumn::Param(key) | RunColumn::Tag(key), Some(kind)) => {
            group::By::Key(kind, key::known_one(conn, experiment, kind, key).await?)
        }
        _ => {
            return Err(Error::invalid_field(
                "group",
                format!("Runs cannot be grouped by {column}; group by a param, a tag, status, user_id or run_name."),
            ));
        }
    })
}

async fn summaries(
    conn: &mut PgConnection,
    search: &Search,
    by: group::By,
    values: &[Option<String>],
    metrics: &[KeyId],
) -> Result<HashMap<(Option<String>, KeyId), MetricSummary>> {
    let found = group::summaries(conn, search, by, values, metrics).await?;
    let keys: Vec<RunKey> = found.iter().flat_map(|summary| [summary.min.1, summary.max.1]).collect();
    let ids: HashMap<RunKey, RunId> = store::run::ids(conn, &keys).await?;
    let summary = |summary: group::Summary| {
        let (min, max) = (summary.min, summary.max);
        let (min_run, max_run) = (*ids.get(&min.1)?, *ids.get(&max.1)?);
        let known = MetricSummary { runs: summary.runs, mean: summary.mean, min: min.0, min_run, max: max.0, max_run };
        Some(((summary.value, summary.key), known))
    };
    Ok(found.into_iter().filter_map(summary).collect())
}
