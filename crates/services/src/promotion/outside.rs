//! Gates that something outside answers, later: who is asked, and what is answered.

use super::{
    announce, candidate_of, event, go_on, locked, no_promotion,
    present::{Present, unexpected},
};
use crate::{Ctx, Result, Services, boxed, commit, link::Links, webhook::tell_of_promotion};
use domain::{
    Digest, Error,
    id::EvidenceId,
    policy::GateSpec,
    promotion::{
        Finding, Gate, Promotion, PromotionState, Uploaded, Verdict,
        gate::external::{self, Answer, Asked},
    },
    prose::sentence,
    webhook::PromotionEvent,
};
use std::collections::BTreeMap;
use store::PgConnection;

/// The most characters of an answer's comment.
const MAX_COMMENT: usize = 2_000;
/// The most characters of an answer's address.
const MAX_URL: usize = 2_000;

/// What something outside answers.
#[derive(Debug, Clone)]
pub struct NewAnswer {
    /// Whether it passes, fails or cannot tell.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub comment: String,
    /// Where more of it stands. It is shown, and never opened here.
    pub url: Option<String>,
}

impl Services {
    /// What a promotion waits for from outside.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pending_gates(&self, ctx: &Ctx, number: i64) -> Result<Vec<Asked>> {
        let mut conn = self.conn().await?;
        let promotion = super::read::found(&mut conn, ctx, number).await?;
        if !promotion.state.is_open() {
            return Ok(Vec::new());
        }
        let now = store::clock(&mut conn).await?;
        let gates = store::promotion::gates(&mut conn, promotion.id).await?;
        Ok(asked(&gates).into_iter().filter(|asked| now < asked.answer_by).collect())
    }

    /// Takes the answer to a gate that was asked outside, and lets the promotion go on. The same again changes nothing. The
    /// answer is evidence `gate/<name>` from then on; tells whether it is new.
    ///
    /// # Errors
    /// `NotFound` when no policy of the promotion has an external gate of that name; `Invalid` for an answer that is none;
    /// `Conflict` when it is answered already, was not asked yet, or its time is over.
    #[boxed]
    pub async fn answer_gate(&self, ctx: &Ctx, number: i64, name: &str, new: NewAnswer) -> Result<(Uploaded, bool)> {
        let answer = checked(new)?;
        let content = serde_json::to_value(&answer).map_err(unexpected)?;
        let digest = Digest::of_json(&content).map_err(unexpected)?;
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, &ctx.sight(), number).await?;
        let found = found.ok_or_else(|| no_promotion(number))?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::hold(&mut tx, found.environment_id).await?;
        let promotion = locked(&mut tx, ctx, number).await?;
        let gates = store::promotion::gates(&mut tx, promotion.id).await?;
        let of_name: Vec<&Gate> = gates
            .iter()
            .filter(|gate| matches!(&gate.spec, GateSpec::External { name: known, .. } if known == name))
            .collect();
        if of_name.is_empty() {
            let shown: String = name.chars().take(100).collect();
            return Err(Error::not_found("external gate", shown));
        }
        let evidence = format!("{}{name}", external::PREFIX);
        let known = store::promotion::evidence(&mut tx, promotion.id).await?;
        let last = known.into_iter().find(|one| one.name == evidence);
        let now = store::clock(&mut tx).await?;
        let open: Vec<(&Gate, Uploaded)> = of_name
            .iter()
            .filter_map(|gate| {
                let (asked_at, until) = times(gate)?;
                let waits = gate.verdict() == Verdict::Pending && now < until;
                let uploaded = Uploaded {
                    id: EvidenceId::new(),
                    name: evidence.clone(),
                    content: content.clone(),
                    digest: digest.clone(),
                    uploaded_by: ctx.user().map(|user| user.id),
                    uploader: ctx.actor().name().to_owned(),
                    // Not before the question, whichever process asked it.
                    at: now.max(asked_at),
                };
                waits.then_some((*gate, uploaded))
            })
            .collect();
        let Some((_, uploaded)) = open.first().filter(|_| promotion.state.is_open()) else {
            return match last.filter(|last| last.digest == digest && answers(&of_name, last)) {
                Some(same) => Ok((same, false)),
                None => Err(Error::conflict(too_late(&promotion, name, &of_name))),
            };
        };
        let uploaded = uploaded.clone();
        store::promotion::insert_evidence(&mut tx, promotion.id, &uploaded).await?;
        let findings: Vec<(i32, Finding)> = open
            .iter()
            .filter_map(|(gate, _)| match &gate.spec {
                GateSpec::External { name, timeout } => {
                    let found = external::external(name, *timeout, gate.asked_at, Some(&uploaded), now);
                    Some((gate.position, found))
                }
                _ => None,
            })
            .collect();
        let findings: Vec<(i32, &Finding)> = findings.iter().map(|(position, finding)| (*position, finding)).collect();
        store::promotion::set_findings_at(&mut tx, promotion.id, &findings).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary = format!("answered {name}: {}", answer.verdict.as_str());
        event("promotion.gate_answered", &promotion, &candidate, summary)
            .details(serde_json::json!({ "gate": name, "answer": answer, "digest": uploaded.digest }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        if promotion.state == PromotionState::GatesRunning {
            go_on(&mut tx, &promotion).await?;
        }
        commit(tx).await?;
        Ok((uploaded, true))
    }

    /// Notes that what is outside is asked now, says so in the history, and asks by webhook: one delivery for each gate, with
    /// the address of its answer.
    pub(super) async fn ask_outside(
        &self,
        tx: &mut PgConnection,
        promotion: &Promotion,
        present: &Present,
    ) -> Result<()> {
        let names = store::promotion::ask(tx, promotion.id).await?;
        let gates = store::promotion::gates(tx, promotion.id).await?;
        let all: Vec<Asked> = asked(&gates).into_iter().filter(|asked| names.contains(&asked.name)).collect();
        let summary = format!("asked {} about {}", names.into_iter().collect::<Vec<_>>().join(", "), promotion.title());
        let event = event("promotion.gate_asked", promotion, &present.candidate, summary)
            .details(serde_json::json!({ "number": promotion.number, "gates": all }));
        super::write_as_system(event, tx, promotion).await?;
        for Asked { name, policies, advisory, asked_at, answer_by } in &all {
            let more = |links: Links<'_>| {
                serde_json::json!({
                    "gate": name, "policies": policies, "advisory": advisory, "asked_at": asked_at, "answer_by": answer_by,
                    "answer_url": links.gate_answer(promotion.number, name),
                })
            };
            tell_of_promotion(tx, promotion, PromotionEvent::GateRequested, more).await?;
        }
        Ok(())
    }
}

