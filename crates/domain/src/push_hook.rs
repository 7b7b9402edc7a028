//! Push hooks: addresses that GitHub, GitLab and Gitea tell of pushes, and what is read from what they send.

use crate::{
    error::Error,
    glob,
    id::{PipelineId, PushHookId, WorkspaceId},
    permission::UnknownName,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// An address that a forge tells of pushes, and the pipeline that they start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushHook {
    /// The hook. Its address is `/hooks/<id>`.
    pub id: PushHookId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, in the workspace.
    pub name: String,
    /// What it starts.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Who tells of pushes.
    pub forge: Forge,
    /// Branches whose pushes start it: patterns with `*` and `?`; all when there is none.
    pub branches: Vec<String>,
    /// Changed files, one of which must fit one of these patterns; any when there is none.
    pub paths: Vec<String>,
    /// Params of its runs that shall not have their defaults.
    pub params: serde_json::Map<String, Value>,
    /// Params that get what the push says, by name.
    pub from_push: BTreeMap<String, PushField>,
    /// Whether pushes start anything.
    pub enabled: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
}

/// Who tells of pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Forge {
    /// GitHub: signs the body.
    Github,
    /// GitLab: sends the secret.
    Gitlab,
    /// Gitea, and Forgejo: signs the body.
    Gitea,
}

impl Forge {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Gitea];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }

    /// As people write it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Github => "GitHub",
            Self::Gitlab => "GitLab",
            Self::Gitea => "Gitea",
        }
    }

    /// The header with what proves who sends.
    #[must_use]
    pub fn proof_header(self) -> &'static str {
        match self {
            Self::Github => "x-hub-signature-256",
            Self::Gitlab => "x-gitlab-token",
            Self::Gitea => "x-gitea-signature",
        }
    }

    /// The header with what happened.
    #[must_use]
    pub fn event_header(self) -> &'static str {
        match self {
            Self::Github => "x-github-event",
            Self::Gitlab => "x-gitlab-event",
            Self::Gitea => "x-gitea-event",
        }
    }

    /// The headers that may name the delivery, the best first. A delivery that is sent again has the same.
    #[must_use]
    pub fn delivery_headers(self) -> &'static [&'static str] {
        match self {
            Self::Github => &["x-github-delivery"],
            Self::Gitlab => &["idempotency-key", "x-gitlab-event-uuid"],
            Self::Gitea => &["x-gitea-delivery"],
        }
    }

    fn is_push(self, event: &str) -> bool {
        match self {
            Self::Github | Self::Gitea => event == "push",
            Self::Gitlab => event == "Push Hook",
        }
    }
}

impl FromStr for Forge {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|forge| forge.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// Something that a push says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PushField {
    /// The commit that the branch points to now.
    Commit,
    /// The branch.
    Branch,
    /// The e-mail address of the author of that commit.
    AuthorEmail,
    /// The repository: owner and name.
    Repository,
}

impl PushField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Commit, Self::Branch, Self::AuthorEmail, Self::Repository];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Branch => "branch",
            Self::AuthorEmail => "author_email",
            Self::Repository => "repository",
        }
    }
}

impl FromStr for PushField {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|field| field.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PushOutcome))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It started a run.
    Started,
    /// It is about nothing that the hook waits for.
    Ignored,
    /// The pipeline does not take what it was given, or is busy.
    Refused,
}

impl Outcome {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ignored => "ignored",
            Self::Refused => "refused",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Started, Self::Ignored, Self::Refused].into_iter().find(|outcome| outcome.as_str() == text)
    }
}

/// Something that a forge told a hook of, and the answer that it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PushDelivery))]
pub struct Delivery {
    /// What the forge calls it.
    pub delivery: String,
    /// When it came first.
    pub at: DateTime<Utc>,
    /// What came of it.
    pub outcome: Outcome,
    /// The answer, in words.
    pub answer: String,
    /// The branch, of a push.
    pub branch: Option<String>,
    /// The commit, of a push.
    pub commit: Option<String>,
    /// The number of the run that it started.
    pub run_number: Option<i64>,
}

/// A push, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The branch.
    pub branch: String,
    /// The commit that it points to now.
    pub commit: String,
    /// The e-mail address of that commit's author; empty when the forge does not tell.
    pub author_email: String,
    /// The repository: owner and name.
    pub repository: String,
    /// The files that it changed; none when the forge does not tell of all.
    pub paths: Option<BTreeSet<String>>,
}

/// The most characters of what a push says that are kept.
const MAX_TEXT: usize = 500;

fn text(value: &Value, pointer: &str) -> Option<String> {
    let found = value.pointer(pointer)?.as_str()?;
    Some(found.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect())
}

