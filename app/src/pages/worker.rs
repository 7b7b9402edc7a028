//! Who runs steps, what holds a slot, what waits and why, and how many may run at once.

use crate::{
    format,
    islands::LiveRegion,
    ui::{prelude::*, query::encode},
};
use domain::{
    gpu::{self, GpuSlot},
    id::WorkspaceId,
    step::StepRef,
    worker::{Limit, MAX_SLOTS, Pool, QueuedStep, Worker},
};
use leptos::prelude::*;

/// How many steps the lists hold at most.
const LISTED: usize = 100;

/// The page of workers, pools and limits. Sends to `workers/limits` and `workers/limits/{name}/delete`; for pools to
/// `workers/pools` and `workers/pools/{name}/delete`.
#[component]
pub fn Workers(
    /// The addresses of the workspace.
    links: Links,
    /// The workspace.
    workspace_id: WorkspaceId,
    /// All workers.
    workers: Vec<Worker>,
    /// The pools.
    pools: Vec<Pool>,
    /// The graphics processors that workers hand out.
    gpus: Vec<GpuSlot>,
    /// The limits of the workspace.
    limits: Vec<Limit>,
    /// The limits that steps wait for.
    blocking: Vec<Limit>,
    /// Steps that run.
    running: Vec<QueuedStep>,
    /// Steps that could.
    ready: Vec<QueuedStep>,
    /// Whether the reader may change limits.
    may_write: bool,
    /// Whether the reader may limit pools.
    may_limit_pools: bool,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let now = now();
    let alive = workers.iter().filter(|worker| worker.is_alive(now)).count();
    let note = format!("{alive} alive");
    let events = links.events(&[format!("pipeline_runs:{workspace_id}")]);
    let (of_running_note, of_ready_note) = (shown(running.len()), shown(ready.len()));
    // What was refused belongs to the form that has this field.
    let of = |field: &str| if draft.value(field).is_some() { draft.clone() } else { Draft::default() };
    let (of_pool, of_executor, draft) = (of("pool"), of("executor_pool"), of("name"));
    let pool_form = may_limit_pools.then(|| {
        let names: Vec<String> = pools.iter().map(|pool| pool.name.clone()).collect();
        view! {
            <PoolLimitForm action=links.to("workers/pools") names=names.clone() draft=of_pool/>
            <PoolExecutorForm action=links.to("workers/pools/executor") names draft=of_executor/>
        }
    });
    let action = links.to("workers/limits");
    let form = may_write.then(|| {
        view! {
            <Body>
                <form class="stack" method="post" action=action>
                    <FormErrors draft=draft.clone() fields=&["name", "slots"]/>
                    <TextField
                        label="Name"
                        name="name"
                        autocomplete="off"
                        mono=true
                        hint="As steps name it: limits: licences"
                        draft=draft.clone()
                    />
                    <TextField
                        label="At once"
                        name="slots"
                        kind="number"
                        autocomplete="off"
                        mono=true
                        bounds=at_once()
                        hint="How many of these steps may run at once. A limit that is there is changed."
                        draft
                    />
                    <Button text="Set limit" kind=Kind::Primary/>
                </form>
            </Body>
        }
    });
    // Where no machine has any, nobody looks for them.
    let gpus = (!gpus.is_empty()).then(|| {
        let held = gpus.iter().filter(|slot| slot.held).count();
        let (note, links, workers) = (format!("{held} of {} in use", gpus.len()), links.clone(), workers.clone());
        view! {
            <Panel title="GPUs" id="gpus" note live=true>
                <Gpus links gpus workers/>
            </Panel>
        }
    });
    let up = links.pipelines();
    let (of_running, of_ready, of_pools) = (links.clone(), links.clone(), links.clone());
    view! {
        <Crumbs items=vec![Crumb::to("Pipelines", up), Crumb::here("Workers")]/>
        <PageHead title="Workers".into_any()/>
        // Who is alive no event tells.
        <div class="with-aside mt-4" data-look-again="">
            <div class="stack">
                <Panel title="Workers" id="workers" note live=true>
                    <WorkerTable workers/>
                </Panel>
                {gpus}
                <Panel title="Running" id="running" note=of_running_note live=true>
                    <Steps links=of_running steps=running blocking=Vec::new() empty="No step of this workspace runs."/>
                </Panel>
                <Panel title="Waiting" id="waiting" note=of_ready_note live=true>
                    <Steps links=of_ready steps=ready blocking empty="No step of this workspace waits for a worker."/>
                </Panel>
            </div>
            <aside class="stack" aria-label="Pools and limits">
                <Panel title="Pools" id="pools">
                    <div id="pool-rows" data-live=""><Pools links=of_pools pools may_limit_pools/></div>
                    {pool_form}
                </Panel>
                <Panel title="Limits" id="limits" note=limits.len().to_string()>
                    <Limits links limits may_write/>
                    {form}
                </Panel>
            </aside>
        </div>
        <LiveRegion events/>
    }
}

