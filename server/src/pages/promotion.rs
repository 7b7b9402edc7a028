//! The pages of promotions.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::promotion::{Detail, List, PromotionPage, Request, RequestPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error,
    audit::ObjectKind,
    permission::Permission,
    promotion::{DecisionVerdict, PromotionState},
};
use leptos::prelude::*;
use services::{NewDecision, NewPromotion, PromotionFilter, may_withdraw};

const SECTION: Option<Section> = Some(Section::Promotions);
/// How many promotions a page of the list shows.
const ROWS: usize = 50;
/// How many lines of history the page of one shows.
const EVENTS: usize = 100;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let request = Access::Needs(Permission::RequestPromotion);
    routes
        .page(Method::GET, "/promotions", read, list)
        .page(Method::POST, "/promotions", request, create)
        .page(Method::GET, "/promotions/new", request, show_request)
        .page(Method::GET, "/promotions/{number}", read, show)
        .page(Method::POST, "/promotions/{number}/decisions", Access::Needs(Permission::DecidePromotion), decide)
        .page(Method::POST, "/promotions/{number}/gates", request, run_gates)
        .page(Method::POST, "/promotions/{number}/withdraw", request, withdraw)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let states = match chosen.get("state") {
        None => Vec::new(),
        Some("open") => PromotionState::open().collect(),
        Some(name) => vec![PromotionState::parse(name).ok_or_else(|| Error::invalid("There is no such state."))?],
    };
    let filter = PromotionFilter { states, ..PromotionFilter::default() };
    let page = view.services().promotions(ctx, &filter, chosen.get("page_token"), ROWS).await?;
    let mine = view.services().promotions_waiting_for_me(ctx).await?.into_iter().map(|one| one.number).collect();
    let may_request = ctx.may(Permission::RequestPromotion);
    let links = view.links.clone();
    let address = chosen.address(links.promotions());
    let (promotions, next) = (page.items, page.next_page_token);
    view.page("Promotions", SECTION, move || view! { <List links address promotions next mine may_request/> }).await
}

async fn show(view: View, Path(number): Path<i64>) -> PageResult {
    detail(view, number, None).await
}

async fn detail(view: View, number: i64, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.promotion(ctx, number).await?;
    let events = view.history(ObjectKind::Promotion, detail.promotion.id, EVENTS).await?;
    let me = view.caller()?.user.clone();
    let page = PromotionPage {
        events,
        may_withdraw: may_withdraw(ctx, &detail.promotion),
        may_rerun: ctx.may(Permission::RequestPromotion),
        me,
        detail,
    };
    let links = view.links.clone();
    let title = format!("{} · #{number}", page.detail.promotion.title());
    match refused {
        None => view.page(title, SECTION, move || view! { <Detail links page/> }).await,
        Some((error, draft)) => {
            view.refused(&error, title, SECTION, move || view! { <Detail links page draft/> }).await
        }
    }
}

async fn decide(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let decided = async {
        let verdict =
            DecisionVerdict::parse(form.text("verdict")).ok_or_else(|| Error::invalid("Press Approve or Reject."))?;
        let subject_digest = form
            .text("subject_digest")
            .parse()
            .map_err(|_| Error::invalid("The form does not say what you looked at; open the page again."))?;
        let new = NewDecision { verdict, comment: form.text("comment").to_owned(), subject_digest };
        view.services().decide_promotion(view.ctx()?, number, new).await.map(|_| verdict)
    };
    match decided.await {
        Ok(verdict) => {
            let notice = match verdict {
                DecisionVerdict::Approve => "You approved it.",
                DecisionVerdict::Reject => "You rejected it.",
            };
            view.done(&view.links.promotion(number), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != domain::ErrorKind::NotFound => {
            let draft = form.refused(&error);
            detail(view, number, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn run_gates(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().rerun_gates(view.ctx()?, number).await?;
    view.done(&view.links.promotion(number), "The gates run again.").await
}

async fn withdraw(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().withdraw_promotion(view.ctx()?, number).await?;
    view.done(&view.links.promotion(number), "The promotion is withdrawn.").await
}

async fn show_request(view: View, chosen: Chosen) -> PageResult {
    let subject = chosen.get("model").zip(chosen.get("version")).map(|(model, version)| format!("{model}/{version}"));
    let environment = chosen.get("environment").unwrap_or(domain::environment::PRODUCTION).to_owned();
    let chosen = subject.map(|subject| ("subject", subject)).into_iter().chain([("environment", environment)]);
    request_page(view, Draft::of(chosen), None).await
}

async fn request_page(view: View, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let versions = view.services().servable_versions(ctx).await?;
    let versions =
        versions.iter().map(|(model, version)| (format!("{model}/{version}"), format!("{model} v{version}")));
    let environments = view.services().environments(ctx).await?.into_iter().map(|overview| {
        let asks = match overview.policy.document.rule.approvals {
            0 => "nobody is asked".to_owned(),
            1 => "1 approver".to_owned(),
            many => format!("{many} approvers"),
        };
        let gates = match overview.policy.document.gates.len() {
            1 => "1 gate".to_owned(),
            many => format!("{many} gates"),
        };
        let words = format!("{}: {gates}, {asks}", overview.environment.name);
        (overview.environment.name, words)
    });
    let page = RequestPage { versions: versions.collect(), environments: environments.collect() };
    let links = view.links.clone();
    match refused {
        None => view.page("Request a promotion", SECTION, move || view! { <Request links page draft/> }).await,
        Some(error) => {
            view.refused(&error, "Request a promotion", SECTION, move || view! { <Request links page draft/> }).await
        }
    }
}

async fn create(view: View, form: Form) -> PageResult {
    let requested = async {
        // A model's name may hold a slash; a version's number may not.
        let (model, version) = form
            .text("subject")
            .rsplit_once('/')
            .and_then(|(model, version)| Some((model, version.parse().ok()?)))
            .ok_or_else(|| Error::invalid_field("subject", "Choose a version."))?;
        let new = NewPromotion {
            model: model.to_owned(),
            version,
            environment: form.text("environment").to_owned(),
            comment: form.text("comment").to_owned(),
        };
        view.services().request_promotion(view.ctx()?, new).await
    };
    match requested.await {
        Ok(promotion) => view.done(&view.links.promotion(promotion.number), "Requested. Its gates run now.").await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            request_page(view, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}
