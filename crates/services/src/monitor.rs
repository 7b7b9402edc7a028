//! Watching traffic: checks for drift, alerts, and the triggers that start a pipeline when one opens.

use crate::{Ctx, Event, Result, Services, commit, prediction::never_served};
use chrono::Utc;
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    drift::{Column, DatasetDrift, FeatureDrift, feature_drift},
    id::TriggerId,
    monitor::{Alert, AlertState, Check, CheckState, Firing, Monitor, Trigger},
    page,
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use store::monitor::Due;

/// The largest reference file that is read.
const MOST_REFERENCE_BYTES: u64 = 64 << 20;
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
    pub async fn monitors(&self, ctx: &Ctx) -> Result<Vec<Monitor>> {
        Ok(store::monitor::list(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// The monitor of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when the model has never served there.
    pub async fn monitor(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Monitor> {
        store::monitor::find(&mut *self.conn().await?, ctx.workspace_id(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))
    }

    /// The last checks of a monitor, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn checks(&self, monitor: &Monitor, limit: usize) -> Result<Vec<Check>> {
        Ok(store::monitor::checks(&mut *self.conn().await?, monitor.id, limit.clamp(1, page::MAX_PAGE) as i64).await?)
    }

    /// Changes what a monitor looks at.
    ///
    /// # Errors
    /// `NotFound` without such a monitor, `Invalid` for a number outside the limits.
    pub async fn change_monitor(
        &self,
        ctx: &Ctx,
        environment: &str,
        model: &str,
        change: MonitorChange,
    ) -> Result<Monitor> {
        let mut tx = self.begin().await?;
        let mut monitor = store::monitor::find(&mut tx, ctx.workspace_id(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))?;
        monitor.window_rows = change.window_rows.unwrap_or(monitor.window_rows);
        monitor.min_rows = change.min_rows.unwrap_or(monitor.min_rows);
        monitor.enabled = change.enabled.unwrap_or(monitor.enabled);
        for (field, value) in [("window_rows", monitor.window_rows), ("min_rows", monitor.min_rows)] {
            if !(10..=100_000).contains(&value) {
                return Err(Error::invalid_field(field, "A check looks at 10 to 100,000 rows."));
            }
        }
        if monitor.min_rows > monitor.window_rows {
            return Err(Error::invalid_field("min_rows", "The least number of rows is more than the window holds."));
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
    pub async fn check_monitors(&self) -> Result<()> {
        let due = store::monitor::due(&mut *self.conn().await?).await?;
        for due in due {
            if let Err(error) = self.check(&due).await {
                tracing::warn!(model = %due.monitor.model, %error, "a monitor could not check");
            }
        }
        let open = store::monitor::count_all_unresolved(&mut *self.conn().await?).await?;
        metrics::gauge!("slipway_alerts_open").set(open as f64);
        Ok(())
    }

    async fn check(&self, due: &Due) -> Result<()> {
        let monitor = &due.monitor;
        let mut conn = self.conn().await?;
        let Some(up_to) = store::prediction::newest(&mut conn, due.deployment).await? else { return Ok(()) };
        let recent =
            store::prediction::newest_features(&mut conn, due.deployment, i64::from(monitor.window_rows)).await?;
        let rows: i64 = recent.iter().map(|(_, rows, _)| i64::from(*rows)).sum();
        let served = store::endpoint::served(&mut conn).await?;
        let version =
            served.iter().find(|served| served.deployment_id == due.deployment).map_or(0, |served| served.version);
        drop(conn);

        let reference = self.reference(due).await?;
        let mut check = Check {
            at: Utc::now(),
            deployment_id: due.deployment,
            version,
            state: CheckState::Inconclusive,
            reason: String::new(),
            rows,
            share: None,
            features: Vec::new(),
        };
        if rows < i64::from(monitor.min_rows) {
            check.reason = format!("{rows} rows so far; a check needs {}.", monitor.min_rows);
        } else if let Some(reference) = reference {
            let current = gather(recent.into_iter().map(|(_, _, features)| features));
            // Comparing many features of many rows takes a processor for a while.
            let compared = tokio::task::spawn_blocking(move || compare(&reference, &current));
            check.features = compared.await.map_err(|error| {
                tracing::error!(%error, "a comparison failed");
                Error::internal()
            })?;
            let together = DatasetDrift::of(&check.features);
            check.share = together.share;
            (check.state, check.reason) = match together.is_drifted() {
                Some(true) => {
                    (CheckState::Drifted, format!("{} of {} features drifted", together.drifted, together.compared))
                }
                Some(false) => {
                    (CheckState::Ok, format!("{} of {} features drifted", together.drifted, together.compared))
                }
                None => (CheckState::Inconclusive, "No feature could be compared with the reference.".to_owned()),
            };
        } else {
            check.reason = "The version has no reference: log reference.csv or reference.json with its run.".to_owned();
        }
        self.write_check(due, &check, up_to).await
    }

    /// Writes what a check found, and what follows from it, in one transaction.
    async fn write_check(&self, due: &Due, check: &Check, up_to: chrono::DateTime<Utc>) -> Result<()> {
        let monitor = &due.monitor;
        let mut tx = self.begin().await?;
        if !store::monitor::take(&mut tx, monitor.id, up_to).await? {
            return Ok(());
        }
        store::monitor::insert_check(&mut tx, monitor.id, check).await?;
        let workspace = store::workspace::by_slug(&mut tx, &due.workspace).await?.ok_or_else(Error::internal)?;
        let ctx = Ctx::system(workspace);
        match check.state {
            CheckState::Drifted => self.alert(&mut tx, &ctx, due, check).await?,
            CheckState::Ok => {
                if let Some((alert, number)) = store::monitor::unresolved_alert(&mut tx, monitor.id).await? {
                    for from in [AlertState::Open, AlertState::Acknowledged] {
                        if store::monitor::move_alert(&mut tx, alert, from, AlertState::Resolved, "Slipway").await? {
                            Event::new(
                                "alert.resolved",
                                Object::new(ObjectKind::Alert, alert, format!("#{number}")),
                                format!(
                                    "resolved alert #{number}: the traffic of {} looks like the reference again",
                                    name(monitor)
                                ),
                            )
                            .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
                            .write(&mut tx, &ctx)
                            .await?;
                        }
                    }
                }
            }
            CheckState::Inconclusive => {}
        }
        store::event::notify(&mut tx, &format!("monitor:{}", monitor.id)).await?;
        commit(tx).await?;
        for feature in &check.features {
            if let domain::drift::Verdict::Scored { score, .. } = feature.verdict {
                let labels = [
                    ("workspace", due.workspace.clone()),
                    ("model", monitor.model.clone()),
                    ("version", check.version.to_string()),
                    ("feature", feature.feature.clone()),
                ];
                metrics::gauge!("slipway_drift_score", &labels).set(score);
            }
        }
        Ok(())
    }

    /// Opens an alert, or notes that the one that is open was seen again; a new one fires its triggers.
    async fn alert(&self, tx: &mut store::PgConnection, ctx: &Ctx, due: &Due, check: &Check) -> Result<()> {
        let monitor = &due.monitor;
        if let Some((alert, _)) = store::monitor::unresolved_alert(tx, monitor.id).await? {
            return Ok(store::monitor::alert_seen(tx, alert, &check.reason).await?);
        }
        let number = store::counter::next(tx, monitor.workspace_id, "alert").await?;
        let Some(alert) = store::monitor::open_alert(tx, monitor, due.deployment, number, &check.reason).await? else {
            return Ok(());
        };
        let object = Object::new(ObjectKind::Alert, alert, format!("#{number}"));
        Event::new(
            "alert.opened",
            object.clone(),
            format!("opened alert #{number}: {} of {} v{}", check.reason, name(monitor), check.version),
        )
        .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
        .related(Object::new(ObjectKind::Deployment, due.deployment, name(monitor)))
        .write(tx, ctx)
        .await?;
        store::event::notify(tx, &format!("alerts:{}", monitor.workspace_id)).await?;
        for trigger in store::monitor::triggers(tx, monitor.workspace_id, Some(monitor.id)).await? {
            self.fire(tx, ctx, &trigger, alert, &object).await?;
        }
        Ok(())
    }

    async fn fire(
        &self,
        tx: &mut store::PgConnection,
        ctx: &Ctx,
        trigger: &Trigger,
        alert: domain::id::AlertId,
        alert_object: &Object,
    ) -> Result<()> {
        if !trigger.enabled || !store::monitor::take_firing(tx, trigger.id, alert).await? {
            return Ok(());
        }
        let object = Object::new(ObjectKind::Trigger, trigger.id, &trigger.pipeline);
        let last = store::monitor::last_firing(tx, trigger.id).await?;
        let rests = last.is_some_and(|last| Utc::now() - last < chrono::Duration::seconds(trigger.cool_down_s.into()));
        if rests {
            let why = format!("It fired less than {} s ago.", trigger.cool_down_s);
            store::monitor::end_firing(tx, trigger.id, alert, Err(&why)).await?;
            return Event::new("trigger.held_back", object, format!("did not start {}: {why}", trigger.pipeline))
                .related(alert_object.clone())
                .write(tx, ctx)
                .await;
        }
        let params: BTreeMap<String, Value> = trigger.params.clone().into_iter().collect();
        match self.start_run_for_trigger(tx, ctx, trigger.pipeline_id, &params, trigger.id, alert).await {
            Ok(run) => {
                store::monitor::end_firing(tx, trigger.id, alert, Ok(run.id)).await?;
                Event::new("trigger.fired", object, format!("started {} #{}", trigger.pipeline, run.number))
                    .related(alert_object.clone())
                    .related(Object::new(ObjectKind::PipelineRun, run.id, format!("#{}", run.number)))
                    .write(tx, ctx)
                    .await
            }
            // The pipeline changed since the trigger was made. The alert matters all the same.
            Err(error) if matches!(error.kind, ErrorKind::Invalid | ErrorKind::NotFound) => {
                store::monitor::end_firing(tx, trigger.id, alert, Err(&error.message)).await?;
                Event::new(
                    "trigger.held_back",
                    object,
                    format!("did not start {}: {}", trigger.pipeline, error.message),
                )
                .related(alert_object.clone())
                .write(tx, ctx)
                .await
            }
            Err(error) => Err(error),
        }
    }

    /// The training's own values of each feature: `reference.json` or `reference.csv` among the version's files, or among
    /// the artifacts of the run that made it.
    async fn reference(&self, due: &Due) -> Result<Option<BTreeMap<String, Column>>> {
        let mut conn = self.conn().await?;
        let Some((path, file)) = store::endpoint::reference(&mut conn, due.deployment).await? else { return Ok(None) };
        drop(conn);
        let bytes = self.artifacts.get_bytes(&file, MOST_REFERENCE_BYTES).await.map_err(|error| {
            tracing::warn!(%error, "a reference cannot be read");
            Error::new(ErrorKind::Unavailable, "The reference cannot be read from the artifact store.")
        })?;
        Ok(if path.ends_with(".json") { read_json(&bytes) } else { read_csv(&bytes) })
    }

    /// Alerts, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
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
    pub async fn unresolved_alerts(&self, ctx: &Ctx) -> Result<i64> {
        Ok(store::monitor::count_unresolved(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// One alert, and what triggers did for it.
    ///
    /// # Errors
    /// `NotFound` without such an alert.
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
            let object = Object::new(ObjectKind::Alert, alert.id, format!("#{number}"));
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
    pub async fn triggers(&self, ctx: &Ctx) -> Result<Vec<Trigger>> {
        Ok(store::monitor::triggers(&mut *self.conn().await?, ctx.workspace_id(), None).await?)
    }

    /// Makes a trigger, or changes the one of this monitor and pipeline. Tells whether it is new.
    ///
    /// # Errors
    /// `NotFound` without such a monitor or pipeline, `Invalid` for parameters that the pipeline does not take.
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

/// The columns of many predictions, one below the other.
fn gather(predictions: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<Value>> {
    let mut columns: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for prediction in predictions {
        let Value::Object(features) = prediction else { continue };
        for (feature, cells) in features {
            if let Value::Array(cells) = cells {
                columns.entry(feature).or_default().extend(cells);
            }
        }
    }
    columns
}

/// Each feature of the reference that is in the traffic, against it.
fn compare(reference: &BTreeMap<String, Column>, current: &BTreeMap<String, Vec<Value>>) -> Vec<FeatureDrift> {
    reference
        .iter()
        .filter_map(|(feature, column)| {
            let cells = current.get(feature)?;
            Some(feature_drift(feature, column, &Column::from_json(cells), MIN_VALUES))
        })
        .collect()
}

/// `{"feature": [value, …], …}`
fn read_json(bytes: &[u8]) -> Option<BTreeMap<String, Column>> {
    let columns: BTreeMap<String, Vec<Value>> = serde_json::from_slice(bytes).ok()?;
    Some(columns.into_iter().map(|(feature, cells)| (feature, Column::from_json(&cells))).collect())
}

/// A head with the features' names, then a line a row. A column is numeric when every cell that is not empty is a number.
fn read_csv(bytes: &[u8]) -> Option<BTreeMap<String, Column>> {
    let mut reader = csv::Reader::from_reader(bytes);
    let names: Vec<String> = reader.headers().ok()?.iter().map(ToOwned::to_owned).collect();
    let mut columns = vec![Vec::new(); names.len()];
    for record in reader.records() {
        for (column, cell) in columns.iter_mut().zip(record.ok()?.iter()) {
            column.push(cell.to_owned());
        }
    }
    let column = |cells: Vec<String>| {
        let numbers: Option<Vec<Option<f64>>> =
            cells.iter().map(|cell| if cell.is_empty() { Some(None) } else { cell.parse().ok().map(Some) }).collect();
        numbers.map_or_else(
            || Column::categorical(cells.into_iter().map(|cell| (!cell.is_empty()).then_some(cell))),
            Column::numeric,
        )
    };
    Some(names.into_iter().zip(columns.into_iter().map(column)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_csv_column_with_a_word_is_categorical() {
        let columns = read_csv(b"age,plan\n1.5,basic\n,gold\n").unwrap();
        assert!(matches!(&columns["age"], Column::Numeric { .. }));
        assert_eq!(columns["age"].nulls(), 1);
        assert!(matches!(&columns["plan"], Column::Categorical { .. }));
    }

    #[test]
    fn predictions_are_put_one_below_the_other() {
        let columns = gather([json!({"a": [1, 2]}), json!({"a": [3]})].into_iter());
        assert_eq!(columns["a"], [json!(1), json!(2), json!(3)]);
    }
}
