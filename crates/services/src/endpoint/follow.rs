//! Following what the database says is to answer.

use super::{LiveEndpoint, state::key};
use crate::{Result, Services, boxed};
use domain::{Digest, Error, inference::feature_names, model::manifest_digest};
use std::{collections::HashSet, sync::Arc, time::Instant};
use store::endpoint::Served;
use tokio::sync::Semaphore;

impl Services {
    /// Begins to bring the endpoints in memory to what the database says. What is new is loaded while this returns; a
    /// model that cannot be loaded is logged, left out, and tried again after a while.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn follow_endpoints(&self) -> Result<()> {
        if self.models().is_err() {
            return Ok(());
        }
        let _one = self.endpoints.asking.lock().await;
        self.ask_what_serves().await
    }

    /// The same for a request that nothing answers: unless that was done a moment ago.
    pub(super) async fn ask_unless_just_asked(&self) -> Result<()> {
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
            let environments = environments.into_iter().map(|(workspace, name, roles)| ((workspace, name), roles));
            Ok((environments.collect(), store::endpoint::served(&mut conn).await?))
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
}
