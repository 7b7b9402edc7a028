//! Endpoints: the models that answer, in memory. Which version answers is a row in the database; this process follows it
//! within milliseconds of the change, by notification, and looks for itself besides.
//!
//! Looking asks the database one question, and at most once a second for requests that nothing answers. What is new is
//! loaded beside that, each version by itself, while what answered before goes on.

use crate::{
    Ctx, Result, Services,
    admission::{Admitted, GRACE, seconds},
    boxed,
    prediction::{Answered, recorded},
};
use bytes::Bytes;
use chrono::Utc;
use domain::{
    Digest, Error, ErrorKind,
    id::{DeploymentId, PredictionId},
    inference::{InferRequest, InferResponse, Invocation, ModelMetadata, Tensor, feature_names},
    model::{VersionFile, manifest_digest},
};
use serving::Model;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};
use store::endpoint::Served;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{timeout, timeout_at},
};

/// The most versions that a form offers to choose from.
const MOST_OFFERED: i64 = 500;
/// The largest ONNX file that is served.
const MOST_BYTES: u64 = 2 << 30;
/// For so long the database is not asked again about what it did not have.
const FRESH: Duration = Duration::from_secs(1);
/// How long a request waits for its model to be loaded.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before a version that could not be loaded is tried again. Each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many versions are loaded at once.
const LOADS: usize = 2;

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

/// `(workspace slug, environment, model)`
type Key = (String, String, String);

/// The endpoints that this process has in memory.
pub(crate) struct Endpoints {
    state: RwLock<State>,
    /// One question to the database at a time.
    asking: tokio::sync::Mutex<()>,
    /// Told when a version is loaded, or cannot be.
    loaded: watch::Sender<()>,
    loads: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    live: HashMap<Key, Arc<LiveEndpoint>>,
    /// What the database said when it was last asked: each environment, by workspace, …
    environments: HashSet<(String, String)>,
    /// … and what is to answer.
    served: HashMap<Key, Wanted>,
    /// When that was, and why it said nothing.
    asked: Option<(Instant, Result<()>)>,
    loading: HashSet<DeploymentId>,
    troubles: HashMap<DeploymentId, Trouble>,
}

/// A version that is to answer.
struct Wanted {
    deployment: DeploymentId,
    version: i32,
    /// Of its files.
    digest: Digest,
}

/// A version that could not be loaded.
struct Trouble {
    tries: u32,
    again_at: Instant,
    why: String,
}

impl Trouble {
    fn new(earlier: Option<&Self>, why: String) -> Self {
        let tries = earlier.map_or(1, |earlier| earlier.tries.saturating_add(1));
        Self { tries, again_at: Instant::now() + pause(tries), why }
    }
}

/// How long a version rests after it could not be loaded for so many times.
fn pause(tries: u32) -> Duration {
    let doubled = 2_u32.checked_pow(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            state: RwLock::default(),
            asking: tokio::sync::Mutex::default(),
            loaded: watch::Sender::default(),
            loads: Arc::new(Semaphore::new(LOADS)),
        }
    }
}

impl Endpoints {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &Key) -> Option<Arc<LiveEndpoint>> {
        self.read().live.get(key).cloned()
    }

    /// The models that are to answer in an environment, loaded or not, by name.
    fn in_environment(&self, workspace: &str, environment: &str) -> Vec<String> {
        let state = self.read();
        let here = state.served.keys().filter(|key| key.0 == workspace && key.1 == environment);
        let mut models: Vec<String> = here.map(|(_, _, model)| model.clone()).collect();
        models.sort_unstable();
        models
    }

    /// What the database said a moment ago: that it answered, or why not. None when it has to be asked again.
    fn fresh(&self) -> Option<Result<()>> {
        let state = self.read();
        state.asked.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, said)| said.clone())
    }

    /// Makes the next request for what is not there ask the database: something changed.
    pub(crate) fn changed(&self) {
        self.write().asked = None;
    }

    /// Waits until nothing that `matters` is being loaded, but no longer than that.
    async fn settled(&self, how_long: Duration, matters: impl Fn(&Key) -> bool) {
        let is_settled = || {
            let state = self.read();
            let mut served = state.served.iter().filter(|(key, _)| matters(key));
            !served.any(|(_, wanted)| state.loading.contains(&wanted.deployment))
        };
        let mut loaded = self.loaded.subscribe();
        let all = async { while !is_settled() && loaded.changed().await.is_ok() {} };
        let _ = timeout(how_long, all).await;
    }
}

