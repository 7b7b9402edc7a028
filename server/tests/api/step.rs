//! Runs that are really run: real commands, their logs, outputs and tokens.

use crate::app::{Client, PUBLIC_URL, TestApp};
use axum::{
    body::Body,
    http::{Method, header},
};
use domain::{gpu::Gpu, log::LogLine, permission::Role};
use executors::Shim;
use futures::StreamExt as _;
use serde_json::{Value, json};
use server::{serve, worker};
use std::time::Duration;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Far longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A worker in this process, that starts real processes.
pub(crate) struct Worker {
    stop: CancellationToken,
    working: JoinHandle<()>,
    directory: tempfile::TempDir,
}

impl Worker {
    pub(crate) fn start(app: &TestApp) -> Self {
        Self::start_with(app, Duration::from_secs(20), None)
    }

    pub(crate) fn with_lease(app: &TestApp, lease: Duration) -> Self {
        Self::start_with(app, lease, None)
    }

    /// One that hands out these graphics processors.
    pub(crate) fn with_gpus(app: &TestApp, gpus: Vec<Gpu>) -> Self {
        Self::start_with(app, Duration::from_secs(20), Some(gpus))
    }

    fn start_with(app: &TestApp, lease: Duration, gpus: Option<Vec<Gpu>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = worker::Options {
            name: "worker".to_owned(),
            steps: 3,
            pools: vec!["default".to_owned()],
            gpus,
            steps_dir: directory.path().join("steps"),
            confinement: Default::default(),
            docker_socket: "/nowhere/docker.sock".into(),
            docker_network: "host".to_owned(),
            kubernetes: None,
            shim: Shim::at(env!("CARGO_BIN_EXE_slipway"), &["step-shim"]),
            server_url: PUBLIC_URL.to_owned(),
            lease,
            monitor_interval: Duration::from_secs(600),
            keep_predictions: chrono::TimeDelta::days(30),
            step_env: Default::default(),
        };
        let stop = CancellationToken::new();
        tokio::spawn(app.state.events.clone().listen(app.database.pool.clone()));
        let working = tokio::spawn(worker::run(app.services().clone(), options, stop.clone()));
        Self { stop, working, directory }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.working).await.expect("the worker stops").unwrap();
        let left = std::fs::read_dir(self.directory.path().join("steps")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "directories of steps are removed");
    }
}

pub(crate) async fn start(client: &Client, yaml: &str) -> i64 {
    let version = client.put("/api/v1/pipelines", json!({ "source": yaml })).await.ok();
    let path = format!("/api/v1/pipelines/{}/runs", version["spec"]["name"].as_str().unwrap());
    client.post(&path, json!({})).await.ok()["number"].as_i64().unwrap()
}

/// The run, once it has ended.
pub(crate) async fn ended(client: &Client, number: i64) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let detail = client.get(&format!("/api/v1/pipeline-runs/{number}")).await.ok();
        if !detail["run"]["ended_at"].is_null() {
            return detail;
        }
        assert!(Instant::now() < deadline, "the run does not end: {detail}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn log(client: &Client, number: i64, step: &str, attempt: i32) -> Vec<(String, String)> {
    let path = format!("/api/v1/pipeline-runs/{number}/steps/{step}/attempts/{attempt}/log");
    let log = client.get(&path).await.ok();
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    log["items"].as_array().unwrap().iter().map(|line| (text(line, "stream"), text(line, "text"))).collect()
}

