//! The notebook of a try of a step: its cells while it runs and after, and what is different from its source or from
//! another run.

pub mod cells;
pub mod diff;

use crate::{format, islands::LiveRegion, ui::prelude::*};
use cells::{Around, Cells};
use chrono::TimeDelta;
use diff::{Changes, summary};
use domain::{
    notebook::{NotebookDiff, StepNotebook},
    pipeline_run::{AttemptOutcome, PipelineRun},
    preview::Notebook,
    step::StepAttempt,
};
use leptos::prelude::*;

/// A notebook as a page shows it.
#[derive(Debug, Clone)]
pub struct ShownNotebook {
    /// What is known of it.
    pub about: StepNotebook,
    /// Its cells, as far as they were executed.
    pub cells: Option<Notebook>,
    /// Why there are no cells, in a sentence.
    pub why_not: String,
}

/// What the page of a notebook shows.
#[derive(Debug, Clone)]
pub struct NotebookPage {
    /// The run.
    pub run: PipelineRun,
    /// The step's name.
    pub step: String,
    /// The try.
    pub attempt: StepAttempt,
    /// The notebook.
    pub notebook: ShownNotebook,
    /// What it is compared with, when it is.
    pub against: Option<Against>,
    /// Numbers of other runs of the pipeline, newest first.
    pub others: Vec<i64>,
}

/// What a notebook is compared with.
#[derive(Debug, Clone)]
pub struct Against {
    /// `source`, or the number of a run.
    pub chosen: String,
    /// What is different, or why that cannot be told.
    pub diff: Result<NotebookDiff, String>,
}

/// How far it has come, in words.
fn standing(about: &StepNotebook, runs: bool) -> String {
    let progress = &about.progress;
    let cells = format::count(i64::from(progress.cells), "cell", "cells");
    match (runs, progress.at()) {
        (true, Some(cell)) => format::capitalised(&cell),
        (true, None) => "Its kernel starts".to_owned(),
        (false, _) if progress.done >= progress.cells && progress.failure.is_empty() => format!("{cells} of code"),
        (false, _) => format!("{} of {cells} of code", progress.done),
    }
}

/// How long the cell runs that is at work.
#[component]
fn CellClock(about: StepNotebook, runs: bool) -> impl IntoView {
    let since = about.progress.since.filter(|_| runs)?;
    let span = (now() - since).max(TimeDelta::zero());
    Some(view! {
        <span class="note">
            "for "
            <span data-seconds=span.num_seconds().to_string()>{format::duration(span)}</span>
        </span>
    })
}

/// Where the notebook came to.
fn place(about: &StepNotebook, runs: bool) -> Option<(usize, Option<chrono::DateTime<chrono::Utc>>)> {
    let at = usize::try_from(about.progress.cell).ok()?.checked_sub(1)?;
    Some((at, about.progress.since.filter(|_| runs)))
}

/// The notebook of a step on the page of its run.
#[component]
pub fn NotebookPanel(
    /// The addresses of the workspace.
    links: Links,
    /// The number of the run.
    number: i64,
    /// The step's name.
    step: String,
    /// The try.
    attempt: StepAttempt,
    /// The notebook.
    notebook: ShownNotebook,
) -> impl IntoView {
    let runs = attempt.outcome == AttemptOutcome::Running;
    let page = links.step_notebook(number, &step, attempt.number);
    let about = notebook.about.clone();
    let to_cell = notebook.cells.as_ref().and(place(&about, runs)).map(|(at, _)| {
        view! { <a href=format!("#cell-{}", at + 1)>"Go to the cell"</a> }
    });
    let actions = view! {
        {to_cell}
        <a href=page.clone()>"Open"</a>
        <a href=format!("{page}?against=source")>"Compare"</a>
    };
    let lead = view! {
        {runs.then(|| view! { <StateMark state=State::Running word="Runs"/> })}
        <CellClock about=about.clone() runs/>
    };
    let body = match notebook.cells {
        Some(cells) => {
            let around = Around { files: None, frame: Some(format!("{page}/shown")), at: place(&about, runs) };
            view! {
                <div class="notebook-scroll" tabindex="0" role="region" aria-label="Cells">
                    <Cells notebook=cells around/>
                </div>
            }
            .into_any()
        }
        None => view! { <Body><p class="muted">{notebook.why_not}</p></Body> }.into_any(),
    };
    view! {
        <Panel
            title="Notebook"
            id=format!("notebook-{step}-{}", attempt.number)
            note=standing(&about, runs)
            lead=lead.into_any()
            actions=actions.into_any()
        >
            {body}
        </Panel>
    }
}

