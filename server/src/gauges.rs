//! The gauges: what the database says of the whole installation. Told by every server, also by one that does not work
//! itself; not by workers, whose number would multiply it.

use services::{DriftScore, Gauges, Services};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(5);

/// Looks again and again.
pub(crate) async fn watch(services: Services) {
    let mut told = Told::default();
    loop {
        match services.gauges().await {
            Ok(gauges) => told.tell(&gauges),
            Err(error) => tracing::debug!(%error, "the gauges could not be read"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What was told before: of what is there no more, that has to be told too.
struct Told {
    pools: BTreeSet<String>,
    /// Labels of the scores that were there at the last look.
    drift: BTreeSet<[String; 5]>,
}

impl Default for Told {
    fn default() -> Self {
        Self { pools: BTreeSet::from(["default".to_owned()]), drift: BTreeSet::new() }
    }
}

impl Told {
    #[allow(clippy::cast_precision_loss, reason = "nobody has 2⁵³ of these")]
    fn tell(&mut self, gauges: &Gauges) {
        self.pools.extend(gauges.steps_waiting.iter().map(|(pool, _)| pool.clone()));
        for pool in &self.pools {
            let count = gauges.steps_waiting.iter().find(|(name, _)| name == pool).map_or(0, |(_, count)| *count);
            metrics::gauge!("slipway_queue_depth", "queue" => pool.clone()).set(count as f64);
        }
        let (gpus, held) = gauges.gpus;
        metrics::gauge!("slipway_gpus").set(gpus as f64);
        metrics::gauge!("slipway_gpus_held").set(held as f64);
        for (environment, count) in &gauges.promotions_pending {
            metrics::gauge!("slipway_promotions_pending", "environment" => environment.clone()).set(*count as f64);
        }
        for (environment, count) in &gauges.freezes_active {
            metrics::gauge!("slipway_freezes_active", "environment" => environment.clone()).set(*count as f64);
        }
        metrics::gauge!("slipway_alerts_open").set(gauges.alerts_open as f64);
        metrics::gauge!("slipway_audit_chain_waiting").set(gauges.audit_unchained as f64);
        let drift: BTreeMap<[String; 5], f64> = gauges
            .drift
            .iter()
            .map(|drift| {
                let DriftScore { workspace, environment, model, version, feature, score } = drift.clone();
                ([workspace, environment, model, version.to_string(), feature], score)
            })
            .collect();
        let gone = self.drift.iter().filter(|labels| !drift.contains_key(*labels));
        for (labels, score) in
            drift.iter().map(|(labels, score)| (labels, *score)).chain(gone.map(|gone| (gone, f64::NAN)))
        {
            let [workspace, environment, model, version, feature] = labels.clone();
            let labels = [
                ("workspace", workspace),
                ("environment", environment),
                ("model", model),
                ("version", version),
                ("feature", feature),
            ];
            metrics::gauge!("slipway_drift_score", &labels).set(score);
        }
        self.drift = drift.into_keys().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[test]
    fn what_is_there_no_more_is_told_too() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let kept = recorder.handle();
        let mut told = Told::default();
        let score = |environment: &str, version, score| DriftScore {
            workspace: "default".to_owned(),
            environment: environment.to_owned(),
            model: "wine".to_owned(),
            version,
            feature: "acid".to_owned(),
            score,
        };
        let mut gauges = Gauges {
            steps_waiting: vec![("gpu".to_owned(), 3)],
            gpus: (2, 1),
            promotions_pending: vec![("production".to_owned(), 1)],
            freezes_active: vec![("production".to_owned(), 1)],
            alerts_open: 2,
            audit_unchained: 4,
            drift: vec![score("staging", 1, 0.5), score("production", 1, 0.25)],
        };
        let mut tell = |gauges: &Gauges| {
            metrics::with_local_recorder(&recorder, || told.tell(gauges));
            let text = kept.render();
            let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(ToOwned::to_owned).collect();
            lines.retain(|line| !line.is_empty());
            lines.sort();
            lines
        };
        let drift = |environment: &str, version| {
            let labels = format!(r#"environment="{environment}",model="wine",version="{version}",feature="acid""#);
            format!(r#"slipway_drift_score{{workspace="default",{labels}}}"#)
        };
        let first = [
            "slipway_alerts_open 2".to_owned(),
            "slipway_audit_chain_waiting 4".to_owned(),
            format!("{} 0.25", drift("production", 1)),
            format!("{} 0.5", drift("staging", 1)),
            r#"slipway_freezes_active{environment="production"} 1"#.to_owned(),
            "slipway_gpus 2".to_owned(),
            "slipway_gpus_held 1".to_owned(),
            r#"slipway_promotions_pending{environment="production"} 1"#.to_owned(),
            r#"slipway_queue_depth{queue="default"} 0"#.to_owned(),
            r#"slipway_queue_depth{queue="gpu"} 3"#.to_owned(),
        ];
        assert_eq!(tell(&gauges), first);

        gauges.steps_waiting.clear();
        gauges.drift = vec![score("production", 2, 0.75)];
        let lines = tell(&gauges);
        assert!(lines.contains(&r#"slipway_queue_depth{queue="gpu"} 0"#.to_owned()), "{lines:?}");
        assert!(lines.contains(&format!("{} NaN", drift("staging", 1))), "{lines:?}");
        assert!(lines.contains(&format!("{} 0.75", drift("production", 2))), "{lines:?}");
    }
}
