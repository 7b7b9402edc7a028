//! E-mail: writing a message, sending what was written, what was sent, and which messages somebody wants. Who is written what
//! is in `promotion::mailing` and `step::approval`. Sending may be broken off at any moment.

use crate::{Caller, Ctx, Result, Services, boxed, commit, link::Links, session::account_event, webhook::chance};
use domain::{
    Page,
    id::{MailId, UserId, WorkspaceId},
    mail::{Letter, Mail, MailKind, without, written},
    page,
    webhook::{self, DeliveryState, Ending, MAX_ATTEMPTS},
};
use outbound::PATIENCE;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use store::{
    PgConnection,
    mail::{About, Taken},
    wake::Wake,
};

/// For how long a worker has a message: three times what sending it may take.
const LEASE: Duration = PATIENCE.saturating_mul(3);

/// A message that this process has taken, to be sent soon.
#[derive(Debug)]
pub struct TakenMail {
    taken: Taken,
    /// When it was asked for. Its lease began no earlier.
    asked: Instant,
}

/// Writes a message to each of these people, in the transaction in which it happens, and wakes a worker.
pub(crate) async fn post(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    about: About,
    people: &BTreeSet<UserId>,
    letter: &Letter,
) -> Result<()> {
    if store::mail::insert(conn, workspace, about, people, letter).await? > 0 {
        store::wake::push(conn, &Wake::Mails).await?;
    }
    Ok(())
}

impl Services {
    /// Whether this process can send messages.
    #[must_use]
    pub fn sends_mail(&self) -> bool {
        self.mailer.is_some()
    }

    /// Says that this process sends messages, so that they are written from now on. To be said again within a day.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn offer_mail(&self) -> Result<()> {
        Ok(store::mail::offer(&mut *self.conn().await?).await?)
    }

    /// Whether the installation sends messages.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn mail_is_sent(&self) -> Result<bool> {
        Ok(store::mail::is_sent(&mut *self.conn().await?).await?)
    }

    /// Takes a message that may be sent now, if there is one and this process can. It must be sent soon: another takes it
    /// when its lease ends.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn take_mail(&self) -> Result<Option<TakenMail>> {
        if self.mailer.is_none() {
            return Ok(None);
        }
        let asked = Instant::now();
        let taken = store::mail::take(&mut *self.conn().await?, LEASE).await?;
        Ok(taken.map(|taken| TakenMail { taken, asked }))
    }

    /// Sends a message, and notes how that went. Answers with where it stands then; none when it was too late, and is
    /// somebody else's.
    ///
    /// # Errors
    /// When the database does not answer. What was sent is sent again when the lease has ended, with the same id.
    #[boxed]
    pub async fn send_mail(&self, taken: TakenMail) -> Result<Option<DeliveryState>> {
        let TakenMail { taken, asked } = taken;
        if asked.elapsed() > LEASE - PATIENCE * 2 {
            // This process stood still since. What is sent now might be under way when another takes it.
            return Ok(None);
        }
        let (state, error) = if !taken.is_wanted {
            (DeliveryState::Dropped, "They do not get such messages any more.".to_owned())
        } else if taken.attempts > MAX_ATTEMPTS {
            (DeliveryState::Failed, "The workers that tried to send it were lost.".to_owned())
        } else {
            self.try_mail(&taken).await
        };
        let pause = webhook::retry_delay(taken.attempts, chance(), None);
        let is_ours = store::mail::end(&mut *self.conn().await?, &taken, state, &error, pause).await?;
        let outcome = match state {
            _ if !is_ours => "late",
            DeliveryState::Waiting => "retried",
            state => state.as_str(),
        };
        metrics::counter!("slipway_mails_total", "outcome" => outcome).increment(1);
        if !is_ours {
            return Ok(None);
        }
        if state == DeliveryState::Failed {
            tracing::warn!(mail = %taken.id, attempts = taken.attempts, %error, "a message was given up");
        }
        Ok(Some(state))
    }

    /// One try: where the message stands after it, and why.
    async fn try_mail(&self, taken: &Taken) -> (DeliveryState, String) {
        let Some(mailer) = &self.mailer else {
            return (DeliveryState::Waiting, "This worker sends no messages.".to_owned());
        };
        let links = Links { base: self.public_url(), slug: &taken.slug };
        let page = match (taken.promotion, taken.run, &taken.step) {
            (Some(number), ..) => links.promotion(number),
            (None, Some(run), Some(step)) => links.step(run, step),
            _ => return (DeliveryState::Failed, "What it is about is no more.".to_owned()),
        };
        let page = format!("{page}{}", taken.fragment);
        let (text, html) = written(&taken.body, &page, &links.account());
        let (id, thread) = (taken.id.to_string(), taken.thread.to_string());
        let letter = outbound::Letter {
            id: &id,
            thread: &thread,
            to: &taken.email,
            name: &taken.name,
            subject: &taken.subject,
            text: &text,
            html: &html,
        };
        let (ending, error) = match mailer.send(&letter).await {
            Ok(()) => (Ending::Answered(200), String::new()),
            Err(outbound::Error::Refused(why)) => (Ending::Refused, why),
            Err(outbound::Error::Unreached(why)) => (Ending::Unreached, why),
        };
        (webhook::after_attempt(taken.attempts, ending), error)
    }

    /// How long until a message may be taken, should one wait for its time.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next_mail_due(&self) -> Result<Option<Duration>> {
        Ok(store::mail::next_due(&mut *self.conn().await?).await?)
    }

    /// The messages to people of the workspace, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn mails(&self, ctx: &Ctx, page_token: Option<&str>, limit: usize) -> Result<Page<Mail>> {
        let before: Option<MailId> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let mails = store::mail::list(&mut conn, ctx.workspace_id(), before, limit as i64 + 1).await?;
        Ok(Page::cut(mails, limit, |mail| mail.id))
    }

    /// Of what one wants to be written.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn wanted_mail(&self, caller: &Caller) -> Result<BTreeSet<MailKind>> {
        Ok(without(&store::mail::off(&mut *self.conn().await?, caller.user.id).await?))
    }

    /// Says of what one wants to be written, in every workspace: of these kinds, and no others. Saying it again changes
    /// nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn set_wanted_mail(&self, caller: &Caller, wanted: &BTreeSet<MailKind>) -> Result<()> {
        let off = without(wanted);
        let mut tx = self.begin().await?;
        if store::mail::lock_off(&mut tx, caller.user.id).await? == off {
            return Ok(());
        }
        store::mail::set_off(&mut tx, caller.user.id, &off).await?;
        account_event("user.mail_changed", &caller.user, "chose of what they are written")
            .details(serde_json::json!({ "mail": wanted }))
            .write_by(&mut tx, caller)
            .await?;
        commit(tx).await
    }
}