#[tokio::test]
async fn a_graph_of_real_commands_runs_to_its_end() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let run = start(
        &client,
        r#"
name: graph
params: { rows: 3, label: "it's; $(id)" }
files:
  table.sh: |
    #!/bin/sh
    for row in $(seq "$PARAM_ROWS"); do echo "row $row"; done
steps:
  prepare:
    command: mkdir "$OUTPUT_DATA" && ./table.sh > "$OUTPUT_DATA/table.txt" && ln -s table.txt "$OUTPUT_DATA/latest"
    outputs: { data: data }
  count:
    command: wc -l < "$INPUT_DATA/latest" | tr -d ' ' > count.txt
    inputs: { data: prepare.data }
    outputs: { count: count.txt }
  flaky:
    command: |
      if [ "$SLIPWAY_ATTEMPT" = 1 ]; then echo "not today" >&2; exit 3; fi
      printf '%s' "$PARAM_LABEL" > label.txt
    needs: prepare
    outputs: { label: label.txt }
    retries: { count: 1, backoff: 0s }
  join:
    command: [sh, -c, 'cat "$INPUT_COUNT" "$INPUT_LABEL"; echo; echo "$MLFLOW_TRACKING_URI $SLIPWAY_PIPELINE_RUN"']
    inputs: { count: count.count, label: flaky.label }
  leak:
    command: echo "this is $SLIPWAY_TOKEN."; [ ${#SLIPWAY_TOKEN} -gt 60 ]
"#,
    )
    .await;
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let output = client.get(&format!("/api/v1/pipeline-runs/{run}/steps/count/outputs/count")).await;
    assert_eq!(
        (output.text().as_str(), output.header("content-disposition")),
        ("3\n", "attachment; filename=\"count.txt\"")
    );
    let manifest = client.get(&format!("/api/v1/pipeline-runs/{run}/steps/prepare/outputs/data")).await.ok();
    assert_eq!(
        (&manifest["files"][0]["path"], &manifest["links"][0]["target"]),
        (&json!("table.txt"), &json!("table.txt"))
    );

    let attempts = client.get(&format!("/api/v1/pipeline-runs/{run}/steps/flaky/attempts")).await.ok();
    let outcomes: Vec<_> = attempts["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attempt| (&attempt["outcome"], &attempt["exit_code"]))
        .collect();
    assert_eq!(outcomes, [(&json!("failed"), &json!(3)), (&json!("succeeded"), &json!(0))]);
    assert!(log(&client, run, "flaky", 1).await.contains(&("err".to_owned(), "not today".to_owned())));

    // Everybody who may look reads logs: what a step may do is kept out of them.
    assert!(log(&client, run, "leak", 1).await.contains(&("out".to_owned(), "this is ***.".to_owned())));

    let lines = log(&client, run, "join", 1).await;
    let (said, printed): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(stream, _)| stream == "sys");
    let printed: Vec<_> = printed.into_iter().map(|(_, text)| text).collect();
    assert_eq!(printed, ["3", "it's; $(id)", &format!("{PUBLIC_URL}/w/default {run}")]);
    let first = format!("graph #{run}: step join, try 1 of 1, on worker. A process of the worker's machine, level ");
    assert!(said[0].1.starts_with(&first), "{said:?}");
    assert!(said[1].1.starts_with("The command ended with exit status 0 after "), "{said:?}");
    assert_eq!(said[2].1, "Succeeded.");
    let request = client.request(Method::GET, &format!("/api/v1/pipeline-runs/{run}/steps/join/attempts/1/log"));
    let request = request.header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
    let text = client.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.text().contains("\n3\nit's; $(id)\n") && text.text().ends_with("[slipway] Succeeded.\n"));
    worker.stop().await;
}

