//! Being asked to stop, and stopping in time.
//!
//! ```text
//! signal ─▶ asked: everything ends in order ─▶ late: what has not ended is dropped ─▶ the process exits
//!                                20 s                                        30 s
//! ```
//! A second signal makes the process exit at once. What was dropped or left is found by the next start: steps by their
//! leases, a private database by its socket.

use anyhow::Result;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what goes on may take to end in order. A step's command has ten seconds of it.
const IN_ORDER: Duration = Duration::from_secs(20);
/// How long the rest may take: ending a private database. Whoever waits for the process, as service managers do, should
/// wait a little longer than both.
const THE_REST: Duration = Duration::from_secs(30);

/// Whether the process is to stop.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: CancellationToken,
    late: CancellationToken,
}

impl Stop {
    /// One that Ctrl-C, a service manager's SIGTERM or the end of the terminal brings about.
    ///
    /// # Errors
    /// When signals cannot be listened for.
    pub fn on_signal() -> Result<Self> {
        let signals = Signals::listen()?;
        let stop = Self::default();
        tokio::spawn(stop.clone().follow(signals));
        Ok(stop)
    }

    /// Is cancelled when the process is to stop.
    #[must_use]
    pub fn asked(&self) -> &CancellationToken {
        &self.asked
    }

    /// Ends something, unless the time for it runs out before: then it is dropped.
    pub async fn in_time(&self, ending: impl Future<Output = ()>) {
        tokio::select! {
            () = ending => {}
            () = self.late.cancelled() => tracing::warn!("not everything has ended in time; the next start sees to it"),
        }
    }

    async fn follow(self, mut signals: Signals) {
        tokio::select! {
            _ = signals.next() => self.asked.cancel(),
            () = self.asked.cancelled() => {}
        }
        tokio::select! {
            signal = signals.next() => exit(128 + signal.as_raw_value()),
            () = tokio::time::sleep(IN_ORDER) => self.late.cancel(),
        }
        tokio::select! {
            signal = signals.next() => exit(128 + signal.as_raw_value()),
            () = tokio::time::sleep(THE_REST) => {
                tracing::error!("the process does not end; leaving it");
                exit(1);
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "whoever asks twice does not wait for anything, and stopping has failed")]
fn exit(code: i32) {
    std::process::exit(code);
}

/// The signals that ask a process to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None when whoever started the process wants it to outlive the terminal, as `nohup` does.
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hang_up = (!is_ignored(&status, SignalKind::hangup())).then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())?, hang_up })
    }

    async fn next(&mut self) -> SignalKind {
        let Self { interrupt, terminate, hang_up } = self;
        let hung_up = async {
            match hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
            _ = hung_up => SignalKind::hangup(),
        }
    }
}

/// Whether a process ignores a signal, by its `/proc/<pid>/status`.
fn is_ignored(status: &str, signal: SignalKind) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    (ignored >> (signal.as_raw_value() - 1)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_end_that_takes_too_long_is_not_waited_for() {
        let stop = Stop::default();
        stop.asked.cancel();
        stop.late.cancel();
        stop.in_time(std::future::pending()).await;
    }

    #[test]
    fn a_process_that_is_to_outlive_its_terminal_is_left_alone_by_it() {
        let status = |mask: &str| format!("Name:\tslipway\nSigBlk:\t0000000000000003\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(is_ignored(&status("0000000000001001"), SignalKind::hangup()));
        assert!(!is_ignored(&status("0000000000001000"), SignalKind::hangup()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }
}
