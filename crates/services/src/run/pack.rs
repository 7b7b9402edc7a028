//! Packing the points of runs behind the requests that log them. What is not packed is read all the same, so whatever is
//! left lying here when a process ends waits for the worker's next look.

use crate::{Result, Services, boxed, commit, task::apart};
use sqlx::PgPool;
use std::collections::HashMap;
use store::run::{RunKey, pack};
use tokio::sync::mpsc;

/// How often a run is packed while it is written to: once in so many changes.
const EVERY: i64 = 256;
/// How many runs may wait.
const WAITING: usize = 1024;

/// Packs runs, one after the other.
#[derive(Clone)]
pub(crate) struct Packer(mpsc::Sender<(RunKey, bool)>);

impl Packer {
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, mut runs) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            while let Some((run, whole)) = runs.recv().await {
                pack_run(&pool, run, whole).await;
            }
        });
        Self(sender)
    }

    /// A run was written to, and has this version now.
    pub(crate) fn written(&self, run: RunKey, version: i64) {
        // Some requests make two versions at once, and would step over the one that is waited for. A new run has nothing
        // that is worth it.
        if version >= EVERY && version % EVERY < 2 {
            // Those that find no place are found by the worker.
            _ = self.0.try_send((run, false));
        }
    }

    /// A run has ended.
    pub(crate) fn ended(&self, run: RunKey) {
        _ = self.0.try_send((run, true));
    }
}

/// What one look at the runs leaves to the next.
#[derive(Debug, Default)]
pub struct Unpacked(HashMap<RunKey, i64>);

impl Services {
    /// Packs points of runs of which much waits, and of those that have ended and that nobody has written to since the
    /// last look. `seen` is what that look left.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn pack_runs(&self, seen: &mut Unpacked) -> Result<()> {
        let waiting = pack::waiting(&mut *self.conn().await?).await?;
        let mut left = HashMap::new();
        for pack::Waiting { stamp, has_ended, is_much } in waiting {
            if is_much || seen.0.get(&stamp.key) == Some(&stamp.version) {
                pack_run(&self.pool, stamp.key, has_ended).await;
            } else {
                left.insert(stamp.key, stamp.version);
            }
        }
        seen.0 = left;
        Ok(())
    }
}

/// Packs one run. When it cannot be, it stays as it is, and holds up no other.
async fn pack_run(pool: &PgPool, run: RunKey, whole: bool) {
    let pool = pool.clone();
    let packed = apart(async move {
        let mut tx = pool.begin().await.map_err(store::Error::from)?;
        pack::pack(&mut tx, run, whole).await?;
        commit(tx).await
    });
    if let Err(error) = packed.await {
        tracing::warn!(%error, "the points of a run could not be packed");
    }
}
