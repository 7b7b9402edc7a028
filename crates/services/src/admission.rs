//! Taking requests to models in: how many at once, how large together, and how long one may take. What is more is refused
//! at once, before anything is read for it, so that many requests to one model, or one that never ends, leave room for
//! everything else.

use crate::{Result, Services, endpoint::LiveEndpoint, prediction::count};
use domain::{Error, ErrorKind};
use std::{fmt, sync::Arc, thread, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long the engine has to stop what it was told to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(1);

/// What models may take of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the answer to one request, from when it was read.
    pub inference: Duration,
    /// For the answer to the golden rows of a version that is tried.
    pub trial: Duration,
    /// For reading a version's files from the artifact store.
    pub read: Duration,
    /// For loading a version whose files were read.
    pub load: Duration,
    /// Requests to one model that are read, wait or are being answered.
    pub of_model: usize,
    /// The same, over all models.
    pub requests: usize,
    /// Bytes of the bodies of all those.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let of_model = (4 * processors).max(64);
        Self {
            inference: Duration::from_secs(60),
            trial: Duration::from_secs(30),
            read: Duration::from_secs(60),
            load: Duration::from_secs(60),
            of_model,
            requests: 4 * of_model,
            bytes: 512 << 20,
        }
    }
}

/// The room that this process has for requests.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) limits: Limits,
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let room = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self { limits, requests: room(limits.requests), bytes: room(limits.bytes) }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

/// A request that was taken in. It holds its room until it is answered, and until its model is done with it.
pub struct Admitted {
    pub(crate) endpoint: Arc<LiveEndpoint>,
    all_bytes: Arc<Semaphore>,
    bytes: Option<OwnedSemaphorePermit>,
    _request: OwnedSemaphorePermit,
    _of_model: OwnedSemaphorePermit,
}

impl Admitted {
    /// Makes room for a body of so many bytes: of the whole, or of what has arrived of it.
    ///
    /// # Errors
    /// `Unavailable` when the bodies of other requests take all the room.
    pub fn make_room(&mut self, bytes: usize) -> Result<()> {
        let more = bytes.saturating_sub(self.bytes.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more == 0 {
            return Ok(());
        }
        let room =
            u32::try_from(more).ok().and_then(|more| Arc::clone(&self.all_bytes).try_acquire_many_owned(more).ok());
        let Some(room) = room else {
            count(&self.endpoint, 503);
            return Err(busy("The requests that are being answered take all the memory that there is for them"));
        };
        match &mut self.bytes {
            Some(held) => held.merge(room),
            None => self.bytes = Some(room),
        }
        Ok(())
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Services {
    /// Takes a request to an endpoint in, before its body is read.
    ///
    /// # Errors
    /// `Unavailable` when as many as there is room for wait already, for this model or for all.
    pub fn admit(&self, endpoint: &Arc<LiveEndpoint>) -> Result<Admitted> {
        let take = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_owned().ok();
        let refuse = |what: &str| {
            count(endpoint, 503);
            busy(what)
        };
        let of_model = take(&endpoint.places).ok_or_else(|| {
            refuse(&format!("Too many requests to model \"{}\" wait for their answer", endpoint.model))
        })?;
        let request = take(&self.admission.requests)
            .ok_or_else(|| refuse("Too many requests to models wait for their answer"))?;
        Ok(Admitted {
            endpoint: Arc::clone(endpoint),
            all_bytes: Arc::clone(&self.admission.bytes),
            bytes: None,
            _request: request,
            _of_model: of_model,
        })
    }

    /// What models may take of this process.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.admission.limits
    }
}

fn busy(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{what}; send this one again in a moment."))
}

/// `60 s`
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_seconds() {
        assert_eq!(seconds(Duration::from_secs(60)), "60 s");
        assert_eq!(seconds(Duration::from_millis(500)), "0.5 s");
    }
}
