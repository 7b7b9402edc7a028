//! How much of something: a bar in SVG, since its width must be an attribute.

use crate::format;
use leptos::prelude::*;

/// A bar. What it measures stands beside it.
#[component]
pub fn Meter(
    /// The share, 0 to 1; more is drawn as full.
    share: f64,
    /// Whether it is 8 rem wide instead of as wide as its place.
    #[prop(optional)]
    short: bool,
) -> impl IntoView {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    view! {
        <svg class=if short { "meter short" } else { "meter" } aria-hidden="true">
            <rect width=format!("{:.1}%", share * 100.0) height="100%" rx="3"></rect>
        </svg>
    }
}

/// A bar with its share in per cent beside it.
#[component]
pub fn Progress(
    /// The share, 0 to 1.
    share: f64,
    /// Whether it is 12 rem wide.
    #[prop(optional)]
    fixed: bool,
) -> impl IntoView {
    view! {
        <span class=if fixed { "progress fixed wide" } else { "progress" }>
            <Meter share/>
            <span>{format::percent(share)}</span>
        </span>
    }
}
