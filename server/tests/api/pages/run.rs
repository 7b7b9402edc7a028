//! The pages of runs: one with all its parts, and several beside each other.

use super::{browser, fields};
use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::{Value, json};

/// Logs so many points of each of these metrics.
async fn log(client: &Client, run: &str, keys: &[&str], points: i64) {
    let metrics: Vec<Value> = (0..points)
        .flat_map(|step| {
            keys.iter().map(move |key| json!({ "key": key, "value": 1.0 / (1 + step) as f64, "timestamp": step * 1000, "step": step }))
        })
        .collect();
    for part in metrics.chunks(1000) {
        client.ml("runs/log-batch", json!({ "run_id": run, "metrics": part })).await.ok();
    }
}

#[tokio::test]
async fn curves_stand_in_groups_and_single_values_in_a_table() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let run = ada.run("0").await;
    log(&ada, &run, &["loss", "val/loss", "val/acc", "system/cpu_utilization_percentage"], 3).await;
    log(&ada, &run, &["final/auc"], 1).await;

    let page = browser
        .get(&format!("/runs/{run}?tab=metrics"))
        .await
        .shows(200, &["data-group=\"val\"", "data-metric=\"val/acc\"", "final/auc", "One point 1", "All 4"]);
    assert!(!page.contains("data-metric=\"final/auc\"") && !page.contains("data-metric=\"system/"), "{page}");
    let found =
        browser.get(&format!("/runs/{run}?tab=metrics&metric=VAL")).await.shows(200, &["data-metric=\"val/loss\""]);
    assert!(!found.contains("data-metric=\"loss\""), "{found}");
    browser.get(&format!("/runs/{run}?tab=system")).await.shows(200, &["CPU utilization", ">%<"]);
}

#[tokio::test]
async fn a_run_of_thousands_of_metrics_shows_a_part_at_a_time() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let run = ada.run("0").await;
    let keys: Vec<String> = (0..3000).map(|at| format!("layer{}/grad/{at}", at / 1000)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    log(&ada, &run, &keys, 2).await;

    let page = format!("/runs/{run}?tab=metrics");
    let shown = ["1,000 charts", "layer2", "data-metric=\"layer0/grad/23\"", "976 more"];
    let first = browser.get(&page).await.shows(200, &shown);
    assert_eq!(first.matches("data-metric=").count(), 24);
    let opened = browser.get(&format!("{page}&open=layer1")).await.shows(200, &["data-metric=\"layer1/grad/1000\""]);
    assert!(!opened.contains("data-metric=\"layer0/"), "only what was opened is drawn");
    let further = format!("{page}&open=layer1&after=layer1%2Fgrad%2F1023");
    browser.get(&further).await.shows(200, &["data-metric=\"layer1/grad/1024\"", "952 more"]);
}

#[tokio::test]
async fn settings_in_the_address_change_what_is_drawn() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let run = ada.run("0").await;
    log(&ada, &run, &["loss"], 50).await;
    let page = format!("/runs/{run}?tab=metrics");
    let raw = browser.get(&page).await.text();
    assert!(!raw.contains("line k1 d0 raw"), "{raw}");
    browser.get(&format!("{page}&smoothing=0.6")).await.shows(200, &["line k1 d0 raw"]);
    browser
        .get(&format!("{page}&x=relative&y=log&outliers=ignored&start=1&end=9"))
        .await
        .shows(200, &["Reset zoom", "Range set"]);
    browser.get(&format!("{page}&x=up&y=down&smoothing=x&start=9&end=1")).await.shows(200, &["data-metric=\"loss\""]);
}

