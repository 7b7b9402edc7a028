//! The chain of history: events that are committed get their place in it here, in the background and before anybody looks.
//!
//! Nothing of this is on the way of what writes events: a trigger queues them, and one process at a time chains those of a
//! workspace, in transactions of its own. One that is killed leaves nothing half done.

use crate::{Ctx, Result, Services, boxed, commit, now, webhook::tell_checkpoint};
use chain::{Checkpoint, Hash, Place, PrivateKey, entry_hash};
use domain::{Error, id::WorkspaceId};
use store::{PgConnection, audit_chain::NewEntry};
use tokio::sync::MutexGuard;

/// How many events are chained in one transaction.
const BATCH: usize = 1000;
/// Seconds between two checkpoints of a chain that nobody asks for.
const BETWEEN_CHECKPOINTS: f64 = 60.0;

/// Where a chain stands.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditHead {
    /// Its last entry.
    pub head: Place,
    /// Whether events wait to be chained.
    pub is_behind: bool,
    /// Its last checkpoint.
    pub checkpoint: Option<Checkpoint>,
}

/// A head that was noted.
pub(crate) struct Noted {
    /// The head.
    pub(crate) head: Place,
    /// Its checkpoint; none of a chain without entries.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// What it is signed with.
    pub(crate) key: Option<PrivateKey>,
}

/// Who else may be at a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They are waited for.
    Wait,
    /// It is left to them.
    Leave,
}

impl Services {
    /// Chains what is committed, in every chain that nobody else is at, and notes the heads that are due. Tells how many
    /// events were chained.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn chain_audit_events(&self) -> Result<usize> {
        let waited_for = store::audit_chain::waited_for(&mut *self.conn().await?).await?;
        let mut chained = 0;
        for chain in waited_for {
            loop {
                let batch = self.chain_batch(chain, Others::Leave).await?;
                chained += batch;
                if batch < BATCH {
                    break;
                }
            }
        }
        let due = store::audit_chain::to_be_noted(&mut *self.conn().await?, BETWEEN_CHECKPOINTS).await?;
        for chain in due {
            self.note_head(chain, Others::Leave).await?;
        }
        Ok(chained)
    }

    /// Where the workspace's chain stands, with everything in it that was committed before this is asked for.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn audit_head_now(&self, ctx: &Ctx) -> Result<AuditHead> {
        let chain = Some(ctx.workspace_id());
        while self.chain_batch(chain, Others::Wait).await? > 0 {}
        self.audit_head(ctx).await
    }

    /// Where the workspace's chain stands. At most one batch of what waits is chained before, so that a page is quick also
    /// when much does, or when others are at it.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn audit_head(&self, ctx: &Ctx) -> Result<AuditHead> {
        let chain = Some(ctx.workspace_id());
        let is_behind = self.chain_batch(chain, Others::Leave).await? == BATCH;
        let mut conn = self.conn().await?;
        Ok(AuditHead {
            head: store::audit_chain::head(&mut conn, chain).await?,
            is_behind,
            checkpoint: store::audit_chain::last_checkpoint(&mut conn, chain).await?,
        })
    }

    /// Chains everything that was committed before this is asked for, and notes the head, unless it is noted already as
    /// well as it can be.
    pub(crate) async fn chain_to_now(&self, workspace: WorkspaceId) -> Result<Noted> {
        while self.chain_batch(Some(workspace), Others::Wait).await? > 0 {}
        self.note_head(Some(workspace), Others::Wait).await
    }

    /// Those who wait in this process wait for each other here, and not with a connection each.
    async fn turn(&self, others: Others) -> Option<MutexGuard<'_, ()>> {
        match others {
            Others::Wait => Some(self.chaining.lock().await),
            Others::Leave => None,
        }
    }

    /// Chains up to [`BATCH`] events. Tells how many.
    async fn chain_batch(&self, chain: Option<WorkspaceId>, others: Others) -> Result<usize> {
        let _turn = self.turn(others).await;
        let mut tx = self.begin().await?;
        if !is_ours(&mut tx, chain, others).await? {
            return Ok(0);
        }
        // Read after the lock was had: whoever had it before has committed.
        let mut place = store::audit_chain::head(&mut tx, chain).await?;
        let events = store::audit_chain::unchained(&mut tx, chain, BATCH as i64).await?;
        if events.is_empty() {
            return Ok(0);
        }
        let mut entries = Vec::with_capacity(events.len());
        for event in events {
            let digest = Hash::of(&event.bytes().map_err(no_json)?);
            let seq = place.seq + 1;
            place = Place { seq, hash: entry_hash(chain, seq, &place.hash, &digest) };
            entries.push(NewEntry { seq, event: event.id, at: event.at, digest, hash: place.hash });
        }
        store::audit_chain::append(&mut tx, chain, &entries).await?;
        commit(tx).await?;
        metrics::counter!("slipway_audit_chain_entries_total").increment(entries.len() as u64);
        Ok(entries.len())
    }

    /// Notes the head of a chain, signed where there is a key, and tells the webhooks of it. When it is left to others, the
    /// checkpoint is the last.
    async fn note_head(&self, chain: Option<WorkspaceId>, others: Others) -> Result<Noted> {
        let key = self.signing_key().await?;
        let _turn = self.turn(others).await;
        let mut tx = self.begin().await?;
        let is_ours = is_ours(&mut tx, chain, others).await?;
        let head = store::audit_chain::head(&mut tx, chain).await?;
        let last = store::audit_chain::last_checkpoint(&mut tx, chain).await?;
        let signer = key.as_ref().map(|key| key.public().id());
        let is_noted = last.as_ref().is_some_and(|last| last.seq == head.seq && last.key == signer);
        if !is_ours || is_noted || head.seq == 0 {
            return Ok(Noted { head, checkpoint: last, key });
        }
        let checkpoint = Checkpoint::sign(chain, head.seq, head.hash, now(), key.as_ref()).map_err(no_json)?;
        store::audit_chain::insert_checkpoint(&mut tx, chain, &checkpoint).await?;
        if let Some(workspace) = chain {
            tell_checkpoint(&mut tx, workspace, &checkpoint).await?;
        }
        commit(tx).await?;
        let signed = if checkpoint.key.is_some() { "yes" } else { "no" };
        metrics::counter!("slipway_audit_chain_checkpoints_total", "signed" => signed).increment(1);
        Ok(Noted { head, checkpoint: Some(checkpoint), key })
    }
}

async fn is_ours(tx: &mut PgConnection, chain: Option<WorkspaceId>, others: Others) -> Result<bool> {
    match others {
        Others::Wait => store::audit_chain::lock(tx, chain).await?,
        Others::Leave => return Ok(store::audit_chain::try_lock(tx, chain).await?),
    }
    Ok(true)
}

pub(crate) fn no_json(error: serde_json::Error) -> Error {
    tracing::error!(%error, "what is hashed has no JSON form");
    Error::internal()
}
