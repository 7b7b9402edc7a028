//! Example values of everything that pages show, for tests and for the gallery. Roles stand for people.

pub mod datasets;
pub mod models;
pub mod operations;
pub mod pipelines;
pub mod promotions;

use crate::{
    pages::{
        comment::{CommentList, ShownComment},
        experiment::{ExperimentPage, ShownRuns},
        files::{FilesPage, ShownFile},
        home::{ExampleStation, ExampleWalk, HomePage, WelcomePage},
        registration::RegisterPage,
        run::{About, Board, ComparePage, RunPage},
    },
    ui::{field::Draft, query::Address},
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Digest,
    artifact_path::{ArtifactFolder, ArtifactPath},
    artifact_tree::{TreeEntry, TreePage},
    audit::{Actor, AuditEvent, Object, ObjectKind},
    comment::Comment,
    deployment::{Deployment, DeploymentState, Endpoint, Traffic},
    environment::{Environment, Tier},
    experiment::{Champion, Experiment, ExperimentSummary, LifecycleStage},
    id::{
        AlertId, AuditEventId, CommentId, DeploymentId, EnvironmentId, ExperimentId, LoggedModelId, ModelId,
        ModelVersionId, MonitorId, PipelineId, PipelineRunId, PipelineVersionId, PromotionId, RunId, UserId,
        WorkspaceId,
    },
    monitor::{Alert, AlertState},
    pipeline_run::{PipelineRun, PipelineRunState, PipelineRunSummary, RunCause},
    policy::Better,
    preview::{Block, Inline, Preview},
    promotion::{Promotion, PromotionState},
    registration::RunModel,
    run::{DatasetInput, Metric, MetricSeries, Run, RunInfo, RunLineage, RunSeries, RunStatus},
    run_table::{MetricSummary, RunColumn, RunGroup, RunGroups, RunRow, RunTable},
    series::Point,
};
use std::collections::BTreeMap;

/// What the models of the samples take.
const COLUMNS: [&str; 11] = [
    "alcohol",
    "chlorides",
    "citric_acid",
    "density",
    "fixed_acidity",
    "free_sulfur_dioxide",
    "pH",
    "residual_sugar",
    "sulphates",
    "total_sulfur_dioxide",
    "volatile_acidity",
];

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
            tier: Tier::of_name(name),
            position,
            protected: true,
            wait_timer_s: 0,
            visible_to: None,
            archived_at: None,
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
        on_behalf_of: None,
        requester: "Data scientist".to_owned(),
        comment: "Weights classes below 5 %; macro F1 is up by 0.036.".to_owned(),
        subject: None,
        subject_digest: Some(digest(9)),
        expires_at: moment() + TimeDelta::hours(52),
        approved_at: None,
        again: None,
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
        cause_name: None,
        cause_at: None,
        depth: 0,
        held_at: None,
        started_by: Some(UserId::new()),
        started_by_name: "Data scientist".to_owned(),
        use_cache: true,
        code: None,
        reproduces: None,
        verdict: None,
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
        mentioning: Vec::new(),
        changes: Vec::new(),
        approvals: Vec::new(),
        endpoints: vec![
            endpoint(production, "wine-quality", 12, 48_210, Some(0.62)),
            endpoint(staging, "wine-quality", 14, 120, Some(0.08)),
            endpoint(staging, "digits", 31, 0, None),
        ],
        more_run: false,
        running: vec![
            PipelineRunSummary { run: pipeline_run(512, PipelineRunState::Running), steps_total: 9, steps_ended: 5 },
            PipelineRunSummary { run: pipeline_run(513, PipelineRunState::Queued), steps_total: 9, steps_ended: 0 },
        ],
        unreviewed: Vec::new(),
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
        example: None,
        may_load_example: false,
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
        may_write_pipelines: true,
        example: None,
        may_load_example: true,
    }
}

/// The example on its way.
#[must_use]
pub fn walk() -> ExampleWalk {
    let station = |title: &str, seconds: i64, reached: Option<bool>, note: &str, page: Option<&str>| ExampleStation {
        title: title.to_owned(),
        reached,
        note: note.to_owned(),
        took: TimeDelta::seconds(seconds),
        page: page.map(str::to_owned),
    };
    ExampleWalk {
        stations: vec![
            station("Python", 74, Some(true), "", None),
            station("People", 1, Some(true), "An administrator, a data scientist and three more", None),
            station("Pipeline", 1, Some(true), "cell-screening, 5 steps", Some("/w/lab/pipelines/cell-screening")),
            station("Pipeline run", 12, None, "#1: 2 of 5 steps, now evaluate", None),
        ],
        goes_on: true,
        failure: None,
        look_at: None,
    }
}

