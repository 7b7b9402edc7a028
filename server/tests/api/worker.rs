//! Workers, pools and limits.

use crate::{
    app::TestApp,
    step::{PATIENCE, Worker, ended, log, start},
};
use domain::{gpu::Gpu, permission::Role};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

#[tokio::test]
async fn a_worker_says_that_it_lives_and_leaves_when_it_stops() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    let queue = loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if !queue["workers"].as_array().unwrap().is_empty() {
            break queue;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(queue["workers"][0]["slots"], 3);
    assert_eq!(queue["pools"][0]["name"], "default");
    assert_eq!(queue["pools"][0]["workers"], 1);
    // What it says when it has found out what its machine can do, which is before it first says that it lives.
    let sandbox = queue["workers"][0]["sandbox"].as_str().unwrap();
    assert!(sandbox.starts_with("level "), "{queue}");
    let page = client.get("/w/default/workers").await.text();
    assert!(page.contains(&sandbox[..7].replace("level", "Level")), "{page}");
    assert!(page.contains("Alive") && page.contains("No step of this workspace waits"), "{page}");
    worker.stop().await;
    assert_eq!(client.get("/api/v1/workers").await.ok()["workers"], json!([]));
}

#[tokio::test]
async fn a_limit_is_made_used_raised_and_taken_away() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let limit = client.put("/api/v1/limits/licences", json!({ "slots": 0 })).await.ok();
    assert_eq!((limit["slots"].as_i64(), limit["held"].as_i64()), (Some(0), Some(0)));
    let run = start(&client, "name: limited\nsteps:\n  a: { command: 'true', limits: licences }\n").await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if queue["ready"][0]["blocked_by"] == "licences" {
            break;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    }
    let page = client.get("/w/default/workers").await.text();
    assert!(page.contains("For a place of the limit licences"), "{page}");
    assert_eq!(client.get("/api/v1/limits").await.ok()["items"][0]["waiting"], 1);
    client.put("/api/v1/limits/licences", json!({ "slots": 1 })).await.ok();
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    worker.stop().await;

    for (path, body, says) in [
        ("/api/v1/limits/licences", json!({ "slots": -1 }), "From 0 to 100000 steps"),
        ("/api/v1/limits/No", json!({ "slots": 1 }), "A limit's name is"),
    ] {
        let refused = client.put(path, body).await.refused(400);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    let viewer = app.member(Role::Viewer).await;
    viewer.put("/api/v1/limits/licences", json!({ "slots": 5 })).await.refused(403);
    client.delete("/api/v1/limits/licences").await;
    client.delete("/api/v1/limits/licences").await.refused(404);
    let path = "/api/v1/pipelines/limited/runs";
    let refused = client.post(path, json!({})).await.refused(409);
    assert!(refused["detail"].as_str().unwrap().contains("names the limit \"licences\""), "{refused}");
    let history = client.get("/api/v1/audit-events").await.ok().to_string();
    assert!(history.contains("limit.set") && history.contains("limit.deleted"), "{history}");
}

/// A file whose step holds what it needs until the file `go` is there.
async fn holds(client: &crate::app::Client, name: &str, gate: &std::path::Path) -> i64 {
    let wait = format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    start(client, &format!("name: {name}\nsteps:\n  fit: {{ command: '{wait}', limits: licences }}\n")).await
}

#[tokio::test]
async fn a_step_that_waits_for_a_limit_says_which_steps_have_it() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    client.put("/api/v1/limits/licences", json!({ "slots": 1 })).await.ok();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("go");
    let first = holds(&client, "first", &gate).await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    let until = async |done: &dyn Fn(&serde_json::Value) -> bool| loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if done(&queue) {
            break queue;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    };
    until(&|queue| queue["running"][0]["run"] == first).await;
    let second = holds(&client, "second", &gate).await;
    let queue = until(&|queue| queue["ready"][0]["blocked_by"] == "licences").await;
    let holder = json!([{ "pipeline": "first", "run": first, "step": "fit" }]);
    assert_eq!(queue["blocking"][0]["holders"], holder);
    assert_eq!(client.get("/api/v1/limits").await.ok()["items"][0]["holders"], holder);
    let page = client.get("/w/default/workers").await.text();
    let link = format!("Held by <a href=\"/w/default/pipeline-runs/{first}?step=fit\">first #{first}: fit</a>");
    assert!(page.contains(&link), "{page}");
    std::fs::write(&gate, "").unwrap();
    for run in [first, second] {
        assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    }
    worker.stop().await;
}

