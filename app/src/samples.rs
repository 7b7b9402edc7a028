//! Example values of everything that pages show, for tests and for the gallery. Roles stand for people.

use crate::pages::home::{HomePage, WelcomePage};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Digest,
    audit::{Actor, AuditEvent, Object, ObjectKind},
    deployment::{Deployment, DeploymentState, Endpoint, Traffic},
    environment::Environment,
    id::{
        AlertId, AuditEventId, DeploymentId, EnvironmentId, ModelId, ModelVersionId, MonitorId, PipelineId,
        PipelineRunId, PipelineVersionId, PromotionId, UserId, WorkspaceId,
    },
    monitor::{Alert, AlertState},
    pipeline_run::{PipelineRun, PipelineRunState, PipelineRunSummary, RunCause},
    promotion::{Promotion, PromotionState},
};

/// The moment all examples are told from.
#[must_use]
pub fn moment() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_424_700, 0).unwrap_or_default()
}

/// So many minutes before [`moment`].
#[must_use]
pub fn ago(minutes: i64) -> DateTime<Utc> {
    moment() - TimeDelta::minutes(minutes)
}

/// A digest.
#[must_use]
pub fn digest(seed: u8) -> Digest {
    Digest::blake3([seed; 32])
}

/// A person who did something.
#[must_use]
pub fn person(name: &str) -> Actor {
    Actor::User { id: UserId::new(), name: name.to_owned(), is_service: false }
}

/// A line of history.
#[must_use]
pub fn event(minutes: i64, actor: Actor, action: &str, kind: ObjectKind, name: &str, summary: &str) -> AuditEvent {
    AuditEvent {
        id: AuditEventId::new(),
        at: ago(minutes),
        actor,
        action: action.to_owned(),
        object: Object::new(kind, "1", name),
        related: Vec::new(),
        summary: summary.to_owned(),
        details: serde_json::Value::Null,
        request_id: None,
    }
}

/// Staging and production.
#[must_use]
pub fn environments() -> Vec<Environment> {
    let workspace_id = WorkspaceId::new();
    [("staging", 1), ("production", 2)]
        .map(|(name, position)| Environment {
            id: EnvironmentId::new(),
            workspace_id,
            name: name.to_owned(),
            position,
            protected: true,
        })
        .to_vec()
}

/// What serves a version in an environment.
#[must_use]
pub fn endpoint(environment: &Environment, model: &str, version: i32, requests: i64, drift: Option<f64>) -> Endpoint {
    Endpoint {
        deployment: Deployment {
            id: DeploymentId::new(),
            workspace_id: environment.workspace_id,
            number: i64::from(version) * 2,
            environment_id: environment.id,
            environment: environment.name.clone(),
            model_id: ModelId::new(),
            model: model.to_owned(),
            model_version_id: ModelVersionId::new(),
            version,
            digest: digest(7),
            promotion_id: Some(PromotionId::new()),
            promotion_number: Some(80),
            rollback_of: None,
            state: DeploymentState::Live,
            state_reason: String::new(),
            created_by: "Risk approver".to_owned(),
            created_at: ago(60 * 24 * 9),
            live_at: Some(ago(60 * 24 * 9)),
            retired_at: None,
        },
        previous: Some(version - 1),
        traffic: Traffic {
            requests,
            errors: requests / 5000,
            p50_ms: (requests > 0).then_some(1.9),
            p99_ms: (requests > 0).then_some(8.4),
            series: (0..24).map(|hour| requests / 24 + (hour * 37 % 11) * requests / 400).collect(),
        },
        drift_share: drift,
        drifted: drift.map(|share| share >= 0.5),
    }
}

/// A request to promote.
#[must_use]
pub fn promotion(number: i64, model: &str, version: i32, environment: &str, state: PromotionState) -> Promotion {
    Promotion {
        id: PromotionId::new(),
        workspace_id: WorkspaceId::new(),
        number,
        model_version_id: ModelVersionId::new(),
        model: model.to_owned(),
        version,
        environment_id: EnvironmentId::new(),
        environment: environment.to_owned(),
        state,
        state_reason: String::new(),
        requested_by: Some(UserId::new()),
        requester: "Data scientist".to_owned(),
        comment: "Weights classes below 5 %; macro F1 is up by 0.036.".to_owned(),
        subject: None,
        subject_digest: Some(digest(9)),
        created_at: ago(180),
        updated_at: ago(170),
    }
}

