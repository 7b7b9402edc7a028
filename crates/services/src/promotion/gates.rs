//! What the gates of a promotion find, from what was read in one transaction and from what was found out before it.

use super::{present::Present, trial::Trial};
use domain::{
    policy::GateSpec,
    promotion::{Finding, Gate, better_than_champion, golden, metric_threshold},
};

/// What was found out before the transaction: what takes long, or comes from elsewhere.
pub(super) enum Known<'a> {
    /// The engine was just asked, about files of this digest.
    Now(&'a Observed),
    /// What the gates have found before, as far as it is still about the same.
    Before(&'a [Gate]),
}

/// What was just found out outside of any transaction.
#[derive(Default)]
pub(super) struct Observed {
    /// What the engine answered, if it had to be asked.
    pub(super) trial: Option<Trial>,
}

/// What each gate finds, in their order; none when something has to be found out first.
pub(super) fn findings<'a>(
    present: &Present,
    gates: impl Iterator<Item = &'a GateSpec>,
    known: &Known<'_>,
) -> Option<Vec<Finding>> {
    gates.map(|gate| finding(present, gate, known)).collect()
}

fn finding(present: &Present, gate: &GateSpec, known: &Known<'_>) -> Option<Finding> {
    let title = present.champion_title();
    Some(match gate {
        GateSpec::MetricThreshold { metric, better, threshold } => {
            metric_threshold(metric, *better, *threshold, present.metrics.get(metric).copied())
        }
        GateSpec::BetterThanChampion { metric, better, min_gain, confidence: None } => {
            let champion = title.as_deref().map(|title| (title, present.champion_metrics.get(metric).copied()));
            let value = present.metrics.get(metric).copied();
            better_than_champion(metric, *better, *min_gain, value, champion)
        }
        GateSpec::GoldenRow { tolerance } => match known {
            Known::Now(observed) => observed.trial.as_ref()?.finding(*tolerance, &present.digest),
            Known::Before(gates) => {
                found_before(gates, gate).filter(|finding| golden::is_about(finding, &present.digest))?
            }
        },
        _ => Finding::inconclusive("", "This gate cannot be evaluated yet."),
    })
}

/// What a gate that asks exactly this has found.
fn found_before(gates: &[Gate], spec: &GateSpec) -> Option<Finding> {
    gates.iter().find(|gate| gate.spec == *spec).and_then(|gate| gate.finding.clone())
}
