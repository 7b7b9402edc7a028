//! What serves and how it does: environments, deployments, an endpoint, its features, alerts.

use super::{
    COLUMNS, ago, endpoint, environments, event, person, pipeline_run,
    pipelines::trigger,
    promotion,
    promotions::{policy, revisions},
};
use crate::pages::{
    alert::{AlertPage, AlertsPage, Candidate, Consequence},
    deployment::{DeploymentPage, DeploymentsPage},
    endpoint::{Call, EndpointPage},
    environment::{Arrival, EnvironmentCard, EnvironmentPage, EnvironmentsPage},
    freeze::{FreezeRow, FreezesPage, PlaceRow, WindowRow},
    monitor::MonitorPage,
};
use domain::{
    Page,
    audit::{Actor, ObjectKind},
    deployment::{Deployment, DeploymentState, Endpoint, Prediction},
    drift::{Bins, FeatureDrift, Method, Reason, Verdict},
    environment::{Environment, EnvironmentDetail, EnvironmentOverview, Tier},
    freeze::{Freeze, FreezeKind, FreezeState, Schedule, Selector},
    id::{AlertId, DeploymentId, FreezeId, MonitorId, PipelineRunId, PredictionId, WorkspaceId},
    inference::{Datatype, TensorSpec},
    monitor::{Alert, AlertState, Check, CheckState, Firing, Monitor},
    pipeline_run::PipelineRunState,
    policy::Policy,
    promotion::PromotionState,
};
use domain::{
    pipeline::ExecutorKind,
    step::StepRef,
    worker::{Limit, Pool, QueuedStep, Worker},
};
use serde_json::json;

/// A bell around `middle`, in 20 bins, as shares.
fn bell(middle: f64, width: f64) -> Vec<f64> {
    let heights: Vec<f64> = (0..20).map(|at| (-((f64::from(at) - middle) / width).powi(2)).exp()).collect();
    let sum: f64 = heights.iter().sum();
    heights.into_iter().map(|height| height / sum).collect()
}

/// A numeric feature that moved by so many bins.
fn moved(name: &str, by: f64, method: Method) -> FeatureDrift {
    let score = if method.is_p_value() { (-by.abs() * 6.0).exp() } else { by.abs() / 9.0 };
    FeatureDrift {
        feature: name.to_owned(),
        verdict: Verdict::Scored { method, score, threshold: method.threshold(), drifted: method.is_drift(score) },
        reference_rows: 5197,
        reference_nulls: 0,
        current_rows: 1000,
        current_nulls: if name == "residual_sugar" { 118 } else { 0 },
        bins: Some(Bins::Ranges {
            edges: (0..=20).map(|at| 8.0 + f64::from(at) * 0.3).collect(),
            reference: bell(8.0, 4.0),
            current: bell(8.0 + by, 4.2),
        }),
    }
}

/// Features of a check: most of them moved.
#[must_use]
pub fn features() -> Vec<FeatureDrift> {
    let mut features: Vec<FeatureDrift> = COLUMNS
        .iter()
        .zip([6.0, 0.3, 1.2, 2.6, 0.1, 4.0, 0.6, 3.1, 0.2, 1.9, 5.0])
        .map(|(name, by)| moved(name, by, Method::Wasserstein))
        .collect();
    features.push(FeatureDrift {
        feature: "colour".to_owned(),
        verdict: Verdict::Scored { method: Method::JensenShannon, score: 0.22, threshold: 0.1, drifted: true },
        reference_rows: 5197,
        reference_nulls: 0,
        current_rows: 1000,
        current_nulls: 0,
        bins: Some(Bins::Values {
            values: ["white", "red", "sparkling", "rosé"].map(str::to_owned).to_vec(),
            reference: vec![0.7, 0.25, 0.03, 0.02],
            current: vec![0.4, 0.4, 0.1, 0.06],
            reference_rest: 0.0,
            current_rest: 0.04,
        }),
    });
    features.push(FeatureDrift {
        feature: "supplier_code_of_the_last_delivery_before_bottling".to_owned(),
        verdict: Verdict::Inconclusive { reason: Reason::DifferentTypes },
        reference_rows: 5197,
        reference_nulls: 12,
        current_rows: 1000,
        current_nulls: 0,
        bins: None,
    });
    features
}

