//! What is written when something happens: who is told of what, and by whom webhooks may be set up.

use super::{deliveries, model, receiver::Receiver, send_all, start, version, webhook};
use domain::{
    ErrorKind,
    audit::ObjectKind,
    webhook::{DeliveryState, WebhookEvent, WebhookFormat, WebhookStatus},
};
use serde_json::json;
use services::{NewModel, NewModelVersion, NewWebhook, WebhookChange};
use std::collections::BTreeSet;

#[tokio::test]
async fn every_change_of_a_model_is_told_once_and_no_other() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[("team", "red")]).await;
    version(&world, &services, "churn", &[("a", "1")]).await;
    services.set_model_tag(&ctx, "churn", "told", "to nobody").await.unwrap();
    for _ in 0..2 {
        services.set_version_tag(&ctx, "churn", 1, "k", "v").await.unwrap();
        services.set_alias(&ctx, "churn", "champion", 1).await.unwrap();
    }
    for _ in 0..2 {
        services.delete_version_tag(&ctx, "churn", 1, "k").await.unwrap();
        services.delete_alias(&ctx, "churn", "champion").await.unwrap();
    }
    services.set_alias(&ctx, "churn", "last", 1).await.unwrap();
    services.delete_model_version(&ctx, "churn", 1).await.unwrap();
    assert_eq!(send_all(&services).await, 8);
    let bodies: Vec<_> = receiver.take().iter().map(super::receiver::Request::json).collect();
    assert!(bodies.iter().all(|body| body["workspace"] == "default" && body["timestamp"].is_string()));
    let told: Vec<_> = bodies.iter().map(|body| json!([body["entity"], body["action"], body["data"]])).collect();
    let version_tag = json!({ "name": "churn", "version": "1", "key": "k", "value": "v" });
    let alias = |alias: &str| json!({ "name": "churn", "alias": alias, "version": "1" });
    assert_eq!(
        told,
        [
            json!(["registered_model", "created", { "name": "churn", "tags": { "team": "red" }, "description": "" }]),
            json!(["model_version", "created", {
                "name": "churn", "version": "1", "source": "dummy-source", "run_id": null, "tags": { "a": "1" },
                "description": null,
            }]),
            json!(["model_version_tag", "set", version_tag]),
            json!(["model_version_alias", "created", alias("champion")]),
            json!(["model_version_tag", "deleted", { "name": "churn", "version": "1", "key": "k" }]),
            json!(["model_version_alias", "deleted", { "name": "churn", "alias": "champion" }]),
            json!(["model_version_alias", "created", alias("last")]),
            json!(["model_version_alias", "deleted", { "name": "churn", "alias": "last" }]),
        ]
    );
    let all = deliveries(&world, &services, &hook).await;
    assert!(all.iter().all(|each| each.state == DeliveryState::Delivered && each.response_status == Some(200)));
}

#[tokio::test]
async fn a_prompt_is_told_in_the_words_of_prompts() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    let is_prompt = ("mlflow.prompt.is_prompt", "true");
    model(&world, &services, "greeting", &[is_prompt, ("team", "red")]).await;
    version(&world, &services, "greeting", &[is_prompt, ("mlflow.prompt.text", "Hello {{name}}!"), ("a", "1")]).await;
    services.set_model_tag(&ctx, "greeting", "k", "v").await.unwrap();
    services.delete_model_tag(&ctx, "greeting", "k").await.unwrap();
    services.set_version_tag(&ctx, "greeting", 1, "k", "v").await.unwrap();
    services.delete_version_tag(&ctx, "greeting", 1, "k").await.unwrap();
    services.set_alias(&ctx, "greeting", "champion", 1).await.unwrap();
    services.delete_alias(&ctx, "greeting", "champion").await.unwrap();
    let events: Vec<_> = deliveries(&world, &services, &hook).await.iter().map(|each| each.event).collect();
    assert_eq!(
        events,
        [
            WebhookEvent::PromptCreated,
            WebhookEvent::PromptVersionCreated,
            WebhookEvent::PromptTagSet,
            WebhookEvent::PromptTagDeleted,
            WebhookEvent::PromptVersionTagSet,
            WebhookEvent::PromptVersionTagDeleted,
            WebhookEvent::PromptAliasCreated,
            WebhookEvent::PromptAliasDeleted,
        ]
    );
    send_all(&services).await;
    let told = receiver.take();
    assert_eq!(told[0].json()["data"]["tags"], json!({ "team": "red" }));
    assert_eq!(
        told[1].json()["data"],
        json!({
            "name": "greeting", "version": "1", "template": "Hello {{name}}!", "tags": { "a": "1" },
            "description": null,
        })
    );
}

#[tokio::test]
async fn what_is_refused_is_told_to_nobody() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let hook = webhook(&world, &services, "http://127.0.0.1:9/").await;
    model(&world, &services, "churn", &[]).await;
    let again = NewModel { name: "churn".to_owned(), ..NewModel::default() };
    services.create_model(&ctx, again).await.unwrap_err();
    let elsewhere = NewModelVersion {
        model: "churn".to_owned(),
        source: "s3://bucket/model".to_owned(),
        ..NewModelVersion::default()
    };
    services.create_model_version(&ctx, elsewhere).await.unwrap_err();
    services.set_alias(&ctx, "churn", "production", 1).await.unwrap_err();
    assert_eq!(deliveries(&world, &services, &hook).await.len(), 1);
}