#[tokio::test]
async fn a_log_is_followed_while_it_goes_on_and_taken_up_where_it_broke_off() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let gate = tempfile::tempdir().unwrap();
    let open = gate.path().join("open");
    let yaml = format!(
        "name: live\nsteps:\n  talk:\n    command: |\n      echo first\n      until [ -e {} ]; do sleep 0.02; done\n      \
         seq 2500\n      echo last\n",
        open.display()
    );
    let run = start(&client, &yaml).await;
    let path = format!("/api/v1/pipeline-runs/{run}/steps/talk/attempts/1/log");
    let deadline = Instant::now() + PATIENCE;
    while client.get(&path).await.status != 200 {
        assert!(Instant::now() < deadline, "the step begins");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // The first lines arrive while the command waits for us.
    let service = serve::service(&app.state);
    let request = client.request(Method::GET, &format!("{path}/stream")).body(Body::empty()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut heard = String::new();
    while !heard.contains("first") {
        let part = tokio::time::timeout(PATIENCE, stream.next()).await.expect("lines in time").unwrap().unwrap();
        heard += std::str::from_utf8(&part).unwrap();
    }
    assert!(!heard.contains("event: end"));
    drop(stream);
    std::fs::write(&open, "").unwrap();
    ended(&client, run).await;

    let total = 2 + 2500 + 1 + 2;
    let all = events(&client.get(&format!("{path}/stream")).await.text());
    assert_eq!(all.numbers, (1..=total).collect::<Vec<_>>());
    assert_eq!((all.last_id, all.end.as_deref()), (total, Some("succeeded")));
    // A browser comes back with the last id that it saw, whatever its address said at first.
    let back = client.clone().with(header::HeaderName::from_static("last-event-id"), "2000");
    let rest = events(&back.get(&format!("{path}/stream?after=7")).await.text());
    assert_eq!(rest.numbers, (2001..=total).collect::<Vec<_>>());
    let part = client.get(&format!("{path}?after=2&limit=2")).await.ok();
    let texts: Vec<_> = part["items"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!((texts, &part["total"], &part["outcome"]), (vec!["1", "2"], &json!(total), &json!("succeeded")));
    worker.stop().await;
}

/// What a stream of events said.
#[derive(Default)]
struct Heard {
    numbers: Vec<i64>,
    last_id: i64,
    end: Option<String>,
}

fn events(text: &str) -> Heard {
    let mut heard = Heard::default();
    for event in text.split("\n\n") {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match field("event:") {
            Some("lines") => {
                let lines: Vec<LogLine> = serde_json::from_str(field("data:").unwrap()).unwrap();
                heard.numbers.extend(lines.iter().map(|line| line.number));
                heard.last_id = field("id:").unwrap().parse().unwrap();
                assert_eq!(heard.numbers.last(), Some(&heard.last_id));
            }
            Some("end") => heard.end = field("data:").map(ToOwned::to_owned),
            _ => {}
        }
    }
    heard
}

#[tokio::test]
async fn a_step_has_a_token_while_it_runs_and_is_ended_when_its_run_is_cancelled() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let shared = tempfile::tempdir().unwrap();
    let path = |name: &str| shared.path().join(name);
    let yaml = format!(
        "name: long\nsteps:\n  long:\n    command: |\n      trap 'echo asked > {asked}; exit 9' TERM\n      \
         printf %s \"$SLIPWAY_TOKEN\" > {token}.new\n      mv {token}.new {token}\n      \
         while true; do sleep 0.05; done\n  after: {{ command: 'true', needs: long }}\n",
        asked = path("asked").display(),
        token = path("token").display(),
    );
    let run = start(&client, &yaml).await;
    until("the step begins", || path("token").exists()).await;
    let token = std::fs::read_to_string(path("token")).unwrap();
    let step = app.anonymous().with(header::AUTHORIZATION, &format!("Bearer {token}"));
    let me = step.get("/api/v1/user").await.ok();
    assert_eq!((&me["user"]["name"], &me["user"]["is_service"]), (&json!("Pipelines"), &json!(true)));
    assert_eq!(me["workspaces"][0]["roles"], json!(["contributor"]));

    assert_eq!(
        client.post(&format!("/api/v1/pipeline-runs/{run}/cancel"), json!({})).await.ok()["state"],
        "cancelling"
    );
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "cancelled");
    assert!(path("asked").exists(), "the command was asked before it was killed");
    assert_eq!(
        (&detail["steps"][0]["state"], &detail["steps"][1]["state"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    step.get("/api/v1/user").await.refused(401);
    let lines = log(&client, run, "long", 1).await;
    assert_eq!(lines.last().unwrap().1, "Cancelled: cancelled.");
    worker.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_with_a_step_is_said_beside_it() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let run = start(
        &client,
        "name: wrong\nsteps:\n  exit: { command: exit 4 }\n  missing: { command: 'true', outputs: { model: model.onnx } }\n  \
         slow: { command: sleep 600, timeout: 1s }\n  nothing: { command: [no-such-program] }\n  after: { command: 'true', needs: exit }\n",
    )
    .await;
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "failed");
    let steps: Vec<String> = detail["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            format!(
                "{} {}: {}",
                step["name"].as_str().unwrap(),
                step["state"].as_str().unwrap(),
                step["reason"].as_str().unwrap()
            )
        })
        .collect();
    insta::assert_snapshot!(steps.join("\n"), @r#"
    exit failed: exit status 4
    missing failed: The output "model" is not there: the step did not write "model.onnx".
    nothing failed: The command "no-such-program" was not found. PATH is /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin.
    slow failed: timed out
    after skipped: exit failed
    "#);
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_stops_gives_its_steps_back_to_be_run_elsewhere() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let shared = tempfile::tempdir().unwrap();
    let begun = |attempt: u32| shared.path().join(format!("begun-{attempt}"));
    let yaml = format!(
        "name: handed-on\nsteps:\n  only:\n    command: |\n      touch {}/begun-$SLIPWAY_ATTEMPT\n      \
         if [ \"$SLIPWAY_ATTEMPT\" = 1 ]; then sleep 600; fi\n",
        shared.path().display()
    );
    let first = Worker::start(&app);
    let run = start(&client, &yaml).await;
    until("the step begins", || begun(1).exists()).await;
    first.stop().await;
    assert_eq!(client.get(&format!("/api/v1/pipeline-runs/{run}")).await.ok()["steps"][0]["state"], "ready");
    let second = Worker::start(&app);
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    let attempts = client.get(&format!("/api/v1/pipeline-runs/{run}/steps/only/attempts")).await.ok();
    assert_eq!(attempts["items"][0]["reason"], "its worker stopped");
    assert_eq!(log(&client, run, "only", 1).await.last().unwrap().1, "Given back: its worker stopped.");
    second.stop().await;
}

#[tokio::test]
async fn a_step_that_writes_without_end_has_its_log_cut_and_goes_on() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let much = "head -c 68000000 /dev/zero | tr '\\0' x | fold -w 16000";
    let run = start(&client, &format!("name: talkative\nsteps:\n  talk:\n    command: {much}\n")).await;
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    let path = format!("/api/v1/pipeline-runs/{run}/steps/talk/attempts/1/log");
    // The first line is the worker's.
    let tail = client.get(&format!("{path}?after=4194")).await.ok();
    let texts: Vec<_> = tail["items"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(texts[0], "x".repeat(16_000));
    assert_eq!(texts[1], "The log is cut here: a log has at most 2000000 lines and 64 MiB. The step goes on.");
    assert_eq!((texts.len(), texts[3]), (4, "Succeeded."));
    worker.stop().await;
}

#[tokio::test]
async fn a_log_reads_the_same_once_it_has_been_archived() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let yaml = "name: logs\nsteps:\n  many: { command: 'seq 5300; echo ö >&2' }\n  few: { command: 'echo few' }\n";
    let run = start(&client, yaml).await;
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    worker.stop().await;

    let path = |step: &str, query: &str| format!("/api/v1/pipeline-runs/{run}/steps/{step}/attempts/1/log{query}");
    let questions = ["?limit=10000", "?after=1999&limit=3", "?after=2000&limit=2001", "?after=5299", "?after=100000"];
    let read = async || {
        let mut answers = Vec::new();
        for step in ["many", "few"] {
            for question in questions {
                answers.push(client.get(&path(step, question)).await.ok());
            }
            let text = client.clone().with(header::ACCEPT, "text/plain");
            answers.push(json!(text.get(&path(step, "")).await.text()));
        }
        answers
    };
    let before = read().await;
    let later = chrono::Utc::now() + chrono::TimeDelta::minutes(1);
    assert_eq!(app.services().archive_logs(later).await.unwrap(), 2);
    assert_eq!(app.services().archive_logs(later).await.unwrap(), 0);
    let rows: i64 = sqlx::query_scalar("select count(*) from log_chunks").fetch_one(&app.database.pool).await.unwrap();
    assert_eq!(rows, 0, "nothing of it is left in the database");
    assert_eq!(read().await, before);
    let frames: Vec<i32> = sqlx::query_scalar("select jsonb_array_length(frames) from log_archives order by lines")
        .fetch_all(&app.database.pool)
        .await
        .unwrap();
    assert!(frames[0] == 1 && frames[1] > 2, "{frames:?}");
}

