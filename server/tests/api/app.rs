//! A whole Slipway of one test's own, and people who use it.
//!
//! ```ignore
//! let app = TestApp::start().await;
//! let contributor = app.member(Role::Contributor).await;
//! let experiment = contributor.post("/api/2.0/mlflow/experiments/create", json!({ "name": "wine" })).await.ok();
//! ```

use ::app::shell::Assets;
use artifacts::Artifacts;
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, Response, StatusCode, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::{
    id::UserId,
    permission::{Role, Scope},
    user::{Email, User, Workspace},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use outbound::Outbound;
use serde_json::Value;
use server::{events::Events, health::Readiness, hosts::KnownHosts, peer::TrustedProxies, serve, state::AppState};
use services::{Caller, Credential, Limits, NewToken, SecretKeys, Services};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
};
use testkit::TestDatabase;
use tower::ServiceExt as _;
use tower_sessions::SessionStore as _;

/// The address that the app believes it has.
pub const PUBLIC_URL: &str = "http://slipway.test";

/// A proxy whose word it takes for where a request comes from.
pub const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A Slipway with its own database and artifact store, and nobody in it.
pub struct TestApp {
    /// What handlers work with.
    pub state: AppState,
    /// Its database.
    pub database: TestDatabase,
    /// The default workspace.
    pub workspace: Workspace,
    service: Router,
    people: AtomicU32,
    artifacts: tempfile::TempDir,
}

impl TestApp {
    /// A new one.
    pub async fn start() -> Self {
        Self::with(|services| services).await
    }

    /// A new one with the engine, in which models may take so much.
    pub async fn with_engine(limits: Limits) -> Self {
        let path = std::env::var_os("SLIPWAY_ONNXRUNTIME").map_or_else(serving::default_library, PathBuf::from);
        let engine = serving::Engine::load(&path)
            .unwrap_or_else(|error| panic!("the tests need the ONNX Runtime; run `make setup`: {error}"));
        let models = Arc::new(serving::ModelCache::new(engine));
        Self::with(|services| services.with_models(models).with_limits(limits)).await
    }

    /// A new one whose webhooks may send to this machine.
    pub async fn with_private_webhooks() -> Self {
        Self::with(|services| services.with_outbound(Outbound::new(true))).await
    }

