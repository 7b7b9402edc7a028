//! Tracked runs of steps: those that an MLflow client logs with a step's token, and those that are made for outputs.

use crate::{Credential, Ctx, Event, NewExperimentRun, Result, RunChange, Services, boxed, commit, experiment};
use chrono::Utc;
use domain::{
    Error, ErrorKind,
    audit::{Object, ObjectKind},
    id::{ExperimentId, RunId},
    log_batch::{LogBatch, RawMetric},
    log_key::KeyKind,
    pipeline::OutputKind,
    run::RunStatus,
    step::{StepOutput, Versioned},
    values::MetricValue,
};
use std::collections::BTreeMap;
use store::step::tracked::OfToken;

/// The tag that names the run that a run is nested under.
pub(crate) const PARENT: &str = "mlflow.parentRunId";

/// What a run that is logged from a step is.
pub(crate) struct OfStep {
    /// What it is called, unless the client says otherwise.
    pub(crate) name: String,
    /// The run that it is nested under.
    pub(crate) parent: RunId,
}

impl Services {
    /// What a run is that this caller logs to this experiment; none when they are no step.
    pub(crate) async fn of_step(&self, ctx: &Ctx, experiment: ExperimentId) -> Result<Option<OfStep>> {
        let Some(caller) = ctx.caller.as_ref().filter(|caller| caller.user.is_service) else { return Ok(None) };
        let Credential::Token(token) = caller.credential else { return Ok(None) };
        let Some(step) = store::step::tracked::of_token(&mut *self.conn().await?, token).await? else {
            return Ok(None);
        };
        let parent = match step.parent {
            Some(parent) => parent,
            None => self.make_parent(ctx, experiment, &step).await?,
        };
        Ok(Some(OfStep { name: step.step, parent }))
    }

    /// Makes the run that those of a pipeline run's steps are nested under. Of two steps that begin to log at once, the
    /// second finds what the first made.
    async fn make_parent(&self, ctx: &Ctx, experiment_id: ExperimentId, step: &OfToken) -> Result<RunId> {
        let name = format!("{} #{}", step.pipeline, step.number);
        let number = step.number.to_string();
        let tags = BTreeMap::from([("mlflow.runName", name.as_str()), ("slipway.pipelineRun", number.as_str())]);
        let tags = self.pairs(&mut *self.conn().await?, experiment_id, KeyKind::Tag, &tags).await?;
        let mut tx = self.begin().await?;
        let experiment = experiment::active(&mut tx, ctx, experiment_id).await?;
        let row = store::run::NewRun {
            id: RunId::new(),
            workspace: ctx.workspace_id(),
            experiment: experiment.id,
            name: &name,
            start_time: Utc::now().timestamp_millis(),
            user: ctx.user().map(|user| user.id),
            user_name: ctx.user().map_or("", |user| user.name.as_str()),
            // It is the pipeline run's, and no step's.
            token: None,
        };
        let run = store::run::insert(&mut tx, &row).await?;
        if !store::step::tracked::set_parent(&mut tx, step.pipeline_run_id, row.id).await? {
            drop(tx);
            let parent = store::step::tracked::parent(&mut *self.conn().await?, step.pipeline_run_id).await?;
            return parent.ok_or_else(Error::internal);
        }
        store::run::log::set_tags(&mut tx, &run, &tags).await?;
        let object = Object::new(ObjectKind::Run, row.id, &name);
        Event::new("run.created", object, format!("started the run {name}"))
            .related(experiment::object(&experiment))
            .write(&mut tx, ctx)
            .await?;
        experiment::announce(&mut tx, ctx.workspace_id(), experiment.id).await?;
        commit(tx).await?;
        Ok(row.id)
    }

    /// Logs outputs that are metrics to the try's tracked run, which is made when it has none; also for a model that the try
    /// gives on, so that what was measured of it is found.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn track_outputs(
        &self,
        ctx: &Ctx,
        attempt: domain::id::StepAttemptId,
        pipeline: &str,
        outputs: &[StepOutput],
    ) -> Result<()> {
        let metrics: Vec<RawMetric> = outputs.iter().flat_map(metrics_of).collect();
        let has_model =
            outputs.iter().any(|output| output.version.as_ref().is_some_and(|made| made.of == Versioned::Model));
        if metrics.is_empty() && !has_model {
            return Ok(());
        }
        let known = store::step::tracked::first(&mut *self.conn().await?, attempt).await?;
        let run = match known {
            Some(run) => run,
            None => {
                let experiment_id = self.experiment_of_pipeline(ctx, pipeline).await?;
                let start_time = Utc::now().timestamp_millis();
                let new = NewExperimentRun { experiment_id, start_time, ..NewExperimentRun::default() };
                self.create_run(ctx, new).await?.0.info.id
            }
        };
        if !metrics.is_empty() {
            self.log_batch(ctx, run, &LogBatch::parse(&metrics, &[], &[])?).await?;
        }
        if known.is_none() {
            let end_time = Some(Utc::now().timestamp_millis());
            let ended = RunChange { status: Some(RunStatus::Finished), end_time, name: None };
            self.update_run(ctx, run, ended).await?;
        }
        Ok(())
    }

    /// The experiment that is called as a pipeline; made when there is none.
    async fn experiment_of_pipeline(&self, ctx: &Ctx, pipeline: &str) -> Result<ExperimentId> {
        match self.experiment_by_name(ctx, pipeline).await {
            Err(error) if error.kind == ErrorKind::NotFound => {}
            found => return Ok(found?.id),
        }
        let new = crate::NewExperiment { name: pipeline.to_owned(), ..crate::NewExperiment::default() };
        match self.create_experiment(ctx, new).await {
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                Ok(self.experiment_by_name(ctx, pipeline).await?.id)
            }
            made => Ok(made?.id),
        }
    }
}

fn metrics_of(output: &StepOutput) -> Vec<RawMetric> {
    if output.kind != Some(OutputKind::Metrics) {
        return Vec::new();
    }
    let numbers = output.value.as_ref().and_then(serde_json::Value::as_object);
    let metric = |(key, value): (&String, &serde_json::Value)| {
        Some(RawMetric {
            key: key.clone(),
            value: MetricValue::new(value.as_f64()?),
            timestamp: Utc::now().timestamp_millis(),
            ..RawMetric::default()
        })
    };
    numbers.into_iter().flatten().filter_map(metric).collect()
}
