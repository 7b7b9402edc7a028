//! Freezes, the way round them that two people take, and what goes on during one.

use crate::promotion::world::{PRODUCTION, World, metric_gate, new_decision};
use chrono::{TimeDelta, Utc};
use domain::{
    ErrorKind,
    freeze::{FreezeKind, Schedule, Selector},
    permission::Role,
    policy::PolicyDocument,
    promotion::{DecisionVerdict, OverrideKind, PromotionState},
};
use services::{NewFreeze, NewOverride};

async fn freeze(world: &World, manual_override: bool) {
    let now = Utc::now();
    let new = NewFreeze {
        name: "Year end".to_owned(),
        kind: FreezeKind::Deny,
        schedule: Schedule::Dates { from: now - TimeDelta::hours(1), to: now + TimeDelta::days(3) },
        selector: Selector { environments: [PRODUCTION.to_owned()].into(), ..Selector::default() },
        manual_override,
        overrun: false,
        reason: "The books are closed.".to_owned(),
    };
    world.services.create_freeze(&world.admin, new).await.unwrap();
}

fn over(kind: OverrideKind) -> NewOverride {
    NewOverride { kind, reason: "Every second customer is refused.".to_owned() }
}

#[tokio::test]
async fn an_approved_version_waits_for_the_end_of_a_freeze_unless_two_people_break_the_glass() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    freeze(&world, true).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Scheduled);
    let reason = world.read(&promotion).await.state_reason;
    assert!(reason.starts_with("Waits for Year end, until "), "{reason}");
    assert_eq!(world.serving().await, None);

    let operator = world.member(&[Role::Operator]).await;
    let refused = world.services.open_override(&world.contributor, promotion.number, over(OverrideKind::Freeze)).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::Forbidden);
    let opened = world.services.open_override(&operator, promotion.number, over(OverrideKind::Freeze)).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Scheduled, "one person is not enough");
    for nobody in [&operator, &world.contributor] {
        let refused = world.services.confirm_override(nobody, promotion.number, opened.id).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Forbidden);
    }
    assert!(world.services.unreviewed_overrides(&world.admin).await.unwrap().is_empty());
    world.services.confirm_override(&world.admin, promotion.number, opened.id).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);

    // The review opened by itself, nags when it is overdue, and is closed by a third person.
    let open = world.services.unreviewed_overrides(&world.admin).await.unwrap();
    assert_eq!((open.len(), open[0].id, open[0].awaits_review()), (1, opened.id, true));
    assert_eq!(world.services.nag_about_reviews().await.unwrap(), 0);
    world.meddle("update overrides set review_due_at = now() - interval '1 hour'").await;
    assert_eq!(world.services.nag_about_reviews().await.unwrap(), 1);
    assert_eq!(world.services.nag_about_reviews().await.unwrap(), 0, "once a day");
    for one_of_two in [&operator, &world.admin] {
        let refused = world.services.review_override(one_of_two, promotion.number, opened.id, "Fine.").await;
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Forbidden);
    }
    world.services.review_override(&world.approver, promotion.number, opened.id, "It was right.").await.unwrap();
    assert!(world.services.unreviewed_overrides(&world.admin).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_freeze_that_lets_nobody_override_it_holds_whoever_confirms() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    freeze(&world, false).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Scheduled);
    let opened =
        world.services.open_override(&world.admin, promotion.number, over(OverrideKind::Freeze)).await.unwrap();
    world.services.confirm_override(&world.approver, promotion.number, opened.id).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Scheduled);
}

#[tokio::test]
async fn going_back_works_during_a_freeze_and_only_within_the_policies_window() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    freeze(&world, false).await;
    world.roll_back().await.unwrap();
    assert_eq!(world.serving().await, Some(v1));

    let v3 = world.version().await;
    world.meddle("delete from freezes").await;
    world.live(v3).await;
    world.meddle("update deployments set retired_at = retired_at - interval '91 days' where state = 'retired'").await;
    let refused = world.roll_back().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("longer ago than the 90d"), "{}", refused.message);
    assert_eq!(world.serving().await, Some(v3));
}

#[tokio::test]
async fn gates_that_hold_are_set_aside_by_two_people_and_rules_never() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.99)], 1).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let opened = world.services.open_override(&world.admin, promotion.number, over(OverrideKind::Gates)).await.unwrap();
    world.services.confirm_override(&world.approver, promotion.number, opened.id).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let seen = world.read(&promotion).await;
    let other = world.member(&[Role::Approver]).await;
    world.approve(&other, &seen).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    // Another version is another subject.
    let next = world.version().await;
    let next = world.request(next).await;
    assert_eq!(world.advance(&next).await, PromotionState::Blocked);
}

