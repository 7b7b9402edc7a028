//! Rules: which people agree, and how many of them.

use crate::{error::Error, permission::Role, user::Email};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// The most approvals that a rule asks for.
const MAX_APPROVALS: u8 = 20;

/// Who counts for a rule: anybody who is named, is in one of the teams, or has one of the roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Eligible {
    /// People by their address.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", deserialize_with = "addresses")]
    pub users: BTreeSet<Email>,
    /// Teams by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub teams: BTreeSet<String>,
    /// Roles in the workspace.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
}

/// Addresses as they are compared: in lower case, whoever wrote them.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<Email>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| Email::parse(text).map_err(|error| D::Error::custom(error.message))).collect()
}

impl Eligible {
    /// Whether it names nobody.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.users.is_empty() && self.teams.is_empty() && self.roles.is_empty()
    }

    /// `team risk, role approver`.
    #[must_use]
    pub fn words(&self) -> String {
        let users = self.users.iter().map(ToString::to_string);
        let teams = self.teams.iter().map(|team| format!("team {team}"));
        let roles = self.roles.iter().map(|role| format!("role {role}"));
        users.chain(teams).chain(roles).collect::<Vec<_>>().join(", ")
    }
}

/// Somebody that a rule's people must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Distinct {
    /// Whoever requested the promotion, or started the pipeline run that did.
    Requester,
    /// Whoever started the run that trained the version.
    Trainer,
    /// Whoever wrote the commit that the run names.
    CodeAuthor,
    /// Whoever made the evaluation that the gates read.
    Evaluator,
    /// Whoever counts for another rule of the same policy.
    Rule(String),
}

impl fmt::Display for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requester => f.write_str("requester"),
            Self::Trainer => f.write_str("trainer"),
            Self::CodeAuthor => f.write_str("code_author"),
            Self::Evaluator => f.write_str("evaluator"),
            Self::Rule(name) => write!(f, "rule:{name}"),
        }
    }
}

impl FromStr for Distinct {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "requester" => Self::Requester,
            "trainer" => Self::Trainer,
            "code_author" => Self::CodeAuthor,
            "evaluator" => Self::Evaluator,
            _ => match text.strip_prefix("rule:") {
                Some(name) if !name.is_empty() => Self::Rule(name.to_owned()),
                _ => return Err("one of requester, trainer, code_author, evaluator, rule:<name>".to_owned()),
            },
        })
    }
}

impl TryFrom<String> for Distinct {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Distinct> for String {
    fn from(distinct: Distinct) -> Self {
        distinct.to_string()
    }
}

/// What sort of value an approver gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Some words.
    #[default]
    Text,
    /// A finite number.
    Number,
    /// Yes or no.
    Boolean,
    /// One of the choices.
    Choice,
}

/// A value that an approver gives with a yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Its name, unique in the rule.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: InputKind,
    /// What it can be, for a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Whether it may be left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl InputSpec {
    /// Reads a value.
    ///
    /// # Errors
    /// Says what it should be; a sentence.
    pub fn check(&self, value: Option<&serde_json::Value>) -> Result<(), String> {
        use serde_json::Value;
        let name = &self.name;
        let value = match value {
            None | Some(Value::Null) if self.optional => return Ok(()),
            None | Some(Value::Null) => return Err(format!("Give \"{name}\".")),
            Some(value) => value,
        };
        match (self.kind, value) {
            (InputKind::Text, Value::String(text)) if text.trim().is_empty() && !self.optional => {
                Err(format!("Give \"{name}\"."))
            }
            (InputKind::Text, Value::String(text)) if text.chars().count() <= 2000 => Ok(()),
            (InputKind::Text, _) => Err(format!("\"{name}\" is a text of at most 2,000 characters.")),
            (InputKind::Number, Value::Number(_)) | (InputKind::Boolean, Value::Bool(_)) => Ok(()),
            (InputKind::Number, _) => Err(format!("\"{name}\" is a number.")),
            (InputKind::Boolean, _) => Err(format!("\"{name}\" is true or false.")),
            (InputKind::Choice, Value::String(text)) if self.choices.contains(text) => Ok(()),
            (InputKind::Choice, _) => Err(format!("\"{name}\" is one of {}.", self.choices.join(", "))),
        }
    }
}

/// Who must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the policy: `risk`.
    pub name: String,
    /// Who counts.
    pub eligible: Eligible,
    /// How many different people.
    #[serde(default = "one")]
    pub approvals: u8,
    /// Whom they must not be. Without this field: whoever requested it.
    #[serde(default = "not_the_requester")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub distinct_from: BTreeSet<Distinct>,
    /// What they confirm, each by a tick.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checklist: Vec<String>,
    /// What they give with a yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpec>,
    /// Whether a yes needs a comment too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub justification: bool,
}

fn one() -> u8 {
    1
}

fn not_the_requester() -> BTreeSet<Distinct> {
    BTreeSet::from([Distinct::Requester])
}

impl Rule {
    /// So many people with the role approver, none of them the requester.
    #[must_use]
    pub fn of_approvers(approvals: u8) -> Self {
        Self {
            name: "approvers".to_owned(),
            eligible: Eligible { roles: BTreeSet::from([Role::Approver]), ..Eligible::default() },
            approvals,
            distinct_from: not_the_requester(),
            checklist: Vec::new(),
            inputs: Vec::new(),
            justification: false,
        }
    }

