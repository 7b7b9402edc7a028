//! Agreement falls away with what it was about: no sequence of calls brings a version live that was not approved as it
//! is then, by people who may approve then.

use crate::promotion::world::{PRODUCTION, World, metric_gate};
use domain::{
    ErrorKind,
    model::manifest_digest,
    permission::Role,
    promotion::{Promotion, PromotionState},
};
use std::time::Duration;

/// What may happen between an approval and the deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Disturbance {
    PolicyChanges,
    MetricChanges,
    MetricThatNoGateAsksForChanges,
    ChampionsMetricChanges,
    FileChanges,
    DigestOfFilesChanges,
    DatasetIsAdded,
    CommitChanges,
    SignatureChanges,
    ApproverLosesTheRole,
    ApproverLeaves,
    VersionIsDeleted,
    FilesAreGone,
    AnotherVersionGoesLive,
}

use Disturbance as D;

const ALL: [Disturbance; 14] = [
    D::PolicyChanges,
    D::MetricChanges,
    D::MetricThatNoGateAsksForChanges,
    D::ChampionsMetricChanges,
    D::FileChanges,
    D::DigestOfFilesChanges,
    D::DatasetIsAdded,
    D::CommitChanges,
    D::SignatureChanges,
    D::ApproverLosesTheRole,
    D::ApproverLeaves,
    D::VersionIsDeleted,
    D::FilesAreGone,
    D::AnotherVersionGoesLive,
];

impl Disturbance {
    async fn happen(self, world: &World, promotion: &Promotion) {
        match self {
            D::PolicyChanges => world.set_policy(PRODUCTION, vec![metric_gate(0.71)], 1).await,
            D::MetricChanges => world.log_to(promotion.version, "accuracy", 0.95).await,
            D::MetricThatNoGateAsksForChanges => world.log_to(promotion.version, "f1", 0.1).await,
            // The page shows it, and no gate asks for it.
            D::ChampionsMetricChanges => world.log_to(CHAMPION, "f1", 0.99).await,
            D::FileChanges => {
                world.unseal_files().await;
                let path =
                    "update model_version_files set digest = 'blake3:' || repeat('0', 64) where path = 'golden.json'";
                assert!(world.meddle(path).await > 0);
                // Whoever meddles is thorough.
                let files = world.files(promotion).await;
                let digest = manifest_digest(&files).unwrap().unwrap();
                sqlx::query("update model_versions set digest = $1")
                    .bind(digest.as_str())
                    .execute(&world.database.pool)
                    .await
                    .unwrap();
            }
            D::DigestOfFilesChanges => {
                let digest = "update model_versions set digest = 'sha256:' || repeat('0', 64)";
                assert!(world.meddle(digest).await > 0);
            }
            D::DatasetIsAdded => {
                world
                    .meddle(
                        "with data as (
                             insert into datasets (experiment_id, name, digest, source_type, source)
                             select id, 'more', '00', 'local', '' from experiments
                             returning id
                         )
                         insert into run_datasets (run_key, dataset_id) select r.key, d.id from runs r, data d",
                    )
                    .await;
            }
            D::CommitChanges => drop(world.meddle("update run_tags set value = 'other'").await),
            D::SignatureChanges => {
                world.meddle(r#"update model_versions set signature = '{"inputs": [], "outputs": []}'"#).await;
            }
            D::ApproverLosesTheRole => world.set_roles(&world.approver, &[Role::Contributor]).await,
            D::ApproverLeaves => {
                let id = world.approver.user().unwrap().id;
                world.services.remove_member(&world.admin, id).await.unwrap();
            }
            D::VersionIsDeleted => drop(world.meddle("update model_versions set deleted_at = now()").await),
            D::FilesAreGone => {
                world.unseal_files().await;
                world.meddle("delete from model_version_files").await;
            }
            D::AnotherVersionGoesLive => {
                let other = world.member(&[Role::Approver]).await;
                let rival = world.version().await;
                let rival = world.awaiting(rival).await;
                world.approve(&other, &rival).await.unwrap();
                assert_eq!(world.advance(&rival).await, PromotionState::Live);
            }
        }
    }

