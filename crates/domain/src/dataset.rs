//! Datasets of a workspace and their versions. A version is a list of files that never changes; its digest names it.
//!
//! What MLflow's clients log of the data that a run read is another thing: [`crate::dataset_input`].

use crate::{
    digest::Digest,
    error::Error,
    expectation::{CheckResult, Expectation, Outcome},
    id::{DatasetId, DatasetVersionId, WorkspaceId},
    pipeline_run::PipelineRunState,
    step::StepRef,
    wording::check_nul,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 5000;
/// The most characters of what is said of a version.
pub const MAX_MESSAGE: usize = 1000;
/// The most digests of MLflow that a version has.
pub const MAX_MLFLOW_DIGESTS: usize = 20;
/// What the newest version is called that was found to be what is expected of it.
pub const PASSED: &str = "passed";

/// A dataset of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dataset {
    /// The dataset.
    pub id: DatasetId,
    /// Where it is.
    pub workspace_id: WorkspaceId,
    /// What it is called: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What is expected of each version.
    pub expectations: Vec<Expectation>,
    /// Who made it, by name.
    pub author: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, or got a version.
    pub updated_at: DateTime<Utc>,
    /// How many versions it has.
    pub versions: i64,
}

/// A version of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetVersion {
    /// The version.
    pub id: DatasetVersionId,
    /// Of which dataset, by name.
    pub dataset: String,
    /// 1, 2, 3 …
    pub number: i32,
    /// The digest of its manifest's root: the same files have the same.
    pub digest: Digest,
    /// How many files it has, with those that lie elsewhere.
    pub files: i64,
    /// How many bytes its files have together, without those that lie elsewhere.
    pub bytes: i64,
    /// How many files lie elsewhere.
    pub external: i64,
    /// What its author says of it.
    pub message: String,
    /// Who made it, by name.
    pub author: String,
    /// When.
    pub created_at: DateTime<Utc>,
    /// What MLflow's clients call its content.
    pub mlflow_digests: Vec<String>,
    /// Whether it is what is expected of the dataset.
    pub checks: ChecksState,
}

impl DatasetVersion {
    /// As people call it: `wine@3`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}@{}", self.dataset, self.number)
    }

    /// Why it is not known to be what is expected of it, in a sentence; none when it passed. `checks` is what was found of
    /// each expectation, `reason` why nothing was, if nothing was.
    #[must_use]
    pub fn objection(&self, checks: &[CheckResult], reason: &str) -> Option<String> {
        let title = self.title();
        match self.checks {
            ChecksState::Passed => None,
            ChecksState::Waiting => Some(format!("{title} is being checked.")),
            ChecksState::Unchecked => {
                Some(format!("{title} was checked for nothing: declare what is expected of {}.", self.dataset))
            }
            ChecksState::Failed => {
                let mut broken = checks.iter().filter(|check| check.outcome == Outcome::Failed);
                let first = broken.next().map(|check| format!(": {} is not met ({})", named(check), found(check)));
                let more = match broken.count() {
                    0 => String::new(),
                    1 => "; nor is another".to_owned(),
                    more => format!("; nor are {more} others"),
                };
                Some(format!("{title} is not what is expected of it{}{more}.", first.unwrap_or_default()))
            }
            ChecksState::Inconclusive => {
                let open = checks.iter().find(|check| check.outcome == Outcome::Inconclusive);
                let why = match (open, reason.trim_end_matches('.')) {
                    (_, reason) if !reason.is_empty() => format!(": {reason}"),
                    (Some(check), _) => format!(": {} ({})", named(check), found(check)),
                    (None, _) => String::new(),
                };
                Some(format!("Whether {title} is what is expected of it could not be found out{why}."))
            }
        }
    }
}

/// The most characters of an expectation, or of what was found of it, in a sentence.
const MAX_SAID: usize = 200;

fn named(check: &CheckResult) -> String {
    let expected = said(&check.expectation.describe());
    match check.path.as_str() {
        "" => format!("\"{expected}\""),
        path => format!("\"{expected}\" in {}", said(path)),
    }
}

fn found(check: &CheckResult) -> String {
    said(check.found.trim_end_matches('.'))
}

