//! Registered models, versions, aliases.

use super::{names, of, version_of};
use crate::app::{Client, PUBLIC_URL, TestApp};
use axum::http::Method;
use domain::permission::Role;
use serde_json::{Value, json};

const ML: &str = "/api/2.0/mlflow";

const MLMODEL: &str = "flavors:\n  onnx:\n    data: model.onnx\n  python_function: {}\nsignature:\n  inputs: '[{\"type\": \"double\", \"name\": \"age\"}]'\n  outputs: '[{\"type\": \"long\"}]'\n";

/// A run with a model in the folder `model`: the run's id.
async fn trained(ada: &Client) -> String {
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.upload(&format!("{root}/model/MLmodel"), MLMODEL.as_bytes()).await.ok();
    ada.upload(&format!("{root}/model/model.onnx"), b"onnx").await.ok();
    ada.upload(&format!("{root}/other.txt"), b"x").await.ok();
    run
}

/// A model with a version of no files: quick to make.
async fn prompt(ada: &Client, name: &str, versions: usize) {
    ada.model(name).await;
    for _ in 0..versions {
        ada.empty_version(name).await;
    }
}

#[tokio::test]
async fn a_model_is_made_read_described_tagged_renamed_and_deleted() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let new = json!({ "name": "Churn v2", "description": "who leaves", "tags": [{ "key": "a", "value": "1" }] });
    let made = ada.ml("registered-models/create", new.clone()).await.ok()["registered_model"].clone();
    assert_eq!(
        (&made["name"], &made["description"], of(&made["tags"], "a")),
        (&json!("Churn v2"), &json!("who leaves"), &json!("1"))
    );
    let refused = ada.ml("registered-models/create", new).await.refused(400);
    assert_eq!(refused["error_code"], "RESOURCE_ALREADY_EXISTS");
    let get = async |name: &str| ada.ml_get(&format!("registered-models/get?name={name}")).await;
    assert_eq!(get("Churn%20v2").await.ok()["registered_model"]["name"], "Churn v2");

    ada.patch(&format!("{ML}/registered-models/update"), json!({ "name": "Churn v2", "description": "new" }))
        .await
        .ok();
    ada.ml("registered-models/set-tag", json!({ "name": "Churn v2", "key": "a", "value": "2" })).await.ok();
    for _ in 0..2 {
        ada.json(
            Method::DELETE,
            &format!("{ML}/registered-models/delete-tag"),
            json!({ "name": "Churn v2", "key": "none" }),
        )
        .await
        .ok();
    }
    ada.ml("registered-models/rename", json!({ "name": "Churn v2", "new_name": "churn" })).await.ok();
    get("Churn%20v2").await.refused(404);
    let read = get("churn").await.ok()["registered_model"].clone();
    assert_eq!((&read["description"], of(&read["tags"], "a")), (&json!("new"), &json!("2")));

    ada.json(Method::DELETE, &format!("{ML}/registered-models/delete"), json!({ "name": "churn" })).await.ok();
    let refused = get("churn").await.refused(404);
    assert_eq!(refused["message"], "Registered Model with name=churn not found");
    ada.model("churn").await;
    assert!(get("churn").await.ok()["registered_model"].get("tags").is_none(), "a new model of the old name is new");
}

