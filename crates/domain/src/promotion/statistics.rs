//! What became of the promotions of a period.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The promotions that were requested in a period. When there are very many, the last of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromotionStatistics {
    /// From when; the moment itself belongs to it.
    pub from: DateTime<Utc>,
    /// Until when; the moment itself does not.
    pub to: DateTime<Utc>,
    /// How many there were.
    pub promotions: i64,
    /// Whether there were more, of which only the last are counted.
    pub is_cut: bool,
    /// By environment, in the order of promotion.
    pub environments: Vec<EnvironmentStatistics>,
    /// By environment and policy, in order of name. A promotion that several policies hold for is counted for each.
    pub policies: Vec<PolicyStatistics>,
    /// By environment and rule: what became of the approvals that counted for it.
    pub rules: Vec<RuleStatistics>,
    /// Why people said no, the last first.
    pub rejections: Vec<Rejection>,
}

/// What became of the promotions into an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentStatistics {
    /// The environment's name.
    pub environment: String,
    /// What became of them.
    #[serde(flatten)]
    pub counts: PromotionCounts,
}

/// What became of some promotions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromotionCounts {
    /// How many there were.
    pub promotions: i64,
    /// How many everybody asked approved.
    pub approved: i64,
    /// Half of those took at most so many seconds from the request until then; none without any.
    pub median_seconds: Option<f64>,
    /// Nine of ten took at most so many.
    pub p90_seconds: Option<f64>,
    /// How many were rejected.
    pub rejected: i64,
    /// How many expired.
    pub expired: i64,
    /// How many were invalidated.
    pub invalidated: i64,
    /// How many were live and rolled back.
    pub rolled_back: i64,
}

/// What became of the promotions into an environment that a policy held for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyStatistics {
    /// The environment's name.
    pub environment: String,
    /// The policy's name.
    pub policy: String,
    /// What became of them.
    #[serde(flatten)]
    pub counts: PromotionCounts,
}

/// What became of the approvals that counted for a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleStatistics {
    /// The environment's name.
    pub environment: String,
    /// `policy/rule`.
    pub rule: String,
    /// How many promotions were approved for it.
    pub approved: i64,
    /// How many of them were rolled back later.
    pub rolled_back: i64,
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// The promotion's number.
    pub number: i64,
    /// Its model's name.
    pub model: String,
    /// The version.
    pub version: i32,
    /// The environment's name.
    pub environment: String,
    /// Who said no.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When.
    pub at: DateTime<Utc>,
}
