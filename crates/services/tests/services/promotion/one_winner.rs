//! Races that must have one winner, run so often that a window of a few statements is met: `RACES` says how often each.
//!
//! They run in lanes, each with a model and an environment of its own, so that they wait for each other as little as those
//! of two teams do. One contender begins a number of round trips to the database later, another number each time.

use crate::promotion::world::{NewVersion, World, document, metric_gate, new_decision};
use domain::{
    Error, ErrorKind,
    permission::Role,
    promotion::{DecisionVerdict, Promotion, PromotionState},
};
use futures::future::join_all;
use services::{Ctx, NewEnvironment, NewPromotion};
use std::{collections::BTreeMap, sync::Arc};

/// How often each race is run when nothing is said.
const RACES: usize = 200;
const LANES: usize = 4;

fn races() -> usize {
    std::env::var("RACES").map_or(RACES, |text| text.parse().expect("RACES is a number"))
}

/// A part of the workspace in which one race after the other is run.
struct Lane {
    world: Arc<World>,
    /// The name of its model and of its environment.
    name: String,
    /// Another approver than the world's.
    other: Ctx,
    rounds: usize,
    /// How many versions have been promoted.
    taken: i32,
}

/// How a promotion stands when a race is over.
#[derive(Debug)]
struct After {
    state: PromotionState,
    version: i32,
    decisions: usize,
    /// What happened to it and its deployment, and how often.
    events: BTreeMap<String, usize>,
    /// The version that is live.
    serves: Option<i32>,
    /// The version that the environment's alias names.
    alias: Option<i32>,
    /// Deployments that are live or on their way there.
    deployments: i64,
}

type Row = (String, i32, i64, Vec<String>, Option<i32>, Option<i32>, i64);

impl After {
    fn has(&self, action: &str) -> bool {
        self.events.contains_key(action)
    }

    /// Whatever the outcome, it is one: each transition happened once, after those before it, and what serves is what the
    /// state says.
    fn holds(&self) {
        use PromotionState as S;
        for (action, count) in &self.events {
            let expected = if action == "promotion.approved" { self.decisions } else { 1 };
            assert_eq!(*count, expected, "{action} of {self:?}");
        }
        assert!(self.has("promotion.requested") && self.has("promotion.gates_passed"), "{self:?}");
        assert_eq!(self.has("promotion.approved"), self.decisions > 0, "{self:?}");
        let way = ["promotion.agreed", "deployment.started", "promotion.verifying", "deployment.live"];
        let gone = way.iter().take_while(|action| self.has(action)).count();
        assert!(way[gone..].iter().all(|action| !self.has(action)), "a station was left out: {self:?}");
        assert!(gone == 0 || self.decisions > 0, "nobody agreed: {self:?}");
        let was_live = gone == way.len();
        assert_eq!(self.has("deployment.failed"), (2..4).contains(&gone), "{self:?}");
        let ends = [S::Expired, S::Withdrawn, S::Invalidated, S::Superseded, S::Aborted, S::Rejected]
            .map(|end| (end, end.as_str()));
        for (end, name) in ends {
            assert_eq!(self.has(&format!("promotion.{name}")), self.state == end, "{self:?}");
        }
        match self.state {
            S::Live => assert_eq!((was_live, self.serves), (true, Some(self.version)), "{self:?}"),
            S::Superseded => assert_ne!(self.serves, Some(self.version), "{self:?}"),
            _ => assert!(!was_live && self.serves != Some(self.version), "{self:?}"),
        }
        assert_eq!(self.alias, self.serves, "the alias names what serves: {self:?}");
        assert_eq!(self.deployments, i64::from(self.serves.is_some()), "nothing is left half: {self:?}");
    }
}

