//! Databricks' dialect: asking for a stage, deciding on it, and commenting, as its SDK sends them.

use crate::{
    app::{Client, TestApp},
    promotion::{advance, start},
};
use domain::promotion::PromotionState;
use serde_json::{Value, json};

fn wine(stage: &str) -> Value {
    json!({ "name": "wine", "version": "1", "stage": stage })
}

fn with(mut body: Value, key: &str, value: &str) -> Value {
    body[key] = value.into();
    body
}

async fn requests(client: &Client) -> Value {
    client.ml_get("transition-requests/list?name=wine&version=1").await.ok()["requests"].clone()
}

/// What a worker does for the only open promotion.
async fn run_gates(app: &TestApp, request: &Value) -> PromotionState {
    advance(app, &json!({ "id": request["id"] })).await
}

#[tokio::test]
async fn a_request_for_a_stage_is_a_promotion_and_approving_it_a_vote() {
    let (app, people) = start(1).await;
    let asked = with(wine("Production"), "comment", "better");
    let made = people.contributor.ml("transition-requests/create", asked.clone()).await.ok()["request"].clone();
    assert_eq!(
        (&made["to_stage"], &made["from_stage"], &made["comment"], &made["user_id"], &made["available_actions"]),
        (
            &json!("Production"),
            &json!("None"),
            &json!("better"),
            &json!(people.contributor.user().name),
            &json!(["CANCEL_TRANSITION_REQUEST"])
        )
    );
    assert!(made["creation_timestamp"].is_i64());
    let promotion = people.viewer.get("/api/v1/promotions/1").await.ok()["promotion"].clone();
    assert_eq!((&promotion["id"], &promotion["environment"]), (&made["id"], &json!("production")));

    // Nothing is decided before the gates have run, and then by whoever may.
    let early = people.approver.ml("transition-requests/approve", wine("Production")).await.refused(409);
    assert!(early["message"].as_str().unwrap().ends_with("See http://slipway.test/w/default/promotions/1"), "{early}");
    assert_eq!(run_gates(&app, &made).await, PromotionState::AwaitingApproval);
    let listed = requests(&people.approver).await;
    assert_eq!(
        (&listed[0]["activity_type"], &listed[0]["available_actions"]),
        (&json!("REQUESTED_TRANSITION"), &json!(["APPROVE_TRANSITION_REQUEST", "REJECT_TRANSITION_REQUEST"]))
    );
    assert_eq!(requests(&people.viewer).await[0]["available_actions"], json!([]));
    let twice = people.contributor.ml("transition-requests/create", asked).await.refused(400);
    assert_eq!(twice["error_code"], "RESOURCE_ALREADY_EXISTS");
    assert!(twice["message"].as_str().unwrap().contains("/w/default/promotions/1"), "{twice}");

    for client in [&people.viewer, &people.contributor, &people.operator, &people.admin] {
        client.ml("transition-requests/approve", wine("Production")).await.refused(403);
    }
    let vote = with(wine("production"), "comment", "Fine.");
    let vote = with(vote, "archive_existing_versions", "true");
    let activity = people.approver.ml("transition-requests/approve", vote).await.ok()["activity"].clone();
    assert_eq!(
        (&activity["activity_type"], &activity["user_id"], &activity["comment"], &activity["to_stage"]),
        (&json!("APPROVED_REQUEST"), &json!(people.approver.user().name), &json!("Fine."), &json!("Production"))
    );
    let detail = people.viewer.get("/api/v1/promotions/1").await.ok();
    assert_eq!(
        (&detail["promotion"]["state"], &detail["decisions"][0]["comment"]),
        (&json!("approved"), &json!("Fine."))
    );
}

#[tokio::test]
async fn whoever_asked_does_not_decide_and_is_told_where_to_look() {
    let (app, people) = start(1).await;
    let both = app
        .member_with(
            [domain::permission::Role::Contributor, domain::permission::Role::Approver],
            domain::permission::Scope::Admin,
        )
        .await;
    let made = both.ml("transition-requests/create", wine("Production")).await.ok()["request"].clone();
    run_gates(&app, &made).await;
    let refused = both.ml("transition-requests/approve", wine("Production")).await.refused(403);
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("you requested it") && message.ends_with("/w/default/promotions/1"), "{message}");
    assert_eq!(requests(&both).await[0]["available_actions"], json!(["CANCEL_TRANSITION_REQUEST"]));

    // A no needs a reason, and ends it.
    people.approver.ml("transition-requests/reject", wine("Production")).await.refused(400);
    let no = with(wine("Production"), "comment", "Too slow.");
    let activity = people.approver.ml("transition-requests/reject", no).await.ok()["activity"].clone();
    assert_eq!((&activity["activity_type"], &activity["comment"]), (&json!("REJECTED_REQUEST"), &json!("Too slow.")));
    assert_eq!(requests(&people.viewer).await, Value::Null);
    people.approver.ml("transition-requests/approve", wine("Production")).await.refused(404);
}

