//! Sending: signed, again when need be, by one at a time, and never when it may not be.

use super::{deliveries, model, pass_time, receiver::Receiver, send_all, start, version, webhook};
use domain::webhook::{DeliveryState, MAX_ATTEMPTS, WebhookEvent, WebhookStatus};
use services::{WebhookChange, WebhookTest};
use std::{collections::BTreeSet, time::Duration};

#[tokio::test]
async fn a_receiver_that_is_busy_or_broken_gets_the_same_delivery_again() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    receiver.answers(&["500 Broken", "429 Busy\r\nretry-after: 100", "503 Busy", "204 Done"]);
    let mut pauses = Vec::new();
    for attempt in 1..=4 {
        assert_eq!(send_all(&services).await, 1, "try {attempt}");
        let delivery = deliveries(&world, &services, &hook).await.remove(0);
        assert_eq!(delivery.attempts, attempt);
        if attempt < 4 {
            assert_eq!(delivery.state, DeliveryState::Waiting);
            assert!(delivery.error.starts_with("The receiver answered "), "{delivery:?}");
            pauses.push(services.next_delivery_due().await.unwrap().unwrap());
            assert_eq!(send_all(&services).await, 0, "it pauses");
            pass_time(&world).await;
        } else {
            assert_eq!((delivery.state, delivery.response_status), (DeliveryState::Delivered, Some(204)));
            assert_eq!((delivery.error.as_str(), delivery.next_at), ("", None));
        }
    }
    assert!(pauses[0] <= Duration::from_secs(2) && pauses[1] > Duration::from_secs(60), "{pauses:?}");
    let requests = receiver.take();
    assert!(requests.iter().all(|request| request.is_signed_with("hush") && !request.is_signed_with("hus")));
    let same: BTreeSet<_> =
        requests.iter().map(|request| (&request.headers["x-mlflow-delivery-id"], &request.body)).collect();
    assert_eq!((requests.len(), same.len()), (4, 1));
}

#[tokio::test]
async fn what_cannot_pass_is_given_up_at_once_and_the_rest_in_the_end() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "a", &[]).await;
    model(&world, &services, "b", &[]).await;
    receiver.answers(&["404 Gone", "302 Found\r\nlocation: http://127.0.0.1:9/"]);
    assert_eq!(send_all(&services).await, 2);
    let all = deliveries(&world, &services, &hook).await;
    assert!(all.iter().all(|each| each.state == DeliveryState::Failed && each.ended_at.is_some()), "{all:?}");
    assert_eq!(all.iter().map(|each| each.response_status).collect::<Vec<_>>(), [Some(404), Some(302)]);

    model(&world, &services, "c", &[]).await;
    receiver.answers(&["500 Broken"; MAX_ATTEMPTS as usize + 1]);
    receiver.take();
    for _ in 0..=MAX_ATTEMPTS {
        send_all(&services).await;
        pass_time(&world).await;
    }
    assert_eq!(receiver.take().len(), MAX_ATTEMPTS as usize);
    let last = deliveries(&world, &services, &hook).await.pop().unwrap();
    assert_eq!((last.state, last.attempts), (DeliveryState::Failed, MAX_ATTEMPTS));
}

#[tokio::test]
async fn nobody_who_listens_is_asked_again() {
    let (world, services) = start().await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let hook = webhook(&world, &services, &format!("http://{closed}/")).await;
    model(&world, &services, "churn", &[]).await;
    assert_eq!(send_all(&services).await, 1);
    let delivery = deliveries(&world, &services, &hook).await.remove(0);
    assert_eq!((delivery.state, delivery.response_status), (DeliveryState::Waiting, None));
    assert_eq!(delivery.error, "The connection was refused.");
}

#[tokio::test]
async fn a_webhook_that_is_disabled_or_deleted_hears_nothing_more() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let receiver = Receiver::start().await;
    let disabled = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "a", &[]).await;
    let status = |status| WebhookChange { status: Some(status), ..WebhookChange::default() };
    services.change_webhook(&ctx, disabled.id, status(WebhookStatus::Disabled)).await.unwrap();
    model(&world, &services, "b", &[]).await;
    services.change_webhook(&ctx, disabled.id, status(WebhookStatus::Active)).await.unwrap();
    let all = deliveries(&world, &services, &disabled).await;
    assert_eq!(all.iter().map(|each| each.state).collect::<Vec<_>>(), [DeliveryState::Dropped]);

    model(&world, &services, "c", &[]).await;
    services.delete_webhook(&ctx, disabled.id).await.unwrap();
    model(&world, &services, "d", &[]).await;
    assert_eq!(send_all(&services).await, 0);
    assert_eq!(receiver.take().len(), 0);
    let states: Vec<String> = sqlx::query_scalar("select state from webhook_deliveries order by id")
        .fetch_all(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(states, ["dropped", "dropped"]);
}

