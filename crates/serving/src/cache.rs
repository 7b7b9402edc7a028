//! Loaded models by the digest of their file.

use crate::{engine::Engine, model::Model};
use domain::digest::Digest;
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The models in memory. A deployment looks its model up here, so that moving to a version that is loaded already, or
/// back to one that still is, costs nothing; a caller that holds a model keeps it alive whatever happens here.
#[derive(Debug)]
pub struct ModelCache {
    engine: Engine,
    models: RwLock<HashMap<Digest, Arc<Model>>>,
}

impl ModelCache {
    /// An empty cache.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine, models: RwLock::default() }
    }

    /// The model of this digest, when it is loaded.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Arc<Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// The model of this digest, made by `make` when it is not there yet. That takes a while and blocks the caller, not
    /// others. When two make the same at once, both get the one that was ready first.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then.
    pub fn load<E>(&self, digest: &Digest, make: impl FnOnce(&Engine) -> Result<Model, E>) -> Result<Arc<Model>, E> {
        if let Some(model) = self.get(digest) {
            return Ok(model);
        }
        let model = Arc::new(make(&self.engine)?);
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(models.entry(digest.clone()).or_insert(model)))
    }

    /// Forgets every model that `keep` does not want. Their memory is freed when the last caller is done with them.
    pub fn retain(&self, mut keep: impl FnMut(&Digest) -> bool) {
        self.models.write().unwrap_or_else(PoisonError::into_inner).retain(|digest, _| keep(digest));
    }

    /// How many models are loaded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.models.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
