//! What stands at this moment in the whole installation, for whoever watches it from outside.

use crate::{Result, Services, boxed, worker::silent};
use chrono::Utc;
use domain::freeze::{self, Freeze};
use std::collections::BTreeMap;
use store::PgConnection;
pub use store::monitor::DriftScore;

/// The most events that are counted: after an update from before there was a chain, all of history waits.
const MOST_COUNTED: i64 = 10_000;

/// What stands at this moment, over all workspaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauges {
    /// How many steps wait for a worker, by pool. Pools without any are left out.
    pub steps_waiting: Vec<(String, i64)>,
    /// How many graphics processors workers hand out, and how many of them steps have.
    pub gpus: (i64, i64),
    /// How many promotions await approval, by the name of the environment.
    pub promotions_pending: Vec<(String, i64)>,
    /// How many freezes close each environment, by its name; those that none closes count zero.
    pub freezes_active: Vec<(String, i64)>,
    /// How many alerts are not resolved.
    pub alerts_open: i64,
    /// How many events of history wait to be chained; counted up to ten thousand.
    pub audit_unchained: i64,
    /// What the last checks of what serves found.
    pub drift: Vec<DriftScore>,
}

impl Services {
    /// What stands at this moment.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn gauges(&self) -> Result<Gauges> {
        let mut conn = self.conn().await?;
        Ok(Gauges {
            steps_waiting: store::step::waiting_by_pool(&mut conn).await?,
            gpus: store::gpu::counts(&mut conn, silent()).await?,
            promotions_pending: store::promotion::awaiting_by_environment(&mut conn).await?,
            freezes_active: freezes_active(&mut conn).await?,
            alerts_open: store::alert::count_all_unresolved(&mut conn).await?,
            audit_unchained: store::audit_chain::count_unchained(&mut conn, MOST_COUNTED).await?,
            drift: store::monitor::drift_scores(&mut conn).await?,
        })
    }
}

async fn freezes_active(conn: &mut PgConnection) -> Result<Vec<(String, i64)>> {
    let freezes = store::freeze::all_in_force(conn).await?;
    let now = Utc::now();
    let mut active: BTreeMap<String, i64> = BTreeMap::new();
    for environment in store::environment::everywhere(conn).await? {
        // One that is archived counts zero, so that nothing of it stays.
        let of_it =
            |freeze: &&Freeze| environment.archived_at.is_none() && freeze.workspace_id == environment.workspace_id;
        let here: Vec<Freeze> = freezes.iter().filter(of_it).cloned().collect();
        let count = freeze::active(&here, &environment.name, environment.tier, now).len();
        *active.entry(environment.name).or_default() += i64::try_from(count).unwrap_or(i64::MAX);
    }
    Ok(active.into_iter().collect())
}
