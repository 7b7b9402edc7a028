//! Rules of a pipeline's file that concern several of its parts at once: names that must exist, cycles, placeholders,
//! variables that would hide each other.

use super::{
    condition, env_name,
    parse::{Places, StepPlaces, TextKind},
    spec::{ListRef, PipelineSpec, StepSpec},
    template::{Part, Place, parts},
};
use crate::{
    problem::{At, Problem, show, suggest},
    prose::capitalised,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// When so many problems were found, no more are looked for: to find near names for thousands would take seconds.
const ENOUGH: usize = 200;

/// Adds what is wrong to `problems`.
pub(super) fn all(spec: &PipelineSpec, places: &Places, problems: &mut Vec<Problem>) {
    let names: Vec<_> = places.params.iter().map(|(name, at)| ("PARAM", name.as_str(), *at)).collect();
    variables(&names, problems);
    for (kind, text, at) in &places.texts {
        placeholders(&Texts { outer: &names, step: None }, *kind, text, *at, problems);
    }
    let scope = Scope { steps: &spec.steps, places: &places.steps, params: names, whole: None, outer: None };
    scope.check(spec, problems);
}

/// Steps that see each other, and what is around them.
struct Scope<'a> {
    steps: &'a BTreeMap<String, StepSpec>,
    places: &'a HashMap<String, StepPlaces>,
    /// Params from outside: kind, name, place.
    params: Vec<(&'static str, &'a str, At)>,
    /// The step that these are in.
    whole: Option<&'a str>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    fn check(&self, spec: &PipelineSpec, problems: &mut Vec<Problem>) {
        for (name, step) in self.steps {
            let Some(places) = self.places.get(name) else {
                continue;
            };
            self.references(name, step, places, problems);
            for (kind, text, at) in &places.texts {
                placeholders(&Texts { outer: &self.params, step: Some(step) }, *kind, text, *at, problems);
            }
            let is_own = |name: &str| step.params.contains_key(name) || step.item_names().any(|item| item == name);
            let inherited = self.params.iter().filter(|(_, name, _)| !is_own(name)).copied();
            let own = places.variables.iter().map(|(kind, name, at)| (*kind, name.as_str(), *at));
            // Those from outside among themselves were looked at there.
            let of_step: Vec<_> = own.clone().map(|(_, _, at)| at).collect();
            let seen: Vec<_> = inherited.chain(own).collect();
            let mut found = Vec::new();
            variables(&seen, &mut found);
            problems.extend(found.into_iter().filter(|p| of_step.contains(&At { line: p.line, column: p.column })));
            for (output, path) in step.outputs.iter().filter_map(|(name, output)| Some((name, output.path()?))) {
                if spec.files.contains_key(path) {
                    let at = places.variables.iter().find(|(kind, name, _)| *kind == "OUTPUT" && name == output);
                    if let Some((_, _, at)) = at {
                        let message = format!("\"{path}\" is a file of the pipeline and cannot be an output.");
                        problems.push(Problem::new(*at, message));
                    }
                }
            }
            if let (Some(at), Some(condition)) = (places.condition, &step.condition)
                && let Err(message) = condition::check(condition)
            {
                problems.push(Problem::new(at, capitalised(&message)));
            }
            if let Some(inner) = step.steps() {
                let params = seen.into_iter().filter(|(kind, _, _)| *kind == "PARAM").collect();
                let scope = Scope { steps: inner, places: &places.steps, params, whole: Some(name), outer: Some(self) };
                scope.check(spec, problems);
            }
        }
        cycles(self, problems);
    }

    /// The step of this name that is seen from here, the nearest first.
    fn find(&self, name: &str) -> Option<&'a StepSpec> {
        self.steps.get(name).or_else(|| self.outer.and_then(|outer| outer.find(name)))
    }

    /// Whether steps of this scope are inside of the step of this name, as it is seen from here.
    fn is_inside(&self, name: &str) -> bool {
        !self.steps.contains_key(name)
            && (self.whole == Some(name) || self.outer.is_some_and(|outer| outer.is_inside(name)))
    }

    fn names(&self) -> Vec<&'a str> {
        let outer = self.outer.map(Self::names).unwrap_or_default();
        self.steps.keys().map(String::as_str).chain(outer).collect()
    }

    /// Steps and outputs that must exist.
    fn references(&self, name: &str, step: &StepSpec, places: &StepPlaces, problems: &mut Vec<Problem>) {
        for (needed, at) in &places.needs {
            if problems.len() >= ENOUGH {
                return;
            }
            let message = match self.steps.get(needed) {
                _ if needed == name => format!("Step \"{name}\" needs itself."),
                Some(last) if last.finally && !step.finally => too_late(needed),
                Some(_) => continue,
                None => {
                    let others = suggest(needed, self.steps.keys().map(String::as_str).filter(|step| *step != name));
                    format!("There is no step \"{}\" for \"{name}\" to need; {others}", show(needed))
                }
            };
            problems.push(Problem::new(*at, message));
        }
        let mut over = None;
        match &places.map {
            Some((ListRef::Output(output), at)) => over = Some((output, *at)),
            Some((ListRef::Param(param), at)) if !self.params.iter().any(|(_, known, _)| known == param) => {
                let others = suggest(param, self.params.iter().map(|(_, known, _)| *known));
                problems.push(Problem::new(*at, format!("There is no param \"{}\"; {others}", show(param))));
            }
            Some((ListRef::Param(_), _)) | None => {}
        }
        for (input, at) in places.inputs.iter().map(|(input, at)| (input, *at)).chain(over) {
            if problems.len() >= ENOUGH {
                return;
            }
            let is_over = over.is_some_and(|(output, _)| std::ptr::eq(output, input));
            let message = match self.find(&input.step) {
                _ if input.step == name => format!("Step \"{name}\" takes its own output."),
                _ if self.is_inside(&input.step) => {
                    format!("Step \"{name}\" is inside of \"{}\" and cannot take what that gives.", input.step)
                }
                None => {
                    let others = suggest(&input.step, self.names().into_iter().filter(|step| *step != name));
                    format!("There is no step \"{}\" to take \"{input}\" from; {others}", input.step)
                }
                Some(from) if from.finally && !step.finally => too_late(&input.step),
                Some(from) => match from.outputs.get(&input.output) {
                    None => {
                        let others = suggest(&input.output, from.outputs.keys().map(String::as_str));
                        format!("Step \"{}\" has no output \"{}\"; {others}", input.step, input.output)
                    }
                    Some(output) if is_over && !output.may_be_value() => format!(
                        "\"{input}\" is a file; to map over its list, write \"{}: {{ path: …, type: value }}\" in step \"{}\".",
                        input.output, input.step
                    ),
                    Some(_) => continue,
                },
            };
            problems.push(Problem::new(at, message));
        }
        let inner = step.steps();
        for (output, at) in &places.passed_on {
            let message = match inner.and_then(|inner| inner.get(&output.step)) {
                Some(from) if from.outputs.contains_key(&output.output) => continue,
                Some(from) => {
                    let others = suggest(&output.output, from.outputs.keys().map(String::as_str));
                    format!("Step \"{}\" has no output \"{}\"; {others}", output.step, output.output)
                }
                None => {
                    let others =
                        suggest(&output.step, inner.into_iter().flat_map(|steps| steps.keys().map(String::as_str)));
                    format!("There is no step \"{}\" inside of \"{name}\"; {others}", output.step)
                }
            };
            problems.push(Problem::new(*at, message));
        }
    }
}

