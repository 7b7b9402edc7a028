//! One Job, from its making to its end.

use crate::{
    KubernetesExecutor, LOOK, failed,
    job::{self, CONTAINER},
    job_name,
    logs::Reader,
    sample, secret,
};
use executors::{Controls, Deadline, Ended, Error, Finished, Sample, Sandbox, StepDir, Task, Usage};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod, PodCondition},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use std::{
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Between two looks at a pod.
const POLL: Duration = Duration::from_secs(1);
/// When to stop trying to end a pod because the cluster does not.
const GIVE_UP: Duration = Duration::from_secs(60);
/// How long one question to the cluster may take.
const ANSWER: Duration = Duration::from_secs(15);
/// How much longer than its grace a pod may take to end before its node counts as gone.
const UNHEARD: Duration = Duration::from_secs(30);
/// What a pod gets when it is to end at once. Without any, the cluster would forget it and not confirm its end.
const AT_ONCE: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Cancelled,
    TimedOut,
    Fenced,
}

/// How the pod stands.
#[derive(Debug)]
enum Stand {
    /// It waits for a node, for its image, or for its pod to be made; the sentence says what is wrong, if anything is.
    Waiting(Option<Trouble>),
    Running,
    Ended(Box<ContainerStateTerminated>),
    /// It was taken away, or its node is gone; the sentence says so.
    Lost(String),
    /// The cluster ended it: its deadline passed.
    Late,
}

/// Why a pod does not begin.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// No node has room, or the quota has none. Time may help.
    NoRoom(String),
    /// Its image cannot be fetched. Time may help.
    Fetching(String),
    /// Its node has not seen its secrets, which are there. Time helps, unless somebody took them away.
    Secrets(String),
    /// Time does not help.
    Never(String),
}

pub(crate) async fn run(
    executor: &KubernetesExecutor,
    dir: &StepDir,
    task: &Task,
    controls: Controls,
) -> Result<Finished, Error> {
    let begun = Instant::now();
    let name = dir.name();
    let Controls { deadline, cancel, log, lines_before, samples } = controls;
    let known = executor.job(&name).await?;
    let is_adopted = known.is_some();
    let mask = match known {
        Some(found) => secret::mask(executor, &name, &found).await?,
        None => {
            let Some(image) = &task.image else {
                let message = "A step that runs in Kubernetes needs an image. Name one with `image:`.".to_owned();
                return Ok(finished(Ended::NotStarted(message), begun));
            };
            let remaining = deadline.borrow().remaining();
            let job = job::make(executor, dir, task, image, remaining)?;
            let job = match job::create(executor, &job).await? {
                Ok(job) => job,
                Err(message) => return Ok(finished(Ended::NotStarted(message), begun)),
            };
            let secrets = secret::variables(task);
            if !secrets.is_empty()
                && let Err(message) = secret::give(executor, &name, &job, secrets).await?
            {
                return Ok(finished(Ended::NotStarted(message), begun));
            }
            task.mask()
        }
    };
    let (pod, named) = watch::channel(None);
    let ended = CancellationToken::new();
    let reader = Reader::new(Arc::new(mask), lines_before, log);
    let life = Life { executor, name: &name, task, deadline, cancel, pod, seen: None, leaving_since: None };
    let mut used = Sample::default();
    let begun_pod = named.clone();
    let lived = async {
        let end = tokio::select! {
            end = life.until_the_end() => end,
            never = sample::watch(executor, begun_pod, &task.gpus, (samples, is_adopted), &mut used) => match never {},
        };
        ended.cancel();
        end
    };
    let (end, ()) = tokio::join!(lived, reader.follow(executor, named, &ended));
    let (cause, stand) = end?;
    let image = executor.pod(&name).await.ok().flatten().and_then(|pod| image_of(&pod));
    let limit = task.limits.memory_bytes;
    let (mut how, mut exit_code, mut wall) = (Ended::Lost, None, None);
    if let Stand::Ended(terminated) = &stand {
        wall = lasted(terminated);
        exit_code = Some(terminated.exit_code).filter(|code| !(129..=192).contains(code));
        how = match (terminated.reason.as_deref(), terminated.exit_code) {
            // The kernel kills when the limit is reached, and never before.
            (Some("OOMKilled"), _) => Ended::OutOfMemory { peak: limit.unwrap_or(used.memory_bytes), limit },
            (Some("ContainerCannotRun" | "StartError"), _) => {
                let said = terminated.message.as_deref().unwrap_or("it does not say why");
                Ended::NotStarted(format!(
                    "The command could not be started in the pod: {}.",
                    said.trim().trim_end_matches('.')
                ))
            }
            (_, code @ 129..=192) => Ended::Killed(Some(code - 128)),
            (_, code) => Ended::Exited(code),
        };
    }
    how = match (cause, stand) {
        (Some(Cause::Cancelled), _) => Ended::Cancelled,
        (Some(Cause::TimedOut), _) => Ended::TimedOut,
        (Some(Cause::Fenced), _) | (None, Stand::Late) => Ended::Fenced,
        (None, Stand::Waiting(Some(Trouble::Never(message) | Trouble::Fetching(message)))) => {
            Ended::NotStarted(message)
        }
        (None, Stand::Waiting(Some(Trouble::NoRoom(message)))) => {
            return Err(Error::new("the cluster has no room for the step", io::Error::other(message)));
        }
        (None, Stand::Waiting(Some(Trouble::Secrets(message)))) => {
            return Err(Error::new("the step's secrets were taken away", io::Error::other(message)));
        }
        (None, Stand::Waiting(None)) => {
            let message = held_up(executor, &name).await;
            return Err(Error::new("the step's pod does not begin", io::Error::other(message)));
        }
        (None, Stand::Lost(message)) => return Err(Error::new("the step's pod was lost", io::Error::other(message))),
        (None, Stand::Ended(_) | Stand::Running) => how,
    };
    let ended = finished(how, begun);
    let peak_memory_bytes = if let Ended::OutOfMemory { peak, .. } = ended.ended { peak } else { used.memory_bytes };
    // The time of a container is told as a whole.
    let usage =
        Usage { wall: wall.unwrap_or(ended.usage.wall), peak_memory_bytes, user: used.cpu, system: Duration::ZERO };
    Ok(Finished { exit_code, image, usage, ..ended })
}

