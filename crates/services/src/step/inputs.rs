//! What a step takes, found out when it begins: outputs of other steps, versions of datasets and models.
//!
//! Which version a run means by a name is found out once and noted, so that all its steps have the same.

use super::outputs::{Given, Outputs, Spot};
use crate::{Ctx, Result, dataset, model, model_version};
use domain::{
    Digest, Error, ErrorKind,
    dataset::VersionRef,
    id::PipelineRunId,
    model::VersionFile,
    pipeline::{InputSpec, LATEST, ParamValue, PipelineSpec, StepSpec},
    step::{OutputVersion, StepInput, Versioned},
};
use std::collections::BTreeMap;
use store::{PgConnection, step::pin::Pin};

/// Something that a step takes: what it is, and where its files come from.
#[derive(Debug, Clone)]
pub struct InputFiles {
    /// What it is.
    pub input: StepInput,
    /// Where its files come from.
    pub source: Source,
}

impl InputFiles {
    /// What another step gave, if it comes from one.
    #[must_use]
    pub fn given(&self) -> Option<&Given> {
        match &self.source {
            Source::Output(given) => Some(given),
            Source::Dataset { .. } | Source::Model(_) | Source::Missing(_) => None,
        }
    }
}

/// Where the files of an input come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Outputs of another step.
    Output(Given),
    /// A version of a dataset.
    Dataset {
        /// Its name.
        name: String,
        /// Its number.
        number: i32,
    },
    /// The files of a version of a model.
    Model(Vec<VersionFile>),
    /// Nothing: it cannot be given, for the reason of this sentence.
    Missing(String),
}

/// What a step takes, by name, when its params have these values. Outputs that were not given are missing, as are versions
/// that are not there.
pub(super) async fn find(
    conn: &mut PgConnection,
    ctx: &Ctx,
    run: PipelineRunId,
    spec: &PipelineSpec,
    (spot, step): (&Spot, &StepSpec),
    values: &BTreeMap<String, ParamValue>,
) -> Result<Vec<InputFiles>> {
    if step.inputs.is_empty() {
        return Ok(Vec::new());
    }
    let outputs = step.inputs.values().filter_map(InputSpec::output);
    let given = Outputs::read(conn, run, spec, spot, outputs).await?;
    let mut pins: Option<Vec<Pin>> = None;
    let mut found = Vec::with_capacity(step.inputs.len());
    for (name, input) in PipelineSpec::filled_inputs(step, values) {
        let from = input.to_string();
        let (of, asked_name, asked) = match &input {
            InputSpec::Output(output) => {
                let source = given.given(spec, spot, output).map_or_else(
                    || Source::Missing(format!("The input \"{name}\" ({from}) was not given.")),
                    Source::Output,
                );
                let digest = match &source {
                    Source::Output(given) => Some(given.digest()?),
                    _ => None,
                };
                found.push(InputFiles { input: StepInput { name, from, digest, version: None }, source });
                continue;
            }
            InputSpec::Dataset { dataset, version } => (Versioned::Dataset, dataset, version),
            InputSpec::Model { model, version } => (Versioned::Model, model, version),
        };
        let known = match &mut pins {
            Some(pins) => pins,
            none => none.insert(store::step::pin::list(conn, run).await?),
        };
        let pinned = known.iter().find(|pin| (pin.of, &pin.name, &pin.asked) == (of, asked_name, asked)).cloned();
        let asked = pinned.as_ref().map_or_else(|| asked.clone(), |pin| pin.number.to_string());
        match look_up(conn, ctx, of, asked_name, &asked).await {
            Ok((number, digest, source)) => {
                if pinned.is_none() {
                    let asked = input_version(&input).to_owned();
                    let pin = Pin { of, name: asked_name.clone(), asked, number, digest: digest.clone() };
                    store::step::pin::add(conn, run, &pin).await?;
                    known.push(pin);
                }
                let version = OutputVersion { of, name: asked_name.clone(), number, digest: digest.clone() };
                found.push(InputFiles { input: StepInput { name, from, digest, version: Some(version) }, source });
            }
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid) => {
                let source = Source::Missing(format!("The input \"{name}\" is not there: {}", error.message));
                found.push(InputFiles { input: StepInput { name, from, digest: None, version: None }, source });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn input_version(input: &InputSpec) -> &str {
    match input {
        InputSpec::Output(_) => "",
        InputSpec::Dataset { version, .. } | InputSpec::Model { version, .. } => version,
    }
}

/// The number and the digest of a version, and where its files are.
async fn look_up(
    conn: &mut PgConnection,
    ctx: &Ctx,
    of: Versioned,
    name: &str,
    asked: &str,
) -> Result<(i32, Option<Digest>, Source)> {
    match of {
        Versioned::Dataset => {
            let version = dataset::version_called(conn, ctx, name, &VersionRef::parse(asked)?).await?;
            let source = Source::Dataset { name: version.dataset, number: version.number };
            Ok((version.number, Some(version.digest), source))
        }
        Versioned::Model => {
            let found = model::find(conn, ctx, name).await?;
            let number = match asked.parse::<i32>() {
                Ok(number) => number,
                Err(_) if asked == LATEST => {
                    let versions = store::model_version::of_model(conn, ctx.workspace_id(), found.id, None, 1).await?;
                    let none = || Error::new(ErrorKind::NotFound, format!("The model {name} has no versions."));
                    versions.first().ok_or_else(none)?.version
                }
                Err(_) => {
                    let none =
                        || Error::new(ErrorKind::NotFound, format!("The model {name} has no alias \"{asked}\"."));
                    store::model::alias(conn, found.id, asked).await?.ok_or_else(none)?.1
                }
            };
            let version = model_version::find(conn, ctx, name, number).await?;
            let files = store::model_version::files(conn, version.id).await?;
            Ok((number, version.digest, Source::Model(files)))
        }
    }
}

/// Notes the versions that a new run means by names that are known already, those of all its steps.
///
/// # Errors
/// `NotFound` with the step, when something that a step takes is not there.
pub(crate) async fn pin_all(conn: &mut PgConnection, ctx: &Ctx, run: PipelineRunId, spec: &PipelineSpec) -> Result<()> {
    for (step, name, input) in spec.version_inputs() {
        let (of, called, asked) = match input {
            InputSpec::Dataset { dataset, version } => (Versioned::Dataset, dataset, version),
            InputSpec::Model { model, version } => (Versioned::Model, model, version),
            InputSpec::Output(_) => continue,
        };
        if called.contains("${{") || asked.contains("${{") {
            continue;
        }
        let (number, digest, _) = look_up(conn, ctx, of, called, asked).await.map_err(|error| match error.kind {
            ErrorKind::NotFound | ErrorKind::Invalid => Error::new(
                ErrorKind::Conflict,
                format!("Step \"{step}\" takes \"{name}\", which is not there: {}", error.message),
            ),
            _ => error,
        })?;
        let pin = Pin { of, name: called.clone(), asked: asked.clone(), number, digest };
        store::step::pin::add(conn, run, &pin).await?;
    }
    Ok(())
}