    async fn with(what: impl FnOnce(Services) -> Services) -> Self {
        // As the program does first. In this process, another test may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database =
            testkit::database(&store::schema_key(), |pool| async move { store::migrate(&pool).await.unwrap() }).await;
        let directory = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open_dir(directory.path()).await.unwrap();
        let keys = SecretKeys::in_folder(&directory.path().join("secret-keys"));
        let services = Services::new(database.pool.clone(), artifacts).with_public_url(PUBLIC_URL);
        let services = what(services.with_secret_keys(keys));
        let workspace = services.ensure_default_workspace().await.unwrap();
        let state = AppState {
            services,
            public_url: PUBLIC_URL.into(),
            hosts: KnownHosts::new(PUBLIC_URL, &[]),
            assets: Arc::new(Assets {
                css: "/pkg/main.css".to_owned(),
                ui_js: "/pkg/ui.js".to_owned(),
                chart_js: "/pkg/chart.js".to_owned(),
                bundle: "slipway".to_owned(),
            }),
            events: Events::default(),
            readiness: Readiness::default(),
            trusted_proxies: TrustedProxies::new(&[PROXY]),
            sign_in_limit: Arc::default(),
            demo: Default::default(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let service = serve::service(&state);
        Self { state, database, workspace, service, people: AtomicU32::new(1), artifacts: directory }
    }

    /// Its use cases.
    pub fn services(&self) -> &Services {
        &self.state.services
    }

    /// Where its artifacts lie.
    pub fn artifacts_dir(&self) -> &std::path::Path {
        self.artifacts.path()
    }

    /// Somebody without credentials.
    pub fn anonymous(&self) -> Client {
        Client { service: self.service.clone(), headers: HeaderMap::new(), prefix: String::new(), user: None }
    }

    /// A new person who is this in the default workspace, with a token that may do all that they may.
    pub async fn member(&self, role: Role) -> Client {
        self.member_with([role], Scope::Admin).await
    }

    /// A new person with these roles in the default workspace, and a token of this scope.
    pub async fn member_with(&self, roles: impl IntoIterator<Item = Role>, scope: Scope) -> Client {
        let user = self.user().await;
        self.join(&user, &self.workspace, roles).await;
        self.client(&user, scope).await
    }

    /// A new person who is a member of nothing.
    pub async fn user(&self) -> User {
        self.account(false).await
    }

    /// A new account of a machine, which is a member of nothing.
    pub async fn service_account(&self) -> User {
        self.account(true).await
    }

    async fn account(&self, is_service: bool) -> User {
        let number = self.people.fetch_add(1, Ordering::Relaxed);
        let user = User {
            id: UserId::new(),
            email: Email::parse(&format!("person-{number}@slipway.test")).unwrap(),
            name: format!("Person {number}"),
            is_service,
            created_at: chrono::Utc::now(),
        };
        store::user::insert(&mut self.database.pool.acquire().await.unwrap(), &user, None).await.unwrap();
        user
    }

    /// Makes somebody a member of a workspace.
    pub async fn join(&self, user: &User, workspace: &Workspace, roles: impl IntoIterator<Item = Role>) {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        let mut conn = self.database.pool.acquire().await.unwrap();
        store::workspace::set_member(&mut conn, workspace.id, user.id, &roles).await.unwrap();
    }

    /// A workspace beside the default one, made by somebody who is no member of that.
    pub async fn second_workspace(&self, slug: &str) -> (Workspace, Client) {
        let owner = self.user().await;
        let caller = Caller {
            user: owner.clone(),
            credential: Credential::Session("test".to_owned()),
            scope: Scope::Admin,
            request_id: None,
        };
        let workspace = self.services().create_workspace(&caller, slug, slug).await.unwrap();
        (workspace, self.client(&owner, Scope::Admin).await)
    }

    /// The person, with a new token of this scope for their first workspace.
    pub async fn client(&self, user: &User, scope: Scope) -> Client {
        let new = NewToken { name: "test".to_owned(), scope, days: None };
        let issued = self.services().create_token_for(&user.email, new).await.unwrap();
        self.anonymous().with_user(user.clone()).with(header::AUTHORIZATION, &format!("Bearer {}", issued.secret))
    }

    /// The person, as a browser that is signed in.
    pub async fn browser(&self, user: &User) -> Client {
        let mut record = tower_sessions::session::Record {
            id: tower_sessions::session::Id::default(),
            data: [(store::session::key::USER.to_owned(), serde_json::json!(user.id))].into(),
            expiry_date: tower_sessions::cookie::time::OffsetDateTime::now_utc()
                + tower_sessions::cookie::time::Duration::hours(1),
        };
        store::session::Sessions(self.database.pool.clone()).create(&mut record).await.unwrap();
        self.anonymous().with_user(user.clone()).with(header::COOKIE, &format!("slipway_session={}", record.id))
    }
}

/// Somebody who sends requests.
#[derive(Clone)]
pub struct Client {
    service: Router,
    headers: HeaderMap,
    prefix: String,
    user: Option<User>,
}

impl Client {
    /// Who it is.
    pub fn user(&self) -> &User {
        self.user.as_ref().expect("somebody with an account")
    }

    fn with_user(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    /// The same, sending this header with every request.
    pub fn with(mut self, name: header::HeaderName, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// The same, asking another service over the same database.
    pub fn of(mut self, service: Router) -> Self {
        self.service = service;
        self
    }

    /// The same, with the token as the password of Basic.
    pub fn with_basic(self) -> Self {
        let token = self.headers[header::AUTHORIZATION].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
        self.with(header::AUTHORIZATION, &format!("Basic {}", BASE64_STANDARD.encode(format!("anyone:{token}"))))
    }

    /// The same, with every address below this workspace's.
    pub fn in_workspace(mut self, slug: &str) -> Self {
        self.prefix = format!("/w/{slug}");
        self
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// Sends a POST with JSON.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Sends a PUT with JSON.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    /// Sends a PATCH with JSON.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    /// Sends a DELETE without a body.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    /// Sends a request with JSON.
    pub async fn json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Sends a form, as a page does.
    pub async fn form(&self, path: &str, body: &str) -> Answer {
        let request =
            self.request(Method::POST, path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// A request of this client, to be given headers and a body.
    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.prefix));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    /// Sends a request; the answer is still to be read.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        self.service.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request and reads the head of the answer alone: some bodies never end.
    pub async fn head_of(&self, request: Request<Body>) -> (StatusCode, HeaderMap) {
        let (parts, _) = self.call(request).await.into_parts();
        (parts.status, parts.headers)
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        let response = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 256 << 20).await.unwrap();
        Answer { what, status: parts.status, headers: parts.headers, body: body.to_vec() }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    what: String,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{} answered no JSON ({error}): {}", self.what, self.text()))
    }

    /// The JSON of an answer that must be a success; null when it has no body.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} answered {}: {}", self.what, self.status, self.text());
        if self.body.is_empty() { Value::Null } else { self.body_json() }
    }

    /// The JSON of an answer that must have this status.
    #[track_caller]
    pub fn refused(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{} answered: {}", self.what, self.text());
        self.body_json()
    }

    /// A header as text; empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