/// How long a command ran, without what its pod waited for. The cluster tells it in whole seconds.
fn lasted(terminated: &ContainerStateTerminated) -> Option<Duration> {
    let (from, to) = (terminated.started_at.as_ref()?, terminated.finished_at.as_ref()?);
    Duration::try_from(to.0.duration_since(from.0)).ok()
}

fn finished(ended: Ended, begun: Instant) -> Finished {
    Finished {
        ended,
        exit_code: None,
        left_behind: 0,
        usage: Usage { wall: begun.elapsed(), ..Usage::default() },
        sandbox: Sandbox { no_new_privileges: true, seccomp: true, container: true, ..Sandbox::default() },
        image: None,
    }
}

fn image_of(pod: &Pod) -> Option<String> {
    let id = &container_of(pod)?.image_id;
    let id = id.trim_start_matches("docker-pullable://").trim_start_matches("docker://");
    (!id.is_empty()).then(|| id.to_owned())
}

fn container_of(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|status| status.name == CONTAINER)
}

/// How long the pod's container has run.
pub(crate) fn age_of(pod: &Pod) -> Option<Duration> {
    let started = &container_of(pod)?.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0;
    let age = k8s_openapi::jiff::Timestamp::now().duration_since(*started);
    Some(Duration::try_from(age).unwrap_or_default())
}

/// What the cluster told last of this object, in its events.
async fn told(
    executor: &KubernetesExecutor,
    kind: &str,
    name: &str,
    is_meant: impl Fn(&Event) -> bool,
) -> Option<String> {
    let events: Api<Event> = Api::namespaced(executor.client().await.ok()?, &executor.settings.namespace);
    let of_object = format!("involvedObject.kind={kind},involvedObject.name={name}");
    let events = events.list(&ListParams::default().fields(&of_object)).await.ok()?;
    Some(events.items.into_iter().rfind(is_meant)?.message.unwrap_or_default())
}

