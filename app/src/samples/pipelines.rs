//! Pipelines: a file, runs that go on, failed and were cancelled, their steps, tries and logs.

use super::{ago, digest, event, moment, person, pipeline_run};
use crate::{
    pages::{
        pipeline::{FilePage, PipelinePage},
        pipeline_run::{RunPage, state},
        schedule::{SchedulePage, ScheduleRow, SchedulesPage},
    },
    ui::log::LogPart,
};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Page,
    audit::{Actor, ObjectKind},
    backfill::DateFormat,
    id::{MonitorId, PipelineId, PipelineVersionId, RunId, ScheduleId, StepAttemptId, StepId, TriggerId, WorkspaceId},
    log::{LogLine, LogStream},
    pipeline::{OutputKind, ParamValue, Pipeline, PipelineSpec, PipelineSummary, PipelineVersion},
    pipeline_run::{
        AttemptOutcome, Caveat, Code, PipelineRunDetail, PipelineRunState, PipelineRunSummary, RunCause, RunOrigin,
        StepState,
    },
    schedule::{CatchUp, Fire, FireOutcome, Schedule},
    step::{OutputVersion, Step, StepAttempt, StepKind, StepOutput, StepSample, Versioned},
    trigger::{Trigger, TriggerOn},
};
use std::collections::BTreeMap;

/// The file that the examples run.
pub const FILE: &str = r#"name: train-wine
description: Train a classifier on the newest wine data, compare it with the one in production, register it when it is better.

params:
  learning-rate: 0.1
  rounds: { type: integer, default: 480, minimum: 1, maximum: 2000, description: How many trees are grown }
  balanced: false
  register-it: { type: boolean, description: Whether a better one becomes a version }
  columns: { type: list, optional: true }
  note: ""

env:
  TZ: UTC

steps:
  # Nothing else reads the warehouse.
  fetch:
    command: python -m wine.fetch --out "$OUTPUT_RAW"
    outputs:
      raw: raw.parquet
    retries: 2

  validate:
    command: [python, -m, wine.validate]
    inputs: { raw: fetch.raw }

  split:
    command: python -m wine.split
    inputs: { raw: fetch.raw }
    needs: validate
    outputs: { train: train.parquet, val: val.parquet }

  train:
    command: |
      python -m wine.train \
        --data "$INPUT_TRAIN" --val "$INPUT_VAL" \
        --learning-rate "$PARAM_LEARNING_RATE"
    inputs: { train: split.train, val: split.val }
    outputs: { model: model.onnx, report: report }
    timeout: 15m
    retries: { count: 2, backoff: 30s }

  baseline:
    command: python -m wine.baseline
    inputs: { train: split.train, val: split.val }
    outputs: { scores: baseline.json }

  explain:
    command: python -m wine.explain
    inputs: { scores: baseline.scores }

  evaluate:
    command: python -m wine.evaluate
    inputs: { model: train.model, scores: baseline.scores }
    outputs: { verdict: verdict.json }

  parity:
    command: python -m wine.parity
    inputs: { model: train.model }
    needs: evaluate

  register:
    command: python -m wine.register
    needs: parity
"#;

/// What the file says.
#[must_use]
pub fn spec() -> PipelineSpec {
    PipelineSpec::parse(FILE).unwrap_or_else(|problems| unreachable!("the example is wrong: {problems}"))
}

fn version(number: i32, minutes: i64, by: &str) -> PipelineVersion {
    PipelineVersion {
        id: PipelineVersionId::new(),
        pipeline_id: PipelineId::new(),
        number,
        digest: digest(u8::try_from(number).unwrap_or_default() + 20),
        source: FILE.to_owned(),
        spec: spec(),
        code: None,
        created_by: by.to_owned(),
        created_at: ago(minutes),
    }
}

fn since(seconds: i64) -> DateTime<Utc> {
    moment() - TimeDelta::seconds(seconds)
}

struct Tried {
    outcome: AttemptOutcome,
    from: i64,
    to: i64,
    reason: &'static str,
    exit_code: Option<i32>,
}

fn tried(outcome: AttemptOutcome, from: i64, to: i64) -> Tried {
    Tried { outcome, from, to, reason: "", exit_code: (outcome == AttemptOutcome::Succeeded).then_some(0) }
}

