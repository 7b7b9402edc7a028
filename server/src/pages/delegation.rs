//! The settings of delegations: who decides for whom.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::settings::{Delegations, DelegationsPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use chrono::Utc;
use domain::{
    Error, ErrorKind,
    delegation::{Delegation, DelegationState, Scope},
    id::{DelegationId, UserId},
    permission::Permission,
};
use leptos::prelude::*;
use services::NewDelegation;

const SECTION: Option<Section> = Some(Section::Settings);
/// How many delegations a page shows.
const ROWS: usize = 50;
/// The clock of the times in the form.
const ZONE: &str = "UTC";

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, own) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageAccount));
    routes
        .page(Method::GET, "/settings/delegations", read, list)
        .page(Method::POST, "/settings/delegations", own, create)
        .page(Method::POST, "/settings/delegations/{id}/revoke", own, revoke)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let delegations = services.delegations(ctx, chosen.get("page_token"), ROWS).await?;
    let reader = ctx.user().filter(|user| !user.is_service).map(|user| user.id);
    let may_manage = ctx.may(Permission::ManageMembers);
    let now = Utc::now();
    let may_revoke = |one: &&Delegation| {
        let is_open = matches!(one.state(now), DelegationState::Ahead | DelegationState::InForce);
        is_open && (may_manage || [Some(one.from), Some(one.to)].contains(&reader))
    };
    let page = DelegationsPage {
        may_revoke: delegations.items.iter().filter(may_revoke).map(|one| one.id).collect(),
        delegations,
        members: services.members(ctx).await?,
        environments: services.environments(ctx).await?.into_iter().map(|one| one.environment.name).collect(),
        may_manage,
        may_delegate: ctx.may(Permission::ManageAccount) && (may_manage || reader.is_some()),
        reader,
    };
    let links = view.links.clone();
    let address = chosen.address(links.delegations());
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Delegations", SECTION, move || view! { <Delegations links address page draft/> })
        .await
}

fn person(form: &Form, name: &str) -> Result<UserId, Error> {
    form.text(name).parse().map_err(|_| Error::invalid_field(name, "Choose a member."))
}

async fn create(view: View, form: Form) -> PageResult {
    let created = async {
        let new = NewDelegation {
            from: Some("from")
                .filter(|name| !form.text(name).is_empty())
                .map(|name| person(&form, name))
                .transpose()?,
            to: person(&form, "to")?,
            scope: Scope {
                environments: form.all("environments").map(str::to_owned).collect(),
                models: form.list("scope/models"),
            },
            starts_at: form.moment("starts_at", ZONE)?,
            ends_at: form
                .moment("ends_at", ZONE)?
                .ok_or_else(|| Error::invalid_field("ends_at", "Say until when, such as 2026-12-24T18:00."))?,
            reason: form.text("reason").to_owned(),
        };
        view.services().create_delegation(view.ctx()?, new).await
    };
    match created.await {
        Ok(one) => {
            let notice = format!("{} decides for {}.", one.to_name, one.from_name);
            view.done(&view.links.delegations(), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::Forbidden => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn revoke(view: View, Path(id): Path<DelegationId>) -> PageResult {
    view.services().revoke_delegation(view.ctx()?, id).await?;
    view.done(&view.links.delegations(), "It is taken back.").await
}
