//! Who gets a delivery, and whose word of it counts, against a real database.

use super::{Told, by_id, delete, delivery, insert, list, lock, seal, secret, told_of, update};
use crate::secret_key::{Kept, Sealed, put_first};
use delivery::{Ended, Taken};
use domain::{
    id::{WebhookId, WorkspaceId},
    user::Workspace,
    webhook::{DeliveryState, Webhook, WebhookEvent, WebhookFormat, WebhookStatus},
};
use sqlx::PgConnection;
use std::{collections::BTreeSet, time::Duration};

const EVENT: WebhookEvent = WebhookEvent::ModelVersionCreated;
const LEASE: Duration = Duration::from_secs(90);

async fn database() -> testkit::TestDatabase {
    testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await
}

async fn workspace(conn: &mut PgConnection, slug: &str) -> WorkspaceId {
    let workspace = Workspace {
        id: WorkspaceId::new(),
        slug: slug.to_owned(),
        name: slug.to_owned(),
        created_at: chrono::Utc::now(),
    };
    crate::workspace::insert(conn, &workspace).await.unwrap();
    workspace.id
}

async fn webhook(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Webhook {
    let webhook = Webhook {
        id: WebhookId::new(),
        workspace_id: workspace,
        name: name.to_owned(),
        description: String::new(),
        url: "https://ci.example.com".to_owned(),
        events: BTreeSet::from([EVENT, WebhookEvent::PromptCreated]),
        status: WebhookStatus::Active,
        format: WebhookFormat::default(),
        has_secret: true,
        created_at: chrono::DateTime::UNIX_EPOCH,
        updated_at: chrono::DateTime::UNIX_EPOCH,
    };
    let sealed = sealed(conn).await;
    insert(conn, &webhook, Some(&sealed)).await.unwrap();
    webhook
}

async fn sealed(conn: &mut PgConnection) -> Sealed {
    put_first(conn, "key").await.unwrap();
    Sealed { key_id: "key".to_owned(), bytes: b"hush".to_vec() }
}

async fn take(conn: &mut PgConnection) -> Option<Taken> {
    delivery::take(conn, LEASE, 4).await.unwrap()
}

fn ended(state: DeliveryState) -> Ended<'static> {
    Ended { state, response_status: Some(500), response_excerpt: "oh", error: "broken", pause: Duration::ZERO }
}

#[tokio::test]
async fn a_webhook_reads_back_and_its_secret_apart() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let other = workspace(&mut conn, "other").await;
    let made = webhook(&mut conn, lab, "ci").await;
    assert_eq!(by_id(&mut conn, lab, made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(by_id(&mut conn, other, made.id).await.unwrap(), None);
    let kept = Kept::Sealed(sealed(&mut conn).await);
    assert_eq!(secret(&mut conn, lab, made.id).await.unwrap(), kept);

    let updated_at = made.updated_at + chrono::TimeDelta::hours(1);
    let changed = Webhook { name: "cd".to_owned(), events: BTreeSet::from([EVENT]), updated_at, ..made.clone() };
    update(&mut conn, &changed).await.unwrap();
    assert_eq!(by_id(&mut conn, lab, made.id).await.unwrap().as_ref(), Some(&changed));
    seal(&mut conn, made.id, None).await.unwrap();
    assert!(!by_id(&mut conn, lab, made.id).await.unwrap().unwrap().has_secret);

    let second = webhook(&mut conn, lab, "second").await;
    let names = |webhooks: Vec<Webhook>| webhooks.into_iter().map(|webhook| webhook.name).collect::<Vec<_>>();
    assert_eq!(names(list(&mut conn, lab, None, 10).await.unwrap()), ["second", "cd"]);
    assert_eq!(names(list(&mut conn, lab, Some(second.id), 10).await.unwrap()), ["cd"]);
    delete(&mut conn, lab, second.id).await.unwrap();
    assert_eq!(by_id(&mut conn, lab, second.id).await.unwrap(), None);
    assert_eq!(secret(&mut conn, lab, second.id).await.unwrap(), Kept::Nothing);
    assert_eq!(lock(&mut conn, lab, second.id).await.unwrap(), None);
}

#[tokio::test]
async fn another_workspace_neither_holds_nor_changes_nor_deletes_a_webhook() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let other = workspace(&mut conn, "other").await;
    let made = webhook(&mut conn, lab, "ci").await;
    assert_eq!(lock(&mut conn, other, made.id).await.unwrap(), None);
    assert!(secret(&mut conn, other, made.id).await.is_err());
    let theirs = Webhook { workspace_id: other, name: "theirs".to_owned(), ..made.clone() };
    update(&mut conn, &theirs).await.unwrap();
    delete(&mut conn, other, made.id).await.unwrap();
    assert_eq!(lock(&mut conn, lab, made.id).await.unwrap().as_ref(), Some(&made));
    let kept = Kept::Sealed(sealed(&mut conn).await);
    assert_eq!(secret(&mut conn, lab, made.id).await.unwrap(), kept);
}