fn said(text: &str) -> String {
    match text.char_indices().nth(MAX_SAID) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What of pipelines a version comes from, and goes into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VersionLineage {
    /// The step that made it; none when none did.
    pub made_by: Option<StepRef>,
    /// The last runs of pipelines that took it, the newest first.
    pub taken_by: Vec<TakenBy>,
}

/// A run of a pipeline that took a version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TakenBy {
    /// The pipeline.
    pub pipeline: String,
    /// The number of the run.
    pub run: i64,
    /// How the run stands.
    pub state: PipelineRunState,
    /// When it was started.
    pub created_at: DateTime<Utc>,
}

/// A dataset with its latest version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetSummary {
    /// The dataset.
    #[serde(flatten)]
    pub dataset: Dataset,
    /// Its latest version; none when it has none.
    pub latest: Option<DatasetVersion>,
}

/// Whether a version is what is expected of its dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChecksState {
    /// A worker is to find out.
    Waiting,
    /// Nothing was expected.
    Unchecked,
    /// Everything is.
    Passed,
    /// Something is not.
    Failed,
    /// Something could not be found out, and nothing is known to be wrong.
    Inconclusive,
}

impl ChecksState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Unchecked, Self::Passed, Self::Failed, Self::Inconclusive];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Unchecked => "unchecked",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Which version is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRef {
    /// The one with the greatest number.
    Latest,
    /// Of those that were found to be what is expected of them, the one with the greatest number.
    Passed,
    /// The one of this number.
    Number(i32),
    /// The one of this content.
    Digest(Digest),
}

impl VersionRef {
    /// Reads `latest`, `passed`, a number (`3`, `v3`) or a digest, with or without `blake3:` before it.
    ///
    /// # Errors
    /// `NotFound` for anything else: no version is called that.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "latest" => return Ok(Self::Latest),
            PASSED => return Ok(Self::Passed),
            _ => {}
        }
        let number = text.strip_prefix('v').unwrap_or(text);
        if number.len() < 11 && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return number.parse().map(Self::Number).map_err(|_| Self::none(text));
        }
        let digest = if text.contains(':') { text.to_owned() } else { format!("blake3:{text}") };
        let digest = digest.parse::<Digest>().ok().filter(|digest| digest.as_str().starts_with("blake3:"));
        digest.map(Self::Digest).ok_or_else(|| Self::none(text))
    }

    fn none(text: &str) -> Error {
        let shown: String = text.chars().take(80).collect();
        Error::new(
            crate::ErrorKind::NotFound,
            format!(
                "No version is called \"{shown}\": it is a number, a digest of 64 hexadecimal digits, \"latest\" or \"{PASSED}\"."
            ),
        )
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Passed => f.write_str(PASSED),
            Self::Number(number) => number.fmt(f),
            Self::Digest(digest) => f.write_str(digest.hex()),
        }
    }
}

/// The name of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetName(String);

impl DatasetName {
    /// The most characters.
    pub const MAX: usize = 100;