/// A run of a pipeline.
#[must_use]
pub fn pipeline_run(number: i64, state: PipelineRunState) -> PipelineRun {
    PipelineRun {
        id: PipelineRunId::new(),
        workspace_id: WorkspaceId::new(),
        pipeline_id: PipelineId::new(),
        pipeline_name: "train-wine".to_owned(),
        version_id: PipelineVersionId::new(),
        version_number: 3,
        digest: digest(3),
        number,
        state,
        params: std::collections::BTreeMap::new(),
        cause: RunCause::Person,
        cause_id: None,
        started_by: Some(UserId::new()),
        started_by_name: "Data scientist".to_owned(),
        cancel_requested_at: None,
        created_at: ago(3),
        started_at: (state != PipelineRunState::Queued).then(|| ago(3)),
        ended_at: None,
    }
}

/// The home of a workspace where much goes on.
#[must_use]
pub fn home() -> HomePage {
    let environments = environments();
    let (staging, production) = (&environments[0], &environments[1]);
    let alert = |number: i64, state: AlertState, summary: &str, model: &str, minutes: i64| Alert {
        id: AlertId::new(),
        workspace_id: staging.workspace_id,
        number,
        monitor_id: MonitorId::new(),
        model: model.to_owned(),
        environment: "production".to_owned(),
        version: 12,
        state,
        summary: summary.to_owned(),
        opened_at: ago(minutes),
        last_seen_at: ago(1),
        resolved_at: None,
        handled_by: None,
    };
    HomePage {
        workspace_id: staging.workspace_id,
        waiting: vec![
            promotion(87, "wine-quality", 14, "production", PromotionState::AwaitingApproval),
            promotion(88, "diabetes-progression", 5, "staging", PromotionState::AwaitingApproval),
        ],
        endpoints: vec![
            endpoint(production, "wine-quality", 12, 48_210, Some(0.62)),
            endpoint(staging, "wine-quality", 14, 120, Some(0.08)),
            endpoint(staging, "digits", 31, 0, None),
        ],
        running: vec![
            PipelineRunSummary { run: pipeline_run(512, PipelineRunState::Running), steps_total: 9, steps_ended: 5 },
            PipelineRunSummary { run: pipeline_run(513, PipelineRunState::Queued), steps_total: 9, steps_ended: 0 },
        ],
        alerts: vec![
            alert(5, AlertState::Open, "8 of 13 features drifted", "wine-quality", 18),
            alert(4, AlertState::Acknowledged, "7 of 10 features drifted", "housing-price-band", 300),
        ],
        activity: vec![
            event(
                18,
                Actor::System,
                "alert.opened",
                ObjectKind::Alert,
                "#5",
                "opened alert #5: 8 of 13 features drifted",
            ),
            event(60, person("Risk approver"), "promotion.approved", ObjectKind::Promotion, "#87", "approved #87"),
            event(180, person("Data scientist"), "promotion.requested", ObjectKind::Promotion, "#87", "requested #87"),
            event(
                240,
                Actor::User { id: UserId::new(), name: "CI job".to_owned(), is_service: true },
                "pipeline_run.started",
                ObjectKind::PipelineRun,
                "train-wine #511",
                "started train-wine #511",
            ),
            event(
                1500,
                Actor::System,
                "promotion.invalidated",
                ObjectKind::Promotion,
                "#81",
                "let #81 fall away: the dataset changed",
            ),
        ],
        environments,
        may_invite: true,
        may_run: true,
    }
}

/// The home of a new workspace.
#[must_use]
pub fn welcome() -> WelcomePage {
    WelcomePage {
        workspace_id: WorkspaceId::new(),
        workspace: "New lab".to_owned(),
        tracking_uri: "https://slipway.example.com/w/new-lab".to_owned(),
        token: Some("laptop".to_owned()),
        has_run: false,
        has_pipeline: false,
        has_promotion: false,
        may_load_example: true,
    }
}
