//! How much of something: a bar in SVG, since its width must be an attribute.

use super::state::Tone;
use crate::format;
use leptos::prelude::*;

/// A bar. What it measures stands beside it, or is given as `label`.
#[component]
pub fn Meter(
    /// The share, 0 to 1; more is drawn as full.
    share: f64,
    /// Its colour; the accent when none is given.
    #[prop(optional)]
    tone: Tone,
    /// What it measures, for those who hear the page. Without one the bar is silent.
    #[prop(optional, into)]
    label: Option<String>,
    /// Whether it is 8 rem wide instead of as wide as its place.
    #[prop(optional)]
    short: bool,
) -> impl IntoView {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let role = label.as_ref().map(|_| "img");
    let text = label.map(|label| format!("{label}: {}", format::percent(share)));
    view! {
        <svg
            class=if short { "meter short" } else { "meter" }
            data-s=tone.as_str()
            role=role
            aria-hidden=role.is_none().then_some("true")
            aria-label=text
        >
            <rect width=format!("{:.1}%", share * 100.0) height="100%" rx="3"></rect>
        </svg>
    }
}

/// A bar with its value beside it.
#[component]
pub fn Progress(
    /// The share, 0 to 1.
    share: f64,
    /// The text beside the bar; the share in per cent when none is given.
    #[prop(optional, into)]
    text: Option<String>,
    /// Whether it is 12 rem wide.
    #[prop(optional)]
    fixed: bool,
) -> impl IntoView {
    let text = text.unwrap_or_else(|| format::percent(share));
    view! {
        <span class=if fixed { "progress fixed wide" } else { "progress" }>
            <Meter share/>
            <span>{text}</span>
        </span>
    }
}
