//! What is done with the runs that are selected: the bar below their table, and what is asked before.

use crate::ui::prelude::*;
use domain::experiment::Experiment;
use leptos::prelude::*;

/// The bar. Its buttons send the table's form.
#[component]
pub(super) fn Selected(may_write: bool, of_deleted: bool) -> impl IntoView {
    view! {
        <div class="bulk" role="toolbar" aria-label="Selected runs">
            <b data-selected="" data-keep="">"Selected"</b>
            <Button text="Compare" kind=Kind::Primary name="act" value="compare"/>
            {(may_write && !of_deleted)
                .then(|| {
                    view! {
                        <button class="btn ghost" type="submit" name="act" value="tag" data-opens="tag-runs">"Tag"</button>
                    }
                })}
            {(may_write && of_deleted).then(|| view! { <Button text="Restore" kind=Kind::Ghost name="act" value="restore"/> })}
            <Button text="CSV" kind=Kind::Ghost name="act" value="csv"/>
            <Button text="Parquet" kind=Kind::Ghost name="act" value="parquet"/>
            {(may_write && !of_deleted)
                .then(|| {
                    view! {
                        <span class="sep"></span>
                        <Button text="Delete" kind=Kind::Danger opens="delete-runs"/>
                    }
                })}
            <button class="icon-btn" type="reset" aria-label="Clear the selection" title="Clear the selection">
                <Icon symbol=Symbol::Close/>
            </button>
        </div>
    }
}

/// What is asked before. The form that tags gets the selected runs when it opens; without scripts it is a page of its own.
#[component]
pub(super) fn SelectedDialogs(
    /// Where changes are sent.
    action: String,
    /// This page, to come back to.
    address: Address,
    of_deleted: bool,
) -> impl IntoView {
    if of_deleted {
        return ().into_any();
    }
    view! {
        <section class="dialog" id="delete-runs" popover="" role="dialog" aria-labelledby="delete-runs-title">
            <header><h2 id="delete-runs-title">"Delete the selected runs?"</h2></header>
            <div class="body">
                <p>
                    "Their metrics, params and tags are put away with them, and MLflow's clients do not find them any more. They stay under Deleted runs, and can be restored there. Versions that were registered from them stay as they are."
                </p>
            </div>
            <footer>
                <Button text="Keep them" closes="delete-runs"/>
                <button
                    class="btn danger"
                    type="submit"
                    form="runs-form"
                    formmethod="post"
                    formaction=action.clone()
                    name="act"
                    value="delete"
                >
                    "Delete runs"
                </button>
            </footer>
        </section>
        <section class="dialog" id="tag-runs" popover="" role="dialog" aria-labelledby="tag-runs-title">
            <form method="post" action=action data-of="runs-form" data-keep="">
                <header><h2 id="tag-runs-title">"Tag the selected runs"</h2></header>
                <div class="body">
                    <TagFields draft=Draft::default()/>
                    <input type="hidden" name="act" value="tag"/>
                    <input type="hidden" name="back" value=address.query()/>
                </div>
                <footer>
                    <Button text="Close" closes="tag-runs"/>
                    <Button text="Set the tag" kind=Kind::Primary/>
                </footer>
            </form>
        </section>
    }
    .into_any()
}

#[component]
fn TagFields(draft: Draft) -> impl IntoView {
    view! {
        <TextField label="Key" name="key" draft=draft.clone()/>
        <TextField label="Value" name="value" optional=true hint="A tag that is there already gets this value." draft/>
    }
}

/// The page that tags runs, where no script opens the dialog, and when a tag was refused.
#[component]
pub fn TagRuns(
    /// The addresses of the workspace.
    links: Links,
    /// Where they are.
    experiment: Experiment,
    /// The runs, by id.
    runs: Vec<String>,
    /// The query of the page to come back to.
    back: String,
    /// What was typed, and what is wrong with it.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let count = i64::try_from(runs.len()).unwrap_or(i64::MAX);
    let title = format!("Tag {}", format::count(count, "run", "runs"));
    let page = links.experiment(experiment.id);
    let listed = if back.is_empty() { page.clone() } else { format!("{page}?{back}") };
    view! {
        <Crumbs items=vec![
            Crumb::to("Experiments", links.experiments()),
            Crumb::to(experiment.name.clone(), listed.clone()),
            Crumb::here("Tag"),
        ]/>
        <PageHead title=title.into_any()/>
        <section class="panel mt-4">
        <form class="body stack" method="post" action=format!("{page}/runs")>
            <FormErrors draft=draft.clone() fields=&["key", "value"]/>
            <TagFields draft/>
            <input type="hidden" name="act" value="tag"/>
            <input type="hidden" name="back" value=back/>
            {runs.into_iter().map(|run| view! { <input type="hidden" name="run" value=run/> }).collect_view()}
            <div class="actions">
                <Button text="Set the tag" kind=Kind::Primary/>
                <ButtonLink text="Leave them as they are" href=listed/>
            </div>
        </form>
        </section>
    }
}
