//! Experiments: made, changed and put away by forms, and the table of the runs of one.

use super::fields;
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn selected_runs_are_deleted_all_or_none() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let experiment = ada.experiment("wine").await;
    let (one, other, elsewhere) = (ada.run(&experiment).await, ada.run(&experiment).await, ada.run("0").await);
    let path = format!("/experiments/{experiment}/runs");
    let stage = async |run: &str| ada.read_run(run).await["info"]["lifecycle_stage"].as_str().unwrap().to_owned();

    let mixed = fields(&[("act", "delete"), ("run", &one), ("run", &elsewhere)]);
    browser.form(&path, &mixed).await.shows(404, &["There is nothing here"]);
    for run in [&one, &elsewhere] {
        assert_eq!(
            stage(run).await,
            "active",
            "a run of another experiment is not deleted by this form, nor is its own"
        );
    }

    let both = fields(&[("act", "delete"), ("run", &one), ("run", &other), ("run", &one)]);
    let page = format!("/experiments/{experiment}");
    assert_eq!(browser.form(&path, &both).await.leads_to(), format!("/w/default{page}"));
    browser.get(&page).await.shows(200, &["2 runs are deleted.", "created the experiment", "deleted the run"]);
    browser.get(&format!("/runs/{one}")).await.shows(200, &["started the run", "deleted the run"]);
    assert_eq!((stage(&one).await.as_str(), stage(&other).await.as_str()), ("deleted", "deleted"));
    browser.form(&path, &both).await.leads_to();
    browser.get(&page).await.shows(200, &["Nothing changed"]);
    browser.form(&path, "act=delete").await.leads_to();
    browser.get(&page).await.shows(200, &["No run was selected."]);
    browser.form(&path, &fields(&[("run", &one)])).await.shows(400, &["does not say what to do"]);

    // They are found where they can be restored.
    let restore = fields(&[("act", "restore"), ("run", &one), ("back", "view=deleted")]);
    browser.get(&format!("{page}?view=deleted")).await.shows(200, &[&one, &other]);
    assert_eq!(browser.form(&path, &restore).await.leads_to(), format!("/w/default{page}?view=deleted"));
    browser.get(&format!("{page}?view=deleted")).await.shows(200, &["1 run is restored.", &other]);
    assert_eq!(stage(&one).await, "active");
}

#[tokio::test]
async fn selected_runs_are_compared_tagged_and_saved() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let experiment = ada.experiment("wine").await;
    let (one, other) = (ada.run(&experiment).await, ada.run(&experiment).await);
    let page = format!("/experiments/{experiment}");
    let choose = async |act: &str, runs: &[&str]| {
        let runs = runs.iter().map(|run| ("run", *run));
        let back = ("back", "q=run_name+LIKE+'%25'&col=metrics.acc&sort=status");
        let pairs: Vec<(&str, &str)> = [("act", act), back].into_iter().chain(runs).collect();
        browser.form(&format!("{page}/selected"), &fields(&pairs)).await.leads_to().to_owned()
    };
    let both = [one.as_str(), other.as_str()];
    let compare = choose("compare", &both).await;
    assert!(compare.starts_with("/w/default/runs/compare?run="), "{compare}");
    browser.get(compare.strip_prefix("/w/default").unwrap()).await.shows(200, &["Compare"]);
    let file = choose("csv", &both).await;
    let csv = browser.get(file.strip_prefix("/w/default").unwrap()).await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"wine-runs.csv\"");
    assert!(
        csv.text().starts_with("run_id,run_name,metrics.acc\n") && csv.text().lines().count() == 3,
        "{}",
        csv.text()
    );
    assert!(choose("csv", &[]).await.ends_with("&col=metrics.acc&sort=status"));

    let tag = choose("tag", &both).await;
    let html = browser.get(tag.strip_prefix("/w/default").unwrap()).await.shows(200, &["Tag 2 runs", &one, &other]);
    assert_eq!(super::value(&html, "back"), "q=run_name%20LIKE%20%27%25%27&amp;col=metrics.acc&amp;sort=status");
    let path = format!("{page}/runs");
    let tagged = |key: &'static str| {
        fields(&[
            ("act", "tag"),
            ("run", &one),
            ("run", &other),
            ("key", key),
            ("value", " lab "),
            ("back", "sort=status"),
        ])
    };
    browser.form(&path, &tagged("../up")).await.shows(400, &["Tag 2 runs", "value=\"../up\"", "value=\" lab \""]);
    assert_eq!(browser.form(&path, &tagged("team")).await.leads_to(), format!("/w/default{page}?sort=status"));
    browser.get(&page).await.shows(200, &["2 runs are tagged.", "set the tag team of 2 runs"]);
    assert_eq!(ada.read_run(&one).await["data"]["tags"].to_string().matches("team").count(), 1);

    let viewer = super::browser(&app, Role::Viewer).await;
    viewer.form(&path, &tagged("team")).await.shows(403, &[]);
    assert!(
        viewer
            .form(&format!("{page}/selected"), &fields(&[("act", "compare"), ("run", &one)]))
            .await
            .leads_to()
            .contains("compare")
    );
}