#[tokio::test]
async fn where_the_steps_of_a_pool_run_is_said_by_an_administrator_alone() {
    let app = TestApp::start().await;
    let (admin, contributor) = (app.member(Role::Admin).await, app.member(Role::Contributor).await);
    let path = "/api/v1/pools/big/executor";
    admin.delete(path).await.refused(404);
    for (path, body, says) in [
        (path, json!({ "executor": "moon" }), "executor"),
        (path, json!({}), "executor"),
        ("/api/v1/pools/No%20pool/executor", json!({ "executor": "docker" }), "A pool's name is"),
    ] {
        let refused = admin.put(path, body).await.refused(400);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    contributor.put(path, json!({ "executor": "docker" })).await.refused(403);
    contributor.delete(path).await.refused(403);
    assert_eq!(admin.put(path, json!({ "executor": "docker" })).await.status, 204);

    // What says nothing goes by its pool, wherever it stands; what says something goes by that.
    let yaml = "name: places\nimage: alpine\nsteps:\n  pool: { command: x, pool: big }\n  own: { command: x, pool: big, \
                executor: kubernetes }\n  other: { command: x, pool: small }\n  inside: { steps: { one: { command: x, pool: \
                big } } }\n";
    let run = start(&contributor, yaml).await;
    let queue = contributor.get("/api/v1/workers").await.ok();
    let places: BTreeMap<&str, &str> = queue["ready"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["step"].as_str().unwrap(), step["executor"].as_str().unwrap()))
        .collect();
    let expected = [("inside/one", "docker"), ("other", "process"), ("own", "kubernetes"), ("pool", "docker")];
    assert_eq!(places, BTreeMap::from(expected));
    let pools = queue["pools"].as_array().unwrap();
    let executor = |name: &str| pools.iter().find(|pool| pool["name"] == name).unwrap()["executor"].clone();
    assert_eq!((executor("big"), executor("small")), (json!("docker"), json!(null)));
    contributor.post(&format!("/api/v1/pipeline-runs/{run}/cancel"), json!({})).await;

    let page = app.browser(admin.user()).await.in_workspace("default");
    page.get("/workers").await.shows(200, &["by docker", "Choose where a pool's steps run"]);
    page.form("/workers/pools/executor", "executor_pool=big&executor=moon")
        .await
        .shows(400, &["no place where steps run"]);
    page.form("/workers/pools/executor", "executor_pool=big&executor=").await.leads_to();
    admin.delete(path).await.refused(404);
    let history = admin.get("/api/v1/audit-events").await.ok().to_string();
    assert!(history.contains("pool_executor.set") && history.contains("pool_executor.deleted"), "{history}");
}

#[tokio::test]
async fn a_pool_is_limited_by_an_administrator_alone() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    let path = "/api/v1/pools/default/limit";
    let none = admin.get(path).await.refused(404);
    assert!(none["detail"].as_str().unwrap().contains("has no limit"), "{none}");
    admin.delete(path).await.refused(404);
    for (path, body, says) in [
        (path, json!({ "slots": -1 }), "From 0 to 100000 steps"),
        (path, json!({ "slots": 100_001 }), "From 0 to 100000 steps"),
        ("/api/v1/pools/No%20pool/limit", json!({ "slots": 1 }), "A pool's name is"),
        (path, json!({ "slots": "many" }), "expected a whole number"),
        (path, json!({ "slots": 99_999_999_999_i64 }), "slots: "),
        (path, json!({}), "slots"),
        (path, json!({ "slots": 1, "for": "me" }), "for"),
    ] {
        let refused = admin.put(path, body).await.refused(400);
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    for path in ["/api/v1/pools/No%20pool/limit", "/api/v1/pools/%00/limit"] {
        admin.get(path).await.refused(400);
        admin.delete(path).await.refused(400);
    }
    let contributor = app.member(Role::Contributor).await;
    contributor.put(path, json!({ "slots": 5 })).await.refused(403);
    contributor.delete(path).await.refused(403);

    assert_eq!(admin.put(path, json!({ "slots": 0 })).await.ok()["slots"], 0);
    assert_eq!(contributor.get(path).await.ok()["held"], 0);
    let run = start(&contributor, "name: limited\nsteps:\n  a: { command: 'true' }\n").await;
    let worker = Worker::start(&app);
    let deadline = Instant::now() + Duration::from_secs(30);
    while contributor.get(path).await.ok()["waiting"] != 1 {
        assert!(Instant::now() < deadline, "the step does not wait for its pool");
        sleep(Duration::from_millis(20)).await;
    }
    let page = app.browser(admin.user()).await.in_workspace("default");
    page.get("/workers").await.shows(200, &["at most 0 at once", "Delete limit", "Limit a pool"]);
    let typed = "pool=default&pool_slots=-3";
    page.form("/workers/pools", typed).await.shows(400, &["From 0 to 100000 steps", "value=\"-3\""]);
    page.form("/workers/pools", "pool=default&pool_slots=1").await.leads_to();
    assert_eq!(ended(&contributor, run).await["run"]["state"], "succeeded");
    page.form("/workers/pools/default/delete", "").await.leads_to();
    admin.get(path).await.refused(404);
    let html = app.browser(contributor.user()).await.in_workspace("default").get("/workers").await.text();
    assert!(!html.contains("Limit a pool"), "{html}");
    let history = admin.get("/api/v1/audit-events").await.ok().to_string();
    assert!(history.contains("pool_limit.set") && history.contains("pool_limit.deleted"), "{history}");
    worker.stop().await;
}

