//! What waits for somebody because they are mentioned.

use crate::promotion::world::{PRODUCTION, World, document};
use domain::{
    permission::Role,
    promotion::{DecisionVerdict, Promotion},
};
use services::{Ctx, EnvironmentChange};

fn name(who: &Ctx) -> String {
    format!("@{}", who.user().unwrap().name)
}

async fn say(world: &World, who: &Ctx, promotion: &Promotion, text: &str) -> domain::comment::Comment {
    world.services.comment_on_promotion(who, promotion.number, text).await.unwrap()
}

/// The numbers of what waits for somebody.
async fn queue(world: &World, who: &Ctx) -> Vec<i64> {
    let waiting = world.services.promotions_waiting_for_me(who).await.unwrap();
    assert_eq!(world.services.count_waiting_for_me(who).await.unwrap(), waiting.len() as i64);
    waiting.into_iter().map(|promotion| promotion.number).collect()
}

async fn awaiting(world: &World) -> Promotion {
    let version = world.version().await;
    world.awaiting(version).await
}

#[tokio::test]
async fn a_promotion_waits_for_whoever_is_mentioned_until_they_answer() {
    let world = World::start().await;
    let promotion = awaiting(&world).await;
    let operator = world.member(&[Role::Operator]).await;
    assert_eq!(queue(&world, &operator).await, [0; 0]);
    say(&world, &world.contributor, &promotion, &format!("What do you think, {}?", name(&operator))).await;
    assert_eq!(queue(&world, &operator).await, [1]);
    assert!(
        world.services.promotions_to_decide(&operator).await.unwrap().is_empty(),
        "they are asked, and decide nothing"
    );
    say(&world, &operator, &promotion, "Fine with me.").await;
    assert_eq!(queue(&world, &operator).await, [0; 0]);
    say(&world, &world.contributor, &promotion, &format!("{}, and the latency?", name(&operator))).await;
    assert_eq!(queue(&world, &operator).await, [1]);
    world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(queue(&world, &operator).await, [0; 0], "nothing is to be said of what has ended");
}

#[tokio::test]
async fn a_decision_is_an_answer_and_what_waits_twice_is_there_once() {
    let world = World::start().await;
    world.set_policy(PRODUCTION, vec![], 2).await;
    let promotion = awaiting(&world).await;
    say(&world, &world.contributor, &promotion, &format!("Please, {}.", name(&world.approver))).await;
    assert_eq!(queue(&world, &world.approver).await, [1]);
    world.decide(&world.approver, &promotion, DecisionVerdict::RequestChanges, "More data.").await.unwrap();
    assert_eq!(queue(&world, &world.approver).await, [0; 0]);
    say(&world, &world.contributor, &promotion, &format!("There is more, {}.", name(&world.approver))).await;
    assert_eq!(queue(&world, &world.approver).await, [1]);
}

#[tokio::test]
async fn only_another_person_who_sees_it_is_waited_for_and_only_while_the_comment_names_them() {
    let world = World::start().await;
    let policy = document(vec![], 1);
    world.services.set_policy(&world.admin, PRODUCTION, policy, None).await.unwrap();
    let promotion = awaiting(&world).await;
    let (operator, machine) = (world.member(&[Role::Operator]).await, world.machine(&[Role::Operator]).await);
    let all = format!("{} {} {} `{}`", name(&operator), name(&machine), name(&world.contributor), name(&world.admin));
    let comment = say(&world, &world.contributor, &promotion, &all).await;
    for nobody in [&machine, &world.contributor, &world.admin] {
        assert_eq!(queue(&world, nobody).await, [0; 0]);
    }
    assert_eq!(queue(&world, &operator).await, [1]);
    world.services.update_comment(&world.contributor, comment.id, "Nobody.").await.unwrap();
    assert_eq!(queue(&world, &operator).await, [0; 0]);
    world.services.update_comment(&world.contributor, comment.id, &all).await.unwrap();
    assert_eq!(queue(&world, &operator).await, [1]);

    let hidden =
        EnvironmentChange { visible_to: Some(Some([Role::Contributor].into())), ..EnvironmentChange::default() };
    world.services.change_environment(&world.admin, PRODUCTION, hidden).await.unwrap();
    assert_eq!(queue(&world, &operator).await, [0; 0]);
    let seen = EnvironmentChange { visible_to: Some(None), ..EnvironmentChange::default() };
    world.services.change_environment(&world.admin, PRODUCTION, seen).await.unwrap();
    assert_eq!(queue(&world, &operator).await, [1]);
    world.services.delete_comment(&world.contributor, comment.id).await.unwrap();
    assert_eq!(queue(&world, &operator).await, [0; 0]);
    assert_eq!(world.count("select count(*) from mentions").await, 0);
}
