//! Triggers: those that start a pipeline when an alert opens. The others are in [`on`].

mod on;

pub use on::{NewPipelineTrigger, NewTriggerOn};
pub(crate) use on::{dataset_version_checked, dataset_version_created, run_depth};

use crate::{
    Ctx, Event, Result, Services, alert, boxed, commit,
    monitor::{name, on},
    prediction::never_served,
};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    id::{AlertId, TriggerId},
    monitor::Monitor,
    trigger::{Trigger, TriggerOn},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::PgConnection;

/// A trigger to be made, or changed when there is one of this monitor and pipeline.
#[derive(Debug, Clone)]
pub struct NewTrigger {
    /// The monitored model.
    pub model: String,
    /// The monitored environment.
    pub environment: String,
    /// The pipeline to start.
    pub pipeline: String,
    /// Parameters of its runs.
    pub params: Map<String, Value>,
    /// Whether it fires.
    pub enabled: bool,
    /// The least time between two firings, in seconds.
    pub cool_down_s: i32,
}

impl Services {
    /// The triggers of every kind, by pipeline.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn triggers(&self, ctx: &Ctx) -> Result<Vec<Trigger>> {
        Ok(store::trigger::list(&mut *self.conn().await?, &ctx.sight(), None).await?)
    }

    /// Makes a trigger, or changes the one of this monitor and pipeline. Tells whether it is new.
    ///
    /// # Errors
    /// `NotFound` without such a monitor or pipeline, `Invalid` for parameters that the pipeline does not take.
    #[boxed]
    pub async fn set_trigger(&self, ctx: &Ctx, new: NewTrigger) -> Result<(Trigger, bool)> {
        if new.cool_down_s < 0 {
            return Err(Error::invalid_field("cool_down_s", "A cool-down is 0 seconds or more."));
        }
        // Told now rather than when the alert opens.
        let params: BTreeMap<String, Value> = new.params.clone().into_iter().collect();
        let version = self.pipeline_version(ctx, &new.pipeline, None).await?;
        version.spec.resolve_params(&params)?;
        let pipeline_id = version.pipeline_id;
        let mut tx = self.begin().await?;
        let monitor = store::monitor::find(&mut tx, &ctx.sight(), &new.environment, &new.model)
            .await?
            .ok_or_else(|| never_served(&new.environment, &new.model))?;
        let mut trigger = Trigger {
            id: TriggerId::new(),
            on: TriggerOn::Alert {
                monitor_id: monitor.id,
                model: monitor.model.clone(),
                environment: monitor.environment.clone(),
            },
            pipeline_id,
            pipeline: new.pipeline,
            params: new.params,
            enabled: new.enabled,
            cool_down_s: new.cool_down_s,
        };
        let before = store::trigger::list(&mut tx, &ctx.sight(), Some(monitor.id)).await?;
        let before = before.into_iter().find(|before| before.pipeline_id == pipeline_id);
        if let Some(before) = &before {
            trigger.id = before.id;
            if *before == trigger {
                return Ok((trigger, false));
            }
        }
        let (id, is_new) = store::trigger::set(&mut tx, ctx.workspace_id(), monitor.id, &trigger).await?;
        trigger.id = id;
        let action = if is_new { "trigger.created" } else { "trigger.changed" };
        let object = Object::new(ObjectKind::Trigger, id, &trigger.pipeline);
        let (alerts, pipeline) = (format!("alerts of {}", name(&monitor)), &trigger.pipeline);
        let summary = match (before.is_some_and(|before| before.enabled), trigger.enabled) {
            (true, true) => format!("changed how {alerts} start {pipeline}"),
            (true, false) => format!("stopped {alerts} from starting {pipeline}"),
            (false, true) => format!("let {alerts} start {pipeline}"),
            (false, false) => format!("changed how {alerts} would start {pipeline}, which is off"),
        };
        on(Event::new(action, object, summary), &monitor)
            .related(Object::new(ObjectKind::Pipeline, pipeline_id, pipeline))
            .details(serde_json::json!({
                "enabled": trigger.enabled, "cool_down_s": trigger.cool_down_s, "params": trigger.params,
            }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok((trigger, is_new))
    }

    /// Starts the pipeline of a trigger for an alert, once. One that holds back is asked again at the next check that finds
    /// the same; history tells of it when the reason is another.
    pub(crate) async fn fire(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        trigger: &Trigger,
        alert: AlertId,
        number: i64,
        monitor: &Monitor,
    ) -> Result<()> {
        if !trigger.enabled || !store::trigger::take_firing(tx, trigger.id, alert).await? {
            return Ok(());
        }
        let object = Object::new(ObjectKind::Trigger, trigger.id, &trigger.pipeline);
        let why = if store::trigger::rests(tx, trigger.id).await? {
            format!("It fired less than {} s ago.", trigger.cool_down_s)
        } else {
            let params: BTreeMap<String, Value> = trigger.params.clone().into_iter().collect();
            match self.start_run_for_trigger(tx, ctx, trigger.pipeline_id, &params, trigger.id, (alert, number)).await?
            {
                Ok(run) => {
                    store::trigger::end_firing(tx, trigger.id, alert, Ok(run.id)).await?;
                    let summary = format!("started {} #{}", trigger.pipeline, run.number);
                    return on(Event::new("trigger.fired", object, summary), monitor)
                        .related(alert::object(alert, number))
                        .related(Object::new(ObjectKind::PipelineRun, run.id, format!("#{}", run.number)))
                        .write(tx, ctx)
                        .await;
                }
                // The pipeline changed since the trigger was made, or is busy. The alert matters all the same.
                Err(refused) => refused.why,
            }
        };
        if !store::trigger::end_firing(tx, trigger.id, alert, Err(&why)).await? {
            return Ok(());
        }
        let summary = format!("did not start {}: {why}", trigger.pipeline);
        on(Event::new("trigger.held_back", object, summary), monitor)
            .related(alert::object(alert, number))
            .write(tx, ctx)
            .await
    }
}
