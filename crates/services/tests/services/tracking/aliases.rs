//! Where aliases pointed at a moment, and every move.

use crate::tracking::world::World;
use chrono::{DateTime, Utc};
use domain::{ErrorKind, as_of::AsOf, model::AliasMove};
use services::{NewModel, NewModelVersion};
use std::collections::BTreeMap;

const MODEL: &str = "churn";

async fn with_versions(count: usize) -> World {
    let world = World::start().await;
    let ctx = world.ctx();
    world.services.create_model(&ctx, NewModel { name: MODEL.to_owned(), ..NewModel::default() }).await.unwrap();
    for _ in 0..count {
        let new = NewModelVersion {
            model: MODEL.to_owned(),
            source: "dummy-source".to_owned(),
            ..NewModelVersion::default()
        };
        world.services.create_model_version(&ctx, new).await.unwrap();
    }
    world
}

/// Writes a move into history as it would have been at this time.
async fn moved(world: &World, alias: &str, version: Option<i32>, at: &str) {
    let model = world.services.model(&world.ctx(), MODEL).await.unwrap();
    sqlx::query(
        "insert into alias_moves (model_id, alias, model_version_id, at, by_name)
         values ($1, $2, (select id from model_versions where model_id = $1 and version = $3), $4, 'somebody')",
    )
    .bind(model.id)
    .bind(alias)
    .bind(version)
    .bind(at.parse::<DateTime<Utc>>().unwrap())
    .execute(&world.database.pool)
    .await
    .unwrap();
}

fn pointing(moves: Vec<AliasMove>) -> BTreeMap<String, i32> {
    moves.into_iter().filter_map(|one| Some((one.alias, one.version?))).collect()
}

async fn as_of(world: &World, moment: &str) -> Vec<AliasMove> {
    let as_of = AsOf::parse(moment).unwrap();
    world.services.aliases_as_of(&world.ctx(), MODEL, Some(&as_of)).await.unwrap()
}

async fn champion(world: &World, moment: &str) -> Option<i32> {
    pointing(as_of(world, moment).await).get("champion").copied()
}

#[tokio::test]
async fn an_alias_is_read_as_it_was_at_a_moment() {
    let world = with_versions(3).await;
    // Two within one millisecond: who asks by the millisecond finds the later of the two.
    moved(&world, "champion", Some(1), "2026-11-23T09:00:00.123100Z").await;
    moved(&world, "champion", Some(2), "2026-11-23T09:00:00.123900Z").await;
    moved(&world, "shadow", Some(3), "2026-11-23T09:30:00Z").await;
    moved(&world, "champion", None, "2026-11-23T10:00:00Z").await;
    moved(&world, "champion", Some(3), "2026-11-23T11:00:00Z").await;
    for (moment, version) in [
        ("2026-11-22", None),
        ("2026-11-23T08:59:59.999999Z", None),
        ("2026-11-23T09:00:00.122", None),
        ("2026-11-23T09:00:00.123100Z", Some(1)),
        ("2026-11-23T09:00:00.123899Z", Some(1)),
        ("2026-11-23T09:00:00.123", Some(2)),
        ("2026-11-23T09:00", Some(2)),
        ("2026-11-23T10:29:00+01:00", Some(2)),
        ("2026-11-23T10:00:00", None),
        ("2026-11-23T10:59", None),
        ("2026-11-23T11:00", Some(3)),
        ("2026-11-23", Some(3)),
        ("9999-12-31", Some(3)),
    ] {
        assert_eq!(champion(&world, moment).await, version, "{moment}");
    }
    let all = pointing(as_of(&world, "2026-11-23T09:45").await);
    assert_eq!(all, BTreeMap::from([("champion".to_owned(), 2), ("shadow".to_owned(), 3)]));
}

#[tokio::test]
async fn moves_count_in_the_order_in_which_they_were_made() {
    let world = with_versions(2).await;
    // The second's transaction began first, and waited for the first.
    moved(&world, "champion", Some(1), "2026-11-23T09:00:05Z").await;
    moved(&world, "champion", Some(2), "2026-11-23T09:00:04Z").await;
    assert_eq!(champion(&world, "2026-11-23T09:00:04").await, None);
    assert_eq!(champion(&world, "2026-11-23T09:00:05").await, Some(2));
}