    /// The rules that it must have other people than.
    pub fn distinct_rules(&self) -> impl Iterator<Item = &str> {
        self.distinct_from.iter().filter_map(|distinct| match distinct {
            Distinct::Rule(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Checks the values that the types allow and sense does not. `path` is where it stands.
    pub(super) fn validate(&self, path: &str, all: &[Self]) -> Result<(), Error> {
        let wrong = |field: &str, what: String| {
            Err(Error::invalid_field(format!("{path}/{field}"), format!("Rule \"{}\": {what}", self.name)))
        };
        let named = |text: &str, most: usize| {
            !text.trim().is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
        };
        if !named(&self.name, 100) || self.name.contains('/') {
            return wrong("name", "a name has 1 to 100 visible characters, and no slash.".to_owned());
        }
        if self.eligible.is_nobody() {
            return wrong("eligible", "say who counts: users, teams or roles.".to_owned());
        }
        if !self.eligible.teams.iter().all(|team| named(team, 100)) {
            return wrong("eligible", "a team's name has 1 to 100 visible characters.".to_owned());
        }
        if !(1..=MAX_APPROVALS).contains(&self.approvals) {
            return wrong("approvals", format!("from 1 to {MAX_APPROVALS} people."));
        }
        for other in self.distinct_rules() {
            if other == self.name {
                return wrong("distinct_from", "its people cannot be others than themselves.".to_owned());
            }
            if !all.iter().any(|rule| rule.name == other) {
                return wrong("distinct_from", format!("there is no rule \"{other}\" in this policy."));
            }
        }
        if self.checklist.len() > 30 || !self.checklist.iter().all(|item| named(item, 300)) {
            return wrong("checklist", "at most 30 lines of at most 300 characters.".to_owned());
        }
        let mut names = BTreeSet::new();
        for input in &self.inputs {
            if !named(&input.name, 100) || !names.insert(&input.name) {
                return wrong("inputs", "each has a name of its own, of at most 100 visible characters.".to_owned());
            }
            if (input.kind == InputKind::Choice) == input.choices.is_empty() {
                return wrong("inputs", format!("\"{}\": a choice has choices, and nothing else has.", input.name));
            }
            if input.choices.len() > 50 || !input.choices.iter().all(|choice| named(choice, 100)) {
                let most = "at most 50 choices of at most 100 visible characters.";
                return wrong("inputs", format!("\"{}\": {most}", input.name));
            }
        }
        if self.inputs.len() > 20 {
            return wrong("inputs", "at most 20.".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_without_distinct_from_is_distinct_from_the_requester() {
        let rule: Rule = serde_json::from_value(json!({"name": "a", "eligible": {"roles": ["approver"]}})).unwrap();
        assert_eq!(rule.distinct_from, BTreeSet::from([Distinct::Requester]));
        let open = json!({"name": "a", "eligible": {"roles": ["approver"]}, "distinct_from": []});
        assert!(serde_json::from_value::<Rule>(open).unwrap().distinct_from.is_empty());
    }

    #[test]
    fn senseless_rules_are_refused_with_the_field() {
        let good = || json!({"name": "a", "eligible": {"roles": ["approver"]}});
        for (change, field) in [
            (json!({"name": " "}), "name"),
            (json!({"name": "a/b"}), "name"),
            (json!({"eligible": {}}), "eligible"),
            (json!({"approvals": 0}), "approvals"),
            (json!({"approvals": 21}), "approvals"),
            (json!({"distinct_from": ["rule:a"]}), "distinct_from"),
            (json!({"distinct_from": ["rule:b"]}), "distinct_from"),
            (json!({"checklist": [""]}), "checklist"),
            (json!({"inputs": [{"name": "x", "kind": "choice"}]}), "inputs"),
            (json!({"inputs": [{"name": "x", "choices": ["a"]}]}), "inputs"),
            (json!({"inputs": [{"name": "x"}, {"name": "x"}]}), "inputs"),
            (json!({"inputs": [{"name": "x", "kind": "choice", "choices": ["a", ""]}]}), "inputs"),
            (json!({"eligible": {"teams": ["ri\nsk"]}}), "eligible"),
        ] {
            let mut rule = good();
            rule.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let rule: Rule = serde_json::from_value(rule).unwrap();
            let error = rule.validate("rules/0", std::slice::from_ref(&rule)).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(format!("rules/0/{field}").as_str()), "{change}");
        }
        assert!(serde_json::from_value::<Distinct>(json!("boss")).is_err());
    }

    #[test]
    fn an_address_is_compared_in_lower_case_and_no_other_text_is_one() {
        let rule = |user: &str| json!({"name": "a", "eligible": {"users": [user]}});
        let upper: Rule = serde_json::from_value(rule(" Owner@Example.com")).unwrap();
        assert!(upper.eligible.users.contains(&Email::parse("owner@example.com").unwrap()));
        let error = serde_json::from_value::<Rule>(rule("owner")).unwrap_err();
        assert!(error.to_string().starts_with("This is not an e-mail address"), "{error}");
    }

    #[test]
    fn inputs_are_what_they_say() {
        let input = |kind: &str, choices: &[&str]| -> InputSpec {
            serde_json::from_value(json!({"name": "x", "kind": kind, "choices": choices})).unwrap()
        };
        for (spec, value, fits) in [
            (input("text", &[]), json!("words"), true),
            (input("text", &[]), json!(" "), false),
            (input("text", &[]), json!(1), false),
            (input("number", &[]), json!(1.5), true),
            (input("number", &[]), json!("1"), false),
            (input("boolean", &[]), json!(false), true),
            (input("boolean", &[]), json!("no"), false),
            (input("choice", &["a", "b"]), json!("b"), true),
            (input("choice", &["a", "b"]), json!("c"), false),
            (input("choice", &["a", "b"]), json!(null), false),
        ] {
            assert_eq!(spec.check(Some(&value)).is_ok(), fits, "{spec:?} {value}");
        }
    }
}
