//! Rules of a pipeline's file that concern several of its parts at once: names that must exist, cycles, placeholders,
//! variables that would hide each other.

use super::{
    env_name,
    parse::{Places, StepPlaces, TextKind},
    spec::{PipelineSpec, StepSpec},
    template::{Part, Place, parts},
};
use crate::problem::{At, Problem, show, suggest};
use std::collections::{BTreeMap, HashMap, HashSet};

/// When so many problems were found, no more are looked for: to find near names for thousands would take seconds.
const ENOUGH: usize = 200;

/// Adds what is wrong to `problems`.
pub(super) fn all(spec: &PipelineSpec, places: &Places, problems: &mut Vec<Problem>) {
    let names: Vec<_> = places.params.iter().map(|(name, at)| ("PARAM", name.as_str(), *at)).collect();
    variables(&names, problems);
    for (kind, text, at) in &places.texts {
        placeholders(spec, None, *kind, text, *at, problems);
    }
    for (name, step) in &spec.steps {
        let Some(places) = places.steps.get(name) else {
            continue;
        };
        references(spec, name, places, problems);
        for (kind, text, at) in &places.texts {
            placeholders(spec, Some(step), *kind, text, *at, problems);
        }
        let inherited = names.iter().filter(|(_, name, _)| !step.params.contains_key(*name)).copied();
        let own = places.variables.iter().map(|(kind, name, at)| (*kind, name.as_str(), *at));
        // Those of the pipeline among themselves were looked at above.
        let of_step: Vec<_> = own.clone().map(|(_, _, at)| at).collect();
        let mut found = Vec::new();
        variables(&inherited.chain(own).collect::<Vec<_>>(), &mut found);
        problems.extend(found.into_iter().filter(|p| of_step.contains(&At { line: p.line, column: p.column })));
        for (output, path) in &step.outputs {
            if spec.files.contains_key(path) {
                let at = places.variables.iter().find(|(kind, name, _)| *kind == "OUTPUT" && name == output);
                if let Some((_, _, at)) = at {
                    problems.push(Problem::new(
                        *at,
                        format!("\"{path}\" is a file of the pipeline and cannot be an output."),
                    ));
                }
            }
        }
    }
    cycles(spec, places, problems);
}

/// Steps and outputs that must exist.
fn references(spec: &PipelineSpec, name: &str, places: &StepPlaces, problems: &mut Vec<Problem>) {
    let steps = || spec.steps.keys().map(String::as_str);
    for (needed, at) in &places.needs {
        if problems.len() >= ENOUGH {
            return;
        }
        if needed == name {
            problems.push(Problem::new(*at, format!("Step \"{name}\" needs itself.")));
        } else if !spec.steps.contains_key(needed) {
            let others = suggest(needed, steps().filter(|step| *step != name));
            problems.push(Problem::new(
                *at,
                format!("There is no step \"{}\" for \"{name}\" to need; {others}", show(needed)),
            ));
        }
    }
    for (input, at) in &places.inputs {
        if problems.len() >= ENOUGH {
            return;
        }
        let message = match spec.steps.get(&input.step) {
            _ if input.step == name => format!("Step \"{name}\" takes its own output."),
            None => {
                let others = suggest(&input.step, steps().filter(|step| *step != name));
                format!("There is no step \"{}\" to take \"{input}\" from; {others}", input.step)
            }
            Some(step) if !step.outputs.contains_key(&input.output) => {
                let others = suggest(&input.output, step.outputs.keys().map(String::as_str));
                format!("Step \"{}\" has no output \"{}\"; {others}", input.step, input.output)
            }
            Some(_) => continue,
        };
        problems.push(Problem::new(*at, message));
    }
}

