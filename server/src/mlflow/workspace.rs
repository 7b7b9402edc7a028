//! Workspaces, as MLflow's clients see them: by their slug, with the name to show as the description. Only those of the
//! caller are there.

use super::{
    MlflowError,
    fields::{Fields, shown},
};
use crate::{
    access::{Access, Context, SignedIn},
    extract::Path,
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::{Method, StatusCode},
};
use domain::{
    Error, ErrorKind,
    artifact_root::check_artifact_location,
    permission::{Permission, Scope},
    user::Workspace,
};
use serde_json::{Value, json};
use services::{Caller, Ctx};

pub(super) fn routes(routes: Routes) -> Routes {
    let (read, change) = (Access::SignedIn(Scope::Read), Access::SignedIn(Scope::Admin));
    routes
        .mlflow(Method::GET, "/3.0/mlflow/workspaces", read, list)
        .mlflow(Method::POST, "/3.0/mlflow/workspaces", Access::Needs(Permission::MakeWorkspaces), create)
        .mlflow(Method::GET, "/3.0/mlflow/workspaces/{workspace_name}", read, get)
        .mlflow(Method::PATCH, "/3.0/mlflow/workspaces/{workspace_name}", change, update)
        .mlflow(Method::DELETE, "/3.0/mlflow/workspaces/{workspace_name}", change, delete)
}

fn wire(workspace: &Workspace) -> Value {
    json!({ "name": workspace.slug, "description": workspace.name })
}

/// The caller in the workspace of this slug, of which they must be a member.
async fn entered(state: &AppState, caller: Caller, slug: &str) -> Result<Ctx, Error> {
    state
        .services
        .enter(caller, Some(slug))
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Workspace '{}' not found", shown(slug))))
}

/// Refuses what is said of a workspace and cannot be kept.
fn check_places(fields: &Fields) -> Result<(), Error> {
    if !fields.text_or_empty("default_artifact_root")?.is_empty() {
        check_artifact_location(fields.text_or_empty("default_artifact_root")?)?;
    }
    if fields.object("trace_archival_config")?.is_some() {
        return Err(Error::invalid_field("trace_archival_config", "Traces are not kept here, and so not archived."));
    }
    Ok(())
}

async fn list(State(state): State<AppState>, SignedIn(caller): SignedIn) -> Result<Json<Value>, MlflowError> {
    let workspaces = state.services.workspaces_of(&caller.user).await?;
    let workspaces: Vec<Value> = workspaces.iter().map(|(workspace, _)| wire(workspace)).collect();
    Ok(Json(if workspaces.is_empty() { json!({}) } else { json!({ "workspaces": workspaces }) }))
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<(StatusCode, Json<Value>), MlflowError> {
    check_places(&fields)?;
    let slug = fields.required("name")?;
    let name = fields.text("description")?.filter(|text| !text.trim().is_empty()).unwrap_or(slug);
    let caller = ctx.caller.as_ref().ok_or_else(Error::internal)?;
    let workspace = state.services.create_workspace(caller, slug, name).await?;
    Ok((StatusCode::CREATED, Json(json!({ "workspace": wire(&workspace) }))))
}

async fn get(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Path(slug): Path<String>,
) -> Result<Json<Value>, MlflowError> {
    let ctx = entered(&state, caller, &slug).await?;
    Ok(Json(json!({ "workspace": wire(&ctx.workspace) })))
}

async fn update(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Path(slug): Path<String>,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let ctx = entered(&state, caller, &slug).await?;
    check_places(&fields)?;
    let Some(name) = fields.text("description")? else {
        return Err(Error::invalid("Workspace update must have at least one key").into());
    };
    let workspace = state.services.rename_workspace(&ctx, name).await?;
    Ok(Json(json!({ "workspace": wire(&workspace) })))
}

async fn delete(
    State(state): State<AppState>,
    SignedIn(caller): SignedIn,
    Path(slug): Path<String>,
) -> Result<Json<Value>, MlflowError> {
    entered(&state, caller, &slug).await?;
    let message =
        "A workspace is not deleted here: its history is kept. Remove its members, and nobody sees it any more.";
    Err(Error::new(ErrorKind::NotImplemented, message).into())
}
