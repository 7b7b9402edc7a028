//! Policies and their revisions.

use crate::promotion::world::{PRODUCTION, World, document, metric_gate};
use domain::{
    ErrorKind,
    audit::ObjectKind,
    environment::{GateSpec, PolicyDocument},
    promotion::PromotionState,
};

#[tokio::test]
async fn a_change_is_a_new_revision_and_the_same_again_is_none() {
    let world = World::start().await;
    let document = document(vec![metric_gate(0.8)], 2);
    let first = world.services.set_policy(&world.admin, PRODUCTION, document.clone(), None).await.unwrap();
    let again = world.services.set_policy(&world.admin, PRODUCTION, document, None).await.unwrap();
    assert_eq!((first.revision, again.revision), (2, 2));
    let detail = world.services.environment(&world.contributor, PRODUCTION).await.unwrap();
    assert_eq!(detail.policy, first);
    assert_eq!(detail.revisions.iter().map(|p| p.revision).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(detail.revisions[1].document, PolicyDocument::initial(PRODUCTION));
    let environment = detail.environment.id.to_string();
    assert_eq!(world.history((ObjectKind::Environment, &environment)).await, ["Person 1 policy.changed"]);
}

#[tokio::test]
async fn a_policy_without_sense_is_refused() {
    let world = World::start().await;
    let nowhere = GateSpec::GoldenRow { tolerance: -1.0 };
    let nul = GateSpec::MetricThreshold { metric: "a\0b".to_owned(), better: Default::default(), threshold: 0.0 };
    for (gates, approvals) in [(vec![nowhere], 1), (vec![nul], 1), (vec![], 200)] {
        let refused = world.services.set_policy(&world.admin, PRODUCTION, document(gates, approvals), None).await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    let missing = world.services.set_policy(&world.admin, "moon", document(vec![], 1), None).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn who_changes_what_somebody_else_has_changed_meanwhile_is_told() {
    let world = World::start().await;
    let seen = world.services.environment(&world.admin, PRODUCTION).await.unwrap().policy.digest;
    world.set_policy(PRODUCTION, vec![], 1).await;
    let document = document(vec![], 3);
    let refused = world.services.set_policy(&world.admin, PRODUCTION, document.clone(), Some(&seen)).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    let seen = world.services.environment(&world.admin, PRODUCTION).await.unwrap().policy.digest;
    world.services.set_policy(&world.admin, PRODUCTION, document, Some(&seen)).await.unwrap();
}

#[tokio::test]
async fn whatever_is_on_its_way_is_held_against_the_new_policy() {
    let world = World::start().await;
    let versions = [world.version().await, world.version().await, world.version_with(0.1).await, world.version().await];
    let awaiting = world.awaiting(versions[0]).await;
    let approved = world.awaiting(versions[1]).await;
    world.approve(&world.approver, &approved).await.unwrap();
    let blocked = world.request(versions[2]).await;
    world.advance(&blocked).await;
    let running = world.request(versions[3]).await;
    let elsewhere = world.try_request(versions[0], "staging").await.unwrap();

    world.set_policy(PRODUCTION, vec![metric_gate(0.05)], 1).await;
    for promotion in [&awaiting, &approved, &blocked, &running] {
        let now = world.read(promotion).await;
        assert_eq!((now.state, now.subject_digest), (PromotionState::GatesRunning, None), "#{}", now.number);
        assert_eq!(world.detail(promotion).await.gates.len(), 1);
        assert_eq!(world.advance(promotion).await, PromotionState::AwaitingApproval);
        assert_eq!(world.detail(promotion).await.policy.revision, 2);
    }
    assert_eq!(world.detail(&elsewhere).await.policy.revision, 1);
    // What was approved under the old policy must be approved anew, and can be by the same person.
    let seen = world.read(&approved).await;
    world.approve(&world.approver, &seen).await.unwrap();
    assert_eq!(world.advance(&approved).await, PromotionState::Live);
}