#[tokio::test]
async fn a_version_is_the_files_of_its_source_when_it_was_registered() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = trained(&ada).await;
    ada.model("churn").await;
    let body = json!({ "name": "churn", "source": format!("runs:/{run}/model"), "run_id": run, "run_link": "https://x.example/1", "description": "first" });
    let made = ada.ml("model-versions/create", body).await.ok()["model_version"].clone();
    assert_eq!(
        (&made["version"], &made["status"], &made["run_id"], &made["current_stage"], &made["run_link"]),
        (&json!("1"), &json!("READY"), &json!(run), &json!("None"), &json!("https://x.example/1"))
    );
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().to_owned();
    let uri = ada.ml_get("model-versions/get-download-uri?name=churn&version=1").await.ok();
    let files = uri["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");

    let read = ada.get("/api/v1/models/churn/versions/1").await.ok();
    let paths = names(&read["files"], "/path");
    assert_eq!(paths, ["MLmodel", "model.onnx"]);
    assert_eq!(read["version"]["flavors"], json!(["onnx", "python_function"]));
    assert_eq!(read["version"]["signature"]["inputs"][0]["name"], "age");
    assert_eq!(read["version"]["size"], MLMODEL.len() + 4);
    let digest = read["version"]["digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"));

    // The same files again are the same digest; other files, another.
    assert_eq!(ada.version("churn", &format!("{root}/model")).await, "2");
    assert_eq!(ada.get("/api/v1/models/churn/versions/2").await.ok()["version"]["digest"], digest);
    ada.upload(&format!("{}/model/model.onnx", root.replace("mlflow-artifacts:/", "")), b"other").await.ok();
    ada.version("churn", &format!("runs:/{run}/model")).await;
    assert_ne!(ada.get("/api/v1/models/churn/versions/3").await.ok()["version"]["digest"], digest);
    assert_eq!(ada.get("/api/v1/models/churn/versions/1").await.ok()["version"]["digest"], digest);
    // Clients load what was registered, and nobody changes that.
    assert_eq!(files, format!("versions/{}", read["version"]["id"].as_str().unwrap()));
    assert_eq!(ada.download(&format!("{files}/model.onnx")).await.text(), "onnx");
    let listed = ada.get(&format!("/api/2.0/mlflow-artifacts/artifacts?path={files}")).await.ok();
    assert_eq!(names(&listed["files"], "/path"), ["MLmodel", "model.onnx"]);
    let nothing = ada.get(&format!("/api/2.0/mlflow-artifacts/artifacts?path={files}/data")).await.ok();
    assert_eq!(nothing, json!({}));
    ada.download(&format!("{files}/other")).await.refused(404);
    ada.upload(&format!("{files}/model.onnx"), b"other").await.refused(400);
    ada.delete(&format!("/api/2.0/mlflow-artifacts/artifacts/{files}/model.onnx")).await.refused(400);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.download(&format!("{files}/model.onnx")).await.refused(404);
    // Another version's files are taken over as they were.
    ada.version("churn", "models:/churn/1").await;
    assert_eq!(ada.get("/api/v1/models/churn/versions/4").await.ok()["version"]["digest"], digest);
    ada.version("churn", &format!("mlflow-artifacts:/{files}")).await;
    assert_eq!(ada.get("/api/v1/models/churn/versions/5").await.ok()["version"]["digest"], digest);
    for wrong in
        [format!("mlflow-artifacts:/{files}/data"), format!("mlflow-artifacts:/versions/{}", uuid::Uuid::now_v7())]
    {
        let answer = ada.ml("model-versions/create", json!({ "name": "churn", "source": wrong })).await;
        assert!(answer.status.is_client_error(), "{wrong}");
    }
    // Without files there is nothing to name.
    ada.version("churn", &format!("runs:/{run}/nothing")).await;
    assert_eq!(ada.get("/api/v1/models/churn/versions/6").await.ok()["version"]["digest"], Value::Null);
}