#[tokio::test]
async fn what_a_run_read_is_shown_with_its_columns_and_its_note_as_prose() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let run = ada.run("0").await;
    let tag =
        json!({ "run_id": run, "key": "mlflow.note.content", "value": "# Why\n\n**bold** <script>alert(1)</script>" });
    ada.ml("runs/set-tag", tag).await.ok();
    let dataset = json!({
        "name": "wine", "digest": "5be2", "source_type": "local", "source": "{\"uri\": \"wine.csv\"}",
        "schema": "{\"mlflow_colspec\": [{\"type\": \"double\", \"name\": \"alcohol\", \"required\": true}]}",
        "profile": "{\"num_rows\": 6812}",
    });
    ada.ml("runs/log-inputs", json!({ "run_id": run, "datasets": [{ "dataset": dataset, "tags": [] }] })).await.ok();
    let page =
        browser.get(&format!("/runs/{run}")).await.shows(200, &["<strong>bold</strong>", "Use in Python", "wine"]);
    assert!(!page.contains("<script>alert"), "{page}");
    browser.get(&format!("/runs/{run}?tab=inputs")).await.shows(200, &["alcohol", "double", "6,812", "wine.csv"]);
    browser.get(&format!("/runs/{run}?tab=history")).await.shows(200, &["started the run"]);
    browser.get(&format!("/runs/{run}?tab=params")).await.shows(200, &["0 params"]);
}

#[tokio::test]
async fn runs_are_compared_by_their_curves_and_by_what_differs() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let mut runs = Vec::new();
    for rate in ["0.1", "0.01", "0.001"] {
        let run = ada.run("0").await;
        log(&ada, &run, &["loss"], 20).await;
        let params = json!([{ "key": "lr", "value": rate }, { "key": "same", "value": "1" }]);
        ada.ml("runs/log-batch", json!({ "run_id": run, "params": params })).await.ok();
        runs.push(run);
    }
    let query: Vec<String> = runs.iter().map(|run| format!("run={run}")).collect();
    let page = format!("/runs/compare?{}", query.join("&"));
    let running = "data-is=\"running\"";
    let charts = browser.get(&page).await.shows(200, &["Compare 3 runs", "data-metric=\"loss\"", "3 runs", running]);
    let lines = |html: &str| html.matches("d0\" d=\"M44").count();
    assert_eq!(lines(&charts), 3);
    let hidden = browser.get(&format!("{page}&hide={}", runs[1])).await.text();
    assert_eq!(lines(&hidden), 2);
    let values = browser.get(&format!("{page}&tab=values")).await.shows(200, &["1 of 2 differ", ">lr</th>"]);
    assert!(!values.contains(">same</th>"), "{values}");
    browser.get(&format!("{page}&tab=values&differ=all")).await.shows(200, &[">same</th>"]);
    browser
        .get(&format!("{page}&tab=parallel&axis=params.lr&axis=metrics.loss"))
        .await
        .shows(200, &["3 runs over 2 axes"]);
    browser
        .get(&format!("{page}&tab=scatter&sx=params.lr&sy=metrics.loss&colour=params.same"))
        .await
        .shows(200, &["loss by lr"]);
    browser.get(&format!("{page}&tab=bars&bar=metrics.loss")).await.shows(200, &["loss of 3 runs"]);
    for (at, run) in runs.iter().enumerate() {
        let end = json!({ "run_id": run, "status": "FINISHED", "end_time": 1000 });
        ada.ml("runs/update", end).await.ok();
        let is = if at + 1 < runs.len() { running } else { "data-is=\"over\"" };
        browser.get(&page).await.shows(200, &["id=\"run-running\"", is]);
    }

    let many: Vec<String> = (0..51).map(|_| format!("run={}", domain::id::RunId::new().simple())).collect();
    browser.get(&format!("/runs/compare?{}", many.join("&"))).await.shows(400, &["At most 50 runs"]);
    browser.get("/runs/compare?run=x").await.shows(400, &["no run"]);
}

#[tokio::test]
async fn a_run_that_logged_nothing_says_how_to() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    ada.ml("runs/update", json!({ "run_id": run, "status": "FINISHED" })).await.ok();
    let viewer = browser(&app, Role::Viewer).await;
    viewer.get(&format!("/runs/{run}")).await.shows(200, &["mlflow.log_metric", "It logged no params."]);
    viewer.get(&format!("/runs/{run}?tab=inputs")).await.shows(200, &["mlflow.log_input"]);
}