/// An experiment.
#[must_use]
pub fn experiment(id: i64, name: &str) -> Experiment {
    Experiment {
        id: ExperimentId(id),
        workspace_id: WorkspaceId::new(),
        name: name.to_owned(),
        is_default: false,
        lifecycle_stage: LifecycleStage::Active,
        creation_time: ago(60 * 24 * 40).timestamp_millis(),
        last_update_time: ago(60 * 24 * 2).timestamp_millis(),
        tags: BTreeMap::from([("team".to_owned(), "lab".to_owned())]),
    }
}

/// Experiments with what their runs come to.
#[must_use]
pub fn experiments() -> Vec<ExperimentSummary> {
    [(1, "wine-quality", 1284, 1), (2, "digits-svc", 88, 0), (3, "housing-price-band", 12, 0)]
        .map(|(id, name, runs, running)| ExperimentSummary {
            experiment: experiment(id, name),
            runs,
            running,
            last_run_at: Some(ago(id * 70).timestamp_millis()),
        })
        .to_vec()
}

/// The version in production that runs are held against.
#[must_use]
pub fn champion() -> Champion {
    Champion {
        model: "wine-quality".to_owned(),
        version: 12,
        metrics: BTreeMap::from([("f1_macro", 0.421), ("accuracy", 0.684), ("loss", 0.792), ("p99_ms", 8.4)].map(own)),
        better: BTreeMap::from(
            [("f1_macro", Better::Higher), ("loss", Better::Lower), ("p99_ms", Better::Lower)].map(own),
        ),
    }
}

fn own<T>((key, value): (&str, T)) -> (String, T) {
    (key.to_owned(), value)
}

fn run_info(name: &str, status: RunStatus, minutes: i64, seconds: i64) -> RunInfo {
    let start = ago(minutes).timestamp_millis();
    RunInfo {
        id: RunId::new(),
        workspace_id: WorkspaceId::new(),
        experiment_id: ExperimentId(1),
        name: name.to_owned(),
        status,
        lifecycle_stage: LifecycleStage::Active,
        start_time: start,
        end_time: (status != RunStatus::Running && status != RunStatus::Scheduled).then_some(start + seconds * 1000),
        user_id: None,
        user_name: "Data scientist".to_owned(),
    }
}

/// The runs of an experiment.
#[must_use]
pub fn runs() -> ExperimentPage {
    let row = |name: &str, status, minutes, seconds, f1: Option<f64>, loss: Option<f64>, model: &str| RunRow {
        info: run_info(name, status, minutes, seconds),
        metrics: [("f1_macro", f1), ("loss", loss), ("p99_ms", f1.map(|f1| f1 * 26.0))]
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| own((key, value))))
            .collect(),
        params: BTreeMap::from([("model", model.to_owned()), ("learning_rate", "0.05".to_owned())].map(own)),
        tags: BTreeMap::new(),
        datasets: vec!["wine-quality@2026-11".to_owned()],
        versions: Vec::new(),
        curve: Vec::new(),
    };
    let mut rows = vec![
        row("hgb-lr0.05-depth8-balanced", RunStatus::Running, 2, 0, Some(0.413), Some(0.752), "hgb"),
        row("hgb-lr0.02-depth8-balanced", RunStatus::Scheduled, 1, 0, None, None, "hgb"),
        row("hgb-lr0.05-depth6-balanced", RunStatus::Finished, 240, 221, Some(0.457), Some(0.741), "hgb"),
        row("mlp-256x128-lr0.5", RunStatus::Failed, 300, 41, Some(f64::NAN), Some(f64::NAN), "mlp"),
        row(
            "rf-800-balanced_subsample-min_samples_leaf3-oob",
            RunStatus::Finished,
            360,
            112,
            Some(0.429),
            Some(0.803),
            "rf",
        ),
        row("hgb-lr0.005-depth6", RunStatus::Killed, 1500, 860, Some(0.398), Some(0.861), "hgb"),
    ];
    rows[2].versions = vec![("wine-quality".to_owned(), 14)];
    for n in 0..18 {
        let f1 = 0.415 - f64::from(n) * 0.003;
        rows.push(row(
            &format!("sweep-{}-et-400-mf0.5", 118 - n),
            RunStatus::Finished,
            3000 + i64::from(n),
            43,
            Some(f1),
            Some(1.2 - f1),
            "et",
        ));
    }
    for (at, row) in rows.iter_mut().enumerate().filter(|(at, _)| *at != 1) {
        row.curve = series("loss", |step| 0.7 + 0.02 * at as f64 + (-step / 90.0).exp()).points;
    }
    ExperimentPage {
        experiment: experiment(1, "wine-quality"),
        shown: ShownRuns::Table(RunTable {
            rows,
            columns: columns(&[
                "status",
                "start_time",
                "duration",
                "user_id",
                "metrics.f1_macro",
                "metrics.loss",
                "metrics.p99_ms",
                "params.model",
                "params.learning_rate",
                "datasets",
            ]),
            total: 1284,
            filtered: 1284,
            next_page_token: Some("ab".to_owned()),
        }),
        filter: String::new(),
        champion: Some(champion()),
        keys: 214,
        usual: columns(&["metrics.f1_macro", "metrics.accuracy", "params.model", "params.max_depth", "tags.team"]),
        no_column: None,
        about: Vec::new(),
        may_write: true,
        draft: Draft::default(),
        events: Vec::new(),
    }
}

