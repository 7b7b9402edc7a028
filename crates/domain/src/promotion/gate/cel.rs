//! An expression over all the evidence; what one may be is in [`crate::expression`].

use super::{Finding, held};
use crate::{
    expression::{self, of_json},
    policy::GateSpec,
    promotion::{Uploaded, Verdict},
};
use ::cel::{
    Value,
    common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What an expression knows of.
pub const VARIABLES: [&str; 10] =
    ["metrics", "champion_metrics", "gates", "model", "version", "environment", "datasets", "code", "evidence", "tags"];

/// Reads an expression.
///
/// # Errors
/// What is wrong with it and where; a sentence.
pub fn check(expression: &str) -> Result<(), String> {
    expression::check(expression, &VARIABLES)
}

/// What an expression is evaluated over.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// `metrics`: of the version's run. Those that are no finite number are left out.
    pub metrics: &'a BTreeMap<String, f64>,
    /// `champion_metrics`: of the champion's run; empty without a champion.
    pub champion_metrics: &'a BTreeMap<String, f64>,
    /// `gates`: those that decide, but for expressions, with what they found.
    pub gates: Vec<(&'a GateSpec, &'a Finding)>,
    /// `model`
    pub model: &'a str,
    /// `version`
    pub version: i32,
    /// `environment`
    pub environment: &'a str,
    /// `datasets`: digests by name.
    pub datasets: &'a [(String, String)],
    /// `code`: the commit; empty when the run names none.
    pub code: &'a str,
    /// `evidence`: what was uploaded, by name.
    pub evidence: &'a [Uploaded],
    /// `tags`: of the version, and those of its model that it has not itself.
    pub tags: &'a BTreeMap<String, String>,
}

/// Whether an expression is true. Whatever cannot be evaluated, or is neither true nor false, cannot be told.
#[must_use]
pub fn cel(expression: &str, known: &Known<'_>) -> Finding {
    let evidence = |value: Option<bool>| json!({ "expression": expression, "value": value });
    match expression::evaluate(expression, &VARIABLES, |name, expression| Ok(known.value(name, expression))) {
        Ok(value) => Finding {
            verdict: held(value),
            measured: value.to_string(),
            limit: "true".to_owned(),
            reason: if value { "The expression is true." } else { "The expression is false." }.to_owned(),
            evidence: evidence(Some(value)),
        },
        Err(sentence) => Finding::inconclusive("true", sentence).with(evidence(None)),
    }
}

impl Known<'_> {
    fn value(&self, name: &str, expression: &IdedExpr) -> Value {
        fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
            entries.collect::<HashMap<String, Value>>().into()
        }
        let text = |text: &str| Value::from(text);
        let numbers = |metrics: &BTreeMap<String, f64>| {
            let finite = metrics.iter().filter(|(_, value)| value.is_finite());
            map(finite.map(|(name, value)| (name.clone(), Value::Float(*value))))
        };
        match name {
            "metrics" => numbers(self.metrics),
            "champion_metrics" => numbers(self.champion_metrics),
            "model" => text(self.model),
            "environment" => text(self.environment),
            "code" => text(self.code),
            "version" => Value::Int(self.version.into()),
            "datasets" => map(self.datasets.iter().map(|(name, digest)| (name.clone(), text(digest)))),
            "tags" => map(self.tags.iter().map(|(key, value)| (key.clone(), text(value)))),
            "evidence" => {
                let mut wanted = Some(BTreeSet::new());
                names_of_evidence(expression, &mut wanted);
                let seen = |one: &&Uploaded| wanted.as_ref().is_none_or(|names| names.contains(one.name.as_str()));
                map(self.evidence.iter().filter(seen).map(|one| (one.name.clone(), of_json(&one.content))))
            }
            _ => Value::List(Arc::new(self.gates.iter().map(|(spec, finding)| gate(spec, finding)).collect())),
        }
    }
}

