//! A policy's document as YAML: read with the line and column of what is wrong, and written for editing.

use super::{GateSpec, PolicyDocument};
use crate::{
    problem::{At, FileErrors, Problem, show},
    prose::sentence,
    yaml::{self, Meaning, Node, Yaml},
};
use serde_json::{Map, Number, Value};
use std::{collections::HashSet, rc::Rc};

/// The order in which names are written: as people read a policy, from what it is about to what it asks, and of each part
/// what it is before what it has.
const ORDER: &[&str] = &[
    "description",
    "scope",
    "models",
    "tags",
    "risk_tiers",
    "environments",
    "tiers",
    "actions",
    "order",
    "gates",
    "advisory",
    "rules",
    "expires_after",
    "evidence_ttl",
    "reauthenticate",
    "rollback_within",
    "alias_moves",
    // A gate.
    "kind",
    "name",
    "metric",
    "better",
    "threshold",
    "min_gain",
    "confidence",
    "columns",
    "floor",
    "max_drop",
    "min_rows",
    "percentile",
    "max_ms",
    "requests",
    "sections",
    "max_age",
    "datasets",
    "metrics",
    "tolerance",
    "timeout",
    "query",
    "bound",
    "expression",
    // A rule.
    "eligible",
    "users",
    "teams",
    "roles",
    "approvals",
    "distinct_from",
    "checklist",
    "inputs",
    "choices",
    "optional",
    "justification",
];

/// The largest file.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

impl PolicyDocument {
    /// Reads a policy's file.
    ///
    /// # Errors
    /// With what is wrong, and where.
    pub fn parse(source: &str) -> Result<Self, FileErrors> {
        let one = |problem: Problem| FileErrors(vec![problem]);
        if source.len() > MAX_FILE_BYTES {
            let message = format!("A policy has at most {} KiB.", MAX_FILE_BYTES / 1024);
            return Err(one(Problem::new(At { line: 1, column: 1 }, message)));
        }
        let root = yaml::read(source).map_err(one)?;
        if !matches!(root.yaml, Yaml::Map(_)) {
            return Err(one(Problem::new(
                root.at,
                "A policy is a mapping: gates, rules and the like, each with a colon.",
            )));
        }
        let value = value(&root).map_err(one)?;
        Self::from_tree(&root, &value).map_err(one)
    }

    /// Reads the part of a pipeline's file that says who is asked: `rules`, or `approvals` for so many with the role
    /// approver; one, when it says neither.
    pub(crate) fn read_approval(node: &Node) -> Result<Self, Problem> {
        let root = Rc::new(node.clone());
        let mut value = value(&root)?;
        if let Some(map) = value.as_object_mut()
            && !map.contains_key("rules")
        {
            let approvals = map.remove("approvals").unwrap_or_else(|| 1.into());
            if !approvals.as_u64().is_some_and(|approvals| (1..=20).contains(&approvals)) {
                let at = find(&root, ["approvals"].into_iter()).1;
                return Err(Problem::new(at, "\"approvals\" is a whole number from 1 to 20."));
            }
            map.insert("rule".to_owned(), serde_json::json!({ "approvals": approvals }));
        }
        Self::from_tree(&root, &value)
    }

    /// Reads a document from this tree; what is wrong is looked for in the nodes that it came from.
    fn from_tree(root: &Rc<Node>, value: &Value) -> Result<Self, Problem> {
        let document: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let segments: Vec<String> = error.path().iter().map(ToString::to_string).collect();
            let (node, at) = find(root, segments.iter().map(String::as_str));
            let message = error.inner().to_string();
            Problem::new(in_gate(&node, &message).unwrap_or(at), sentence(&message))
        })?;
        document.validate().map_err(|error| {
            let path = error.field.as_deref().unwrap_or_default().to_owned();
            Problem::new(find(root, path.split('/')).1, error.message)
        })?;
        Ok(document)
    }

    /// Writes it as YAML that [`PolicyDocument::parse`] reads again.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or(Value::Null);
        let mut text = String::new();
        write(&mut text, &value, 0);
        text
    }
}

