//! Webhooks, from what happens in the registry to what a receiver gets, over a real database and real connections.

mod receiver;
mod sending;
mod telling;

use crate::tracking::world::World;
use domain::webhook::{Delivery, Webhook, WebhookEvent};
use outbound::Outbound;
use services::{NewModel, NewModelVersion, NewWebhook, Services};

/// Use cases that may send to this machine.
async fn start() -> (World, Services) {
    let world = World::start().await;
    let services = world.services.clone().with_outbound(Outbound::new(true));
    (world, services)
}

/// A webhook that is told of everything, and signs.
async fn webhook(world: &World, services: &Services, url: &str) -> Webhook {
    let new = NewWebhook {
        name: "ci".to_owned(),
        url: url.to_owned(),
        events: WebhookEvent::ALL.into(),
        secret: "hush".to_owned(),
        ..NewWebhook::default()
    };
    services.create_webhook(&world.ctx(), new).await.unwrap()
}

async fn model(world: &World, services: &Services, name: &str, tags: &[(&str, &str)]) {
    let new = NewModel { name: name.to_owned(), description: String::new(), tags: pairs(tags) };
    services.create_model(&world.ctx(), new).await.unwrap();
}

async fn version(world: &World, services: &Services, model: &str, tags: &[(&str, &str)]) {
    let new = NewModelVersion {
        model: model.to_owned(),
        source: "dummy-source".to_owned(),
        tags: pairs(tags),
        ..NewModelVersion::default()
    };
    services.create_model_version(&world.ctx(), new).await.unwrap();
}

fn pairs(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What was sent and is to be, oldest first.
async fn deliveries(world: &World, services: &Services, webhook: &Webhook) -> Vec<Delivery> {
    let mut page = services.webhook_deliveries(&world.ctx(), webhook.id, None, 1000).await.unwrap().items;
    page.reverse();
    page
}

/// Takes what may be sent now and sends it, until nothing is left. Tells how much.
async fn send_all(services: &Services) -> usize {
    let mut sent = 0;
    while let Some(taken) = services.take_delivery().await.unwrap() {
        services.send_delivery(taken).await.unwrap();
        sent += 1;
    }
    sent
}

/// Lets the time come at which each may be taken.
async fn pass_time(world: &World) {
    let passed = "update webhook_deliveries set next_at = now() - interval '1 s' where state in ('waiting', 'sending')";
    sqlx::query(passed).execute(&world.database.pool).await.unwrap();
}
