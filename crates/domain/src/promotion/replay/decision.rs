//! What counts as a decision, and when it flips.
//!
//! Outputs that are texts, whole numbers of few values, or true and false are labels: they decide where there are any. Else
//! probabilities decide, by the most likely class or at 0.5. Else nothing is decided, and what counts is a quantity that
//! differs by more than a tolerance.

use super::{AnsweredTwice, DecisionBasis, Flips, REPLAY_TOLERANCE, cell, word};
use crate::{
    inference::{Datatype, TensorSpec},
    series::quantile,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Whole numbers with more values than this are quantities, and no labels.
const MAX_CLASSES: usize = 30;
/// By how much probabilities may miss the sum of 1: what is told in single precision, of many classes.
const SUM_SLACK: f64 = 1e-3;

/// An output that both give: one value for each row.
struct Column<'a> {
    name: String,
    before: Vec<&'a Value>,
    after: Vec<&'a Value>,
    datatype: Datatype,
}

impl Column<'_> {
    fn is_float(&self) -> bool {
        matches!(self.datatype, Datatype::Fp32 | Datatype::Fp64)
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        self.before.iter().chain(&self.after).copied()
    }

    fn is_label(&self) -> bool {
        let of_text = matches!(self.datatype, Datatype::Bytes | Datatype::Bool);
        let few = || self.values().map(ToString::to_string).collect::<BTreeSet<_>>().len() <= MAX_CLASSES;
        of_text || !self.is_float() && few()
    }

    fn is_share(&self) -> bool {
        self.values().all(|value| value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)))
    }

    /// The candidate's less the recorded; none where one of the two is no number.
    fn difference(&self, row: usize) -> Option<f64> {
        let difference = self.after[row].as_f64()? - self.before[row].as_f64()?;
        Some(difference).filter(|difference| difference.is_finite())
    }
}

/// How the columns make decisions.
enum Rule {
    /// Each column says one.
    Label(Vec<usize>),
    /// Columns of an output, of which the greatest counts.
    MostLikely(Vec<(String, Vec<usize>)>),
    AtLeastHalf(Vec<usize>),
    /// Columns with what is too little to count.
    Quantity(Vec<(usize, f64)>),
}

/// The value of each column in a row: what was recorded, or what the candidate answers.
type Of<'r, 'a> = &'r dyn Fn(usize) -> &'a Value;

/// All rows, column by column.
pub(super) struct Compared<'a> {
    columns: Vec<Column<'a>>,
    rows: usize,
    rule: Rule,
}

impl<'a> Compared<'a> {
    /// Finds the outputs that recorded answers and the candidate's have in common.
    pub(super) fn of(answered: &'a [AnsweredTwice], outputs: &[TensorSpec]) -> Result<Self, String> {
        let rows = answered.iter().map(|one| one.rows).sum();
        let (Some(first), true) = (answered.first(), rows > 0) else {
            return Err("No row could be replayed.".to_owned());
        };
        let (old, new) = (single(&first.before), single(&first.after));
        let mut pairs: Vec<(&str, &str)> =
            new.iter().filter(|name| old.contains(name)).map(|name| (*name, *name)).collect();
        // Exporters name the only output as they like.
        if let (true, [old], [new]) = (pairs.is_empty(), old.as_slice(), new.as_slice()) {
            pairs.push((*old, *new));
        }
        let columns: Vec<Column<'a>> = pairs
            .into_iter()
            .filter_map(|(old, new)| {
                let datatype = outputs.iter().find(|spec| spec.name == output(new) || spec.name == new)?.datatype;
                let of = |pick: fn(&AnsweredTwice) -> &Map<String, Value>, name: &str| {
                    let cells = answered.iter().flat_map(move |one| {
                        let column = pick(one).get(name).unwrap_or(&Value::Null);
                        (0..one.rows).map(move |row| cell(column, row))
                    });
                    cells.collect::<Vec<&'a Value>>()
                };
                let (before, after) = (of(|one| &one.before, old), of(|one| &one.after, new));
                // A text against a number is no difference of decisions, but of models that say different things.
                let is_text = |values: &[&Value]| values.iter().any(|value| value.is_string());
                let fits = is_text(&before) == is_text(&after);
                fits.then(|| Column { name: new.to_owned(), before, after, datatype })
            })
            .collect();
        if columns.is_empty() {
            return Err(format!(
                "The candidate gives {}, and {} was recorded: there is nothing to compare.",
                listed(&new),
                listed(&old)
            ));
        }
        let rule = rule(&columns, rows);
        Ok(Self { columns, rows, rule })
    }

