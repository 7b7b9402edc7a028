//! A policy as it stands in its form: text in fields, rows that come and go by buttons. Names of fields are those of the
//! policy's parts, `gates/0/metric`, which is also how refusals name them.

use crate::ui::field::Draft;
use domain::{
    Error,
    environment::{ApprovalRule, Better, GateSpec, Policy, PolicyDocument},
};

/// A sort of gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// A metric reaches a threshold.
    MetricThreshold,
    /// A metric is better than the champion's.
    BetterThanChampion,
    /// The model answers its golden rows.
    GoldenRow,
}

impl GateKind {
    /// All sorts.
    pub const ALL: [Self; 3] = [Self::MetricThreshold, Self::BetterThanChampion, Self::GoldenRow];

    /// The name in the form and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MetricThreshold => "metric_threshold",
            Self::BetterThanChampion => "better_than_champion",
            Self::GoldenRow => "golden_row",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What it is called.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::MetricThreshold => "A metric reaches a threshold",
            Self::BetterThanChampion => "A metric is better than the champion's",
            Self::GoldenRow => "The model answers its golden rows",
        }
    }
}

/// A gate in the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateRow {
    /// Its sort.
    pub kind: GateKind,
    /// The metric's key, where it has one.
    pub metric: String,
    /// `higher` or `lower`, where that matters.
    pub better: String,
    /// The threshold, gain or tolerance.
    pub number: String,
}

impl GateRow {
    /// A row to fill in.
    #[must_use]
    pub fn new(kind: GateKind) -> Self {
        let number = match kind {
            GateKind::MetricThreshold => "",
            GateKind::BetterThanChampion => "0",
            GateKind::GoldenRow => "0.0001",
        };
        Self { kind, metric: String::new(), better: "higher".to_owned(), number: number.to_owned() }
    }

    fn of(gate: &GateSpec) -> Self {
        let row = |kind, metric: &str, better: Better, number: f64| Self {
            kind,
            metric: metric.to_owned(),
            better: if better == Better::Higher { "higher" } else { "lower" }.to_owned(),
            number: number.to_string(),
        };
        match gate {
            GateSpec::MetricThreshold { metric, better, threshold } => {
                row(GateKind::MetricThreshold, metric, *better, *threshold)
            }
            GateSpec::BetterThanChampion { metric, better, min_gain } => {
                row(GateKind::BetterThanChampion, metric, *better, *min_gain)
            }
            GateSpec::GoldenRow { tolerance } => row(GateKind::GoldenRow, "", Better::Higher, *tolerance),
        }
    }

    fn read(&self, at: usize) -> Result<GateSpec, Error> {
        let number = self
            .number
            .trim()
            .replace(',', ".")
            .parse::<f64>()
            .map_err(|_| Error::invalid_field(format!("gates/{at}/number"), "Give a number, such as 0.7."))?;
        let better = match self.better.as_str() {
            "lower" => Better::Lower,
            _ => Better::Higher,
        };
        let metric = self.metric.trim().to_owned();
        if metric.is_empty() && self.kind != GateKind::GoldenRow {
            return Err(Error::invalid_field(
                format!("gates/{at}/metric"),
                "Name the metric as runs log it, such as accuracy.",
            ));
        }
        Ok(match self.kind {
            GateKind::MetricThreshold => GateSpec::MetricThreshold { metric, better, threshold: number },
            GateKind::BetterThanChampion => GateSpec::BetterThanChampion { metric, better, min_gain: number },
            GateKind::GoldenRow => GateSpec::GoldenRow { tolerance: number },
        })
    }
}

/// A policy in the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyForm {
    /// Its gates.
    pub gates: Vec<GateRow>,
    /// How many people must agree.
    pub approvals: String,
    /// The digest of the policy that it is to replace.
    pub instead_of: String,
}

