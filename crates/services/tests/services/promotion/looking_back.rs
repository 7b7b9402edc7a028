//! What a draft would have decided, and what became of the promotions of a period.

use crate::promotion::world::{PRODUCTION, World, document, metric_gate};
use domain::{
    permission::Role,
    policy::{GateSpec, PolicyDocument, Scope},
    promotion::{Basis, DecisionVerdict, PromotionState, Simulated},
};
use std::collections::BTreeSet;

fn for_production(document: PolicyDocument) -> PolicyDocument {
    PolicyDocument { scope: Scope::of_environment(PRODUCTION), ..document }
}

#[tokio::test]
async fn a_draft_is_held_against_what_was_found_and_decided() {
    let world = World::start().await;
    let (good, better) = (world.version_with(0.8).await, world.version_with(0.9).await);
    world.live(good).await;
    let rejected = world.awaiting(better).await;
    world.decide(&world.approver, &rejected, DecisionVerdict::Reject, "Not now.").await.unwrap();

    let simulate = async |name: &str, draft: PolicyDocument| {
        world.services.simulate_policy(&world.admin, name, draft).await.unwrap()
    };
    let same = simulate(PRODUCTION, for_production(document(vec![metric_gate(0.7)], 1))).await;
    assert_eq!((same.would_pass, same.would_block, same.cannot_tell, same.looked_at), (1, 1, 0, 2));
    assert_eq!((same.promotions[0].number, same.promotions[0].state), (2, PromotionState::Rejected));
    assert_eq!(same.promotions[0].reasons, ["Person 3 said no"]);
    assert_eq!(same.promotions[1].outcome, Simulated::WouldPass);

    let higher = simulate("strict", for_production(document(vec![metric_gate(0.85)], 2))).await;
    let first = &higher.promotions[1];
    assert_eq!(first.outcome, Simulated::WouldBlock);
    assert_eq!(first.reasons, ["\"accuracy at least 0.85\" failed", "rule \"approvers\" has 1 of 2 approvals"]);
    assert_eq!(first.gates[0].basis, Basis::Computed);

    let unknown = for_production(document(vec![GateSpec::SignatureCompatible {}], 1));
    let unknown = simulate("strict", unknown).await;
    assert_eq!(unknown.promotions[1].outcome, Simulated::CannotTell);
    assert_eq!((unknown.promotions[1].gates[0].verdict, unknown.promotions[1].gates[0].basis), (None, Basis::NotKnown));

    let elsewhere = Scope { models: BTreeSet::from(["other-*".to_owned()]), ..Scope::default() };
    let elsewhere = simulate("strict", PolicyDocument { scope: elsewhere, ..document(Vec::new(), 1) }).await;
    assert_eq!((elsewhere.promotions.len(), elsewhere.looked_at), (0, 2));
    // Nothing of it is kept.
    assert_eq!(world.count("select count(*) from policies where name = 'strict'").await, 0);
    let wrong = document(vec![metric_gate(f64::NAN)], 0);
    assert_eq!(
        world.services.simulate_policy(&world.admin, "strict", wrong).await.unwrap_err().field.as_deref(),
        Some("gates/0/threshold")
    );
}

#[tokio::test]
async fn a_period_tells_how_long_people_took_why_they_said_no_and_what_was_rolled_back() {
    let world = World::start().await;
    let other = world.member(&[Role::Approver]).await;
    let (first, second, third) =
        (world.version_with(0.8).await, world.version_with(0.85).await, world.version_with(0.9).await);
    world.live(first).await;
    world.live(second).await;
    world.roll_back().await.unwrap();
    let rejected = world.awaiting(third).await;
    world.decide(&other, &rejected, DecisionVerdict::Reject, "Too slow.").await.unwrap();
    world.meddle("update promotions set created_at = approved_at - interval '100 s' where number = 1").await;
    world.meddle("update promotions set created_at = approved_at - interval '200 s' where number = 2").await;

    let statistics = world.services.promotion_statistics(&world.admin, None, None).await.unwrap();
    assert_eq!((statistics.promotions, statistics.is_cut), (3, false));
    let [production] = statistics.policies.as_slice() else { panic!("{statistics:?}") };
    assert_eq!((production.environment.as_str(), production.policy.as_str()), (PRODUCTION, PRODUCTION));
    let counts = &production.counts;
    assert_eq!((counts.promotions, counts.approved, counts.rejected, counts.rolled_back), (3, 2, 1, 1));
    assert_eq!((counts.median_seconds, counts.p90_seconds), (Some(150.0), Some(190.0)));
    let [of_environment] = statistics.environments.as_slice() else { panic!("{statistics:?}") };
    assert_eq!((of_environment.environment.as_str(), &of_environment.counts), (PRODUCTION, counts));
    let [rule] = statistics.rules.as_slice() else { panic!("{statistics:?}") };
    assert_eq!((rule.rule.as_str(), rule.approved, rule.rolled_back), ("production/approvers", 2, 1));
    let [rejection] = statistics.rejections.as_slice() else { panic!("{statistics:?}") };
    assert_eq!((rejection.number, rejection.comment.as_str()), (3, "Too slow."));
    assert_eq!(rejection.by, other.user().unwrap().name);

    let (from, to) = (statistics.to, statistics.from);
    assert!(world.services.promotion_statistics(&world.admin, Some(from), Some(to)).await.is_err());
    let before = world.services.promotion_statistics(&world.admin, None, Some(to)).await.unwrap();
    assert_eq!((before.promotions, before.policies.len()), (0, 0));
}
