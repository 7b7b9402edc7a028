//! Change requests: what a policy lets nobody do alone, besides bringing a version into an environment. They stand until the
//! people whom the rules name agree, and what was agreed on is then done in the transaction of the last yes.
//!
//! Promotions have gates, a deployment and a life of their own; a change is one moment. That is why it is not one of them.

use crate::{
    digest::Digest,
    id::{ChangeRequestId, DeploymentId, EnvironmentId, ModelId, UserId, WorkspaceId},
    policy::{Action, PolicyDocument, PolicyPin},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// A revision of a policy is put in force.
    WritePolicy {
        /// The policy's name.
        name: String,
        /// What it is to ask for.
        document: Box<PolicyDocument>,
        /// The file that the document was read from.
        source: Option<String>,
        /// The digest of the revision that it takes the place of; none for a policy that is new or was retired.
        instead_of: Option<Digest>,
    },
    /// A policy ends.
    RetirePolicy {
        /// The policy's name.
        name: String,
        /// What it asked for.
        document: Box<PolicyDocument>,
        /// The digest of the revision in force.
        instead_of: Digest,
    },
    /// A version stops serving, and nothing takes its place.
    RetireDeployment {
        /// The deployment.
        deployment_id: DeploymentId,
        /// Its number.
        deployment: i64,
        /// Where it serves.
        environment_id: EnvironmentId,
        /// The environment's name.
        environment: String,
        /// Of which model.
        model_id: ModelId,
        /// The model's name.
        model: String,
        /// The version's number.
        version: i32,
    },
}

impl Change {
    /// The action that policies are asked about.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Self::WritePolicy { .. } | Self::RetirePolicy { .. } => Action::ChangePolicy,
            Self::RetireDeployment { .. } => Action::Retire,
        }
    }

    /// The names of the environments that it is about, as they are written; none when it may be any.
    #[must_use]
    pub fn environments(&self) -> Vec<String> {
        match self {
            Self::WritePolicy { document, .. } | Self::RetirePolicy { document, .. } => {
                document.scope.environments.iter().cloned().collect()
            }
            Self::RetireDeployment { environment, .. } => vec![environment.clone()],
        }
    }

    /// `change the policy production`, to end a sentence.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::WritePolicy { name, instead_of: Some(_), .. } => format!("change the policy {name}"),
            Self::WritePolicy { name, instead_of: None, .. } => format!("write the policy {name}"),
            Self::RetirePolicy { name, .. } => format!("retire the policy {name}"),
            Self::RetireDeployment { environment, model, version, .. } => {
                format!("retire {model} v{version} in {environment}")
            }
        }
    }

    /// What people agree to: the change itself, and the policies that ask them, by their digests.
    ///
    /// # Errors
    /// Never for a value that came from JSON.
    pub fn digest(&self, policies: &[PolicyPin]) -> Result<Digest, serde_json::Error> {
        #[derive(Serialize)]
        struct Subject<'a> {
            change: &'a Change,
            policies: &'a [PolicyPin],
        }
        Digest::of_json(&Subject { change: self, policies })
    }
}

/// Where a change request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// People are asked.
    AwaitingApproval,
    /// Everybody asked agreed, and it is done.
    Applied,
    /// Somebody said no.
    Rejected,
    /// It stood for too long.
    Expired,
    /// The requester took it back.
    Withdrawn,
    /// What was to be changed, or who is asked, is no longer what it was.
    Invalidated,
}

impl ChangeState {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::AwaitingApproval, Self::Applied, Self::Rejected, Self::Expired, Self::Withdrawn, Self::Invalidated];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Invalidated => "invalidated",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The name for people, to end the sentence "It …".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaits approval",
            Self::Applied => "was applied",
            Self::Rejected => "was rejected",
            Self::Expired => "expired",
            Self::Withdrawn => "was withdrawn",
            Self::Invalidated => "was invalidated",
        }
    }

    /// Whether it can still be decided on. From there it ends in any of the others, and from those it goes nowhere.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::AwaitingApproval
    }
}

/// A change that somebody asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeRequest {
    /// The request.
    pub id: ChangeRequestId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// 1, 2, 3 … in the workspace.
    pub number: i64,
    /// What is to be done.
    pub change: Change,
    /// What people agree to. A decision names the digest that its author saw.
    pub digest: Digest,
    /// Where it stands.
    pub state: ChangeState,
    /// Why it stands there, as a sentence; empty when there is nothing to say.
    pub state_reason: String,
    /// Who asked; none when that is no user.
    pub requested_by: Option<UserId>,
    /// The person behind a pipeline's step that asked.
    pub on_behalf_of: Option<UserId>,
    /// Their name then.
    pub requester: String,
    /// Why they ask.
    pub comment: String,
    /// Until when it stands.
    pub expires_at: DateTime<Utc>,
    /// When it was asked.
    pub created_at: DateTime<Utc>,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

impl ChangeRequest {
    /// `#4: change the policy production`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("#{}: {}", self.number, self.change.title())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_states_name_is_read_again_and_only_one_is_open() {
        for state in ChangeState::ALL {
            assert_eq!(ChangeState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ChangeState::ALL.iter().filter(|state| state.is_open()).count(), 1);
    }

    #[test]
    fn the_digest_names_the_change_and_who_is_asked() {
        let retire = |byte| Change::RetirePolicy {
            name: "risk".to_owned(),
            document: Box::default(),
            instead_of: Digest::blake3([byte; 32]),
        };
        let change = retire(1);
        let pin = |revision| PolicyPin { name: "guard".to_owned(), revision, digest: Digest::blake3([2; 32]) };
        let digest = change.digest(&[pin(1)]).unwrap();
        assert_eq!(change.digest(&[pin(1)]).unwrap(), digest);
        assert_ne!(change.digest(&[pin(2)]).unwrap(), digest);
        assert_ne!(retire(3).digest(&[pin(1)]).unwrap(), digest);
    }
}
