//! Delegations: somebody who is away lets somebody else decide for them, for a while and on some of it.

use crate::{
    error::Error,
    glob,
    id::{DelegationId, UserId, WorkspaceId},
    wording::{check_length, check_nul},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What somebody may decide on for another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DelegationScope))]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Into the environments of these names; all when empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub environments: BTreeSet<String>,
    /// Of models whose names fit one of these patterns, with `*` and `?`; all when empty.
    #[serde(default)]
    pub models: Vec<String>,
}

impl Scope {
    /// Whether it is everything that somebody may decide on.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a promotion of this model into this environment is in it.
    #[must_use]
    pub fn covers(&self, environment: &str, model: &str) -> bool {
        (self.environments.is_empty() || self.environments.contains(environment))
            && glob::matches_any(&self.models, model)
    }
}

/// Somebody decides for somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delegation {
    /// The delegation.
    pub id: DelegationId,
    /// Where it holds.
    pub workspace_id: WorkspaceId,
    /// For whom is decided.
    pub from: UserId,
    /// Their name.
    pub from_name: String,
    /// Who decides.
    pub to: UserId,
    /// Their name.
    pub to_name: String,
    /// On what.
    pub scope: Scope,
    /// From when on.
    pub starts_at: DateTime<Utc>,
    /// Until when; not at that moment any more.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it: whoever is away, or an admin.
    pub created_by: String,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Where a delegation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelegationState {
    /// It has not begun.
    Ahead,
    /// It holds.
    InForce,
    /// Its time is over.
    Over,
    /// It was taken back.
    Revoked,
}

/// For how many days somebody may decide for another at most.
pub const MAX_DAYS: i64 = 90;
/// The most characters of a reason.
const MAX_REASON: usize = 1000;

impl Delegation {
    /// Where it stands.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> DelegationState {
        match () {
            () if self.revoked_at.is_some_and(|at| at <= now) => DelegationState::Revoked,
            () if now < self.starts_at => DelegationState::Ahead,
            () if now < self.ends_at => DelegationState::InForce,
            () => DelegationState::Over,
        }
    }

    /// Whether a promotion of this model into this environment may be decided on by [`Delegation::to`] for
    /// [`Delegation::from`] now. Whether either of them is an approver, or asked for it, is not looked at.
    #[must_use]
    pub fn covers(&self, environment: &str, model: &str, now: DateTime<Utc>) -> bool {
        self.state(now) == DelegationState::InForce && self.scope.covers(environment, model)
    }
}

/// Refuses a delegation that makes no sense, whoever is meant.
///
/// # Errors
/// With the field that is wrong: somebody to themselves, a time that is over, has no length or is longer than
/// [`MAX_DAYS`], a reason that is missing or too long, patterns that are none.
pub fn check(
    (from, to): (UserId, UserId),
    scope: &Scope,
    (starts_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    if from == to {
        return Err(Error::invalid_field("to", "Choose somebody else: nobody decides for themselves by delegation."));
    }
    if ends_at <= starts_at {
        return Err(Error::invalid_field("ends_at", "A delegation ends after it starts."));
    }
    if ends_at <= now {
        return Err(Error::invalid_field("ends_at", "This is over already; choose an end that is still ahead."));
    }
    if ends_at - starts_at > TimeDelta::days(MAX_DAYS) {
        let text = format!("A delegation lasts at most {MAX_DAYS} days; make another one after it.");
        return Err(Error::invalid_field("ends_at", text));
    }
    if starts_at - now > TimeDelta::days(366) {
        return Err(Error::invalid_field("starts_at", "A delegation starts within a year."));
    }
    if reason.trim().is_empty() {
        return Err(Error::invalid_field("reason", "Say why, such as: on leave."));
    }
    check_nul(reason, "reason")?;
    check_length(reason, MAX_REASON, "reason", "reason")?;
    if scope.environments.len() > glob::MAX_PATTERNS {
        let text = format!("Name at most {} environments.", glob::MAX_PATTERNS);
        return Err(Error::invalid_field("scope/environments", text));
    }
    glob::check(&scope.models, "scope/models")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    fn delegation(scope: Scope) -> Delegation {
        Delegation {
            id: DelegationId::new(),
            workspace_id: WorkspaceId::new(),
            from: UserId::new(),
            from_name: "Away".to_owned(),
            to: UserId::new(),
            to_name: "Here".to_owned(),
            scope,
            starts_at: at(10),
            ends_at: at(20),
            reason: "on leave".to_owned(),
            created_at: at(0),
            created_by: "Away".to_owned(),
            revoked_at: None,
        }
    }

    #[test]
    fn it_holds_from_its_start_until_its_end() {
        let one = delegation(Scope::default());
        assert!(!one.covers("production", "churn", at(9)));
        assert!(one.covers("production", "churn", at(10)));
        assert!(!one.covers("production", "churn", at(20)));
        assert_eq!(
            [at(9), at(10), at(20)].map(|now| one.state(now)),
            [DelegationState::Ahead, DelegationState::InForce, DelegationState::Over]
        );
    }

    #[test]
    fn it_holds_no_more_once_it_is_taken_back() {
        let one = Delegation { revoked_at: Some(at(12)), ..delegation(Scope::default()) };
        assert!(!one.covers("production", "churn", at(12)));
        assert_eq!(one.state(at(12)), DelegationState::Revoked);
        assert!(one.covers("production", "churn", at(11)), "what was decided before stands");
    }

    #[test]
    fn it_covers_what_both_parts_of_its_scope_name() {
        let scope =
            Scope { environments: BTreeSet::from(["production".to_owned()]), models: vec!["churn-*".to_owned()] };
        let one = delegation(scope);
        assert!(one.covers("production", "churn-eu", at(10)));
        assert!(!one.covers("staging", "churn-eu", at(10)));
        assert!(!one.covers("production", "wine", at(10)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_field() {
        let (from, to) = (UserId::new(), UserId::new());
        let all = Scope::default();
        let wrong =
            |who, when, reason: &str, scope: &Scope| check(who, scope, when, reason, at(0)).unwrap_err().field.unwrap();
        assert_eq!(check((from, to), &all, (at(0), at(24 * 90)), "on leave", at(0)), Ok(()));
        assert_eq!(check((from, to), &all, (at(-5), at(1)), "on leave", at(0)), Ok(()), "it may have begun");
        assert_eq!(wrong((from, from), (at(0), at(1)), "r", &all), "to");
        assert_eq!(wrong((from, to), (at(1), at(1)), "r", &all), "ends_at");
        assert_eq!(wrong((from, to), (at(-2), at(-1)), "r", &all), "ends_at");
        assert_eq!(wrong((from, to), (at(0), at(24 * 90 + 1)), "r", &all), "ends_at");
        assert_eq!(wrong((from, to), (at(24 * 400), at(24 * 401)), "r", &all), "starts_at");
        assert_eq!(wrong((from, to), (at(0), at(1)), " ", &all), "reason");
        let scope = Scope { models: vec![String::new()], ..Scope::default() };
        assert_eq!(wrong((from, to), (at(0), at(1)), "r", &scope), "scope/models");
    }
}