#[tokio::test]
async fn columns_are_chosen_moved_and_kept_in_view_without_a_script() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let experiment = ada.experiment("wine").await;
    let run = ada.run(&experiment).await;
    let metrics: Vec<_> =
        ["val/f1", "val/loss", "f1"].map(|key| json!({ "key": key, "value": 0.5, "timestamp": 1, "step": 1 })).into();
    ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": metrics })).await.ok();
    let page = format!("/experiments/{experiment}");
    let leads = async |query: &str| {
        browser.get(&format!("{page}?{query}")).await.leads_to().replace("/w/default/experiments/", "")
    };
    let here = |query: &str| format!("{experiment}?{query}#column-add");
    assert_eq!(leads("col=status&add=f1").await, here("col=status&col=metrics.f1"));
    assert_eq!(
        leads("col=status&add=metrics.val/*").await,
        here("col=status&col=metrics.val%2Ff1&col=metrics.val%2Floss")
    );
    assert_eq!(
        leads("col=status&col=metrics.f1&change=left:metrics.f1&q=a").await,
        here("q=a&col=metrics.f1&col=status")
    );
    assert_eq!(leads("col=status&change=pin:status").await, here("pin=status&col=status"));
    browser
        .get(&format!("{page}?col=status&add=nothing"))
        .await
        .shows(200, &["is called \"nothing\"", "value=\"nothing\""]);
    browser.get(&format!("{page}?col=nothing")).await.shows(400, &["There is no column"]);
    browser.get(&format!("{page}?sort=nothing")).await.shows(200, &["There is no column"]);
    let html =
        browser.get(&format!("{page}?col=metrics.val/f1&curve=f1")).await.shows(200, &["class=\"spark\"", "0.500"]);
    assert!(!html.contains("val/loss, curve"));
    browser.get(&format!("{page}?q=metrics.f1+%3D%3D+1")).await.shows(200, &["metrics.f1 == 1\n           ^"]);
    browser.get(&format!("{page}?group=status&col=metrics.f1")).await.shows(200, &["Grouped by status", "RUNNING"]);
    browser.get(&format!("{page}?group=metrics.f1")).await.shows(200, &["Runs cannot be grouped by metrics.f1"]);
}

#[tokio::test]
async fn an_experiment_is_made_renamed_noted_and_put_away_by_forms_alone() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let viewer = super::browser(&app, Role::Viewer).await;
    ada.experiment("taken").await;

    browser.get("/experiments").await.shows(200, &["New experiment", "popover"]);
    let made = browser.form("/experiments", &fields(&[("name", " wine ")])).await.leads_to().to_owned();
    let page = made.strip_prefix("/w/default").unwrap().to_owned();
    browser.get(&page).await.shows(200, &["The experiment wine is there.", "mlflow.set_experiment(&quot;wine&quot;)"]);
    browser.get("/experiments").await.shows(200, &[">wine</a>"]);
    let long = "n".repeat(501);
    for (wrong, status, why) in [
        ("", 400, "An experiment has a name"),
        ("a\0b", 400, "New experiment"),
        (&*long, 400, "500 characters"),
        ("taken", 409, "already exists"),
    ] {
        let again = browser.form("/experiments", &fields(&[("name", wrong)])).await;
        let html = again.shows(status, &[why, "aria-invalid=\"true\""]);
        assert!(wrong.contains('\0') || html.contains(&format!("value=\"{wrong}\"")), "{html}");
    }

    let send = async |pairs: &[(&str, &str)]| browser.form(&page, &fields(pairs)).await;
    let renamed = send(&[("do", "rename"), ("new_name", "wine 2"), ("back", "sort=status")]).await;
    assert_eq!(renamed.leads_to(), format!("{made}?sort=status"));
    browser.get(&page).await.shows(200, &["is called wine 2 now.", "renamed the experiment"]);
    for (wrong, status, why) in
        [("", 400, "has a name"), (&*long, 400, "500 characters"), ("taken", 409, "already exists")]
    {
        let again = send(&[("do", "rename"), ("new_name", wrong)]).await;
        again.shows(status, &[why, "aria-invalid=\"true\"", &format!("value=\"{wrong}\"")]);
    }

    browser.get(&format!("{page}?edit=note")).await.shows(200, &["Save note"]);
    assert_eq!(send(&[("do", "note"), ("note", "**Grown** in two valleys.")]).await.leads_to(), made);
    let html = viewer.get(&page).await.shows(200, &["<strong>Grown</strong>"]);
    assert!(!html.contains("Edit the note") && !html.contains("mlflow.note.content="), "{html}");
    let much = "x".repeat(20_001);
    send(&[("do", "note"), ("note", &much)]).await.shows(400, &["20000 characters", &much]);
    for _ in 0..2 {
        assert_eq!(send(&[("do", "note"), ("note", "")]).await.leads_to(), made, "again changes nothing");
    }
    send(&[("do", "nothing")]).await.shows(400, &["does not say what to do"]);

    let id = page.rsplit('/').next().unwrap().to_owned();
    let run = ada.run(&id).await;
    for _ in 0..2 {
        send(&[("do", "delete")]).await.leads_to();
    }
    let html = browser.get(&page).await.shows(200, &["This experiment is deleted", "Restore experiment", &run]);
    assert!(!html.contains("popovertarget=\"rename\""), "{html}");
    send(&[("do", "rename"), ("new_name", "late")]).await.shows(400, &["Restore it first", "value=\"late\""]);
    let html = browser.get("/experiments").await.text();
    assert!(!html.contains(">wine 2</a>"), "{html}");
    browser.get("/experiments?view=deleted").await.shows(200, &[">wine 2</a>", "Experiments in use"]);
    for _ in 0..2 {
        send(&[("do", "restore")]).await.leads_to();
    }
    browser.get(&page).await.shows(200, &["The experiment is restored", "popovertarget=\"rename\"", &run]);
    browser.get("/experiments?view=deleted").await.shows(200, &["No experiment is deleted"]);

    let html = viewer.get("/experiments").await.text();
    assert!(!html.contains("New experiment"), "{html}");
    for act in ["rename", "note", "delete", "restore"] {
        viewer.form(&page, &fields(&[("do", act)])).await.shows(403, &[]);
    }
    viewer.form("/experiments", &fields(&[("name", "x")])).await.shows(403, &[]);
}