/// When an external gate was asked, and until when it waits.
fn times(gate: &Gate) -> Option<(chrono::DateTime<chrono::Utc>, chrono::DateTime<chrono::Utc>)> {
    match (&gate.spec, gate.asked_at) {
        (GateSpec::External { timeout, .. }, Some(asked_at)) => {
            Some((asked_at, external::answer_by(asked_at, *timeout)))
        }
        _ => None,
    }
}

/// What waits for an answer, each name once.
fn asked(gates: &[Gate]) -> Vec<Asked> {
    let mut all: BTreeMap<&str, Asked> = BTreeMap::new();
    for gate in gates.iter().filter(|gate| gate.verdict() == Verdict::Pending) {
        let (GateSpec::External { name, .. }, Some((asked_at, until))) = (&gate.spec, times(gate)) else { continue };
        let asked = all.entry(name).or_insert_with(|| Asked {
            name: name.clone(),
            policies: Vec::new(),
            advisory: true,
            asked_at,
            answer_by: until,
        });
        asked.policies.push(gate.policy.clone());
        asked.advisory &= gate.advisory;
        asked.answer_by = asked.answer_by.max(until);
    }
    all.into_values().collect()
}

/// Whether this is the answer to what was asked last.
fn answers(gates: &[&Gate], uploaded: &Uploaded) -> bool {
    gates.iter().any(|gate| match (&gate.spec, gate.asked_at) {
        (GateSpec::External { timeout, .. }, Some(asked_at)) => {
            external::answer(uploaded, asked_at, *timeout).is_some()
        }
        _ => false,
    })
}

fn too_late(promotion: &Promotion, name: &str, gates: &[&Gate]) -> String {
    let number = promotion.number;
    if !promotion.state.is_open() {
        return format!("Promotion #{number} takes no answers: it {}.", promotion.state.describe());
    }
    match gates.iter().find_map(|gate| gate.finding.as_ref()) {
        Some(finding) if finding.verdict != Verdict::Pending => {
            format!("{name} of promotion #{number} is decided. {}", sentence(&finding.reason))
        }
        _ if gates.iter().all(|gate| gate.asked_at.is_none()) => {
            format!("{name} of promotion #{number} was not asked yet.")
        }
        _ => format!("The time for {name} of promotion #{number} is over. Run the gates again to ask it again."),
    }
}

fn checked(new: NewAnswer) -> Result<Answer> {
    if new.verdict == Verdict::Pending {
        return Err(Error::invalid_field("verdict", "An answer is pass, fail or inconclusive."));
    }
    let comment = new.comment.trim();
    if comment.chars().count() > MAX_COMMENT || comment.contains('\0') {
        let message = format!("A comment has at most {MAX_COMMENT} characters, and no zero bytes.");
        return Err(Error::invalid_field("comment", message));
    }
    let url = new.url.filter(|url| !url.trim().is_empty());
    if let Some(url) = &url {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        if !is_web || url.len() > MAX_URL || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let message = "An address begins with https:// or http://, and has at most 2,000 characters.";
            return Err(Error::invalid_field("url", message));
        }
    }
    Ok(Answer { verdict: new.verdict, comment: comment.to_owned(), url })
}
