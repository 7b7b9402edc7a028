//! The operator's part: traffic, an instrument that is recalibrated, the alert, and what its trigger brings about.

use super::{
    client::{Listed, Look, wait},
    file,
    release::Live,
    station::{Arrival, Failure, Reached},
    traffic::Rows,
    walk::{MODEL, Walk},
};
use domain::{
    environment::PRODUCTION,
    monitor::{Alert, Check, CheckState, Firing, Monitor},
    pipeline_run::{PipelineRunSummary, RunCause},
    promotion::{Promotion, PromotionState},
    trigger::Trigger,
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long a check of the traffic may be in coming: a server looks every 15 seconds unless told otherwise.
const CHECKING: Duration = Duration::from_secs(120);
/// How long what follows from a change in the database may take.
const FOLLOWING: Duration = Duration::from_secs(60);
/// The least number of rows for a check, under the number of rows that the walk sends at a time.
const LEAST_ROWS: usize = 100;
/// Seconds between two firings of the trigger. Short, so that the walk can be repeated at once.
const COOL_DOWN: i32 = 10;

/// An alert, and what triggers did for it.
#[derive(Deserialize)]
struct AlertDetail {
    #[serde(flatten)]
    alert: Alert,
    firings: Vec<Firing>,
}

impl Walk<'_> {
    /// The operator sets the monitor, and the clinic asks about patients that nobody trained on. Nothing drifts.
    pub(super) async fn usual_traffic(&self, live: &Live) -> Arrival<()> {
        let page = self.links.monitor(PRODUCTION, MODEL);
        let failed = |failure: Failure| failure.look_at(&page);
        let rows = Rows::fetch(&self.people.operator, &live.run_id, "held_out").await.map_err(failed)?;
        // A window as long as each of the two batches, so that the second fills it.
        let body = json!({ "window_rows": rows.len(), "min_rows": LEAST_ROWS.min(rows.len()), "enabled": true });
        let monitor: Monitor = self
            .people
            .operator
            .patch(&format!("/api/v1/environments/{PRODUCTION}/models/{MODEL}/monitor"), body)
            .await
            .map_err(|refusal| failed(refusal.instead_of("a monitor of the model in production")))?;
        self.send(&rows).await.map_err(failed)?;
        let expected = "a check of this traffic that finds no drift";
        let checking = wait(expected, CHECKING, || async {
            let found = self.last_check(live).await?;
            Ok(match found {
                None => Look::NotYet("no check yet".to_owned()),
                Some(check) if check.state == CheckState::Inconclusive => Look::NotYet(check.reason),
                Some(check) if check.state == CheckState::Drifted => Look::Never(check.reason),
                Some(check) => Look::There(check),
            })
        });
        let check = checking.await.map_err(failed)?;
        let note = format!("{} held-out patients answered as in training; {}", rows.len(), check.reason);
        Ok((Reached::new(monitor.id.to_string(), check.state.as_str(), note).at(page.clone()), ()))
    }

    /// The operator lets alerts start the pipeline; then the instrument is recalibrated, and the clinic goes on asking.
    pub(super) async fn shifted_traffic(&self, live: &Live) -> Arrival<()> {
        let page = self.links.monitor(PRODUCTION, MODEL);
        let failed = |failure: Failure| failure.look_at(&page);
        let body = json!({
            "model": MODEL,
            "environment": PRODUCTION,
            "pipeline": file::NAME,
            "params": { "instrument": "recalibrated", "promote": PRODUCTION },
            "enabled": true,
            "cool_down_s": COOL_DOWN,
        });
        let trigger: Trigger = self
            .people
            .operator
            .post("/api/v1/triggers", body)
            .await
            .map_err(|refusal| failed(refusal.instead_of("a trigger that starts the pipeline")))?;
        let rows = Rows::fetch(&self.people.operator, &live.run_id, "recalibrated").await.map_err(failed)?;
        self.send(&rows).await.map_err(failed)?;
        let note = format!("alerts start {}; {} patients by a recalibrated instrument", file::NAME, rows.len());
        Ok((Reached::new(trigger.id.to_string(), "enabled", note).at(page.clone()), ()))
    }

    async fn send(&self, rows: &Rows) -> Result<(), Failure> {
        let all = rows.len();
        rows.ask_all(&self.people.operator, |asked| self.progress.note(format!("{asked} of {all} patients"))).await
    }

    /// The newest check of what serves now.
    async fn last_check(&self, live: &Live) -> Result<Option<Check>, super::client::Refusal> {
        let path = format!("/api/v1/environments/{PRODUCTION}/models/{MODEL}/checks?limit=5");
        let checks: Listed<Check> = self.people.operator.get(&path).await?;
        Ok(checks.items.into_iter().find(|check| check.deployment_id == live.deployment.id))
    }

    /// The monitor finds it.
    pub(super) async fn alert(&self, live: &Live) -> Arrival<Alert> {
        let waiting = wait("an open alert about drift", CHECKING, || async {
            let alerts: Listed<Alert> = self.people.operator.get("/api/v1/alerts?unresolved=true").await?;
            let ours = |alert: &Alert| {
                alert.model == MODEL && alert.environment == PRODUCTION && alert.version == live.deployment.version
            };
            Ok(match alerts.items.into_iter().find(ours) {
                Some(alert) => Look::There(alert),
                None => Look::NotYet(match self.last_check(live).await? {
                    Some(check) => format!("none; the last check says: {}", check.reason),
                    None => "none, and no check".to_owned(),
                }),
            })
        });
        let alert = waiting.await.map_err(|failure| failure.look_at(self.links.monitor(PRODUCTION, MODEL)))?;
        let reached =
            Reached::new(alert.number, alert.state.as_str(), format!("#{} opened: {}", alert.number, alert.summary));
        Ok((reached.at(self.links.alert(alert.number)), alert))
    }

    /// The trigger starts the pipeline, once.
    pub(super) async fn retraining(&self, alert: &Alert) -> Arrival<i64> {
        let failed = |failure: Failure| failure.look_at(self.links.alert(alert.number));
        let path = format!("/api/v1/alerts/{}", alert.number);
        let starting = wait("a pipeline run, started by the trigger", FOLLOWING, || async {
            let AlertDetail { alert, firings } = self.people.operator.get(&path).await?;
            let started: Vec<i64> = firings.iter().filter_map(|firing| firing.pipeline_run_number).collect();
            let held_back = firings.iter().find_map(|firing| firing.held_back.clone());
            Ok(match (started.as_slice(), held_back) {
                ([number], _) => Look::There(*number),
                ([], Some(why)) => Look::Never(why),
                ([], None) => Look::NotYet(format!("no firing for alert #{}", alert.number)),
                (many, _) => Look::Never(format!("{} runs", many.len())),
            })
        });
        let number = starting.await.map_err(failed)?;
        let detail = self.finished(number).await?;

        let path = format!("/api/v1/pipeline-runs?pipeline={}", file::NAME);
        let expected = "one run for the alert";
        let runs: Listed<PipelineRunSummary> =
            self.people.operator.get(&path).await.map_err(|refusal| failed(refusal.instead_of(expected)))?;
        let of_alert = runs.items.iter().filter(|summary| {
            summary.run.cause == RunCause::Trigger && summary.run.cause_id == Some(alert.id.to_string())
        });
        match of_alert.count() {
            1 => {}
            many => return Err(failed(Failure::new(expected, format!("{many} of them")))),
        }
        let note = format!("#{number} started once by alert #{}, on what the instrument shows now", alert.number);
        let reached = Reached::new(number, detail.run.state.as_str(), note).at(self.links.pipeline_run(number));
        Ok((reached, number))
    }

    /// What the retraining proposes has passed its gates and waits for people.
    pub(super) async fn candidate(&self, run: i64) -> Arrival<()> {
        let registered = self.what_it_registered(run).await?;
        let version = registered.version;
        let page = self.links.version(MODEL, version);
        let path = format!("/api/v1/promotions?model={MODEL}&version={version}&environment={PRODUCTION}");
        let expected = format!("a promotion of v{version}, requested by the pipeline");
        let waiting = wait(expected.as_str(), FOLLOWING, || async {
            let promotions: Listed<Promotion> = self.people.approver.get(&path).await?;
            let found = promotions.items.into_iter().next();
            Ok(found.map_or_else(|| Look::NotYet("none".to_owned()), Look::There))
        });
        let number = waiting.await.map_err(|failure| failure.look_at(&page))?.number;
        let promotion = self.awaits_approval(number).await?.promotion;
        let note = format!("#{number} {} waits for an approver: {}", promotion.title(), promotion.comment);
        let state = PromotionState::AwaitingApproval.as_str();
        Ok((Reached::new(number, state, note).at(self.links.promotion(number)), ()))
    }
}