/// How many steps a limit may let run.
fn at_once() -> Bounds {
    Bounds { least: Some(0.0), most: Some(f64::from(MAX_SLOTS)), fraction: false }
}

/// A form about a pool, which opens when it was refused.
#[component]
fn PoolForm(
    summary: &'static str,
    button: &'static str,
    action: String,
    fields: &'static [&'static str],
    draft: Draft,
    children: Children,
) -> impl IntoView {
    let is_open = draft.is_refused();
    view! {
        <Body>
            <details open=is_open>
                <summary>{summary}</summary>
                <form class="stack mt-2" method="post" action=action>
                    <FormErrors draft fields/>
                    {children()}
                    <Button text=button/>
                </form>
            </details>
        </Body>
    }
}

/// Limits a pool.
#[component]
fn PoolLimitForm(action: String, names: Vec<String>, draft: Draft) -> impl IntoView {
    let of_form = draft.clone();
    view! {
        <PoolForm summary="Limit a pool" button="Limit pool" action fields=&["pool", "pool_slots"] draft=of_form>
            <TextField label="Pool" name="pool" autocomplete="off" mono=true choices=names draft=draft.clone()/>
            <TextField
                label="Its steps at once"
                name="pool_slots"
                kind="number"
                autocomplete="off"
                mono=true
                bounds=at_once()
                hint="Of all workspaces together. With 0, none begins; what runs goes on."
                draft
            />
        </PoolForm>
    }
}

/// Says where steps of a pool run that do not say so.
#[component]
fn PoolExecutorForm(action: String, names: Vec<String>, draft: Draft) -> impl IntoView {
    let options = [("", "As processes"), ("docker", "By Docker"), ("kubernetes", "By Kubernetes")];
    let options = options.map(|(value, text)| (value.to_owned(), text.to_owned())).to_vec();
    let (of_form, summary) = (draft.clone(), "Choose where a pool's steps run");
    view! {
        <PoolForm summary button="Save" action fields=&["executor_pool", "executor"] draft=of_form>
            <TextField label="Pool" name="executor_pool" autocomplete="off" mono=true choices=names draft=draft.clone()/>
            <SelectField
                label="Its steps run"
                name="executor"
                options
                hint="Of all workspaces. A step or a pipeline that names its executor goes by that."
                draft
            />
        </PoolForm>
    }
}

/// How many steps are listed; of more than are listed nobody counted.
fn shown(count: usize) -> String {
    match count {
        LISTED.. => format!("the first {LISTED}"),
        count => format::count(i64::try_from(count).unwrap_or(i64::MAX), "step", "steps"),
    }
}

