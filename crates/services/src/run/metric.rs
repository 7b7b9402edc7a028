//! Histories of metrics, whole and thinned for charts.

use crate::{Ctx, Result, Services, boxed};
use domain::{
    Error, ErrorKind, Page,
    id::{ExperimentId, RunId},
    log_key::KeyKind,
    page,
    run::{MetricSeries, RunSeries},
    series::{self, Axis, Point, Window},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::RangeInclusive,
};
use store::run::{
    key::{self, KeyId, NamedKey},
    metric,
};

/// How many points a page of a history may have.
const MAX_POINTS: usize = 100_000;
/// How many points a curve of a chart may have.
const MAX_CHART_POINTS: usize = 10_000;
/// How many points all curves of one answer have together, about: with more curves each gets fewer.
const MAX_ANSWER_POINTS: usize = 250_000;
/// The most runs whose curves are asked for at once.
pub const MAX_CHART_RUNS: usize = 50;
/// The most metrics whose curves are asked for at once.
pub const MAX_CHART_KEYS: usize = 50;

/// Which curves, and how much of them.
#[derive(Debug, Clone, Copy)]
pub struct Curves<'a> {
    /// The metrics.
    pub keys: &'a [&'a str],
    /// About how many points each may have.
    pub points: usize,
    /// The part that is looked at.
    pub window: Window,
}

impl Curves<'_> {
    /// About how many points each curve of so many runs gets.
    fn checked(&self, runs: usize) -> Result<usize> {
        if runs > MAX_CHART_RUNS {
            return Err(Error::invalid_field("run", format!("Ask for the curves of at most {MAX_CHART_RUNS} runs.")));
        }
        if self.keys.len() > MAX_CHART_KEYS {
            return Err(Error::invalid_field("key", format!("Ask for at most {MAX_CHART_KEYS} metrics at once.")));
        }
        let Window { start, end, .. } = self.window;
        if [start, end].into_iter().flatten().any(|at| !at.is_finite()) {
            return Err(Error::invalid_field("start", "A range is from one number to another."));
        }
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(Error::invalid_field("end", "The range ends before it begins."));
        }
        let share = MAX_ANSWER_POINTS / (runs * self.keys.len()).max(1);
        Ok(self.points.clamp(2, MAX_CHART_POINTS).min(share.max(2)))
    }
}

/// Where a page of a history begins after: time, step, and the bits of the value.
type Place = (i64, i64, u64);

