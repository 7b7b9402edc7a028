//! What a gate found, drawn: its numbers as small tables, an interval as a line.

use crate::{format, ui::prelude::*};
use leptos::prelude::*;
use serde_json::{Map, Value};

/// How deep values stand in each other before they are written as text.
const DEEP: usize = 3;
/// The most rows of a table, and the most columns.
const ROWS: usize = 200;
const COLUMNS: usize = 8;

/// The interval that some evidence gives for a gain: better is more, always.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) low: f64,
    pub(super) high: f64,
    at: f64,
    confidence: Option<f64>,
}

impl Interval {
    /// Reads `low` and `high`, and the value between them.
    pub(super) fn of(evidence: &Value) -> Option<Self> {
        let of = |names: &[&str]| names.iter().find_map(|name| evidence.get(name)?.as_f64());
        let (low, high) = (of(&["low", "lower"])?, of(&["high", "upper"])?);
        let at = of(&["gain", "difference", "estimate"]).unwrap_or(f64::midpoint(low, high));
        let fits = low.is_finite() && high.is_finite() && at.is_finite() && low <= high;
        fits.then_some(Self { low, high, at, confidence: of(&["confidence"]) })
    }

    /// What it says together.
    pub(super) fn meaning(self) -> Meaning {
        match self {
            _ if self.low > 0.0 => Meaning::Better,
            _ if self.high < 0.0 => Meaning::Worse,
            _ => Meaning::Unsure,
        }
    }

    /// `+0.012 … +0.060`.
    pub(super) fn ends(self) -> String {
        format!("{} … {}", format::signed(self.low), format::signed(self.high))
    }

    /// `95 % interval +0.012 … +0.060`.
    pub(super) fn words(self) -> String {
        let confidence = self.confidence.map(|share| format!("{} ", format::percent(share))).unwrap_or_default();
        format!("{confidence}interval of the gain {}", self.ends())
    }

    /// A line from its lower to its upper end, around no gain in the middle.
    pub(super) fn drawn(self) -> impl IntoView + use<> {
        let half = self.low.abs().max(self.high.abs()).max(f64::MIN_POSITIVE) * 1.12;
        let x = |value: f64| 92.0 + value / half * 88.0;
        let (low, high, at) = (x(self.low), x(self.high), x(self.at));
        let path = format!("M{low:.1} 12H{high:.1}M{low:.1} 8.5V15.5M{high:.1} 8.5V15.5");
        let kind = match self.meaning() {
            Meaning::Better => "better",
            Meaning::Worse => "worse",
            _ => "unsure",
        };
        view! {
            <svg class="forest" viewBox="0 0 184 24" role="img" aria-label=self.words() data-d=kind>
                <line class="zero" x1="92" x2="92" y1="2" y2="22"></line>
                <path class="ci" d=path></path>
                <circle class="dot" cx=format!("{at:.1}") cy="12" r="4.5"></circle>
            </svg>
        }
    }
}

/// The numbers behind a verdict.
#[component]
pub(super) fn Evidence(
    /// What the gate wrote down.
    value: Value,
) -> impl IntoView {
    drawn(&value, 0)
}

fn drawn(value: &Value, depth: usize) -> AnyView {
    match value {
        Value::Object(map) if !map.is_empty() && depth < DEEP => object(map, depth),
        Value::Array(items) if depth < DEEP && !items.is_empty() && items.iter().all(Value::is_object) => {
            rows(items, depth)
        }
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) && items.len() <= 40 => {
            items.iter().map(scalar).collect::<Vec<_>>().join(", ").into_any()
        }
        Value::Object(_) | Value::Array(_) => {
            let text: String = value.to_string().chars().take(4000).collect();
            view! { <code class="breaks">{text}</code> }.into_any()
        }
        Value::Null => view! { <span class="none">"–"</span> }.into_any(),
        Value::String(text) => {
            let text: String = text.chars().take(4000).collect();
            view! { <span class="breaks">{text}</span> }.into_any()
        }
        other => scalar(other).into_any(),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => format::NONE.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.chars().take(400).collect(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => format::integer(whole),
            (None, Some(value)) => format::number(value),
            (None, None) => number.to_string(),
        },
        other => other.to_string().chars().take(400).collect(),
    }
}

