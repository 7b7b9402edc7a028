//! Whether policies became stricter than those that people agreed under.

use super::{Better, Bound, Distinct, GateSpec, InputKind, InputSpec, Order, Policy, PolicySet, Rule};
use std::collections::BTreeSet;

/// What `now` asks for and `then` did not, for people; empty when whatever `then` let through, `now` lets through too.
///
/// It is told from the documents alone and errs on the safe side: what cannot be shown to be implied counts as stricter.
/// A rule or gate of one policy may be implied by that of another, because all of a set must hold.
#[must_use]
pub fn stricter(then: &PolicySet, now: &PolicySet) -> Vec<String> {
    let mut all = Vec::new();
    let same_evidence =
        then.gates().map(spec).eq(now.gates().map(spec)) && then.advisory().map(spec).eq(now.advisory().map(spec));
    for (policy, gate) in now.gates() {
        let implied = then.gates().any(|(_, before)| gate_implies(before, gate));
        // An expression may read what every gate found, those that run dry too: it is the same only beside the same.
        if !implied || (matches!(gate, GateSpec::Cel { .. }) && !same_evidence) {
            all.push(format!("{} asks for \"{}\"", policy.name, gate.title()));
        }
    }
    for (policy, rule) in now.rules() {
        let partners = partners(policy, rule);
        let implied = then.rules().any(|(before_policy, before)| {
            // Which people two rules must not share is shown only by the same two rules.
            let apart = partners.is_empty()
                || (before_policy.name == policy.name
                    && before.name == rule.name
                    && partners.is_subset(&self::partners(before_policy, before)));
            apart && rule_implies(before, rule)
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

fn spec<'a>((_, gate): (&'a Policy, &'a GateSpec)) -> &'a GateSpec {
    gate
}

/// The rules of the same policy that must have other people than this one, whichever of the two says so.
fn partners<'a>(policy: &'a Policy, rule: &'a Rule) -> BTreeSet<&'a str> {
    let say_so = policy.document.rules.iter().filter(|other| other.distinct_rules().any(|name| name == rule.name));
    say_so.map(|other| other.name.as_str()).chain(rule.distinct_rules()).collect()
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
            // The same columns in another order make the same slices.
            let same_slices = columns.iter().collect::<BTreeSet<_>>() == cs.iter().collect::<BTreeSet<_>>();
            metric == m && better == b && same_slices && min_rows == r && floor_holds && drop_holds
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
            let fewer = metrics == m || (!m.is_empty() && m.iter().all(|metric| metrics.contains(metric)));
            fewer && tolerance <= t
        }
        (G::DatasetChecked { datasets }, G::DatasetChecked { datasets: d }) => {
            datasets == d || (!d.is_empty() && d.iter().all(|dataset| datasets.contains(dataset)))
        }
        // An answer that was waited for longer may have come too late for whoever waits less.
        (G::External { name, timeout }, G::External { name: n, timeout: t }) => name == n && timeout <= t,
        (G::Promql { query, bound }, G::Promql { query: q, bound: now }) => {
            query == q
                && match (bound, now) {
                    (Bound::AtLeast(before), Bound::AtLeast(now)) => before >= now,
                    (Bound::AtMost(before), Bound::AtMost(now)) => before <= now,
                    _ => false,
                }
        }
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
/// are distinct from at least as many, and who confirmed and gave at least as much. Of other rules that must have other
/// people it says nothing.
fn rule_implies(before: &Rule, after: &Rule) -> bool {
    let apart = |distinct: &&Distinct| !matches!(distinct, Distinct::Rule(_));
    before.approvals >= after.approvals
        && before.eligible.users.is_subset(&after.eligible.users)
        && before.eligible.teams.is_subset(&after.eligible.teams)
        && before.eligible.roles.is_subset(&after.eligible.roles)
        && after.distinct_from.iter().filter(apart).all(|distinct| before.distinct_from.contains(distinct))
        && after.checklist.iter().all(|item| before.checklist.contains(item))
        && after.inputs.iter().all(|input| input_implied(&before.inputs, input))
        && (before.justification || !after.justification)
}

/// Whether whoever gave what `before` asks for gave this input too.
fn input_implied(before: &[InputSpec], after: &InputSpec) -> bool {
    match before.iter().find(|input| input.name == after.name) {
        // What nobody was asked for nobody gave.
        None => after.optional,
        Some(before) => {
            let fits = after.kind != InputKind::Choice || before.choices.iter().all(|one| after.choices.contains(one));
            before.kind == after.kind && fits && (after.optional || !before.optional)
        }
    }
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

    /// The gates and rules of a document.
    fn of(gates: Value, advisory: Value, rules: Value) -> PolicySet {
        set(&[json!({"order": "skip", "gates": gates, "advisory": advisory, "rules": rules})])
    }

    #[test]
    fn of_two_gates_each_tells_whether_it_asks_for_more_than_the_other() {
        let slice =
            |columns: &[&str]| json!({"kind": "slice_floor", "metric": "accuracy", "columns": columns, "floor": 0.5});
        let wait = |timeout: &str| json!({"kind": "external", "name": "scan", "timeout": timeout});
        let query = |bound: Value| json!({"kind": "promql", "query": "up", "bound": bound});
        let latency = |percentile: f64| json!({"kind": "latency_budget", "max_ms": 20.0, "percentile": percentile});
        let datasets = |names: &[&str]| json!({"kind": "dataset_checked", "datasets": names});
        let metrics = |names: &[&str]| json!({"kind": "reproduced", "metrics": names, "tolerance": 0.1});
        let sure =
            |confidence: Value| json!({"kind": "better_than_champion", "metric": "accuracy", "confidence": confidence});
        for (before, now, there, back) in [
            (slice(&["a", "b"]), slice(&["b", "a"]), false, false),
            (slice(&["a"]), slice(&["a", "b"]), true, true),
            (wait("1d"), wait("2d"), false, true),
            (query(json!({"at_least": 2.0})), query(json!({"at_least": 1.0})), false, true),
            (query(json!({"at_most": 2.0})), query(json!({"at_most": 1.0})), true, false),
            (query(json!({"at_most": 2.0})), query(json!({"at_least": 2.0})), true, true),
            (latency(99.0), latency(95.0), false, true),
            (datasets(&["a", "b"]), datasets(&["b"]), false, true),
            (datasets(&[]), datasets(&["b"]), true, true),
            (metrics(&["a", "b"]), metrics(&["a"]), false, true),
            (metrics(&[]), metrics(&["a"]), true, true),
            (sure(json!(0.99)), sure(json!(0.95)), false, true),
            (sure(json!(0.95)), sure(json!(null)), true, true),
        ] {
            let (one, other) = (of(json!([before]), json!([]), json!([])), of(json!([now]), json!([]), json!([])));
            assert_eq!(stricter(&one, &other).is_empty(), !there, "{before} to {now}");
            assert_eq!(stricter(&other, &one).is_empty(), !back, "{now} to {before}");
        }
    }

    #[test]
    fn a_gate_that_ran_dry_and_now_decides_is_stricter() {
        let gate = json!([{"kind": "signature_compatible"}]);
        let (dry, wet) = (of(json!([]), gate.clone(), json!([])), of(gate, json!([]), json!([])));
        assert_ne!(stricter(&dry, &wet), [""; 0]);
        assert_eq!(stricter(&wet, &dry), [""; 0]);
    }

    #[test]
    fn an_expression_over_the_evidence_is_the_same_only_beside_the_same_gates() {
        let cel = |name: &str| json!({"kind": "cel", "name": name, "expression": "gates.all(g, g.passed)"});
        let golden = json!({"kind": "golden_row", "tolerance": 0.1});
        let then = of(json!([cel("a")]), json!([]), json!([]));
        assert_eq!(stricter(&then, &of(json!([cel("b")]), json!([]), json!([]))), ["policy-0 asks for \"b\""]);
        assert_ne!(stricter(&then, &of(json!([cel("a")]), json!([golden]), json!([]))), [""; 0]);
        assert_eq!(stricter(&then, &then), [""; 0]);
    }

    fn rule(name: &str, eligible: &str, distinct: &[&str]) -> Value {
        json!({"name": name, "eligible": {"teams": [eligible]}, "distinct_from": distinct})
    }

    #[test]
    fn rules_that_must_have_different_people_are_implied_only_by_the_same_two() {
        let rules = |rules: &[Value]| of(json!([]), json!([]), json!(rules));
        let apart = rules(&[rule("a", "x", &["rule:b"]), rule("b", "y", &[])]);
        let turned = rules(&[rule("a", "x", &[]), rule("b", "y", &["rule:a"])]);
        assert_eq!(stricter(&apart, &turned), [""; 0], "it does not matter which of the two says so");
        let free = rules(&[rule("a", "x", &[]), rule("b", "y", &[])]);
        assert_eq!(stricter(&apart, &free), [""; 0]);
        assert_ne!(stricter(&free, &apart), [""; 0]);

        // Whoever voted for a and c may be one person; the rule that c has become wants two.
        let three = rules(&[rule("a", "x", &["rule:b"]), rule("b", "y", &[]), rule("c", "x", &[])]);
        let renamed = rules(&[rule("a", "x", &["rule:b"]), rule("b", "x", &[])]);
        assert_ne!(stricter(&three, &renamed), [""; 0]);
    }

    #[test]
    fn what_approvers_give_is_enough_when_they_were_asked_for_as_much() {
        let with = |inputs: Value| {
            let mut rule = rule("a", "x", &[]);
            rule["inputs"] = inputs;
            of(json!([]), json!([]), json!([rule]))
        };
        let choice = |choices: &[&str]| json!([{"name": "i", "kind": "choice", "choices": choices}]);
        for (before, now, there) in [
            (json!([]), json!([{"name": "i", "optional": true}]), false),
            (json!([]), json!([{"name": "i"}]), true),
            (json!([{"name": "i"}]), json!([{"name": "i", "optional": true}]), false),
            (json!([{"name": "i", "optional": true}]), json!([{"name": "i"}]), true),
            (json!([{"name": "i"}]), json!([{"name": "i", "kind": "number", "optional": true}]), true),
            (choice(&["a"]), choice(&["a", "b"]), false),
            (choice(&["a", "b"]), choice(&["a"]), true),
        ] {
            let (one, other) = (with(before.clone()), with(now.clone()));
            assert_eq!(stricter(&one, &other).is_empty(), !there, "{before} to {now}");
        }
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
