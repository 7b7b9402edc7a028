//! Comments, and what becomes of them.

use crate::tracking::world::World;
use domain::{ErrorKind, audit::ObjectKind};
use services::{NewModel, NewModelVersion};

#[tokio::test]
async fn a_comment_on_a_version_that_is_deleted_can_be_deleted() {
    let world = World::start().await;
    let (services, ctx) = (&world.services, &world.contributor().await);
    services.create_model(ctx, NewModel { name: "churn".to_owned(), ..NewModel::default() }).await.unwrap();
    for _ in 0..2 {
        let new = NewModelVersion {
            model: "churn".to_owned(),
            source: "dummy-source".to_owned(),
            ..NewModelVersion::default()
        };
        services.create_model_version(ctx, new).await.unwrap();
    }
    let first = services.comment_on_version(ctx, "churn", 1, "A secret.").await.unwrap();
    let second = services.comment_on_version(ctx, "churn", 2, "Another.").await.unwrap();
    services.delete_model_version(ctx, "churn", 1).await.unwrap();
    services.delete_comment(ctx, first.id).await.unwrap();
    assert_eq!(services.delete_comment(ctx, first.id).await.unwrap_err().kind, ErrorKind::NotFound);
    let model = services.model(ctx, "churn").await.unwrap().id;
    services.delete_model(ctx, "churn").await.unwrap();
    services.delete_comment(ctx, second.id).await.unwrap();

    let kept: Vec<String> =
        sqlx::query_scalar("select body from comments").fetch_all(&world.database.pool).await.unwrap();
    assert!(!kept.concat().contains("secret") && !kept.concat().contains("Another"), "{kept:?}");
    let told = services.audit_events(ctx, &[(ObjectKind::Model, &model.to_string())], None, 100).await.unwrap().items;
    let told: Vec<&str> =
        (told.iter()).filter(|event| event.action == "comment.deleted").map(|event| event.summary.as_str()).collect();
    assert_eq!(told, ["deleted a comment on churn v2", "deleted a comment on churn v1"]);
    let missing = services.comment_on_version(ctx, "churn", 1, "Too late.").await;
    assert_eq!(missing.unwrap_err().kind, ErrorKind::NotFound);
}
