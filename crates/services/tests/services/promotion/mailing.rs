//! Who is written what of promotions, and how it is sent: to a mail server on this machine.

use crate::promotion::{
    mail_server::MailServer,
    world::{PRODUCTION, World, document, metric_gate},
};
use domain::{
    mail::{Mail, MailKind},
    permission::Role,
    policy::Rule,
    promotion::{DecisionVerdict, OverrideKind, Promotion, PromotionState},
    webhook::DeliveryState,
};
use outbound::Mailer;
use services::{Ctx, EnvironmentChange, NewOverride, Services};
use std::collections::BTreeSet;

/// A process that sends messages to this server, and said so.
async fn sending(world: &World, server: &MailServer) -> Services {
    let mailer = Mailer::new(&server.url, "Slipway <slipway@example.com>").unwrap();
    let services = world.services.clone().with_mailer(mailer).with_public_url("https://slipway.test");
    services.offer_mail().await.unwrap();
    services
}

/// Takes what may be sent now and sends it, until nothing is left. Tells where each stands.
async fn send_all(services: &Services) -> Vec<DeliveryState> {
    let mut all = Vec::new();
    while let Some(taken) = services.take_mail().await.unwrap() {
        all.push(services.send_mail(taken).await.unwrap().unwrap());
    }
    all
}

/// What was written, oldest first: to whom, and the subject.
async fn written(world: &World) -> Vec<(String, String)> {
    let mails = log(world).await;
    mails.into_iter().map(|mail| (mail.user, mail.subject)).collect()
}

async fn log(world: &World) -> Vec<Mail> {
    let mut mails = world.services.mails(&world.admin, None, 1000).await.unwrap().items;
    mails.reverse();
    mails
}

fn name(who: &Ctx) -> String {
    who.user().unwrap().name.clone()
}

fn address(who: &Ctx) -> String {
    who.user().unwrap().email.to_string()
}

fn subject(who: &Ctx, subject: &str) -> (String, String) {
    (name(who), subject.to_owned())
}

async fn awaiting(world: &World) -> Promotion {
    let version = world.version().await;
    world.awaiting(version).await
}

#[tokio::test]
async fn those_who_can_still_decide_and_then_the_requester_get_one_message_with_a_link() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    world.machine(&[Role::Approver]).await;
    let promotion = awaiting(&world).await;
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered]);
    let received = server.take();
    assert_eq!(received.len(), 1, "neither the requester, nor an admin, nor a machine: {received:?}");
    let message = &received[0];
    assert_eq!(message.to, address(&world.approver));
    assert_eq!(message.header("Auto-Submitted"), "auto-generated");
    assert_eq!(message.header("From"), "Slipway <slipway@example.com>");
    let page = "https://slipway.test/w/default/promotions/1";
    assert!(message.body.contains(&format!("\n{page}\n")), "{}", message.body);
    assert!(message.body.contains(&format!("<a href=\"{page}\">Look at it</a>")), "{}", message.body);
    assert!(message.body.contains("https://slipway.test/w/default/settings/account"), "{}", message.body);
    assert!(!message.body.contains("<form") && !message.body.contains("decisions"), "{}", message.body);

    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered]);
    let received = server.take();
    assert_eq!((received.len(), &received[0].to), (1, &address(&world.contributor)));
    assert_eq!(received[0].header("References"), message.header("References"), "they belong together");
    assert_ne!(received[0].header("Message-ID"), message.header("Message-ID"));
    assert_eq!(
        written(&world).await,
        [
            subject(&world.approver, "Waits for you: iris v1 → production"),
            subject(&world.contributor, "Live: iris v1 → production")
        ]
    );
}

#[tokio::test]
async fn where_no_worker_sends_mail_none_is_written() {
    let world = World::start().await;
    let promotion = awaiting(&world).await;
    world.approve(&world.approver, &promotion).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::Live);
    assert_eq!(written(&world).await, []);
    assert!(world.services.take_mail().await.unwrap().is_none());
}

#[tokio::test]
async fn gates_that_run_again_and_find_the_same_ask_nobody_twice() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    let promotion = awaiting(&world).await;
    services.rerun_gates(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    assert_eq!(written(&world).await.len(), 1);
}