#[tokio::test]
async fn runs_and_versions_are_talked_about_by_forms_alone() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let other = app.member(Role::Viewer).await;
    let reader = app.browser(other.user()).await.in_workspace("default");
    for subject in [format!("/runs/{run}"), "/models/churn/versions/1".to_owned()] {
        let page = format!("{subject}?tab=comments");
        let comments = format!("/w/default{page}");
        let say = async |text: &str| browser.form(&format!("{subject}/comments"), &fields(&[("text", text)])).await;
        browser.get(&page).await.shows(200, &["Nobody has said anything", "Say something"]);
        assert_eq!(say("Is *this* <b>leak</b>?").await.leads_to(), comments);
        let html = browser.get(&page).await.shows(200, &["<em>this</em>", &ada.user().name, "/delete\""]);
        assert!(!html.contains("<b>leak</b>"), "{html}");
        say(" ").await.shows(400, &["a comment is not empty", "<em>this</em>"]);
        let long = "x".repeat((64 << 10) + 1);
        say(&long).await.shows(400, &["at most 64 KiB", &long]);
        // How many there are is told from every part of the page.
        browser.get(&subject).await.shows(200, &["Comments<span class=\"n\">1</span>"]);
        // Somebody else reads it, and cannot take it back.
        let html = reader.get(&page).await.shows(200, &["<em>this</em>"]);
        assert!(!html.contains("/delete\"") && !html.contains("Say something"), "{html}");
        let action = delete_action(&browser.get(&page).await.text());
        reader.form(&action, &fields(&[])).await.shows(403, &[]);
        reader.form(&format!("{subject}/comments"), &fields(&[("text", "x")])).await.shows(403, &[]);
        assert_eq!(browser.form(&action, &fields(&[])).await.leads_to(), comments);
        browser.get(&page).await.shows(200, &["Nobody has said anything", "Comments<span class=\"n\">0</span>"]);
    }
    browser.form("/models/churn/versions/2/comments", &fields(&[("text", "x")])).await.shows(404, &[]);
}

