//! What a Job says.

use crate::{INSTALLATION, KubernetesExecutor, TRY, Volume, failed, job_name, secret};
use executors::{Error, Gpus, StepDir, Task};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use std::{io, time::Duration};

/// Where a pod finds its directory.
pub(crate) const INSIDE: &str = "/slipway";
/// The container's name.
pub(crate) const CONTAINER: &str = "step";

/// The Job of a try, which may run for so long, unless it is told otherwise.
pub(crate) fn make(
    executor: &KubernetesExecutor,
    dir: &StepDir,
    task: &Task,
    image: &str,
    remaining: Duration,
) -> Result<Job, Error> {
    let (user, group) = dir.hand_over()?;
    let name = dir.name();
    let labels = json!({ TRY: name, INSTALLATION: executor.settings.installation });
    let mut env: Vec<Value> = [
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", format!("{INSIDE}/home")),
        ("TMPDIR", format!("{INSIDE}/tmp")),
    ]
    .into_iter()
    .filter(|(name, _)| !task.env.contains_key(*name))
    .map(|(name, value)| json!({ "name": name, "value": value }))
    .collect();
    // A dollar would begin a reference to another variable.
    let literal = |value: &str| value.replace('$', "$$");
    let secrets = secret::variables(task);
    let plain = task.env.iter().filter(|(name, _)| !secrets.contains_key(*name));
    env.extend(plain.map(|(name, value)| json!({ "name": name, "value": literal(value) })));
    env.push(json!({ "name": "SLIPWAY_STEP_DIR", "value": INSIDE }));
    let mount = |part: &str| json!({ "name": "steps", "mountPath": format!("{INSIDE}/{part}"), "subPath": format!("{name}/{part}") });
    let volume = match &executor.settings.volume {
        Volume::Claim(claim) => json!({ "name": "steps", "persistentVolumeClaim": { "claimName": claim } }),
        Volume::Host => json!({ "name": "steps", "hostPath": { "path": executor.dirs.root(), "type": "Directory" } }),
    };
    let mut limits = serde_json::Map::new();
    limits.extend(task.limits.memory_bytes.map(|bytes| ("memory".to_owned(), json!(bytes.to_string()))));
    limits.extend(task.limits.cpus.map(|cpus| ("cpu".to_owned(), json!(format!("{}m", millis(cpus))))));
    if let Gpus::OfCluster(count @ 1..) = task.gpus {
        limits.insert("nvidia.com/gpu".to_owned(), json!(count.to_string()));
    }
    let command: Vec<String> = task.argv.iter().map(|part| literal(part)).collect();
    let mut job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(&name),
            "labels": labels,
            "annotations": annotations(task),
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": seconds_until_told(task, remaining).max(1),
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": seconds_of(grace(task, remaining)),
                    "automountServiceAccountToken": false,
                    "enableServiceLinks": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "runAsUser": user,
                        "runAsGroup": group,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "volumes": [volume, { "name": "tmp", "emptyDir": {} }],
                    "containers": [{
                        "name": CONTAINER,
                        "image": image,
                        "imagePullPolicy": executor.settings.pull_policy,
                        "command": command,
                        "env": env,
                        "workingDir": format!("{INSIDE}/work"),
                        "resources": { "limits": limits, "requests": limits },
                        "securityContext": {
                            "allowPrivilegeEscalation": false,
                            "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                        "volumeMounts": [
                            mount("work"), mount("home"), mount("tmp"),
                            { "name": "tmp", "mountPath": "/tmp" },
                        ],
                    }],
                },
            },
        },
    });
    if !secrets.is_empty() {
        let container = &mut job["spec"]["template"]["spec"]["containers"][0];
        container["envFrom"] = json!([{ "secretRef": { "name": job_name(&name) } }]);
    }
    serde_json::from_value(job).map_err(|error| {
        Error::new("the step's job could not be written", io::Error::new(io::ErrorKind::InvalidData, error))
    })
}

fn annotations(task: &Task) -> Value {
    task.labels.iter().map(|(name, value)| (format!("slipway.dev/{}", last(name)), json!(value))).collect()
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// How long its command may take to end when the cluster tells it to: of a short lease, not all of it.
fn grace(task: &Task, remaining: Duration) -> Duration {
    task.grace.min(remaining / 3)
}

/// When the cluster tells its command to end, so that it has ended by then.
pub(crate) fn seconds_until_told(task: &Task, remaining: Duration) -> i64 {
    seconds_of(remaining.saturating_sub(grace(task, remaining)))
}

fn seconds_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn millis(cpus: f64) -> u64 {
    (cpus.clamp(0.001, 10_000.0) * 1000.0).ceil() as u64
}

/// Makes the Job. One of this name that an earlier request made is as good. A sentence when the cluster will never take it.
pub(crate) async fn create(executor: &KubernetesExecutor, job: &Job) -> Result<Result<Job, String>, Error> {
    let jobs = executor.jobs().await?;
    let made = match jobs.create(&Default::default(), job).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {
            jobs.get(job.metadata.name.as_deref().unwrap_or_default()).await
        }
        other => other,
    };
    match made {
        Ok(made) => Ok(Ok(made)),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Err(format!("The cluster does not take the step's job: {}.", status.message.trim_end_matches('.'))))
        }
        Err(error) => Err(failed("the step's job could not be made", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_of_a_short_lease_runs_for_most_of_it() {
        let task = Task { grace: Duration::from_secs(10), ..Task::default() };
        let until_told = |seconds| seconds_until_told(&task, Duration::from_secs(seconds));
        assert_eq!((until_told(50), until_told(15), until_told(6), until_told(0)), (40, 10, 4, 0));
    }
}
