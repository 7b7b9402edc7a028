//! Teams: members of a workspace whom rules name together.

use crate::{Ctx, Event, Result, Services, boxed, commit, environment::is_name, now};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    id::{TeamId, UserId},
    team::{MAX_MEMBERS, Team, check_description, check_name},
    user::Member,
};
use store::PgConnection;

/// The most teams of a workspace.
const MAX_TEAMS: usize = 200;

impl Services {
    /// The teams, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn teams(&self, ctx: &Ctx) -> Result<Vec<Team>> {
        Ok(store::team::list(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// The team of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn team(&self, ctx: &Ctx, name: &str) -> Result<Team> {
        let found = match is_name(name) {
            true => store::team::by_name(&mut *self.conn().await?, ctx.workspace_id(), name).await?,
            false => None,
        };
        found.ok_or_else(|| Error::not_found("team", name))
    }

    /// Makes a team, with nobody in it.
    ///
    /// # Errors
    /// `Invalid` for a name or description that is none, `AlreadyExists` when the name is taken, `Conflict` when there are
    /// as many as there may be.
    #[boxed]
    pub async fn create_team(&self, ctx: &Ctx, name: &str, description: &str) -> Result<Team> {
        check_name(name)?;
        check_description(description)?;
        let team = Team {
            id: TeamId::new(),
            workspace_id: ctx.workspace_id(),
            name: name.to_owned(),
            description: description.to_owned(),
            members: Vec::new(),
            created_at: now(),
        };
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let there = store::team::list(&mut tx, ctx.workspace_id()).await?;
        if there.iter().any(|other| other.name == name) {
            return Err(Error::already_exists(format!("There is a team {name} already.")).in_field("name"));
        }
        if there.len() >= MAX_TEAMS {
            return Err(Error::conflict(format!("A workspace has at most {MAX_TEAMS} teams; delete one.")));
        }
        store::team::insert(&mut tx, &team).await?;
        let event = Event::new("team.created", object(&team), format!("made the team {name}"));
        event.details(serde_json::json!({ "description": description })).write(&mut tx, ctx).await?;
        commit(tx).await?;
        Ok(team)
    }

    /// Says what a team is for. Its name stays: rules name it by it.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the text is too long.
    #[boxed]
    pub async fn describe_team(&self, ctx: &Ctx, name: &str, description: &str) -> Result<Team> {
        check_description(description)?;
        let mut tx = self.begin().await?;
        let before = locked(&mut tx, ctx, name).await?;
        if before.description == description {
            return Ok(before);
        }
        store::team::set_description(&mut tx, before.id, description).await?;
        let after = Team { description: description.to_owned(), ..before };
        let event = Event::new("team.described", object(&after), format!("described the team {name}"));
        event.details(serde_json::json!({ "description": description })).write(&mut tx, ctx).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Puts a member of the workspace into a team. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` without such a team or member; `Invalid` for a service account, which is no person that a rule could
    /// ask; `Conflict` when there are as many as there may be.
    #[boxed]
    pub async fn add_team_member(&self, ctx: &Ctx, name: &str, user: UserId) -> Result<Team> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let team = locked(&mut tx, ctx, name).await?;
        let member = member(&mut tx, ctx, user).await?;
        if member.user.is_service {
            return Err(Error::invalid_field(
                "user",
                format!("{} is a service account: a team has people alone.", member.user.name),
            ));
        }
        if team.members.contains(&user) {
            return Ok(team);
        }
        if team.members.len() >= MAX_MEMBERS {
            return Err(Error::conflict(format!("A team has at most {MAX_MEMBERS} members.")));
        }
        store::team::add(&mut tx, &team, user).await.map_err(|error| match error {
            // They left at the same moment.
            store::Error::Missing(_) => Error::not_found("member", user),
            error => error.into(),
        })?;
        let summary = format!("put {} into the team {name}", member.user.name);
        tell_of_member("team.member_added", &team, &member, summary).write(&mut tx, ctx).await?;
        commit(tx).await?;
        self.team(ctx, name).await
    }

    /// Takes a member out of a team.
    ///
    /// # Errors
    /// `NotFound` without such a team, or when they are not in it.
    #[boxed]
    pub async fn remove_team_member(&self, ctx: &Ctx, name: &str, user: UserId) -> Result<Team> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let team = locked(&mut tx, ctx, name).await?;
        if !store::team::remove(&mut tx, team.id, user).await? {
            return Err(Error::not_found("member of the team", user));
        }
        let member = member(&mut tx, ctx, user).await?;
        let summary = format!("took {} out of the team {name}", member.user.name);
        tell_of_member("team.member_removed", &team, &member, summary).write(&mut tx, ctx).await?;
        commit(tx).await?;
        self.team(ctx, name).await
    }

    /// Deletes a team that no policy in force names: nobody would be left to satisfy its rules.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when policies name it.
    #[boxed]
    pub async fn delete_team(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        // Whoever writes a policy waits for this, or this for them.
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let team = locked(&mut tx, ctx, name).await?;
        let policies = store::policy::latest(&mut tx, ctx.workspace_id()).await?;
        let naming = policies.iter().filter(|policy| !policy.retired && policy.document.teams().contains(name));
        let naming: Vec<&str> = naming.map(|policy| policy.name.as_str()).collect();
        if let Some((last, others)) = naming.split_last() {
            let policies = match others {
                [] => format!("The policy {last} names it"),
                others => format!("The policies {} and {last} name it", others.join(", ")),
            };
            return Err(Error::conflict(format!(
                "The team {name} cannot be deleted. {policies}: have them name somebody else first, or retire them."
            )));
        }
        store::team::delete(&mut tx, team.id).await?;
        let event = Event::new("team.deleted", object(&team), format!("deleted the team {name}"));
        event.details(serde_json::json!({ "members": team.members })).write(&mut tx, ctx).await?;
        commit(tx).await
    }
}

async fn locked(tx: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<Team> {
    let found = match is_name(name) {
        true => store::team::lock(tx, ctx.workspace_id(), name).await?,
        false => None,
    };
    found.ok_or_else(|| Error::not_found("team", name))
}

/// The member of the workspace.
pub(crate) async fn member(tx: &mut PgConnection, ctx: &Ctx, user: UserId) -> Result<Member> {
    let members = store::workspace::members(tx, ctx.workspace_id()).await?;
    members.into_iter().find(|member| member.user.id == user).ok_or_else(|| Error::not_found("member", user))
}

fn object(team: &Team) -> Object {
    Object::new(ObjectKind::Team, team.id, &team.name)
}

fn tell_of_member(action: &'static str, team: &Team, member: &Member, summary: String) -> Event {
    let user = Object::new(ObjectKind::User, member.user.id, &member.user.name);
    Event::new(action, object(team), summary).related(user)
}