impl State {
    /// Takes over what the database says, and gives what is to be loaded for it.
    fn follow(&mut self, environments: HashSet<(String, String)>, served: Vec<Served>) -> Vec<Served> {
        self.environments = environments;
        let wanted = |served: &Served| Wanted {
            deployment: served.deployment_id,
            version: served.version,
            digest: served.digest.clone(),
        };
        self.served = served.iter().map(|served| (key(served), wanted(served))).collect();
        // What is replaced answers until the other is loaded; what nothing replaces ends.
        self.live.retain(|key, _| self.served.contains_key(key));
        let stands: HashSet<DeploymentId> = self.served.values().map(|wanted| wanted.deployment).collect();
        self.troubles.retain(|deployment, _| stands.contains(deployment));
        let now = Instant::now();
        let mut new = served;
        new.retain(|served| {
            let rests = self.troubles.get(&served.deployment_id).is_some_and(|trouble| trouble.again_at > now);
            let is_live = self.live.get(&key(served)).is_some_and(|live| live.deployment_id == served.deployment_id);
            !is_live && !rests && self.loading.insert(served.deployment_id)
        });
        new
    }

    /// Takes over what came of loading a version.
    fn take(&mut self, key: Key, deployment: DeploymentId, loaded: Result<LiveEndpoint>) {
        self.loading.remove(&deployment);
        if self.served.get(&key).is_none_or(|wanted| wanted.deployment != deployment) {
            return;
        }
        match loaded {
            Ok(endpoint) => {
                self.troubles.remove(&deployment);
                self.live.insert(key, Arc::new(endpoint));
            }
            Err(error) => {
                // The version before must not answer for one that was meant to take its place.
                self.live.remove(&key);
                let trouble = Trouble::new(self.troubles.get(&deployment), error.message);
                self.troubles.insert(deployment, trouble);
            }
        }
    }

    /// Why no model is to answer in an environment.
    fn nothing_in(&self, workspace: &str, environment: &str) -> Error {
        if self.has_environment(workspace, environment) {
            Error::new(ErrorKind::NotFound, format!("No model serves in {environment} yet."))
        } else {
            Error::not_found("environment", environment)
        }
    }

    fn has_environment(&self, workspace: &str, environment: &str) -> bool {
        self.environments.contains(&(workspace.to_owned(), environment.to_owned()))
    }

    /// Why nothing answers there.
    fn absence(&self, key: &Key) -> Error {
        let (workspace, environment, model) = key;
        if !self.has_environment(workspace, environment) {
            return Error::not_found("environment", environment);
        }
        let Some(Wanted { deployment, version, .. }) = self.served.get(key) else {
            return Error::new(
                ErrorKind::NotFound,
                format!("No version of model \"{model}\" serves in {environment}. Promote one to it first."),
            );
        };
        let what = format!("Model \"{model}\" v{version} is to serve in {environment}");
        let text = match self.troubles.get(deployment) {
            Some(trouble) => format!("{what}, but cannot be loaded here: {}", trouble.why),
            None => format!("{what}, and is still being loaded; send the request again in a moment."),
        };
        Error::new(ErrorKind::Unavailable, text)
    }
}

fn key(served: &Served) -> Key {
    (served.workspace.clone(), served.environment.clone(), served.model.clone())
}