fn check(minutes: i64, state: CheckState, share: Option<f64>) -> Check {
    Check {
        at: ago(minutes),
        deployment_id: DeploymentId::new(),
        version: 12,
        state,
        reason: match (state, share) {
            (CheckState::Inconclusive, _) => "212 rows so far; a check needs 500.".to_owned(),
            (_, Some(share)) => format!("{:.0} of 12 features drifted", share * 12.0),
            _ => String::new(),
        },
        rows: if state == CheckState::Inconclusive { 212 } else { 1000 },
        share,
        features: if state == CheckState::Drifted { features() } else { Vec::new() },
    }
}

fn monitor() -> Monitor {
    Monitor {
        id: MonitorId::new(),
        workspace_id: WorkspaceId::new(),
        model_id: domain::id::ModelId::new(),
        model: "wine-quality".to_owned(),
        environment_id: domain::id::EnvironmentId::new(),
        environment: "production".to_owned(),
        window_rows: 1000,
        min_rows: 500,
        enabled: true,
    }
}

fn alert(number: i64, state: AlertState, minutes: i64, summary: &str, model: &str) -> Alert {
    Alert {
        id: AlertId::new(),
        workspace_id: WorkspaceId::new(),
        number,
        monitor_id: MonitorId::new(),
        model: model.to_owned(),
        environment: "production".to_owned(),
        version: 12,
        state,
        summary: summary.to_owned(),
        opened_at: ago(minutes),
        last_seen_at: ago(minutes / 9),
        resolved_at: (state == AlertState::Resolved).then(|| ago(minutes / 9)),
        handled_by: (state != AlertState::Open).then(|| "On-call engineer".to_owned()),
    }
}

fn deployment(
    environment: &Environment,
    number: i64,
    model: &str,
    version: i32,
    state: DeploymentState,
    minutes: i64,
) -> Deployment {
    let mut deployment = endpoint(environment, model, version, 10, None).deployment;
    deployment.number = number;
    deployment.state = state;
    deployment.created_at = ago(minutes + 1);
    deployment.live_at = matches!(state, DeploymentState::Live | DeploymentState::Retired).then(|| ago(minutes));
    deployment.retired_at = (state == DeploymentState::Retired).then(|| ago(minutes / 2));
    if state == DeploymentState::Failed {
        deployment.state_reason =
            "Its ONNX file uses operator set 23, the engine serves up to 22; export it with a lower one.".to_owned();
    }
    deployment
}

fn history() -> Vec<Deployment> {
    use DeploymentState as S;
    let environments = environments();
    let (staging, production) = (&environments[0], &environments[1]);
    let mut back = deployment(production, 41, "housing-price-band", 8, S::Live, 18);
    back.rollback_of = Some(DeploymentId::new());
    back.created_by = "On-call engineer".to_owned();
    vec![
        deployment(staging, 42, "wine-quality", 14, S::Deploying, 0),
        back,
        deployment(production, 40, "housing-price-band", 9, S::Retired, 60 * 20),
        deployment(
            staging,
            39,
            "a-model-whose-name-is-as-long-as-somebody-in-a-hurry-would-make-it",
            3,
            S::Failed,
            60 * 30,
        ),
        deployment(production, 38, "wine-quality", 12, S::Live, 60 * 24 * 42),
        deployment(staging, 37, "wine-quality", 12, S::Retired, 60 * 24 * 43),
    ]
}

fn endpoints(environments: &[Environment]) -> Vec<Endpoint> {
    let (staging, production) = (&environments[0], &environments[1]);
    let mut failing = endpoint(production, "housing-price-band", 8, 9_120, Some(0.41));
    failing.traffic.errors = 210;
    failing.traffic.p99_ms = Some(41.7);
    failing.deployment.rollback_of = Some(DeploymentId::new());
    failing.deployment.created_by = "On-call engineer".to_owned();
    failing.deployment.live_at = Some(ago(18));
    vec![
        endpoint(staging, "wine-quality", 14, 120, None),
        endpoint(staging, "digits", 31, 0, None),
        endpoint(staging, "diabetes-progression", 5, 14, Some(0.0)),
        endpoint(staging, "a-model-whose-name-is-as-long-as-somebody-in-a-hurry-would-make-it", 2, 3, None),
        endpoint(production, "wine-quality", 12, 48_210, Some(0.67)),
        endpoint(production, "diabetes-progression", 4, 2_412, Some(0.08)),
        failing,
    ]
}

