//! Watching traffic: checks for drift, alerts, and the triggers that start a pipeline when one opens.

use crate::{Ctx, Event, Result, Services, boxed, commit, prediction::never_served, reference::Reference};
use chrono::{DateTime, Utc};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    drift::{Column, DatasetDrift, FeatureDrift, Kind, feature_drift},
    id::{AlertId, TriggerId},
    model::Signature,
    monitor::{Alert, AlertState, Check, CheckState, Firing, Monitor, Trigger},
    page,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::{
    PgConnection,
    monitor::{CheckKey, Due},
};

/// The most values, rows times features, that a check reads: of a wide model it looks at fewer rows.
const MOST_VALUES: usize = 2 << 20;
/// With fewer values than this on a side, a feature is not compared.
const MIN_VALUES: usize = 10;

/// What of a monitor to change; none leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct MonitorChange {
    /// How many of the latest rows a check looks at, at most.
    pub window_rows: Option<i32>,
    /// With fewer rows than this a check says nothing.
    pub min_rows: Option<i32>,
    /// Whether it checks.
    pub enabled: Option<bool>,
}

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
    /// The monitors, by model.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn monitors(&self, ctx: &Ctx) -> Result<Vec<Monitor>> {
        Ok(store::monitor::list(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// The monitor of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when the model has never served there.
    #[boxed]
    pub async fn monitor(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Monitor> {
        store::monitor::find(&mut *self.conn().await?, ctx.workspace_id(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))
    }

    /// The last checks of a monitor, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn checks(&self, monitor: &Monitor, limit: usize) -> Result<Vec<Check>> {
        Ok(store::monitor::checks(&mut *self.conn().await?, monitor.id, limit.clamp(1, page::MAX_PAGE) as i64).await?)
    }

    /// Changes what a monitor looks at.
    ///
    /// # Errors
    /// `NotFound` without such a monitor, `Invalid` for a number outside the limits.
    #[boxed]
    pub async fn change_monitor(
        &self,
        ctx: &Ctx,
        environment: &str,
        model: &str,
        change: MonitorChange,
    ) -> Result<Monitor> {
        let mut tx = self.begin().await?;
        let before = store::monitor::lock(&mut tx, ctx.workspace_id(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))?;
        let monitor = Monitor {
            window_rows: change.window_rows.unwrap_or(before.window_rows),
            min_rows: change.min_rows.unwrap_or(before.min_rows),
            enabled: change.enabled.unwrap_or(before.enabled),
            ..before.clone()
        };
        for (field, value) in [("window_rows", monitor.window_rows), ("min_rows", monitor.min_rows)] {
            if !(10..=100_000).contains(&value) {
                return Err(Error::invalid_field(field, "A check looks at 10 to 100,000 rows."));
            }
        }
        if monitor.min_rows > monitor.window_rows {
            return Err(Error::invalid_field("min_rows", "The least number of rows is more than the window holds."));
        }
        if monitor == before {
            return Ok(monitor);
        }
        store::monitor::update(&mut tx, &monitor).await?;
        Event::new("monitor.changed", object(&monitor), format!("changed the monitor of {}", name(&monitor)))
            .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
            .details(serde_json::json!({
                "window_rows": monitor.window_rows, "min_rows": monitor.min_rows, "enabled": monitor.enabled,
            }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(monitor)
    }

    /// Looks at the traffic of every monitor that has new traffic. One that fails does not stop the others.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn check_monitors(&self) -> Result<()> {
        let due = store::monitor::due(&mut *self.conn().await?).await?;
        for due in due {
            if let Err(error) = self.check(&due).await {
                tracing::warn!(model = %due.monitor.model, %error, "a monitor could not check");
            }
        }
        Ok(())
    }

    async fn check(&self, due: &Due) -> Result<()> {
        let monitor = &due.monitor;
        let Some(up_to) = store::prediction::newest(&mut *self.conn().await?, due.deployment).await? else {
            return Ok(());
        };
        let reference = self.reference(due).await?;
        let names = reference.as_ref().map_or(&[][..], Reference::names);
        let least = usize::try_from(monitor.min_rows).unwrap_or(0);
        let most = usize::try_from(monitor.window_rows).unwrap_or(0).min(MOST_VALUES / names.len().max(1));
        let recent =
            store::prediction::newest_features(&mut *self.conn().await?, due.deployment, names, most as i64).await?;
        let (rows, current) = gather(recent, most);
        let found = match reference {
            Err(sentence) => Err(sentence),
            Ok(reference) if most < least => Err(format!(
                "{} has {} features: of so many a check reads {most} rows at most, and it needs {least}.",
                reference.file(),
                reference.names().len(),
            )),
            Ok(_) if rows == 0 => {
                Err("The values of this model's requests are not recorded: a row of them is too large.".to_owned())
            }
            Ok(_) if rows < least => Err(format!("{rows} rows so far; a check needs {least}.")),
            Ok(reference) => {
                let signature = due.signature.clone();
                // Comparing many features of many rows takes a processor for a while.
                let compared = tokio::task::spawn_blocking(move || compare(&reference, &current, signature.as_ref()));
                compared.await.map_err(|error| {
                    tracing::error!(%error, "a comparison failed");
                    Error::internal()
                })?
            }
        };
        self.write_check(due, &summed_up(due, rows, found), up_to).await
    }

    /// Writes what a check found, and what follows from it, in one transaction: when it still concerns what serves.
    async fn write_check(&self, due: &Due, check: &Check, up_to: DateTime<Utc>) -> Result<()> {
        let monitor = &due.monitor;
        let mut tx = self.begin().await?;
        if !store::monitor::take(&mut tx, monitor.id, due.deployment, up_to).await? {
            return Ok(());
        }
        let key = store::monitor::insert_check(&mut tx, monitor.id, check).await?;
        let workspace = store::workspace::by_slug(&mut tx, &due.workspace).await?.ok_or_else(Error::internal)?;
        let ctx = Ctx::system(workspace);
        match check.state {
            CheckState::Drifted => self.alert(&mut tx, &ctx, due, check, key).await?,
            CheckState::Ok => resolve(&mut tx, &ctx, monitor).await?,
            CheckState::Inconclusive => {}
        }
        store::event::notify(&mut tx, &format!("monitor:{}", monitor.id)).await?;
        commit(tx).await
    }

    /// Opens an alert, or notes that the one that is open was seen again. A new one fires its triggers; one that is there
    /// still, those that held back.
    async fn alert(&self, tx: &mut PgConnection, ctx: &Ctx, due: &Due, check: &Check, key: CheckKey) -> Result<()> {
        let monitor = &due.monitor;
        if let Some((alert, number)) = store::monitor::unresolved_alert(tx, monitor.id).await? {
            store::monitor::alert_seen(tx, alert, key, &check.reason).await?;
            for trigger in store::monitor::held_back(tx, alert).await? {
                self.fire(tx, ctx, &trigger, alert, number).await?;
            }
            return tell(tx, monitor).await;
        }
        let number = store::counter::next(tx, monitor.workspace_id, "alert").await?;
        let opened = store::monitor::open_alert(tx, monitor, due.deployment, number, key, &check.reason).await?;
        let Some(alert) = opened else { return Ok(()) };
        Event::new(
            "alert.opened",
            alert_object(alert, number),
            format!("opened alert #{number}: {} of {} v{}", check.reason, name(monitor), check.version),
        )
        .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
        .related(Object::new(ObjectKind::Deployment, due.deployment, name(monitor)))
        .write(tx, ctx)
        .await?;
        for trigger in store::monitor::triggers(tx, monitor.workspace_id, Some(monitor.id)).await? {
            self.fire(tx, ctx, &trigger, alert, number).await?;
        }
        tell(tx, monitor).await
    }

    /// Starts the pipeline of a trigger for an alert, once. One that holds back is asked again at the next check that finds
    /// the same; history tells of it when the reason is another.
    async fn fire(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        trigger: &Trigger,
        alert: AlertId,
        number: i64,
    ) -> Result<()> {
        if !trigger.enabled || !store::monitor::take_firing(tx, trigger.id, alert).await? {
            return Ok(());
        }
        let object = Object::new(ObjectKind::Trigger, trigger.id, &trigger.pipeline);
        let why = if store::monitor::rests(tx, trigger.id).await? {
            format!("It fired less than {} s ago.", trigger.cool_down_s)
        } else {
            let params: BTreeMap<String, Value> = trigger.params.clone().into_iter().collect();
            match self.start_run_for_trigger(tx, ctx, trigger.pipeline_id, &params, trigger.id, alert).await {
                Ok(run) => {
                    store::monitor::end_firing(tx, trigger.id, alert, Ok(run.id)).await?;
                    return Event::new(
                        "trigger.fired",
                        object,
                        format!("started {} #{}", trigger.pipeline, run.number),
                    )
                    .related(alert_object(alert, number))
                    .related(Object::new(ObjectKind::PipelineRun, run.id, format!("#{}", run.number)))
                    .write(tx, ctx)
                    .await;
                }
                // The pipeline changed since the trigger was made. The alert matters all the same.
                Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) => error.message,
                Err(error) => return Err(error),
            }
        };
        if !store::monitor::end_firing(tx, trigger.id, alert, Err(&why)).await? {
            return Ok(());
        }
        Event::new("trigger.held_back", object, format!("did not start {}: {why}", trigger.pipeline))
            .related(alert_object(alert, number))
            .write(tx, ctx)
            .await
    }

    /// Alerts, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn alerts(
        &self,
        ctx: &Ctx,
        unresolved: bool,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Alert>> {
        let before = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let alerts =
            store::monitor::alerts(&mut conn, ctx.workspace_id(), None, unresolved, before, limit as i64 + 1).await?;
        Ok(Page::cut(alerts, limit, |alert| alert.number))
    }

    /// How many alerts are not resolved.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unresolved_alerts(&self, ctx: &Ctx) -> Result<i64> {
        Ok(store::monitor::count_unresolved(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// The alert of a monitor that is not resolved; a monitor has one at most.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unresolved_alert_of(&self, ctx: &Ctx, monitor: &Monitor) -> Result<Option<Alert>> {
        let mut conn = self.conn().await?;
        let alerts = store::monitor::alerts(&mut conn, ctx.workspace_id(), Some(monitor.id), true, None, 1).await?;
        Ok(alerts.into_iter().next())
    }

    /// The last check that found an alert; none when it is of a time when that was not kept.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn check_of_alert(&self, alert: &Alert) -> Result<Option<Check>> {
        Ok(store::monitor::check_of_alert(&mut *self.conn().await?, alert.id).await?)
    }

    /// One alert, and what triggers did for it.
    ///
    /// # Errors
    /// `NotFound` without such an alert.
    #[boxed]
    pub async fn alert_by_number(&self, ctx: &Ctx, number: i64) -> Result<(Alert, Vec<Firing>)> {
        let mut conn = self.conn().await?;
        let before = Some(number.saturating_add(1));
        let alert = store::monitor::alerts(&mut conn, ctx.workspace_id(), None, false, before, 1)
            .await?
            .into_iter()
            .find(|alert| alert.number == number)
            .ok_or_else(|| Error::not_found("alert", format!("#{number}")))?;
        let firings = store::monitor::firings(&mut conn, alert.id).await?;
        Ok((alert, firings))
    }

    /// Acknowledges or resolves an alert. Doing what was done changes nothing.
    ///
    /// # Errors
    /// `NotFound` without such an alert, `Conflict` when it is past that state.
    #[boxed]
    pub async fn handle_alert(&self, ctx: &Ctx, number: i64, to: AlertState) -> Result<Alert> {
        let (alert, _) = self.alert_by_number(ctx, number).await?;
        if alert.state != to {
            let past = || {
                Error::conflict(format!(
                    "Alert #{number} is {} and cannot become {}.",
                    alert.state.as_str(),
                    to.as_str()
                ))
            };
            if !alert.state.next().contains(&to) {
                return Err(past());
            }
            let mut tx = self.begin().await?;
            let by = ctx.actor().name().to_owned();
            if !store::monitor::move_alert(&mut tx, alert.id, alert.state, to, &by).await? {
                return Err(Error::conflict(format!("Somebody else handled alert #{number} just now; look again.")));
            }
            let action = if to == AlertState::Resolved { "alert.resolved" } else { "alert.acknowledged" };
            let object = alert_object(alert.id, number);
            Event::new(action, object, format!("{} alert #{number}", to.as_str())).write(&mut tx, ctx).await?;
            store::event::notify(&mut tx, &format!("alerts:{}", ctx.workspace_id())).await?;
            commit(tx).await?;
        }
        Ok(self.alert_by_number(ctx, number).await?.0)
    }

    /// The triggers, by pipeline.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn triggers(&self, ctx: &Ctx) -> Result<Vec<Trigger>> {
        Ok(store::monitor::triggers(&mut *self.conn().await?, ctx.workspace_id(), None).await?)
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
        let monitor = store::monitor::find(&mut tx, ctx.workspace_id(), &new.environment, &new.model)
            .await?
            .ok_or_else(|| never_served(&new.environment, &new.model))?;
        let mut trigger = Trigger {
            id: TriggerId::new(),
            monitor_id: monitor.id,
            model: monitor.model.clone(),
            environment: monitor.environment.clone(),
            pipeline_id,
            pipeline: new.pipeline,
            params: new.params,
            enabled: new.enabled,
            cool_down_s: new.cool_down_s,
        };
        let (id, is_new) = store::monitor::set_trigger(&mut tx, ctx.workspace_id(), &trigger).await?;
        trigger.id = id;
        let action = if is_new { "trigger.created" } else { "trigger.changed" };
        Event::new(
            action,
            Object::new(ObjectKind::Trigger, id, &trigger.pipeline),
            format!("let alerts of {} start {}", name(&monitor), trigger.pipeline),
        )
        .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
        .related(Object::new(ObjectKind::Pipeline, pipeline_id, &trigger.pipeline))
        .details(serde_json::json!({ "enabled": trigger.enabled, "cool_down_s": trigger.cool_down_s }))
        .write(&mut tx, ctx)
        .await?;
        commit(tx).await?;
        Ok((trigger, is_new))
    }
}

