//! Pages, as a browser without scripts uses them: read, filled in, sent, shown again with what is wrong.

mod change_request;
mod environment;
mod experiment;
mod files;
mod freeze;
mod home;
mod links;
mod model;
mod notebook;
mod palette;
mod pipeline;
mod policy;
mod promotion;
mod registration;
mod run;
mod schedule;
pub(crate) mod serving;
mod settings;
mod starts;
mod trouble;

use crate::app::{Answer, Client, TestApp};
use domain::permission::Role;

/// A person of this role, as a signed-in browser in the default workspace.
async fn browser(app: &TestApp, role: Role) -> Client {
    let member = app.member(role).await;
    app.browser(member.user()).await.in_workspace("default")
}

/// Fields as a form sends them.
fn fields(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).unwrap()
}

impl Answer {
    /// The page, which must have this status and hold each of these texts.
    #[track_caller]
    pub(crate) fn shows(&self, status: u16, texts: &[&str]) -> String {
        let html = self.text();
        assert_eq!(self.status.as_u16(), status, "{html}");
        for text in texts {
            assert!(html.contains(text), "{text} is not in {html}");
        }
        html
    }

    /// Where the browser is sent after a change.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status.as_u16(), 303, "{}", self.text());
        self.header("location")
    }
}

/// The value of the first field of this name in a page.
fn value(html: &str, name: &str) -> String {
    let field = html.split(&format!("name=\"{name}\"")).nth(1).unwrap_or_else(|| panic!("no field {name} in {html}"));
    field.split("value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn every_page_of_an_empty_workspace_says_what_to_do_next() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    for (path, text) in [
        ("/pipelines", "curl -X PUT http://slipway.test/w/default/api/v1/pipelines"),
        ("/pipelines/new", "name: first-pipeline"),
        ("/environments", "Nothing yet. A version serves here once its promotion is approved."),
        ("/environments/production", "Answers its golden rows in the serving engine"),
        ("/environments", "The last when nothing is written."),
        ("/freezes", "Nothing is frozen"),
        ("/pipeline-runs", "Nothing has run yet"),
        ("/schedules", "Nothing starts by the clock"),
        ("/push-hooks", "No push starts anything"),
        ("/triggers", "Nothing starts because of something else"),
        ("/backfills", "No backfill yet"),
        ("/settings/teams", "No team yet"),
        ("/settings/delegations", "Nobody decides for anybody"),
        ("/promotions", "No promotion here yet"),
        ("/promotions?state=mine", "Nothing waits for you"),
        ("/policies", "All policies whose scope fits hold together"),
        ("/deployments", "Nothing serves yet"),
        ("/alerts", "Nothing is wrong that a monitor knows of"),
        ("/alerts?show=all", "No alert has opened yet"),
        ("/audit?kind=promotion", "Nothing of this sort has happened"),
    ] {
        admin.get(path).await.shows(200, &[text]);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_told_in_the_frame_of_the_workspace() {
    let app = TestApp::start().await;
    let viewer = browser(&app, Role::Viewer).await;
    for path in [
        "/pipelines/none",
        "/pipelines/none/file",
        "/pipeline-runs/7",
        "/pipeline-runs/seven",
        "/environments/none",
        "/environments/production/models/none",
        "/environments/production/models/none/monitor",
        "/deployments/7",
        "/promotions/7",
        "/policies/none",
        "/alerts/7",
    ] {
        viewer.get(path).await.shows(404, &["There is nothing here", "aria-label=\"Workspace\""]);
    }
    viewer.get("/audit?kind=weather").await.shows(400, &["There is no such sort of object."]);
    viewer.get("/alerts?page_token=zz").await.shows(400, &["start again without it"]);
}

#[tokio::test]
async fn history_is_read_by_the_sort_of_object() {
    let app = TestApp::start().await;
    let contributor = browser(&app, Role::Contributor).await;
    contributor.form("/pipelines/new", &fields(&[("source", pipeline::FILE)])).await.leads_to();
    contributor.get("/audit").await.shows(200, &["stored version 1", "Today, "]);
    contributor
        .get("/audit")
        .await
        .shows(200, &["action=\"/w/default/api/v1/audit/bundle\"", "Download bundle", "Copy hash"]);
    contributor.get("/audit?kind=pipeline").await.shows(200, &["/w/default/pipelines/wine"]);
    contributor.get("/audit?kind=alert").await.shows(200, &["Nothing of this sort has happened"]);
}