/// All deployments of a busy workspace.
#[must_use]
pub fn deployments() -> DeploymentsPage {
    let environments = environments();
    DeploymentsPage {
        workspace_id: WorkspaceId::new(),
        endpoints: endpoints(&environments),
        environments,
        history: Page { items: history(), next_page_token: Some("3337".to_owned()) },
    }
}

/// One deployment, that failed.
#[must_use]
pub fn one_deployment() -> DeploymentPage {
    let deployment = history().swap_remove(3);
    let name = format!("#{}", deployment.number);
    DeploymentPage {
        events: vec![
            event(
                1799,
                Actor::System,
                "deployment.failed",
                ObjectKind::Deployment,
                &name,
                "could not bring #39 to staging: operator set 23",
            ),
            event(1800, Actor::System, "deployment.started", ObjectKind::Deployment, &name, "began #39"),
        ],
        deployment,
        may_deploy: true,
    }
}

fn predictions() -> Page<Prediction> {
    let prediction = |at: i64| {
        let shift = i32::try_from(at).map_or(0.0, f64::from) * 0.07;
        let status = if at == 4 { 400 } else { 200 };
        let features = COLUMNS
            .iter()
            .map(|name| ((*name).to_owned(), json!([9.4 + shift, 10.1])))
            .collect::<serde_json::Map<_, _>>();
        Prediction {
            id: PredictionId::new(),
            request_id: (at % 3 == 0).then(|| format!("till-7-{at}")),
            deployment_id: DeploymentId::new(),
            version: 12,
            at: ago(at * 2),
            status,
            latency_us: 1900 + i32::try_from(at).unwrap_or_default() * 170,
            rows: if at == 2 { 64 } else { 1 },
            features: if status == 200 { features.into() } else { json!({}) },
            output: if status == 200 {
                json!({ "label": [5 + at % 3], "probabilities": [[0.11, 0.62 - shift / 10.0, 0.27]] })
            } else {
                json!({})
            },
        }
    };
    Page { items: (0..12).map(prediction).collect(), next_page_token: Some("1f".to_owned()) }
}

/// What serves of a model, with drift and an alert.
#[must_use]
pub fn endpoint_page() -> EndpointPage {
    let environments = environments();
    let checks = vec![
        check(2, CheckState::Drifted, Some(0.667)),
        check(62, CheckState::Drifted, Some(0.5)),
        check(122, CheckState::Ok, Some(0.25)),
        check(182, CheckState::Ok, Some(0.083)),
        check(60 * 30, CheckState::Inconclusive, None),
    ];
    EndpointPage {
        endpoint: endpoint(&environments[1], "wine-quality", 12, 48_210, Some(0.667)),
        approved_by: vec!["Risk approver".to_owned(), "Product approver".to_owned()],
        monitor: monitor(),
        checks,
        alert: Some(alert(5, AlertState::Open, 62, "8 of 12 features drifted", "wine-quality")),
        predictions: predictions(),
        deployments: history()
            .into_iter()
            .filter(|one| one.model == "wine-quality" && one.environment == "production")
            .collect(),
        call: Call {
            base: "https://slipway.example.com/w/wine-lab".to_owned(),
            environment: None,
            model: "wine-quality".to_owned(),
            inputs: vec![TensorSpec { name: "float_input".to_owned(), datatype: Datatype::Fp32, shape: vec![-1, 11] }],
            features: COLUMNS.map(str::to_owned).to_vec(),
            sample: Some(json!({ "alcohol": [9.4], "pH": [3.51] })),
        },
        events: vec![
            event(
                62,
                Actor::System,
                "alert.opened",
                ObjectKind::Alert,
                "#5",
                "opened alert #5: 8 of 12 features drifted",
            ),
            event(
                60 * 30,
                Actor::System,
                "deployment.live",
                ObjectKind::Deployment,
                "#41",
                "deployed wine-quality v12 to production",
            ),
        ],
        may_deploy: true,
    }
}