#[tokio::test]
async fn the_log_of_a_step_that_runs_is_not_archived() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let gate = tempfile::tempdir().unwrap();
    let open = gate.path().join("open");
    let yaml = format!(
        "name: live\nsteps:\n  talk: {{ command: 'echo first; until [ -e {} ]; do sleep 0.02; done; echo last' }}\n",
        open.display()
    );
    let run = start(&client, &yaml).await;
    let path = format!("/api/v1/pipeline-runs/{run}/steps/talk/attempts/1/log");
    let deadline = Instant::now() + PATIENCE;
    while !client.get(&path).await.text().contains("first") {
        assert!(Instant::now() < deadline, "the step begins");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(app.services().archive_logs(chrono::Utc::now() + chrono::TimeDelta::hours(1)).await.unwrap(), 0);
    std::fs::write(&open, "").unwrap();
    ended(&client, run).await;
    let lines = log(&client, run, "talk", 1).await;
    let own: Vec<_> = lines.iter().filter(|(stream, _)| stream == "out").map(|(_, text)| text.as_str()).collect();
    assert_eq!(own, ["first", "last"]);
    worker.stop().await;
}

#[tokio::test]
async fn what_a_try_used_and_where_it_ran_is_told() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let yaml = "name: used\nsteps:\n  long: { command: 'i=0; until [ $i = 300000 ]; do i=$((i+1)); done; sleep 1' }\n  short: { command: 'true' }\n";
    let run = start(&client, yaml).await;
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    for step in ["long", "short"] {
        let path = format!("/api/v1/pipeline-runs/{run}/steps/{step}/attempts/1/samples");
        let samples = client.get(&path).await.ok();
        let first = &samples["items"][0];
        let is_told = first["memory_max"].as_i64() > Some(0) && first["seconds"].as_f64() > Some(0.0);
        // One that is over at once is not looked at.
        assert!(is_told || step == "short", "{samples}");
        let attempts = client.get(&format!("/api/v1/pipeline-runs/{run}/steps/{step}/attempts")).await.ok();
        let attempt = &attempts["items"][0];
        assert_eq!(attempt["executor"], "process");
        assert!(attempt["sandbox"].as_str().unwrap().starts_with("level"), "{attempt}");
        assert!(attempt["peak_memory_bytes"].as_i64().unwrap() > 0, "{attempt}");
    }
    let path = format!("/api/v1/pipeline-runs/{run}/steps/long/attempts");
    client.get(&format!("{path}/2/samples")).await.refused(404);
    worker.stop().await;
}