#[component]
fn WorkerTable(workers: Vec<Worker>) -> impl IntoView {
    let now = now();
    if workers.is_empty() {
        return view! {
            <Empty
                symbol=Symbol::Pipe
                title="No worker"
                text="Steps wait until there is one. The server runs one unless it was started with --no-worker; more are started beside it."
                command="slipway worker --pool default --steps 4".to_owned()
            />
        }
        .into_any();
    }
    let rows = workers.into_iter().map(|worker| {
        let (shape, word) = if worker.is_alive(now) { (State::Live, "Alive") } else { (State::Warning, "Silent") };
        let gpus = match worker.gpus.len() {
            0 => String::new(),
            gpus => format!(", {}", gpu::count(gpus)),
        };
        let executors: Vec<&str> = worker.executors.iter().map(|executor| executor.as_str()).collect();
        view! {
            <tr>
                <th scope="row">
                    <span class="strong mono">{worker.label}</span>
                    <span class="sub">{format!("{}{gpus}, version {}", executors.join(", "), worker.version)}</span>
                </th>
                <td><StateMark state=shape word/></td>
                <td>{worker.pools.join(", ")}</td>
                <td class="wrap"><Sandbox sandbox=worker.sandbox/></td>
                <td class="num">{format!("{} of {}", worker.held, worker.slots)}</td>
                <td><When at=worker.last_seen/></td>
                <td><When at=worker.started_at/></td>
            </tr>
        }
    });
    let rows: Vec<_> = rows.collect();
    view! {
        <Table label="Workers" roomy=true>
            <thead>
                <tr>
                    <Head label="Worker"/>
                    <Head label="State"/>
                    <Head label="Pools"/>
                    <Head label="Sandbox"/>
                    <Head label="Slots held" num=true/>
                    <Head label="Heard of"/>
                    <Head label="Began"/>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </Table>
    }
    .into_any()
}

/// What keeps the processes of steps from the rest of the machine: the level, and what it is made of below.
#[component]
fn Sandbox(sandbox: Option<String>) -> impl IntoView {
    let Some(words) = sandbox else { return view! { <Maybe text=None/> }.into_any() };
    match words.strip_suffix(')').and_then(|words| words.split_once(" (")) {
        Some((level, parts)) => {
            let (level, parts) = (format::capitalised(level), parts.to_owned());
            view! { <span>{level}</span><span class="sub">{parts}</span> }.into_any()
        }
        None => format::capitalised(&words).into_any(),
    }
}

/// The steps that have the places of a limit, as links. `before` stands before them.
#[component]
fn Holders(links: Links, holders: Vec<StepRef>, held: i64, before: &'static str) -> impl IntoView {
    let named = i64::try_from(holders.len()).unwrap_or(i64::MAX);
    let others = match (held - named, named) {
        (..=0, _) => None,
        (others, 0) => Some(format::count(others, "step of another workspace", "steps of other workspaces")),
        (others, _) => Some(format!("{others} more")),
    };
    let all = i64::from(others.is_some()) + named;
    (all > 0).then(|| {
        let last = all - 1;
        // Before the first nothing: an empty text would be a space.
        let join = move |at: i64| (at > 0).then_some(if at == last { " and " } else { ", " });
        let named = (0..)
            .zip(holders)
            .map(|(at, StepRef { pipeline, run, step })| {
                let href = links.step(run, &step);
                view! { {join(at)}<a href=href>{format!("{pipeline} #{run}: {step}")}</a> }
            })
            .collect_view();
        view! { <span class="holders">{before}{named}{others.map(|others| view! { {join(last)}{others} })}</span> }
    })
}

