//! Large files in parts, as MLflow's clients send them when `server-info` says that they may: begin, a PUT for each part,
//! complete. The parts come without the client's credentials, at addresses of ours and with a key that is good for nothing
//! else.

use super::{
    MlflowError,
    address::address,
    answer::{Empty, done},
    fields::Fields,
};
use crate::{
    access::{Access, Context, UPLOAD_KEY, Uploading},
    extract::{Path, content_length},
    router::Routes,
    state::AppState,
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use domain::{
    Error,
    id::UploadId,
    permission::Permission,
    upload::{SentPart, UploadPart},
};
use serde_json::{Value, json};

pub(super) fn routes(routes: Routes) -> Routes {
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .mlflow(Method::POST, "/2.0/mlflow-artifacts/mpu/create/{*path}", write, create)
        .mlflow(Method::POST, "/2.0/mlflow-artifacts/mpu/complete/{*path}", write, complete)
        .mlflow(Method::POST, "/2.0/mlflow-artifacts/mpu/abort/{*path}", write, abort)
        .mlflow(Method::PUT, "/2.0/mlflow-artifacts/mpu/parts/{upload_id}/{number}", Access::UploadKey, put_part)
}

fn upload_id(text: &str) -> Result<UploadId, Error> {
    text.parse().map_err(|_| Error::invalid_field("upload_id", "This is no upload_id that the server gave."))
}

async fn create(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(folder): Path<String>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Json<Value>, MlflowError> {
    let (file, parts) = (fields.required("path")?, fields.integer("num_parts")?.unwrap_or(1));
    let begun = state.services.begin_upload(&ctx, &folder, file, parts).await?;
    let (address, id) = (address(&state.public_url, &headers), begun.upload.id);
    let credential = |number: u32| {
        json!({
            "url": format!("{address}/api/2.0/mlflow-artifacts/mpu/parts/{id}/{number}"),
            "part_number": number,
            "headers": { UPLOAD_KEY.as_str(): begun.key },
        })
    };
    let credentials: Vec<Value> = (1..=begun.upload.parts).map(credential).collect();
    Ok(Json(json!({ "upload_id": id, "credentials": credentials })))
}

async fn put_part(
    State(state): State<AppState>,
    Uploading(upload): Uploading,
    Path((id, number)): Path<(String, String)>,
    request: Request,
) -> Result<Response, MlflowError> {
    if upload_id(&id)? != upload.id {
        return Err(Error::invalid("The key is that of another upload.").into());
    }
    let number = number.parse().map_err(|_| Error::invalid("The number of a part is a whole number."))?;
    let length = content_length(request.headers());
    let stream = request.into_body().into_data_stream();
    let digest = state.services.put_upload_part(&upload, number, length, stream).await?;
    let mut response = Response::new(Body::empty());
    if let Ok(etag) = HeaderValue::from_str(&UploadPart::etag(&digest)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    Ok(response)
}

async fn complete(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(folder): Path<String>,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    let (file, id) = (fields.required("path")?, upload_id(fields.required("upload_id")?)?);
    let part = |part: Fields| -> Result<SentPart, Error> {
        let number = part.integer("part_number")?.unwrap_or_default();
        Ok(SentPart { number, etag: part.text_or_empty("etag")?.to_owned() })
    };
    let parts: Vec<SentPart> = fields.objects("parts")?.into_iter().map(part).collect::<Result<_, _>>()?;
    state.services.complete_upload(&ctx, &folder, file, id, &parts).await?;
    Ok(done())
}

async fn abort(
    State(state): State<AppState>,
    Context(ctx): Context,
    Path(folder): Path<String>,
    fields: Fields,
) -> Result<Empty, MlflowError> {
    let (file, id) = (fields.required("path")?, upload_id(fields.required("upload_id")?)?);
    state.services.abort_upload(&ctx, &folder, file, id).await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_where_the_client_reached_the_server() {
        let at = |public: &str, pairs: &[(&'static str, &str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()));
            address(public, &pairs.collect())
        };
        let public = "https://slipway.example";
        assert_eq!(at(public, &[("host", "slipway.example")]), public);
        assert_eq!(at(public, &[]), public);
        assert_eq!(at(public, &[("host", "slipway:3000")]), "http://slipway:3000");
        assert_eq!(
            at("http://0.0.0.0:3000", &[("host", "ml.example"), ("x-forwarded-proto", "https")]),
            "https://ml.example"
        );
        assert_eq!(at("https://ml.example/slipway", &[("host", "ml.example")]), "https://ml.example/slipway");
    }
}
