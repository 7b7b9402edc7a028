//! Histories of metrics, whole and thinned for charts.

use super::find;
use crate::{Ctx, Result, Services, boxed};
use domain::{
    Error, Page,
    id::RunId,
    page,
    run::{Metric, MetricSeries},
    series::Thinner,
};
use futures::{TryStreamExt as _, pin_mut};
use store::run::metric::{self, HistoryPlace};

/// How many points a page of a history may have.
const MAX_POINTS: usize = 100_000;
/// How many points a chart may have.
const MAX_CHART_POINTS: usize = 10_000;

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
    ) -> Result<Page<Metric>> {
        let after: Option<HistoryPlace> = page_token.map(page::decode).transpose()?;
        let mut conn = self.conn().await?;
        let Some((run, _)) = store::run::find(&mut conn, ctx.workspace_id(), id).await? else {
            return Ok(Page { items: Vec::new(), next_page_token: None });
        };
        let limit = limit.clamp(1, MAX_POINTS);
        let points = metric::history(&mut conn, run, key, after, limit as i64 + 1).await?;
        let place = |point: &Metric| -> HistoryPlace { (point.timestamp, point.step, point.value.to_bits()) };
        Ok(Page::cut(points, limit, place))
    }

    /// A metric of a run with about `points` points for a chart, extremes kept.
    ///
    /// # Errors
    /// `NotFound` without such a run or metric.
    #[boxed]
    pub async fn metric_series(&self, ctx: &Ctx, id: RunId, key: &str, points: usize) -> Result<MetricSeries> {
        let points = points.clamp(2, MAX_CHART_POINTS);
        let mut conn = self.conn().await?;
        let (run, _) = find(&mut conn, ctx, id).await?;
        let total = metric::count(&mut conn, run, key).await?;
        if total == 0 {
            return Err(Error::not_found("metric of this run", key));
        }
        let mut thinner = Thinner::new(usize::try_from(total).unwrap_or(usize::MAX), points);
        let all = metric::series(&mut conn, run, key);
        pin_mut!(all);
        while let Some(point) = all.try_next().await? {
            thinner.push(point);
        }
        Ok(MetricSeries { key: key.to_owned(), total, points: thinner.finish() })
    }
}
