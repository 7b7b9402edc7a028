//! Steps of Kubeflow Pipelines: what they are told before they begin, and what they answer in the end.

use super::{Claimed, FileTrouble, StepWork, outputs::Spot};
use crate::{Ctx, Result, Services, boxed};
use ::kfp::message::{End, Known, Run, answered};
use domain::{
    id::PipelineRunId,
    pipeline::{OutputSpec, ParamValue, PipelineSpec, StepSpec, kfp::KfpStep},
    pipeline_run::{PipelineRun, StepState},
    step::StepOutput,
};
use executors::StepDir;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use store::{PgConnection, step::attempt};

/// The longest answer of a step that is read.
const MAX_ANSWER_BYTES: u64 = 4 << 20;

/// What a step of Kubeflow Pipelines is told, but for what lies in its directory.
#[derive(Debug, Clone)]
pub struct KfpWork {
    /// What it expects and promises.
    pub contract: KfpStep,
    params: BTreeMap<String, Value>,
    /// Params that are its own.
    own: BTreeSet<String>,
    ends: BTreeMap<String, End>,
    run: Run,
}

impl KfpWork {
    /// Of a step that begins.
    pub(super) async fn new(
        conn: &mut PgConnection,
        held: &Claimed,
        (run, work): (&PipelineRun, &attempt::Work),
        (spot, step, contract): (&Spot, &StepSpec, &KfpStep),
        values: &BTreeMap<String, ParamValue>,
    ) -> Result<Self> {
        Ok(Self {
            contract: contract.clone(),
            params: values.clone().into_iter().map(|(name, value)| (name, value.into())).collect(),
            own: step.params.keys().cloned().collect(),
            ends: ends(conn, run.id, &work.spec, spot, step).await?,
            run: Run {
                name: format!("{} #{}", work.pipeline, work.run_number),
                id: run.id.to_string(),
                task: held.name.clone(),
                task_id: held.attempt_id.to_string(),
                created_at: run.created_at.to_rfc3339(),
            },
        })
    }

    /// Of a step that was told already.
    pub(super) fn promised(contract: &KfpStep) -> Self {
        Self {
            contract: contract.clone(),
            params: BTreeMap::new(),
            own: BTreeSet::new(),
            ends: BTreeMap::new(),
            run: Run::default(),
        }
    }
}

/// How the steps ended that this one asks for.
async fn ends(
    conn: &mut PgConnection,
    run: PipelineRunId,
    spec: &PipelineSpec,
    spot: &Spot,
    step: &StepSpec,
) -> Result<BTreeMap<String, End>> {
    let asked = step.kfp.iter().flat_map(|kfp| kfp.asked());
    let names: BTreeMap<String, &str> = asked.filter_map(|asked| Some((spot.find(spec, asked)?.name, asked))).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let states = store::step::states(conn, run, &names.keys().cloned().collect()).await?;
    let is_told = |state: &StepState| matches!(state, StepState::Succeeded | StepState::Cancelled | StepState::Skipped);
    let failed = match states.iter().all(|(_, state)| is_told(state)) {
        true => None,
        false => store::step::failed(conn, run, 1).await?.pop(),
    };
    let why = match failed {
        Some((name, reason)) => format!("step {name} failed: {reason}"),
        None => "it failed".to_owned(),
    };
    let end = |state| match state {
        StepState::Succeeded => End { state: "SUCCEEDED".to_owned(), message: String::new() },
        StepState::Cancelled => End { state: "CANCELLED".to_owned(), message: "the run was cancelled".to_owned() },
        StepState::Skipped => End { state: "SKIPPED".to_owned(), message: String::new() },
        _ => End { state: "FAILED".to_owned(), message: why.clone() },
    };
    let named = |(name, state): (String, StepState)| Some(((*names.get(&name)?).to_owned(), end(state)));
    Ok(states.into_iter().filter_map(named).collect())
}

impl Services {
    /// Fills in what a step of Kubeflow Pipelines is told, when its inputs lie in its directory, which its command sees at
    /// `seen`. Nothing for other steps.
    ///
    /// # Errors
    /// When its inputs are not what it expects.
    #[boxed]
    pub async fn tell_kfp(
        &self,
        dir: &StepDir,
        seen: &Path,
        work: &mut StepWork,
    ) -> std::result::Result<(), FileTrouble> {
        let Some(kfp) = &work.kfp else { return Ok(()) };
        let here = dir.work();
        let known = Known {
            contract: &kfp.contract,
            outputs: &work.outputs,
            params: &kfp.params,
            own: &kfp.own,
            ends: &kfp.ends,
            run: &kfp.run,
            work: &here,
            seen,
        };
        let told = known.tell().map_err(FileTrouble::Step)?;
        work.invocation.argv = told.command(&work.invocation.argv).map_err(FileTrouble::Step)?;
        for value in work.invocation.env.values_mut() {
            if value.contains("{{$") {
                *value = told.text(value).map_err(FileTrouble::Step)?;
            }
        }
        Ok(())
    }

    /// Stores what a step of Kubeflow Pipelines gives on: what it answered, and its files.
    ///
    /// # Errors
    /// When it did not answer as it promised, or something cannot be stored.
    #[boxed]
    pub async fn take_answer(
        &self,
        ctx: &Ctx,
        dir: &StepDir,
        seen: &Path,
        contract: &KfpStep,
        outputs: &BTreeMap<String, OutputSpec>,
    ) -> std::result::Result<Vec<StepOutput>, FileTrouble> {
        let read = |path: &str| {
            let Ok(found) = dir.output(path) else { return Ok(None) };
            if !found.is_file() || found.metadata().is_ok_and(|file| file.len() > MAX_ANSWER_BYTES) {
                return Err(format!("What it wrote to \"{path}\" is no file, or too long."));
            }
            std::fs::read(&found).map(Some).map_err(|error| format!("\"{path}\" could not be read: {error}."))
        };
        let given = answered(contract, outputs, seen, read, |path| dir.output(path).is_ok());
        self.take(ctx, dir, outputs, &given.map_err(FileTrouble::Step)?).await
    }
}