fn name(monitor: &Monitor) -> String {
    format!("{} in {}", monitor.model, monitor.environment)
}

fn object(monitor: &Monitor) -> Object {
    Object::new(ObjectKind::Monitor, monitor.id, name(monitor))
}

fn alert_object(alert: AlertId, number: i64) -> Object {
    Object::new(ObjectKind::Alert, alert, format!("#{number}"))
}

/// Tells open pages that an alert of a monitor changed.
async fn tell(tx: &mut PgConnection, monitor: &Monitor) -> Result<()> {
    Ok(store::event::notify(tx, &format!("alerts:{}", monitor.workspace_id)).await?)
}

/// Resolves the alert of a monitor, when there is one.
async fn resolve(tx: &mut PgConnection, ctx: &Ctx, monitor: &Monitor) -> Result<()> {
    let Some((alert, number)) = store::monitor::unresolved_alert(tx, monitor.id).await? else { return Ok(()) };
    for from in [AlertState::Open, AlertState::Acknowledged] {
        if store::monitor::move_alert(tx, alert, from, AlertState::Resolved, "Slipway").await? {
            let text =
                format!("resolved alert #{number}: the traffic of {} looks like the reference again", name(monitor));
            Event::new("alert.resolved", alert_object(alert, number), text)
                .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
                .write(tx, ctx)
                .await?;
        }
    }
    tell(tx, monitor).await
}

