//! The secret variables of a try: in a Secret that its Job owns, and nowhere else in the cluster.
//!
//! The Job is made first. Its pod takes all variables of the Secret of the same name, and does not begin before that is
//! there. So a Secret has an owner from its first moment, and the cluster deletes it with the Job, whoever dies when; one
//! that comes too late, from a worker that was stopped meanwhile, has an owner that is no more, and is deleted as well.
//! Whoever adopts a Job reads the values there, to keep them out of its log.

use crate::{INSTALLATION, KubernetesExecutor, TRY, failed, is_missing, job_name};
use executors::{Error, Mask, Task};
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::api::{DeleteParams, ObjectMeta};
use std::{collections::BTreeMap, io};

/// The variables that must not stand in the Job: those that are secret, and those in whose value such a one stands.
pub(crate) fn variables(task: &Task) -> BTreeMap<String, String> {
    let mask = task.mask();
    let is_secret = |name: &String, value: &String| task.secrets.contains(name) || mask.hide(value.clone()) != *value;
    task.env
        .iter()
        .filter(|(name, value)| is_secret(name, value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Gives the pod of this Job its secret variables, and so lets it begin. A sentence when the cluster will never take them.
pub(crate) async fn give(
    executor: &KubernetesExecutor,
    name: &str,
    job: &Job,
    variables: BTreeMap<String, String>,
) -> Result<Result<(), String>, Error> {
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: job_name(name),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    };
    let labels = [(TRY, name), (INSTALLATION, &executor.settings.installation)];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(job_name(name)),
            labels: Some(labels.map(|(label, value)| (label.to_owned(), value.to_owned())).into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        // Nodes need not look whether it changes.
        immutable: Some(true),
        string_data: Some(variables),
        ..Secret::default()
    };
    match executor.secrets().await?.create(&Default::default(), &secret).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Ok(())),
        // Together they may have a mebibyte.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 413 | 422) => {
            Ok(Err(format!("The cluster does not take the step's secrets: {}.", status.message.trim_end_matches('.'))))
        }
        Err(error) => Err(failed("the step's secrets could not be given to the cluster", error)),
    }
}

/// What must not stand in the log of this Job, which another began.
pub(crate) async fn mask(executor: &KubernetesExecutor, name: &str, job: &Job) -> Result<Mask, Error> {
    if !takes_secrets(job) {
        return Ok(Mask::default());
    }
    let found = executor.secrets().await?.get_opt(&job_name(name)).await;
    let Some(secret) = found.map_err(|error| failed("the step's secrets could not be looked at", error))? else {
        // Its worker died between making the one and the other.
        return Err(Error::new("the step never began", io::Error::other("its pod was not given its secrets")));
    };
    let values = secret.data.unwrap_or_default();
    let values: Vec<String> =
        values.into_values().map(|value| String::from_utf8_lossy(&value.0).into_owned()).collect();
    Ok(Mask::new(values.iter().map(String::as_str)))
}

fn takes_secrets(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter().flat_map(|pod| &pod.containers).any(|container| container.env_from.is_some())
}

/// Deletes the Secret now, rather than when the cluster comes to it.
pub(crate) async fn remove(executor: &KubernetesExecutor, name: &str) -> Result<(), Error> {
    match executor.secrets().await?.delete(&job_name(name), &DeleteParams::default()).await {
        Err(error) if !is_missing(&error) => Err(failed("the step's secrets could not be removed", error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_secret_is_one_too() {
        let env = [("KEY", "s3cret"), ("URL", "https://me:s3cret@host"), ("PLAIN", "host")];
        let task = Task {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            secrets: ["KEY".to_owned(), "NOT_SET".to_owned()].into(),
            ..Task::default()
        };
        assert_eq!(variables(&task).into_keys().collect::<Vec<_>>(), ["KEY", "URL"]);
    }
}