/// The same, just brought there.
#[must_use]
pub fn new_endpoint() -> EndpointPage {
    let environments = environments();
    let mut page = endpoint_page();
    page.endpoint = endpoint(&environments[0], "digits", 31, 0, None);
    page.endpoint.traffic.series = vec![0; 24];
    page.endpoint.previous = None;
    page.endpoint.deployment.promotion_number = None;
    page.approved_by = Vec::new();
    page.checks = Vec::new();
    page.alert = None;
    page.predictions = Page { items: Vec::new(), next_page_token: None };
    page.deployments = vec![page.endpoint.deployment.clone()];
    page.events = Vec::new();
    page.call.environment = Some("staging".to_owned());
    page.call.model = "digits".to_owned();
    page.call.inputs = Vec::new();
    page
}

/// A model with hundreds of features.
#[must_use]
pub fn wide_endpoint() -> EndpointPage {
    let mut page = endpoint_page();
    page.checks.truncate(1);
    page.checks[0].features =
        (0..240).map(|at| moved(&format!("pixel_{at:03}"), f64::from(at % 37) / 6.0, Method::Wasserstein)).collect();
    page
}

/// What a monitor looks at, with triggers.
#[must_use]
pub fn monitor_page() -> MonitorPage {
    MonitorPage {
        monitor: monitor(),
        triggers: vec![trigger("train-wine", true), trigger("weekly-report", false)],
        pipelines: ["digits-nightly", "train-wine", "weekly-report"].map(str::to_owned).to_vec(),
        may_write: true,
        events: Vec::new(),
    }
}

/// Alerts in all states.
#[must_use]
pub fn alerts() -> AlertsPage {
    let items = vec![
        alert(5, AlertState::Open, 62, "8 of 12 features drifted", "wine-quality"),
        alert(4, AlertState::Acknowledged, 300, "7 of 10 features drifted", "housing-price-band"),
        alert(3, AlertState::Resolved, 60 * 24 * 3, "6 of 12 features drifted", "wine-quality"),
        alert(
            2,
            AlertState::Resolved,
            60 * 24 * 20,
            "120 of 240 features drifted",
            "a-model-whose-name-is-as-long-as-somebody-in-a-hurry-would-make-it",
        ),
    ];
    AlertsPage { workspace_id: WorkspaceId::new(), alerts: Page { items, next_page_token: None }, unresolved: 2 }
}

/// An alert whose trigger trained a candidate.
#[must_use]
pub fn alert_page() -> AlertPage {
    let alert = alert(5, AlertState::Open, 62, "8 of 12 features drifted", "wine-quality");
    let mut run = pipeline_run(512, PipelineRunState::Succeeded);
    run.ended_at = Some(ago(40));
    let firing = |held_back: Option<&str>| Firing {
        at: ago(62),
        alert_id: alert.id,
        pipeline_run_id: held_back.is_none().then(PipelineRunId::new),
        pipeline_run_number: held_back.is_none().then_some(512),
        held_back: held_back.map(str::to_owned),
    };
    AlertPage {
        check: Some(check(2, CheckState::Drifted, Some(0.667))),
        consequences: vec![
            Consequence {
                firing: firing(None),
                run: Some(run),
                candidates: vec![Candidate {
                    model: "wine-quality".to_owned(),
                    version: 15,
                    promotion: Some((91, "production".to_owned(), PromotionState::AwaitingApproval)),
                }],
            },
            Consequence { firing: firing(Some("It fired less than 86400 s ago.")), run: None, candidates: Vec::new() },
        ],
        has_triggers: true,
        events: vec![
            event(
                62,
                Actor::System,
                "trigger.fired",
                ObjectKind::PipelineRun,
                "train-wine #512",
                "started train-wine #512",
            ),
            event(
                62,
                Actor::System,
                "alert.opened",
                ObjectKind::Alert,
                "#5",
                "opened alert #5: 8 of 12 features drifted of wine-quality in production v12",
            ),
        ],
        may_handle: true,
        alert,
    }
}

/// An alert that somebody resolved, with nothing done by itself.
#[must_use]
pub fn resolved_alert() -> AlertPage {
    let mut page = alert_page();
    page.alert = alert(3, AlertState::Resolved, 60 * 24 * 3, "6 of 12 features drifted", "wine-quality");
    page.consequences = Vec::new();
    page.has_triggers = false;
    page.check = None;
    page.events.push(event(
        60,
        person("On-call engineer"),
        "alert.resolved",
        ObjectKind::Alert,
        "#3",
        "resolved alert #3",
    ));
    page
}

