//! Rows by what their features have in common: each value of a feature that has few, each quarter of one with many numbers.

use super::{AnsweredTwice, FlipRate, FlipSegment, Flips, cell, cut, short, word};
use crate::series::quantile;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A text feature with more values than this makes no segments: it is an id, or prose.
const MAX_CATEGORIES: usize = 20;
/// Numbers with more values than this are cut into quarters.
const MAX_NUMBERS: usize = 6;
/// The most features that are looked at.
const MAX_FEATURES: usize = 500;

/// All segments, those first that stand out most: whose rate is surely high.
pub(super) fn segments(answered: &[AnsweredTwice], flips: &Flips) -> Vec<FlipSegment> {
    let names: BTreeSet<&str> = answered.iter().flat_map(|one| one.features.keys()).map(String::as_str).collect();
    let mut all: Vec<FlipSegment> =
        names.into_iter().take(MAX_FEATURES).flat_map(|name| of_feature(name, answered, flips)).collect();
    all.sort_by(|a, b| {
        b.share
            .low
            .total_cmp(&a.share.low)
            .then(b.share.flips.cmp(&a.share.flips))
            .then(b.share.rows.cmp(&a.share.rows))
    });
    all
}

/// The segments of one feature: every row is in exactly one of them. None when all rows would be in the same one, or there
/// would be too many.
pub(super) fn of_feature(name: &str, answered: &[AnsweredTwice], flips: &Flips) -> Vec<FlipSegment> {
    let cells: Vec<&Value> = answered
        .iter()
        .flat_map(|one| {
            let column = one.features.get(name).unwrap_or(&Value::Null);
            (0..one.rows).map(move |row| cell(column, row))
        })
        .collect();
    let Some(part) = parts(&cells) else { return Vec::new() };
    // In the order of values, for those that stand out alike.
    let mut counted: BTreeMap<(usize, String), (u32, u32)> = BTreeMap::new();
    for (value, flip) in cells.iter().zip(flips) {
        let (rows, flipped) = counted.entry(part(value)).or_default();
        *rows += 1;
        *flipped += u32::from(flip.is_some());
    }
    if counted.len() < 2 {
        return Vec::new();
    }
    let segment = |((_, value), (rows, flips)): ((usize, String), (u32, u32))| FlipSegment {
        feature: cut(name),
        value,
        share: FlipRate::of(rows, flips),
    };
    counted.into_iter().map(segment).collect()
}

type Part = Box<dyn Fn(&Value) -> (usize, String)>;

/// Into which segment a value falls.
fn parts(cells: &[&Value]) -> Option<Part> {
    if cells.iter().any(|value| value.is_array() || value.is_object()) {
        return None;
    }
    let present = || cells.iter().filter(|value| !value.is_null());
    let numbers: Vec<f64> = present().filter_map(|value| value.as_f64()).collect();
    let distinct: BTreeSet<String> = present().map(|value| value.to_string()).collect();
    let are_numbers = numbers.len() == present().count();
    if !are_numbers || distinct.len() <= MAX_NUMBERS {
        return (distinct.len() <= MAX_CATEGORIES)
            .then(|| Box::new(|value: &Value| (usize::from(value.is_null()), word(value))) as Part);
    }
    let mut edges: Vec<f64> = [0.25, 0.5, 0.75].into_iter().filter_map(|share| quantile(&numbers, share)).collect();
    edges.dedup();
    Some(Box::new(move |value| {
        let Some(value) = value.as_f64() else { return (usize::MAX, word(&Value::Null)) };
        let at = edges.iter().take_while(|edge| value > **edge).count();
        let name = match (at.checked_sub(1).and_then(|below| edges.get(below)), edges.get(at)) {
            (None, Some(edge)) => format!("≤ {}", short(*edge)),
            (Some(below), Some(edge)) => format!("{} … {}", short(*below), short(*edge)),
            (Some(below), None) => format!("> {}", short(*below)),
            (None, None) => "any".to_owned(),
        };
        (at, name)
    }))
}
