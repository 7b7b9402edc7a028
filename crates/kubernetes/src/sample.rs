//! What a pod uses: its container's control group, read from inside.
//!
//! A cluster itself tells little of that: its interface for it is an addition, has a value for each quarter of a minute at
//! best, and none of disks. So a shell of the image, started in the step's container, reads the files of the group whenever
//! it is sent a line, and ends with the connection. An image without a shell, and a cluster that allows no `exec`, leave a step
//! without samples.

use crate::{KubernetesExecutor, job::CONTAINER, life::age_of};
use executors::{GpuSample, Gpus, SAMPLE_EVERY, Sample};
use kube::api::AttachParams;
use std::{convert::Infallible, future::pending, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

/// Says what there is of these, of both versions of control groups, each line with what it is of; then a period. For these it
/// starts no other program: whatever it takes is taken from the step.
const SHELL: &str = r#"
tell() {
    [ ! -r "$2" ] || while read -r line; do echo "$1 $line"; done <"$2"
}
cd /sys/fs/cgroup || exit 1
while read -r _; do
    tell cpu cpu.stat
    tell memory memory.current
    tell pages memory.stat
    tell disks io.stat
    tell cpu1 cpuacct/cpuacct.usage
    tell memory memory/memory.usage_in_bytes
    tell pages memory/memory.stat
    tell disks1 blkio/blkio.throttle.io_service_bytes
    gpus
    echo .
done
"#;
/// What its `gpus` is where a step has none: what others have is not its …
const NO_GPUS: &str = "gpus() { :; }";
/// … and where it has.
const GPUS: &str = r#"
gpus() {
    nvidia-smi --query-gpu=uuid,utilization.gpu,memory.used --format=csv,noheader,nounits 2>/dev/null |
        while read -r line; do echo "gpu $line"; done
}
"#;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// The longest answer: it comes from the step's own image.
const LONGEST: u64 = 256 << 10;
/// The most graphics processors of one pod.
const MOST_GPUS: usize = 64;
/// Between two attempts to begin.
const AGAIN: Duration = Duration::from_secs(5);
/// How many attempts there are when nothing was ever answered: then nothing will be.
const TRIES: u32 = 3;

/// Samples the pod, once its container has begun, until it is dropped. `used` keeps the most memory and the last count of
/// processor time. Goes without what it cannot send.
pub(crate) async fn watch(
    executor: &KubernetesExecutor,
    mut pod: watch::Receiver<Option<String>>,
    gpus: &Gpus,
    (samples, is_adopted): (Option<mpsc::Sender<Sample>>, bool),
    used: &mut Sample,
) -> Infallible {
    let Ok(Some(pod)) = pod.wait_for(Option::is_some).await.map(|name| name.clone()) else { return pending().await };
    let send = |sample: Sample| samples.as_ref().map(|samples| samples.try_send(sample));
    if !is_adopted {
        let begun = async { executor.pods().await.ok()?.get_opt(&pod).await.ok()? };
        // None by the clock of a node that is ahead: then there is nothing to count from but the first sample.
        if let Some(age) = begun.await.as_ref().and_then(age_of).filter(|age| !age.is_zero()) {
            let _ = send(Sample::beginning(age));
        }
    }
    let script = format!("{}{SHELL}", if matches!(gpus, Gpus::OfCluster(1..)) { GPUS } else { NO_GPUS });
    let (mut has_answered, mut tries) = (false, 0);
    while has_answered || tries < TRIES {
        let mut take = |sample: Sample| {
            has_answered = true;
            used.cpu = used.cpu.max(sample.cpu);
            used.memory_bytes = used.memory_bytes.max(sample.memory_bytes);
            let _ = send(sample);
        };
        let why = ask(executor, &pod, &script, &mut take).await;
        tries = tries.saturating_add(1);
        tracing::debug!(%pod, tries, why, "a pod is not sampled; trying again");
        sleep(AGAIN).await;
    }
    pending().await
}

/// Asks a shell in the pod again and again. Answers with what ended that.
async fn ask(executor: &KubernetesExecutor, pod: &str, script: &str, take: &mut impl FnMut(Sample)) -> String {
    let params = AttachParams::default().container(CONTAINER).stdin(true).stdout(true).stderr(false);
    let begin = async {
        let pods = executor.pods().await.map_err(|error| error.to_string())?;
        pods.exec(pod, ["/bin/sh", "-c", script], &params).await.map_err(|error| error.to_string())
    };
    let mut shell = match timeout(ANSWER, begin).await {
        Ok(Ok(shell)) => shell,
        Ok(Err(error)) => return error,
        Err(_) => return "no shell within the time".to_owned(),
    };
    let (Some(mut input), Some(output)) = (shell.stdin(), shell.stdout()) else { return "no shell".to_owned() };
    let mut output = BufReader::new(output);
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if input.write_all(b"\n").await.is_err() || input.flush().await.is_err() {
            return "the shell is gone".to_owned();
        }
        match timeout(ANSWER, answer(&mut output)).await {
            Ok(Some(text)) => match read(&text) {
                Some(sample) => take(sample),
                None => return "nothing is to be read".to_owned(),
            },
            Ok(None) => return "the shell has ended, or says more than is read".to_owned(),
            Err(_) => return "no answer within the time".to_owned(),
        }
    }
}