impl Push {
    /// Reads what a forge sent.
    ///
    /// # Errors
    /// Why it is nothing that starts something, to end the sentence "ignored: …"; as `Err(Ok(…))`. An [`Error`] for a body
    /// that no forge sends.
    pub fn read(forge: Forge, event: &str, body: &[u8]) -> Result<Self, Result<String, Error>> {
        if !forge.is_push(event) {
            let shown: String = event.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Ok(if shown.is_empty() {
                "no event is named".to_owned()
            } else {
                format!("the event is \"{shown}\", and pushes start something")
            }));
        }
        let wrong = |what: &str| Err(Err(Error::invalid(format!("This is no push of {}: {what}.", forge.title()))));
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return wrong("the body is not JSON; choose the content type application/json");
        };
        let Some(reference) = text(&value, "/ref") else { return wrong("it names no ref") };
        let Some(branch) = reference.strip_prefix("refs/heads/").filter(|branch| !branch.is_empty()) else {
            return Err(Ok(format!("{reference} is no branch")));
        };
        let Some(commit) = text(&value, "/after").filter(|commit| !commit.is_empty()) else {
            return wrong("it names no commit");
        };
        if commit.bytes().all(|byte| byte == b'0') {
            return Err(Ok(format!("the branch {branch} was deleted")));
        }
        let commits = value.get("commits").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let last = value
            .get("head_commit")
            .filter(|commit| commit.is_object())
            .or_else(|| commits.iter().find(|one| text(one, "/id").as_ref() == Some(&commit)));
        let author_email = last.and_then(|last| text(last, "/author/email")).unwrap_or_default();
        let repository = text(&value, "/repository/full_name").or_else(|| text(&value, "/project/path_with_namespace"));
        let told = ["total_commits_count", "total_commits"].into_iter().find_map(|name| value.get(name)?.as_u64());
        // A new branch without commits of its own, and a push of more commits than are told: any file may have changed.
        let is_whole = !commits.is_empty() && told.is_none_or(|told| told <= commits.len() as u64);
        let files = commits.iter().flat_map(|commit| {
            let of = |name: &str| commit.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            ["added", "modified", "removed"].into_iter().flat_map(of).filter_map(Value::as_str).map(str::to_owned)
        });
        Ok(Self {
            branch: branch.to_owned(),
            commit,
            author_email,
            repository: repository.unwrap_or_default(),
            paths: is_whole.then(|| files.collect()),
        })
    }

    /// What it says.
    #[must_use]
    pub fn field(&self, field: PushField) -> &str {
        match field {
            PushField::Commit => &self.commit,
            PushField::Branch => &self.branch,
            PushField::AuthorEmail => &self.author_email,
            PushField::Repository => &self.repository,
        }
    }
}

