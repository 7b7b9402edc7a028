//! Webhooks: who is told what happens in the registry, to promotions and to steps that ask people. What is to be sent is
//! written in the transaction of what it tells of; sending it, again when need be, is the workers' part, and may be broken off
//! at any moment.

use crate::{Ctx, Event, Result, Services, boxed, commit, link::Links, now, vault::Place};
use chain::Checkpoint;
use chrono::Utc;
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    id::{DeliveryId, WebhookId, WorkspaceId},
    model::Model,
    page,
    promotion::Promotion,
    step_approval::StepApproval,
    webhook::{
        self, Announced, Delivery, DeliveryState, Ending, Happening, MAX_ATTEMPTS, PromotionEvent, StepEvent, Webhook,
        WebhookEvent, WebhookFormat, WebhookStatus, WebhookUrl, chat_body, completed,
    },
};
use outbound::{Message, Outbound, PATIENCE};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use store::{
    PgConnection,
    secret_key::Sealed,
    wake::Wake,
    webhook::{
        Told,
        delivery::{Ended, Taken},
    },
};

/// For how long a worker has a delivery: three times what a request may take.
const LEASE: Duration = PATIENCE.saturating_mul(3);
/// How many deliveries of one webhook are under way at once.
const AT_ONCE: i64 = 4;

/// A webhook to be made.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// Its name.
    pub name: String,
    /// Where deliveries are sent.
    pub url: String,
    /// What it is told of.
    pub events: BTreeSet<WebhookEvent>,
    /// What it is for.
    pub description: String,
    /// What deliveries are signed with; empty for nothing.
    pub secret: String,
    /// Whether it is told anything.
    pub status: WebhookStatus,
    /// What it is posted.
    pub format: WebhookFormat,
}

/// What of a webhook is to be another.
#[derive(Debug, Clone, Default)]
pub struct WebhookChange {
    /// Its name.
    pub name: Option<String>,
    /// Where deliveries are sent.
    pub url: Option<String>,
    /// What it is told of.
    pub events: Option<BTreeSet<WebhookEvent>>,
    /// What it is for.
    pub description: Option<String>,
    /// What deliveries are signed with; empty for nothing.
    pub secret: Option<String>,
    /// Whether it is told anything.
    pub status: Option<WebhookStatus>,
    /// What it is posted.
    pub format: Option<WebhookFormat>,
}

/// A webhook in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSummary {
    /// The webhook.
    pub webhook: Webhook,
    /// The last that was sent to it, or is to be.
    pub last: Option<Delivery>,
}

/// How a try with an example went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookTest {
    /// Whether the receiver took it.
    pub success: bool,
    /// The status of its answer.
    pub response_status: Option<u16>,
    /// The beginning of its answer.
    pub response_body: Option<String>,
    /// Why it did not go well.
    pub error: Option<String>,
}

/// A delivery that this process has taken, to be sent soon.
#[derive(Debug)]
pub struct TakenDelivery {
    taken: Taken,
    /// When it was asked for. Its lease began no earlier.
    asked: Instant,
}

