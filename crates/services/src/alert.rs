//! The alerts that checks of monitors open and resolve, and who handles them.

use crate::{
    Ctx, Event, Result, Services, boxed, commit,
    monitor::{name, on},
};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    environment::Sight,
    id::AlertId,
    monitor::{Alert, AlertState, Check, Firing, Monitor},
    page,
};
use store::{
    PgConnection,
    monitor::{CheckKey, Due},
};

impl Services {
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
        let alerts = store::alert::list(&mut conn, &ctx.sight(), None, unresolved, before, limit as i64 + 1).await?;
        Ok(Page::cut(alerts, limit, |alert| alert.number))
    }

    /// How many alerts are not resolved.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unresolved_alerts(&self, ctx: &Ctx) -> Result<i64> {
        Ok(store::alert::count_unresolved(&mut *self.conn().await?, &ctx.sight()).await?)
    }

    /// The alert of a monitor that is not resolved; a monitor has one at most.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unresolved_alert_of(&self, ctx: &Ctx, monitor: &Monitor) -> Result<Option<Alert>> {
        let mut conn = self.conn().await?;
        let alerts = store::alert::list(&mut conn, &ctx.sight(), Some(monitor.id), true, None, 1).await?;
        Ok(alerts.into_iter().next())
    }

    /// One alert, and what triggers did for it.
    ///
    /// # Errors
    /// `NotFound` without such an alert.
    #[boxed]
    pub async fn alert_by_number(&self, ctx: &Ctx, number: i64) -> Result<(Alert, Vec<Firing>)> {
        let mut conn = self.conn().await?;
        let before = Some(number.saturating_add(1));
        let alert = store::alert::list(&mut conn, &ctx.sight(), None, false, before, 1)
            .await?
            .into_iter()
            .find(|alert| alert.number == number)
            .ok_or_else(|| Error::not_found("alert", format!("#{number}")))?;
        let firings = store::trigger::firings(&mut conn, alert.id).await?;
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
            if !store::alert::move_to(&mut tx, alert.id, alert.state, to, &by).await? {
                return Err(Error::conflict(format!("Somebody else handled alert #{number} just now; look again.")));
            }
            let action = if to == AlertState::Resolved { "alert.resolved" } else { "alert.acknowledged" };
            let mut event = Event::new(action, object(alert.id, number), format!("{} alert #{number}", to.as_str()));
            if let Some(monitor) = store::monitor::find(&mut tx, &ctx.sight(), &alert.environment, &alert.model).await?
            {
                event = on(event, &monitor);
            }
            event.write(&mut tx, ctx).await?;
            store::event::notify(&mut tx, &format!("alerts:{}", ctx.workspace_id())).await?;
            commit(tx).await?;
        }
        Ok(self.alert_by_number(ctx, number).await?.0)
    }

    /// Opens an alert, or notes that the one that is open was seen again. A new one fires its triggers; one that is there
    /// still, those that held back.
    pub(crate) async fn open_alert(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        due: &Due,
        check: &Check,
        key: CheckKey,
    ) -> Result<()> {
        let monitor = &due.monitor;
        if let Some((alert, number)) = store::alert::unresolved(tx, monitor.id).await? {
            store::alert::seen(tx, alert, key, &check.reason).await?;
            for trigger in store::trigger::held_back(tx, alert).await? {
                self.fire(tx, ctx, &trigger, alert, number, monitor).await?;
            }
            return tell(tx, monitor).await;
        }
        let number = store::counter::next(tx, monitor.workspace_id, "alert").await?;
        let opened = store::alert::open(tx, monitor, due.deployment, number, key, &check.reason).await?;
        let Some(alert) = opened else { return Ok(()) };
        let summary = format!("opened alert #{number}: {} of {} v{}", check.reason, name(monitor), check.version);
        on(Event::new("alert.opened", object(alert, number), summary), monitor)
            .related(Object::new(ObjectKind::Deployment, due.deployment, name(monitor)))
            .write(tx, ctx)
            .await?;
        for trigger in store::trigger::list(tx, &Sight::all(monitor.workspace_id), Some(monitor.id)).await? {
            self.fire(tx, ctx, &trigger, alert, number, monitor).await?;
        }
        tell(tx, monitor).await
    }
}

/// Resolves the alert of a monitor, when there is one.
pub(crate) async fn resolve(tx: &mut PgConnection, ctx: &Ctx, monitor: &Monitor) -> Result<()> {
    let Some((alert, number)) = store::alert::unresolved(tx, monitor.id).await? else { return Ok(()) };
    for from in [AlertState::Open, AlertState::Acknowledged] {
        if store::alert::move_to(tx, alert, from, AlertState::Resolved, "Slipway").await? {
            let text =
                format!("resolved alert #{number}: the traffic of {} looks like the reference again", name(monitor));
            on(Event::new("alert.resolved", object(alert, number), text), monitor).write(tx, ctx).await?;
        }
    }
    tell(tx, monitor).await
}

/// Tells open pages that an alert of a monitor changed.
async fn tell(tx: &mut PgConnection, monitor: &Monitor) -> Result<()> {
    Ok(store::event::notify(tx, &format!("alerts:{}", monitor.workspace_id)).await?)
}

pub(crate) fn object(alert: AlertId, number: i64) -> Object {
    Object::new(ObjectKind::Alert, alert, format!("#{number}"))
}
