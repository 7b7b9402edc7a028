//! From YAML to [`PipelineSpec`]: one reading that finds everything that is wrong and says where.
//!
//! This file reads the whole; a step is read in `step`, what params take in `param`, and what concerns several steps at once
//! is in `check`.

mod input;
mod output;
mod param;
mod step;

use super::{
    check,
    input::OutputRef,
    spec::{ExecutorKind, ListRef, PipelineSpec, Priority, StepSpec, count},
};
use crate::{
    duration,
    problem::{At, FileErrors, Problem, show, suggest},
    prose::capitalised,
    secret,
    yaml::{self, Meaning, Node, Yaml},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

/// The largest file.
pub const MAX_FILE_BYTES: usize = 256 * 1024;

/// The most steps of a pipeline, those inside of others among them.
pub const MAX_STEPS: usize = 500;

/// How deep steps may stand in each other.
const MAX_NESTED: usize = 8;

/// The longest argument or variable: the kernel takes 128 KiB.
const MAX_ARGUMENT_BYTES: usize = 100_000;

/// The most entries of one list or mapping: what is checked against each other must not take long, whatever is sent.
const MAX_ENTRIES: usize = 1000;

/// The most secrets of a step, or of a pipeline.
const MAX_SECRETS: usize = 50;

/// More problems than this help nobody.
const MAX_PROBLEMS: usize = 50;

impl PipelineSpec {
    /// Reads a pipeline's file.
    ///
    /// # Errors
    /// With every problem found. A file that is not YAML has one: nothing can be said about what follows it.
    pub fn parse(source: &str) -> Result<Self, FileErrors> {
        let mut reader = Reader::default();
        let spec = reader.file(source);
        let mut problems = reader.problems;
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.truncate(MAX_PROBLEMS);
        match spec {
            Some(spec) if problems.is_empty() => Ok(spec),
            _ => Err(FileErrors(problems)),
        }
    }
}

/// Where the parts of a step stand, for problems found after reading.
#[derive(Debug, Default)]
pub(super) struct StepPlaces {
    /// Every step that this one needs, and where it says so.
    pub(super) needs: Vec<(String, At)>,
    /// Every output that it takes, and where it says so.
    pub(super) inputs: Vec<(OutputRef, At)>,
    /// Every text that may hold placeholders.
    pub(super) texts: Vec<(TextKind, String, At)>,
    /// Names that become variables: kind, name, place.
    pub(super) variables: Vec<(&'static str, String, At)>,
    /// The list that it is mapped over, and where it says so.
    pub(super) map: Option<(ListRef, At)>,
    /// Outputs that it takes from steps of its own, and where it says so.
    pub(super) passed_on: Vec<(OutputRef, At)>,
    /// Where its condition stands.
    pub(super) condition: Option<At>,
    /// Where its notebook stands.
    pub(super) notebook: Option<At>,
    /// Where it says what Kubeflow Pipelines knows of it.
    pub(super) kfp: Option<At>,
    /// The steps inside of it.
    pub(super) steps: HashMap<String, StepPlaces>,
}

/// Which text a placeholder stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// A script for the shell: no placeholders.
    Script,
    /// An argument or variable of a step.
    OfStep,
    /// A param of a step, or which dataset or model it takes or gives on: params from outside of the step only.
    StepParam,
    /// A variable of the pipeline: the pipeline's params only.
    OfPipeline,
}

/// Where the parts of a file stand.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) steps: HashMap<String, StepPlaces>,
    pub(super) texts: Vec<(TextKind, String, At)>,
    pub(super) params: Vec<(String, At)>,
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    places: Places,
}

const PIPELINE_KEYS: [&str; 13] = [
    "name",
    "description",
    "params",
    "files",
    "env",
    "secrets",
    "executor",
    "image",
    "priority",
    "cache",
    "seed",
    "steps",
    "finally",
];

impl Reader {
    fn problem(&mut self, at: At, message: impl Into<String>) {
        self.problems.push(Problem::new(at, message));
    }

