//! The pages of models: the list, one with its versions, its aliases as of a moment, its card, versions compared; and the
//! forms that make a model and set its aliases.

use super::{browser, fields, value};
use crate::app::{Client, TestApp};
use domain::permission::Role;
use serde_json::json;

/// A contributor, and the same as a browser.
async fn contributor(app: &TestApp) -> (Client, Client) {
    let ada = app.member(Role::Contributor).await;
    let browser = app.browser(ada.user()).await.in_workspace("default");
    (ada, browser)
}

#[tokio::test]
async fn models_are_filtered_sorted_and_counted() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    browser.get("/models").await.shows(200, &["No model is registered yet", "mlflow.register_model"]);
    for name in ["churn", "wine", "wine-red"] {
        ada.model(name).await;
    }
    ada.empty_version("wine").await;
    ada.ml("registered-models/set-tag", json!({ "name": "wine", "key": "team", "value": "lab" })).await.ok();
    let person = ada.user().name.clone();
    browser.get("/models").await.shows(200, &["3 models", "v1", &format!("by {person}"), "tags.team = 'lab'"]);
    let html = browser.get("/models?q=wine&sort=name").await.shows(200, &["2 models", "/w/default/models/wine-red"]);
    assert!(html.find("/models/wine\"") < html.find("/models/wine-red\""), "{html}");
    assert!(!html.contains("/models/churn\""), "{html}");
    browser.get("/models?q=tags.team%20%3D%20%27lab%27").await.shows(200, &["1 model"]);
    browser.get("/models?q=name%20%3D").await.shows(200, &["role=\"alert\"", "value=\"name =\""]);
    browser.get("/models?q=none").await.shows(200, &["No model is like that"]);
}

