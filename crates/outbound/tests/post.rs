//! What is posted, and where it is not posted to: over real connections.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use domain::webhook::WebhookUrl;
use outbound::{Answer, Error, Lookup, MOST_READ, Message, Outbound, signature};
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// Answers one request with this text, and gives the request.
async fn receiver(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&request).ends_with("}") {
            let read = stream.read(&mut part).await.unwrap();
            assert!(read > 0, "the request ends early");
            request.extend_from_slice(&part[..read]);
        }
        // The other side may have read enough.
        let _ = stream.write_all(answer.as_bytes()).await;
        String::from_utf8(request).unwrap()
    });
    (address, received)
}

const MESSAGE: Message<'static> = Message { id: "d-1", body: r#"{"a":1}"#, secret: Some("hush") };

fn names(known: &'static [(&'static str, &'static str)]) -> Lookup {
    Lookup::by(move |host| async move {
        let found = known.iter().filter(|(name, _)| *name == host);
        Ok(found.map(|(_, address)| SocketAddr::new(address.parse().unwrap(), 0)).collect())
    })
}

#[tokio::test]
async fn a_message_is_posted_with_its_headers_and_signature() {
    let (address, received) = receiver("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok").await;
    let answer = Outbound::new(true).post(&format!("http://{address}/hook?x=1"), &MESSAGE).await.unwrap();
    assert_eq!(answer, Answer { status: 202, body: "ok".to_owned(), retry_after: None });
    let request = received.await.unwrap();
    assert!(request.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{request}");
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {request}")).to_owned()
    };
    assert_eq!((header("content-type").as_str(), header("x-mlflow-delivery-id").as_str()), ("application/json", "d-1"));
    let timestamp = header("x-mlflow-timestamp");
    assert!(timestamp.parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!(header("x-mlflow-signature"), signature("hush", "d-1", &timestamp, MESSAGE.body));
    assert!(request.ends_with("\r\n\r\n{\"a\":1}"));
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let (address, received) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let message = Message { secret: Some(""), ..MESSAGE };
    Outbound::new(true).post(&format!("http://{address}/"), &message).await.unwrap();
    assert!(!received.await.unwrap().contains("signature"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (address, received) =
        receiver("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    let answer = Outbound::new(true).post(&format!("http://{address}/"), &MESSAGE).await.unwrap();
    assert_eq!(answer.status, 307);
    received.await.unwrap();
}

#[tokio::test]
async fn what_a_receiver_asks_for_is_heard_and_what_it_says_is_cut() {
    let long: &'static str = Box::leak(
        format!("HTTP/1.1 429 Too Many\r\nretry-after: 17\r\ncontent-length: 1000000\r\n\r\n{}", "x".repeat(100_000))
            .into_boxed_str(),
    );
    let (address, received) = receiver(long).await;
    let answer = Outbound::new(true).post(&format!("http://{address}/"), &MESSAGE).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(Duration::from_secs(17))));
    assert_eq!(answer.body.len(), MOST_READ);
    received.await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_in_a_sentence() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = Outbound::new(true).post(&format!("http://{closed}/"), &MESSAGE).await.unwrap_err();
    assert_eq!(error, Error::Unreached("The connection was refused.".to_owned()));
    let nowhere = Outbound::with_lookup(true, Lookup::by(async |_| Err(io::Error::other("no such name"))));
    let error = nowhere.post("http://nowhere.example/", &MESSAGE).await.unwrap_err();
    assert_eq!(error, Error::Unreached("The URL's host has no address.".to_owned()));
}

#[tokio::test]
async fn a_number_in_a_private_network_is_not_connected_to() {
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        let error = Outbound::new(false).post(&format!("https://{host}/"), &MESSAGE).await.unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn a_name_with_one_private_address_among_others_is_refused() {
    let lookup = names(&[("mixed.example", "1.1.1.1"), ("mixed.example", "10.0.0.1"), ("fine.example", "1.1.1.1")]);
    let outbound = Outbound::with_lookup(false, lookup);
    let check = async |url: &str| outbound.check(&WebhookUrl::parse(url, false).unwrap()).await;
    assert!(matches!(check("https://mixed.example/").await, Err(Error::Refused(_))));
    assert!(matches!(check("https://nobody.example/").await, Err(Error::Unreached(_))));
    assert_eq!(check("https://fine.example/").await, Ok(()));
    let error = outbound.post("https://mixed.example/", &MESSAGE).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_name_server_that_answers_otherwise_the_second_time_gains_nothing() {
    // Somebody inside listens; nobody may knock.
    let inside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let outbound = Outbound::with_lookup(
        false,
        Lookup::by(move |_| {
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            async move { Ok(vec![SocketAddr::new(if first { "1.1.1.1" } else { "127.0.0.1" }.parse().unwrap(), 0)]) }
        }),
    );
    let url = format!("https://rebind.example:{}/", inside.local_addr().unwrap().port());
    assert_eq!(outbound.check(&WebhookUrl::parse(&url, false).unwrap()).await, Ok(()));
    let error = outbound.post(&url, &MESSAGE).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "a request looks its host up once");
    let knocked = futures::future::select(Box::pin(inside.accept()), std::future::ready(())).await;
    assert!(matches!(knocked, futures::future::Either::Right(_)), "somebody connected");
}