impl Lane {
    /// All that a version is, for each round, as a client would have registered it.
    async fn fill(&self, versions: usize) {
        self.world.version_of(&self.name, NewVersion::default()).await;
        sqlx::query(
            "with template as (
                 select v.*, r.key as run_key, r.workspace_id, r.experiment_id
                 from model_versions v
                 join models m on m.id = v.model_id
                 join runs r on r.id = v.run_id
                 where m.name = $1
             ), fresh as (
                 select n, gen_random_uuid() as run, gen_random_uuid() as id from generate_series(2, $2 + 1) n
             ), made as (
                 insert into runs (id, workspace_id, experiment_id, name, start_time)
                 select fresh.run, t.workspace_id, t.experiment_id, 'train', 0 from template t, fresh
                 returning key
             ), metrics as (
                 insert into latest_metrics (run_key, key_id, step, timestamp, value)
                 select made.key, l.key_id, l.step, l.timestamp, l.value
                 from made, template t join latest_metrics l on l.run_key = t.run_key
             ), tags as (
                 insert into run_tags (run_key, key_id, value)
                 select made.key, g.key_id, g.value from made, template t join run_tags g on g.run_key = t.run_key
             ), datasets as (
                 insert into run_datasets (run_key, dataset_id)
                 select made.key, d.dataset_id from made, template t join run_datasets d on d.run_key = t.run_key
             ), versions as (
                 insert into model_versions (id, model_id, version, source, run_id, digest, flavors)
                 select fresh.id, t.model_id, fresh.n, t.source, fresh.run, t.digest, t.flavors from template t, fresh
             ), last as (
                 update models m set last_version = $2 + 1 from template t where m.id = t.model_id
             )
             insert into model_version_files (model_version_id, path, digest, size)
             select fresh.id, f.path, f.digest, f.size
             from fresh, template t join model_version_files f on f.model_version_id = t.id",
        )
        .bind(&self.name)
        .bind(i32::try_from(versions).unwrap())
        .execute(&self.world.database.pool)
        .await
        .unwrap();
    }

    async fn set_policy(&self, threshold: f64) {
        let document = document(vec![metric_gate(threshold)], 1);
        self.world.services.set_policy(&self.world.admin, &self.name, document, None).await.unwrap();
    }

    /// A promotion of the next version that people are asked about.
    async fn awaiting(&mut self) -> Promotion {
        self.taken += 1;
        let new = NewPromotion {
            model: self.name.clone(),
            version: self.taken,
            environment: self.name.clone(),
            comment: String::new(),
            draft: false,
            again: None,
        };
        let promotion = self.world.services.request_promotion(&self.world.contributor, new).await.unwrap();
        assert_eq!(self.world.advance(&promotion).await, PromotionState::AwaitingApproval);
        self.world.read(&promotion).await
    }

    async fn approve(&self, who: &Ctx, seen: &Promotion) -> Result<(), Error> {
        let new = new_decision(DecisionVerdict::Approve, "", seen.subject_digest.clone().unwrap());
        self.world.services.decide_promotion(who, seen.number, new).await.map(|_| ())
    }

    /// A promotion that people agreed to.
    async fn approved(&mut self) -> Promotion {
        let seen = self.awaiting().await;
        self.approve(&self.world.approver, &seen).await.unwrap();
        seen
    }

    async fn after(&self, promotion: &Promotion) -> After {
        let (state, version, decisions, events, serves, alias, deployments): Row = sqlx::query_as(
            "select p.state, v.version,
                 (select count(*) from decisions where promotion_id = p.id),
                 array(
                     select action from audit_events where object_kind = 'promotion' and object_id = p.id::text
                     union all
                     select action from audit_events
                     where object_kind = 'deployment' and action in ('deployment.started', 'deployment.live', 'deployment.failed')
                         and object_id in (select id::text from deployments where promotion_id = p.id)
                 ),
                 (select v.version from deployments d join model_versions v on v.id = d.model_version_id
                  where d.environment_id = p.environment_id and d.state = 'live'),
                 (select v.version from aliases a join model_versions v on v.id = a.model_version_id
                  where v.model_id = p.model_id and a.alias = e.name),
                 (select count(*) from deployments
                  where environment_id = p.environment_id and state in ('live', 'deploying'))
             from promotions p
             join model_versions v on v.id = p.model_version_id
             join environments e on e.id = p.environment_id
             where p.id = $1",
        )
        .bind(promotion.id.0)
        .fetch_one(&self.world.database.pool)
        .await
        .unwrap();
        let mut counted = BTreeMap::new();
        for action in events {
            *counted.entry(action).or_default() += 1;
        }
        let state = PromotionState::parse(&state).unwrap();
        let decisions = usize::try_from(decisions).unwrap();
        let after = After { state, version, decisions, events: counted, serves, alias, deployments };
        after.holds();
        after
    }

    /// Logs another accuracy to the run of a version.
    async fn log(&self, version: i32, accuracy: f64) {
        sqlx::query(
            "update latest_metrics l set value = $3
             from model_versions v join models m on m.id = v.model_id join runs r on r.id = v.run_id
             where m.name = $1 and v.version = $2 and l.run_key = r.key",
        )
        .bind(&self.name)
        .bind(version)
        .bind(accuracy)
        .execute(&self.world.database.pool)
        .await
        .unwrap();
    }

    /// Lets so many round trips to the database pass.
    async fn later(&self, round_trips: usize) {
        for _ in 0..round_trips {
            sqlx::query("select 1").execute(&self.world.database.pool).await.unwrap();
        }
    }
}

/// Whoever was too late is told so: it is nobody's fault, and no trouble of the server's.
#[track_caller]
fn was_too_late(result: Result<(), Error>) {
    let error = result.expect_err("somebody else was first");
    assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
}

/// Runs both at once, the first one first in every other round.
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

