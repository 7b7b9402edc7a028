//! Registering a model from its run's page.

use super::{fields, value};
use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::{Value, json};

/// A contributor with a run, who also looks at pages.
struct World {
    app: TestApp,
    ada: Client,
    page: Client,
    run: String,
    experiment: String,
}

impl World {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let ada = app.member(Role::Contributor).await;
        let page = app.browser(ada.user()).await.in_workspace("default");
        let experiment = ada.experiment("wine").await;
        let run = ada.run(&experiment).await;
        Self { app, ada, page, run, experiment }
    }

    fn form(&self) -> String {
        format!("/runs/{}/register", self.run)
    }

    /// A folder of the run's files with a model in it.
    async fn folder(&self, path: &str) -> String {
        let file = format!("{}/{}/artifacts/{path}/MLmodel", self.experiment, self.run);
        self.ada.upload(&file, b"flavors: {}").await.ok();
        format!("runs:/{}/{path}", self.run)
    }

    /// A logged model of the run, with a file.
    async fn logged(&self, name: &str) -> String {
        let new = json!({ "experiment_id": self.experiment, "name": name, "source_run_id": self.run });
        let made = self.ada.ml("logged-models", new).await.ok();
        let id = made["model"]["info"]["model_id"].as_str().unwrap().to_owned();
        self.ada.upload(&format!("{}/models/{id}/artifacts/MLmodel", self.experiment), b"flavors: {}").await.ok();
        id
    }

    async fn finish(&self, id: &str) {
        let status = json!({ "model_id": id, "status": "LOGGED_MODEL_READY" });
        self.ada.patch(&format!("/api/2.0/mlflow/logged-models/{id}"), status).await.ok();
    }

    async fn version(&self, model: &str, version: i32) -> Value {
        let path = format!("model-versions/get?name={model}&version={version}");
        self.ada.ml_get(&path).await.ok()["model_version"].clone()
    }

    async fn no_model_is_there(&self) {
        let found = self.ada.ml_get("registered-models/search").await.ok();
        assert!(found.get("registered_models").is_none_or(|models| models == &json!([])), "{found}");
    }
}

