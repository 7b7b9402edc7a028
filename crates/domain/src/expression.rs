//! Expressions of the Common Expression Language: conditions over evidence, and over what steps gave.
//!
//! Whoever may change a policy or a pipeline writes them, and what clients sent is what they run over, so both are bounded: the size and the
//! depth of the expression, its loops (the macros `all`, `exists`, `exists_one`, `map` and `filter` are all there are), what
//! it may add up while it loops, and how long the lists are that it loops over.

use ::cel::{
    Context, Env, ExecutionError, Program, Value,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, operators},
    common::value::{CowVal, Val},
    context::VariableResolver,
    objects::Key,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

const FUNCTIONS: [&str; 11] =
    ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "bool", "type", "dyn"];

/// The most characters of an expression.
const MAX_LENGTH: usize = 4_000;
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
const MAX_ADDITIONS: usize = 2;
/// The most entries of a list or map that an expression sees.
pub(crate) const MAX_ENTRIES: usize = 500;
/// How often an expression may look at its variables while it is evaluated.
const MAX_LOOKS: u32 = 10_000;

/// Reads an expression that may look at these variables.
///
/// # Errors
/// What is wrong with it and where; a sentence.
pub(crate) fn check(expression: &str, variables: &[&str]) -> Result<(), String> {
    with_room(|| compile(expression, variables).map(|_| ()))
}

/// Whether an expression is true. `value` gives what each of the variables that it names holds; it is told the expression,
/// to look at no more than that asks for.
///
/// # Errors
/// Whatever cannot be evaluated, or is neither true nor false; a sentence.
pub(crate) fn evaluate(
    expression: &str,
    variables: &[&'static str],
    value: impl Fn(&str, &IdedExpr) -> Result<Value, String> + Sync,
) -> Result<bool, String> {
    with_room(|| {
        let (program, env) =
            compile(expression, variables).map_err(|what| format!("The expression is not understood: {what}"))?;
        let mut seen = Seen { values: BTreeMap::new(), left: AtomicU32::new(MAX_LOOKS) };
        for name in variables.iter().filter(|name| program.references().has_variable(name)) {
            let value = value(name, program.expression())?;
            if longest(&value) > MAX_ENTRIES {
                return Err(format!(
                    "{name} holds a list of more than {MAX_ENTRIES} entries, which is too long to be looked at."
                ));
            }
            let value = Box::<dyn Val>::try_from(value);
            seen.values.insert(name, value.map_err(|_| format!("{name} cannot be looked at."))?);
        }
        let mut context = Context::with_env(env);
        context.set_variable_resolver(&seen);
        let evaluated = program.execute(&context);
        // Whatever it gave then: a missing answer may have been taken for one that does not matter.
        if seen.left.load(Ordering::Relaxed) == 0 {
            return Err("The expression looks at its variables too often; make it simpler.".to_owned());
        }
        match evaluated {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(format!("The expression gives a {}, neither true nor false.", other.type_of())),
            Err(error) => Err(sentence(&error)),
        }
    })
}

/// Does work that calls itself for each part of an expression, where there is room for as many as there may be.
fn with_room<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        let thread = thread.map_err(|_| "there is no room here to read the expression.".to_owned())?;
        thread.join().unwrap_or_else(|_| Err("the expression cannot be read.".to_owned()))
    })
}

fn compile(expression: &str, variables: &[&str]) -> Result<(Program, Arc<Env>), String> {
    if expression.trim().is_empty() || expression.len() > MAX_LENGTH {
        return Err("give an expression of at most 4,000 characters.".to_owned());
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
    Walk { variables, ..Walk::default() }.over(program.expression(), 0, 0)?;
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
        return Err("it has more than 1,000 signs; make it simpler.".to_owned());
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
    variables: &'a [&'a str],
    parts: usize,
    loops: usize,
    additions: usize,
    /// How many loops go over what is being walked.
    ranges: usize,
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
                let known = self.variables.contains(&plain) || self.bound.contains(&plain);
                let is_type = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];
                if known || is_type.contains(&plain) {
                    return Ok(());
                }
                let name: String = name.chars().take(100).collect();
                Err(format!("there is no {name}; known are {}.", self.variables.join(", ")))
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
                let in_loop = nested + self.ranges > 0;
                if name == operators::ADD && in_loop && !call.args.first().is_some_and(is_internal) {
                    self.additions += 1;
                    if self.additions > MAX_ADDITIONS || nested > 1 {
                        return Err(format!(
                            "it adds more than {MAX_ADDITIONS} times within loops, or in a loop in a loop."
                        ));
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
        self.ranges += 1;
        self.over(&inner.iter_range, depth, nested)?;
        self.ranges -= 1;
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
    matches!(&node.expr, Expr::Ident(name) if name.starts_with('@'))
}

/// What an expression looks at, so many times and no more.
struct Seen {
    values: BTreeMap<&'static str, Box<dyn Val>>,
    left: AtomicU32,
}

impl VariableResolver for Seen {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = self.values.get(variable.trim_start_matches('.'))?;
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.is_ok().then(|| CowVal::Borrowed(value.as_ref()))
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

/// A value of JSON as expressions see it. Numbers without a fraction are whole.
pub(crate) fn of_json(value: &serde_json::Value) -> Value {
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
