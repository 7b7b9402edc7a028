//! The form that decides: a verdict on the digest that the page showed, with what the rules ask for.

use super::super::{Form, PageResult, View};
use crate::extract::Path;
use app::pages::promotion::{check_field, input_field};
use domain::{
    Error,
    policy::InputKind,
    promotion::{DecisionVerdict, RuleStanding},
    user::Password,
};
use serde_json::{Number, Value};
use services::NewDecision;
use std::collections::BTreeMap;

/// Decides, or shows the page again with what was typed.
pub(super) async fn decide(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let decided = async {
        let (services, ctx) = (view.services(), view.ctx()?);
        let rules = services.promotion(ctx, number).await?.rules;
        let new = new_decision(&form, &rules)?;
        let verdict = new.verdict;
        services.decide_promotion(ctx, number, new).await.map(|_| verdict)
    };
    let decided = decided.await;
    super::answered(view, number, &form, decided, |verdict| {
        match verdict {
            DecisionVerdict::Approve => "You approved it.",
            DecisionVerdict::Reject => "You rejected it.",
            DecisionVerdict::RequestChanges => "You asked for changes.",
        }
        .to_owned()
    })
    .await
}

/// What the form of a decision says, under these rules.
///
/// # Errors
/// `Invalid` without a verdict, or without what was looked at.
pub(in crate::pages) fn new_decision(form: &Form, rules: &[RuleStanding]) -> Result<NewDecision, Error> {
    let verdict = DecisionVerdict::parse(form.text("verdict"))
        .ok_or_else(|| Error::invalid("Press Approve, Request changes or Reject."))?;
    let subject_digest = form
        .text("subject_digest")
        .parse()
        .map_err(|_| Error::invalid("The form does not say what you looked at; open the page again."))?;
    let password = Some(form.raw("password")).filter(|text| !text.is_empty());
    Ok(NewDecision {
        verdict,
        comment: form.lines("comment"),
        subject_digest,
        rules: form.all("rules").map(ToOwned::to_owned).collect(),
        inputs: inputs(form, rules),
        checked: checked(form, rules),
        password: password.map(Password::given),
    })
}

/// The ticks of each rule's checklist.
fn checked(form: &Form, rules: &[RuleStanding]) -> BTreeMap<String, Vec<String>> {
    let of = |rule: &RuleStanding| {
        let key = rule.key();
        let ticks: Vec<String> = form.all(&check_field(&key)).map(ToOwned::to_owned).collect();
        (!ticks.is_empty()).then_some((key, ticks))
    };
    rules.iter().filter_map(of).collect()
}

/// What each rule asks for, as the values that they are; what is not of its sort stays the text that it is, which is
/// refused with a sentence.
fn inputs(form: &Form, rules: &[RuleStanding]) -> BTreeMap<String, BTreeMap<String, Value>> {
    let of = |rule: &RuleStanding| {
        let key = rule.key();
        let values = rule.rule.inputs.iter().filter_map(|input| {
            let text = form.text(&input_field(&key, &input.name)).to_owned();
            let value = match input.kind {
                _ if text.is_empty() => return None,
                InputKind::Number => number(&text).map_or(Value::String(text), Value::Number),
                InputKind::Boolean if text == "yes" || text == "no" => Value::Bool(text == "yes"),
                InputKind::Boolean | InputKind::Text | InputKind::Choice => Value::String(text),
            };
            Some((input.name.clone(), value))
        });
        let values: BTreeMap<String, Value> = values.collect();
        (!values.is_empty()).then_some((key, values))
    };
    rules.iter().filter_map(of).collect()
}

fn number(text: &str) -> Option<Number> {
    text.parse::<i64>().map(Number::from).ok().or_else(|| Number::from_f64(text.replace(',', ".").parse().ok()?))
}