#[tokio::test]
async fn a_model_shows_its_versions_where_they_run_and_what_they_take() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    browser.get("/models/churn").await.shows(
        200,
        &["No version yet", "Runs no version", "mlflow.register_model", "/w/default/models/churn/card?edit=1"],
    );
    let run = ada.run("0").await;
    let metric = json!({ "key": "accuracy", "value": 0.875, "timestamp": 1, "step": 0 });
    ada.ml("runs/log-batch", json!({ "run_id": run, "metrics": [metric] })).await.ok();
    let root = ada.read_run(&run).await["info"]["artifact_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
    let golden = json!({ "inputs": { "age": [41, 17] }, "outputs": { "leaves": [0.25, 0.75] } });
    ada.upload(&format!("{root}/model/golden.json"), golden.to_string().as_bytes()).await.ok();
    for _ in 0..3 {
        ada.version("churn", &format!("runs:/{run}/model")).await;
    }
    ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": "2" })).await.ok();
    ada.delete("/api/2.0/mlflow/model-versions/delete?name=churn&version=1").await.ok();
    browser.get("/models/churn").await.shows(
        200,
        &[
            "2 versions",
            "0.875",
            "@best",
            "Compare from v2",
            "2 rows of golden.json",
            "Recorded answers",
            "None was logged. Log the model with an input example",
        ],
    );
    browser.get("/models/churn/versions/3").await.shows(
        200,
        &[
            "Lineage",
            &format!("/w/default/runs/{run}"),
            "Compare with v2",
            "Golden rows",
            "It was never deployed.",
            &format!("{} registered it", ada.user().name),
        ],
    );
    browser.get("/models/churn/versions/1").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn the_page_of_aliases_answers_as_of_a_moment() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    browser.get("/models/churn/aliases").await.shows(200, &["No alias yet", "set_registered_model_alias"]);
    for version in ["1", "2"] {
        ada.empty_version("churn").await;
        ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": version })).await.ok();
    }
    let model = ada.get("/api/v1/models/churn").await.ok();
    let first = model["alias_moves"][1]["at"].as_str().unwrap().to_owned();
    browser.get("/models/churn/aliases").await.shows(200, &["Where they point", "2 moves", "@best", "moved"]);
    let then = browser.get(&format!("/models/churn/aliases?as_of={first}")).await;
    then.shows(200, &["Where they pointed", "/w/default/models/churn/versions/compare?a=1&amp;b=2", "was here"]);
    let before = browser.get("/models/churn/aliases?as_of=2020-02-29T12:00&alias=best").await;
    let html = before.shows(200, &["Where they pointed", "nothing", "value=\"2020-02-29T12:00:59\""]);
    assert!(html.contains(r#"type="hidden" name="alias" value="best""#), "{html}");
    browser
        .get("/models/churn/aliases?as_of=soon")
        .await
        .shows(200, &["value=\"soon\"", "is neither a day nor a time"]);
    browser.get("/models/churn/aliases?alias=none").await.shows(404, &["There is nothing here"]);
    browser.get("/models/churn/aliases?page_token=zz").await.shows(400, &["start again without it"]);
    browser.get("/models/none/aliases").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_card_is_written_looked_at_and_saved_without_scripts() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    browser.get("/models/churn/card").await.shows(200, &["No card yet", "/w/default/models/churn/card?edit=1"]);
    let form = browser.get("/models/churn/card?edit=1").await.shows(200, &["## What it is for"]);
    assert_eq!(value(&form, "instead_of"), "");
    let text = "# Churn\r\n\r\n<script>alert(1)</script>\r\n\r\n[bad](javascript:alert(2)) [good](https://example.com) ![x](https://example.com/x.png)\r\n";
    let preview =
        browser.form("/models/churn/card", &fields(&[("instead_of", ""), ("text", text), ("do", "preview")])).await;
    let html = preview.shows(200, &["not saved yet", "<h3 class=\"h1\">Churn</h3>", "&lt;script>alert(1)"]);
    assert!(
        !html.contains("href=\"javascript") && !html.contains("<script>alert") && !html.contains("x.png\""),
        "{html}"
    );
    ada.get("/api/v1/models/churn/card").await.refused(404);

    let saved =
        browser.form("/models/churn/card", &fields(&[("instead_of", ""), ("text", text), ("do", "save")])).await;
    assert_eq!(saved.leads_to(), "/w/default/models/churn/card");
    let card = browser.get("/models/churn/card").await;
    card.shows(200, &["Version 1 of the card is saved.", r#"rel="noopener noreferrer nofollow">good</a>"#]);
    browser.get("/models/churn").await.shows(200, &["Read all", "saved version 1 of the card of"]);
}

#[tokio::test]
async fn a_card_that_somebody_else_saved_meanwhile_is_not_written_over() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    ada.put("/api/v1/models/churn/card", json!({ "text": "one\ntwo" })).await.ok();
    ada.put("/api/v1/models/churn/card", json!({ "text": "one\ntheirs", "instead_of": 1 })).await.ok();
    let mine = |seen: &str| fields(&[("instead_of", seen), ("text", "one\r\nmine"), ("do", "save")]);
    let refused = browser.form("/models/churn/card", &mine("1")).await;
    let html = refused.shows(409, &["saved version 2 while you were writing", "one\nmine</textarea>", "theirs"]);
    assert_eq!(value(&html, "instead_of"), "2", "what was seen now is replaced next");
    assert_eq!(browser.form("/models/churn/card", &mine("2")).await.leads_to(), "/w/default/models/churn/card");
    browser.get("/models/churn/card?number=1").await.shows(200, &["This is version ", "Version 3 is in force"]);
    browser.get("/models/churn/card?a=2&b=3").await.shows(200, &["version 2 → 3", "theirs", "mine"]);
    browser.get("/models/churn/card?number=9").await.shows(404, &["There is nothing here"]);
    browser.get("/models/churn/card?a=1&b=9").await.shows(404, &["There is nothing here"]);
    browser.get("/models/churn/card?number=x").await.shows(400, &["numbered 1, 2, 3"]);
    browser
        .form("/models/churn/card", &fields(&[("instead_of", "x"), ("text", "y")]))
        .await
        .shows(400, &["open the page again"]);
    let long = fields(&[("instead_of", "3"), ("text", &"x".repeat(100_001)), ("do", "save")]);
    browser.form("/models/churn/card", &long).await.shows(400, &["at most 100000 characters", "xxxx</textarea>"]);
}

#[tokio::test]
async fn who_may_only_read_writes_no_card() {
    let app = TestApp::start().await;
    app.member(Role::Contributor).await.model("churn").await;
    let viewer = browser(&app, Role::Viewer).await;
    let html = viewer.get("/models/churn/card").await.shows(200, &["No card yet"]);
    assert!(!html.contains("Write card"), "{html}");
    assert_eq!(viewer.get("/models/churn/card?edit=1").await.status.as_u16(), 403);
    assert_eq!(viewer.form("/models/churn/card", &fields(&[("text", "x")])).await.status.as_u16(), 403);
}

#[tokio::test]
async fn versions_are_compared_from_the_address() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    let run = ada.run("0").await;
    ada.ml("runs/log-batch", json!({ "run_id": run, "params": [{ "key": "depth", "value": "3" }] })).await.ok();
    ada.version("churn", &format!("runs:/{run}/model")).await;
    browser.get("/models/churn/versions/compare?a=1&b=2").await.shows(200, &["v1 → v2", "depth", "Turn around"]);
    browser.get("/models/churn/versions/compare?a=2&b=2").await.shows(200, &["v2 → v2"]);
    browser.get("/models/churn/versions/compare").await.shows(200, &["Say the numbers of two versions"]);
    browser.get("/models/churn/versions/compare?a=x&b=2").await.shows(200, &["value=\"x\""]);
    browser.get("/models/churn/versions/compare?a=1&b=7").await.shows(404, &["has no version 1 or no version 7"]);
    browser.get("/models/none/versions/compare?a=1&b=2").await.shows(404, &["There is nothing here"]);
}

#[tokio::test]
async fn a_model_is_made_by_a_form_and_one_that_is_there_is_not_made_again() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    browser.get("/models").await.shows(200, &["No model is registered yet", "/w/default/models?new=1", "New model"]);
    browser.get("/models?new=1").await.shows(200, &["Make model", "action=\"/w/default/models\""]);
    let made = browser.form("/models", &fields(&[("name", " new "), ("description", "Who leaves.\r\nSoon.")])).await;
    // A model may have any name, also that of the form.
    assert_eq!(made.leads_to(), "/w/default/models/new");
    browser.get("/models/new").await.shows(200, &["The model new is made", "No version yet", "Who leaves."]);
    let model = ada.get("/api/v1/models/new").await.ok();
    assert_eq!(model["model"]["description"], json!("Who leaves.\nSoon."));
    browser.get("/models").await.shows(200, &["1 model", "New model"]);

    let again = fields(&[("name", "new"), ("description", "Another.")]);
    browser.form("/models", &again).await.shows(409, &["already exists", "value=\"new\"", "Another."]);
    for (name, why) in [
        ("", "Say the model"),
        ("a:b", "cannot contain"),
        ("a\0b", "NUL"),
        (".", "must not resolve to other names"),
        (&"x".repeat(257), "maximum length of 256"),
    ] {
        browser.form("/models", &fields(&[("name", name), ("description", "kept")])).await.shows(400, &[why, "kept"]);
    }
    let long = fields(&[("name", "wine"), ("description", &"d".repeat(5001))]);
    browser.form("/models", &long).await.shows(400, &["at most 5000 characters", "value=\"wine\""]);
    browser.get("/models").await.shows(200, &["1 model"]);
}

#[tokio::test]
async fn an_alias_is_set_moved_and_removed_by_forms_and_its_history_tells() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    browser.get("/models/churn/aliases").await.shows(200, &["No alias yet", "there is none yet"]);
    for _ in 0..3 {
        ada.empty_version("churn").await;
    }
    browser.get("/models/churn/aliases").await.shows(200, &["No alias yet", "Set an alias", ">v3</option>"]);
    let set = async |alias: &str, version: &str| {
        browser.form("/models/churn/aliases", &fields(&[("alias", alias), ("version", version)])).await
    };
    assert_eq!(set("@best", "2").await.leads_to(), "/w/default/models/churn/aliases");
    browser.get("/models/churn/aliases").await.shows(200, &["@best points at v2.", "Remove @best?", "v2 · @best"]);
    let html = browser.get("/models/churn/aliases?set=best").await.shows(200, &["<option value=\"2\" selected"]);
    assert_eq!(value(&html, "alias"), "best");
    set("best", "3").await.leads_to();
    // What is so already is no move.
    set("best", "3").await.leads_to();
    browser.get("/models/churn/aliases").await.shows(200, &["2 moves", "Directly", "@best points at v3."]);
    let points_at = ada.ml_get("registered-models/alias?name=churn&alias=best").await.ok();
    assert_eq!(points_at["model_version"]["version"], json!("3"));

    let removed = browser.form("/models/churn/aliases/best/delete", "").await;
    assert_eq!(removed.leads_to(), "/w/default/models/churn/aliases");
    browser.get("/models/churn/aliases").await.shows(200, &["@best is removed.", "3 moves", "?set=best#set"]);
    browser.form("/models/churn/aliases/best/delete", "").await.leads_to();
    browser.get("/models/churn/aliases").await.shows(200, &["3 moves"]);
}

