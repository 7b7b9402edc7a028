//! Whether policies became stricter than those that people agreed under.

use super::{Better, GateSpec, Order, PolicySet, Rule};

/// What `now` asks for and `then` did not, for people; empty when whatever `then` let through, `now` lets through too.
///
/// It is told from the documents alone and errs on the safe side: what cannot be shown to be implied counts as stricter.
/// A rule or gate of one policy may be implied by that of another, because all of a set must hold.
#[must_use]
pub fn stricter(then: &PolicySet, now: &PolicySet) -> Vec<String> {
    let mut all = Vec::new();
    for (policy, gate) in now.gates() {
        if !then.gates().any(|(_, before)| gate_implies(before, gate)) {
            all.push(format!("{} asks for \"{}\"", policy.name, gate.title()));
        }
    }
    for (policy, rule) in now.rules() {
        let implied = then.rules().any(|(before_policy, before)| {
            // What a rule must be distinct from is named within its policy.
            (before.distinct_rules().next().is_none() && rule.distinct_rules().next().is_none()
                || before_policy.name == policy.name)
                && rule_implies(before, rule)
        });
        if !implied {
            all.push(format!("{} asks for rule \"{}\"", policy.name, rule.name));
        }
    }
    if then.may_skip() && !now.may_skip() {
        let who = now.policies().iter().find(|policy| policy.document.order == Order::Follow);
        all.push(format!("{} lets no environment be skipped", who.map_or("a policy", |policy| &policy.name)));
    }
    if now.expires_after() < then.expires_after() {
        all.push(format!("requests stand for {} only", now.expires_after()));
    }
    match (then.evidence_ttl(), now.evidence_ttl()) {
        (None, Some(ttl)) => all.push(format!("evidence counts for {ttl} only")),
        (Some(before), Some(ttl)) if ttl < before => all.push(format!("evidence counts for {ttl} only")),
        _ => {}
    }
    if now.reauthenticate() && !then.reauthenticate() {
        all.push("deciding takes the password".to_owned());
    }
    all
}

/// Whether whatever passes `before` passes `after`.
pub(crate) fn gate_implies(before: &GateSpec, after: &GateSpec) -> bool {
    use GateSpec as G;
    // What it does not say of a value is that it is the same.
    match (before, after) {
        (
            G::MetricThreshold { metric, better, threshold },
            G::MetricThreshold { metric: m, better: b, threshold: now },
        ) => metric == m && better == b && better.gain(*threshold, *now) >= 0.0,
        (
            G::BetterThanChampion { metric, better, min_gain, confidence },
            G::BetterThanChampion { metric: m, better: b, min_gain: now, confidence: c },
        ) => {
            // An interval and two logged numbers are different measurements.
            let as_sure = match (confidence, c) {
                (None, None) => true,
                (Some(before), Some(now)) => before >= now,
                _ => false,
            };
            metric == m && better == b && min_gain >= now && as_sure
        }
        (
            G::SliceFloor { metric, better, columns, floor, max_drop, min_rows },
            G::SliceFloor { metric: m, better: b, columns: cs, floor: f, max_drop: d, min_rows: r },
        ) => {
            let floor_holds = implied(*floor, *f, |before, now| Better::gain(*better, before, now) >= 0.0);
            let drop_holds = implied(*max_drop, *d, |before, now| before <= now);
            metric == m && better == b && columns == cs && min_rows == r && floor_holds && drop_holds
        }
        (
            G::LatencyBudget { percentile, max_ms, requests },
            G::LatencyBudget { percentile: p, max_ms: ms, requests: n },
        ) => percentile >= p && max_ms <= ms && requests == n,
        (G::GoldenRow { tolerance }, G::GoldenRow { tolerance: now }) => tolerance <= now,
        (G::ModelCard { sections, max_age }, G::ModelCard { sections: s, max_age: a }) => {
            s.iter().all(|section| sections.contains(section)) && implied(*max_age, *a, |before, now| before <= now)
        }
        (G::Reproduced { metrics, tolerance }, G::Reproduced { metrics: m, tolerance: t }) => {
            metrics == m && tolerance <= t
        }
        (G::External { name, .. }, G::External { name: n, .. }) => name == n,
        (G::Cel { expression, .. }, G::Cel { expression: e, .. }) => expression == e,
        _ => before == after,
    }
}

/// Whether a limit that may be absent is implied by another.
fn implied<T>(before: Option<T>, now: Option<T>, holds: impl Fn(T, T) -> bool) -> bool {
    match (before, now) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(before), Some(now)) => holds(before, now),
    }
}

