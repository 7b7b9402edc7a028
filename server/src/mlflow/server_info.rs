//! What clients ask of a server before anything else: which MLflow it speaks, and what it offers. Needs no credentials.

use crate::{access::Access, router::Routes};
use axum::{Json, http::Method};
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

async fn info() -> Json<Value> {
    Json(json!({
        "store_type": "SqlStore",
        "workspaces_enabled": true,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": true,
        // Of no use here: the parts would come from the same server, after one more question for every file.
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": { "gateway": false },
    }))
}