    fn file(&mut self, source: &str) -> Option<PipelineSpec> {
        let start = At { line: 1, column: 1 };
        if source.len() > MAX_FILE_BYTES {
            let message = format!(
                "The file has {} KiB; at most {} are allowed. Keep data out of it.",
                source.len().div_ceil(1024),
                MAX_FILE_BYTES / 1024
            );
            self.problem(start, message);
            return None;
        }
        let root = yaml::read(source).map_err(|problem| self.problems.push(problem)).ok()?;
        let keys = self.keys(&root, "the pipeline", &PIPELINE_KEYS)?;
        let get = |key| keys.get(key).copied();

        let name = match get("name") {
            Some(node) => self.name(node, "The pipeline's name").unwrap_or_default(),
            None => {
                self.problem(root.at, "The pipeline has no name; add \"name: my-pipeline\".");
                String::new()
            }
        };
        let description = get("description").and_then(|node| self.text(node, "description")).unwrap_or_default();
        let params = get("params").map(|node| self.pipeline_params(node)).unwrap_or_default();
        self.places.params = params.iter().map(|(name, at, _)| (name.clone(), *at)).collect();
        let files = get("files").map(|node| self.files(node)).unwrap_or_default();
        let env = get("env").map(|node| self.env(node)).unwrap_or_default();
        for (value, at) in env.values() {
            self.places.texts.push((TextKind::OfPipeline, value.clone(), *at));
        }
        let secrets = get("secrets").map(|node| self.secrets(node, &env)).unwrap_or_default();
        let executor = get("executor").and_then(|node| self.executor(node));
        let image = get("image").and_then(|node| self.image(node));
        let priority = get("priority").and_then(|node| self.priority(node)).unwrap_or_default();
        let cache = get("cache").and_then(|node| self.cache(node));
        let seed = get("seed").and_then(|node| self.whole(node, "seed", 0, u32::MAX)).unwrap_or_default();
        let mut places = HashMap::new();
        let mut steps = match get("steps") {
            Some(node) => self.steps(node, "The pipeline", 0, &mut places),
            None => {
                self.problem(root.at, "The pipeline has no steps; add \"steps:\" with at least one.");
                BTreeMap::new()
            }
        };
        if let Some(node) = get("finally") {
            self.finally(node, &mut steps, &mut places);
        }
        self.places.steps = places;
        let total = count(&steps);
        if total > MAX_STEPS {
            self.problem(root.at, format!("The pipeline has {total} steps; at most {MAX_STEPS} are allowed."));
            return None;
        }
        let spec = PipelineSpec {
            name,
            description,
            params: params.into_iter().map(|(name, _, value)| (name, value)).collect(),
            files,
            env: env.into_iter().map(|(name, (value, _))| (name, value)).collect(),
            secrets,
            executor,
            image,
            priority,
            cache,
            seed,
            steps,
        };
        check::all(&spec, &self.places, &mut self.problems);
        Some(spec)
    }

    /// The steps that run in the end, among the others.
    fn finally(
        &mut self,
        node: &Node,
        steps: &mut BTreeMap<String, StepSpec>,
        places: &mut HashMap<String, StepPlaces>,
    ) {
        let mut last_places = HashMap::new();
        for (name, mut step) in self.steps(node, "The end of the pipeline", 0, &mut last_places) {
            if steps.contains_key(&name) {
                self.problem(node.at, format!("There are two steps called \"{name}\"."));
                continue;
            }
            step.finally = true;
            places.extend(last_places.remove_entry(&name));
            steps.insert(name, step);
        }
    }