/// Which evidence an expression names; none when it looks at all of it.
fn names_of_evidence<'a>(node: &'a IdedExpr, names: &mut Option<BTreeSet<&'a str>>) {
    let is_evidence =
        |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name.trim_start_matches('.') == "evidence");
    let mut note = |name: &'a str| {
        if let Some(names) = names {
            names.insert(name);
        }
    };
    match &node.expr {
        Expr::Ident(_) if is_evidence(node) => *names = None,
        Expr::Select(select) if is_evidence(&select.operand) => note(&select.field),
        Expr::Select(select) => names_of_evidence(&select.operand, names),
        Expr::Call(call) => match call.args.as_slice() {
            [evidence, IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }]
                if call.func_name == operators::INDEX && is_evidence(evidence) =>
            {
                note(name.inner());
            }
            args => call.target.as_deref().into_iter().chain(args).for_each(|part| names_of_evidence(part, names)),
        },
        Expr::List(list) => list.elements.iter().for_each(|part| names_of_evidence(part, names)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => {
                names_of_evidence(&entry.key, names);
                names_of_evidence(&entry.value, names);
            }
            EntryExpr::StructField(field) => names_of_evidence(&field.value, names),
        }),
        Expr::Comprehension(inner) => {
            for part in [&inner.iter_range, &inner.accu_init, &inner.loop_cond, &inner.loop_step, &inner.result] {
                names_of_evidence(part, names);
            }
        }
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
    }
}

