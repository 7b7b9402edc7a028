//! All pipelines.

use crate::{format, islands::LiveRegion, pages::pipeline_run::state, ui::prelude::*};
use domain::{Page, id::WorkspaceId, pipeline::PipelineSummary, pipeline_run::PipelineRunState};
use leptos::prelude::*;

/// What puts a first pipeline here.
fn first(base: &str) -> String {
    format!(
        "curl -X PUT {base}/api/v1/pipelines \\\n  -H \"Authorization: Bearer $SLIPWAY_TOKEN\" \\\n  -H \"Content-Type: application/yaml\" \\\n  --data-binary @pipeline.yaml"
    )
}

/// The pipelines of the workspace.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// Those to show, by name.
    pipelines: Page<PipelineSummary>,
    /// The address of the workspace for clients.
    #[prop(into)]
    base: String,
    /// Whether the reader may store pipelines.
    may_write: bool,
    /// The workspace.
    workspace_id: WorkspaceId,
) -> impl IntoView {
    let events = links.events(&[format!("pipeline_runs:{workspace_id}")]);
    let new = links.to("pipelines/new");
    let Page { items, next_page_token } = pipelines;
    let is_empty = items.is_empty() && address.get("page_token").is_none();
    let shown = items.len();
    let (failing, running) = (count(&items, PipelineRunState::Failed), count(&items, PipelineRunState::Running));
    let table = if is_empty {
        let new = new.clone();
        view! {
            <section class="panel" aria-labelledby="none-yet">
                <h2 class="sr" id="none-yet">"All pipelines"</h2>
                <Empty
                    symbol=Symbol::Pipe
                    title="No pipeline yet"
                    text="A pipeline is a YAML file in your repository: steps, what each runs, what it needs. Send it from CI, or write it here."
                    command=first(&base)
                >
                    {may_write.then(|| view! { <ButtonLink text="Write one" href=new symbol=Symbol::Plus/> })}
                </Empty>
            </section>
        }
        .into_any()
    } else {
        let rows = items.into_iter().map(|summary| view! { <Summary links=links.clone() summary/> }).collect_view();
        view! {
            <Table label="Pipelines" roomy=true keys=true id="pipelines" live=true>
                <thead>
                    <tr>
                        <Head label="Pipeline"/>
                        <Head label="Last run"/>
                        <Head label="Started"/>
                        <Head label="Took" num=true/>
                        <Head label="Last twelve"/>
                        <Head label="Version" num=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next=next_page_token one="pipeline" many="pipelines" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead
            title="Pipelines".into_any()
            actions=view! {
                <ButtonLink text="Workers" href=links.to("workers")/>
                {may_write
                    .then(|| view! { <ButtonLink text="New pipeline" href=new kind=Kind::Primary symbol=Symbol::Plus/> })}
            }
                .into_any()
            meta=view! {
                {(running > 0).then(|| view! { <span><StateMark state=State::Running word=format!("{running} running")/></span> })}
                {(failing > 0)
                    .then(|| {
                        let words = format!("{}, last time", format::count(failing, "failed", "failed"));
                        view! { <span><StateMark state=State::Failed word=words/></span> }
                    })}
            }
                .into_any()
            live=true
        />
        <super::Around links=links.clone() part=super::Part::Pipelines/>
        <div class="mt-4">{table}</div>
        <LiveRegion events/>
    }
}

fn count(items: &[PipelineSummary], state: PipelineRunState) -> i64 {
    let last = |item: &&PipelineSummary| item.last_run.as_ref().is_some_and(|run| run.state == state);
    i64::try_from(items.iter().filter(last).count()).unwrap_or(i64::MAX)
}

#[component]
fn Summary(links: Links, summary: PipelineSummary) -> impl IntoView {
    let PipelineSummary { pipeline, latest_version, last_run, recent } = summary;
    let href = links.pipeline(&pipeline.name);
    let file = format!("{href}/file");
    let now = now();
    let last = match last_run {
        None => view! { <td colspan="3"><span class="none">"Never run"</span></td> }.into_any(),
        Some(run) => {
            let (shape, word) = state::of_run(run.state);
            let took = state::took(run.started_at, run.ended_at, now).map(format::duration);
            view! {
                <td>
                    <a class="quiet" href=links.pipeline_run(run.number)>
                        <StateMark state=shape word=word/>
                        " "
                        <span class="mono muted">{format!("#{}", run.number)}</span>
                    </a>
                </td>
                <td><When at=run.created_at/><span class="sub ellipsis">{run.started_by_name}</span></td>
                <td class="num"><Maybe text=took/></td>
            }
            .into_any()
        }
    };
    view! {
        <tr id=format!("pipeline-{}", pipeline.name)>
            <th scope="row"><a class="strong" href=href>{pipeline.name.clone()}</a></th>
            {last}
            <td><Recent states=recent/></td>
            <td class="num"><a class="quiet" href=file>{format!("v{latest_version}")}</a></td>
        </tr>
    }
}

/// The states of the last runs as small shapes, the newest at the right.
#[component]
pub(super) fn Recent(
    /// The states, newest first.
    states: Vec<PipelineRunState>,
) -> impl IntoView {
    if states.is_empty() {
        return view! { <span class="none">{format::NONE}</span> }.into_any();
    }
    let words = states.iter().rev().map(|state| state::of_run(*state).1.to_lowercase()).collect::<Vec<_>>().join(", ");
    view! {
        <span class="shapes" role="img" aria-label=format!("Oldest first: {words}") title=words.clone()>
            {states
                .into_iter()
                .rev()
                .map(|state| {
                    let (shape, _) = state::of_run(state);
                    view! { <span class="tone" data-s=shape.tone().as_str()><Icon symbol=shape.symbol()/></span> }
                })
                .collect_view()}
        </span>
    }
    .into_any()
}