    fn steps(
        &mut self,
        node: &Node,
        whose: &str,
        depth: usize,
        all_places: &mut HashMap<String, StepPlaces>,
    ) -> BTreeMap<String, StepSpec> {
        if depth > MAX_NESTED {
            self.problem(node.at, format!("Steps can stand in each other {MAX_NESTED} deep and not deeper."));
            return BTreeMap::new();
        }
        let mut named: Vec<(String, At, &Node)> = Vec::new();
        match &node.yaml {
            Yaml::List(items) => {
                for item in items {
                    let name = match &item.yaml {
                        Yaml::Map(entries) => entries.iter().find(|(key, _)| scalar_text(key) == Some("name")),
                        _ => None,
                    };
                    match name {
                        Some((_, name)) => {
                            if let Some(text) = self.name(name, "A step's name") {
                                named.push((text, name.at, item));
                            }
                        }
                        None => self.problem(item.at, "A step in a list needs a name: \"- name: my-step\"."),
                    }
                }
            }
            _ => {
                for (key, value) in self.entries(node, "steps", "step name: step") {
                    if let Some(name) = self.name(key, "A step's name") {
                        named.push((name, key.at, value));
                    }
                }
            }
        }
        if named.is_empty() && self.problems.is_empty() {
            self.problem(node.at, format!("{whose} has no steps; add at least one."));
        }
        if named.len() > MAX_STEPS {
            self.problem(node.at, format!("{whose} has {} steps; at most {MAX_STEPS} are allowed.", named.len()));
            return BTreeMap::new();
        }
        let in_list = matches!(node.yaml, Yaml::List(_));
        let mut steps = BTreeMap::new();
        for (name, at, node) in named {
            if steps.contains_key(&name) {
                self.problem(at, format!("There are two steps called \"{name}\"."));
                continue;
            }
            let mut places = StepPlaces::default();
            let step = self.step(&name, node, in_list, depth, &mut places);
            all_places.insert(name.clone(), places);
            steps.insert(name, step);
        }
        steps
    }

