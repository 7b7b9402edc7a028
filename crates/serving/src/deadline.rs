//! Ends what takes too long. The engine looks between two operators whether it was told to stop, so somebody has to tell
//! it: one thread for the process, which sleeps until the next deadline.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

static WATCH: LazyLock<&'static Watch> = LazyLock::new(|| {
    let watch: &'static Watch = Box::leak(Box::default());
    let started = thread::Builder::new().name("deadlines".to_owned()).spawn(|| watch.run());
    if let Err(error) = started {
        tracing::error!(%error, "models that take too long cannot be stopped");
    }
    watch
});

#[derive(Default)]
struct Watch {
    state: Mutex<State>,
    /// Told when the next deadline is another.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By deadline; the number keeps apart those of the same moment.
    waiting: BTreeMap<(Instant, u64), Waiting>,
    next: u64,
}

struct Waiting {
    end: Box<dyn FnOnce() + Send>,
    is_over: Arc<AtomicBool>,
}

/// Work that is ended at its deadline, unless this is dropped before.
pub(crate) struct Watched {
    key: (Instant, u64),
    is_over: Arc<AtomicBool>,
}

/// Calls `end` at the deadline, unless what is returned is dropped before.
pub(crate) fn watch(deadline: Instant, end: impl FnOnce() + Send + 'static) -> Watched {
    let is_over = Arc::new(AtomicBool::new(false));
    let waiting = Waiting { end: Box::new(end), is_over: Arc::clone(&is_over) };
    let mut state = WATCH.lock();
    let key = (deadline, state.next);
    state.next += 1;
    state.waiting.insert(key, waiting);
    if state.waiting.first_key_value().is_some_and(|(first, _)| *first == key) {
        WATCH.changed.notify_one();
    }
    Watched { key, is_over }
}

impl Watched {
    /// Whether the deadline came first.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        WATCH.lock().waiting.remove(&self.key);
    }
}

impl Watch {
    fn run(&self) {
        let mut state = self.lock();
        loop {
            let left = state.waiting.first_key_value().map(|((at, _), _)| at.saturating_duration_since(Instant::now()));
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    let due = state.waiting.pop_first();
                    drop(state);
                    if let Some((_, due)) = due {
                        due.is_over.store(true, Ordering::Release);
                        (due.end)();
                    }
                    self.lock()
                }
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::mpsc, time::Duration};

    #[test]
    fn the_earliest_deadline_comes_first_whichever_was_set_first() {
        let (said, heard) = mpsc::channel();
        let say = |what: &'static str| {
            let said = said.clone();
            move || said.send(what).unwrap()
        };
        let now = Instant::now();
        let never = watch(now + Duration::from_secs(3600), say("in an hour"));
        let later = watch(now + Duration::from_millis(40), say("later"));
        let past = watch(now, say("at once"));
        assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], ["at once", "later"]);
        assert!(past.is_over() && later.is_over() && !never.is_over());
    }

    #[test]
    fn work_that_is_done_before_is_not_ended() {
        let (said, heard) = mpsc::channel();
        drop(watch(Instant::now() + Duration::from_millis(20), move || said.send(()).unwrap()));
        // What would have been called holds the sender.
        assert_eq!(heard.recv(), Err(mpsc::RecvError));
    }
}
