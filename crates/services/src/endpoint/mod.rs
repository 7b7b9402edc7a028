//! Endpoints: the models that answer, in memory. Which version answers is a row in the database; this process follows it
//! within milliseconds of the change, by notification, and looks for itself besides.
//!
//! Looking asks the database one question, and at most once a second for requests that nothing answers. What is new is
//! loaded beside that, each version by itself, while what answered before goes on.

mod answer;
mod follow;
mod load;
mod state;

pub(crate) use state::Endpoints;

use crate::{Ctx, Result, Services, admission::seconds, boxed};
use domain::{
    Digest, Error, ErrorKind,
    id::{DeploymentId, PredictionId},
    inference::{InferResponse, ModelMetadata},
};
use serving::Model;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// The most versions that a form offers to choose from.
const MOST_OFFERED: i64 = 500;
/// How long a request waits for its model to be loaded.
const PATIENCE: Duration = Duration::from_secs(10);

/// A model that answers.
#[derive(Debug)]
pub struct LiveEndpoint {
    /// The workspace's slug.
    pub workspace: String,
    /// The environment's name.
    pub environment: String,
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Of the version's files, as the cache knows the loaded model.
    digest: Digest,
    loaded: Arc<Model>,
    feature_names: Arc<[String]>,
    /// For requests that were taken in.
    pub(crate) places: Arc<Semaphore>,
    /// For those among them that are computed.
    turns: Arc<Semaphore>,
}

impl LiveEndpoint {
    /// What it takes and gives.
    #[must_use]
    pub fn metadata(&self) -> ModelMetadata {
        ModelMetadata {
            name: self.model.clone(),
            versions: vec![self.version.to_string()],
            platform: ModelMetadata::ONNX.to_owned(),
            inputs: self.loaded.inputs().to_vec(),
            outputs: self.loaded.outputs().to_vec(),
        }
    }

    fn too_long(&self, limit: Duration) -> Error {
        let (model, version, limit) = (&self.model, self.version, seconds(limit));
        let text =
            format!("Model \"{model}\" v{version} did not answer within {limit}. Send fewer rows, or try again later.");
        Error::new(ErrorKind::Unavailable, text)
    }
}

/// An answer, and under which id it is recorded.
#[derive(Debug)]
pub struct Outcome {
    /// The prediction.
    pub prediction_id: PredictionId,
    /// What the model says, or why it does not answer.
    pub answer: Result<InferResponse>,
}

impl Services {
    /// The endpoint of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when no version of it serves there or there is no such environment, `Unavailable` when one is to and
    /// cannot be loaded.
    #[boxed]
    pub async fn endpoint(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Arc<LiveEndpoint>> {
        let key = (ctx.workspace.slug.clone(), environment.to_owned(), model.to_owned());
        self.endpoints.read().check_seen(ctx, environment)?;
        if let Some(endpoint) = self.endpoints.get(&key) {
            return Ok(endpoint);
        }
        self.models()?;
        self.ask_unless_just_asked().await?;
        self.endpoints.settled(PATIENCE, |loading| *loading == key).await;
        let state = self.endpoints.read();
        state.check_seen(ctx, environment)?;
        state.live.get(&key).cloned().ok_or_else(|| state.absence(&key))
    }

    /// The one endpoint of an environment: for addresses that name no model.
    ///
    /// # Errors
    /// `NotFound` when nothing serves there or there is no such environment, `Invalid` when several models do, also while
    /// one of them cannot answer.
    #[boxed]
    pub async fn only_endpoint(&self, ctx: &Ctx, environment: &str) -> Result<Arc<LiveEndpoint>> {
        self.models()?;
        let workspace = &ctx.workspace.slug;
        if self.endpoints.in_environment(workspace, environment).is_empty() {
            self.ask_unless_just_asked().await?;
        }
        self.endpoints.read().check_seen(ctx, environment)?;
        let models = self.endpoints.in_environment(workspace, environment);
        match models.as_slice() {
            [] => Err(self.endpoints.read().nothing_in(workspace, environment)),
            [model] => self.endpoint(ctx, environment, model).await,
            several => Err(Error::invalid_field(
                "model",
                format!("Several models serve in {environment}: {}. Name one with ?model=<name>.", several.join(", ")),
            )),
        }
    }

    /// The newest versions that can be served, by model: name and number.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn servable_versions(&self, ctx: &Ctx) -> Result<Vec<(String, i32)>> {
        Ok(store::endpoint::servable(&mut *self.conn().await?, ctx.workspace_id(), MOST_OFFERED).await?)
    }
}
