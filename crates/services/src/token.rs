//! API tokens: made once, shown once, known by their hash.

use crate::{Caller, Ctx, Event, Result, Services, commit};
use chrono::{Duration, Utc};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    id::TokenId,
    permission::Scope,
    user::{Email, Token, User, Workspace},
};
use sha2::{Digest as _, Sha256};

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
    use std::fmt::Write as _;
    let mut bytes = [0_u8; 32];
    // The operating system's generator does not fail once it has started.
    getrandom::fill(&mut bytes).unwrap_or_else(|error| unreachable!("no random numbers: {error}"));
    bytes.iter().fold(prefix.to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn hash_secret(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

impl NewToken {
    fn validate(&self) -> Result<i64> {
        let name = self.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::invalid_field("name", "Give the token a name of 1 to 100 characters."));
        }
        let days = self.days.unwrap_or(DEFAULT_DAYS);
        if days == 0 || days > MAX_DAYS {
            return Err(Error::invalid_field("days", format!("A token lasts 1 to {MAX_DAYS} days.")));
        }
        Ok(i64::from(days))
    }
}

impl Services {
    /// Makes a token of one's own, for the workspace in use.
    ///
    /// # Errors
    /// `Invalid` for a name or a duration outside the limits, `Forbidden` when a token would make a wider one.
    pub async fn create_token(&self, ctx: &Ctx, new: NewToken) -> Result<IssuedToken> {
        let caller = ctx.caller.as_ref().ok_or_else(Error::internal)?;
        if new.scope > caller.scope {
            return Err(
                Error::forbidden("A token cannot make another with a wider scope than its own.").in_field("scope")
            );
        }
        self.issue_token(&caller.user, &ctx.workspace, new, caller.actor(), ctx.request_id()).await
    }

    /// Makes a token for the user of this address, for the default workspace: for the command line.
    ///
    /// # Errors
    /// `NotFound` when no user has the address.
    pub async fn create_token_for(&self, email: &Email, new: NewToken) -> Result<IssuedToken> {
        let (user, _) = store::user::by_email(&mut *self.conn().await?, email)
            .await?
            .ok_or_else(|| Error::new(domain::ErrorKind::NotFound, format!("No user has the address {email}.")))?;
        let (workspace, _) =
            self.workspaces_of(&user).await?.into_iter().next().ok_or_else(|| {
                Error::conflict(format!("{email} is a member of no workspace; add them to one first."))
            })?;
        self.issue_token(&user, &workspace, new, Actor::System, None).await
    }

    async fn issue_token(
        &self,
        user: &User,
        workspace: &Workspace,
        new: NewToken,
        actor: Actor,
        request_id: Option<&str>,
    ) -> Result<IssuedToken> {
        let days = new.validate()?;
        let secret = new_secret("slipway_");
        let token = Token {
            id: TokenId::new(),
            name: new.name.trim().to_owned(),
            prefix: secret[.."slipway_".len() + 6].to_owned(),
            scope: new.scope,
            workspace: workspace.slug.clone(),
            created_at: Utc::now(),
            expires_at: Utc::now() + Duration::days(days),
            last_used_at: None,
        };
        let mut tx = self.begin().await?;
        let row = store::token::NewToken {
            id: token.id,
            user_id: user.id,
            workspace_id: workspace.id,
            name: &token.name,
            hash: &hash_secret(&secret),
            prefix: &token.prefix,
            scope: token.scope,
            expires_at: token.expires_at,
        };
        store::token::insert(&mut tx, &row).await?;
        Event::new(
            "token.created",
            Object::new(ObjectKind::Token, token.id, &token.name),
            format!("made the token {} with scope {}", token.name, token.scope.as_str()),
        )
        .related(Object::new(ObjectKind::User, user.id, &user.name))
        .write_as(&mut tx, Some(workspace.id), actor, request_id)
        .await?;
        commit(tx).await?;
        Ok(IssuedToken { token, secret })
    }

    /// Who a token's secret speaks for, and the slug of its workspace; none when it does not work.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn bearer(&self, secret: &str) -> Result<Option<store::token::Bearer>> {
        Ok(store::token::bearer(&mut *self.conn().await?, &hash_secret(secret)).await?)
    }

    /// One's own tokens that still work, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        Ok(store::token::list(&mut *self.conn().await?, caller.user.id).await?)
    }

    /// Revokes one of one's own tokens.
    ///
    /// # Errors
    /// `NotFound` when there is no such token that works.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<()> {
        let mut tx = self.begin().await?;
        let name = store::token::revoke(&mut tx, caller.user.id, id)
            .await?
            .ok_or_else(|| Error::new(domain::ErrorKind::NotFound, "This token does not work any more."))?;
        Event::new("token.revoked", Object::new(ObjectKind::Token, id, &name), format!("revoked the token {name}"))
            .write_by(&mut tx, caller)
            .await?;
        commit(tx).await
    }
}
