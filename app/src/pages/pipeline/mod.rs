//! Pipelines: all of them, one with its runs, its file and the form that starts it.

mod edit;
mod file;
mod list;
mod runs;

pub(in crate::pages) use edit::Problems;
pub use edit::{Edit, example};
pub use file::{File, FilePage};
pub use list::List;
pub use runs::{Pipeline, PipelinePage};

use crate::ui::prelude::*;
use leptos::prelude::*;

/// Which page of a pipeline is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
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
    part: Part,
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
                Tab::new("Runs", here.clone()).current(part == Part::Runs),
                Tab::new("File", format!("{here}/file")).count(format!("v{version}")).current(part == Part::File),
            ]
        />
    }
}
