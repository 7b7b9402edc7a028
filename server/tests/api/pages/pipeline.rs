//! Pipelines are written, started, watched and cancelled in the browser.

use super::{browser, fields, value};
use crate::app::{Client, TestApp};
use domain::permission::Role;

pub(super) const FILE: &str = "\
name: wine
params: { rounds: 20, balanced: false, note: '' }
steps:
  prepare:
    command: 'true'
  train:
    command: python train.py
    needs: prepare
    timeout: 15m
";

async fn contributor(app: &TestApp) -> Client {
    let contributor = browser(app, Role::Contributor).await;
    let stored = contributor.form("/pipelines/new", &fields(&[("source", FILE)])).await;
    assert_eq!(stored.leads_to(), "/w/default/pipelines/wine");
    contributor
}

#[tokio::test]
async fn a_file_with_mistakes_is_kept_and_each_is_shown_at_its_line() {
    let app = TestApp::start().await;
    let contributor = browser(&app, Role::Contributor).await;
    let wrong = FILE.replace("timeout: 15m", "timeuot: 15m").replace("needs: prepare", "needs: prepair");
    // Browsers send the line ends of the wire.
    let sent = contributor.form("/pipelines/new", &fields(&[("source", &wrong.replace('\n', "\r\n"))])).await;
    let html = sent.shows(
        400,
        &[
            "2 problems",
            "Line 8, column 12",
            "did you mean \"prepare\"?",
            "<mark>timeuot</mark>: 15m",
            "needs: prepair\n",
        ],
    );
    assert!(!html.contains('\r'));
    contributor.get("/pipelines").await.shows(200, &["No pipeline yet"]);
}

