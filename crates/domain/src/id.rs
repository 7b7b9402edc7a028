//! Identifiers. All are UUID version 7, so that they sort by the time they were made; MLflow's run ids are the same
//! UUID written as 32 hexadecimal digits.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an identifier")]
pub struct ParseIdError(pub String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = uuid::Uuid))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier, later than every one made before.
            #[allow(clippy::new_without_default)]
            #[must_use]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_| ParseIdError(text.chars().take(64).collect()))
            }
        }
    )+};
}

ids! {
    /// A workspace: the home of a team's experiments, models, pipelines and environments.
    WorkspaceId,
    /// A person or a service account.
    UserId,
    /// An API token.
    TokenId,
    /// A tracked run. On MLflow's wire: 32 hexadecimal digits, see [`RunId::simple`].
    RunId,
    /// A logged model. On MLflow's wire: `m-` and 32 hexadecimal digits, see [`LoggedModelId::wire`].
    LoggedModelId,
    /// A registered model.
    ModelId,
    /// One version of a registered model.
    ModelVersionId,
    /// A dataset.
    DatasetId,
    /// One version of a dataset.
    DatasetVersionId,
    /// A body with objects of a dataset.
    PackId,
    /// A pipeline.
    PipelineId,
    /// One immutable version of a pipeline's file.
    PipelineVersionId,
    /// One execution of a pipeline version.
    PipelineRunId,
    /// A step of a pipeline run.
    StepId,
    /// One try of a step.
    StepAttemptId,
    /// When a pipeline is started by the clock.
    ScheduleId,
    /// An address that a forge tells of pushes.
    PushHookId,
    /// A secret of a workspace.
    SecretId,
    /// Runs of a pipeline for past dates.
    BackfillId,
    /// An environment, such as staging or production.
    EnvironmentId,
    /// A team of a workspace.
    TeamId,
    /// A change window: when nothing is deployed, or only then.
    FreezeId,
    /// A change that people are asked to agree to.
    ChangeRequestId,
    /// Somebody deciding for somebody else.
    DelegationId,
    /// One immutable revision of a policy.
    PolicyId,
    /// A request to bring a version into an environment.
    PromotionId,
    /// Evidence that somebody uploaded for a promotion.
    EvidenceId,
    /// Gates or a freeze that two people set aside.
    OverrideId,
    /// A person's verdict on a promotion.
    DecisionId,
    /// A version made to serve in an environment.
    DeploymentId,
    /// One answered inference request.
    PredictionId,
    /// What is watched of a model in an environment.
    MonitorId,
    /// A finding of a monitor that somebody should look at.
    AlertId,
    /// A rule that starts a pipeline by itself.
    TriggerId,
    /// A webhook.
    WebhookId,
    /// What is sent to a webhook for one event.
    DeliveryId,
    /// An e-mail to one person.
    MailId,
    /// A file that comes in parts.
    UploadId,
    /// What somebody says of a run or a version.
    CommentId,
    /// One line of history.
    AuditEventId,
}

impl RunId {
    /// The form on MLflow's wire: 32 hexadecimal digits.
    #[must_use]
    pub fn simple(&self) -> String {
        self.0.simple().to_string()
    }
}

impl LoggedModelId {
    /// The form on MLflow's wire: `m-` and 32 hexadecimal digits.
    #[must_use]
    pub fn wire(&self) -> String {
        format!("m-{}", self.0.simple())
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// When the text is not `m-` and a UUID.
    pub fn from_wire(text: &str) -> Result<Self, ParseIdError> {
        text.strip_prefix("m-").ok_or_else(|| ParseIdError(text.chars().take(64).collect()))?.parse()
    }
}

/// An experiment's number. MLflow's clients expect a decimal number, and `0` for the default experiment of the
/// workspace in use; that of the default workspace has it for its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type), sqlx(transparent))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = i64))]
#[serde(transparent)]
pub struct ExperimentId(pub i64);

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ExperimentId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().ok().filter(|id| *id >= 0).map(Self).ok_or_else(|| ParseIdError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let (first, second) = (RunId::new(), RunId::new());
        assert!(first < second);
    }

    #[test]
    fn a_logged_model_id_reads_back_from_its_wire_form() {
        let id = LoggedModelId::new();
        assert_eq!(LoggedModelId::from_wire(&id.wire()), Ok(id));
        assert!(LoggedModelId::from_wire(&id.to_string()).is_err());
    }

    #[test]
    fn a_negative_experiment_number_is_refused() {
        assert!("-1".parse::<ExperimentId>().is_err());
        assert_eq!("0".parse(), Ok(ExperimentId(0)));
    }
}
