//! From request to production: the data scientist asks, gates and the approver answer, the deployment follows.

use super::{
    client::{Listed, Look, wait},
    station::{Arrival, Failure, Reached},
    traffic::Rows,
    walk::{MODEL, Registered, Walk},
};
use domain::{
    deployment::Deployment,
    environment::PRODUCTION,
    promotion::{Decision, DecisionVerdict, Promotion, PromotionDetail, PromotionState, Verdict},
};
use serde_json::json;
use std::time::Duration;

/// How long gates may take, or a deployment.
const DECIDING: Duration = Duration::from_secs(120);

/// A version that answers in production.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) deployment: Deployment,
    /// The run that trained it.
    pub(super) run_id: String,
}

impl Walk<'_> {
    /// The data scientist requests production for the version; its gates pass.
    pub(super) async fn request(&self, version: &Registered) -> Arrival<Promotion> {
        let body = json!({
            "model": MODEL,
            "version": version.version,
            "environment": PRODUCTION,
            "comment": "Trained and evaluated by the pipeline; ready for patients of the clinic.",
        });
        let asked = self.people.scientist.post::<Promotion>("/api/v1/promotions", body).await;
        let number = asked
            .map_err(|refusal| {
                refusal.instead_of("a promotion, requested").look_at(self.links.version(MODEL, version.version))
            })?
            .number;
        let detail = self.awaits_approval(number).await?;
        let passed = detail.gates.iter().filter(|gate| gate.verdict() == Verdict::Pass).count();
        let promotion = detail.promotion;
        let note = format!("#{number} {}, {passed} of {} gates passed", promotion.title(), detail.gates.len());
        let reached = Reached::new(number, promotion.state.as_str(), note).at(self.links.promotion(number));
        Ok((reached, promotion))
    }

    /// Waits until a promotion's gates have passed and people are asked.
    pub(super) async fn awaits_approval(&self, number: i64) -> Result<PromotionDetail, Failure> {
        let path = format!("/api/v1/promotions/{number}");
        let waiting = wait(format!("promotion #{number}, awaiting approval"), DECIDING, || async {
            let detail: PromotionDetail = self.people.scientist.get(&path).await?;
            let state = detail.promotion.state;
            Ok(match state {
                PromotionState::AwaitingApproval => Look::There(detail),
                PromotionState::GatesRunning => Look::NotYet(state.as_str().to_owned()),
                _ => {
                    let held = detail.gates.iter().filter(|gate| gate.verdict() != Verdict::Pass).map(|gate| {
                        let reason = gate.finding.as_ref().map_or("not evaluated", |finding| &finding.reason);
                        format!("{}: {reason}", gate.spec.title())
                    });
                    let why = held.collect::<Vec<_>>().join("; ");
                    Look::Never(format!("it {} ({why}{})", state.describe(), detail.promotion.state_reason))
                }
            })
        });
        waiting.await.map_err(|failure| failure.look_at(self.links.promotion(number)))
    }

    /// The approver says yes to exactly what the gates have seen.
    pub(super) async fn approve(&self, promotion: &Promotion) -> Arrival<()> {
        let number = promotion.number;
        let page = self.links.promotion(number);
        let expected = "an approval";
        let path = format!("/api/v1/promotions/{number}");
        let failed = |failure: Failure| failure.look_at(&page);
        let detail: PromotionDetail =
            self.people.approver.get(&path).await.map_err(|refusal| failed(refusal.instead_of(expected)))?;
        let Some(digest) = detail.promotion.subject_digest else {
            return Err(failed(Failure::new("a promotion with a subject to approve", "none")));
        };
        let body = json!({
            "verdict": DecisionVerdict::Approve,
            "comment": "Recall on malignant cells and the golden rows looked at; fine for the clinic.",
            "subject_digest": digest,
        });
        let decision: Decision = self
            .people
            .approver
            .post(&format!("{path}/decisions"), body)
            .await
            .map_err(|refusal| failed(refusal.instead_of(expected)))?;
        let short: String = digest.as_str().chars().take(20).collect();
        let note = format!("{} approved {short}… with a comment", decision.user_name);
        Ok((Reached::new(decision.id.to_string(), "approved", note).at(page), ()))
    }

    /// The version answers in production as it did in training.
    pub(super) async fn live(&self, promotion: i64, version: &Registered) -> Arrival<Live> {
        let path = format!("/api/v1/promotions/{promotion}");
        let waiting = wait(format!("promotion #{promotion}, live"), DECIDING, || async {
            let detail: PromotionDetail = self.people.operator.get(&path).await?;
            let PromotionDetail { promotion, .. } = detail;
            Ok(match promotion.state {
                PromotionState::Live => Look::There(()),
                PromotionState::AwaitingApproval
                | PromotionState::Approved
                | PromotionState::Scheduled
                | PromotionState::Deploying
                | PromotionState::Verifying => Look::NotYet(promotion.state.as_str().to_owned()),
                state => Look::Never(format!("it {}: {}", state.describe(), promotion.state_reason)),
            })
        });
        waiting.await.map_err(|failure| failure.look_at(self.links.promotion(promotion)))?;

        let page = self.links.endpoint(PRODUCTION, MODEL);
        let list = format!("/api/v1/deployments?model={MODEL}&environment={PRODUCTION}&state=live");
        let expected = format!("{MODEL} v{} as the live deployment", version.version);
        let failed = |failure: Failure| failure.look_at(&page);
        let listed: Listed<Deployment> =
            self.people.operator.get(&list).await.map_err(|refusal| failed(refusal.instead_of(&expected)))?;
        let Some(deployment) = listed.items.into_iter().find(|live| live.version == version.version) else {
            return Err(failed(Failure::new(expected, "another one, or none")));
        };
        let rows = Rows::fetch(&self.people.operator, &version.run_id, "held_out").await.map_err(failed)?;
        // The process that answers follows the database within a moment.
        let expected = format!("an answer of v{} like the training's", version.version);
        let answering = wait(expected.as_str(), Duration::from_secs(30), || async {
            let answer = rows.ask(&self.people.operator, 0).await?;
            Ok(if answer.version() != Some(version.version) {
                Look::NotYet(format!("an answer of version {:?}", answer.version()))
            } else {
                match rows.difference(0, &answer) {
                    Ok(()) => Look::There(()),
                    Err(difference) => Look::Never(difference),
                }
            })
        });
        answering.await.map_err(failed)?;
        let note = format!("v{} answers in {PRODUCTION} as it did in training", version.version);
        let reached = Reached::new(deployment.number, deployment.state.as_str(), note).at(page.clone());
        Ok((reached, Live { deployment, run_id: version.run_id.clone() }))
    }
}
