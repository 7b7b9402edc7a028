//! Databricks' dialect of MLflow: comments on versions.

use super::{
    MlflowError,
    answer::{Empty, done},
    fields::Fields,
};
use crate::{
    access::{Access, Context},
    router::Routes,
    state::AppState,
};
use axum::{Json, extract::State, http::Method};
use domain::{Error, ErrorKind, comment::Comment, id::CommentId, permission::Permission};
use serde_json::{Value, json};
use services::Ctx;

pub(super) fn routes(routes: Routes) -> Routes {
    let comment = Access::Needs(Permission::Comment);
    routes
        .mlflow(Method::POST, "/2.0/mlflow/comments/create", comment, create)
        .mlflow(Method::PATCH, "/2.0/mlflow/comments/update", comment, update)
        .mlflow(Method::DELETE, "/2.0/mlflow/comments/delete", comment, delete)
}

fn commented(ctx: &Ctx, comment: &Comment) -> Json<Value> {
    let is_own = ctx.user().is_some_and(|user| user.id == comment.author_id);
    let actions: &[&str] = if is_own { &["EDIT_COMMENT", "DELETE_COMMENT"] } else { &[] };
    Json(json!({
        "comment": {
            "id": comment.id,
            "comment": comment.text,
            "user_id": comment.author,
            "creation_timestamp": comment.created_at.timestamp_millis(),
            "last_updated_timestamp": comment.updated_at.timestamp_millis(),
            "available_actions": actions,
        }
    }))
}

fn comment_id(fields: &Fields) -> Result<CommentId, Error> {
    let id = fields.required("id")?;
    id.parse().map_err(|_| Error::new(ErrorKind::NotFound, "There is no such comment in this workspace."))
}

/// A refusal of a comment's text, which this dialect calls otherwise.
fn of_text(error: Error) -> Error {
    if error.field.as_deref() == Some("text") { error.in_field("comment") } else { error }
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (name, version, text) = (fields.model_name()?, fields.version()?, fields.required("comment")?);
    let comment = state.services.comment_on_version(&ctx, name, version, text).await.map_err(of_text)?;
    Ok(commented(&ctx, &comment))
}

async fn update(
    State(state): State<AppState>,
    Context(ctx): Context,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (id, text) = (comment_id(&fields)?, fields.required("comment")?);
    let comment = state.services.update_comment(&ctx, id, text).await.map_err(of_text)?;
    Ok(commented(&ctx, &comment))
}

async fn delete(State(state): State<AppState>, Context(ctx): Context, fields: Fields) -> Result<Empty, MlflowError> {
    state.services.delete_comment(&ctx, comment_id(&fields)?).await?;
    Ok(done())
}
