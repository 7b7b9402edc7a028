//! Evaluation rows: what a version answered to each row of its evaluation, and what was right. Metrics are computed from
//! them here, so that a slice, or the difference of two versions, says how sure it is.
//!
//! The metrics are those of scikit-learn 1.9 under the same names: `accuracy_score`, `precision_score`, `recall_score` and
//! `f1_score` with `average="macro", zero_division=0`, `log_loss`, `mean_absolute_error`, `root_mean_squared_error`,
//! `r2_score`, each with `sample_weight` when there is a column of weights. The interval is that of the percentile
//! bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, §13.3), paired: each resample takes the same rows
//! of both versions (Koehn, Statistical Significance Tests for Machine Translation Evaluation, 2004).

use crate::{digest::Digest, policy::Better};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The most rows that are read.
pub const MAX_ROWS: usize = 200_000;
/// The most bytes of a file that is read.
pub const MAX_BYTES: u64 = 64 << 20;
/// What such a file is called: the best first.
pub const FILES: [&str; 4] = ["evaluation.csv", "evaluation.json", "evaluation.parquet", "eval_results_table.json"];
/// How many resamples an interval is made of.
pub const RESAMPLES: usize = 2_000;
/// Fewer rows than this say nothing of a difference.
pub const MIN_ROWS: usize = 30;

const TARGET: [&str; 3] = ["target", "label", "y_true"];
const PREDICTION: [&str; 2] = ["prediction", "y_pred"];
const PROBABILITY: &str = "probability";
const WEIGHT: &str = "weight";
const ROW_ID: &str = "row_id";
/// More classes than this are no classes, but numbers.
const MAX_CLASSES: usize = 1_000;
/// Of how many resamples a metric may be undefined.
const MAX_UNDEFINED: usize = RESAMPLES / 20;
/// A cell with nothing in it.
const MISSING: u32 = u32::MAX;

/// A value, or a sentence that says why there is none.
pub type OrSentence<T> = Result<T, String>;

/// A metric that can be computed from rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The share of rows whose prediction is right.
    Accuracy,
    /// The mean over the classes of: right among those predicted.
    Precision,
    /// The mean over the classes of: found among those there are.
    Recall,
    /// The mean over the classes of the harmonic mean of both.
    F1,
    /// Minus the mean logarithm of the probability of what was right.
    LogLoss,
    /// The mean of the differences.
    Mae,
    /// The root of the mean of the squared differences.
    Rmse,
    /// The share of the variance that is explained.
    R2,
}

impl Measure {
    /// The metric of this name, by any name that training code gives it.
    ///
    /// # Errors
    /// Names those that there are.
    pub fn parse(name: &str) -> OrSentence<Self> {
        Ok(match name.to_lowercase().as_str() {
            "accuracy" | "accuracy_score" => Self::Accuracy,
            "precision" | "precision_macro" => Self::Precision,
            "recall" | "recall_macro" => Self::Recall,
            "f1" | "f1_macro" | "f1_score" => Self::F1,
            "log_loss" => Self::LogLoss,
            "mae" | "mean_absolute_error" => Self::Mae,
            "rmse" | "root_mean_squared_error" => Self::Rmse,
            "r2" | "r2_score" => Self::R2,
            _ => {
                return Err(format!(
                    "\"{name}\" is not computed from evaluation rows; accuracy, precision, recall, f1, log_loss, mae, rmse \
                     and r2 are."
                ));
            }
        })
    }

    /// What is said of it when it has no value.
    fn undefined(self) -> &'static str {
        match self {
            Self::R2 => "r2 has no value where all targets are the same.",
            _ => "the weights of the rows add up to nothing.",
        }
    }
}

/// Where rows were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file among the artifacts of the run.
    pub path: String,
    /// Of its bytes.
    pub digest: Digest,
}

/// A column: for each row, which of its values it has.
#[derive(Debug, Clone, Default)]
struct Column {
    codes: Vec<u32>,
    values: Vec<String>,
}

impl Column {
    fn text(&self, row: usize) -> Option<&str> {
        self.codes.get(row).and_then(|code| self.values.get(*code as usize)).map(String::as_str)
    }

