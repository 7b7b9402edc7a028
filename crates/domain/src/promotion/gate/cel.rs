//! An expression of the Common Expression Language over all the evidence.
//!
//! Whoever may change a policy writes it, and uploaded evidence is what it runs over, so both are bounded: the size and the
//! depth of the expression, its loops (the macros `all`, `exists`, `exists_one`, `map` and `filter` are all there are), what
//! it may add up while it loops, and how long the lists are that it loops over.

use super::{Finding, held};
use crate::{
    policy::GateSpec,
    promotion::{Uploaded, Verdict},
};
use cel::{
    Context, Env, ExecutionError, Program, Value,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators},
    objects::Key,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What an expression knows of.
pub const VARIABLES: [&str; 10] =
    ["metrics", "champion_metrics", "gates", "model", "version", "environment", "datasets", "code", "evidence", "tags"];
const FUNCTIONS: [&str; 11] =
    ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "bool", "type", "dyn"];

/// The most characters of an expression.
pub const MAX_LENGTH: usize = 4_000;
/// The most signs of it, such as dots, brackets and operators, outside of texts.
const MAX_SIGNS: usize = 1_000;
/// Bytes of a stack that holds what so many signs may come to. Only what is used of it takes memory.
const STACK: usize = 256 << 20;
/// The most parts of it, and how deep they may stand in each other.
const MAX_PARTS: usize = 2_000;
const MAX_DEPTH: usize = 40;
/// The most loops of an expression, and how many of them one within the other.
const MAX_LOOPS: usize = 8;
const MAX_NESTED: usize = 2;
/// The most additions within loops: each may double a text or a list.
const MAX_ADDITIONS: usize = 4;
/// The most entries of a list or map that an expression sees.
const MAX_ENTRIES: usize = 1_000;

/// Reads an expression.
///
/// # Errors
/// What is wrong with it and where; a sentence.
pub fn check(expression: &str) -> Result<(), String> {
    with_room(|| compile(expression).map(|_| ()))
}

/// Does work that calls itself for each part of an expression, where there is room for as many as there may be.
fn with_room<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|_| "there is no room here to read the expression.".to_owned())?;
        thread.join().unwrap_or_else(|_| Err("the expression cannot be read.".to_owned()))
    })
}

fn compile(expression: &str) -> Result<(Program, Arc<Env>), String> {
    if expression.trim().is_empty() || expression.len() > MAX_LENGTH {
        return Err(format!(
            "give an expression of at most {} characters.",
            super::counted(MAX_LENGTH, "", "").trim_end()
        ));
    }
    shallow(expression)?;
    let env = Arc::new(Env::stdlib().with_optional_support(false));
    let program = env.compile(expression).map_err(|errors| match errors.errors.first() {
        Some(first) => {
            let what: String = first.msg.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
            format!("line {}, column {}: {}.", first.pos.0, first.pos.1, what.trim_end_matches('.'))
        }
        None => "this is no expression.".to_owned(),
    })?;
    Walk::default().over(program.expression(), 0, 0)?;
    Ok((program, env))
}

/// What is deeper or has more signs than anybody writes is refused before it is parsed: the parser calls itself for each.
fn shallow(expression: &str) -> Result<(), String> {
    let (mut deep, mut deepest, mut signs, mut quote, mut escaped) = (0_usize, 0_usize, 0_usize, None, false);
    for letter in expression.chars() {
        match (letter, quote) {
            (_, Some(_)) if escaped => escaped = false,
            ('\\', Some(_)) => escaped = true,
            (letter, Some(open)) if letter == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) => quote = Some(letter),
            ('(' | '[' | '{', None) => {
                (deep, signs) = (deep + 1, signs + 1);
                deepest = deepest.max(deep);
            }
            (')' | ']' | '}', None) => deep = deep.saturating_sub(1),
            (letter, None) if letter.is_alphanumeric() || letter.is_whitespace() || letter == '_' => {}
            _ => signs += 1,
        }
    }
    if signs > MAX_SIGNS {
        return Err(format!(
            "it has more than {} signs; make it simpler.",
            super::counted(MAX_SIGNS, "", "").trim_end()
        ));
    }
    if deepest > MAX_DEPTH {
        return Err(too_deep());
    }
    Ok(())
}

fn too_deep() -> String {
    format!("its parts stand in each other more than {MAX_DEPTH} deep.")
}

