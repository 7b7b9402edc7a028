//! What a promotion is about, as the tables have it at this moment: read again whenever somebody decides, and again
//! when it is deployed.

use super::gates::{Known, deciding};
use crate::{Result, dataset};
use chrono::{DateTime, Utc};
use domain::{
    Digest, Error,
    dataset::ChecksState,
    deployment::Deployment,
    id::RunId,
    model::{VersionFile, manifest_digest},
    model_card::ModelCard,
    pipeline_run::Verdict,
    policy::{Action, PolicySet, Target},
    promotion::{
        Evidence, Finding, Promotion, ServingConfig, Subject, TrafficPlan, Uploaded,
        gate::{dataset::ReadVersion, external},
    },
    version_diff::ENVIRONMENT_FILES,
};
use std::collections::BTreeMap;
use store::{
    PgConnection,
    promotion::{Candidate, EvaluationFile},
};

/// A value, or a sentence that says why there is none.
pub(super) type OrSentence<T> = std::result::Result<T, String>;

/// Everything that a subject is made of.
pub(crate) struct Present {
    pub(crate) candidate: Candidate,
    /// The digest of the candidate's files.
    pub(crate) digest: Digest,
    pub(crate) files: Vec<VersionFile>,
    pub(crate) champion: Option<Deployment>,
    pub(super) champion_candidate: Option<Candidate>,
    pub(crate) metrics: BTreeMap<String, f64>,
    pub(crate) champion_metrics: BTreeMap<String, f64>,
    pub(super) datasets: Vec<(String, String)>,
    /// The versions of datasets that it read, with what their checks came to.
    pub(super) read: Vec<ReadVersion>,
    pub(super) code: Option<String>,
    code_author: Option<String>,
    image: Option<String>,
    pub(super) card: Option<ModelCard>,
    pub(super) uploaded: Vec<Uploaded>,
    /// The evaluation rows of the version's run.
    pub(super) rows: Option<EvaluationFile>,
    /// The evaluation rows of the champion's run.
    pub(super) champion_rows: Option<EvaluationFile>,
    /// Tags of the version, and those of its model that it has not itself.
    pub(super) tags: BTreeMap<String, String>,
    /// The metrics of the last run that repeated the version's run.
    pub(super) reproduction: Option<BTreeMap<String, f64>>,
    /// The pipeline run that made the version's run, the last that did it again, and what came of that.
    pub(super) pipeline_reproduction: Option<(i64, i64, Verdict)>,
    pub(super) environment: String,
    /// When this was read, by the database's clock.
    pub(super) at: DateTime<Utc>,
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

/// The policies in force for bringing a model into an environment.
pub(crate) async fn in_force(
    conn: &mut PgConnection,
    environment: &domain::environment::Environment,
    candidate: &Candidate,
    action: Action,
) -> Result<PolicySet> {
    let all = store::policy::latest(conn, environment.workspace_id).await?;
    let tags = store::model::tags(conn, candidate.model_id).await?;
    let target = Target {
        model: &candidate.model,
        tags: &tags,
        environment: &environment.name,
        tier: environment.tier.as_str(),
        action,
    };
    Ok(PolicySet::of(all, &target))
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
        let champion = store::deployment::live(conn, promotion.environment_id, candidate.model_id).await?;
        let champion_candidate = match &champion {
            Some(champion) => store::promotion::candidate(conn, champion.model_version_id).await?,
            None => None,
        };
        let (mut metrics, mut champion_metrics) = (BTreeMap::new(), BTreeMap::new());
        let (mut datasets, mut code, mut code_author, mut image, mut reproduction) =
            (Vec::new(), None, None, None, None);
        let (mut rows, mut champion_rows, mut pipeline_reproduction, mut read) = (None, None, None, Vec::new());
        if let Some(run) = candidate.run_id {
            metrics = store::promotion::metrics_of_run(conn, run).await?;
            datasets = store::promotion::datasets_of_run(conn, run).await?;
            datasets.sort_unstable();
            read = read_versions(conn, run).await?;
            rows = store::promotion::evaluation_of_run(conn, run).await?;
            code = store::promotion::commit_of_run(conn, run).await?;
            code_author = store::promotion::author_of_run(conn, run).await?;
            image = store::promotion::image_of_run(conn, run).await?;
            pipeline_reproduction = store::promotion::pipeline_reproduction_of_run(conn, run).await?;
            if let Some(second) = store::promotion::reproduction_of_run(conn, run).await? {
                reproduction = Some(store::promotion::metrics_of_run(conn, second).await?);
            }
        }
        if let Some(run) = champion_candidate.as_ref().and_then(|champion| champion.run_id) {
            champion_metrics = store::promotion::metrics_of_run(conn, run).await?;
            champion_rows = store::promotion::evaluation_of_run(conn, run).await?;
        }
        let card = store::model_card::get(conn, candidate.model_id, None).await?;
        let uploaded = store::promotion::evidence(conn, promotion.id).await?;
        let tags = store::promotion::tags_of_version(conn, candidate.id).await?;
        let at = store::clock(conn).await?;
        Ok(Ok(Self {
            candidate,
            digest,
            files,
            champion,
            champion_candidate,
            metrics,
            champion_metrics,
            datasets,
            read,
            code,
            code_author,
            image,
            card,
            uploaded,
            rows,
            champion_rows,
            tags,
            reproduction,
            pipeline_reproduction,
            environment: promotion.environment.clone(),
            at,
        }))
    }

