//! From an alert to a pipeline run.

use crate::{Ctx, Result, Services};
use domain::{
    Error, ErrorKind,
    id::{AlertId, PipelineId, PipelineRunId},
    monitor::Trigger,
};
use serde_json::{Map, Value};

impl Services {
    /// Starts the run that a trigger asks for: its id and number.
    pub(crate) async fn start_triggered_run(
        &self,
        _tx: &mut store::PgConnection,
        _ctx: &Ctx,
        trigger: &Trigger,
        _alert: AlertId,
    ) -> Result<(PipelineRunId, i64)> {
        Err(Error::new(ErrorKind::NotImplemented, format!("{} cannot be started yet.", trigger.pipeline)))
    }

    /// The pipeline of this name, when it takes these parameters.
    pub(crate) async fn pipeline_for_trigger(
        &self,
        _ctx: &Ctx,
        pipeline: &str,
        _params: &Map<String, Value>,
    ) -> Result<PipelineId> {
        Err(Error::new(ErrorKind::NotImplemented, format!("{pipeline} cannot be started yet.")))
    }
}
