//! The data scientist's part, after the administrator has said what production asks for: a pipeline that trains, logs
//! with MLflow and registers.

use super::{
    client::{Look, wait},
    file,
    station::{Arrival, Reached},
    walk::{MODEL, Registered, Walk},
};
use domain::{
    environment::PRODUCTION,
    pipeline::PipelineVersion,
    pipeline_run::PipelineRun,
    policy::{Better, GateSpec, Order, Policy, PolicyDocument, Rule},
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The least share of right answers in production.
const LEAST_ACCURACY: f64 = 0.9;
/// How far an answer in production may be from the training's own.
pub(super) const TOLERANCE: f64 = 1e-4;

/// The answer of MLflow's API about a version.
#[derive(Deserialize)]
struct Answer {
    model_version: MlflowVersion,
}

#[derive(Deserialize)]
struct MlflowVersion {
    status: String,
    description: Option<String>,
    run_id: Option<String>,
}

impl Walk<'_> {
    /// The administrator says what production asks for.
    pub(super) async fn set_policy(&self) -> Arrival<()> {
        let metric = || "accuracy".to_owned();
        let document = PolicyDocument {
            gates: vec![
                GateSpec::MetricThreshold { metric: metric(), better: Better::Higher, threshold: LEAST_ACCURACY },
                GateSpec::BetterThanChampion {
                    metric: metric(),
                    better: Better::Higher,
                    min_gain: 0.0,
                    confidence: None,
                },
                GateSpec::GoldenRow { tolerance: TOLERANCE },
            ],
            rules: vec![Rule::of_approvers(1)],
            // The walk goes straight to production.
            order: Order::Skip,
            ..PolicyDocument::default()
        };
        let page = self.links.environment(PRODUCTION);
        let path = format!("/api/v1/environments/{PRODUCTION}/policy");
        let put = self.people.admin.put::<Policy>(&path, json!(document)).await;
        let policy = put.map_err(|refusal| refusal.instead_of("a policy in force").look_at(&page))?;
        let note = format!(
            "{PRODUCTION} asks for accuracy ≥ {LEAST_ACCURACY}, no worse than what serves, golden rows, 1 approval"
        );
        Ok((Reached::new(format!("{PRODUCTION}@{}", policy.revision), "in_force", note).at(page), ()))
    }

    /// The data scientist stores the pipeline's file.
    pub(super) async fn store_pipeline(&self, source: &str) -> Arrival<()> {
        let page = self.links.pipeline(file::NAME);
        let put = self.people.scientist.put::<PipelineVersion>("/api/v1/pipelines", json!({ "source": source })).await;
        let version = put.map_err(|refusal| refusal.instead_of("the pipeline's file, stored"))?;
        let note = format!("{} v{}: fetch → train → evaluate → register → propose", file::NAME, version.number);
        Ok((Reached::new(file::NAME, "stored", note).at(page), ()))
    }

    /// The data scientist starts a run and waits for its end.
    pub(super) async fn train(&self) -> Arrival<i64> {
        let path = format!("/api/v1/pipelines/{}/runs", file::NAME);
        let params = json!({ "commit": file::commit().await.unwrap_or_default() });
        let started = self.people.scientist.post::<PipelineRun>(&path, json!({ "params": params })).await;
        let number = started
            .map_err(|refusal| refusal.instead_of("a pipeline run, started").look_at(self.links.pipeline(file::NAME)))?
            .number;
        let detail = self.finished(number).await?;
        let note = format!("#{number} trained on real data in {} steps and logged it with MLflow", detail.steps.len());
        let reached = Reached::new(number, detail.run.state.as_str(), note);
        Ok((reached.at(self.links.pipeline_run(number)), number))
    }

    /// What the run registered is there for everybody.
    pub(super) async fn registered(&self, run: i64) -> Arrival<Registered> {
        let registered = self.what_it_registered(run).await?;
        let version = registered.version;
        let page = self.links.version(MODEL, version);
        let path = format!("/api/2.0/mlflow/model-versions/get?name={MODEL}&version={version}");
        let waiting = wait(format!("{MODEL} v{version}, ready"), Duration::from_secs(60), || async {
            let Answer { model_version } = self.people.scientist.get(&path).await?;
            Ok(if model_version.run_id.as_deref() != Some(registered.run_id.as_str()) {
                Look::Never(format!("a version of another run: {:?}", model_version.run_id))
            } else if model_version.status == "READY" {
                Look::There(model_version.description.unwrap_or_default())
            } else {
                Look::NotYet(model_version.status)
            })
        });
        let about = waiting.await.map_err(|failure| failure.look_at(&page))?;
        let reached = Reached::new(format!("{MODEL}/{version}"), "ready", format!("{MODEL} v{version}: {about}"));
        Ok((reached.at(page), registered))
    }
}