#[tokio::test]
async fn a_request_is_taken_back_by_who_made_it() {
    let (app, people) = start(1).await;
    people.contributor.ml("transition-requests/create", wine("Staging")).await.ok();
    let delete = "/api/2.0/mlflow/transition-requests/delete?name=wine&version=1&stage=Staging";
    let mine = people.contributor.user().name.replace(' ', "%20");
    people.contributor.delete(&format!("{delete}&creator=somebody")).await.refused(404);
    let other = app.member(domain::permission::Role::Contributor).await;
    let refused = other.delete(&format!("{delete}&creator={mine}")).await.refused(403);
    assert!(refused["message"].as_str().unwrap().ends_with("/promotions/1"), "{refused}");
    let activity = people.contributor.delete(&format!("{delete}&creator={mine}")).await.ok()["activity"].clone();
    assert_eq!((&activity["activity_type"], &activity["to_stage"]), (&json!("CANCELLED_REQUEST"), &json!("Staging")));
    assert_eq!(people.viewer.get("/api/v1/promotions/1").await.ok()["promotion"]["state"], "withdrawn");
    people.contributor.delete(&format!("{delete}&creator={mine}")).await.refused(404);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let (app, people) = start(1).await;
    for (wrong, status) in [
        (wine("None"), 400),
        (wine("Archived"), 400),
        (wine("Nowhere"), 400),
        (wine(""), 400),
        (with(wine("Production"), "version", "x"), 400),
        (with(wine("Production"), "version", "9"), 404),
        (with(wine("Production"), "name", "none"), 404),
        (with(wine("Production"), "name", "a/b"), 400),
    ] {
        people.contributor.ml("transition-requests/create", wrong.clone()).await.refused(status);
        let decided = people.approver.ml("transition-requests/approve", wrong).await.status.as_u16();
        assert!([400, 404].contains(&decided), "{decided}");
    }
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.ml("transition-requests/create", wine("Production")).await.refused(404);
    people.contributor.ml("transition-requests/create", wine("Production")).await.ok();
    stranger.ml_get("transition-requests/list?name=wine&version=1").await.refused(404);
}

#[tokio::test]
async fn a_version_is_commented_on_as_the_sdk_does() {
    let (_app, people) = start(1).await;
    let new = json!({ "name": "wine", "version": "1", "comment": "*Nice*" });
    let made = people.approver.ml("comments/create", new).await.ok()["comment"].clone();
    assert_eq!(
        (&made["comment"], &made["user_id"], &made["available_actions"]),
        (&json!("*Nice*"), &json!(people.approver.user().name), &json!(["EDIT_COMMENT", "DELETE_COMMENT"]))
    );
    let change = json!({ "id": made["id"], "comment": "Nicer" });
    people.contributor.patch("/api/2.0/mlflow/comments/update", change.clone()).await.refused(403);
    let changed = people.approver.patch("/api/2.0/mlflow/comments/update", change).await.ok()["comment"].clone();
    assert_eq!((&changed["id"], &changed["comment"]), (&made["id"], &json!("Nicer")));
    let path = format!("/api/2.0/mlflow/comments/delete?id={}", made["id"].as_str().unwrap());
    people.contributor.delete(&path).await.refused(403);
    people.approver.delete(&path).await.ok();
    people.approver.delete(&path).await.refused(404);
    people.approver.delete("/api/2.0/mlflow/comments/delete?id=x").await.refused(404);
    for wrong in [json!({ "name": "wine", "version": "1" }), json!({ "name": "wine", "version": "1", "comment": " " })]
    {
        people.approver.ml("comments/create", wrong).await.refused(400);
    }
    people.viewer.ml("comments/create", json!({ "name": "wine", "version": "1", "comment": "x" })).await.refused(403);
}
