//! The log of a container: followed, taken up again where it broke off, and each line told once.
//!
//! The engine keeps both streams in one file with a time for every piece. After a break, the pieces are read again from the
//! second before the last one, and those that were seen are left out: that is exact, because the times of one stream do not
//! go back, and of pieces with the same time so many are left out as were seen. One who adopts a container reads from the beginning
//! and leaves out as many lines as are stored: cutting the same pieces gives the same lines.

use crate::DockerExecutor;
use bollard::{container::LogOutput, query_parameters::LogsOptionsBuilder};
use chrono::DateTime;
use executors::{Lines, LogLine, Mask};
use futures::StreamExt as _;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// How long a stream may be silent once the container has ended. Engines leave some open for ever.
const SILENCE: Duration = Duration::from_secs(2);
/// Between two attempts to read.
const AGAIN: Duration = Duration::from_millis(500);
/// How often to try to read what is left of a container that has ended.
const LAST_TRIES: usize = 5;

/// Where the reading stands.
pub(crate) struct Reader {
    out: Lines,
    err: Lines,
    /// The time of the last piece of each stream in nanoseconds since 1970, and how many had it.
    last: [(i64, usize); 2],
    /// So many lines are not told: they were before.
    skip: u64,
    log: mpsc::Sender<LogLine>,
}

impl Reader {
    pub(crate) fn new(mask: &Arc<Mask>, skip: u64, log: mpsc::Sender<LogLine>) -> Self {
        Self { out: Lines::new(Arc::clone(mask)), err: Lines::new(Arc::clone(mask)), last: [(0, 0); 2], skip, log }
    }

    /// Tells all lines until the container has ended and nothing is left to read.
    pub(crate) async fn follow(mut self, executor: &DockerExecutor, name: &str, ended: &CancellationToken) {
        while !ended.is_cancelled() {
            self.read(executor, name, Some(ended)).await;
            tokio::select! {
                () = ended.cancelled() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        for _ in 0..LAST_TRIES {
            if self.read(executor, name, None).await {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        for is_err in [false, true] {
            let at_ms = self.last[usize::from(is_err)].0 / 1_000_000;
            let mut lines = Vec::new();
            if is_err { &mut self.err } else { &mut self.out }.finish(&mut lines);
            self.tell(at_ms, is_err, lines).await;
        }
    }

    /// Reads from where it stands; with a token, also what is still to come, until that is cancelled and nothing comes any
    /// more. Tells whether the stream came to its end.
    async fn read(&mut self, executor: &DockerExecutor, name: &str, follow: Option<&CancellationToken>) -> bool {
        let last = self.last[0].0.max(self.last[1].0);
        let since = i32::try_from(last / 1_000_000_000 - 1).unwrap_or(0).max(0);
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(since)
            .follow(follow.is_some())
            .build();
        let Ok(engine) = executor.engine().await else { return false };
        let mut pieces = std::pin::pin!(engine.logs(name, Some(options)));
        // Of those with the time of the last one, this many were seen.
        let mut known = self.last;
        loop {
            let piece = match follow {
                None => match timeout(SILENCE * 10, pieces.next()).await {
                    Ok(piece) => piece,
                    Err(_) => return false,
                },
                Some(ended) => {
                    let silence = async {
                        ended.cancelled().await;
                        tokio::time::sleep(SILENCE).await;
                    };
                    tokio::select! {
                        piece = pieces.next() => piece,
                        () = silence => return false,
                    }
                }
            };
            let piece = match piece {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    tracing::debug!(%error, container = name, "the log of a container broke off; reading on");
                    return false;
                }
                None => return true,
            };
            let is_err = matches!(piece, LogOutput::StdErr { .. });
            let bytes = piece.into_bytes();
            let Some((at, text)) = stamped(&bytes) else { continue };
            let (known_at, known) = &mut known[usize::from(is_err)];
            if at < *known_at {
                continue;
            }
            if at == *known_at && *known > 0 {
                *known -= 1;
                continue;
            }
            let last = &mut self.last[usize::from(is_err)];
            *last = if at == last.0 { (at, last.1 + 1) } else { (at, 1) };
            let mut lines = Vec::new();
            if is_err { &mut self.err } else { &mut self.out }.push(text, &mut lines);
            self.tell(at / 1_000_000, is_err, lines).await;
        }
    }

    async fn tell(&mut self, at_ms: i64, is_err: bool, lines: Vec<String>) {
        for text in lines {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            // Nobody reads any more: the step goes on without a log.
            let _ = self.log.send(LogLine { at_ms, is_err, text }).await;
        }
    }
}

/// The time of a piece, in nanoseconds since 1970, and what was written.
fn stamped(piece: &[u8]) -> Option<(i64, &[u8])> {
    let space = piece.iter().position(|byte| *byte == b' ')?;
    let at = DateTime::parse_from_rfc3339(std::str::from_utf8(&piece[..space]).ok()?).ok()?;
    Some((at.timestamp_nanos_opt()?, &piece[space + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_taken_off_a_piece() {
        let (at, text) = stamped(b"2026-01-02T03:04:05.000000007Z a b\n").unwrap();
        assert_eq!((at % 1_000_000_000, text), (7, &b"a b\n"[..]));
        assert_eq!(stamped(b"2026-01-02T03:04:05Z \n").unwrap().1, b"\n");
        assert!(stamped(b"no time").is_none());
    }
}