#[tokio::test]
async fn a_request_for_changes_holds_it_until_whoever_made_it_approves() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 1).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let careful = world.member(&[Role::Approver]).await;
    world.decide(&careful, &promotion, DecisionVerdict::RequestChanges, "Name the limits.").await.unwrap();
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    world.approve(&careful, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn a_rule_that_asks_for_more_than_a_yes_gets_it_or_nothing_is_decided() {
    let world = World::start().await;
    let document = PolicyDocument::parse(
        "order: skip\nrules:\n  - name: risk\n    eligible: {roles: [approver]}\n    justification: true\n    \
         checklist: [I read the card]\n    inputs:\n      - {name: ticket}\n",
    )
    .unwrap();
    world.services.set_policy(&world.admin, PRODUCTION, document, None).await.unwrap();
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let digest = promotion.subject_digest.clone().unwrap();
    let mut new = new_decision(DecisionVerdict::Approve, "", digest);
    let key = "production/risk".to_owned();
    for field in ["comment", "checked", "inputs"] {
        let refused =
            world.services.decide_promotion(&world.approver, promotion.number, new.clone()).await.unwrap_err();
        assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some(field)), "{}", refused.message);
        match field {
            "comment" => new.comment = "Small, and canary limits it.".to_owned(),
            "checked" => drop(new.checked.insert(key.clone(), vec!["I read the card".to_owned()])),
            _ => drop(new.inputs.insert(key.clone(), [("ticket".to_owned(), "OPS-1".into())].into())),
        }
    }
    assert_eq!(world.count("select count(*) from decisions").await, 0);
    let (decision, _) = world.services.decide_promotion(&world.approver, promotion.number, new).await.unwrap();
    assert_eq!(decision.inputs[&key]["ticket"], "OPS-1");
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn expiry_is_told_beforehand_and_holds_whoever_decides_first() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 1).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    assert_eq!(world.services.watch_expiry().await.unwrap(), 0);
    world
        .meddle("update promotions set expires_at = now() + interval '2 hours', created_at = now() - interval '9 days'")
        .await;
    world.services.watch_expiry().await.unwrap();
    world.services.watch_expiry().await.unwrap();
    let told = "select count(*) from audit_events where action = 'promotion.expiring'";
    assert_eq!(world.count(told).await, 1, "once");
    // Nobody swept: who decides is told.
    world.meddle("update promotions set expires_at = now() - interval '1 second'").await;
    let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
    assert!(refused.message.starts_with("Promotion #1 expired."), "{}", refused.message);
    let now = world.read(&promotion).await;
    assert_eq!((now.state, world.count("select count(*) from decisions").await), (PromotionState::Expired, 0));
}

#[tokio::test]
async fn the_wait_timer_of_an_environment_runs_from_the_approval() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 0).await;
    world.meddle("update environments set wait_timer_s = 3600").await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Scheduled);
    assert!(world.read(&promotion).await.state_reason.starts_with("Waits until "));
    world.meddle("update promotions set approved_at = approved_at - interval '61 minutes'").await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn evidence_that_is_too_old_when_it_would_be_deployed_is_none() {
    let world = World::start().await;
    let document = PolicyDocument::parse(
        "order: skip\nevidence_ttl: 1h\ngates:\n  - {kind: metric_threshold, metric: accuracy, threshold: 0.5}\nrules:\n  \
         - {name: risk, eligible: {roles: [approver]}}\n",
    )
    .unwrap();
    world.services.set_policy(&world.admin, PRODUCTION, document, None).await.unwrap();
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    world.meddle("update gates set evaluated_at = evaluated_at - interval '61 minutes'").await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Invalidated);
    assert_eq!(world.read(&promotion).await.state_reason, "What its gates found is older than 1h.");
}

#[tokio::test]
async fn a_draft_runs_nothing_until_it_is_submitted() {
    let world = World::start().await;
    let version = world.version().await;
    let new = services::NewPromotion {
        model: crate::promotion::world::MODEL.to_owned(),
        version,
        environment: PRODUCTION.to_owned(),
        comment: String::new(),
        draft: true,
        again: None,
    };
    let draft = world.services.request_promotion(&world.contributor, new).await.unwrap();
    assert_eq!(world.advance(&draft).await, PromotionState::Draft);
    world.services.submit_promotion(&world.approver, draft.number).await.unwrap_err();
    world.services.submit_promotion(&world.contributor, draft.number).await.unwrap();
    assert_eq!(world.advance(&draft).await, PromotionState::AwaitingApproval);
}

#[tokio::test]
async fn a_review_is_shown_to_those_who_see_the_environment_and_closed_by_who_had_no_part() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.99)], 1).await;
    let version = world.version_with(0.5).await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    let operator = world.member(&[Role::Operator]).await;
    let new = NewOverride { kind: OverrideKind::Gates, reason: "The old model refuses everybody.".to_owned() };
    let opened = world.services.open_override(&operator, promotion.number, new).await.unwrap();
    world.services.confirm_override(&world.approver, promotion.number, opened.id).await.unwrap();
    world.set_roles(&world.contributor, &[Role::Contributor, Role::Approver]).await;
    let requester = world.services.enter(world.contributor.caller.clone().unwrap(), None).await.unwrap().unwrap();
    let refused = world.services.review_override(&requester, promotion.number, opened.id, "Fine.").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert_eq!(world.services.unreviewed_overrides(&world.approver).await.unwrap().len(), 1);
    world.meddle("update environments set visible_to = array['contributor'] where name = 'production'").await;
    assert!(world.services.unreviewed_overrides(&world.approver).await.unwrap().is_empty());
    assert_eq!(world.services.unreviewed_overrides(&requester).await.unwrap().len(), 1);
}
