//! Large files in parts.

use crate::app::{Answer, Client, TestApp};
use axum::{
    body::Body,
    http::{HeaderName, Method},
};
use domain::permission::{Role, Scope};
use serde_json::{Value, json};

const MPU: &str = "/api/2.0/mlflow-artifacts/mpu";
const KEY: HeaderName = HeaderName::from_static("x-slipway-upload-key");

/// A run's root, and who may write there.
struct World {
    app: TestApp,
    ada: Client,
    root: String,
}

async fn world() -> World {
    let app = TestApp::start().await;
    let ada = app.member(Role::Contributor).await;
    let experiment = ada.experiment("wine").await;
    let run = ada.run(&experiment).await;
    World { app, ada, root: format!("{experiment}/{run}/artifacts") }
}

impl World {
    async fn begin(&self, parts: u32) -> Value {
        let body = json!({ "path": "/home/ada/big.bin", "num_parts": parts });
        self.ada.post(&format!("{MPU}/create/{}/data", self.root), body).await.ok()
    }

    /// Sends a part as MLflow's client does: nothing says who it is but the headers of the credential.
    async fn send(&self, begun: &Value, number: usize, content: &'static [u8]) -> Answer {
        let credential = &begun["credentials"][number - 1];
        assert_eq!(credential["part_number"], number);
        let path = credential["url"].as_str().unwrap().strip_prefix("http://slipway.test").unwrap();
        let nobody = self.app.anonymous();
        let mut request = nobody.request(Method::PUT, path);
        for (name, value) in credential["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        nobody.send(request.body(Body::from(content)).unwrap()).await
    }

    /// Sends a part, and gives it as it is named when all are there.
    async fn part(&self, begun: &Value, number: usize, content: &'static [u8]) -> Value {
        let sent = self.send(begun, number, content).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        json!({ "part_number": number, "etag": sent.header("etag"), "url": begun["credentials"][number - 1]["url"] })
    }

    async fn end(&self, client: &Client, how: &str, begun: &Value, parts: &[&Value]) -> Answer {
        let body = json!({ "path": "/home/ada/big.bin", "upload_id": begun["upload_id"], "parts": parts });
        client.post(&format!("{MPU}/{how}/{}/data", self.root), body).await
    }

    async fn complete(&self, begun: &Value, parts: &[&Value]) -> Answer {
        self.end(&self.ada, "complete", begun, parts).await
    }

    async fn file(&self) -> Answer {
        self.ada.download(&format!("{}/data/big.bin", self.root)).await
    }

    /// How many parts lie in the artifact store.
    fn stored(&self) -> usize {
        std::fs::read_dir(self.app.artifacts_dir().join("parts")).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn a_file_is_put_together_from_parts_in_any_order() {
    let world = world().await;
    let begun = world.begin(3).await;
    assert_eq!(begun["credentials"].as_array().unwrap().len(), 3);
    let third = world.part(&begun, 3, b"3").await;
    let first = world.part(&begun, 1, b"1111").await;
    world.part(&begun, 2, b"other").await;
    // Sent again, a part takes the place of what was there.
    let second = world.part(&begun, 2, b"2222").await;
    assert_eq!(second, world.part(&begun, 2, b"2222").await);
    assert_eq!(world.stored(), 3);
    world.file().await.refused(404);

    world.complete(&begun, &[&third, &first, &second]).await.ok();
    let file = world.file().await;
    assert_eq!((file.text().as_str(), file.header("content-length")), ("111122223", "9"));
    assert_eq!(world.stored(), 0);
    // A client that did not hear the answer asks again.
    world.complete(&begun, &[&third, &first, &second]).await.ok();
    world.end(&world.ada, "abort", &begun, &[]).await.refused(409);
    assert_eq!(world.send(&begun, 1, b"1111").await.status, 409);
    assert_eq!(world.file().await.text(), "111122223");
}

#[tokio::test]
async fn two_that_complete_at_once_make_one_file() {
    let world = world().await;
    let begun = world.begin(1).await;
    let part = world.part(&begun, 1, b"whole").await;
    let parts = [&part];
    let answers = futures::future::join_all((0..8).map(|_| world.complete(&begun, &parts))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(world.file().await.text(), "whole");
}

#[tokio::test]
async fn a_file_with_a_hole_is_refused_and_may_still_be_mended() {
    let world = world().await;
    let begun = world.begin(2).await;
    let first = world.part(&begun, 1, b"1").await;
    let invented = json!({ "part_number": 2, "etag": "\"00\"" });
    for (parts, told) in [
        (vec![&first], "Part 2 of 2 is not named"),
        (vec![&first, &invented], "Part 2 of 2 has not arrived"),
        (vec![&first, &first], "Part 1 is named twice"),
        (vec![], "Part 1 of 2 is not named"),
    ] {
        let refused = world.complete(&begun, &parts).await.refused(400);
        assert!(refused["message"].as_str().unwrap().contains(told), "{refused}");
    }
    let second = world.part(&begun, 2, b"2").await;
    let refused = world.complete(&begun, &[&first, &invented]).await.refused(400);
    assert!(refused["message"].as_str().unwrap().contains("Part 2 is not the one"), "{refused}");
    world.file().await.refused(404);
    world.complete(&begun, &[&first, &second]).await.ok();
    assert_eq!(world.file().await.text(), "12");
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let world = world().await;
    let begun = world.begin(2).await;
    let first = world.part(&begun, 1, b"1").await;
    world.end(&world.ada, "abort", &begun, &[]).await.ok();
    world.end(&world.ada, "abort", &begun, &[]).await.ok();
    assert_eq!(world.stored(), 0);
    assert_eq!(world.send(&begun, 2, b"2").await.status, 409);
    world.complete(&begun, &[&first]).await.refused(409);
    world.file().await.refused(404);
}

#[tokio::test]
async fn an_upload_that_takes_too_long_is_swept() {
    let world = world().await;
    let (begun, lasting) = (world.begin(1).await, world.begin(1).await);
    let part = world.part(&begun, 1, b"1").await;
    let other = world.part(&lasting, 1, b"2").await;
    sqlx::query("update uploads set expires_at = now() - interval '1 second' where id = $1::text::uuid")
        .bind(begun["upload_id"].as_str().unwrap())
        .execute(&world.app.database.pool)
        .await
        .unwrap();
    world.send(&begun, 1, b"1").await.refused(401);
    world.complete(&begun, &[&part]).await.refused(404);
    assert_eq!(world.stored(), 2);
    world.app.services().delete_finished().await.unwrap();
    assert_eq!(world.stored(), 1);
    world.complete(&lasting, &[&other]).await.ok();
    assert_eq!(world.file().await.text(), "2");
}

/// Lets the database fail, or not, when a part is noted.
async fn refuse_parts(world: &World, refuse: bool) {
    let statement = if refuse {
        "create function refused() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
         create trigger refused before insert or update on upload_parts execute function refused();"
    } else {
        "drop function refused cascade"
    };
    sqlx::raw_sql(statement).execute(&world.app.database.pool).await.unwrap();
}

#[tokio::test]
async fn a_part_that_is_noted_stays_when_the_same_again_cannot_be() {
    let world = world().await;
    let begun = world.begin(1).await;
    let part = world.part(&begun, 1, b"whole").await;
    refuse_parts(&world, true).await;
    assert_eq!(world.send(&begun, 1, b"whole").await.status, 500);
    refuse_parts(&world, false).await;
    assert_eq!(world.stored(), 1);
    world.complete(&begun, &[&part]).await.ok();
    assert_eq!(world.file().await.text(), "whole");
}

#[tokio::test]
async fn the_key_of_an_upload_is_good_for_its_parts_alone() {
    let world = world().await;
    let (one, other) = (world.begin(1).await, world.begin(1).await);
    let nobody = world.app.anonymous();
    let put = async |path: &str, key: &str| {
        let request = nobody.request(Method::PUT, path).header(KEY, key);
        nobody.send(request.body(Body::from("x")).unwrap()).await
    };
    let path = |begun: &Value, number: &str| format!("{MPU}/parts/{}/{number}", begun["upload_id"].as_str().unwrap());
    let key = one["credentials"][0]["headers"][KEY.as_str()].as_str().unwrap();
    assert!(!one["credentials"][0]["url"].as_str().unwrap().contains(key), "addresses are written into logs");
    put(&path(&one, "1"), "upload_wrong").await.refused(401);
    put(&path(&one, "1"), "").await.refused(401);
    put(&path(&other, "1"), key).await.refused(400);
    for number in ["0", "2", "-1", "x", "99999999999999999999"] {
        put(&path(&one, number), key).await.refused(400);
    }
    // It is no token.
    let bearer = nobody.clone().with(axum::http::header::AUTHORIZATION, &format!("Bearer {key}"));
    bearer.get("/api/v1/user").await.refused(401);
    let file = format!("/api/2.0/mlflow-artifacts/artifacts/{}/x", world.root);
    put(&file, key).await.refused(401);
    assert_eq!(put(&path(&one, "1"), key).await.status, 200);
}

#[tokio::test]
async fn nobody_else_completes_or_gives_up_an_upload() {
    let world = world().await;
    let begun = world.begin(1).await;
    let part = world.part(&begun, 1, b"1").await;
    let ben = world.app.member(Role::Contributor).await;
    world.end(&ben, "complete", &begun, &[&part]).await.refused(404);
    world.end(&ben, "abort", &begun, &[&part]).await.refused(404);
    let (_, stranger) = world.app.second_workspace("other-lab").await;
    world.end(&stranger, "complete", &begun, &[&part]).await.refused(404);
    let viewer = world.app.member_with([Role::Viewer], Scope::Admin).await;
    let body = json!({ "path": "a", "num_parts": 1 });
    viewer.post(&format!("{MPU}/create/{}", world.root), body.clone()).await.refused(403);
    stranger.post(&format!("{MPU}/create/{}", world.root), body).await.refused(404);
    // Nor as another file.
    let other = json!({ "path": "other.bin", "upload_id": begun["upload_id"], "parts": [part] });
    world.ada.post(&format!("{MPU}/complete/{}/data", world.root), other).await.refused(404);
    world.complete(&begun, &[&part]).await.ok();
}

#[tokio::test]
async fn what_no_upload_can_be_is_refused() {
    let world = world().await;
    let root = &world.root;
    for (folder, file, parts) in [
        (root.clone(), "a", json!(0)),
        (root.clone(), "a", json!(-1)),
        (root.clone(), "a", json!(10_001)),
        (root.clone(), "a", json!("many")),
        (root.clone(), "..", json!(1)),
        (root.clone(), "", json!(1)),
        (root.clone(), "/home/ada/", json!(1)),
        (format!("{root}/%2e%2e/%2e%2e"), "a", json!(1)),
        ("versions/01936d6e-0000-7000-8000-000000000000".to_owned(), "a", json!(1)),
        ("7".to_owned(), "a", json!(1)),
    ] {
        let body = json!({ "path": file, "num_parts": parts });
        world.ada.post(&format!("{MPU}/create/{folder}"), body).await.refused(400);
    }
    let nothing = root.replace(root.split('/').nth(1).unwrap(), "0123456789abcdef0123456789abcdef");
    world.ada.post(&format!("{MPU}/create/{nothing}"), json!({ "path": "a", "num_parts": 1 })).await.refused(404);
    let begun = world.begin(1).await;
    let too_large = world.app.anonymous();
    let path = format!("{MPU}/parts/{}/1", begun["upload_id"].as_str().unwrap());
    let key = begun["credentials"][0]["headers"][KEY.as_str()].as_str().unwrap();
    let request = too_large.request(Method::PUT, &path).header(KEY, key);
    let request = request.header("content-length", (11_u64 << 30).to_string());
    too_large.send(request.body(Body::empty()).unwrap()).await.refused(413);
    // Below a file there is no other.
    let part = world.part(&begun, 1, b"1").await;
    world.ada.upload(&format!("{root}/data"), b"a file").await.ok();
    world.complete(&begun, &[&part]).await.refused(400);
}

#[tokio::test]
async fn a_run_that_is_deleted_meanwhile_takes_no_file() {
    let world = world().await;
    let begun = world.begin(1).await;
    let part = world.part(&begun, 1, b"1").await;
    let run = world.root.split('/').nth(1).unwrap();
    world.ada.ml("runs/delete", json!({ "run_id": run })).await.ok();
    world.complete(&begun, &[&part]).await.refused(400);
    world.ada.ml("runs/restore", json!({ "run_id": run })).await.ok();
    world.complete(&begun, &[&part]).await.ok();
    assert_eq!(world.file().await.text(), "1");
}
