//! Who is written what of a promotion, in the transaction in which it happens. Where no worker sends messages, nobody is
//! looked up and nothing is written.

use super::people::People;
use crate::{Result, mail};
use chrono::Utc;
use domain::{
    audit::{Actor, AuditEvent},
    comment::Comment,
    id::{OverrideId, PromotionId, UserId},
    mail::Moment,
    permission::Role,
    promotion::{Promotion, PromotionState, standing},
    webhook::PromotionEvent,
};
use std::collections::BTreeSet;
use store::{PgConnection, mail::About};

/// Writes of a state that was just reached. That it was taken back is told with its line of history, which says by whom.
pub(super) async fn mail_of_move(conn: &mut PgConnection, promotion: &Promotion) -> Result<()> {
    match promotion.state {
        PromotionState::AwaitingApproval => {
            if store::mail::is_sent(conn).await? {
                let people = still_asked(conn, promotion).await?;
                write(conn, promotion, &people, Moment::Asked).await?;
            }
            Ok(())
        }
        PromotionState::Withdrawn => Ok(()),
        state if state.is_open() => Ok(()),
        _ => write(conn, promotion, &requesters(promotion), Moment::Reached).await,
    }
}

/// Writes of a line of history.
pub(crate) async fn mail_of_event(conn: &mut PgConnection, event: &AuditEvent) -> Result<()> {
    let told = [
        PromotionEvent::ChangesRequested,
        PromotionEvent::Expiring,
        PromotionEvent::Withdrawn,
        PromotionEvent::OverrideConfirmed,
        PromotionEvent::OverrideReviewOverdue,
    ];
    let Some(told) = told.into_iter().find(|one| one.as_str() == event.action) else { return Ok(()) };
    let Ok(id) = event.object.id.parse::<PromotionId>() else { return Ok(()) };
    if !store::mail::is_sent(conn).await? {
        return Ok(());
    }
    let Some(promotion) = &store::promotion::by_id(conn, id).await? else { return Ok(()) };
    let (key, by) = (event.id.to_string(), event.actor.name().to_owned());
    match told {
        PromotionEvent::ChangesRequested => {
            let comment = event.details["comment"].as_str().unwrap_or_default();
            let moment = Moment::ChangesRequested { by: &by, comment, key: &key };
            write(conn, promotion, &requesters(promotion), moment).await
        }
        PromotionEvent::Withdrawn => {
            let mut people = requesters(promotion);
            if let Actor::User { id, .. } = event.actor {
                people.remove(&id);
            }
            write(conn, promotion, &people, Moment::Reached).await
        }
        PromotionEvent::Expiring => {
            if promotion.state == PromotionState::AwaitingApproval {
                let people = still_asked(conn, promotion).await?;
                write(conn, promotion, &people, Moment::LastCall).await?;
            }
            write(conn, promotion, &requesters(promotion), Moment::Expiring).await
        }
        _ => {
            let id = event.details["override"].as_str().and_then(|id| id.parse::<OverrideId>().ok());
            let Some(id) = id else { return Ok(()) };
            mail_reviewers(conn, promotion, told, id).await
        }
    }
}

/// Writes to those whom a comment mentions.
pub(crate) async fn mail_mentioned(
    conn: &mut PgConnection,
    promotion: PromotionId,
    people: &BTreeSet<UserId>,
    comment: &Comment,
) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let Some(promotion) = store::promotion::by_id(conn, promotion).await? else { return Ok(()) };
    let moment = Moment::Mentioned { by: &comment.author, comment: comment.id };
    write(conn, &promotion, people, moment).await
}

/// Writes to those who may say whether an override was right: approvers and admins who were no part of it.
async fn mail_reviewers(
    conn: &mut PgConnection,
    promotion: &Promotion,
    told: PromotionEvent,
    id: OverrideId,
) -> Result<()> {
    let Some((_, found)) = store::promotion::override_by_id(conn, id).await? else { return Ok(()) };
    let members = store::workspace::members(conn, promotion.workspace_id).await?;
    let people: BTreeSet<UserId> = members
        .into_iter()
        .filter(|member| member.roles.contains(&Role::Approver) || member.roles.contains(&Role::Admin))
        .map(|member| member.user.id)
        .filter(|person| *person != found.opened_by && found.confirmed_by != Some(*person))
        .collect();
    let confirmer = found.confirmer.as_deref().unwrap_or_default();
    let moment = match told {
        PromotionEvent::OverrideConfirmed => {
            Moment::Overridden { id, kind: found.kind, by: (&found.opener, confirmer), reason: &found.reason }
        }
        _ => Moment::ReviewOverdue { id, kind: found.kind, day: Utc::now().date_naive() },
    };
    write(conn, promotion, &people, moment).await
}

/// Whoever asked for it, and the person who started the pipeline run that did.
fn requesters(promotion: &Promotion) -> BTreeSet<UserId> {
    promotion.requested_by.into_iter().chain(promotion.on_behalf_of).collect()
}

/// Whose decision a rule still waits for.
async fn still_asked(conn: &mut PgConnection, promotion: &Promotion) -> Result<BTreeSet<UserId>> {
    let policies = store::policy::of_promotion(conn, promotion.id).await?;
    let decisions = store::promotion::decisions(conn, promotion.id).await?;
    let people = People::read(conn, promotion.workspace_id).await?;
    let electorate = people.electorate(conn, promotion).await?;
    let last = promotion.subject_digest.as_ref().map(|digest| standing(&decisions, digest)).unwrap_or_default();
    let open = electorate.standings(&policies, &last).into_iter().filter(|rule| !rule.met);
    let may = open.flat_map(|rule| rule.people).filter(|one| one.barred.is_none() && one.decision.is_none());
    Ok(may.map(|one| one.user_id).collect())
}

/// Writes a message to each of these people, where any are sent.
async fn write(
    conn: &mut PgConnection,
    promotion: &Promotion,
    people: &BTreeSet<UserId>,
    moment: Moment<'_>,
) -> Result<()> {
    if people.is_empty() || !store::mail::is_sent(conn).await? {
        return Ok(());
    }
    mail::post(conn, promotion.workspace_id, About::Promotion(promotion.id), people, &moment.letter(promotion)).await
}
