//! What every request handler can reach.

use crate::{
    demo, events::Events, health::Readiness, hosts::KnownHosts, middleware::rate_limit::SignInLimit,
    peer::TrustedProxies,
};
use app::shell::Assets;
use services::Services;
use std::sync::Arc;

/// What every request handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// The use cases.
    pub services: Services,
    /// The address that people and clients use, without a slash at the end.
    pub public_url: Arc<str>,
    /// The names by which it is reached.
    pub hosts: KnownHosts,
    /// Styles, scripts and wasm of the pages.
    pub assets: Arc<Assets>,
    /// What changed, for open pages.
    pub events: Events,
    /// Whether this process can work.
    pub readiness: Readiness,
    /// The proxies that say where a request comes from.
    pub trusted_proxies: TrustedProxies,
    /// How often one may try to sign in.
    pub sign_in_limit: Arc<SignInLimit>,
    /// The demo, walked by one click.
    pub demo: demo::Background,
    /// The metrics of this process.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
}
