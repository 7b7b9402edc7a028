//! Replay: what a candidate would have answered to the last recorded predictions of the champion, and where it would have
//! decided otherwise. It informs people; no gate and no digest rests on it.
//!
//! Here is the comparison, as a function of what was recorded and what the candidate answers. What counts as a decision is
//! in `decision`, how rows are cut into segments in `segment`.

mod decision;
mod segment;

use crate::{digest::Digest, id::PredictionId, inference::TensorSpec, series::quantile};
use chrono::{DateTime, Utc};
use decision::Compared;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many recorded decisions are replayed when nothing is said.
pub const REPLAY_ROWS: u32 = 500;
/// The most that are.
pub const MAX_REPLAY_ROWS: u32 = 5000;
/// A quantity is answered otherwise when it differs by more than this share of the recorded answer.
pub const REPLAY_TOLERANCE: f64 = 0.05;
/// The most transitions that are told one by one.
const MAX_TRANSITIONS: usize = 12;
/// The most outputs whose differences are told.
const MAX_DIFFERENCES: usize = 4;
/// The most segments that are told: those that stand out most.
pub const MAX_FLIP_SEGMENTS: usize = 24;
/// The most examples.
pub const MAX_REPLAY_EXAMPLES: usize = 20;
/// The most values of a row that an example shows, of its features and of its outputs.
const MAX_VALUES: usize = 60;
/// The most characters of a text in an example, a transition or a segment.
const MAX_TEXT: usize = 120;
/// The most reasons that are told apart why rows could not be replayed.
const MAX_REASONS: usize = 6;

/// One recorded prediction and what the candidate answers to the same features.
#[derive(Debug, Clone)]
pub struct AnsweredTwice {
    /// The prediction.
    pub id: PredictionId,
    /// The id that the client gave its request.
    pub request_id: Option<String>,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// How many rows of it count; the first ones.
    pub rows: usize,
    /// Each input by name: a list with one value for each row.
    pub features: Map<String, Value>,
    /// What was answered, each output by name.
    pub before: Map<String, Value>,
    /// What the candidate answers, each output by name.
    pub after: Map<String, Value>,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replay {
    /// What counts as a decision.
    pub basis: DecisionBasis,
    /// All that was replayed.
    pub all: FlipRate,
    /// Rows that could not be replayed, by reason; most first. A request that failed counts as a row.
    pub skipped: Vec<NotReplayed>,
    /// From which decision to which, most first.
    pub transitions: Vec<DecisionFlip>,
    /// Flips of further transitions, which are not told one by one.
    pub other_transitions: u32,
    /// How the numbers of the answers differ.
    pub differences: Vec<AnswerDifference>,
    /// Where decisions flip: those segments first whose rate is high beyond chance.
    pub segments: Vec<FlipSegment>,
    /// How many segments were looked at in all.
    pub segments_in_all: u32,
}

/// What counts as a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecisionBasis {
    /// What outputs that are texts, whole numbers or true and false say.
    Label {
        /// The outputs.
        outputs: Vec<String>,
    },
    /// The class to which outputs give the highest probability.
    MostLikely {
        /// The outputs; each gives probabilities that sum to 1.
        outputs: Vec<String>,
    },
    /// Whether outputs that lie between 0 and 1 are at least 0.5.
    AtLeastHalf {
        /// The outputs.
        outputs: Vec<String>,
    },
    /// Nothing is decided: outputs are quantities. One is answered otherwise when it differs by more than the tolerance.
    Quantity {
        /// The outputs.
        outputs: Vec<String>,
        /// The share of the recorded answer, or of the median of all recorded answers where that is greater.
        tolerance: f64,
    },
}

/// How many of some rows flip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlipRate {
    /// How many rows there are.
    pub rows: u32,
    /// How many of them the candidate decides otherwise.
    pub flips: u32,
    /// Their share, 0 to 1.
    pub rate: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl FlipRate {
    /// With Wilson's score interval at 95 % (Wilson, Probable inference, the law of succession, and statistical inference,
    /// 1927).
    #[must_use]
    pub fn of(rows: u32, flips: u32) -> Self {
        if rows == 0 {
            return Self { rows, flips, rate: 0.0, low: 0.0, high: 1.0 };
        }
        const Z: f64 = 1.959_963_984_540_054;
        let (n, rate) = (f64::from(rows), f64::from(flips) / f64::from(rows));
        let scale = 1.0 + Z * Z / n;
        let middle = (rate + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
        let (low, high) = ((middle - half).max(0.0), (middle + half).min(1.0));
        // What rounding takes: the rate itself is always within.
        Self { rows, flips, rate, low: low.min(rate), high: high.max(rate) }
    }
}

/// Rows that could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NotReplayed {
    /// Why, in a sentence.
    pub reason: String,
    /// How many.
    pub rows: u32,
}

