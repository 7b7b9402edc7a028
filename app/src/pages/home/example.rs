//! The example on its way: the stations that it has reached, or why it came no further.

use crate::ui::prelude::*;
use chrono::TimeDelta;
use leptos::prelude::*;

/// A station of the example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleStation {
    /// Its name.
    pub title: String,
    /// Whether it was reached; none while it is on its way there.
    pub reached: Option<bool>,
    /// What is going on, or what came of it.
    pub note: String,
    /// How long it took, or takes so far.
    pub took: TimeDelta,
    /// The page of what was made there.
    pub page: Option<String>,
}

/// How far the example has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExampleWalk {
    /// Its stations so far, in order.
    pub stations: Vec<ExampleStation>,
    /// Whether it goes on.
    pub goes_on: bool,
    /// Why it came to an end before its last station.
    pub failure: Option<String>,
    /// Where more can be found about that.
    pub look_at: Option<String>,
}

/// The panel of the example: how far it has come, and where it failed a button that loads it again, if that is offered.
#[component]
pub(super) fn Example(links: Links, walk: ExampleWalk, may_load: bool) -> impl IntoView {
    let ExampleWalk { stations, goes_on, failure, look_at } = walk;
    let (state, word) = match (&failure, goes_on) {
        (Some(_), _) => (State::Failed, "Stopped"),
        (None, true) => (State::Running, "On its way"),
        (None, false) => (State::Passed, "Around the loop"),
    };
    let again = (failure.is_some() && may_load)
        .then(|| view! { <Act action=links.to("example") text="Load the example again" symbol=Symbol::Redo/> });
    let failure = failure.map(|why| {
        view! {
            <Body tight=true>
                <Callout tone=Tone::Fail symbol=Symbol::Fail>
                    {why}
                    {look_at.map(|page| view! { " "<a href=page>"Look there"</a> })}
                </Callout>
                {again}
            </Body>
        }
    });
    let end = (failure.is_none() && !goes_on).then(|| {
        view! {
            <Body tight=true>
                <p class="muted">"The candidate at the end is yours: an approver decides on it."</p>
            </Body>
        }
    });
    let rows = stations.into_iter().map(|station| {
        let (state, word) = match station.reached {
            Some(true) => (State::Passed, "Reached"),
            Some(false) => (State::Failed, "Not reached"),
            None if goes_on => (State::Running, "On its way"),
            None => (State::Cancelled, "Broken off"),
        };
        let ExampleStation { title, note, took, page, .. } = station;
        let (mark, sub) = (view! { <StateShape state word/> }.into_any(), note.into_any());
        let end = format::duration(took).into_any();
        match page {
            Some(href) => view! { <Row title href state=mark sub end/> }.into_any(),
            None => view! { <Row title state=mark sub end/> }.into_any(),
        }
    });
    let rows = rows.collect_view();
    view! {
        <Panel title="The example" id="example" lead=view! { <StateMark state word/> }.into_any() live=true>
            {failure}
            <Rows>{rows}</Rows>
            {end}
        </Panel>
    }
}

/// Lets a browser without scripts ask for the page again while something goes on. Where there are scripts, the page is
/// kept current by them; so this stands outside of what they change.
#[component]
pub(super) fn AskAgain() -> impl IntoView {
    view! { <noscript><meta http-equiv="refresh" content="5"/></noscript> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn example(walk: ExampleWalk, may_load: bool) -> String {
        fragment(move || view! { <Example links=Links::new("lab") walk may_load/> })
    }

    #[test]
    fn what_was_reached_is_a_link_and_what_is_going_on_is_said() {
        let html = example(samples::walk(), false);
        assert!(html.contains("On its way") && html.contains("2 of 5 steps"), "{html}");
        assert!(html.contains(r#"href="/w/lab/pipelines/cell-screening""#), "{html}");
        assert!(!html.contains("<form"), "{html}");
    }

    #[test]
    fn a_walk_that_failed_says_why_and_can_be_begun_again() {
        let failed = ExampleWalk {
            goes_on: false,
            failure: Some("Expected an open alert, and saw none.".to_owned()),
            look_at: Some("/w/lab/alerts".to_owned()),
            ..samples::walk()
        };
        let html = example(failed.clone(), true);
        assert!(html.contains("Expected an open alert, and saw none.") && html.contains("/w/lab/alerts"), "{html}");
        assert!(html.contains(r#"action="/w/lab/example""#), "{html}");
        assert!(!example(failed, false).contains("<form"));
    }
}
