//! What may happen at once: by letting it. The races that people rely on to have one winner are in `one_winner`.

use crate::promotion::world::{MODEL, PRODUCTION, World, document, metric_gate};
use domain::{
    ErrorKind,
    permission::Role,
    policy::{Eligible, PolicyDocument, Rule},
    promotion::{DecisionVerdict, PromotionState},
};
use futures::future::join_all;
use services::NewPolicy;

const ROUNDS: usize = 25;

/// Runs both at once, each first as often as the other.
macro_rules! race {
    ($round:expr, $one:expr, $other:expr) => {
        if $round % 2 == 0 {
            tokio::join!($one, $other)
        } else {
            let (other, one) = tokio::join!($other, $one);
            (one, other)
        }
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_ask_for_the_same_get_one_promotion() {
    let world = World::start().await;
    for _ in 0..ROUNDS {
        let version = world.version().await;
        let asked = join_all((0..4).map(|_| world.try_request(version, PRODUCTION))).await;
        let (made, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1);
        let number = made.into_iter().next().unwrap().unwrap().number;
        for refused in refused {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind, ErrorKind::AlreadyExists);
            assert!(refused.message.starts_with(&format!("Promotion #{number} ")), "{}", refused.message);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_approvers_of_two_are_both_counted() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    let other = world.member(&[Role::Approver]).await;
    for round in 0..ROUNDS {
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        let (one, two) = race!(round, world.approve(&world.approver, &seen), world.approve(&other, &seen));
        one.unwrap();
        two.unwrap();
        assert_eq!(world.read(&seen).await.state, PromotionState::Approved);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_who_clicks_twice_decides_once() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    for _ in 0..ROUNDS {
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        let clicks = join_all((0..4).map(|_| world.approve(&world.approver, &seen))).await;
        let decided: Vec<_> = clicks.into_iter().map(Result::unwrap).collect();
        assert_eq!(decided.iter().filter(|(_, is_new)| *is_new).count(), 1);
        assert!(decided.iter().all(|(decision, _)| decision.id == decided[0].0.id));
        assert_eq!(world.approvals(&seen).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yes_and_no_of_one_person_at_once_are_one_decision() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    for round in 0..ROUNDS {
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        let reject = world.decide(&world.approver, &seen, DecisionVerdict::Reject, "no");
        let (yes, no) = race!(round, world.approve(&world.approver, &seen), reject);
        assert!(yes.is_ok() != no.is_ok());
        let expected = if yes.is_ok() { PromotionState::AwaitingApproval } else { PromotionState::Rejected };
        assert_eq!(world.read(&seen).await.state, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_and_a_change_of_policy_at_once_never_pass_the_old_policy() {
    let world = World::start().await;
    let mut threshold = 0.1;
    world.set_policy(PRODUCTION, vec![metric_gate(threshold)], 1).await;
    for round in 0..ROUNDS {
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        threshold += 0.01;
        let approve_and_deploy = async {
            let approved = world.approve(&world.approver, &seen).await;
            (approved, world.advance(&seen).await)
        };
        let ((approved, _), ()) =
            race!(round, approve_and_deploy, world.set_policy(PRODUCTION, vec![metric_gate(threshold)], 1));
        let state = world.advance(&seen).await;
        let now = world.detail(&seen).await;
        if state == PromotionState::Live {
            // It was live before the policy changed, by the approval of what it then was.
            assert_eq!(approved.unwrap().0.subject_digest, now.promotion.subject_digest.unwrap());
        } else {
            // The policy was first: whoever approved did so of what then ended.
            assert_eq!(state, PromotionState::Invalidated);
            assert_ne!(world.serving().await, Some(version));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approver_who_loses_the_role_at_that_moment_counts_before_or_not_at_all() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    for round in 0..ROUNDS {
        let approver = world.member(&[Role::Approver]).await;
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        let (approved, ()) =
            race!(round, world.approve(&approver, &seen), world.set_roles(&approver, &[Role::Contributor]));
        let state = world.advance(&seen).await;
        let expected = if approved.is_ok() { PromotionState::Invalidated } else { PromotionState::AwaitingApproval };
        assert_eq!(state, expected, "{approved:?}");
        assert_eq!(world.approvals(&seen).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_deploy_it_once() {
    let world = World::start().await;
    for round in 1..=5_i64 {
        let version = world.version().await;
        let promotion = world.request(version).await;
        let states = join_all((0..6).map(|_| world.services.advance_promotion(promotion.id))).await;
        assert!(states.into_iter().all(|state| state.unwrap() == PromotionState::AwaitingApproval));
        let seen = world.read(&promotion).await;
        world.approve(&world.approver, &seen).await.unwrap();
        let states = join_all((0..6).map(|_| world.services.advance_promotion(promotion.id))).await;
        assert!(states.into_iter().all(|state| state.unwrap() == PromotionState::Live));
        assert_eq!(world.count("select count(*) from deployments").await, round);
        assert_eq!(world.count("select count(*) from audit_events where action = 'deployment.live'").await, round);
        let passed = world.count("select count(*) from audit_events where action = 'promotion.gates_passed'").await;
        assert_eq!(passed, round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_and_a_deployment_at_once_leave_one_live() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    for round in 0..ROUNDS {
        let version = world.version().await;
        let seen = world.awaiting(version).await;
        world.approve(&world.approver, &seen).await.unwrap();
        let (_, back) = race!(round, world.advance(&seen), world.roll_back());
        if let Err(error) = &back {
            assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
        }
        assert_eq!(world.count("select count(*) from deployments where state = 'live'").await, 1);
        assert_eq!(world.count("select count(*) from deployments where state = 'deploying'").await, 0);
        let alias = "select count(*) from aliases a join deployments d on d.model_version_id = a.model_version_id
                     where d.state = 'live' and a.alias = 'production'";
        assert_eq!(world.count(alias).await, 1, "the alias points at what serves");
        // The next round needs something to go back to.
        let seen = world.read(&seen).await;
        assert!(!seen.state.is_open(), "{:?}", seen.state);
        let next = world.version().await;
        world.live(next).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_going_back_to_a_version_and_deleting_it_at_once_one_happens() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    for round in 0..ROUNDS {
        let (before, after) = (world.version().await, world.version().await);
        world.live(before).await;
        world.live(after).await;
        let delete = world.services.delete_model_version(&world.admin, MODEL, before);
        let (back, deleted) = race!(round, world.roll_back(), delete);
        match deleted {
            Ok(()) => {
                assert_eq!(back.unwrap_err().kind, ErrorKind::Conflict);
                assert_eq!(world.serving().await, Some(after));
            }
            Err(refused) => {
                assert_eq!(refused.kind, ErrorKind::Forbidden, "{refused:?}");
                assert_eq!((back.unwrap().version, world.serving().await), (before, Some(before)));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_that_run_while_metrics_are_logged_end_with_what_was_logged_last() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 1).await;
    let version = world.version().await;
    let first = world.request(version).await;
    let logging = async {
        for step in 0..50 {
            world.log_to(version, "accuracy", 0.7 + f64::from(step) / 1000.0).await;
        }
    };
    let working = async {
        for _ in 0..20 {
            world.services.advance_promotion(first.id).await.unwrap();
        }
    };
    tokio::join!(logging, working);
    // What was logged after its gates had passed ends it; asked for again, it is about what was logged last.
    let promotion = match world.advance(&first).await {
        PromotionState::Invalidated => world.awaiting(version).await,
        state => {
            assert_eq!(state, PromotionState::AwaitingApproval);
            first
        }
    };
    let gate = world.detail(&promotion).await.gates[0].finding.clone().unwrap();
    assert_eq!(gate.evidence["value"], 0.749);
    // And that can be approved.
    let seen = world.read(&promotion).await;
    world.approve(&world.approver, &seen).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_is_deleted_or_a_policy_names_it_and_never_both() {
    let world = World::start().await;
    let (mut deleted, mut named) = (0, 0);
    for round in 0..ROUNDS {
        let team = format!("risk-{round}");
        world.services.create_team(&world.admin, &team, "").await.unwrap();
        let eligible = Eligible { teams: [team.clone()].into(), ..Eligible::default() };
        let rules = vec![Rule { eligible, ..Rule::of_approvers(1) }];
        let document = PolicyDocument { rules, ..document(vec![], 0) };
        let new = NewPolicy { name: format!("policy-{round}"), document, source: None, instead_of: None };
        let (delete, write) = race!(
            round,
            world.services.delete_team(&world.admin, &team),
            world.services.write_policy(&world.admin, new.clone())
        );
        assert!(delete.is_ok() != write.is_ok(), "{delete:?} {write:?}");
        match write {
            Ok(effect) => {
                let policy = effect.done().expect("nothing guards policies here");
                assert_eq!(delete.unwrap_err().kind, ErrorKind::Conflict);
                world.services.retire_policy(&world.admin, &policy.name, None).await.unwrap();
                world.services.delete_team(&world.admin, &team).await.unwrap();
                named += 1;
            }
            Err(refused) => {
                assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("rules")));
                deleted += 1;
            }
        }
    }
    assert!(deleted > 0 && named > 0, "{deleted} deleted, {named} named");
}
