//! The route table: every address of Slipway, who may use it, and what answers.
//!
//! A route cannot be added without saying who may use it. [`Routes::table`] is what the tests walk.

use crate::{
    access::{self, Access, Route, Surface},
    api, assets, events, health, inference,
    middleware::panic::Panicked,
    mlflow, openapi, pages,
    state::AppState,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    handler::Handler,
    http::Method,
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodFilter, MethodRouter, on},
};
use futures::future::{BoxFuture, FutureExt as _};
use std::convert::Infallible;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::UtoipaMethodRouter;

/// A handler without its type: what axum builds around one is then compiled once, and not for each route. Why that matters
/// is told in `docs/decisions/0008-futures-stop-at-two-places.md`.
#[derive(Clone, Copy)]
pub(crate) struct Erased(&'static (dyn Fn(Request, AppState) -> BoxFuture<'static, Response> + Send + Sync));

impl Handler<(), AppState> for Erased {
    type Future = BoxFuture<'static, Response>;

    fn call(self, request: Request, state: AppState) -> Self::Future {
        (self.0)(request, state)
    }
}

/// Takes the type from a handler. It lives as long as the process, as the table does; most take no space.
pub(crate) fn erased<H, T>(handler: H) -> Erased
where
    H: Handler<T, AppState>,
    T: 'static,
{
    Erased(Box::leak(Box::new(move |request, state| handler.clone().call(request, state).boxed())))
}

/// An operation of the REST API, with its description: `operation!(handler)`.
macro_rules! operation {
    ($handler:ident) => {{
        let $handler = $crate::router::erased($handler);
        ::utoipa_axum::routes!($handler)
    }};
}
pub(crate) use operation;

/// Routes with their access, in the order they were added.
pub struct Routes {
    state: AppState,
    router: Router<AppState>,
    table: Vec<Route>,
    openapi: OpenApi,
}

impl Routes {
    fn new(state: AppState) -> Self {
        Self { state, router: Router::new(), table: Vec::new(), openapi: openapi::base() }
    }

    /// The table, the OpenAPI document, and the router without its outer layers.
    pub(crate) fn finish(self) -> (Vec<Route>, OpenApi, Router<AppState>) {
        (self.table, self.openapi, self.router)
    }

    fn add(mut self, route: Route, method: MethodRouter<AppState, Infallible>) -> Self {
        let caught: MethodRouter<AppState, Infallible> = method.layer(CatchPanicLayer::custom(Panicked(route.surface)));
        let guarded = caught.layer(from_fn_with_state((self.state.clone(), route), access::guard));
        self.router = self.router.route(route.path, guarded);
        self.table.push(route);
        self
    }

    fn handler<H, T>(self, surface: Surface, method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let filter = match method {
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        self.add(Route { method: leak_method(&method), path, access, surface }, on(filter, erased(handler)))
    }

    /// A page, or what a page's form posts to.
    pub fn page<H, T>(self, method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.handler(Surface::Page, method, path, access, handler)
    }

    /// A stream for the scripts of pages. They are refused as other programs are: a redirect to a form tells them nothing.
    pub(crate) fn stream<H, T>(self, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.handler(Surface::Api, Method::GET, path, access, handler)
    }

    /// An operation of MLflow's API, under `/api/2.0` and `/ajax-api/2.0`. `path` begins with the version: `/2.0/mlflow/…`.
    pub fn mlflow<H, T>(self, method: Method, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        // The table lives as long as the process.
        let (api, ajax): (&'static str, &'static str) =
            (format!("/api{path}").leak(), format!("/ajax-api{path}").leak());
        self.handler(Surface::Mlflow, method.clone(), api, access, handler.clone()).handler(
            Surface::Mlflow,
            method,
            ajax,
            access,
            handler,
        )
    }

    /// An operation that MLflow has under `/ajax-api` alone. `path` begins with the version: `/2.0/mlflow/…`.
    pub(crate) fn ajax<H, T>(self, method: Method, path: &str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.handler(Surface::Mlflow, method, format!("/ajax-api{path}").leak(), access, handler)
    }

    /// An operation that MLflow has at the root.
    pub(crate) fn mlflow_root<H, T>(self, method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.handler(Surface::Mlflow, method, path, access, handler)
    }

    /// An address of the data plane.
    pub(crate) fn inference<H, T>(self, method: Method, path: &'static str, access: Access, handler: H) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        self.handler(Surface::Inference, method, path, access, handler)
    }

    /// An address of the data plane that takes bodies of another size than most.
    pub(crate) fn limited<H, T>(
        self,
        method: Method,
        path: &'static str,
        access: Access,
        limit: DefaultBodyLimit,
        handler: H,
    ) -> Self
    where
        H: Handler<T, AppState>,
        T: 'static,
    {
        let route = Route { method: leak_method(&method), path, access, surface: Surface::Inference };
        self.add(route, on(MethodFilter::POST, erased(handler)).layer(limit))
    }

    /// An operation of the REST API, with its description: `operation!(handler)`.
    pub(crate) fn api(mut self, access: Access, (schemas, paths, method): UtoipaMethodRouter<AppState>) -> Self {
        let mut described = Vec::new();
        for (path, item) in &paths.paths {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            described.extend(
                methods
                    .into_iter()
                    .filter(|(_, operation)| operation.is_some())
                    .map(|(method, _)| (method, &*path.clone().leak())),
            );
        }
        for (path, item) in paths.paths {
            match self.openapi.paths.paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => {
                    self.openapi.paths.paths.insert(path, item);
                }
            }
        }
        self.openapi.components.get_or_insert_default().schemas.extend(schemas);
        let mut method = Some(method);
        for (name, path) in described {
            let route = Route { method: name, path, access, surface: Surface::Api };
            match method.take() {
                Some(method) => self = self.add(route, method),
                None => self.table.push(route),
            }
        }
        self
    }
}

fn leak_method(method: &Method) -> &'static str {
    match *method {
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "GET",
    }
}

/// The route table: what the tests walk.
#[must_use]
pub fn table(state: &AppState) -> Vec<Route> {
    routes(state).finish().0
}

/// Every route.
#[must_use]
pub fn routes(state: &AppState) -> Routes {
    let routes = Routes::new(state.clone());
    let routes = health::routes(routes);
    let routes = assets::routes(routes);
    let routes = events::routes(routes);
    let routes = pages::routes(routes);
    let routes = api::v1::routes(routes);
    let routes = openapi::routes(routes);
    let routes = mlflow::routes(routes);
    inference::routes(routes)
}
