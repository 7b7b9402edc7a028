//! Who receives deliveries: a small HTTP server.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether its signature is the one of this secret.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let [id, timestamp, signature] = ["delivery-id", "timestamp", "signature"]
            .map(|name| self.headers.get(&format!("x-mlflow-{name}")).cloned().unwrap_or_default());
        outbound::signature(secret, &id, &timestamp, &self.body) == signature
    }
}

/// A server on this machine. It answers 200, or with what [`Receiver::answers`] says.
pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    requests: Mutex<Vec<Request>>,
    answers: Mutex<VecDeque<String>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Answers the next requests with these: a status, and header lines after it.
    pub(crate) fn answers(&self, answers: &[&str]) {
        self.state.answers.lock().unwrap().extend(answers.iter().map(|answer| (*answer).to_owned()));
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.state.requests.lock().unwrap())
    }
}

async fn receive(mut stream: TcpStream, state: Arc<State>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers: BTreeMap<String, String> = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            if headers["content-length"].parse::<usize>().unwrap() == body.len() {
                break (headers, body.to_owned());
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    };
    state.requests.lock().unwrap().push(Request { headers: head, body });
    let answer = state.answers.lock().unwrap().pop_front().unwrap_or_else(|| "200 OK".to_owned());
    let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
}