    fn numbers(&self, name: &str) -> OrSentence<Vec<f64>> {
        let each: Vec<f64> = self.values.iter().map(|text| text.trim().parse().unwrap_or(f64::NAN)).collect();
        let number = |code: &u32| each.get(*code as usize).copied().unwrap_or(f64::NAN);
        let numbers: Vec<f64> = self.codes.iter().map(number).collect();
        match numbers.iter().filter(|number| !number.is_finite()).count() {
            0 => Ok(numbers),
            bad => Err(format!(
                "{} of column \"{name}\" {} no finite number.",
                super::counted(bad, "value", "values"),
                are(bad)
            )),
        }
    }
}

fn are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Rows of an evaluation.
#[derive(Debug, Clone)]
pub struct Rows {
    source: Source,
    names: Vec<String>,
    columns: Vec<Column>,
    known: Vec<HashMap<String, u32>>,
    /// Which column each cell of a row belongs to; none when nobody asks for it.
    places: Vec<Option<usize>>,
    count: usize,
}

impl Rows {
    /// The names of all columns that are kept, of those that there are.
    #[must_use]
    pub fn wanted(slices: &BTreeSet<String>) -> BTreeSet<String> {
        let ours = TARGET.into_iter().chain(PREDICTION).chain([PROBABILITY, WEIGHT, ROW_ID]).map(ToOwned::to_owned);
        ours.chain(slices.iter().cloned()).collect()
    }

    /// Drops the columns that are not among these.
    pub fn keep_only(&mut self, names: &BTreeSet<String>) {
        for at in (0..self.names.len()).rev().filter(|at| !names.contains(&self.names[*at])).collect::<Vec<_>>() {
            self.names.remove(at);
            self.columns.remove(at);
            self.known.remove(at);
        }
        self.places.clear();
    }