#[tokio::test]
async fn only_those_are_told_who_asked_for_the_event_here() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let other = workspace(&mut conn, "other").await;
    let told = webhook(&mut conn, lab, "told").await;
    webhook(&mut conn, other, "elsewhere").await;
    let disabled = webhook(&mut conn, lab, "disabled").await;
    update(&mut conn, &Webhook { status: WebhookStatus::Disabled, ..disabled }).await.unwrap();
    let gone = webhook(&mut conn, lab, "gone").await;
    delete(&mut conn, lab, gone.id).await.unwrap();
    let chat = Webhook { format: WebhookFormat::Chat, ..told.clone() };
    update(&mut conn, &chat).await.unwrap();
    let found = vec![Told { id: told.id, format: WebhookFormat::Chat }];
    assert_eq!(told_of(&mut conn, lab, EVENT).await.unwrap(), Some(("lab".to_owned(), found)));
    assert_eq!(told_of(&mut conn, lab, WebhookEvent::PromptTagSet).await.unwrap(), None);
}

#[tokio::test]
async fn a_delivery_is_taken_by_one_and_only_the_last_word_counts() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let hook = webhook(&mut conn, lab, "ci").await;
    delivery::insert(&mut conn, &[hook.id], EVENT, "{}").await.unwrap();
    let first = take(&mut conn).await.unwrap();
    assert_eq!((first.attempts, first.body.as_str()), (1, "{}"));
    assert_eq!(first.secret, Kept::Sealed(sealed(&mut conn).await));
    assert!(take(&mut conn).await.is_none(), "it is taken");
    assert!(delivery::next_due(&mut conn).await.unwrap().unwrap() > Duration::from_secs(60));

    // The worker is lost, and the lease ends.
    sqlx::query("update webhook_deliveries set next_at = now() - interval '1 s'").execute(&mut *conn).await.unwrap();
    let second = take(&mut conn).await.unwrap();
    assert_eq!((second.id, second.attempts), (first.id, 2));
    assert!(second.fence > first.fence);
    assert_eq!(delivery::end(&mut conn, &first, &ended(DeliveryState::Failed)).await.unwrap(), None);
    let state = delivery::end(&mut conn, &second, &ended(DeliveryState::Waiting)).await.unwrap();
    assert_eq!(state, Some(DeliveryState::Waiting));
    let third = take(&mut conn).await.unwrap();
    let state = delivery::end(&mut conn, &third, &ended(DeliveryState::Delivered)).await.unwrap();
    assert_eq!(state, Some(DeliveryState::Delivered));
    assert_eq!(delivery::end(&mut conn, &third, &ended(DeliveryState::Failed)).await.unwrap(), None);
    let last = delivery::last_of_each(&mut conn, &[hook.id]).await.unwrap();
    assert_eq!((last[0].state, last[0].attempts, last[0].response_status), (DeliveryState::Delivered, 3, Some(500)));
    assert!(last[0].ended_at.is_some());
    assert_eq!(last[0].response_excerpt, "oh");
    assert_eq!(delivery::next_due(&mut conn).await.unwrap(), None);

    let again = delivery::repeat(&mut conn, hook.id, first.id).await.unwrap().unwrap();
    assert_eq!((again.redelivery_of, again.state, again.attempts), (Some(first.id), DeliveryState::Waiting, 0));
    assert_eq!(take(&mut conn).await.unwrap().body, first.body);
    let other = webhook(&mut conn, lab, "other").await;
    assert_eq!(delivery::repeat(&mut conn, other.id, first.id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_take_at_once_each_gets_another() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    for name in ["a", "b", "c"] {
        let hook = webhook(&mut conn, lab, name).await;
        for _ in 0..10 {
            delivery::insert(&mut conn, &[hook.id], EVENT, "{}").await.unwrap();
        }
    }
    let takers: Vec<_> = (0..8)
        .map(|_| {
            let pool = database.pool.clone();
            tokio::spawn(async move {
                let mut own = Vec::new();
                while let Some(taken) = delivery::take(&mut pool.acquire().await.unwrap(), LEASE, 100).await.unwrap() {
                    own.push(taken.id);
                }
                own
            })
        })
        .collect();
    let mut all = Vec::new();
    for taker in takers {
        all.extend(taker.await.unwrap());
    }
    // Whoever finds nothing stops, though another may have held what was left.
    while let Some(taken) = delivery::take(&mut conn, LEASE, 100).await.unwrap() {
        all.push(taken.id);
    }
    assert_eq!(all.len(), 30);
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), 30);
}

