//! Teams: members whom rules name together.

use super::{Frame, Part};
use crate::{format, ui::prelude::*};
use domain::{id::UserId, team::Team, user::Member};
use leptos::prelude::*;

/// What the page of teams shows.
#[derive(Debug, Clone)]
pub struct TeamsPage {
    /// The teams, by name.
    pub teams: Vec<Team>,
    /// The members of the workspace, by name.
    pub members: Vec<Member>,
    /// Whether the reader may change them.
    pub may_manage: bool,
}

/// The teams of the workspace. The form to make one sends to `settings/teams`, what is done with one to
/// `settings/teams/{team}`.
#[component]
pub fn Teams(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: TeamsPage,
    /// What was typed, and why it was refused; of a team's own forms it has the team's name as `team`.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let TeamsPage { teams, members, may_manage } = page;
    let people: Vec<Member> = members.into_iter().filter(|member| !member.user.is_service).collect();
    let of_team = draft.value("team").map(str::to_owned);
    let new = if of_team.is_some() { Draft::default() } else { draft.clone() };
    let list = if teams.is_empty() {
        view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::People
                    title="No team yet"
                    text="A rule of a policy may ask a team: two of risk, one of security. Make a team, and put members into it."
                />
            </div>
        }
        .into_any()
    } else {
        teams
            .into_iter()
            .map(|team| {
                let draft =
                    if of_team.as_deref() == Some(team.name.as_str()) { draft.clone() } else { Draft::default() };
                view! { <One links=links.clone() team people=people.clone() may_manage draft/> }
            })
            .collect_view()
            .into_any()
    };
    let action = links.teams();
    let form = may_manage.then(|| {
        view! {
            <aside class="stack" aria-label="Make a team">
                <Panel title="New team" id="new">
                    <Body>
                        <form class="stack" method="post" action=action>
                            <FormErrors draft=new.clone() fields=&["name", "description"]/>
                            <TextField
                                label="Name"
                                name="name"
                                autocomplete="off"
                                max=domain::team::MAX_NAME
                                hint="Lower-case letters, digits, dots, underscores and hyphens. Rules name it by it, so it never changes."
                                draft=new.clone()
                            />
                            <TextField label="For what" name="description" autocomplete="off" optional=true draft=new.clone()/>
                            <Button text="Make team" kind=Kind::Primary/>
                        </form>
                    </Body>
                </Panel>
            </aside>
        }
    });
    view! {
        <Frame links=links.clone() part=Part::Teams>
            <div class=if may_manage { "with-aside" } else { "stack" }>
                <div class="stack">{list}</div>
                {form}
            </div>
        </Frame>
    }
}

#[component]
fn One(links: Links, team: Team, people: Vec<Member>, may_manage: bool, draft: Draft) -> impl IntoView {
    let Team { name, description, members, .. } = team;
    let action = format!("{}/{name}", links.teams());
    let known = |id: &UserId| people.iter().find(|member| member.user.id == *id);
    let note = format::count(i64::try_from(members.len()).unwrap_or_default(), "member", "members");
    let rows = members
        .iter()
        .filter_map(known)
        .map(|member| {
            let user = member.user.clone();
            let values = vec![("do", "remove".to_owned()), ("user", user.id.to_string())];
            let action = action.clone();
            view! {
                <li>
                    <div class="person grow">
                        <Avatar name=user.name.clone()/>
                        <div><span class="strong">{user.name}</span><span class="sub">{user.email.to_string()}</span></div>
                    </div>
                    {may_manage.then(|| view! { <Act action text="Take out" kind=Kind::Ghost values/> })}
                </li>
            }
        })
        .collect_view();
    let list = if members.is_empty() {
        view! { <Body><p class="muted">"Nobody is in it: a rule that asks this team finds nobody."</p></Body> }
            .into_any()
    } else {
        view! { <ul class="list">{rows}</ul> }.into_any()
    };
    let others: Vec<(String, String)> = people
        .iter()
        .filter(|member| !members.contains(&member.user.id))
        .map(|member| (member.user.id.to_string(), member.user.name.clone()))
        .collect();
    let delete = format!("delete-{name}");
    let add = may_manage.then(|| {
        let (id, opens, title) = (delete.clone(), delete.clone(), name.clone());
        let add = (!others.is_empty()).then(|| {
            let field = format!("user-{name}");
            let options = others
                .iter()
                .map(|(value, word)| view! { <option value=value.clone()>{word.clone()}</option> })
                .collect_view();
            view! {
                <form class="actions" method="post" action=action.clone()>
                    <label class="sr" for=field.clone()>{format!("Who comes into {name}")}</label>
                    <select class="input" id=field name="user">{options}</select>
                    <Button text="Put in" name="do" value="add"/>
                </form>
            }
        });
        view! {
            <Body>
                <FormErrors draft/>
                <div class="actions">
                    {add}
                    <Button text="Delete team" kind=Kind::Danger opens/>
                </div>
                <Confirm
                    id
                    title=format!("Delete the team {title}?")
                    action=action.clone()
                    go="Delete it"
                    keep="Keep it"
                    values=vec![("do", "delete".to_owned())]
                >
                    <p>"It can be deleted when no policy in force names it. Its members stay members of the workspace."</p>
                </Confirm>
            </Body>
        }
    });
    view! {
        <Panel title=name.clone() id=format!("team-{name}") note>
            {(!description.is_empty()).then(|| view! { <Body><p>{description}</p></Body> })}
            {list}
            {add}
        </Panel>
    }
}
