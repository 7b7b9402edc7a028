//! Of what somebody is written, and what administrators see of it.

use crate::{
    app::TestApp,
    promotion::{advance, request, start},
};
use axum::http::StatusCode;
use domain::{
    permission::{Role, Scope},
    promotion::PromotionState,
};
use serde_json::json;

#[tokio::test]
async fn one_chooses_of_what_one_is_written_by_the_api_and_by_a_form() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Approver).await;
    assert_eq!(ada.get("/api/v1/user").await.ok()["mail"], json!(["waiting", "requested", "mentioned"]));
    let changed = ada.patch("/api/v1/user", json!({ "mail": ["mentioned"] })).await.ok();
    assert_eq!((&changed["mail"], &changed["user"]["name"]), (&json!(["mentioned"]), &json!(ada.user().name)));
    for wrong in [json!({ "mail": ["all"] }), json!({ "email": "root@example.com" }), json!({ "mail": null, "x": 1 })] {
        ada.patch("/api/v1/user", wrong).await.refused(400);
    }
    app.client(ada.user(), Scope::Read).await.patch("/api/v1/user", json!({ "mail": [] })).await.refused(403);

    let browser = app.browser(ada.user()).await.in_workspace("default");
    let page = browser.get("/settings/account").await.text();
    let box_of = |page: &str, kind: &str| {
        let input = page.split("<input").find(|input| input.contains(&format!("value=\"{kind}\""))).unwrap().to_owned();
        input.split('>').next().unwrap().contains("checked")
    };
    assert!(box_of(&page, "mentioned") && !box_of(&page, "waiting"), "{page}");
    assert!(page.contains("This installation sends no e-mail now"), "{page}");
    let chosen = browser.form("/settings/mail", "mail=waiting&mail=requested").await;
    assert_eq!((chosen.status, chosen.header("location")), (StatusCode::SEE_OTHER, "/w/default/settings/account"));
    assert_eq!(ada.get("/api/v1/user").await.ok()["mail"], json!(["waiting", "requested"]));
    assert_eq!(browser.form("/settings/mail", "mail=nothing").await.status, StatusCode::BAD_REQUEST);
    browser.form("/settings/mail", "").await;
    assert_eq!(ada.get("/api/v1/user").await.ok()["mail"], json!([]));
    let history = ada.get("/api/v1/user/audit-events").await.ok();
    let told: Vec<_> = history["items"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(told.iter().filter(|action| **action == "user.mail_changed").count(), 3, "{told:?}");
}

#[tokio::test]
async fn administrators_see_who_was_written_what_and_nobody_else_does() {
    let (app, people) = start(1).await;
    app.services().offer_mail().await.unwrap();
    let promotion = request(&people.contributor, 1).await;
    assert_eq!(advance(&app, &promotion).await, PromotionState::AwaitingApproval);
    let admin = &people.admin;
    for nobody in [&people.contributor, &people.approver, &people.operator] {
        nobody.get("/api/v1/mails").await.refused(403);
    }
    let mails = admin.get("/api/v1/mails").await.ok();
    let [mail] = mails["items"].as_array().unwrap().as_slice() else { panic!("{mails}") };
    assert_eq!((&mail["promotion_number"], &mail["kind"]), (&promotion["number"], &json!("waiting")));
    assert_eq!((&mail["state"], &mail["attempts"]), (&json!("waiting"), &json!(0)));
    assert!(mail["subject"].as_str().unwrap().starts_with("Waits for you: "), "{mail}");
    assert!(mail.get("body").is_none());
    admin.get("/api/v1/mails?page_token=x").await.refused(400);
    let (_, stranger) = app.second_workspace("other-lab").await;
    assert_eq!(stranger.get("/api/v1/mails").await.ok()["items"], json!([]));
}