fn gate(spec: &GateSpec, finding: &Finding) -> Value {
    let measured = finding.evidence.get("value").map(of_json).unwrap_or(Value::Null);
    HashMap::from([
        ("name", Value::from(spec.title())),
        ("kind", Value::from(spec.kind())),
        ("verdict", Value::from(finding.verdict.as_str())),
        ("passed", Value::Bool(finding.verdict == Verdict::Pass)),
        ("measured", measured),
    ])
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        id::EvidenceId,
        policy::Better,
        promotion::Verdict::{Fail, Inconclusive, Pass},
    };
    use chrono::DateTime;
    use serde_json::json;

    fn uploaded(name: &str, content: serde_json::Value) -> Uploaded {
        Uploaded {
            id: EvidenceId::new(),
            name: name.to_owned(),
            digest: Digest::of_json(&content).unwrap(),
            content,
            uploaded_by: None,
            uploader: String::new(),
            at: DateTime::UNIX_EPOCH,
        }
    }

    fn found(expression: &str) -> Finding {
        let metrics = BTreeMap::from([("accuracy".to_owned(), 0.9), ("loss".to_owned(), f64::NAN)]);
        let champion = BTreeMap::from([("accuracy".to_owned(), 0.8)]);
        let spec = GateSpec::MetricThreshold { metric: "accuracy".to_owned(), better: Better::Higher, threshold: 0.7 };
        let finding = super::super::metric_threshold("accuracy", Better::Higher, 0.7, Some(0.9));
        let evidence = [
            uploaded(
                "scan",
                json!({ "critical": 0, "score": 7.5, "findings": [{ "level": "low" }, { "level": "high" }] }),
            ),
            uploaded("long", json!(vec![1; 501])),
            uploaded("texts", json!(vec!["x".repeat(500); 500])),
        ];
        let known = Known {
            metrics: &metrics,
            champion_metrics: &champion,
            gates: vec![(&spec, &finding)],
            model: "iris",
            version: 7,
            environment: "production",
            datasets: &[("flowers".to_owned(), "4f1c".to_owned())],
            code: "9f03a71",
            evidence: &evidence,
            tags: &BTreeMap::from([("risk".to_owned(), "high".to_owned())]),
        };
        cel(expression, &known)
    }

    #[test]
    fn only_what_is_true_passes() {
        for (expression, verdict) in [
            ("true", Pass),
            ("metrics.accuracy >= 0.9", Pass),
            ("metrics.accuracy > 0", Pass),
            ("metrics['accuracy'] - champion_metrics.accuracy > 0.05", Pass),
            ("metrics.accuracy < champion_metrics.accuracy", Fail),
            ("gates.all(g, g.passed) && size(gates) == 1", Pass),
            ("gates.exists(g, g.kind == 'metric_threshold' && g.measured > 0.85 && g.verdict == 'pass')", Pass),
            ("gates.exists(g, g.name == 'accuracy at least 0.7')", Pass),
            ("model == 'iris' && version == 7 && environment == 'production'", Pass),
            ("datasets.flowers == '4f1c' && code.startsWith('9f')", Pass),
            ("tags.risk == 'low' || evidence.scan.critical == 0", Pass),
            ("evidence.scan.findings.filter(f, f.level == 'high').size() == 1", Pass),
            ("evidence.scan.findings.exists(f, f.level == 'critical')", Fail),
            ("!has(metrics.auc)", Pass),
            ("has(metrics.auc) && metrics.auc > 0.9", Fail),
            // What is missing, is no number or no truth cannot be told.
            ("metrics.auc > 0.9", Inconclusive),
            ("!(metrics.loss > 0.5)", Inconclusive),
            ("evidence.other.critical == 0", Inconclusive),
            ("evidence.scan.findings[7].level == 'low'", Inconclusive),
            ("metrics.accuracy", Inconclusive),
            ("'true'", Inconclusive),
            ("metrics.accuracy > 'a'", Inconclusive),
            ("version / (version - 7) > 1", Inconclusive),
            ("evidence.long.all(x, x == 1)", Inconclusive),
            ("evidence['long'].size() == 501", Inconclusive),
            ("evidence.size() == 3", Inconclusive),
            ("evidence['scan'].score > 7.0", Pass),
            ("!has(evidence.other) || evidence.other.ok", Pass),
        ] {
            let found = found(expression);
            assert_eq!(found.verdict, verdict, "{expression}: {}", found.reason);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (expression, words) in [
            ("", "at most 4,000 characters"),
            ("metrics.accuracy >", "line 1, column "),
            ("true &&\n  )", "line 2, column 3"),
            ("metric.accuracy > 0.9", "there is no metric; known are metrics"),
            ("gates.all(g, h.passed)", "there is no h"),
            ("g.passed && gates.all(g, g.passed)", "there is no g"),
            ("now() > 7", "there is no function now"),
            ("model.matches('a+')", "there is no function matches"),
            ("google.protobuf.Any{}", "objects of other types"),
            ("gates.all(a, gates.all(b, gates.all(c, true)))", "at most 2 one in the other"),
            ("(gates + gates + gates + gates).all(g, g.passed)", "adds more than 2 times"),
            ("gates.map(__g, __g + __g + __g + __g).size() > 0", "adds more than 2 times"),
            ("gates.map(g, 'a' + 'a' + 'a' + 'a' + 'a' + 'a').size() > 0", "adds more than 2 times"),
        ] {
            let sentence = check(expression).unwrap_err();
            assert!(sentence.contains(words), "{expression}: {sentence}");
        }
        let chained = (0..9).fold("gates".to_owned(), |text, _| text + ".map(g, g)") + ".size() == 0";
        assert!(check(&chained).unwrap_err().contains("at most 8 loops"));
    }

    #[test]
    fn an_expression_comes_to_an_end() {
        for (expression, verdict) in [
            ("evidence.texts.all(x, evidence.texts.all(y, x == y))", Pass),
            ("evidence.texts.map(x, evidence.texts.map(y, y)).size() == 500", Pass),
            ("evidence.texts.map(x, evidence.texts.map(y, x + y)).size() == 500", Inconclusive),
            ("evidence.texts.map(x, x + x).size() == 500", Pass),
            ("(evidence.texts + evidence.texts + evidence.texts).all(x, (evidence.texts).all(y, y == x))", Pass),
            ("evidence.texts.all(x, evidence.texts.all(y, evidence.texts == evidence.texts))", Inconclusive),
            ("evidence.texts.all(x, evidence.texts.all(y, model == 'iris')) || true", Inconclusive),
        ] {
            let found = found(expression);
            assert_eq!(found.verdict, verdict, "{expression}: {}", found.reason);
        }
    }

    #[test]
    fn no_expression_takes_the_process_with_it() {
        let many = |part: &str, times: usize| part.repeat(times);
        for expression in [
            many("(", 3_900),
            many("(", 1_900) + "1" + &many(")", 1_900),
            many("[", 1_900) + &many("]", 1_900),
            many("!", 3_900) + "true",
            many("-", 3_900) + "1 == 1",
            many("- ", 1_900) + "1 == 1",
            many("true ? true : ", 250) + "true",
            "1".to_owned() + &many("+1", 1_900) + " > 0",
            "model".to_owned() + &many(".a", 1_900),
            "model".to_owned() + &many("[0]", 1_200),
            "true".to_owned() + &many("&&true", 600),
            "1".to_owned() + &many("<1", 1_900),
            many("{1:", 900),
            many("\"", 3_999),
            many("\\", 3_999),
            many("a(", 1_900),
            many("gates.map(g, ", 250),
        ] {
            // That it comes back at all is what is asked.
            let _ = check(&expression);
        }
    }
}
