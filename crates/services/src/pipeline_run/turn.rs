//! Whose turn it is: how many runs of a pipeline are open at once, and what goes on when one has ended.
//!
//! Whoever starts a run of a pipeline that has a limit, or goes on with those that wait, does so under the lock of the
//! pipeline; the locks of its runs come after. The end of a run, which happens under the run's lock, is only noted there.

use super::{Cause, Insert, by_number, cancel, insert};
use crate::{Ctx, Error, Event, Result, Services, boxed, commit, pipeline, step::settle};
use domain::{
    id::{PipelineId, WorkspaceId},
    pipeline::{ParamValue, Pipeline, PipelineVersion},
    pipeline_run::{Admission, Concurrency, ConcurrencyPolicy, MAX_HELD, PipelineRun, Turn},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{PgConnection, pipeline_run::turn, wake::Wake};

/// Starts a run, as far as the pipeline's limit lets it: it begins, or waits for others to end. Everything that starts
/// runs does so here.
pub(super) async fn start(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: &Pipeline,
    version: &PipelineVersion,
    params: &BTreeMap<String, ParamValue>,
    cause: &Cause<'_>,
) -> std::result::Result<PipelineRun, Insert> {
    start_with(conn, ctx, pipeline, version, params, cause, None).await
}

/// What a run takes over from another.
pub(super) struct Carried<'a> {
    /// The other.
    pub(super) from: &'a PipelineRun,
    /// These steps of it.
    pub(super) steps: &'a BTreeSet<String>,
}

/// The same, with what the run takes over from another.
pub(super) async fn start_with(
    conn: &mut PgConnection,
    ctx: &Ctx,
    pipeline: &Pipeline,
    version: &PipelineVersion,
    params: &BTreeMap<String, ParamValue>,
    cause: &Cause<'_>,
    carried: Option<Carried<'_>>,
) -> std::result::Result<PipelineRun, Insert> {
    let waits = admit(conn, pipeline).await?;
    let run = insert(conn, ctx, pipeline, version, params, cause).await?;
    if let Some(Carried { from, steps }) = &carried {
        store::step::carry(conn, run.id, from.id, from.number, steps).await?;
    }
    if waits {
        turn::hold(conn, run.id).await?;
        // For those that it replaces.
        store::wake::push(conn, &Wake::Starts).await?;
    } else {
        let settled = match carried {
            None => settle::start(conn, &run, &version.spec).await?,
            // What was carried over is not counted yet.
            Some(_) => settle::repair(conn, &run).await?,
        };
        // A run of which every step is skipped has ended.
        settled.count();
    }
    Ok(by_number(conn, ctx, run.number).await?)
}

/// Whether one more run has to wait.
async fn admit(conn: &mut PgConnection, pipeline: &Pipeline) -> std::result::Result<bool, Insert> {
    if turn::limit(conn, pipeline.id).await?.is_none() {
        return Ok(false);
    }
    let Some(limit) = turn::lock(conn, pipeline.id).await? else { return Ok(false) };
    let (begun, held) = turn::count(conn, pipeline.id).await?;
    match limit.admit(begun, held) {
        Admission::Begins => Ok(false),
        Admission::Waits => Ok(true),
        Admission::Refused if limit.policy == ConcurrencyPolicy::Skip => Err(Insert::Busy(Error::conflict(format!(
            "{} of {} may be open at once, and so many are: this one is skipped.",
            runs(limit.limit),
            pipeline.name
        )))),
        Admission::Refused => {
            let name = &pipeline.name;
            Err(Insert::Busy(Error::conflict(format!(
                "{MAX_HELD} runs of {name} wait already. Cancel some, or wait until they ran."
            ))))
        }
    }
}

fn runs(count: i32) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

/// Notes that a run has ended, for those that wait for it.
pub(crate) async fn ended(conn: &mut PgConnection, run: &PipelineRun) -> Result<()> {
    if turn::note_ending(conn, run.id, run.pipeline_id).await? {
        store::wake::push(conn, &Wake::Starts).await?;
    }
    Ok(())
}

