//! Random histories: whatever people, workers and meddlers do in whatever order, what becomes live was approved as it is
//! by people who may approve.

use crate::promotion::world::{PRODUCTION, World, metric_gate};
use domain::{
    permission::Role,
    policy::{PolicySet, stricter},
    promotion::{DecisionVerdict, Promotion, PromotionState},
};
use services::Ctx;
use std::collections::BTreeSet;

/// A small generator, so that a failure can be replayed by its seed (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_live_that_was_not_approved_as_it_is() {
    let mut went_live = 0;
    for seed in 1..=10_u64 {
        went_live += history(seed).await;
    }
    assert!(went_live > 15, "the histories hardly lead anywhere: {went_live}");
}

async fn history(seed: u64) -> usize {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.3)], 1).await;
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut people: Vec<Ctx> = Vec::new();
    for _ in 0..3 {
        people.push(world.member(&[Role::Approver]).await);
    }
    for _ in 0..3 {
        world.version().await;
    }
    // What somebody has on their screen: it may be long out of date.
    let mut screens: Vec<Promotion> = Vec::new();
    let mut known: BTreeSet<i64> = BTreeSet::new();
    let mut count = 0;
    for step in 0..80 {
        let at = dice.roll(screens.len().max(1));
        let who = people[dice.roll(people.len())].clone();
        let version = i32::try_from(dice.roll(3)).unwrap() + 1;
        match (dice.roll(14), screens.get(at).cloned()) {
            (0 | 1, _) | (_, None) => {
                if let Ok(promotion) = world.try_request(version, PRODUCTION).await {
                    screens.push(promotion);
                }
            }
            (2, Some(seen)) => screens[at] = world.read(&seen).await,
            (3..=5 | 12, Some(_)) => {
                // Somebody looks at what waits for them, or at an old screen.
                let waiting = world.services.promotions_waiting_for_me(&who).await.unwrap();
                let seen = waiting.into_iter().next().or_else(|| screens.get(at).cloned()).unwrap();
                if seen.subject_digest.is_some() {
                    let verdict = if dice.roll(8) == 0 { DecisionVerdict::Reject } else { DecisionVerdict::Approve };
                    let _ = world.decide(&who, &seen, verdict, "because").await;
                }
            }
            (6, Some(seen)) => drop(world.services.withdraw_promotion(&world.contributor, seen.number).await),
            (7, Some(_)) => {
                let threshold = [0.3, 0.5, 0.95][dice.roll(3)];
                let approvals = u8::try_from(dice.roll(2)).unwrap() + 1;
                world.set_policy(PRODUCTION, vec![metric_gate(threshold)], approvals).await;
            }
            (8, Some(_)) => {
                world.log_to(version, "accuracy", 0.4 + f64::from(version) / 7.0 + f64::from(step) / 900.0).await
            }
            (9 | 13, Some(_)) => {
                let roles = if dice.roll(3) == 0 { [Role::Viewer] } else { [Role::Approver] };
                world.set_roles(&who, &roles).await;
            }
            (10, Some(_)) => drop(world.roll_back().await),
            (_, Some(seen)) => drop(world.services.rerun_gates(&world.contributor, seen.number).await),
        }
        for promotion in world.to_advance().await {
            if dice.roll(3) == 0 {
                world.services.advance_promotion(promotion).await.unwrap();
                count += check(&world, &mut known, seed, step).await;
            }
        }
        count += check(&world, &mut known, seed, step).await;
    }
    count
}

/// Looks at what became live since the last look, before anything else can happen.
async fn check(world: &World, known: &mut BTreeSet<i64>, seed: u64, step: i32) -> usize {
    let mut new = 0;
    for endpoint in world.services.endpoints(&world.admin).await.unwrap() {
        let deployment = endpoint.deployment;
        let context = format!("seed {seed}, step {step}, deployment #{}", deployment.number);
        if !known.insert(deployment.number) {
            continue;
        }
        let promotions = world.promotions().await;
        let promotion = promotions.iter().find(|p| Some(p.id) == deployment.promotion_id).expect("every one has one");
        if deployment.rollback_of.is_some() {
            // It was live here before, by that promotion.
            assert!(matches!(promotion.state, PromotionState::Superseded | PromotionState::Live), "{context}");
            continue;
        }
        new += 1;
        assert_eq!(promotion.state, PromotionState::Live, "{context}");
        let detail = world.detail(promotion).await;
        let in_force = world.services.environment(&world.admin, PRODUCTION).await.unwrap().policy;
        let subject = promotion.subject.as_ref().unwrap();
        let more = stricter(&detail.policies, &PolicySet::pinned([in_force]));
        assert!(more.is_empty(), "{context}: held against nothing less than the policy in force: {more:?}");
        assert_eq!(subject.policies, detail.policies.pins(), "{context}");
        assert_eq!(subject.model_digest.as_ref(), Some(&deployment.digest), "{context}");
        let digest = subject.digest().unwrap();
        assert_eq!(Some(&digest), promotion.subject_digest.as_ref(), "{context}");
        assert!(detail.rules.iter().all(|rule| rule.met), "{context}: {:?}", detail.rules);
        let accuracy = detail.metrics.iter().find(|m| m.key == "accuracy").and_then(|m| m.candidate);
        let finding = detail.gates[0].finding.clone().unwrap();
        assert_eq!(finding.evidence["value"].as_f64(), accuracy, "{context}: the evidence is what is logged");
    }
    new
}
