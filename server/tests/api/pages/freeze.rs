//! Freezes, teams, delegations and the settings of environments, by forms.

use super::{browser, fields, value};
use crate::app::TestApp;
use domain::permission::Role;
use serde_json::json;

#[tokio::test]
async fn a_freeze_is_made_in_a_form_shown_and_ended() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let form = |from: &str, zone: &str| {
        fields(&[
            ("name", "Long holidays"),
            ("kind", "deny"),
            ("repeats", "dates"),
            ("from", from),
            ("to", "2029-01-04T08:00"),
            ("schedule/timezone", zone),
            ("environments", "production"),
            ("overrun", "on"),
            ("reason", "Nobody is here"),
        ])
    };
    let wrong = admin.form("/freezes", &form("soon", "Europe/Berlin")).await;
    wrong.shows(400, &["Give a date and a time", "value=\"Long holidays\"", "Nobody is here"]);
    admin.form("/freezes", &form("2024-12-24T18:00", "Berlin")).await.shows(400, &["Give a time zone by its name"]);
    assert_eq!(
        admin.form("/freezes", &form("2024-12-24T18:00", "Europe/Berlin")).await.leads_to(),
        "/w/default/freezes"
    );
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/freezes").await.shows(
        200,
        &["1 of 2 environments closed", "until Thu 4 Jan 2029 07:00 UTC, by Long holidays", "what began may finish"],
    );
    assert!(!html.contains("New freeze"), "{html}");
    let html = admin.get("/freezes").await.shows(200, &["End Long holidays now?"]);
    let id = html.split("end-").nth(1).unwrap()[..36].to_owned();
    admin.form(&format!("/freezes/{id}"), "do=end").await.leads_to();
    admin.get("/freezes").await.shows(200, &["Every environment is open", "Long holidays has ended."]);
    admin.get("/freezes?ended=true").await.shows(200, &["Long holidays", "Delete Long holidays?"]);
    admin.form(&format!("/freezes/{id}"), "do=delete").await.leads_to();
    admin.get("/freezes?ended=true").await.shows(200, &["Nothing is frozen"]);
}

#[tokio::test]
async fn a_freeze_is_changed_in_a_form_that_shows_what_it_is_and_keeps_what_nobody_changes() {
    let app = TestApp::start().await;
    let api = app.member(Role::Admin).await;
    let admin = app.browser(api.user()).await.in_workspace("default");
    let made = api
        .post(
            "/api/v1/freezes",
            json!({
                "name": "Year end", "kind": "deny", "overrun": true, "reason": "Books",
                "schedule": { "kind": "dates", "from": "2028-12-24T17:00:00.250Z", "to": "2029-01-04T07:00:00Z" },
                "selector": { "environments": ["production"], "models": ["churn"] },
            }),
        )
        .await
        .ok();
    let page = format!("/freezes/{}", made["id"].as_str().unwrap());
    assert!(admin.get("/freezes").await.shows(200, &["Year end"]).contains(&format!("href=\"/w/default{page}\"")));
    let html =
        admin.get(&page).await.shows(200, &["Change Year end", "value=\"Year end\"", "Books", "value=\"churn\""]);
    let seen = value(&html, "instead_of");
    let (from, to) = (value(&html, "from"), value(&html, "to"));
    let form = |name: &str, to: &str, seen: &str| {
        fields(&[
            ("do", "change"),
            ("instead_of", seen),
            ("name", name),
            ("repeats", "dates"),
            ("from", &from),
            ("to", to),
            ("schedule/timezone", "UTC"),
            ("environments", "production"),
            ("selector/models", "churn"),
            ("reason", "Books"),
        ])
    };
    admin.form(&page, &form("Close of year", "never", &seen)).await.shows(400, &["value=\"Close of year\"", "Save"]);
    assert_eq!(admin.form(&page, &form("Close of year", &to, &seen)).await.leads_to(), "/w/default/freezes");
    let after = api.get(&format!("/api/v1{page}")).await.ok();
    assert_eq!((&after["name"], &after["overrun"]), (&json!("Close of year"), &json!(false)));
    assert_eq!((&after["schedule"], &after["selector"]), (&made["schedule"], &made["selector"]));
    let refused = admin.form(&page, &form("Mine", &to, &seen)).await;
    refused.shows(409, &["Somebody else changed Close of year meanwhile", "value=\"Mine\""]);
    let history = api.get("/api/v1/audit-events").await.ok();
    assert_eq!(history["items"][0]["action"], "freeze.changed");

    app.browser(app.member(Role::Operator).await.user()).await.in_workspace("default").get(&page).await.shows(403, &[]);
    admin.form(&page, "do=end").await.leads_to();
    admin.get(&page).await.shows(409, &["has ended"]);
    admin.form(&page, &form("Late", &to, "")).await.shows(409, &["has ended"]);
}

