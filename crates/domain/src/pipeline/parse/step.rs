//! Reading a step.

use super::{Reader, StepPlaces, TextKind, scalar_text};
use crate::{
    glob,
    pipeline::{
        Cache, Command, InputSpec, MapSpec, MetricsSpec, ParamValue, Resources, Retries, StepSpec, SubPipeline,
        TriggerRule, Work, check_relative_path,
        kfp::KfpStep,
        spec::{DEFAULT_POOL, MAX_INSTANCES},
    },
    policy::PolicyDocument,
    problem::{Problem, show},
    prose::sentence,
    step_approval::ApprovalSpec,
    yaml::{Meaning, Node, Yaml},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

const STEP_KEYS: [&str; 27] = [
    "command",
    "notebook",
    "steps",
    "approval",
    "pipeline",
    "needs",
    "trigger_rule",
    "if",
    "matrix",
    "map",
    "max_parallel",
    "params",
    "inputs",
    "outputs",
    "env",
    "secrets",
    "timeout",
    "retries",
    "pool",
    "limits",
    "executor",
    "image",
    "resources",
    "cache",
    "metrics",
    "kfp",
    "description",
];

/// Keys that say how a command runs, which a step with steps of its own leaves to these.
const COMMAND_KEYS: [&str; 11] =
    ["env", "secrets", "timeout", "retries", "pool", "limits", "image", "resources", "cache", "metrics", "kfp"];

const MAX_RETRIES: f64 = 20.0;
const MAX_TIMEOUT_SECONDS: u64 = 7 * 86_400;
const MAX_BACKOFF_SECONDS: u64 = 86_400;
const MAX_CACHE_SECONDS: u64 = 365 * 86_400;
/// The most limits that count a step.
const MAX_LIMITS: usize = 8;
const MAX_CORES: f64 = 1024.0;
const MIN_MEMORY: u64 = 4 << 20;
const MAX_MEMORY: u64 = 64 << 40;
const MAX_GPUS: u32 = 64;

impl Reader {
    pub(super) fn step(
        &mut self,
        name: &str,
        node: &Node,
        in_list: bool,
        depth: usize,
        places: &mut StepPlaces,
    ) -> StepSpec {
        let mut known = STEP_KEYS.to_vec();
        if in_list {
            known.push("name");
        }
        let keys = self.keys(node, &format!("step \"{name}\""), &known).unwrap_or_default();
        let get = |key| keys.get(key).copied();

        let works = ["command", "notebook", "steps", "approval", "pipeline"];
        let given: Vec<(&str, &Node)> = works.into_iter().filter_map(|key| Some((key, get(key)?))).collect();
        if let [_, (_, node), ..] = given.as_slice() {
            let message = match given.as_slice() {
                [("command", _), ("steps", _)] => {
                    format!("Step \"{name}\" has a command or steps of its own, not both.")
                }
                _ => format!("Step \"{name}\" has one of {}; take the others away.", works.join(", ")),
            };
            self.problem(node.at, message);
        }
        if let Some((key @ ("steps" | "approval" | "pipeline"), _)) = given.first() {
            for command_key in COMMAND_KEYS {
                if let Some(node) = get(command_key) {
                    let message = match *key {
                        "steps" => format!(
                            "\"{command_key}\" belongs to the steps inside of \"{name}\", which runs no command itself."
                        ),
                        _ => format!("\"{command_key}\" is for steps with a command, which \"{name}\" has not."),
                    };
                    self.problem(node.at, message);
                }
            }
        }
        let nothing = Work::Command(Command::Program(Vec::new()));
        let work = match given.as_slice() {
            [("command", node)] => Work::Command(self.command(node, places)),
            [("steps", node)] => {
                Work::Steps(self.steps(node, &format!("Step \"{name}\""), depth + 1, &mut places.steps))
            }
            [("notebook", node)] => Work::Notebook(self.notebook(node, places)),
            [("approval", node)] => self.approval(node).map_or(nothing, |asks| Work::Approval(Box::new(asks))),
            [("pipeline", node)] => self.sub_pipeline(node).map_or(nothing, Work::Pipeline),
            [] => {
                if matches!(node.yaml, Yaml::Map(_)) {
                    self.problem(node.at, format!("Step \"{name}\" has no command."));
                }
                nothing
            }
            _ => nothing,
        };
        if let Some(node) = get("needs") {
            self.needs(node, places);
        }
        let (matrix, map) = (get("matrix").map(|node| self.matrix(node, places)).unwrap_or_default(), get("map"));
        if let (Some(node), false) = (map, matrix.is_empty()) {
            self.problem(node.at, format!("Step \"{name}\" has a matrix or a map, not both."));
        }
        let map = map.and_then(|node| self.map(node, places));
        let max_parallel = get("max_parallel").and_then(|node| self.whole(node, "max_parallel", 1, 10_000));
        if let (Some(node), true) = (get("max_parallel"), matrix.is_empty() && map.is_none()) {
            self.problem(node.at, "\"max_parallel\" is for steps with a matrix or a map.");
        }
        let params = get("params").map(|node| self.params(node)).unwrap_or_default();
        for (name, at, value) in &params {
            places.variables.push(("PARAM", name.clone(), *at));
            if let ParamValue::Text(text) = value {
                places.texts.push((TextKind::StepParam, text.clone(), *at));
            }
        }
        let inputs = get("inputs").map(|node| self.inputs(node, places)).unwrap_or_default();
        let is_checked = |input: &InputSpec| input.version().is_some_and(|wanted| wanted.checked);
        if let (Some(node), false) = (get("inputs"), matches!(work, Work::Command(_) | Work::Notebook(_)))
            && inputs.values().any(is_checked)
        {
            self.problem(node.at, format!("\"checked\" is for steps with a command, which \"{name}\" has not."));
        }
        let mut outputs = match get("outputs") {
            Some(node) if matches!(work, Work::Steps(_)) => self.passed_on(node, places),
            // What steps the other pipeline has is known when it runs.
            Some(node) if matches!(work, Work::Pipeline(_)) => self.passed_on(node, &mut StepPlaces::default()),
            Some(node) if matches!(work, Work::Approval(_)) => {
                self.problem(node.at, format!("\"{name}\" asks people, and gives nothing on."));
                BTreeMap::new()
            }
            Some(node) => self.outputs(node, places),
            None => BTreeMap::new(),
        };
        if let (Work::Notebook(path), Some(node)) = (&work, get("notebook")) {
            self.executed(path, node, &mut outputs, places);
        }
        let env = get("env").map(|node| self.env(node)).unwrap_or_default();
        for (value, at) in env.values() {
            places.texts.push((TextKind::OfStep, value.clone(), *at));
        }
        let kfp = get("kfp").and_then(|node| {
            places.kfp = Some(node.at);
            // Its placeholders are those of Kubeflow Pipelines.
            places.texts.retain(|(kind, _, _)| *kind == TextKind::StepParam);
            if matches!(work, Work::Command(Command::Shell(_))) {
                self.problem(node.at, "The command of a step with \"kfp\" is a list: a program and its arguments.");
            }
            self.kfp(node)
        });
        let secrets = get("secrets").map(|node| self.secrets(node, &env)).unwrap_or_default();
        let condition = get("if").and_then(|node| {
            places.condition = Some(node.at);
            self.text(node, "A condition")
        });
        let rule = get("trigger_rule")
            .and_then(|node| self.one_of(node, "A trigger rule", &TriggerRule::ALL.map(TriggerRule::as_str)))
            .and_then(|text| TriggerRule::parse(&text));
        StepSpec {
            work,
            description: get("description").and_then(|node| self.text(node, "description")).unwrap_or_default(),
            needs: places.needs.iter().map(|(name, _)| name.clone()).collect(),
            trigger_rule: rule.unwrap_or_default(),
            finally: false,
            condition,
            matrix,
            map,
            max_parallel,
            params: params.into_iter().map(|(name, _, value)| (name, value)).collect(),
            inputs,
            outputs,
            env: env.into_iter().map(|(name, (value, _))| (name, value)).collect(),
            secrets,
            timeout_seconds: get("timeout").and_then(|node| self.duration(node, "timeout", 1, MAX_TIMEOUT_SECONDS)),
            retries: get("retries").map(|node| self.retries(node)).unwrap_or_default(),
            pool: get("pool")
                .and_then(|node| self.name(node, "A pool's name"))
                .unwrap_or_else(|| DEFAULT_POOL.to_owned()),
            limits: get("limits").map(|node| self.limits(node)).unwrap_or_default(),
            executor: get("executor").and_then(|node| self.executor(node)),
            image: get("image").and_then(|node| self.image(node)),
            resources: get("resources").map(|node| self.resources(node)).unwrap_or_default(),
            cache: get("cache").and_then(|node| self.cache(node)),
            metrics: get("metrics").map(|node| self.metrics(node)).unwrap_or_default(),
            kfp,
        }
    }

    fn kfp(&mut self, node: &Node) -> Option<Box<KfpStep>> {
        let value = self.json(node, "\"kfp\" says what an input or an output is; leave out what is not given.")?;
        match serde_json::from_value(value) {
            Ok(kfp) => Some(Box::new(kfp)),
            Err(error) => {
                self.problem(node.at, format!("\"kfp\" cannot be read: {error}."));
                None
            }
        }
    }

    /// Whom a step asks.
    fn approval(&mut self, node: &Node) -> Option<ApprovalSpec> {
        let before = self.problems.len();
        self.keys(node, "an approval", &["rules", "approvals", "expires_after", "reauthenticate"])?;
        if self.problems.len() > before {
            return None;
        }
        let asks = PolicyDocument::read_approval(node)
            .and_then(|document| ApprovalSpec::of(document).map_err(|message| Problem::new(node.at, message)));
        asks.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// Another pipeline: its name, or name and version.
    fn sub_pipeline(&mut self, node: &Node) -> Option<SubPipeline> {
        if !matches!(node.yaml, Yaml::Map(_)) {
            return Some(SubPipeline { name: self.name(node, "A pipeline's name")?, version: None });
        }
        let keys = self.keys(node, "a pipeline that a step runs", &["name", "version"])?;
        let Some(name) = keys.get("name") else {
            self.problem(node.at, "The pipeline that a step runs has no name; write \"pipeline: prepare\".");
            return None;
        };
        let name = self.name(name, "A pipeline's name")?;
        let version = match keys.get("version") {
            Some(node) => Some(i32::try_from(self.whole(node, "version", 1, 1_000_000_000)?).ok()?),
            None => None,
        };
        Some(SubPipeline { name, version })
    }

    /// `true`, `false`, or how old what is used again may be.
    pub(super) fn cache(&mut self, node: &Node) -> Option<Cache> {
        if matches!(node.yaml, Yaml::Map(_)) {
            let keys = self.keys(node, "cache", &["max_age"])?;
            let max_age = keys.get("max_age").and_then(|node| self.duration(node, "max_age", 1, MAX_CACHE_SECONDS));
            return Some(Cache { enabled: true, max_age_seconds: max_age });
        }
        if let Yaml::Scalar(scalar) = &node.yaml
            && let Meaning::Bool(enabled) = scalar.meaning()
        {
            return Some(Cache { enabled, max_age_seconds: None });
        }
        self.problem(node.at, "\"cache\" is true, false, or { max_age: 7d }.");
        None
    }

    /// How metrics are compared when a run is done again.
    fn metrics(&mut self, node: &Node) -> MetricsSpec {
        let keys = self.keys(node, "metrics", &["tolerance", "varies"]).unwrap_or_default();
        let tolerance = keys.get("tolerance").and_then(|node| self.number(node, "tolerance", 0.0, 1.0));
        let varies: Vec<String> = match keys.get("varies") {
            Some(node) => {
                let items: Vec<&Node> = match &node.yaml {
                    Yaml::List(items) => items.iter().map(Rc::as_ref).collect(),
                    _ => vec![node],
                };
                let names: Vec<String> =
                    items.into_iter().filter_map(|item| self.text(item, "The name of a metric")).collect();
                if let Err(error) = glob::check(&names, "varies") {
                    self.problem(node.at, error.message);
                }
                names
            }
            None => Vec::new(),
        };
        MetricsSpec { tolerance, varies }
    }

    pub(super) fn boolean(&mut self, node: &Node, key: &str) -> Option<bool> {
        if let Yaml::Scalar(scalar) = &node.yaml
            && let Meaning::Bool(value) = scalar.meaning()
        {
            return Some(value);
        }
        self.problem(node.at, format!("\"{key}\" is true or false."));
        None
    }

    fn matrix(&mut self, node: &Node, places: &mut StepPlaces) -> BTreeMap<String, Vec<ParamValue>> {
        let mut matrix = BTreeMap::new();
        for (key, value) in self.entries(node, "matrix", "name: [values]") {
            let name = self.name(key, "A param's name");
            let values: Vec<ParamValue> = match &value.yaml {
                Yaml::List(items) => {
                    let items = self.at_most(value, items.iter().collect());
                    items.into_iter().filter_map(|item| self.value(item, "An entry needs a value.")).collect()
                }
                _ => Vec::new(),
            };
            if values.is_empty() {
                self.problem(value.at, "A matrix gives each name a list of at least one value.");
            }
            if let Some(name) = name {
                places.variables.push(("PARAM", name.clone(), key.at));
                matrix.insert(name, values);
            }
        }
        let instances = matrix.values().map(Vec::len).fold(1_usize, usize::saturating_mul);
        if instances > MAX_INSTANCES {
            let message = format!("The matrix makes {instances} instances; at most {MAX_INSTANCES} are allowed.");
            self.problem(node.at, message);
            return BTreeMap::new();
        }
        matrix
    }

    fn map(&mut self, node: &Node, places: &mut StepPlaces) -> Option<MapSpec> {
        let entries = self.entries(node, "map", "name: step.output");
        let [(key, value)] = entries.as_slice() else {
            self.problem(
                node.at,
                "A map has one entry: the name of a param, and the list: \"map: { region: list.regions }\".",
            );
            return None;
        };
        let item = self.name(key, "A param's name")?;
        places.variables.push(("PARAM", item.clone(), key.at));
        match scalar_text(value).unwrap_or_default().parse() {
            Ok(over) => {
                let map = MapSpec { item, over };
                places.map = Some((map.over.clone(), value.at));
                Some(map)
            }
            Err(message) => {
                self.problem(value.at, sentence(message));
                None
            }
        }
    }

    fn limits(&mut self, node: &Node) -> BTreeSet<String> {
        let items: Vec<&Node> = match &node.yaml {
            Yaml::List(items) => items.iter().map(Rc::as_ref).collect(),
            _ => vec![node],
        };
        if items.len() > MAX_LIMITS {
            self.problem(node.at, format!("At most {MAX_LIMITS} limits count a step."));
            return BTreeSet::new();
        }
        items.into_iter().filter_map(|item| self.name(item, "A limit's name")).collect()
    }

    fn resources(&mut self, node: &Node) -> Resources {
        let keys = self.keys(node, "resources", &["cpu", "memory", "gpu"]).unwrap_or_default();
        let get = |key| keys.get(key).copied();
        Resources {
            cpu: get("cpu").and_then(|node| self.number(node, "cpu", 0.01, MAX_CORES)),
            memory_bytes: get("memory").and_then(|node| self.memory(node)),
            gpu: get("gpu").and_then(|node| self.whole(node, "gpu", 0, MAX_GPUS)).unwrap_or_default(),
        }
    }

    /// Bytes, as Kubernetes writes them: 512Mi, 4Gi, 2G.
    fn memory(&mut self, node: &Node) -> Option<u64> {
        let text = self.text(node, "\"memory\"")?;
        let units =
            [("Ki", 1_u64 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("k", 1000), ("M", 1_000_000)];
        let units = units.into_iter().chain([("G", 1_000_000_000), ("T", 1_000_000_000_000), ("", 1)]);
        let bytes = units.into_iter().find_map(|(unit, factor)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            // bounded below
            (number.is_finite() && number >= 0.0).then_some((number * factor as f64) as u64)
        });
        match bytes {
            Some(bytes) if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) => Some(bytes),
            Some(_) => {
                self.problem(node.at, "\"memory\" must be from 4Mi to 64Ti.");
                None
            }
            None => {
                self.problem(node.at, format!("\"{}\" is no amount of memory; write 512Mi or 4Gi.", show(&text)));
                None
            }
        }
    }

    fn command(&mut self, node: &Node, places: &mut StepPlaces) -> Command {
        match &node.yaml {
            Yaml::List(items) => {
                let items = self.at_most(node, items.iter().map(Rc::as_ref).collect());
                let texts: Vec<String> = items.iter().filter_map(|item| self.text(item, "An argument")).collect();
                if items.is_empty() || (texts.len() == items.len() && texts[0].is_empty()) {
                    self.problem(node.at, "The command is empty; give a program and its arguments.");
                }
                for (index, (text, item)) in texts.iter().zip(items).enumerate() {
                    let kind = if is_script(&texts, index) { TextKind::Script } else { TextKind::OfStep };
                    places.texts.push((kind, text.clone(), item.at));
                }
                Command::Program(texts)
            }
            _ => {
                let script = self.text(node, "The command").unwrap_or_default();
                if script.trim().is_empty() {
                    self.problem(node.at, "The command is empty; give a script or a list of arguments.");
                }
                places.texts.push((TextKind::Script, script.clone(), node.at));
                Command::Shell(script)
            }
        }
    }

    /// The path of a notebook.
    fn notebook(&mut self, node: &Node, places: &mut StepPlaces) -> String {
        places.notebook = Some(node.at);
        let path = self.text(node, "The notebook").unwrap_or_default();
        if let Err(rule) = check_relative_path(&path) {
            self.problem(node.at, format!("The path \"{}\" {rule}.", show(&path)));
        } else if !path.ends_with(".ipynb") && !path.starts_with("inputs/") {
            self.problem(node.at, format!("\"{}\" is no notebook; its name ends with .ipynb.", show(&path)));
        }
        path
    }

    fn needs(&mut self, node: &Node, places: &mut StepPlaces) {
        let items: Vec<&Node> = match &node.yaml {
            Yaml::List(items) => items.iter().map(Rc::as_ref).collect(),
            _ => vec![node],
        };
        for item in self.at_most(node, items) {
            let Some(name) = self.text(item, "A needed step") else {
                continue;
            };
            if places.needs.iter().any(|(other, _)| *other == name) {
                self.problem(item.at, format!("\"{name}\" stands here twice."));
            } else {
                places.needs.push((name, item.at));
            }
        }
    }

    pub(super) fn number(&mut self, node: &Node, key: &str, least: f64, most: f64) -> Option<f64> {
        let number = match &node.yaml {
            Yaml::Scalar(scalar) => match scalar.meaning() {
                Meaning::Number(number) => Some(number),
                _ => None,
            },
            Yaml::List(_) | Yaml::Map(_) => None,
        };
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return Some(number);
        }
        self.problem(node.at, format!("\"{key}\" is a number from {least} to {most}."));
        None
    }

    pub(super) fn whole(&mut self, node: &Node, key: &str, least: u32, most: u32) -> Option<u32> {
        let number = self.number(node, key, least.into(), most.into())?;
        if number.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, and within the bounds
            return Some(number as u32);
        }
        self.problem(node.at, format!("\"{key}\" is a whole number."));
        None
    }

    fn retries(&mut self, node: &Node) -> Retries {
        let mut retries = Retries::default();
        if matches!(node.yaml, Yaml::Map(_)) {
            let known = ["count", "backoff", "factor", "max", "jitter"];
            let keys = self.keys(node, "retries", &known).unwrap_or_default();
            match keys.get("count") {
                Some(node) => retries.count = self.retry_count(node),
                None => self.problem(node.at, "Retries have no count; write \"retries: { count: 3, backoff: 30s }\"."),
            }
            if let Some(seconds) =
                keys.get("backoff").and_then(|node| self.duration(node, "backoff", 0, MAX_BACKOFF_SECONDS))
            {
                retries.backoff_seconds = seconds;
            }
            if let Some(seconds) = keys.get("max").and_then(|node| self.duration(node, "max", 1, MAX_BACKOFF_SECONDS)) {
                retries.max_seconds = seconds;
            }
            if let Some(factor) = keys.get("factor").and_then(|node| self.number(node, "factor", 1.0, 10.0)) {
                retries.factor = factor;
            }
            if let Some(jitter) = keys.get("jitter").and_then(|node| self.number(node, "jitter", 0.0, 1.0)) {
                retries.jitter = jitter;
            }
        } else {
            retries.count = self.retry_count(node);
        }
        // Without retries the wait means nothing, and must not make another digest.
        if retries.count == 0 { Retries::default() } else { retries }
    }

    fn retry_count(&mut self, node: &Node) -> u32 {
        match &node.yaml {
            Yaml::Scalar(scalar) => match scalar.meaning() {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole, 0 to 20
                Meaning::Number(count) if count.fract() == 0.0 && (0.0..=MAX_RETRIES).contains(&count) => {
                    return count as u32;
                }
                _ => {}
            },
            Yaml::List(_) | Yaml::Map(_) => {}
        }
        self.problem(node.at, format!("Retries are a whole number from 0 to {MAX_RETRIES}."));
        0
    }
}

/// Whether this argument is a script that a shell will read: `sh -c SCRIPT`.
fn is_script(arguments: &[String], index: usize) -> bool {
    let program = arguments[0].rsplit('/').next().unwrap_or_default();
    let is_shell = ["sh", "bash", "dash", "ash", "zsh", "ksh"].contains(&program);
    is_shell && index >= 2 && {
        let option = &arguments[index - 1];
        option.starts_with('-') && !option.starts_with("--") && option.contains('c')
    }
}
