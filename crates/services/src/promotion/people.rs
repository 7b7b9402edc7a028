//! Who may decide: members, their teams, who stands in for whom, and who had a part in the version.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    delegation::Delegation,
    id::{PromotionId, UserId, WorkspaceId},
    promotion::{Electorate, Lineage, Person, Promotion, StandIn},
    user::{Email, Member},
};
use std::collections::{BTreeMap, BTreeSet};
use store::{PgConnection, promotion::RunPeople};

/// The people of a workspace, read once for any number of promotions.
pub(super) struct People {
    members: Vec<Member>,
    teams: BTreeMap<UserId, BTreeSet<String>>,
    delegations: Vec<Delegation>,
    at: DateTime<Utc>,
}

impl People {
    pub(super) async fn read(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Self> {
        let at = store::clock(conn).await?;
        let members = store::workspace::members(conn, workspace).await?;
        let mut teams: BTreeMap<UserId, BTreeSet<String>> = BTreeMap::new();
        for (team, people) in store::team::memberships(conn, workspace).await? {
            for person in people {
                teams.entry(person).or_default().insert(team.clone());
            }
        }
        let delegations = store::delegation::in_force(conn, workspace, at).await?;
        Ok(Self { members, teams, delegations, at })
    }

    /// Who may decide on a promotion, as things are now.
    pub(super) async fn electorate(&self, conn: &mut PgConnection, promotion: &Promotion) -> Result<Electorate> {
        let mut all = self.electorates(conn, std::slice::from_ref(promotion)).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Who may decide on each of these promotions.
    pub(super) async fn electorates(
        &self,
        conn: &mut PgConnection,
        promotions: &[Promotion],
    ) -> Result<Vec<Electorate>> {
        let ids: Vec<PromotionId> = promotions.iter().map(|promotion| promotion.id).collect();
        let behind = store::promotion::people_behind(conn, &ids).await?;
        let uploaders = store::promotion::uploaders(conn, &ids).await?;
        let people: Vec<Person> = self
            .members
            .iter()
            .map(|member| Person {
                member: member.clone(),
                teams: self.teams.get(&member.user.id).cloned().unwrap_or_default(),
            })
            .collect();
        let electorate = |promotion: &Promotion| {
            let covers = |one: &&Delegation| one.covers(&promotion.environment, &promotion.model, self.at);
            let stand_ins = self.delegations.iter().filter(covers);
            Electorate {
                people: people.clone(),
                stand_ins: stand_ins.map(|one| StandIn { from: one.from, to: one.to }).collect(),
                lineage: self.lineage(promotion, behind.get(&promotion.id), uploaders.get(&promotion.id)),
            }
        };
        Ok(promotions.iter().map(electorate).collect())
    }

    fn lineage(
        &self,
        promotion: &Promotion,
        of_run: Option<&RunPeople>,
        uploaders: Option<&BTreeSet<UserId>>,
    ) -> Lineage {
        let trainers = of_run.and_then(trainers);
        let author = of_run.and_then(|run| run.author.as_deref()).and_then(|author| Email::parse(author).ok());
        let authors = |email: &Email| {
            self.members.iter().filter(|m| m.user.email == *email).map(|m| m.user.id).collect::<BTreeSet<_>>()
        };
        Lineage {
            requesters: promotion.requested_by.into_iter().chain(promotion.on_behalf_of).collect(),
            code_authors: author.as_ref().map(authors),
            evaluators: uploaders.cloned().or_else(|| trainers.clone()),
            trainers,
        }
    }
}

/// The people who started a training run. None when whoever logged it is not known; nobody when a trigger started the
/// pipeline that did.
fn trainers(run: &RunPeople) -> Option<BTreeSet<UserId>> {
    let by_pipeline: BTreeSet<UserId> = run.started_by.into_iter().chain(run.on_behalf_of).collect();
    match (run.user_id, run.is_service) {
        (Some(user), Some(false)) => Some(by_pipeline.into_iter().chain([user]).collect()),
        (Some(_), _) => Some(by_pipeline),
        (None, _) => (!by_pipeline.is_empty()).then_some(by_pipeline),
    }
}
