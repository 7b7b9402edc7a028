//! Deadlines on a clock that also runs while the machine sleeps, and that all processes of a machine share.

use nix::time::ClockId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment after which a step must not run: the end of its worker's lease, less a margin.
///
/// Take it *before* asking for the lease or its renewal: `Deadline::after(ttl - margin)`. On `CLOCK_BOOTTIME`, because
/// the standard library's `Instant` stands still while the machine sleeps, and leases do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deadline {
    /// Since the machine booted.
    boottime: Duration,
}

impl Deadline {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        // Linux always has this clock. Were it missing, every deadline would count as passed: nothing runs unfenced.
        Self { boottime: ClockId::CLOCK_BOOTTIME.now().map_or(Duration::MAX, Duration::from) }
    }

    /// So long from now.
    #[must_use]
    pub fn after(duration: Duration) -> Self {
        Self { boottime: Self::now().boottime.saturating_add(duration) }
    }

    /// How long until then. Zero when it has passed.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.boottime.saturating_sub(Self::now().boottime)
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// So much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self { boottime: self.boottime.saturating_add(duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_when_its_time_has_come() {
        assert!(Deadline::now().has_passed());
        let later = Deadline::after(Duration::from_secs(3600));
        assert!(!later.has_passed() && later.remaining() > Duration::from_secs(3590));
        assert!(Deadline::now() < later && later < later.plus(Duration::from_secs(1)));
    }
}
