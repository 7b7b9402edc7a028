//! Drift: how far the values of a feature have moved from a reference.
//!
//! Methods, their choice by size and number of distinct values, thresholds and the rule for a whole data set are the
//! defaults of Evidently 0.7 (`evidently.legacy.calculations.stattests`), and the numbers are those of the SciPy 1.17
//! functions that it calls. `crates/domain/fixtures/drift` holds what both compute; the tests compare.
//!
//! | rows in the reference | numbers | value by value, more than 2 | value by value, 2 |
//! |---|---|---|---|
//! | at most 1000 | Kolmogorov-Smirnov, p ≤ 0.05 | chi-square, p < 0.05 | Z-test, p < 0.05 |
//! | more | Wasserstein / deviation ≥ 0.1 | Jensen-Shannon ≥ 0.1 | Jensen-Shannon ≥ 0.1 |
//!
//! Names and booleans are compared value by value; so are whole numbers when the current side has at most 10 different ones
//! and none is missing (Evidently infers the type of a column from the current side, and pandas has no missing integers), and
//! numbers of which both sides together have at most 5. Missing and infinite values are left out before anything is counted.
//!
//! Two things are other than in Evidently. Text of which most values occur once, such as ids, is not compared; Evidently
//! trains a classifier on it. And where a model takes FP32, the reference is compared as FP32 holds it; with pandas both sides
//! have to be made `float32` by hand.
//!
//! The results are plain values for every target; computing them needs `statrs`, which browsers need not load.

mod column;
#[cfg(not(target_arch = "wasm32"))]
mod compare;
#[cfg(not(target_arch = "wasm32"))]
mod histogram;
#[cfg(not(target_arch = "wasm32"))]
mod kolmogorov;
#[cfg(not(target_arch = "wasm32"))]
mod statistic;

#[cfg(not(target_arch = "wasm32"))]
pub use compare::feature_drift;

pub use column::{Cell, Column, Kind};

use serde::{Deserialize, Serialize};
use std::fmt;

/// Drift of a data set is found when at least this share of its features drifted.
pub const DATASET_SHARE: f64 = 0.5;

/// How a feature's two sides were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// p-value of the two-sided two-sample Kolmogorov-Smirnov test.
    KolmogorovSmirnov,
    /// p-value of Pearson's chi-square test against the reference's shares.
    ChiSquare,
    /// p-value of the two-sided Z-test for a difference of two proportions.
    ZTest,
    /// First Wasserstein distance in units of the reference's standard deviation.
    Wasserstein,
    /// Jensen-Shannon distance, natural logarithm: 0 to √ln 2.
    JensenShannon,
}

impl Method {
    /// The name for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "Kolmogorov-Smirnov p-value",
            Self::ChiSquare => "chi-square p-value",
            Self::ZTest => "Z-test p-value",
            Self::Wasserstein => "Wasserstein distance, normed",
            Self::JensenShannon => "Jensen-Shannon distance",
        }
    }

    /// Whether the score is a p-value, which falls as drift grows; a distance rises.
    #[must_use]
    pub fn is_p_value(self) -> bool {
        matches!(self, Self::KolmogorovSmirnov | Self::ChiSquare | Self::ZTest)
    }

    /// The score at which drift begins.
    #[must_use]
    pub fn threshold(self) -> f64 {
        if self.is_p_value() { 0.05 } else { 0.1 }
    }

    /// Whether this score means drift. Only Kolmogorov-Smirnov counts a p-value that equals the threshold.
    #[must_use]
    pub fn is_drift(self, score: f64) -> bool {
        match self {
            Self::KolmogorovSmirnov => score <= self.threshold(),
            Self::ChiSquare | Self::ZTest => score < self.threshold(),
            Self::Wasserstein | Self::JensenShannon => score >= self.threshold(),
        }
    }
}