#[tokio::test]
async fn nobody_is_written_who_turned_it_off_left_or_may_not_see_the_environment() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    let rule = Rule {
        eligible: domain::policy::Eligible { roles: Role::ALL.into(), ..Default::default() },
        ..Rule::of_approvers(1)
    };
    let policy = domain::policy::PolicyDocument { rules: vec![rule], ..document(vec![metric_gate(0.5)], 0) };
    services.set_policy(&world.admin, PRODUCTION, policy, None).await.unwrap();
    let (quiet, viewer, leaver) = (
        world.member(&[Role::Approver]).await,
        world.member(&[Role::Viewer]).await,
        world.member(&[Role::Approver]).await,
    );
    let none = BTreeSet::new();
    services.set_wanted_mail(quiet.caller.as_ref().unwrap(), &[MailKind::Mentioned].into()).await.unwrap();
    services.set_wanted_mail(world.admin.caller.as_ref().unwrap(), &none).await.unwrap();
    let visible_to = Some(Some([Role::Approver, Role::Contributor].into()));
    let change = EnvironmentChange { visible_to, ..EnvironmentChange::default() };
    services.change_environment(&world.admin, PRODUCTION, change).await.unwrap();
    awaiting(&world).await;
    let to: BTreeSet<String> = written(&world).await.into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [name(&world.approver), name(&leaver)].into(), "neither {} nor {}", name(&quiet), name(&viewer));

    // Between writing and sending, one leaves and another turns it off.
    services.remove_member(&world.admin, leaver.user().unwrap().id).await.unwrap();
    services.set_wanted_mail(world.approver.caller.as_ref().unwrap(), &none).await.unwrap();
    assert_eq!(send_all(&services).await, [DeliveryState::Dropped, DeliveryState::Dropped]);
    assert!(server.take().is_empty());
    assert_eq!(services.wanted_mail(world.approver.caller.as_ref().unwrap()).await.unwrap(), none);
}

#[tokio::test]
async fn what_the_server_refuses_is_given_up_and_what_it_puts_off_is_tried_again_but_not_for_ever() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    let promotion = awaiting(&world).await;
    server.answers(&["550 No such mailbox"]);
    assert_eq!(send_all(&services).await, [DeliveryState::Failed]);
    let mail = log(&world).await.remove(0);
    assert_eq!((mail.state, mail.attempts), (DeliveryState::Failed, 1));
    assert!(mail.error.contains("550") && mail.error.contains("No such mailbox"), "{}", mail.error);

    world.decide(&world.approver, &promotion, DecisionVerdict::Reject, "Not this one.").await.unwrap();
    server.answers(&["451 Come back later"; 3]);
    assert_eq!(send_all(&services).await, [DeliveryState::Waiting]);
    assert!(services.next_mail_due().await.unwrap().unwrap() > std::time::Duration::from_millis(500));
    for _ in 0..2 {
        pass_time(&world).await;
        assert_eq!(send_all(&services).await, [DeliveryState::Waiting]);
    }
    pass_time(&world).await;
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered]);
    let received = server.take();
    assert_eq!((received.len(), &received[0].to), (1, &address(&world.contributor)));

    let again = awaiting_again(&world).await;
    server.answers(&["451 Come back later"; 20]);
    let mut states = send_all(&services).await;
    while states.last() == Some(&DeliveryState::Waiting) {
        pass_time(&world).await;
        states.extend(send_all(&services).await);
    }
    assert_eq!((states.len(), states.last()), (8, Some(&DeliveryState::Failed)), "of #{}", again.number);
}

async fn awaiting_again(world: &World) -> Promotion {
    let version = world.version().await;
    world.awaiting(version).await
}

/// Lets the time come at which each may be taken.
async fn pass_time(world: &World) {
    world.meddle("update mails set next_at = now() - interval '1 s' where state in ('waiting', 'sending')").await;
}

#[tokio::test]
async fn a_message_of_a_lost_worker_is_sent_by_another_under_the_same_id_and_the_first_one_has_no_say() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    awaiting(&world).await;
    let lost = services.take_mail().await.unwrap().unwrap();
    assert!(services.take_mail().await.unwrap().is_none(), "it is taken");
    pass_time(&world).await;
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered]);
    assert_eq!(services.send_mail(lost).await.unwrap(), None);
    let received = server.take();
    assert_eq!(received.len(), 2, "at least once");
    assert_eq!(received[0].header("Message-ID"), received[1].header("Message-ID"));
}

#[tokio::test]
async fn no_name_and_no_comment_adds_a_header_or_a_recipient() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    let evil = "x\r\nBcc: all@example.com\r\n\r\n.\r\nQUIT\r\n";
    sqlx::query("update users set name = $1 where id in ($2, $3)")
        .bind(evil)
        .bind(world.contributor.user().unwrap().id.0)
        .bind(world.approver.user().unwrap().id.0)
        .execute(&world.database.pool)
        .await
        .unwrap();
    let version = world.version().await;
    let promotion = world.request(version).await;
    sqlx::query("update models set name = $1").bind(evil).execute(&world.database.pool).await.unwrap();
    assert_eq!(world.advance(&promotion).await, PromotionState::AwaitingApproval);
    let promotion = world.read(&promotion).await;
    world.decide(&world.approver, &promotion, DecisionVerdict::RequestChanges, evil).await.unwrap();
    world.decide(&world.approver, &promotion, DecisionVerdict::Reject, evil).await.unwrap();
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered; 3]);
    let received = server.take();
    assert_eq!(received.len(), 3);
    for message in received {
        assert!(!message.head.to_lowercase().lines().any(|line| line.starts_with("bcc")), "{}", message.head);
        assert!([address(&world.contributor), address(&world.approver)].contains(&message.to), "{}", message.to);
    }
}