#[tokio::test]
async fn a_step_sees_the_gpus_that_it_was_given_and_no_others() {
    let app = TestApp::start().await;
    let client = app.member(Role::Contributor).await;
    let gpu = |uuid: &str, name: &str| Gpu { uuid: uuid.parse().unwrap(), name: name.to_owned() };
    let worker = Worker::with_gpus(&app, vec![gpu("GPU-one", "NVIDIA Test"), gpu("GPU-two", "")]);
    let gate = tempfile::tempdir().unwrap();
    let go = gate.path().join("go");
    let show = "echo \"$CUDA_VISIBLE_DEVICES|$NVIDIA_VISIBLE_DEVICES\"";
    let yaml = format!(
        r#"
name: gpus
steps:
  both:
    command: '{show}; while [ ! -e "{}" ]; do sleep 0.02; done'
    resources: {{ gpu: 2 }}
  # What the file says does not make it see those of others.
  none:
    command: '{show}'
    env: {{ CUDA_VISIBLE_DEVICES: "0,1", NVIDIA_VISIBLE_DEVICES: all }}
  one:
    command: '{show}'
    resources: {{ gpu: 1 }}
    needs: none
"#,
        go.display()
    );
    let run = start(&client, &yaml).await;
    let deadline = Instant::now() + PATIENCE;
    let queue = loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if queue["running"][0]["step"] == "both" && queue["ready"][0]["step"] == "one" {
            break queue;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(queue["workers"][0]["gpus"], json!(["GPU-one", "GPU-two"]));
    let holder = json!({ "pipeline": "gpus", "run": run, "step": "both" });
    let expected = json!([
        { "uuid": "GPU-two", "name": "", "held": true, "holder": holder },
        { "uuid": "GPU-one", "name": "NVIDIA Test", "held": true, "holder": holder },
    ]);
    assert_eq!(queue["gpus"], expected);
    let why = format!("for a GPU: those of the pool default are in use by gpus #{run}: both");
    assert_eq!(queue["ready"][0]["waits_for"], why);
    let page = client.get("/w/default/workers").await.text();
    for told in ["2 of 2 in use", "GPU-one", "NVIDIA Test", "For a GPU: those of the pool default are in use by"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let page = client.get(&format!("/w/default/pipeline-runs/{run}?step=one")).await.text();
    assert!(page.contains(&format!("It waits {why}.")), "{page}");

    std::fs::write(&go, "").unwrap();
    assert_eq!(ended(&client, run).await["run"]["state"], "succeeded");
    let mut had = Vec::new();
    for (step, gpus) in [("both", json!(["GPU-one", "GPU-two"])), ("none", json!([])), ("one", json!(["GPU-one"]))] {
        let path = format!("/api/v1/pipeline-runs/{run}/steps/{step}/attempts");
        let tries = client.get(&path).await.ok();
        let had_gpus: Vec<&Value> =
            tries["items"][0]["gpus"].as_array().into_iter().flatten().map(|gpu| &gpu["uuid"]).collect();
        assert_eq!(json!(had_gpus), gpus, "{step}: {tries}");
        let lines = log(&client, run, step, 1).await;
        had.extend(lines.into_iter().filter(|(stream, _)| stream == "out").map(|(_, text)| text));
    }
    assert_eq!(had, ["GPU-one,GPU-two|GPU-one,GPU-two", "|void", "GPU-one|GPU-one"]);
    let record = client.get(&format!("/api/v1/pipeline-runs/{run}/record")).await.ok();
    let of_one = record["steps"].as_array().unwrap().iter().find(|step| step["name"] == "one").unwrap();
    assert_eq!(of_one["gpus"], json!([{ "uuid": "GPU-one", "name": "NVIDIA Test" }]));
    let page = client.get(&format!("/w/default/pipeline-runs/{run}?step=one")).await.text();
    assert!(page.contains("NVIDIA Test (GPU-one)"), "{page}");

    // More than any worker has: it waits, and says why.
    let run = start(&client, "name: many\nsteps: { fit: { command: x, resources: { gpu: 3 } } }\n").await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let queue = client.get("/api/v1/workers").await.ok();
        if queue["ready"][0]["step"] == "fit" {
            break;
        }
        assert!(Instant::now() < deadline, "{queue}");
        sleep(Duration::from_millis(20)).await;
    }
    let page = client.get(&format!("/w/default/pipeline-runs/{run}?step=fit")).await.text();
    assert!(page.contains("It waits for 3 GPUs: no worker of the pool default has more than 2."), "{page}");
    client.post(&format!("/api/v1/pipeline-runs/{run}/cancel"), json!({})).await;
    worker.stop().await;

    let broken = "name: broken\nsteps: { fit: { command: x, resources: { gpu: 0.5 } } }\n";
    let refused = client.put("/api/v1/pipelines", json!({ "source": broken })).await.refused(400);
    assert!(refused.to_string().contains("is a whole number"), "{refused}");
}
