//! History: writing an event in the transaction of what it tells of, and reading timelines.

use crate::{Caller, Ctx, Result, Services, boxed, promotion::mail_of_event, webhook};
use chrono::Utc;
use domain::{
    Page,
    audit::{Actor, AuditEvent, Object, ObjectKind},
    environment::Sight,
    id::{AuditEventId, PromotionId, WorkspaceId},
    page,
    webhook::PromotionEvent,
};
use store::PgConnection;

/// An event to be written.
#[derive(Debug, Clone)]
pub struct Event {
    action: &'static str,
    object: Object,
    related: Vec<Object>,
    summary: String,
    details: serde_json::Value,
}

impl Event {
    /// `action` is the object's kind and a verb of the past, `promotion.approved`; `summary` a sentence without the
    /// actor: `approved churn v7 for production`.
    pub fn new(action: &'static str, object: Object, summary: impl Into<String>) -> Self {
        Self { action, object, related: Vec::new(), summary: summary.into(), details: serde_json::json!({}) }
    }

    /// It is on this object's timeline too.
    #[must_use]
    pub fn related(mut self, object: Object) -> Self {
        self.related.push(object);
        self
    }

    /// Facts by name.
    #[must_use]
    pub fn details(mut self, details: serde_json::Value) -> Self {
        self.details = details;
        self
    }

    /// Writes it as done by whoever asks.
    ///
    /// # Errors
    /// When the statement fails.
    #[boxed]
    pub async fn write(self, conn: &mut PgConnection, ctx: &Ctx) -> Result<()> {
        self.write_as(conn, Some(ctx.workspace_id()), ctx.actor(), ctx.request_id()).await
    }

    /// Writes it in no workspace.
    ///
    /// # Errors
    /// When the statement fails.
    #[boxed]
    pub async fn write_by(self, conn: &mut PgConnection, caller: &Caller) -> Result<()> {
        self.write_as(conn, None, caller.actor(), caller.request_id.as_deref()).await
    }

    pub(crate) async fn write_as(
        self,
        conn: &mut PgConnection,
        workspace: Option<WorkspaceId>,
        actor: Actor,
        request_id: Option<&str>,
    ) -> Result<()> {
        let event = AuditEvent {
            id: AuditEventId::new(),
            at: Utc::now(),
            actor,
            action: self.action.to_owned(),
            object: self.object,
            related: self.related,
            summary: self.summary,
            details: self.details,
            request_id: request_id.map(ToOwned::to_owned),
        };
        store::audit::append(conn, workspace, &event).await?;
        mail_of_event(conn, &event).await?;
        tell_of_promotion(conn, &event).await
    }
}

/// Tells webhooks of what happened to a promotion and is no move: moves are told of where they are made.
async fn tell_of_promotion(conn: &mut PgConnection, event: &AuditEvent) -> Result<()> {
    let told = PromotionEvent::of_history(&event.action).filter(|_| event.object.kind == ObjectKind::Promotion);
    let (Some(told), Ok(id)) = (told, event.object.id.parse::<PromotionId>()) else { return Ok(()) };
    let Some(promotion) = store::promotion::by_id(conn, id).await? else { return Ok(()) };
    let more = serde_json::json!({ "by": event.actor.name(), "details": event.details });
    webhook::tell_of_promotion(conn, &promotion, told, |_| more).await
}

impl Services {
    /// History of the workspace, newest first: of all of it, or of what concerns every one of these objects.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn audit_events(
        &self,
        ctx: &Ctx,
        objects: &[(ObjectKind, &str)],
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEvent>> {
        self.audit_events_in(Some(&ctx.sight()), objects, page_token, limit).await
    }

    /// History of one's own account, in every workspace and in none, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn audit_events_of_account(
        &self,
        caller: &Caller,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEvent>> {
        let id = caller.user.id.to_string();
        self.audit_events_in(None, &[(ObjectKind::User, &id)], page_token, limit).await
    }

    /// Of one workspace, or of all and of none.
    async fn audit_events_in(
        &self,
        sight: Option<&Sight>,
        objects: &[(ObjectKind, &str)],
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEvent>> {
        let before: Option<AuditEventId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let events = store::audit::list(&mut *self.conn().await?, sight, objects, before, limit as i64 + 1).await?;
        Ok(Page::cut(events, limit, |event| event.id))
    }

    /// History of the workspace's objects of one sort, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn audit_events_of_kind(
        &self,
        ctx: &Ctx,
        kind: ObjectKind,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEvent>> {
        let before: Option<AuditEventId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let events =
            store::audit::of_kind(&mut *self.conn().await?, &ctx.sight(), kind, before, limit as i64 + 1).await?;
        Ok(Page::cut(events, limit, |event| event.id))
    }
}
