//! One container, from its making to its end.

use crate::{
    DockerExecutor, ROOT, TRY, container_name, failed,
    image::{self, Pinned},
    is_running, lease_file,
    logs::Reader,
    status,
};
use bollard::{
    models::{
        ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, ContainerStatsResponse, DeviceRequest,
        HostConfig, HostConfigLogConfig, ResourcesUlimits,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, StartContainerOptions, StatsOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use executors::{
    Controls, Deadline, Ended, Error, Finished, Gpus, Mask, SAMPLE_EVERY, Sample, Sandbox, StepDir, Task, Usage,
};
use futures::StreamExt as _;
use std::{
    collections::HashMap,
    fs, io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Where a container finds its directory.
pub(crate) const INSIDE: &str = "/slipway";
/// Processes and threads, at most.
const MOST_TASKS: i64 = 16_384;
/// Shared memory, in bytes: what loaders of data pass batches through.
const SHARED_MEMORY: i64 = 1 << 30;
/// What a container writes to its log is kept by the engine until this size, and once more.
const LOG_SIZE: &str = "512m";
/// Between two looks at what is to be done.
const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts to reach the engine.
const AGAIN: Duration = Duration::from_millis(500);
/// When to stop trying to end a container because the engine does not.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Why it was ended.
#[derive(Clone, Copy)]
enum Cause {
    Cancelled,
    TimedOut,
    Fenced,
}

pub(crate) async fn run(
    executor: &DockerExecutor,
    dir: &StepDir,
    task: &Task,
    controls: Controls,
) -> Result<Finished, Error> {
    let name = container_name(&dir.name());
    note(dir, *controls.deadline.borrow())?;
    let known = executor.inspect(&name).await?;
    let is_adopted = known.is_some();
    let found = match known {
        Some(found) => found,
        None => match make(executor, dir, task, &name, &controls.cancel).await? {
            Made::Container => executor.inspect(&name).await?.ok_or_else(|| gone(&name))?,
            Made::Refused(message) => return Ok(never_began(Ended::NotStarted(message))),
            Made::Cancelled => return Ok(never_began(Ended::Cancelled)),
        },
    };
    let image = found.config.as_ref().and_then(|config| config.labels.as_ref()?.get(IMAGE).cloned());
    // Before it begins, so that it never runs unwatched.
    let mut watch = executor.watch.watch(&executor.socket, &name, &lease_file(dir.path()))?;
    if state_of(&found) == Some(ContainerStateStatusEnum::CREATED) {
        // 304: it runs already.
        let started = executor.engine().await?.start_container(&name, None::<StartContainerOptions>).await;
        if let Err(error) = started
            && status(&error) != Some(304)
        {
            let _ = watch.start_kill();
            return match refused_command(&error) {
                Some(message) => Ok(never_began(Ended::NotStarted(message))),
                None => Err(failed("the step's container could not be started", error)),
            };
        }
    }
    let started = executor.inspect(&name).await?.ok_or_else(|| gone(&name))?;
    // Of one that is adopted, also what it ran before.
    let (ran, since) = (age(&started), Instant::now());
    let Controls { deadline, cancel, log, lines_before, samples } = controls;
    let mask = Arc::new(mask_of(&found));
    let ended = CancellationToken::new();
    let reader = Reader::new(&mask, lines_before, log);
    let life = Life {
        executor,
        dir,
        name: &name,
        deadline,
        cancel,
        timeout_at: task.timeout.map(|timeout| Deadline::after(timeout.saturating_sub(ran))),
        grace: task.grace,
    };
    if !is_adopted && let Some(samples) = &samples {
        let _ = samples.try_send(Sample::beginning(ran));
    }
    let mut used = Sample::default();
    let lived = async {
        let cause = tokio::select! {
            cause = life.until_the_end() => cause,
            never = sample(executor, &name, &task.gpus, samples, &mut used) => match never {},
        };
        ended.cancel();
        cause
    };
    let (cause, ()) = tokio::join!(lived, reader.follow(executor, &name, &ended));
    let cause = cause?;
    // It ends by itself when the container is gone; there is no need to wait for that.
    let _ = watch.start_kill();

    let last = executor.inspect(&name).await?;
    let state = last.as_ref().and_then(|last| last.state.clone()).unwrap_or_default();
    let exit_code = state.exit_code.and_then(|code| i32::try_from(code).ok()).filter(|_| last.is_some());
    let out_of_memory = state.oom_killed == Some(true) && exit_code != Some(0);
    let limit = task.limits.memory_bytes;
    // The kernel kills when the limit is reached, and never before.
    let peak = if out_of_memory { limit.unwrap_or(used.memory_bytes) } else { used.memory_bytes };
    Ok(Finished {
        ended: match (cause, exit_code) {
            (Some(Cause::Cancelled), _) => Ended::Cancelled,
            (Some(Cause::TimedOut), _) => Ended::TimedOut,
            (Some(Cause::Fenced), _) => Ended::Fenced,
            (None, None) => Ended::Lost,
            (None, Some(_)) if out_of_memory => Ended::OutOfMemory { peak, limit },
            // As shells and engines tell of a signal.
            (None, Some(code @ 129..=192)) => Ended::Killed(Some(code - 128)),
            (None, Some(code)) => Ended::Exited(code),
        },
        exit_code: exit_code.filter(|code| !(129..=192).contains(code)),
        left_behind: 0,
        usage: Usage { peak_memory_bytes: peak, user: used.cpu, system: Duration::ZERO, wall: ran + since.elapsed() },
        sandbox: sandbox(),
        image,
    })
}

/// Which image it was made from, by digest.
const IMAGE: &str = "slipway.image";

/// The variables that are secret, separated by spaces: whoever adopts the container finds their values in it.
const SECRETS: &str = "slipway.secrets";

/// What must not stand in the log of this container.
pub(crate) fn mask_of(container: &ContainerInspectResponse) -> Mask {
    let Some(config) = &container.config else { return Mask::default() };
    let names = config.labels.as_ref().and_then(|labels| labels.get(SECRETS)).map_or("", String::as_str);
    let env = config.env.iter().flatten().filter_map(|variable| variable.split_once('='));
    Mask::new(env.filter(|(name, _)| names.split(' ').any(|secret| secret == *name)).map(|(_, value)| value))
}

enum Made {
    Container,
    /// A sentence for the step's author.
    Refused(String),
    Cancelled,
}

fn never_began(ended: Ended) -> Finished {
    Finished { ended, exit_code: None, left_behind: 0, usage: Usage::default(), sandbox: sandbox(), image: None }
}

fn sandbox() -> Sandbox {
    Sandbox { no_new_privileges: true, seccomp: true, container: true, ..Sandbox::default() }
}

fn gone(name: &str) -> Error {
    Error::new(format!("the container {name} was taken away"), io::ErrorKind::NotFound)
}

/// Notes until when it may run, for the watch. Whole or not at all.
fn note(dir: &StepDir, deadline: Deadline) -> Result<(), Error> {
    let doing = |error: io::Error| Error::new("the deadline of the step's container could not be noted", error);
    let text = serde_json::to_vec(&deadline).map_err(|error| doing(error.into()))?;
    let new = dir.path().join(".lease.new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, lease_file(dir.path()))).map_err(doing)
}

/// Makes the container, which does not begin yet. One of this name that another made meanwhile is as good.
async fn make(
    executor: &DockerExecutor,
    dir: &StepDir,
    task: &Task,
    name: &str,
    cancel: &CancellationToken,
) -> Result<Made, Error> {
    let Some(image) = &task.image else {
        return Ok(Made::Refused("A step that runs in Docker needs an image. Name one with `image:`.".to_owned()));
    };
    let pinned = tokio::select! {
        pinned = image::pin(executor, image) => pinned?,
        () = cancel.cancelled() => return Ok(Made::Cancelled),
    };
    let pinned = match pinned {
        Ok(pinned) => pinned,
        Err(message) => return Ok(Made::Refused(message)),
    };
    let (user, group) = dir.hand_over()?;
    let user = format!("{user}:{group}");
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    match executor.engine().await?.create_container(Some(options), body(executor, dir, task, pinned, &user)).await {
        Ok(_) => Ok(Made::Container),
        Err(error) if status(&error) == Some(409) => Ok(Made::Container),
        Err(error) if status(&error) == Some(400) => {
            Ok(Made::Refused(format!("The step's container could not be made: {}.", image::said(&error))))
        }
        Err(error) => Err(failed("the step's container could not be made", error)),
    }
}

fn body(executor: &DockerExecutor, dir: &StepDir, task: &Task, pinned: Pinned, user: &str) -> ContainerCreateBody {
    let mut labels: HashMap<String, String> = task.labels.clone().into_iter().collect();
    labels.extend([
        (TRY.to_owned(), dir.name()),
        (ROOT.to_owned(), executor.dirs.root().display().to_string()),
        (IMAGE.to_owned(), pinned.digest),
        (SECRETS.to_owned(), task.secrets.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
    ]);
    let mut env = HashMap::from([("PYTHONUNBUFFERED", "1".to_owned()), ("LANG", "C.UTF-8".to_owned())]);
    env.extend([("HOME", format!("{INSIDE}/home")), ("TMPDIR", format!("{INSIDE}/tmp"))]);
    env.extend(task.env.iter().map(|(name, value)| (name.as_str(), value.clone())));
    env.insert("SLIPWAY_STEP_DIR", INSIDE.to_owned());
    let folders = [("work", dir.work()), ("home", dir.home()), ("tmp", dir.tmp())];
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let memory = task.limits.memory_bytes.map(bytes);
    env.extend(task.gpus.variables());
    let gpus = task.gpus.given();
    let gpus = (!gpus.is_empty()).then(|| DeviceRequest {
        driver: Some("nvidia".to_owned()),
        device_ids: Some(gpus.iter().map(ToString::to_string).collect()),
        capabilities: Some(vec![vec!["gpu".to_owned()]]),
        ..DeviceRequest::default()
    });
    ContainerCreateBody {
        image: Some(pinned.id),
        // Instead of what the image would run: the step says it all.
        entrypoint: Some(task.argv.clone()),
        env: Some(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels),
        user: Some(user.to_owned()),
        working_dir: Some(format!("{INSIDE}/work")),
        host_config: Some(HostConfig {
            auto_remove: Some(false),
            // Ends what is orphaned inside, and passes signals on to a shell that would not hear them.
            init: Some(true),
            memory,
            // With swap: none.
            memory_swap: memory,
            nano_cpus: task.limits.cpus.map(nanos),
            pids_limit: Some(MOST_TASKS),
            shm_size: Some(memory.map_or(SHARED_MEMORY, |memory| memory.min(SHARED_MEMORY))),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            readonly_rootfs: Some(true),
            tmpfs: Some(HashMap::from([("/tmp".to_owned(), "rw,nosuid,nodev,mode=1777,size=256m".to_owned())])),
            binds: Some(folders.map(|(name, path)| format!("{}:{INSIDE}/{name}", path.display())).to_vec()),
            network_mode: Some(executor.network.clone()),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), LOG_SIZE.to_owned()),
                    ("max-file".to_owned(), "2".to_owned()),
                ])),
            }),
            ulimits: Some(vec![ResourcesUlimits { name: Some("core".to_owned()), soft: Some(0), hard: Some(0) }]),
            device_requests: gpus.map(|gpus| vec![gpus]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Processors in billionths of one.
#[allow(clippy::cast_possible_truncation)] // clamped
fn nanos(cpus: f64) -> i64 {
    (cpus.clamp(0.01, 10_000.0) * 1e9) as i64
}

/// The sentence of a command that cannot begin in this image.
fn refused_command(error: &bollard::errors::Error) -> Option<String> {
    let said = image::said(error);
    let is_the_commands =
        ["executable file not found", "no such file or directory", "permission denied", "exec format error"]
            .iter()
            .any(|word| said.contains(word));
    (is_the_commands && said.contains("exec")).then(|| {
        let detail = said.rsplit("exec:").next().unwrap_or(&said).trim_end_matches(": unknown").trim();
        format!("The command could not be started in the container: {detail}.")
    })
}

fn state_of(container: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    container.state.as_ref()?.status
}

/// How long it has run: one that is adopted keeps its timeout.
fn age(container: &ContainerInspectResponse) -> Duration {
    let started = container.state.as_ref().and_then(|state| state.started_at.as_deref());
    let started = started.and_then(|at| chrono::DateTime::parse_from_rfc3339(at).ok());
    let age = started.map(|at| chrono::Utc::now().signed_duration_since(at));
    age.and_then(|age| age.to_std().ok()).unwrap_or_default()
}

struct Life<'a> {
    executor: &'a DockerExecutor,
    dir: &'a StepDir,
    name: &'a str,
    deadline: watch::Receiver<Deadline>,
    cancel: CancellationToken,
    timeout_at: Option<Deadline>,
    grace: Duration,
}

impl Life<'_> {
    /// Returns when it does not run any more, with why it was ended, if it was.
    async fn until_the_end(mut self) -> Result<Option<Cause>, Error> {
        let (mut cause, mut kill_at, mut give_up_at) = (None, None::<Deadline>, None::<Deadline>);
        let (mut renewable, mut cancellable) = (true, true);
        let mut ended = std::pin::pin!(ended(self.executor, self.name));
        loop {
            let deadline = *self.deadline.borrow();
            let wakes = [Some(deadline), kill_at.or(self.timeout_at)];
            let wait = wakes.into_iter().flatten().map(Deadline::remaining).min().unwrap_or(LOOK).clamp(AGAIN, LOOK);
            let mut end_politely = None;
            tokio::select! {
                () = &mut ended => return Ok(cause),
                changed = self.deadline.changed(), if renewable => {
                    renewable = changed.is_ok();
                    let deadline = *self.deadline.borrow_and_update();
                    if let Err(error) = note(self.dir, deadline) {
                        // The watch ends it then, at the deadline that it knows.
                        tracing::warn!(%error, container = self.name, "the lease of a container is not renewed");
                    }
                }
                () = self.cancel.cancelled(), if cancellable => {
                    cancellable = false;
                    end_politely = Some(Cause::Cancelled);
                }
                () = sleep(wait) => {}
            }
            if self.timeout_at.is_some_and(Deadline::has_passed) {
                end_politely = end_politely.or(Some(Cause::TimedOut));
            }
            if let Some(why) = end_politely.filter(|_| cause.is_none()) {
                cause = Some(why);
                kill_at = Some(Deadline::after(self.grace));
                self.tell("SIGTERM").await;
            }
            let is_fenced = self.deadline.borrow().has_passed();
            if is_fenced {
                cause = cause.or(Some(Cause::Fenced));
            }
            if is_fenced || kill_at.is_some_and(Deadline::has_passed) {
                let give_up = *give_up_at.get_or_insert_with(|| Deadline::after(GIVE_UP));
                self.tell("SIGKILL").await;
                if give_up.has_passed() {
                    let doing = format!("the engine does not end the container {}", self.name);
                    return Err(Error::new(doing, io::ErrorKind::TimedOut));
                }
            }
        }
    }

    async fn tell(&self, signal: &str) {
        if let Err(error) = self.executor.signal(self.name, signal).await {
            tracing::warn!(%error, signal, container = self.name, "a container could not be told to end; trying again");
        }
    }
}

/// Waits until it does not run any more, or is not there any more, whatever the engine goes through meanwhile.
async fn ended(executor: &DockerExecutor, name: &str) {
    loop {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        // An exit status that is not 0 comes as an error, and so does an engine that is being restarted: look.
        if let Ok(engine) = executor.engine().await {
            let _ = engine.wait_container(name, Some(options)).next().await;
        }
        match executor.inspect(name).await {
            Ok(Some(found)) if is_running(&found) || state_of(&found) == Some(ContainerStateStatusEnum::CREATED) => {}
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, container = name, "the engine does not answer; asking again"),
        }
        sleep(AGAIN).await;
    }
}

