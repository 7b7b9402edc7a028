//! A metric in every slice of the evaluation rows.

use super::{
    Finding, Verdict, counted, number, reaches,
    rows::{Measure, OrSentence, Rows, Sample},
};
use crate::policy::Better;
use serde_json::json;
use std::collections::HashMap;

/// More slices than this are no slices, but rows.
const MAX_SLICES: usize = 200;

/// What is asked of each slice.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The metric.
    pub metric: &'a str,
    /// Which way is better.
    pub better: Better,
    /// The columns whose values make the slices, each by itself.
    pub columns: &'a [String],
    /// The worst value that a slice may have.
    pub floor: Option<f64>,
    /// By how much a slice may be worse than the champion's.
    pub max_drop: Option<f64>,
    /// How many rows a slice needs.
    pub min_rows: u32,
}

/// What was found of one slice.
struct Slice {
    column: String,
    name: String,
    rows: usize,
    value: Option<f64>,
    champion: Option<f64>,
    verdict: Verdict,
    reason: String,
}

/// Whether a metric keeps to a floor, and does not drop below the champion's, in every slice. `champion` is none when there
/// is none, and its rows a sentence when they cannot be read.
#[must_use]
pub fn slice_floor(ask: &Ask<'_>, ours: &OrSentence<Rows>, champion: Option<(&str, &OrSentence<Rows>)>) -> Finding {
    let limit = limit(ask, champion.map(|(title, _)| title));
    match slices(ask, ours, champion) {
        Ok(slices) => together(ask, limit, &slices),
        Err(sentence) => Finding::inconclusive(limit, sentence),
    }
}