    /// A table with this head, of which only what is asked for is kept: the columns that metrics are computed from, and
    /// `slices`.
    ///
    /// # Errors
    /// When two of those columns have one name.
    pub fn new<'a>(
        source: Source,
        head: impl IntoIterator<Item = &'a str>,
        slices: &BTreeSet<String>,
    ) -> OrSentence<Self> {
        let mut rows =
            Self { source, names: Vec::new(), columns: Vec::new(), known: Vec::new(), places: Vec::new(), count: 0 };
        for name in head {
            let ours = TARGET.contains(&name) || PREDICTION.contains(&name);
            let wanted = ours || [PROBABILITY, WEIGHT, ROW_ID].contains(&name) || slices.contains(name);
            if wanted && rows.names.iter().any(|known| known == name) {
                return Err(format!("{} has two columns \"{name}\".", rows.source.path));
            }
            rows.places.push(wanted.then_some(rows.names.len()));
            if wanted {
                rows.names.push(name.to_owned());
                rows.columns.push(Column::default());
                rows.known.push(HashMap::new());
            }
        }
        Ok(rows)
    }

    /// Adds a row: a cell for each name of the head. None, and the empty text, are cells with nothing in them.
    ///
    /// # Errors
    /// When there are too many rows, or it has another number of cells than the head.
    pub fn push<'a>(&mut self, cells: impl IntoIterator<Item = Option<&'a str>>) -> OrSentence<()> {
        let path = &self.source.path;
        if self.count == MAX_ROWS {
            return Err(format!(
                "{path} has more than {} rows; log a sample of them.",
                super::counted(MAX_ROWS, "", "").trim_end()
            ));
        }
        self.count += 1;
        let mut cells = cells.into_iter();
        for place in &self.places {
            let Some(cell) = cells.next() else {
                return Err(format!("Row {} of {path} has fewer cells than the head.", self.count));
            };
            let Some(place) = *place else { continue };
            let code = match cell.filter(|text| !text.is_empty()) {
                None => MISSING,
                Some(text) => match self.known[place].get(text) {
                    Some(code) => *code,
                    None => {
                        let values = &mut self.columns[place].values;
                        let code = u32::try_from(values.len()).unwrap_or(MISSING);
                        values.push(text.to_owned());
                        self.known[place].insert(text.to_owned(), code);
                        code
                    }
                },
            };
            self.columns[place].codes.push(code);
        }
        if cells.next().is_some() {
            return Err(format!("Row {} of {path} has more cells than the head.", self.count));
        }
        Ok(())
    }

    /// Where they were read.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.names.iter().position(|known| known == name).map(|at| &self.columns[at])
    }

    fn one_of<'a>(&self, names: &[&'a str]) -> OrSentence<(&'a str, &Column)> {
        let path = &self.source.path;
        let mut found = names.iter().filter_map(|name| Some((*name, self.column(name)?)));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(format!("{path} has more than one of the columns {}.", names.join(", "))),
            (None, _) => Err(format!("{path} has no column \"{}\".", names[0])),
        }
    }

    /// The rows as a metric takes them.
    ///
    /// # Errors
    /// What is missing, or is no number.
    pub fn sample(&self, measure: Measure) -> OrSentence<Sample> {
        let path = &self.source.path;
        if self.is_empty() {
            return Err(format!("{path} has no rows."));
        }
        let weight = match self.column(WEIGHT) {
            None => None,
            Some(column) => {
                let weights = column.numbers(WEIGHT).map_err(|error| format!("{path}: {error}"))?;
                if weights.iter().any(|weight| *weight < 0.0) {
                    return Err(format!("{path}: a weight is less than 0."));
                }
                Some(weights)
            }
        };
        let (target_name, target) = self.one_of(&TARGET)?;
        let present = |name: &str, column: &Column| match column.codes.iter().filter(|code| **code == MISSING).count() {
            0 => Ok(()),
            some => Err(format!(
                "{path}: {} {} no \"{name}\".",
                super::counted(some, "row", "rows"),
                if some == 1 { "has" } else { "have" }
            )),
        };
        present(target_name, target)?;
        let values = match measure {
            Measure::LogLoss => {
                let chance = self.column(PROBABILITY).ok_or_else(|| {
                    format!("{path} has no column \"{PROBABILITY}\": the probability that the target is 1.")
                })?;
                present(PROBABILITY, chance)?;
                let chance = chance.numbers(PROBABILITY).map_err(|error| format!("{path}: {error}"))?;
                if chance.iter().any(|chance| !(0.0..=1.0).contains(chance)) {
                    return Err(format!("{path}: a probability is not between 0 and 1."));
                }
                let kinds: Vec<String> = target.values.iter().map(|text| label(text)).collect();
                if let Some(other) = kinds.iter().find(|kind| !matches!(kind.as_str(), "0" | "1" | "false" | "true")) {
                    return Err(format!("{path}: log_loss is computed for targets 0 and 1, and one is \"{other}\"."));
                }
                let positive = target.codes.iter().map(|code| matches!(kinds[*code as usize].as_str(), "1" | "true"));
                Values::Chances { positive: positive.collect(), chance }
            }
            Measure::Accuracy | Measure::Precision | Measure::Recall | Measure::F1 => {
                let (name, prediction) = self.one_of(&PREDICTION)?;
                present(name, prediction)?;
                let mut classes: HashMap<String, u32> = HashMap::new();
                let mut class = |text: &String| {
                    let next = u32::try_from(classes.len()).unwrap_or(MISSING);
                    *classes.entry(label(text)).or_insert(next)
                };
                let targets: Vec<u32> = target.values.iter().map(&mut class).collect();
                let predictions: Vec<u32> = prediction.values.iter().map(&mut class).collect();
                if classes.contains_key("nan") {
                    return Err(format!("{path}: a target or a prediction is not a number."));
                }
                if classes.len() > MAX_CLASSES {
                    return Err(format!(
                        "{path} has {}; the metric is one of classes.",
                        super::counted(classes.len(), "class", "different targets and predictions")
                    ));
                }
                let of =
                    |column: &Column, kinds: &[u32]| column.codes.iter().map(|code| kinds[*code as usize]).collect();
                Values::Labels {
                    target: of(target, &targets),
                    predicted: of(prediction, &predictions),
                    classes: classes.len(),
                }
            }
            Measure::Mae | Measure::Rmse | Measure::R2 => {
                let (name, prediction) = self.one_of(&PREDICTION)?;
                present(name, prediction)?;
                Values::Numbers {
                    target: target.numbers(target_name).map_err(|error| format!("{path}: {error}"))?,
                    predicted: prediction.numbers(name).map_err(|error| format!("{path}: {error}"))?,
                }
            }
        };
        Ok(Sample { measure, values, weight })
    }

    /// The rows of each value of a column, in order of the values; those with nothing in it last.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn slices(&self, name: &str) -> OrSentence<Vec<(Option<String>, Vec<u32>)>> {
        let path = &self.source.path;
        let column = self.column(name).ok_or_else(|| format!("{path} has no column \"{name}\" to slice by."))?;
        let mut slices: Vec<(Option<String>, Vec<u32>)> =
            column.values.iter().map(|value| (Some(value.clone()), Vec::new())).collect();
        let mut rest = Vec::new();
        for (row, code) in (0_u32..).zip(&column.codes) {
            match slices.get_mut(*code as usize) {
                Some((_, rows)) => rows.push(row),
                None => rest.push(row),
            }
        }
        slices.sort_by(|(a, _), (b, _)| a.cmp(b));
        if !rest.is_empty() {
            slices.push((None, rest));
        }
        Ok(slices)
    }

    /// For each of these rows the row of `other` that is about the same: the one of the same id, or else in the same
    /// place. Only when both were asked exactly the same, and the same was right.
    ///
    /// # Errors
    /// Why they cannot be paired, and what to do.
    pub fn pair(&self, other: &Self) -> OrSentence<Vec<u32>> {
        const DO: &str = "Evaluate both versions on the same rows, with a row_id for each.";
        let (ours, theirs) = (&self.source.path, &other.source.path);
        if self.len() != other.len() {
            return Err(format!(
                "The version was evaluated on {} and the champion on {}. {DO}",
                super::counted(self.len(), "row", "rows"),
                super::counted(other.len(), "row", "rows")
            ));
        }
        let pairs: Vec<u32> = match (self.column(ROW_ID), other.column(ROW_ID)) {
            (Some(our_ids), Some(their_ids)) => {
                let mut places: HashMap<&str, u32> = HashMap::with_capacity(other.len());
                for row in 0..other.len() {
                    let id = their_ids
                        .text(row)
                        .ok_or_else(|| format!("A row of the champion's {theirs} has no row_id."))?;
                    if places.insert(id, u32::try_from(row).unwrap_or(MISSING)).is_some() {
                        return Err(format!("Two rows of the champion's {theirs} have one row_id."));
                    }
                }
                let mut seen = HashSet::with_capacity(self.len());
                let mut pairs = Vec::with_capacity(self.len());
                for row in 0..self.len() {
                    let id = our_ids.text(row).ok_or_else(|| format!("A row of {ours} has no row_id."))?;
                    if !seen.insert(id) {
                        return Err(format!("Two rows of {ours} have one row_id."));
                    }
                    let place = places.get(id).ok_or_else(|| {
                        format!("The champion was not evaluated on each row that the version was. {DO}")
                    })?;
                    pairs.push(*place);
                }
                pairs
            }
            _ => (0..u32::try_from(self.len()).unwrap_or(MISSING)).collect(),
        };
        let (our_name, our_targets) = self.one_of(&TARGET)?;
        let (_, their_targets) = other.one_of(&TARGET)?;
        let (mine, other_labels): (Vec<String>, Vec<String>) = (
            our_targets.values.iter().map(|text| label(text)).collect(),
            their_targets.values.iter().map(|text| label(text)).collect(),
        );
        for (row, pair) in pairs.iter().enumerate() {
            let a = our_targets.codes.get(row).and_then(|code| mine.get(*code as usize));
            let b = their_targets.codes.get(*pair as usize).and_then(|code| other_labels.get(*code as usize));
            if a.is_none() || a != b {
                return Err(format!(
                    "The column \"{our_name}\" of {ours} is not that of the champion's {theirs}: they cannot be compared row \
                     by row. {DO}"
                ));
            }
        }
        Ok(pairs)
    }
}

