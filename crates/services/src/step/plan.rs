//! The rows of steps: from the pipeline's file to what a run has, at its start and when a step that has steps of its own
//! begins.

use super::outputs::Spot;
use domain::{
    id::{StepId, WorkspaceId},
    pipeline::{ExecutorKind, ParamValue, PipelineSpec, StepSpec, Work},
    step::StepKind,
};
use std::collections::{BTreeMap, HashMap};
use store::step::{NewStep, limit};

/// Where new steps belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) workspace: WorkspaceId,
    pub(crate) spec: &'a PipelineSpec,
    /// Where the steps of pools run that do not say so.
    pub(crate) executors: &'a BTreeMap<String, ExecutorKind>,
    /// The step that they are inside of, when they are.
    pub(crate) outer: Option<&'a Outer>,
}

/// A step that gets steps inside of it.
#[derive(Debug, Clone)]
pub(crate) struct Outer {
    pub(crate) id: StepId,
    pub(crate) spot: Spot,
    pub(crate) items: BTreeMap<String, ParamValue>,
    pub(crate) finally: bool,
}

/// Steps to be added, and what they wait for: (needed, needing).
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<NewStep>,
    pub(crate) edges: Vec<(StepId, StepId)>,
}

/// The steps that see each other: those at the top, or those inside of a step.
pub(crate) fn steps(around: Around<'_>, steps: &BTreeMap<String, StepSpec>) -> Plan {
    let graph = domain::pipeline::Graph::of(steps);
    let ids: HashMap<&str, StepId> = steps.keys().map(|name| (name.as_str(), StepId::new())).collect();
    let new = |name: &str| {
        let step = steps.get(name)?;
        let spot = match around.outer {
            Some(outer) => outer.spot.inside(name),
            None => Spot { place: vec![name.to_owned()], name: name.to_owned() },
        };
        let kind = match step.is_many() {
            true => StepKind::Many,
            false => own_kind(step),
        };
        let items = around.outer.map(|outer| outer.items.clone()).unwrap_or_default();
        let new = new_step(around, *ids.get(name)?, kind, step, spot, items);
        Some(NewStep {
            needs: graph.needs(name).count(),
            trigger_rule: step.trigger_rule,
            finally: step.finally || new.finally,
            has_condition: step.condition.is_some(),
            ..new
        })
    };
    Plan {
        steps: graph.layers().into_iter().flatten().filter_map(new).collect(),
        edges: graph.edges().filter_map(|(parent, child)| Some((*ids.get(parent)?, *ids.get(child)?))).collect(),
    }
}

/// The instances of a step, one for each of these sets of values.
pub(super) fn instances(
    around: Around<'_>,
    outer: &Outer,
    step: &StepSpec,
    all: &[BTreeMap<String, ParamValue>],
) -> Plan {
    let most = step.max_parallel.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let key = limit::map_key(outer.id);
    let kind = own_kind(step);
    let mut plan = Plan::default();
    for (index, values) in all.iter().enumerate() {
        let items = outer.items.iter().chain(values).map(|(name, value)| (name.clone(), value.clone())).collect();
        let spot = Spot { place: outer.spot.place.clone(), name: format!("{}.{index}", outer.spot.name) };
        let mut new = new_step(around, StepId::new(), kind, step, spot, items);
        if step.max_parallel.is_some() && kind == StepKind::Command {
            new.limits.push(key.clone());
            new.blocked_by = (index >= most).then(|| key.clone());
        }
        // Steps that run no command themselves hold no place of a limit: each waits for the one so many before it.
        if let (true, Some(before)) = (kind != StepKind::Command, index.checked_sub(most)) {
            new.needs = 1;
            new.trigger_rule = domain::pipeline::TriggerRule::AllDone;
            plan.edges.extend(plan.steps.get(before).map(|before| (before.id, new.id)));
        }
        plan.steps.push(new);
    }
    plan
}

fn own_kind(step: &StepSpec) -> StepKind {
    match step.work {
        Work::Command(_) | Work::Notebook(_) => StepKind::Command,
        Work::Steps(_) => StepKind::Steps,
        Work::Approval(_) => StepKind::Approval,
        Work::Pipeline(_) => StepKind::Pipeline,
    }
}

fn new_step(
    around: Around<'_>,
    id: StepId,
    kind: StepKind,
    step: &StepSpec,
    spot: Spot,
    items: BTreeMap<String, ParamValue>,
) -> NewStep {
    let of_pool = || around.executors.get(&step.pool).copied();
    let executor = around.spec.executor_of(step).or_else(of_pool).unwrap_or(ExecutorKind::Process);
    NewStep {
        id,
        name: spot.name,
        kind,
        place: spot.place,
        parent: around.outer.map(|outer| outer.id),
        items,
        pool: step.pool.clone(),
        executor,
        priority: around.spec.priority,
        needs: 0,
        trigger_rule: domain::pipeline::TriggerRule::default(),
        finally: around.outer.is_some_and(|outer| outer.finally),
        has_condition: false,
        max_attempts: step.retries.count + 1,
        limits: step.limits.iter().map(|name| limit::tag_key(around.workspace, name)).collect(),
        gpus: match (kind, executor) {
            (StepKind::Command, ExecutorKind::Process | ExecutorKind::Docker) => {
                i16::try_from(step.resources.gpu).unwrap_or(i16::MAX)
            }
            // A cluster hands out its own.
            _ => 0,
        },
        blocked_by: None,
    }
}
