//! Settings: members, one's own tokens, sessions and password, and workspaces.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    links::Links,
    pages::settings::{Account, Members, Tokens, Workspaces},
    shell::Section,
    ui::field::Draft,
};
use axum::{
    http::Method,
    response::{IntoResponse as _, Redirect},
};
use domain::{
    Error, ErrorKind,
    id::{TokenId, UserId},
    mail::MailKind,
    permission::{Permission, Role},
    user::{Email, Password},
};
use leptos::prelude::*;
use services::{IssuedToken, NewToken, NewUser};
use std::collections::BTreeSet;

const MEMBERS: &str = "settings/members";
const TOKENS: &str = "settings/tokens";
const ACCOUNT: &str = "settings/account";
/// How much of the account's history its page shows.
const EVENTS: usize = 30;
const SECTION: Option<Section> = Some(Section::Settings);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageMembers));
    let (own, make) = (Access::Needs(Permission::ManageAccount), Access::Needs(Permission::MakeTokens));
    routes
        .page(Method::GET, "/settings", read, settings)
        .page(Method::GET, "/settings/members", read, members)
        .page(Method::POST, "/settings/members", manage, add_member)
        .page(Method::POST, "/settings/members/{id}", manage, change_member)
        .page(Method::GET, "/settings/tokens", read, tokens)
        .page(Method::POST, "/settings/tokens", make, create_token)
        .page(Method::POST, "/settings/tokens/{id}/revoke", own, revoke_token)
        .page(Method::GET, "/settings/account", read, account)
        .page(Method::POST, "/settings/account", own, change_password)
        .page(Method::POST, "/settings/mail", own, choose_mail)
        .page(Method::POST, "/settings/sessions/{handle}/revoke", own, revoke_session)
        .page(Method::GET, "/settings/workspaces", read, workspaces)
        .page(Method::POST, "/settings/workspaces", Access::Needs(Permission::MakeWorkspaces), create_workspace)
}

async fn settings(view: View) -> PageResult {
    Ok(Redirect::to(&view.links.to(MEMBERS)).into_response())
}

async fn members(view: View) -> PageResult {
    members_page(view, None).await
}

/// Which form of the members' page was refused.
enum Refused {
    /// Adding somebody.
    New(Draft),
    /// The roles of this member.
    Roles(UserId, Draft),
}

async fn members_page(view: View, refused: Option<(Error, Refused)>) -> PageResult {
    let ctx = view.ctx()?;
    let (members, may_manage) = (view.services().members(ctx).await?, ctx.may(Permission::ManageMembers));
    let links = view.links.clone();
    match refused {
        None => view.page("Members", SECTION, move || view! { <Members links members may_manage/> }).await,
        Some((error, Refused::New(draft))) => {
            view.refused(&error, "Members", SECTION, move || view! { <Members links members may_manage draft/> }).await
        }
        Some((error, Refused::Roles(id, draft))) => {
            let changed = (id, draft);
            let again = move || view! { <Members links members may_manage changed/> };
            view.refused(&error, "Members", SECTION, again).await
        }
    }
}

