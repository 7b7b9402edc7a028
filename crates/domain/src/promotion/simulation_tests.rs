//! What a draft would have said of promotions that are past.

use super::*;
use crate::{
    digest::Digest,
    id::{DecisionId, EnvironmentId, ModelVersionId, PolicyId, PromotionId, UserId, WorkspaceId},
    permission::Role,
    policy::{Better, Policy, PolicyDocument, Rule},
    promotion::{Finding, Person},
    user::{Email, Member, User},
};
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};

fn digest() -> Digest {
    Digest::of_json(&"subject").unwrap()
}

fn draft(gates: Vec<GateSpec>, approvals: u8) -> PolicySet {
    let rules = (approvals > 0).then(|| Rule::of_approvers(approvals)).into_iter().collect();
    PolicySet::pinned([Policy {
        id: PolicyId::new(),
        workspace_id: WorkspaceId::new(),
        name: "draft".to_owned(),
        revision: 0,
        document: PolicyDocument { gates, rules, ..PolicyDocument::default() },
        source: None,
        retired: false,
        digest: digest(),
        created_at: DateTime::UNIX_EPOCH,
        created_by: "Ada".to_owned(),
    }])
}

fn promotion(state: PromotionState) -> Promotion {
    let agreed = matches!(state, PromotionState::Live | PromotionState::Approved);
    Promotion {
        id: PromotionId::new(),
        workspace_id: WorkspaceId::new(),
        number: 7,
        model_version_id: ModelVersionId::new(),
        model: "churn".to_owned(),
        version: 7,
        environment_id: EnvironmentId::new(),
        environment: "production".to_owned(),
        state,
        state_reason: String::new(),
        requested_by: None,
        on_behalf_of: None,
        requester: "Ada".to_owned(),
        comment: String::new(),
        subject: None,
        subject_digest: Some(digest()),
        expires_at: DateTime::UNIX_EPOCH,
        approved_at: agreed.then_some(DateTime::UNIX_EPOCH),
        again: None,
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

fn accuracy(threshold: f64) -> GateSpec {
    GateSpec::MetricThreshold { metric: "accuracy".to_owned(), better: Better::Higher, threshold }
}

fn beats(min_gain: f64) -> GateSpec {
    GateSpec::BetterThanChampion { metric: "accuracy".to_owned(), better: Better::Higher, min_gain, confidence: None }
}

fn gate_of(spec: GateSpec, finding: Option<Finding>) -> Gate {
    serde_json::from_value(serde_json::json!({
        "position": 0, "policy": "production", "advisory": false, "spec": spec, "finding": finding, "evaluated_at": null,
    }))
    .unwrap()
}

fn found(threshold: f64, value: Option<f64>) -> Gate {
    gate_of(accuracy(threshold), Some(metric_threshold("accuracy", Better::Higher, threshold, value)))
}

fn person(name: &str) -> Person {
    let user = User {
        id: UserId::new(),
        email: Email::parse(&format!("{name}@slipway.test")).unwrap(),
        name: name.to_owned(),
        is_service: false,
        created_at: DateTime::UNIX_EPOCH,
    };
    let member =
        Member { user, roles: BTreeSet::from([Role::Approver]), since: DateTime::UNIX_EPOCH, last_seen_at: None };
    Person { member, teams: BTreeSet::new() }
}

fn says(person: &Person, verdict: DecisionVerdict) -> Decision {
    Decision {
        id: DecisionId::new(),
        user_id: person.member.user.id,
        user_name: person.member.user.name.clone(),
        verdict,
        comment: String::new(),
        subject_digest: digest(),
        rules: vec!["production/somebody".to_owned()],
        acting_for: None,
        inputs: BTreeMap::new(),
        checked: BTreeMap::new(),
        reauthenticated: false,
        at: DateTime::UNIX_EPOCH,
    }
}

fn of_gates(spec: GateSpec, then: &[Gate]) -> (Option<Verdict>, Basis) {
    let promotion = promotion(PromotionState::Live);
    let past = Past { promotion: &promotion, gates: then, decisions: &[], electorate: &Electorate::default() };
    let simulated = simulate(&draft(vec![spec], 0), &past);
    let expected = match simulated.gates[0].verdict {
        Some(Verdict::Pass) => Simulated::WouldPass,
        Some(_) => Simulated::WouldBlock,
        None => Simulated::CannotTell,
    };
    assert_eq!(simulated.outcome, expected);
    assert_eq!(simulated.reasons.is_empty(), expected == Simulated::WouldPass);
    (simulated.gates[0].verdict, simulated.gates[0].basis)
}

#[test]
fn a_number_of_then_is_held_against_the_drafts_limit() {
    let then = [found(0.7, Some(0.82))];
    assert_eq!(of_gates(accuracy(0.7), &then), (Some(Verdict::Pass), Basis::Found));
    assert_eq!(of_gates(accuracy(0.8), &then), (Some(Verdict::Pass), Basis::Computed));
    assert_eq!(of_gates(accuracy(0.9), &then), (Some(Verdict::Fail), Basis::Computed));
    let missing = [found(0.7, None)];
    assert_eq!(of_gates(accuracy(0.1), &missing), (Some(Verdict::Inconclusive), Basis::Computed));
    let loss = GateSpec::MetricThreshold { metric: "loss".to_owned(), better: Better::Lower, threshold: 1.0 };
    assert_eq!(of_gates(loss, &then), (None, Basis::NotKnown));
}

#[test]
fn a_gain_on_the_champion_of_then_is_computed_and_tells_the_value_too() {
    let finding = better_than_champion("accuracy", Better::Higher, 0.0, Some(0.82), Some(("churn v6", Some(0.8))));
    let then = [gate_of(beats(0.0), Some(finding))];
    assert_eq!(of_gates(beats(0.02), &then), (Some(Verdict::Pass), Basis::Computed));
    assert_eq!(of_gates(beats(0.03), &then), (Some(Verdict::Fail), Basis::Computed));
    assert_eq!(of_gates(accuracy(0.81), &then), (Some(Verdict::Pass), Basis::Computed));
    let first = better_than_champion("accuracy", Better::Higher, 0.0, Some(0.82), None);
    assert_eq!(of_gates(beats(0.5), &[gate_of(beats(0.0), Some(first))]), (Some(Verdict::Pass), Basis::Computed));
    // A threshold says nothing of a champion.
    assert_eq!(of_gates(beats(0.0), &[found(0.7, Some(0.82))]), (None, Basis::NotKnown));
}

#[test]
fn a_stricter_gate_that_passed_and_a_laxer_one_that_failed_tell_too() {
    let latency = |max_ms| GateSpec::LatencyBudget { percentile: 99.0, max_ms, requests: 200 };
    let verdict = |verdict| Some(Finding { verdict, ..Finding::inconclusive("", "") });
    let passed = [gate_of(latency(20.0), verdict(Verdict::Pass))];
    assert_eq!(of_gates(latency(30.0), &passed), (Some(Verdict::Pass), Basis::Implied));
    assert_eq!(of_gates(latency(10.0), &passed), (None, Basis::NotKnown));
    let failed = [gate_of(latency(20.0), verdict(Verdict::Fail))];
    assert_eq!(of_gates(latency(10.0), &failed), (Some(Verdict::Fail), Basis::Implied));
    assert_eq!(of_gates(latency(30.0), &failed), (None, Basis::NotKnown));
}

#[test]
fn a_gate_that_was_not_evaluated_is_not_known() {
    assert_eq!(of_gates(accuracy(0.7), &[gate_of(accuracy(0.7), None)]), (None, Basis::NotKnown));
    assert_eq!(of_gates(accuracy(0.7), &[]), (None, Basis::NotKnown));
}

#[test]
fn a_yes_counts_for_the_rules_of_the_draft_and_a_no_stays_a_no() {
    let (one, two) = (person("one"), person("two"));
    let electorate = Electorate { people: vec![one.clone(), two.clone()], ..Electorate::default() };
    let outcome = |state, approvals, decisions: &[Decision]| {
        let promotion = promotion(state);
        let past = Past { promotion: &promotion, gates: &[], decisions, electorate: &electorate };
        let simulated = simulate(&draft(Vec::new(), approvals), &past);
        (simulated.outcome, simulated.reasons.join("; "))
    };
    use DecisionVerdict::{Approve, Reject, RequestChanges};
    let both = [says(&one, Approve), says(&two, Approve)];
    assert_eq!(outcome(PromotionState::Live, 2, &both), (Simulated::WouldPass, String::new()));
    assert_eq!(
        outcome(PromotionState::Live, 2, &both[..1]),
        (Simulated::WouldBlock, "rule \"approvers\" has 1 of 2 approvals".to_owned())
    );
    let no = [says(&one, Approve), says(&two, Reject)];
    assert_eq!(outcome(PromotionState::Rejected, 1, &no), (Simulated::WouldBlock, "two said no".to_owned()));
    let wish = [says(&one, Approve), says(&two, RequestChanges)];
    assert_eq!(outcome(PromotionState::Expired, 1, &wish).0, Simulated::WouldBlock);
    // Nobody was asked, so nobody said anything.
    assert_eq!(outcome(PromotionState::Blocked, 1, &[]).0, Simulated::CannotTell);
    assert_eq!(outcome(PromotionState::Blocked, 0, &[]).0, Simulated::WouldPass);
    assert_eq!(outcome(PromotionState::Live, 1, &[]).0, Simulated::WouldBlock);
}

#[test]
fn what_is_simulated_is_counted() {
    let promotion = promotion(PromotionState::Live);
    let past = Past { promotion: &promotion, gates: &[], decisions: &[], electorate: &Electorate::default() };
    let all = vec![simulate(&draft(Vec::new(), 0), &past), simulate(&draft(vec![accuracy(0.7)], 0), &past)];
    let simulation = PolicySimulation::new("draft", 9, all);
    assert_eq!((simulation.would_pass, simulation.would_block, simulation.cannot_tell), (1, 0, 1));
}