#[tokio::test]
async fn a_version_of_a_logged_model_knows_its_run() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let new = json!({ "experiment_id": "0", "name": "tree", "source_run_id": run });
    let model = ada.ml("logged-models", new).await.ok()["model"]["info"].clone();
    let (id, root) = (model["model_id"].as_str().unwrap(), model["artifact_uri"].as_str().unwrap());
    ada.upload(&format!("{}/MLmodel", root.replace("mlflow-artifacts:/", "")), MLMODEL.as_bytes()).await.ok();
    ada.model("churn").await;
    // By its id, by the run and its name, and by its address.
    for source in [format!("models:/{id}"), format!("runs:/{run}/tree"), root.to_owned()] {
        let made = ada.ml("model-versions/create", version_of("churn", &source)).await.ok();
        assert_eq!(
            (&made["model_version"]["run_id"], &made["model_version"]["model_id"]),
            (&json!(run), &json!(id)),
            "{source}"
        );
        let version = made["model_version"]["version"].as_str().unwrap();
        let uri = ada.ml_get(&format!("model-versions/get-download-uri?name=churn&version={version}")).await.ok();
        assert!(uri["artifact_uri"].as_str().unwrap().starts_with("mlflow-artifacts:/versions/"), "{uri}");
    }
    // Of the run's folder it is only known here that a logged model is behind it.
    let read = ada.ml_get(&format!("logged-models/{id}")).await.ok()["model"]["info"].clone();
    let versions = r#"[{"name": "churn", "version": 1}, {"name": "churn", "version": 3}]"#;
    assert_eq!(of(&read["tags"], "mlflow.modelVersions"), versions);
    let other =
        ada.ml("logged-models", json!({ "experiment_id": "0" })).await.ok()["model"]["info"]["model_id"].clone();
    for wrong in [
        json!({ "name": "churn", "source": format!("models:/{id}"), "model_id": other }),
        json!({ "name": "churn", "source": format!("models:/{id}"), "run_id": run }),
        json!({ "name": "churn", "source": format!("models:/{id}"), "model_id": id, "run_id": ada.run("0").await }),
        json!({ "name": "churn", "source": format!("models:/{id}") }),
        json!({ "name": "churn", "source": format!("runs:/{run}/tree") }),
        json!({ "name": "churn", "source": format!("runs:/{run}/tree"), "model_id": id }),
        json!({ "name": "churn", "source": root }),
        json!({ "name": "churn", "source": root, "run_id": run }),
        json!({ "name": "churn", "source": "dummy-source", "run_id": run }),
        json!({ "name": "churn", "source": format!("runs:/{run}/tree"), "run_id": ada.run("0").await }),
        json!({ "name": "churn", "source": format!("runs:/{run}/x"), "model_id": other }),
    ] {
        ada.ml("model-versions/create", wrong).await.refused(400);
    }
}

#[tokio::test]
async fn a_broken_mlmodel_file_is_no_mistake() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = ada.run("0").await;
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    ada.model("churn").await;
    for content in [b"flavors: [".to_vec(), vec![0xff, 0xfe], b"a".repeat(2 << 20), b"&a [*a]".to_vec()] {
        ada.upload(&format!("{root}/m/MLmodel"), &content).await.ok();
        let version = ada.version("churn", &format!("runs:/{run}/m")).await;
        let read = ada.get(&format!("/api/v1/models/churn/versions/{version}")).await.ok();
        assert_eq!((&read["version"]["flavors"], &read["version"]["signature"]), (&json!([]), &Value::Null));
    }
}

#[tokio::test]
async fn numbers_are_given_once_whoever_asks_at_once() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 2).await;
    ada.json(Method::DELETE, &format!("{ML}/model-versions/delete"), json!({ "name": "churn", "version": "2" }))
        .await
        .ok();
    let racers = (0..12).map(|_| {
        let ada = ada.clone();
        tokio::spawn(async move { ada.empty_version("churn").await.parse::<i32>().unwrap() })
    });
    let mut numbers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        numbers.push(racer.await.unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (3..15).collect::<Vec<_>>(), "2 was deleted and is not given again");
}

