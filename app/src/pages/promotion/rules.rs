//! The rules: who agreed, who still can, who cannot and why.

use crate::{format, ui::prelude::*};
use domain::{
    Digest,
    id::UserId,
    promotion::{Candidacy, Decision, DecisionVerdict, RuleStanding},
};
use leptos::prelude::*;

/// What people vote on, as the reader sees it.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// How each rule stands.
    pub rules: Vec<RuleStanding>,
    /// Decisions, oldest first.
    pub decisions: Vec<Decision>,
    /// What is decided on now.
    pub digest: Option<Digest>,
    /// Whether people are asked now.
    pub awaiting: bool,
    /// Who looks.
    pub me: UserId,
    /// Said where nobody is asked.
    pub nobody: &'static str,
}

impl Ballot {
    /// The rules that the reader has a place in.
    #[must_use]
    pub fn mine(&self) -> Vec<RuleStanding> {
        let counts = |rule: &&RuleStanding| {
            rule.people.iter().any(|person| person.user_id == self.me && person.barred.is_none())
        };
        self.rules.iter().filter(counts).cloned().collect()
    }

    /// What the reader decided on the present subject.
    #[must_use]
    pub fn decided(&self) -> Option<DecisionVerdict> {
        self.last_of(self.me).map(|one| one.verdict)
    }

    /// What somebody decided last on the present subject.
    fn last_of(&self, user: UserId) -> Option<&Decision> {
        let digest = self.digest.as_ref()?;
        self.decisions.iter().rev().find(|one| one.user_id == user && one.subject_digest == *digest)
    }

    /// What somebody decided on the present subject, for this rule or against the whole.
    fn decision(&self, user: UserId, key: &str) -> Option<&Decision> {
        let counts =
            |last: &&Decision| last.verdict != DecisionVerdict::Approve || last.rules.iter().any(|rule| rule == key);
        self.last_of(user).filter(counts)
    }
}

/// What a rule asks for, in words: `2 of team risk, not the requester or the trainer`.
#[must_use]
pub fn need(standing: &RuleStanding) -> String {
    crate::pages::policy::rule_words(&standing.rule)
}

/// The rules of every policy, each with its people.
#[component]
pub fn Rules(
    /// What people vote on.
    ballot: Ballot,
    /// The addresses of the workspace.
    links: Links,
) -> impl IntoView {
    let first = ballot.rules.first().map(|rule| rule.policy.as_str());
    let several = ballot.rules.iter().any(|rule| Some(rule.policy.as_str()) != first);
    let note = match ballot.rules.len() {
        0 => String::new(),
        1 => "it must be met".to_owned(),
        many => format!("all {many} must be met"),
    };
    let nobody = ballot.rules.is_empty().then_some(ballot.nobody);
    let rules = ballot
        .rules
        .clone()
        .into_iter()
        .map(|rule| view! { <OneRule ballot=ballot.clone() links=links.clone() rule several/> })
        .collect_view();
    view! {
        <Panel title="Rules" id="rules" note>
            {nobody.map(|nobody| view! { <Body><p class="muted">{nobody}</p></Body> })}
            {rules}
        </Panel>
    }
}

#[component]
fn OneRule(ballot: Ballot, links: Links, rule: RuleStanding, several: bool) -> impl IntoView {
    let mark = if rule.met {
        view! { <StateMark state=State::Passed word="Met"/> }.into_any()
    } else {
        view! { <StateMark state=State::Waiting word=format!("Needs {}", rule.missing())/> }.into_any()
    };
    let (awaiting, me) = (ballot.awaiting, ballot.me);
    let key = rule.key();
    let met = rule.met;
    let mut people = rule.people.clone();
    // Who agreed first, then who can, then who cannot.
    let decided = |person: &Candidacy| ballot.decision(person.user_id, &key).is_some();
    people.sort_by_key(|person| (!decided(person), person.barred.is_some(), person.user_id != me));
    let rows = people
        .into_iter()
        .map(|person| {
            let made = ballot.decision(person.user_id, &key).cloned();
            view! { <PersonRow person made met awaiting me/> }
        })
        .collect_view();
    let nobody = rule.people.is_empty();
    let policy = several.then(|| {
        let href = links.policy(&rule.policy);
        view! { <a class="need" href=href>{rule.policy.clone()}</a> }
    });
    view! {
        <article class="rule">
            <header>
                <h3>{format::capitalised(&rule.rule.name)}</h3>
                <span class="need">{need(&rule)}</span>
                {policy}
                {mark}
            </header>
            {nobody.then(|| view! { <p class="muted small">"Nobody in this workspace is named by it: it cannot be met until somebody is."</p> })}
            <ul class="people">{rows}</ul>
        </article>
    }
}

#[component]
fn PersonRow(person: Candidacy, made: Option<Decision>, met: bool, awaiting: bool, me: UserId) -> impl IntoView {
    let (shape, word) = match (made.as_ref().map(|made| made.verdict), &person.barred) {
        (Some(DecisionVerdict::Approve), None) => (State::Passed, "Approved"),
        (Some(DecisionVerdict::Approve), Some(_)) => (State::Skipped, "No longer counts"),
        (Some(DecisionVerdict::Reject), _) => (State::Failed, "Rejected"),
        (Some(DecisionVerdict::RequestChanges), _) => (State::Warning, "Wants changes"),
        (None, Some(_)) => (State::Skipped, "May not"),
        (None, None) if met => (State::Queued, "Not needed"),
        (None, None) if !awaiting => (State::Queued, "Not asked"),
        (None, None) => (State::Waiting, "Can approve"),
    };
    let stands_in = person.acting_for.as_ref().map(|away| format!("Stands in for {away}"));
    let given = made.as_ref().map(given).unwrap_or_default();
    let why = match (made, &person.barred) {
        (Some(made), barred) => {
            let when = format::relative(made.at, now());
            let said = if made.comment.is_empty() { when } else { format!("{when}: “{}”", made.comment) };
            let barred = barred.as_ref().filter(|_| made.verdict == DecisionVerdict::Approve);
            [Some(said), stands_in, barred.cloned()].into_iter().flatten().collect::<Vec<_>>().join(" · ")
        }
        (None, Some(barred)) => barred.clone(),
        (None, None) => stands_in.unwrap_or_default(),
    };
    let given = (!given.is_empty()).then(|| view! { <span class="given">{given}</span> });
    view! {
        <li class=person.barred.is_some().then_some("barred")>
            <Avatar name=person.name.clone()/>
            <span class="who">
                {person.name}
                {(person.user_id == me).then(|| view! { " "<Tag text="you"/> })}
            </span>
            <StateMark state=shape word=word/>
            <span class="why">{why}{given}</span>
        </li>
    }
}

/// What came with a yes: values and ticks.
fn given(made: &Decision) -> String {
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(true) => "yes".to_owned(),
        serde_json::Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    };
    let inputs = made.inputs.values().flatten().map(|(name, value)| format!("{name}: {}", word(value)));
    let ticks: usize = made.checked.values().map(Vec::len).sum();
    let ticks = (ticks > 0)
        .then(|| format::count(i64::try_from(ticks).unwrap_or_default(), "point confirmed", "points confirmed"));
    let password = made.reauthenticated.then(|| "with password".to_owned());
    inputs.chain(ticks).chain(password).collect::<Vec<_>>().join(", ")
}
