//! Pipelines: all of them, one with its runs, its file and the form that starts it.

mod edit;
mod file;
mod limit;
mod list;
mod params;
mod runs;
mod start;

pub(in crate::pages) use edit::Problems;
pub use edit::{Edit, example};
pub use file::{File, FilePage, VersionChanges};
pub use list::List;
pub(in crate::pages) use params::{ParamErrors, ParamFields};
pub use runs::{Pipeline, PipelinePage};
pub(in crate::pages) use start::{AllOf, FormPanel, MadeBy, OfPipeline, Starts};

use crate::ui::prelude::*;
use leptos::prelude::*;

/// Which page around pipelines is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Pipelines themselves.
    Pipelines,
    /// Their runs.
    Runs,
    /// What starts them by the clock.
    Schedules,
    /// What starts them by pushes.
    PushHooks,
    /// What starts them when something else happens.
    Triggers,
    /// Their runs for dates that have passed.
    Backfills,
}

/// The tabs of pipelines and of what starts them.
#[component]
pub fn Around(
    /// The addresses of the workspace.
    links: Links,
    /// Which of them this is.
    part: Part,
) -> impl IntoView {
    let tab = |name: &'static str, href: String, of: Part| Tab::new(name, href).current(part == of);
    view! {
        <Tabs
            label="Pipelines and what starts them"
            items=vec![
                tab("Pipelines", links.pipelines(), Part::Pipelines),
                tab("Runs", links.pipeline_runs(), Part::Runs),
                tab("Schedules", links.schedules(), Part::Schedules),
                tab("Push hooks", links.push_hooks(), Part::PushHooks),
                tab("Triggers", links.triggers(), Part::Triggers),
                tab("Backfills", links.backfills(), Part::Backfills),
            ]
        />
    }
}

/// A param's value as people write it: a text without quotes.
pub(in crate::pages) fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Which page of a pipeline is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Runs,
    File,
}

/// The head of a pipeline's pages.
#[component]
fn Head(
    links: Links,
    name: String,
    description: String,
    version: i32,
    part: Shown,
    may_write: bool,
    may_run: bool,
) -> impl IntoView {
    let here = links.pipeline(&name);
    let (edit, start) = (format!("{here}/edit"), format!("{here}#start"));
    view! {
        <Crumbs items=vec![Crumb::to("Pipelines", links.pipelines()), Crumb::here(name.clone())]/>
        <PageHead
            title=name.into_any()
            actions=view! {
                {may_write.then(|| view! { <ButtonLink text="Edit file" href=edit/> })}
                {may_run.then(|| view! { <ButtonLink text="Run" href=start kind=Kind::Primary symbol=Symbol::Play/> })}
            }
                .into_any()
            meta=(!description.is_empty()).then(|| view! { <span class="prose">{description}</span> }).into_any()
        />
        <Tabs
            label="Pipeline"
            items=vec![
                Tab::new("Runs", here.clone()).current(part == Shown::Runs),
                Tab::new("File", format!("{here}/file")).count(format!("v{version}")).current(part == Shown::File),
            ]
        />
    }
}

/// Params for runs that start by themselves, a line each.
#[component]
pub(crate) fn ParamsField(label: &'static str, draft: Draft) -> impl IntoView {
    view! {
        <TextArea
            label
            name="params"
            optional=true
            mono=true
            rows=2
            placeholder="rounds = 500"
            hint="A line for each that shall not have its default."
            draft
        />
    }
}
