//! The pages of policies, and the editor of their files.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::policy::{Edit, One, Policies, PolicyPage, source, starter},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Digest, Error, ErrorKind, change_request::ChangeRequest, permission::Permission, pipeline::Problem,
    policy::PolicyDocument, promotion::PolicySimulation,
};
use leptos::prelude::*;
use services::{Effect, NewPolicy};

const SECTION: Option<Section> = Some(Section::Policies);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WritePolicies));
    routes
        .page(Method::GET, "/policies", read, list)
        .page(Method::GET, "/policies/new", write, show_new)
        .page(Method::POST, "/policies/new", write, create)
        .page(Method::GET, "/policies/{name}", read, show)
        .page(Method::GET, "/policies/{name}/edit", write, show_edit)
        .page(Method::POST, "/policies/{name}/edit", write, change)
        .page(Method::POST, "/policies/{name}/retire", write, retire)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let policies = view.services().policies(ctx, chosen.get("retired").is_some()).await?;
    let may_write = ctx.may(Permission::WritePolicies);
    let links = view.links.clone();
    let address = chosen.address(links.policies());
    view.page("Policies", SECTION, move || view! { <Policies links address policies may_write/> }).await
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let revisions = services.policy(ctx, &name).await?;
    let shown = match chosen.get("revision") {
        None => 0,
        Some(text) => {
            let wanted: Option<i32> = text.parse().ok();
            let at = revisions.iter().position(|policy| Some(policy.revision) == wanted);
            at.ok_or_else(|| Error::not_found("revision", text))?
        }
    };
    let scope = revisions.get(shown).map(|policy| policy.document.scope.clone()).unwrap_or_default();
    let environments = services.environments(ctx).await?.into_iter().map(|overview| overview.environment);
    let reached = environments.filter(|one| scope.reaches(&one.name, one.tier.as_str())).map(|one| one.name);
    let page =
        PolicyPage { environments: reached.collect(), shown, may_write: ctx.may(Permission::WritePolicies), revisions };
    let links = view.links.clone();
    view.page(name, SECTION, move || view! { <One links page/> }).await
}

async fn show_new(view: View) -> PageResult {
    edit_page(view, None, Draft::of([("source", starter())]), Vec::new(), None, None).await
}

async fn show_edit(view: View, Path(name): Path<String>) -> PageResult {
    let revisions = view.services().policy(view.ctx()?, &name).await?;
    let file = revisions.first().map(source).unwrap_or_default();
    edit_page(view, Some(name), Draft::of([("source", file)]), Vec::new(), None, None).await
}

async fn edit_page(
    view: View,
    name: Option<String>,
    draft: Draft,
    problems: Vec<Problem>,
    refused: Option<Error>,
    simulation: Option<PolicySimulation>,
) -> PageResult {
    let seen = match &name {
        Some(name) => {
            let revisions = view.services().policy(view.ctx()?, name).await?;
            revisions.first().map(|policy| policy.digest.as_str().to_owned())
        }
        None => None,
    };
    let links = view.links.clone();
    let title = name.as_ref().map_or_else(|| "New policy".to_owned(), |name| format!("Edit {name}"));
    view.form_page(
        refused.as_ref(),
        title,
        SECTION,
        move || view! { <Edit links name seen draft problems simulation/> },
    )
    .await
}

async fn create(view: View, form: Form) -> PageResult {
    let name = form.text("name").to_owned();
    write(view, None, name, form).await
}

async fn change(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    view.services().policy(view.ctx()?, &name).await?;
    write(view, Some(name.clone()), name, form).await
}

/// Puts a file in force: under the name that its address says, or as a new policy.
async fn write(view: View, known: Option<String>, name: String, form: Form) -> PageResult {
    // Browsers send line ends as the wire wants them; the file has those of the place where it lives.
    let file = form.lines("source");
    let seen = form.seen();
    let draft = |is_stale: bool| {
        let seen = seen.clone().filter(|_| !is_stale).map(|seen| ("instead_of", seen));
        Draft::of([("source", file.clone()), ("name", name.clone())].into_iter().chain(seen))
    };
    let document = match PolicyDocument::parse(&file) {
        Ok(document) => document,
        Err(problems) => {
            let error = Error::from(problems.clone());
            return edit_page(view, known, draft(false), problems.0, Some(error), None).await;
        }
    };
    if form.text("do") == "simulate" {
        return simulate(view, known, &name, document, draft(false)).await;
    }
    let written = async {
        let services = view.services();
        let instead_of = match &known {
            Some(_) => Some(digest(seen.as_deref())?),
            None => {
                // A new policy takes the place of none; one that was retired comes back through its own page.
                let taken = services.policy(view.ctx()?, &name).await.is_ok();
                if taken {
                    let message = format!("There is a policy {name} already. Open it, and change that.");
                    return Err(Error::new(ErrorKind::AlreadyExists, message).in_field("name"));
                }
                None
            }
        };
        let new = NewPolicy { name: name.clone(), document, source: Some(file.clone()), instead_of };
        services.write_policy(view.ctx()?, new).await
    };
    match written.await {
        Ok(Effect::Requested(request)) => asked(view, &request).await,
        Ok(Effect::Done(policy)) => {
            let notice = format!("Revision {} of {} is in force.", policy.revision, policy.name);
            view.done(&view.links.policy(&policy.name), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = draft(error.kind == ErrorKind::Conflict).refused(&error);
            edit_page(view, known, draft, Vec::new(), Some(error), None).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows what a draft would have decided on promotions that are past, and the form as it was typed.
async fn simulate(view: View, known: Option<String>, name: &str, document: PolicyDocument, draft: Draft) -> PageResult {
    // A new policy may have no name yet; what it would have decided does not depend on it.
    let name = if name.is_empty() { "draft" } else { name };
    match view.services().simulate_policy(view.ctx()?, name, document).await {
        Ok(simulation) => edit_page(view, known, draft, Vec::new(), None, Some(simulation)).await,
        Err(error) if can_mend(&error) => {
            let draft = draft.refused(&error);
            edit_page(view, known, draft, Vec::new(), Some(error), None).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The digest of the revision that the author looked at.
fn digest(seen: Option<&str>) -> Result<Digest, Error> {
    let unknown = || Error::invalid("The form does not say which revision you looked at; open the page again.");
    seen.and_then(|seen| seen.parse().ok()).ok_or_else(unknown)
}

async fn retire(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let seen = digest(form.seen().as_deref())?;
    match view.services().retire_policy(view.ctx()?, &name, Some(&seen)).await? {
        Effect::Requested(request) => asked(view, &request).await,
        Effect::Done(_) => {
            view.done(&view.links.policy(&name), format!("{name} is retired: it holds for nothing any more.")).await
        }
    }
}

/// Goes to the request that people are asked about first.
pub(super) async fn asked(view: View, request: &ChangeRequest) -> PageResult {
    let notice = "Policies ask for approval of this: it is done when the people whom their rules name agree.";
    view.done(&view.links.change_request(request.number), notice).await
}
