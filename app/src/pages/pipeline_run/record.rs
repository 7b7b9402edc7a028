//! What a run is made of, whether it was done again, and what came of that.

use super::RunPage;
use crate::ui::prelude::*;
use domain::{
    pipeline_run::{Code, PipelineRun, PipelineRunState, Sameness, Verdict},
    step::{OutputVersion, Versioned},
};
use leptos::prelude::*;

/// How many runs that did this one again are shown.
const SHOWN: usize = 5;

/// The record, with the form that does the run again: it sends to `pipeline-runs/{number}/reproduce`.
#[component]
pub(super) fn Record(page: RunPage, links: Links) -> impl IntoView {
    let (run, origin, seed) = (page.detail.run, page.origin, page.spec.seed);
    let action = format!("{}/reproduce", links.pipeline_run(run.number));
    let versions = origin
        .versions
        .into_iter()
        .map(|version| {
            let name = name_of(version.of);
            let link = view! { <VersionLink version links=links.clone()/> };
            view! { <Fact name>{link}</Fact> }
        })
        .collect_view();
    let code = match run.code.clone() {
        Some(code) => {
            let patch = links.to(&format!("api/v1/pipeline-runs/{}/patch", run.number));
            view! { <CodeFacts code patch/> }.into_any()
        }
        None => view! { <Fact name="Commit"><span class="muted">"not known"</span></Fact> }.into_any(),
    };
    let caveats = (!origin.caveats.is_empty()).then(|| {
        view! {
            <div class="mt-3">
                <p class="muted">"What may keep it from coming to the same:"</p>
                <ul class="plain mt-1" id="caveats">
                    {origin
                        .caveats
                        .into_iter()
                        .map(|caveat| {
                            let step = caveat.step.map(|step| view! { <b class="mono">{step}</b>": " });
                            view! { <li>{step}{caveat.reason}</li> }
                        })
                        .collect_view()}
                </ul>
            </div>
        }
    });
    let can_be = matches!(run.state, PipelineRunState::Succeeded | PipelineRunState::Failed);
    let form = (page.may_run && can_be).then(|| {
        view! {
            <div class="mt-3">
                <Act
                    action
                    text="Reproduce"
                    symbol=Symbol::Redo
                    values=vec![("key", format!("{}:reproduce", page.key))]
                />
            </div>
        }
    });
    let again = (!page.reproductions.is_empty()).then(|| {
        let rows =
            page.reproductions.iter().take(SHOWN).map(|run| view! { <Again run=run.clone() links=links.clone()/> });
        view! { <ul class="plain mt-3" id="reproductions">{rows.collect_view()}</ul> }
    });
    view! {
        <Panel title="Record" id="record" note="enough to do it again">
            <Body>
                <Facts>
                    {code}
                    {versions}
                    <Fact name="Seed"><span class="mono">{seed}</span></Fact>
                </Facts>
                {caveats}
                {again}
                {form}
            </Body>
        </Panel>
    }
}

/// The code of a run or of a pipeline's version; the patch is at this address.
#[component]
pub(crate) fn CodeFacts(code: Code, patch: String) -> impl IntoView {
    let short: String = code.commit.chars().take(10).collect();
    let changed = match (code.is_dirty, code.patch.is_some()) {
        (true, true) => Some(view! { <a href=patch download="">"changed after it"</a> }.into_any()),
        (true, false) => Some(view! { <span class="muted">"changed after it"</span> }.into_any()),
        (false, _) => None,
    };
    view! {
        <Fact name="Commit">
            <span class="mono" title=code.commit.clone()>{short}</span>
            {code.branch.clone().map(|branch| format!(" on {branch}"))}
            {changed.map(|changed| view! { ", "{changed} })}
        </Fact>
        {code.repository.map(|repository| view! { <Fact name="Repository">{repository}</Fact> })}
    }
}

/// A run that did this one again, and what came of it.
#[component]
fn Again(run: PipelineRun, links: Links) -> impl IntoView {
    let href = links.pipeline_run(run.number);
    let (shape, words) = match &run.verdict {
        Some(verdict) => of_verdict(verdict),
        None if run.state.is_final() => (State::Unsure, "no verdict"),
        None => (State::Running, "going on"),
    };
    view! {
        <li>
            <a href=href>{format!("#{}", run.number)}</a>
            " "
            <Badge state=shape word=words/>
        </li>
    }
}

fn of_verdict(verdict: &Verdict) -> (State, &'static str) {
    match verdict.sameness {
        Sameness::Identical => (State::Passed, "identical"),
        Sameness::WithinTolerance => (State::Passed, "within tolerance"),
        Sameness::Diverged => (State::Failed, "diverged"),
        Sameness::NothingToCompare => (State::Unsure, "nothing to compare"),
    }
}

/// What came of doing another run again; shown on the run that did.
#[component]
pub(super) fn Judged(run: PipelineRun, links: Links) -> impl IntoView {
    let first = run.reproduces?;
    let href = links.pipeline_run(first);
    let verdict = run.verdict?;
    let (shape, _) = of_verdict(&verdict);
    let count = |n: usize, one, many| format::count(i64::try_from(n).unwrap_or(i64::MAX), one, many);
    let metrics = match verdict.metrics {
        0 => String::new(),
        metrics => format!(" and {}", count(metrics, "metric", "metrics")),
    };
    let outputs = count(verdict.outputs, "output", "outputs");
    let compared = format!("{outputs}{metrics} of {}", count(verdict.steps, "step", "steps"));
    let around = (!verdict.surroundings.is_empty()).then(|| {
        view! { <p class="muted" id="surroundings">"Other on the machines: "{verdict.surroundings.join(", ")}"."</p> }
    });
    let more = (verdict.differences.len() > 1).then(|| {
        let rows = verdict.differences.iter().map(|difference| {
            view! { <li><b>{difference.place()}</b>": "{difference.how.clone()}</li> }
        });
        view! { <details class="mt-2"><summary>"All differences"</summary><ul class="plain mt-1">{rows.collect_view()}</ul></details> }
    });
    Some(view! {
        <div class="mt-4" id="verdict">
            <Callout tone=shape.tone() symbol=shape.symbol()>
                <p><b>{verdict.sentence()}</b></p>
                <p class="muted">"Compared with "<a href=href>{format!("run #{first}")}</a>": "{compared}"."</p>
                {around}
                {more}
            </Callout>
        </div>
    })
}

fn name_of(of: Versioned) -> &'static str {
    match of {
        Versioned::Dataset => "Dataset",
        Versioned::Model => "Model",
    }
}

/// What a version is called, as a link to its page.
#[component]
pub(super) fn VersionLink(version: OutputVersion, links: Links) -> impl IntoView {
    let href = match version.of {
        Versioned::Dataset => links.dataset_version(&version.name, version.number),
        Versioned::Model => links.version(&version.name, version.number),
    };
    view! { <a href=href>{format!("{}@{}", version.name, version.number)}</a> }
}
