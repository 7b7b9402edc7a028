//! An installation with a model to promote, and people who decide.

use crate::slipway::{PATIENCE, Process, Slipway};
use artifacts::Artifacts;
use domain::{
    id::{ModelId, ModelVersionId},
    model::{VersionFile, manifest_digest},
    permission::{Role, Scope},
    user::{Email, Password},
};
use outbound::Outbound;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use services::{NewToken, NewUser, SecretKeys, Services};
use std::{fs, path::Path, time::Duration};
use tokio::time::{Instant, sleep};

/// The model of all versions.
pub(crate) const MODEL: &str = "churn";

pub(crate) struct World {
    pub(crate) slipway: Slipway,
    pub(crate) http: reqwest::Client,
    /// Another process of the installation, which may send to this machine.
    pub(crate) services: Services,
    /// Tokens.
    pub(crate) admin: String,
    pub(crate) first: String,
    pub(crate) second: String,
    pub(crate) machine: String,
    pub(crate) server: Process,
}

impl World {
    /// One whose server has these options. Two people approve what is to enter production.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let (slipway, server) = Slipway::start(options).await;
        let artifacts = Artifacts::open_dir(slipway.data().join("artifacts")).await.unwrap();
        let services = Services::new(slipway.pool().clone(), artifacts)
            .with_outbound(Outbound::new(true))
            .with_secret_keys(SecretKeys::in_folder(&slipway.data().join("secret-keys")));
        let (admin, first, second, machine) = (
            token(&services, "admin", Role::Admin).await,
            token(&services, "first", Role::Approver).await,
            token(&services, "second", Role::Approver).await,
            token(&services, "machine", Role::Contributor).await,
        );
        // A connection that is kept would be one to a server that may have been stopped meanwhile.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let world = Self { slipway, http, services, admin, first, second, machine, server };
        world.policy(2).await;
        world
    }

    pub(crate) async fn send(&self, token: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}/api/v1/{path}", self.slipway.url)).bearer_auth(token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    pub(crate) async fn ok(&self, token: &str, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.send(token, method, path, body).await;
        assert!(status.is_success(), "{path} answered {status}: {answer}");
        answer
    }

    pub(crate) async fn policy(&self, approvals: u8) {
        let policy = json!({
            "scope": { "environments": ["production"] }, "gates": [], "rule": { "approvals": approvals },
        });
        self.ok(&self.admin, Method::PUT, "policies/production", policy).await;
    }

    /// A version of a model that can be served, with golden rows. Its model is a file that no other version has; tells
    /// where the artifact store keeps it.
    pub(crate) async fn version(&self, number: i32) -> std::path::PathBuf {
        let root = self.slipway.data().join("artifacts");
        let artifacts = Artifacts::open_dir(&root).await.unwrap();
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/serving/fixtures");
        let mut onnx = fs::read(fixtures.join("classifier.onnx")).unwrap();
        // Its documentation, which is field 6 of the message and says what was said last.
        let documentation = format!("version {number}");
        onnx.extend([0x32, u8::try_from(documentation.len()).unwrap()]);
        onnx.extend(documentation.into_bytes());
        let fixture: Value = serde_json::from_slice(&fs::read(fixtures.join("classifier.json")).unwrap()).unwrap();
        let golden = json!({ "inputs": fixture["request"]["inputs"], "outputs": fixture["outputs"] });
        let mut files = Vec::new();
        for (path, bytes) in [("golden.json", golden.to_string().into_bytes()), ("model.onnx", onnx)] {
            let stored = artifacts.put_bytes(bytes).await.unwrap();
            files.push(VersionFile { path: path.to_owned(), digest: stored.digest, size: stored.size as i64 });
        }
        let workspace = self.services.ensure_default_workspace().await.unwrap();
        sqlx::query("insert into models (id, workspace_id, name) values ($1, $2, $3) on conflict do nothing")
            .bind(ModelId::new().0)
            .bind(workspace.id.0)
            .bind(MODEL)
            .execute(self.slipway.pool())
            .await
            .unwrap();
        sqlx::query(
            "with version as (
                 insert into model_versions (id, model_id, version, source, digest, flavors)
                 select $1, id, $2, 'runs:/x/model', $3, array['onnx'] from models where name = $4
                 returning id
             )
             insert into model_version_files (model_version_id, path, digest, size)
             select id, path, digest, size
             from version, unnest($5::text[], $6::text[], $7::bigint[]) file (path, digest, size)",
        )
        .bind(ModelVersionId::new().0)
        .bind(number)
        .bind(manifest_digest(&files).unwrap().unwrap().as_str())
        .bind(MODEL)
        .bind(files.iter().map(|file| file.path.clone()).collect::<Vec<_>>())
        .bind(files.iter().map(|file| file.digest.to_string()).collect::<Vec<_>>())
        .bind(files.iter().map(|file| file.size).collect::<Vec<_>>())
        .execute(self.slipway.pool())
        .await
        .unwrap();
        let digest = files[1].digest.to_string();
        let hex = digest.trim_start_matches("blake3:");
        root.join("blobs").join(&hex[..2]).join(&hex[2..])
    }

    /// Looks until the promotion of this version awaits approval.
    pub(crate) async fn awaiting(&self, version: i32) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let path = format!("promotions?model={MODEL}&version={version}&state=awaiting_approval");
            let list = self.ok(&self.first, Method::GET, &path, Value::Null).await;
            if let Some(found) = list["items"].get(0) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "nobody is asked");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn decide(&self, who: &str, promotion: &Value, verdict: &str) {
        let path = format!("promotions/{}/decisions", promotion["number"]);
        let body =
            json!({ "verdict": verdict, "comment": "Looked at it.", "subject_digest": promotion["subject_digest"] });
        self.ok(who, Method::POST, &path, body).await;
    }
}

async fn token(services: &Services, name: &str, role: Role) -> String {
    let email = Email::parse(&format!("{name}@lab.test")).unwrap();
    let password = Password::choose("correct horse battery".to_owned()).unwrap();
    let new = NewUser { email: email.clone(), name: name.to_owned(), password };
    services.create_user(new, [role].into()).await.unwrap();
    let new = NewToken { name: "test".to_owned(), scope: Scope::Admin, days: Some(1) };
    services.create_token_for(&email, new).await.unwrap().secret
}