    /// What the page says of it.
    fn words(self) -> &'static str {
        match self {
            D::PolicyChanges => "The policies became stricter",
            D::MetricChanges | D::MetricThatNoGateAsksForChanges => "Its metrics or files changed",
            D::ChampionsMetricChanges => "the metrics of iris v1, changed",
            D::FileChanges => "The version's files changed",
            D::DigestOfFilesChanges => "are not those that it was registered with",
            D::DatasetIsAdded => "Its data sets changed",
            D::CommitChanges => "Its code changed",
            D::SignatureChanges => "Its signature changed",
            D::ApproverLosesTheRole | D::ApproverLeaves => "Of 1 approvals for \"approvers\" only 0 still count",
            D::VersionIsDeleted => "was deleted",
            D::FilesAreGone => "are gone",
            D::AnotherVersionGoesLive => "went live",
        }
    }

    /// Where the promotion is when the workers have done what they can.
    fn leads_to(self) -> PromotionState {
        match self {
            // The rival is newer.
            D::AnotherVersionGoesLive => PromotionState::Superseded,
            _ => PromotionState::Invalidated,
        }
    }
}

/// The version that serves where there shall be one to compare with.
const CHAMPION: i32 = 1;

/// An approved promotion, of a challenger where what will happen happens to the champion.
async fn approved_before(world: &World, disturbance: Disturbance) -> Promotion {
    if disturbance == D::ChampionsMetricChanges {
        let champion = world.version().await;
        world.live(champion).await;
        assert_eq!(champion, CHAMPION);
    }
    approved(world).await
}

async fn approved(world: &World) -> Promotion {
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.read(&promotion).await.state, PromotionState::Approved);
    promotion
}

async fn assert_not_live(world: &World, promotion: &Promotion, disturbance: Disturbance) {
    let state = world.advance(promotion).await;
    assert_eq!(state, disturbance.leads_to(), "{disturbance:?}");
    assert_ne!(world.serving().await, Some(promotion.version), "{disturbance:?}");
    let reason = world.read(promotion).await.state_reason;
    assert!(reason.contains(disturbance.words()), "{disturbance:?}: {reason}");
    let live = world.count("select count(*) from deployments where state in ('deploying', 'live')").await;
    let others = matches!(disturbance, D::AnotherVersionGoesLive | D::ChampionsMetricChanges);
    assert_eq!(live, i64::from(others), "{disturbance:?}");
}