#[tokio::test]
async fn a_step_that_writes_much_does_not_hold_up_the_log_of_another() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let gate = tempfile::tempdir().unwrap();
    let began = gate.path().join("began");
    // The quiet one ends when the other has written half: its lines are there although the other goes on.
    let yaml = format!(
        "name: noisy\nsteps:\n  noisy: {{ command: 'touch {0}; seq 100000' }}\n  quiet:\n    command: |\n      \
         until [ -e {0} ]; do sleep 0.01; done\n      for i in $(seq 20); do echo quiet $i; sleep 0.05; done\n",
        began.display()
    );
    let run = start(&client, &yaml).await;
    let detail = ended(&client, run).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail:#}");
    let path = format!("/api/v1/pipeline-runs/{run}/steps/noisy/attempts/1/log");
    let total = client.get(&path).await.ok()["total"].as_i64().unwrap();
    let own: i64 = sqlx::query_scalar(
        "select count(*) from log_chunks c, jsonb_array_elements(c.content) as line where line ->> 1 = 'out'",
    )
    .fetch_one(&app.database.pool)
    .await
    .unwrap();
    assert!(own == 100_020 && total > 100_000, "{own} of {total}");
    let quiet = log(&client, run, "quiet", 1).await;
    let own: Vec<_> = quiet.iter().filter(|(stream, _)| stream == "out").map(|(_, text)| text.clone()).collect();
    assert_eq!(own, (1..=20).map(|i| format!("quiet {i}")).collect::<Vec<_>>());
    // For people who look how fast it is; no test measures time.
    for step in detail["steps"].as_array().unwrap() {
        println!("{}: {} to {}", step["name"], step["started_at"], step["ended_at"]);
    }
    worker.stop().await;
}
