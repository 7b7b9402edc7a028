//! What a worker knows of itself when a step begins on it.

use domain::{pipeline::Python, worker::Facts};
use futures::future::{BoxFuture, FutureExt as _};

/// What a worker knows of itself. To ask a Python for its packages takes seconds, so steps wait for that only when it
/// decides whether they run.
pub trait Surroundings: Send + Sync {
    /// What a step finds that looks for its Python so, as far as that is known.
    fn now(&self, python: &Python) -> Facts;

    /// The same, found out.
    fn find<'a>(&'a self, python: &'a Python) -> BoxFuture<'a, Facts>;
}

/// All that is known already.
impl Surroundings for Facts {
    fn now(&self, _: &Python) -> Facts {
        self.clone()
    }

    fn find<'a>(&'a self, _: &'a Python) -> BoxFuture<'a, Facts> {
        std::future::ready(self.clone()).boxed()
    }
}
