//! Whom a token speaks for is remembered, and never longer than it holds.

use crate::tracking::world::World;
use domain::{
    permission::{Role, Scope},
    user::{Email, Password},
};
use services::{Caller, Credential, NewToken, NewUser, Services};
use std::{collections::BTreeSet, time::Duration};
use store::event::Listener;

/// Waits until something about access is told, and has this process forget what it remembers.
async fn heard(listener: &mut Listener, services: &Services) {
    let told = async {
        loop {
            if listener.next().await.unwrap().as_deref() == Some("access") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("access is told of");
    services.access_changed(true);
}

#[tokio::test]
async fn whatever_changes_who_may_do_what_is_heard_by_every_process() {
    let world = World::start().await;
    let services = &world.services;
    let email = Email::parse("operator@example.com").unwrap();
    let new = NewUser {
        email: email.clone(),
        name: "Operator".to_owned(),
        password: Password::choose("a long enough password".to_owned()).unwrap(),
    };
    let user = services.create_user(new, BTreeSet::from([Role::Operator])).await.unwrap();
    let token = |name: &str| NewToken { name: name.to_owned(), scope: Scope::Admin, days: None };
    let issued = services.create_token_for(&email, token("one")).await.unwrap();
    let mut listener = Listener::open(&world.database.pool).await.unwrap();
    // Another process on the same database.
    let other = Services::new(world.database.pool.clone(), world.artifacts().await);
    other.access_changed(true);
    let roles =
        async || other.bearer(&issued.secret, None).await.unwrap().map(|bearer| bearer.place.map(|(_, roles)| roles));
    assert_eq!(roles().await, Some(Some(BTreeSet::from([Role::Operator]))));

    // It is remembered: a change that is not told of makes no difference yet.
    let pool = &world.database.pool;
    let quietly = "set session_replication_role = replica; update tokens set revoked_at = now()";
    let mut conn = pool.acquire().await.unwrap();
    sqlx::raw_sql(quietly).execute(&mut *conn).await.unwrap();
    assert!(roles().await.is_some());
    sqlx::raw_sql("update tokens set revoked_at = null; reset session_replication_role")
        .execute(&mut *conn)
        .await
        .unwrap();
    drop(conn);

    let ctx = world.ctx();
    services.set_member_roles(&ctx, user.id, BTreeSet::from([Role::Viewer]), None).await.unwrap();
    heard(&mut listener, &other).await;
    assert_eq!(roles().await, Some(Some(BTreeSet::from([Role::Viewer]))));

    sqlx::query("update users set name = 'Somebody'").execute(pool).await.unwrap();
    heard(&mut listener, &other).await;
    assert_eq!(other.bearer(&issued.secret, None).await.unwrap().unwrap().user.name, "Somebody");

    sqlx::query("update workspaces set slug = 'moved'").execute(pool).await.unwrap();
    heard(&mut listener, &other).await;
    assert!(other.bearer(&issued.secret, Some("default")).await.unwrap().unwrap().place.is_none());

    services.remove_member(&ctx, user.id).await.unwrap();
    heard(&mut listener, &other).await;
    assert_eq!(roles().await, Some(None), "a token of somebody who left");

    services.access_changed(true);
    assert!(services.bearer(&issued.secret, None).await.unwrap().is_some());
    let credential = Credential::Token(issued.token.id);
    let caller = Caller { user, credential, scope: Scope::Admin, request_id: None };
    services.revoke_token(&caller, issued.token.id).await.unwrap();
    assert!(services.bearer(&issued.secret, None).await.unwrap().is_none(), "who revokes it sees it at once");
    heard(&mut listener, &other).await;
    assert!(roles().await.is_none(), "and so do other processes");
}

#[tokio::test]
async fn a_token_that_ends_by_itself_is_not_remembered_beyond_its_end() {
    let world = World::start().await;
    let services = &world.services;
    let email = Email::parse("operator@example.com").unwrap();
    let password = Password::choose("a long enough password".to_owned()).unwrap();
    let new = NewUser { email: email.clone(), name: String::new(), password };
    services.create_user(new, BTreeSet::from([Role::Operator])).await.unwrap();
    let new = NewToken { name: "short".to_owned(), scope: Scope::Read, days: None };
    let issued = services.create_token_for(&email, new).await.unwrap();
    services.access_changed(true);
    sqlx::query("update tokens set expires_at = now() + interval '400 ms'")
        .execute(&world.database.pool)
        .await
        .unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while services.bearer(&issued.secret, None).await.unwrap().is_some() {
        assert!(tokio::time::Instant::now() < deadline, "it is taken for good after its end");
    }
}
