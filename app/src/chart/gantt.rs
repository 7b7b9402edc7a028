//! Steps over time: one lane to a try, in the order in which they began.

use super::path::short;
use crate::{
    format,
    ui::state::{State, StateMark},
};
use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// One lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The step, and which try of it.
    pub name: String,
    /// Where it leads.
    pub href: String,
    /// How it stands.
    pub state: State,
    /// When it began; none when it has not.
    pub from: Option<DateTime<Utc>>,
    /// When it ended; none while it runs.
    pub to: Option<DateTime<Utc>>,
    /// A few words at the end: how long, or that it waits.
    pub note: String,
}

/// Where a lane's bar begins and how wide it is, in per cent of the whole span.
#[must_use]
pub fn bar(lane: &Lane, start: DateTime<Utc>, end: DateTime<Utc>) -> (f64, f64) {
    // A pipeline run takes far less than what loses milliseconds.
    #[allow(clippy::cast_precision_loss)]
    let ms = |span: chrono::TimeDelta| span.num_milliseconds() as f64;
    let whole = ms(end - start).max(1.0);
    let Some(from) = lane.from else { return (93.0, 7.0) };
    let left = (ms(from - start) / whole * 100.0).clamp(0.0, 99.0);
    let right = (ms(lane.to.unwrap_or(end) - start) / whole * 100.0).clamp(left, 100.0);
    // A try of no length is still to be seen.
    (left, (right - left).max(0.8))
}

/// The lanes in a frame that scrolls by itself.
#[component]
pub fn Gantt(
    /// The lanes.
    lanes: Vec<Lane>,
    /// The moment the page is rendered at: where running lanes end.
    now: DateTime<Utc>,
) -> impl IntoView {
    let start = lanes.iter().filter_map(|lane| lane.from).min().unwrap_or(now);
    let last =
        lanes.iter().filter_map(|lane| lane.from.map(|from| lane.to.unwrap_or(now).max(from))).max().unwrap_or(now);
    // Lanes that wait stand in the last of the span, after what runs.
    let waits = lanes.iter().any(|lane| lane.from.is_none());
    let end = if waits { last + (last - start) * 3 / 40 } else { last };
    let span = format::duration(last - start);
    view! {
        <div class="gantt view-gantt" tabindex="0" role="region" aria-label=format!("Steps over {span}")>
            <ol>
                {lanes
                    .into_iter()
                    .map(|lane| {
                        let (left, width) = bar(&lane, start, end);
                        let class = match lane.state {
                            State::Failed => "fail",
                            State::Running => "run",
                            State::Queued | State::Waiting | State::Skipped | State::Cancelled if lane.from.is_none() => "wait",
                            State::Warning | State::Unsure | State::Cancelled => "warn",
                            _ => "",
                        };
                        view! {
                            <li>
                                <a class="quiet" href=lane.href><StateMark state=lane.state word=lane.name/></a>
                                <svg class="lane" aria-hidden="true">
                                    <rect
                                        class=class
                                        x=format!("{}%", short(left))
                                        width=format!("{}%", short(width))
                                        y="8"
                                        height="12"
                                        rx="2"
                                    ></rect>
                                </svg>
                                <span class="end">{lane.note}</span>
                            </li>
                        }
                    })
                    .collect_view()}
            </ol>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(s, 0).unwrap()
    }

    fn lane(from: Option<i64>, to: Option<i64>) -> Lane {
        Lane {
            name: "a".into(),
            href: String::new(),
            state: State::Passed,
            from: from.map(at),
            to: to.map(at),
            note: String::new(),
        }
    }

    #[test]
    fn a_bar_covers_its_share_of_the_span() {
        assert_eq!(bar(&lane(Some(10), Some(35)), at(0), at(100)), (10.0, 25.0));
        assert_eq!(bar(&lane(Some(40), None), at(0), at(100)), (40.0, 60.0));
    }

    #[test]
    fn an_instant_is_seen_and_what_has_not_begun_waits_at_the_end() {
        assert!(bar(&lane(Some(100), Some(100)), at(0), at(100)).1 >= 0.8);
        assert_eq!(bar(&lane(None, None), at(0), at(100)), (93.0, 7.0));
    }
}