#[tokio::test]
async fn aliases_move_and_their_history_stays() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 3).await;
    let alias = async |version: &str| {
        ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "champion", "version": version })).await
    };
    let points_at = async |name: &str| ada.ml_get(&format!("registered-models/alias?name=churn&alias={name}")).await;
    let refused = points_at("champion").await.refused(400);
    assert_eq!(
        (&refused["error_code"], &refused["message"]),
        (&json!("INVALID_PARAMETER_VALUE"), &json!("Registered model alias champion not found."))
    );
    for version in ["1", "2", "2"] {
        alias(version).await.ok();
    }
    let found = points_at("champion").await.ok()["model_version"].clone();
    assert_eq!((&found["version"], &found["aliases"]), (&json!("2"), &json!(["champion"])));
    assert_eq!(points_at("latest").await.ok()["model_version"]["version"], "3");
    let model = ada.ml_get("registered-models/get?name=churn").await.ok()["registered_model"].clone();
    assert_eq!(model["aliases"], json!([{ "alias": "champion", "version": "2" }]));
    assert_eq!(names(&model["latest_versions"], "/version"), ["3"]);
    let remove = async || {
        ada.json(
            Method::DELETE,
            &format!("{ML}/registered-models/alias"),
            json!({ "name": "churn", "alias": "champion" }),
        )
        .await
    };
    remove().await.ok();
    remove().await.ok();
    points_at("champion").await.refused(400);

    let history = ada.get("/api/v1/models/churn").await.ok()["alias_moves"].clone();
    let moves: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["version"].clone()).collect();
    assert_eq!(moves, [Value::Null, json!(2), json!(1)]);
    assert_eq!(history[0]["by"], ada.user().name);
    for wrong in [("latest", "1"), ("v3", "1"), ("a b", "1"), ("", "1"), ("a", "x"), ("a", "1.5")] {
        ada.ml("registered-models/alias", json!({ "name": "churn", "alias": wrong.0, "version": wrong.1 }))
            .await
            .refused(400);
    }
    for none in ["9", "0", "-1"] {
        let wrong = json!({ "name": "churn", "alias": "a", "version": none });
        ada.ml("registered-models/alias", wrong).await.refused(404);
    }
    ada.ml("registered-models/alias", json!({ "name": "none", "alias": "a", "version": "1" })).await.refused(404);
}

#[tokio::test]
async fn a_protected_alias_moves_by_a_promotion_and_no_other_way() {
    let app = TestApp::start().await;
    let admin = app.member(Role::Admin).await;
    prompt(&admin, "churn rate", 2).await;
    for environment in ["production", "staging"] {
        let link =
            format!("{PUBLIC_URL}/w/default/promotions/new?model=churn%20rate&version=2&environment={environment}");
        let stage = environment.to_uppercase();
        for (operation, body) in [
            ("registered-models/alias", json!({ "name": "churn rate", "alias": environment, "version": "2" })),
            ("model-versions/transition-stage", json!({ "name": "churn rate", "version": "2", "stage": stage })),
            (
                "model-versions/transition-stage",
                json!({ "name": "churn rate", "version": "2", "stage": stage, "archive_existing_versions": true }),
            ),
        ] {
            let refused = admin.ml(operation, body).await.refused(403);
            assert_eq!(refused["error_code"], "PERMISSION_DENIED");
            assert!(refused["message"].as_str().unwrap().contains(&link), "{refused}");
        }
    }
    assert!(
        admin.ml_get("registered-models/get?name=churn%20rate").await.ok()["registered_model"].get("aliases").is_none()
    );

    // Once a promotion has moved it, nothing else moves or drops it.
    let mut conn = app.database.pool.acquire().await.unwrap();
    let model = store::model::by_name(&mut conn, app.workspace.id, "churn rate").await.unwrap().unwrap();
    let version = store::model_version::by_number(&mut conn, app.workspace.id, "churn rate", 1).await.unwrap().unwrap();
    assert!(
        store::model::move_alias(&mut conn, model.id, "production", Some(version.id), "promotion #1").await.unwrap()
    );
    assert!(
        !store::model::move_alias(&mut conn, model.id, "production", Some(version.id), "promotion #1").await.unwrap()
    );
    admin
        .ml("registered-models/alias", json!({ "name": "churn rate", "alias": "production", "version": "1" }))
        .await
        .ok();
    for (method, operation, body) in [
        (
            Method::POST,
            "registered-models/alias",
            json!({ "name": "churn rate", "alias": "production", "version": "2" }),
        ),
        (Method::DELETE, "registered-models/alias", json!({ "name": "churn rate", "alias": "production" })),
        (Method::DELETE, "model-versions/delete", json!({ "name": "churn rate", "version": "1" })),
        (Method::DELETE, "registered-models/delete", json!({ "name": "churn rate" })),
        (Method::POST, "registered-models/rename", json!({ "name": "churn rate", "new_name": "x" })),
    ] {
        let refused = admin.json(method, &format!("{ML}/{operation}"), body).await.refused(403);
        assert_eq!(refused["error_code"], "PERMISSION_DENIED", "{operation}");
    }
    let read = admin.ml_get("registered-models/get?name=churn%20rate").await.ok()["registered_model"].clone();
    assert_eq!(read["aliases"], json!([{ "alias": "production", "version": "1" }]));
    // The other version may go.
    admin
        .json(Method::DELETE, &format!("{ML}/model-versions/delete"), json!({ "name": "churn rate", "version": "2" }))
        .await
        .ok();
}

