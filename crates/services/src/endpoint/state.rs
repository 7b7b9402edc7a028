//! What is to answer, what does, and why what should does not.

use super::LiveEndpoint;
use crate::{Ctx, Result};
use domain::{Digest, Error, ErrorKind, id::DeploymentId, permission::Role};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};
use store::endpoint::Served;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

/// For so long the database is not asked again about what it did not have.
const FRESH: Duration = Duration::from_secs(1);
/// The pause before a version that could not be loaded is tried again. Each further one is twice as long …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many versions are loaded at once.
const LOADS: usize = 2;

/// `(workspace slug, environment, model)`
pub(super) type Key = (String, String, String);

/// The roles that see each environment, everybody where none are given: by the workspace's slug and the environment's name.
pub(super) type Environments = HashMap<(String, String), Option<BTreeSet<Role>>>;

/// The endpoints that this process has in memory.
pub(crate) struct Endpoints {
    state: RwLock<State>,
    /// One question to the database at a time.
    pub(super) asking: tokio::sync::Mutex<()>,
    /// Told when a version is loaded, or cannot be.
    pub(super) loaded: watch::Sender<()>,
    pub(super) loads: Arc<Semaphore>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<Key, Arc<LiveEndpoint>>,
    /// What the database said when it was last asked: each environment, by workspace, …
    environments: Environments,
    /// … and what is to answer.
    pub(super) served: HashMap<Key, Wanted>,
    /// When that was, and why it said nothing.
    pub(super) asked: Option<(Instant, Result<()>)>,
    loading: HashSet<DeploymentId>,
    troubles: HashMap<DeploymentId, Trouble>,
}

/// A version that is to answer.
pub(super) struct Wanted {
    deployment: DeploymentId,
    version: i32,
    /// Of its files.
    pub(super) digest: Digest,
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
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<LiveEndpoint>> {
        self.read().live.get(key).cloned()
    }

    /// The models that are to answer in an environment, loaded or not, by name.
    pub(super) fn in_environment(&self, workspace: &str, environment: &str) -> Vec<String> {
        let state = self.read();
        let here = state.served.keys().filter(|key| key.0 == workspace && key.1 == environment);
        let mut models: Vec<String> = here.map(|(_, _, model)| model.clone()).collect();
        models.sort_unstable();
        models
    }

    /// What the database said a moment ago: that it answered, or why not. None when it has to be asked again.
    pub(super) fn fresh(&self) -> Option<Result<()>> {
        let state = self.read();
        state.asked.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, said)| said.clone())
    }

    /// Makes the next request for what is not there ask the database: something changed.
    pub(crate) fn changed(&self) {
        self.write().asked = None;
    }

    /// Waits until nothing that `matters` is being loaded, but no longer than that.
    pub(super) async fn settled(&self, how_long: Duration, matters: impl Fn(&Key) -> bool) {
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
    pub(super) fn follow(&mut self, environments: Environments, served: Vec<Served>) -> Vec<Served> {
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
    pub(super) fn take(&mut self, key: Key, deployment: DeploymentId, loaded: Result<LiveEndpoint>) {
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

    /// Refuses an environment that is hidden from whoever asks, as one that is not there.
    pub(super) fn check_seen(&self, ctx: &Ctx, environment: &str) -> Result<()> {
        let visible_to = self.environments.get(&(ctx.workspace.slug.clone(), environment.to_owned()));
        match visible_to.and_then(Option::as_ref) {
            Some(roles) if !ctx.sight().sees(Some(roles)) => Err(Error::not_found("environment", environment)),
            _ => Ok(()),
        }
    }

    /// Why no model is to answer in an environment.
    pub(super) fn nothing_in(&self, workspace: &str, environment: &str) -> Error {
        if self.has_environment(workspace, environment) {
            Error::new(ErrorKind::NotFound, format!("No model serves in {environment} yet."))
        } else {
            Error::not_found("environment", environment)
        }
    }

    fn has_environment(&self, workspace: &str, environment: &str) -> bool {
        self.environments.contains_key(&(workspace.to_owned(), environment.to_owned()))
    }

    /// Why nothing answers there.
    pub(super) fn absence(&self, key: &Key) -> Error {
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

pub(super) fn key(served: &Served) -> Key {
    (served.workspace.clone(), served.environment.clone(), served.model.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let here = HashMap::from([(("default".to_owned(), "production".to_owned()), None)]);
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

        let here = HashMap::from([(("default".to_owned(), "production".to_owned()), None)]);
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