#[tokio::test]
async fn a_new_version_is_stored_under_the_same_name_only() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    contributor.get("/pipelines/wine").await.shows(200, &["The pipeline is stored.", "It has never run"]);
    contributor.get("/pipelines/wine/edit").await.shows(200, &["command: python train.py"]);

    let other = FILE.replace("name: wine", "name: beer");
    contributor
        .form("/pipelines/wine/edit", &fields(&[("source", &other)]))
        .await
        .shows(400, &["The file is named \"beer\"", "name: beer"]);

    let next = FILE.replace("rounds: 20", "rounds: 30");
    contributor.form("/pipelines/wine/edit", &fields(&[("source", &next)])).await.leads_to();
    contributor
        .get("/pipelines/wine")
        .await
        .shows(200, &["Version 2 is stored, and runs from now on.", "30 in the file", "stored version 2"]);
    contributor.form("/pipelines/wine/edit", &fields(&[("source", FILE)])).await.leads_to();
    contributor.get("/pipelines/wine").await.shows(200, &["The file says the same as version 1", "20 in the file"]);
    contributor.get("/pipelines/wine/file?version=2").await.shows(200, &["Version 2 does not run any more."]);
    // A mistake does not make one have seen what was stored meanwhile.
    let broken = fields(&[("source", "name: wine\nsteps: 1\n"), ("instead_of", "2")]);
    let html = contributor.form("/pipelines/wine/edit", &broken).await.shows(400, &["nothing was stored"]);
    assert_eq!(value(&html, "instead_of"), "2");
    // Whoever looked at the version before overwrites nothing, and loses nothing.
    let third = FILE.replace("rounds: 20", "rounds: 40");
    let stale = fields(&[("source", &third), ("instead_of", "2")]);
    let html = contributor.form("/pipelines/wine/edit", &stale).await;
    let html =
        html.shows(409, &["Somebody stored version 1 of this pipeline since you opened version 2.", "rounds: 40"]);
    let again = fields(&[("source", &third), ("instead_of", &value(&html, "instead_of"))]);
    contributor.form("/pipelines/wine/edit", &again).await.leads_to();
    contributor.get("/pipelines/wine").await.shows(200, &["Version 3 is stored"]);
    let source = contributor.get("/pipelines/wine/source?version=2").await;
    assert_eq!((source.text(), source.header("content-type")), (next, "text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_refused_run_keeps_what_was_typed() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let typed = fields(&[("params.rounds", "many"), ("params.balanced", "true"), ("params.note", "try it")]);
    contributor.form("/pipelines/wine/runs", &typed).await.shows(
        400,
        &["The param \"rounds\" must be a number.", "value=\"many\"", "value=\"try it\"", "aria-invalid=\"true\""],
    );
    contributor.get("/pipelines/wine").await.shows(200, &["It has never run"]);
}

const CHOICES: &str = "\
name: choices
params:
  deploy: { type: boolean }
  rate: { type: number, default: 0.5, minimum: 0, maximum: 1 }
  tag: { type: string, optional: true }
  query: { type: string, default: \"select 1\\nfrom here\" }
steps:
  only: { command: 'true' }
";

#[tokio::test]
async fn what_is_needed_is_asked_for_and_what_was_left_out_can_be_given_to_another_run() {
    let app = TestApp::start().await;
    let contributor = browser(&app, Role::Contributor).await;
    contributor.form("/pipelines/new", &fields(&[("source", CHOICES)])).await.leads_to();
    let html = contributor.get("/pipelines/choices").await.shows(
        200,
        &[
            "<option value=\"\">Choose</option>",
            "min=\"0\" max=\"1\" step=\"any\"",
            "Run every step, also what is kept",
        ],
    );
    assert!(!html.contains("value=\"true\" selected"), "{html}");
    // As a browser sends the form where nobody has chosen.
    let sent = |deploy: &str| {
        let query = "select 1\r\nfrom here";
        fields(&[("params.deploy", deploy), ("params.rate", "0.5"), ("params.tag", ""), ("params.query", query)])
    };
    let why = ["The param \"deploy\" must be true or false.", "<option value=\"\" selected>Choose</option>"];
    contributor.form("/pipelines/choices/runs", &sent("")).await.shows(400, &why);
    contributor.form("/pipelines/choices/runs", &sent("false")).await.leads_to();
    // The text is as in the file: a browser's line ends are none of it.
    contributor.get("/pipeline-runs/1").await.shows(200, &["3, 1 not as in the file", "name=\"params.tag\""]);
    let again = fields(&[("key", "k"), ("params.deploy", "true"), ("params.tag", "late")]);
    assert_eq!(contributor.form("/pipeline-runs/1/rerun", &again).await.leads_to(), "/w/default/pipeline-runs/2");
    contributor.get("/pipeline-runs/2").await.shows(200, &["late", "4, 2 not as in the file"]);
}

#[tokio::test]
async fn an_older_version_is_started_from_its_own_form() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let next = FILE.replace("rounds: 20", "rounds: 30");
    contributor.form("/pipelines/wine/edit", &fields(&[("source", &next), ("instead_of", "1")])).await.leads_to();
    contributor.get("/pipelines/wine/file?version=1").await.shows(200, &["/w/default/pipelines/wine?version=1#start"]);
    let html = contributor.get("/pipelines/wine?version=1").await.shows(200, &["not the one that runs now"]);
    assert_eq!((value(&html, "version"), html.contains("value=\"20\"")), ("1".to_owned(), true));
    // One that was refused is shown again for the version that it was for.
    let wrong = fields(&[("version", "1"), ("params.rounds", "many")]);
    contributor.form("/pipelines/wine/runs", &wrong).await.shows(400, &["not the one that runs now", "value=\"many\""]);
    contributor.form("/pipelines/wine/runs", &fields(&[("version", "1")])).await.leads_to();
    contributor.get("/pipeline-runs/1").await.shows(200, &["Version 1"]);
    contributor.get("/pipelines/wine?version=9").await.shows(404, &["There is nothing here"]);
    contributor.get("/pipelines/wine?version=x").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_version_is_compared_with_any_other() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    for (rounds, seen) in [("30", "1"), ("40", "2")] {
        let next = FILE.replace("rounds: 20", &format!("rounds: {rounds}"));
        contributor.form("/pipelines/wine/edit", &fields(&[("source", &next), ("instead_of", seen)])).await.leads_to();
    }
    contributor
        .get("/pipelines/wine/file?version=3")
        .await
        .shows(200, &["Compare with", "<option value=\"1\">version 1", "<option value=\"2\" selected"]);
    let html = contributor.get("/pipelines/wine/file?version=3&against=1").await.shows(200, &["Since version 1"]);
    assert!(html.contains("rounds: 20") && !html.contains("rounds: 30"), "{html}");
}

#[tokio::test]
async fn a_run_of_a_version_that_is_no_number_is_refused_and_not_one_of_the_newest() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    for version in ["two", "1.5", "99999999999"] {
        let typed = fields(&[("version", version), ("params.rounds", "30")]);
        let texts = ["A version is named by its number.", "value=\"30\""];
        contributor.form("/pipelines/wine/runs", &typed).await.shows(400, &texts);
    }
    let typed = fields(&[("version", "9"), ("params.rounds", "30")]);
    contributor.form("/pipelines/wine/runs", &typed).await.shows(404, &["There is nothing here"]);
    contributor.get("/pipelines/wine").await.shows(200, &["It has never run"]);
}

