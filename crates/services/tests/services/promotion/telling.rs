//! What webhooks are told of promotions.

use crate::promotion::world::{World, metric_gate};
use domain::{
    duration::Span,
    policy::GateSpec,
    promotion::{DecisionVerdict, OverrideKind, PromotionState},
    webhook::{Delivery, PromotionEvent, Webhook, WebhookEvent},
};
use serde_json::{Value, json};
use services::{NewOverride, NewWebhook};
use std::collections::BTreeSet;

async fn webhook(world: &World, events: impl IntoIterator<Item = WebhookEvent>) -> Webhook {
    let new = NewWebhook {
        name: "ci".to_owned(),
        url: "https://1.1.1.1/hook".to_owned(),
        events: events.into_iter().collect::<BTreeSet<_>>(),
        secret: "hush".to_owned(),
        ..NewWebhook::default()
    };
    world.services.create_webhook(&world.admin, new).await.unwrap()
}

fn of_promotions() -> impl Iterator<Item = WebhookEvent> {
    PromotionEvent::ALL.into_iter().map(WebhookEvent::Promotion)
}

/// What is to be sent, oldest first.
async fn told(world: &World, webhook: &Webhook) -> Vec<Delivery> {
    let mut page = world.services.webhook_deliveries(&world.admin, webhook.id, None, 1000).await.unwrap().items;
    page.reverse();
    page
}

async fn events(world: &World, webhook: &Webhook) -> Vec<String> {
    told(world, webhook).await.into_iter().map(|delivery| delivery.event.action().to_owned()).collect()
}

async fn bodies(world: &World) -> Vec<Value> {
    let bodies: Vec<String> = sqlx::query_scalar("select body from webhook_deliveries order by id")
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn each_move_up_to_the_rollback_is_told_once() {
    let world = World::start().await;
    let hook = webhook(&world, of_promotions()).await;
    let (first, second) = (world.version_with(0.8).await, world.version_with(0.9).await);
    world.live(first).await;
    let promotion = world.live(second).await;
    world.roll_back().await.unwrap();
    let way = ["requested", "gates_passed", "approved", "agreed", "deploying", "verifying", "live"];
    let told: Vec<String> = events(&world, &hook).await;
    assert_eq!(told[..7], way);
    assert_eq!(
        told[7..14],
        ["requested", "gates_passed", "approved", "agreed", "deploying", "verifying", "superseded"]
    );
    assert_eq!(told[14..], ["live", "rolled_back"]);

    let bodies = bodies(&world).await;
    let body = &bodies[14];
    assert_eq!(
        (&body["entity"], &body["action"], &body["workspace"]),
        (&json!("promotion"), &json!("live"), &json!("default"))
    );
    let data = &body["data"];
    assert_eq!((&data["number"], &data["title"]), (&json!(2), &json!("iris v2 → production")));
    assert_eq!((&data["state"], &data["before"]), (&json!("live"), &json!("verifying")));
    assert_eq!(data["subject_digest"], json!(promotion.subject_digest));
    assert_eq!(data["url"], "/w/default/promotions/2");
    assert_eq!(
        (&bodies[2]["data"]["by"], &bodies[2]["data"]["state"]),
        (&json!("Person 3"), &json!("awaiting_approval"))
    );
}

#[tokio::test]
async fn a_no_a_wish_for_changes_and_an_override_are_told_with_their_reasons() {
    let world = World::start().await;
    let hook = webhook(&world, of_promotions()).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    world.decide(&world.approver, &promotion, DecisionVerdict::RequestChanges, "More data.").await.unwrap();
    world.decide(&world.approver, &promotion, DecisionVerdict::Reject, "Not this one.").await.unwrap();
    assert_eq!(events(&world, &hook).await, ["requested", "gates_passed", "changes_requested", "rejected"]);
    let all = bodies(&world).await;
    assert_eq!(all[2]["data"]["details"]["comment"], "More data.");
    assert!(all[3]["data"]["reason"].as_str().unwrap().contains("Not this one."), "{}", all[3]);

    world.set_policy("production", vec![metric_gate(0.99)], 0).await;
    let blocked = world.request(version).await;
    assert_eq!(world.advance(&blocked).await, PromotionState::Blocked);
    let new = NewOverride { kind: OverrideKind::Gates, reason: "Customers wait for this one.".to_owned() };
    world.services.open_override(&world.admin, blocked.number, new).await.unwrap();
    world.services.withdraw_promotion(&world.contributor, blocked.number).await.unwrap();
    assert_eq!(events(&world, &hook).await[4..], ["requested", "blocked", "override_opened", "withdrawn"]);
}

#[tokio::test]
async fn a_move_that_does_not_happen_is_not_told() {
    let world = World::start().await;
    let hook = webhook(&world, of_promotions()).await;
    let version = world.version().await;
    let promotion = world.awaiting(version).await;
    let before = events(&world, &hook).await.len();
    world.approve(&world.contributor, &promotion).await.unwrap_err();
    world.services.withdraw_promotion(&world.approver, promotion.number).await.unwrap_err();
    assert_eq!(events(&world, &hook).await.len(), before);
    let other = webhook(&world, [WebhookEvent::Promotion(PromotionEvent::Withdrawn)]).await;
    world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(events(&world, &other).await, ["withdrawn"], "of what it did not ask for it hears nothing");
}

#[tokio::test]
async fn a_delivery_is_sent_again_as_one_of_its_own() {
    let world = World::start().await;
    let hook = webhook(&world, of_promotions()).await;
    let version = world.version().await;
    world.request(version).await;
    let [first] = told(&world, &hook).await.try_into().unwrap();
    let again = world.services.redeliver(&world.admin, hook.id, first.id).await.unwrap();
    assert_eq!((again.redelivery_of, again.event), (Some(first.id), first.event));
    assert_ne!(again.id, first.id);
    let all = bodies(&world).await;
    assert_eq!(all[0], all[1]);
    world.services.redeliver(&world.admin, hook.id, domain::id::DeliveryId::new()).await.unwrap_err();
}

#[tokio::test]
async fn an_external_gate_asks_with_the_address_of_its_answer() {
    let world = World::start().await;
    let hook = webhook(&world, [WebhookEvent::Promotion(PromotionEvent::GateRequested)]).await;
    let gate = GateSpec::External { name: "security scan".to_owned(), timeout: Span::of_days(1) };
    world.set_policy("production", vec![gate], 0).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    assert_eq!(world.advance(&promotion).await, PromotionState::GatesRunning);
    assert_eq!(events(&world, &hook).await, ["gate_requested"], "it is asked once");
    let body = &bodies(&world).await[0];
    assert_eq!(body["data"]["gate"], "security scan");
    assert_eq!(body["data"]["answer_url"], "/w/default/api/v1/promotions/1/gates/security%20scan/answer");
}