/// A step with its tries, their times in seconds before [`moment`].
fn step(name: &str, state: StepState, tries: Vec<Tried>) -> (Step, Vec<StepAttempt>) {
    let spec = spec();
    let declared = &spec.steps[name];
    let attempts: Vec<StepAttempt> = (1..)
        .zip(&tries)
        .map(|(number, tried)| StepAttempt {
            id: StepAttemptId::new(),
            number,
            fence: i64::from(number),
            worker: "worker-lab-2:4711".to_owned(),
            outcome: tried.outcome,
            reason: tried.reason.to_owned(),
            exit_code: tried.exit_code,
            started_at: since(tried.from),
            ended_at: tried.outcome.is_final().then(|| since(tried.to)),
            run_id: (name == "train").then(RunId::new),
            log_lines: 228,
            inputs: Vec::new(),
            executor: Some("process".to_owned()),
            image: None,
            sandbox: tried
                .outcome
                .is_final()
                .then(|| "level 1 (no new privileges, landlock 7, seccomp, cgroup v2)".to_owned()),
            peak_memory_bytes: Some(412 << 20),
            gpus: Vec::new(),
        })
        .collect();
    let outputs = declared.outputs.iter().map(|(output, path)| StepOutput {
        name: output.clone(),
        path: path.path().unwrap_or_default().to_owned(),
        kind: (output == "scores").then_some(OutputKind::Metrics),
        is_folder: output == "report",
        digest: digest(44),
        size: 4_823_449,
        value: (output == "scores")
            .then(|| serde_json::json!({ "accuracy": 0.912_345, "log_loss": 0.24, "rows": 4898 })),
        version: None,
    });
    let step = Step {
        id: StepId::new(),
        name: name.to_owned(),
        state,
        reason: match state {
            StepState::Failed => "exit status 1".to_owned(),
            StepState::Skipped => "explain failed".to_owned(),
            _ => String::new(),
        },
        needs: spec.graph().needs(name).map(str::to_owned).collect(),
        attempts: i32::try_from(attempts.len()).unwrap_or_default(),
        max_attempts: i32::try_from(declared.retries.count).unwrap_or_default() + 1,
        started_at: attempts.first().map(|attempt| attempt.started_at),
        ended_at: if state.is_final() { attempts.last().and_then(|attempt| attempt.ended_at) } else { None },
        outputs: if state == StepState::Succeeded { outputs.collect() } else { Vec::new() },
        kind: StepKind::Command,
        parent: None,
        items: BTreeMap::new(),
        inner: None,
        blocked_by: None,
        cache: None,
        carried_from: None,
        sub_run: None,
    };
    (step, attempts)
}

fn page(run: domain::pipeline_run::PipelineRun, steps: Vec<(Step, Vec<StepAttempt>)>) -> RunPage {
    let attempts =
        steps.iter().map(|(step, tries)| (step.name.clone(), tries.clone())).filter(|(_, tries)| !tries.is_empty());
    let attempts = attempts.collect();
    let steps: Vec<Step> = steps.into_iter().map(|(step, _)| step).collect();
    let count = |count: usize| i64::try_from(count).unwrap_or_default();
    let code = Code {
        repository: Some("https://git.example/lab/wine.git".to_owned()),
        commit: "3f9c2b7de4a15c0b8f7712aa90cc41d2e6b5a017".to_owned(),
        branch: Some("main".to_owned()),
        is_dirty: true,
        patch: Some(digest(45)),
        left_out: None,
    };
    let run = domain::pipeline_run::PipelineRun { code: Some(code), ..run };
    let origin = RunOrigin {
        versions: vec![OutputVersion {
            of: Versioned::Dataset,
            name: "wine-rows".to_owned(),
            number: 41,
            digest: Some(digest(46)),
        }],
        caveats: vec![Caveat {
            step: Some("train".to_owned()),
            reason: "Its image registry.example/train:latest is not named by its digest.".to_owned(),
        }],
    };
    let steps_ended = count(steps.iter().filter(|step| step.state.is_final()).count());
    RunPage {
        attempts,
        shown: state::chosen(&steps, None, &spec()).cloned(),
        inside: None,
        detail: PipelineRunDetail { cause_page: None, run, steps_total: count(steps.len()), steps_ended, steps },
        spec: spec(),
        waits_for: None,
        lines: log(),
        part: LogPart::End,
        samples: samples(),
        origin,
        reproductions: Vec::new(),
        notebook: None,
        approval: None,
        alert: None,
        events: vec![event(
            3,
            Actor::User { id: domain::id::UserId::new(), name: "CI job".to_owned(), is_service: true },
            "pipeline_run.started",
            ObjectKind::PipelineRun,
            "train-wine #512",
            "started train-wine #512",
        )],
        key: "0198a1".to_owned(),
        may_run: true,
    }
}

