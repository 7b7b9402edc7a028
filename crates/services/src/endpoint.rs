//! Endpoints: the models that answer, in memory. Which version answers is a row in the database; this process follows it
//! within milliseconds of the change, by notification, and looks for itself besides.

use crate::{Ctx, Result, Services, prediction::Answered};
use bytes::Bytes;
use chrono::Utc;
use domain::{
    Digest, Error, ErrorKind,
    id::{DeploymentId, PredictionId},
    inference::{InferRequest, InferResponse, Invocation, ModelMetadata, feature_names},
    model::{VersionFile, manifest_digest},
};
use serving::Model;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

/// The most versions that a form offers to choose from.
const MOST_OFFERED: i64 = 500;
/// The largest ONNX file that is served.
const MOST_BYTES: u64 = 2 << 30;

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
}

/// An answer, and under which id it is recorded.
#[derive(Debug)]
pub struct Outcome {
    /// The prediction.
    pub prediction_id: PredictionId,
    /// What the model says, or why it does not answer.
    pub answer: Result<InferResponse>,
}

/// `(workspace slug, environment, model)`
type Key = (String, String, String);

/// The endpoints that this process has in memory.
#[derive(Default)]
pub(crate) struct Endpoints {
    live: RwLock<HashMap<Key, Arc<LiveEndpoint>>>,
    /// One refresh at a time.
    refreshing: tokio::sync::Mutex<()>,
}

impl Endpoints {
    fn get(&self, key: &Key) -> Option<Arc<LiveEndpoint>> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn in_environment(&self, workspace: &str, environment: &str) -> Vec<Arc<LiveEndpoint>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let here = |key: &&Key| key.0 == workspace && key.1 == environment;
        live.iter().filter(|(key, _)| here(key)).map(|(_, endpoint)| Arc::clone(endpoint)).collect()
    }
}