#[tokio::test]
async fn a_wrong_alias_is_refused_with_what_was_typed() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    for (alias, version, status, why) in [
        ("", "1", 400, "cannot be empty"),
        ("@", "1", 400, "cannot be empty"),
        ("two words", "1", 400, "Invalid alias name"),
        ("latest", "1", 400, "reserved"),
        ("v7", "1", 400, "reserved"),
        ("a\0b", "1", 400, "Invalid alias name"),
        (&"x".repeat(256), "1", 400, "maximum length of 255"),
        ("best", "", 400, "Choose a version."),
        ("best", "one", 400, "Choose a version."),
        ("best", "99999999999", 400, "Choose a version."),
        ("best", "7", 404, "version=7) not found"),
    ] {
        let sent = fields(&[("alias", alias), ("version", version)]);
        let html = browser.form("/models/churn/aliases", &sent).await.shows(status, &[why]);
        assert_eq!(value(&html, "alias"), alias, "{html}");
    }
    browser.form("/models/none/aliases", &fields(&[("alias", "best"), ("version", "1")])).await.shows(404, &[]);
    browser.form("/models/none/aliases/best/delete", "").await.shows(404, &["There is nothing here"]);
    browser.form("/models/churn/aliases/two%20words/delete", "").await.shows(400, &["Invalid alias name"]);
    browser.get("/models/churn/aliases").await.shows(200, &["No alias yet"]);
}

