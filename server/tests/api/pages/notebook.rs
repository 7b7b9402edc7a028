//! Notebooks of steps: what a worker keeps of them, what pages and addresses show. The program that runs them here is a
//! script in Python's place; the real one is run by `end2end/notebooks`.

use crate::{
    app::{Client, TestApp},
    step::{Worker, ended, start},
};
use axum::{
    body::Body,
    http::{HeaderName, Method},
};
use domain::permission::Role;
use serde_json::{Value, json};

const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// A cell of code with an output of each sort.
fn executed(rate: &str) -> String {
    json!({
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": { "language_info": { "name": "python" } },
        "cells": [
            { "cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Report\n\nLoss $x^2$ <img src=x onerror=alert(1)>" },
            { "cell_type": "code", "id": "b", "metadata": { "tags": ["injected-parameters"] }, "execution_count": 1,
              "source": format!("rate = {rate}"), "outputs": [] },
            { "cell_type": "code", "id": "c", "metadata": {}, "execution_count": 2, "source": "show(rate)", "outputs": [
                { "output_type": "stream", "name": "stdout", "text": format!("\u{1b}[31m{rate}\u{1b}[0m <script>alert(2)</script>") },
                { "output_type": "display_data", "metadata": {}, "data": {
                    "text/html": "<script>document.title = document.cookie</script>", "text/plain": "a plot" } },
                { "output_type": "display_data", "metadata": {}, "data": {
                    "text/html": "<table><tr><th>n</th></tr><tr><td onclick=alert(3)>41</td></tr></table>" } },
            ] },
        ],
    })
    .to_string()
}

const SOURCE: &str = r#"{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"markdown","id":"a","metadata":{},"source":"Report"},{"cell_type":"code","id":"c","metadata":{},"execution_count":null,"outputs":[],"source":"show(rate)"}]}"#;

/// A pipeline with a notebook, which a script of these lines runs. `$1` is the program, `$2` the notebook, `$3` where the
/// executed one goes.
fn pipeline(name: &str, script: &str, rate: &str) -> String {
    let indented =
        |text: &str, by: usize| text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect::<String>();
    format!(
        "name: {name}\nparams: {{ rate: 0.5 }}\nfiles:\n  report.ipynb: |\n{}  done.ipynb: |\n{}  bin/python3: |\n{}steps:\n  \
         report:\n    notebook: report.ipynb\n    env: {{ PATH: 'bin:/usr/bin:/bin' }}\n    timeout: 1m\n",
        indented(SOURCE, 4),
        indented(&executed(rate), 4),
        indented(&format!("#!/bin/sh\nset -e\nmkdir -p executed\n{script}"), 4),
    )
}

const WHOLE: &str = "echo '{\"cells\":2,\"done\":2,\"pulse\":3,\"revision\":2,\"is_whole\":true}' > .slipway/progress.json\ncp done.ipynb \"$3\"\ncat .slipway/params.json";

const FAILED: &str = "echo '{\"cells\":2,\"done\":1,\"cell\":3,\"turn\":2,\"name\":\"show(rate)\",\"pulse\":3,\"revision\":1,\"failure\":\"cell 2 of 2 (\\\"show(rate)\\\") failed: ValueError: no rows\"}' > .slipway/progress.json\nsed \"s/a plot/$SLIPWAY_TOKEN/\" done.ipynb > \"$3\"\nexit 1";

struct Notebook {
    client: Client,
    page: Client,
    run: i64,
}

impl Notebook {
    async fn get(&self, rest: &str) -> Value {
        let path = format!("/api/v1/pipeline-runs/{}/steps/report/attempts/1/notebook{rest}", self.run);
        self.client.get(&path).await.ok()
    }

    fn page_path(&self, rest: &str) -> String {
        format!("/pipeline-runs/{}/steps/report/attempts/1/notebook{rest}", self.run)
    }

    async fn text(&self, rest: &str) -> String {
        let path = format!("/api/v1/pipeline-runs/{}/steps/report/attempts/1/notebook{rest}", self.run);
        let answer = self.client.get(&path).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer.text()
    }
}

async fn run(app: &TestApp, yaml: &str) -> (Notebook, Value) {
    let client = app.member(Role::Contributor).await;
    let page = app.browser(client.user()).await.in_workspace("default");
    let run = start(&client, yaml).await;
    let detail = ended(&client, run).await;
    (Notebook { client, page, run }, detail)
}