/// The environments of a workspace.
#[must_use]
pub fn environments_page() -> EnvironmentsPage {
    let environments = environments();
    let endpoints = endpoints(&environments);
    let card = |environment: &Environment| {
        let production = environment.position == 2;
        let policies: Vec<Policy> = ["high-risk", &environment.name]
            .into_iter()
            .filter(|name| production || *name != "high-risk")
            .filter_map(|name| revisions(name).into_iter().next())
            .collect();
        let serving: Vec<_> =
            endpoints.iter().filter(|one| one.deployment.environment_id == environment.id).cloned().collect();
        EnvironmentCard {
            overview: EnvironmentOverview {
                environment: environment.clone(),
                policies,
                live_models: i64::try_from(serving.len()).unwrap_or_default(),
                open_promotions: if production { 3 } else { 0 },
            },
            serving,
        }
    };
    EnvironmentsPage {
        workspace_id: WorkspaceId::new(),
        environments: environments.iter().map(card).collect(),
        archived: Vec::new(),
        may_write: true,
    }
}

/// The environments of a workspace where nothing serves.
#[must_use]
pub fn new_environments() -> EnvironmentsPage {
    let mut page = environments_page();
    for card in &mut page.environments {
        card.serving.clear();
        card.overview.open_promotions = 0;
    }
    page.may_write = false;
    page
}

/// Freezes: production is closed over the holidays.
#[must_use]
pub fn freezes() -> FreezesPage {
    let environments = environments();
    let freeze = |name: &str, kind, schedule, tiers: &[Tier]| Freeze {
        id: FreezeId::new(),
        workspace_id: environments[0].workspace_id,
        name: name.to_owned(),
        kind,
        schedule,
        selector: Selector { tiers: tiers.iter().copied().collect(), ..Selector::default() },
        manual_override: true,
        overrun: true,
        reason: "Nobody is on call".to_owned(),
        created_at: ago(60 * 24),
        created_by: "Admin".to_owned(),
        ended_at: None,
    };
    let weekends = Schedule::Cron {
        expression: "0 18 * * 5".to_owned(),
        duration_s: 62 * 3600,
        timezone: "Europe/Berlin".to_owned(),
    };
    let holidays = Schedule::Dates { from: ago(60), to: ago(-60 * 24 * 3) };
    let (from, to) = ("Tue 24 Nov 2026 18:00 UTC".to_owned(), "Fri 27 Nov 2026 18:00 UTC".to_owned());
    let row = |freeze, state, until: &str, dates| FreezeRow { freeze, state, until: Some(until.to_owned()), dates };
    FreezesPage {
        workspace_id: environments[0].workspace_id,
        places: environments
            .iter()
            .map(|environment| {
                let is_open = environment.tier != Tier::Production;
                PlaceRow {
                    environment: environment.clone(),
                    is_open,
                    until: (!is_open).then(|| to.clone()),
                    because: if is_open { Vec::new() } else { vec!["Holidays".to_owned()] },
                    of_models: usize::from(is_open),
                }
            })
            .collect(),
        freezes: vec![
            row(
                freeze("Holidays", FreezeKind::Deny, holidays, &[Tier::Production]),
                FreezeState::Inside { until: Some(ago(-60 * 24 * 3)) },
                &to,
                Some((from.clone(), to.clone())),
            ),
            row(
                freeze("Weekends", FreezeKind::Deny, weekends, &[]),
                FreezeState::Outside { next: Some(ago(-60 * 24 * 4)) },
                "Fri 27 Nov 2026 18:00 Europe/Berlin",
                None,
            ),
        ],
        with_ended: false,
        windows: vec![WindowRow {
            name: "Holidays".to_owned(),
            kind: FreezeKind::Deny,
            from,
            to: Some(to),
            is_open: true,
        }],
        may_write: true,
        timezones: vec!["Europe/Berlin", "UTC"],
    }
}