impl Services {
    /// Brings the endpoints in memory to what the database says. A model that cannot be loaded is logged and left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh_endpoints(&self) -> Result<()> {
        let Ok(models) = self.models() else { return Ok(()) };
        let _one = self.endpoints.refreshing.lock().await;
        let served = store::endpoint::served(&mut *self.conn().await?).await?;
        let mut live = HashMap::with_capacity(served.len());
        for served in served {
            let key = (served.workspace.clone(), served.environment.clone(), served.model.clone());
            if let Some(known) = self.endpoints.get(&key)
                && known.deployment_id == served.deployment_id
            {
                live.insert(key, known);
                continue;
            }
            let files = store::model_version::files(&mut *self.conn().await?, served.version_id).await?;
            match self.load_model(&files).await {
                Ok((digest, loaded)) => {
                    let feature_names = served.signature.as_ref().map(feature_names).unwrap_or_default();
                    let endpoint = LiveEndpoint {
                        workspace: served.workspace,
                        environment: served.environment,
                        model: served.model,
                        version: served.version,
                        deployment_id: served.deployment_id,
                        digest,
                        loaded,
                        feature_names: feature_names.into(),
                    };
                    live.insert(key, Arc::new(endpoint));
                }
                Err(error) => {
                    tracing::error!(model = %served.model, version = served.version, %error, "a live model cannot be loaded");
                }
            }
        }
        // A model that is being tried may not be live yet; its caller holds it, so that forgetting it costs a load at most.
        let used: HashSet<Digest> = live.values().map(|endpoint| endpoint.digest.clone()).collect();
        *self.endpoints.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        models.retain(|digest| used.contains(digest));
        Ok(())
    }

    /// The newest versions that can be served, by model: name and number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn servable_versions(&self, ctx: &Ctx) -> Result<Vec<(String, i32)>> {
        Ok(store::endpoint::servable(&mut *self.conn().await?, ctx.workspace_id(), MOST_OFFERED).await?)
    }

    /// The model among these files of a version, loaded when it is not yet, and the digest of the files.
    ///
    /// # Errors
    /// `Unavailable` without an engine, `Invalid` when the files cannot be served.
    pub(crate) async fn load_model(&self, files: &[VersionFile]) -> Result<(Digest, Arc<Model>)> {
        let models = Arc::clone(self.models()?);
        let digest =
            manifest_digest(files).ok().flatten().ok_or_else(|| Error::invalid("The version has no files."))?;
        if let Some(model) = models.get(&digest) {
            return Ok((digest, model));
        }
        let onnx = onnx_file(files).ok_or_else(|| Error::invalid("The version has no file that ends with .onnx."))?;
        let bytes = self.model_file(onnx).await?;
        // Larger models keep their weights in files beside the first.
        let folder = onnx.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut beside = Vec::new();
        for file in files.iter().filter(|file| file.path != onnx.path) {
            let name = if folder.is_empty() {
                Some(file.path.as_str())
            } else {
                file.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            if let Some(name) = name.filter(|name| name.contains(".onnx") || name.ends_with(".data")) {
                beside.push((name.to_owned(), self.model_file(file).await?.to_vec().into()));
            }
        }
        let key = digest.clone();
        let loaded =
            tokio::task::spawn_blocking(move || models.load(&key, |engine| Model::from_files(engine, bytes, beside)));
        let loaded = loaded.await.map_err(|error| {
            tracing::error!(%error, "loading a model failed");
            Error::internal()
        })?;
        Ok((digest, loaded?))
    }

    async fn model_file(&self, file: &VersionFile) -> Result<Bytes> {
        self.artifacts.get_bytes(&file.digest, MOST_BYTES).await.map_err(|error| {
            tracing::error!(%error, digest = %file.digest, "the file of a model cannot be read");
            Error::new(ErrorKind::Unavailable, "The model's file cannot be read from the artifact store.")
        })
    }

    /// The endpoint of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when no version of it serves there.
    pub async fn endpoint(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Arc<LiveEndpoint>> {
        let key = (ctx.workspace.slug.clone(), environment.to_owned(), model.to_owned());
        if let Some(endpoint) = self.endpoints.get(&key) {
            return Ok(endpoint);
        }
        self.models()?;
        self.refresh_endpoints().await?;
        self.endpoints.get(&key).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("No version of model \"{model}\" serves in {environment}. Promote one to it first."),
            )
        })
    }

    /// The one endpoint of an environment: for addresses that name no model.
    ///
    /// # Errors
    /// `NotFound` when nothing serves there, `Invalid` when several models do.
    pub async fn only_endpoint(&self, ctx: &Ctx, environment: &str) -> Result<Arc<LiveEndpoint>> {
        self.models()?;
        if self.endpoints.in_environment(&ctx.workspace.slug, environment).is_empty() {
            self.refresh_endpoints().await?;
        }
        let mut live = self.endpoints.in_environment(&ctx.workspace.slug, environment);
        if live.len() > 1 {
            let mut names: Vec<_> = live.iter().map(|endpoint| endpoint.model.as_str()).collect();
            names.sort_unstable();
            return Err(Error::invalid_field(
                "model",
                format!("Several models serve in {environment}: {}. Name one with ?model=<name>.", names.join(", ")),
            ));
        }
        live.pop().ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No model serves in {environment} yet.")))
    }

    /// Answers a request of the Open Inference Protocol: its body as it came.
    pub async fn infer(&self, endpoint: &Arc<LiveEndpoint>, body: Vec<u8>) -> Outcome {
        self.answer(endpoint, move |_| InferRequest::parse(&body)).await
    }

    /// Answers a request in MLflow's form: its body as it came.
    pub async fn invoke(&self, endpoint: &Arc<LiveEndpoint>, body: Vec<u8>) -> Outcome {
        self.answer(endpoint, move |endpoint| {
            Invocation::parse(&body)?.into_request(endpoint.loaded.inputs(), &endpoint.feature_names)
        })
        .await
    }

    async fn answer(
        &self,
        endpoint: &Arc<LiveEndpoint>,
        read: impl FnOnce(&LiveEndpoint) -> Result<InferRequest> + Send + 'static,
    ) -> Outcome {
        let (started, at, prediction_id) = (Instant::now(), Utc::now(), PredictionId::new());
        let here = Arc::clone(endpoint);
        // Reading a large body and computing both take a processor for a while.
        let computed = tokio::task::spawn_blocking(move || {
            let request = match read(&here) {
                Ok(request) => request,
                Err(error) => return (None, Err(error)),
            };
            let outputs = here.loaded.infer(&request).map_err(Error::from);
            (Some(request), outputs)
        });
        let (request, outputs) = computed.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an inference failed");
            (None, Err(Error::internal()))
        });
        let latency = started.elapsed();
        let status = match &outputs {
            Ok(_) => 200,
            Err(error) if error.kind == ErrorKind::Invalid => 400,
            Err(_) => 500,
        };
        let (request_id, features) = request.map_or((None, Vec::new()), |request| (request.id, request.inputs));
        let answered = Answered {
            id: prediction_id,
            deployment_id: endpoint.deployment_id,
            version: endpoint.version,
            request_id: request_id.clone(),
            at,
            status,
            latency,
            // What was refused may be anything, of any size, and says nothing about the model.
            features: if status == 200 { features } else { Vec::new() },
            feature_names: Arc::clone(&endpoint.feature_names),
            output: outputs.as_ref().cloned().unwrap_or_default(),
        };
        self.record(endpoint, answered);
        let answer = outputs.map(|outputs| InferResponse {
            model_name: endpoint.model.clone(),
            model_version: Some(endpoint.version.to_string()),
            id: Some(request_id.unwrap_or_else(|| prediction_id.to_string())),
            outputs,
        });
        Outcome { prediction_id, answer }
    }
}

/// The file that serves: the one of the usual name, or the first.
fn onnx_file(files: &[VersionFile]) -> Option<&VersionFile> {
    let models = files.iter().filter(|file| file.path.ends_with(".onnx"));
    models.min_by_key(|file| (file.path != "model.onnx", &file.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_serves_is_the_one_of_the_usual_name_or_the_first() {
        let file = |path: &str| VersionFile { path: path.to_owned(), digest: Digest::blake3([0; 32]), size: 1 };
        let path = |files: &[VersionFile]| onnx_file(files).map(|file| file.path.clone());
        assert_eq!(path(&[file("a.onnx"), file("model.onnx")]).as_deref(), Some("model.onnx"));
        assert_eq!(path(&[file("z.onnx"), file("b.onnx"), file("MLmodel")]).as_deref(), Some("b.onnx"));
        assert_eq!(path(&[file("MLmodel")]), None);
    }
}