/// Rows that change from one decision to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionFlip {
    /// What was decided; `recorded` for a quantity.
    pub from: String,
    /// What the candidate decides; `higher` or `lower` for a quantity.
    pub to: String,
    /// How many.
    pub rows: u32,
}

/// How one numeric output of the candidate differs from what was recorded: the candidate's less the recorded, over all
/// rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AnswerDifference {
    /// The output.
    pub output: String,
    /// The mean.
    pub mean: f64,
    /// The 5th percentile.
    pub p5: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The largest one, either way, without its sign.
    pub largest: f64,
}

/// Rows that have a feature in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlipSegment {
    /// The feature.
    pub feature: String,
    /// Its value, or the range of one of its quarters.
    pub value: String,
    /// How many of them flip.
    #[serde(flatten)]
    pub share: FlipRate,
}

/// A row that flips.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayExample {
    /// The prediction.
    pub prediction_id: PredictionId,
    /// The id that the client gave its request.
    pub request_id: Option<String>,
    /// Which row of the prediction, from 0.
    pub row: u32,
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What was decided.
    pub from: String,
    /// What the candidate decides.
    pub to: String,
    /// The largest difference between numbers of the answers; none when no number is among them.
    pub difference: Option<f64>,
    /// The features, by name; of many the first ones.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub features: Map<String, Value>,
    /// What was answered, by output.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub before: Map<String, Value>,
    /// What the candidate answers, by output.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub after: Map<String, Value>,
}

/// Where a replay stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// A worker replays, or will.
    Waiting,
    /// It was replayed.
    Done,
    /// There is nothing to replay: no champion, nothing recorded, or the promotion ended before.
    Nothing,
    /// It could not be replayed.
    Failed,
}

impl ReplayState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Done, Self::Nothing, Self::Failed];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Nothing => "nothing",
            Self::Failed => "failed",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What a replay is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayAbout {
    /// The digest of the candidate's files.
    pub model_digest: Digest,
    /// The number of the version whose predictions were replayed; none when none served.
    pub champion: Option<i32>,
    /// When the first of the replayed predictions was made.
    pub first_at: Option<DateTime<Utc>>,
    /// When the last one was.
    pub last_at: Option<DateTime<Utc>>,
}

/// The last replay of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromotionReplay {
    /// Where it stands.
    pub state: ReplayState,
    /// Why there is nothing, why it could not be, or what it waits for; a sentence, or empty.
    pub reason: String,
    /// How many of the last decisions were asked for.
    pub wanted: u32,
    /// When it was asked for.
    pub asked_at: DateTime<Utc>,
    /// Who asked; none when Slipway did by itself.
    pub asker: Option<String>,
    /// What it is about; none while it waits.
    pub about: Option<ReplayAbout>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// What was found; none unless it is done.
    pub found: Option<Replay>,
    /// Rows that flip, those first whose numbers differ most. They are deleted when the first of their predictions is.
    pub examples: Vec<ReplayExample>,
}

impl Replay {
    /// Holds what a candidate answers against what was recorded. `outputs` are what the candidate gives, `skipped` how many
    /// rows could not be replayed and why.
    ///
    /// # Errors
    /// A sentence when the two have no output in common that can be compared.
    pub fn of(
        answered: &[AnsweredTwice],
        outputs: &[TensorSpec],
        skipped: BTreeMap<String, u32>,
    ) -> Result<(Self, Vec<ReplayExample>), String> {
        let compared = Compared::of(answered, outputs)?;
        let flips = compared.flips();
        let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
        let all = FlipRate::of(count(flips.len()), count(flips.iter().flatten().count()));
        let (transitions, other_transitions) = transitions(&flips);
        let segments = segment::segments(answered, &flips);
        let replay = Self {
            basis: compared.basis(),
            all,
            skipped: reasons(skipped),
            transitions,
            other_transitions,
            differences: differences(&compared),
            segments_in_all: count(segments.len()),
            segments: segments.into_iter().take(MAX_FLIP_SEGMENTS).collect(),
        };
        Ok((replay, examples(answered, &compared, &flips)))
    }
}

