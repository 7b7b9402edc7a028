//! The pages of promotions.

mod decision;
mod overriding;
mod request;

pub(super) use decision::new_decision;

use super::{Form, PageResult, View, chosen::Chosen, comment::shown};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::promotion::{Changed, Detail, List, ListPage, ListRow, May, PERIODS, PromotionPage, Serving, Statistics},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error,
    audit::ObjectKind,
    deployment::Deployment,
    permission::{Permission, Role},
    promotion::{PromotionDetail, PromotionState},
    text_diff::TextDiff,
};
use leptos::prelude::*;
use services::{Ctx, PromotionFilter, Services, may_withdraw};

const SECTION: Option<Section> = Some(Section::Promotions);
/// How many promotions a page of the list shows.
const ROWS: usize = 50;
/// Over how many days statistics are when nothing is said.
const USUAL_DAYS: i64 = 90;
/// How many lines of history the page of one shows.
const EVENTS: usize = 100;
/// How many comments the page of one shows.
const COMMENTS: usize = 200;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let request = Access::Needs(Permission::RequestPromotion);
    let decide = Access::Needs(Permission::DecidePromotion);
    routes
        .page(Method::GET, "/promotions", read, list)
        .page(Method::POST, "/promotions", request, request::create)
        .page(Method::GET, "/promotions/new", request, request::show)
        .page(Method::GET, "/promotions/statistics", read, statistics)
        .page(Method::GET, "/promotions/{number}", read, show)
        .page(Method::POST, "/promotions/{number}/decisions", decide, decision::decide)
        .page(Method::POST, "/promotions/{number}/gates", request, run_gates)
        .page(Method::POST, "/promotions/{number}/replay", request, replay)
        .page(Method::POST, "/promotions/{number}/submit", request, submit)
        .page(Method::POST, "/promotions/{number}/withdraw", request, withdraw)
        .page(Method::POST, "/promotions/{number}/again", request, request::again)
        .page(Method::POST, "/promotions/{number}/overrides", Access::Needs(Permission::Deploy), overriding::open)
        .page(Method::POST, "/promotions/{number}/overrides/{override_id}/confirm", decide, overriding::confirm)
        .page(Method::POST, "/promotions/{number}/overrides/{override_id}/review", decide, overriding::review)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let waiting = services.promotions_waiting_for_me(ctx).await?;
    let mine: Vec<i64> = waiting.iter().map(|one| one.number).collect();
    let mentioning: Vec<i64> = services.promotions_mentioning_me(ctx).await?.iter().map(|one| one.number).collect();
    let which = chosen.get("state").unwrap_or(if mine.is_empty() { "open" } else { "mine" });
    let fits = |one: &domain::promotion::Promotion| {
        chosen.get("environment").is_none_or(|name| one.environment == name)
            && chosen.get("model").is_none_or(|name| one.model == name)
    };
    let (promotions, next) = if which == "mine" {
        (waiting.into_iter().filter(fits).collect(), None)
    } else {
        let states = match which {
            "all" => Vec::new(),
            "open" => PromotionState::open().collect(),
            name => vec![PromotionState::parse(name).ok_or_else(|| Error::invalid("There is no such state."))?],
        };
        let filter = PromotionFilter {
            states,
            model: chosen.get("model").map(ToOwned::to_owned),
            version: None,
            environment: chosen.get("environment").map(ToOwned::to_owned),
        };
        let page = services.promotions(ctx, &filter, chosen.get("page_token"), ROWS).await?;
        (page.items, page.next_page_token)
    };
    let mut open = services.open_rules(ctx, &promotions).await?;
    let row = |promotion: domain::promotion::Promotion| {
        let rules = open.remove(&promotion.id).filter(|rules| !rules.is_empty());
        let waits_for = rules.map(|rules| rules.join(", "));
        ListRow {
            is_mine: mine.contains(&promotion.number),
            is_mentioned: mentioning.contains(&promotion.number),
            promotion,
            waits_for,
        }
    };
    let rows = promotions.into_iter().map(row).collect();
    let page = ListPage {
        workspace_id: ctx.workspace_id(),
        rows,
        next,
        mine: mine.len(),
        environments: services.environments(ctx).await?.into_iter().map(|one| one.environment.name).collect(),
        may_request: ctx.may(Permission::RequestPromotion),
    };
    let links = view.links.clone();
    let address = chosen.address(links.promotions());
    view.page("Promotions", SECTION, move || view! { <List links address page/> }).await
}

async fn statistics(view: View, chosen: Chosen) -> PageResult {
    let days = match chosen.get("days") {
        None => USUAL_DAYS,
        Some(text) => {
            let known = PERIODS.iter().map(|(days, _)| *days).find(|days| days.to_string() == text);
            known.ok_or_else(|| Error::invalid("There are no statistics of such a period."))?
        }
    };
    let from = chrono::Utc::now() - chrono::TimeDelta::days(days);
    let statistics = view.services().promotion_statistics(view.ctx()?, Some(from), None).await?;
    let links = view.links.clone();
    let address = chosen.address(links.to("promotions/statistics"));
    let page = move || view! { <Statistics links address days statistics/> };
    view.page("Statistics of promotions", SECTION, page).await
}

async fn show(view: View, Path(number): Path<i64>) -> PageResult {
    detail(view, number, None).await
}