impl PushHook {
    /// Refuses a hook that makes no sense.
    ///
    /// # Errors
    /// With the field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        crate::schedule::check_name(&self.name)?;
        glob::check(&self.branches, "branches")?;
        glob::check(&self.paths, "paths")?;
        match self.from_push.keys().find(|name| self.params.contains_key(*name)) {
            Some(name) => {
                let text = format!("The param {name} gets what the push says, and a value beside that; choose one.");
                Err(Error::invalid_field("from_push", text))
            }
            None => Ok(()),
        }
    }

    /// What it waits for, in words: `pushes at GitHub to main`.
    #[must_use]
    pub fn words(&self) -> String {
        let branches = if self.branches.is_empty() { "any branch".to_owned() } else { self.branches.join(", ") };
        let paths =
            if self.paths.is_empty() { String::new() } else { format!(" that change {}", self.paths.join(", ")) };
        format!("pushes at {} to {branches}{paths}", self.forge.title())
    }

    /// Why a push starts nothing, to end the sentence "ignored: …"; none when it does.
    #[must_use]
    pub fn why_not(&self, push: &Push) -> Option<String> {
        if !self.enabled {
            return Some(format!("the push hook {} is off", self.name));
        }
        if !glob::matches_any(&self.branches, &push.branch) {
            return Some(format!("the branch {} is none of {}", push.branch, self.branches.join(", ")));
        }
        let fits = |paths: &BTreeSet<String>| paths.iter().any(|path| glob::matches_any(&self.paths, path));
        match &push.paths {
            Some(paths) if !self.paths.is_empty() && !fits(paths) => {
                Some(format!("no file was changed that fits {}", self.paths.join(", ")))
            }
            _ => None,
        }
    }

    /// The params of the run that a push starts.
    #[must_use]
    pub fn params_for(&self, push: &Push) -> BTreeMap<String, Value> {
        let said = self.from_push.iter().map(|(name, field)| (name.clone(), Value::from(push.field(*field))));
        self.params.clone().into_iter().chain(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn hook(branches: &[&str], paths: &[&str]) -> PushHook {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        PushHook {
            id: PushHookId::new(),
            workspace_id: WorkspaceId::new(),
            name: "main".to_owned(),
            pipeline_id: PipelineId::new(),
            pipeline: "train".to_owned(),
            forge: Forge::Github,
            branches: list(branches),
            paths: list(paths),
            params: serde_json::Map::from_iter([("rounds".to_owned(), json!(5))]),
            from_push: BTreeMap::from([
                ("sha".to_owned(), PushField::Commit),
                ("who".to_owned(), PushField::AuthorEmail),
            ]),
            enabled: true,
            created_at: DateTime::UNIX_EPOCH,
            created_by: "Ada".to_owned(),
        }
    }

    fn github() -> Value {
        json!({
            "ref": "refs/heads/release/2", "after": "1a2b3c",
            "repository": { "full_name": "lab/wine" },
            "head_commit": { "id": "1a2b3c", "author": { "email": "ada@lab.example" } },
            "commits": [{ "id": "0", "added": ["data/new.csv"], "removed": [] }, { "id": "1a2b3c", "modified": ["train.py"] }],
        })
    }

    fn read(forge: Forge, event: &str, value: &Value) -> Result<Push, Result<String, Error>> {
        Push::read(forge, event, &serde_json::to_vec(value).unwrap())
    }

    #[test]
    fn a_push_of_each_forge_says_the_same() {
        let push = read(Forge::Github, "push", &github()).unwrap();
        assert_eq!((push.branch.as_str(), push.commit.as_str()), ("release/2", "1a2b3c"));
        assert_eq!((push.author_email.as_str(), push.repository.as_str()), ("ada@lab.example", "lab/wine"));
        assert_eq!(push.paths, Some(["data/new.csv", "train.py"].map(str::to_owned).into()));
        assert_eq!(read(Forge::Gitea, "push", &github()).unwrap(), push);
        let gitlab = json!({
            "object_kind": "push", "ref": "refs/heads/release/2", "after": "1a2b3c", "total_commits_count": 2,
            "project": { "path_with_namespace": "lab/wine" },
            "commits": [{ "id": "0", "added": ["data/new.csv"] },
                { "id": "1a2b3c", "modified": ["train.py"], "author": { "email": "ada@lab.example" } }],
        });
        assert_eq!(read(Forge::Gitlab, "Push Hook", &gitlab).unwrap(), push);
    }

    #[test]
    fn what_is_no_push_to_a_branch_is_ignored_with_a_reason() {
        let why = |event: &str, change: fn(&mut Value)| {
            let mut value = github();
            change(&mut value);
            read(Forge::Github, event, &value).unwrap_err().unwrap()
        };
        assert_eq!(why("ping", |_| ()), "the event is \"ping\", and pushes start something");
        assert_eq!(why("push", |value| value["ref"] = "refs/tags/v1".into()), "refs/tags/v1 is no branch");
        assert_eq!(why("push", |value| value["after"] = "0000".into()), "the branch release/2 was deleted");
        for wrong in ["ref", "after"] {
            let mut value = github();
            value[wrong] = Value::Null;
            assert!(read(Forge::Github, "push", &value).unwrap_err().is_err());
        }
        assert!(Push::read(Forge::Github, "push", b"payload=%7B").unwrap_err().is_err());
    }

    #[test]
    fn branches_and_paths_filter() {
        let push = read(Forge::Github, "push", &github()).unwrap();
        assert_eq!(hook(&[], &[]).why_not(&push), None);
        assert_eq!(hook(&["main", "release/*"], &["*.py"]).why_not(&push), None);
        assert_eq!(hook(&["main"], &[]).why_not(&push).unwrap(), "the branch release/2 is none of main");
        assert_eq!(hook(&[], &["docs/*"]).why_not(&push).unwrap(), "no file was changed that fits docs/*");
        assert!(PushHook { enabled: false, ..hook(&[], &[]) }.why_not(&push).unwrap().ends_with("is off"));
        // More commits than are told: any file may have changed.
        let mut many = github();
        many["total_commits"] = 50.into();
        let many = read(Forge::Gitea, "push", &many).unwrap();
        assert_eq!((many.paths.clone(), hook(&[], &["docs/*"]).why_not(&many)), (None, None));
    }

    #[test]
    fn params_get_what_the_push_says() {
        let push = read(Forge::Github, "push", &github()).unwrap();
        let params = hook(&[], &[]).params_for(&push);
        assert_eq!(
            serde_json::to_value(params).unwrap(),
            json!({ "rounds": 5, "sha": "1a2b3c", "who": "ada@lab.example" })
        );
        let twice = PushHook { params: serde_json::Map::from_iter([("sha".to_owned(), json!("x"))]), ..hook(&[], &[]) };
        assert_eq!(twice.check().unwrap_err().field.as_deref(), Some("from_push"));
    }
}