/// For each row from which decision to which it flips; none when it does not.
type Flips = Vec<Option<(String, String)>>;

fn transitions(flips: &Flips) -> (Vec<DecisionFlip>, u32) {
    let mut counted: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (from, to) in flips.iter().flatten() {
        *counted.entry((from, to)).or_default() += 1;
    }
    let transition =
        |((from, to), rows): ((&str, &str), u32)| DecisionFlip { from: from.to_owned(), to: to.to_owned(), rows };
    let mut all: Vec<DecisionFlip> = counted.into_iter().map(transition).collect();
    all.sort_by_key(|transition| std::cmp::Reverse(transition.rows));
    let other = all.iter().skip(MAX_TRANSITIONS).map(|transition| transition.rows).sum();
    all.truncate(MAX_TRANSITIONS);
    (all, other)
}

fn differences(compared: &Compared) -> Vec<AnswerDifference> {
    let of = |(output, differences): (&str, Vec<f64>)| {
        let at = |share| quantile(&differences, share);
        #[allow(clippy::cast_precision_loss, reason = "there are a few thousand at most")]
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let largest = differences.iter().fold(0.0_f64, |largest, one| largest.max(one.abs()));
        Some(AnswerDifference {
            output: output.to_owned(),
            mean: Some(mean).filter(|mean| mean.is_finite())?,
            p5: at(0.05)?,
            p50: at(0.5)?,
            p95: at(0.95)?,
            largest,
        })
    };
    compared.differences().filter_map(of).take(MAX_DIFFERENCES).collect()
}

/// The most frequent reasons by themselves, the others together.
fn reasons(skipped: BTreeMap<String, u32>) -> Vec<NotReplayed> {
    let mut all: Vec<NotReplayed> = skipped.into_iter().map(|(reason, rows)| NotReplayed { reason, rows }).collect();
    all.retain(|one| one.rows > 0);
    all.sort_by_key(|one| std::cmp::Reverse(one.rows));
    if all.len() > MAX_REASONS {
        let rest = all.split_off(MAX_REASONS - 1);
        let rows = rest.iter().map(|one| one.rows).sum();
        all.push(NotReplayed { reason: "The candidate did not take them for other reasons.".to_owned(), rows });
    }
    all
}

/// The rows that flip, those first whose numbers differ most, then the newest.
fn examples(answered: &[AnsweredTwice], compared: &Compared, flips: &Flips) -> Vec<ReplayExample> {
    let rows = answered.iter().flat_map(|one| (0..one.rows).map(move |row| (one, row)));
    let mut flipped: Vec<_> = rows
        .zip(flips)
        .enumerate()
        .filter_map(|(at, ((one, row), flip))| Some((compared.size(at), at, one, row, flip.as_ref()?)))
        .collect();
    flipped.sort_by(|a, b| b.0.unwrap_or(-1.0).total_cmp(&a.0.unwrap_or(-1.0)).then(b.2.at.cmp(&a.2.at)));
    let example =
        |(difference, at, one, row, (from, to)): (Option<f64>, usize, &AnsweredTwice, usize, &(String, String))| {
            let (before, after) = compared.answers(at);
            ReplayExample {
                prediction_id: one.id,
                request_id: one.request_id.clone(),
                row: u32::try_from(row).unwrap_or(u32::MAX),
                at: one.at,
                from: from.clone(),
                to: to.clone(),
                difference,
                features: shown(one.features.iter().map(|(name, column)| (name.as_str(), cell(column, row)))),
                before: shown(before),
                after: shown(after),
            }
        };
    flipped.into_iter().take(MAX_REPLAY_EXAMPLES).map(example).collect()
}

/// The first values, by name, none of them long. Lists, such as images, are left out.
fn shown<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> Map<String, Value> {
    let short = |value: &Value| match value {
        Value::String(text) => Value::String(cut(text)),
        other => other.clone(),
    };
    values
        .filter(|(_, value)| !value.is_array() && !value.is_object())
        .take(MAX_VALUES)
        .map(|(name, value)| (name.to_owned(), short(value)))
        .collect()
}

/// The value of a column in a row.
fn cell(column: &Value, row: usize) -> &Value {
    column.get(row).unwrap_or(&Value::Null)
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value as it stands in a decision or a segment.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".to_owned(),
        Value::String(text) => cut(text),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(value)) => short(value),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// `0.25`, `1.2e-7`.
fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.001 { format!("{value:.1e}") } else { super::gate::number(value) }
}

#[cfg(test)]
mod tests;