/// A value as a tree of JSON.
fn value(node: &Rc<Node>) -> Result<Value, Problem> {
    Ok(match &node.yaml {
        Yaml::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Value::Null,
            Meaning::Bool(truth) => Value::Bool(truth),
            Meaning::Text(text) => Value::String(text.to_owned()),
            Meaning::Unclear(text) => {
                let message = format!("Write \"{text}\" in quotes for the text, or true or false.");
                return Err(Problem::new(node.at, message));
            }
            Meaning::Number(number) => whole(number)
                .map(Value::Number)
                .or_else(|| Number::from_f64(number).map(Value::Number))
                .ok_or_else(|| Problem::new(node.at, "This is not a finite number."))?,
        },
        Yaml::List(items) => Value::Array(items.iter().map(value).collect::<Result<_, _>>()?),
        Yaml::Map(entries) => {
            let (mut map, mut seen) = (Map::new(), HashSet::new());
            for (key, item) in entries {
                let Yaml::Scalar(name) = &key.yaml else {
                    return Err(Problem::new(key.at, "A name is expected here."));
                };
                if !seen.insert(name.text.as_str()) {
                    return Err(Problem::new(key.at, format!("\"{}\" is given twice.", show(&name.text))));
                }
                map.insert(name.text.clone(), value(item)?);
            }
            Value::Object(map)
        }
    })
}

/// A whole number that a count can be, as one.
fn whole(number: f64) -> Option<Number> {
    #[allow(clippy::cast_possible_truncation)] // checked
    let fits = number.fract() == 0.0 && number.abs() < 9e15;
    #[allow(clippy::cast_possible_truncation)]
    fits.then(|| Number::from(number as i64))
}

/// Where in a gate the value is that serde complains of. It reads the whole gate before it knows its kind, and then tells
/// no path: the value is the one without which the complaint is another, or none.
fn in_gate(node: &Rc<Node>, complaint: &str) -> Option<At> {
    let Yaml::Map(entries) = &node.yaml else { return None };
    let Ok(Value::Object(gate)) = value(node) else { return None };
    let said = |gate: Map<String, Value>| serde_json::from_value::<GateSpec>(Value::Object(gate)).err();
    if said(gate.clone())?.to_string() != complaint {
        return None;
    }
    let named = |key: &Node| match &key.yaml {
        Yaml::Scalar(name) => name.text.clone(),
        _ => String::new(),
    };
    // Without its kind a gate is wrong in another way, whatever else is wrong with it.
    let (kind, others): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| named(key) == "kind");
    let culprit = others.into_iter().find(|(key, _)| {
        let mut without = gate.clone();
        without.remove(&named(key));
        said(without).is_none_or(|error| error.to_string() != complaint)
    });
    match culprit {
        Some((_, item)) => Some(item.at),
        None if complaint.starts_with("unknown variant") => kind.first().map(|(_, item)| item.at),
        None => None,
    }
}

/// The last part of a path that there is, and where it is.
fn find<'a>(root: &Rc<Node>, path: impl Iterator<Item = &'a str>) -> (Rc<Node>, At) {
    let (mut node, mut at) = (Rc::clone(root), root.at);
    for part in path {
        let next = match &node.yaml {
            Yaml::List(items) => part.trim_matches(['[', ']']).parse().ok().and_then(|n: usize| items.get(n).cloned()),
            Yaml::Map(entries) => entries
                .iter()
                .find(|(key, _)| matches!(&key.yaml, Yaml::Scalar(name) if name.text == part))
                .map(|(_, item)| Rc::clone(item)),
            Yaml::Scalar(_) => None,
        };
        match next {
            Some(next) => (at, node) = (next.at, next),
            None => break,
        }
    }
    (node, at)
}

fn write(text: &mut String, value: &Value, indent: usize) {
    use std::fmt::Write as _;
    let pad = "  ".repeat(indent);
    match value {
        Value::Object(map) => {
            let place = |key: &String| ORDER.iter().position(|name| name == key).unwrap_or(ORDER.len());
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| place(key));
            for (key, item) in entries {
                match item {
                    Value::Object(inner) if !inner.is_empty() => {
                        let _ = writeln!(text, "{pad}{}:", scalar(key));
                        write(text, item, indent + 1);
                    }
                    Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
                        let _ = writeln!(text, "{pad}{}:", scalar(key));
                        write(text, item, indent + 1);
                    }
                    _ => {
                        let _ = writeln!(text, "{pad}{}: {}", scalar(key), inline(item));
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                write(&mut inner, item, indent + 1);
                let _ = write!(text, "{pad}- {}", inner.trim_start());
            }
        }
        other => {
            let _ = writeln!(text, "{pad}{}", inline(other));
        }
    }
}

/// A value on one line: a list of simple ones in brackets.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A text, in quotes only where it needs them.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@ ".contains(c) || (c.is_alphanumeric() && c < '\u{2000}');
    let words = ["true", "false", "null", "yes", "no", "on", "off"];
    let simple = text.chars().all(plain)
        && text.chars().next().is_some_and(char::is_alphabetic)
        && !words.contains(&text.to_lowercase().as_str());
    // A span of time begins with a digit and is still a text.
    if text.trim() == text && (simple || text.parse::<crate::duration::Span>().is_ok()) {
        return text.to_owned();
    }
    yaml::quoted(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        environment::PRODUCTION,
        policy::{Rule, Scope},
    };

    const RISKY: &str = "