#[tokio::test]
async fn what_is_under_way_when_its_webhook_is_deleted_is_not_tried_again() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    let taken = services.take_delivery().await.unwrap().unwrap();
    services.delete_webhook(&world.ctx(), hook.id).await.unwrap();
    receiver.answers(&["500 Broken"]);
    assert_eq!(services.send_delivery(taken).await.unwrap(), Some(DeliveryState::Dropped));
    pass_time(&world).await;
    assert_eq!(send_all(&services).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_who_send_at_once_each_delivery_is_sent_by_one() {
    const EVENTS: usize = 40;
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    for _ in 1..EVENTS {
        version(&world, &services, "churn", &[]).await;
    }
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let services = services.clone();
            tokio::spawn(async move { send_all(&services).await })
        })
        .collect();
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap();
    }
    // One who finds that the others have all that may be under way stops.
    sent += send_all(&services).await;
    let requests = receiver.take();
    let ids: BTreeSet<_> = requests.iter().map(|request| &request.headers["x-mlflow-delivery-id"]).collect();
    assert_eq!((sent, requests.len(), ids.len()), (EVENTS, EVENTS, EVENTS));
}

#[tokio::test]
async fn a_delivery_whose_worker_is_lost_is_sent_by_another_and_the_first_has_no_say_any_more() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    let lost = services.take_delivery().await.unwrap().unwrap();
    assert!(services.take_delivery().await.unwrap().is_none(), "the lease holds");
    pass_time(&world).await;
    assert_eq!(send_all(&services).await, 1);
    // It was not dead after all, and speaks up late.
    receiver.answers(&["500 Broken"]);
    assert_eq!(services.send_delivery(lost).await.unwrap(), None);
    let delivery = deliveries(&world, &services, &hook).await.remove(0);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 2));
    let ids: BTreeSet<_> =
        receiver.take().into_iter().map(|request| request.headers["x-mlflow-delivery-id"].clone()).collect();
    assert_eq!(ids.len(), 1, "whoever gets it twice can tell");
}

#[tokio::test]
async fn a_delivery_that_takes_its_workers_down_is_given_up() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    for _ in 0..MAX_ATTEMPTS {
        services.take_delivery().await.unwrap().unwrap();
        pass_time(&world).await;
    }
    assert_eq!(send_all(&services).await, 1);
    assert_eq!(receiver.take().len(), 0);
    assert_eq!(deliveries(&world, &services, &hook).await[0].state, DeliveryState::Failed);
}

#[tokio::test]
async fn nothing_is_sent_to_a_private_address_once_it_is_not_allowed_any_more() {
    let (world, services) = start().await;
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    model(&world, &services, "churn", &[]).await;
    assert_eq!(send_all(&world.services).await, 1);
    assert_eq!(receiver.take().len(), 0);
    let delivery = deliveries(&world, &services, &hook).await.remove(0);
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert!(delivery.error.starts_with("The URL "), "{delivery:?}");
}

#[tokio::test]
async fn an_example_is_sent_now_and_is_no_delivery() {
    let (world, services) = start().await;
    let ctx = world.ctx();
    let receiver = Receiver::start().await;
    let hook = webhook(&world, &services, &receiver.url).await;
    let test = async |event| services.test_webhook(&ctx, hook.id, event).await.unwrap();
    let went = test(Some(WebhookEvent::ModelVersionTagSet)).await;
    assert_eq!((went.success, went.response_status, went.error), (true, Some(200), None));
    receiver.answers(&["500 Broken"]);
    let WebhookTest { success, response_status, error, .. } = test(None).await;
    assert_eq!((success, response_status), (false, Some(500)));
    assert_eq!(error.as_deref(), Some("The receiver answered 500."));
    let requests = receiver.take();
    assert!(requests.iter().all(|request| request.is_signed_with("hush")));
    assert_eq!(requests[0].json()["data"]["key"], "example_key");
    assert_eq!(requests[1].json()["entity"], "registered_model");
    assert_eq!(deliveries(&world, &services, &hook).await, []);
}