/// A name for people: `champion_value` as "Champion value".
fn title(key: &str) -> String {
    format::capitalised(&key.replace('_', " "))
}

/// Names and values: simple ones first, what holds tables below them.
fn object(map: &Map<String, Value>, depth: usize) -> AnyView {
    let is_table = |value: &Value| match value {
        Value::Array(items) => items.first().is_some_and(Value::is_object),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    };
    let (tables, simple): (Vec<_>, Vec<_>) = map.iter().partition(|(_, value)| is_table(value));
    let facts = simple
        .into_iter()
        .map(|(key, value)| {
            let inner = drawn(value, depth + 1);
            view! { <Fact name=title(key)>{inner}</Fact> }
        })
        .collect_view();
    let tables =
        tables.into_iter().map(|(key, value)| view! { <h4>{title(key)}</h4>{drawn(value, depth + 1)} }).collect_view();
    view! { <Facts small=true>{facts}</Facts>{tables} }.into_any()
}

/// A list of things with the same names, as a table.
fn rows(items: &[Value], depth: usize) -> AnyView {
    let mut columns: Vec<&String> = Vec::new();
    for map in items.iter().filter_map(Value::as_object) {
        for key in map.keys().filter(|key| !columns.contains(key)).collect::<Vec<_>>() {
            columns.push(key);
        }
    }
    let is_number = |column: &String| {
        let mut values = items.iter().filter_map(|item| item.get(column)).filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && values.all(Value::is_number)
    };
    // What it is about first, then the numbers, then the verdict on them.
    columns.sort_by_key(|column| (matches!(column.as_str(), "verdict" | "reason"), is_number(column)));
    columns.truncate(COLUMNS);
    let numbers: Vec<bool> = columns.iter().map(|column| is_number(column)).collect();
    let heads =
        columns.iter().zip(&numbers).map(|(column, num)| view! { <Head label=title(column) num=*num/> }).collect_view();
    let more = items.len().saturating_sub(ROWS);
    let body = items
        .iter()
        .take(ROWS)
        .map(|item| {
            let cells = columns
                .iter()
                .zip(&numbers)
                .map(|(column, num)| {
                    let value = item.get(*column).cloned().unwrap_or_default();
                    view! { <td class=num.then_some("num")>{drawn(&value, depth + 2)}</td> }
                })
                .collect_view();
            let mark = item.get("verdict").and_then(Value::as_str).and_then(|verdict| match verdict {
                "fail" => Some("fail"),
                "inconclusive" => Some("warn"),
                _ => None,
            });
            view! { <tr data-s=mark>{cells}</tr> }
        })
        .collect_view();
    view! {
        <Table label="Evidence" class="small">
            <thead><tr>{heads}</tr></thead>
            <tbody>{body}</tbody>
        </Table>
        {(more > 0).then(|| view! { <p class="muted">{format!("and {more} more")}</p> })}
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;
    use serde_json::json;

    #[test]
    fn an_interval_says_whether_it_crosses_zero() {
        let of = |low: f64, high: f64| Interval::of(&json!({"low": low, "high": high, "gain": 0.0})).unwrap().meaning();
        assert_eq!(of(0.1, 0.2), Meaning::Better);
        assert_eq!(of(-0.2, -0.1), Meaning::Worse);
        assert_eq!(of(-0.1, 0.2), Meaning::Unsure);
        assert_eq!(Interval::of(&json!({"low": 1})), None);
        assert_eq!(Interval::of(&json!({"low": 2, "high": 1})), None);
    }

    #[test]
    fn evidence_is_names_and_values_and_tables() {
        let value = json!({
            "metric": "recall", "value": 0.812, "champion": null,
            "slices": [{"slice": "<red>", "rows": 41, "verdict": "inconclusive"}, {"slice": "white", "rows": 900, "verdict": "pass"}],
        });
        let html = fragment(move || view! { <Evidence value/> });
        for part in
            ["0.812", "&lt;red&gt;", r#"<th scope="col" class="num">Rows</th>"#, r#"data-s="warn""#, "Slices</h4>"]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn what_is_too_deep_is_text() {
        let value = json!({"a": {"b": {"c": {"d": {"e": 1}}}}});
        let html = fragment(move || view! { <Evidence value/> });
        assert!(html.contains("{&quot;d&quot;") || html.contains("{\"d\""), "{html}");
    }
}
