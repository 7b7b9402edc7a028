//! The log of a pod: followed, taken up again where it broke off, and each line told once.
//!
//! A node ends such a stream when it rotates the file, and when it likes. Then it is read again from the second of the last
//! line; those that were seen are left out by their time and number. One who adopts a Job reads from the beginning and
//! leaves out as many lines as are stored. Kubernetes keeps both streams in one, so all lines count as standard output.

use crate::{KubernetesExecutor, job::CONTAINER};
use chrono::DateTime;
use executors::{Lines, LogLine, Mask};
use futures::{AsyncBufReadExt as _, AsyncReadExt as _};
use kube::api::LogParams;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How long a stream may be silent once the container has ended.
const SILENCE: Duration = Duration::from_secs(2);
/// Between two attempts to read.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the cluster may take to begin a stream: it asks the pod's node, which may be gone.
const OPENING: Duration = Duration::from_secs(10);
/// How often to try to read what is left of a container that has ended.
const LAST_TRIES: usize = 5;
/// The longest piece that is read at once.
const PIECE: u64 = 64 * 1024;

pub(crate) struct Reader {
    lines: Lines,
    /// The time of the last line in nanoseconds since 1970, and how many had it.
    last: (i64, usize),
    skip: u64,
    log: mpsc::Sender<LogLine>,
}

impl Reader {
    pub(crate) fn new(mask: Arc<Mask>, skip: u64, log: mpsc::Sender<LogLine>) -> Self {
        Self { lines: Lines::new(mask), last: (0, 0), skip, log }
    }

    /// Tells all lines until the pod has ended and nothing is left to read. `pod` becomes known once its container began.
    pub(crate) async fn follow(
        mut self,
        executor: &KubernetesExecutor,
        mut pod: watch::Receiver<Option<String>>,
        ended: &CancellationToken,
    ) {
        tokio::select! {
            _ = pod.wait_for(Option::is_some) => {}
            () = ended.cancelled() => {}
        }
        let Some(name) = pod.borrow().clone() else { return };
        while !ended.is_cancelled() {
            self.read(executor, &name, Some(ended)).await;
            tokio::select! {
                () = ended.cancelled() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        for _ in 0..LAST_TRIES {
            if self.read(executor, &name, None).await {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        let mut lines = Vec::new();
        self.lines.finish(&mut lines);
        self.tell(self.last.0 / 1_000_000, lines).await;
    }

    /// Reads from where it stands. Tells whether the stream came to its end.
    async fn read(&mut self, executor: &KubernetesExecutor, pod: &str, follow: Option<&CancellationToken>) -> bool {
        let since_time = (self.last.0 > 0).then(|| kube_time(self.last.0 / 1_000_000_000)).flatten();
        let params = LogParams {
            container: Some(CONTAINER.to_owned()),
            follow: follow.is_some(),
            timestamps: true,
            since_time,
            ..LogParams::default()
        };
        let Ok(pods) = executor.pods().await else { return false };
        let stream = match tokio::time::timeout(OPENING, pods.log_stream(pod, &params)).await {
            Ok(Ok(stream)) => stream,
            Err(_) => return false,
            // A pod that is gone has no log any more.
            Ok(Err(error)) if crate::is_missing(&error) => return true,
            Ok(Err(error)) => {
                tracing::debug!(%error, pod, "the log of a pod cannot be read; trying again");
                return false;
            }
        };
        let mut stream = pin!(stream);
        let (known_at, mut known) = self.last;
        let mut line = Vec::new();
        // Whether the piece goes on with a line whose beginning was read before, and whether that was seen.
        let mut inside = None::<bool>;
        loop {
            let mut limited = (&mut stream).take(PIECE);
            let reading = limited.read_until(b'\n', &mut line);
            let read = match follow {
                None => match tokio::time::timeout(SILENCE * 10, reading).await {
                    Ok(read) => read,
                    Err(_) => return false,
                },
                Some(ended) => {
                    let silence = async {
                        ended.cancelled().await;
                        tokio::time::sleep(SILENCE).await;
                    };
                    tokio::select! {
                        read = reading => read,
                        () = silence => return false,
                    }
                }
            };
            match read {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, pod, "the log of a pod broke off; reading on");
                    return false;
                }
            }
            let piece = std::mem::take(&mut line);
            let ends = piece.last() == Some(&b'\n');
            let text = match inside {
                Some(seen) => (!seen).then_some(piece.as_slice()),
                None => {
                    let Some((at, text)) = stamped(&piece) else { continue };
                    let seen = at < known_at || (at == known_at && known > 0);
                    if seen {
                        known -= usize::from(at == known_at);
                    } else {
                        self.last = if at == self.last.0 { (at, self.last.1 + 1) } else { (at, 1) };
                    }
                    inside = Some(seen);
                    (!seen).then_some(text)
                }
            };
            if let Some(text) = text {
                let mut lines = Vec::new();
                self.lines.push(text, &mut lines);
                self.tell(self.last.0 / 1_000_000, lines).await;
            }
            if ends {
                inside = None;
            }
        }
    }

    async fn tell(&mut self, at_ms: i64, lines: Vec<String>) {
        for text in lines {
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            // Nobody reads any more: the step goes on without a log.
            let _ = self.log.send(LogLine { at_ms, is_err: false, text }).await;
        }
    }
}

fn kube_time(seconds: i64) -> Option<k8s_openapi::jiff::Timestamp> {
    k8s_openapi::jiff::Timestamp::from_second(seconds).ok()
}

/// The time of a line, in nanoseconds since 1970, and what was written.
fn stamped(line: &[u8]) -> Option<(i64, &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let at = DateTime::parse_from_rfc3339(std::str::from_utf8(&line[..space]).ok()?).ok()?;
    Some((at.timestamp_nanos_opt()?, &line[space + 1..]))
}