#[tokio::test]
async fn an_executed_notebook_is_an_output_and_is_shown_without_anything_that_runs() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let (notebook, detail) = run(&app, &pipeline("whole", WHOLE, "0.5")).await;
    assert_eq!(detail["run"]["state"], "succeeded", "{detail}");
    let output = &detail["steps"][0]["outputs"][0];
    assert_eq!((output["name"].as_str(), output["path"].as_str()), (Some("notebook"), Some("executed/report.ipynb")));

    let about = notebook.get("").await;
    assert_eq!((about["path"].as_str(), about["done"].as_i64()), (Some("report.ipynb"), Some(2)));
    assert_eq!(about["executed"], output["digest"]);
    assert_eq!(notebook.text("/content").await.trim(), executed("0.5"));
    assert_eq!(notebook.text("/source").await.trim(), SOURCE);

    let page = notebook.page.get(&notebook.page_path("")).await;
    let html = page.shows(200, &["Report</h3>", "<math", "injected-parameters", "<td class=\"num\">41</td>", "a plot"]);
    for bad in ["onerror", "onclick", "<script>alert", "document.cookie"] {
        assert!(!html.contains(bad), "{bad}: {html}");
    }
    assert!(
        html.contains("sandbox=\"allow-scripts\"") && html.contains("/notebook/shown?cell=2&amp;output=1"),
        "{html}"
    );
    assert!(page.header("content-security-policy").contains("frame-src 'self';"));
    let inline = notebook.page.get(&format!("/pipeline-runs/{}", notebook.run)).await;
    inline.shows(200, &["Notebook", "2 cells of code", "injected-parameters"]);

    let document = notebook.text("/html").await;
    assert!(
        document.contains("Report</h3>") && !document.contains("onerror") && !document.contains("<iframe"),
        "{document}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_document_of_an_output_is_sent_to_a_frame_alone() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let (notebook, _) = run(&app, &pipeline("framed", WHOLE, "0.5")).await;
    let shown = async |query: &str, dest: &str| {
        let request = notebook.page.request(Method::GET, &notebook.page_path(&format!("/shown?{query}")));
        notebook.page.send(request.header(DEST, dest).body(Body::empty()).unwrap()).await
    };
    let framed = shown("cell=2&output=1", "iframe").await;
    assert_eq!(framed.status.as_u16(), 200);
    assert!(framed.text().contains("document.cookie"));
    let policy = framed.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox allow-scripts"), "{policy}");
    assert!(policy.contains("connect-src 'none'") && !policy.contains("allow-same-origin"), "{policy}");
    let own = shown("cell=2&output=1", "document").await;
    assert!(own.leads_to().ends_with("/notebook#cell-3"), "{own:?}");
    for nothing in ["cell=0&output=0", "cell=9&output=9", "cell=2&output=0"] {
        assert_eq!(shown(nothing, "iframe").await.status.as_u16(), 404, "{nothing}");
    }
    assert_eq!(shown("cell=x&output=0", "iframe").await.status.as_u16(), 400);
    worker.stop().await;
}

#[tokio::test]
async fn a_notebook_that_fails_is_kept_without_secrets_and_its_cell_is_named() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let (notebook, detail) = run(&app, &pipeline("failed", FAILED, "0.5")).await;
    let step = &detail["steps"][0];
    assert_eq!(step["state"], "failed");
    assert_eq!(step["reason"], "cell 2 of 2 (\"show(rate)\") failed: ValueError: no rows");
    let content = notebook.text("/content").await;
    assert!(content.contains("***") && !content.contains("slipway_"), "{content}");
    let about = notebook.get("").await;
    assert_eq!((about["cell"].as_i64(), about["executed"].is_string()), (Some(3), true));
    notebook.page.get(&notebook.page_path("")).await.shows(200, &["failed: ValueError: no rows", "#cell-3"]);
    worker.stop().await;
}