#[tokio::test]
async fn a_run_is_renamed_noted_and_tagged_by_forms_alone() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let page = format!("/runs/{run}");
    let send = async |pairs: &[(&str, &str)]| browser.form(&page, &fields(pairs)).await;
    let here = format!("/w/default{page}");

    // One comes back to where one was.
    let renamed = send(&[("do", "rename"), ("run_name", " first try "), ("back", "tab=params&x=relative")]).await;
    assert_eq!(renamed.leads_to(), format!("{here}?tab=params&x=relative"));
    browser.get(&page).await.shows(200, &["The run is called first try now.", "renamed the run"]);
    assert_eq!(ada.read_run(&run).await["info"]["run_name"], "first try");
    for (wrong, why) in [("", "A run has a name"), (" ", "A run has a name"), (&*"n".repeat(251), "250 characters")] {
        let again = send(&[("do", "rename"), ("run_name", wrong), ("back", "tab=params")]).await;
        again.shows(400, &[why, &format!("value=\"{}\"", wrong), "aria-invalid=\"true\"", "0 params"]);
    }

    browser.get(&format!("{page}?edit=note")).await.shows(200, &["Save note", "name=\"note\""]);
    let note =
        send(&[("do", "note"), ("note", "\r\n# Why\r\n\r\n<script>alert(1)</script>\r\n\r\n**bold**\r\n")]).await;
    assert_eq!(note.leads_to(), here);
    let html = browser.get(&page).await.shows(200, &["The note is saved.", "<strong>bold</strong>", "Edit the note"]);
    assert!(!html.contains("<script>alert"), "{html}");
    let tags = async || ada.read_run(&run).await["data"]["tags"].to_string();
    assert!(tags().await.contains(r##""# Why\n\n<script>"##), "{}", tags().await);
    let long = "é".repeat(8001);
    send(&[("do", "note"), ("note", &long)]).await.shows(400, &["at most 8000 characters; this one has 8001", &long]);
    send(&[("do", "note"), ("note", "a\0b")]).await.shows(400, &["Save note"]);
    assert_eq!(send(&[("do", "note"), ("note", " \r\n")]).await.leads_to(), here);
    assert_eq!(send(&[("do", "note"), ("note", "")]).await.leads_to(), here, "again changes nothing");
    assert!(!tags().await.contains("mlflow.note.content"), "{}", tags().await);

    assert_eq!(send(&[("do", "tag"), ("key", " team "), ("value", "lab <b>")]).await.leads_to(), here);
    browser.get(&page).await.shows(200, &["The tag team is set.", "lab &lt;b&gt;", "Remove the tag team"]);
    for (key, value, why) in [
        ("", "v", "A tag has a key"),
        ("mlflow.runName", "v", "are for clients"),
        ("mlflow.note.content", "v", "are for clients"),
        ("a@b", "v", "Names may only contain"),
        ("../up", "v", "must not resolve"),
        (&*"k".repeat(251), "v", "250 characters"),
        ("k", &*"v".repeat(8001), "at most 8000 characters"),
    ] {
        let again = send(&[("do", "tag"), ("key", key), ("value", value)]).await;
        let (key, value) = (format!("value=\"{key}\""), format!("value=\"{value}\""));
        again.shows(400, &[why, &key, &value, "aria-invalid=\"true\"", "<details open class=\"add-tag\""]);
    }
    for _ in 0..2 {
        assert_eq!(send(&[("do", "untag"), ("key", "team")]).await.leads_to(), here, "the same again changes nothing");
    }
    assert!(!tags().await.contains("team"), "{}", tags().await);
    send(&[("do", "nothing")]).await.shows(400, &["does not say what to do"]);
    let none = domain::id::RunId::new().simple();
    for act in ["rename", "note", "tag", "untag", "delete", "restore"] {
        let pairs = fields(&[("do", act), ("run_name", "n"), ("note", "n"), ("key", "k")]);
        browser.form(&format!("/runs/{none}"), &pairs).await.shows(404, &[]);
    }
}

#[tokio::test]
async fn a_run_that_is_deleted_says_so_and_is_restored() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let page = format!("/runs/{run}");
    let send = async |pairs: &[(&str, &str)]| browser.form(&page, &fields(pairs)).await;
    for _ in 0..2 {
        assert_eq!(
            send(&[("do", "delete"), ("back", "tab=history")]).await.leads_to(),
            format!("/w/default{page}?tab=history")
        );
    }
    let html = browser.get(&page).await.shows(200, &["This run is deleted", "Restore run", "deleted the run"]);
    for form in ["popovertarget=\"rename\"", "Add a tag", "Add a note"] {
        assert!(!html.contains(form), "{form} in {html}");
    }
    // What somebody was typing when another deleted it is not lost.
    send(&[("do", "rename"), ("run_name", "late")]).await.shows(400, &["must be in the", "value=\"late\""]);
    send(&[("do", "note"), ("note", "late")]).await.shows(400, &["must be in the", "late"]);
    send(&[("do", "tag"), ("key", "late"), ("value", "v")]).await.shows(400, &["must be in the", "value=\"late\""]);
    send(&[("do", "untag"), ("key", "late")]).await.shows(400, &["must be in the"]);
    send(&[("do", "restore")]).await.leads_to();
    browser.get(&page).await.shows(200, &["The run is restored.", "popovertarget=\"rename\"", "Add a tag"]);

    let viewer = super::browser(&app, Role::Viewer).await;
    let html = viewer.get(&page).await.text();
    for form in ["popovertarget=\"rename\"", "Add a tag", "Add a note"] {
        assert!(!html.contains(form), "{form} in {html}");
    }
    let html = viewer.get(&format!("{page}?edit=note")).await.text();
    assert!(!html.contains("Save note"), "{html}");
    for act in ["rename", "note", "tag", "untag", "delete", "restore"] {
        viewer.form(&page, &fields(&[("do", act)])).await.shows(403, &[]);
    }
    ada.ml("runs/delete", json!({ "run_id": run })).await.ok();
    let html = viewer.get(&page).await.shows(200, &["This run is deleted"]);
    assert!(!html.contains("Restore run"), "{html}");
}

/// Where the form that deletes a comment leads, from the workspace on.
fn delete_action(html: &str) -> String {
    let end = html.find("/delete\"").unwrap() + "/delete".len();
    let start = html[..end].rfind('"').unwrap() + 1;
    html[start..end].trim_start_matches("/w/default").to_owned()
}
