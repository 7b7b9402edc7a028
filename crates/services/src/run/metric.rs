//! Histories of metrics, whole and thinned for charts.

use crate::{Ctx, Result, Services, boxed};
use domain::{
    Error, ErrorKind, Page,
    id::RunId,
    page,
    run::MetricSeries,
    series::{self, Point},
};
use std::{collections::HashMap, ops::RangeInclusive};
use store::{
    PgConnection,
    run::{
        RunKey,
        key::{self, KeyId, KeyKind, NamedKey},
        metric,
    },
};

/// How many points a page of a history may have.
const MAX_POINTS: usize = 100_000;
/// How many points a chart may have.
const MAX_CHART_POINTS: usize = 10_000;

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
        let keys = known_metrics(&mut conn, run.experiment, &[key]).await?;
        let Some((metric, _)) = keys.first() else { return Ok(nothing) };
        let found = metric::history(&mut conn, run.key, *metric, after, limit.clamp(1, MAX_POINTS)).await?;
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
        let keys = known_metrics(&mut conn, run.experiment, &[key]).await?;
        let Some((metric, _)) = keys.first() else { return Ok(Vec::new()) };
        let mut all = metric::series(&mut conn, &[run.key], &[*metric], None).await?;
        let points = all.remove(&(run.key, *metric)).unwrap_or_default();
        let within = steps.map_or(&points[..], |steps| {
            let from = points.partition_point(|point| point.step < *steps.start());
            let to = points.partition_point(|point| point.step <= *steps.end());
            points.get(from..to).unwrap_or_default()
        });
        Ok(series::sample(within, limit))
    }

    /// A metric of a run with about `points` points for a chart, extremes kept.
    ///
    /// # Errors
    /// `NotFound` without such a run or metric.
    #[boxed]
    pub async fn metric_series(&self, ctx: &Ctx, id: RunId, key: &str, points: usize) -> Result<MetricSeries> {
        let mut found = self.metric_series_of(ctx, id, &[key], points).await?;
        found.pop().ok_or_else(|| Error::not_found("metric of this run", key))
    }

    /// Several metrics of a run, in their order, each with about `points` points for a chart, extremes kept; without
    /// those that the run does not have.
    ///
    /// # Errors
    /// `NotFound` without such a run.
    #[boxed]
    pub async fn metric_series_of(
        &self,
        ctx: &Ctx,
        id: RunId,
        keys: &[&str],
        points: usize,
    ) -> Result<Vec<MetricSeries>> {
        let points = points.clamp(2, MAX_CHART_POINTS);
        let mut conn = self.conn().await?;
        let run = self.run_identity(&mut conn, ctx, id).await?;
        let metrics = known_metrics(&mut conn, run.experiment, keys).await?;
        let ids: Vec<KeyId> = metrics.iter().map(|(id, _)| *id).collect();
        let mut all: HashMap<(RunKey, KeyId), Vec<Point>> = metric::series(&mut conn, &[run.key], &ids, None).await?;
        let series = |(id, key): (KeyId, &str)| {
            let all = all.remove(&(run.key, id))?;
            let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
            Some(MetricSeries { key: key.to_owned(), total, points: series::thin(&all, points) })
        };
        Ok(metrics.into_iter().filter_map(series).collect())
    }
}

/// The numbers of those metrics that were ever logged in the experiment, in their order.
async fn known_metrics<'a>(
    conn: &mut PgConnection,
    experiment: domain::id::ExperimentId,
    keys: &[&'a str],
) -> Result<Vec<(KeyId, &'a str)>> {
    let named: Vec<NamedKey<'a>> = keys.iter().map(|key| (KeyKind::Metric, *key)).collect();
    let known = key::known(conn, &[experiment], &named).await?;
    Ok(named.iter().filter_map(|key| Some((*known.get(key)?.first()?, key.1))).collect())
}
