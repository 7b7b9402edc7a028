//! Finding runs.

use crate::{Ctx, Result, Services, boxed, experiment, page_rows};
use domain::{
    Page,
    experiment::ViewType,
    id::{ExperimentId, RunId},
    page,
    run::Run,
    search,
};
use std::sync::Arc;
use store::{PgConnection, keyset::Place};

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
}

/// The experiments of these numbers, with `0` as the number of the default one.
pub(crate) async fn resolve(conn: &mut PgConnection, ctx: &Ctx, ids: &[ExperimentId]) -> Result<Vec<ExperimentId>> {
    let mut resolved: Vec<ExperimentId> = ids.iter().copied().filter(|id| id.0 != 0).collect();
    if resolved.len() < ids.len() {
        resolved.push(experiment::experiment(conn, ctx, ExperimentId(0)).await?.id);
    }
    Ok(resolved)
}