/// Looks at what it uses, again and again. `used` keeps the most memory and the last count of processor time.
async fn sample(
    executor: &DockerExecutor,
    name: &str,
    gpus: &Gpus,
    samples: Option<mpsc::Sender<Sample>>,
    used: &mut Sample,
) -> std::convert::Infallible {
    sleep(SAMPLE_EVERY / 4).await;
    loop {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        if let Ok(engine) = executor.engine().await
            && let Some(Ok(stats)) = engine.stats(name, Some(options)).next().await
        {
            let gpus = gpus.clone();
            let gpus = tokio::task::spawn_blocking(move || gpus.samples()).await.unwrap_or_default();
            let sample = Sample { gpus, ..read(&stats) };
            used.cpu = used.cpu.max(sample.cpu);
            used.memory_bytes = used.memory_bytes.max(sample.memory_bytes);
            if let Some(samples) = samples.as_ref().filter(|_| sample.memory_bytes > 0) {
                let _ = samples.try_send(sample);
            }
        }
        sleep(SAMPLE_EVERY).await;
    }
}

fn read(stats: &ContainerStatsResponse) -> Sample {
    let cpu = stats.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage).unwrap_or(0);
    let memory = stats.memory_stats.as_ref();
    let counted = memory.and_then(|memory| memory.stats.as_ref());
    // Pages of files that nobody has used lately go when memory is needed: version 1 and version 2 of control groups.
    let spare = counted.and_then(|known| known.get("total_inactive_file").or_else(|| known.get("inactive_file")));
    let usage = memory.and_then(|memory| memory.usage).unwrap_or(0);
    let disk = |wanted: &str| {
        let entries = stats.blkio_stats.as_ref().and_then(|disk| disk.io_service_bytes_recursive.as_ref());
        let of = entries
            .into_iter()
            .flatten()
            .filter(|entry| entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(wanted)));
        of.filter_map(|entry| entry.value).sum()
    };
    Sample {
        at_ms: chrono::Utc::now().timestamp_millis(),
        cpu: Duration::from_nanos(cpu),
        memory_bytes: usage.saturating_sub(spare.copied().unwrap_or(0)),
        read_bytes: disk("read"),
        written_bytes: disk("write"),
        gpus: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use executors::Shim;
    use std::collections::BTreeMap;

    async fn made(gpus: Gpus) -> ContainerCreateBody {
        let root = tempfile::tempdir().unwrap();
        let shim = Shim::this_program(&[]);
        let executor = DockerExecutor::new("/nowhere/docker.sock", root.path().join("containers"), "host", shim);
        let dir = executor.dirs.create("1", BTreeMap::new()).await.unwrap();
        let own = BTreeMap::from([("CUDA_VISIBLE_DEVICES".to_owned(), "0,1,2,3".to_owned())]);
        let task = Task { argv: vec!["true".to_owned()], env: own, gpus, ..Task::default() };
        let pinned = Pinned { id: "sha256:1".to_owned(), digest: "a@sha256:1".to_owned() };
        body(&executor, &dir, &task, pinned, "1:1")
    }

    fn variables(body: &ContainerCreateBody) -> Vec<String> {
        let mut env: Vec<String> = body.env.clone().unwrap();
        env.retain(|variable| variable.contains("VISIBLE_DEVICES"));
        env.sort();
        env
    }

    #[tokio::test]
    async fn a_container_gets_the_gpus_that_were_given_to_its_step_by_name_and_no_count() {
        let body = made(Gpus::Given(["GPU-a", "GPU-b"].map(|uuid| uuid.parse().unwrap()).to_vec())).await;
        let expected =
            serde_json::json!([{ "Driver": "nvidia", "DeviceIDs": ["GPU-a", "GPU-b"], "Capabilities": [["gpu"]] }]);
        let requests = body.host_config.as_ref().unwrap().device_requests.as_ref();
        assert_eq!(serde_json::to_value(requests).unwrap(), expected);
        assert_eq!(variables(&body), ["CUDA_VISIBLE_DEVICES=GPU-a,GPU-b", "NVIDIA_VISIBLE_DEVICES=GPU-a,GPU-b"]);
    }

    #[tokio::test]
    async fn a_container_of_a_step_without_gpus_sees_none_also_when_its_image_asks_for_all() {
        let body = made(Gpus::Given(Vec::new())).await;
        assert_eq!(body.host_config.as_ref().unwrap().device_requests, None);
        assert_eq!(variables(&body), ["CUDA_VISIBLE_DEVICES=", "NVIDIA_VISIBLE_DEVICES=void"]);
        // Where nobody hands any out, what the file says counts.
        assert_eq!(variables(&made(Gpus::Unmanaged).await), ["CUDA_VISIBLE_DEVICES=0,1,2,3"]);
    }
}
