//! What never changes of runs and keys, remembered: which run an id means, and the number of a key. Looking it up would
//! cost as much as logging a point does.

use super::no_run;
use crate::{Ctx, Result, Services};
use domain::id::{ExperimentId, RunId, WorkspaceId};
use quick_cache::sync::Cache;
use store::{
    PgConnection,
    run::{
        RunKey,
        key::{self, KeyId, KeyKind, NamedKey},
    },
};

/// How many runs, and how many keys, are remembered: about 5 MB of each.
const RUNS: usize = 50_000;
const KEYS: usize = 50_000;

/// What is remembered.
pub(crate) struct Known {
    runs: Cache<RunId, Identity>,
    keys: Cache<(ExperimentId, KeyKind, Box<str>), KeyId>,
}

impl Default for Known {
    fn default() -> Self {
        Self { runs: Cache::new(RUNS), keys: Cache::new(KEYS) }
    }
}

/// Which run it is, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity {
    pub(crate) key: RunKey,
    pub(crate) workspace: WorkspaceId,
    pub(crate) experiment: ExperimentId,
}

impl Services {
    /// Which run of the workspace this is, deleted or not.
    pub(crate) async fn run_identity(&self, conn: &mut PgConnection, ctx: &Ctx, id: RunId) -> Result<Identity> {
        if let Some(known) = self.known.runs.get(&id) {
            return if known.workspace == ctx.workspace_id() { Ok(known) } else { Err(no_run(&id.simple())) };
        }
        let (key, info) = super::find(conn, ctx, id).await?;
        let identity = Identity { key, workspace: info.workspace_id, experiment: info.experiment_id };
        self.known.runs.insert(id, identity);
        Ok(identity)
    }

    /// The numbers of keys of an experiment, in their order, given now to those that have none. Not for use in a
    /// transaction.
    pub(crate) async fn key_ids(
        &self,
        conn: &mut PgConnection,
        experiment: ExperimentId,
        keys: &[NamedKey<'_>],
    ) -> Result<Vec<KeyId>> {
        let of = |(kind, name): &NamedKey<'_>| (experiment, *kind, Box::from(*name));
        let known: Option<Vec<KeyId>> = keys.iter().map(|key| self.known.keys.get(&of(key))).collect();
        if let Some(known) = known {
            return Ok(known);
        }
        let ids = key::ids(conn, experiment, keys).await?;
        for (key, id) in keys.iter().zip(&ids) {
            self.known.keys.insert(of(key), *id);
        }
        Ok(ids)
    }
}