    pub(super) fn basis(&self) -> DecisionBasis {
        let names = |columns: &[usize]| columns.iter().map(|at| self.columns[*at].name.clone()).collect();
        match &self.rule {
            Rule::Label(columns) => DecisionBasis::Label { outputs: names(columns) },
            Rule::MostLikely(outputs) => {
                DecisionBasis::MostLikely { outputs: outputs.iter().map(|(name, _)| name.clone()).collect() }
            }
            Rule::AtLeastHalf(columns) => DecisionBasis::AtLeastHalf { outputs: names(columns) },
            Rule::Quantity(columns) => DecisionBasis::Quantity {
                outputs: names(&columns.iter().map(|(at, _)| *at).collect::<Vec<_>>()),
                tolerance: REPLAY_TOLERANCE,
            },
        }
    }

    /// For each row from which decision to which it flips.
    pub(super) fn flips(&self) -> Flips {
        (0..self.rows).map(|row| self.flip(row)).collect()
    }

    fn flip(&self, row: usize) -> Option<(String, String)> {
        let decided = |say: &dyn Fn(Of<'_, 'a>) -> String| {
            let (from, to) = (say(&|at| self.columns[at].before[row]), say(&|at| self.columns[at].after[row]));
            (from != to).then_some((from, to))
        };
        match &self.rule {
            Rule::Label(columns) => decided(&|value| joined(columns.iter().map(|at| label(value(*at))))),
            Rule::MostLikely(outputs) => decided(&|value| {
                joined(outputs.iter().map(|(_, columns)| {
                    // Of equal ones the first, as everybody's argmax has it.
                    let greatest =
                        columns.iter().map(|at| value(*at).as_f64().unwrap_or(f64::NEG_INFINITY)).enumerate();
                    let greatest = greatest.reduce(|best, one| if one.1 > best.1 { one } else { best });
                    greatest.map_or_else(String::new, |(class, _)| format!("class {class}"))
                }))
            }),
            Rule::AtLeastHalf(columns) => decided(&|value| {
                let several = columns.len() > 1;
                joined(columns.iter().map(|at| {
                    let side = if value(*at).as_f64().is_some_and(|value| value >= 0.5) { "≥ 0.5" } else { "< 0.5" };
                    if several { format!("{} {side}", self.columns[*at].name) } else { side.to_owned() }
                }))
            }),
            Rule::Quantity(columns) => columns.iter().find_map(|(at, floor)| {
                let column = &self.columns[*at];
                let to = match (column.before[row].as_f64(), column.after[row].as_f64()) {
                    (Some(before), Some(after)) => {
                        let much = REPLAY_TOLERANCE * before.abs().max(*floor);
                        let difference = after - before;
                        if difference > much {
                            "higher"
                        } else if difference < -much {
                            "lower"
                        } else {
                            return None;
                        }
                    }
                    (None, None) => return None,
                    (None, Some(_)) => "a number",
                    (Some(_), None) => "no number",
                };
                let to = if columns.len() > 1 { format!("{} {to}", column.name) } else { to.to_owned() };
                Some(("recorded".to_owned(), to))
            }),
        }
    }

    /// The differences of each numeric output over the rows that have one.
    pub(super) fn differences(&self) -> impl Iterator<Item = (&str, Vec<f64>)> {
        self.numeric()
            .map(|column| (column.name.as_str(), (0..self.rows).filter_map(|row| column.difference(row)).collect()))
    }

