//! What steps gave before: looked for when a step begins, so that a hit needs no process. Whether all of it is still there is
//! looked at before the run is locked: a folder may have many files.

use super::{begin::FoundOut, inputs::InputFiles};
use crate::{Result, Services, boxed};
use chrono::{TimeDelta, Utc};
use domain::{
    Digest,
    dataset::VersionRef,
    id::{StepId, WorkspaceId},
    pipeline::{Command, ExecutorKind, Invocation, ParamValue, StepSpec, Work},
    pipeline_run::{CacheKey, CacheOutcome, StepCache},
    step::{OutputVersion, StepOutput, Versioned},
    worker::{Facts, changes},
};
use serde_json::json;
use std::collections::BTreeMap;
use store::{
    PgConnection,
    step::{attempt, cache::Kept, claim::Claimed},
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

impl RunWith<'_> {
    /// Whether what the step finds on its worker decides whether it runs.
    pub(super) fn asks_for_environment(&self) -> bool {
        self.work.executor == ExecutorKind::Process && self.is_kept()
    }

    /// Whether what the step gives is looked for, and kept.
    fn is_kept(&self) -> bool {
        // What a run gives that does another again is compared, and stands for nothing else.
        let attempt::Work { reproduces, cancelling, spec, .. } = self.work;
        reproduces.is_none() && !cancelling && spec.cache_of(self.step).is_some()
    }
}

/// What was found of what a step gave before.
pub(super) struct Looked {
    step_id: StepId,
    /// The output that is not all there, if one is not.
    gone: Option<String>,
}

/// What came of looking for what a step gave before.
pub(super) enum Outcome {
    Hit(Hit),
    /// The step runs.
    Miss,
    /// First it must be looked at whether all of this is there.
    Looks(Box<Kept>),
}

/// How often is looked at what is kept, should others keep something else meanwhile.
const MOST_LOOKS: u32 = 3;

impl Services {
    /// Looks whether a step that is run with the same gave something, and notes how that went.
    pub(super) async fn look_in_cache(
        &self,
        conn: &mut PgConnection,
        held: &Claimed,
        with: RunWith<'_>,
        found_out: &FoundOut,
    ) -> Result<Outcome> {
        let Some(cache) = with.work.spec.cache_of(with.step).filter(|_| with.is_kept()) else {
            return Ok(Outcome::Miss);
        };
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
                return Ok(Outcome::Miss);
            }
        };
        let digest = key.digest()?;
        if !with.work.use_cache {
            self.note(conn, held, &miss("the run was started without the cache"), Some((&digest, &key))).await?;
            return Ok(Outcome::Miss);
        }
        let workspace = &with.work.workspace;
        let Some(kept) = store::step::cache::find(conn, workspace.id, &digest).await? else {
            let reasons = match store::step::cache::last(conn, with.work.pipeline_id, &held.name).await? {
                Some(before) => {
                    let mut reasons = key.changes(&before);
                    reasons.extend(changes_on_worker(conn, &key, &before).await?);
                    reasons
                }
                None => vec!["nothing was kept of this step yet".to_owned()],
            };
            self.note(conn, held, &StepCache { reasons, ..miss("") }, Some((&digest, &key))).await?;
            return Ok(Outcome::Miss);
        };
        let max_age = cache.max_age_seconds.and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?));
        if max_age.is_some_and(|age| Utc::now() - kept.created_at > age) {
            let reason = format!("what run #{} gave is older than its max_age", kept.run);
            self.note(conn, held, &miss(&reason), Some((&digest, &key))).await?;
            return Ok(Outcome::Miss);
        }
        // A few files are looked at at once: to begin twice takes longer.
        let at_once = match is_little(&kept.outputs) {
            true => Some(Looked { step_id: kept.step_id, gone: self.what_is_gone(workspace.id, &kept.outputs).await? }),
            false => None,
        };
        let earlier = found_out.looked.as_ref().filter(|looked| looked.step_id == kept.step_id);
        let looked = at_once.as_ref().or(earlier);
        if looked.is_none() && found_out.looks < MOST_LOOKS {
            return Ok(Outcome::Looks(Box::new(kept)));
        }
        let Some(looked) = looked else {
            let reason = "what was kept of it is being replaced";
            self.note(conn, held, &miss(reason), Some((&digest, &key))).await?;
            return Ok(Outcome::Miss);
        };
        if let Some(gone) = &looked.gone {
            let reason = format!("the output \"{gone}\" of run #{} is not there any more", kept.run);
            self.note(conn, held, &miss(&reason), Some((&digest, &key))).await?;
            return Ok(Outcome::Miss);
        }
        let hit =
            StepCache { outcome: CacheOutcome::Hit, run: Some(kept.run), step: Some(kept.step), reasons: Vec::new() };
        self.note(conn, held, &hit, Some((&digest, &key))).await?;
        Ok(Outcome::Hit(Hit { outputs: kept.outputs, reason: format!("cached from run #{}", kept.run) }))
    }

    /// Looks whether all that a step gave before is there.
    #[boxed]
    pub(super) async fn look_at(&self, held: &Claimed, kept: Kept) -> Result<Looked> {
        let runs = store::pipeline_run::by_ids(&mut *self.conn().await?, &[held.run_id]).await?;
        let run = runs.into_iter().next().ok_or_else(domain::Error::internal)?;
        let gone = self.what_is_gone(run.workspace_id, &kept.outputs).await?;
        Ok(Looked { step_id: kept.step_id, gone })
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
    async fn what_is_gone(&self, workspace: WorkspaceId, outputs: &[StepOutput]) -> Result<Option<String>> {
        for output in outputs {
            let is_there = self.output_is_there(output).await?
                && match &output.version {
                    Some(version) => version_is_there(&mut *self.conn().await?, workspace, version).await?,
                    None => true,
                };
            if !is_there {
                return Ok(Some(output.name.clone()));
            }
        }
        Ok(None)
    }
}