#[tokio::test]
async fn a_webhook_hears_what_it_asked_for_in_its_own_workspace() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let hook = webhook(&world, &services, "http://127.0.0.1:9/").await;
    let only =
        WebhookChange { events: Some(BTreeSet::from([WebhookEvent::ModelVersionCreated])), ..WebhookChange::default() };
    services.change_webhook(&ctx, hook.id, only).await.unwrap();
    model(&world, &services, "churn", &[]).await;
    assert_eq!(deliveries(&world, &services, &hook).await.len(), 0);
    version(&world, &services, "churn", &[]).await;
    assert_eq!(deliveries(&world, &services, &hook).await.len(), 1);
}

#[tokio::test]
async fn history_tells_of_a_webhook_without_its_secrets() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let hook = webhook(&world, &services, "http://127.0.0.1:9/path-secret").await;
    let change = |change: WebhookChange| services.change_webhook(&ctx, hook.id, change);
    let status = |status| WebhookChange { status: Some(status), ..WebhookChange::default() };
    change(status(WebhookStatus::Disabled)).await.unwrap();
    // The same again is no change.
    change(status(WebhookStatus::Disabled)).await.unwrap();
    change(status(WebhookStatus::Active)).await.unwrap();
    let secret = |secret: &str| WebhookChange { secret: Some(secret.to_owned()), ..WebhookChange::default() };
    change(secret("hush")).await.unwrap();
    assert!(change(secret("another-hush")).await.unwrap().has_secret);
    assert!(!change(secret("")).await.unwrap().has_secret);
    services.delete_webhook(&ctx, hook.id).await.unwrap();
    let missing = services.delete_webhook(&ctx, hook.id).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    let id = hook.id.to_string();
    let events = services.audit_events(&ctx, &[(ObjectKind::Webhook, &id)], None, 100).await.unwrap().items;
    let lines: Vec<_> = events.iter().rev().map(|event| format!("{}: {}", event.action, event.summary)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    webhook.created: added the webhook ci
    webhook.changed: disabled the webhook ci
    webhook.changed: enabled the webhook ci
    webhook.changed: changed the webhook ci
    webhook.changed: changed the webhook ci
    webhook.deleted: deleted the webhook ci
    ");
    let written = serde_json::to_string(&events).unwrap();
    assert!(!written.contains("hush") && !written.contains("path-secret"), "{written}");
    let kept: i64 = sqlx::query_scalar("select count(*) from webhooks where secret <> ''")
        .fetch_one(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn a_wrong_webhook_is_refused_and_not_made() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let right = || NewWebhook {
        name: "ci".to_owned(),
        url: "http://127.0.0.1:9/".to_owned(),
        events: WebhookEvent::ALL.into(),
        ..NewWebhook::default()
    };
    for (wrong, field) in [
        (NewWebhook { name: "CI".to_owned(), ..right() }, "name"),
        (NewWebhook { url: "ftp://127.0.0.1".to_owned(), ..right() }, "url"),
        (NewWebhook { url: "http://no-such-host.invalid/".to_owned(), ..right() }, "url"),
        (NewWebhook { events: BTreeSet::new(), ..right() }, "events"),
        (NewWebhook { description: "\0".to_owned(), ..right() }, "description"),
        (NewWebhook { secret: "x".repeat(1001), ..right() }, "secret"),
    ] {
        let error = services.create_webhook(&ctx, wrong).await.unwrap_err();
        assert_eq!((error.kind, error.field.as_deref()), (ErrorKind::Invalid, Some(field)), "{error:?}");
    }
    // Where private addresses are not allowed, neither is this machine.
    for url in ["http://127.0.0.1:9/", "https://127.0.0.1:9/", "https://localhost/", "https://localhost./"] {
        let error = world.services.create_webhook(&ctx, NewWebhook { url: url.to_owned(), ..right() }).await;
        assert_eq!(error.unwrap_err().field.as_deref(), Some("url"), "{url}");
    }
    assert_eq!(services.webhooks(&ctx, None, 10).await.unwrap().items, []);
}

#[tokio::test]
async fn a_chat_is_posted_a_sentence_where_another_webhook_is_posted_the_event() {
    let (world, services) = start().await;
    let (chat, other) = (Receiver::start().await, Receiver::start().await);
    let events = BTreeSet::from([WebhookEvent::ModelVersionCreated]);
    let new = |url: &str, format| NewWebhook {
        name: "told".to_owned(),
        url: url.to_owned(),
        events: events.clone(),
        format,
        ..NewWebhook::default()
    };
    let made = services.create_webhook(&world.ctx(), new(&chat.url, WebhookFormat::Chat)).await.unwrap();
    services.create_webhook(&world.ctx(), new(&other.url, WebhookFormat::Mlflow)).await.unwrap();
    model(&world, &services, "churn", &[]).await;
    version(&world, &services, "churn", &[]).await;
    assert_eq!(send_all(&services).await, 2);
    let posted: Vec<_> = chat.take().iter().map(super::receiver::Request::json).collect();
    assert_eq!(posted, [json!({ "text": "A version is registered: churn v1." })]);
    assert_eq!(other.take()[0].json()["entity"], "model_version");

    // What waits is sent as it was written, whatever becomes of the webhook.
    version(&world, &services, "churn", &[]).await;
    let change = WebhookChange { format: Some(WebhookFormat::Mlflow), ..WebhookChange::default() };
    assert_eq!(services.change_webhook(&world.ctx(), made.id, change).await.unwrap().format, WebhookFormat::Mlflow);
    send_all(&services).await;
    assert_eq!(chat.take()[0].json(), json!({ "text": "A version is registered: churn v2." }));
    assert!(services.test_webhook(&world.ctx(), made.id, None).await.unwrap().success);
    assert_eq!(chat.take()[0].json()["action"], "created");
}
