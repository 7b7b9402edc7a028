//! The strip under a page head that answers the first questions, and the chain of what made what.

use super::icon::Icon;
use super::state::State;
use leptos::prelude::*;

/// One answer: a question, a value, a reason, and a link to the proof.
pub struct Answer {
    /// What is asked, in a word or two.
    pub question: String,
    /// The answer.
    pub value: AnyView,
    /// Why, in a few words.
    pub reason: AnyView,
    /// Where the proof is.
    pub href: String,
}

/// The strip. Five answers stand beside each other, or with `four` four.
#[component]
pub fn Answers(
    /// Of what.
    #[prop(into)]
    label: String,
    /// The answers.
    items: Vec<Answer>,
    /// Its id, for updates in place.
    #[prop(into)]
    id: String,
    /// Whether it changes by itself.
    #[prop(optional)]
    live: bool,
) -> impl IntoView {
    let class = match items.len() {
        0..=3 => "verdict three",
        4 => "verdict four",
        _ => "verdict",
    };
    view! {
        <section class=class id=id aria-label=label data-live=live.then_some("")>
            {items
                .into_iter()
                .map(|item| {
                    view! {
                        <a href=item.href>
                            <span class="k">{item.question}</span>
                            <span class="v">{item.value}</span>
                            <span class="d">{item.reason}</span>
                        </a>
                    }
                })
                .collect_view()}
        </section>
    }
}

/// One link of the chain from data to production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// What sort of thing: `Run`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Where it is; none for what has no page.
    pub href: Option<String>,
    /// A few words about it.
    pub sub: String,
    /// Its state, where that matters to the reader of this page.
    pub state: Option<State>,
    /// Whether it is the thing this page shows.
    pub here: bool,
}

/// What made this, and what it made.
#[component]
pub fn Lineage(
    /// From data to production.
    items: Vec<Station>,
) -> impl IntoView {
    view! {
        <ol class="lineage mt-4" aria-label="Lineage" tabindex="0">
            {items
                .into_iter()
                .map(|item| {
                    view! {
                        <li aria-current=item.here.then_some("true")>
                            <span class="k">{item.kind}</span>
                            {match item.href {
                                Some(href) if !item.here => view! { <a href=href>{item.name}</a> }.into_any(),
                                _ => view! { <b>{item.name}</b> }.into_any(),
                            }}
                            <span class="sub">
                                {item
                                    .state
                                    .map(|state| {
                                        view! {
                                            <span class="tone" data-s=state.tone().as_str()><Icon symbol=state.symbol()/></span>
                                        }
                                    })}
                                {item.sub}
                            </span>
                        </li>
                    }
                })
                .collect_view()}
        </ol>
    }
}
