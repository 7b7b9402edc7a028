//! What a Job says.

use crate::{INSTALLATION, KubernetesExecutor, TRY, Volume, failed, job_name};
use executors::{Error, Gpus, StepDir, Task};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use std::{io, time::Duration};

/// Where a pod finds its directory.
pub(crate) const INSIDE: &str = "/slipway";
/// The container's name.
pub(crate) const CONTAINER: &str = "step";
/// The variables that are secret, separated by spaces: whoever adopts the Job finds their values in it.
pub(crate) const SECRETS: &str = "slipway.dev/secrets";

/// The Job of a try. `seconds` is how long it may run before the cluster ends it, unless it is told otherwise.
pub(crate) fn make(
    executor: &KubernetesExecutor,
    dir: &StepDir,
    task: &Task,
    image: &str,
    seconds: i64,
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
    env.extend(task.env.iter().map(|(name, value)| json!({ "name": name, "value": literal(value) })));
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
    let secrets: Vec<&str> = task.secrets.iter().map(String::as_str).collect();
    let job = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(&name),
            "labels": labels,
            "annotations": annotations(task, &secrets.join(" ")),
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": seconds,
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": seconds_of(task.grace),
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
    serde_json::from_value(job).map_err(|error| {
        Error::new("the step's job could not be written", io::Error::new(io::ErrorKind::InvalidData, error))
    })
}

fn annotations(task: &Task, secrets: &str) -> Value {
    let mut annotations: serde_json::Map<String, Value> =
        task.labels.iter().map(|(name, value)| (format!("slipway.dev/{}", last(name)), json!(value))).collect();
    annotations.insert(SECRETS.to_owned(), json!(secrets));
    annotations.into()
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

pub(crate) fn seconds_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn millis(cpus: f64) -> u64 {
    (cpus.clamp(0.001, 10_000.0) * 1000.0).ceil() as u64
}

/// Makes the Job. One of this name that another made meanwhile is as good. A sentence when the cluster will never take it.
pub(crate) async fn create(executor: &KubernetesExecutor, job: &Job) -> Result<Result<(), String>, Error> {
    match executor.jobs().await?.create(&Default::default(), job).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Ok(())),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => {
            Ok(Err(format!("The cluster does not take the step's job: {}.", status.message.trim_end_matches('.'))))
        }
        Err(error) => Err(failed("the step's job could not be made", error)),
    }
}
