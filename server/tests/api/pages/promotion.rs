//! Deciding on a promotion in a browser: what was shown is what is decided on, and what was typed is kept.

use super::{browser, fields, value};
use crate::{
    app::{Client, TestApp},
    promotion::{People, advance, start},
};
use domain::permission::Role;
use serde_json::{Value, json};

const HERE: &str = "/w/default/promotions/1";

/// A promotion that waits for approvers, by a policy with these rules, and a browser of the contributor who asked.
async fn waiting(rules: Value, more: Value) -> (TestApp, People, Client) {
    let (app, people) = start(1).await;
    let mut document = json!({ "gates": [], "rules": rules, "order": "skip" });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    people.admin.put("/api/v1/environments/production/policy", document).await.ok();
    let contributor = app.browser(people.contributor.user()).await.in_workspace("default");
    ask(&app, &contributor, "request").await;
    (app, people, contributor)
}

async fn ask(app: &TestApp, contributor: &Client, go: &str) {
    let asked =
        fields(&[("subject", "wine/1"), ("environment", "production"), ("comment", "It is better."), ("do", go)]);
    let made = contributor.form("/promotions", &asked).await;
    assert!(made.leads_to().starts_with("/w/default/promotions/"), "{}", made.leads_to());
    let number = made.leads_to().rsplit('/').next().unwrap().to_owned();
    let one = contributor.get(&format!("/api/v1/promotions/{number}")).await.ok()["promotion"].clone();
    advance(app, &one).await;
}

fn approvers() -> Value {
    json!([{ "name": "approvers", "eligible": { "roles": ["approver"] } }])
}

#[tokio::test]
async fn an_approver_decides_on_what_the_page_showed() {
    let (app, people, contributor) = waiting(approvers(), json!({})).await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    approver.get("/promotions").await.shows(200, &["Waiting for me<span class=\"n\">1</span>", "approvers"]);
    let html = approver.get("/promotions/1").await.shows(
        200,
        &[
            "Your decision",
            "Approve v1 for production",
            "1 of role approver, not the requester",
            "0 of 1 met",
            "It is better.",
        ],
    );
    let digest = value(&html, "subject_digest");
    let said = contributor.get("/promotions/1").await.shows(200, &["What is approved"]);
    assert!(!said.contains("Your decision"), "the requester does not decide");

    let approve = fields(&[("do", "decide"), ("verdict", "approve"), ("subject_digest", &digest)]);
    assert_eq!(approver.form("/promotions/1/decisions", &approve).await.leads_to(), HERE);
    approver.get("/promotions/1").await.shows(200, &["You approved it.", "You approved this.", "1 of 1 met"]);
    contributor.get("/promotions?state=all").await.shows(200, &["/promotions/1"]);
}

#[tokio::test]
async fn a_rejection_without_a_reason_is_refused_and_the_rest_is_kept() {
    let rules = json!([{
        "name": "risk", "eligible": { "roles": ["approver"] },
        "checklist": ["I looked at the slices"], "inputs": [{ "name": "ticket" }, { "name": "share", "kind": "number" }],
    }]);
    let (app, people, _) = waiting(rules, json!({})).await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let digest = value(&approver.get("/promotions/1").await.text(), "subject_digest");
    let form = |verdict: &str, more: &[(&str, &str)]| {
        let mut all = vec![("do", "decide"), ("verdict", verdict), ("subject_digest", digest.as_str())];
        all.extend(more);
        fields(&all)
    };
    let typed = [("input/production/risk/ticket", "RISK-7"), ("check/production/risk", "I looked at the slices")];
    let refused = approver.form("/promotions/1/decisions", &form("reject", &typed)).await;
    refused.shows(400, &["Say why, so that the requester knows what to do.", "value=\"RISK-7\"", "checked"]);

    let comment = [("comment", "So far so good."), ("input/production/risk/ticket", "RISK-7")];
    let unticked = approver.form("/promotions/1/decisions", &form("approve", &comment)).await;
    unticked.shows(400, &["Confirm \"I looked at the slices\"", "So far so good.</textarea>", "value=\"RISK-7\""]);

    let wrong = [typed[0], typed[1], ("input/production/risk/share", "half")];
    let wrong = approver.form("/promotions/1/decisions", &form("approve", &wrong)).await;
    wrong.shows(400, &["\"share\" is a number.", "value=\"half\""]);

    let whole = [typed[0], typed[1], ("input/production/risk/share", "0.5")];
    assert_eq!(approver.form("/promotions/1/decisions", &form("approve", &whole)).await.leads_to(), HERE);
    approver.get("/promotions/1").await.shows(200, &["ticket: RISK-7", "share: 0.5", "1 point confirmed"]);
}

