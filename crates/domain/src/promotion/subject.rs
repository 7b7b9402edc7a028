//! The subject of a promotion: exactly what people agree to, named by a digest.

use super::gate::Finding;
use crate::{
    digest::Digest,
    log_key::is_of_model,
    model::Signature,
    policy::{GateSpec, PolicyPin},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Exactly what people agree to. Its digest names it: when any part changes, so does the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// The digest of the version's files.
    pub model_digest: Option<Digest>,
    /// What it takes and gives.
    pub signature: Option<Signature>,
    /// How it is served.
    #[serde(default)]
    pub serving: ServingConfig,
    /// Where to.
    pub environment: String,
    /// How it takes over the traffic there.
    #[serde(default)]
    pub traffic: TrafficPlan,
    /// Name and digest of each data set that the version's run read, in order of name.
    pub datasets: Vec<(String, String)>,
    /// The commit of the code, when the run names one.
    pub code: Option<String>,
    /// The address of who wrote it, as the run names them: a rule may ask for somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_author: Option<String>,
    /// The digest of the files that pin what it needs to run: `requirements.txt` and the like. None when it has none.
    #[serde(default)]
    pub environment_lock: Option<Digest>,
    /// The digest of the image that it was trained in, when its run names one.
    #[serde(default)]
    pub image: Option<String>,
    /// The policies it is held against, in order of name.
    #[serde(default)]
    pub policies: Vec<PolicyPin>,
    /// The digest of the [`Evidence`].
    pub evidence_digest: Digest,
    /// The version that serves now and would be replaced.
    pub champion: Option<String>,
}

/// How a version is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServingConfig {
    /// The flavour of its files that is loaded.
    pub flavor: String,
    /// What loads it.
    pub engine: String,
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self { flavor: "onnx".to_owned(), engine: "onnxruntime".to_owned() }
    }
}

/// How a version takes over the traffic of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TrafficPlan {
    /// `replace`: all of it at once, when it was verified.
    pub strategy: String,
}

impl Default for TrafficPlan {
    fn default() -> Self {
        Self { strategy: "replace".to_owned() }
    }
}

/// What an approver's trust rests on: what the gates found, every metric of the version's run and of the champion's
/// beside it, and each file of the version as it is stored.
#[derive(Debug, Serialize)]
pub struct Evidence<'a> {
    /// What the gates found, in the policies' order. Of what is another number each time only the verdict.
    findings: Vec<Found<'a>>,
    /// Metrics as text, because JSON has no word for one that is not a number.
    metrics: BTreeMap<&'a str, String>,
    /// Those of the version that would be replaced, which the page shows beside them.
    champion_metrics: BTreeMap<&'a str, String>,
    /// Digest of each file by path.
    files: BTreeMap<&'a str, &'a Digest>,
    /// Digest of what was uploaded, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    uploaded: BTreeMap<&'a str, &'a Digest>,
}

/// A gate and what it found.
#[derive(Debug, Serialize)]
struct Found<'a> {
    gate: &'a GateSpec,
    verdict: super::gate::Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'a Finding>,
}

impl<'a> Evidence<'a> {
    /// The evidence of these findings, metrics and files. What the client measures of its own machine is left out: it
    /// says nothing of the model, and may still be written when the training is over.
    pub fn new(
        findings: impl IntoIterator<Item = (&'a GateSpec, &'a Finding)>,
        metrics: impl IntoIterator<Item = (&'a str, f64)>,
        champion_metrics: impl IntoIterator<Item = (&'a str, f64)>,
        files: impl IntoIterator<Item = (&'a str, &'a Digest)>,
        uploaded: impl IntoIterator<Item = (&'a str, &'a Digest)>,
    ) -> Self {
        Self {
            findings: findings
                .into_iter()
                .map(|(gate, finding)| Found {
                    gate,
                    verdict: finding.verdict,
                    finding: (!gate.is_noisy()).then_some(finding),
                })
                .collect(),
            metrics: as_text(metrics),
            champion_metrics: as_text(champion_metrics),
            files: files.into_iter().collect(),
            uploaded: uploaded.into_iter().collect(),
        }
    }

    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never for findings that came from JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }
}

fn as_text<'a>(metrics: impl IntoIterator<Item = (&'a str, f64)>) -> BTreeMap<&'a str, String> {
    let of_model = metrics.into_iter().filter(|(key, _)| is_of_model(key));
    of_model.map(|(key, value)| (key, format!("{value:?}"))).collect()
}