/// Steps with who has them, or why they wait and who has what they wait for.
#[component]
fn Steps(links: Links, steps: Vec<QueuedStep>, blocking: Vec<Limit>, empty: &'static str) -> impl IntoView {
    if steps.is_empty() {
        return view! { <div class="empty"><p>{empty}</p></div> }.into_any();
    }
    let rows = steps.into_iter().map(|step| {
        let href = links.step(step.run, &step.step);
        let limit = step.blocked_by.as_ref().and_then(|name| blocking.iter().find(|limit| limit.name == *name));
        let holders = limit.filter(|_| step.worker.is_none()).cloned().map(|Limit { holders, held, .. }| {
            view! { <Holders links=links.clone() holders held before="Held by "/> }
        });
        let (shape, word, sub) = match &step.worker {
            Some(worker) => (State::Running, "Running", format!("On {worker}")),
            None => (State::Queued, "Queued", format::capitalised(step.waits_for.as_deref().unwrap_or_default())),
        };
        let pool = (step.pool != "default").then(|| view! { <Tag text=step.pool.clone()/> });
        view! {
            <Row
                title=format!("{} #{}: {}", step.pipeline, step.run, step.step)
                href=href
                state=view! { <StateMark state=shape word/> }.into_any()
                sub=view! { {sub}{holders} }.into_any()
                more=pool.into_any()
                end=view! { <When at=step.since/> }.into_any()
            />
        }
    });
    let rows: Vec<_> = rows.collect();
    view! { <Rows>{rows}</Rows> }.into_any()
}

/// Graphics processors with the step that has each.
#[component]
fn Gpus(links: Links, gpus: Vec<GpuSlot>, workers: Vec<Worker>) -> impl IntoView {
    let rows = gpus.into_iter().map(|slot| {
        let uuid = slot.gpu.uuid.clone();
        let by: Vec<String> =
            workers.iter().filter(|worker| worker.gpus.contains(&uuid)).map(|worker| worker.label.clone()).collect();
        let by = if by.is_empty() { "no worker that lives".to_owned() } else { by.join(", ") };
        let (shape, word) = if slot.held { (State::Running, "In use") } else { (State::Live, "Free") };
        let holder = match (slot.holder, slot.held) {
            (Some(holder), _) => {
                view! { <a href=links.step(holder.run, &holder.step)>{holder.to_string()}</a> }.into_any()
            }
            (None, true) => "a step of another workspace".into_any(),
            (None, false) => ().into_any(),
        };
        let name = if slot.gpu.name.is_empty() { "GPU".to_owned() } else { slot.gpu.name };
        view! {
            <Row
                title=name
                state=view! { <StateMark state=shape word/> }.into_any()
                sub=view! { <span class="mono">{uuid.to_string()}</span>", of "{by} }.into_any()
                end=holder
            />
        }
    });
    let rows: Vec<_> = rows.collect();
    view! { <Rows>{rows}</Rows> }
}

#[component]
fn Pools(links: Links, pools: Vec<Pool>, may_limit_pools: bool) -> impl IntoView {
    if pools.is_empty() {
        return view! { <Body><p class="muted">"A pool is there as soon as a worker or a step names it."</p></Body> }
            .into_any();
    }
    let rows = pools.into_iter().map(|pool| {
        let most = pool.limit.map_or(pool.slots, |limit| pool.slots.min(i64::from(limit)));
        let (shape, word) = match (pool.workers, pool.ready) {
            (0, 1..) => (State::Warning, "No worker"),
            (0, _) => (State::Skipped, "No worker"),
            _ => (State::Live, "Alive"),
        };
        let waits = match (pool.ready, pool.blocked) {
            (0, _) => "nothing waits".to_owned(),
            (ready, 0) => format!("{ready} wait"),
            (ready, blocked) => format!("{ready} wait, {blocked} of them for a limit"),
        };
        let limit = pool.limit.map(|limit| format!("; at most {limit} at once")).unwrap_or_default();
        let place = pool.executor.map(|executor| format!("; by {}", executor.as_str())).unwrap_or_default();
        let action = links.to(&format!("workers/pools/{}/delete", encode(&pool.name)));
        let delete = (may_limit_pools && pool.limit.is_some())
            .then(|| view! { <Act action text="Delete limit" symbol=Symbol::Cancel values=Vec::new()/> }.into_any());
        view! {
            <Row
                title=pool.name
                state=view! { <StateMark state=shape word/> }.into_any()
                sub=format!("{waits}{limit}{place}").into_any()
                more=delete.into_any()
                end=format!("{} of {most}", pool.running).into_any()
            />
        }
    });
    let rows: Vec<_> = rows.collect();
    view! { <Rows>{rows}</Rows> }.into_any()
}