/// What was counted of an expression.
#[derive(Default)]
struct Walk<'a> {
    parts: usize,
    loops: usize,
    additions: usize,
    /// Names that loops give to what they go over.
    bound: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn over(&mut self, node: &'a IdedExpr, depth: usize, nested: usize) -> Result<(), String> {
        self.parts += 1;
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        if self.parts > MAX_PARTS {
            return Err(format!("it has more than {MAX_PARTS} parts."));
        }
        let deeper = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => {
                let plain = name.trim_start_matches('.');
                let known = VARIABLES.contains(&plain) || self.bound.contains(&plain);
                let is_type = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];
                if known || is_type.contains(&plain) {
                    return Ok(());
                }
                let name: String = name.chars().take(100).collect();
                Err(format!("there is no {name}; known are {}.", VARIABLES.join(", ")))
            }
            Expr::Select(select) => self.over(&select.operand, deeper, nested),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.over(element, deeper, nested)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.over(&entry.key, deeper, nested)?;
                    self.over(&entry.value, deeper, nested)
                }
                EntryExpr::StructField(field) => self.over(&field.value, deeper, nested),
            }),
            Expr::Struct(_) => Err("objects of other types cannot be made.".to_owned()),
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let is_operator = !name.starts_with(|c: char| c.is_alphabetic());
                if !is_operator && !FUNCTIONS.contains(&name) {
                    let name: String = name.chars().take(100).collect();
                    return Err(format!("there is no function {name}; known are {}.", FUNCTIONS.join(", ")));
                }
                if name == operators::ADD && nested > 0 && !call.args.first().is_some_and(is_internal) {
                    self.additions += 1;
                    if self.additions > MAX_ADDITIONS {
                        return Err(format!("it adds more than {MAX_ADDITIONS} times within loops."));
                    }
                }
                if let Some(target) = &call.target {
                    self.over(target, deeper, nested)?;
                }
                call.args.iter().try_for_each(|arg| self.over(arg, deeper, nested))
            }
            Expr::Comprehension(inner) => self.over_loop(inner, deeper, nested),
        }
    }

    fn over_loop(&mut self, inner: &'a ComprehensionExpr, depth: usize, nested: usize) -> Result<(), String> {
        self.loops += 1;
        if self.loops > MAX_LOOPS || nested + 1 > MAX_NESTED {
            return Err(format!(
                "it has at most {MAX_LOOPS} loops (all, exists, exists_one, map, filter), and at most {MAX_NESTED} one in the \
                 other."
            ));
        }
        self.over(&inner.iter_range, depth, nested)?;
        self.over(&inner.accu_init, depth, nested)?;
        let before = self.bound.len();
        self.bound.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
        self.bound.extend(inner.iter_var2.as_deref());
        self.over(&inner.loop_cond, depth, nested + 1)?;
        self.over(&inner.loop_step, depth, nested + 1)?;
        self.over(&inner.result, depth, nested)?;
        self.bound.truncate(before);
        Ok(())
    }
}

/// What a macro adds up by itself, an entry at a time.
fn is_internal(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::Ident(name) if name.starts_with('@') || name.starts_with("__"))
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
    let evaluated = with_room(|| {
        let (program, env) = compile(expression).map_err(|what| format!("The expression is not understood: {what}"))?;
        let mut context = Context::with_env(env);
        for name in VARIABLES.iter().filter(|name| program.references().has_variable(name)) {
            context.add_variable_from_value(*name, known.value(name, program.expression())?);
        }
        match program.execute(&context) {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(format!("The expression gives a {}, neither true nor false.", other.type_of())),
            Err(error) => Err(sentence(&error)),
        }
    });
    match evaluated {
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

/// What went wrong, without the values that it went wrong over.
fn sentence(error: &ExecutionError) -> String {
    let short = |text: &str| text.chars().take(100).collect::<String>();
    match error {
        ExecutionError::NoSuchKey(key) => format!("There is no \"{}\".", short(key)),
        ExecutionError::UndeclaredReference(name) => format!("There is no {}.", short(name)),
        ExecutionError::IndexOutOfBounds(_) => "A list has fewer entries.".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "It divides by 0.".to_owned(),
        ExecutionError::Overflow(..) => "A number is too large.".to_owned(),
        ExecutionError::NoSuchOverload(error) => format!("It cannot be evaluated: {}.", short(&error.to_string())),
        _ => "It cannot be evaluated: it takes values for what they are not.".to_owned(),
    }
}

impl Known<'_> {
    fn value(&self, name: &str, expression: &IdedExpr) -> Result<Value, String> {
        fn map(entries: impl Iterator<Item = (String, Value)>) -> Value {
            entries.collect::<HashMap<String, Value>>().into()
        }
        let text = |text: &str| Value::from(text);
        let numbers = |metrics: &BTreeMap<String, f64>| {
            let finite = metrics.iter().filter(|(_, value)| value.is_finite());
            map(finite.map(|(name, value)| (name.clone(), Value::Float(*value))))
        };
        let value = match name {
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
        };
        match longest(&value) > MAX_ENTRIES {
            true => Err(format!(
                "{name} holds a list of more than {} entries, which is too long to be looked at.",
                super::counted(MAX_ENTRIES, "", "").trim_end()
            )),
            false => Ok(value),
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

fn of_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int)
        }
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(of_json).collect())),
        Json::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (Key::from(name.as_str()), of_json(value)));
            fields.collect::<HashMap<Key, Value>>().into()
        }
    }
}

fn longest(value: &Value) -> usize {
    match value {
        Value::List(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
        Value::Map(map) => map.map.values().map(longest).max().unwrap_or(0).max(map.map.len()),
        _ => 0,
    }
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
            uploaded("long", json!(vec![1; 1_001])),
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
            ("evidence['long'].size() == 1001", Inconclusive),
            ("evidence.size() == 2", Inconclusive),
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
            ("gates.map(g, 'a' + 'a' + 'a' + 'a' + 'a' + 'a').size() > 0", "adds more than 4 times"),
        ] {
            let sentence = check(expression).unwrap_err();
            assert!(sentence.contains(words), "{expression}: {sentence}");
        }
        let chained = (0..9).fold("gates".to_owned(), |text, _| text + ".map(g, g)") + ".size() == 0";
        assert!(check(&chained).unwrap_err().contains("at most 8 loops"));
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