impl Subject {
    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never for a value that came from JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }

    /// What is different `now`, for people: `the policy changed, production now serves churn v8`. Empty when nothing is.
    #[must_use]
    pub fn differences(&self, now: &Self) -> String {
        let mut all = Vec::new();
        let mut say = |differs: bool, text: String| {
            if differs {
                all.push(text);
            }
        };
        let files = self.model_digest != now.model_digest;
        let policy = self.policies != now.policies;
        let champion = self.champion != now.champion;
        let lock = self.environment_lock != now.environment_lock;
        let serves = match &now.champion {
            Some(title) => format!("{} now serves {title}", now.environment),
            None => format!("nothing serves in {} any more", now.environment),
        };
        say(files, "the version's files changed".to_owned());
        say(self.signature != now.signature, "its signature changed".to_owned());
        say(self.datasets != now.datasets, "its data sets changed".to_owned());
        say(self.code != now.code, "its code changed".to_owned());
        say(self.code_author != now.code_author, "the author of its code changed".to_owned());
        say(self.environment_lock != now.environment_lock, "what it needs to run changed".to_owned());
        say(self.image != now.image, "its image changed".to_owned());
        say(self.serving != now.serving, "how it is served changed".to_owned());
        say(self.traffic != now.traffic, "its traffic plan changed".to_owned());
        say(policy, "the policies that hold for it changed".to_owned());
        say(champion, serves);
        // A new policy or champion brings new findings with it: nobody needs to be told twice.
        let by_itself = !(files || policy || champion || lock);
        let evidence = match &now.champion {
            Some(title) => format!("its metrics or files, or the metrics of {title}, changed"),
            None => "its metrics or files changed".to_owned(),
        };
        say(self.evidence_digest != now.evidence_digest && by_itself, evidence);
        say((&self.model, self.version) != (&now.model, now.version), "it is another version".to_owned());
        say(self.environment != now.environment, "the environment has another name".to_owned());
        all.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict;

    fn finding(verdict: Verdict) -> Finding {
        Finding { verdict, ..Finding::inconclusive("≥ 1", "") }
    }

    fn subject() -> Subject {
        Subject {
            model: "churn".to_owned(),
            version: 7,
            model_digest: Some(Digest::blake3([7; 32])),
            signature: None,
            environment: "production".to_owned(),
            datasets: vec![("customers".to_owned(), "4f".to_owned())],
            code: Some("9f03a71".to_owned()),
            code_author: None,
            serving: ServingConfig::default(),
            traffic: TrafficPlan::default(),
            environment_lock: None,
            image: None,
            policies: Vec::new(),
            evidence_digest: Digest::blake3([2; 32]),
            champion: None,
        }
    }

    #[test]
    fn each_part_of_a_subject_changes_its_digest_and_has_a_word() {
        let before = subject();
        let other = Digest::blake3([9; 32]);
        type Change = fn(&mut Subject, Digest);
        let changes: [(&str, Change); 13] = [
            ("the version's files changed", |s, d| s.model_digest = Some(d)),
            ("its signature changed", |s, _| s.signature = Some(Signature::default())),
            ("its data sets changed", |s, _| s.datasets.clear()),
            ("its code changed", |s, _| s.code = None),
            ("the author of its code changed", |s, _| s.code_author = Some("a@slipway.test".to_owned())),
            ("what it needs to run changed", |s, d| s.environment_lock = Some(d)),
            ("its image changed", |s, _| s.image = Some("sha256:1".to_owned())),
            ("how it is served changed", |s, _| s.serving.engine = "other".to_owned()),
            ("its traffic plan changed", |s, _| s.traffic.strategy = "canary".to_owned()),
            ("the policies that hold for it changed", |s, d| {
                s.policies = vec![PolicyPin { name: "production".to_owned(), revision: 2, digest: d }];
            }),
            ("its metrics or files changed", |s, d| s.evidence_digest = d),
            ("production now serves churn v8", |s, _| s.champion = Some("churn v8".to_owned())),
            ("it is another version", |s, _| s.version = 8),
        ];
        for (words, change) in changes {
            let mut after = before.clone();
            change(&mut after, other.clone());
            assert_ne!(before.digest().unwrap(), after.digest().unwrap(), "{words}");
            assert_eq!(before.differences(&after), words);
        }
        assert_eq!(before.differences(&before), "");

        let challenger = Subject { champion: Some("churn v6".to_owned()), ..before };
        let after = Subject { evidence_digest: other, ..challenger.clone() };
        assert_eq!(challenger.differences(&after), "its metrics or files, or the metrics of churn v6, changed");
    }

    #[test]
    fn evidence_is_findings_both_sides_metrics_and_files() {
        let (pass, fail) = ([finding(Verdict::Pass)], [finding(Verdict::Fail)]);
        let file = Digest::blake3([3; 32]);
        let gate = GateSpec::GoldenRow { tolerance: 0.1 };
        let digest = |findings: &[Finding; 1], ours: f64, theirs: f64, files: &[(&'static str, &Digest)]| {
            Evidence::new(
                [(&gate, &findings[0])],
                [("accuracy", ours)],
                [("accuracy", theirs)],
                files.iter().copied(),
                [],
            )
            .digest()
            .unwrap()
        };
        let base = digest(&pass, 0.9, 0.8, &[]);
        assert_eq!(base, digest(&pass, 0.9, 0.8, &[]));
        assert_ne!(base, digest(&fail, 0.9, 0.8, &[]));
        assert_ne!(base, digest(&pass, 0.91, 0.8, &[]));
        assert_ne!(base, digest(&pass, f64::NAN, 0.8, &[]));
        assert_ne!(base, digest(&pass, 0.9, 0.81, &[]));
        assert_ne!(base, digest(&pass, 0.9, 0.8, &[("model.onnx", &file)]));
    }

    #[test]
    fn measurements_of_the_machine_are_no_evidence() {
        let machine = ("system/cpu_utilization_percentage", 71.0);
        let with = Evidence::new([], [("accuracy", 0.9), machine], [machine], [], []);
        assert_eq!(with.digest().unwrap(), Evidence::new([], [("accuracy", 0.9)], [], [], []).digest().unwrap());
    }

    #[test]
    fn of_a_time_only_the_verdict_is_evidence() {
        let gate = GateSpec::LatencyBudget { percentile: 99.0, max_ms: 20.0, requests: 100 };
        let digest = |verdict, measured: &str| {
            let finding = Finding { measured: measured.to_owned(), ..finding(verdict) };
            Evidence::new([(&gate, &finding)], [], [], [], []).digest().unwrap()
        };
        assert_eq!(digest(Verdict::Pass, "11 ms"), digest(Verdict::Pass, "12 ms"));
        assert_ne!(digest(Verdict::Pass, "11 ms"), digest(Verdict::Fail, "31 ms"));
    }
}