#[tokio::test]
async fn a_version_that_was_deleted_since_is_still_what_the_alias_pointed_at() {
    let world = with_versions(2).await;
    let ctx = world.ctx();
    world.services.set_alias(&ctx, MODEL, "champion", 1).await.unwrap();
    let then = world.services.aliases_as_of(&ctx, MODEL, None).await.unwrap();
    world.services.delete_model_version(&ctx, MODEL, 1).await.unwrap();
    let moment = then[0].at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let read = as_of(&world, &moment).await;
    assert_eq!((read[0].version, read[0].is_deleted), (Some(1), true));
    assert!(world.services.aliases_as_of(&ctx, MODEL, None).await.unwrap().is_empty());
    let history = world.services.alias_history(&ctx, MODEL, Some("champion"), None, 10).await.unwrap().items;
    let steps: Vec<_> = history.iter().map(|one| (one.from, one.version)).collect();
    assert_eq!(steps, [(Some(1), None), (None, Some(1))]);
}

#[tokio::test]
async fn the_history_of_an_alias_comes_a_page_at_a_time_and_says_from_where() {
    let world = with_versions(3).await;
    let ctx = world.ctx();
    for version in [1, 2, 3, 2] {
        world.services.set_alias(&ctx, MODEL, "champion", version).await.unwrap();
        world.services.set_alias(&ctx, MODEL, "shadow", version).await.unwrap();
    }
    // To where it points already is no move.
    world.services.set_alias(&ctx, MODEL, "champion", 2).await.unwrap();
    world.services.delete_alias(&ctx, MODEL, "champion").await.unwrap();
    let (mut steps, mut token): (Vec<_>, Option<String>) = (Vec::new(), None);
    loop {
        let page = world.services.alias_history(&ctx, MODEL, Some("champion"), token.as_deref(), 2).await.unwrap();
        assert!(page.items.iter().all(|one| one.alias == "champion" && one.cause.is_none() && one.by == "Slipway"));
        steps.extend(page.items.into_iter().map(|one| (one.from, one.version)));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    let expected = [(Some(2), None), (Some(3), Some(2)), (Some(2), Some(3)), (Some(1), Some(2)), (None, Some(1))];
    assert_eq!(steps, expected);
    let all = world.services.alias_history(&ctx, MODEL, None, None, 100).await.unwrap();
    assert_eq!(all.items.len(), 9);
    let ever = world.services.aliases_ever(&ctx, MODEL).await.unwrap();
    assert_eq!(ever, [("champion".to_owned(), 5), ("shadow".to_owned(), 4)]);

    for (alias, token) in [("none", None), ("champion", Some("zz"))] {
        let refused = world.services.alias_history(&ctx, MODEL, Some(alias), token, 2).await.unwrap_err();
        let kind = if token.is_some() { ErrorKind::Invalid } else { ErrorKind::NotFound };
        assert_eq!(refused.kind, kind, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_model_whose_name_goes_to_another_changes_neither() {
    let world = with_versions(1).await;
    let (services, ctx) = (&world.services, &world.ctx());
    services.create_model(ctx, NewModel { name: "other".to_owned(), ..NewModel::default() }).await.unwrap();
    let new =
        NewModelVersion { model: "other".to_owned(), source: "dummy-source".to_owned(), ..NewModelVersion::default() };
    services.create_model_version(ctx, new).await.unwrap();
    let (first, other) = (services.model(ctx, MODEL).await.unwrap().id, services.model(ctx, "other").await.unwrap().id);
    let mut renaming = world.database.pool.begin().await.unwrap();
    store::model::lock(&mut renaming, first).await.unwrap();
    let (services_, ctx_) = (services.clone(), ctx.clone());
    let alias = tokio::spawn(async move { services_.set_alias(&ctx_, MODEL, "champion", 1).await });
    let (services_, ctx_) = (services.clone(), ctx.clone());
    let described = tokio::spawn(async move { services_.describe_version(&ctx_, MODEL, 1, "Good.").await });
    let (services_, ctx_) = (services.clone(), ctx.clone());
    let deleted = tokio::spawn(async move { services_.delete_model(&ctx_, MODEL).await });
    world.until_waiting(3).await;
    store::model::rename(&mut renaming, first, "first").await.unwrap();
    store::model::rename(&mut renaming, other, MODEL).await.unwrap();
    renaming.commit().await.unwrap();
    for refused in
        [alias.await.unwrap().err(), described.await.unwrap().err(), deleted.await.unwrap().err()].map(Option::unwrap)
    {
        assert_eq!(refused.kind, ErrorKind::Conflict, "{refused}");
    }
    for name in ["first", MODEL] {
        assert_eq!(services.model(ctx, name).await.unwrap().aliases, BTreeMap::new());
        assert_eq!(services.model_version(ctx, name, 1).await.unwrap().description, "");
    }
}