/// The page of a notebook.
#[component]
pub fn NotebookOfStep(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: NotebookPage,
) -> impl IntoView {
    let NotebookPage { run, step, attempt, notebook, against, others } = page;
    let runs = attempt.outcome == AttemptOutcome::Running;
    let here = links.step_notebook(run.number, &step, attempt.number);
    let about = notebook.about.clone();
    let (shape, word) = super::pipeline_run::state::of_attempt(attempt.outcome);
    let events = runs.then(|| links.events(&[format!("pipeline_run:{}", run.id)]));
    let tabs = vec![
        Tab::new("Cells", here.clone()).current(against.is_none()),
        Tab::new("Compare", format!("{here}?against=source")).current(against.is_some()),
    ];
    let name = about.path.rsplit('/').next().unwrap_or_default().to_owned();
    let content = links.step_notebook_content(run.number, &step, attempt.number);
    let failure = (!about.progress.failure.is_empty()).then(|| {
        let failure = format::capitalised(&about.progress.failure);
        let to_cell = (about.progress.cell > 0 && against.is_none())
            .then(|| view! { " "<a href=format!("#cell-{}", about.progress.cell)>"Go to the cell"</a> });
        view! { <Callout tone=Tone::Fail symbol=Symbol::Fail><b>{failure}"."</b>{to_cell}</Callout> }
    });
    let actions = view! {
        <ButtonLink href=content.clone() text="Download" symbol=Symbol::Download/>
    };
    let meta = view! {
        <span><Icon symbol=Symbol::File/><span class="mono">{about.path.clone()}</span></span>
        <span>{standing(&about, runs)}</span>
        <CellClock about=about.clone() runs/>
        {about.size.map(|size| view! { <span>{format::bytes(u64::try_from(size).unwrap_or_default())}</span> })}
        {about.executed.clone().map(|digest| view! { <DigestText digest/> })}
        {(!runs).then(|| view! { <span>"Written "<When at=about.updated_at/></span> })}
    };
    let step_page = format!(
        "{}?step={}&attempt={}",
        links.pipeline_run(run.number),
        crate::ui::query::encode(&step),
        attempt.number
    );
    let body = match against {
        Some(against) => view! { <Compared against others here=here.clone()/> }.into_any(),
        None => match notebook.cells {
            Some(cells) => {
                let (shown, total) = (cells.cells.len(), cells.total);
                let around = Around { files: None, frame: Some(format!("{here}/shown")), at: place(&about, runs) };
                view! {
                    <Panel title="Cells" id="cells" note=total.to_string() live=true>
                        <Cells notebook=cells around/>
                        {(shown < total).then(|| view! {
                            <Body><p class="muted">{format!("The first {shown} cells of {total}. Download the notebook for the rest.")}</p></Body>
                        })}
                    </Panel>
                }
                .into_any()
            }
            None => view! {
                <Panel title="Cells" id="cells" live=true>
                    <Empty symbol=Symbol::File title="No cells yet" text=notebook.why_not/>
                </Panel>
            }
            .into_any(),
        },
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Pipelines", links.pipelines()),
            Crumb::to(run.pipeline_name.clone(), links.pipeline(&run.pipeline_name)),
            Crumb::to(format!("#{}", run.number), links.pipeline_run(run.number)),
            Crumb::to(format!("{step}, try {}", attempt.number), step_page),
            Crumb::here("Notebook"),
        ]/>
        <PageHead
            title=name.into_any()
            badge=view! { <Badge state=shape word=word/> }.into_any()
            actions=actions.into_any()
            meta=meta.into_any()
            live=true
        />
        <Tabs label="Notebook" items=tabs/>
        <div class="stack mt-4">
            <div id="failure" data-live="">{failure}</div>
            {body}
        </div>
        {events.map(|events| view! { <LiveRegion events/> })}
    }
}

/// What is different from something else, and what else there is.
#[component]
fn Compared(against: Against, others: Vec<i64>, here: String) -> impl IntoView {
    let mut options = vec![("source".to_owned(), "its source, before it ran".to_owned())];
    options.extend(others.iter().map(|number| (number.to_string(), format!("run #{number}"))));
    if options.iter().all(|(value, _)| *value != against.chosen) {
        options.push((against.chosen.clone(), format!("run #{}", against.chosen)));
    }
    let (note, body) = match against.diff {
        Ok(diff) => (summary(&diff), view! { <Changes diff id="changed"/> }.into_any()),
        Err(why) => ("Not compared".to_owned(), view! { <Body><p class="muted">{why}</p></Body> }.into_any()),
    };
    view! {
        <CompareWith action=here name="against" options chosen=Some(against.chosen)/>
        <Panel title="What is different" id="diff" note=note>
            {body}
        </Panel>
    }
}