/// Why a node does not begin a pod: its volume, its network.
async fn held_up(executor: &KubernetesExecutor, name: &str) -> String {
    let pod = executor.pod(name).await.ok().flatten().and_then(|pod| pod.metadata.name).unwrap_or_default();
    let warned = told(executor, "Pod", &pod, |event| event.type_.as_deref() == Some("Warning")).await;
    warned.unwrap_or_else(|| "the cluster does not say why".to_owned())
}

struct Life<'a> {
    executor: &'a KubernetesExecutor,
    name: &'a str,
    task: &'a Task,
    deadline: watch::Receiver<Deadline>,
    cancel: CancellationToken,
    /// The name of its pod, once that has begun.
    pod: watch::Sender<Option<String>>,
    /// The name of its pod, begun or not.
    seen: Option<String>,
    /// Since when its pod is known to be on its way out.
    leaving_since: Option<Instant>,
}

impl Life<'_> {
    /// Returns when nothing of it runs any more, with why it was ended, if it was, and how it stands.
    async fn until_the_end(mut self) -> Result<(Option<Cause>, Stand), Error> {
        let (mut cause, mut kill_at, mut give_up_at) = (None, None::<Deadline>, None::<Deadline>);
        let (mut renewable, mut cancellable) = (true, true);
        let mut timeout_at = None::<Deadline>;
        let mut waiting = (None, Instant::now());
        let mut asked_to_end = false;
        loop {
            let stand = match timeout(ANSWER, self.look()).await {
                Ok(Ok(stand)) => Some(stand),
                Ok(Err(error)) => {
                    tracing::debug!(%error, job = self.name, "the cluster does not answer; asking again");
                    None
                }
                Err(_) => None,
            };
            match stand {
                Some(Stand::Waiting(trouble)) => {
                    let kind = trouble.as_ref().map(mem::discriminant);
                    if waiting.0 != kind {
                        waiting = (kind, Instant::now());
                    }
                    let settings = &self.executor.settings;
                    let patience = match &trouble {
                        None | Some(Trouble::NoRoom(_)) => settings.pending,
                        Some(Trouble::Fetching(_) | Trouble::Secrets(_)) => settings.fetching,
                        Some(Trouble::Never(_)) => Duration::ZERO,
                    };
                    if cause.is_none() && waiting.1.elapsed() >= patience {
                        return Ok((None, Stand::Waiting(trouble)));
                    }
                }
                Some(Stand::Running) | None => {}
                Some(ended) => return Ok((cause, ended)),
            }
            if timeout_at.is_none()
                && let (Some(limit), Some(age)) = (self.task.timeout, self.age().await)
            {
                timeout_at = Some(Deadline::after(limit.saturating_sub(age)));
            }

            let mut end_politely = None;
            let deadline = *self.deadline.borrow();
            let wakes = [Some(deadline), kill_at.or(timeout_at)];
            let wait = wakes.into_iter().flatten().map(Deadline::remaining).min().unwrap_or(POLL).clamp(LOOK, POLL);
            tokio::select! {
                changed = self.deadline.changed(), if renewable => {
                    renewable = changed.is_ok();
                    let deadline = *self.deadline.borrow_and_update();
                    // One that is being ended is not renewed.
                    if cause.is_none() && let Err(error) = self.renew(deadline).await {
                        // The cluster ends it then, at the deadline that it knows.
                        tracing::warn!(%error, job = self.name, "the lease of a job is not renewed");
                    }
                }
                () = self.cancel.cancelled(), if cancellable => {
                    cancellable = false;
                    end_politely = Some(Cause::Cancelled);
                }
                () = sleep(wait) => {}
            }
            if timeout_at.is_some_and(Deadline::has_passed) {
                end_politely = end_politely.or(Some(Cause::TimedOut));
            }
            if let Some(why) = end_politely.filter(|_| cause.is_none()) {
                cause = Some(why);
                kill_at = Some(Deadline::after(self.task.grace + POLL));
            }
            let is_fenced = self.deadline.borrow().has_passed();
            if is_fenced {
                cause = cause.or(Some(Cause::Fenced));
            }
            let at_once = is_fenced || kill_at.is_some_and(Deadline::has_passed);
            if cause.is_none() {
                continue;
            }
            // Once politely, and at once again and again.
            if at_once || !asked_to_end {
                asked_to_end = true;
                self.end(at_once).await;
            }
            if at_once && give_up_at.get_or_insert_with(|| Deadline::after(GIVE_UP)).has_passed() {
                let doing = format!("the cluster does not end the pod of {}", job_name(self.name));
                return Err(Error::new(doing, io::ErrorKind::TimedOut));
            }
        }
    }

    async fn look(&mut self) -> Result<Stand, Error> {
        let Some(job) = self.executor.job(self.name).await? else {
            return Ok(Stand::Lost("its job was taken away".to_owned()));
        };
        let why = failed_because(&job);
        let is_late = why.as_deref() == Some("DeadlineExceeded");
        let Some(pod) = self.executor.pod(self.name).await? else {
            return Ok(match why {
                Some(_) if is_late => Stand::Late,
                Some(why) => Stand::Lost(why),
                None if self.seen.is_some() => Stand::Lost("its pod was taken away".to_owned()),
                None => Stand::Waiting(self.quota().await),
            });
        };
        // Older clusters put another pod in the place of one that is gone, whose command may have begun.
        if self.seen.is_some() && self.seen != pod.metadata.name {
            return Ok(Stand::Lost("its pod was taken away".to_owned()));
        }
        self.seen.clone_from(&pod.metadata.name);
        let stand = stand_of(&pod);
        if !matches!(stand, Stand::Waiting(_)) {
            self.pod.send_if_modified(|known| {
                let is_new = known.is_none();
                *known = pod.metadata.name.clone();
                is_new
            });
        }
        // What the cluster ended leaves an exit status as from a signal, or none.
        Ok(match stand {
            Stand::Lost(_) if is_late => Stand::Late,
            Stand::Ended(ended) if is_late && ended.exit_code != 0 => Stand::Late,
            Stand::Running | Stand::Waiting(_) if self.is_unheard(&pod) => {
                Stand::Lost("its pod is to end, and its node is not heard of".to_owned())
            }
            stand => stand,
        })
    }

    /// Whether its node does not do what the cluster has told it long ago: to end the pod. The cluster tells so when a node
    /// has not been heard of for some minutes, and then waits for the node's answer for as long as it takes.
    fn is_unheard(&mut self, pod: &Pod) -> bool {
        if pod.metadata.deletion_timestamp.is_none() {
            return false;
        }
        let since = *self.leaving_since.get_or_insert_with(Instant::now);
        since.elapsed() > self.task.grace + UNHEARD
    }

    /// Why the cluster makes no pod.
    async fn quota(&self) -> Option<Trouble> {
        let is_refusal = |event: &Event| event.reason.as_deref() == Some("FailedCreate");
        told(self.executor, "Job", &job_name(self.name), is_refusal).await.map(Trouble::NoRoom)
    }

    /// How long its container has run.
    async fn age(&self) -> Option<Duration> {
        age_of(&self.executor.pod(self.name).await.ok().flatten()?)
    }

    /// Moves on until when the cluster lets it run.
    async fn renew(&self, deadline: Deadline) -> Result<(), Error> {
        if deadline.has_passed() {
            return Ok(());
        }
        let Some(job) = self.executor.job(self.name).await? else { return Ok(()) };
        let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
        let started = started.or(job.metadata.creation_timestamp.as_ref()).map(|time| time.0);
        let age = started.map(|started| k8s_openapi::jiff::Timestamp::now().duration_since(started).as_secs());
        let seconds = (age.unwrap_or(0).max(0) + job::seconds_until_told(self.task, deadline.remaining())).max(1);
        let patch = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": seconds } }));
        let jobs = self.executor.jobs().await?;
        let patched = jobs.patch(&job_name(self.name), &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(|error| failed("the deadline of the step's job could not be moved on", error))
    }

    /// Asks for its end: its Job's time is up. Politely, which the pod's own grace then bounds, or at once.
    ///
    /// Not by deleting the pod: its Job would make another.
    async fn end(&self, at_once: bool) {
        let ending = async {
            let jobs = self.executor.jobs().await?;
            let patch = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": 1 } }));
            let told = jobs.patch(&job_name(self.name), &PatchParams::default(), &patch).await.map(drop);
            let told = told.or_else(|error| if crate::is_missing(&error) { Ok(()) } else { Err(error) });
            told.map_err(|error| failed("the step's job could not be ended", error))?;
            // Once its Job has failed it makes no other.
            let is_over = self.executor.job(self.name).await?.is_none_or(|job| failed_because(&job).is_some());
            if at_once
                && is_over
                && let Some(pod) = self.executor.pod(self.name).await?.and_then(|pod| pod.metadata.name)
            {
                let params = DeleteParams { grace_period_seconds: Some(AT_ONCE), ..DeleteParams::default() };
                let deleted = self.executor.pods().await?.delete(&pod, &params).await.map(drop);
                let deleted = deleted.or_else(|error| if crate::is_missing(&error) { Ok(()) } else { Err(error) });
                deleted.map_err(|error| failed("the step's pod could not be ended", error))?;
            }
            Ok::<_, Error>(())
        };
        match timeout(ANSWER, ending).await {
            Ok(Err(error)) => tracing::warn!(%error, job = self.name, "a job could not be told to end; trying again"),
            Err(_) => tracing::warn!(job = self.name, "a job could not be told to end: the cluster is slow"),
            Ok(Ok(())) => {}
        }
    }
}

