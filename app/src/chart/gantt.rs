//! Steps over time: one lane to a try, in the order in which they began, under an axis that stays in view.

use super::{path::short, scale::lengths};
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
    /// Whether the page shows it.
    pub current: bool,
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

/// Where the axis is marked, in per cent of the whole span, and what is written there.
#[must_use]
pub fn ticks(start: DateTime<Utc>, last: DateTime<Utc>, end: DateTime<Utc>) -> Vec<(f64, String)> {
    // As above.
    #[allow(clippy::cast_precision_loss)]
    let seconds = |span: chrono::TimeDelta| span.num_milliseconds() as f64 / 1000.0;
    let (span, whole) = (seconds(last - start), seconds(end - start).max(0.001));
    if span <= 0.0 {
        return Vec::new();
    }
    let ticks = lengths((0.0, span), 5).into_iter().map(|(at, text)| (at / whole * 100.0, text));
    // One at the very end would be written over what stands there.
    ticks.filter(|(at, _)| *at <= 96.0).collect()
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
    let ticks = ticks(start, last, end);
    let lines = ticks.iter().map(|(at, _)| format!(r#"<line x1="{0}%" x2="{0}%" y1="0" y2="100%"/>"#, short(*at)));
    let lines: String = lines.collect();
    let texts = ticks.iter().map(|(at, text)| format!(r#"<text x="{}%" dx="3" y="15">{text}</text>"#, short(*at)));
    let texts: String = texts.collect();
    view! {
        <div class="gantt view-gantt" tabindex="0" role="region" aria-label=format!("Steps over {span}")>
            <div class="axis" aria-hidden="true"><svg inner_html=texts></svg></div>
            <div class="tries">
                <svg class="ticks" aria-hidden="true" inner_html=lines></svg>
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
                                <li aria-current=lane.current.then_some("true")>
                                    <a class="quiet" href=lane.href title=lane.name.clone()>
                                        <StateMark state=lane.state word=lane.name.clone()/>
                                    </a>
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
            current: false,
        }
    }

    #[test]
    fn the_axis_is_marked_at_round_lengths_of_what_ran() {
        let marks = |last: i64, end: i64| ticks(at(0), at(last), at(end));
        assert_eq!(
            marks(100, 100).iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(),
            ["0", "20 s", "40 s", "60 s", "80 s"]
        );
        // What waits stands behind the last mark.
        assert_eq!(marks(100, 125)[1].0, 16.0);
        assert_eq!(marks(100, 125).last().unwrap().1, "100 s");
        assert!(marks(0, 0).is_empty());
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
