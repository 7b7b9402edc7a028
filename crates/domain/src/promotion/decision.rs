//! What people decide, who may, and which decisions count.

use super::Promotion;
use crate::{
    digest::Digest,
    id::{DecisionId, UserId},
    permission::Permission,
    user::{Member, User},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A person's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecisionVerdict {
    /// Yes.
    Approve,
    /// No; the promotion ends.
    Reject,
}

impl DecisionVerdict {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::Reject].into_iter().find(|verdict| verdict.as_str() == text)
    }

    /// As a verb of the past, to end the sentence "You have …".
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
        }
    }
}

/// What a person decided, on exactly what. Never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The decision.
    pub id: DecisionId,
    /// Who.
    pub user_id: UserId,
    /// Their name then.
    pub user_name: String,
    /// Yes or no.
    pub verdict: DecisionVerdict,
    /// Why.
    pub comment: String,
    /// The digest of the subject that they saw.
    pub subject_digest: Digest,
    /// When.
    pub at: DateTime<Utc>,
}

/// Whether somebody may decide on a promotion, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Eligibility {
    /// Who.
    pub user: User,
    /// None when they may; else the reason why not.
    pub barred: Option<String>,
    /// What they decided on the present subject.
    pub decision: Option<DecisionVerdict>,
}

/// Why somebody may not decide on a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// It is no person.
    Service,
    /// They requested it.
    Requester,
    /// They started the pipeline run that requested it.
    Starter,
    /// They are no approver in the workspace.
    NoApprover,
}

impl Bar {
    /// Said of them, to others.
    #[must_use]
    pub fn of_them(self) -> &'static str {
        match self {
            Self::Service => "A service account never counts as a person who decides.",
            Self::Requester => "Requested this promotion.",
            Self::Starter => "Started the pipeline run that requested this promotion.",
            Self::NoApprover => "Is not an approver in this workspace.",
        }
    }

    /// Said to them, to end a sentence.
    #[must_use]
    pub fn to_them(self) -> &'static str {
        match self {
            Self::Service => "a service account never counts as a person who decides",
            Self::Requester => "you requested it",
            Self::Starter => "you started the pipeline run that requested it",
            Self::NoApprover => "you are not an approver in this workspace",
        }
    }
}

/// Why somebody may not decide on a promotion; none when they may.
#[must_use]
pub fn barred(user: &User, is_approver: bool, promotion: &Promotion) -> Option<Bar> {
    if user.is_service {
        Some(Bar::Service)
    } else if promotion.requested_by == Some(user.id) {
        Some(Bar::Requester)
    } else if promotion.on_behalf_of == Some(user.id) {
        Some(Bar::Starter)
    } else {
        (!is_approver).then_some(Bar::NoApprover)
    }
}

/// The members who may decide on a promotion now.
#[must_use]
pub fn eligible(members: &[Member], promotion: &Promotion) -> BTreeSet<UserId> {
    let may = |member: &&Member| barred(&member.user, member.may(Permission::DecidePromotion), promotion).is_none();
    members.iter().filter(may).map(|member| member.user.id).collect()
}

/// Different people who approved this digest and count: those who may decide now, whatever they were when they did.
#[must_use]
pub fn count_approvals(decisions: &[Decision], digest: &Digest, eligible: &BTreeSet<UserId>) -> u8 {
    let people: BTreeSet<_> =
        approvals(decisions, digest).map(|decision| decision.user_id).filter(|id| eligible.contains(id)).collect();
    u8::try_from(people.len()).unwrap_or(u8::MAX)
}

/// The approvals of this digest, whether they count or not.
pub fn approvals<'a>(decisions: &'a [Decision], digest: &'a Digest) -> impl Iterator<Item = &'a Decision> {
    decisions.iter().filter(move |one| one.verdict == DecisionVerdict::Approve && one.subject_digest == *digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{EnvironmentId, ModelVersionId, PromotionId, WorkspaceId},
        permission::Role,
        promotion::PromotionState,
        user::Email,
    };

    fn promotion(requested_by: UserId, on_behalf_of: Option<UserId>) -> Promotion {
        Promotion {
            id: PromotionId::new(),
            workspace_id: WorkspaceId::new(),
            number: 1,
            model_version_id: ModelVersionId::new(),
            model: "churn".to_owned(),
            version: 7,
            environment_id: EnvironmentId::new(),
            environment: "production".to_owned(),
            state: PromotionState::AwaitingApproval,
            state_reason: String::new(),
            requested_by: Some(requested_by),
            on_behalf_of,
            requester: String::new(),
            comment: String::new(),
            subject: None,
            subject_digest: None,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn member(roles: &[Role], is_service: bool) -> Member {
        let user = User {
            id: UserId::new(),
            email: Email::parse("somebody@example.com").unwrap(),
            name: "Somebody".to_owned(),
            is_service,
            created_at: DateTime::UNIX_EPOCH,
        };
        Member { user, roles: roles.iter().copied().collect(), since: DateTime::UNIX_EPOCH, last_seen_at: None }
    }

    fn decision(user: &Member, verdict: DecisionVerdict, digest: &Digest) -> Decision {
        Decision {
            id: DecisionId::new(),
            user_id: user.user.id,
            user_name: String::new(),
            verdict,
            comment: String::new(),
            subject_digest: digest.clone(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_requester_a_machine_and_who_is_no_approver_never_count() {
        let requester = member(&[Role::Approver, Role::Contributor], false);
        let machine = member(&[Role::Approver], true);
        let admin = member(&[Role::Admin], false);
        let approver = member(&[Role::Approver], false);
        let members = [requester, machine, admin, approver];
        let eligible = eligible(&members, &promotion(members[0].user.id, None));
        assert_eq!(eligible, BTreeSet::from([members[3].user.id]));

        let digest = Digest::blake3([1; 32]);
        let all: Vec<_> = members.iter().map(|m| decision(m, DecisionVerdict::Approve, &digest)).collect();
        assert_eq!(count_approvals(&all, &digest, &eligible), 1);
    }

    #[test]
    fn whoever_let_a_pipeline_ask_is_barred_like_the_one_who_asks() {
        let (pipelines, starter) = (member(&[Role::Contributor], true), member(&[Role::Approver], false));
        let asked = promotion(pipelines.user.id, Some(starter.user.id));
        assert_eq!(barred(&starter.user, true, &asked), Some(Bar::Starter));
        assert!(eligible(&[pipelines, starter], &asked).is_empty());
    }

    #[test]
    fn one_person_counts_once_and_only_for_what_they_saw() {
        let (one, other) = (member(&[Role::Approver], false), member(&[Role::Approver], false));
        let eligible = BTreeSet::from([one.user.id, other.user.id]);
        let (seen, since) = (Digest::blake3([1; 32]), Digest::blake3([2; 32]));
        let decisions = [
            decision(&one, DecisionVerdict::Approve, &seen),
            decision(&one, DecisionVerdict::Approve, &seen),
            decision(&other, DecisionVerdict::Reject, &seen),
            decision(&other, DecisionVerdict::Approve, &since),
        ];
        assert_eq!(count_approvals(&decisions, &seen, &eligible), 1);
        assert_eq!(count_approvals(&decisions, &since, &eligible), 1);
    }
}