/// A label as it is compared: numbers by their value, so that `1` is `1.0`, and `True` is `true`.
fn label(text: &str) -> String {
    let text = text.trim();
    match text.parse::<f64>() {
        Ok(number) if number.is_nan() => "nan".to_owned(),
        // Minus nought is nought.
        Ok(number) => (number + 0.0).to_string(),
        Err(_) if text.eq_ignore_ascii_case("true") => "true".to_owned(),
        Err(_) if text.eq_ignore_ascii_case("false") => "false".to_owned(),
        Err(_) => text.to_owned(),
    }
}

#[derive(Debug, Clone)]
enum Values {
    Labels { target: Vec<u32>, predicted: Vec<u32>, classes: usize },
    Numbers { target: Vec<f64>, predicted: Vec<f64> },
    Chances { positive: Vec<bool>, chance: Vec<f64> },
}

/// Rows as one metric takes them.
#[derive(Debug, Clone)]
pub struct Sample {
    measure: Measure,
    values: Values,
    weight: Option<Vec<f64>>,
}

impl Sample {
    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Labels { target, .. } => target.len(),
            Values::Numbers { target, .. } => target.len(),
            Values::Chances { positive, .. } => positive.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The metric over all rows.
    ///
    /// # Errors
    /// Why it has no value.
    pub fn value(&self) -> OrSentence<f64> {
        let all: Vec<u32> = (0..u32::try_from(self.len()).unwrap_or(MISSING)).collect();
        self.value_of(&all).ok_or_else(|| format!("It cannot be computed: {}", self.measure.undefined()))
    }