    fn files(&mut self, node: &Node) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (key, value) in self.entries(node, "files", "path: text") {
            let Some(path) = self.path(key, scalar_text(key).unwrap_or_default()) else {
                continue;
            };
            // An empty __init__.py is written as nothing.
            let empty = matches!(&value.yaml, Yaml::Scalar(scalar) if scalar.meaning() == Meaning::Null);
            let text = if empty { Some(String::new()) } else { self.text(value, "A file's text") };
            files.insert(path.clone(), text.unwrap_or_default());
            let is_parent =
                |parent: &str, child: &str| child.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'));
            let parent = files.keys().find(|other| is_parent(&path, other) || is_parent(other, &path));
            if let Some(other) = parent.cloned() {
                self.problem(
                    key.at,
                    format!("\"{path}\" and \"{other}\" cannot both be files: one is the other's directory."),
                );
            }
        }
        files
    }

    fn env(&mut self, node: &Node) -> BTreeMap<String, (String, At)> {
        let mut env = BTreeMap::new();
        for (key, value) in self.entries(node, "env", "NAME: text") {
            let Some(name) = self.variable(key) else { continue };
            if let Some(text) = self.text(value, "A variable") {
                env.insert(name.to_owned(), (text, value.at));
            }
        }
        env
    }

    /// The name of a variable that the user may set.
    fn variable<'a>(&mut self, node: &'a Node) -> Option<&'a str> {
        let name = scalar_text(node).unwrap_or_default();
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            let message = format!("\"{}\" cannot name a variable; use letters, digits and \"_\".", show(name));
            self.problem(node.at, message);
            None
        } else if name.starts_with("SLIPWAY_") {
            self.problem(node.at, format!("\"{name}\" is set by Slipway; names with SLIPWAY_ are reserved."));
            None
        } else {
            Some(name)
        }
    }

    /// Secrets: a list of names, each of which is the variable's too, or a mapping of variable to name. `env` is what stands
    /// beside them.
    fn secrets(&mut self, node: &Node, env: &BTreeMap<String, (String, At)>) -> BTreeMap<String, String> {
        let mut given: Vec<(&Node, &Node)> = Vec::new();
        match &node.yaml {
            Yaml::List(items) => {
                let items = self.at_most(node, items.iter().map(Rc::as_ref).collect());
                given.extend(items.into_iter().map(|item| (item, item)));
            }
            Yaml::Map(_) => given = self.entries(node, "secrets", "VARIABLE: NAME"),
            Yaml::Scalar(_) => {
                self.problem(node.at, "Secrets are a list of names, [HF_TOKEN], or a mapping of variable to name.");
            }
        }
        if given.len() > MAX_SECRETS {
            self.problem(node.at, format!("A step gets at most {MAX_SECRETS} secrets."));
            return BTreeMap::new();
        }
        let mut secrets = BTreeMap::new();
        for (key, value) in given {
            let Some(name) = self.text(value, "A secret's name") else { continue };
            if !secret::is_name(&name) {
                let message = format!(
                    "\"{}\" is no name of a secret: use letters, digits and \"_\", beginning with no digit.",
                    show(&name)
                );
                self.problem(value.at, message);
                continue;
            }
            let Some(variable) = self.variable(key) else { continue };
            if env.contains_key(variable) {
                self.problem(key.at, format!("\"{variable}\" is both a secret and in \"env\"; take one away."));
            } else if secrets.insert(variable.to_owned(), name).is_some() {
                self.problem(key.at, format!("\"{variable}\" stands twice in secrets."));
            }
        }
        secrets
    }

    fn executor(&mut self, node: &Node) -> Option<ExecutorKind> {
        self.one_of(node, "An executor", &ExecutorKind::ALL.map(ExecutorKind::as_str))
            .and_then(|text| ExecutorKind::parse(&text))
    }

    fn priority(&mut self, node: &Node) -> Option<Priority> {
        let text = self.one_of(node, "A priority", &Priority::ALL.map(Priority::as_str))?;
        Priority::ALL.into_iter().find(|priority| priority.as_str() == text)
    }

    /// A text that is one of these.
    fn one_of(&mut self, node: &Node, what: &str, known: &[&str]) -> Option<String> {
        let text = self.text(node, what)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let message = format!("{what} is one of {}; \"{}\" is not.", known.join(", "), show(&text));
        self.problem(node.at, message);
        None
    }

    fn image(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "An image")?;
        let is_image = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if text.len() <= 512 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_image) {
            return Some(text);
        }
        let message = format!("\"{}\" is no name of an image; write registry/name:tag or name@sha256:….", show(&text));
        self.problem(node.at, message);
        None
    }

    fn duration(&mut self, node: &Node, key: &str, least: u64, most: u64) -> Option<u64> {
        let text = self.text(node, &format!("\"{key}\""))?;
        match duration::seconds(&text) {
            Some(seconds) if (least..=most).contains(&seconds) => return Some(seconds),
            Some(_) => {
                self.problem(node.at, format!("\"{key}\" must be from {least} seconds to {} minutes.", most / 60));
            }
            None if text.parse::<f64>().is_ok() => {
                self.problem(
                    node.at,
                    format!("\"{key}\" needs a unit; write {text}s for seconds or {text}m for minutes."),
                );
            }
            None => {
                let message = format!("\"{}\" is not a span of time; write 90s, 15m or 1h30m.", show(&text));
                self.problem(node.at, message);
            }
        }
        None
    }

    /// The text of a single value. Numbers and truth values are taken as they are written.
    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.yaml {
            Yaml::Scalar(scalar) if scalar.meaning() == Meaning::Null => {
                self.problem(node.at, format!("{what} has no value; write \"\" for an empty text."));
                None
            }
            Yaml::Scalar(scalar) if scalar.text.len() > MAX_ARGUMENT_BYTES && what != "A file's text" => {
                let message = format!("{what} is longer than {MAX_ARGUMENT_BYTES} bytes; put it into \"files\".");
                self.problem(node.at, message);
                None
            }
            Yaml::Scalar(scalar) => Some(scalar.text.clone()),
            Yaml::List(_) | Yaml::Map(_) => {
                let found = if matches!(node.yaml, Yaml::List(_)) { "a list" } else { "a mapping" };
                self.problem(node.at, format!("{what} must be a text, not {found}."));
                None
            }
        }
    }

    fn name(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        if super::is_name(&text) {
            return Some(text);
        }
        let message = format!(
            "{what} must be 1 to 63 lower-case letters, digits, \"-\" or \"_\", beginning with a letter or digit; \"{}\" is not.",
            show(&text)
        );
        self.problem(node.at, message);
        None
    }

    fn path(&mut self, node: &Node, path: &str) -> Option<String> {
        if let Err(rule) = super::check_relative_path(path) {
            self.problem(node.at, format!("The path \"{}\" {rule}.", show(path)));
            return None;
        }
        if path.split('/').next() == Some(super::INPUTS_DIR) {
            let message = format!("\"{}/\" holds the step's inputs; choose another path.", super::INPUTS_DIR);
            self.problem(node.at, message);
            return None;
        }
        if path.split('/').next() == Some(super::OWN_DIR) {
            self.problem(node.at, format!("\"{}/\" is Slipway's own; choose another path.", super::OWN_DIR));
            return None;
        }
        Some(path.to_owned())
    }

    /// The items, when they are not too many.
    fn at_most<T>(&mut self, node: &Node, items: Vec<T>) -> Vec<T> {
        if items.len() <= MAX_ENTRIES {
            return items;
        }
        self.problem(node.at, format!("There are {} entries here; at most {MAX_ENTRIES} are allowed.", items.len()));
        Vec::new()
    }

    /// The entries of a mapping whose keys the user chose, each key once.
    fn entries<'a>(&mut self, node: &'a Node, what: &str, form: &str) -> Vec<(&'a Node, &'a Node)> {
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        match &node.yaml {
            Yaml::Map(given) => {
                for (key, value) in given {
                    match scalar_text(key) {
                        Some("<<") => self.problem(key.at, "Merge keys are not supported; write the entries out."),
                        Some(text) if !seen.insert(text) => {
                            self.problem(key.at, format!("\"{}\" stands twice in {what}.", show(text)));
                        }
                        Some(_) => entries.push((key.as_ref(), value.as_ref())),
                        None => self.problem(key.at, "A key must be a text."),
                    }
                }
            }
            // An empty section, all of whose entries are commented out.
            Yaml::Scalar(scalar) if scalar.meaning() == Meaning::Null => {}
            _ => self.problem(node.at, format!("{} must be a mapping of {form}.", capitalised(what))),
        }
        self.at_most(node, entries)
    }

    /// The entries of a mapping with these keys.
    fn keys<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Option<HashMap<&'a str, &'a Node>> {
        let Yaml::Map(given) = &node.yaml else {
            self.problem(
                node.at,
                format!("{} must be a mapping with the keys {}.", capitalised(what), known.join(", ")),
            );
            return None;
        };
        let mut keys = HashMap::new();
        for (key, value) in given {
            match scalar_text(key) {
                Some("<<") => self.problem(key.at, "Merge keys are not supported; write the entries out."),
                Some(text) if keys.contains_key(text) => {
                    self.problem(key.at, format!("\"{text}\" stands twice in {what}."));
                }
                Some(text) if known.contains(&text) => {
                    // A key without a value is as good as absent.
                    if !matches!(&value.yaml, Yaml::Scalar(scalar) if scalar.meaning() == Meaning::Null) {
                        keys.insert(text, value.as_ref());
                    }
                }
                Some(text) => {
                    let hint = suggest(text, known.iter().copied());
                    self.problem(key.at, format!("Unknown key \"{}\" in {what}; {hint}", show(text)));
                }
                None => self.problem(key.at, "A key must be a text."),
            }
        }
        Some(keys)
    }
}

fn scalar_text(node: &Node) -> Option<&str> {
    match &node.yaml {
        Yaml::Scalar(scalar) => Some(&scalar.text),
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}
