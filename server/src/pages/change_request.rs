//! The pages of change requests.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend, promotion::new_decision};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::{
        change_request::{ChangeRequestPage, ChangeRequests, One},
        promotion::Ballot,
    },
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, audit::ObjectKind, permission::Permission, promotion::DecisionVerdict};
use leptos::prelude::*;
use services::may_withdraw_change;

const SECTION: Option<Section> = Some(Section::Policies);
/// How many requests, or lines of history, a page shows.
const ROWS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, decides) = (Access::Needs(Permission::Read), Access::Needs(Permission::DecidePromotion));
    routes
        .page(Method::GET, "/change-requests", read, list)
        .page(Method::GET, "/change-requests/{number}", read, show)
        .page(Method::POST, "/change-requests/{number}/decisions", decides, decide)
        .page(Method::POST, "/change-requests/{number}/withdraw", Access::Needs(Permission::Deploy), withdraw)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let open = chosen.get("all").is_none();
    let page = view.services().change_requests(ctx, open, chosen.get("page_token"), ROWS).await?;
    let links = view.links.clone();
    let address = chosen.address(links.change_requests());
    view.page("Change requests", SECTION, move || view! { <ChangeRequests links address page/> }).await
}

async fn show(view: View, Path(number): Path<i64>) -> PageResult {
    page(view, number, Draft::default(), None).await
}

async fn page(view: View, number: i64, draft: Draft, refused: Option<Error>) -> PageResult {
    let ctx = view.ctx()?;
    let me = view.caller()?.user.clone();
    let detail = view.services().change_request(ctx, number).await?;
    let events = view.history(ObjectKind::ChangeRequest, detail.request.id, ROWS).await?;
    let may_withdraw = may_withdraw_change(ctx, &detail.request);
    let page = ChangeRequestPage {
        ballot: Ballot {
            rules: detail.rules,
            decisions: detail.decisions,
            digest: Some(detail.request.digest.clone()),
            awaiting: detail.request.state.is_open(),
            me: me.id,
            nobody: "No policy asks anybody any more.",
        },
        reauthenticate: detail.policies.reauthenticate(),
        request: detail.request,
        before: detail.before,
        events,
        me,
        may_withdraw,
    };
    let links = view.links.clone();
    let title = format!("Change request #{number}");
    view.form_page(refused.as_ref(), title, SECTION, move || view! { <One links page draft/> }).await
}

async fn decide(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    let decided = async {
        let (services, ctx) = (view.services(), view.ctx()?);
        let rules = services.change_request(ctx, number).await?.rules;
        let new = new_decision(&form, &rules)?;
        let verdict = new.verdict;
        services.decide_change(ctx, number, new).await.map(|_| verdict)
    };
    match decided.await {
        Ok(verdict) => {
            let notice = match verdict {
                DecisionVerdict::Approve => "You approved it.",
                DecisionVerdict::Reject => "You rejected it.",
                DecisionVerdict::RequestChanges => "You asked for changes.",
            };
            view.done(&view.links.change_request(number), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            page(view, number, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn withdraw(view: View, Path(number): Path<i64>) -> PageResult {
    view.services().withdraw_change(view.ctx()?, number).await?;
    view.done(&view.links.change_request(number), "You withdrew it.").await
}