fn limit(ask: &Ask<'_>, champion: Option<&str>) -> String {
    let sign = if ask.better == Better::Higher { "≥" } else { "≤" };
    let floor = ask.floor.map(|floor| format!("each {sign} {floor}"));
    let drop = ask.max_drop.and_then(|drop| Some(format!("worse than {} by {drop} at most", champion?)));
    match (floor, drop) {
        (Some(floor), Some(drop)) => format!("{floor}, {drop}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "no champion yet".to_owned(),
    }
}

fn slices(
    ask: &Ask<'_>,
    ours: &OrSentence<Rows>,
    champion: Option<(&str, &OrSentence<Rows>)>,
) -> OrSentence<Vec<Slice>> {
    let measure = Measure::parse(ask.metric)?;
    let rows = ours.as_ref().map_err(Clone::clone)?;
    let sample = rows.sample(measure)?;
    let theirs = match champion.filter(|_| ask.max_drop.is_some()) {
        None => None,
        Some((title, rows)) => {
            let rows = rows.as_ref().map_err(|why| format!("{title} cannot be compared with. {why}"))?;
            let sample = rows.sample(measure).map_err(|why| format!("{title} cannot be compared with. {why}"))?;
            Some((title, rows, sample))
        }
    };
    let mut all = Vec::new();
    for column in ask.columns {
        let parts = rows.slices(column)?;
        let mut of_champion: HashMap<Option<String>, Vec<u32>> = match &theirs {
            None => HashMap::new(),
            Some((title, rows, _)) => rows
                .slices(column)
                .map_err(|why| format!("{title} cannot be compared with. {why}"))?
                .into_iter()
                .collect(),
        };
        if all.len() + parts.len() > MAX_SLICES {
            return Err(format!(
                "The columns make more than {MAX_SLICES} slices; group their values before they are logged."
            ));
        }
        for (value, part) in parts {
            let before = theirs.as_ref().map(|(title, _, sample)| (*title, sample, of_champion.remove(&value)));
            let name = value.unwrap_or_else(|| "(nothing)".to_owned());
            all.push(slice(ask, column, name, &sample, &part, before));
        }
        // What the champion was good at must not be gone from the evaluation.
        if let Some((title, ..)) = &theirs {
            let mut gone: Vec<(Option<String>, Vec<u32>)> = of_champion.into_iter().collect();
            gone.sort();
            for (value, _) in gone.into_iter().filter(|(_, rows)| rows.len() >= ask.min_rows as usize) {
                all.push(Slice {
                    column: column.clone(),
                    name: value.unwrap_or_else(|| "(nothing)".to_owned()),
                    rows: 0,
                    value: None,
                    champion: None,
                    verdict: Verdict::Inconclusive,
                    reason: format!("{title} was evaluated on such rows, and the version was not."),
                });
            }
        }
    }
    Ok(all)
}

/// The champion's title, all its rows, and which of them are of the same slice.
type Before<'a> = (&'a str, &'a Sample, Option<Vec<u32>>);

fn slice(
    ask: &Ask<'_>,
    column: &str,
    name: String,
    sample: &Sample,
    rows: &[u32],
    before: Option<Before<'_>>,
) -> Slice {
    let mut slice = Slice {
        column: column.to_owned(),
        name,
        rows: rows.len(),
        value: sample.value_of(rows),
        champion: None,
        verdict: Verdict::Inconclusive,
        reason: String::new(),
    };
    let least = ask.min_rows as usize;
    if rows.len() < least {
        slice.reason = format!("It has {}; {least} are needed.", counted(rows.len(), "row", "rows"));
        return slice;
    }
    let Some(value) = slice.value else {
        slice.reason = format!("\"{}\" has no value there.", ask.metric);
        return slice;
    };
    if let Some(floor) = ask.floor
        && !reaches(ask.better.gain(value, floor), 0.0, value, floor)
    {
        slice.verdict = Verdict::Fail;
        slice.reason = format!("It has {}, which is worse than {floor}.", number(value));
    }
    if let (Some(drop), Some((title, theirs, part))) = (ask.max_drop, before) {
        let part = part.unwrap_or_default();
        slice.champion = theirs.value_of(&part);
        match slice.champion.filter(|_| part.len() >= least) {
            None if slice.verdict == Verdict::Fail => {}
            None => {
                slice.reason = format!("{title} has {} of it; {least} are needed.", counted(part.len(), "row", "rows"));
                return slice;
            }
            Some(champion) if !reaches(ask.better.gain(value, champion), -drop, value, champion) => {
                slice.verdict = Verdict::Fail;
                slice.reason = format!("It has {}, where {title} has {}.", number(value), number(champion));
            }
            Some(_) => {}
        }
    }
    if slice.verdict != Verdict::Fail {
        slice.verdict = Verdict::Pass;
    }
    slice
}

fn together(ask: &Ask<'_>, limit: String, slices: &[Slice]) -> Finding {
    let evidence = json!({
        "metric": ask.metric,
        "slices": slices.iter().map(|slice| json!({
            "column": slice.column, "slice": slice.name, "n": slice.rows, "value": slice.value,
            "champion_value": slice.champion, "verdict": slice.verdict, "reason": slice.reason,
        })).collect::<Vec<_>>(),
    });
    if slices.is_empty() {
        return Finding::inconclusive(limit, "There is no slice.").with(evidence);
    }
    let of = |verdict: Verdict| slices.iter().filter(move |slice| slice.verdict == verdict);
    let worst = slices
        .iter()
        .filter(|slice| slice.rows >= ask.min_rows as usize)
        .filter_map(|slice| Some((slice, slice.value?)))
        .min_by(|(_, a), (_, b)| ask.better.gain(*a, *b).total_cmp(&0.0));
    let measured = worst.map_or_else(
        || "–".to_owned(),
        |(slice, value)| format!("{} for {} = {}", number(value), slice.column, slice.name),
    );
    let named = |slice: &Slice| format!("{} = {}: {}", slice.column, slice.name, slice.reason);
    let (verdict, reason) = match (of(Verdict::Fail).next(), of(Verdict::Inconclusive).next()) {
        (Some(first), _) => {
            let many = of(Verdict::Fail).count();
            let more =
                if many > 1 { format!(" {} fail in all.", counted(many, "slice", "slices")) } else { String::new() };
            (Verdict::Fail, named(first) + &more)
        }
        (None, Some(first)) => {
            let many = of(Verdict::Inconclusive).count();
            let more = if many > 1 {
                format!(" {} cannot be told in all.", counted(many, "slice", "slices"))
            } else {
                String::new()
            };
            (Verdict::Inconclusive, named(first) + &more)
        }
        (None, None) => (Verdict::Pass, format!("{} keep to it.", counted(slices.len(), "slice", "slices"))),
    };
    Finding { verdict, measured, limit, reason, evidence }
}

#[cfg(test)]
mod tests {
    use super::{super::rows::tests::rows_of, *};
    use crate::promotion::Verdict::{Fail, Inconclusive, Pass};

    /// For each slice: rows, and how many of them are right.
    fn rows(name: u8, slices: &[(&str, usize, usize)]) -> OrSentence<Rows> {
        let mut text = "target,prediction,region\n".to_owned();
        for (slice, many, right) in slices {
            for row in 0..*many {
                text += &format!("1,{},{slice}\n", u8::from(row < *right));
            }
        }
        Ok(rows_of(name, &text, &["region"]))
    }

    fn ask(columns: &[String], floor: Option<f64>, max_drop: Option<f64>) -> Ask<'_> {
        Ask { metric: "accuracy", better: Better::Higher, columns, floor, max_drop, min_rows: 10 }
    }

    #[test]
    fn each_slice_keeps_to_the_floor_and_one_with_few_rows_tells_nothing() {
        let columns = ["region".to_owned()];
        for (slices, verdict, reason) in [
            (&[("north", 10, 9), ("south", 10, 7)][..], Pass, "2 slices keep to it."),
            (&[("north", 10, 9), ("south", 10, 6)], Fail, "region = south: It has 0.6, which is worse than 0.7."),
            (&[("north", 10, 9), ("south", 9, 9)], Inconclusive, "region = south: It has 9 rows; 10 are needed."),
            // One that fails says more than one that cannot be told.
            (&[("north", 9, 9), ("south", 10, 6)], Fail, "region = south: It has 0.6, which is worse than 0.7."),
            (&[("", 10, 6), ("south", 10, 9)], Fail, "region = (nothing): It has 0.6, which is worse than 0.7."),
        ] {
            let found = slice_floor(&ask(&columns, Some(0.7), None), &rows(1, slices), None);
            assert_eq!((found.verdict, found.reason.as_str()), (verdict, reason));
            assert_eq!(found.evidence["slices"].as_array().unwrap().len(), 2);
        }
    }

    #[test]
    fn a_slice_is_held_against_the_champions_same_slice() {
        let columns = ["region".to_owned()];
        for (ours, theirs, verdict) in [
            (&[("north", 10, 8), ("south", 10, 8)][..], &[("north", 10, 9), ("south", 10, 8)][..], Pass),
            (&[("north", 10, 8), ("south", 10, 8)], &[("north", 10, 10), ("south", 10, 8)], Fail),
            (&[("north", 10, 8)], &[("north", 10, 8), ("south", 10, 8)], Inconclusive),
            (&[("north", 10, 8), ("south", 10, 8)], &[("north", 10, 8)], Inconclusive),
            (&[("north", 10, 8)], &[("north", 9, 8)], Inconclusive),
            // Nobody misses what the champion knew little of either.
            (&[("north", 10, 8)], &[("north", 10, 8), ("south", 9, 8)], Pass),
        ] {
            let champion = rows(2, theirs);
            let found = slice_floor(&ask(&columns, None, Some(0.1)), &rows(1, ours), Some(("iris v1", &champion)));
            assert_eq!(found.verdict, verdict, "{ours:?} {theirs:?}: {}", found.reason);
        }
    }

    #[test]
    fn what_is_missing_cannot_be_told() {
        let columns = ["region".to_owned()];
        let found = |metric: &str, columns: &[String], ours: &OrSentence<Rows>, theirs: Option<&OrSentence<Rows>>| {
            let ask = Ask { metric, ..ask(columns, Some(0.5), Some(0.1)) };
            slice_floor(&ask, ours, theirs.map(|rows| ("iris v1", rows)))
        };
        let good = rows(1, &[("north", 10, 10)]);
        let none: OrSentence<Rows> = Err("There are no evaluation rows.".to_owned());
        assert_eq!(found("accuracy", &columns, &good, None).verdict, Pass);
        assert_eq!(found("accuracy", &columns, &none, None).verdict, Inconclusive);
        assert_eq!(found("accuracy", &columns, &good, Some(&none)).verdict, Inconclusive);
        assert_eq!(found("auc", &columns, &good, None).verdict, Inconclusive);
        assert_eq!(found("accuracy", &["plan".to_owned()], &good, None).verdict, Inconclusive);
        assert_eq!(found("accuracy", &columns, &rows(1, &[]), None).verdict, Inconclusive);
    }

    #[test]
    fn a_column_of_ids_makes_no_slices() {
        let names: Vec<String> = (0..201).map(|n| format!("r{n}")).collect();
        let slices: Vec<(&str, usize, usize)> = names.iter().map(|name| (name.as_str(), 1, 1)).collect();
        let columns = ["region".to_owned()];
        let found = slice_floor(&ask(&columns, Some(0.7), None), &rows(1, &slices), None);
        assert!(found.verdict == Inconclusive && found.reason.contains("more than 200 slices"), "{}", found.reason);
    }

    #[test]
    fn a_loss_is_better_lower() {
        let columns = ["region".to_owned()];
        let ask = Ask { metric: "mae", better: Better::Lower, ..ask(&columns, Some(0.3), None) };
        assert_eq!(slice_floor(&ask, &rows(1, &[("north", 10, 7)]), None).verdict, Pass);
        assert_eq!(slice_floor(&ask, &rows(1, &[("north", 10, 6)]), None).verdict, Fail);
    }
}