#[tokio::test]
async fn windows_that_come_again_are_told_by_their_own_clock() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let form = |expression: &str| {
        fields(&[
            ("name", "Office hours"),
            ("kind", "allow"),
            ("repeats", "cron"),
            ("schedule/expression", expression),
            ("hours", "0,5"),
            ("schedule/timezone", "Asia/Kolkata"),
            ("selector/models", "churn, wine-*"),
        ])
    };
    admin.form("/freezes", &form("each day")).await.shows(400, &["Give five fields", "value=\"each day\""]);
    admin.form("/freezes", &form("* * * * *")).await.leads_to();
    admin.get("/freezes").await.shows(200, &["for 30 min, Asia/Kolkata", "every environment; models churn, wine-*"]);
}

#[tokio::test]
async fn an_environment_is_made_moved_changed_and_archived_by_forms() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let form = |name: &str, wait: &str| {
        fields(&[("name", name), ("tier", "testing"), ("wait_minutes", wait), ("visible_to", "operator")])
    };
    admin
        .form("/environments", &form("Canary", "5"))
        .await
        .shows(400, &["has 1 to 63 lower-case letters", "value=\"Canary\""]);
    admin.form("/environments", &form("canary", "long")).await.shows(400, &["Give 0 to 43200 minutes"]);
    let made = admin.form("/environments", &form("canary", "1.5")).await;
    assert_eq!(made.leads_to(), "/w/default/environments/canary");
    let html = admin
        .get("/environments/canary")
        .await
        .shows(200, &["Not protected", "waits 1 min after the approval", "Seen by operators, admins", "value=\"1.5\""]);
    assert_eq!(value(&html, "position"), "3");
    admin.get("/environments").await.shows(200, &["testing tier", "not protected", "staging → production → canary"]);
    admin.form("/environments/canary", "do=up").await.leads_to();
    admin.get("/environments").await.shows(200, &["staging → canary → production"]);

    let save = |tier| fields(&[("do", "save"), ("tier", tier), ("protected", "on"), ("wait_minutes", "0")]);
    admin.form("/environments/canary", &save("moon")).await.shows(400, &["is not one of: production"]);
    admin.form("/environments/canary", &save("other")).await.leads_to();
    browser(&app, Role::Viewer).await.get("/environments/canary").await.shows(200, &["Protected", "everybody"]);
    admin.form("/environments/canary", "do=archive").await.leads_to();
    admin.get("/environments").await.shows(200, &["Archived", "staging → production<"]);
    admin.form("/environments/canary", "do=restore").await.leads_to();
    admin.get("/environments").await.shows(200, &["staging → production → canary"]);
}

#[tokio::test]
async fn a_team_is_made_and_filled_by_forms() {
    let app = TestApp::start().await;
    let admin = browser(&app, Role::Admin).await;
    let ada = app.member(Role::Approver).await;
    admin.form("/settings/teams", "name=Risk+team").await.shows(400, &["value=\"Risk team\""]);
    admin.form("/settings/teams", "name=risk&description=Looks+at+losses").await.leads_to();
    admin.get("/settings/teams").await.shows(200, &["Looks at losses", "Nobody is in it"]);
    let id = ada.user().id.to_string();
    admin.form("/settings/teams/risk", &fields(&[("do", "add"), ("user", &id)])).await.leads_to();
    admin.get("/settings/teams").await.shows(200, &["1 member", ada.user().email.as_str(), "Take out"]);
    admin.form("/settings/teams/risk", "do=add&user=nobody").await.shows(400, &["Choose a member."]);
    let html = browser(&app, Role::Viewer).await.get("/settings/teams").await.shows(200, &["1 member"]);
    assert!(!html.contains("Take out") && !html.contains("New team"), "{html}");
    admin.form("/settings/teams/risk", &fields(&[("do", "remove"), ("user", &id)])).await.leads_to();
    admin.form("/settings/teams/risk", "do=delete").await.leads_to();
    admin.get("/settings/teams").await.shows(200, &["No team yet"]);
}

#[tokio::test]
async fn somebody_lets_another_decide_by_a_form_and_takes_it_back() {
    let app = TestApp::start().await;
    let (ada, ben) = (browser(&app, Role::Approver).await, app.member(Role::Approver).await);
    let form = |until: &str| {
        fields(&[
            ("to", &ben.user().id.to_string()),
            ("ends_at", until),
            ("environments", "production"),
            ("reason", "on leave"),
        ])
    };
    ada.form("/settings/delegations", &form("")).await.shows(400, &["Say until when", "value=\"on leave\""]);
    ada.form("/settings/delegations", &form("2001-01-01T00:00")).await.shows(400, &["ends after it starts"]);
    let until = (chrono::Utc::now() + chrono::TimeDelta::days(3)).format("%Y-%m-%dT%H:%M").to_string();
    ada.form("/settings/delegations", &form(&until)).await.leads_to();
    let html = ada.get("/settings/delegations").await.shows(200, &["in force", "on leave", "Take back"]);
    let path =
        html.split("action=\"").find(|rest| rest.contains("/revoke\"")).unwrap().split('"').next().unwrap().to_owned();
    let path = path.trim_start_matches("/w/default");
    browser(&app, Role::Contributor).await.form(path, "").await.shows(403, &["takes this back"]);
    ada.form(path, "").await.leads_to();
    ada.get("/settings/delegations").await.shows(200, &["taken back"]);
}
