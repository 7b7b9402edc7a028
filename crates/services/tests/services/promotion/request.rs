//! Asking for a promotion, and taking it back.

use crate::promotion::world::{MODEL, NewVersion, PRODUCTION, World};
use domain::{
    ErrorKind,
    permission::Role,
    promotion::{PromotionState, Verdict},
};
use services::{NewPromotion, PromotionFilter, Sweep};
use std::collections::BTreeSet;

#[tokio::test]
async fn a_request_has_a_number_gates_and_a_worker_that_is_told() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!((promotion.number, promotion.state), (1, PromotionState::GatesRunning));
    assert_eq!(promotion.title(), "iris v1 → production");
    let detail = world.detail(&promotion).await;
    assert_eq!(detail.gates.len(), 3);
    assert!(detail.gates.iter().all(|gate| gate.verdict() == Verdict::Pending));
    let woken = world.count("select count(*) from apalis.jobs where job_type = 'slipway.wake'").await;
    assert_eq!(woken, 1);
    assert_eq!(world.to_advance().await, [promotion.id]);
}

#[tokio::test]
async fn the_same_is_asked_for_once_at_a_time() {
    let world = World::start().await;
    let version = world.version().await;
    world.request(version).await;
    let refused = world.try_request(version, PRODUCTION).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AlreadyExists);
    assert_eq!(refused.message, "Promotion #1 asks for iris v1 in production already: it is running its gates.");
    // Into another environment it is another request.
    world.try_request(version, "staging").await.unwrap();
}

