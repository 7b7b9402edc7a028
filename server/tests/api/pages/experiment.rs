//! The table of an experiment's runs, and the form that deletes some of them.

use super::fields;
use crate::app::TestApp;
use domain::permission::Role;

#[tokio::test]
async fn selected_runs_are_deleted_all_or_none() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    let experiment = ada.experiment("wine").await;
    let (one, other, elsewhere) = (ada.run(&experiment).await, ada.run(&experiment).await, ada.run("0").await);
    let path = format!("/experiments/{experiment}/runs");
    let stage = async |run: &str| ada.read_run(run).await["info"]["lifecycle_stage"].as_str().unwrap().to_owned();

    let mixed = fields(&[("run", &one), ("run", &elsewhere)]);
    browser.form(&path, &mixed).await.shows(404, &["There is nothing here"]);
    for run in [&one, &elsewhere] {
        assert_eq!(
            stage(run).await,
            "active",
            "a run of another experiment is not deleted by this form, nor is its own"
        );
    }

    let both = fields(&[("run", &one), ("run", &other), ("run", &one)]);
    let page = format!("/experiments/{experiment}");
    assert_eq!(browser.form(&path, &both).await.leads_to(), format!("/w/default{page}"));
    browser.get(&page).await.shows(200, &["2 runs are deleted.", "created the experiment", "deleted the run"]);
    browser.get(&format!("/runs/{one}")).await.shows(200, &["started the run", "deleted the run"]);
    assert_eq!((stage(&one).await.as_str(), stage(&other).await.as_str()), ("deleted", "deleted"));
    browser.form(&path, &both).await.leads_to();
    browser.get(&page).await.shows(200, &["Nothing changed"]);
    browser.form(&path, "").await.leads_to();
    browser.get(&page).await.shows(200, &["No run was selected."]);
}