#[tokio::test]
async fn where_the_policy_says_so_moving_a_protected_alias_asks_for_the_promotion_once() {
    let app = TestApp::start().await;
    let (admin, ada, viewer) =
        (app.member(Role::Admin).await, app.member(Role::Contributor).await, app.member(Role::Viewer).await);
    let policy = json!({ "gates": [], "rule": { "approvals": 1 }, "order": "skip", "alias_moves": "request" });
    admin.put("/api/v1/environments/production/policy", policy).await.ok();
    let run = trained(&ada).await;
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    let alias = json!({ "name": "churn", "alias": "production", "version": "1" });
    let promotions = async || ada.get("/api/v1/promotions").await.ok()["items"].as_array().unwrap().clone();

    // Whoever may not ask for it asks for nothing.
    viewer.ml("registered-models/alias", alias.clone()).await.refused(403);
    assert!(promotions().await.is_empty());

    let link = format!("{PUBLIC_URL}/w/default/promotions/1");
    let refused = ada.ml("registered-models/alias", alias.clone()).await.refused(403);
    assert_eq!(refused["error_code"], "PERMISSION_DENIED");
    let told = refused["message"].as_str().unwrap();
    assert!(told.contains("Promotion #1 was requested for you") && told.contains(&link), "{told}");
    let [asked] = promotions().await.try_into().unwrap();
    assert_eq!(
        (&asked["model"], &asked["version"], &asked["environment"]),
        (&json!("churn"), &json!(1), &json!("production"))
    );
    assert_eq!(asked["comment"], "Asked for by moving production of churn to v1.");

    // Again, by stage, and by somebody else: it is the same request.
    let stage = json!({ "name": "churn", "version": "1", "stage": "Production" });
    for (who, operation, body) in [
        (&ada, "registered-models/alias", &alias),
        (&admin, "registered-models/alias", &alias),
        (&ada, "model-versions/transition-stage", &stage),
    ] {
        let told = who.ml(operation, body.clone()).await.refused(403)["message"].as_str().unwrap().to_owned();
        assert!(told.contains("Promotion #1 of churn v1 is under way") && told.contains(&link), "{told}");
    }
    assert_eq!(promotions().await.len(), 1);
    let read = ada.ml_get("registered-models/get?name=churn").await.ok();
    assert!(read["registered_model"].get("aliases").is_none(), "nothing has moved: {read}");
}

#[tokio::test]
async fn a_promotion_that_is_under_way_is_named_instead_of_its_form() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = trained(&ada).await;
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    let new = json!({ "model": "churn", "version": 1, "environment": "production", "comment": "" });
    let number = ada.post("/api/v1/promotions", new).await.ok()["number"].as_i64().unwrap();
    let alias = json!({ "name": "churn", "alias": "production", "version": "1" });
    let refused = ada.ml("registered-models/alias", alias).await.refused(403);
    let message = refused["message"].as_str().unwrap();
    assert!(message.ends_with(&format!("{PUBLIC_URL}/w/default/promotions/{number}")), "{message}");
}

#[tokio::test]
async fn an_alias_that_no_environment_is_named_after_moves_freely() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 1).await;
    sqlx::query("update environments set name = 'rehearsal' where name = 'staging'")
        .execute(&app.database.pool)
        .await
        .unwrap();
    ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "staging", "version": "1" })).await.ok();
    let staged = ada
        .ml("model-versions/transition-stage", json!({ "name": "churn", "version": "1", "stage": "staging" }))
        .await
        .ok();
    assert_eq!(staged["model_version"]["current_stage"], "Staging");
    let (_, elsewhere) = app.second_workspace("elsewhere").await;
    prompt(&elsewhere, "churn", 1).await;
    elsewhere
        .ml("registered-models/alias", json!({ "name": "churn", "alias": "staging", "version": "1" }))
        .await
        .refused(403);
}

