//! How many runs of a pipeline may be open at once, and the form that says so.

use crate::ui::prelude::*;
use domain::pipeline_run::{Concurrency, ConcurrencyPolicy};
use leptos::prelude::*;

/// The form sends to `pipelines/{name}/settings`: `policy`, empty for no limit, and `limit`.
#[component]
pub(super) fn Limit(
    links: Links,
    name: String,
    concurrency: Option<Concurrency>,
    may_write: bool,
    draft: Draft,
) -> impl IntoView {
    let words = match concurrency {
        None => "As many as are started".to_owned(),
        Some(Concurrency { policy, limit }) => {
            let more = match policy {
                ConcurrencyPolicy::Queue => "one more waits for its turn",
                ConcurrencyPolicy::Replace => "one more replaces the oldest, which is cancelled",
                ConcurrencyPolicy::Skip => "one more is not started",
            };
            format!("{limit}; {more}")
        }
    };
    if !may_write {
        return view! { <Panel title="Runs at once" id="limit"><Body><p>{words}"."</p></Body></Panel> }.into_any();
    }
    let draft = if draft.value("policy").is_some() {
        draft
    } else {
        let policy = concurrency.map_or("", |one| one.policy.as_str()).to_owned();
        let limit = concurrency.map_or(1, |one| one.limit).to_string();
        Draft::of([("policy", policy), ("limit", limit)])
    };
    let options = [
        ("", "As many as are started"),
        ("queue", "One more waits for its turn"),
        ("replace", "One more replaces the oldest"),
        ("skip", "One more is not started"),
    ]
    .map(|(value, word)| (value.to_owned(), word.to_owned()));
    let action = format!("{}/settings", links.pipeline(&name));
    view! {
        <Panel title="Runs at once" id="limit" note=concurrency.map_or_else(|| "no limit".to_owned(), |one| one.limit.to_string())>
            <Body>
                <form class="stack" method="post" action=action>
                    <FormErrors draft=draft.clone() fields=&["policy", "limit"]/>
                    <SelectField label="Above the limit" name="policy" options=options.to_vec() draft=draft.clone()/>
                    <TextField label="Limit" name="limit" kind="number" autocomplete="off" optional=true draft/>
                    <Button text="Save"/>
                </form>
            </Body>
        </Panel>
    }
    .into_any()
}
