//! What webhooks are told of: an entity and an action, in MLflow's words, and what a delivery says of each. What is told of
//! promotions, which MLflow has no words for, is in `promotion`.

use super::{promotion::PromotionEvent, step::StepEvent};
use crate::{
    error::Error,
    id::RunId,
    model::{Model, ModelVersion, PROMPT_TAG},
    permission::UnknownName,
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Something that webhooks can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WebhookEvent {
    /// A model was made.
    RegisteredModelCreated,
    /// A version was registered.
    ModelVersionCreated,
    /// A version got a tag, or another value of one.
    ModelVersionTagSet,
    /// A version lost a tag.
    ModelVersionTagDeleted,
    /// An alias points at a version that it did not point at before.
    ModelVersionAliasCreated,
    /// An alias is gone.
    ModelVersionAliasDeleted,
    /// A prompt was made.
    PromptCreated,
    /// A version of a prompt was made.
    PromptVersionCreated,
    /// A prompt got a tag, or another value of one.
    PromptTagSet,
    /// A prompt lost a tag.
    PromptTagDeleted,
    /// A version of a prompt got a tag, or another value of one.
    PromptVersionTagSet,
    /// A version of a prompt lost a tag.
    PromptVersionTagDeleted,
    /// An alias of a prompt points at another version.
    PromptAliasCreated,
    /// An alias of a prompt is gone.
    PromptAliasDeleted,
    /// Of MLflow's gateway, which is not here: it can be asked for and never happens.
    BudgetPolicyExceeded,
    /// The head of the chain of history was noted. Not one of MLflow's: its clients cannot name it.
    AuditCheckpoint,
    /// Of a promotion. MLflow's clients know nothing of these, and are told nothing of them.
    Promotion(PromotionEvent),
    /// Of a step of a pipeline that asks people; the same.
    Step(StepEvent),
}

impl WebhookEvent {
    /// All events: MLflow's, then ours.
    pub const ALL: [Self; 16 + PromotionEvent::ALL.len() + StepEvent::ALL.len()] = {
        let mut all = [Self::BudgetPolicyExceeded; 16 + PromotionEvent::ALL.len() + StepEvent::ALL.len()];
        let promotions = Self::MLFLOW.len() + 1;
        let steps = promotions + PromotionEvent::ALL.len();
        let mut at = 0;
        while at < all.len() {
            all[at] = if at < Self::MLFLOW.len() {
                Self::MLFLOW[at]
            } else if at == Self::MLFLOW.len() {
                Self::AuditCheckpoint
            } else if at < steps {
                Self::Promotion(PromotionEvent::ALL[at - promotions])
            } else {
                Self::Step(StepEvent::ALL[at - steps])
            };
            at += 1;
        }
        all
    };

    /// Those that MLflow has, in the order in which it lists them.
    pub const MLFLOW: [Self; 15] = [
        Self::RegisteredModelCreated,
        Self::ModelVersionCreated,
        Self::ModelVersionTagSet,
        Self::ModelVersionTagDeleted,
        Self::ModelVersionAliasCreated,
        Self::ModelVersionAliasDeleted,
        Self::PromptCreated,
        Self::PromptVersionCreated,
        Self::PromptTagSet,
        Self::PromptTagDeleted,
        Self::PromptVersionTagSet,
        Self::PromptVersionTagDeleted,
        Self::PromptAliasCreated,
        Self::PromptAliasDeleted,
        Self::BudgetPolicyExceeded,
    ];

    /// Its name: entity and action with a dot between them.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegisteredModelCreated => "registered_model.created",
            Self::ModelVersionCreated => "model_version.created",
            Self::ModelVersionTagSet => "model_version_tag.set",
            Self::ModelVersionTagDeleted => "model_version_tag.deleted",
            Self::ModelVersionAliasCreated => "model_version_alias.created",
            Self::ModelVersionAliasDeleted => "model_version_alias.deleted",
            Self::PromptCreated => "prompt.created",
            Self::PromptVersionCreated => "prompt_version.created",
            Self::PromptTagSet => "prompt_tag.set",
            Self::PromptTagDeleted => "prompt_tag.deleted",
            Self::PromptVersionTagSet => "prompt_version_tag.set",
            Self::PromptVersionTagDeleted => "prompt_version_tag.deleted",
            Self::PromptAliasCreated => "prompt_alias.created",
            Self::PromptAliasDeleted => "prompt_alias.deleted",
            Self::BudgetPolicyExceeded => "budget_policy.exceeded",
            Self::AuditCheckpoint => "audit.checkpoint",
            Self::Promotion(event) => event.as_str(),
            Self::Step(event) => event.as_str(),
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        use WebhookEvent as E;
        match self {
            E::RegisteredModelCreated => "A model is made",
            E::ModelVersionCreated => "A version is registered",
            E::ModelVersionTagSet => "A version is tagged",
            E::ModelVersionTagDeleted => "A version loses a tag",
            E::ModelVersionAliasCreated => "An alias moves to a version, by a promotion too",
            E::ModelVersionAliasDeleted => "An alias is removed",
            E::PromptCreated => "A prompt is made",
            E::PromptVersionCreated => "A version of a prompt is made",
            E::PromptTagSet => "A prompt is tagged",
            E::PromptTagDeleted => "A prompt loses a tag",
            E::PromptVersionTagSet => "A version of a prompt is tagged",
            E::PromptVersionTagDeleted => "A version of a prompt loses a tag",
            E::PromptAliasCreated => "An alias moves to a version of a prompt",
            E::PromptAliasDeleted => "An alias of a prompt is removed",
            E::BudgetPolicyExceeded => "A budget of MLflow's gateway is exceeded, which does not happen here",
            E::AuditCheckpoint => "The head of history is noted, to be kept elsewhere",
            E::Promotion(event) => event.describe(),
            E::Step(event) => event.describe(),
        }
    }

    /// Whether MLflow has it too.
    #[must_use]
    pub fn is_of_mlflow(self) -> bool {
        !matches!(self, Self::AuditCheckpoint | Self::Promotion(_) | Self::Step(_))
    }

    /// What it happens to.
    #[must_use]
    pub fn entity(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(entity, _)| entity)
    }

    /// What happens to it.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.as_str().split_once('.').map_or("", |(_, action)| action)
    }

    /// The event of an entity and an action of MLflow's, in capitals or not.
    ///
    /// # Errors
    /// `Invalid`, with what there is.
    pub fn parse(entity: &str, action: &str) -> Result<Self, Error> {
        let is = |known: &str, given: &str| known.eq_ignore_ascii_case(given);
        let found = Self::MLFLOW.into_iter().find(|event| is(event.entity(), entity) && is(event.action(), action));
        found.ok_or_else(|| {
            let mut actions = Self::MLFLOW
                .into_iter()
                .filter(|event| is(event.entity(), entity))
                .map(Self::action)
                .collect::<Vec<_>>();
            actions.sort_unstable();
            let message = if actions.is_empty() {
                let mut entities: Vec<_> = Self::MLFLOW.into_iter().map(Self::entity).collect();
                entities.dedup();
                format!("Unknown entity '{}'. Valid entities are: {}.", shown(entity), entities.join(", "))
            } else {
                format!(
                    "Invalid action '{}' for entity '{}'. Valid actions are: {}.",
                    shown(action),
                    shown(entity),
                    actions.join(", ")
                )
            };
            Error::invalid_field("events", message)
        })
    }
}