    /// The metric over these rows, each as often as it is named; none when it has no value there.
    #[must_use]
    pub fn value_of(&self, rows: &[u32]) -> Option<f64> {
        let weight = |row: usize| self.weight.as_ref().map_or(1.0, |weights| weights[row]);
        let rows = || rows.iter().map(|row| *row as usize);
        let total: f64 = rows().map(weight).sum();
        if total <= 0.0 || !total.is_finite() {
            return None;
        }
        let value = match &self.values {
            Values::Labels { target, predicted, .. } if self.measure == Measure::Accuracy => {
                rows().filter(|row| target[*row] == predicted[*row]).map(weight).sum::<f64>() / total
            }
            Values::Labels { target, predicted, classes } => {
                // Of each class: right, predicted, there.
                let mut counts = vec![[0.0_f64; 3]; *classes];
                let mut seen = vec![false; *classes];
                for row in rows() {
                    let (t, p, w) = (target[row] as usize, predicted[row] as usize, weight(row));
                    counts[p][1] += w;
                    counts[t][2] += w;
                    (seen[p], seen[t]) = (true, true);
                    if t == p {
                        counts[t][0] += w;
                    }
                }
                let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
                let of_class = |[right, predicted, there]: [f64; 3]| match self.measure {
                    Measure::Precision => share(right, predicted),
                    Measure::Recall => share(right, there),
                    _ => share(2.0 * right, predicted + there),
                };
                let present = counts.iter().zip(&seen).filter(|(_, seen)| **seen);
                let (sum, many) =
                    present.fold((0.0, 0.0), |(sum, many), (counts, _)| (sum + of_class(*counts), many + 1.0));
                sum / many
            }
            Values::Numbers { target, predicted } => {
                let mean = |of: &dyn Fn(usize) -> f64| rows().map(|row| weight(row) * of(row)).sum::<f64>() / total;
                let square = |row: usize| (target[row] - predicted[row]).powi(2);
                match self.measure {
                    Measure::Mae => mean(&|row| (target[row] - predicted[row]).abs()),
                    Measure::Rmse => mean(&square).sqrt(),
                    _ => {
                        let centre = mean(&|row| target[row]);
                        let spread = mean(&|row| (target[row] - centre).powi(2));
                        if spread <= 0.0 {
                            return None;
                        }
                        1.0 - mean(&square) / spread
                    }
                }
            }
            Values::Chances { positive, chance } => {
                let loss = |row: usize| {
                    let right = if positive[row] { chance[row] } else { 1.0 - chance[row] };
                    -right.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
                };
                rows().map(|row| weight(row) * loss(row)).sum::<f64>() / total
            }
        };
        // The sum of nothing is minus nought.
        value.is_finite().then_some(value + 0.0)
    }

    /// The same rows in another order: those at these places.
    fn reordered(&self, places: &[u32]) -> Self {
        fn at<T: Copy>(values: &[T], places: &[u32]) -> Vec<T> {
            places.iter().map(|place| values[*place as usize]).collect()
        }
        let values = match &self.values {
            Values::Labels { target, predicted, classes } => {
                Values::Labels { target: at(target, places), predicted: at(predicted, places), classes: *classes }
            }
            Values::Numbers { target, predicted } => {
                Values::Numbers { target: at(target, places), predicted: at(predicted, places) }
            }
            Values::Chances { positive, chance } => {
                Values::Chances { positive: at(positive, places), chance: at(chance, places) }
            }
        };
        Self { measure: self.measure, values, weight: self.weight.as_ref().map(|weight| at(weight, places)) }
    }
}

