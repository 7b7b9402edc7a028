//! What a promotion is about, as the tables have it at this moment: read again whenever somebody decides, and again
//! when it is deployed.

use crate::Result;
use domain::{
    Digest, Error,
    deployment::Deployment,
    environment::{GateSpec, Policy},
    model::{VersionFile, manifest_digest},
    promotion::{Evidence, Finding, Gate, Promotion, Subject, better_than_champion, golden, metric_threshold},
};
use std::collections::BTreeMap;
use store::{PgConnection, promotion::Candidate};

/// A value, or a sentence that says why there is none.
pub(super) type OrSentence<T> = std::result::Result<T, String>;

/// Everything that a subject is made of.
pub(crate) struct Present {
    pub(crate) candidate: Candidate,
    /// The digest of the candidate's files.
    pub(crate) digest: Digest,
    pub(crate) files: Vec<VersionFile>,
    /// The policy in force.
    pub(crate) policy: Policy,
    pub(crate) champion: Option<Deployment>,
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) champion_metrics: BTreeMap<String, f64>,
    datasets: Vec<(String, String)>,
    code: Option<String>,
    environment: String,
}

/// How what people agreed to compares with what there is.
pub(crate) enum Standing {
    /// It is the same.
    Same(Box<Present>),
    /// It changed; in words, to end a sentence.
    Changed(Box<Present>, String),
    /// The version is no more; a sentence.
    Gone(String),
}

/// A version title and what is wrong with it, when it cannot be promoted.
pub(super) fn unfit(candidate: &Candidate) -> Option<String> {
    let title = format!("{} v{}", candidate.model, candidate.version);
    if candidate.is_deleted {
        Some(format!("{title} was deleted."))
    } else if candidate.digest.is_none() {
        Some(format!("{title} has no files here; register it from a run or logged model of this workspace."))
    } else if !candidate.flavors.iter().any(|flavor| flavor == "onnx") {
        Some(format!("{title} holds no ONNX model, so it cannot be served; log it with mlflow.onnx.log_model."))
    } else {
        None
    }
}

impl Present {
    /// Reads it, or why the version is no more.
    pub(crate) async fn read(conn: &mut PgConnection, promotion: &Promotion) -> Result<OrSentence<Self>> {
        let title = promotion.version_title();
        let Some(candidate) = store::promotion::candidate(conn, promotion.model_version_id).await? else {
            return Ok(Err(format!("{title} is no more.")));
        };
        if let Some(sentence) = unfit(&candidate) {
            return Ok(Err(sentence));
        }
        let files = store::model_version::files(conn, candidate.id).await?;
        let Some(digest) = candidate.digest.clone().filter(|_| !files.is_empty()) else {
            return Ok(Err(format!("The files of {title} are gone.")));
        };
        if manifest_digest(&files).map_err(unexpected)?.as_ref() != Some(&digest) {
            return Ok(Err(format!("The files of {title} are not those that it was registered with.")));
        }
        let policy = store::environment::policy_in_force(conn, promotion.environment_id).await?;
        let champion = store::deployment::live(conn, promotion.environment_id, candidate.model_id).await?;
        let champion_run = match &champion {
            Some(champion) => {
                store::promotion::candidate(conn, champion.model_version_id).await?.and_then(|c| c.run_id)
            }
            None => None,
        };
        let (mut metrics, mut champion_metrics) = (BTreeMap::new(), BTreeMap::new());
        let (mut datasets, mut code) = (Vec::new(), None);
        let environment = promotion.environment.clone();
        if let Some(run) = candidate.run_id {
            metrics = store::promotion::metrics_of_run(conn, run).await?;
            datasets = store::promotion::datasets_of_run(conn, run).await?;
            datasets.sort_unstable();
            code = store::promotion::commit_of_run(conn, run).await?;
        }
        if let Some(run) = champion_run {
            champion_metrics = store::promotion::metrics_of_run(conn, run).await?;
        }
        Ok(Ok(Self {
            candidate,
            digest,
            files,
            policy,
            champion,
            metrics,
            champion_metrics,
            datasets,
            code,
            environment,
        }))
    }