impl Services {
    /// The same, sending webhooks by this.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Outbound) -> Self {
        self.outbound = Arc::new(outbound);
        self
    }

    /// Makes a webhook.
    ///
    /// # Errors
    /// `Invalid` for a wrong name, description or secret, without events, and for a URL that webhooks may not send to.
    #[boxed]
    pub async fn create_webhook(&self, ctx: &Ctx, new: NewWebhook) -> Result<Webhook> {
        webhook::check_name(&new.name)?;
        webhook::check_description(&new.description)?;
        webhook::check_secret(&new.secret)?;
        webhook::check_events(&new.events)?;
        let url = self.check_url(&new.url).await?;
        let now = now();
        let webhook = Webhook {
            id: WebhookId::new(),
            workspace_id: ctx.workspace_id(),
            name: new.name,
            description: new.description,
            url: new.url,
            events: new.events,
            format: new.format,
            status: new.status,
            has_secret: !new.secret.is_empty(),
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.begin().await?;
        let sealed = self.sealed(&mut tx, webhook.id, &new.secret).await?;
        store::webhook::insert(&mut tx, &webhook, sealed.as_ref()).await?;
        // Not the whole address: some services have a secret in its path.
        let details = serde_json::json!({
            "host": url.host(), "events": webhook.events, "status": webhook.status, "signed": webhook.has_secret,
            "format": webhook.format,
        });
        Event::new("webhook.created", object(&webhook), format!("added the webhook {}", webhook.name))
            .details(details)
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(webhook)
    }

    /// What a webhook signs with, encrypted; none for an empty text, which says that it signs nothing.
    async fn sealed(&self, conn: &mut PgConnection, id: WebhookId, secret: &str) -> Result<Option<Sealed>> {
        Ok(match secret {
            "" => None,
            secret => Some(self.seal(conn, Place::Webhook(id), secret).await?),
        })
    }

    /// Reads an address, and looks whether webhooks may send there.
    async fn check_url(&self, url: &str) -> Result<WebhookUrl> {
        let url = WebhookUrl::parse(url, self.outbound.allows_private())?;
        self.outbound.check(&url).await.map_err(|error| Error::invalid_field("url", error.to_string()))?;
        Ok(url)
    }

    /// The webhook of this id.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn webhook(&self, ctx: &Ctx, id: WebhookId) -> Result<Webhook> {
        find(&mut *self.conn().await?, ctx, id).await
    }

    /// A page of the webhooks, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn webhooks(&self, ctx: &Ctx, page_token: Option<&str>, limit: usize) -> Result<Page<Webhook>> {
        let before: Option<WebhookId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let webhooks = store::webhook::list(&mut conn, ctx.workspace_id(), before, limit as i64 + 1).await?;
        Ok(Page::cut(webhooks, limit, |webhook| webhook.id))
    }

    /// A page of the webhooks, newest first, each with its last delivery.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn webhook_summaries(
        &self,
        ctx: &Ctx,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<WebhookSummary>> {
        let webhooks = self.webhooks(ctx, page_token, limit).await?;
        let ids: Vec<WebhookId> = webhooks.items.iter().map(|webhook| webhook.id).collect();
        let last = store::webhook::delivery::last_of_each(&mut *self.conn().await?, &ids).await?;
        let mut last: BTreeMap<_, _> = last.into_iter().map(|delivery| (delivery.webhook_id, delivery)).collect();
        Ok(webhooks.map(|webhook| WebhookSummary { last: last.remove(&webhook.id), webhook }))
    }

    /// What was sent to a webhook and what is to be, newest first.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn webhook_deliveries(
        &self,
        ctx: &Ctx,
        id: WebhookId,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Delivery>> {
        let before: Option<DeliveryId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        find(&mut conn, ctx, id).await?;
        let deliveries = store::webhook::delivery::list(&mut conn, id, before, limit as i64 + 1).await?;
        Ok(Page::cut(deliveries, limit, |delivery| delivery.id))
    }

    /// Sends once more what was sent to a webhook, or was to be, as a delivery of its own: the receiver sees another id.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the webhook is disabled.
    #[boxed]
    pub async fn redeliver(&self, ctx: &Ctx, id: WebhookId, delivery: DeliveryId) -> Result<Delivery> {
        let mut tx = self.begin().await?;
        let webhook = locked(&mut tx, ctx, id).await?;
        if webhook.status == WebhookStatus::Disabled {
            return Err(Error::conflict(format!("The webhook {} is disabled; enable it first.", webhook.name)));
        }
        let again = store::webhook::delivery::repeat(&mut tx, id, delivery).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "No such delivery of this webhook; those of the last 30 days are kept.")
        })?;
        store::wake::push(&mut tx, &Wake::Webhooks).await?;
        Event::new(
            "webhook.redelivered",
            object(&webhook),
            format!("sent {} to the webhook {} again", again.event, webhook.name),
        )
        .details(serde_json::json!({ "delivery": again.id, "of": delivery }))
        .write(&mut tx, ctx)
        .await?;
        commit(tx).await?;
        Ok(again)
    }

    /// Changes a webhook. Disabling it drops what waits to be sent to it.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as when it is made.
    #[boxed]
    pub async fn change_webhook(&self, ctx: &Ctx, id: WebhookId, change: WebhookChange) -> Result<Webhook> {
        self.webhook(ctx, id).await?;
        change.name.as_deref().map_or(Ok(()), webhook::check_name)?;
        change.description.as_deref().map_or(Ok(()), webhook::check_description)?;
        change.secret.as_deref().map_or(Ok(()), webhook::check_secret)?;
        change.events.as_ref().map_or(Ok(()), webhook::check_events)?;
        if let Some(url) = &change.url {
            self.check_url(url).await?;
        }
        let mut tx = self.begin().await?;
        let before = locked(&mut tx, ctx, id).await?;
        let new_secret = match change.secret {
            None => None,
            // One that cannot be read any more is another.
            Some(given) => {
                let kept = store::webhook::secret(&mut tx, ctx.workspace_id(), id).await?;
                let before = self.reveal(Place::Webhook(id), &kept).await.ok();
                (before.as_ref() != Some(&given)).then_some(given)
            }
        };
        let mut after = Webhook {
            name: change.name.unwrap_or_else(|| before.name.clone()),
            url: change.url.unwrap_or_else(|| before.url.clone()),
            events: change.events.unwrap_or_else(|| before.events.clone()),
            description: change.description.unwrap_or_else(|| before.description.clone()),
            status: change.status.unwrap_or(before.status),
            format: change.format.unwrap_or(before.format),
            has_secret: new_secret.as_ref().map_or(before.has_secret, |secret| !secret.is_empty()),
            ..before.clone()
        };
        if after == before && new_secret.is_none() {
            return Ok(before);
        }
        after.updated_at = now();
        store::webhook::update(&mut tx, &after).await?;
        if let Some(secret) = &new_secret {
            let sealed = self.sealed(&mut tx, id, secret).await?;
            store::webhook::seal(&mut tx, id, sealed.as_ref()).await?;
        }
        if after.status == WebhookStatus::Disabled {
            store::webhook::delivery::drop_waiting(&mut tx, id, "The webhook was disabled.").await?;
        }
        let mut changed = Vec::new();
        for (name, is_changed) in [
            ("name", after.name != before.name),
            ("url", after.url != before.url),
            ("events", after.events != before.events),
            ("description", after.description != before.description),
            ("secret", new_secret.is_some()),
            ("format", after.format != before.format),
        ] {
            if is_changed {
                changed.push(name);
            }
        }
        let verb = match (before.status, after.status) {
            (WebhookStatus::Active, WebhookStatus::Disabled) => "disabled",
            (WebhookStatus::Disabled, WebhookStatus::Active) => "enabled",
            _ => "changed",
        };
        Event::new("webhook.changed", object(&after), format!("{verb} the webhook {}", after.name))
            .details(serde_json::json!({ "changed": changed, "events": after.events, "status": after.status }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Deletes a webhook. What waits to be sent to it is dropped.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_webhook(&self, ctx: &Ctx, id: WebhookId) -> Result<()> {
        let mut tx = self.begin().await?;
        let webhook = locked(&mut tx, ctx, id).await?;
        store::webhook::delete(&mut tx, ctx.workspace_id(), id).await?;
        store::webhook::delivery::drop_waiting(&mut tx, id, "The webhook was deleted.").await?;
        Event::new("webhook.deleted", object(&webhook), format!("deleted the webhook {}", webhook.name))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// Sends an example of an event to a webhook, also to one that is disabled: of the first that it is told of, when none
    /// is given. It is sent once, now.
    ///
    /// # Errors
    /// `NotFound`. What goes wrong on the way is an answer.
    #[boxed]
    pub async fn test_webhook(&self, ctx: &Ctx, id: WebhookId, event: Option<WebhookEvent>) -> Result<WebhookTest> {
        let (webhook, kept) = {
            let mut conn = self.conn().await?;
            let webhook = find(&mut conn, ctx, id).await?;
            (webhook, store::webhook::secret(&mut conn, ctx.workspace_id(), id).await?)
        };
        let secret = self.reveal(Place::Webhook(id), &kept).await?;
        let event = event.or_else(|| webhook.events.first().copied()).unwrap_or(WebhookEvent::RegisteredModelCreated);
        let body = body(webhook.format, event, &event.example(), &ctx.workspace.slug)?;
        let body = completed(&body, self.public_url()).unwrap_or(body);
        let delivery = DeliveryId::new().to_string();
        let message = Message { id: &delivery, body: &body, secret: Some(&secret) };
        Ok(match self.outbound.post(&webhook.url, &message).await {
            Ok(answer) => {
                let success = (200..300).contains(&answer.status);
                WebhookTest {
                    success,
                    error: (!success).then(|| answered(answer.status)),
                    response_status: Some(answer.status),
                    response_body: Some(answer.body),
                }
            }
            Err(error) => WebhookTest {
                success: false,
                response_status: None,
                response_body: None,
                error: Some(error.to_string()),
            },
        })
    }

    /// Takes a delivery that may be sent now, if there is one. It must be sent soon: another takes it when its lease ends.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn take_delivery(&self) -> Result<Option<TakenDelivery>> {
        let asked = Instant::now();
        let taken = store::webhook::delivery::take(&mut *self.conn().await?, LEASE, AT_ONCE).await?;
        Ok(taken.map(|taken| TakenDelivery { taken, asked }))
    }

    /// Sends a delivery, and notes how that went. Answers with where it stands then; none when it was too late, and is
    /// somebody else's.
    ///
    /// # Errors
    /// When the database does not answer. What was sent is sent again when the lease has ended: receivers know it by its id.
    #[boxed]
    pub async fn send_delivery(&self, taken: TakenDelivery) -> Result<Option<DeliveryState>> {
        let TakenDelivery { taken, asked } = taken;
        if asked.elapsed() > LEASE - PATIENCE * 2 {
            // This process stood still since. What is sent now might be under way when another takes it.
            return Ok(None);
        }
        let Tried { state, pause, status, excerpt, error } = if taken.attempts > MAX_ATTEMPTS {
            let why = "The workers that tried to send it were lost.".to_owned();
            Tried {
                state: DeliveryState::Failed,
                pause: Duration::ZERO,
                status: None,
                excerpt: String::new(),
                error: why,
            }
        } else {
            self.attempt(&taken).await
        };
        let response_status = status.map(i32::from);
        let ended = Ended { state, response_status, response_excerpt: &excerpt, error: &error, pause };
        let stands = store::webhook::delivery::end(&mut *self.conn().await?, &taken, &ended).await?;
        let outcome = match stands {
            Some(DeliveryState::Waiting) => "retried",
            Some(state) => state.as_str(),
            None => "late",
        };
        metrics::counter!("slipway_webhook_deliveries_total", "outcome" => outcome).increment(1);
        if stands == Some(DeliveryState::Failed) {
            tracing::warn!(webhook = %taken.webhook, delivery = %taken.id, attempts = taken.attempts, %error,
                "a delivery was given up");
        }
        Ok(stands)
    }

    /// One try.
    async fn attempt(&self, taken: &Taken) -> Tried {
        let id = taken.id.to_string();
        let completed = completed(&taken.body, self.public_url());
        let body = completed.as_deref().unwrap_or(&taken.body);
        let posted = match self.reveal(Place::Webhook(taken.webhook_id), &taken.secret).await {
            Ok(secret) => {
                let message = Message { id: &id, body, secret: Some(&secret) };
                self.outbound.post(&taken.url, &message).await
            }
            // Another worker may have the key, or this one later.
            Err(error) => Err(outbound::Error::Unreached(format!("It could not be signed: {}", error.message))),
        };
        let (ending, asked, status, excerpt, error) = match posted {
            Ok(answer) => {
                let is_taken = (200..300).contains(&answer.status);
                let error = if is_taken { String::new() } else { answered(answer.status) };
                let excerpt = webhook::excerpt(&answer.body);
                (Ending::Answered(answer.status), answer.retry_after, Some(answer.status), excerpt, error)
            }
            Err(outbound::Error::Refused(why)) => (Ending::Refused, None, None, String::new(), why),
            Err(outbound::Error::Unreached(why)) => (Ending::Unreached, None, None, String::new(), why),
        };
        let state = webhook::after_attempt(taken.attempts, ending);
        Tried { state, pause: webhook::retry_delay(taken.attempts, chance(), asked), status, excerpt, error }
    }

    /// How long until a delivery may be taken, should one wait for its time.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next_delivery_due(&self) -> Result<Option<Duration>> {
        Ok(store::webhook::delivery::next_due(&mut *self.conn().await?).await?)
    }
}

/// How a try went.
struct Tried {
    /// Where the delivery stands after it.
    state: DeliveryState,
    /// The pause before another.
    pause: Duration,
    /// The answer's status.
    status: Option<u16>,
    /// The beginning of the answer.
    excerpt: String,
    /// What went wrong.
    error: String,
}

/// Writes what is to be sent to the webhooks that are told of what happened to a model, in the transaction in which it
/// happens, and wakes a worker.
pub(crate) async fn tell_webhooks(conn: &mut PgConnection, model: &Model, what: &Happening<'_>) -> Result<()> {
    let Some((event, data)) = what.of(model) else { return Ok(()) };
    match store::webhook::told_of(conn, model.workspace_id, event).await? {
        Some((slug, told)) => send(conn, &slug, &told, event, &data).await,
        None => Ok(()),
    }
}

/// The same of a head of history: whoever keeps it elsewhere can tell later whether history was written anew.
pub(crate) async fn tell_checkpoint(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let data = serde_json::json!({
        "workspace_id": workspace, "seq": checkpoint.seq, "head": checkpoint.head, "at": checkpoint.at,
        "key": checkpoint.key, "signature": checkpoint.signature,
    });
    match store::webhook::told_of(conn, workspace, WebhookEvent::AuditCheckpoint).await? {
        Some((slug, told)) => send(conn, &slug, &told, WebhookEvent::AuditCheckpoint, &data).await,
        None => Ok(()),
    }
}

/// The same of what happened to a promotion. `more` is said beside how it stands.
pub(crate) async fn tell_of_promotion(
    conn: &mut PgConnection,
    promotion: &Promotion,
    event: PromotionEvent,
    more: impl FnOnce(Links<'_>) -> serde_json::Value,
) -> Result<()> {
    let told_as = WebhookEvent::Promotion(event);
    let Some((slug, told)) = store::webhook::told_of(conn, promotion.workspace_id, told_as).await? else {
        return Ok(());
    };
    // Who sends it knows the server's address, and puts it before each path.
    let links = Links { base: "", slug: &slug };
    let data = PromotionEvent::data(promotion, &links.promotion(promotion.number), more(links));
    send(conn, &slug, &told, told_as, &data).await
}

/// The same of what happened to a step that asks people.
pub(crate) async fn tell_of_step(conn: &mut PgConnection, approval: &StepApproval) -> Result<()> {
    let Some(event) = StepEvent::of(approval.state).map(WebhookEvent::Step) else { return Ok(()) };
    let Some((slug, told)) = store::webhook::told_of(conn, approval.workspace_id, event).await? else { return Ok(()) };
    let path = Links { base: "", slug: &slug }.step(approval.run, &approval.step);
    send(conn, &slug, &told, event, &StepEvent::data(approval, &path)).await
}

/// Writes a delivery for each of these webhooks of one workspace, and wakes a worker.
async fn send(
    conn: &mut PgConnection,
    slug: &str,
    told: &[Told],
    event: WebhookEvent,
    data: &serde_json::Value,
) -> Result<()> {
    for format in WebhookFormat::ALL {
        let webhooks: Vec<WebhookId> = told.iter().filter(|one| one.format == format).map(|one| one.id).collect();
        if !webhooks.is_empty() {
            let body = body(format, event, data, slug)?;
            store::webhook::delivery::insert(conn, &webhooks, event, &body).await?;
        }
    }
    store::wake::push(conn, &Wake::Webhooks).await?;
    Ok(())
}

fn body(format: WebhookFormat, event: WebhookEvent, data: &serde_json::Value, workspace: &str) -> Result<String> {
    let body = match format {
        WebhookFormat::Mlflow => serde_json::to_string(&Announced::new(event, Utc::now(), data, workspace)),
        WebhookFormat::Chat => chat_body(event, data),
    };
    body.map_err(|error| {
        tracing::error!(%error, "what is told of has no JSON form");
        Error::internal()
    })
}

/// What is said of an answer that is no success.
fn answered(status: u16) -> String {
    if (300..400).contains(&status) {
        format!("The receiver answered {status}, and redirects are not followed; give the address that it leads to.")
    } else {
        format!("The receiver answered {status}.")
    }
}

/// A number from 0 to 1 that nobody foresees; 0 when there is none to be had.
pub(crate) fn chance() -> f64 {
    getrandom::u32().map_or(0.0, |number| f64::from(number) / f64::from(u32::MAX))
}

async fn find(conn: &mut PgConnection, ctx: &Ctx, id: WebhookId) -> Result<Webhook> {
    store::webhook::by_id(conn, ctx.workspace_id(), id).await?.ok_or_else(|| no_webhook(id))
}

/// The webhook as it stands until the transaction ends.
async fn locked(conn: &mut PgConnection, ctx: &Ctx, id: WebhookId) -> Result<Webhook> {
    store::webhook::lock(conn, ctx.workspace_id(), id).await?.ok_or_else(|| no_webhook(id))
}

/// What is said of a webhook that is not there.
#[must_use]
pub fn no_webhook(id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, format!("Webhook with ID {id} not found."))
}

fn object(webhook: &Webhook) -> Object {
    Object::new(ObjectKind::Webhook, webhook.id, &webhook.name)
}