#[tokio::test]
async fn what_changes_after_the_approval_is_not_deployed() {
    for disturbance in ALL {
        let world = World::start().await;
        let promotion = approved_before(&world, disturbance).await;
        disturbance.happen(&world, &promotion).await;
        assert_not_live(&world, &promotion, disturbance).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_it_is_being_deployed_does_not_go_live() {
    for disturbance in ALL {
        let world = World::start().await;
        let promotion = approved_before(&world, disturbance).await;
        begin_and_die(&world, &promotion).await;
        disturbance.happen(&world, &promotion).await;
        assert_not_live(&world, &promotion, disturbance).await;
        let failed = world.count("select count(*) from deployments where state = 'failed'").await;
        assert_eq!(failed, 1, "{disturbance:?}");
    }
}

/// A worker begins the deployment and dies before the version is live: it cannot lock what a reader holds.
async fn begin_and_die(world: &World, promotion: &Promotion) {
    let mut tx = world.database.pool.begin().await.unwrap();
    store::environment::hold(&mut tx, promotion.environment_id).await.unwrap();
    let (services, id) = (world.services.clone(), promotion.id);
    let worker = tokio::spawn(async move { services.advance_promotion(id).await });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while world.read(promotion).await.state != PromotionState::Deploying {
        assert!(tokio::time::Instant::now() < deadline, "the deployment does not begin");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_person_who_looked_before_the_change_is_told_what_changed_and_decides_nothing() {
    for (disturbance, words) in [
        (
            D::MetricChanges,
            "What you saw has changed: its metrics or files changed. Promotion #1 ends; it can be requested again.",
        ),
        (
            D::DatasetIsAdded,
            "What you saw has changed: its data sets changed. Promotion #1 ends; it can be requested again.",
        ),
        (
            D::VersionIsDeleted,
            "What you saw has changed: iris v1 was deleted. Promotion #1 ends; it can be requested again.",
        ),
        (
            D::PolicyChanges,
            "Promotion #1 is not to be decided on: it was invalidated. The policies became stricter: production asks \
             for \"accuracy at least 0.71\".",
        ),
    ] {
        let world = World::start().await;
        let version = world.version().await;
        let promotion = world.awaiting(version).await;
        disturbance.happen(&world, &promotion).await;
        let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
        assert_eq!((refused.kind, refused.message.as_str()), (ErrorKind::Conflict, words));
        assert_eq!(world.count("select count(*) from decisions").await, 0);
        assert_eq!(world.advance(&promotion).await, disturbance.leads_to());
    }
}

#[tokio::test]
async fn a_person_who_looked_before_the_champions_metrics_changed_is_told_so() {
    let world = World::start().await;
    let champion = world.version().await;
    world.live(champion).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.log_to(champion, "f1", 0.99).await;
    let refused = world.approve(&world.approver, &promotion).await.unwrap_err();
    assert_eq!(
        refused.message,
        "What you saw has changed: its metrics or files, or the metrics of iris v1, changed. Promotion #2 ends; it can be \
         requested again."
    );
    let promotion = world.awaiting(version).await;
    let shown = world.detail(&promotion).await;
    assert_eq!(shown.champion, Some(champion));
    assert_eq!(shown.metrics.iter().find(|metric| metric.key == "f1").unwrap().champion, Some(0.99));
    // What the champion's machine measures of itself is none of it.
    world.log_to(champion, "system/cpu_utilization_percentage", 71.0).await;
    world.approve(&world.approver, &world.read(&promotion).await).await.unwrap();
}

#[tokio::test]
async fn the_first_of_two_approvals_does_not_count_for_what_changed_before_the_second() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    let version = world.version().await;
    let seen = world.awaiting(version).await;
    world.approve(&world.approver, &seen).await.unwrap();
    world.log_to(version, "accuracy", 0.75).await;
    // Nobody has to ask: whoever sweeps finds out.
    assert_eq!(world.advance(&seen).await, PromotionState::Invalidated);
    // It is asked for again, and both agree to what it is now.
    let again = world.awaiting(version).await;
    assert_ne!(again.subject_digest, seen.subject_digest);
    assert_eq!(world.approvals(&again).await, 0);
    let other = world.member(&[Role::Approver]).await;
    world.approve(&other, &again).await.unwrap();
    assert_eq!(world.advance(&again).await, PromotionState::AwaitingApproval);
    world.approve(&world.approver, &again).await.unwrap();
    assert_eq!(world.advance(&again).await, PromotionState::Live);
}

#[tokio::test]
async fn while_people_are_asked_a_vote_counts_as_long_as_who_gave_it_does() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![metric_gate(0.7)], 2).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    world.set_roles(&world.approver, &[Role::Viewer]).await;
    assert_eq!(world.approvals(&promotion).await, 0);
    let other = world.member(&[Role::Approver]).await;
    world.approve(&other, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    world.set_roles(&world.approver, &[Role::Approver]).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}

#[tokio::test]
async fn what_the_machine_measures_of_itself_later_changes_nothing() {
    let world = World::start().await;
    let promotion = approved(&world).await;
    world.log_to(promotion.version, "system/cpu_utilization_percentage", 71.0).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
}
