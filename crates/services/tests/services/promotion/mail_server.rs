//! Who takes messages: a mail server that speaks just enough SMTP.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// A message that came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Whom it was given for.
    pub(crate) to: String,
    /// Its headers, as lines.
    pub(crate) head: String,
    /// What comes after them, with long lines whole again.
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{name} in {}", self.head))
    }
}

/// A mail server on this machine. It takes everything, or answers to a recipient with what [`MailServer::answers`] says.
pub(crate) struct MailServer {
    pub(crate) url: String,
    state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    received: Mutex<Vec<Received>>,
    answers: Mutex<VecDeque<String>>,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Self { url, state, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Answers to the next recipients with these.
    pub(crate) fn answers(&self, answers: &[&str]) {
        self.state.answers.lock().unwrap().extend(answers.iter().map(|answer| (*answer).to_owned()));
    }

    /// What came since this was asked last.
    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.state.received.lock().unwrap())
    }
}

async fn converse(stream: TcpStream, state: Arc<State>) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await.ok()? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-mail.test\r\n250 8BITMIME".to_owned(),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                state.answers.lock().unwrap().pop_front().unwrap_or_else(|| "250 OK".to_owned())
            }
            "DATA" => {
                write.write_all(b"354 Go on\r\n").await.ok()?;
                let mut text = Vec::new();
                loop {
                    match lines.next_line().await.ok()?? {
                        end if end == "." => break,
                        line => text.push(line.strip_prefix('.').map_or(line.clone(), str::to_owned)),
                    }
                }
                let text = text.join("\n");
                let (head, body) = text.split_once("\n\n")?;
                let body = body.replace("=\n", "").replace("=3D", "=");
                state.received.lock().unwrap().push(Received { to: to.clone(), head: head.to_owned(), body });
                "250 Taken".to_owned()
            }
            "QUIT" => "221 Bye".to_owned(),
            "MAIL" | "RSET" | "NOOP" => "250 OK".to_owned(),
            _ => "502 What?".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}