#[tokio::test]
async fn a_decision_on_something_else_is_a_conflict_with_words() {
    let (app, people, _) = waiting(approvers(), json!({})).await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let other = format!("sha256:{}", "0".repeat(64));
    let stale =
        [("do", "decide"), ("verdict", "approve"), ("subject_digest", other.as_str()), ("comment", "Fine by me.")];
    let refused = approver.form("/promotions/1/decisions", &fields(&stale)).await;
    refused.shows(409, &["What you saw has changed since.", "Fine by me.</textarea>"]);
    let none = fields(&[("do", "decide"), ("verdict", "approve"), ("subject_digest", "x")]);
    approver.form("/promotions/1/decisions", &none).await.shows(400, &["open the page again"]);
    assert_eq!(people.viewer.get("/api/v1/promotions/1").await.ok()["decisions"], json!([]));
}

#[tokio::test]
async fn a_replay_is_asked_for_on_the_page_by_whoever_may_run_gates() {
    let (app, people, contributor) = waiting(approvers(), json!({})).await;
    let nothing = "No version of wine serves in production: there are no decisions to replay.";
    contributor.get("/promotions/1").await.shows(200, &["Decisions that flip", nothing, "Replay again"]);
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let theirs = approver.get("/promotions/1").await.shows(200, &[nothing]);
    assert!(!theirs.contains("Replay again"), "an approver does not run gates");
    let form = |rows: &str| fields(&[("do", "replay"), ("rows", rows)]);
    approver.form("/promotions/1/replay", &form("500")).await.shows(403, &[]);

    for rows in ["0", "5001", "many", "99999999999999999999"] {
        let refused = contributor.form("/promotions/1/replay", &form(rows)).await;
        refused.shows(400, &["Between 1 and 5000 of the last decisions can be replayed."]);
    }
    assert_eq!(contributor.form("/promotions/1/replay", &form("100")).await.leads_to(), HERE);
    let html = contributor.get("/promotions/1").await.shows(200, &["Replaying the last 100 decisions"]);
    assert!(!html.contains("Replay again"), "it is asked for already");
}

#[tokio::test]
async fn a_policy_may_ask_for_the_password_and_it_is_never_shown_again() {
    let (app, people, _) = waiting(approvers(), json!({ "reauthenticate": true })).await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let html = approver.get("/promotions/1").await.shows(200, &["Your password"]);
    let digest = value(&html, "subject_digest");
    let form = |password: &str| {
        let all = [
            ("do", "decide"),
            ("verdict", "approve"),
            ("subject_digest", &digest),
            ("comment", "Kept."),
            ("password", password),
        ];
        fields(&all)
    };
    let without = approver.form("/promotions/1/decisions", &form("")).await;
    without.shows(400, &["The policy asks for your password with each decision.", "Kept.</textarea>"]);
    let wrong = approver.form("/promotions/1/decisions", &form("not my password")).await;
    let html = wrong.shows(400, &["That is not your password.", "Kept.</textarea>"]);
    assert!(!html.contains("not my password"));
}

#[tokio::test]
async fn changes_are_asked_for_and_a_draft_is_submitted() {
    let (app, people) = start(1).await;
    let contributor = app.browser(people.contributor.user()).await.in_workspace("default");
    ask(&app, &contributor, "draft").await;
    contributor.get("/promotions/1").await.shows(200, &["Draft", "promotions/1/submit"]);
    assert_eq!(contributor.form("/promotions/1/submit", "").await.leads_to(), HERE);
    let one = contributor.get("/api/v1/promotions/1").await.ok()["promotion"].clone();
    advance(&app, &one).await;

    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let digest = value(&approver.get("/promotions/1").await.text(), "subject_digest");
    let changes = [
        ("do", "decide"),
        ("verdict", "request_changes"),
        ("subject_digest", digest.as_str()),
        ("comment", "More data."),
    ];
    assert_eq!(approver.form("/promotions/1/decisions", &fields(&changes)).await.leads_to(), HERE);
    approver.get("/promotions/1").await.shows(200, &["You asked for changes.", "Wants changes", "“More data.”"]);
}

