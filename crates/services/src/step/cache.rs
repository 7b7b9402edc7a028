//! What steps gave before: looked for when a step begins, under the lock of its run, so that a hit needs no process.

use super::inputs::InputFiles;
use crate::{Result, Services};
use chrono::{TimeDelta, Utc};
use domain::{
    Digest,
    dataset::VersionRef,
    pipeline::{Command, ExecutorKind, Invocation, ParamValue, StepSpec, Work},
    pipeline_run::{CacheKey, CacheOutcome, StepCache},
    step::{OutputVersion, StepOutput, Versioned},
    worker::Facts,
};
use serde_json::json;
use std::collections::BTreeMap;
use store::{
    PgConnection,
    step::{attempt, lease::Claimed},
};

/// What a step gave before, and may give now without running.
#[derive(Debug, Clone)]
pub struct Hit {
    /// What it gives.
    pub outputs: Vec<StepOutput>,
    /// Where it comes from: `cached from run #12`.
    pub reason: String,
}

/// All that a step is run with.
pub(super) struct RunWith<'a> {
    pub(super) work: &'a attempt::Work,
    pub(super) step: &'a StepSpec,
    pub(super) invocation: &'a Invocation,
    pub(super) values: &'a BTreeMap<String, ParamValue>,
    pub(super) inputs: &'a [InputFiles],
    pub(super) outputs: &'a BTreeMap<String, domain::pipeline::OutputSpec>,
    pub(super) facts: &'a Facts,
}

impl Services {
    /// Looks whether a step that is run with the same gave something, and notes how that went. None when the step has to
    /// run.
    pub(super) async fn look_in_cache(
        &self,
        conn: &mut PgConnection,
        held: &Claimed,
        with: RunWith<'_>,
    ) -> Result<Option<Hit>> {
        let Some(cache) = with.work.spec.cache_of(with.step) else { return Ok(None) };
        let miss = |reason: &str| StepCache {
            outcome: CacheOutcome::Miss,
            run: None,
            step: None,
            reasons: vec![reason.to_owned()],
        };
        let key = match key(&with)? {
            Ok(mut key) => {
                for (variable, secret) in self.secrets_in_key(conn, &with).await? {
                    key.add(format!("secret {variable}"), secret);
                }
                key
            }
            Err(reason) => {
                self.note(conn, held, &miss(reason), None).await?;
                return Ok(None);
            }
        };
        let digest = key.digest()?;
        if !with.work.use_cache {
            self.note(conn, held, &miss("the run was started without the cache"), Some((&digest, &key))).await?;
            return Ok(None);
        }
        let workspace = &with.work.workspace;
        let Some(kept) = store::step::cache::find(conn, workspace.id, &digest).await? else {
            let reasons = match store::step::cache::last(conn, with.work.pipeline_id, &held.name).await? {
                Some(before) => key.changes(&before),
                None => vec!["nothing was kept of this step yet".to_owned()],
            };
            self.note(conn, held, &StepCache { reasons, ..miss("") }, Some((&digest, &key))).await?;
            return Ok(None);
        };
        let max_age = cache.max_age_seconds.and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?));
        if max_age.is_some_and(|age| Utc::now() - kept.created_at > age) {
            let reason = format!("what run #{} gave is older than its max_age", kept.run);
            self.note(conn, held, &miss(&reason), Some((&digest, &key))).await?;
            return Ok(None);
        }
        if let Some(gone) = self.what_is_gone(conn, with.work, &kept.outputs).await? {
            let reason = format!("the output \"{gone}\" of run #{} is not there any more", kept.run);
            self.note(conn, held, &miss(&reason), Some((&digest, &key))).await?;
            return Ok(None);
        }
        let hit =
            StepCache { outcome: CacheOutcome::Hit, run: Some(kept.run), step: Some(kept.step), reasons: Vec::new() };
        self.note(conn, held, &hit, Some((&digest, &key))).await?;
        Ok(Some(Hit { outputs: kept.outputs, reason: format!("cached from run #{}", kept.run) }))
    }

    /// Which secrets a step gets, by name and version: never a value.
    async fn secrets_in_key(&self, conn: &mut PgConnection, with: &RunWith<'_>) -> Result<Vec<(String, String)>> {
        let wanted = with.work.spec.secrets_of(with.step);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = wanted.values().map(String::as_str).collect();
        let known = store::secret::versions(conn, with.work.workspace.id, &names).await?;
        let shown = |(variable, name): (String, String)| {
            let version = known.get(&name).map_or_else(|| "none".to_owned(), |version| format!("v{version}"));
            (variable, format!("{name} {version}"))
        };
        Ok(wanted.into_iter().map(shown).collect())
    }

    async fn note(
        &self,
        conn: &mut PgConnection,
        held: &Claimed,
        cache: &StepCache,
        key: Option<(&Digest, &CacheKey)>,
    ) -> Result<()> {
        store::step::cache::note(conn, held.step_id, cache, key).await?;
        metrics::counter!("slipway_step_cache_total", "outcome" => cache.outcome.as_str()).increment(1);
        Ok(())
    }

    /// The name of an output that is not all there, if one is not.
    async fn what_is_gone(
        &self,
        conn: &mut PgConnection,
        work: &attempt::Work,
        outputs: &[StepOutput],
    ) -> Result<Option<String>> {
        for output in outputs {
            let is_there = self.output_is_there(output).await?
                && match &output.version {
                    Some(version) => version_is_there(conn, work, version).await?,
                    None => true,
                };
            if !is_there {
                return Ok(Some(output.name.clone()));
            }
        }
        Ok(None)
    }
}

