//! The automatic conditions of a policy, as they are written.

use super::Better;
use crate::{
    duration::Span,
    promotion::gate::{promql, rows::Measure},
};
use serde::{Deserialize, Serialize};

/// How far an answer to a golden row may be from the recorded one, when a policy does not say.
pub const DEFAULT_TOLERANCE: f64 = 1e-4;

/// How a measured number is held against a bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It is this or more.
    AtLeast(f64),
    /// It is this or less.
    AtMost(f64),
}

impl Bound {
    /// The number.
    #[must_use]
    pub fn limit(self) -> f64 {
        match self {
            Self::AtLeast(limit) | Self::AtMost(limit) => limit,
        }
    }

    /// Whether a number keeps to it. One that is not a number does not.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }

    /// `≥ 0.7`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::AtLeast(limit) => format!("≥ {limit}"),
            Self::AtMost(limit) => format!("≤ {limit}"),
        }
    }
}

/// One automatic condition of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GateSpec {
    /// A metric of the version's run reaches a threshold.
    MetricThreshold {
        /// The metric's key.
        metric: String,
        /// Which way is better; the threshold is a least or a greatest value accordingly.
        #[serde(default)]
        better: Better,
        /// The value to reach.
        threshold: f64,
    },
    /// A metric of the version's run is better than the same metric of the champion's run. Passes when the environment
    /// has no champion yet.
    BetterThanChampion {
        /// The metric's key; with a confidence, the name of a metric that is computed from evaluation rows.
        metric: String,
        /// Which way is better.
        #[serde(default)]
        better: Better,
        /// By how much it must be better, at least. 0: no worse.
        #[serde(default)]
        min_gain: f64,
        /// With which confidence, such as 0.95: the lower end of the interval of the gain, by a paired bootstrap over the
        /// evaluation rows of both versions, must reach `min_gain`. None: the two numbers are compared as they were
        /// logged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    /// A metric, computed from the version's evaluation rows, keeps to a floor in every slice of them.
    SliceFloor {
        /// The metric: `accuracy`, `recall`, `mae` …
        metric: String,
        /// Which way is better.
        #[serde(default)]
        better: Better,
        /// The columns whose values make the slices.
        columns: Vec<String>,
        /// The worst value that a slice may have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        floor: Option<f64>,
        /// By how much a slice may be worse than the champion's same slice, at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_drop: Option<f64>,
        /// How many rows a slice needs for its number to say anything.
        #[serde(default = "default_min_rows")]
        min_rows: u32,
    },
    /// The model answers its golden rows in the engine that will serve it quickly enough.
    LatencyBudget {
        /// Which percentile of the answers' times, above 0 and below 100.
        #[serde(default = "default_percentile")]
        percentile: f64,
        /// The most milliseconds.
        max_ms: f64,
        /// How many requests are timed, one after the other, after a warm-up of a tenth as many.
        #[serde(default = "default_requests")]
        requests: u32,
    },
    /// The model answers its golden rows in the engine that will serve it as its maker recorded.
    GoldenRow {
        /// How far an answer may be from the recorded one, absolute.
        #[serde(default = "default_tolerance")]
        tolerance: f64,
    },
    /// The version takes what the champion takes, and gives what it gives.
    SignatureCompatible {},
    /// The model's card has these headings with something below them, and was saved lately.
    ModelCard {
        /// Headings, in any order; case does not matter.
        sections: Vec<String>,
        /// How old the card may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_age: Option<Span>,
    },
    /// Each data set that the version's run read was checked as it was read: a version of a dataset passed its own checks, and
    /// of what Slipway does not keep there is evidence of a check of exactly that digest.
    DatasetChecked {
        /// Names of the data sets; empty: all that the run read, at least one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        datasets: Vec<String>,
    },
    /// A run that repeated the version's run agrees with it.
    Reproduced {
        /// The metrics to be compared; empty: all that the version's run logged.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        metrics: Vec<String>,
        /// How far they may be apart, relative to the larger of the two.
        tolerance: f64,
    },
    /// Something outside is asked by webhook, and answers later.
    External {
        /// What is asked, unique among a policy's external gates: `security-scan`.
        name: String,
        /// How long an answer is waited for.
        #[serde(default = "default_wait")]
        timeout: Span,
    },
    /// A query to the installation's Prometheus gives one number that keeps to a bound.
    Promql {
        /// The query, an instant one. `${model}`, `${version}` and `${environment}` stand for the promotion's.
        query: String,
        /// What the number keeps to.
        bound: Bound,
    },
    /// An expression of the Common Expression Language over all the evidence is true.
    Cel {
        /// What it says, for people.
        name: String,
        /// The expression.
        expression: String,
    },
}