description: Credit decisions
scope:
  models: [credit-*]
  risk_tiers: [high]
  tiers: [production]
order: skip
gates:
  - kind: better_than_champion
    metric: accuracy
    min_gain: 0.01
    confidence: 0.95
  - kind: cel
    name: No gate is close
    expression: gates.all(g, g.passed)
advisory:
  - {kind: latency_budget, max_ms: 20}
rules:
  - name: risk
    eligible: {teams: [risk-approvers]}
    approvals: 2
    distinct_from: [requester, trainer, code_author, 'rule:product']
    checklist: [I read the model card]
    inputs:
      - {name: ticket}
      - {name: severity, kind: choice, choices: [low, high]}
    justification: true
  - name: product
    eligible: {users: [owner@example.com], roles: [approver]}
expires_after: 2d
evidence_ttl: 12h
reauthenticate: true
";

    #[test]
    fn a_file_becomes_a_document_and_is_written_to_be_read_again() {
        let document = PolicyDocument::parse(RISKY).unwrap();
        assert_eq!((document.rules.len(), document.gates.len(), document.advisory.len()), (2, 2, 1));
        assert_eq!(document.rules[0].approvals, 2);
        let yaml = document.to_yaml();
        let top: Vec<&str> = yaml.lines().filter(|line| !line.starts_with([' ', '-'])).collect();
        let names: Vec<&str> = top.iter().filter_map(|line| Some(line.split_once(':')?.0)).collect();
        assert_eq!(names[..6], ["description", "scope", "order", "gates", "advisory", "rules"], "{yaml}");
        assert!(yaml.contains("  - kind: better_than_champion\n    metric: accuracy\n"), "{yaml}");
        assert!(yaml.contains("  - name: risk\n    eligible:\n"), "{yaml}");
        assert_eq!(PolicyDocument::parse(&document.to_yaml()), Ok(document));
        for initial in [PolicyDocument::initial(PRODUCTION), PolicyDocument::default()] {
            assert_eq!(PolicyDocument::parse(&initial.to_yaml()), Ok(initial.clone()), "{}", initial.to_yaml());
        }
        let tags = [("a: b", "#"), ("- x", " 7d"), ("yes", "\u{2028}\u{85}\u{feff}"), ("\"", "\\"), ("1", "1e3")];
        let scope = Scope { tags: tags.map(|(k, v)| (k.to_owned(), v.to_owned())).into(), ..Scope::default() };
        let tagged = PolicyDocument { scope, ..PolicyDocument::default() };
        assert_eq!(PolicyDocument::parse(&tagged.to_yaml()), Ok(tagged.clone()), "{}", tagged.to_yaml());
        let odd = PolicyDocument {
            description: "\"yes\": # no\n- x".to_owned(),
            rules: vec![Rule { name: "0x1F".to_owned(), ..Rule::of_approvers(1) }],
            ..PolicyDocument::default()
        };
        assert_eq!(PolicyDocument::parse(&odd.to_yaml()), Ok(odd.clone()), "{}", odd.to_yaml());
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (source, line, words) in [
            ("", 1, "The file is empty."),
            ("- a", 1, "A policy is a mapping"),
            ("gates: [\n", 1, "not valid YAML"),
            ("gates:\n  - kind: golden_row\n    tolerance: -1\n", 3, "0 or more"),
            ("gates:\n  - kind: golden_row\n    tolerence: 1\n", 3, "Unknown field `tolerence`"),
            ("gates:\n  - kind: latency_budget\n    max_ms: 5\n    percentile: high\n", 4, "Invalid type"),
            ("gates:\n  - kind: latency_budget\n    requests: 20\n", 2, "Missing field `max_ms`"),
            ("gates:\n  - kind: promql\n    query: up\n    bound: {at_least: x}\n", 4, "Invalid type"),
            ("gates:\n  - kind: golden\n", 2, "Unknown variant `golden`"),
            ("rules:\n  - name: a\n    eligible: {roles: [boss]}\n", 3, "Unknown variant `boss`"),
            ("rules:\n  - name: a\n    eligible: {roles: [approver]}\n    approvals: 300\n", 4, "u8"),
            ("rules:\n  - name: a\n    eligible: {roles: [approver]}\n    approvals: 0\n", 4, "from 1 to 20"),
            (
                "rules:\n  - name: a\n    eligible: {roles: [approver]}\n    distinct_from: [boss]\n",
                4,
                "One of requester",
            ),
            ("expires_after: 3 weeks\n", 1, "Write a span of time as"),
            ("expires_after: 7d\nexpires_after: 8d\n", 2, "given twice"),
            ("description: yes\n", 1, "in quotes"),
            ("scope:\n  actions: []\n", 2, "at least one action"),
            ("rules: []\nwhatever: 1\n", 2, "Unknown field `whatever`"),
        ] {
            let errors = PolicyDocument::parse(source).unwrap_err();
            let problem = &errors.0[0];
            assert!(problem.message.contains(words), "{source:?}: {problem}");
            assert_eq!(problem.line, line, "{source:?}: {problem}");
        }
    }

    mod properties {
        use super::*;
        use crate::{
            duration::Span,
            permission::Role,
            policy::{Action, AliasMoves, Better, Bound, Distinct, Eligible, GateSpec, InputKind, InputSpec, Order},
            user::Email,
        };
        use proptest::{collection::*, option, prelude::*};

        /// A text that a file could get wrong: signs of YAML, words that are values, spaces, odd characters.
        fn text() -> impl Strategy<Value = String> {
            prop_oneof![
                "[a-z0-9:#&*!|>'\"%@`{}\\[\\],?~ /\\\\-]{1,12}",
                "\\PC{1,6}",
                "(yes|No|true|null|~|1e3|0x1F|-1|[.]nan|7d| 7d|1h30m|---|- a|a: b|a #b|<<|=)",
            ]
            .prop_filter("a name is seen", |text| !text.trim().is_empty())
        }

        /// The same with everything that a description or an expression may hold besides.
        fn free() -> impl Strategy<Value = String> {
            prop_oneof![
                text(),
                any::<String>().prop_map(|text| text.replace('\0', "")),
                "[ \n\t\r\u{85}\u{2028}\u{feff}a]{1,8}"
            ]
        }

        fn number() -> impl Strategy<Value = f64> {
            prop_oneof![-2.0..2.0_f64, (-50_i32..50).prop_map(f64::from), prop::num::f64::NORMAL]
        }

        fn amount() -> impl Strategy<Value = f64> {
            number().prop_map(f64::abs)
        }

        fn span(seconds: std::ops::Range<u64>) -> impl Strategy<Value = Span> {
            seconds.prop_map(Span::of_seconds)
        }

        fn better() -> impl Strategy<Value = Better> {
            prop_oneof![Just(Better::Higher), Just(Better::Lower)]
        }

        fn gate() -> impl Strategy<Value = GateSpec> {
            prop_oneof![
                (text(), better(), number()).prop_map(|(metric, better, threshold)| GateSpec::MetricThreshold {
                    metric,
                    better,
                    threshold
                }),
                (text(), better(), amount(), option::of(0.5..1.0_f64)).prop_map(
                    |(metric, better, min_gain, confidence)| {
                        GateSpec::BetterThanChampion { metric, better, min_gain, confidence }
                    }
                ),
                (text(), better(), vec(text(), 1..4), number(), option::of(amount()), any::<bool>(), 1..1000_u32)
                    .prop_map(|(metric, better, columns, floor, max_drop, floored, min_rows)| {
                        let floor = (floored || max_drop.is_none()).then_some(floor);
                        GateSpec::SliceFloor { metric, better, columns, floor, max_drop, min_rows }
                    }),
                (0.001..99.9_f64, 0.001..1e6_f64, 10..10_000_u32).prop_map(|(percentile, max_ms, requests)| {
                    GateSpec::LatencyBudget { percentile, max_ms, requests }
                }),
                amount().prop_map(|tolerance| GateSpec::GoldenRow { tolerance }),
                Just(GateSpec::SignatureCompatible {}),
                (vec(text(), 0..3), option::of(span(1..10_000_000)))
                    .prop_map(|(sections, max_age)| GateSpec::ModelCard { sections, max_age }),
                vec(text(), 0..3).prop_map(|datasets| GateSpec::DatasetChecked { datasets }),
                (vec(text(), 0..3), amount())
                    .prop_map(|(metrics, tolerance)| GateSpec::Reproduced { metrics, tolerance }),
                (text(), span(60..2_592_000)).prop_map(|(name, timeout)| GateSpec::External { name, timeout }),
                (text(), number(), any::<bool>()).prop_map(|(query, limit, least)| {
                    let bound = if least { Bound::AtLeast(limit) } else { Bound::AtMost(limit) };
                    GateSpec::Promql { query, bound }
                }),
                (text(), free()).prop_map(|(name, expression)| GateSpec::Cel { name, expression }),
            ]
        }

        fn input() -> impl Strategy<Value = InputSpec> {
            let kind = prop_oneof![
                Just(InputKind::Text),
                Just(InputKind::Number),
                Just(InputKind::Boolean),
                Just(InputKind::Choice)
            ];
            (text(), kind, vec(text(), 1..3), any::<bool>()).prop_map(|(name, kind, choices, optional)| InputSpec {
                choices: if kind == InputKind::Choice { choices } else { Vec::new() },
                name,
                kind,
                optional,
            })
        }

        fn rule() -> impl Strategy<Value = Rule> {
            let email = "[a-z0-9.'+#-]{1,8}@[a-z]{1,5}".prop_map(|text| Email::parse(&text).unwrap());
            let roles = btree_set(prop::sample::select(Role::ALL.to_vec()), 0..3);
            let eligible = (btree_set(email, 0..3), btree_set(text(), 0..3), roles)
                .prop_map(|(users, teams, roles)| Eligible { users, teams, roles });
            let distinct = prop::sample::select(vec![
                Distinct::Requester,
                Distinct::Trainer,
                Distinct::CodeAuthor,
                Distinct::Evaluator,
            ]);
            (
                text(),
                eligible,
                1..20_u8,
                btree_set(distinct, 0..4),
                vec(text(), 0..3),
                vec(input(), 0..3),
                any::<bool>(),
            )
                .prop_map(
                    |(name, eligible, approvals, distinct_from, checklist, inputs, justification)| Rule {
                        name,
                        eligible,
                        approvals,
                        distinct_from,
                        checklist,
                        inputs,
                        justification,
                    },
                )
        }

        fn scope() -> impl Strategy<Value = Scope> {
            let names = || btree_set(text(), 0..3);
            // With promoting, any gate is one that runs; what else an action lets a policy ask is tested beside it.
            let any = [Action::Deploy, Action::ShiftTraffic, Action::Retire, Action::OverrideFreeze];
            let actions = btree_set(prop::sample::select(any.to_vec()), 0..3).prop_map(|mut actions| {
                actions.insert(Action::Promote);
                actions
            });
            (names(), btree_map(free(), free(), 0..3), names(), names(), names(), actions).prop_map(
                |(models, tags, risk_tiers, environments, tiers, actions)| Scope {
                    models,
                    tags,
                    risk_tiers,
                    environments,
                    tiers,
                    actions,
                },
            )
        }

        fn document() -> impl Strategy<Value = PolicyDocument> {
            let parts = (free(), scope(), any::<[bool; 3]>(), vec(gate(), 0..4), vec(gate(), 0..2), vec(rule(), 0..3));
            let spans = (span(60..10_000_000), option::of(span(60..10_000_000)), span(0..10_000_000));
            (parts, spans).prop_map(
                |((description, scope, [skip, reauthenticate, asks], gates, advisory, mut rules), spans)| {
                    if let [one, other, ..] = rules.as_mut_slice() {
                        one.distinct_from.insert(Distinct::Rule(other.name.clone()));
                    }
                    PolicyDocument {
                        description,
                        scope,
                        order: if skip { Order::Skip } else { Order::Follow },
                        gates,
                        advisory,
                        rules,
                        expires_after: spans.0,
                        evidence_ttl: spans.1,
                        reauthenticate,
                        rollback_within: spans.2,
                        alias_moves: if asks { AliasMoves::Request } else { AliasMoves::Refuse },
                    }
                },
            )
        }

        proptest! {
            #[test]
            fn a_valid_document_is_written_to_be_read_again(document in document()) {
                prop_assume!(document.validate().is_ok());
                let yaml = document.to_yaml();
                prop_assert_eq!(PolicyDocument::parse(&yaml), Ok(document.clone()), "{}", yaml);
                for line in yaml.lines().filter(|_| document.scope.tags.is_empty()) {
                    let name = line.trim_start_matches([' ', '-']).split(':').next().unwrap_or_default();
                    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                    let at_end = ["at_least", "at_most"];
                    prop_assert!(!is_name || ORDER.contains(&name) || at_end.contains(&name), "{name} has no place");
                }
                let json = serde_json::to_value(&document).unwrap();
                prop_assert_eq!(serde_json::from_value::<PolicyDocument>(json).unwrap(), document);
            }

            #[test]
            fn no_text_panics(source in "[a-z0-9:\\-\\[\\]{}&*!|>'\"#%@` \n\t,?\\\\]{0,80}") {
                let _ = PolicyDocument::parse(&source);
            }
        }
    }
}