#[tokio::test]
async fn what_has_ended_can_be_requested_again() {
    let (app, people, contributor) = waiting(approvers(), json!({})).await;
    assert_eq!(contributor.form("/promotions/1/withdraw", "").await.leads_to(), HERE);
    contributor.get("/promotions/1").await.shows(200, &["Withdrawn", "Request again"]);
    let viewer = app.browser(people.viewer.user()).await.in_workspace("default");
    let html = viewer.get("/promotions/1").await.shows(200, &["Withdrawn"]);
    assert!(!html.contains("Request again"));
    assert_eq!(contributor.form("/promotions/1/again", "").await.leads_to(), "/w/default/promotions/2");
    contributor.get("/promotions/2").await.shows(200, &["asks again for", ">#1</a>"]);
    // The same is asked for already.
    contributor.form("/promotions/1/again", "").await.shows(409, &["Request again"]);
}

#[tokio::test]
async fn people_talk_about_a_promotion_and_name_each_other() {
    let (app, people, contributor) = waiting(approvers(), json!({})).await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let name = people.contributor.user().name.clone();
    let text = format!("Is the *slice* large enough, @{name}?");
    let said = approver.form("/promotions/1/comments", &fields(&[("do", "comment"), ("text", &text)])).await;
    assert_eq!(said.leads_to(), "/w/default/promotions/1#discussion");
    let html = contributor
        .get("/promotions/1")
        .await
        .shows(200, &["1 comment", "<em>slice</em>", &format!("<strong>@{name}</strong>")]);
    assert!(!html.contains("/delete\""), "it is somebody else's");
    contributor
        .form("/promotions/1/comments", &fields(&[("do", "comment"), ("text", " ")]))
        .await
        .shows(400, &["Write something"]);
    let viewer = app.browser(people.viewer.user()).await.in_workspace("default");
    viewer.form("/promotions/1/comments", &fields(&[("text", "hm")])).await.shows(403, &[]);

    let html = approver.get("/promotions/1").await.text();
    let delete = html.split("action=\"").find(|rest| rest.contains("/delete\"")).unwrap();
    let delete = delete.split('"').next().unwrap().strip_prefix("/w/default").unwrap();
    assert_eq!(approver.form(delete, "").await.leads_to(), "/w/default/promotions/1#discussion");
    approver.get("/promotions/1").await.shows(200, &["0 comments"]);
}

#[tokio::test]
async fn an_override_is_loud_until_somebody_else_reviewed_it() {
    let (app, people) = start(1).await;
    let gates = json!([{ "kind": "metric_threshold", "metric": "accuracy", "threshold": 0.7 }]);
    let document = json!({ "gates": gates, "rules": approvers(), "order": "skip" });
    people.admin.put("/api/v1/environments/production/policy", document).await.ok();
    let contributor = app.browser(people.contributor.user()).await.in_workspace("default");
    ask(&app, &contributor, "request").await;
    contributor.get("/promotions/1").await.shows(200, &["Blocked by a gate", "Inconclusive", "Run the gates again"]);

    let operator = app.browser(people.operator.user()).await.in_workspace("default");
    operator.get("/promotions/1").await.shows(200, &["Override the gates…"]);
    let open = |reason: &str| fields(&[("do", "override"), ("kind", "gates"), ("reason", reason)]);
    let short = operator.form("/promotions/1/overrides", &open("now")).await;
    short.shows(400, &["Say in a sentence why this cannot wait", "now</textarea>", "id=\"override\" open"]);
    let reason = "The version that serves answers nonsense.";
    assert_eq!(operator.form("/promotions/1/overrides", &open(reason)).await.leads_to(), HERE);
    let html = operator.get("/promotions/1").await.shows(200, &["Overriding the gates is asked for", reason]);
    assert!(!html.contains("Confirm the override"), "not by whoever asked");

    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let html = approver.get("/promotions/1").await.shows(200, &["Confirm the override"]);
    let id = value(&html, "override");
    assert_eq!(approver.form(&format!("/promotions/1/overrides/{id}/confirm"), "").await.leads_to(), HERE);
    approver.get("/promotions/1").await.shows(200, &["Blocked by a gate", "are overridden, and people are asked now"]);
    let one = contributor.get("/api/v1/promotions/1").await.ok()["promotion"].clone();
    advance(&app, &one).await;
    let told = ["The gates are overridden", "Its review is due by", "1 gate did not pass and is overridden"];
    let html = approver.get("/promotions/1").await.shows(200, &told);
    assert!(!html.contains("Close the review"), "not by whoever confirmed");
    approver.get("/").await.shows(200, &["The gates of promotion #1 overridden by"]);

    let other = browser(&app, Role::Approver).await;
    let review = format!("/promotions/1/overrides/{id}/review");
    let form = |text: &str| fields(&[("do", "review"), ("override", &id), ("review", text)]);
    other.form(&review, &form("")).await.shows(400, &["Say what you found."]);
    assert_eq!(other.form(&review, &form("It was right.")).await.leads_to(), HERE);
    other.get("/promotions/1").await.shows(200, &["reviewed it", "It was right."]);
    let home = approver.get("/").await.text();
    assert!(!home.contains("overridden by"), "{home}");
}