/// Placeholders of a text: that they can be read, that what they name exists, and that no shell will read their values.
fn placeholders(
    spec: &PipelineSpec,
    step: Option<&StepSpec>,
    kind: TextKind,
    text: &str,
    at: At,
    problems: &mut Vec<Problem>,
) {
    if kind == TextKind::Script {
        if parts(text).any(|part| !matches!(part, Ok(Part::Text(_)))) {
            let variable = parts(text).find_map(|part| match part {
                Ok(Part::Place(Place::Param(name))) => Some(env_name("PARAM", name)),
                Ok(Part::Place(Place::Input(name))) => Some(env_name("INPUT", name)),
                Ok(Part::Place(Place::Output(name))) => Some(env_name("OUTPUT", name)),
                _ => None,
            });
            let message = format!(
                "A script of the shell cannot contain \"${{{{ … }}}}\": a value pasted into it could run as code. \
                 Write \"${}\" instead.",
                variable.unwrap_or_else(|| "PARAM_NAME".to_owned())
            );
            problems.push(Problem::new(at, message));
        }
        return;
    }
    for part in parts(text) {
        let place = match part {
            Ok(Part::Text(_)) => continue,
            Ok(Part::Place(place)) => place,
            Err(error) => {
                let message = error.to_string();
                problems.push(Problem::new(at, format!("{message}.")));
                continue;
            }
        };
        let step = step.filter(|_| kind == TextKind::OfStep);
        let (noun, name, exists) = match (place, step) {
            (Place::Param(name), step) => {
                let is_own = step.is_some_and(|step| step.params.contains_key(name));
                ("param", name, is_own || spec.params.contains_key(name))
            }
            (Place::Input(name), Some(step)) => ("input", name, step.inputs.contains_key(name)),
            (Place::Output(name), Some(step)) => ("output", name, step.outputs.contains_key(name)),
            (Place::Input(_) | Place::Output(_), None) => {
                problems.push(Problem::new(
                    at,
                    "Only params can stand here: inputs and outputs belong to the command and the env of a step.",
                ));
                continue;
            }
        };
        if exists || problems.len() >= ENOUGH {
            continue;
        }
        let known: Vec<&str> = match (place, step) {
            (Place::Param(_), _) => spec
                .params
                .keys()
                .chain(step.into_iter().flat_map(|step| step.params.keys()))
                .map(String::as_str)
                .collect(),
            (Place::Input(_), _) => step.into_iter().flat_map(|step| step.inputs.keys()).map(String::as_str).collect(),
            (Place::Output(_), _) => {
                step.into_iter().flat_map(|step| step.outputs.keys()).map(String::as_str).collect()
            }
        };
        problems.push(Problem::new(at, format!("There is no {noun} \"{}\"; {}", show(name), suggest(name, known))));
    }
}

/// Names that would become the same variable, as `a-b` and `a_b` do.
fn variables(names: &[(&str, &str, At)], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for (kind, name, at) in names {
        let variable = env_name(kind, name);
        if let Some(other) = seen.insert(variable.clone(), name).filter(|other| other != name) {
            problems
                .push(Problem::new(*at, format!("\"{other}\" and \"{name}\" would both be {variable}; rename one.")));
        }
    }
}

/// Circles of steps that wait for each other, each told once.
fn cycles(spec: &PipelineSpec, places: &Places, problems: &mut Vec<Problem>) {
    let mut edges: BTreeMap<&str, Vec<(&str, At)>> = BTreeMap::new();
    for name in spec.steps.keys() {
        let Some(places) = places.steps.get(name) else {
            continue;
        };
        let needs = places.needs.iter().map(|(step, at)| (step.as_str(), *at));
        let inputs = places.inputs.iter().map(|(input, at)| (input.step.as_str(), *at));
        // A step that needs itself has been told already.
        let known = needs.chain(inputs).filter(|(step, _)| step != name && spec.steps.contains_key(*step));
        edges.insert(name, known.collect());
    }
    let mut search = Search {
        edges: &edges,
        path: Vec::new(),
        on_path: HashMap::new(),
        done: HashSet::new(),
        told: HashSet::new(),
        problems,
    };
    edges.keys().for_each(|step| search.visit(step));
}

struct Search<'a, 'p> {
    edges: &'a BTreeMap<&'a str, Vec<(&'a str, At)>>,
    path: Vec<&'a str>,
    /// Where each step of the path stands in it.
    on_path: HashMap<&'a str, usize>,
    done: HashSet<&'a str>,
    told: HashSet<&'a str>,
    problems: &'p mut Vec<Problem>,
}

impl<'a> Search<'a, '_> {
    /// Depth first. The depth is bounded by the number of steps.
    fn visit(&mut self, step: &'a str) {
        if self.done.contains(step) {
            return;
        }
        self.on_path.insert(step, self.path.len());
        self.path.push(step);
        for (needed, at) in self.edges.get(step).into_iter().flatten() {
            match self.on_path.get(needed) {
                Some(start) => self.tell(*start, *at),
                None => self.visit(needed),
            }
        }
        self.path.pop();
        self.on_path.remove(step);
        self.done.insert(step);
    }

    fn tell(&mut self, start: usize, at: At) {
        let circle = &self.path[start..];
        if circle.iter().any(|step| self.told.contains(step)) {
            return;
        }
        self.told.extend(circle);
        let shown = circle[..circle.len().min(10)].join(" → ");
        let rest = if circle.len() > 10 { format!(" → … ({} more)", circle.len() - 10) } else { String::new() };
        let message = format!(
            "These steps wait for each other: {shown}{rest} → {}. Each needs the next; take one of these needs or inputs away.",
            circle[0]
        );
        self.problems.push(Problem::new(at, message));
    }
}