#[tokio::test]
async fn a_button_pressed_twice_starts_one_run_and_a_changed_form_another() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    let key = value(&contributor.get("/pipelines/wine").await.text(), "key");
    let press = |rounds: &'static str| {
        let (contributor, typed) = (contributor.clone(), fields(&[("key", &key), ("params.rounds", rounds)]));
        async move { contributor.form("/pipelines/wine/runs", &typed).await.leads_to().to_owned() }
    };
    assert_eq!(press("50").await, "/w/default/pipeline-runs/1");
    assert_eq!(press("50").await, "/w/default/pipeline-runs/1");
    assert_eq!(press("60").await, "/w/default/pipeline-runs/2");
    contributor.get("/pipelines/wine").await.shows(200, &["rounds=50", "rounds=60"]);
    contributor.get("/pipelines/wine?state=failed").await.shows(200, &["No run is failed"]);
    // The form of a run with its params begins with them.
    contributor.get("/pipelines/wine?from=1").await.shows(200, &["params of #1", "value=\"50\""]);
}

#[tokio::test]
async fn a_run_shows_its_steps_and_is_cancelled_and_run_again() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    contributor.form("/pipelines/wine/runs", &fields(&[("params.rounds", "50")])).await.leads_to();
    let html = contributor
        .get("/pipeline-runs/1?step=train&view=gantt")
        .await
        .shows(200, &["1 queued, 1 waiting", "It waits for prepare.", "python train.py", "15 min", "instead of 20"]);
    assert!(html.contains("Does not begin: ") && html.contains("prepare, train"), "{html}");

    assert_eq!(contributor.form("/pipeline-runs/1/cancel", "").await.leads_to(), "/w/default/pipeline-runs/1");
    let html = contributor.get("/pipeline-runs/1").await.shows(200, &["The run is cancelled.", "2 cancelled"]);
    assert!(!html.contains("Cancel run"), "{html}");

    let again = fields(&[("key", &value(&html, "key"))]);
    for _ in 0..2 {
        let started = contributor.form("/pipeline-runs/1/rerun", &again).await;
        assert_eq!(started.leads_to(), "/w/default/pipeline-runs/2");
    }
    contributor.get("/pipeline-runs/2").await.shows(200, &["This is #1 again", "instead of 20"]);
}

#[tokio::test]
async fn the_list_of_runs_is_narrowed_and_keeps_what_was_asked_for_when_that_cannot_be() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    contributor.form("/pipelines/wine/runs", &fields(&[("params.rounds", "50")])).await.leads_to();
    contributor.form("/pipelines/wine/runs", &fields(&[("params.rounds", "60")])).await.leads_to();
    contributor.get("/pipeline-runs").await.shows(200, &["pipeline-runs/1", "pipeline-runs/2", "2 queued"]);
    let html = contributor.get("/pipeline-runs?q=rounds%3D60&cause=person&state=queued").await.text();
    assert!(html.contains("pipeline-runs/2") && !html.contains("pipeline-runs/1\""), "{html}");
    contributor.get("/pipeline-runs?to=2001-01-01").await.shows(200, &["No run fits", "value=\"2001-01-01\""]);
    for (query, why) in [
        ("from=soon", "Give the day"),
        ("state=lost", "There is no such state."),
        ("cause=fate", "There is no such cause."),
        ("q=%00", "Look for up to 200 characters."),
        ("from=-200000-01-01", "Give a time of the years 1 to 9999."),
    ] {
        contributor.get(&format!("/pipeline-runs?{query}")).await.shows(400, &[why, "aria-label=\"Filter runs\""]);
    }
    contributor.get("/pipeline-runs?pipeline=beer").await.shows(404, &["No pipeline \"beer\""]);
}

