//! Policies: which there are and where they hold, one with its revisions, and the editor of its file.

mod edit;
mod list;
mod one;
mod simulation;

pub use edit::{Edit, starter};
pub use list::Policies;
pub use one::{One, PolicyPage};

use crate::{format, ui::prelude::*};
use domain::policy::{Distinct, GateSpec, Policy, PolicyDocument, Rule};
use leptos::prelude::*;

/// A gate in words, with what the short form leaves out.
#[must_use]
pub fn gate_words(gate: &GateSpec) -> String {
    match gate {
        GateSpec::GoldenRow { tolerance } => format!("{}, within {}", gate.title(), format::number(*tolerance)),
        GateSpec::BetterThanChampion { confidence: Some(share), .. } => {
            format!("{}, with {} confidence", gate.title(), format::percent(*share))
        }
        other => other.title(),
    }
}

/// What a rule asks for, in words: `2 of team risk, not the requester or the trainer`.
#[must_use]
pub fn rule_words(rule: &Rule) -> String {
    let who = rule.eligible.words();
    let others: Vec<String> = rule
        .distinct_from
        .iter()
        .map(|distinct| match distinct {
            Distinct::Requester => "the requester".to_owned(),
            Distinct::Trainer => "the trainer".to_owned(),
            Distinct::CodeAuthor => "the author of the code".to_owned(),
            Distinct::Evaluator => "the evaluator".to_owned(),
            Distinct::Rule(name) => format!("anybody of {name}"),
        })
        .collect();
    let not = match others.as_slice() {
        [] => String::new(),
        [one] => format!(", not {one}"),
        [most @ .., last] => format!(", not {} or {last}", most.join(", ")),
    };
    format!("{} of {who}{not}", rule.approvals)
}

/// How many gates and rules, in words.
#[must_use]
pub fn asks(document: &PolicyDocument) -> String {
    let count = |n: usize, one: &str, many: &str| format::count(i64::try_from(n).unwrap_or_default(), one, many);
    let people: usize = document.rules.iter().map(|rule| usize::from(rule.approvals)).sum();
    let people = if people == 0 { "nobody is asked".to_owned() } else { count(people, "yes", "yeses") };
    format!("{}, {people}", count(document.gates.len(), "gate", "gates"))
}

/// What a policy asks for, line by line.
#[component]
pub fn Asked(
    /// The policy's document.
    document: PolicyDocument,
) -> impl IntoView {
    let line = |symbol: Symbol, words: String, more: Option<String>| {
        view! {
            <li>
                <span class="tone" data-s="idle"><Icon symbol/></span>
                <span>{words}{more.map(|more| view! { <span class="muted">{more}</span> })}</span>
            </li>
        }
    };
    let gates = document.gates.iter().map(|gate| line(Symbol::Shield, gate_words(gate), None)).collect_view();
    let none = document.gates.is_empty().then(|| line(Symbol::Skip, "No gate runs".to_owned(), None));
    let advisory = document
        .advisory
        .iter()
        .map(|gate| line(Symbol::Shield, gate_words(gate), Some(", advisory".to_owned())))
        .collect_view();
    let rules = document
        .rules
        .iter()
        .map(|rule| line(Symbol::People, format::capitalised(&rule.name), Some(format!(": {}", rule_words(rule)))))
        .collect_view();
    let nobody = document.rules.is_empty().then(|| line(Symbol::Skip, "Nobody is asked".to_owned(), None));
    view! { <ul class="needs">{none}{gates}{advisory}{nobody}{rules}</ul> }
}

/// The file of a policy: as its author wrote it, or written from what it says.
#[must_use]
pub fn source(policy: &Policy) -> String {
    policy.source.clone().unwrap_or_else(|| policy.document.to_yaml())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_is_told_in_words() {
        let of = |value| rule_words(&serde_json::from_value(value).unwrap());
        assert_eq!(
            of(json!({"name": "a", "eligible": {"teams": ["risk"]}, "approvals": 2})),
            "2 of team risk, not the requester"
        );
        let many = json!({"name": "a", "eligible": {"roles": ["approver"]},
            "distinct_from": ["requester", "trainer", "rule:b"]});
        assert_eq!(of(many), "1 of role approver, not the requester, the trainer or anybody of b");
        assert_eq!(of(json!({"name": "a", "eligible": {"roles": ["admin"]}, "distinct_from": []})), "1 of role admin");
    }
}
