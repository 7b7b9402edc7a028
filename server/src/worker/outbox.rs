//! Sending what webhooks are told and people are written: taking one when there is one, and sending several at once.

use super::Worker;
use domain::Error;
use futures::future::{BoxFuture, FutureExt as _};
use services::Services;
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};

/// Between two looks, when nobody told of any and none waits for its time.
const POLL: Duration = Duration::from_secs(5);
/// Between two looks, when those that may be sent are held back because others of their webhook are under way.
const HELD_BACK: Duration = Duration::from_secs(1);
/// How long those under way may go on once the worker is to stop. The others are sent again by another, when their lease
/// has ended.
const LAST: Duration = Duration::from_secs(5);
/// Between two times that a worker says that it sends mail: it holds for a day.
const OFFER: Duration = Duration::from_secs(600);

/// Where what is to be sent waits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outbox {
    /// Deliveries to webhooks.
    Webhooks,
    /// Messages to people.
    Mails,
}

impl Outbox {
    /// How many are under way at once. Messages go to one server, each with a connection of its own.
    fn at_once(self) -> usize {
        match self {
            Self::Webhooks => 8,
            Self::Mails => 4,
        }
    }

    /// Takes one that may be sent now; what is taken is to be sent at once.
    async fn take(self, services: &Services) -> Result<Option<BoxFuture<'static, Result<(), Error>>>, Error> {
        let own = services.clone();
        Ok(match self {
            Self::Webhooks => (services.take_delivery().await?)
                .map(|taken| async move { own.send_delivery(taken).await.map(drop) }.boxed()),
            Self::Mails => {
                services.take_mail().await?.map(|taken| async move { own.send_mail(taken).await.map(drop) }.boxed())
            }
        })
    }

    async fn next_due(self, services: &Services) -> Result<Option<Duration>, Error> {
        match self {
            Self::Webhooks => services.next_delivery_due().await,
            Self::Mails => services.next_mail_due().await,
        }
    }
}

/// Sends what is in an outbox until told to stop.
pub(super) async fn run(worker: Worker, outbox: Outbox) {
    let told = match outbox {
        Outbox::Webhooks => &worker.webhooks,
        Outbox::Mails => &worker.mails,
    };
    let mut under_way = JoinSet::new();
    while !worker.stop.is_cancelled() {
        let pause = take_all(&worker.services, outbox, &mut under_way).await;
        tokio::select! {
            () = worker.stop.cancelled() => {}
            () = told.notified() => {}
            Some(ended) = under_way.join_next() => tell_failure(ended),
            () = tokio::time::sleep(pause) => {}
        }
        while let Some(ended) = under_way.try_join_next() {
            tell_failure(ended);
        }
    }
    let rest = async { while under_way.join_next().await.is_some() {} };
    if timeout(LAST, rest).await.is_err() {
        tracing::info!(?outbox, "some are under way; they are sent again by another worker");
    }
}

/// Says again and again that this worker sends mail.
pub(super) async fn offer_mail(worker: Worker) {
    loop {
        if let Err(error) = worker.services.offer_mail().await {
            tracing::warn!(%error, "it could not be said that mail is sent here");
        }
        if !worker.pause(OFFER).await {
            return;
        }
    }
}

/// A task that did not end as it should: a mistake of ours.
fn tell_failure(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "sending failed");
    }
}

/// Takes what there is while a place is free. Tells how long to wait until the next look.
async fn take_all(services: &Services, outbox: Outbox, under_way: &mut JoinSet<()>) -> Duration {
    while under_way.len() < outbox.at_once() {
        match outbox.take(services).await {
            Ok(Some(sending)) => {
                under_way.spawn(async move {
                    if let Err(error) = sending.await {
                        tracing::warn!(?outbox, %error, "how it went could not be noted; it is sent again");
                    }
                });
            }
            Ok(None) => {
                return match outbox.next_due(services).await {
                    Ok(Some(due)) if due.is_zero() => HELD_BACK,
                    Ok(Some(due)) => due.clamp(Duration::from_millis(10), POLL),
                    Ok(None) | Err(_) => POLL,
                };
            }
            Err(error) => {
                tracing::warn!(?outbox, %error, "none could be taken; trying again");
                return HELD_BACK;
            }
        }
    }
    POLL
}