fn too_late(step: &str) -> String {
    format!("Step \"{step}\" runs when all others have ended; they cannot wait for it.")
}

/// What a text is filled in from.
struct Texts<'a> {
    /// Params from outside of the step: kind, name, place.
    outer: &'a [(&'static str, &'a str, At)],
    step: Option<&'a StepSpec>,
}

/// Placeholders of a text: that they can be read, that what they name exists, and that no shell will read their values.
fn placeholders(texts: &Texts<'_>, kind: TextKind, text: &str, at: At, problems: &mut Vec<Problem>) {
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
        let step = texts.step.filter(|_| kind == TextKind::OfStep);
        // A param of a step is made of what comes from outside, and of what a matrix or a map gives.
        let params = || {
            let outer = texts.outer.iter().map(|(_, name, _)| *name);
            let items = texts.step.into_iter().flat_map(StepSpec::item_names);
            outer.chain(items).chain(step.into_iter().flat_map(|step| step.params.keys()).map(String::as_str))
        };
        let (noun, name, exists) = match (place, step) {
            (Place::Param(name), _) => ("param", name, params().any(|known| known == name)),
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
            (Place::Param(_), _) => params().collect(),
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

/// The steps around this one that must have ended before it begins, and where it says so.
fn outward<'a>(step: &'a StepSpec, places: &'a StepPlaces) -> Vec<(&'a str, At)> {
    let over = places.map.iter().filter_map(|(list, at)| match list {
        ListRef::Output(output) => Some((output.step.as_str(), *at)),
        ListRef::Param(_) => None,
    });
    let needs = places.needs.iter().map(|(step, at)| (step.as_str(), *at));
    let inputs = places.inputs.iter().map(|(input, at)| (input.step.as_str(), *at));
    let mut found: Vec<_> = needs.chain(inputs).chain(over).collect();
    for (name, inner) in step.steps().into_iter().flatten() {
        let from_within = places.steps.get(name).map(|places| outward(inner, places)).unwrap_or_default();
        found.extend(
            from_within.into_iter().filter(|(name, _)| step.steps().is_some_and(|steps| !steps.contains_key(*name))),
        );
    }
    found
}

/// Circles of steps that wait for each other, each told once.
fn cycles(scope: &Scope<'_>, problems: &mut Vec<Problem>) {
    let mut edges: BTreeMap<&str, Vec<(&str, At)>> = BTreeMap::new();
    for (name, step) in scope.steps {
        let Some(places) = scope.places.get(name) else {
            continue;
        };
        // A step that needs itself has been told already.
        let known = outward(step, places).into_iter();
        let known = known.filter(|(step, _)| step != name && scope.steps.contains_key(*step));
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
