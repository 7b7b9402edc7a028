//! Finding objects by name.

use crate::app::TestApp;
use domain::permission::Role;
use serde_json::{Value, json};

#[tokio::test]
async fn objects_of_all_sorts_are_found_by_a_part_of_their_name() {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("Wine quality").await;
    let named = |name: &str| json!({ "experiment_id": experiment, "run_name": name, "start_time": 1 });
    let run =
        ada.ml("runs/create", named("wine-forest")).await.ok()["run"]["info"]["run_id"].as_str().unwrap().to_owned();
    ada.ml("runs/create", named("100% red_wine")).await.ok();
    ada.model("wine").await;
    let find = async |q: &str| -> Vec<Value> {
        ada.get(&format!("/api/v1/search?q={q}")).await.ok()["items"].as_array().unwrap().clone()
    };
    let found = find("WINE").await;
    let kinds: Vec<&str> = found.iter().map(|hit| hit["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["model", "experiment", "run", "run"], "names that begin with it come first");
    assert_eq!(
        found[0],
        json!({ "kind": "model", "title": "wine", "detail": "0 versions", "href": "/w/default/models/wine" })
    );
    assert_eq!(found[1]["href"], format!("/w/default/experiments/{experiment}"));
    assert_eq!(
        (&found[2]["href"], &found[2]["detail"]),
        (&json!(format!("/w/default/runs/{run}")), &json!("Wine quality"))
    );
    for beginning in [&run[..12], &run] {
        let found = find(beginning).await;
        assert!(found.iter().any(|hit| hit["title"] == "wine-forest"), "by the beginning of an id");
    }
    assert_eq!(find("100%25").await.len(), 1, "signs of patterns are plain characters");
    assert_eq!(find("d_w").await.len(), 1);
    assert!(find("").await.is_empty() && find("%20").await.is_empty() && find("%00").await.is_empty());

    for n in 0..30 {
        ada.model(&format!("many-{n}")).await;
    }
    assert_eq!(find("many").await.len(), 20);
    let (_, stranger) = app.second_workspace("elsewhere").await;
    assert_eq!(stranger.get("/api/v1/search?q=wine").await.ok()["items"], json!([]));
}