#[tokio::test]
async fn whoever_may_not_run_sees_no_form() {
    let app = TestApp::start().await;
    let contributor = contributor(&app).await;
    contributor.form("/pipelines/wine/runs", "").await.leads_to();
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/pipelines/wine").await.shows(200, &["/w/default/pipeline-runs/1"]);
    assert!(!html.contains("Start a run") && !html.contains("Edit file"), "{html}");
    let html = viewer.get("/pipeline-runs/1").await.shows(200, &["Queued"]);
    assert!(!html.contains("Run again") && !html.contains("Cancel run"), "{html}");
}

#[tokio::test]
async fn a_step_that_asks_is_decided_on_the_page_of_its_run() {
    let app = TestApp::start().await;
    let (contributor, approver) = (browser(&app, Role::Contributor).await, browser(&app, Role::Approver).await);
    let file = "name: train\nsteps:\n  release: { description: Good enough?, approval: {} }\n  next: { command: 'true', needs: release }\n";
    contributor.form("/pipelines/new", &fields(&[("source", file)])).await.leads_to();
    contributor.form("/pipelines/train/runs", "key=once").await.leads_to();
    let home = approver.get("/").await.shows(200, &["Release of train #1", "?step=release"]);
    assert!(home.contains("1 thing waits for you"), "{home}");
    let asked = ["Good enough?", "Approval of release", "Awaits approval", "Approve release"];
    let html = approver.get("/pipeline-runs/1?step=release").await.shows(200, &asked);
    let digest = value(&html, "subject_digest");
    let theirs = contributor.get("/pipeline-runs/1?step=release").await.shows(200, &["Approval of release"]);
    assert!(!theirs.contains("Approve release"), "who started it is not asked");
    let form = |verdict, comment| {
        fields(&[("step", "release"), ("subject_digest", &digest), ("verdict", verdict), ("comment", comment)])
    };
    let refused = approver.form("/pipeline-runs/1/decisions", &form("reject", "")).await;
    refused.shows(400, &["Say why", "Approve release"]);
    contributor.form("/pipeline-runs/1/decisions", &form("approve", "")).await.shows(403, &["you requested it"]);
    let decided = approver.form("/pipeline-runs/1/decisions", &form("approve", "fine")).await;
    assert_eq!(decided.leads_to(), "/w/default/pipeline-runs/1?step=release");
    approver.get("/pipeline-runs/1?step=release").await.shows(200, &["You approved it.", "Approved", "fine"]);
}

#[tokio::test]
async fn runs_inside_of_each_other_link_to_each_other() {
    let app = TestApp::start().await;
    let contributor = browser(&app, Role::Contributor).await;
    for file in [
        "name: prepare\nsteps: { only: { command: 'true' } }\n",
        "name: nightly\nsteps: { data: { pipeline: prepare } }\n",
    ] {
        contributor.form("/pipelines/new", &fields(&[("source", file)])).await.leads_to();
    }
    contributor.form("/pipelines/nightly/runs", "key=once").await.leads_to();
    while app.services().see_to_sub_run().await.unwrap() {}
    contributor.get("/pipeline-runs/1?step=data").await.shows(200, &["/w/default/pipeline-runs/2", "run #2"]);
    contributor.get("/pipeline-runs/2").await.shows(200, &["As a part of", "nightly #1", "/w/default/pipeline-runs/1"]);
}
