//! What history costs when there is much of it: run by `make bench-audit`.
#![allow(clippy::print_stdout, reason = "the figures")]

use crate::promotion::world::{PRODUCTION, World};
use chrono::{TimeDelta, Utc};
use domain::{
    audit::{Object, ObjectKind},
    id::WorkspaceId,
    promotion::DecisionVerdict,
};
use services::{BundleOf, Event};
use std::time::{Duration, Instant};

async fn median<T>(mut work: impl AsyncFnMut() -> T) -> Duration {
    let mut took = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        work().await;
        took.push(began.elapsed());
    }
    took.sort();
    took[10]
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_million_events() {
    let world = World::without_engine().await;
    let pool = &world.database.pool;
    let WorkspaceId(workspace) = world.workspace.id;
    let began = Instant::now();
    sqlx::query(
        "insert into audit_events (id, workspace_id, at, actor_name, action, object_kind, object_id, object_name, related,
             summary, details)
         select ('0' || substr(md5(n::text), 2))::uuid, $1, now() - interval '1 s' * n, 'Slipway', 'promotion.requested',
             'promotion', (n % 5000)::text, '#' || n, jsonb_build_array(jsonb_build_object('kind', 'model', 'id', n::text, 'name', 'm')),
             'requested something of a usual length', jsonb_build_object('n', n, 'policy', md5(n::text) || md5(n::text))
         from generate_series(1, 1000000) n",
    )
    .bind(workspace)
    .execute(pool)
    .await
    .unwrap();
    println!("written and queued in {:?}", began.elapsed());
    let began = Instant::now();
    let chained = world.services.chain_audit_events().await.unwrap();
    println!("chained {chained} in {:?}", began.elapsed());
    sqlx::query("vacuum analyze audit_events, audit_chain, audit_unchained").execute(pool).await.unwrap();
    let sizes: Vec<(String, String)> = sqlx::query_as(
        "select relname::text, pg_size_pretty(pg_total_relation_size(oid)) from pg_class
         where relname in ('audit_events', 'audit_chain', 'audit_unchained')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    println!("sizes {sizes:?}");

    let services = &world.services;
    println!("nothing to chain: {:?}", median(async || services.chain_audit_events().await.unwrap()).await);
    println!("the head for the page: {:?}", median(async || services.audit_head(&world.admin).await.unwrap()).await);
    let events = async |kind| services.audit_events_of_kind(&world.admin, kind, None, 100).await.unwrap();
    println!(
        "a page of events: {:?}",
        median(async || services.audit_events(&world.admin, &[], None, 100).await.unwrap()).await
    );
    println!("a page of a kind: {:?}", median(async || events(ObjectKind::Promotion).await).await);
    println!("a page of a kind without events: {:?}", median(async || events(ObjectKind::Alert).await).await);
    let object = [(ObjectKind::Promotion, "7")];
    println!(
        "events of an object: {:?}",
        median(async || services.audit_events(&world.admin, &object, None, 100).await.unwrap()).await
    );
    let write = async || {
        let mut tx = pool.begin().await.unwrap();
        Event::new("run.deleted", Object::new(ObjectKind::Run, 1, "a"), "deleted a")
            .write(&mut tx, &world.admin)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    println!("an event written and committed: {:?}", median(write).await);
    let (from, to) = (Utc::now() - TimeDelta::seconds(100_000), Utc::now() + TimeDelta::hours(1));
    let began = Instant::now();
    let mut bundle = services.audit_bundle(&world.admin, BundleOf::Period { from, to }).await.unwrap();
    println!("a bundle begun in {:?}", began.elapsed());
    let mut lines = 0;
    while let Some(more) = bundle.next_lines().await.unwrap() {
        lines += more.len();
    }
    println!("a bundle of {lines} lines read in {:?}", began.elapsed());

    // Deciding, while another chains all the time.
    world.set_policy(PRODUCTION, Vec::new(), 10).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let chaining = tokio::spawn({
        let services = services.clone();
        async move {
            loop {
                services.chain_audit_events().await.unwrap();
            }
        }
    });
    let mut took = Vec::new();
    for _ in 0..9 {
        let approver = world.member(&[domain::permission::Role::Approver]).await;
        let began = Instant::now();
        world.decide(&approver, &promotion, DecisionVerdict::Approve, "yes").await.unwrap();
        took.push(began.elapsed());
    }
    chaining.abort();
    took.sort();
    println!("a decision: median {:?}, slowest {:?}", took[4], took[8]);
}
