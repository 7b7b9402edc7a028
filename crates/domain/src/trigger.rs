//! Triggers: what starts a pipeline when something else happens. By the clock it is a schedule that does, and by a push a
//! push hook.

use crate::{
    id::{MonitorId, PipelineId, TriggerId},
    pipeline_run::PipelineRunState,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Starts a pipeline when something happens, once for each time that it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Trigger {
    /// The trigger.
    pub id: TriggerId,
    /// What it waits for.
    #[serde(flatten)]
    pub on: TriggerOn,
    /// What it starts.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Params of the run that it starts.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Whether it fires.
    pub enabled: bool,
    /// The least time between two firings, in seconds.
    pub cool_down_s: i32,
}

/// What a trigger waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TriggerOn {
    /// An alert of a monitor opens.
    Alert {
        /// The monitor.
        monitor_id: MonitorId,
        /// The monitored model's name.
        model: String,
        /// The monitored environment's name.
        environment: String,
    },
    /// A run of another pipeline ends.
    Pipeline {
        /// The other pipeline.
        source_id: PipelineId,
        /// Its name.
        source: String,
        /// In one of these states: succeeded, failed, cancelled.
        states: Vec<PipelineRunState>,
    },
    /// A data set has a new version.
    Dataset {
        /// The data set's name.
        dataset: String,
        /// Whether it is waited for that the version passes its checks.
        #[serde(default)]
        checked: bool,
    },
}

impl TriggerOn {
    /// The monitor whose alerts it waits for.
    #[must_use]
    pub fn monitor(&self) -> Option<MonitorId> {
        match self {
            Self::Alert { monitor_id, .. } => Some(*monitor_id),
            Self::Pipeline { .. } | Self::Dataset { .. } => None,
        }
    }

    /// In words: `alerts of churn in production`.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Alert { model, environment, .. } => format!("alerts of {model} in {environment}"),
            Self::Pipeline { source, states, .. } => {
                let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
                format!("runs of {source} that have {}", states.join(" or ").replace("cancelled", "been cancelled"))
            }
            Self::Dataset { dataset, checked: false } => format!("new versions of the data set {dataset}"),
            Self::Dataset { dataset, checked: true } => {
                format!("versions of the data set {dataset} that passed their checks")
            }
        }
    }
}

/// One firing of a trigger that waits for no alert, or why it held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TriggerFiring {
    /// When.
    pub at: DateTime<Utc>,
    /// What happened, as people call it: `prepare #12`, `wine v3`.
    pub source: String,
    /// The number of the run that it started.
    pub run_number: Option<i64>,
    /// Why it held back.
    pub held_back: Option<String>,
}

/// The most runs that lead to one, each by the end of the one before or by what it gave on.
pub const MAX_DEPTH: i32 = 8;

/// The way from `pipeline` back to `source` by triggers that there are (each of a pipeline and the one that it starts),
/// when there is one: with a trigger from `source` to `pipeline` they would start each other for ever.
#[must_use]
pub fn way_back(triggers: &[(String, String)], source: &str, pipeline: &str) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::from([pipeline]);
    let mut next = VecDeque::from([pipeline]);
    while let Some(at) = next.pop_front() {
        if at == source {
            let mut way = vec![at.to_owned()];
            let mut step = at;
            while let Some(before) = came_from.get(step) {
                way.push((*before).to_owned());
                step = before;
            }
            way.reverse();
            return Some(way);
        }
        for (_, to) in triggers.iter().filter(|(from, _)| from == at) {
            if seen.insert(to) {
                came_from.insert(to, at);
                next.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triggers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
    }

    #[test]
    fn a_loop_is_found_with_its_way() {
        let known = triggers(&[("a", "b"), ("b", "c"), ("c", "d"), ("x", "a")]);
        assert_eq!(way_back(&known, "d", "a").unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(way_back(&known, "a", "a").unwrap(), ["a"], "of itself");
        assert_eq!(way_back(&known, "a", "d"), None);
        assert_eq!(way_back(&triggers(&[("a", "b"), ("b", "a")]), "c", "a"), None, "a loop that was there ends");
    }

    #[test]
    fn a_trigger_says_its_kind_beside_its_other_fields() {
        let on = TriggerOn::Dataset { dataset: "wine".to_owned(), checked: true };
        assert_eq!(on.words(), "versions of the data set wine that passed their checks");
        let trigger = Trigger {
            id: TriggerId::new(),
            on,
            pipeline_id: PipelineId::new(),
            pipeline: "train".to_owned(),
            params: serde_json::Map::new(),
            enabled: true,
            cool_down_s: 0,
        };
        let json = serde_json::to_value(&trigger).unwrap();
        assert_eq!(
            (&json["kind"], &json["dataset"], &json["checked"], &json["pipeline"]),
            (&"dataset".into(), &"wine".into(), &true.into(), &"train".into())
        );
        assert_eq!(serde_json::from_value::<Trigger>(json).unwrap(), trigger);
    }
}
