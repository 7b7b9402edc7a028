//! The account that steps act as: one for each workspace, with a token for each try.

use crate::{
    Event, Result,
    token::{hash_secret, new_secret},
};
use chrono::{DateTime, Utc};
use domain::{
    audit::{Actor, Object, ObjectKind},
    id::{StepAttemptId, TokenId, UserId},
    permission::{Role, Scope},
    user::{Email, User, Workspace},
};
use sqlx::Connection as _;
use std::collections::BTreeSet;
use store::PgConnection;

/// The account of the workspace's pipelines, made at first use. It is a member like others: administrators see it, and
/// may take its role away.
pub(super) async fn ensure(conn: &mut PgConnection, workspace: &Workspace) -> Result<User> {
    let email = Email::parse(&format!("pipelines@{}.slipway.invalid", workspace.slug))?;
    if let Some((user, _)) = store::user::by_email(conn, &email).await? {
        return Ok(user);
    }
    let user =
        User { id: UserId::new(), email, name: "Pipelines".to_owned(), is_service: true, created_at: Utc::now() };
    // Two steps may begin at once: the second finds what the first made.
    let mut part = conn.begin().await.map_err(store::Error::from)?;
    match store::user::insert(&mut part, &user, None).await {
        Ok(()) => {}
        Err(error) if error.is_duplicate_of("users_email_key") => {
            part.rollback().await.map_err(store::Error::from)?;
            let known = store::user::by_email(conn, &user.email).await?;
            return known.map(|(user, _)| user).ok_or_else(domain::Error::internal);
        }
        Err(error) => return Err(error.into()),
    }
    store::workspace::set_member(&mut part, workspace.id, user.id, &BTreeSet::from([Role::Contributor])).await?;
    let object = Object::new(ObjectKind::User, user.id, &user.name);
    Event::new("user.added", object, "added Pipelines, the account that steps act as, as contributor")
        .write_as(&mut part, Some(workspace.id), Actor::System, None)
        .await?;
    part.commit().await.map_err(store::Error::from)?;
    Ok(user)
}

/// Makes the token of a try. It ends with the try, and by itself at this time.
pub(super) async fn token(
    conn: &mut PgConnection,
    workspace: &Workspace,
    attempt: StepAttemptId,
    name: &str,
    expires_at: DateTime<Utc>,
) -> Result<String> {
    let user = ensure(conn, workspace).await?;
    let secret = new_secret("slipway_");
    let token = store::token::NewToken {
        id: TokenId::new(),
        user_id: user.id,
        workspace_id: workspace.id,
        name,
        hash: &hash_secret(&secret),
        prefix: &secret[.."slipway_".len() + 6],
        scope: Scope::Write,
        expires_at,
    };
    store::token::insert(conn, &token).await?;
    store::step::attempt::set_token(conn, attempt, token.id).await?;
    Ok(secret)
}