#[tokio::test]
async fn stages_are_kept_for_old_clients() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 3).await;
    sqlx::query("update environments set name = 'our ' || name").execute(&app.database.pool).await.unwrap();
    let transition = async |version: &str, stage: &str, archive: bool| {
        let body = json!({ "name": "churn", "version": version, "stage": stage, "archive_existing_versions": archive });
        ada.ml("model-versions/transition-stage", body).await
    };
    transition("1", "Production", false).await.ok();
    transition("2", "production", true).await.ok();
    transition("3", "Archived", false).await.ok();
    let stages = async |body: Value| {
        let found = ada.ml("registered-models/get-latest-versions", body).await.ok()["model_versions"].clone();
        names(&found, "/current_stage")
            .into_iter()
            .zip(names(&found, "/version"))
            .map(|(stage, version)| format!("{stage}{version}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(stages(json!({ "name": "churn" })).await, ["Production2", "Archived3"]);
    assert_eq!(stages(json!({ "name": "churn", "stages": ["Production"] })).await, ["Production2"]);
    let by_get = ada.ml_get("registered-models/get-latest-versions?name=churn&stages=Archived").await.ok();
    assert_eq!(names(&by_get["model_versions"], "/version"), ["3"]);
    transition("1", "Nope", false).await.refused(400);
    transition("1", "None", true).await.refused(400);
    ada.ml("registered-models/get-latest-versions", json!({ "name": "churn", "stages": ["Nope"] })).await.refused(400);
}

#[tokio::test]
async fn versions_are_described_tagged_and_deleted() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 2).await;
    let key = json!({ "name": "churn", "version": "1" });
    let with = |more: Value| {
        let mut body = key.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    ada.patch(&format!("{ML}/model-versions/update"), with(json!({ "description": "good" }))).await.ok();
    ada.ml("model-versions/set-tag", with(json!({ "key": "a", "value": "1" }))).await.ok();
    ada.ml("model-versions/set-tag", with(json!({ "key": "b", "value": "1" }))).await.ok();
    ada.json(Method::DELETE, &format!("{ML}/model-versions/delete-tag"), with(json!({ "key": "b" }))).await.ok();
    ada.ml("registered-models/alias", with(json!({ "alias": "best" }))).await.ok();
    let read = ada.ml_get("model-versions/get?name=churn&version=1").await.ok()["model_version"].clone();
    assert_eq!((&read["description"], &read["tags"]), (&json!("good"), &json!([{ "key": "a", "value": "1" }])));
    // As a script would, by the query.
    ada.delete(&format!("{ML}/model-versions/delete?name=churn&version=1")).await.ok();
    let refused = ada.ml_get("model-versions/get?name=churn&version=1").await.refused(404);
    assert_eq!(refused["message"], "Model Version (name=churn, version=1) not found");
    ada.ml_get("registered-models/alias?name=churn&alias=best").await.refused(400);
    ada.ml_get("model-versions/get?name=churn&version=x").await.refused(400);
    ada.ml_get("model-versions/get?name=churn").await.refused(400);
}

#[tokio::test]
async fn models_and_versions_are_searched() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    for (name, team) in [("churn-a", "x"), ("churn-b", "y"), ("wine", "x")] {
        ada.ml("registered-models/create", json!({ "name": name, "tags": [{ "key": "team", "value": team }] }))
            .await
            .ok();
        ada.empty_version(name).await;
    }
    let tags = json!([{ "key": "mlflow.prompt.is_prompt", "value": "true" }]);
    ada.ml("registered-models/create", json!({ "name": "a-prompt", "tags": tags })).await.ok();
    let new = json!({
        "name": "a-prompt", "source": "dummy-source",
        "tags": [{ "key": "mlflow.prompt.is_prompt", "value": "true" }, { "key": "mlflow.prompt.text", "value": "Hello {{x}}" }],
    });
    ada.ml("model-versions/create", new).await.ok();
    ada.empty_version("wine").await;

    let models = async |filter: &str| {
        let found = ada.ml_get(&format!("registered-models/search?filter={}", super::escaped(filter))).await.ok();
        names(&found["registered_models"], "/name").join(" ")
    };
    assert_eq!(models("").await, "churn-a churn-b wine");
    assert_eq!(models("name LIKE 'churn%'").await, "churn-a churn-b");
    assert_eq!(models("name ILIKE 'CHURN%' AND tags.team = 'y'").await, "churn-b");
    assert_eq!(models("name IN ('wine', 'a-prompt')").await, "wine");
    assert_eq!(models("tags.team IS NOT NULL AND tags.team != 'x'").await, "churn-b");
    assert_eq!(models("tags.`mlflow.prompt.is_prompt` = 'true'").await, "a-prompt");
    assert_eq!(models("tags.`mlflow.prompt.is_prompt` != 'true'").await, "churn-a churn-b wine");
    let page = ada.ml_get("registered-models/search?max_results=2&order_by=name%20DESC").await.ok();
    assert_eq!(names(&page["registered_models"], "/name"), ["wine", "churn-b"]);
    let token = page["next_page_token"].as_str().unwrap();
    let rest = ada
        .ml_get(&format!("registered-models/search?max_results=2&order_by=name%20DESC&page_token={token}"))
        .await
        .ok();
    assert_eq!(names(&rest["registered_models"], "/name"), ["churn-a"]);
    ada.ml_get("registered-models/search?order_by=creation_timestamp&order_by=last_updated_timestamp%20DESC")
        .await
        .ok();
    ada.ml_get("registered-models/search?max_results=1001").await.refused(400);
    ada.ml_get("registered-models/search?filter=nonsense").await.refused(400);

    let versions = async |filter: &str| {
        let found = ada
            .ml_get(&format!(
                "model-versions/search?order_by=name&order_by=version_number&filter={}",
                super::escaped(filter)
            ))
            .await
            .ok();
        let found = &found["model_versions"];
        names(found, "/name")
            .into_iter()
            .zip(names(found, "/version"))
            .map(|(name, version)| format!("{name}{version}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(versions("").await, "churn-a1 churn-b1 wine1 wine2");
    assert_eq!(versions("name = 'wine'").await, "wine1 wine2");
    assert_eq!(versions("version_number > 1").await, "wine2");
    assert_eq!(versions("name != 'wine' AND source_path LIKE '%/nothing'").await, "churn-a1 churn-b1");
    assert_eq!(versions("run_id = 'x'").await, "");
    assert_eq!(versions("tags.`mlflow.prompt.is_prompt` = 'true'").await, "a-prompt1");
    assert_eq!(versions("tags.a = 'b'").await, "");
    let newest = ada.ml_get("model-versions/search?max_results=1").await.ok();
    assert_eq!(names(&newest["model_versions"], "/version"), ["2"]);
    ada.ml_get("model-versions/search?max_results=200001").await.refused(400);
    ada.ml_get("model-versions/search?max_results=200000&order_by=creation_timestamp&order_by=last_updated_timestamp")
        .await
        .ok();
}

#[tokio::test]
async fn prompts_are_known_by_the_tags_that_mlflow_looks_at() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let tag = |value: &str| json!([{ "key": "mlflow.prompt.is_prompt", "value": value }]);
    ada.model("churn").await;
    ada.empty_version("churn").await;
    // Its version is a prompt, and it is none itself.
    ada.model("mixed").await;
    let prompt = json!({ "name": "mixed", "source": "dummy-source", "tags": tag("true") });
    ada.ml("model-versions/create", prompt).await.ok();
    ada.empty_version("mixed").await;
    // It is a prompt, and its version is none.
    ada.ml("registered-models/create", json!({ "name": "outer", "tags": tag("true") })).await.ok();
    ada.empty_version("outer").await;
    for value in ["TRUE", "false"] {
        ada.ml("registered-models/create", json!({ "name": value, "tags": tag(value) })).await.ok();
    }
    let search = async |what: &str, field: &str, comparison: &str| {
        let filter = match comparison {
            "" => String::new(),
            comparison => format!("tags.`mlflow.prompt.is_prompt` {comparison}"),
        };
        let order = "order_by=name";
        let found = ada.ml_get(&format!("{what}/search?{order}&filter={}", super::escaped(&filter))).await.ok();
        names(&found[field], "/name").join(" ")
    };
    for (comparison, found) in [
        ("", "TRUE churn false mixed"),
        ("!= 'true'", "TRUE churn false mixed"),
        ("= 'false'", "TRUE churn false mixed"),
        ("= 'true'", "outer"),
        ("= 'TRUE'", "TRUE"),
        ("!= 'false'", "TRUE outer"),
    ] {
        assert_eq!(search("registered-models", "registered_models", comparison).await, found, "{comparison}");
    }
    for (comparison, found) in [
        ("", "churn outer"),
        ("!= 'true'", "churn outer"),
        ("= 'false'", "churn outer"),
        ("= 'true'", "mixed"),
        ("!= 'false'", "mixed"),
        ("= 'TRUE'", ""),
    ] {
        assert_eq!(search("model-versions", "model_versions", comparison).await, found, "{comparison}");
    }
    // Without the version that was a prompt, the other is one of a model again.
    let first = json!({ "name": "mixed", "version": "1" });
    ada.json(Method::DELETE, &format!("{ML}/model-versions/delete"), first).await.ok();
    assert_eq!(search("model-versions", "model_versions", "").await, "churn mixed outer");
}

#[tokio::test]
async fn a_version_is_found_by_its_run() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = trained(&ada).await;
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    ada.empty_version("churn").await;
    let found = ada.ml_get(&format!("model-versions/search?filter=run_id%20%3D%20%27{run}%27")).await.ok();
    assert_eq!(names(&found["model_versions"], "/version"), ["1"]);
}

#[tokio::test]
async fn a_model_is_known_in_its_workspace_alone() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let run = trained(&ada).await;
    ada.model("churn").await;
    ada.version("churn", &format!("runs:/{run}/model")).await;
    let (_, stranger) = app.second_workspace("elsewhere").await;
    stranger.ml_get("registered-models/get?name=churn").await.refused(404);
    stranger.model("churn").await;
    stranger.ml_get("model-versions/get?name=churn&version=1").await.refused(404);
    for source in [
        format!("runs:/{run}/model"),
        "models:/churn/1".to_owned(),
        ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().to_owned(),
    ] {
        stranger.ml("model-versions/create", version_of("churn", &source)).await.refused(404);
    }
    assert_eq!(stranger.ml_get("model-versions/search").await.ok(), json!({}));
}