#[component]
fn Limits(links: Links, limits: Vec<Limit>, may_write: bool) -> impl IntoView {
    if limits.is_empty() {
        return view! { <Body><p class="muted">"No limit. One keeps steps that share something scarce from running at once: licences, an interface, a machine."</p></Body> }
            .into_any();
    }
    let rows = limits.into_iter().map(|limit| {
        let action = links.to(&format!("workers/limits/{}/delete", encode(&limit.name)));
        let delete = may_write.then(|| view! { <Act action text="Delete" symbol=Symbol::Cancel values=Vec::new()/> });
        let full = limit.held >= i64::from(limit.slots);
        let (shape, word) = if full { (State::Warning, "Full") } else { (State::Live, "Free") };
        let waits = if limit.waiting == 0 { "nothing waits".to_owned() } else { format!("{} wait", limit.waiting) };
        view! {
            <Row
                title=limit.name
                state=view! { <StateMark state=shape word/> }.into_any()
                sub=view! {
                    {format!("{} of {} held, {waits}", limit.held, limit.slots)}
                    <Holders links=links.clone() holders=limit.holders held=limit.held before="By "/>
                }
                    .into_any()
                more=delete.into_any()
            />
        }
    });
    let rows: Vec<_> = rows.collect();
    view! { <Rows>{rows}</Rows> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    fn holder(run: i64) -> StepRef {
        StepRef { pipeline: "train".to_owned(), run, step: "fit".to_owned() }
    }

    fn held_by(runs: &[i64], held: i64) -> String {
        let holders = runs.iter().copied().map(holder).collect();
        fragment(|| view! { <Holders links=Links::new("lab") holders held before="Held by "/> })
    }

    #[test]
    fn who_has_the_places_of_a_limit_is_named_up_to_a_number() {
        let link = |run: i64| format!(r#"<a href="/w/lab/pipeline-runs/{run}?step=fit">train #{run}: fit</a>"#);
        let frame = |text: String| format!(r#"<span class="holders">Held by {text}</span>"#);
        assert_eq!(held_by(&[7], 1), frame(link(7)));
        assert_eq!(held_by(&[7, 8], 2), frame(format!("{} and {}", link(7), link(8))));
        assert_eq!(held_by(&[7, 8], 9), frame(format!("{}, {} and 7 more", link(7), link(8))));
        assert_eq!(held_by(&[], 3), frame("3 steps of other workspaces".to_owned()));
        assert_eq!(held_by(&[], 0), "");
    }

    #[test]
    fn a_step_that_waits_says_who_has_what_it_waits_for() {
        use crate::samples::operations as o;
        let html = fragment(|| {
            view! { <Steps links=Links::new("lab") steps=o::queue(false) blocking=o::limits() empty=""/> }
        });
        assert_eq!(html.matches("Held by ").count(), 2, "{html}");
        assert!(html.contains("train-wine #512: train</a> and 3 more"), "{html}");
        assert!(html.contains("Held by 1 step of another workspace"), "{html}");
        assert!(html.contains("For a place of the limit licences"), "{html}");
    }

    #[test]
    fn the_level_of_a_worker_stands_above_what_it_is_made_of() {
        let shown = |words: &str| fragment(|| view! { <Sandbox sandbox=Some(words.to_owned())/> });
        assert_eq!(
            shown("level 1 (landlock 7, seccomp)"),
            r#"<span>Level 1</span><span class="sub">landlock 7, seccomp</span>"#
        );
        assert_eq!(shown("level 0"), "Level 0");
    }
}
