//! From a host's name to addresses that may be connected to.

use crate::trouble::Trouble;
use domain::webhook::is_public;
use futures::future::{BoxFuture, FutureExt as _};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{fmt, io, net::SocketAddr, sync::Arc};

/// Who knows the addresses of hosts.
#[derive(Clone)]
pub struct Lookup(Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>);

impl Lookup {
    /// The machine's own.
    #[must_use]
    pub fn system() -> Self {
        // The port is not looked up; the connection takes the one of the address.
        Self::by(async |host| Ok(tokio::net::lookup_host((host, 0)).await?.collect()))
    }

    /// This function.
    pub fn by<F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static>(
        lookup: impl Fn(String) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |host| lookup(host).boxed()))
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// Gives addresses only when all of them may be connected to.
pub(crate) struct Checked {
    private: bool,
    lookup: Lookup,
}

impl Checked {
    pub(crate) fn new(private: bool, lookup: Lookup) -> Self {
        Self { private, lookup }
    }

    /// The addresses of a host. One of them that is not public spoils the others: nobody has both for good reasons.
    pub(crate) fn addresses(&self, host: &str) -> BoxFuture<'static, Result<Vec<SocketAddr>, Trouble>> {
        let (private, found) = (self.private, (self.lookup.0)(host.to_owned()));
        async move {
            let found = found.await.map_err(|_| Trouble::NoSuchHost)?;
            if found.is_empty() {
                return Err(Trouble::NoSuchHost);
            }
            if !private && found.iter().any(|address| !is_public(address.ip())) {
                return Err(Trouble::NotPublic);
            }
            Ok(found)
        }
        .boxed()
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.addresses(name.as_str());
        Box::pin(async move { Ok(Box::new(addresses.await?.into_iter()) as Addrs) })
    }
}
