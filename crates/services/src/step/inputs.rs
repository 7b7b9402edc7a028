//! What a step takes, found out when it begins: outputs of other steps, versions of datasets and models.
//!
//! Which version a run means by a name is found out once and noted, so that all its steps have the same.

use super::outputs::{Given, Outputs, Spot};
use crate::{Ctx, Result, dataset, model, model_version};
use domain::{
    Error, ErrorKind,
    dataset::{ChecksState, VersionRef},
    id::PipelineRunId,
    model::VersionFile,
    pipeline::{InputSpec, LATEST, ParamValue, PipelineSpec, StepSpec, VersionInput},
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
            Source::Dataset { .. } | Source::Model(_) | Source::Missing(_) | Source::Refused(_) => None,
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
    /// Nothing: it is there, and must not be taken, for the reason of this sentence.
    Refused(String),
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
        let missing = |sentence| (None, None, Source::Missing(sentence));
        let (digest, version, source) = match (input.output(), input.version()) {
            (Some(output), _) => match given.given(spec, spot, output) {
                Some(given) => (Some(given.digest()?), given.version().cloned(), Source::Output(given)),
                None => missing(format!("The input \"{name}\" ({from}) was not given.")),
            },
            (None, Some(wanted)) => {
                let known = match &mut pins {
                    Some(pins) => pins,
                    none => none.insert(store::step::pin::list(conn, run).await?),
                };
                match version(conn, ctx, run, known, wanted).await {
                    Ok((Pin { of, name, number, digest, .. }, source)) => {
                        (digest.clone(), Some(OutputVersion { of, name, number, digest }), source)
                    }
                    Err(error) if is_missing(&error) => {
                        missing(format!("The input \"{name}\" is not there: {}", error.message))
                    }
                    Err(error) => return Err(error),
                }
            }
            (None, None) => continue,
        };
        found.push(InputFiles { input: StepInput { name, from, digest, version }, source });
    }
    Ok(found)
}

/// Refuses those of these inputs that ask for a version which passed its checks and have another. Answers with the version, as
/// people call it, whose checks are under way, when there is one: nobody ends them until the transaction ends.
pub(super) async fn refuse_unchecked(
    conn: &mut PgConnection,
    ctx: &Ctx,
    step: &StepSpec,
    inputs: &mut [InputFiles],
) -> Result<Option<String>> {
    for InputFiles { input, source } in inputs {
        let is_checked = step.inputs.get(&input.name).and_then(InputSpec::version).is_some_and(|asked| asked.checked);
        let Source::Dataset { name, number } = &*source else { continue };
        if !is_checked {
            continue;
        }
        let mut version = dataset::version_called(conn, ctx, name, &VersionRef::Number(*number)).await?;
        if version.checks == ChecksState::Waiting {
            if store::dataset_profile::hold_waiting(conn, version.id).await? {
                return Ok(Some(version.title()));
            }
            // They ended meanwhile.
            version = dataset::version_called(conn, ctx, name, &VersionRef::Number(*number)).await?;
        }
        if let Some(why) = dataset::found_last(conn, version).await?.objection {
            let from = &input.from;
            *source =
                Source::Refused(format!("The input \"{}\" ({from}) must have passed its checks. {why}", input.name));
        }
    }
    Ok(None)
}

/// The version that a run means, noted if this is the first time that it is asked for, and where its files come from.
async fn version(
    conn: &mut PgConnection,
    ctx: &Ctx,
    run: PipelineRunId,
    known: &mut Vec<Pin>,
    wanted: VersionInput<'_>,
) -> Result<(Pin, Source)> {
    let VersionInput { of, name, asked, .. } = wanted;
    let pin = match known.iter().find(|pin| (pin.of, &*pin.name, &*pin.asked) == (of, name, asked)) {
        Some(pin) => pin.clone(),
        None => {
            let pin = pin(conn, ctx, run, wanted).await?;
            known.push(pin.clone());
            pin
        }
    };
    let source = match pin.of {
        Versioned::Dataset => Source::Dataset { name: pin.name.clone(), number: pin.number },
        Versioned::Model => {
            let version = model_version::find(conn, ctx, &pin.name, pin.number).await?;
            Source::Model(store::model_version::files(conn, version.id).await?)
        }
    };
    Ok((pin, source))
}

/// Finds out which version is wanted, and notes it for the run.
async fn pin(conn: &mut PgConnection, ctx: &Ctx, run: PipelineRunId, wanted: VersionInput<'_>) -> Result<Pin> {
    let VersionInput { of, name, asked, .. } = wanted;
    let (number, digest) = match of {
        Versioned::Dataset => {
            let version = dataset::version_called(conn, ctx, name, &VersionRef::parse(asked)?).await?;
            (version.number, Some(version.digest))
        }
        Versioned::Model => {
            let number = model_number(conn, ctx, name, asked).await?;
            (number, model_version::find(conn, ctx, name, number).await?.digest)
        }
    };
    let pin = Pin { of, name: name.to_owned(), asked: asked.to_owned(), number, digest };
    store::step::pin::add(conn, run, &pin).await?;
    Ok(pin)
}

async fn model_number(conn: &mut PgConnection, ctx: &Ctx, name: &str, asked: &str) -> Result<i32> {
    let found = model::find(conn, ctx, name).await?;
    if let Ok(number) = asked.parse::<i32>() {
        return Ok(number);
    }
    let none = |what: String| Error::new(ErrorKind::NotFound, format!("The model {name} has no {what}."));
    if asked == LATEST {
        let versions = store::model_version::of_model(conn, ctx.workspace_id(), found.id, None, 1).await?;
        return versions.first().map(|version| version.version).ok_or_else(|| none("versions".to_owned()));
    }
    let alias = store::model::alias(conn, found.id, asked).await?;
    alias.map(|(_, number)| number).ok_or_else(|| none(format!("alias \"{asked}\"")))
}

/// Whether what is wanted is not there, rather than that nobody could look.
fn is_missing(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid)
}

/// Notes the versions that a new run means by names that are known already, those of all its steps.
///
/// # Errors
/// `Conflict` with the step, when something that a step takes is not there.
pub(crate) async fn pin_all(conn: &mut PgConnection, ctx: &Ctx, run: PipelineRunId, spec: &PipelineSpec) -> Result<()> {
    for (step, input, wanted) in spec.version_inputs() {
        if is_filled_in(wanted.name) || is_filled_in(wanted.asked) {
            continue;
        }
        pin(conn, ctx, run, wanted).await.map_err(|error| match error {
            error if is_missing(&error) => Error::new(
                ErrorKind::Conflict,
                format!("Step \"{step}\" takes \"{input}\", which is not there: {}", error.message),
            ),
            error => error,
        })?;
    }
    Ok(())
}

/// Whether a step may mean a version by what is pinned here. A name that params are filled into may be any.
pub(crate) fn may_take(spec: &PipelineSpec, pin: &Pin) -> bool {
    spec.version_inputs().iter().any(|(_, _, wanted)| {
        let may_be = |text: &str, pinned: &str| text == pinned || is_filled_in(text);
        wanted.of == pin.of && may_be(wanted.name, &pin.name) && may_be(wanted.asked, &pin.asked)
    })
}

fn is_filled_in(text: &str) -> bool {
    text.contains("${{")
}
