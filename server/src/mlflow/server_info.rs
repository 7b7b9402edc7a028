//! What clients ask of a server before anything else: which MLflow it speaks, and what it offers. Needs no credentials.

use super::address::address;
use crate::{access::Access, router::Routes, state::AppState};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method},
};
use serde_json::{Value, json};

/// The release of MLflow whose API this is.
pub(super) const VERSION: &str = "3.17.2";

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .page(Method::GET, "/version", Access::Open, version)
        .page(Method::GET, "/health", Access::Open, health)
        .mlflow(Method::GET, "/3.0/mlflow/server-info", Access::Open, info)
}

async fn version() -> &'static str {
    VERSION
}

async fn health() -> &'static str {
    "OK"
}

async fn info(State(state): State<AppState>, headers: HeaderMap) -> Json<Value> {
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": true,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": true,
        // The clients read parts without the certificates that they are told to trust for everything else. Where those may
        // be needed, who wants parts asks for them.
        "multipart_downloads_enabled": address(&state.public_url, &headers).starts_with("http://"),
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": { "gateway": false },
    }))
}