impl Services {
    /// A page of the points of a metric of a run, by time, step and value. A run without the metric has none, and so has a run that
    /// does not exist, as MLflow has it.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn metric_history(
        &self,
        ctx: &Ctx,
        id: RunId,
        key: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Point>> {
        let after: Option<Place> = page_token.map(page::decode).transpose()?;
        let after = after.map(|(timestamp, step, bits)| Point { timestamp, step, value: f64::from_bits(bits) });
        let nothing = Page { items: Vec::new(), next_page_token: None };
        let mut conn = self.conn().await?;
        let run = match self.run_identity(&mut conn, ctx, id).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(nothing),
            run => run?,
        };
        let Some(metric) = key::known_one(&mut conn, run.experiment, KeyKind::Metric, key).await? else {
            return Ok(nothing);
        };
        let found = metric::history(&mut conn, run.key, metric, after, limit.clamp(1, MAX_POINTS)).await?;
        let place = |point: &Point| -> Place { (point.timestamp, point.step, point.value.to_bits()) };
        let next_page_token = found.points.last().filter(|_| found.has_more).map(|last| page::encode(&place(last)));
        Ok(Page { items: found.points, next_page_token })
    }

    /// At most `limit` points of a metric of a run in the order of charts, as MLflow samples them, of those between two
    /// steps when they are given. A run without the metric has none, and so has a run that does not exist.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn metric_sample(
        &self,
        ctx: &Ctx,
        id: RunId,
        key: &str,
        steps: Option<RangeInclusive<i64>>,
        limit: usize,
    ) -> Result<Vec<Point>> {
        let mut conn = self.conn().await?;
        let run = match self.run_identity(&mut conn, ctx, id).await {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(Vec::new()),
            run => run?,
        };
        let Some(metric) = key::known_one(&mut conn, run.experiment, KeyKind::Metric, key).await? else {
            return Ok(Vec::new());
        };
        let mut all = metric::series(&mut conn, &[run.key], &[metric], None).await?;
        let points = all.remove(&(run.key, metric)).unwrap_or_default();
        let within = steps.map_or(&points[..], |steps| {
            let from = points.partition_point(|point| point.step < *steps.start());
            let to = points.partition_point(|point| point.step <= *steps.end());
            points.get(from..to).unwrap_or_default()
        });
        Ok(series::sample(within, limit))
    }

    /// Several metrics of several runs for charts, by metric and then by run, in the orders that are given, without those
    /// that a run does not have. Extremes are kept.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for more than [`MAX_CHART_RUNS`] runs or [`MAX_CHART_KEYS`] metrics, or a
    /// range that ends before it begins.
    #[boxed]
    pub async fn metric_series(&self, ctx: &Ctx, runs: &[RunId], wanted: &Curves<'_>) -> Result<Vec<RunSeries>> {
        let points = wanted.checked(runs.len())?;
        let mut conn = self.conn().await?;
        let mut identities = Vec::with_capacity(runs.len());
        for id in runs {
            identities.push((*id, self.run_identity(&mut conn, ctx, *id).await?));
        }
        // When a run started matters to one axis alone.
        let starts: HashMap<RunId, i64> = if wanted.window.axis == Axis::Relative {
            let keys: Vec<_> = identities.iter().map(|(_, run)| run.key).collect();
            store::run::infos(&mut conn, &keys).await?.into_iter().map(|run| (run.id, run.start_time)).collect()
        } else {
            HashMap::new()
        };
        let experiments: BTreeSet<ExperimentId> = identities.iter().map(|(_, run)| run.experiment).collect();
        let experiments: Vec<ExperimentId> = experiments.into_iter().collect();
        let named: Vec<NamedKey<'_>> = wanted.keys.iter().map(|key| (KeyKind::Metric, *key)).collect();
        // One name may have several numbers: runs of several experiments are compared.
        let known = key::known(&mut conn, &experiments, &named).await?;
        let numbers: Vec<KeyId> = known.values().flatten().copied().collect();
        let mut found: Vec<Vec<RunSeries>> = wanted.keys.iter().map(|_| Vec::new()).collect();
        for (id, run) in identities {
            let mut all = metric::series(&mut conn, &[run.key], &numbers, None).await?;
            let start = starts.get(&id).copied().unwrap_or_default();
            for (place, named) in named.iter().enumerate() {
                let numbers = known.get(named).map(Vec::as_slice).unwrap_or_default();
                let of_run = numbers.iter().find_map(|number| all.remove(&(run.key, *number)));
                let Some(of_run) = of_run else { continue };
                let total = i64::try_from(of_run.len()).unwrap_or(i64::MAX);
                let within = wanted.window.of(of_run, start);
                let series = MetricSeries { key: named.1.to_owned(), total, points: series::thin(&within, points) };
                found[place].push(RunSeries { run_id: id, series });
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// How many points each metric of these runs has, of the run that has the most of it.
    ///
    /// # Errors
    /// `NotFound` without such a run.
    #[boxed]
    pub async fn metric_lengths(&self, ctx: &Ctx, runs: &[RunId]) -> Result<BTreeMap<String, i64>> {
        let mut conn = self.conn().await?;
        let mut keys = Vec::with_capacity(runs.len());
        for id in runs {
            keys.push(self.run_identity(&mut conn, ctx, *id).await?.key);
        }
        let lengths = metric::lengths(&mut conn, &keys).await?;
        let numbers: Vec<KeyId> = lengths.keys().copied().collect();
        // One name may have several numbers: runs of several experiments are compared.
        let mut by_name: BTreeMap<String, i64> = BTreeMap::new();
        for (number, name) in key::names(&mut conn, &numbers).await? {
            let most = by_name.entry(name).or_default();
            *most = lengths.get(&number).copied().unwrap_or_default().max(*most);
        }
        Ok(by_name)
    }
}
