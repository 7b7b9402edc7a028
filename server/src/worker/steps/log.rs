//! Writing the log of a try: lines are gathered for a moment and stored together.

use chrono::Utc;
use domain::{
    id::StepAttemptId,
    log::{LogLine, LogStream},
};
use services::{Appended, Services};
use std::time::Duration;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};

/// So many lines are stored at once …
const LINES: usize = 1000;
/// … or so many bytes: one statement must not hold up those of others.
const CHUNK_BYTES: usize = 512 << 10;
/// A line waits at most so long for others.
const WAIT: Duration = Duration::from_millis(300);
/// Open pages are told of new lines at most so often.
const TELL: Duration = Duration::from_millis(500);
/// A log has at most so many lines …
const MAX_LINES: i64 = 2_000_000;
/// … and bytes. What is written beyond is read, so that the step goes on, and dropped.
const MAX_BYTES: usize = 64 << 20;

/// The log of a try.
pub(super) struct Log {
    services: Services,
    attempt: StepAttemptId,
    /// The lines so far.
    last: i64,
    bytes: usize,
    is_cut: bool,
    /// The try was ended from outside; nobody takes its lines any more.
    is_closed: bool,
    pending: Vec<LogLine>,
    pending_bytes: usize,
    flush_at: Option<Instant>,
    tell_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Log {
    /// An empty log. `services` has connections of its own.
    pub(super) fn new(services: Services, attempt: StepAttemptId) -> Self {
        Self {
            services,
            attempt,
            last: 0,
            bytes: 0,
            is_cut: false,
            is_closed: false,
            pending: Vec::new(),
            pending_bytes: 0,
            flush_at: None,
            tell_at: None,
            told_at: None,
        }
    }

    /// One that goes on after this many lines.
    pub(super) fn after(self, lines: i64) -> Self {
        Self { last: lines, ..self }
    }

    /// Says what Slipway does.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.add(Utc::now().timestamp_millis(), LogStream::Sys, text.into());
    }

    /// Takes what the command writes until it has ended.
    pub(super) async fn follow(&mut self, mut lines: mpsc::Receiver<executors::LogLine>) {
        let mut read = Vec::with_capacity(LINES);
        loop {
            let (flush_at, tell_at) = (self.flush_at, self.tell_at);
            tokio::select! {
                count = lines.recv_many(&mut read, LINES) => {
                    if count == 0 {
                        return;
                    }
                    for line in read.drain(..) {
                        let stream = if line.is_err { LogStream::Err } else { LogStream::Out };
                        self.take(line.at_ms, stream, line.text);
                        if self.pending.len() >= LINES || self.pending_bytes >= CHUNK_BYTES {
                            self.flush().await;
                        }
                    }
                }
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => self.flush().await,
                () = sleep_until(tell_at.unwrap_or_else(Instant::now)), if tell_at.is_some() => self.tell().await,
            }
        }
    }

    /// Stores whatever is not stored yet. Pages are told by the end of the try.
    pub(super) async fn finish(&mut self) {
        self.flush().await;
    }

    fn take(&mut self, at_ms: i64, stream: LogStream, text: String) {
        if self.is_cut {
            return;
        }
        if self.last >= MAX_LINES || self.bytes + text.len() > MAX_BYTES {
            self.is_cut = true;
            self.say(format!(
                "The log is cut here: a log has at most {MAX_LINES} lines and {} MiB. The step goes on.",
                MAX_BYTES >> 20
            ));
            return;
        }
        self.bytes += text.len();
        self.add(at_ms, stream, text);
    }

    fn add(&mut self, at_ms: i64, stream: LogStream, text: String) {
        self.last += 1;
        self.pending_bytes += text.len();
        self.pending.push(LogLine { number: self.last, at_ms, stream, text });
        self.flush_at.get_or_insert_with(|| Instant::now() + WAIT);
    }

    /// Tries until the database has taken the lines: they have no other place. Meanwhile a step that writes much waits.
    async fn flush(&mut self) {
        self.flush_at = None;
        self.pending_bytes = 0;
        let mut wait = Duration::from_millis(100);
        while !self.pending.is_empty() && !self.is_closed {
            match timeout(Duration::from_secs(15), self.services.append_log(self.attempt, &self.pending)).await {
                Ok(Ok(Appended::Stored)) => {
                    self.pending.clear();
                    let told_at = self.told_at;
                    let soonest = || told_at.map_or_else(Instant::now, |told_at| told_at + TELL);
                    self.tell_at.get_or_insert_with(soonest);
                }
                Ok(Ok(Appended::Ended)) => self.is_closed = true,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "lines of a log could not be stored; trying again");
                    sleep(wait).await;
                }
                Err(_) => sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        self.pending.clear();
    }

    /// When this fails, pages learn of the lines a little later: they look by themselves.
    async fn tell(&mut self) {
        self.tell_at = None;
        self.told_at = Some(Instant::now());
        let telling = self.services.announce_log(self.attempt);
        if let Ok(Err(error)) = timeout(Duration::from_secs(5), telling).await {
            tracing::debug!(%error, "pages could not be told of new lines");
        }
    }
}