impl Services {
    /// How many runs of a pipeline may be open at once; none when as many as are started.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn concurrency(&self, ctx: &Ctx, name: &str) -> Result<Option<Concurrency>> {
        let mut conn = self.conn().await?;
        let pipeline = pipeline::find(&mut conn, ctx, name).await?;
        Ok(turn::limit(&mut conn, pipeline.id).await?)
    }

    /// Says how many runs of a pipeline may be open at once. Runs that are open already are not touched, but those that
    /// wait go by the new rule.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a limit that is none.
    #[boxed]
    pub async fn set_concurrency(&self, ctx: &Ctx, name: &str, limit: Option<Concurrency>) -> Result<()> {
        limit.map_or(Ok(()), Concurrency::check)?;
        let mut tx = self.begin().await?;
        let pipeline = pipeline::find(&mut tx, ctx, name).await?;
        if turn::lock(&mut tx, pipeline.id).await? == limit {
            return Ok(());
        }
        turn::set_limit(&mut tx, pipeline.id, limit).await?;
        let summary = match limit {
            None => format!("let any number of runs of {name} be open at once"),
            Some(limit) => format!(
                "let {} of {name} be open at once; one more {}",
                runs(limit.limit),
                match limit.policy {
                    ConcurrencyPolicy::Queue => "waits",
                    ConcurrencyPolicy::Replace => "replaces the oldest",
                    ConcurrencyPolicy::Skip => "is skipped",
                }
            ),
        };
        Event::new("pipeline.limited", pipeline::object(&pipeline), summary)
            .details(serde_json::json!({ "concurrency": limit }))
            .write(&mut tx, ctx)
            .await?;
        store::wake::push(&mut tx, &Wake::Starts).await?;
        commit(tx).await
    }

    /// Goes on with the open runs of a pipeline: those whose turn it is begin, those that others replace are cancelled.
    pub(crate) async fn take_turns(&self, workspace: WorkspaceId, pipeline: PipelineId) -> Result<()> {
        let mut tx = self.begin().await?;
        let Some(workspace) = store::workspace::by_id(&mut tx, workspace).await? else { return Ok(()) };
        let ctx = Ctx::system(workspace);
        let limit = turn::lock(&mut tx, pipeline).await?;
        let open = turn::open(&mut tx, pipeline).await?;
        let held: Vec<i64> = open.iter().filter(|run| run.held && !run.cancelling).map(|run| run.number).collect();
        let begun: Vec<(i64, bool)> =
            open.iter().filter(|run| !run.held).map(|run| (run.number, run.cancelling)).collect();
        let turn = match limit {
            Some(limit) => limit.turn(&begun, &held),
            None => Turn { begin: held, cancel: Vec::new() },
        };
        let mut settled = Vec::new();
        for run in open {
            let (begins, is_over) = (turn.begin.contains(&run.number), turn.cancel.contains(&run.number));
            if !begins && !is_over {
                continue;
            }
            let Some(mut run) = store::pipeline_run::lock(&mut tx, run.id).await? else { continue };
            // Under its lock it may prove to have ended, or to be cancelled.
            if run.state.is_final() || run.cancel_requested_at.is_some() {
                continue;
            }
            if is_over {
                settled.extend(cancel(&mut tx, &ctx, &mut run, "; a later run replaces it").await?);
            } else {
                turn::let_begin(&mut tx, run.id).await?;
                run.held_at = None;
                settled.push(settle::repair(&mut tx, &run).await?);
            }
        }
        commit(tx).await?;
        settled.iter().for_each(settle::Settled::count);
        Ok(())
    }

    /// Sees to one run that has ended and that somebody waits for. Tells whether there was one.
    ///
    /// # Errors
    /// When the database does not answer. It is seen to again.
    #[boxed]
    pub async fn see_to_ending(&self) -> Result<bool> {
        let mut tx = self.begin().await?;
        let Some(ending) = turn::take_ending(&mut tx).await? else { return Ok(false) };
        self.judge(&mut tx, ending.run_id).await?;
        self.fire_for_ending(&mut tx, ending.run_id).await?;
        turn::forget_ending(&mut tx, ending.run_id).await?;
        commit(tx).await?;
        self.take_turns(ending.workspace_id, ending.pipeline_id).await?;
        Ok(true)
    }

    /// Goes on with runs that wait although nothing holds them up any more.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unstick_runs(&self) -> Result<()> {
        let stuck = turn::stuck(&mut *self.conn().await?).await?;
        for (pipeline, workspace) in stuck {
            self.take_turns(workspace, pipeline).await?;
        }
        Ok(())
    }

    /// How long until something is to be started by the clock. None when nothing is.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn next_start_due(&self) -> Result<Option<Duration>> {
        let seconds = store::schedule::due_in(&mut *self.conn().await?).await?;
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
    }
}
