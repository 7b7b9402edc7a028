//! By which names this server is known. A page of another site can be made to reach us under a name of its own, when that
//! name's owner lets it lead here; such a request is refused, whoever it says it is from.

use axum::http::{HeaderMap, Uri, header, uri::Authority};
use domain::Error;
use std::{net::IpAddr, sync::Arc};

/// The names by which requests may reach us, beside what nobody else can own: addresses, and names without a dot.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts(Arc<[String]>);

impl KnownHosts {
    /// The host of the public address, and these: `name`, `*.name` for all below it, `*` for every one.
    #[must_use]
    pub fn new(public_url: &str, others: &[String]) -> Self {
        let public = authority_of(public_url).map(|authority| authority.host().to_owned());
        Self(others.iter().cloned().chain(public).map(|name| name.trim().to_lowercase()).collect())
    }

    /// Checks where a request came to. One that does not say is let in: no browser sends such a one.
    ///
    /// # Errors
    /// `Forbidden` for a name that is not known.
    pub fn check(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Error> {
        let said = match headers.get(header::HOST) {
            Some(host) if host.is_empty() => return Ok(()),
            Some(host) => host.to_str().ok().and_then(|host| host.parse().ok()),
            None => match uri.authority() {
                Some(authority) => Some(authority.clone()),
                None => return Ok(()),
            },
        };
        let host = said.as_ref().map(Authority::host).unwrap_or_default().to_lowercase();
        if !host.is_empty() && self.knows(&host) {
            return Ok(());
        }
        let shown: String =
            host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).take(100).collect();
        Err(Error::forbidden(format!(
            "The server is not known as \"{shown}\". Whoever runs it can say so: --public-url, or --allowed-hosts {shown}."
        )))
    }

    fn knows(&self, host: &str) -> bool {
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_local = !host.contains('.') || host.ends_with(".localhost");
        is_address
            || is_local
            || self.0.iter().any(|known| match known.strip_prefix('*') {
                Some("") => true,
                Some(below) => host.ends_with(below),
                None => known == host,
            })
    }
}

/// Host and port of an address.
#[must_use]
pub fn authority_of(url: &str) -> Option<Authority> {
    url.parse::<Uri>().ok()?.into_parts().authority
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_gave_us_is_not_ours() {
        let hosts =
            KnownHosts::new("https://ML.example.com:8443/", &["slipway.ml.svc".to_owned(), "*.lab.example".to_owned()]);
        let is_let_in = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            hosts.check(&headers, &Uri::from_static("/")).is_ok()
        };
        for ours in [
            "ml.example.com",
            "ml.example.com:8443",
            "Ml.Example.Com",
            "slipway.ml.svc",
            "a.lab.example",
            "localhost:3000",
            "slipway",
            "app.localhost",
            "127.0.0.1:3000",
            "10.1.2.3",
            "[::1]:3000",
            "[::1]",
        ] {
            assert!(is_let_in(ours), "{ours}");
        }
        for other in [
            "evil.com",
            "ml.example.com.evil.com",
            "xlab.example",
            "evil.com:3000",
            "127.0.0.1.evil.com",
            "svc.ml.slipway",
        ] {
            assert!(!is_let_in(other), "{other}");
        }
        assert!(KnownHosts::new("http://a.example", &["*".to_owned()]).knows("evil.com"));
        assert!(hosts.check(&HeaderMap::new(), &Uri::from_static("/")).is_ok());
        assert!(hosts.check(&HeaderMap::new(), &Uri::from_static("http://evil.com/")).is_err());
    }
}
