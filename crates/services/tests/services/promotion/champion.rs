//! What is shown of what serves: what runs are held against, and who approved it.

use crate::promotion::world::{MODEL, PRODUCTION, World};
use domain::{id::ExperimentId, permission::Role, policy::Better, promotion::PromotionState};
use services::{NewExperiment, may_withdraw};
use std::collections::BTreeMap;

#[tokio::test]
async fn runs_are_held_against_what_production_has_of_their_experiment() {
    let world = World::start().await;
    let services = &world.services;
    // Every version of the tests comes from a run of the default experiment.
    let experiment = services.experiment(&world.admin, ExperimentId(0)).await.unwrap().id;
    let first = world.version_with(0.8).await;
    let second = world.version_with(0.9).await;
    assert_eq!(services.champion(&world.admin, experiment).await.unwrap(), None);
    for (version, accuracy) in [(first, 0.8), (second, 0.9)] {
        world.live(version).await;
        let champion = services.champion(&world.admin, experiment).await.unwrap().unwrap();
        assert_eq!((champion.model.as_str(), champion.version), (MODEL, version));
        assert_eq!(champion.metrics, BTreeMap::from([("accuracy".to_owned(), accuracy)]));
        assert_eq!(champion.better, BTreeMap::from([("accuracy".to_owned(), Better::Higher)]));
    }
    let new = NewExperiment { name: "another".to_owned(), ..NewExperiment::default() };
    let other = services.create_experiment(&world.admin, new).await.unwrap().id;
    assert_eq!(services.champion(&world.admin, other).await.unwrap(), None);
}

#[tokio::test]
async fn who_approved_what_serves_is_told_in_the_order_of_their_approvals() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let other = world.member(&[Role::Approver]).await;
    for approver in [&other, &world.approver] {
        assert_eq!(world.services.count_waiting_for_me(approver).await.unwrap(), 1);
        world.approve(approver, &promotion).await.unwrap();
        assert_eq!(world.services.count_waiting_for_me(approver).await.unwrap(), 0);
    }
    assert_eq!(world.services.count_waiting_for_me(&world.contributor).await.unwrap(), 0);
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    // Whoever is no approver any more approved it all the same.
    world.set_roles(&other, &[Role::Viewer]).await;
    let deployment = world.services.deployment(&world.admin, 1).await.unwrap();
    let names = world.services.approvers(&world.admin, &deployment).await.unwrap();
    let name = |who: &services::Ctx| who.user().unwrap().name.clone();
    assert_eq!(names, [name(&other), name(&world.approver)]);
}

#[tokio::test]
async fn the_requester_and_admins_may_withdraw_and_are_offered_to() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let colleague = world.member(&[Role::Contributor]).await;
    assert!(may_withdraw(&world.contributor, &promotion) && may_withdraw(&world.admin, &promotion));
    for somebody in [&colleague, &world.approver] {
        assert!(!may_withdraw(somebody, &promotion));
        world.services.withdraw_promotion(somebody, promotion.number).await.unwrap_err();
    }
    world.services.withdraw_promotion(&world.admin, promotion.number).await.unwrap();
}
