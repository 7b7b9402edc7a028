//! Keeping the parts of a process going: one that panics is begun again, and the log says so.

use futures::FutureExt as _;
use std::{
    any::Any,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// The first pause before a part is begun again. Each further one is twice as long …
const PAUSE: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A part that went on for so long is begun again as if for the first time.
const SETTLED: Duration = Duration::from_secs(60);

/// Runs a part of the process until it ends after `stop`. When it panics, or ends before it was asked to, it is begun
/// again after a pause. A part that never ends by itself is ended by dropping this.
pub(crate) async fn supervise<F>(name: &'static str, stop: CancellationToken, mut part: impl FnMut() -> F)
where
    F: Future<Output = ()>,
{
    let mut pause = PAUSE;
    loop {
        let begun = Instant::now();
        // What the part shares with others is behind locks and in the database: neither is left half-changed.
        let ended = AssertUnwindSafe(async { part().await }).catch_unwind().await;
        if let Err(panic) = &ended {
            tracing::error!(part = name, panic = words(panic.as_ref()), "a part of this process panicked");
        }
        if stop.is_cancelled() {
            return;
        }
        if ended.is_ok() {
            tracing::error!(part = name, "a part of this process ended by itself");
        }
        if begun.elapsed() >= SETTLED {
            pause = PAUSE;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_part_that_panics_or_ends_too_early_is_begun_again() {
        let stop = CancellationToken::new();
        let begun = Cell::new(0);
        let part = || async {
            begun.set(begun.get() + 1);
            match begun.get() {
                1 => panic!("a mistake"),
                2 => {}
                _ => stop.cancel(),
            }
        };
        supervise("a part", stop.clone(), part).await;
        assert_eq!(begun.get(), 3);
    }

    #[tokio::test]
    async fn a_part_that_panics_while_the_process_stops_is_not_begun_again() {
        let stop = CancellationToken::new();
        let begun = Cell::new(0);
        let part = || async {
            begun.set(begun.get() + 1);
            stop.cancel();
            panic!("a mistake");
        };
        supervise("a part", stop.clone(), part).await;
        assert_eq!(begun.get(), 1);
    }

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        assert_eq!(words(&"short"), "short");
        assert_eq!(words(&format!("{}", 7)), "7");
        assert_eq!(words(&7), "unknown");
    }
}