/// The columns of predictions, one below the other, and how many rows they have: `most` at most, and of the last prediction
/// the first ones.
fn gather(predictions: Vec<(i32, Value)>, most: usize) -> (usize, BTreeMap<String, Vec<Value>>) {
    let mut columns: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut rows = 0;
    for (of_prediction, features) in predictions {
        let taken = usize::try_from(of_prediction).unwrap_or(0).min(most - rows);
        rows += taken;
        let Value::Object(features) = features else { continue };
        for (feature, cells) in features {
            if let Value::Array(cells) = cells {
                columns.entry(feature).or_default().extend(cells.into_iter().take(taken));
            }
        }
    }
    (rows, columns)
}

/// Each feature of the reference that is in the traffic, against it; or why none can be compared, in a sentence.
fn compare(
    reference: &Reference,
    current: &BTreeMap<String, Vec<Value>>,
    signature: Option<&Signature>,
) -> std::result::Result<Vec<FeatureDrift>, String> {
    let inputs = signature.map_or(&[][..], |signature| signature.inputs.as_slice());
    let by_signature = |name: &str| {
        let input = inputs.iter().find(|input| input.name.as_deref() == Some(name))?;
        Kind::of_dtype(&input.dtype)
    };
    let current: BTreeMap<&str, Column> =
        current.iter().map(|(name, cells)| (name.as_str(), Column::recorded(cells, by_signature(name)))).collect();
    if current.is_empty() {
        return Err(format!("No feature of the traffic has the name of a column of {}.", reference.file()));
    }
    let kinds = current.iter().map(|(name, column)| ((*name).to_owned(), column.kind())).collect();
    let features = reference
        .columns(&kinds)?
        .into_iter()
        .filter_map(|(name, column)| Some(feature_drift(&name, &column, current.get(name.as_str())?, MIN_VALUES)));
    Ok(features.collect())
}

