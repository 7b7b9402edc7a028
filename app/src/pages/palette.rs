//! What was found by name: the palette's page for browsers without scripts, and for questions with nothing found yet.

use crate::ui::prelude::*;
use domain::palette::Hit;
use leptos::prelude::*;

/// What was found for `q`, which is in the address.
#[component]
pub fn Search(
    /// This page, with what was asked: `q`.
    address: Address,
    /// What was found.
    hits: Vec<Hit>,
) -> impl IntoView {
    let query = address.get("q").unwrap_or_default().to_owned();
    let count = hits.len();
    let body = match (query.is_empty(), count) {
        (true, _) => ().into_any(),
        (false, 0) => view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::Search
                    title=format!("Nothing is called “{query}” here")
                    text="Names are searched, in any case: of runs, experiments, models and pipelines."
                />
            </div>
        }
        .into_any(),
        (false, count) => {
            let note = format::count(i64::try_from(count).unwrap_or_default(), "name", "names");
            let rows = hits
                .into_iter()
                .map(|hit| {
                    let kind = hit.kind.as_str().replace('_', " ");
                    view! { <Row title=hit.title href=hit.href sub=hit.detail.into_any() end=kind.into_any()/> }
                })
                .collect_view();
            view! { <Panel title="Found" id="found" note><Rows>{rows}</Rows></Panel> }.into_any()
        }
    };
    view! {
        <PageHead title="Search".into_any()/>
        <div class="mt-4">
            <FilterBar label="Search by name" address placeholder="Run, model, pipeline, experiment">
                <Button text="Search" kind=Kind::Primary/>
            </FilterBar>
            {body}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use domain::audit::ObjectKind;

    fn page(query: &str, hits: Vec<Hit>) -> String {
        let pairs = [("q".to_owned(), query.to_owned())];
        fragment(move || view! { <Search address=Address::new("/w/lab/search", pairs) hits/> })
    }

    #[test]
    fn what_was_found_is_a_link_with_its_sort() {
        let hit = Hit {
            kind: ObjectKind::PipelineRun,
            title: "train-wine #511".into(),
            detail: "succeeded".into(),
            href: "/w/lab/pipeline-runs/511".into(),
        };
        let html = page("train", vec![hit]);
        assert!(html.contains(r#"href="/w/lab/pipeline-runs/511""#) && html.contains("pipeline run"), "{html}");
    }

    #[test]
    fn nothing_found_repeats_the_question() {
        assert!(page("nope", Vec::new()).contains("Nothing is called “nope” here"));
    }
}