#[tokio::test]
async fn whoever_is_mentioned_finds_it_among_what_waits_for_them_until_they_answer() {
    let (app, people, contributor) = waiting(approvers(), json!({})).await;
    let operator = app.browser(people.operator.user()).await.in_workspace("default");
    operator.get("/promotions?state=mine").await.shows(200, &["Nothing waits for you"]);
    let name = people.operator.user().name.clone();
    contributor.form("/promotions/1/comments", &fields(&[("text", &format!("Is it fast enough, @{name}?"))])).await;
    operator.get("/promotions").await.shows(
        200,
        &[
            "Waiting for me<span class=\"n\">1</span>",
            "You are mentioned",
            "href=\"/w/default/promotions/1#discussion\"",
        ],
    );
    operator.get("/").await.shows(200, &["1 thing waits for you", "You are mentioned in its discussion", "Answer"]);
    let listed = people.operator.get("/api/v1/promotions?waiting_for=me").await.ok();
    assert_eq!(listed["items"][0]["number"], 1);
    operator.form("/promotions/1/comments", &fields(&[("text", "It is.")])).await;
    operator.get("/promotions?state=mine").await.shows(200, &["Nothing waits for you"]);
    assert_eq!(people.operator.get("/api/v1/promotions?waiting_for=me").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn statistics_are_read_at_a_glance_and_say_when_there_is_nothing_to_count() {
    let (app, people) = start(1).await;
    let viewer = app.browser(people.viewer.user()).await.in_workspace("default");
    viewer.get("/promotions").await.shows(200, &["href=\"/w/default/promotions/statistics\""]);
    let address = "/promotions/statistics";
    viewer.get(address).await.shows(200, &["No promotion was requested in this time"]);

    let contributor = app.browser(people.contributor.user()).await.in_workspace("default");
    ask(&app, &contributor, "request").await;
    let approver = app.browser(people.approver.user()).await.in_workspace("default");
    let digest = value(&approver.get("/promotions/1").await.text(), "subject_digest");
    let no = [("do", "decide"), ("verdict", "reject"), ("subject_digest", digest.as_str()), ("comment", "Too <slow>.")];
    approver.form("/promotions/1/decisions", &fields(&no)).await.leads_to();
    viewer.get(address).await.shows(
        200,
        &[
            "1 promotion requested",
            "0 of 1 approved",
            "Too &lt;slow&gt;.",
            "href=\"/w/default/promotions/1\"",
            "No rule had an approval",
        ],
    );
    viewer.get("/promotions/statistics?days=7").await.shows(200, &["1 promotion requested"]);
    for wrong in ["8", "x", "-1", "99999999999999999999"] {
        viewer.get(&format!("/promotions/statistics?days={wrong}")).await.shows(400, &[]);
    }
    let api = people.viewer.get("/api/v1/promotions/statistics").await.ok();
    assert_eq!(
        (&api["environments"][0]["environment"], &api["environments"][0]["rejected"]),
        (&json!("production"), &json!(1))
    );
    let hidden = json!({ "visible_to": ["approver"] });
    people.admin.patch("/api/v1/environments/production", hidden).await.ok();
    viewer.get(address).await.shows(200, &["No promotion was requested in this time"]);
}