#[tokio::test]
async fn a_logged_model_is_registered_under_a_new_name_and_then_again() {
    let world = World::start().await;
    let id = world.logged("classifier").await;
    let run = format!("/runs/{}", world.run);
    let html = world.page.get(&run).await.text();
    assert!(!html.contains("Register model"), "its files are not all there: {html}");
    world.finish(&id).await;
    world.page.get(&run).await.shows(200, &["Register model", &format!("/w/default{}", world.form())]);

    let source = format!("models:/{id}");
    let html = world.page.get(&world.form()).await.shows(200, &["classifier", &source]);
    assert_eq!(value(&html, "source"), source);
    let sent = fields(&[("source", &source), ("name", " wine red "), ("description", "Better.\r\nOn reds.")]);
    assert_eq!(world.page.form(&world.form(), &sent).await.leads_to(), "/w/default/models/wine%20red/versions/1");
    world.page.get("/models/wine%20red/versions/1").await.shows(200, &["wine red v1 is registered.", "Better."]);
    let version = world.version("wine%20red", 1).await;
    assert_eq!(
        (&version["source"], &version["run_id"], &version["model_id"], &version["description"]),
        (&json!(source), &json!(world.run), &json!(id), &json!("Better.\nOn reds."))
    );
    // As when a client registers it.
    let logged = world.ada.ml_get(&format!("logged-models/{id}")).await.ok();
    assert!(logged["model"]["info"]["tags"].to_string().contains("wine red"), "{logged}");
    let history = ["created the model <a href=\"/w/default/models/wine%20red\"", "registered <a", ">wine red v1</a>"];
    world.page.get("/audit").await.shows(200, &history);

    let html = world.page.get(&world.form()).await.shows(200, &["<datalist"]);
    assert!(html.contains(r#"value="wine red""#), "{html}");
    assert_eq!(world.page.form(&world.form(), &sent).await.leads_to(), "/w/default/models/wine%20red/versions/2");
    world.page.get(&run).await.shows(200, &["Register model", "Open v2"]);
}

#[tokio::test]
async fn of_several_models_one_is_chosen_by_name_and_path() {
    let world = World::start().await;
    let id = world.logged("classifier").await;
    world.finish(&id).await;
    let folder = world.folder("folds/best").await;
    world.ada.upload(&format!("{}/{}/artifacts/notes.txt", world.experiment, world.run), b"x").await.ok();
    let shown = [format!("classifier · models:/{id}"), format!("best · {folder}")];
    let html = world.page.get(&world.form()).await.shows(200, &[&shown[0], &shown[1], "<select"]);
    assert!(!html.contains("notes.txt"), "{html}");
    let sent = fields(&[("source", &folder), ("name", "wine")]);
    assert_eq!(world.page.form(&world.form(), &sent).await.leads_to(), "/w/default/models/wine/versions/1");
    let version = world.version("wine", 1).await;
    assert_eq!((&version["source"], &version["run_id"]), (&json!(folder), &json!(world.run)));
    let files = world.page.get("/models/wine/versions/1?tab=files").await;
    files.shows(200, &["MLmodel"]);

    // What was deleted is no choice any more.
    world.ada.delete(&format!("/api/2.0/mlflow/logged-models/{id}")).await.ok();
    let html = world.page.get(&world.form()).await.text();
    assert!(!html.contains(&id) && html.contains(&folder), "{html}");
    let gone = fields(&[("source", &format!("models:/{id}")), ("name", "wine")]);
    world.page.form(&world.form(), &gone).await.shows(400, &["Choose a model that the run"]);
}

#[tokio::test]
async fn what_cannot_be_registered_is_refused_with_what_was_typed_and_leaves_nothing() {
    let world = World::start().await;
    let source = world.folder("model").await;
    let other = world.ada.run(&world.experiment).await;
    let foreign = format!("runs:/{other}/model");
    let long = "x".repeat(257);
    for (source, name, description, status, why) in [
        (source.as_str(), "", "kept", 400, "Say the model"),
        (&source, "   ", "kept", 400, "Say the model"),
        (&source, "a/b", "kept", 400, "cannot contain"),
        (&source, "models:/a", "kept", 400, "cannot contain"),
        (&source, "..", "kept", 400, "must not resolve to other names"),
        (&source, "a\0b", "kept", 400, "NUL"),
        (&source, &long, "kept", 400, "maximum length of 256"),
        ("", "wine", "kept", 400, "Choose a model that the run"),
        (&foreign, "wine", "kept", 400, "Choose a model that the run"),
        ("s3://bucket/model", "wine", "kept", 400, "Choose a model that the run"),
        (&source, "wine", &"d".repeat(5001), 400, "at most 5000 characters"),
    ] {
        let sent = fields(&[("source", source), ("name", name), ("description", description)]);
        let html = world.page.form(&world.form(), &sent).await.shows(status, &[why]);
        assert!(html.contains("kept") || html.contains("dddd"), "{html}");
    }
    world.no_model_is_there().await;
}

#[tokio::test]
async fn a_run_without_a_model_and_one_that_is_deleted_register_nothing() {
    let world = World::start().await;
    let sent = |source: &str| fields(&[("source", source), ("name", "wine")]);
    world.page.get(&world.form()).await.shows(200, &["This run has no model to register", "log_model"]);
    world.page.form(&world.form(), &sent("models:/m-1")).await.shows(400, &["This run has no model to register"]);
    let source = world.folder("model").await;
    world.ada.ml("runs/delete", json!({ "run_id": world.run })).await.ok();
    let html = world.page.get(&format!("/runs/{}", world.run)).await.text();
    assert!(!html.contains("Register model"), "{html}");
    world.page.get(&world.form()).await.shows(200, &["This run is deleted"]);
    world.page.form(&world.form(), &sent(&source)).await.shows(400, &["This run is deleted"]);
    world.no_model_is_there().await;
    let nobody = format!("/runs/{}/register", domain::id::RunId::new().simple());
    world.page.get(&nobody).await.shows(404, &["There is nothing here"]);
    world.page.form(&nobody, &sent(&source)).await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn the_form_is_for_those_who_may_write_the_registry() {
    let world = World::start().await;
    let source = world.folder("model").await;
    let sent = fields(&[("source", &source), ("name", "wine")]);
    for role in Role::ALL {
        let member = world.app.member(role).await;
        let browser = world.app.browser(member.user()).await.in_workspace("default");
        let may = role.may(domain::permission::Permission::WriteRegistry);
        let html = browser.get(&format!("/runs/{}", world.run)).await.shows(200, &[]);
        assert_eq!(html.contains("Register model"), may, "{role}");
        assert_eq!(browser.get(&world.form()).await.status.as_u16(), if may { 200 } else { 403 }, "{role}");
        assert_eq!(browser.form(&world.form(), &sent).await.status.as_u16(), if may { 303 } else { 403 }, "{role}");
    }
    let (_, stranger) = world.app.second_workspace("lab").await;
    let there = world.app.browser(stranger.user()).await.in_workspace("lab");
    assert_eq!(there.get(&world.form()).await.status.as_u16(), 404);
    assert_eq!(there.form(&world.form(), &sent).await.status.as_u16(), 404);
}

#[tokio::test]
async fn those_who_register_under_one_new_name_at_once_all_get_a_version() {
    let world = World::start().await;
    let source = world.folder("model").await;
    let sent = fields(&[("source", &source), ("name", "wine")]);
    let form = world.form();
    let answers = futures::future::join_all((0..8).map(|_| world.page.form(&form, &sent))).await;
    let mut versions: Vec<&str> = answers.iter().map(|answer| answer.leads_to()).collect();
    versions.sort_unstable();
    let wanted: Vec<String> = (1..=8).map(|number| format!("/w/default/models/wine/versions/{number}")).collect();
    assert_eq!(versions, wanted);
}
