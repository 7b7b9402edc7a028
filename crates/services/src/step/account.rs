//! The account that steps act as: one for each workspace, with a token for each try.

use crate::{
    Caller, Credential, Ctx, Event, Result,
    token::{hash_secret, new_secret},
};
use chrono::{DateTime, Utc};
use domain::{
    audit::{Actor, Object, ObjectKind},
    id::{PipelineRunId, StepAttemptId, TokenId, UserId},
    permission::{Role, Scope},
    step::StepInput,
    user::{Email, SERVICE_DOMAIN, User, Workspace},
    worker::Facts,
};
use sqlx::Connection as _;
use std::collections::BTreeSet;
use store::PgConnection;

/// The account of the workspace's pipelines, made at first use. It is a member like others: administrators see it, and
/// may take its role away.
pub(super) async fn ensure(conn: &mut PgConnection, workspace: &Workspace) -> Result<User> {
    let email = address(workspace)?;
    if let Some((user, _)) = store::user::by_email(conn, &email).await? {
        return only_service(user);
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
            return known.map_or_else(|| Err(domain::Error::internal()), |(user, _)| only_service(user));
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

fn address(workspace: &Workspace) -> Result<Email> {
    Email::parse(&format!("pipelines@{}.{SERVICE_DOMAIN}", workspace.slug))
}

/// The person on whose behalf a step asks. None when whoever asks is no step, or nobody stands behind it: a trigger
/// started the run.
pub(crate) async fn person_behind(conn: &mut PgConnection, ctx: &Ctx) -> Result<Option<UserId>> {
    let Some(Credential::Token(token)) = ctx.caller.as_ref().map(|caller| &caller.credential) else { return Ok(None) };
    Ok(store::step::attempt::person_behind(conn, *token).await?)
}

/// The user, when it is a service account: steps do not act as a person who was first to take the address, which no new
/// user can.
fn only_service(user: User) -> Result<User> {
    if user.is_service {
        return Ok(user);
    }
    tracing::error!(email = %user.email, "steps cannot act: the address of their account belongs to a person");
    Err(domain::Error::conflict(format!("{} belongs to a person, and steps cannot act as one.", user.email)))
}

/// Notes what a try of a run takes, and makes its token and whom it acts as. The token ends with the try, and by itself at
/// this time.
pub(super) async fn begin(
    conn: &mut PgConnection,
    workspace: &Workspace,
    attempt: (StepAttemptId, PipelineRunId),
    name: &str,
    expires_at: DateTime<Utc>,
    (inputs, facts): (&[StepInput], &Facts),
) -> Result<(Ctx, String)> {
    let secret = new_secret("slipway_");
    let token = store::token::NewToken {
        id: TokenId::new(),
        workspace_id: workspace.id,
        name,
        hash: &hash_secret(&secret),
        prefix: &secret[.."slipway_".len() + 6],
        scope: Scope::Write,
        expires_at,
    };
    let email = address(workspace)?;
    let user = match store::step::attempt::begin_as(conn, attempt, &email, &token, inputs, facts).await? {
        Some(user) => user,
        None => {
            ensure(conn, workspace).await?;
            let begun = store::step::attempt::begin_as(conn, attempt, &email, &token, inputs, facts).await?;
            begun.ok_or_else(domain::Error::internal)?
        }
    };
    Ok((ctx(workspace, user, token.id), secret))
}

/// Whom a try that has begun acts as.
pub(super) async fn of_attempt(conn: &mut PgConnection, workspace: &Workspace, attempt: StepAttemptId) -> Result<Ctx> {
    let user = ensure(conn, workspace).await?;
    let token = store::step::attempt::token(conn, attempt).await?.ok_or_else(domain::Error::internal)?;
    Ok(ctx(workspace, user, token))
}

fn ctx(workspace: &Workspace, user: User, token: TokenId) -> Ctx {
    let caller = Caller { user, credential: Credential::Token(token), scope: Scope::Write, request_id: None };
    Ctx { caller: Some(caller), workspace: workspace.clone(), roles: BTreeSet::from([Role::Contributor]) }
}
