//! `slipway promote`, and the snippets for CI as the documentation has them, against a real server and two people who decide.

use crate::world::World;
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway");
/// What the documentation says.
const DOCUMENT: &str = include_str!("../../../docs/ci.md");

/// The script of a snippet: the lines below the one that begins it, without their indentation.
fn script(heading: &str, begins: &str) -> String {
    let section = DOCUMENT.split(&format!("## {heading}\n")).nth(1).expect(heading);
    let snippet = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a snippet");
    let mut lines = snippet.lines().skip_while(|line| line.trim() != begins);
    let indent = |line: &str| line.len() - line.trim_start().len();
    let outer = indent(lines.next().expect(begins));
    let body: Vec<&str> = lines.take_while(|line| line.trim().is_empty() || indent(line) > outer).collect();
    let inner = indent(body[0]);
    body.iter().map(|line| format!("{}\n", line.get(inner..).unwrap_or_default())).collect()
}

impl World {
    /// What a job of CI runs.
    fn job(&self, shell: &str, script: &str, version: i32) -> Child {
        let folder = Path::new(PROGRAM).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        Command::new(shell)
            .args(["-e", "-c", script])
            .env("PATH", path)
            .envs([("SLIPWAY_URL", self.slipway.url.as_str()), ("SLIPWAY_TOKEN", self.machine.as_str())])
            .envs([("MODEL", "churn"), ("VERSION", &version.to_string()), ("REASON", "https://ci.example/commit/9f03")])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn promote(&self, arguments: &[&str]) -> Child {
        Command::new(PROGRAM)
            .arg("promote")
            .args(arguments)
            .envs([("SLIPWAY_URL", self.slipway.url.as_str()), ("SLIPWAY_TOKEN", self.machine.as_str())])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// How it ended, and what it said.
async fn ended(job: Child) -> (Option<i32>, String, String) {
    let output = tokio::task::spawn_blocking(move || job.wait_with_output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A command that waits for people.
struct Waiting {
    job: Child,
    said: BufReader<ChildStderr>,
}

impl Waiting {
    /// Reads until it says that it waits.
    async fn hear(mut job: Child) -> Self {
        let mut said = BufReader::new(job.stderr.take().unwrap());
        let hear = move || {
            let mut line = String::new();
            while !line.contains(" awaits approval") || line.contains(" already: ") {
                line.clear();
                assert!(said.read_line(&mut line).unwrap() > 0, "it waits");
            }
            Self { job, said }
        };
        tokio::task::spawn_blocking(hear).await.unwrap()
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.job.id()).unwrap()
    }

    /// How it ended, and what it still said.
    async fn ended(mut self) -> (Option<i32>, String) {
        let end = move || {
            let mut rest = String::new();
            self.said.read_to_string(&mut rest).unwrap();
            (self.job.wait().unwrap().code(), rest)
        };
        tokio::task::spawn_blocking(end).await.unwrap()
    }
}

#[tokio::test]
async fn the_documented_jobs_end_as_people_decide() {
    let mut world = World::start(&[]).await;
    for version in 1..=3 {
        world.version(version).await;
    }
    let (github, gitlab) = (script("GitHub Actions", "run: |"), script("GitLab CI", "- |"));

    let job = world.job("bash", &github, 1);
    let promotion = world.awaiting(1).await;
    assert_eq!(
        (&promotion["comment"], &promotion["requester"]),
        (&json!("https://ci.example/commit/9f03"), &json!("machine"))
    );
    world.decide(&world.first, &promotion, "approve").await;
    world.decide(&world.second, &promotion, "approve").await;
    let (status, out, err) = ended(job).await;
    assert_eq!(status, Some(0), "{out}{err}");
    assert!(out.contains("::notice::churn v1 is live\n"), "{out}");
    let page = format!("{}/w/default/promotions/1", world.slipway.url);
    assert!(err.contains(&page) && err.contains("#1 is live\n"), "{err}");

    let job = world.job("sh", &gitlab, 2);
    let promotion = world.awaiting(2).await;
    world.decide(&world.first, &promotion, "approve").await;
    world.decide(&world.second, &promotion, "reject").await;
    let (status, out, err) = ended(job).await;
    assert_eq!(status, Some(2), "{out}{err}");
    assert!(out.ends_with("churn v2 was rejected\n"), "{out}");
    assert!(err.contains("second said no: Looked at it."), "{err}");

    let job = world.job("bash", &github, 3);
    let promotion = world.awaiting(3).await;
    world.decide(&world.first, &promotion, "approve").await;
    world.policy(3).await;
    let (status, out, err) = ended(job).await;
    assert_eq!(status, Some(3), "{out}{err}");
    assert!(out.contains("ask again"), "{out}");
    assert!(err.contains("The policies became stricter"), "{err}");
    world.server.stop();
}

#[tokio::test]
async fn a_request_is_joined_left_and_taken_back() {
    let mut world = World::start(&[]).await;
    world.version(1).await;
    let scan = world.slipway.data().join("scan.json");
    fs::write(&scan, r#"{"findings": 0}"#).unwrap();
    let evidence = format!("security-scan={}", scan.display());
    let (status, out, err) = ended(world.promote(&["churn", "1", "--to", "production", "--evidence", &evidence])).await;
    assert_eq!((status, out.as_str()), (Some(0), "1\n"), "{err}");
    assert!(err.starts_with("uploaded security-scan\n#1 churn v1 → production: http"), "{err}");
    let uploaded = world.ok(&world.first, Method::GET, "promotions/1/evidence", Value::Null).await;
    assert_eq!(uploaded["items"][0]["content"], json!({ "findings": 0 }));
    world.awaiting(1).await;

    let (status, out, err) =
        ended(world.promote(&["churn", "1", "--to", "production", "--wait", "--timeout", "1s"])).await;
    assert_eq!((status, out.as_str()), (Some(5), "1\n"), "{err}");
    assert!(err.starts_with("#1 asks for this already: it awaits approval\n"), "{err}");
    assert!(err.ends_with("the request stays. slipway promotion cancel 1 takes it back\n"), "{err}");

    // Whoever stops waiting leaves it as it is.
    let waiting = Waiting::hear(world.promote(&["churn", "1", "--to", "production", "--wait"])).await;
    crate::slipway::signal(waiting.pid(), "INT");
    let (status, rest) = waiting.ended().await;
    assert_eq!(status, Some(130), "{rest}");
    assert!(rest.ends_with("the request stays. slipway promotion cancel 1 takes it back\n"), "{rest}");
    world.awaiting(1).await;

    let waiting = Waiting::hear(world.promote(&["churn", "1", "--to", "production", "--wait"])).await;
    let cancel = Command::new(PROGRAM)
        .args(["promotion", "cancel", "1"])
        .envs([("SLIPWAY_URL", world.slipway.url.as_str()), ("SLIPWAY_TOKEN", world.machine.as_str())])
        .output()
        .unwrap();
    assert!(cancel.status.success(), "{cancel:?}");
    let (status, rest) = waiting.ended().await;
    assert_eq!((status, rest.as_str()), (Some(4), "#1 was withdrawn\n"));
    world.server.stop();
}

#[tokio::test]
async fn a_request_that_nobody_decides_on_in_time_ends_the_job_as_expired() {
    let mut world = World::start(&[]).await;
    world.version(1).await;
    let waiting = Waiting::hear(world.promote(&["churn", "1", "--to", "production", "--wait"])).await;
    sqlx::query("update promotions set expires_at = now()").execute(world.slipway.pool()).await.unwrap();
    let (status, rest) = waiting.ended().await;
    assert_eq!(status, Some(3), "{rest}");
    assert!(rest.starts_with("#1 expired. It stood until "), "{rest}");
    world.server.stop();
}

#[tokio::test]
async fn what_blocks_is_told_apart_from_what_is_wrong() {
    let mut world = World::start(&[]).await;
    world.version(1).await;
    let gate = json!({ "kind": "metric_threshold", "metric": "accuracy", "threshold": 0.7 });
    let policy = json!({ "scope": { "environments": ["production"] }, "gates": [gate], "rule": { "approvals": 0 } });
    world.ok(&world.admin, Method::PUT, "policies/production", policy).await;
    let (status, _, err) = ended(world.promote(&["churn", "1", "--to", "production", "--wait"])).await;
    assert_eq!(status, Some(4), "{err}");
    assert!(err.contains("#1 is blocked by its gates. Cannot be told: accuracy at least 0.7."), "{err}");

    let (status, _, err) = ended(world.promote(&["churn", "9", "--to", "production", "--wait"])).await;
    assert_eq!((status, err.lines().count()), (Some(1), 1), "{err}");
    let (status, _, err) = ended(world.promote(&["churn", "1"])).await;
    assert_eq!(status, Some(1), "a wrong option is not a no: {err}");
    let (status, _, err) = ended(world.promote(&["churn", "1", "--to", "production", "--evidence", "a"])).await;
    assert_eq!(status, Some(1), "{err}");
    world.server.stop();
}
