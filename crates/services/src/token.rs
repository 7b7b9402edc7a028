//! API tokens: made once, shown once, known by their hash.

use crate::{Caller, Credential, Ctx, Event, Result, Services, boxed, commit};
use chrono::{DateTime, Duration, Utc};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    digest::hex,
    id::TokenId,
    permission::Scope,
    user::{Email, Token, User, Workspace},
};
use sha2::{Digest as _, Sha256};
use store::PgConnection;

/// How long a token lasts when nothing is said.
const DEFAULT_DAYS: u32 = 90;
/// How long a token may last.
const MAX_DAYS: u32 = 366;

/// A token to be made.
#[derive(Debug)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// For how many days; [`DEFAULT_DAYS`] when none.
    pub days: Option<u32>,
}

/// A token that was just made. The only time that its secret is seen.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: Token,
    /// What to send.
    pub secret: String,
}

/// A new secret: the prefix and 256 random bits.
pub(crate) fn new_secret(prefix: &str) -> String {
    let mut bytes = [0_u8; 32];
    // The operating system's generator does not fail once it has started.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| unreachable!("no random numbers: {error}"));
    format!("{prefix}{}", hex(&bytes))
}

pub(crate) fn hash_secret(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

impl NewToken {
    fn validate(&self) -> Result<i64> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::invalid_field("name", "Give the token a name of 1 to 100 characters, on one line."));
        }
        let days = self.days.unwrap_or(DEFAULT_DAYS);
        if days == 0 || days > MAX_DAYS {
            return Err(Error::invalid_field("days", format!("A token lasts 1 to {MAX_DAYS} days.")));
        }
        Ok(i64::from(days))
    }
}

impl Services {
    /// Makes a token of one's own, for the workspace in use. One that a token makes ends no later than that token.
    ///
    /// # Errors
    /// `Invalid` for a name or a duration outside the limits, `Forbidden` for a service account, and when a token asks
    /// for one that would outlive it.
    #[boxed]
    pub async fn create_token(&self, ctx: &Ctx, new: NewToken) -> Result<IssuedToken> {
        let caller = ctx.caller.as_ref().ok_or_else(Error::internal)?;
        check_person(caller)?;
        self.issue_token(&caller.user, &ctx.workspace, new, Some(caller)).await
    }

    /// Makes a token for the user of this address, for the first of their workspaces: for the command line.
    ///
    /// # Errors
    /// `NotFound` when no user has the address.
    #[boxed]
    pub async fn create_token_for(&self, email: &Email, new: NewToken) -> Result<IssuedToken> {
        let (user, _) = store::user::by_email(&mut *self.conn().await?, email)
            .await?
            .ok_or_else(|| Error::new(domain::ErrorKind::NotFound, format!("No user has the address {email}.")))?;
        let (workspace, _) =
            self.workspaces_of(&user).await?.into_iter().next().ok_or_else(|| {
                Error::conflict(format!("{email} is a member of no workspace; add them to one first."))
            })?;
        self.issue_token(&user, &workspace, new, None).await
    }

    async fn issue_token(
        &self,
        user: &User,
        workspace: &Workspace,
        new: NewToken,
        caller: Option<&Caller>,
    ) -> Result<IssuedToken> {
        let days = new.validate()?;
        let mut tx = self.begin().await?;
        let mut expires_at = Utc::now() + Duration::days(days);
        if let Some(Credential::Token(by)) = caller.map(|caller| &caller.credential) {
            expires_at = bound(&mut tx, *by, expires_at, new.days.is_some()).await?;
        }
        let secret = new_secret("slipway_");
        let token = Token {
            id: TokenId::new(),
            name: new.name.trim().to_owned(),
            prefix: secret[.."slipway_".len() + 6].to_owned(),
            scope: new.scope,
            workspace: workspace.slug.clone(),
            created_at: Utc::now(),
            expires_at,
            last_used_at: None,
        };
        let row = store::token::NewToken {
            id: token.id,
            workspace_id: workspace.id,
            name: &token.name,
            hash: &hash_secret(&secret),
            prefix: &token.prefix,
            scope: token.scope,
            expires_at: token.expires_at,
        };
        store::token::insert(&mut tx, user.id, &row).await?;
        Event::new(
            "token.created",
            Object::new(ObjectKind::Token, token.id, &token.name),
            format!("made the token {} with scope {}", token.name, token.scope.as_str()),
        )
        .related(Object::new(ObjectKind::User, user.id, &user.name))
        .write_as(
            &mut tx,
            Some(workspace.id),
            caller.map_or(Actor::System, Caller::actor),
            caller.and_then(|caller| caller.request_id.as_deref()),
        )
        .await?;
        commit(tx).await?;
        Ok(IssuedToken { token, secret })
    }

    /// One's own tokens that still work, newest first.
    ///
    /// # Errors
    /// `Forbidden` for a service account.
    #[boxed]
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        check_person(caller)?;
        Ok(store::token::list(&mut *self.conn().await?, caller.user.id).await?)
    }

    /// Revokes one of one's own tokens.
    ///
    /// # Errors
    /// `NotFound` when there is no such token that works, `Forbidden` for a service account.
    #[boxed]
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<()> {
        check_person(caller)?;
        let mut tx = self.begin().await?;
        let (workspace, name) = store::token::revoke(&mut tx, caller.user.id, id)
            .await?
            .ok_or_else(|| Error::new(domain::ErrorKind::NotFound, "This token does not work any more."))?;
        Event::new("token.revoked", Object::new(ObjectKind::Token, id, &name), format!("revoked the token {name}"))
            .related(Object::new(ObjectKind::User, caller.user.id, &caller.user.name))
            .write_as(&mut tx, Some(workspace), caller.actor(), caller.request_id.as_deref())
            .await?;
        commit(tx).await?;
        self.bearers.forget();
        Ok(())
    }
}

/// A service account's tokens belong to the many that act as it: a step sees and ends no other step's.
fn check_person(caller: &Caller) -> Result<()> {
    if caller.user.is_service {
        return Err(Error::forbidden(
            "A service account makes, lists and revokes no tokens. Sign in, or use a token of your own.",
        ));
    }
    Ok(())
}

/// When a token that is made by another ends: no later than that one. `is_wish` when its maker named the days.
async fn bound(
    conn: &mut PgConnection,
    by: TokenId,
    expires_at: DateTime<Utc>,
    is_wish: bool,
) -> Result<DateTime<Utc>> {
    let ends_at = store::token::ends_at(conn, by)
        .await?
        .ok_or_else(|| Error::unauthenticated("This token does not work any more."))?;
    if is_wish && expires_at > ends_at {
        return Err(Error::forbidden(format!(
            "This token ends on {}, and makes none that lasts longer. Ask for fewer days, or sign in to make it.",
            ends_at.format("%Y-%m-%d")
        ))
        .in_field("days"));
    }
    Ok(expires_at.min(ends_at))
}