fn columns(names: &[&str]) -> Vec<RunColumn> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// The runs of an experiment in groups.
#[must_use]
pub fn run_groups() -> RunGroups {
    let summary = |mean: f64| MetricSummary {
        runs: 12,
        mean,
        min: mean - 0.04,
        min_run: RunId::new(),
        max: mean + 0.03,
        max_run: RunId::new(),
    };
    let group = |value: Option<&str>, runs: i64, f1: f64| RunGroup {
        value: value.map(ToOwned::to_owned),
        runs,
        latest: ago(runs).timestamp_millis(),
        metrics: BTreeMap::from([("f1_macro".to_owned(), summary(f1))]),
        filter: value.map_or_else(|| "params.model IS NULL".to_owned(), |value| format!("params.model = '{value}'")),
    };
    RunGroups {
        by: RunColumn::Param("model".to_owned()),
        metrics: vec!["f1_macro".to_owned(), "loss".to_owned()],
        groups: vec![group(Some("hgb"), 812, 0.431), group(Some("et"), 440, 0.394), group(None, 32, 0.2)],
        all: 3,
        runs: 1284,
    }
}

fn series(key: &str, f: impl Fn(f64) -> f64) -> MetricSeries {
    let points: Vec<Point> = (0..=48_i32)
        .map(|at| Point {
            value: f(f64::from(at) * 10.0) + (f64::from(at) * 1.7).sin() * 0.012,
            timestamp: ago(240).timestamp_millis() + i64::from(at) * 4000,
            step: i64::from(at) * 10,
        })
        .collect();
    MetricSeries { key: key.to_owned(), total: 480, points }
}

fn logged(name: &str, depth: &str) -> Run {
    let metric = |key: &str, value: f64| Metric {
        key: key.to_owned(),
        value,
        timestamp: ago(236).timestamp_millis(),
        step: 480,
    };
    let text = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Run {
        info: run_info(name, RunStatus::Finished, 240, 221),
        metrics: vec![
            metric("accuracy", 0.712),
            metric("f1_macro", 0.457),
            metric("loss", 0.741),
            metric("p99_ms", 11.9),
            metric("system/cpu_utilization_percentage", 38.0),
        ],
        params: BTreeMap::from(
            [("class_weight", "balanced"), ("learning_rate", "0.05"), ("max_depth", depth), ("max_iter", "480")]
                .map(text),
        ),
        tags: BTreeMap::from(
            [
                ("sweep", "lr-2"),
                ("stage", "candidate"),
                ("mlflow.source.git.commit", "9f03a71c4d2be8a0"),
                ("mlflow.user", "ds"),
            ]
            .map(text),
        ),
        datasets: vec![DatasetInput {
            name: "wine-quality@2026-11".to_owned(),
            digest: "5be2a771".to_owned(),
            source_type: "local".to_owned(),
            source: "wine.csv".to_owned(),
            schema: None,
            profile: None,
            tags: BTreeMap::from([text(("mlflow.data.context", "training"))]),
        }],
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
    }
}

/// How many points the metrics of a run have.
fn lengths() -> BTreeMap<String, i64> {
    [("accuracy", 1), ("f1_macro", 480), ("loss", 480), ("p99_ms", 1), ("system/cpu_utilization_percentage", 22)]
        .map(own)
        .into()
}

