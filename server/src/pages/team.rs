//! The settings of teams.

use super::{Form, PageResult, View, form::can_mend};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::settings::{Teams, TeamsPage},
    shell::Section,
    ui::field::Draft,
};
use axum::http::Method;
use domain::{Error, ErrorKind, id::UserId, permission::Permission};
use leptos::prelude::*;

const SECTION: Option<Section> = Some(Section::Settings);

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, manage) = (Access::Needs(Permission::Read), Access::Needs(Permission::ManageMembers));
    routes.page(Method::GET, "/settings/teams", read, list).page(Method::POST, "/settings/teams", manage, create).page(
        Method::POST,
        "/settings/teams/{team}",
        manage,
        change,
    )
}

async fn list(view: View) -> PageResult {
    list_page(view, None).await
}

async fn list_page(view: View, refused: Option<(Error, Draft)>) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let page = TeamsPage {
        teams: services.teams(ctx).await?,
        members: services.members(ctx).await?,
        may_manage: ctx.may(Permission::ManageMembers),
    };
    let links = view.links.clone();
    let (error, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    view.form_page(error.as_ref(), "Teams", SECTION, move || view! { <Teams links page draft/> }).await
}

async fn create(view: View, form: Form) -> PageResult {
    match view.services().create_team(view.ctx()?, form.text("name"), form.text("description")).await {
        Ok(team) => view.done(&view.links.teams(), format!("{} is made. Put members into it.", team.name)).await,
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn change(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let (services, ctx) = (view.services(), view.ctx()?);
    let changed = async {
        let team = services.team(ctx, &name).await?;
        let user = || {
            let wrong = |_| Error::invalid_field("user", "Choose a member.");
            form.text("user").parse::<UserId>().map_err(wrong)
        };
        match form.text("do") {
            "add" => services.add_team_member(ctx, &name, user()?).await.map(|_| "They are in the team now."),
            "remove" => {
                services.remove_team_member(ctx, &name, user()?).await.map(|_| "They are not in the team any more.")
            }
            "delete" => services.delete_team(ctx, &team.name).await.map(|()| "The team is deleted."),
            _ => Err(Error::invalid("The form does not say what to do with the team.")),
        }
    };
    match changed.await {
        Ok(notice) => view.done(&view.links.teams(), notice).await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = Draft::of([("team", name)]).refused(&error);
            list_page(view, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}
