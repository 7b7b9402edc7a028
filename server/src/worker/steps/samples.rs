//! What a try uses while it runs: gathered for some seconds, and stored as one row.

use chrono::DateTime;
use domain::{
    id::StepAttemptId,
    step::{GpuUse, StepSample},
};
use executors::{SAMPLE_EVERY, Sample};
use services::Services;
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};

/// How long storing a row may take. One that cannot be stored is dropped: it is of no use later.
const STORING: Duration = Duration::from_secs(5);

/// How long a row is, this long after the beginning of the try.
fn row_lasts(after: Duration) -> Duration {
    match after.as_secs() {
        0..60 => SAMPLE_EVERY,
        60..3600 => Duration::from_secs(10),
        _ => Duration::from_secs(60),
    }
}

/// Stores what comes, until no more does.
pub(super) async fn follow(services: &Services, attempt: StepAttemptId, mut samples: mpsc::Receiver<Sample>) {
    let mut rows = Rows::default();
    while let Some(sample) = samples.recv().await {
        if let Some(row) = rows.add(sample) {
            store(services, attempt, &row).await;
        }
    }
    if let Some(row) = rows.finish() {
        store(services, attempt, &row).await;
    }
}

async fn store(services: &Services, attempt: StepAttemptId, row: &StepSample) {
    match timeout(STORING, services.add_step_sample(attempt, row)).await {
        Ok(Err(error)) => tracing::debug!(%error, "what a step used could not be stored"),
        Err(_) => tracing::debug!("what a step used could not be stored: the database is slow"),
        Ok(Ok(())) => {}
    }
}

/// Makes rows of samples.
#[derive(Default)]
struct Rows {
    begun_ms: Option<i64>,
    last: Option<Sample>,
    row: Option<Row>,
}

struct Row {
    from_ms: i64,
    to_ms: i64,
    /// Processor seconds.
    cpu: f32,
    cpu_max: f32,
    memory_sum: u128,
    memory_max: u64,
    count: u32,
    read: u64,
    written: u64,
    gpus: Vec<GpuUse>,
}

impl Rows {
    /// Takes a sample; the first is only what the others count from. Answers with the row that it ends.
    fn add(&mut self, sample: Sample) -> Option<StepSample> {
        let before = self.last.replace(sample.clone())?;
        let begun_ms = *self.begun_ms.get_or_insert(before.at_ms);
        let row = self.row.get_or_insert(Row {
            from_ms: before.at_ms,
            to_ms: before.at_ms,
            cpu: 0.0,
            cpu_max: 0.0,
            memory_sum: 0,
            memory_max: 0,
            count: 0,
            read: 0,
            written: 0,
            gpus: Vec::new(),
        });
        // Counters go back when a process ends whose parent did not wait for it.
        let cpu = sample.cpu.saturating_sub(before.cpu).as_secs_f32();
        row.to_ms = sample.at_ms;
        row.cpu += cpu;
        row.cpu_max = row.cpu_max.max(cpu / seconds(sample.at_ms - before.at_ms));
        row.memory_sum += u128::from(sample.memory_bytes);
        row.memory_max = row.memory_max.max(sample.memory_bytes);
        row.count += 1;
        row.read = row.read.saturating_add(sample.read_bytes.saturating_sub(before.read_bytes));
        row.written = row.written.saturating_add(sample.written_bytes.saturating_sub(before.written_bytes));
        for gpu in sample.gpus {
            match row.gpus.iter_mut().find(|known| known.uuid == gpu.uuid) {
                Some(known) => {
                    known.busy = known.busy.max(gpu.busy);
                    known.memory_bytes = known.memory_bytes.max(gpu.memory_bytes);
                }
                None => {
                    row.gpus.push(GpuUse { uuid: gpu.uuid, busy: gpu.busy, memory_bytes: gpu.memory_bytes });
                }
            }
        }
        let after = Duration::from_millis(u64::try_from(row.from_ms - begun_ms).unwrap_or_default());
        // The first sample comes soon, and others a little late or early.
        if row.to_ms - row.from_ms + millis(SAMPLE_EVERY) * 3 / 4 >= millis(row_lasts(after)) {
            self.finish()
        } else {
            None
        }
    }

    /// What there is of the last row.
    fn finish(&mut self) -> Option<StepSample> {
        let row = self.row.take()?;
        let seconds = seconds(row.to_ms - row.from_ms);
        Some(StepSample {
            at: DateTime::from_timestamp_millis(row.from_ms).unwrap_or_default(),
            seconds,
            cpu_mean: row.cpu / seconds,
            cpu_max: row.cpu_max,
            memory_mean: bytes(u64::try_from(row.memory_sum / u128::from(row.count.max(1))).unwrap_or(u64::MAX)),
            memory_max: bytes(row.memory_max),
            read_bytes: bytes(row.read),
            written_bytes: bytes(row.written),
            gpus: row.gpus,
        })
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn seconds(millis: i64) -> f32 {
    Duration::from_millis(u64::try_from(millis.max(1)).unwrap_or(1)).as_secs_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: i64, cpu_seconds: u64, mib: u64) -> Sample {
        Sample {
            at_ms: 1_700_000_000_000 + seconds * 1000,
            cpu: Duration::from_secs(cpu_seconds),
            memory_bytes: mib << 20,
            read_bytes: cpu_seconds * 100,
            ..Sample::default()
        }
    }

    #[test]
    fn rows_are_two_seconds_at_first_and_then_longer() {
        let mut rows = Rows::default();
        let lengths: Vec<f32> =
            (0..2000).filter_map(|tick| rows.add(sample(tick * 2, 0, 1))).map(|row| row.seconds.round()).collect();
        assert_eq!(lengths[..3], [2.0, 2.0, 2.0]);
        assert_eq!(lengths.iter().filter(|length| **length == 10.0).count(), 354);
        assert_eq!(lengths.last(), Some(&60.0));
        let covered: f32 = lengths.iter().sum();
        assert!(covered > 3900.0 && covered <= 4001.0, "{covered}");
    }

    #[test]
    fn a_row_tells_mean_and_most() {
        let mut rows = Rows::default();
        for tick in 0..=30 {
            rows.add(sample(tick * 2, 0, 1));
        }
        // Five samples, two seconds each: one processor, then two, then nothing.
        let used = [(2, 10), (4, 20), (8, 60), (8, 10), (8, 10)];
        let ended: Vec<StepSample> =
            (31..).zip(used).filter_map(|(tick, (cpu, mib))| rows.add(sample(tick * 2, cpu, mib))).collect();
        let [row] = ended.as_slice() else { panic!("{ended:?}") };
        assert_eq!((row.seconds, row.cpu_mean, row.cpu_max), (10.0, 0.8, 2.0));
        assert_eq!((row.memory_mean, row.memory_max, row.read_bytes), (22 << 20, 60 << 20, 800));
    }
}