impl Services {
    /// Brings the endpoints in memory to what the database says. A model that cannot be loaded is logged, left out, and
    /// tried again after a while; one that takes long is loaded while this returns.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn refresh_endpoints(&self) -> Result<()> {
        if self.models().is_err() {
            return Ok(());
        }
        {
            let _one = self.endpoints.asking.lock().await;
            self.ask_what_serves().await?;
        }
        self.endpoints.settled(PATIENCE, |_| true).await;
        Ok(())
    }

    /// The same for a request that nothing answers: unless that was done a moment ago.
    async fn ask_unless_just_asked(&self) -> Result<()> {
        if let Some(said) = self.endpoints.fresh() {
            return said;
        }
        let _one = self.endpoints.asking.lock().await;
        match self.endpoints.fresh() {
            Some(said) => said,
            None => self.ask_what_serves().await,
        }
    }

    /// Asks the database what serves, and begins to load what is new. One at a time.
    async fn ask_what_serves(&self) -> Result<()> {
        let asked_at = Instant::now();
        let said = async {
            let mut conn = self.conn().await?;
            let environments = store::endpoint::environments(&mut conn).await?;
            Ok((environments.into_iter().collect(), store::endpoint::served(&mut conn).await?))
        };
        let (new, said) = match said.await {
            Ok((environments, served)) => (self.endpoints.write().follow(environments, served), Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        self.endpoints.write().asked = Some((asked_at, said.clone()));
        self.forget_unused();
        for served in new {
            tokio::spawn(self.clone().load_endpoint(served));
        }
        said
    }

    /// Loads a version that is to answer, and lets it.
    async fn load_endpoint(self, served: Served) {
        let (key, deployment) = (key(&served), served.deployment_id);
        let (model, version) = (served.model.clone(), served.version);
        let services = self.clone();
        let loading = tokio::spawn(async move {
            let _one_of_few = Arc::clone(&services.endpoints.loads).acquire_owned().await;
            services.new_endpoint(served).await
        });
        let loaded = loading.await.unwrap_or_else(|error| {
            tracing::error!(%error, "loading a live model failed");
            Err(Error::internal())
        });
        if let Err(error) = &loaded {
            tracing::error!(%model, version, %error, "a live model cannot be loaded");
        }
        self.endpoints.write().take(key, deployment, loaded);
        self.forget_unused();
        self.endpoints.loaded.send_replace(());
    }

    async fn new_endpoint(&self, served: Served) -> Result<LiveEndpoint> {
        let files = store::model_version::files(&mut *self.conn().await?, served.version_id).await?;
        if manifest_digest(&files).ok().flatten().as_ref() != Some(&served.digest) {
            return Err(Error::conflict("The version's files are not those that were deployed."));
        }
        let (digest, loaded) = self.load_model(&files).await?;
        Ok(LiveEndpoint {
            workspace: served.workspace,
            environment: served.environment,
            model: served.model,
            version: served.version,
            deployment_id: served.deployment_id,
            digest,
            feature_names: served.signature.as_ref().map(feature_names).unwrap_or_default().into(),
            places: Arc::new(Semaphore::new(self.limits().of_model)),
            turns: Arc::new(Semaphore::new(loaded.most_callers())),
            loaded,
        })
    }

    /// Lets go of models that nothing answers with, or is to. One that is being tried may be among them: whoever does that
    /// holds it, so that forgetting it costs a load at most.
    fn forget_unused(&self) {
        let Ok(models) = self.models() else { return };
        let used: HashSet<Digest> = {
            let state = self.endpoints.read();
            let wanted = state.served.values().map(|wanted| &wanted.digest);
            state.live.values().map(|live| &live.digest).chain(wanted).cloned().collect()
        };
        models.retain(|digest| used.contains(digest));
    }

    /// The newest versions that can be served, by model: name and number.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn servable_versions(&self, ctx: &Ctx) -> Result<Vec<(String, i32)>> {
        Ok(store::endpoint::servable(&mut *self.conn().await?, ctx.workspace_id(), MOST_OFFERED).await?)
    }

    /// The model among these files of a version, loaded when it is not yet, and the digest of the files.
    ///
    /// # Errors
    /// `Unavailable` without an engine, when the artifact store does not answer or when it takes too long; `Invalid` when
    /// the files cannot be served.
    async fn load_model(&self, files: &[VersionFile]) -> Result<(Digest, Arc<Model>)> {
        self.load_in_time(files).await?.ok_or_else(|| Error::new(ErrorKind::Unavailable, self.loads_too_long()))
    }

    /// The same; none when it takes too long.
    pub(crate) async fn load_in_time(&self, files: &[VersionFile]) -> Result<Option<(Digest, Arc<Model>)>> {
        let limits = self.limits();
        // The engine may take a moment to stop by itself, which is better: then nothing goes on behind.
        timeout(limits.read + limits.load + GRACE, self.read_and_load(files)).await.unwrap_or(Ok(None))
    }

    /// What is said of a version that takes too long to load.
    pub(crate) fn loads_too_long(&self) -> String {
        format!("The model could not be loaded within {}.", seconds(self.limits().load))
    }

    async fn read_and_load(&self, files: &[VersionFile]) -> Result<Option<(Digest, Arc<Model>)>> {
        let models = Arc::clone(self.models()?);
        let digest =
            manifest_digest(files).ok().flatten().ok_or_else(|| Error::invalid("The version has no files."))?;
        if let Some(model) = models.get(&digest) {
            return Ok(Some((digest, model)));
        }
        let onnx = onnx_file(files).ok_or_else(|| Error::invalid("The version has no file that ends with .onnx."))?;
        let read_by = Instant::now() + self.limits().read;
        let bytes = self.model_file(onnx, read_by).await?;
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
                beside.push((name.to_owned(), self.model_file(file, read_by).await?.to_vec().into()));
            }
        }
        let key = digest.clone();
        let deadline = Instant::now() + self.limits().load;
        let loaded = tokio::task::spawn_blocking(move || {
            models.load(&key, |engine| Model::from_files(engine, bytes, beside, deadline))
        });
        let loaded = loaded.await.map_err(|error| {
            tracing::error!(%error, "loading a model failed");
            Error::internal()
        })?;
        match loaded {
            Err(serving::Error::TooLong) => Ok(None),
            loaded => Ok(Some((digest, loaded?))),
        }
    }

    async fn model_file(&self, file: &VersionFile, deadline: Instant) -> Result<Bytes> {
        let read = timeout_at(deadline.into(), self.artifacts.get_bytes(&file.digest, MOST_BYTES)).await;
        // A store that is slow says no more of the model than one that does not answer.
        let read = read.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "The artifact store does not give the model's file in time.")
        })?;
        read.map_err(|error| {
            tracing::error!(%error, digest = %file.digest, "the file of a model cannot be read");
            match error {
                // Says nothing of the model: it may be read later.
                artifacts::Error::Store(_) => error.into(),
                error => Error::invalid(format!("{} cannot be read: {error}", file.path)),
            }
        })
    }

    /// The endpoint of a model in an environment.
    ///
    /// # Errors
    /// `NotFound` when no version of it serves there or there is no such environment, `Unavailable` when one is to and
    /// cannot be loaded.
    #[boxed]
    pub async fn endpoint(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Arc<LiveEndpoint>> {
        let key = (ctx.workspace.slug.clone(), environment.to_owned(), model.to_owned());
        if let Some(endpoint) = self.endpoints.get(&key) {
            return Ok(endpoint);
        }
        self.models()?;
        self.ask_unless_just_asked().await?;
        self.endpoints.settled(PATIENCE, |loading| *loading == key).await;
        let state = self.endpoints.read();
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

    /// Answers a request of the Open Inference Protocol: its body as it came.
    #[boxed]
    pub async fn infer(&self, admitted: Admitted, body: Bytes) -> Outcome {
        self.answer(admitted, move |_| InferRequest::parse(&body)).await
    }

    /// Answers a request in MLflow's form: its body as it came.
    #[boxed]
    pub async fn invoke(&self, admitted: Admitted, body: Bytes) -> Outcome {
        self.answer(admitted, move |endpoint| {
            Invocation::parse(&body)?.into_request(endpoint.loaded.inputs(), &endpoint.feature_names)
        })
        .await
    }

    async fn answer(
        &self,
        admitted: Admitted,
        read: impl FnOnce(&LiveEndpoint) -> Result<InferRequest> + Send + 'static,
    ) -> Outcome {
        let (started, at, prediction_id) = (Instant::now(), Utc::now(), PredictionId::new());
        let endpoint = Arc::clone(&admitted.endpoint);
        let limit = self.limits().inference;
        let computed = compute(admitted, read, started + limit).await.unwrap_or_else(|error| Computed {
            outputs: Err(error.unwrap_or_else(|| endpoint.too_long(limit))),
            ..Computed::default()
        });
        let latency = started.elapsed();
        let status = match &computed.outputs {
            Ok(_) => 200,
            Err(error) if error.kind == ErrorKind::Invalid => 400,
            Err(error) if error.kind == ErrorKind::Unavailable => 503,
            Err(_) => 500,
        };
        let answered = Answered {
            id: prediction_id,
            deployment_id: endpoint.deployment_id,
            version: endpoint.version,
            request_id: computed.request_id.clone(),
            at,
            status,
            latency,
            features: computed.features,
            feature_names: Arc::clone(&endpoint.feature_names),
            output: computed.recorded,
        };
        self.record(&endpoint, answered);
        let answer = computed.outputs.map(|outputs| InferResponse {
            model_name: endpoint.model.clone(),
            model_version: Some(endpoint.version.to_string()),
            id: Some(computed.request_id.unwrap_or_else(|| prediction_id.to_string())),
            outputs,
        });
        Outcome { prediction_id, answer }
    }
}

/// What a model made of a request.
struct Computed {
    request_id: Option<String>,
    /// What is recorded of what it was asked: nothing when it did not answer. What was refused may be anything, of any
    /// size, and says nothing about the model.
    features: Vec<Tensor>,
    /// What is recorded of its answer.
    recorded: Vec<Tensor>,
    outputs: Result<Vec<Tensor>>,
}

impl Default for Computed {
    fn default() -> Self {
        Self { request_id: None, features: Vec::new(), recorded: Vec::new(), outputs: Ok(Vec::new()) }
    }
}

/// Reads a request and lets its model answer, when its turn comes before the deadline. An error is none when the time was
/// over.
async fn compute(
    admitted: Admitted,
    read: impl FnOnce(&LiveEndpoint) -> Result<InferRequest> + Send + 'static,
    deadline: Instant,
) -> std::result::Result<Computed, Option<Error>> {
    let endpoint = Arc::clone(&admitted.endpoint);
    // Whoever waits holds no thread: those are few, and everything else needs them too.
    let turn = timeout_at(deadline.into(), Arc::clone(&endpoint.turns).acquire_owned()).await.map_err(|_| None)?;
    // Reading a large body and computing both take a processor for a while.
    let computing: JoinHandle<std::result::Result<Computed, Option<Error>>> = tokio::task::spawn_blocking(move || {
        // Held until the model is done, also when nobody waits for it any more.
        let (_admitted, _turn) = (admitted, turn);
        let request = match read(&endpoint) {
            Ok(request) => request,
            Err(error) => return Err(Some(error)),
        };
        let outputs = match endpoint.loaded.infer(&request, deadline) {
            Err(serving::Error::TooLong) => return Err(None),
            outputs => outputs.map_err(Error::from),
        };
        let (features, recorded) = match &outputs {
            Ok(outputs) => (recorded(&request.inputs), recorded(outputs)),
            Err(_) => (Vec::new(), Vec::new()),
        };
        Ok(Computed { request_id: request.id, features, recorded, outputs })
    });
    timeout_at((deadline + GRACE).into(), computing).await.map_err(|_| None)?.unwrap_or_else(|error| {
        tracing::error!(%error, "an inference failed");
        Err(Some(Error::internal()))
    })
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

    fn served(deployment_id: DeploymentId) -> Served {
        Served {
            deployment_id,
            workspace_id: domain::id::WorkspaceId::new(),
            workspace: "default".to_owned(),
            environment: "production".to_owned(),
            model: "wine".to_owned(),
            version: 2,
            version_id: domain::id::ModelVersionId::new(),
            digest: Digest::blake3([0; 32]),
            signature: None,
        }
    }

    #[test]
    fn models_that_are_to_answer_count_while_they_cannot() {
        let endpoints = Endpoints::default();
        let here = HashSet::from([("default".to_owned(), "production".to_owned())]);
        let another = Served { model: "iris".to_owned(), ..served(DeploymentId::new()) };
        endpoints.write().follow(here, vec![served(DeploymentId::new()), another]);
        assert_eq!(endpoints.in_environment("default", "production"), ["iris", "wine"]);
        assert_eq!(endpoints.in_environment("default", "staging"), Vec::<String>::new());
        let nothing = |environment| endpoints.read().nothing_in("default", environment).message;
        assert_eq!(nothing("production"), "No model serves in production yet.");
        assert_eq!(nothing("staging"), "No environment \"staging\" in this workspace.");
    }

    #[test]
    fn a_version_that_cannot_be_loaded_rests_longer_each_time_and_says_why() {
        let seconds = |tries| pause(tries).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 40, u32::MAX].map(seconds), [1, 2, 4, 32, 60, 60, 60]);

        let here = HashSet::from([("default".to_owned(), "production".to_owned())]);
        let (mut state, deployment) = (State::default(), DeploymentId::new());
        assert_eq!(state.follow(here.clone(), vec![served(deployment)]).len(), 1);
        assert!(state.follow(here.clone(), vec![served(deployment)]).is_empty(), "it is being loaded");
        let wine = key(&served(deployment));
        assert!(state.absence(&wine).message.contains("still being loaded"));

        state.take(wine.clone(), deployment, Err(Error::invalid("It is no model.")));
        let why = state.absence(&wine);
        let text = "Model \"wine\" v2 is to serve in production, but cannot be loaded here: It is no model.";
        assert_eq!((why.kind, why.message.as_str()), (ErrorKind::Unavailable, text));
        assert!(state.follow(here.clone(), vec![served(deployment)]).is_empty(), "it rests");
        assert_eq!(state.follow(here.clone(), vec![served(DeploymentId::new())]).len(), 1, "another does not");
        assert!(state.troubles.is_empty(), "what was replaced is forgotten");

        assert!(state.follow(here, Vec::new()).is_empty());
        assert!(state.absence(&wine).message.starts_with("No version of model \"wine\" serves in production."));
        let nowhere = ("default".to_owned(), "moon".to_owned(), "wine".to_owned());
        assert_eq!(state.absence(&nowhere).message, "No environment \"moon\" in this workspace.");
    }
}