impl PolicyForm {
    /// The policy in force, to be changed.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        Self {
            gates: policy.document.gates.iter().map(GateRow::of).collect(),
            approvals: policy.document.rule.approvals.to_string(),
            instead_of: policy.digest.as_str().to_owned(),
        }
    }

    /// What was sent: `field` gives the text of a field, empty for one that was not sent.
    pub fn read<'a>(field: impl Fn(&str) -> &'a str) -> Self {
        let row = |at: usize| {
            Some(GateRow {
                kind: GateKind::parse(field(&format!("gates/{at}/kind")))?,
                metric: field(&format!("gates/{at}/metric")).to_owned(),
                better: field(&format!("gates/{at}/better")).to_owned(),
                number: field(&format!("gates/{at}/number")).to_owned(),
            })
        };
        Self {
            gates: (0..100).map_while(row).collect(),
            approvals: field("rule/approvals").to_owned(),
            instead_of: field("instead_of").to_owned(),
        }
    }

    /// Does what a button of the form asks for: `add:<kind>`, `remove:<row>`. False when it is none of these.
    pub fn press(&mut self, button: &str) -> bool {
        match button.split_once(':') {
            Some(("add", kind)) => {
                if let Some(kind) = GateKind::parse(kind) {
                    self.gates.push(GateRow::new(kind));
                }
                true
            }
            Some(("remove", at)) => {
                if let Some(at) = at.parse().ok().filter(|at| *at < self.gates.len()) {
                    self.gates.remove(at);
                }
                true
            }
            _ => false,
        }
    }

    /// What it says.
    ///
    /// # Errors
    /// With the field that is wrong.
    pub fn document(&self) -> Result<PolicyDocument, Error> {
        let gates = self.gates.iter().enumerate().map(|(at, row)| row.read(at)).collect::<Result<Vec<_>, _>>()?;
        let approvals = self
            .approvals
            .trim()
            .parse()
            .map_err(|_| Error::invalid_field("rule/approvals", "Give a whole number from 0 to 20."))?;
        let document = PolicyDocument { gates, rule: ApprovalRule { approvals } };
        document.validate()?;
        Ok(document)
    }

    /// The fields with their text.
    #[must_use]
    pub fn draft(&self) -> Draft {
        let rows = self.gates.iter().enumerate().flat_map(|(at, row)| {
            [
                ("kind", row.kind.as_str().to_owned()),
                ("metric", row.metric.clone()),
                ("better", row.better.clone()),
                ("number", row.number.clone()),
            ]
            .map(|(part, value)| (format!("gates/{at}/{part}"), value))
        });
        Draft::of(rows.chain([
            ("rule/approvals".to_owned(), self.approvals.clone()),
            ("instead_of".to_owned(), self.instead_of.clone()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn form(document: &PolicyDocument) -> PolicyForm {
        PolicyForm {
            gates: document.gates.iter().map(GateRow::of).collect(),
            approvals: document.rule.approvals.to_string(),
            instead_of: String::new(),
        }
    }

    #[test]
    fn a_policy_comes_back_as_it_was_shown() {
        for name in ["staging", "production"] {
            let document = PolicyDocument::initial(name);
            let draft = form(&document).draft();
            let sent = PolicyForm::read(|field| draft.value(field).unwrap_or_default());
            assert_eq!(sent.document(), Ok(document));
        }
    }

    #[test]
    fn rows_come_and_go_by_buttons() {
        let mut form = form(&PolicyDocument::initial("production"));
        assert!(form.press("add:golden_row") && form.press("remove:0") && form.press("remove:99"));
        assert!(!form.press("save"));
        let kinds: Vec<_> = form.gates.iter().map(|row| row.kind).collect();
        assert_eq!(kinds, [GateKind::BetterThanChampion, GateKind::GoldenRow, GateKind::GoldenRow]);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let sent = BTreeMap::from([
            ("gates/0/kind", "metric_threshold"),
            ("gates/0/metric", "f1"),
            ("gates/0/number", "much"),
            ("rule/approvals", "1"),
        ]);
        let form = PolicyForm::read(|field| sent.get(field).copied().unwrap_or_default());
        assert_eq!(form.document().unwrap_err().field.as_deref(), Some("gates/0/number"));
    }
}