/// What a step is run with; otherwise why that cannot be said.
fn key(with: &RunWith<'_>) -> Result<std::result::Result<CacheKey, &'static str>> {
    let spec = &with.work.spec;
    let mut key = CacheKey::default();
    match spec.executor_of(with.step) {
        ExecutorKind::Process => match &with.facts.environment {
            Some(environment) => key.add("environment", environment.as_str()),
            None => return Ok(Err("its worker does not know its packages yet")),
        },
        ExecutorKind::Docker | ExecutorKind::Kubernetes => match spec.image_of(with.step) {
            Some(image) if image.contains("@sha256:") => key.add("image", image),
            _ => return Ok(Err("its image is not named by its digest")),
        },
    }
    let digest = |value: &serde_json::Value| {
        Digest::of_json(value).map(|digest| digest.as_str().to_owned()).map_err(|_| domain::Error::internal())
    };
    let command = match &with.step.work {
        // Placeholders are filled in; what they stand for has parts of its own.
        Work::Command(Command::Shell(script)) => json!(script),
        Work::Command(Command::Program(arguments)) => json!(arguments),
        other => serde_json::to_value(other).map_err(|_| domain::Error::internal())?,
    };
    key.add("command", digest(&command)?);
    if let Some(kfp) = &with.step.kfp {
        if kfp.asked().next().is_some() {
            return Ok(Err("it asks how other steps ended"));
        }
        key.add("kfp", digest(&serde_json::to_value(kfp).map_err(|_| domain::Error::internal())?)?);
    }
    key.add("seed", spec.seed.to_string());
    for (name, value) in with.values {
        let text = value.to_string();
        let shown = if text.len() <= 200 { text } else { digest(&json!(text))? };
        key.add(format!("param {name}"), shown);
    }
    for (path, text) in &spec.files {
        key.add(format!("file {path}"), digest(&json!(text))?);
    }
    for files in with.inputs {
        let value = files.input.digest.as_ref().map_or("none", Digest::as_str);
        key.add(format!("input {}", files.input.name), value);
    }
    for (name, output) in with.outputs {
        key.add(format!("output {name}"), serde_json::to_string(output).map_err(|_| domain::Error::internal())?);
    }
    let ours = |name: &str| {
        ["PARAM_", "INPUT_", "OUTPUT_"].iter().any(|kind| name.starts_with(kind))
            || ["PYTHONHASHSEED", "SLIPWAY_SEED"].contains(&name)
    };
    for (name, value) in with.invocation.env.iter().filter(|(name, _)| !ours(name)) {
        let shown = if value.len() <= 200 { value.clone() } else { digest(&json!(value))? };
        key.add(format!("variable {name}"), shown);
    }
    Ok(Ok(key))
}

async fn version_is_there(conn: &mut PgConnection, work: &attempt::Work, version: &OutputVersion) -> Result<bool> {
    match version.of {
        Versioned::Dataset => {
            let Some(stored) = store::dataset::by_name(conn, work.workspace.id, &version.name).await? else {
                return Ok(false);
            };
            let which = VersionRef::Number(version.number);
            Ok(store::dataset_version::get(conn, stored.dataset.id, &which).await?.is_some())
        }
        Versioned::Model => {
            let found = store::model_version::by_number(conn, work.workspace.id, &version.name, version.number).await?;
            Ok(found.is_some())
        }
    }
}
