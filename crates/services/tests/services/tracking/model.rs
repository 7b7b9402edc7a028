//! Models with many versions.

use crate::tracking::world::World;
use services::{NewModel, NewModelVersion};

#[tokio::test]
async fn versions_come_a_page_at_a_time_newest_first() {
    let world = World::start().await;
    let ctx = world.ctx();
    world.services.create_model(&ctx, NewModel { name: "churn".to_owned(), ..NewModel::default() }).await.unwrap();
    for _ in 0..5 {
        let new = NewModelVersion {
            model: "churn".to_owned(),
            source: "dummy-source".to_owned(),
            ..NewModelVersion::default()
        };
        world.services.create_model_version(&ctx, new).await.unwrap();
    }
    world.services.delete_model_version(&ctx, "churn", 4).await.unwrap();
    let mut seen = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let page = world.services.model_versions(&ctx, "churn", token.as_deref(), 2).await.unwrap();
        seen.extend(page.items.iter().map(|version| version.version));
        token = page.next_page_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, [5, 3, 2, 1]);
    assert!(world.services.model_versions(&ctx, "churn", Some("zz"), 2).await.is_err());
}