    fn champion_title(&self) -> Option<String> {
        self.champion.as_ref().map(|champion| format!("{} v{}", champion.model, champion.version))
    }

    /// What the gates of the policy find. `golden` gives what replaying the golden rows within a tolerance found; when
    /// that is not known, neither is the whole.
    pub(super) fn findings(&self, golden: impl Fn(f64) -> Option<Finding>) -> Option<Vec<Finding>> {
        let title = self.champion_title();
        let finding = |gate: &GateSpec| match gate {
            GateSpec::MetricThreshold { metric, better, threshold } => {
                Some(metric_threshold(metric, *better, *threshold, self.metrics.get(metric).copied()))
            }
            GateSpec::BetterThanChampion { metric, better, min_gain } => {
                let champion = title.as_deref().map(|title| (title, self.champion_metrics.get(metric).copied()));
                let value = self.metrics.get(metric).copied();
                Some(better_than_champion(metric, *better, *min_gain, value, champion))
            }
            GateSpec::GoldenRow { tolerance } => golden(*tolerance),
        };
        self.policy.document.gates.iter().map(finding).collect()
    }

    /// The subject with these findings, and its digest.
    pub(super) fn subject(&self, findings: &[Finding]) -> Result<(Subject, Digest)> {
        fn pairs(metrics: &BTreeMap<String, f64>) -> impl Iterator<Item = (&str, f64)> {
            metrics.iter().map(|(key, value)| (key.as_str(), *value))
        }
        let (ours, theirs) = (pairs(&self.metrics), pairs(&self.champion_metrics));
        let files = self.files.iter().map(|file| (file.path.as_str(), &file.digest));
        let subject = Subject {
            model: self.candidate.model.clone(),
            version: self.candidate.version,
            model_digest: Some(self.digest.clone()),
            signature: self.candidate.signature.clone(),
            environment: self.environment.clone(),
            datasets: self.datasets.clone(),
            code: self.code.clone(),
            policy_digest: self.policy.digest.clone(),
            evidence_digest: Evidence::new(findings, ours, theirs, files).digest().map_err(unexpected)?,
            champion: self.champion_title(),
        };
        let digest = subject.digest().map_err(unexpected)?;
        Ok((subject, digest))
    }
}

fn unexpected(error: serde_json::Error) -> Error {
    tracing::error!(%error, "what is agreed on has no canonical form");
    Error::internal()
}

/// Compares what a promotion's gates and people saw with what there is. Metrics and files are read anew, and held
/// against the policy in force; what the engine answered to golden rows is taken as it was found, as long as the files
/// are those that it was found with.
pub(crate) async fn standing(conn: &mut PgConnection, promotion: &Promotion) -> Result<Standing> {
    let present = match Present::read(conn, promotion).await? {
        Ok(present) => Box::new(present),
        Err(sentence) => return Ok(Standing::Gone(sentence)),
    };
    let (Some(seen), Some(seen_digest)) = (&promotion.subject, &promotion.subject_digest) else {
        return Ok(Standing::Changed(present, "its gates have not run".to_owned()));
    };
    let gates = store::promotion::gates(conn, promotion.id).await?;
    let replayed = |tolerance: f64| found_before(&gates, tolerance, &present.digest);
    // Without what the engine found the digest cannot be the same, but what else differs can still be told.
    let findings = present.findings(replayed).unwrap_or_default();
    let (subject, digest) = present.subject(&findings)?;
    if digest == *seen_digest {
        return Ok(Standing::Same(present));
    }
    let differences = seen.differences(&subject);
    let words = if differences.is_empty() { "its evidence changed".to_owned() } else { differences };
    Ok(Standing::Changed(present, words))
}

fn found_before(gates: &[Gate], tolerance: f64, digest: &Digest) -> Option<Finding> {
    gates
        .iter()
        .filter(|gate| matches!(gate.spec, GateSpec::GoldenRow { tolerance: t } if t.to_bits() == tolerance.to_bits()))
        .find_map(|gate| gate.finding.clone())
        .filter(|finding| golden::is_about(finding, digest))
}