/// Whether it takes but a moment to look whether all of these are there.
fn is_little(outputs: &[StepOutput]) -> bool {
    outputs.len() <= 8 && outputs.iter().all(|output| !output.is_folder && output.version.is_none())
}

/// What a step is run with; otherwise why that cannot be said.
fn key(with: &RunWith<'_>) -> Result<std::result::Result<CacheKey, &'static str>> {
    let spec = &with.work.spec;
    let mut key = CacheKey::default();
    match with.work.executor {
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
    if spec.may_read(with.invocation, "SLIPWAY_COMMIT") {
        match &with.work.code {
            Some(code) if code.lacks().is_some() => {
                return Ok(Err("it reads the commit, and what was changed after it is not known"));
            }
            Some(code) => {
                key.add("commit", &code.commit);
                if let Some(patch) = &code.patch {
                    key.add("patch", patch.as_str());
                }
            }
            None => key.add("commit", "none"),
        }
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

/// What is other in what the step finds on its worker.
async fn changes_on_worker(conn: &mut PgConnection, key: &CacheKey, before: &CacheKey) -> Result<Vec<String>> {
    let environment = |key: &CacheKey| key.part("environment").and_then(|digest| digest.parse::<Digest>().ok());
    let (Some(old), Some(new)) = (environment(before), environment(key)) else { return Ok(Vec::new()) };
    if old == new {
        return Ok(Vec::new());
    }
    let facts = store::worker::facts(conn, &[old.clone(), new.clone()]).await?;
    Ok(facts.get(&old).zip(facts.get(&new)).map(|(old, new)| changes(old, new)).unwrap_or_default())
}

async fn version_is_there(conn: &mut PgConnection, workspace: WorkspaceId, version: &OutputVersion) -> Result<bool> {
    match version.of {
        Versioned::Dataset => {
            let Some(stored) = store::dataset::by_name(conn, workspace, &version.name).await? else {
                return Ok(false);
            };
            let which = VersionRef::Number(version.number);
            Ok(store::dataset_version::get(conn, stored.dataset.id, &which).await?.is_some())
        }
        Versioned::Model => {
            let found = store::model_version::by_number(conn, workspace, &version.name, version.number).await?;
            Ok(found.is_some())
        }
    }
}
