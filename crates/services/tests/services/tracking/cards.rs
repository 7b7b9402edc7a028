//! Model cards: one after the other, and of two who save at once one is told.

use crate::tracking::world::World;
use domain::{ErrorKind, audit::ObjectKind};
use services::NewModel;

const MODEL: &str = "churn";

async fn world() -> World {
    let world = World::start().await;
    let new = NewModel { name: MODEL.to_owned(), ..NewModel::default() };
    world.services.create_model(&world.ctx(), new).await.unwrap();
    world
}

#[tokio::test]
async fn each_saving_adds_a_version_and_the_same_text_adds_none() {
    let world = world().await;
    let ctx = world.ctx();
    assert_eq!(world.services.model_card(&ctx, MODEL, None).await.unwrap(), None);
    let first = world.services.save_model_card(&ctx, MODEL, "# One\r\n", None).await.unwrap();
    assert_eq!((first.number, first.text.as_str(), first.author.as_str()), (1, "# One\n", "Slipway"));
    // Sent again, also by somebody who saw none: it stands already.
    assert_eq!(world.services.save_model_card(&ctx, MODEL, "# One\n", None).await.unwrap(), first);
    let second = world.services.save_model_card(&ctx, MODEL, "# Two\n", Some(1)).await.unwrap();
    assert_eq!(second.number, 2);
    let gone = world.services.save_model_card(&ctx, MODEL, "", Some(2)).await.unwrap();
    assert_eq!((gone.number, gone.text.as_str()), (3, ""));
    assert_eq!(world.services.model_card(&ctx, MODEL, Some(1)).await.unwrap(), Some(first));
    assert_eq!(world.services.model_card(&ctx, MODEL, Some(9)).await.unwrap(), None);

    let list = world.services.model_cards(&ctx, MODEL, None, 2).await.unwrap();
    assert_eq!(list.items.iter().map(|card| (card.number, card.characters)).collect::<Vec<_>>(), [(3, 0), (2, 6)]);
    let rest = world.services.model_cards(&ctx, MODEL, list.next_page_token.as_deref(), 2).await.unwrap();
    assert_eq!((rest.items[0].number, rest.next_page_token), (1, None));

    let diff = world.services.model_card_diff(&ctx, MODEL, 1, 2).await.unwrap();
    assert_eq!((diff.added, diff.removed), (1, 1));
    assert_eq!(world.services.model_card_diff(&ctx, MODEL, 1, 9).await.unwrap_err().kind, ErrorKind::NotFound);

    let model = world.services.model(&ctx, MODEL).await.unwrap();
    let id = model.id.to_string();
    let events = world.services.audit_events(&ctx, &[(ObjectKind::Model, &id)], None, 10).await.unwrap().items;
    let told: Vec<_> = events.iter().rev().map(|event| event.summary.as_str()).collect();
    assert_eq!(
        told,
        [
            "created the model churn",
            "saved version 1 of the card of churn",
            "saved version 2 of the card of churn",
            "took the card of churn away"
        ]
    );
}

#[tokio::test]
async fn what_somebody_did_not_see_is_not_written_over() {
    let world = world().await;
    let ctx = world.ctx();
    let nothing = world.services.save_model_card(&ctx, MODEL, "  ", None).await.unwrap_err();
    assert_eq!((nothing.kind, nothing.field.as_deref()), (ErrorKind::Invalid, Some("text")));
    assert_eq!(world.services.save_model_card(&ctx, MODEL, "x", Some(1)).await.unwrap_err().kind, ErrorKind::Conflict);
    world.services.save_model_card(&ctx, MODEL, "one", None).await.unwrap();
    world.services.save_model_card(&ctx, MODEL, "two", Some(1)).await.unwrap();
    for seen in [None, Some(1), Some(3), Some(i32::MAX), Some(-1)] {
        let refused = world.services.save_model_card(&ctx, MODEL, "mine", seen).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Conflict, "{seen:?}");
        assert!(refused.message.starts_with("Slipway saved version 2"), "{refused}");
    }
    assert_eq!(world.services.model_card(&ctx, MODEL, None).await.unwrap().unwrap().text, "two");
    assert_eq!(world.services.save_model_card(&ctx, "none", "x", None).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_save_at_once_one_is_told() {
    let world = world().await;
    let ctx = world.ctx();
    let mut seen = None;
    for round in 0..10 {
        let (mine, theirs) = (format!("mine {round}"), format!("theirs {round}"));
        let (one, other) = tokio::join!(
            world.services.save_model_card(&ctx, MODEL, &mine, seen),
            world.services.save_model_card(&ctx, MODEL, &theirs, seen)
        );
        let (saved, refused) = match (one, other) {
            (Ok(saved), Err(refused)) | (Err(refused), Ok(saved)) => (saved, refused),
            other => panic!("one saves and one is told: {other:?}"),
        };
        assert_eq!((saved.number, refused.kind), (round + 1, ErrorKind::Conflict));
        assert_eq!(world.services.model_card(&ctx, MODEL, None).await.unwrap().unwrap(), saved);
        seen = Some(saved.number);
    }
}