/// Whether whoever satisfied `before` satisfies `after`: as many people, who were eligible in ways that still are, who
/// are distinct from at least as many, and who confirmed and gave at least as much.
fn rule_implies(before: &Rule, after: &Rule) -> bool {
    before.approvals >= after.approvals
        && before.eligible.users.is_subset(&after.eligible.users)
        && before.eligible.teams.is_subset(&after.eligible.teams)
        && before.eligible.roles.is_subset(&after.eligible.roles)
        && after.distinct_from.is_subset(&before.distinct_from)
        && after.checklist.iter().all(|item| before.checklist.contains(item))
        && after.inputs.iter().all(|input| input.optional || before.inputs.contains(input))
        && (before.justification || !after.justification)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        id::{PolicyId, WorkspaceId},
        policy::{Policy, PolicyDocument},
    };
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn set(documents: &[Value]) -> PolicySet {
        PolicySet::pinned(documents.iter().enumerate().map(|(at, document)| {
            let document: PolicyDocument = serde_json::from_value(document.clone()).unwrap();
            document.validate().unwrap();
            Policy {
                id: PolicyId::new(),
                workspace_id: WorkspaceId::new(),
                name: format!("policy-{at}"),
                revision: 1,
                digest: Digest::of_json(&document).unwrap(),
                document,
                source: None,
                retired: false,
                created_at: DateTime::UNIX_EPOCH,
                created_by: String::new(),
            }
        }))
    }

    fn base() -> Value {
        json!({
            "gates": [
                {"kind": "metric_threshold", "metric": "accuracy", "threshold": 0.8},
                {"kind": "metric_threshold", "metric": "loss", "better": "lower", "threshold": 0.5},
                {"kind": "better_than_champion", "metric": "accuracy", "min_gain": 0.01},
                {"kind": "golden_row", "tolerance": 0.001},
                {"kind": "latency_budget", "max_ms": 20.0},
                {"kind": "slice_floor", "metric": "recall", "columns": ["region"], "floor": 0.5},
                {"kind": "model_card", "sections": ["Limits", "Data"], "max_age": "30d"},
                {"kind": "reproduced", "tolerance": 0.01},
            ],
            "rules": [{
                "name": "risk", "eligible": {"roles": ["approver"], "teams": ["risk"]}, "approvals": 2,
                "distinct_from": ["requester", "trainer"], "checklist": ["Read the card"],
                "inputs": [{"name": "ticket"}], "justification": true,
            }],
            "expires_after": "7d", "evidence_ttl": "3d", "order": "skip", "reauthenticate": true,
        })
    }

    fn changed(path: &str, value: Value) -> Value {
        let mut document = base();
        *document.pointer_mut(path).unwrap() = value;
        document
    }

    #[test]
    fn each_part_that_is_loosened_is_not_stricter_and_the_other_way_round_it_is() {
        for (path, loose) in [
            ("/gates/0/threshold", json!(0.7)),
            ("/gates/1/threshold", json!(0.6)),
            ("/gates/2/min_gain", json!(0.0)),
            ("/gates/3/tolerance", json!(0.01)),
            ("/gates/4/max_ms", json!(30.0)),
            ("/gates/5/floor", json!(0.4)),
            ("/gates/6/sections", json!(["Data"])),
            ("/gates/6/max_age", json!("60d")),
            ("/gates/7/tolerance", json!(0.1)),
            ("/rules/0/approvals", json!(1)),
            ("/rules/0/eligible", json!({"roles": ["approver", "operator"], "teams": ["risk"]})),
            ("/rules/0/distinct_from", json!(["requester"])),
            ("/rules/0/checklist", json!([])),
            ("/rules/0/inputs", json!([])),
            ("/rules/0/justification", json!(false)),
            ("/expires_after", json!("8d")),
            ("/evidence_ttl", json!("4d")),
            ("/evidence_ttl", json!(null)),
            ("/reauthenticate", json!(false)),
            ("/gates", json!([])),
            ("/rules", json!([])),
        ] {
            let (strict, loose) = (set(&[base()]), set(&[changed(path, loose.clone())]));
            assert_eq!(stricter(&strict, &loose), [""; 0], "{path}");
            assert_ne!(stricter(&loose, &strict), [""; 0], "{path} the other way round");
        }
        let (skip, follow) = (set(&[base()]), set(&[changed("/order", json!("follow"))]));
        assert_eq!(stricter(&follow, &skip), [""; 0]);
        assert_eq!(stricter(&skip, &follow), ["policy-0 lets no environment be skipped"]);
    }

    #[test]
    fn fewer_people_who_count_and_other_distinctions_are_stricter() {
        let then = set(&[base()]);
        let fewer = set(&[changed("/rules/0/eligible", json!({"teams": ["risk"]}))]);
        assert_eq!(stricter(&then, &fewer), ["policy-0 asks for rule \"risk\""]);
        let more = set(&[changed("/rules/0/distinct_from", json!(["requester", "trainer", "code_author"]))]);
        assert_eq!(stricter(&then, &more), ["policy-0 asks for rule \"risk\""]);
    }

    #[test]
    fn a_further_policy_is_stricter_unless_another_asks_for_as_much() {
        let then = set(&[base()]);
        assert_eq!(stricter(&then, &set(&[base(), base()])), [""; 0]);
        let other = json!({"rules": [{"name": "x", "eligible": {"teams": ["product"]}}], "order": "skip", "expires_after": "7d"});
        assert_eq!(stricter(&then, &set(&[base(), other])), ["policy-1 asks for rule \"x\""]);
        assert_eq!(stricter(&set(&[base(), base()]), &then), [""; 0]);
    }

    proptest! {
        /// What two measured values pass under an older threshold, they pass under one that is called no stricter.
        #[test]
        fn what_passed_before_passes_what_is_not_stricter(
            then in -1.0..1.0_f64, now in -1.0..1.0_f64, value in -1.0..1.0_f64, lower in any::<bool>(),
        ) {
            let better = if lower { "lower" } else { "higher" };
            let with = |threshold: f64| set(&[json!({"gates": [
                {"kind": "metric_threshold", "metric": "m", "better": better, "threshold": threshold}]})]);
            let passes = |threshold: f64| if lower { value <= threshold } else { value >= threshold };
            if stricter(&with(then), &with(now)).is_empty() && passes(then) {
                prop_assert!(passes(now));
            }
        }
    }
}
