//! The walk: one model from training to production and back, each station through the public API by whoever it is for.
//!
//! Who trains is in [`super::training`], who decides in [`super::release`], who watches in [`super::watch`].

use super::{
    client::{Listed, Look, Refusal, wait},
    file,
    people::People,
    station::{Arrival, Failure, Progress, Reached, Station},
};
use app::links::Links;
use domain::{
    environment::PRODUCTION,
    monitor::Alert,
    pipeline_run::{PipelineRunDetail, StepState},
    promotion::{Promotion, PromotionState},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// The model's name.
pub(super) const MODEL: &str = file::NAME;
/// How long a pipeline run may take: it trains for seconds, but an interpreter starts cold in every step.
const RUNNING: Duration = Duration::from_secs(600);

/// A walk.
pub(super) struct Walk<'a> {
    pub(super) people: &'a People,
    pub(super) links: Links,
    pub(super) progress: Progress,
}

/// What the last step but one of the pipeline gives on.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Registered {
    pub(super) version: i32,
    pub(super) run_id: String,
}

impl<'a> Walk<'a> {
    pub(super) fn new(people: &'a People, links: Links, progress: Progress) -> Self {
        Self { people, links, progress }
    }

    /// Goes from station to station. `pipeline` is the pipeline's file.
    pub(super) async fn go(&self, pipeline: &str) -> Result<(), Failure> {
        let progress = &self.progress;
        progress.station(Station::People, self.gather()).await?;
        progress.station(Station::Policy, self.set_policy()).await?;
        progress.station(Station::Pipeline, self.store_pipeline(pipeline)).await?;
        let run = progress.station(Station::PipelineRun, self.train()).await?;
        let version = progress.station(Station::ModelVersion, self.registered(run)).await?;
        let promotion = progress.station(Station::Promotion, self.request(&version)).await?;
        progress.station(Station::Approval, self.approve(&promotion)).await?;
        let live = progress.station(Station::Deployment, self.live(promotion.number, &version)).await?;
        progress.became(Station::Promotion, PromotionState::Live.as_str());
        progress.station(Station::Traffic, self.usual_traffic(&live)).await?;
        progress.station(Station::Trigger, self.shifted_traffic(&live)).await?;
        let alert = progress.station(Station::Alert, self.alert(&live)).await?;
        let run = progress.station(Station::Retraining, self.retraining(&alert)).await?;
        progress.station(Station::Candidate, self.candidate(run)).await
    }

    /// Everybody is there, and what an earlier walk left open is closed.
    async fn gather(&self) -> Arrival<()> {
        let reached = self.people.present().await?;
        let left =
            self.close_earlier_walk().await.map_err(|refusal| refusal.instead_of("an end to the walk before"))?;
        let note = [vec![reached.note.clone()], left].concat().join("; ");
        Ok((Reached { note, ..reached }, ()))
    }

    /// The operator resolves the alert of an earlier walk, and the administrator withdraws its candidate: this walk
    /// trains anew on the instrument as it was delivered, and the candidate has learnt from the other.
    async fn close_earlier_walk(&self) -> Result<Vec<String>, Refusal> {
        let mut done = Vec::new();
        let operator = &self.people.operator;
        let alerts: Listed<Alert> = operator.get("/api/v1/alerts?unresolved=true").await?;
        for alert in alerts.items.iter().filter(|alert| alert.model == MODEL && alert.environment == PRODUCTION) {
            let resolve = format!("/api/v1/alerts/{}/resolve", alert.number);
            let _: Value = operator.post(&resolve, json!({})).await?;
            done.push(format!("resolved alert #{} of the walk before", alert.number));
        }
        let admin = &self.people.admin;
        let open = format!("/api/v1/promotions?state=open&model={MODEL}&environment={PRODUCTION}");
        let promotions: Listed<Promotion> = admin.get(&open).await?;
        for promotion in promotions.items {
            let withdraw = format!("/api/v1/promotions/{}/withdraw", promotion.number);
            let _: Value = admin.post(&withdraw, json!({})).await?;
            done.push(format!("withdrew its candidate, promotion #{}", promotion.number));
        }
        Ok(done)
    }

    /// Waits for a pipeline run to succeed.
    pub(super) async fn finished(&self, number: i64) -> Result<PipelineRunDetail, Failure> {
        let path = format!("/api/v1/pipeline-runs/{number}");
        let waiting = wait(format!("pipeline run #{number}, succeeded"), RUNNING, || async {
            let detail: PipelineRunDetail = self.people.scientist.get(&path).await?;
            let of = |state| detail.steps.iter().filter(move |step| step.state == state);
            let (all, done) = (detail.steps.len(), of(StepState::Succeeded).count());
            let running: Vec<_> = of(StepState::Running).map(|step| step.name.as_str()).collect();
            let seen = format!("#{number}: {done} of {all} steps, now {}", running.join(", "));
            Ok(match detail.run.state {
                state if !state.is_final() => {
                    self.progress.note(seen.trim_end_matches(", now "));
                    Look::NotYet(format!("{} ({seen})", state.as_str()))
                }
                state if of(StepState::Succeeded).count() < all => {
                    let failed = of(StepState::Failed).map(|step| format!("step {}: {}", step.name, step.reason));
                    let failed: Vec<_> = failed.collect();
                    Look::Never(format!("{} ({})", state.as_str(), failed.join("; ")))
                }
                _ => Look::There(detail),
            })
        });
        waiting.await.map_err(|failure| failure.look_at(self.links.pipeline_run(number)))
    }

    /// What a pipeline run registered.
    pub(super) async fn what_it_registered(&self, run: i64) -> Result<Registered, Failure> {
        let path = format!("/api/v1/pipeline-runs/{run}/steps/register/outputs/version");
        self.people.scientist.get(&path).await.map_err(|refusal| {
            refusal.instead_of("the output \"version\" of the step register").look_at(self.links.pipeline_run(run))
        })
    }
}