/// Why a Job has failed, when it has.
fn failed_because(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions.iter().find(|condition| condition.type_ == "Failed" && condition.status == "True")?;
    Some(failed.reason.clone().unwrap_or_default())
}

fn stand_of(pod: &Pod) -> Stand {
    let status = pod.status.clone().unwrap_or_default();
    let reason = status.reason.clone().unwrap_or_default();
    let message = status.message.clone().unwrap_or_default();
    let terminated = container_of(pod).and_then(|container| container.state.as_ref()?.terminated.clone());
    match status.phase.as_deref() {
        Some("Failed")
            if matches!(
                reason.as_str(),
                "Evicted"
                    | "NodeLost"
                    | "NodeShutdown"
                    | "Shutdown"
                    | "Terminated"
                    | "NodeAffinity"
                    | "UnexpectedAdmissionError"
            ) =>
        {
            Stand::Lost(format!("{reason}: {message}"))
        }
        Some("Failed") if reason == "DeadlineExceeded" => Stand::Late,
        Some("Failed" | "Succeeded") => match terminated {
            Some(terminated) => end_of(pod, terminated),
            None => Stand::Lost(if reason.is_empty() {
                "its container left no trace".to_owned()
            } else {
                format!("{reason}: {message}")
            }),
        },
        // The node does not say how it is any more.
        Some("Unknown") => Stand::Lost(format!("its node is not heard of any more {message}").trim_end().to_owned()),
        Some("Running") => match terminated {
            Some(terminated) => end_of(pod, terminated),
            None if reason == "NodeLost" => Stand::Lost("its node is not heard of any more".to_owned()),
            None => Stand::Running,
        },
        _ => Stand::Waiting(trouble_of(pod)),
    }
}