    /// Reads a name. It stands in addresses and before an `@`, so it has few sorts of characters.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fits = text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.len() <= Self::MAX
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if fits {
            return Ok(Self(text.to_owned()));
        }
        let message = format!(
            "The name of a dataset has 1 to {} letters, digits, \"-\", \"_\" and \".\", and begins with a letter or digit.",
            Self::MAX
        );
        Err(Error::invalid_field("name", message))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Refuses a text that is too long, or cannot be stored.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn check_text(text: &str, field: &str, most: usize) -> Result<(), Error> {
    check_nul(text, field)?;
    let characters = text.chars().count();
    if characters > most {
        return Err(Error::invalid_field(field, format!("It has {characters} characters; at most {most} are kept.")));
    }
    Ok(())
}

/// Refuses what is no digest of MLflow.
///
/// # Errors
/// `Invalid`.
pub fn check_mlflow_digest(digest: &str) -> Result<(), Error> {
    let most = crate::dataset_input::MAX_DIGEST;
    let fits =
        (1..=most).contains(&digest.chars().count()) && !digest.chars().any(|c| c.is_control() || c.is_whitespace());
    if fits {
        return Ok(());
    }
    Err(Error::invalid_field(
        "mlflow_digests",
        format!("A digest of MLflow has 1 to {most} characters without spaces."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_number_digest_or_as_the_latest() {
        let hex = "0".repeat(64);
        assert_eq!(VersionRef::parse("latest").unwrap(), VersionRef::Latest);
        assert_eq!(VersionRef::parse("passed").unwrap(), VersionRef::Passed);
        assert_eq!(VersionRef::parse("7").unwrap(), VersionRef::Number(7));
        assert_eq!(VersionRef::parse("v7").unwrap(), VersionRef::Number(7));
        assert_eq!(VersionRef::parse(&hex).unwrap(), VersionRef::parse(&format!("blake3:{hex}")).unwrap());
        for other in
            ["", "v", "-1", "99999999999", "9999999999", "newest", "sha256:00", &format!("sha256:{hex}"), &hex[1..]]
        {
            assert_eq!(VersionRef::parse(other).unwrap_err().kind, crate::ErrorKind::NotFound, "{other}");
        }
    }

    #[test]
    fn a_version_that_did_not_pass_says_in_a_sentence_why() {
        let version = |checks| DatasetVersion {
            id: DatasetVersionId::new(),
            dataset: "wine".to_owned(),
            number: 3,
            digest: Digest::blake3([0; 32]),
            files: 1,
            bytes: 1,
            external: 0,
            message: String::new(),
            author: String::new(),
            created_at: DateTime::UNIX_EPOCH,
            mlflow_digests: Vec::new(),
            checks,
        };
        let check = |column: &str, path: &str, outcome, found: &str| CheckResult {
            expectation: serde_json::from_value(serde_json::json!({ "rule": "not_null", "column": column })).unwrap(),
            path: path.to_owned(),
            outcome,
            found: found.to_owned(),
        };
        let told = |state, checks: &[CheckResult], reason| version(state).objection(checks, reason);
        let (good, bad) = (
            check("id", "a.csv", Outcome::Passed, "All 3 rows do."),
            check("age", "a.csv", Outcome::Failed, "1 row does not: row 2"),
        );
        let none = check("size", "", Outcome::Failed, "There is no table to hold against it.");
        let unread = check("age", "b.csv", Outcome::Inconclusive, "Row 7 is cut off.");
        assert_eq!(told(ChecksState::Passed, std::slice::from_ref(&good), ""), None);
        for (state, checks, reason, sentence) in [
            (
                ChecksState::Failed,
                vec![good.clone(), bad.clone(), unread.clone()],
                "",
                "wine@3 is not what is expected of it: \"age is never missing\" in a.csv is not met (1 row does not: row 2).",
            ),
            (
                ChecksState::Failed,
                vec![none, bad.clone(), bad.clone()],
                "",
                "wine@3 is not what is expected of it: \"size is never missing\" is not met (There is no table to hold \
                 against it); nor are 2 others.",
            ),
            (
                ChecksState::Inconclusive,
                vec![good, unread],
                "",
                "Whether wine@3 is what is expected of it could not be found out: \"age is never missing\" in b.csv (Row 7 \
                 is cut off).",
            ),
            (
                ChecksState::Inconclusive,
                vec![],
                "It was begun several times.",
                "Whether wine@3 is what is expected of it could not be found out: It was begun several times.",
            ),
            (ChecksState::Unchecked, vec![], "", "wine@3 was checked for nothing: declare what is expected of wine."),
            (ChecksState::Waiting, vec![], "", "wine@3 is being checked."),
        ] {
            assert_eq!(told(state, &checks, reason).as_deref(), Some(sentence));
        }
        let long = check(&"x".repeat(400), "a.csv", Outcome::Failed, "It is so.");
        assert!(told(ChecksState::Failed, &[long], "").unwrap().chars().count() < 300);
    }

    #[test]
    fn a_name_can_stand_in_an_address_and_before_an_at() {
        for good in ["wine", "wine-2026_v1.0", "7"] {
            assert_eq!(DatasetName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".hidden", "a/b", "a@1", "ä", "a b", &"x".repeat(101)] {
            assert_eq!(DatasetName::parse(bad).unwrap_err().field.as_deref(), Some("name"), "{bad}");
        }
    }
}
