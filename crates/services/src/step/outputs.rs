//! What a step takes from others: found from where it stands in the file and in the run.
//!
//! A step named in the file is looked for beside the step that names it, then around that, and so on outwards. In the run its
//! name has, for every step around it, the number of the instance as well: beside `region.3/train.0` stands `region.3/fetch`.

use crate::Result;
use domain::{
    Digest,
    id::PipelineRunId,
    pipeline::{OutputRef, OutputSpec, PipelineSpec, StepSpec},
    step::{OutputVersion, StepOutput},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

/// What a step is given for one of its inputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// What one step gave on.
    One(StepOutput),
    /// What the instances of a step gave on, in their order; nothing of those that gave nothing.
    Many(Vec<Self>),
}

impl Given {
    /// What names the content: the digest of the output, or of the list of digests.
    ///
    /// # Errors
    /// Never, in fact: a list of texts has a JSON form.
    pub(super) fn digest(&self) -> Result<Digest> {
        match self {
            Self::One(output) => Ok(output.digest.clone()),
            Self::Many(all) => {
                let digests: Vec<Digest> = all.iter().map(Self::digest).collect::<Result<_>>()?;
                Digest::of_json(&digests).map_err(|_| domain::Error::internal())
            }
        }
    }

    /// The version of a dataset or model that it became.
    pub(super) fn version(&self) -> Option<&OutputVersion> {
        match self {
            Self::One(output) => output.version.as_ref(),
            Self::Many(_) => None,
        }
    }

    /// The value, or the list of values; none when there is a file among it.
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        match self {
            Self::One(output) => output.value.clone(),
            Self::Many(all) => all.iter().map(Self::value).collect(),
        }
    }
}

/// A step, by where it stands in the file and by its name in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) place: Vec<String>,
    pub(crate) name: String,
}

impl Spot {
    /// The step of this name as it is seen from here: beside it, or beside one of the steps around it.
    pub(super) fn find(&self, spec: &PipelineSpec, step: &str) -> Option<Self> {
        let (place, name) = spec.seen_from(&self.place, &self.name, step)?;
        Some(Self { place, name })
    }

    pub(super) fn inside(&self, step: &str) -> Self {
        let place = self.place.iter().cloned().chain([step.to_owned()]).collect();
        Self { place, name: format!("{}/{step}", self.name) }
    }
}

/// What steps of a run gave on, by their names in the run.
#[derive(Debug, Default)]
pub(super) struct Outputs(BTreeMap<String, Vec<StepOutput>>);

impl Outputs {
    /// What these references, seen from this step, need.
    pub(super) async fn read<'a>(
        conn: &mut PgConnection,
        run: PipelineRunId,
        spec: &PipelineSpec,
        from: &Spot,
        references: impl Iterator<Item = &'a OutputRef>,
    ) -> Result<Self> {
        let names: BTreeSet<String> =
            references.filter_map(|reference| Some(from.find(spec, &reference.step)?.name)).collect();
        if names.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(store::step::outputs(conn, run, &names).await?.into_iter().collect()))
    }

    /// What a reference stands for, seen from this step; none when it was not given.
    pub(super) fn given(&self, spec: &PipelineSpec, from: &Spot, reference: &OutputRef) -> Option<Given> {
        self.of(spec, &from.find(spec, &reference.step)?, &reference.output)
    }

    fn of(&self, spec: &PipelineSpec, spot: &Spot, output: &str) -> Option<Given> {
        let step = spec.step(&spot.place)?;
        if !step.is_many() {
            return self.of_one(spec, step, spot, output);
        }
        // It has succeeded; it may have had no instances at all.
        self.0.get(&spot.name)?;
        let instances =
            self.0.keys().filter_map(|name| name.strip_prefix(&spot.name)?.strip_prefix('.')?.parse::<usize>().ok());
        let instances: BTreeSet<usize> = instances.collect();
        let of_instance = |index| {
            let name = format!("{}.{index}", spot.name);
            self.of_one(spec, step, &Spot { place: spot.place.clone(), name }, output)
        };
        Some(Given::Many(instances.into_iter().filter_map(of_instance).collect()))
    }

    fn of_one(&self, spec: &PipelineSpec, step: &StepSpec, spot: &Spot, output: &str) -> Option<Given> {
        match step.outputs.get(output)? {
            // A step that runs another pipeline has them as its own.
            OutputSpec::Of { from } if step.pipeline().is_none() => {
                self.of(spec, &spot.inside(&from.step), &from.output)
            }
            OutputSpec::FirstOf { from } if step.pipeline().is_none() => {
                from.iter().find_map(|from| self.of(spec, &spot.inside(&from.step), &from.output))
            }
            OutputSpec::Of { .. } | OutputSpec::FirstOf { .. } | OutputSpec::Path(_) | OutputSpec::Typed { .. } => {
                self.0.get(&spot.name)?.iter().find(|given| given.name == output).cloned().map(Given::One)
            }
        }
    }
}