/// By how much one version is better than another, and how sure that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The metric of the version.
    pub value: f64,
    /// The metric of the champion.
    pub theirs: f64,
    /// By how much the version is better on these rows.
    pub gain: f64,
    /// The lower end of the interval of the gain.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How many rows it was computed from.
    pub rows: usize,
}

/// The gain of one version over another with its interval, by a paired bootstrap over their rows. The same rows give the
/// same interval: the draws are seeded by the digests of both files.
///
/// # Errors
/// Why it cannot be told, and what to do.
pub fn gain(ours: &Rows, theirs: &Rows, measure: Measure, better: Better, confidence: f64) -> OrSentence<Interval> {
    if ours.len() < MIN_ROWS {
        return Err(format!(
            "{} has {}; from fewer than {MIN_ROWS} no interval is computed.",
            ours.source.path,
            super::counted(ours.len(), "row", "rows")
        ));
    }
    let pairs = ours.pair(theirs)?;
    let a = ours.sample(measure)?;
    let b = theirs.sample(measure).map_err(|error| format!("Of the champion, {error}"))?.reordered(&pairs);
    let (value, champion) = (a.value()?, b.value()?);
    let rows = a.len();
    let mut draws = Draws::seeded(&ours.source.digest, &theirs.source.digest);
    let mut picked = vec![0_u32; rows];
    let mut gains = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        picked.iter_mut().for_each(|row| *row = draws.below(rows));
        if let (Some(mine), Some(other)) = (a.value_of(&picked), b.value_of(&picked)) {
            gains.push(better.gain(mine, other));
        }
    }
    if gains.len() + MAX_UNDEFINED < RESAMPLES {
        return Err(format!("No interval can be computed: in too many resamples {}", measure.undefined()));
    }
    gains.sort_unstable_by(f64::total_cmp);
    // The k-th smallest and the k-th greatest, where k is the whole part of (B + 1)(1 − confidence) / 2.
    let tail = ((gains.len() + 1) as f64 * (1.0 - confidence) / 2.0 + 1e-9).floor() as usize;
    let (Some(low), Some(high)) = (
        tail.checked_sub(1).and_then(|at| gains.get(at)),
        gains.len().checked_sub(tail).filter(|_| tail > 0).and_then(|at| gains.get(at)),
    ) else {
        return Err(format!(
            "{RESAMPLES} resamples do not tell with a confidence of {confidence}; ask for 0.999 or less."
        ));
    };
    Ok(Interval { value, theirs: champion, gain: better.gain(value, champion), low: *low, high: *high, rows })
}

/// SplitMix64 (Steele, Lea & Flood, Fast Splittable Pseudorandom Number Generators, 2014): small, and the same everywhere.
struct Draws(u64);