/// Runs a race in all lanes. A race tells whether its first contender won; how often is printed.
async fn run(versions_a_race: usize, race: impl AsyncFn(&mut Lane, usize) -> bool) {
    let world = Arc::new(World::start().await);
    let rounds = races().div_ceil(LANES);
    let mut lanes = Vec::new();
    for number in 0..LANES {
        let new = NewEnvironment {
            name: format!("lane-{number}"),
            tier: None,
            position: None,
            protected: true,
            wait_timer_s: 0,
            visible_to: None,
        };
        world.services.create_environment(&world.admin, new.clone()).await.unwrap();
        let other = world.member(&[Role::Approver]).await;
        let lane = Lane { world: Arc::clone(&world), name: new.name, other, rounds, taken: 0 };
        lane.fill(rounds * versions_a_race).await;
        lane.set_policy(0.1).await;
        lanes.push(lane);
    }
    let lanes = lanes.iter_mut().map(async |lane| {
        let mut won = 0;
        for round in 0..lane.rounds {
            won += usize::from(race(lane, round).await);
        }
        won
    });
    let won: usize = join_all(lanes).await.into_iter().sum();
    println!("{won} : {}", rounds * LANES - won);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_approvers_of_the_last_vote_one_gives_it() {
    run(1, async |lane, round| {
        let seen = lane.awaiting().await;
        let (one, two) = race!(round, lane.approve(&lane.world.approver, &seen), lane.approve(&lane.other, &seen));
        let won = one.is_ok();
        assert!(won != two.is_ok(), "one of them was the last: {one:?} {two:?}");
        was_too_late(one.and(two));
        let after = lane.after(&seen).await;
        assert_eq!((after.state, after.decisions), (PromotionState::Approved, 1));
        won
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_counts_before_the_evidence_changes_or_not_at_all() {
    run(1, async |lane, round| {
        let seen = lane.awaiting().await;
        let change = async {
            lane.later(round % 40).await;
            lane.log(seen.version, 0.95).await;
            lane.world.advance(&seen).await
        };
        let (approved, _) = race!(round, lane.approve(&lane.world.approver, &seen), change);
        let won = approved.is_ok();
        if !won {
            was_too_late(approved);
        }
        // An approval that was in time is of what is no more.
        assert_eq!(lane.world.advance(&seen).await, PromotionState::Invalidated);
        let after = lane.after(&seen).await;
        assert_eq!((after.decisions, after.has("promotion.agreed")), (usize::from(won), won), "{after:?}");
        won
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_counts_before_the_request_expires_or_not_at_all() {
    run(1, async |lane, round| {
        let seen = lane.awaiting().await;
        let expire = async {
            lane.later(round % 40).await;
            sqlx::query("update promotions set expires_at = clock_timestamp() where id = $1")
                .bind(seen.id.0)
                .execute(&lane.world.database.pool)
                .await
                .unwrap();
            lane.world.advance(&seen).await
        };
        let (approved, _) = race!(round, lane.approve(&lane.world.approver, &seen), expire);
        let won = approved.is_ok();
        if !won {
            was_too_late(approved);
        }
        // It did not begin to be deployed in time.
        assert_eq!(lane.world.advance(&seen).await, PromotionState::Expired);
        let after = lane.after(&seen).await;
        assert_eq!((after.decisions, after.has("promotion.agreed")), (usize::from(won), won), "{after:?}");
        won
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_promotions_of_one_environment_one_serves_in_the_end() {
    run(2, async |lane, round| {
        let (older, newer) = (lane.approved().await, lane.approved().await);
        let late = async {
            lane.later(round * 7 % 40).await;
            lane.world.advance(&newer).await
        };
        let (_, _) = race!(round, lane.world.advance(&older), late);
        let (was, is) = (lane.world.advance(&older).await, lane.world.advance(&newer).await);
        let (was_after, is_after) = (lane.after(&older).await, lane.after(&newer).await);
        assert_eq!((was_after.state, is_after.state), (was, is));
        match is {
            // It went first, so the older one is out.
            PromotionState::Live => assert_eq!(was, PromotionState::Superseded),
            // The older one went first, and the newer one has another champion to beat than its approver saw.
            PromotionState::Invalidated => assert_eq!(was, PromotionState::Live),
            other => panic!("{other:?}"),
        }
        was == PromotionState::Live
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_never_goes_live_and_what_goes_live_is_not_withdrawn() {
    run(1, async |lane, round| {
        let seen = lane.approved().await;
        let withdraw = async {
            lane.later(round * 7 % 90).await;
            lane.world.services.withdraw_promotion(&lane.world.contributor, seen.number).await
        };
        let (_, withdrawn) = race!(round, lane.world.advance(&seen), withdraw);
        let state = lane.world.advance(&seen).await;
        assert_eq!(lane.after(&seen).await.state, state);
        let won = withdrawn.is_err();
        if won {
            was_too_late(withdrawn.map(|_| ()));
        }
        assert_eq!(state, if won { PromotionState::Live } else { PromotionState::Withdrawn });
        won
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_live_meets_the_policies_that_are_in_force_then() {
    run(1, async |lane, round| {
        let seen = lane.approved().await;
        let change = async {
            lane.later(round * 37 % 200).await;
            // A little more than the round before, and all versions have it.
            lane.set_policy(0.1 + 0.00001 * f64::from(lane.taken)).await;
        };
        let (_, ()) = race!(round, lane.world.advance(&seen), change);
        let state = lane.world.advance(&seen).await;
        assert_eq!(lane.after(&seen).await.state, state);
        match state {
            PromotionState::Live => true,
            PromotionState::Invalidated => false,
            other => panic!("{other:?}"),
        }
    })
    .await;
}