/// The check that found this, or could not tell for a reason.
fn summed_up(due: &Due, rows: usize, found: std::result::Result<Vec<FeatureDrift>, String>) -> Check {
    let (state, reason, share, features) = match found {
        Err(sentence) => (CheckState::Inconclusive, sentence, None, Vec::new()),
        Ok(features) => {
            let together = DatasetDrift::of(&features);
            let counted = format!("{} of {} features drifted", together.drifted, together.compared);
            let (state, reason) = match together.is_drifted() {
                Some(true) => (CheckState::Drifted, counted),
                Some(false) => (CheckState::Ok, counted),
                None => (CheckState::Inconclusive, "No feature could be compared with the reference.".to_owned()),
            };
            (state, reason, together.share, features)
        }
    };
    Check {
        at: Utc::now(),
        deployment_id: due.deployment,
        version: due.version,
        state,
        reason,
        rows: rows as i64,
        share,
        features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn predictions_are_put_one_below_the_other_and_the_last_is_cut() {
        let predictions =
            || vec![(2, json!({"a": [1, 2]})), (0, json!({})), (3, json!({"a": [3, 4, 5], "b": [6, 7, 8]}))];
        let (rows, columns) = gather(predictions(), 3);
        assert_eq!(
            (rows, &columns["a"][..], &columns["b"][..]),
            (3, &[json!(1), json!(2), json!(3)][..], &[json!(6)][..])
        );
        assert_eq!(gather(predictions(), 10).0, 5);
    }
}
