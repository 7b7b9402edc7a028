//! Times: told from now, exact on hover, and for machines in `datetime`.

use crate::format;
use chrono::{DateTime, TimeZone, Utc};
use leptos::prelude::*;

/// The clock of the page that is rendered, so that all its times are told from one moment.
#[derive(Debug, Clone, Copy)]
pub struct Now(pub DateTime<Utc>);

/// The moment this page is rendered at.
#[must_use]
pub fn now() -> DateTime<Utc> {
    use_context::<Now>().map_or_else(Utc::now, |now| now.0)
}

/// A time that MLflow's clients sent, in milliseconds since 1970. What no calendar holds becomes 1970.
#[must_use]
pub fn from_ms(ms: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(ms).single().unwrap_or_default()
}

/// A moment, told from now.
#[component]
pub fn When(
    /// The moment.
    at: DateTime<Utc>,
) -> impl IntoView {
    view! {
        <time datetime=at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true) title=format::exact(at)>
            {format::relative(at, now())}
        </time>
    }
}

/// A moment to come, as the time left until it.
#[component]
pub fn Until(
    /// The moment.
    at: DateTime<Utc>,
) -> impl IntoView {
    let left = at - now();
    let text = if left.num_seconds() <= 0 { "over".to_owned() } else { format!("{} left", format::coarse(left)) };
    view! {
        <time datetime=at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true) title=format::exact(at)>{text}</time>
    }
}

/// How long something took, or takes so far.
#[component]
pub fn Took(
    /// From.
    from: DateTime<Utc>,
    /// To; none while it goes on.
    to: Option<DateTime<Utc>>,
) -> impl IntoView {
    format::duration(to.unwrap_or_else(now) - from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_time_is_relative_to_read_and_exact_to_check() {
        let at = from_ms(1_795_424_700_000);
        let html = fragment(|| {
            provide_context(Now(at + chrono::TimeDelta::hours(3)));
            view! { <When at/> }
        });
        insta::assert_snapshot!(html, @r#"<time datetime="2026-11-23T09:05:00.000Z" title="Mon 23 Nov 2026, 09:05:00 UTC">3 h ago</time>"#);
    }
}