fn params() -> BTreeMap<String, ParamValue> {
    BTreeMap::from([
        ("learning-rate".to_owned(), ParamValue::Fraction(0.05)),
        ("rounds".to_owned(), ParamValue::Whole(480)),
        ("balanced".to_owned(), ParamValue::Bool(true)),
        (
            "note".to_owned(),
            ParamValue::Text("weights for classes below 5 %, second try with the fixed split".to_owned()),
        ),
    ])
}

/// What a training used for two minutes.
fn samples() -> Vec<StepSample> {
    let wave = |n: i32| (f64::from(n) / 4.0).sin();
    // Small numbers of the example.
    #[allow(clippy::cast_possible_truncation)]
    let sample = |n: i32| StepSample {
        at: since(i64::from(112 - 2 * n)),
        seconds: 2.0,
        cpu_mean: (1.6 + 0.3 * wave(n)) as f32,
        cpu_max: (1.8 + 0.2 * wave(n)) as f32,
        memory_mean: (400_i64 + i64::from(n) * 9) << 20,
        memory_max: (412_i64 + i64::from(n) * 9) << 20,
        read_bytes: if n < 6 { 48 << 20 } else { 0 },
        written_bytes: if n % 12 == 0 { 20 << 20 } else { 4096 },
        gpus: Vec::new(),
    };
    (0..56).map(sample).collect()
}

/// A run whose training is tried for the second time.
#[must_use]
pub fn running() -> RunPage {
    use AttemptOutcome as O;
    use StepState as S;
    let mut run = pipeline_run(512, PipelineRunState::Running);
    run.params = params();
    run.cause = RunCause::Trigger;
    run.started_by_name = "Slipway".to_owned();
    run.created_at = since(172);
    run.started_at = Some(since(169));
    let killed = Tried {
        outcome: O::Failed,
        from: 157,
        to: 118,
        reason: "killed by SIGKILL; was it out of memory?",
        exit_code: None,
    };
    let mut page = page(
        run,
        vec![
            step("fetch", S::Succeeded, vec![tried(O::Lost, 169, 168), tried(O::Succeeded, 168, 166)]),
            step("validate", S::Succeeded, vec![tried(O::Succeeded, 166, 158)]),
            step("split", S::Succeeded, vec![tried(O::Succeeded, 158, 157)]),
            step("train", S::Running, vec![killed, tried(O::Running, 112, 0)]),
            step("baseline", S::Succeeded, vec![tried(O::Succeeded, 157, 151)]),
            step(
                "explain",
                S::Failed,
                vec![Tried { outcome: O::Failed, from: 151, to: 110, reason: "", exit_code: Some(1) }],
            ),
            step("evaluate", S::Waiting, Vec::new()),
            step("parity", S::Waiting, Vec::new()),
            step("register", S::Waiting, Vec::new()),
        ],
    );
    page.alert = Some(5);
    page
}

/// A run that failed.
#[must_use]
pub fn failed() -> RunPage {
    use AttemptOutcome as O;
    use StepState as S;
    let mut run = pipeline_run(509, PipelineRunState::Failed);
    run.params = BTreeMap::from([("rounds".to_owned(), ParamValue::Whole(480))]);
    run.ended_at = Some(since(60));
    let late = |from, to| Tried { outcome: O::TimedOut, from, to, reason: "took longer than 15 min", exit_code: None };
    page(
        run,
        vec![
            step("fetch", S::Succeeded, vec![tried(O::Succeeded, 169, 166)]),
            step("validate", S::Succeeded, vec![tried(O::Succeeded, 166, 158)]),
            step("split", S::Succeeded, vec![tried(O::Succeeded, 158, 157)]),
            step("train", S::Failed, vec![late(157, 118), late(110, 91), late(88, 60)]),
            step("baseline", S::Succeeded, vec![tried(O::Succeeded, 157, 151)]),
            step("explain", S::Succeeded, vec![tried(O::Succeeded, 151, 140)]),
            step("evaluate", S::Skipped, Vec::new()),
            step("parity", S::Skipped, Vec::new()),
            step("register", S::Skipped, Vec::new()),
        ],
    )
}