/// All lines up to the one that ends an answer. None when there is none.
async fn answer(output: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> Option<String> {
    let (mut output, mut text) = (output.take(LONGEST), String::new());
    loop {
        let before = text.len();
        match output.read_line(&mut text).await {
            Ok(0) | Err(_) => return None,
            Ok(_) if text[before..].trim() == "." => return Some(text),
            Ok(_) => {}
        }
    }
}

/// What an answer says. None when it says nothing of memory, which everything has.
fn read(text: &str) -> Option<Sample> {
    let mut sample = Sample { at_ms: chrono::Utc::now().timestamp_millis(), ..Sample::default() };
    let (mut memory, mut spare) = (None, [0; 2]);
    let number = |text: &str| text.parse::<u64>().unwrap_or(0);
    let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
    for line in text.lines() {
        let words: Vec<&str> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["cpu", "usage_usec", count] => sample.cpu = Duration::from_micros(number(count)),
            ["cpu1", count] => sample.cpu = Duration::from_nanos(number(count)),
            ["memory", bytes] => memory = Some(number(bytes)),
            // Pages of files that nobody has used lately go when memory is needed.
            ["pages", "inactive_file", bytes] => spare[0] = number(bytes),
            ["pages", "total_inactive_file", bytes] => spare[1] = number(bytes),
            ["disks", _, counts @ ..] => {
                for count in counts {
                    match count.split_once('=') {
                        Some(("rbytes", bytes)) => add(&mut sample.read_bytes, number(bytes)),
                        Some(("wbytes", bytes)) => add(&mut sample.written_bytes, number(bytes)),
                        _ => {}
                    }
                }
            }
            ["disks1", _, "Read", bytes] => add(&mut sample.read_bytes, number(bytes)),
            ["disks1", _, "Write", bytes] => add(&mut sample.written_bytes, number(bytes)),
            ["gpu", uuid, busy, memory] if sample.gpus.len() < MOST_GPUS => {
                sample.gpus.extend(GpuSample::told(uuid, busy, memory));
            }
            _ => {}
        }
    }
    // The older version tells both, of which the one in all counts.
    let spare = if spare[1] > 0 { spare[1] } else { spare[0] };
    sample.memory_bytes = memory?.saturating_sub(spare);
    Some(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_read() {
        let second = "cpu usage_usec 2500000\ncpu user_usec 1\nmemory 9000\npages anon 7\npages inactive_file 1000\n\
                      disks 8:0 rbytes=10 wbytes=20 rios=1\ndisks 8:16 rbytes=1 wbytes=2\n.\n";
        let first = "cpu1 2500000000\nmemory 9000\npages inactive_file 5\npages total_inactive_file 1000\n\
                     disks1 8:0 Read 10\ndisks1 8:16 Read 1\ndisks1 8:0 Write 22\ndisks1 Total 33\n.\n";
        for text in [second, first] {
            let sample = read(text).unwrap();
            assert_eq!((sample.cpu, sample.memory_bytes), (Duration::from_millis(2500), 8000), "{text}");
            assert_eq!((sample.read_bytes, sample.written_bytes), (11, 22), "{text}");
        }
    }

    #[test]
    fn graphics_processors_are_read_as_their_driver_tells() {
        let sample = read("memory 1\ngpu GPU-8f6d, 37, 1024\ngpu GPU-1c2e, [N/A], 0\n").unwrap();
        let known: Vec<_> = sample.gpus.iter().map(|gpu| (gpu.uuid.as_str(), gpu.busy, gpu.memory_bytes)).collect();
        assert_eq!(known, [("GPU-8f6d", 0.37, 1 << 30), ("GPU-1c2e", 0.0, 0)]);
    }

    #[test]
    fn an_image_that_answers_anything_is_believed_no_more_than_it_can_be() {
        assert_eq!(read(".\n"), None);
        let words = "disks 8:0 rbytes=18446744073709551615\n".repeat(3);
        let sample = read(&format!("memory x\n{words}{}gpu none, 1, 1\n", "gpu GPU-a, 900, 1\n".repeat(100))).unwrap();
        assert_eq!((sample.memory_bytes, sample.read_bytes, sample.gpus.len()), (0, u64::MAX, MOST_GPUS));
    }

    #[tokio::test]
    async fn an_answer_ends_with_a_period_and_is_bounded() {
        let mut output = BufReader::new(&b"memory 1\n.\nmemory 2\n.\nmemory"[..]);
        assert_eq!(answer(&mut output).await.as_deref(), Some("memory 1\n.\n"));
        assert_eq!(answer(&mut output).await.as_deref(), Some("memory 2\n.\n"));
        assert_eq!(answer(&mut output).await, None);
        let endless = tokio::io::repeat(b'y');
        assert_eq!(answer(&mut BufReader::new(endless)).await, None);
    }
}
