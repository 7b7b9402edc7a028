//! What people change of a run, beside its name and note, which experiments have too: its tags.

use super::RunPage;
use crate::{pages::experiment::change::Subject, ui::prelude::*};
use domain::{
    experiment::{LifecycleStage, NOTE_TAG},
    names::RunName,
    values::CLIENTS_TAGS,
};
use leptos::prelude::*;

/// The most tags that are shown.
const MOST: usize = 100;

/// The run as its forms change it.
pub(super) fn subject(address: &Address, overview: &Address, page: &RunPage) -> Subject {
    Subject {
        noun: "run",
        name: page.run.info.name.clone(),
        field: ("run_name", RunName::MAX),
        note: page.run.tags.get(NOTE_TAG).cloned().unwrap_or_default(),
        here: address.clone(),
        writing: overview.with("edit", "note"),
        may_write: page.may_write,
        is_deleted: page.run.info.lifecycle_stage == LifecycleStage::Deleted,
        draft: page.draft.clone(),
    }
}

/// The tags that people set, and the form that sets one; those of clients are shown as what they mean.
#[component]
pub(super) fn Tags(subject: Subject, page: RunPage) -> impl IntoView {
    let tags: Vec<(String, String)> =
        page.run.tags.into_iter().filter(|(key, _)| !key.starts_with(CLIENTS_TAGS)).take(MOST).collect();
    let may_change = subject.is_open();
    // One comes back to where the tags are.
    let action = format!("{}#tags", subject.action());
    let none = tags.is_empty();
    if none && !may_change {
        return ().into_any();
    }
    let count = tags.len();
    let chips = tags
        .into_iter()
        .map(|(key, value)| {
            let shown: String = value.chars().take(300).collect();
            let remove = may_change.then(|| {
                let label = format!("Remove the tag {key}");
                view! {
                    <button type="submit" name="key" value=key.clone() aria-label=label.clone() title=label><Icon symbol=Symbol::Close/></button>
                }
            });
            view! {
                <span class="chip">
                    <span class="k">{key}</span>
                    {(!shown.is_empty()).then(|| view! { <span class="v">{shown}</span> })}
                    {remove}
                </span>
            }
        })
        .collect_view();
    let chips = (!none).then(|| {
        if may_change {
            view! { <form class="chips" method="post" action=action.clone()>{field::hidden(subject.values("untag"))}{chips}</form> }
                .into_any()
        } else {
            view! { <div class="chips">{chips}</div> }.into_any()
        }
    });
    let add = may_change.then(|| {
        let draft = subject.draft.of_form("tag");
        let (errors, is_refused) = (draft.clone(), draft.is_refused());
        view! {
            <details class="add-tag" open=is_refused>
                <summary class="btn ghost"><Icon symbol=Symbol::Plus/>"Add a tag"</summary>
                <form class="stack" method="post" action=action data-keep="">
                    <FormErrors draft=errors fields=&["key", "value"]/>
                    <TextField label="Key" name="key" autocomplete="off" mono=true draft=draft.clone()/>
                    <TextField label="Value" name="value" autocomplete="off" mono=true optional=true draft/>
                    {field::hidden(subject.values("tag"))}
                    <div><Button text="Set tag"/></div>
                </form>
            </details>
        }
    });
    view! {
        <Panel title="Tags" id="tags" note=count.to_string() live=true>
            <Body>{chips}{add}</Body>
        </Panel>
    }
    .into_any()
}