#[tokio::test]
async fn what_there_is_of_a_notebook_is_seen_while_it_runs() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let script = "echo '{\"cells\":2,\"done\":1,\"cell\":3,\"turn\":2,\"name\":\"show(rate)\",\"since\":1700000000000,\"pulse\":1,\"revision\":1}' > .slipway/progress.json\ncp done.ipynb \"$3\"\nwhile ! [ -e \"$HOME/../go\" ]; do sleep 0.1; done";
    let client = app.member(Role::Contributor).await;
    let page = app.browser(client.user()).await.in_workspace("default");
    let run = start(&client, &pipeline("live", script, "0.25")).await;
    let notebook = Notebook { client, page, run };
    let path = format!("/api/v1/pipeline-runs/{run}/steps/report/attempts/1/notebook/content");
    let deadline = tokio::time::Instant::now() + crate::step::PATIENCE;
    loop {
        let answer = notebook.client.get(&path).await;
        if answer.status.as_u16() == 200 {
            assert_eq!(answer.text().trim(), executed("0.25"));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let about = notebook.get("").await;
    assert_eq!((about["name"].as_str(), about["executed"].is_null()), (Some("show(rate)"), true));
    let html = notebook.page.get(&notebook.page_path("")).await;
    html.shows(200, &["Cell 2 of 2 (\"show(rate)\")", "data-s=\"run\"", "data-seconds="]);
    notebook.client.post(&format!("/api/v1/pipeline-runs/{run}/cancel"), json!({})).await.ok();
    let detail = ended(&notebook.client, run).await;
    assert_eq!(detail["run"]["state"], "cancelled");
    // Kept, however it ended.
    assert!(notebook.get("").await["executed"].is_string());
    worker.stop().await;
}

#[tokio::test]
async fn two_notebooks_are_compared_cell_by_cell() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let (first, _) = run(&app, &pipeline("compared", WHOLE, "0.5")).await;
    let (second, _) = run(&app, &pipeline("compared", WHOLE, "0.75")).await;
    let diff = second.get("/diff").await;
    assert_eq!((diff["added"].as_i64(), diff["outputs"].as_i64()), (Some(1), Some(1)), "{diff}");
    let diff = second.get(&format!("/diff?against={}", first.run)).await;
    assert_eq!(
        (diff["added"].as_i64(), diff["changed"].as_i64(), diff["outputs"].as_i64()),
        (Some(0), Some(1), Some(1))
    );
    assert_eq!(diff["cells"][0]["change"], "same");
    let page = second.page.get(&second.page_path(&format!("?against={}", first.run))).await;
    page.shows(200, &["1 cell changed, 1 cell with other outputs", "rate = 0.75", "Removed: "]);
    second.page.get(&second.page_path("?against=source")).await.shows(200, &["1 cell added", "rate = 0.75"]);
    second.page.get(&second.page_path("?against=nonsense")).await.shows(200, &["the number of another run"]);
    second.page.get(&second.page_path("?against=999999")).await.shows(200, &["Not compared"]);
    for (wrong, status) in [("against=x", 400), ("against=999999", 404), ("against=source&attempt=x", 400)] {
        let path = format!("/api/v1/pipeline-runs/{}/steps/report/attempts/1/notebook/diff?{wrong}", second.run);
        second.client.get(&path).await.refused(status);
    }
    // The notebook that a pipeline brings, between two of its versions.
    let changed =
        pipeline("compared", WHOLE, "0.75").replace("\"source\":\"show(rate)\"", "\"source\":\"show(rate, 2)\"");
    second.client.put("/api/v1/pipelines", json!({ "source": changed })).await.ok();
    let path = "/api/v1/pipelines/compared/notebook-diff?path=report.ipynb&before=2&after=3";
    let diff = second.client.get(path).await.ok();
    assert_eq!((diff["changed"].as_i64(), diff["added"].as_i64()), (Some(1), Some(0)), "{diff}");
    second.client.get(&path.replace("report", "none")).await.refused(404);
    second
        .client
        .get(&path.replace("bin/python3", "x").replace("path=report.ipynb", "path=bin/python3"))
        .await
        .refused(400);
    second
        .page
        .get("/pipelines/compared/file?version=3&against=2")
        .await
        .shows(200, &["report.ipynb", "1 cell changed"]);
    worker.stop().await;
}

#[tokio::test]
async fn a_step_without_a_notebook_has_none() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let (none, _) = run(&app, "name: plain\nsteps: { report: { command: [\"true\"] } }\n").await;
    for rest in ["", "/content", "/source", "/html", "/diff"] {
        let path = format!("/api/v1/pipeline-runs/{}/steps/report/attempts/1/notebook{rest}", none.run);
        none.client.get(&path).await.refused(404);
    }
    none.page.get(&none.page_path("")).await.shows(404, &["has run no notebook"]);
    worker.stop().await;
}

#[tokio::test]
async fn what_no_browser_can_read_is_kept_and_told() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let script = "printf 'not json' > \"$3\"\nprintf '{\"cells\": \"many\"' > .slipway/progress.json";
    let (odd, detail) = run(&app, &pipeline("odd", script, "1")).await;
    assert_eq!(detail["run"]["state"], "succeeded");
    odd.page.get(&odd.page_path("")).await.shows(200, &["no notebook of format 4"]);
    odd.page.get(&odd.page_path("?against=source")).await.shows(200, &["cannot be compared"]);
    odd.client
        .get(&format!("/api/v1/pipeline-runs/{}/steps/report/attempts/1/notebook/html", odd.run))
        .await
        .refused(400);
    worker.stop().await;
}

#[tokio::test]
async fn a_step_that_gave_its_notebook_before_shows_it_again() {
    let app = TestApp::start().await;
    let worker = Worker::start(&app);
    let yaml = pipeline("cached", WHOLE, "0.5") + "    cache: true\n    executor: process\n";
    let (first, _) = run(&app, &yaml).await;
    let again = start(&first.client, &yaml).await;
    let detail = ended(&first.client, again).await;
    let step = &detail["steps"][0];
    let second = Notebook { run: again, ..first };
    // Whether it ran or not, it is there.
    assert_eq!(second.get("").await["executed"], step["outputs"][0]["digest"]);
    second.page.get(&second.page_path("")).await.shows(200, &["Report</h3>", "2 cells of code"]);
    second.page.get(&second.page_path("?against=source")).await.shows(200, &["1 cell added"]);
    worker.stop().await;
}
