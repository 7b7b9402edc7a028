//! All that a run is made of: enough to do it again, or to say why that cannot be.

use super::Code;
use crate::{
    Digest,
    gpu::Gpu,
    pipeline::{ExecutorKind, ParamValue},
    step::{OutputVersion, StepInput, StepOutput},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a run is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PipelineRunRecord))]
pub struct RunRecord {
    /// The run's number.
    pub run: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The number of the version of its file.
    pub version: i32,
    /// The digest of that version, with the code that is in it.
    pub digest: Digest,
    /// The value of every param.
    pub params: BTreeMap<String, ParamValue>,
    /// What chance begins with.
    pub seed: u32,
    /// The code that it was started from, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The versions of datasets and models that its steps took.
    pub versions: Vec<OutputVersion>,
    /// Its commands, in their order, those that began; up to a thousand in a page.
    pub steps: Vec<StepRecord>,
    /// Ask with this for the steps after these; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// What workers are, by digest: their machines, and what steps found on them.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Object>))]
    pub facts: BTreeMap<Digest, serde_json::Value>,
    /// Why it may not come to the same when it is done again.
    pub caveats: Vec<Caveat>,
}

/// What a step of a run was run with, and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepRecord {
    /// Its name in the run.
    pub name: String,
    /// Where it ran.
    pub executor: ExecutorKind,
    /// The image of its container, by digest where that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What kept it from the rest of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Its machine: one of the facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Digest>,
    /// The graphics processors of it that it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<Gpu>,
    /// What it found there: one of the facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Digest>,
    /// The versions of secrets that it got, by name; never a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, i32>,
    /// What it took.
    pub inputs: Vec<StepInput>,
    /// What it gave.
    pub outputs: Vec<StepOutput>,
    /// The number of the run that it was taken over from, or whose outputs it gave without running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<i64>,
}

/// Where a run comes from, for its page: the part of its record that says whether it can be done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    /// The versions of datasets and models that its steps took.
    pub versions: Vec<OutputVersion>,
    /// Why it may not come to the same when it is done again.
    pub caveats: Vec<Caveat>,
}

/// A step that ran in its own run, as far as it decides whether that can be done again; the first of those that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its name in the run.
    pub name: String,
    /// Where it ran.
    pub executor: ExecutorKind,
    /// The image of its container.
    pub image: Option<String>,
    /// Whether it is known what it found on its machine.
    pub has_environment: bool,
}

/// A reason why a run may not come to the same when it is done again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Caveat {
    /// The step that it concerns; none when all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The reason, in a sentence.
    pub reason: String,
}

/// Why a run with this code and these steps may not come to the same. `external` are versions of datasets of which files lie
/// elsewhere, as `name@number`.
#[must_use]
pub fn caveats(code: Option<&Code>, steps: &[Ran], external: &[String]) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    let mut of_run = |reason: String| caveats.push(Caveat { step: None, reason });
    match code {
        None => of_run(
            "No commit is known: code that is not in the pipeline's file cannot be found again. Start runs by \
             slipway pipeline run in the repository, or by a push hook."
                .to_owned(),
        ),
        Some(code) => code.lacks().into_iter().for_each(|sentence| of_run(sentence.to_owned())),
    }
    for version in external {
        of_run(format!("Files of the dataset {version} lie elsewhere and may change there."));
    }
    // Steps of one image, or of one kind of worker, are told once.
    let mut told = Vec::new();
    for step in steps {
        let reason = match (step.executor, &step.image, step.has_environment) {
            (ExecutorKind::Process, _, false) => "It is not known which packages its worker had.".to_owned(),
            (ExecutorKind::Process, _, true) => continue,
            (_, Some(image), _) if image.contains("@sha256:") => continue,
            (_, Some(image), _) => format!("Its image {image} is not named by its digest."),
            (_, None, _) => continue,
        };
        if !told.contains(&reason) {
            caveats.push(Caveat { step: Some(step.name.clone()), reason: reason.clone() });
            told.push(reason);
        }
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline_run::LeftOut;

    fn step(name: &str, executor: ExecutorKind, image: Option<&str>) -> Ran {
        Ran { name: name.to_owned(), executor, image: image.map(str::to_owned), has_environment: false }
    }

    fn code(is_dirty: bool, patch: Option<Digest>) -> Code {
        let commit = "abcdef0".to_owned();
        Code { repository: None, commit, branch: None, is_dirty, patch, left_out: None }
    }

    #[test]
    fn what_cannot_be_found_again_is_told() {
        let told = |code: Option<&Code>, steps: &[Ran]| {
            caveats(code, steps, &[]).into_iter().map(|caveat| (caveat.step, caveat.reason)).collect::<Vec<_>>()
        };
        assert!(told(None, &[])[0].1.starts_with("No commit is known"));
        assert!(told(Some(&code(false, None)), &[]).is_empty());
        assert!(told(Some(&code(true, Some(Digest::blake3([1; 32])))), &[]).is_empty());
        assert!(told(Some(&code(true, None)), &[])[0].1.ends_with("what was changed was not kept."));
        for (left_out, word) in [
            (LeftOut::TooLarge, "too large"),
            (LeftOut::Submodules, "submodules"),
            (LeftOut::Unknown, "git could not say"),
        ] {
            let code = Code { left_out: Some(left_out), ..code(true, Some(Digest::blake3([1; 32]))) };
            let caveats = told(Some(&code), &[]);
            assert!(caveats.len() == 1 && caveats[0].1.contains(word), "{caveats:?}");
        }
        let digest = format!("python@sha256:{}", "a".repeat(64));
        let steps = [
            step("a", ExecutorKind::Docker, Some("python:3")),
            step("b", ExecutorKind::Docker, Some("python:3")),
            step("c", ExecutorKind::Docker, Some(&digest)),
            step("d", ExecutorKind::Process, None),
        ];
        let told = told(Some(&code(false, None)), &steps);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], (Some("a".to_owned()), "Its image python:3 is not named by its digest.".to_owned()));
        assert_eq!(told[1].0.as_deref(), Some("d"));
    }

    #[test]
    fn datasets_elsewhere_are_told() {
        let told = caveats(Some(&code(false, None)), &[], &["rows@3".to_owned()]);
        assert_eq!(told[0].reason, "Files of the dataset rows@3 lie elsewhere and may change there.");
    }
}