    /// The outputs of which a difference says something: no labels.
    fn numeric(&self) -> impl Iterator<Item = &Column<'a>> {
        let labels: &[usize] = if let Rule::Label(labels) = &self.rule { labels } else { &[] };
        self.columns.iter().enumerate().filter(|(at, _)| !labels.contains(at)).map(|(_, column)| column)
    }

    /// The largest difference between numbers of a row.
    pub(super) fn size(&self, row: usize) -> Option<f64> {
        self.numeric().filter_map(|column| column.difference(row)).map(f64::abs).max_by(f64::total_cmp)
    }

    /// What was recorded of a row, and what the candidate answers.
    pub(super) fn answers(
        &self,
        row: usize,
    ) -> (impl Iterator<Item = (&str, &Value)>, impl Iterator<Item = (&str, &Value)>) {
        (
            self.columns.iter().map(move |column| (column.name.as_str(), column.before[row])),
            self.columns.iter().map(move |column| (column.name.as_str(), column.after[row])),
        )
    }
}

fn rule(columns: &[Column<'_>], rows: usize) -> Rule {
    let places = |fits: &dyn Fn(&Column<'_>) -> bool| -> Vec<usize> {
        columns.iter().enumerate().filter(|(_, column)| fits(column)).map(|(at, _)| at).collect()
    };
    let labels = places(&|column| column.is_label());
    if !labels.is_empty() {
        return Rule::Label(labels);
    }
    let distributions = distributions(columns, rows);
    if !distributions.is_empty() {
        return Rule::MostLikely(distributions);
    }
    if columns.iter().all(Column::is_share) {
        return Rule::AtLeastHalf(places(&|_| true));
    }
    let floor = |column: &Column<'_>| {
        let sizes: Vec<f64> = column.before.iter().filter_map(|value| Some(value.as_f64()?.abs())).collect();
        quantile(&sizes, 0.5).unwrap_or(0.0)
    };
    Rule::Quantity(columns.iter().enumerate().map(|(at, column)| (at, floor(column))).collect())
}

/// The outputs that give a probability to each of several classes.
fn distributions(columns: &[Column<'_>], rows: usize) -> Vec<(String, Vec<usize>)> {
    let mut outputs: Vec<(String, Vec<usize>)> = Vec::new();
    for (at, column) in columns.iter().enumerate().filter(|(_, column)| column.name != output(&column.name)) {
        match outputs.iter_mut().find(|(name, _)| name == output(&column.name)) {
            Some((_, places)) => places.push(at),
            None => outputs.push((output(&column.name).to_owned(), vec![at])),
        }
    }
    for (_, places) in &mut outputs {
        // By class: names come in the order of their letters.
        places.sort_by_key(|at| (columns[*at].name.len(), columns[*at].name.clone()));
    }
    outputs.retain(|(_, places)| {
        let sums_to_one = |pick: &dyn Fn(usize, usize) -> Option<f64>| {
            (0..rows).all(|row| {
                let sum: Option<f64> = places.iter().map(|at| pick(*at, row)).sum();
                sum.is_some_and(|sum| (sum - 1.0).abs() <= SUM_SLACK)
            })
        };
        places.len() > 1
            && places.iter().all(|at| columns[*at].is_share())
            && sums_to_one(&|at, row| columns[at].before[row].as_f64())
            && sums_to_one(&|at, row| columns[at].after[row].as_f64())
    });
    outputs
}

/// The output that a column is of: `p` of `p[1]`.
fn output(column: &str) -> &str {
    match column.rsplit_once('[') {
        Some((output, index)) if index.strip_suffix(']').is_some_and(|index| index.parse::<usize>().is_ok()) => output,
        _ => column,
    }
}

/// The outputs with one value for each row.
fn single(outputs: &Map<String, Value>) -> Vec<&str> {
    let is_single = |column: &Value| column.get(0).is_some_and(|first| !first.is_array() && !first.is_object());
    outputs.iter().filter(|(_, column)| is_single(column)).map(|(name, _)| name.as_str()).collect()
}

/// A label as a word. 1 and 1.0 are the same one.
fn label(value: &Value) -> String {
    match value.as_f64() {
        #[allow(clippy::cast_possible_truncation, reason = "it has no fraction and is not large")]
        Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => (whole as i64).to_string(),
        _ => word(value),
    }
}

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.len() {
        0 => "no output with one value for each row".to_owned(),
        many if many > SHOWN => format!("{} and {} more outputs", names[..SHOWN].join(", "), many - SHOWN),
        _ => names.join(", "),
    }
}
