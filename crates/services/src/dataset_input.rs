//! Data sets that runs read.

use crate::{Ctx, Result, Services, boxed};
use domain::{Error, id::ExperimentId};
use store::run::input::DatasetSummary;

/// The most experiments whose data sets are asked for at once.
const MAX_OF_DATASETS: usize = 20;
/// The most data sets of an answer.
const MAX_DATASETS: i64 = 1000;

impl Services {
    /// The data sets that runs of these experiments read, each once for every purpose; `0` is the default experiment.
    ///
    /// # Errors
    /// `Invalid` for no experiment, or too many.
    #[boxed]
    pub async fn search_datasets(&self, ctx: &Ctx, experiments: &[ExperimentId]) -> Result<Vec<DatasetSummary>> {
        let wrong = |message: String| Err(Error::invalid_field("experiment_ids", message));
        if experiments.is_empty() {
            return wrong("SearchDatasets request must specify at least one experiment_id.".to_owned());
        }
        if experiments.len() > MAX_OF_DATASETS {
            return wrong(format!(
                "SearchDatasets request cannot specify more than {MAX_OF_DATASETS} experiment_ids. Received {} \
                 experiment_ids.",
                experiments.len()
            ));
        }
        let mut conn = self.conn().await?;
        let experiments = crate::run::resolve_experiments(&mut conn, ctx, experiments).await?;
        Ok(store::run::input::summaries(&mut conn, ctx.workspace_id(), &experiments, MAX_DATASETS).await?)
    }
}