/// The page of one, with a form of it that was refused.
pub(super) async fn detail(view: View, number: i64, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let detail = services.promotion(ctx, number).await?;
    let promotion = &detail.promotion;
    let mut events = view.history(ObjectKind::Promotion, promotion.id, EVENTS).await?;
    events.reverse();
    let comments = services.promotion_comments(ctx, number, None, COMMENTS).await?;
    let members = services.members(ctx).await?;
    let open = promotion.state.is_open();
    let serves = if open { serving(services, ctx, &detail).await? } else { None };
    let champion = match &serves {
        Some((deployment, _)) => Some((deployment.version, deployment.live_at)),
        None => detail.champion.map(|version| (version, None)),
    };
    let changed = match champion.filter(|(version, _)| *version != promotion.version) {
        Some((version, since)) => changed(services, ctx, &detail, version, since).await?,
        None => None,
    };
    let freeze = match promotion.state {
        state if open && state != PromotionState::Draft => {
            Some(services.freeze_standing(ctx, &promotion.environment, &promotion.model).await?)
        }
        _ => None,
    };
    let me = view.caller()?.user.clone();
    let is_person = !me.is_service;
    let has = |role: Role| ctx.roles.contains(&role);
    let page = PromotionPage {
        events,
        comments: shown(&view, comments.items).await?,
        people: members.into_iter().map(|member| member.user.name).collect(),
        may: May {
            withdraw: may_withdraw(ctx, promotion),
            request: ctx.may(Permission::RequestPromotion),
            override_gates: is_person && (has(Role::Operator) || has(Role::Admin)),
            review: is_person && (has(Role::Approver) || has(Role::Admin)),
            comment: ctx.may(Permission::Comment),
        },
        serves: serves.map(|(deployment, subject)| Serving {
            version: deployment.version,
            since: deployment.live_at,
            subject,
        }),
        changed: changed.map(Box::new),
        replay: services.promotion_replay(ctx, number).await?,
        freeze,
        me,
        detail,
    };
    let links = view.links.clone();
    let title = format!("{} · #{number}", page.detail.promotion.title());
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), title, SECTION, move || view! { <Detail links page draft/> }).await
}

/// What serves where it wants to go, and what people agreed to then.
async fn serving(
    services: &Services,
    ctx: &Ctx,
    detail: &PromotionDetail,
) -> Result<Option<(Deployment, Option<domain::promotion::Subject>)>, Error> {
    let promotion = &detail.promotion;
    let here = |one: &domain::deployment::Endpoint| {
        one.deployment.environment_id == promotion.environment_id && one.deployment.model == promotion.model
    };
    let Some(endpoint) = services.endpoints(ctx).await?.into_iter().find(here) else { return Ok(None) };
    let filter = PromotionFilter {
        model: Some(promotion.model.clone()),
        version: Some(endpoint.deployment.version),
        environment: Some(promotion.environment.clone()),
        ..PromotionFilter::default()
    };
    let of_it = services.promotions(ctx, &filter, None, 20).await?.items;
    let subject = of_it
        .into_iter()
        .find(|one| Some(one.number) == endpoint.deployment.promotion_number)
        .and_then(|one| one.subject);
    Ok(Some((endpoint.deployment, subject)))
}

/// What is different from a version that serves, or served.
async fn changed(
    services: &Services,
    ctx: &Ctx,
    detail: &PromotionDetail,
    champion: i32,
    since: Option<chrono::DateTime<chrono::Utc>>,
) -> Result<Option<Changed>, Error> {
    let promotion = &detail.promotion;
    let compared = match services.compare_versions(ctx, &promotion.model, champion, promotion.version).await {
        Ok(compared) => compared,
        // One of them was deleted.
        Err(error) if error.kind == domain::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let card = match since {
        Some(since) => card_since(services, ctx, &promotion.model, since).await?,
        None => None,
    };
    Ok(Some(Changed { before: compared.a, after: compared.b, diff: compared.diff, card }))
}

/// What became of a model's card since a moment; none when there is none.
async fn card_since(
    services: &Services,
    ctx: &Ctx,
    model: &str,
    since: chrono::DateTime<chrono::Utc>,
) -> Result<Option<TextDiff>, Error> {
    let cards = services.model_cards(ctx, model, None, COMMENTS).await?.items;
    let Some(last) = cards.first() else { return Ok(None) };
    if last.created_at <= since {
        return Ok(None);
    }
    match cards.iter().find(|card| card.created_at <= since) {
        Some(before) => Ok(Some(services.model_card_diff(ctx, model, before.number, last.number).await?)),
        None => {
            let text = services.model_card(ctx, model, None).await?.map(|card| card.text).unwrap_or_default();
            Ok(Some(services::blocking(move || TextDiff::of("", &text)).await?))
        }
    }
}

async fn run_gates(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().rerun_gates(view.ctx()?, number).await?;
    view.done(&view.links.promotion(number), "The gates run again.").await
}

async fn replay(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let asked = async {
        let rows = match form.text("rows") {
            "" => None,
            // What is no number is out of bounds too, and is told so.
            text => Some(text.parse().unwrap_or(-1)),
        };
        view.services().ask_replay(view.ctx()?, number, rows).await
    };
    let asked = asked.await;
    answered(view, number, &form, asked, |_| "It is replayed now.".to_owned()).await
}

async fn submit(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().submit_promotion(view.ctx()?, number).await?;
    view.done(&view.links.promotion(number), "It is submitted. Its gates run now.").await
}

async fn withdraw(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().withdraw_promotion(view.ctx()?, number).await?;
    view.done(&view.links.promotion(number), "The promotion is withdrawn.").await
}

/// Answers to a form of the page: with its notice, or with the page and what was typed.
async fn answered<T>(
    view: View,
    number: i64,
    form: &Form,
    done: Result<T, Error>,
    notice: impl FnOnce(&T) -> String,
) -> PageResult {
    match done {
        Ok(value) => view.done(&view.links.promotion(number), notice(&value)).await,
        Err(error) if super::form::can_mend(&error) && error.kind != domain::ErrorKind::NotFound => {
            let draft = form.refused(&error);
            detail(view, number, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