/// The run that failed, with this step shown.
#[must_use]
pub fn chosen(name: &str) -> RunPage {
    let mut page = failed();
    page.shown = page.detail.steps.iter().find(|step| step.name == name).cloned();
    page
}

/// A run that no worker has taken yet.
#[must_use]
pub fn queued() -> RunPage {
    let steps = spec()
        .steps
        .keys()
        .map(|name| step(name, if name == "fetch" { StepState::Ready } else { StepState::Waiting }, Vec::new()))
        .collect();
    let mut page = page(pipeline_run(513, PipelineRunState::Queued), steps);
    page.lines = Vec::new();
    page.may_run = false;
    page
}

/// The end of a log.
#[must_use]
pub fn log() -> Vec<LogLine> {
    use LogStream::{Err, Out, Sys};
    let text = [
        (Sys, "try 2 of 3 on worker-lab-2:4711, after try 1 was killed by SIGKILL"),
        (Out, "\u{1b}[36m$\u{1b}[0m \u{1b}[1mpython -m wine.train --data $INPUT_TRAIN --val $INPUT_VAL\u{1b}[0m"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.data    read 6,812 rows, 12 columns"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.data    classes 3:31 4:215 5:2,241 6:2,974 7:1,138 8:208 9:5"),
        (
            Out,
            "\u{1b}[33mWARN\u{1b}[0m  wine.data    class 9 has 5 rows; its metrics will be noisy, see \u{1b}[36mmin_class_rows\u{1b}[0m",
        ),
        (
            Out,
            "\u{1b}[34mINFO\u{1b}[0m  mlflow       run \u{1b}[35mb72f90ce41d84a7796c1\u{1b}[0m in experiment \u{1b}[35mwine-quality\u{1b}[0m",
        ),
        (
            Out,
            "\u{1b}[34mINFO\u{1b}[0m  wine.train   HistGradientBoostingClassifier(learning_rate=0.05, max_iter=480, max_depth=8)",
        ),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter  40  train 1.214  val \u{1b}[1m1.262\u{1b}[0m"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter  80  train 0.998  val \u{1b}[1m1.071\u{1b}[0m"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter 120  train 0.871  val \u{1b}[1m0.954\u{1b}[0m"),
        (
            Err,
            "\u{1b}[33mWARN\u{1b}[0m  sklearn      RuntimeWarning: invalid value encountered in log (fold 2, 3 rows); result is \u{1b}[1;31mNaN\u{1b}[0m",
        ),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   clipped probabilities to 1e-15 and went on"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter 200  train 0.731  val \u{1b}[1m0.838\u{1b}[0m"),
        (Out, "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter 240  train 0.688  val \u{1b}[1m0.803\u{1b}[0m"),
        (
            Out,
            "\u{1b}[34mINFO\u{1b}[0m  wine.train   iter 280  train 0.655  val \u{1b}[1;32m0.779\u{1b}[0m  \u{1b}[2mbetter than champion v12 (0.792)\u{1b}[0m",
        ),
        (
            Out,
            "\u{1b}[36mtrain\u{1b}[0m \u{1b}[32m━━━━━━━━━━━━━━━━━━━━━━━━\u{1b}[0m\u{1b}[2m━━━━━━━━━━━━━━━\u{1b}[0m 298/480  \u{1b}[2m2.7 it/s, 1 min 07 s left\u{1b}[0m",
        ),
    ];
    (213_i64..)
        .zip(text)
        .map(|(number, (stream, text))| LogLine {
            number,
            at_ms: moment().timestamp_millis() - 112_000 + (number - 213) * 7000,
            stream,
            text: text.to_owned(),
        })
        .collect()
}

fn summary(name: &str, version: i32, last: Option<PipelineRunState>, recent: &[PipelineRunState]) -> PipelineSummary {
    PipelineSummary {
        pipeline: Pipeline {
            id: PipelineId::new(),
            workspace_id: WorkspaceId::new(),
            name: name.to_owned(),
            created_at: ago(90_000),
        },
        latest_version: version,
        last_run: last.map(|state| {
            let mut run = pipeline_run(512 - i64::from(version), state);
            run.pipeline_name = name.to_owned();
            run.ended_at = state.is_final().then(|| ago(1));
            run
        }),
        recent: recent.to_vec(),
    }
}

/// The pipelines of a workspace.
#[must_use]
pub fn pipelines() -> Page<PipelineSummary> {
    use PipelineRunState as S;
    let mixed = [
        S::Running,
        S::Failed,
        S::Succeeded,
        S::Succeeded,
        S::Cancelled,
        S::Succeeded,
        S::Failed,
        S::Succeeded,
        S::Succeeded,
        S::Succeeded,
        S::Succeeded,
        S::Succeeded,
    ];
    Page {
        items: vec![
            summary("digits-nightly", 31, Some(S::Succeeded), &[S::Succeeded; 12]),
            summary(
                "retrain-housing-price-band-with-a-name-as-long-as-names-may-be",
                2,
                Some(S::Failed),
                &[S::Failed, S::Failed, S::Failed, S::Succeeded],
            ),
            summary("score-backlog", 1, None, &[]),
            summary("sweep-depth", 4, Some(S::Cancelling), &[S::Cancelling, S::Cancelled, S::Succeeded]),
            summary("train-wine", 3, Some(S::Running), &mixed),
            summary(
                "weekly-report",
                9,
                Some(S::Queued),
                &[S::Queued, S::Succeeded, S::Succeeded, S::Succeeded, S::Succeeded],
            ),
        ],
        next_page_token: None,
    }
}

/// A pipeline with many runs.
#[must_use]
pub fn pipeline() -> PipelinePage {
    use PipelineRunState as S;
    let states = [S::Running, S::Queued, S::Succeeded, S::Failed, S::Succeeded, S::Cancelled, S::Succeeded];
    let mut summary =
        summary("train-wine", 3, Some(S::Running), &[S::Running, S::Failed, S::Succeeded, S::Succeeded, S::Cancelled]);
    summary.pipeline.name = "train-wine".to_owned();
    let items = (0..40)
        .map(|at: i64| {
            let state = states[usize::try_from(at).unwrap_or_default() % states.len()];
            let mut run = pipeline_run(512 - at, state);
            run.params =
                if at % 3 == 0 { params() } else { BTreeMap::from([("rounds".to_owned(), ParamValue::Whole(480))]) };
            run.created_at = ago(3 + at * at * 31);
            run.started_at = run.started_at.map(|_| ago(3 + at * at * 31));
            run.ended_at = state.is_final().then(|| run.created_at + TimeDelta::seconds(200 + at * 13));
            if at % 4 == 1 {
                run.cause = RunCause::Api;
                run.started_by_name = "CI job".to_owned();
            }
            let ended = if state.is_final() { 9 } else { at % 9 };
            PipelineRunSummary { run, steps_total: 9, steps_ended: ended }
        })
        .collect();
    PipelinePage {
        summary,
        version: version(3, 60, "ML engineer"),
        runs: Page { items, next_page_token: Some("3437".to_owned()) },
        triggers: vec![trigger("train-wine", true)],
        push_hooks: Vec::new(),
        schedules: vec![schedule("nightly", true)],
        concurrency: None,
        key: "0198a1".to_owned(),
        may_write: true,
        may_run: true,
        events: Vec::new(),
    }
}

/// A schedule.
#[must_use]
pub fn schedule(name: &str, enabled: bool) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        workspace_id: WorkspaceId::new(),
        name: name.to_owned(),
        pipeline_id: PipelineId::new(),
        pipeline: "train-wine".to_owned(),
        expression: "0 3 * * 1-5".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        params: serde_json::Map::from_iter([("rounds".to_owned(), 480.into())]),
        param: Some("day".to_owned()),
        param_format: DateFormat::Date,
        catch_up: CatchUp::Latest,
        catch_up_limit: 10,
        jitter_s: 0,
        enabled,
        next_fire: enabled.then(|| ago(-600)),
        created_at: ago(9000),
        created_by: "ML engineer".to_owned(),
    }
}

/// The schedules of a workspace.
#[must_use]
pub fn schedules() -> SchedulesPage {
    let row = |name, enabled| ScheduleRow {
        schedule: schedule(name, enabled),
        next: enabled.then(|| "Tue 24 Nov 2026 03:00 Europe/Berlin".to_owned()),
    };
    SchedulesPage {
        workspace_id: WorkspaceId::new(),
        schedules: Page { items: vec![row("nightly", true), row("weekly-full", false)], next_page_token: None },
        pipelines: vec!["train-wine".to_owned()],
        timezones: vec!["Europe/Berlin", "UTC"],
        may_run: true,
    }
}

/// One of them, with its fires.
#[must_use]
pub fn one_schedule() -> SchedulePage {
    let fire = |days: i64, outcome, run_number, reason: &str| {
        let fire =
            Fire { fire_time: ago(days * 1440), at: ago(days * 1440), outcome, reason: reason.to_owned(), run_number };
        (fire, format!("{} Nov 2026 03:00 Europe/Berlin", 24 - days))
    };
    SchedulePage {
        ahead: (24..29).map(|day| format!("{day} Nov 2026 03:00 Europe/Berlin")).collect(),
        fires: Page {
            items: vec![
                fire(1, FireOutcome::Started, Some(512), ""),
                fire(2, FireOutcome::Missed, None, "Nobody was there at its time."),
                fire(3, FireOutcome::Refused, None, "Pipeline \"train-wine\" has no param \"rounds\"."),
            ],
            next_page_token: None,
        },
        events: Vec::new(),
        pipelines: vec!["train-wine".to_owned()],
        timezones: vec!["Europe/Berlin", "UTC"],
        may_run: true,
        schedule: schedule("nightly", true),
    }
}

/// A trigger.
#[must_use]
pub fn trigger(pipeline: &str, enabled: bool) -> Trigger {
    let params = serde_json::json!({ "learning-rate": 0.05, "note": "after drift" });
    Trigger {
        id: TriggerId::new(),
        on: TriggerOn::Alert {
            monitor_id: MonitorId::new(),
            model: "wine-quality".to_owned(),
            environment: "production".to_owned(),
        },
        pipeline_id: PipelineId::new(),
        pipeline: pipeline.to_owned(),
        params: params.as_object().cloned().unwrap_or_default(),
        enabled,
        cool_down_s: 86_400,
    }
}

/// The file of a pipeline, in an older version.
#[must_use]
pub fn file(shown: i32) -> FilePage {
    FilePage {
        version: version(shown, 60 * 24 * 3, "Data scientist"),
        latest: 3,
        versions: Page {
            items: vec![
                version(3, 60, "ML engineer"),
                version(2, 60 * 24 * 3, "Data scientist"),
                version(1, 60 * 24 * 41, "CI job"),
            ],
            next_page_token: None,
        },
        changes: None,
        may_write: true,
        may_run: true,
    }
}

/// History with many actors, over some days.
#[must_use]
pub fn history() -> Page<domain::audit::AuditEvent> {
    let ci = || Actor::User { id: domain::id::UserId::new(), name: "CI job".to_owned(), is_service: true };
    let rows = [
        (2, Actor::System, "trigger.fired", ObjectKind::Trigger, "train-wine", "started train-wine #512"),
        (
            2,
            Actor::System,
            "alert.opened",
            ObjectKind::Alert,
            "#5",
            "opened alert #5: 8 of 13 features drifted of wine-quality in production v12",
        ),
        (
            18,
            person("On-call engineer"),
            "deployment.rolled_back",
            ObjectKind::Deployment,
            "#41",
            "rolled back housing-price-band in production from v9 to v8 (#41)",
        ),
        (60, person("Risk approver"), "promotion.approved", ObjectKind::Promotion, "#87", "approved #87"),
        (180, person("Data scientist"), "promotion.requested", ObjectKind::Promotion, "#87", "requested #87"),
        (
            181,
            person("Data scientist"),
            "model_version.created",
            ObjectKind::ModelVersion,
            "wine-quality v14",
            "registered wine-quality v14",
        ),
        (240, ci(), "pipeline_run.started", ObjectKind::PipelineRun, "train-wine #511", "started train-wine #511"),
        (
            1500,
            Actor::System,
            "promotion.invalidated",
            ObjectKind::Promotion,
            "#81",
            "let #81 fall away: the dataset changed",
        ),
        (
            1700,
            person("Platform lead"),
            "policy.changed",
            ObjectKind::Environment,
            "production",
            "changed the policy of production to revision 6",
        ),
        (
            1702,
            person("Platform lead"),
            "token.revoked",
            ObjectKind::Token,
            "laptop",
            "revoked the token laptop of Data scientist",
        ),
        (4400, ci(), "pipeline.stored", ObjectKind::Pipeline, "train-wine", "stored version 3 of train-wine"),
    ];
    Page {
        items: rows
            .into_iter()
            .map(|(minutes, actor, action, kind, name, summary)| event(minutes, actor, action, kind, name, summary))
            .collect(),
        next_page_token: Some("22".to_owned()),
    }
}
