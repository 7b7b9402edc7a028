//! What is remembered of runs and keys, so that the database need not be asked again: which run an id means and the number
//! of a key, which never change; and runs as they were read, which are good while their version is the same.

use super::no_run;
use crate::{Ctx, Result, Services};
use domain::{
    Error,
    id::{ExperimentId, RunId, WorkspaceId},
    log_key::KeyKind,
    run::Run,
};
use quick_cache::{Weighter, sync::Cache};
use std::{collections::HashMap, sync::Arc};
use store::{
    PgConnection,
    run::{
        RunKey, Stamp,
        key::{self, KeyId, NamedKey},
    },
};

/// How many runs are remembered: about 5 MB.
const RUNS: usize = 50_000;
/// How many keys there may be, about, and the bytes that they may take: all of usual length, and fewer of longer ones.
const KEYS: usize = 50_000;
const KEY_BYTES: u64 = 8 << 20;
/// How many bytes runs that were read may take, about.
const READ_BYTES: u64 = 24 << 20;

type Key = (ExperimentId, KeyKind, Box<str>);

/// What is remembered.
pub(crate) struct Known {
    runs: Cache<RunId, Identity>,
    keys: Cache<Key, KeyId, Size>,
    read: Cache<RunKey, (i64, Arc<Run>), Size>,
}

impl Default for Known {
    fn default() -> Self {
        let read = Cache::with_weighter(4096, READ_BYTES, Size);
        Self { runs: Cache::new(RUNS), keys: of_keys(), read }
    }
}

fn of_keys<V: Clone>() -> Cache<Key, V, Size> {
    Cache::with_weighter(KEYS, KEY_BYTES, Size)
}

/// What a run or a key takes in memory, about.
#[derive(Debug, Clone, Copy)]
struct Size;

impl Weighter<RunKey, (i64, Arc<Run>)> for Size {
    fn weight(&self, _: &RunKey, (_, run): &(i64, Arc<Run>)) -> u64 {
        let pairs = |map: &std::collections::BTreeMap<String, String>| -> usize {
            map.iter().map(|(key, value)| key.len() + value.len() + 80).sum()
        };
        let metrics: usize = run.metrics.iter().map(|metric| metric.key.len() + 64).sum();
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let inputs: usize = (run.datasets.iter())
            .map(|input| input.source.len() + length(&input.schema) + length(&input.profile) + pairs(&input.tags) + 300)
            .sum();
        let links = 32 * (run.model_inputs.len() + run.model_outputs.len());
        (400 + metrics + pairs(&run.params) + pairs(&run.tags) + inputs + links) as u64
    }
}

impl<V> Weighter<Key, V> for Size {
    fn weight(&self, (_, _, name): &Key, _: &V) -> u64 {
        name.len() as u64 + 100
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

    /// The runs of these stamps, in their order, as they are or as they have become since.
    pub(crate) async fn load_runs(&self, conn: &mut PgConnection, stamps: &[Stamp]) -> Result<Vec<Arc<Run>>> {
        let remembered = |stamp: &Stamp| {
            self.known.read.get(&stamp.key).filter(|(version, _)| *version == stamp.version).map(|(_, run)| run)
        };
        let mut found: HashMap<RunKey, Arc<Run>> =
            stamps.iter().filter_map(|stamp| Some((stamp.key, remembered(stamp)?))).collect();
        let missing: Vec<RunKey> =
            stamps.iter().map(|stamp| stamp.key).filter(|key| !found.contains_key(key)).collect();
        if !missing.is_empty() {
            for (stamp, run) in store::run::load(conn, &missing).await? {
                let run = Arc::new(run);
                self.known.read.insert(stamp.key, (stamp.version, Arc::clone(&run)));
                found.insert(stamp.key, run);
            }
        }
        stamps.iter().map(|stamp| found.get(&stamp.key).cloned().ok_or_else(Error::internal)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_take_no_more_memory_than_short_ones() {
        let keys = of_keys::<u32>();
        for at in 0..KEYS {
            let name = format!("{at:0>250}").into_boxed_str();
            keys.insert((ExperimentId(1), KeyKind::Metric, name), 0);
        }
        assert!(keys.weight() <= KEY_BYTES, "{}", keys.weight());
        assert!(keys.len() > KEYS / 4, "{}", keys.len());
    }
}
