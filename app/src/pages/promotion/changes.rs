//! What changed since the version that serves now: params, data, code, environment, the model's card.

use super::detail::{Changed, PromotionPage};
use crate::{
    format,
    pages::model::compare::{Fields, Origin, Params, Was},
    ui::prelude::*,
};
use domain::{
    text_diff::{LineChange, TextDiff},
    version_diff::ValueDiff,
};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// The packages that a lock pins to another version, or that came or went: `name==version` of each line that changed.
fn pins(diffs: &[TextDiff]) -> Vec<ValueDiff> {
    let mut all: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for line in diffs.iter().flat_map(|diff| &diff.hunks).flatten() {
        let text = line.text.trim().trim_start_matches("- ");
        let Some((name, version)) = text.split_once("==") else { continue };
        let version = version.split([' ', ';', '#']).next().unwrap_or_default().to_owned();
        let entry = all.entry(name.trim().to_owned()).or_default();
        match line.change {
            LineChange::Removed => entry.0 = Some(version),
            LineChange::Added => entry.1 = Some(version),
            LineChange::Same => {}
        }
    }
    let pin = |(name, (a, b))| ValueDiff { name, a, b };
    all.into_iter().map(pin).filter(ValueDiff::differs).collect()
}

/// How many things changed.
pub(super) fn count(changed: &Changed) -> usize {
    let diff = &changed.diff;
    let values = diff.params.iter().chain(&diff.datasets).chain(&diff.code).filter(|value| value.differs()).count();
    let texts = diff.environment.iter().filter(|file| !file.diff.is_empty()).count();
    values + texts + diff.signature.len() + usize::from(changed.card.as_ref().is_some_and(|card| !card.is_empty()))
}

/// What changed, in panels.
#[component]
pub(super) fn Changes(page: PromotionPage, links: Links) -> impl IntoView {
    let Some(changed) = page.changed.clone() else { return ().into_any() };
    let promotion = page.detail.promotion;
    let names = (format!("v{}", changed.before.version.version), format!("v{}", promotion.version));
    let Changed { diff, card, .. } = *changed;
    let has_fields = diff.has_signature && !diff.signature.is_empty();
    let compare = links.compare_versions(&promotion.model, changed_from(&names.0), promotion.version);
    let card = card.filter(|card| !card.is_empty()).map(|card| {
        let href = links.card(&promotion.model);
        view! {
            <Panel
                title="Model card"
                id="card"
                note=format!("since {} went live", names.0)
                lead=view! { <DiffCount added=card.added removed=card.removed/> }.into_any()
                actions=view! { <a href=href>"Card"</a> }.into_any()
            >
                <Diff diff=card label="Changes of the model's card"/>
            </Panel>
        }
    });
    view! {
        <div class="stack" id="changes">
            <h2 class="section-title">{format!("What changed since {}", names.0)}<a class="n" href=compare>"All differences"</a></h2>
            <div class="cols two-col">
                <Params names=names.clone() params=diff.params/>
                <Origin names=names.clone() code=diff.code code_compare=diff.code_compare datasets=diff.datasets removed=diff.flavors_removed added=diff.flavors_added/>
            </div>
            <Environment files=diff.environment.into_iter().map(|file| (file.path, file.diff)).collect()/>
            {has_fields.then(|| view! { <Fields names fields=diff.signature has=diff.has_signature/> })}
            {card}
        </div>
    }
    .into_any()
}

fn changed_from(name: &str) -> i32 {
    name.trim_start_matches('v').parse().unwrap_or_default()
}

/// What it needs to run: packages pinned to another version, and the files line by line below them.
#[component]
fn Environment(files: Vec<(String, TextDiff)>) -> impl IntoView {
    let files: Vec<_> = files.into_iter().filter(|(_, diff)| !diff.is_empty()).collect();
    if files.is_empty() {
        return view! {
            <Panel title="Environment" id="environment">
                <Body><p class="muted">"What it needs to run is the same, as far as its files say."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let diffs: Vec<TextDiff> = files.iter().map(|(_, diff)| diff.clone()).collect();
    let pins = pins(&diffs);
    let many = i64::try_from(pins.len()).unwrap_or(i64::MAX);
    let facts = pins
        .into_iter()
        .take(100)
        .map(|pin| view! { <Fact name=pin.name.clone() mono=true><Was diff=pin/></Fact> })
        .collect_view();
    let texts = files
        .into_iter()
        .map(|(path, diff)| {
            let (added, removed) = (diff.added, diff.removed);
            view! {
                <details class="lock">
                    <summary><span class="mono">{path.clone()}</span>" "<DiffCount added removed/></summary>
                    <Diff diff label=format!("Changes of {path}")/>
                </details>
            }
        })
        .collect_view();
    view! {
        <Panel title="Environment" id="environment" note=format::count(many, "package changed", "packages changed")>
            <Body><Facts small=true>{facts}</Facts></Body>
            {texts}
        </Panel>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_changed_are_told_by_name() {
        let diff = TextDiff::of("a==1.0\nb==2.0\nc==1\n", "a==1.1\nb==2.0\nd==3 ; python_version > '3'\n");
        let told: Vec<_> = pins(&[diff]).into_iter().map(|pin| (pin.name, pin.a, pin.b)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("a".to_owned(), some("1.0"), some("1.1")),
                ("c".to_owned(), some("1"), None),
                ("d".to_owned(), None, some("3")),
            ]
        );
    }
}