impl Draws {
    fn seeded(a: &Digest, b: &Digest) -> Self {
        let both = Digest::of_json(&[a, b]).map(|digest| digest.hex().to_owned()).unwrap_or_default();
        Self(both.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below this one, by the upper half of a product.
    fn below(&mut self, bound: usize) -> u32 {
        let product = u128::from(self.next()) * bound as u128;
        u32::try_from(product >> 64).unwrap_or_default()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn rows_of(name: u8, text: &str, slices: &[&str]) -> Rows {
        let source = Source { path: "evaluation.csv".to_owned(), digest: Digest::blake3([name; 32]) };
        let mut lines = text.lines();
        let slices = slices.iter().map(|name| (*name).to_owned()).collect();
        let mut rows = Rows::new(source, lines.next().unwrap().split(','), &slices).unwrap();
        for line in lines {
            rows.push(line.split(',').map(Some)).unwrap();
        }
        rows
    }

    fn value(measure: &str, text: &str) -> OrSentence<f64> {
        rows_of(1, text, &[]).sample(Measure::parse(measure)?)?.value()
    }

    /// The numbers are those of scikit-learn 1.9.1 for the same columns.
    #[test]
    fn metrics_are_those_of_scikit_learn() {
        let classes = "target,prediction\na,a\na,b\nb,b\nb,b\nc,a\nc,c\n";
        let weighted = "label,y_pred,weight\n1,1,1\n1.0,0,2\n0,0,3\n0,1,4\n";
        let numbers = "y_true,prediction\n3,2.5\n-0.5,0\n2,2\n7,8\n";
        let chances = "target,probability\n1,0.9\n0,0.2\n1,0.6\n0,0.4\n";
        for (measure, text, expected) in [
            ("accuracy", classes, 4.0 / 6.0),
            ("precision", classes, (0.5 + 2.0 / 3.0 + 1.0) / 3.0),
            ("recall", classes, (0.5 + 1.0 + 0.5) / 3.0),
            ("f1_macro", classes, (0.5 + 0.8 + 2.0 / 3.0) / 3.0),
            ("accuracy", weighted, 0.4),
            ("recall", weighted, (1.0 / 3.0 + 3.0 / 7.0) / 2.0),
            ("mae", numbers, 0.5),
            ("rmse", numbers, 0.375_f64.sqrt()),
            ("r2", numbers, 0.948_608_137_044_967_9),
            ("log_loss", chances, 0.337_538_828_626_004_4),
            ("log_loss", "target,probability\nTrue,1.0\nFalse,0.0\n", 2.220_446_049_250_313e-16),
        ] {
            let found = value(measure, text).unwrap();
            assert!((found - expected).abs() < 1e-12, "{measure}: {found} is not {expected}");
        }
    }

    #[test]
    fn what_is_missing_or_no_number_is_said_and_no_value_is_given() {
        for (measure, text, words) in [
            ("auc", "target,prediction\n1,1\n", "is not computed"),
            ("accuracy", "target,score\n1,1\n", "no column \"prediction\""),
            ("accuracy", "prediction\n1\n", "no column \"target\""),
            ("accuracy", "target,label,prediction\n1,1,1\n", "more than one of the columns"),
            ("accuracy", "target,prediction\n", "has no rows"),
            ("accuracy", "target,prediction\n1,\n0,0\n", "1 row has no \"prediction\""),
            ("accuracy", "target,prediction\n1,NaN\n0,0\n", "not a number"),
            ("mae", "target,prediction\n1,NaN\n", "1 value of column \"prediction\" is no finite number"),
            ("mae", "target,prediction\n1,inf\n2,x\n", "2 values of column \"prediction\" are no finite number"),
            ("r2", "target,prediction\n1,1\n1,2\n", "all targets are the same"),
            ("log_loss", "target,prediction\n1,1\n", "no column \"probability\""),
            ("log_loss", "target,probability\nyes,1\n", "targets 0 and 1"),
            ("log_loss", "target,probability\n1,1.2\n", "not between 0 and 1"),
            ("mae", "target,prediction,weight\n1,1,-1\n", "less than 0"),
            ("mae", "target,prediction,weight\n1,1,0\n", "add up to nothing"),
            ("mae", "target,prediction,weight\n1,1,\n", "no finite number"),
        ] {
            let sentence = value(measure, text).unwrap_err();
            assert!(sentence.contains(words), "{measure}: {sentence}");
        }
        let many: String = (0..1_001).fold("target,prediction\n".to_owned(), |text, n| format!("{text}{n},{n}\n"));
        assert!(value("accuracy", &many).unwrap_err().contains("1,001 different"));
    }

    #[test]
    fn rows_of_another_length_and_too_many_are_refused() {
        let source = || Source { path: "evaluation.csv".to_owned(), digest: Digest::blake3([1; 32]) };
        let mut rows = Rows::new(source(), ["target", "prediction"], &BTreeSet::new()).unwrap();
        assert!(rows.push([Some("1")]).unwrap_err().contains("Row 1"));
        assert!(rows.push([Some("1"), None, None]).unwrap_err().contains("more cells"));
        assert!(Rows::new(source(), ["target", "target"], &BTreeSet::new()).is_err());
        let mut rows = Rows::new(source(), ["x"], &BTreeSet::new()).unwrap();
        for _ in 0..MAX_ROWS {
            rows.push([Some("1")]).unwrap();
        }
        assert!(rows.push([Some("1")]).unwrap_err().contains("more than 200,000 rows"));
    }

    /// So many rows, of which the prediction of the first `right` is right.
    pub(in super::super) fn table(name: u8, rows: usize, right: usize, ids: bool) -> Rows {
        let mut text = "target,prediction,row_id\n".to_owned();
        for row in 0..rows {
            let id = if ids { format!("r{row}") } else { String::new() };
            text += &format!("1,{},{id}\n", u8::from(row < right));
        }
        let text = if ids { text } else { text.replace("row_id", "ignored") };
        rows_of(name, &text, &[])
    }

    #[test]
    fn an_interval_holds_the_gain_and_is_the_same_each_time() {
        let (ours, theirs) = (table(1, 400, 360, true), table(2, 400, 300, true));
        let found = gain(&ours, &theirs, Measure::Accuracy, Better::Higher, 0.95).unwrap();
        assert_eq!(found, gain(&ours, &theirs, Measure::Accuracy, Better::Higher, 0.95).unwrap());
        assert!((found.gain - 0.15).abs() < 1e-12 && found.rows == 400);
        assert!(found.low < found.gain && found.gain < found.high);
        // The paired difference is a share of 0.15 of 400 rows: by the normal approximation ±1.96·√(0.15·0.85/400).
        let half = 1.96 * (0.15_f64 * 0.85 / 400.0).sqrt();
        assert!((found.low - (0.15 - half)).abs() < 0.01, "{found:?}");
        assert!((found.high - (0.15 + half)).abs() < 0.01, "{found:?}");
        let wider = gain(&ours, &theirs, Measure::Accuracy, Better::Higher, 0.999).unwrap();
        assert!(wider.low < found.low && wider.high > found.high);
        let first = |a: u8, b: u8| Draws::seeded(&Digest::blake3([a; 32]), &Digest::blake3([b; 32])).next();
        assert_ne!(first(1, 2), first(3, 2), "another file, other draws");
    }

    #[test]
    fn the_same_predictions_are_no_gain_for_sure() {
        let found =
            gain(&table(1, 50, 40, false), &table(2, 50, 40, false), Measure::F1, Better::Higher, 0.95).unwrap();
        assert_eq!((found.gain, found.low, found.high), (0.0, 0.0, 0.0));
    }

    #[test]
    fn rows_are_paired_by_id_whatever_their_order() {
        let forward: String = (0..40).fold("row_id,target,prediction\n".to_owned(), |text, n| {
            format!("{text}{n},{},{}\n", n % 2, u8::from(n % 5 == 0))
        });
        let backward: String = (0..40).rev().fold("row_id,target,prediction\n".to_owned(), |text, n| {
            format!("{text}{n},{}.0,{}\n", n % 2, u8::from(n % 5 == 0))
        });
        let found =
            gain(&rows_of(1, &forward, &[]), &rows_of(2, &backward, &[]), Measure::Accuracy, Better::Higher, 0.9)
                .unwrap();
        assert_eq!((found.low, found.high), (0.0, 0.0));
    }

    #[test]
    fn rows_that_are_not_the_same_are_not_compared() {
        let head = "row_id,target,prediction\n";
        let rows = |from: usize, target: usize| {
            (from..from + 40).fold(head.to_owned(), |text, n| format!("{text}{n},{target},1\n"))
        };
        let twice = (0..40).fold(head.to_owned(), |text, n| format!("{text}{},1,1\n", n / 2));
        for (ours, theirs, words) in [
            (rows(0, 1), rows(1, 1), "not evaluated on each row"),
            (rows(0, 1), rows(0, 0), "is not that of the champion's"),
            (twice.clone(), rows(0, 1), "Two rows of evaluation.csv"),
            (rows(0, 1), twice, "Two rows of the champion's"),
            (rows(0, 1), format!("{}41,1,1\n", rows(0, 1)), "41 rows"),
            (rows(0, 1).replace("row_id", "n"), rows(0, 0).replace("row_id", "n"), "row by row"),
            ("target,prediction\n1,1\n".to_owned(), "target,prediction\n1,1\n".to_owned(), "1 row;"),
        ] {
            let (ours, theirs) = (rows_of(1, &ours, &[]), rows_of(2, &theirs, &[]));
            let sentence = gain(&ours, &theirs, Measure::Accuracy, Better::Higher, 0.95).unwrap_err();
            assert!(sentence.contains(words), "{sentence}");
        }
    }
}