#[tokio::test]
async fn an_alias_that_an_environment_protects_leads_to_its_promotion() {
    let app = TestApp::start().await;
    let (ada, browser) = contributor(&app).await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    let sent = fields(&[("alias", "Production"), ("version", "1")]);
    let refused = browser.form("/models/churn/aliases", &sent).await;
    let html = refused.shows(
        403,
        &[
            "changes only by a promotion",
            "href=\"/w/default/promotions/new?model=churn&amp;version=1&amp;environment=Production\"",
            "new promotion",
        ],
    );
    assert_eq!(value(&html, "alias"), "Production");
    assert!(!html.contains("http://slipway.test/w/"), "the address is a link: {html}");

    // One that points somewhere is not taken away either.
    let mut conn = app.database.pool.acquire().await.unwrap();
    let model = store::model::by_name(&mut conn, app.workspace.id, "churn").await.unwrap().unwrap();
    let version = store::model_version::by_number(&mut conn, app.workspace.id, "churn", 1).await.unwrap().unwrap();
    store::model::move_alias(&mut conn, model.id, "production", Some(version.id), "promotion #1").await.unwrap();
    drop(conn);
    let html = browser.get("/models/churn/aliases").await.shows(200, &["Request promotion", "@production"]);
    assert!(!html.contains("/aliases/production/delete"), "{html}");
    let refused = browser.form("/models/churn/aliases/production/delete", "").await;
    refused.shows(403, &["changes only by a promotion", "new promotion"]);
    browser.get("/models/churn/aliases").await.shows(200, &["1 move"]);
}

#[tokio::test]
async fn models_and_aliases_are_changed_by_those_who_may_write_the_registry() {
    let app = TestApp::start().await;
    let (ada, _) = contributor(&app).await;
    ada.model("churn").await;
    ada.empty_version("churn").await;
    ada.ml("registered-models/alias", json!({ "name": "churn", "alias": "best", "version": "1" })).await.ok();
    for role in [Role::Viewer, Role::Operator, Role::Approver] {
        let browser = browser(&app, role).await;
        let html = browser.get("/models").await.shows(200, &["churn"]);
        assert!(!html.contains("New model"), "{role}: {html}");
        let html = browser.get("/models/churn/aliases").await.shows(200, &["@best"]);
        assert!(!html.contains("Set an alias") && !html.contains("/delete"), "{role}: {html}");
        for answer in [
            browser.get("/models?new=1").await,
            browser.form("/models", &fields(&[("name", "mine")])).await,
            browser.form("/models/churn/aliases", &fields(&[("alias", "mine"), ("version", "1")])).await,
            browser.form("/models/churn/aliases/best/delete", "").await,
        ] {
            assert_eq!(answer.status.as_u16(), 403, "{role}: {answer:?}");
        }
    }
}
