//! Whom a token speaks for, remembered for a few seconds: else every point that is logged would cost this question too.
//!
//! Whatever changes who may do what tells every process, by triggers of the database, so that no code can forget to; a
//! process that does not hear it, for its connection was lost without a sound, asks again after [`LONGEST`].

use crate::{Result, Services, boxed, token::hash_secret};
use chrono::Utc;
use quick_cache::sync::Cache;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};
use store::token::Bearer;

/// How long an answer is good when nothing is heard.
const LONGEST: Duration = Duration::from_secs(10);
/// How many answers are remembered.
const MOST: usize = 10_000;

/// The hash of a token's secret, and the slug that was asked for.
type Asked = (Vec<u8>, Option<Box<str>>);

/// What is remembered.
pub(crate) struct Bearers {
    /// Whether this process hears of changes; what it would not hear of is not remembered.
    hears: AtomicBool,
    /// One more with each change that was heard of: an answer from before one is not kept after it.
    changes: AtomicU64,
    known: Cache<Asked, (Instant, Bearer)>,
}

impl Default for Bearers {
    fn default() -> Self {
        Self { hears: AtomicBool::new(false), changes: AtomicU64::new(0), known: Cache::new(MOST) }
    }
}

impl Bearers {
    fn get(&self, key: &Asked) -> Option<Bearer> {
        let (asked, bearer) = self.known.get(key)?;
        (asked.elapsed() < LONGEST && bearer.expires_at > Utc::now()).then_some(bearer)
    }

    /// Something changed, or may have. A use case that changed it says so itself when it is committed, so that whoever asked
    /// for it sees it at once.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.clear();
    }
}

impl Services {
    /// Whom a token's secret speaks for, and what they are in the workspace of this slug, or in the token's own; none when it
    /// does not work.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn bearer(&self, secret: &str, slug: Option<&str>) -> Result<Option<Bearer>> {
        let key = (hash_secret(secret), slug.map(Box::from));
        if let Some(known) = self.bearers.get(&key) {
            return Ok(Some(known));
        }
        let changes = self.bearers.changes.load(Ordering::SeqCst);
        let found = store::token::bearer(&mut *self.conn().await?, &key.0, slug).await?;
        if let Some(bearer) = &found
            && self.bearers.hears.load(Ordering::SeqCst)
        {
            self.bearers.known.insert(key, (Instant::now(), bearer.clone()));
            // A change that came between the question and here cleared what was there before.
            if self.bearers.changes.load(Ordering::SeqCst) != changes {
                self.bearers.known.clear();
            }
        }
        Ok(found)
    }

    /// Something changed about who may do what, or may have. `hears`: whether this process will be told of the next change;
    /// before it is said, nothing is remembered.
    pub fn access_changed(&self, hears: bool) {
        self.bearers.hears.store(hears, Ordering::SeqCst);
        self.bearers.forget();
    }
}