/// Of a word that somebody sent, what a message repeats.
fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for WebhookEvent {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|event| event.as_str() == text)
            .ok_or_else(|| UnknownName::new(&shown(text), Self::ALL.map(Self::as_str)))
    }
}

impl Serialize for WebhookEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for WebhookEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// The tag of a prompt's version that holds its text.
const PROMPT_TEXT: &str = "mlflow.prompt.text";
/// The tag that says which sort of prompt it is.
const PROMPT_TYPE: &str = "_mlflow_prompt_type";

/// Something that happened to a model. Of a prompt, which is a model with a tag, other events tell.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'a> {
    /// The model was made.
    Created,
    /// A version was registered with these tags.
    Version(&'a ModelVersion),
    /// The model got a tag. Only of prompts is this told.
    TagSet {
        /// Which.
        key: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// The model lost this tag. Only of prompts is this told.
    TagDeleted(&'a str),
    /// A version got a tag.
    VersionTagSet {
        /// The version's number.
        version: i32,
        /// Which.
        key: &'a str,
        /// Its value.
        value: &'a str,
    },
    /// A version lost a tag.
    VersionTagDeleted {
        /// The version's number.
        version: i32,
        /// Which.
        key: &'a str,
    },
    /// An alias points at a version.
    AliasSet {
        /// Which.
        alias: &'a str,
        /// The version's number.
        version: i32,
    },
    /// This alias is gone.
    AliasDeleted(&'a str),
}

impl Happening<'_> {
    /// The event, and what is said of it: the fields that MLflow documents. None when nobody is told.
    #[must_use]
    pub fn of(&self, model: &Model) -> Option<(WebhookEvent, Value)> {
        use WebhookEvent as E;
        let is_prompt = model.is_prompt();
        let either = |model: E, prompt: E| if is_prompt { prompt } else { model };
        let name = &model.name;
        Some(match *self {
            Self::Created => (
                either(E::RegisteredModelCreated, E::PromptCreated),
                json!({ "name": name, "tags": told(&model.tags, is_prompt), "description": model.description }),
            ),
            Self::Version(version) => {
                let tags = told(&version.tags, is_prompt);
                let (number, description) = (version.version.to_string(), said(&version.description));
                if is_prompt {
                    let template = version.tags.get(PROMPT_TEXT);
                    (
                        E::PromptVersionCreated,
                        json!({
                            "name": name, "version": number, "template": template, "tags": tags,
                            "description": description,
                        }),
                    )
                } else {
                    (
                        E::ModelVersionCreated,
                        json!({
                            "name": name, "version": number, "source": version.source,
                            "run_id": version.run_id.as_ref().map(RunId::simple), "tags": tags,
                            "description": description,
                        }),
                    )
                }
            }
            Self::TagSet { key, value } if is_prompt => {
                (E::PromptTagSet, json!({ "name": name, "key": key, "value": value }))
            }
            Self::TagDeleted(key) if is_prompt => (E::PromptTagDeleted, json!({ "name": name, "key": key })),
            Self::TagSet { .. } | Self::TagDeleted(_) => return None,
            Self::VersionTagSet { version, key, value } => (
                either(E::ModelVersionTagSet, E::PromptVersionTagSet),
                json!({ "name": name, "version": version.to_string(), "key": key, "value": value }),
            ),
            Self::VersionTagDeleted { version, key } => (
                either(E::ModelVersionTagDeleted, E::PromptVersionTagDeleted),
                json!({ "name": name, "version": version.to_string(), "key": key }),
            ),
            Self::AliasSet { alias, version } => (
                either(E::ModelVersionAliasCreated, E::PromptAliasCreated),
                json!({ "name": name, "alias": alias, "version": version.to_string() }),
            ),
            Self::AliasDeleted(alias) => {
                (either(E::ModelVersionAliasDeleted, E::PromptAliasDeleted), json!({ "name": name, "alias": alias }))
            }
        })
    }
}

/// The tags that are told of: of a prompt without those that MLflow keeps for itself.
fn told(tags: &BTreeMap<String, String>, is_prompt: bool) -> BTreeMap<&str, &str> {
    tags.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !is_prompt || ![PROMPT_TAG, PROMPT_TEXT, PROMPT_TYPE].contains(key))
        .collect()
}

fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What a delivery says: the body of the request.
#[derive(Debug, Clone, Serialize)]
pub struct Announced<'a> {
    entity: &'static str,
    action: &'static str,
    timestamp: String,
    data: &'a Value,
    workspace: &'a str,
}