/// Production.
#[must_use]
pub fn environment() -> EnvironmentPage {
    let environments = environments();
    let serving = endpoints(&environments)
        .into_iter()
        .filter(|one| one.deployment.environment == "production")
        .map(|endpoint| Arrival {
            endpoint,
            approvers: vec!["Risk approver".to_owned(), "Product approver".to_owned()],
        })
        .collect();
    let window = |name: &str, from: &str, to: &str, is_open| WindowRow {
        name: name.to_owned(),
        kind: FreezeKind::Deny,
        from: from.to_owned(),
        to: Some(to.to_owned()),
        is_open,
    };
    EnvironmentPage {
        detail: EnvironmentDetail {
            environment: environments[1].clone(),
            policy: policy("production", 6),
            revisions: revisions("production"),
            others: vec![policy("high-risk", 2)],
        },
        serving,
        open: vec![
            promotion(91, "diabetes-progression", 5, "production", PromotionState::Blocked),
            promotion(87, "wine-quality", 14, "production", PromotionState::AwaitingApproval),
        ],
        windows: vec![
            window("Weekends", "Fri 27 Nov, 18:00", "Mon 30 Nov, 07:00 Europe/Berlin", false),
            window("Year end", "Fri 18 Dec, 00:00", "Mon 4 Jan, 00:00 Europe/Berlin", false),
        ],
        deployments: Page {
            items: history().into_iter().filter(|one| one.environment == "production").collect(),
            next_page_token: None,
        },
        may_write: true,
        events: Vec::new(),
    }
}

/// Workers of two machines, one of which is silent.
#[must_use]
pub fn workers() -> Vec<Worker> {
    let worker = |label: &str, pools: &[&str], slots, held, sandbox: Option<&str>, minutes| Worker {
        label: label.to_owned(),
        pools: pools.iter().map(|pool| (*pool).to_owned()).collect(),
        executors: vec![ExecutorKind::Process, ExecutorKind::Docker],
        slots,
        held,
        sandbox: sandbox.map(str::to_owned),
        gpus: Vec::new(),
        version: "0.1.0".to_owned(),
        started_at: ago(60 * 30),
        last_seen: ago(minutes),
    };
    vec![
        worker(
            "worker-lab-1:4711",
            &["default"],
            4,
            2,
            Some("level 1 (no new privileges, landlock 7, seccomp, cgroup v2)"),
            0,
        ),
        worker("worker-lab-2:812", &["default", "gpu"], 2, 0, Some("level 0 (memory watched)"), 12),
    ]
}

/// The pools of these workers.
#[must_use]
pub fn pools() -> Vec<Pool> {
    let pool = |name: &str, slots, limit, running, ready, blocked| Pool {
        executor: (name == "gpu").then_some(ExecutorKind::Docker),
        name: name.to_owned(),
        workers: 1,
        slots,
        limit,
        running,
        ready,
        blocked,
    };
    vec![pool("default", 4, None, 2, 2, 1), pool("gpu", 2, Some(1), 0, 1, 1)]
}

/// A limit that is full, and one of a pool that steps of another workspace hold.
#[must_use]
pub fn limits() -> Vec<Limit> {
    let limit = |name: &str, slots, held, runs: &[i64]| Limit {
        name: name.to_owned(),
        slots,
        held,
        waiting: 1,
        holders: runs
            .iter()
            .map(|run| StepRef { pipeline: "train-wine".to_owned(), run: *run, step: "train".to_owned() })
            .collect(),
        created_at: ago(60 * 24 * 9),
    };
    vec![limit("licences", 8, 8, &[498, 501, 505, 509, 512]), limit("gpu", 1, 1, &[])]
}

/// Steps that run, or those that wait for the limits of [`limits`].
#[must_use]
pub fn queue(is_running: bool) -> Vec<QueuedStep> {
    let step = |run, step: &str, pool: &str, blocked_by: Option<&str>, minutes| QueuedStep {
        pipeline: "train-wine".to_owned(),
        run,
        step: step.to_owned(),
        pool: pool.to_owned(),
        executor: ExecutorKind::Process,
        worker: is_running.then(|| "worker-lab-1:4711".to_owned()),
        blocked_by: blocked_by.map(str::to_owned),
        gpus: 0,
        waits_for: blocked_by.map(|limit| format!("for a place of the limit {limit}")),
        since: ago(minutes),
    };
    match is_running {
        true => vec![step(512, "train", "default", None, 3), step(509, "explain", "default", None, 1)],
        false => vec![
            step(513, "train", "default", Some("licences"), 9),
            step(514, "embed", "gpu", Some("gpu"), 4),
            step(515, "fetch", "default", None, 1),
        ],
    }
}
