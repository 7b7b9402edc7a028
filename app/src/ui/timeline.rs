//! The history of an object: its audit events, oldest first or latest first, as the page gives them.

use super::{
    avatar::Avatar,
    icon::Icon,
    panel::{Body, Panel},
    state::State,
    time::When,
};
use crate::links::Links;
use chrono::{DateTime, Utc};
use domain::audit::{Actor, AuditEvent};
use leptos::prelude::*;

/// The state an action leaves behind, where it deserves a shape of its own instead of a face.
fn mark(event: &AuditEvent) -> Option<State> {
    if !matches!(event.actor, Actor::System) {
        return None;
    }
    let verb = event.action.rsplit('.').next().unwrap_or_default();
    Some(match verb {
        "failed" | "invalidated" => State::Failed,
        "blocked" | "opened" | "superseded" => State::Warning,
        "passed" | "finished" | "succeeded" | "resolved" => State::Passed,
        "deployed" | "live" => State::Live,
        "started" | "triggered" => State::Running,
        _ => return None,
    })
}

/// The events of an object or workspace.
#[component]
pub fn Timeline(
    /// What happened, in the order to show.
    events: Vec<AuditEvent>,
    /// The addresses of the workspace.
    links: Links,
) -> impl IntoView {
    view! {
        <ol class="timeline">
            {events
                .into_iter()
                .map(|event| view! { <Event event links=links.clone()/> })
                .collect_view()}
        </ol>
    }
}

/// The panel with an object's history.
#[component]
pub fn Happened(
    /// What happened, latest first.
    events: Vec<AuditEvent>,
    /// The addresses of the workspace.
    links: Links,
) -> impl IntoView {
    let told = if events.is_empty() {
        view! { <p class="muted">"Nothing was changed yet."</p> }.into_any()
    } else {
        view! { <Timeline events links/> }.into_any()
    };
    view! { <Panel title="History" id="history" live=true><Body>{told}</Body></Panel> }
}

#[component]
pub fn Event(
    /// What happened.
    event: AuditEvent,
    /// The addresses of the workspace.
    links: Links,
    /// Whether the page is that of what it happened to, so that it leads nowhere.
    #[prop(optional)]
    here: bool,
) -> impl IntoView {
    let name = event.actor.name().to_owned();
    let machine = matches!(event.actor, Actor::System | Actor::User { is_service: true, .. });
    let face = match mark(&event) {
        // A turning arc in the past would lie: what started is over.
        Some(State::Running) | None => view! { <Avatar name=name.clone() machine/> }.into_any(),
        Some(state) => {
            view! { <span class="dot" data-s=state.tone().as_str()><Icon symbol=state.symbol()/></span> }.into_any()
        }
    };
    let href = links.object(&event.object).filter(|_| !here);
    let sentence = match (event.summary.split_once(&event.object.name), href) {
        (Some((before, after)), Some(href)) if !event.object.name.is_empty() => {
            let (before, after) = (before.to_owned(), after.to_owned());
            view! { {before}<a href=href>{event.object.name}</a>{after} }.into_any()
        }
        (_, Some(href)) => view! { <a href=href>{event.summary}</a> }.into_any(),
        (_, None) => event.summary.into_any(),
    };
    view! {
        <li>
            {face}
            <p class="line"><b>{name}</b>" "{sentence}" "<When at=event.at/></p>
        </li>
    }
}

/// Something that was said, in a timeline.
#[component]
pub fn Comment(
    /// Who said it.
    #[prop(into)]
    name: String,
    /// What they did by it: `commented`, `approved`.
    #[prop(into)]
    verb: String,
    /// When.
    at: DateTime<Utc>,
    /// The words, as they were typed.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    view! {
        <li>
            <Avatar name=name.clone()/>
            <article class="comment">
                <header><b>{name}</b>{verb}" "<When at/></header>
                <div class="text"><Prose text/></div>
            </article>
        </li>
    }
}

/// Text that people typed: paragraphs, line breaks and `code` are kept, nothing else is read into it.
#[component]
pub fn Prose(
    /// The text.
    #[prop(into)]
    text: String,
) -> impl IntoView {
    text.split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| {
            let lines = paragraph
                .lines()
                .enumerate()
                .map(|(at, line)| {
                    let pieces = line
                        .split('`')
                        .enumerate()
                        .map(|(at, piece)| {
                            let piece = piece.to_owned();
                            if at % 2 == 1 { view! { <code>{piece}</code> }.into_any() } else { piece.into_any() }
                        })
                        .collect_view();
                    view! { {(at > 0).then(|| view! { <br/> })}{pieces} }
                })
                .collect_view();
            view! { <p>{lines}</p> }
        })
        .collect_view()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn typed_markup_stays_text() {
        let html = fragment(|| view! { <Prose text="Look at `a < b`.\nOr <b>not</b>.\n\nSecond."/> });
        insta::assert_snapshot!(html, @"<p>Look at <code>a &lt; b</code>.<br>Or &lt;b&gt;not&lt;/b&gt;.</p><p>Second.</p>");
    }
}
