//! Watching traffic: checks for drift. What follows from one is in [`alert`](crate::alert) and
//! [`trigger`](crate::trigger).

use crate::{
    Ctx, Event, Result, Services, alert, boxed, commit, prediction::never_served, reference::Reference, task::blocking,
};
use chrono::{DateTime, Utc};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    drift::{Column, DatasetDrift, FeatureDrift, Kind, feature_drift},
    model::Signature,
    monitor::{Alert, Check, CheckState, Monitor},
    page,
};
use serde_json::Value;
use std::collections::BTreeMap;
use store::monitor::{CheckKey, Due};

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
    /// How it was set when whoever changes it looked: [`Monitor::mark`]. None changes it however it is set.
    pub instead_of: Option<String>,
}

impl Services {
    /// The monitors, by model.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn monitors(&self, ctx: &Ctx) -> Result<Vec<Monitor>> {
        Ok(store::monitor::list(&mut *self.conn().await?, &ctx.sight()).await?)
    }

    /// The monitor of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when the model has never served there.
    #[boxed]
    pub async fn monitor(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Monitor> {
        store::monitor::find(&mut *self.conn().await?, &ctx.sight(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))
    }

    /// The last checks of a monitor, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn checks(&self, monitor: &Monitor, page_token: Option<&str>, limit: usize) -> Result<Page<Check>> {
        let before: Option<CheckKey> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let checks = store::monitor::checks(&mut *self.conn().await?, monitor.id, before, limit as i64 + 1).await?;
        let Page { items, next_page_token } = Page::cut(checks, limit, |(key, _)| *key);
        Ok(Page { items: items.into_iter().map(|(_, check)| check).collect(), next_page_token })
    }

    /// The last check that found an alert; none when it is of a time when that was not kept.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn check_of_alert(&self, alert: &Alert) -> Result<Option<Check>> {
        Ok(store::monitor::check_of_alert(&mut *self.conn().await?, alert.id).await?)
    }

    /// Changes what a monitor looks at.
    ///
    /// # Errors
    /// `NotFound` without such a monitor, `Invalid` for a number outside the limits, `Conflict` when it was set otherwise
    /// meanwhile.
    #[boxed]
    pub async fn change_monitor(
        &self,
        ctx: &Ctx,
        environment: &str,
        model: &str,
        change: MonitorChange,
    ) -> Result<Monitor> {
        let mut tx = self.begin().await?;
        let before = store::monitor::lock(&mut tx, &ctx.sight(), environment, model)
            .await?
            .ok_or_else(|| never_served(environment, model))?;
        if change.instead_of.is_some_and(|seen| seen != before.mark()) {
            return Err(Error::conflict(
                "Somebody changed this monitor since you opened the page. Look at how it is set now, and save again.",
            ));
        }
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
        let summary = format!("changed the monitor of {}", name(&monitor));
        on(Event::new("monitor.changed", object(&monitor), summary), &monitor)
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
                blocking(move || compare(&reference, &current, signature.as_ref())).await?
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
            CheckState::Drifted => self.open_alert(&mut tx, &ctx, due, check, key).await?,
            CheckState::Ok => alert::resolve(&mut tx, &ctx, monitor).await?,
            CheckState::Inconclusive => {}
        }
        store::event::notify(&mut tx, &format!("monitor:{}", monitor.id)).await?;
        commit(tx).await
    }
}

pub(crate) fn name(monitor: &Monitor) -> String {
    format!("{} in {}", monitor.model, monitor.environment)
}

fn object(monitor: &Monitor) -> Object {
    Object::new(ObjectKind::Monitor, monitor.id, name(monitor))
}

/// An event that is on the timelines of a monitor, and of the model and environment that it watches.
pub(crate) fn on(event: Event, monitor: &Monitor) -> Event {
    event
        .related(object(monitor))
        .related(Object::new(ObjectKind::Model, monitor.model_id, &monitor.model))
        .related(Object::new(ObjectKind::Environment, monitor.environment_id, &monitor.environment))
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