#[tokio::test]
async fn a_webhook_that_never_answers_holds_up_no_other() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let slow = webhook(&mut conn, lab, "slow").await;
    for _ in 0..3 {
        delivery::insert(&mut conn, &[slow.id], EVENT, "{}").await.unwrap();
    }
    let quick = webhook(&mut conn, lab, "quick").await;
    delivery::insert(&mut conn, &[quick.id], EVENT, "{}").await.unwrap();
    let mut names = Vec::new();
    while let Some(taken) = delivery::take(&mut conn, LEASE, 2).await.unwrap() {
        names.push(taken.webhook);
    }
    assert_eq!(names, ["slow", "slow", "quick"]);
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_off_is_dropped_also_when_its_worker_is_lost() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let hook = webhook(&mut conn, lab, "ci").await;
    for _ in 0..3 {
        delivery::insert(&mut conn, &[hook.id], EVENT, "{}").await.unwrap();
    }
    let (sent, lost) = (take(&mut conn).await.unwrap(), take(&mut conn).await.unwrap());
    lock(&mut conn, lab, hook.id).await.unwrap().unwrap();
    update(&mut conn, &Webhook { status: WebhookStatus::Disabled, ..hook.clone() }).await.unwrap();
    assert_eq!(delivery::drop_waiting(&mut conn, hook.id, "It is off.").await.unwrap(), 1);
    assert!(take(&mut conn).await.is_none());
    // One under way would be tried again, the worker of the other is lost.
    let state = delivery::end(&mut conn, &sent, &ended(DeliveryState::Waiting)).await.unwrap();
    assert_eq!(state, Some(DeliveryState::Dropped));
    assert_eq!(delivery::drop_lost(&mut conn).await.unwrap(), 0, "its lease goes on");
    sqlx::query("update webhook_deliveries set next_at = now() - interval '1 s' where id = $1")
        .bind(lost.id)
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(delivery::drop_lost(&mut conn).await.unwrap(), 1);
    let all = delivery::list(&mut conn, hook.id, None, 10).await.unwrap();
    assert!(all.iter().all(|each| each.state == DeliveryState::Dropped && each.ended_at.is_some()), "{all:?}");
    assert_eq!(delivery::list(&mut conn, hook.id, Some(all[0].id), 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn deliveries_that_ended_long_ago_are_deleted() {
    let database = database().await;
    let mut conn = database.pool.acquire().await.unwrap();
    let lab = workspace(&mut conn, "lab").await;
    let hook = webhook(&mut conn, lab, "ci").await;
    for _ in 0..2 {
        delivery::insert(&mut conn, &[hook.id], EVENT, "{}").await.unwrap();
    }
    let taken = take(&mut conn).await.unwrap();
    delivery::end(&mut conn, &taken, &ended(DeliveryState::Failed)).await.unwrap();
    let earlier = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    assert_eq!(delivery::delete_before(&mut conn, earlier, 10).await.unwrap(), 0);
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    assert_eq!(delivery::delete_before(&mut conn, later, 10).await.unwrap(), 1, "what is open stays");
}