#[tokio::test]
async fn changes_of_the_registry_are_history() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    prompt(&ada, "churn", 1).await;
    let key = json!({ "name": "churn", "version": "1", "alias": "best", "key": "a", "value": "b", "description": "x", "stage": "Archived", "new_name": "churn2" });
    for (method, operation) in [
        (Method::PATCH, "registered-models/update"),
        (Method::POST, "registered-models/set-tag"),
        (Method::DELETE, "registered-models/delete-tag"),
        (Method::PATCH, "model-versions/update"),
        (Method::POST, "model-versions/set-tag"),
        (Method::DELETE, "model-versions/delete-tag"),
        (Method::POST, "model-versions/transition-stage"),
        (Method::POST, "registered-models/alias"),
        (Method::DELETE, "registered-models/alias"),
        (Method::DELETE, "model-versions/delete"),
        (Method::POST, "registered-models/rename"),
    ] {
        ada.json(method, &format!("{ML}/{operation}"), key.clone()).await.ok();
    }
    ada.json(Method::DELETE, &format!("{ML}/registered-models/delete"), json!({ "name": "churn2" })).await.ok();
    let events = ada.get("/api/v1/audit-events").await.ok();
    let mut actions = names(&events["items"], "/action");
    actions.reverse();
    let actions: Vec<_> = actions.iter().filter(|action| action.starts_with("model")).map(String::as_str).collect();
    assert_eq!(
        actions,
        [
            "model.created",
            "model_version.registered",
            "model.described",
            "model.tag_set",
            "model.tag_deleted",
            "model_version.described",
            "model_version.tag_set",
            "model_version.tag_deleted",
            "model_version.stage_moved",
            "model.alias_moved",
            "model.alias_removed",
            "model_version.deleted",
            "model.renamed",
            "model.deleted",
        ]
    );
}
