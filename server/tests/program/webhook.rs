//! Who sends a delivery when its worker is killed in the middle of it.

use crate::slipway::{PATIENCE, Slipway};
use artifacts::Artifacts;
use domain::webhook::{DeliveryState, WebhookEvent};
use outbound::Outbound;
use services::{Ctx, NewModel, NewWebhook, Services};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

/// The next request: its connection, and the delivery's id.
async fn request(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = timeout(PATIENCE, listener.accept()).await.expect("somebody sends").unwrap();
    let (mut text, mut part) = (String::new(), [0; 4096]);
    while !text.ends_with("}") {
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "the request ends early: {text}");
        text.push_str(str::from_utf8(&part[..read]).unwrap());
    }
    let id = text.lines().find_map(|line| line.strip_prefix("x-mlflow-delivery-id: ")).unwrap().to_owned();
    (stream, id)
}

#[tokio::test]
async fn a_delivery_whose_worker_is_killed_is_sent_by_another() {
    const OPTIONS: [&str; 1] = ["--webhook-allow-private"];
    let (slipway, mut server) = Slipway::start(&["--no-worker"]).await;
    let artifacts = Artifacts::open_dir(slipway.data().join("artifacts")).await.unwrap();
    let services = Services::new(slipway.pool().clone(), artifacts).with_outbound(Outbound::new(true));
    let ctx = Ctx::system(services.ensure_default_workspace().await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let new = NewWebhook {
        name: "ci".to_owned(),
        url: format!("http://{}/", listener.local_addr().unwrap()),
        events: [WebhookEvent::RegisteredModelCreated].into(),
        ..NewWebhook::default()
    };
    let webhook = services.create_webhook(&ctx, new).await.unwrap();

    let mut killed = slipway.work(&OPTIONS);
    services.create_model(&ctx, NewModel { name: "churn".to_owned(), ..NewModel::default() }).await.unwrap();
    let (unanswered, first) = request(&listener).await;
    killed.kill();
    drop(unanswered);
    // Nobody waits for the end of the lease here.
    sqlx::query("update webhook_deliveries set next_at = now() where state = 'sending'")
        .execute(slipway.pool())
        .await
        .unwrap();
    let mut other = slipway.work(&OPTIONS);
    let (mut stream, second) = request(&listener).await;
    assert_eq!(first, second, "the receiver can tell that it is the same");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let deliveries = services.webhook_deliveries(&ctx, webhook.id, None, 10).await.unwrap().items;
        if let [delivery] = deliveries.as_slice()
            && delivery.state == DeliveryState::Delivered
        {
            assert_eq!((delivery.attempts, delivery.response_status), (2, Some(200)));
            break;
        }
        assert!(Instant::now() < deadline, "it is not delivered: {deliveries:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    other.stop();
    server.stop();
}