/// Why nothing can be said about a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Every value of a side is missing.
    AllMissing,
    /// A side has fewer values than the check asks for.
    TooFewRows,
    /// A value of the reference is not of the kind that the model takes.
    DifferentTypes,
    /// Most values of either side occur once.
    FreeText,
    /// Both sides hold the same single value.
    Constant,
    /// The values are so large that the distance has no finite number.
    TooLarge,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllMissing => "every value is missing",
            Self::TooFewRows => "too few values",
            Self::DifferentTypes => "the reference has values of another type",
            Self::FreeText => "free text or ids: hardly a value occurs twice",
            Self::Constant => "one value only, the same on both sides",
            Self::TooLarge => "values too large to compute with",
        })
    }
}

/// What the comparison of a feature says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DriftVerdict))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verdict {
    /// The two sides were compared.
    Scored {
        /// How.
        method: Method,
        /// The p-value or distance.
        score: f64,
        /// Where drift begins.
        threshold: f64,
        /// Whether it has begun.
        drifted: bool,
    },
    /// They could not be.
    Inconclusive {
        /// Why not.
        reason: Reason,
    },
}

/// The two sides side by side, for a chart. Shares of a side add up to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Bins {
    /// Ranges of numbers. Bin `i` reaches from `edges[i]` up to `edges[i + 1]`; only the last includes its upper edge.
    Ranges {
        /// One more than there are bins.
        edges: Vec<f64>,
        /// Share of the reference in each bin.
        reference: Vec<f64>,
        /// Share of the current values in each bin.
        current: Vec<f64>,
    },
    /// Single values: numbers in their order, names by their share in the reference.
    Values {
        /// The values.
        values: Vec<String>,
        /// Share of the reference that each has.
        reference: Vec<f64>,
        /// Share of the current values that each has.
        current: Vec<f64>,
        /// Share of the reference in values not listed.
        reference_rest: f64,
        /// Share of the current values in values not listed.
        current_rest: f64,
    },
}

/// One feature compared with its reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeatureDrift {
    /// The feature's name.
    pub feature: String,
    /// What the comparison says.
    pub verdict: Verdict,
    /// Values in the reference.
    pub reference_rows: u64,
    /// Values missing in the reference.
    pub reference_nulls: u64,
    /// Values compared with it.
    pub current_rows: u64,
    /// Values missing among them.
    pub current_nulls: u64,
    /// The distributions; absent when a side has no values or the sides are of different types.
    pub bins: Option<Bins>,
}

impl FeatureDrift {
    /// Whether the feature drifted; `None` when nothing can be said.
    #[must_use]
    pub fn drifted(&self) -> Option<bool> {
        match self.verdict {
            Verdict::Scored { drifted, .. } => Some(drifted),
            Verdict::Inconclusive { .. } => None,
        }
    }
}

/// All features of a data set together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetDrift {
    /// Features that count. As in Evidently a constant one does, as not drifted; one that could not be compared for
    /// another reason does not.
    pub compared: usize,
    /// How many of them drifted.
    pub drifted: usize,
    /// Features that do not count.
    pub left_out: usize,
    /// `drifted / compared`; none when no feature counts.
    pub share: Option<f64>,
}

impl DatasetDrift {
    /// Puts the features together.
    #[must_use]
    pub fn of(features: &[FeatureDrift]) -> Self {
        let counts = |feature: &&FeatureDrift| match feature.verdict {
            Verdict::Scored { .. } => true,
            Verdict::Inconclusive { reason } => reason == Reason::Constant,
        };
        let compared = features.iter().filter(counts).count();
        let drifted = features.iter().filter(|feature| feature.drifted() == Some(true)).count();
        let share = (compared > 0).then(|| drifted as f64 / compared as f64);
        Self { compared, drifted, left_out: features.len() - compared, share }
    }

    /// Whether the data set drifted; `None` when nothing can be said.
    #[must_use]
    pub fn is_drifted(&self) -> Option<bool> {
        self.share.map(|share| share >= DATASET_SHARE)
    }
}
