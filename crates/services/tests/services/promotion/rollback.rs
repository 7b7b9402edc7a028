//! Going back.

use crate::promotion::world::{MODEL, World};
use domain::{ErrorKind, audit::ObjectKind, deployment::DeploymentState, model::AliasCause, promotion::PromotionState};
use std::cell::Cell;

async fn previous(world: &World) -> Option<i32> {
    world.services.endpoints(&world.admin).await.unwrap()[0].previous
}

#[tokio::test]
async fn going_back_is_one_action_that_nobody_approves() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    let first = world.live(v1).await;
    let second = world.live(v2).await;
    let back = world.roll_back_from(2).await.unwrap();
    assert_eq!((back.version, back.state, back.number), (1, DeploymentState::Live, 3));
    assert_eq!((back.promotion_id, back.created_by.as_str()), (Some(first.id), "Person 1"));
    assert_eq!(world.serving().await, Some(1));
    let left = world.services.deployment(&world.admin, 2).await.unwrap();
    assert_eq!((left.state, back.rollback_of), (DeploymentState::Retired, Some(left.id)));
    let second = world.read(&second).await;
    assert_eq!(second.state, PromotionState::RolledBack);
    assert_eq!(second.state_reason, "Refuses every third customer.");
    let moves = "select string_agg(v.version::text, ' ' order by a.id) from alias_moves a join model_versions v on v.id = a.model_version_id";
    assert_eq!(world.text(moves).await.as_deref(), Some("1 2 1"));
    let moves = world.services.alias_history(&world.admin, MODEL, Some("production"), None, 10).await.unwrap().items;
    let causes: Vec<_> = moves.iter().map(|one| (one.from, one.version, one.cause.clone().unwrap())).collect();
    let cause = |deployment, promotion, is_rollback| AliasCause { deployment, promotion: Some(promotion), is_rollback };
    let (first_number, second_number) = (first.number, second.number);
    assert_eq!(
        causes,
        [
            (Some(2), Some(1), cause(3, first_number, true)),
            (Some(1), Some(2), cause(2, second_number, false)),
            (None, Some(1), cause(1, first_number, false)),
        ]
    );
    let story = world.history((ObjectKind::Promotion, &second.id.to_string())).await;
    assert_eq!(story.last().unwrap(), "Person 1 promotion.rolled_back");
    let of_version = world.history((ObjectKind::ModelVersion, &second.model_version_id.to_string())).await;
    assert!(of_version.contains(&"Person 1 deployment.rolled_back".to_owned()), "{of_version:?}");
}

#[tokio::test]
async fn going_back_twice_goes_back_two_versions_and_then_there_is_nothing() {
    let world = World::start().await;
    for _ in 0..3 {
        let version = world.version().await;
        world.live(version).await;
    }
    assert_eq!(previous(&world).await, Some(2));
    assert_eq!(world.roll_back().await.unwrap().version, 2);
    assert_eq!(previous(&world).await, Some(1));
    assert_eq!(world.roll_back().await.unwrap().version, 1);
    assert_eq!(previous(&world).await, None);
    let refused = world.roll_back().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(
        refused.message,
        "There is nothing to go back to: no version of \"iris\" that still stands was live in production before v1."
    );
    // A new version stands on the one that was gone back to, not on those that were left.
    let version = world.version().await;
    world.live(version).await;
    assert_eq!(previous(&world).await, Some(1));
    assert_eq!(world.roll_back().await.unwrap().version, 1);
}

#[tokio::test]
async fn a_version_that_was_left_can_be_promoted_again() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    world.roll_back().await.unwrap();
    world.live(v2).await;
    assert_eq!(world.serving().await, Some(v2));
    assert_eq!(previous(&world).await, Some(v1));
}

