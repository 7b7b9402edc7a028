//! Who may decide: members, their teams, who stands in for whom, and who had a part in the version.

use crate::Result;
use domain::{
    id::{RunId, UserId, WorkspaceId},
    promotion::{Electorate, Lineage, Person, Promotion, StandIn, Uploaded},
    user::{Email, Member},
};
use std::collections::{BTreeMap, BTreeSet};
use store::{PgConnection, promotion::RunPeople};

/// The people of a workspace, read once for any number of promotions.
pub(super) struct People {
    members: Vec<Member>,
    teams: BTreeMap<UserId, BTreeSet<String>>,
}

impl People {
    pub(super) async fn read(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Self> {
        let members = store::workspace::members(conn, workspace).await?;
        Ok(Self { members, teams: BTreeMap::new() })
    }

    /// Who may decide on a promotion, as things are now.
    pub(super) async fn electorate(
        &self,
        conn: &mut PgConnection,
        promotion: &Promotion,
        run: Option<RunId>,
    ) -> Result<Electorate> {
        let of_run = match run {
            Some(run) => store::promotion::people_of_run(conn, run).await?,
            None => None,
        };
        let uploaded = store::promotion::evidence(conn, promotion.id).await?;
        Ok(self.of(promotion, of_run.as_ref(), &uploaded, Vec::new()))
    }

    /// The same from what was read.
    pub(super) fn of(
        &self,
        promotion: &Promotion,
        of_run: Option<&RunPeople>,
        uploaded: &[Uploaded],
        stand_ins: Vec<StandIn>,
    ) -> Electorate {
        let people = self.members.iter().map(|member| Person {
            member: member.clone(),
            teams: self.teams.get(&member.user.id).cloned().unwrap_or_default(),
        });
        Electorate { people: people.collect(), stand_ins, lineage: self.lineage(promotion, of_run, uploaded) }
    }

    fn lineage(&self, promotion: &Promotion, of_run: Option<&RunPeople>, uploaded: &[Uploaded]) -> Lineage {
        let trainers = of_run.and_then(trainers);
        let author = of_run.and_then(|run| run.author.as_deref()).and_then(|author| Email::parse(author).ok());
        let authors = |email: &Email| {
            self.members.iter().filter(|m| m.user.email == *email).map(|m| m.user.id).collect::<BTreeSet<_>>()
        };
        let evaluators: BTreeSet<UserId> = uploaded.iter().filter_map(|one| one.uploaded_by).collect();
        Lineage {
            requesters: promotion.requested_by.into_iter().chain(promotion.on_behalf_of).collect(),
            code_authors: author.as_ref().map(authors),
            evaluators: if evaluators.is_empty() { trainers.clone() } else { Some(evaluators) },
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