    pub(super) fn champion_title(&self) -> Option<String> {
        self.champion.as_ref().map(|champion| format!("{} v{}", champion.model, champion.version))
    }

    /// The digest of the files that pin what the version needs to run.
    fn environment_lock(&self) -> Result<Option<Digest>> {
        let locks: BTreeMap<&str, &Digest> = self
            .files
            .iter()
            .filter(|file| ENVIRONMENT_FILES.contains(&file.path.as_str()))
            .map(|file| (file.path.as_str(), &file.digest))
            .collect();
        if locks.is_empty() { Ok(None) } else { Digest::of_json(&locks).map(Some).map_err(unexpected) }
    }

    /// The subject under these policies with what their deciding gates found, and its digest.
    pub(super) fn subject(&self, policies: &PolicySet, findings: &[Finding]) -> Result<(Subject, Digest)> {
        fn pairs(metrics: &BTreeMap<String, f64>) -> impl Iterator<Item = (&str, f64)> {
            metrics.iter().map(|(key, value)| (key.as_str(), *value))
        }
        let (ours, theirs) = (pairs(&self.metrics), pairs(&self.champion_metrics));
        let files = self.files.iter().map(|file| (file.path.as_str(), &file.digest));
        let found = policies.gates().map(|(_, gate)| gate).zip(findings);
        // Of an answer from outside only the verdict counts, which is among what was found.
        let uploaded = self.uploaded.iter().filter(|one| !one.name.starts_with(external::PREFIX));
        let uploaded = uploaded.map(|one| (one.name.as_str(), &one.digest));
        let subject = Subject {
            model: self.candidate.model.clone(),
            version: self.candidate.version,
            model_digest: Some(self.digest.clone()),
            signature: self.candidate.signature.clone(),
            serving: ServingConfig::default(),
            environment: self.environment.clone(),
            traffic: TrafficPlan::default(),
            datasets: self.datasets.clone(),
            code: self.code.clone(),
            code_author: self.code_author.clone(),
            environment_lock: self.environment_lock()?,
            image: self.image.clone(),
            policies: policies.pins(),
            evidence_digest: Evidence::new(found, ours, theirs, files, uploaded).digest().map_err(unexpected)?,
            champion: self.champion_title(),
        };
        let digest = subject.digest().map_err(unexpected)?;
        Ok((subject, digest))
    }

    /// What is different from what people agreed to, to end a sentence; none when nothing is. `known` is what was found by
    /// those gates that cannot be evaluated here.
    pub(super) fn differences(
        &self,
        promotion: &Promotion,
        policies: &PolicySet,
        known: &Known<'_>,
    ) -> Result<Option<String>> {
        let (Some(seen), Some(seen_digest)) = (&promotion.subject, &promotion.subject_digest) else {
            return Ok(Some("its gates have not run".to_owned()));
        };
        // Without what the engine found the digest cannot be the same, but what else differs can still be told.
        let found = deciding(self, policies, known).unwrap_or_default();
        let (subject, digest) = self.subject(policies, &found)?;
        if digest == *seen_digest {
            return Ok(None);
        }
        let differences = seen.differences(&subject);
        Ok(Some(if differences.is_empty() { "its evidence changed".to_owned() } else { differences }))
    }
}

/// The versions of datasets that a run read, with what their checks came to.
async fn read_versions(conn: &mut PgConnection, run: RunId) -> Result<Vec<ReadVersion>> {
    let mut read = Vec::new();
    for one in store::dataset_version::read_by_run(conn, run).await? {
        let version = match one.id {
            Some(id) => store::dataset_version::by_id(conn, id).await?,
            None => None,
        };
        let is_under_way = version.as_ref().is_some_and(|(.., version)| version.checks == ChecksState::Waiting);
        let found = match version {
            Some((_, _, version)) => dataset::found_last(conn, version).await?,
            None => dataset::Found {
                checks: ChecksState::Unchecked,
                objection: Some(format!("{}@{} was deleted.", one.dataset, one.number)),
            },
        };
        read.push(ReadVersion {
            dataset: one.dataset,
            number: one.number,
            called: one.called,
            checks: found.checks,
            objection: found.objection.unwrap_or_default(),
            is_checked_again: is_under_way && found.checks != ChecksState::Waiting,
        });
    }
    Ok(read)
}

pub(super) fn unexpected(error: serde_json::Error) -> Error {
    tracing::error!(%error, "what is agreed on has no canonical form");
    Error::internal()
}