fn default_tolerance() -> f64 {
    DEFAULT_TOLERANCE
}

fn default_min_rows() -> u32 {
    30
}

fn default_percentile() -> f64 {
    99.0
}

fn default_requests() -> u32 {
    200
}

fn default_wait() -> Span {
    Span::of_days(1)
}

/// The field that is wrong, and what is wrong with it; a sentence.
type Wrong = (&'static str, String);

impl GateSpec {
    /// One line for people.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::MetricThreshold { metric, better: Better::Higher, threshold } => {
                format!("{metric} at least {threshold}")
            }
            Self::MetricThreshold { metric, better: Better::Lower, threshold } => {
                format!("{metric} at most {threshold}")
            }
            Self::BetterThanChampion { metric, min_gain, .. } if *min_gain > 0.0 => {
                format!("Beats the champion on {metric} by {min_gain}")
            }
            Self::BetterThanChampion { metric, .. } => format!("No worse than the champion on {metric}"),
            Self::SliceFloor { metric, columns, .. } => format!("{metric} in every slice by {}", columns.join(", ")),
            Self::LatencyBudget { percentile, max_ms, .. } => format!("p{percentile} latency at most {max_ms} ms"),
            Self::GoldenRow { .. } => "Answers its golden rows in the serving engine".to_owned(),
            Self::SignatureCompatible {} => "Signature compatible with the champion's".to_owned(),
            Self::ModelCard { .. } => "Model card complete".to_owned(),
            Self::DatasetChecked { .. } => "Data sets unchanged and checked".to_owned(),
            Self::Reproduced { .. } => "Reproduced by a second run".to_owned(),
            Self::External { name, .. } | Self::Cel { name, .. } => name.clone(),
            Self::Promql { query, bound } => {
                let short: String = query.chars().take(60).collect();
                format!("{short} {}", bound.words())
            }
        }
    }

    /// The name of the sort.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MetricThreshold { .. } => "metric_threshold",
            Self::BetterThanChampion { .. } => "better_than_champion",
            Self::SliceFloor { .. } => "slice_floor",
            Self::LatencyBudget { .. } => "latency_budget",
            Self::GoldenRow { .. } => "golden_row",
            Self::SignatureCompatible {} => "signature_compatible",
            Self::ModelCard { .. } => "model_card",
            Self::DatasetChecked { .. } => "dataset_checked",
            Self::Reproduced { .. } => "reproduced",
            Self::External { .. } => "external",
            Self::Promql { .. } => "promql",
            Self::Cel { .. } => "cel",
        }
    }

    /// The metric that it is about, and which way that is better.
    #[must_use]
    pub fn metric(&self) -> Option<(String, Better)> {
        match self {
            Self::MetricThreshold { metric, better, .. }
            | Self::BetterThanChampion { metric, better, .. }
            | Self::SliceFloor { metric, better, .. } => Some((metric.clone(), *better)),
            _ => None,
        }
    }

    /// Whether what it measures is another number each time, so that only its verdict is part of what people agree to:
    /// times and queries. What others find is a function of what is stored.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        matches!(self, Self::LatencyBudget { .. } | Self::Promql { .. } | Self::External { .. })
    }

    /// Whether it is asked by loading the version in the engine that will serve it.
    #[must_use]
    pub fn needs_engine(&self) -> bool {
        matches!(self, Self::LatencyBudget { .. } | Self::GoldenRow { .. })
    }

    /// Whether it reads evaluation rows.
    #[must_use]
    pub fn needs_rows(&self) -> bool {
        matches!(self, Self::SliceFloor { .. } | Self::BetterThanChampion { confidence: Some(_), .. })
    }

    /// Checks the values that the types allow and sense does not.
    pub(super) fn validate(&self) -> Result<(), Wrong> {
        let name = |field: &'static str, text: &str| match text {
            _ if text.trim().is_empty() || text.len() > 250 || text.chars().any(char::is_control) => {
                Err((field, "give a name of at most 250 visible characters.".to_owned()))
            }
            _ => Ok(()),
        };
        let finite = |field: &'static str, number: f64| match number.is_finite() {
            true => Ok(()),
            false => Err((field, "this is not a finite number.".to_owned())),
        };
        let positive = |field: &'static str, number: f64| match number.is_finite() && number >= 0.0 {
            true => Ok(()),
            false => Err((field, "a gain or tolerance is a finite number, 0 or more.".to_owned())),
        };
        match self {
            Self::MetricThreshold { metric, threshold, .. } => {
                name("metric", metric)?;
                finite("threshold", *threshold)
            }
            Self::BetterThanChampion { metric, min_gain, confidence, .. } => {
                name("metric", metric)?;
                positive("min_gain", *min_gain)?;
                match confidence {
                    Some(share) if !(0.5..=0.999).contains(share) => {
                        Err(("confidence", "a confidence is from 0.5 to 0.999, such as 0.95.".to_owned()))
                    }
                    Some(_) => Measure::parse(metric).map(|_| ()).map_err(|why| ("metric", why)),
                    None => Ok(()),
                }
            }
            Self::SliceFloor { metric, columns, floor, max_drop, min_rows, .. } => {
                name("metric", metric)?;
                Measure::parse(metric).map_err(|why| ("metric", why))?;
                if columns.is_empty() || columns.len() > 10 {
                    return Err(("columns", "name 1 to 10 columns whose values make the slices.".to_owned()));
                }
                columns.iter().try_for_each(|column| name("columns", column))?;
                if floor.is_none() && max_drop.is_none() {
                    return Err(("floor", "give a floor, a max_drop, or both.".to_owned()));
                }
                floor.map_or(Ok(()), |floor| finite("floor", floor))?;
                max_drop.map_or(Ok(()), |drop| positive("max_drop", drop))?;
                match min_rows {
                    1..=1_000_000 => Ok(()),
                    _ => Err(("min_rows", "from 1 to 1,000,000 rows.".to_owned())),
                }
            }
            Self::LatencyBudget { percentile, max_ms, requests } => {
                if !(*percentile > 0.0 && *percentile < 100.0) {
                    return Err(("percentile", "a percentile is above 0 and below 100.".to_owned()));
                }
                if !(max_ms.is_finite() && *max_ms > 0.0) {
                    return Err(("max_ms", "give a finite number of milliseconds above 0.".to_owned()));
                }
                if !(10..=10_000).contains(requests) {
                    return Err(("requests", "from 10 to 10,000 requests.".to_owned()));
                }
                // Else the percentile is the slowest request of all, which says little of the others.
                let least = (100.0 / (100.0 - percentile) - 1e-9).ceil();
                match f64::from(*requests) < least {
                    true => Err(("requests", format!("a p{percentile} takes at least {least} requests."))),
                    false => Ok(()),
                }
            }
            Self::GoldenRow { tolerance } => positive("tolerance", *tolerance),
            Self::SignatureCompatible {} => Ok(()),
            Self::ModelCard { sections, max_age } => {
                if sections.len() > 50 {
                    return Err(("sections", "at most 50 headings.".to_owned()));
                }
                sections.iter().try_for_each(|section| name("sections", section))?;
                match max_age {
                    Some(age) if age.seconds() == 0 => Err(("max_age", "more than nothing.".to_owned())),
                    _ => Ok(()),
                }
            }
            Self::DatasetChecked { datasets } => datasets.iter().try_for_each(|dataset| name("datasets", dataset)),
            Self::Reproduced { metrics, tolerance } => {
                metrics.iter().try_for_each(|metric| name("metrics", metric))?;
                positive("tolerance", *tolerance)
            }
            Self::External { name: what, timeout } => {
                name("name", what)?;
                match timeout.seconds() {
                    60..=2_592_000 => Ok(()),
                    _ => Err(("timeout", "from 1m to 30d.".to_owned())),
                }
            }
            Self::Promql { query, bound } => {
                if query.trim().is_empty() || query.len() > 4000 || query.contains('\0') {
                    return Err(("query", "give a query of at most 4,000 characters, none of them NUL.".to_owned()));
                }
                finite("bound", bound.limit())?;
                promql::check(query).map_err(|why| ("query", why))
            }
            Self::Cel { name: what, expression } => {
                name("name", what)?;
                if expression.trim().is_empty() || expression.len() > 4000 || expression.contains('\0') {
                    let message = "give an expression of at most 4,000 characters, none of them NUL.";
                    return Err(("expression", message.to_owned()));
                }
                #[cfg(not(target_arch = "wasm32"))]
                crate::promotion::gate::cel::check(expression).map_err(|why| ("expression", why))?;
                Ok(())
            }
        }
    }
}