async fn add_member(view: View, form: Form) -> PageResult {
    let added = async {
        let (email, roles) = (Email::parse(form.text("email"))?, form.parse_all::<Role, BTreeSet<_>>("roles")?);
        if form.raw("password").is_empty() {
            return view.services().add_member(view.ctx()?, &email, roles).await;
        }
        let password = Password::choose(form.raw("password").to_owned())?;
        let new = NewUser { email, name: form.text("name").to_owned(), password };
        view.services().add_new_member(view.ctx()?, new, roles).await
    };
    match added.await {
        Ok(user) => view.done(&view.links.to(MEMBERS), format!("{} is a member now.", user.name)).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            members_page(view, Some((error, Refused::New(draft)))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn change_member(view: View, Path(id): Path<UserId>, form: Form) -> PageResult {
    if form.text("do") == "remove" {
        view.services().remove_member(view.ctx()?, id).await?;
        return view.done(&view.links.to(MEMBERS), "They are no member any more.").await;
    }
    let changed = async {
        let roles = form.parse_all::<Role, BTreeSet<_>>("roles")?;
        let seen: Option<BTreeSet<Role>> =
            form.seen().map(|seen| seen.split(',').filter_map(|role| role.parse().ok()).collect());
        view.services().set_member_roles(view.ctx()?, id, roles, seen.as_ref()).await
    };
    match changed.await {
        Ok(()) => view.done(&view.links.to(MEMBERS), "Their roles are changed.").await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            members_page(view, Some((error, Refused::Roles(id, draft)))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn tokens(view: View) -> PageResult {
    let tokens = view.services().tokens(view.caller()?).await?;
    let (links, public_url) = (view.links.clone(), view.public_url().to_owned());
    view.page("Your tokens", SECTION, move || view! { <Tokens links tokens public_url/> }).await
}

async fn create_token(view: View, form: Form) -> PageResult {
    let created = async {
        let days = form.text("days");
        let days = if days.is_empty() {
            None
        } else {
            Some(days.parse().map_err(|_| Error::invalid_field("days", "Give a whole number of days."))?)
        };
        let new = NewToken { name: form.text("name").to_owned(), scope: form.parse("scope")?, days };
        view.services().create_token(view.ctx()?, new).await
    };
    let created = created.await;
    let tokens = view.services().tokens(view.caller()?).await?;
    let (links, public_url) = (view.links.clone(), view.public_url().to_owned());
    match created {
        // Not a redirect: the secret is in this answer and nowhere else.
        Ok(IssuedToken { token, secret }) => {
            let issued = (token.name, secret);
            view.page("Your tokens", SECTION, move || view! { <Tokens links tokens public_url issued/> }).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            view.refused(&error, "Your tokens", SECTION, move || view! { <Tokens links tokens public_url draft/> })
                .await
        }
        Err(error) => Err(error.into()),
    }
}

async fn revoke_token(view: View, Path(id): Path<TokenId>) -> PageResult {
    view.services().revoke_token(view.caller()?, id).await?;
    view.done(&view.links.to(TOKENS), "The token does not work any more.").await
}

async fn account(view: View) -> PageResult {
    account_page(view, None).await
}

async fn account_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, caller) = (view.services(), view.caller()?);
    let sessions = services.sessions(caller).await?;
    let events = services.audit_events_of_account(caller, None, EVENTS).await?.items;
    let (mail, mail_is_sent) = (services.wanted_mail(caller).await?, services.mail_is_sent().await?);
    let links = view.links.clone();
    match refused {
        None => {
            let page = move || view! { <Account links sessions events mail mail_is_sent/> };
            view.page("Your account", SECTION, page).await
        }
        Some((error, draft)) => {
            let again = move || view! { <Account links sessions events mail mail_is_sent draft/> };
            view.refused(&error, "Your account", SECTION, again).await
        }
    }
}

async fn change_password(view: View, form: Form) -> PageResult {
    let changed = async {
        let password = Password::choose(form.raw("password").to_owned())?;
        view.services().change_password(view.caller()?, form.raw("present"), password).await
    };
    match changed.await {
        Ok(()) => {
            view.done(&view.links.to(ACCOUNT), "Your password is changed, and your other sessions have ended.").await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            account_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn choose_mail(view: View, form: Form) -> PageResult {
    let wanted = form.parse_all::<MailKind, BTreeSet<_>>("mail")?;
    view.services().set_wanted_mail(view.caller()?, &wanted).await?;
    let notice = if wanted.is_empty() { "You are written no e-mail." } else { "Your choice is kept." };
    view.done(&view.links.to(ACCOUNT), notice).await
}

async fn revoke_session(view: View, Path(handle): Path<String>) -> PageResult {
    view.services().revoke_session(view.caller()?, &handle).await?;
    view.done(&view.links.to(ACCOUNT), "The session has ended.").await
}

async fn workspaces(view: View) -> PageResult {
    workspaces_page(view, None).await
}

async fn workspaces_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let workspaces = view.services().workspaces_of(&view.caller()?.user).await?;
    let may_make = view.ctx()?.may(Permission::MakeWorkspaces);
    let links = view.links.clone();
    match refused {
        None => view.page("Workspaces", SECTION, move || view! { <Workspaces links workspaces may_make/> }).await,
        Some((error, draft)) => {
            let again = move || view! { <Workspaces links workspaces may_make draft/> };
            view.refused(&error, "Workspaces", SECTION, again).await
        }
    }
}

async fn create_workspace(view: View, form: Form) -> PageResult {
    match view.services().create_workspace(view.caller()?, form.text("slug"), form.text("name")).await {
        Ok(workspace) => {
            let notice = format!("{} is made. You administer it.", workspace.name);
            view.done(&Links::new(workspace.slug).home(), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            workspaces_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
