//! How the metrics of a step's tracked runs are compared when a run is done again.

use crate::{glob, log_key::is_of_model};
use serde::{Deserialize, Serialize};

/// How the metrics of a step's tracked runs are compared when a run is done again. What the client measures of the machine
/// never is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricsSpec {
    /// By how much they may differ and still count as a reproduction, as a share of the larger; exactly nothing unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
    /// Those that are other each time by their nature, such as `*_seconds`, and are not compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub varies: Vec<String>,
}

impl MetricsSpec {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The share by which a metric may differ; none for one that is not compared.
    #[must_use]
    pub fn tolerance_of(&self, metric: &str) -> Option<f64> {
        let varies = self.varies.iter().any(|pattern| glob::matches(pattern, metric));
        (is_of_model(metric) && !varies).then(|| self.tolerance.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::MetricsSpec;
    use crate::pipeline::PipelineSpec;

    fn read(metrics: &str) -> Result<MetricsSpec, String> {
        let yaml = format!("name: a\nsteps:\n  s: {{ command: x, metrics: {metrics} }}\n");
        let spec = PipelineSpec::parse(&yaml).map_err(|errors| errors.to_string())?;
        Ok(spec.steps["s"].metrics.clone())
    }

    #[test]
    fn metrics_are_compared_exactly_unless_the_file_says_otherwise() {
        let none = MetricsSpec::default();
        assert_eq!((none.tolerance_of("loss"), none.tolerance_of("system/cpu")), (Some(0.0), None));
        let some = read("{ tolerance: 0.01, varies: ['*_seconds', wall] }").unwrap();
        let told = ["loss", "fit_seconds", "wall", "walls"].map(|metric| some.tolerance_of(metric));
        assert_eq!(told, [Some(0.01), None, None, Some(0.01)]);
        assert_eq!(read("{ varies: wall }").unwrap().varies, ["wall"], "one needs no list");
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (given, told) in [
            ("{ tolerance: 2 }", "from 0 to 1"),
            ("{ varies: [''] }", "1 to 250 visible characters"),
            ("{ only: x }", "tolerance, varies"),
            ("loss", "must be a mapping"),
        ] {
            let refused = read(given).unwrap_err();
            assert!(refused.contains(told), "{given}: {refused}");
        }
        let outer = "name: a\nsteps:\n  s: { steps: { t: { command: x } }, metrics: { tolerance: 0.1 } }\n";
        assert!(PipelineSpec::parse(outer).unwrap_err().to_string().contains("belongs to the steps inside"));
    }
}