#[tokio::test]
async fn a_stale_page_rolls_nothing_back() {
    let world = World::start().await;
    let (v1, v2, v3) = (world.version().await, world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    world.live(v3).await;
    let refused = world.roll_back_from(2).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(
        refused.message,
        "Deployment #2 does not serve \"iris\" in production; #3 does, with v3. Look again before you roll back."
    );
    assert_eq!(world.serving().await, Some(3));
    // Pressing the button twice goes back once, and not two versions.
    world.roll_back_from(3).await.unwrap();
    world.roll_back_from(3).await.unwrap_err();
    assert_eq!(world.serving().await, Some(2));
}

#[tokio::test]
async fn there_must_be_something_to_leave_and_something_to_go_back_to() {
    let world = World::start().await;
    assert_eq!(world.roll_back().await.unwrap_err().kind, ErrorKind::NotFound);
    let (v1, v2) = (world.version().await, world.version().await);
    world.live(v1).await;
    assert_eq!(world.roll_back().await.unwrap_err().kind, ErrorKind::Conflict);
    world.live(v2).await;
    world.meddle("update model_versions set deleted_at = now() where version = 1").await;
    let refused = world.roll_back().await.unwrap_err();
    assert!(refused.message.starts_with("iris v1 was live before, but is deleted"), "{}", refused.message);
    assert_eq!(world.serving().await, Some(2));
}

/// Between the look at what there is to go back to and the locks, anything may happen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_deleted_meanwhile_does_not_come_back() {
    let world = World::start().await;
    let (v1, v2) = (world.version().await, world.version().await);
    let first = world.live(v1).await;
    world.live(v2).await;
    let mut reader = world.database.pool.begin().await.unwrap();
    store::environment::hold(&mut reader, first.environment_id).await.unwrap();
    let is_back = Cell::new(false);
    let going_back = async {
        let back = world.roll_back_from(2).await;
        is_back.set(true);
        back
    };
    let meanwhile = async {
        let waits =
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        while world.count(waits).await == 0 {
            assert!(!is_back.get(), "it does not wait for the environment");
        }
        world.services.delete_model_version(&world.admin, MODEL, v1).await.unwrap();
        reader.commit().await.unwrap();
    };
    let (back, ()) = tokio::join!(going_back, meanwhile);
    let refused = back.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.starts_with("iris v1 was live before, but is deleted"), "{}", refused.message);
    assert_eq!(world.serving().await, Some(2));
}

#[tokio::test]
async fn what_is_on_its_way_meets_the_champion_that_is_back() {
    let world = World::start().await;
    let (v1, v2, v3) = (world.version().await, world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    let candidate = world.awaiting(v3).await;
    world.roll_back().await.unwrap();
    let now = world.read(&candidate).await;
    assert_eq!(now.state, PromotionState::Invalidated);
    assert_eq!(now.state_reason, "Production now serves iris v1.");
    assert_ne!(world.awaiting(v3).await.subject_digest, candidate.subject_digest);
}

#[tokio::test]
async fn a_version_that_is_being_deployed_meets_it_before_it_is_live() {
    let world = World::start().await;
    let (v1, v2, v3) = (world.version().await, world.version().await, world.version().await);
    world.live(v1).await;
    world.live(v2).await;
    let candidate = world.awaiting(v3).await;
    world.approve(&world.approver, &candidate).await.unwrap();
    world.meddle("update promotions set state = 'deploying' where number = 3").await;
    world
        .meddle(
            "insert into deployments (id, workspace_id, number, environment_id, model_id, model_version_id, digest,
                 promotion_id, state, created_by)
             select gen_random_uuid(), p.workspace_id, 99, p.environment_id, p.model_id, p.model_version_id, v.digest,
                 p.id, 'deploying', 'x'
             from promotions p join model_versions v on v.id = p.model_version_id
             where p.number = 3",
        )
        .await;
    world.roll_back().await.unwrap();
    assert_eq!(world.read(&candidate).await.state, PromotionState::Deploying);
    assert_eq!(world.advance(&candidate).await, PromotionState::Invalidated);
    assert_eq!(world.serving().await, Some(1));
}