#[tokio::test]
async fn before_the_end_those_who_are_asked_and_the_requester_are_reminded_once() {
    let (world, server) = (World::start().await, MailServer::start().await);
    sending(&world, &server).await;
    let promotion = awaiting(&world).await;
    world
        .meddle(
            "update promotions set expires_at = now() + interval '20 hours', created_at = now() - interval '20 days'",
        )
        .await;
    for _ in 0..2 {
        world.services.watch_expiry().await.unwrap();
    }
    let until = domain::prose::minute(world.read(&promotion).await.expires_at);
    assert_eq!(
        written(&world).await[1..],
        [
            subject(&world.approver, &format!("Waits for you until {until}: iris v1 → production")),
            subject(&world.contributor, &format!("Expires on {until}: iris v1 → production")),
        ]
    );
    world.meddle("update promotions set expires_at = now()").await;
    world.services.watch_expiry().await.unwrap();
    assert_eq!(written(&world).await[3..], [subject(&world.contributor, "Expired: iris v1 → production")]);
}

#[tokio::test]
async fn whoever_takes_their_own_request_back_knows_it_already() {
    let (world, server) = (World::start().await, MailServer::start().await);
    sending(&world, &server).await;
    let promotion = awaiting(&world).await;
    world.services.withdraw_promotion(&world.contributor, promotion.number).await.unwrap();
    assert_eq!(written(&world).await.len(), 1);
    let other = awaiting_again(&world).await;
    world.services.withdraw_promotion(&world.admin, other.number).await.unwrap();
    assert_eq!(written(&world).await[2..], [subject(&world.contributor, "Withdrawn: iris v2 → production")]);
}

#[tokio::test]
async fn whoever_is_mentioned_is_written_once_and_never_what_was_written() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    let promotion = awaiting(&world).await;
    send_all(&services).await;
    server.take();
    let text = format!("The secret is 42, @{} and @{}.", name(&world.approver), name(&world.contributor));
    let comment = services.comment_on_promotion(&world.contributor, promotion.number, &text).await.unwrap();
    let longer = format!("{text} And @{}.", name(&world.admin));
    services.update_comment(&world.contributor, comment.id, &longer).await.unwrap();
    assert_eq!(send_all(&services).await, [DeliveryState::Delivered; 2]);
    let received = server.take();
    let to: Vec<&str> = received.iter().map(|message| message.to.as_str()).collect();
    assert_eq!(to, [address(&world.approver), address(&world.admin)], "not oneself, and nobody twice");
    for message in received {
        assert!(!message.body.contains("secret"), "{}", message.body);
        assert!(message.body.contains(&format!("/promotions/1#comment-{}", comment.id)), "{}", message.body);
    }
}

#[tokio::test]
async fn those_who_review_a_broken_glass_are_written_and_reminded_each_day() {
    let (world, server) = (World::start().await, MailServer::start().await);
    world.set_policy(PRODUCTION, vec![metric_gate(0.99)], 0).await;
    let version = world.version().await;
    let promotion = world.request(version).await;
    assert_eq!(world.advance(&promotion).await, PromotionState::Blocked);
    sending(&world, &server).await;
    let operator = world.member(&[Role::Operator]).await;
    let new = NewOverride { kind: OverrideKind::Gates, reason: "Every second customer is refused.".to_owned() };
    let opened = world.services.open_override(&operator, promotion.number, new).await.unwrap();
    assert_eq!(written(&world).await, []);
    world.services.confirm_override(&world.admin, promotion.number, opened.id).await.unwrap();
    assert_eq!(written(&world).await, [subject(&world.approver, "Glass was broken, review it: iris v1 → production")]);
    for _ in 0..2 {
        world.meddle("update overrides set review_due_at = now() - interval '1 hour'").await;
        world.services.nag_about_reviews().await.unwrap();
    }
    assert_eq!(written(&world).await[1..], [subject(&world.approver, "Review overdue: iris v1 → production")]);
    world.meddle("update overrides set reminded_at = now() - interval '2 days'").await;
    world.meddle("update mails set moment = moment || ' of yesterday'").await;
    world.services.nag_about_reviews().await.unwrap();
    assert_eq!(written(&world).await.len(), 3);
}

#[tokio::test]
async fn what_nobody_sent_in_a_day_is_given_up_and_after_a_month_it_is_gone() {
    let (world, server) = (World::start().await, MailServer::start().await);
    let services = sending(&world, &server).await;
    awaiting(&world).await;
    services.delete_finished().await.unwrap();
    assert_eq!(log(&world).await[0].state, DeliveryState::Waiting);
    world.meddle("update mails set created_at = now() - interval '25 hours'").await;
    services.delete_finished().await.unwrap();
    let mail = log(&world).await.remove(0);
    assert_eq!(mail.state, DeliveryState::Failed);
    assert!(!mail.error.is_empty() && send_all(&services).await.is_empty());
    services.delete_old(chrono::Utc::now()).await.unwrap();
    assert_eq!(log(&world).await.len(), 1);
    world.meddle("update mails set id = '01900000-0000-7000-8000-000000000000'").await;
    services.delete_old(chrono::Utc::now()).await.unwrap();
    assert_eq!(log(&world).await.len(), 0);

    world.meddle("update mail_sending set seen_at = now() - interval '2 days'").await;
    awaiting_again(&world).await;
    assert_eq!(log(&world).await.len(), 0, "no worker sends any more");
}