#[tokio::test]
async fn what_does_not_exist_or_cannot_serve_is_refused_with_a_sentence() {
    let world = World::start().await;
    let sklearn = world.version_of(MODEL, NewVersion { flavor: "sklearn", ..NewVersion::default() }).await;
    let refused = world.try_request(sklearn, PRODUCTION).await.unwrap_err();
    assert_eq!((refused.kind, refused.field.as_deref()), (ErrorKind::Invalid, Some("version")));
    assert!(refused.message.starts_with("iris v1 holds no ONNX model"), "{}", refused.message);

    // Where the alias is refused, nobody is sent to a request that is refused as well.
    let refused = world.services.set_alias(&world.contributor, MODEL, PRODUCTION, sklearn).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    assert!(refused.message.contains("iris v1 holds no ONNX model and so cannot be promoted"), "{}", refused.message);
    let servable = world.version_of("other", NewVersion::default()).await;
    let refused = world.services.set_alias(&world.contributor, "other", PRODUCTION, servable).await.unwrap_err();
    assert!(refused.message.contains("Request one of other v1 here: "), "{}", refused.message);

    let bare = world.version().await;
    world.meddle("update model_versions set digest = null where version = 2").await;
    let refused = world.try_request(bare, PRODUCTION).await.unwrap_err();
    assert!(refused.message.starts_with("iris v2 has no files here"), "{}", refused.message);

    let broken = world.version_of(MODEL, NewVersion { onnx: b"no model".to_vec(), ..NewVersion::default() }).await;
    let refused = world.try_request(broken, PRODUCTION).await.unwrap_err();
    let text = "iris v3 cannot be served: The file is not an ONNX model, or it is damaged.";
    assert_eq!(
        (refused.kind, refused.field.as_deref(), refused.message.as_str()),
        (ErrorKind::Invalid, Some("version"), text)
    );
    assert_eq!(world.count("select count(*) from promotions").await, 0);

    let deleted = world.version().await;
    world.meddle("update model_versions set deleted_at = now() where version = 4").await;
    for (version, environment) in [(deleted, PRODUCTION), (99, PRODUCTION), (bare, "moon"), (bare, "a\0b")] {
        assert_eq!(world.try_request(version, environment).await.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_version_that_serves_is_not_asked_for_again() {
    let world = World::start().await;
    let version = world.version().await;
    world.live(version).await;
    let refused = world.try_request(version, PRODUCTION).await.unwrap_err();
    assert_eq!(refused.message, "iris v1 serves in production already.");
}

#[tokio::test]
async fn the_requester_or_an_admin_takes_a_request_back_and_nobody_else() {
    let world = World::start().await;
    let promotion = {
        let version = world.version().await;
        world.awaiting(version).await
    };
    let somebody = world.member(&[Role::Contributor]).await;
    let refused = world.services.withdraw_promotion(&somebody, promotion.number).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Forbidden);
    for _ in 0..2 {
        let withdrawn = world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap();
        assert_eq!(withdrawn.state, PromotionState::Withdrawn);
    }
    assert_eq!(world.advance(&promotion).await, PromotionState::Withdrawn);
    // The way is free again.
    let again = world.awaiting(promotion.version).await;
    world.services.withdraw_promotion(&world.admin, again.number).await.unwrap();
}

#[tokio::test]
async fn what_has_ended_is_not_taken_back() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.live(version).await;
    let refused = world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap_err();
    assert_eq!(refused.message, "Promotion #1 cannot be withdrawn: it is live.");
}

#[tokio::test]
async fn lists_are_filtered_and_turn_their_pages() {
    let world = World::start().await;
    for _ in 0..3 {
        let version = world.version().await;
        world.request(version).await;
        world.try_request(version, "staging").await.unwrap();
    }
    let services = &world.services;
    let filter = PromotionFilter { environment: Some("staging".to_owned()), ..PromotionFilter::default() };
    let first = services.promotions(&world.contributor, &filter, None, 2).await.unwrap();
    let numbers: Vec<_> = first.items.iter().map(|p| p.number).collect();
    assert_eq!(numbers, [6, 4]);
    let token = first.next_page_token.unwrap();
    let second = services.promotions(&world.contributor, &filter, Some(&token), 2).await.unwrap();
    assert_eq!(second.items.iter().map(|p| p.number).collect::<Vec<_>>(), [2]);
    assert_eq!(second.next_page_token, None);

    let states = vec![PromotionState::Blocked, PromotionState::Live];
    let filter = PromotionFilter { states, ..PromotionFilter::default() };
    assert!(services.promotions(&world.contributor, &filter, None, 9).await.unwrap().items.is_empty());
    let filter = PromotionFilter { model: Some(MODEL.to_owned()), version: Some(2), ..PromotionFilter::default() };
    assert_eq!(services.promotions(&world.contributor, &filter, None, 9).await.unwrap().items.len(), 2);
    let filter = PromotionFilter { model: Some("a\0b".to_owned()), ..PromotionFilter::default() };
    assert!(services.promotions(&world.contributor, &filter, None, 9).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn another_workspace_knows_nothing_of_it() {
    let world = World::start().await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let caller = world.contributor.caller.clone().unwrap();
    let elsewhere = world.services.create_workspace(&caller, "elsewhere", "Elsewhere").await.unwrap();
    let ctx = world.services.enter(caller, Some(&elsewhere.slug)).await.unwrap().unwrap();
    assert_eq!(world.services.promotion(&ctx, promotion.number).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(world.services.withdraw_promotion(&ctx, promotion.number).await.unwrap_err().kind, ErrorKind::NotFound);
    let new = NewPromotion {
        model: MODEL.to_owned(),
        version,
        environment: PRODUCTION.to_owned(),
        comment: String::new(),
        draft: false,
        again: None,
    };
    assert_eq!(world.services.request_promotion(&ctx, new).await.unwrap_err().kind, ErrorKind::NotFound);
    assert!(world.services.promotions(&ctx, &PromotionFilter::default(), None, 9).await.unwrap().items.is_empty());
}

/// Promotions that await approval, made in the tables: as many as nobody would request in a test.
async fn crowd(world: &World, count: i32) {
    world.awaiting(world.version().await).await;
    let made = sqlx::query(
        "with versions as (
             insert into model_versions (id, model_id, version, source, digest, flavors)
             select gen_random_uuid(), v.model_id, 10000 + n, v.source, v.digest, v.flavors
             from model_versions v, generate_series(1, $1) n
             returning id, version
         )
         insert into promotions (id, workspace_id, number, model_version_id, model_id, environment_id, state,
             requested_by, requester, subject, subject_digest, expires_at)
         select gen_random_uuid(), p.workspace_id, v.version, v.id, p.model_id, p.environment_id, p.state,
             p.requested_by, p.requester, p.subject, p.subject_digest, p.expires_at
         from promotions p, versions v",
    )
    .bind(count)
    .execute(&world.database.pool)
    .await
    .unwrap();
    assert_eq!(made.rows_affected(), u64::from(count.unsigned_abs()));
}

#[tokio::test]
async fn whoever_sweeps_comes_to_each_however_many_wait_for_people() {
    let world = World::start().await;
    crowd(&world, 1200).await;
    let moving = {
        let version = world.version().await;
        world.request(version).await
    };
    let (mut sweep, mut seen) = (Sweep::default(), BTreeSet::new());
    for _ in 0..3 {
        let round = world.services.promotions_to_advance(&mut sweep).await.unwrap();
        assert_eq!(round.first(), Some(&moving.id), "what waits for nobody comes first, in every round");
        assert!(round.len() < 600, "a round is bounded: {}", round.len());
        seen.extend(round);
    }
    assert_eq!(seen.len(), 1202);
    // And round again.
    assert_eq!(world.services.promotions_to_advance(&mut sweep).await.unwrap().len(), 501);
}
