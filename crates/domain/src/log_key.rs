//! Keys of what is logged to runs: metrics, params and tags.

/// What the keys of metrics begin with that MLflow's client measures of the machine.
pub const SYSTEM: &str = "system/";

/// Whether a metric says something of the model, rather than of the machine that trained it.
#[must_use]
pub fn is_of_model(metric: &str) -> bool {
    !metric.starts_with(SYSTEM)
}

/// What is logged under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// Points.
    Metric,
    /// A value that never changes.
    Param,
    /// A value that may.
    Tag,
}

impl KeyKind {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Metric, Self::Param, Self::Tag];

    /// Its name, as the database has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Param => "param",
            Self::Tag => "tag",
        }
    }

    /// What stands before the dot in the search language and in the name of a column.
    #[must_use]
    pub fn entity(self) -> &'static str {
        match self {
            Self::Metric => "metrics",
            Self::Param => "params",
            Self::Tag => "tags",
        }
    }

    /// Reads what stands before the dot in the search language, which has other names for it too.
    #[must_use]
    pub fn of_entity(entity: &str) -> Option<Self> {
        match entity {
            "metric" | "metrics" => Some(Self::Metric),
            "param" | "params" | "parameter" | "parameters" => Some(Self::Param),
            "tag" | "tags" => Some(Self::Tag),
            _ => None,
        }
    }
}
