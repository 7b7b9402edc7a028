//! What a step uses while it runs.

use crate::{GpuSample, Gpus, tree};
use std::{convert::Infallible, fs, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Between two samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(2);

/// What a step uses at a moment. Counters count from the beginning of the try. The first that is sent is only what the others
/// count from: the beginning, or what had been used when a try is gone on with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Processor time so far.
    pub cpu: Duration,
    /// Memory that is resident, of all its processes. What several share is counted for each, in a process; once, in a
    /// container.
    pub memory_bytes: u64,
    /// Bytes read from disks so far.
    pub read_bytes: u64,
    /// Bytes written to disks so far.
    pub written_bytes: u64,
    /// The graphics processors that were given to it.
    pub gpus: Vec<GpuSample>,
}

impl Sample {
    /// Nothing used, so long ago.
    #[must_use]
    pub fn beginning(ago: Duration) -> Self {
        let ago = i64::try_from(ago.as_millis()).unwrap_or_default();
        Self { at_ms: chrono::Utc::now().timestamp_millis().saturating_sub(ago), ..Self::default() }
    }
}

/// Samples all below a process, and its graphics processors, until it is dropped. Goes without what it cannot send.
pub(crate) async fn watch(root: i32, gpus: &Gpus, samples: Option<mpsc::Sender<Sample>>) -> Infallible {
    let Some(samples) = samples else { return std::future::pending().await };
    let _ = samples.try_send(Sample::beginning(Duration::ZERO));
    let mut ticks = interval_at(Instant::now() + SAMPLE_EVERY / 4, SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let gpus = gpus.clone();
        if let Ok(sample) = tokio::task::spawn_blocking(move || of_tree(root, &gpus)).await {
            let _ = samples.try_send(sample);
        }
    }
}

/// What all processes below this one use. It counts those that have ended itself, being told of their ends.
pub(crate) fn of_tree(root: i32, gpus: &Gpus) -> Sample {
    let mut sample = Sample { at_ms: chrono::Utc::now().timestamp_millis(), gpus: gpus.samples(), ..Sample::default() };
    for pid in tree::below(root).into_iter().map(|process| process.pid).chain([root]) {
        let Some(used) = Used::of(pid) else { continue };
        sample.cpu += used.cpu;
        sample.read_bytes += used.read_bytes;
        sample.written_bytes += used.written_bytes;
        // The supervisor is not the step's.
        sample.memory_bytes += if pid == root { 0 } else { used.memory_bytes };
    }
    sample
}

/// The memory that is resident of all below a process.
pub(crate) fn memory_below(root: i32) -> u64 {
    tree::below(root).into_iter().filter_map(|process| Used::of(process.pid)).map(|used| used.memory_bytes).sum()
}

struct Used {
    cpu: Duration,
    memory_bytes: u64,
    read_bytes: u64,
    written_bytes: u64,
}

impl Used {
    fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (cpu_ticks, pages) = parse_stat(&stat)?;
        // Not to be read of a process that has changed its user.
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let counter = |name: &str| {
            let found = io.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Some(Self {
            cpu: Duration::from_millis(cpu_ticks * 1000 / ticks_per_second()),
            memory_bytes: pages * page_bytes(),
            read_bytes: counter("read_bytes"),
            written_bytes: counter("write_bytes"),
        })
    }
}

/// Ticks of processor time, with those of children that have ended, and resident pages.
fn parse_stat(stat: &str) -> Option<(u64, u64)> {
    // Fields 14 to 17 and 24; the first after the name is the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = field(14)? + field(15)? + field(16)? + field(17)?;
    Some((ticks, field(24)?))
}

fn sysconf(name: nix::unistd::SysconfVar, otherwise: u64) -> u64 {
    nix::unistd::sysconf(name).ok().flatten().and_then(|value| u64::try_from(value).ok()).unwrap_or(otherwise)
}

fn ticks_per_second() -> u64 {
    sysconf(nix::unistd::SysconfVar::CLK_TCK, 100).max(1)
}

fn page_bytes() -> u64 {
    sysconf(nix::unistd::SysconfVar::PAGE_SIZE, 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_and_memory_are_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 5 6 77 8";
        assert_eq!(parse_stat(stat), Some((100, 77)));
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }
}