/// The page of a run, with the curves that any of its parts draws.
#[must_use]
pub fn run() -> RunPage {
    let run = logged("hgb-lr0.05-depth6-balanced", "6");
    let (lengths, champion) = (lengths(), champion());
    let of = |series: MetricSeries| RunSeries { run_id: run.info.id, series };
    let found = vec![
        of(series("f1_macro", |x| 0.457 - 0.3 * (-x / 90.0).exp())),
        of(series("loss", |x| 0.741 + 0.9 * (-x / 90.0).exp())),
        of(series("system/cpu_utilization_percentage", |x| 38.0 + (x / 20.0).sin())),
    ];
    let mut board = Board::plan(&Address::default(), &lengths, Some(&champion), About::Training, 24).with(found);
    board.groups.extend(Board::plan(&Address::default(), &lengths, None, About::System, 24).groups);
    RunPage {
        run,
        experiment: experiment(1, "wine-quality"),
        lineage: RunLineage {
            pipeline_run: Some((PipelineRunId::new(), "train-wine".to_owned(), 511)),
            versions: vec![("wine-quality".to_owned(), 14)],
        },
        promotions: vec![promotion(87, "wine-quality", 14, "production", PromotionState::AwaitingApproval)],
        deployments: Vec::new(),
        about: Vec::new(),
        lengths,
        board,
        champion: Some(champion),
        files: files(),
        models: Vec::new(),
        comments: comments(),
        may_register: true,
        may_write: true,
        draft: Draft::default(),
        events: Vec::new(),
        tracking_url: "https://slipway.example.com/w/lab".to_owned(),
        versions: Vec::new(),
    }
}

/// The form that registers a model of a run which logged several.
///
/// # Panics
/// Never: the example's path is an ordinary one.
#[must_use]
#[allow(clippy::expect_used, reason = "an example has an ordinary path")]
pub fn registration() -> RegisterPage {
    let run = logged("hgb-lr0.05-depth6-balanced", "6").info;
    let folder = ArtifactFolder::parse("folds/calibrated").expect("an ordinary path");
    RegisterPage {
        found: vec![RunModel::logged(LoggedModelId::new(), "classifier".to_owned()), RunModel::folder(run.id, &folder)],
        run,
        experiment: experiment(1, "wine-quality"),
        models: ["wine-quality", "digits-svc", "housing-price-band"].map(str::to_owned).to_vec(),
    }
}

/// What two people said of something; the reader is the first.
#[must_use]
pub fn comments() -> CommentList {
    let said = |name: &str, minutes: i64, text: &str, is_own: bool| ShownComment {
        comment: Comment {
            id: CommentId::new(),
            author_id: UserId::new(),
            author: name.to_owned(),
            text: text.to_owned(),
            created_at: ago(minutes),
            updated_at: ago(minutes),
        },
        blocks: vec![Block::Paragraph(vec![Inline::Text(text.to_owned())])],
        is_own,
    };
    CommentList {
        total: 2,
        shown: vec![
            said("Data scientist", 90, "Class 9 has five rows; its recall says little.", true),
            said("Risk approver", 30, "Then the slice wants more data before production.", false),
        ],
        next_page_token: None,
        may_write: true,
        draft: Draft::default(),
    }
}

/// Files, with a folder open that has more than a page of them.
#[must_use]
pub fn files() -> FilesPage {
    let entry =
        |path: &str, is_dir: bool, size: i64, files: i64| TreeEntry { path: path.to_owned(), is_dir, size, files };
    let root = TreePage {
        entries: vec![entry("model", true, 4_823_449, 341), entry("notes.md", false, 412, 1)],
        total: 2,
        files: 342,
        size: 4_823_861,
        ..TreePage::default()
    };
    let mut within = vec![
        entry("model/metadata", true, 2210, 2),
        entry("model/MLmodel", false, 1130, 1),
        entry("model/model.onnx", false, 4_823_449, 1),
    ];
    within.extend((4..=12).map(|step| entry(&format!("model/step-{step}.bin"), false, 4, 1)));
    let model = TreePage {
        folder: "model".to_owned(),
        entries: within,
        total: 340,
        files: 341,
        size: 4_823_449,
        before: 0,
        next: Some("model/step-13.bin".to_owned()),
    };
    FilesPage { open: vec![root, model], file: None, missing: None }
}

/// A file that is looked at.
///
/// # Panics
/// For a path that no file may have.
#[must_use]
#[allow(clippy::expect_used, reason = "an example has an ordinary path")]
pub fn shown(path: &str, preview: Preview) -> ShownFile {
    ShownFile { path: ArtifactPath::parse(path).expect("an ordinary path"), size: 4 << 20, digest: digest(3), preview }
}

/// Two runs beside each other.
#[must_use]
pub fn compare() -> ComparePage {
    let runs = [logged("hgb-lr0.05-depth6", "6"), logged("hgb-lr0.05-depth8", "8")];
    let one = |run: &Run, gain: f64| RunSeries {
        run_id: run.info.id,
        series: series("f1_macro", move |x| 0.43 + gain - 0.3 * (-x / 90.0).exp()),
    };
    let found = vec![one(&runs[0], 0.027), one(&runs[1], 0.0)];
    let (lengths, champion) = (lengths(), champion());
    let address = Address::new("/", [("metric".to_owned(), "f1".to_owned())]);
    ComparePage {
        board: ComparePage::board(&address, &lengths, Some(&champion)).with(found),
        runs: runs.map(Into::into).into(),
        lengths,
        champion: Some(champion),
    }
}
