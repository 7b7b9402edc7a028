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
pub(crate) struct People {
    members: Vec<Member>,
    teams: BTreeMap<UserId, BTreeSet<String>>,
    delegations: Vec<Delegation>,
    at: DateTime<Utc>,
}

impl People {
    pub(crate) async fn read(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Self> {
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
    pub(crate) async fn electorate(&self, conn: &mut PgConnection, promotion: &Promotion) -> Result<Electorate> {
        let mut all = self.each(conn, std::slice::from_ref(promotion), |_, electorate| electorate.clone()).await?;
        Ok(all.pop().unwrap_or_default())
    }

    /// Who may decide on something that is no promotion, where delegations count that `covers` tells of.
    pub(crate) fn whoever(&self, covers: impl Fn(&Delegation) -> bool) -> Electorate {
        let stand_ins = self.delegations.iter().filter(|one| covers(one));
        Electorate {
            people: self.members.iter().map(|member| self.person(member)).collect(),
            stand_ins: stand_ins.map(|one| StandIn { from: one.from, to: one.to }).collect(),
            ..Electorate::default()
        }
    }

    fn person(&self, member: &Member) -> Person {
        Person { member: member.clone(), teams: self.teams.get(&member.user.id).cloned().unwrap_or_default() }
    }

    /// What `tell` tells of each of these promotions and who may decide on it.
    pub(super) async fn each<T>(
        &self,
        conn: &mut PgConnection,
        promotions: &[Promotion],
        mut tell: impl FnMut(&Promotion, &Electorate) -> T,
    ) -> Result<Vec<T>> {
        let ids: Vec<PromotionId> = promotions.iter().map(|promotion| promotion.id).collect();
        let behind = store::promotion::people_behind(conn, &ids).await?;
        let uploaders = store::promotion::uploaders(conn, &ids).await?;
        // The people are the same for all: only who stands in and who had a part changes.
        let mut electorate = Electorate {
            people: self.members.iter().map(|member| self.person(member)).collect(),
            ..Electorate::default()
        };
        let told = promotions.iter().map(|promotion| {
            let covers = |one: &&Delegation| one.covers(&promotion.environment, &promotion.model, self.at);
            let stand_ins = self.delegations.iter().filter(covers);
            electorate.stand_ins = stand_ins.map(|one| StandIn { from: one.from, to: one.to }).collect();
            electorate.lineage = self.lineage(promotion, behind.get(&promotion.id), uploaders.get(&promotion.id));
            tell(promotion, &electorate)
        });
        Ok(told.collect())
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
            evaluators: evaluators(of_run.is_some(), trainers.as_ref(), uploaders),
            trainers,
        }
    }
}

/// Whoever made what the gates read: the run's metrics, and the evidence that was uploaded. Somebody else's upload does not
/// take the part of the run away.
fn evaluators(
    has_run: bool,
    trainers: Option<&BTreeSet<UserId>>,
    uploaders: Option<&BTreeSet<UserId>>,
) -> Option<BTreeSet<UserId>> {
    match (has_run, uploaders) {
        (true, uploaders) => Some(trainers?.iter().chain(uploaders.into_iter().flatten()).copied().collect()),
        (false, uploaders) => uploaders.cloned(),
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