impl<'a> Announced<'a> {
    /// This event of this workspace happened at this time.
    #[must_use]
    pub fn new(event: WebhookEvent, at: DateTime<Utc>, data: &'a Value, workspace: &'a str) -> Self {
        let timestamp = at.to_rfc3339_opts(SecondsFormat::Micros, false);
        Self { entity: event.entity(), action: event.action(), timestamp, data, workspace }
    }
}

impl WebhookEvent {
    /// What is said when a webhook is tried, though nothing happened.
    #[must_use]
    pub fn example(self) -> Value {
        let model = json!({
            "name": "example_model", "tags": { "example_key": "example_value" },
            "description": "An example registered model",
        });
        let of = |mut data: Value, more: Value| {
            if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
                data.extend(more);
            }
            data
        };
        let (model_name, prompt_name) = (json!({ "name": "example_model" }), json!({ "name": "example_prompt" }));
        let version = json!({ "version": "1" });
        let (key, value) = (json!({ "key": "example_key" }), json!({ "value": "example_value" }));
        let alias = json!({ "alias": "example_alias" });
        match self {
            Self::RegisteredModelCreated => model,
            Self::PromptCreated => of(model, of(prompt_name, json!({ "description": "An example prompt" }))),
            Self::ModelVersionCreated => of(
                of(model, version),
                json!({
                    "source": "models:/123", "run_id": "abcd1234abcd5678", "description": "An example model version",
                }),
            ),
            Self::PromptVersionCreated => of(
                of(of(model, prompt_name), version),
                json!({ "template": "Hello {{name}}!", "description": "An example prompt version" }),
            ),
            Self::ModelVersionTagSet => of(of(model_name, version), of(key, value)),
            Self::PromptVersionTagSet => of(of(prompt_name, version), of(key, value)),
            Self::PromptTagSet => of(prompt_name, of(key, value)),
            Self::ModelVersionTagDeleted => of(of(model_name, version), key),
            Self::PromptVersionTagDeleted => of(of(prompt_name, version), key),
            Self::PromptTagDeleted => of(prompt_name, key),
            Self::ModelVersionAliasCreated => of(of(model_name, version), alias),
            Self::PromptAliasCreated => of(of(prompt_name, version), alias),
            Self::ModelVersionAliasDeleted => of(model_name, alias),
            Self::PromptAliasDeleted => of(prompt_name, alias),
            Self::BudgetPolicyExceeded => json!({
                "budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5,
                "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT", "workspace": "default",
                "target_value": "ep-abc123", "window_start": 1_704_067_200_000_i64,
            }),
            Self::AuditCheckpoint => json!({
                "workspace_id": "0193f0c2-0000-7000-8000-000000000000", "seq": 1200,
                "head": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "at": "2026-11-26T09:05:00.123456Z", "key": null, "signature": null,
            }),
            Self::Promotion(event) => event.example(),
            Self::Step(event) => event.example(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ModelId, WorkspaceId};

    fn model(tags: &[(&str, &str)]) -> Model {
        Model {
            id: ModelId::new(),
            workspace_id: WorkspaceId::new(),
            name: "churn".to_owned(),
            description: String::new(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            aliases: BTreeMap::new(),
        }
    }

    #[test]
    fn an_event_reads_back_from_its_name_and_from_its_parts() {
        for event in WebhookEvent::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
            let parsed = WebhookEvent::parse(&event.entity().to_uppercase(), &event.action().to_uppercase());
            assert_eq!(parsed.ok(), event.is_of_mlflow().then_some(event), "{event}");
            assert!(event.example().is_object());
        }
        assert!("model_version".parse::<WebhookEvent>().is_err());
    }

    #[test]
    fn a_combination_that_there_is_not_is_refused_with_those_there_are() {
        let message = |entity, action| WebhookEvent::parse(entity, action).unwrap_err().message;
        assert_eq!(
            message("MODEL_VERSION_TAG", "CREATED"),
            "Invalid action 'CREATED' for entity 'MODEL_VERSION_TAG'. Valid actions are: deleted, set."
        );
        assert!(message("RUN", "CREATED").starts_with("Unknown entity 'RUN'. Valid entities are: registered_model, "));
        assert!(message("REGISTERED_MODEL", "UPDATED").ends_with("Valid actions are: created."));
        assert!(message("", "").len() < 500 && message(&"x".repeat(9000), "\0").len() < 500);
    }

    #[test]
    fn a_tag_of_a_model_is_told_of_prompts_alone() {
        let set = Happening::TagSet { key: "a", value: "b" };
        assert!(set.of(&model(&[])).is_none());
        let (event, data) = set.of(&model(&[(PROMPT_TAG, "True")])).unwrap();
        assert_eq!(event, WebhookEvent::PromptTagSet);
        assert_eq!(data, json!({ "name": "churn", "key": "a", "value": "b" }));
        let deleted = Happening::TagDeleted("a").of(&model(&[(PROMPT_TAG, "true")])).unwrap();
        assert_eq!(deleted, (WebhookEvent::PromptTagDeleted, json!({ "name": "churn", "key": "a" })));
    }

    #[test]
    fn a_prompt_is_told_without_the_tags_that_make_it_one() {
        let tags = [(PROMPT_TAG, "true"), (PROMPT_TYPE, "text"), ("team", "red")];
        let (event, data) = Happening::Created.of(&model(&tags)).unwrap();
        assert_eq!(event, WebhookEvent::PromptCreated);
        assert_eq!(data, json!({ "name": "churn", "tags": { "team": "red" }, "description": "" }));
        let (event, data) = Happening::Created.of(&model(&[("team", "red")])).unwrap();
        assert_eq!((event, &data["tags"]), (WebhookEvent::RegisteredModelCreated, &json!({ "team": "red" })));
    }

    #[test]
    fn an_alias_is_told_with_the_version_as_a_text() {
        let (event, data) = Happening::AliasSet { alias: "champion", version: 7 }.of(&model(&[])).unwrap();
        assert_eq!(event, WebhookEvent::ModelVersionAliasCreated);
        assert_eq!(data, json!({ "name": "churn", "alias": "champion", "version": "7" }));
    }

    #[test]
    fn a_body_has_the_fields_that_receivers_know() {
        let data = json!({ "name": "churn" });
        let body = Announced::new(WebhookEvent::ModelVersionCreated, DateTime::UNIX_EPOCH, &data, "lab");
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"entity":"model_version","action":"created","timestamp":"1970-01-01T00:00:00.000000+00:00","data":{"name":"churn"},"workspace":"lab"}"#
        );
    }
}
