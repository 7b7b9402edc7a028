//! Policies and their revisions.

use crate::promotion::world::{MODEL, PRODUCTION, World, document, metric_gate};
use domain::{
    ErrorKind,
    audit::ObjectKind,
    permission::Role,
    policy::{GateSpec, Order, PolicyDocument},
    promotion::{Promotion, PromotionState},
};
use services::NewPolicy;

#[tokio::test]
async fn a_change_is_a_new_revision_and_the_same_again_is_none() {
    let world = World::start().await;
    let document = document(vec![metric_gate(0.8)], 2);
    let first =
        world.services.set_policy(&world.admin, PRODUCTION, document.clone(), None).await.unwrap().done().unwrap();
    let again = world.services.set_policy(&world.admin, PRODUCTION, document, None).await.unwrap().done().unwrap();
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
    // The old policy asked for more, or for other things: what nobody was asked about runs under the new one.
    for promotion in [&blocked, &running] {
        let now = world.read(promotion).await;
        assert_eq!((now.state, now.subject_digest), (PromotionState::GatesRunning, None), "#{}", now.number);
        assert_eq!(world.detail(promotion).await.gates.len(), 1);
        assert_eq!(world.advance(promotion).await, PromotionState::AwaitingApproval);
        assert_eq!(revisions(&world, promotion).await, [2]);
    }
    assert_eq!(revisions(&world, &elsewhere).await, [1]);
    // What people were asked about under a policy that asked for as much stays as it was.
    for promotion in [&awaiting, &approved] {
        assert_eq!(revisions(&world, promotion).await, [1]);
        assert_eq!(world.read(promotion).await.subject_digest, promotion.subject_digest);
    }
    assert_eq!(world.advance(&approved).await, PromotionState::Live);
}

async fn revisions(world: &World, promotion: &Promotion) -> Vec<i32> {
    world.detail(promotion).await.policies.policies().iter().map(|policy| policy.revision).collect()
}

#[tokio::test]
async fn what_people_were_asked_about_ends_when_a_policy_becomes_stricter() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.5)], 1).await;
    let (awaiting, approved) = (world.version().await, world.version().await);
    let (awaiting, approved) = (world.awaiting(awaiting).await, world.awaiting(approved).await);
    world.approve(&world.approver, &approved).await.unwrap();
    // Looser is not stricter.
    world.set_policy(PRODUCTION, vec![metric_gate(0.4)], 1).await;
    assert_eq!(world.read(&awaiting).await.state, PromotionState::AwaitingApproval);
    assert_eq!(world.read(&approved).await.state, PromotionState::Approved);
    world.set_policy(PRODUCTION, vec![metric_gate(0.6)], 1).await;
    for promotion in [&awaiting, &approved] {
        let now = world.read(promotion).await;
        assert_eq!(now.state, PromotionState::Invalidated);
        assert_eq!(now.state_reason, "The policies became stricter: production asks for \"accuracy at least 0.6\".");
    }
}

#[tokio::test]
async fn a_further_policy_holds_beside_the_environments_own_and_is_never_merged_with_it() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.5)], 1).await;
    let document = PolicyDocument::parse(
        "scope: {models: ['iris*'], tiers: [production]}\norder: skip\nrules:\n  - name: risk\n    eligible: {roles: [operator]}\n",
    )
    .unwrap();
    let new = NewPolicy { name: "risk".to_owned(), document, source: None, instead_of: None };
    world.services.write_policy(&world.admin, new).await.unwrap();
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let operator = world.member(&[Role::Operator]).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval, "one rule of two is met");
    assert_eq!(world.services.promotions_waiting_for_me(&operator).await.unwrap().len(), 1);
    world.approve(&operator, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    // Retired, it holds no more.
    world.services.retire_policy(&world.admin, "risk", None).await.unwrap();
    let next = world.version().await;
    let next = world.awaiting(next).await;
    assert_eq!(world.detail(&next).await.rules.len(), 1);
}

#[tokio::test]
async fn a_version_moves_along_the_order_unless_every_policy_lets_it_skip() {
    let world = World::start().await;
    let follow = PolicyDocument { order: Order::Follow, ..document(vec![], 0) };
    world.services.set_policy(&world.admin, PRODUCTION, follow, None).await.unwrap();
    let version = world.version().await;
    let refused = world.try_request(version, PRODUCTION).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Conflict, Some("environment")));
    assert!(refused.message.contains("has not served in staging"), "{}", refused.message);
    let first = world.try_request(version, "staging").await.unwrap();
    assert_eq!(world.advance(&first).await, PromotionState::Live);
    let then = world.try_request(version, PRODUCTION).await.unwrap();
    assert_eq!(world.advance(&then).await, PromotionState::Live);
}

#[tokio::test]
async fn who_may_not_change_policies_does_not_let_a_model_out_of_one() {
    let world = World::start().await;
    world.version().await;
    let (own, admin) = (&world.contributor, &world.admin);
    world.services.set_model_tag(own, MODEL, "risk_tier", "high").await.unwrap();
    world.services.set_model_tag(own, MODEL, "note", "old").await.unwrap();
    for (name, scope) in [("risk", "risk_tiers: [high]"), ("flowers", "models: ['ir*']")] {
        let document = PolicyDocument::parse(&format!("scope: {{{scope}}}\norder: skip\n")).unwrap();
        let new = NewPolicy { name: name.to_owned(), document, source: None, instead_of: None };
        world.services.write_policy(admin, new).await.unwrap();
    }
    let refusals = [
        world.services.set_model_tag(own, MODEL, "risk_tier", "low").await.unwrap_err(),
        world.services.delete_model_tag(own, MODEL, "risk_tier").await.unwrap_err(),
        world.services.rename_model(own, MODEL, "rose").await.map(drop).unwrap_err(),
    ];
    for (refused, policy) in refusals.iter().zip(["risk", "risk", "flowers"]) {
        let why = format!("iris would no longer be held against the policy {policy}.");
        assert!(refused.kind == ErrorKind::Forbidden && refused.message.starts_with(&why), "{refused:?}");
    }
    assert_eq!(world.services.model(own, MODEL).await.unwrap().tags["risk_tier"], "high");
    // What no policy asks about is theirs to change.
    world.services.set_model_tag(own, MODEL, "note", "new").await.unwrap();
    world.services.rename_model(own, MODEL, "iris-2").await.unwrap();
    world.services.set_model_tag(admin, "iris-2", "risk_tier", "low").await.unwrap();
    world.services.set_model_tag(own, "iris-2", "risk_tier", "high").await.unwrap();
}

#[tokio::test]
async fn what_was_asked_for_while_environments_could_be_skipped_does_not_skip_them_later() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 1).await;
    let version = world.version().await;
    let running = world.request(version).await;
    let asked = world.awaiting(world.version().await).await;
    let follow = PolicyDocument { order: Order::Follow, ..document(vec![], 1) };
    world.services.set_policy(&world.admin, PRODUCTION, follow, None).await.unwrap();
    for promotion in [&running, &asked] {
        assert_eq!(world.advance(promotion).await, PromotionState::Invalidated);
    }
    let reason = world.read(&running).await.state_reason;
    assert!(reason.contains("has not served in staging"), "{reason}");
}