/// What the end of its container means: one that the cluster takes away, because its node is drained or something else is
/// more urgent, is no failure of its command.
fn end_of(pod: &Pod, terminated: ContainerStateTerminated) -> Stand {
    // What a node says that was started anew and does not find it.
    if matches!(terminated.reason.as_deref(), Some("ContainerStatusUnknown" | "Unknown")) {
        return Stand::Lost("its node does not know how it ended".to_owned());
    }
    match taken_away(pod) {
        Some(why) if terminated.exit_code != 0 => Stand::Lost(why),
        _ => Stand::Ended(Box::new(terminated)),
    }
}

/// Why the cluster takes a pod away, when it does.
fn taken_away(pod: &Pod) -> Option<String> {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let disrupted = |condition: &&PodCondition| condition.type_ == "DisruptionTarget" && condition.status == "True";
    if let Some(target) = conditions.into_iter().find(disrupted) {
        let (reason, message) = (target.reason.as_deref(), target.message.as_deref());
        return Some(format!("{}: {}", reason.unwrap_or("Disrupted"), message.unwrap_or("its pod was taken away")));
    }
    pod.metadata.deletion_timestamp.as_ref().map(|_| "its pod was taken away".to_owned())
}

fn trouble_of(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unscheduled =
        conditions.into_iter().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        let message = condition.message.clone().unwrap_or_default();
        return Some(Trouble::NoRoom(format!("Unschedulable: {message}")));
    }
    let waiting = container_of(pod)?.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let said = format!("{reason}: {}", waiting.message.as_deref().unwrap_or_default().trim().trim_end_matches('.'));
    match reason {
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
            Some(Trouble::Fetching(format!("The image cannot be fetched. {said}.")))
        }
        "InvalidImageName" | "ErrImageNeverPull" | "ImageInspectError" => {
            Some(Trouble::Never(format!("There is no such image. {said}.")))
        }
        "CreateContainerConfigError" if said.contains("secret \"slipway-") => Some(Trouble::Secrets(said)),
        "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
            Some(Trouble::Never(format!("The step's container cannot be made. {said}.")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "status": status })).unwrap()
    }

    fn container(state: serde_json::Value) -> serde_json::Value {
        json!([{ "name": CONTAINER, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state }])
    }

    #[test]
    fn what_keeps_a_pod_from_beginning_is_told_apart() {
        let waiting = |reason: &str| {
            let state = json!({ "waiting": { "reason": reason, "message": "why" } });
            trouble_of(&pod(json!({ "phase": "Pending", "containerStatuses": container(state) })))
        };
        assert!(matches!(waiting("ImagePullBackOff"), Some(Trouble::Fetching(_))));
        assert!(matches!(waiting("ErrImageNeverPull"), Some(Trouble::Never(_))));
        assert_eq!(waiting("ContainerCreating"), None);
        let unscheduled = json!([{ "type": "PodScheduled", "status": "False", "message": "0/1 nodes" }]);
        let found = trouble_of(&pod(json!({ "phase": "Pending", "conditions": unscheduled })));
        assert_eq!(found, Some(Trouble::NoRoom("Unschedulable: 0/1 nodes".to_owned())));
    }

    #[test]
    fn an_end_of_the_nodes_is_none_of_the_commands() {
        for reason in ["Evicted", "NodeLost", "NodeShutdown"] {
            let stand = stand_of(&pod(json!({ "phase": "Failed", "reason": reason, "message": "m" })));
            assert!(matches!(stand, Stand::Lost(_)), "{reason}");
        }
        let state = json!({ "terminated": { "exitCode": 3 } });
        let stand = stand_of(&pod(json!({ "phase": "Failed", "containerStatuses": container(state) })));
        assert!(matches!(stand, Stand::Ended(end) if end.exit_code == 3));
        let state = json!({ "terminated": { "exitCode": 137, "reason": "ContainerStatusUnknown" } });
        let stand = stand_of(&pod(json!({ "phase": "Failed", "containerStatuses": container(state) })));
        assert!(matches!(stand, Stand::Lost(_)));
    }

    #[test]
    fn an_end_that_the_cluster_wanted_is_none_of_the_commands_unless_it_was_done() {
        let ended = |exit_code: i32, deleted: bool, condition: serde_json::Value| {
            let state = json!({ "terminated": { "exitCode": exit_code } });
            let status = json!({ "phase": "Failed", "containerStatuses": container(state), "conditions": [condition] });
            let mut pod = pod(status);
            pod.metadata.deletion_timestamp =
                deleted.then(|| serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
            stand_of(&pod)
        };
        let ready = json!({ "type": "Ready", "status": "False" });
        assert!(matches!(ended(143, false, ready.clone()), Stand::Ended(_)));
        assert!(matches!(ended(143, true, ready.clone()), Stand::Lost(_)));
        assert!(matches!(ended(0, true, ready), Stand::Ended(_)));
        let target =
            json!({ "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "m" });
        assert!(matches!(ended(137, false, target), Stand::Lost(why) if why == "PreemptionByScheduler: m"));
    }

    #[test]
    fn secrets_that_a_node_has_not_seen_are_waited_for() {
        let waiting = |message: &str| {
            let state = json!({ "waiting": { "reason": "CreateContainerConfigError", "message": message } });
            trouble_of(&pod(json!({ "phase": "Pending", "containerStatuses": container(state) })))
        };
        assert!(matches!(waiting("secret \"slipway-1\" not found"), Some(Trouble::Secrets(_))));
        assert!(matches!(waiting("container has runAsNonRoot"), Some(Trouble::Never(_))));
    }
}
