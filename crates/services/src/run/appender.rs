//! Points of many requests, written together: what waits while one statement is under way goes with the next. Each request
//! is answered when its points are committed, and costs a fraction of a commit of its own.

use crate::{Error, Result, task::apart};
use domain::series::Point;
use sqlx::PgPool;
use std::{collections::HashMap, sync::Arc};
use store::run::{
    RunKey,
    key::KeyId,
    metric::{self, Append},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The most requests in one statement, and from how many points on it takes no more of them.
const REQUESTS: usize = 64;
const POINTS: usize = 4096;
/// How many requests may wait. Those that come then wait to wait.
const WAITING: usize = 1024;
/// How many requests wait at once, each with a connection, for whoever else writes to their run. The others wait without
/// one, so that a run which is held for long leaves connections to everybody else.
const ALONE: usize = 4;

/// What one request logs.
struct Job {
    run: RunKey,
    points: Vec<(KeyId, Point)>,
    /// Takes the run's version after it; none when the run is not in use.
    done: oneshot::Sender<Result<Option<i64>>>,
}

impl Job {
    fn answer(self, version: Result<Option<i64>>) {
        // Whoever does not wait any more need not know.
        _ = self.done.send(version);
    }
}

/// Writes points.
#[derive(Clone)]
pub(crate) struct Appender(mpsc::Sender<Job>);

impl Appender {
    pub(crate) fn start(pool: &PgPool) -> Self {
        let (sender, mut jobs) = mpsc::channel(WAITING);
        // One connection for what is written together, and one for each that waits alone.
        let pool = store::connect_planning_once(pool, 1 + ALONE as u32);
        let alone = Arc::new(Semaphore::new(ALONE));
        tokio::spawn(async move {
            loop {
                let taken = take(&mut jobs).await;
                if taken.is_empty() {
                    return;
                }
                let (pool, alone) = (pool.clone(), Arc::clone(&alone));
                // Whoever waits for a batch that failed is told; the next one is written.
                _ = apart(async move {
                    write(&pool, &alone, taken).await;
                    Ok(())
                })
                .await;
            }
        });
        Self(sender)
    }

    /// Adds points to a run. Answers, once they are committed, with the version that the run has then; with none when it
    /// is not in use, and got nothing.
    ///
    /// # Errors
    /// When the statement fails.
    pub(crate) async fn append(&self, run: RunKey, points: Vec<(KeyId, Point)>) -> Result<Option<i64>> {
        let (done, written) = oneshot::channel();
        // The writer lives as long as the process; only a batch can be lost.
        self.0.send(Job { run, points, done }).await.map_err(|_| Error::internal())?;
        written.await.map_err(|_| Error::internal())?
    }
}

/// Waits for a job, and takes those that wait as well. None when no more will come.
async fn take(jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut taken: Vec<Job> = jobs.recv().await.into_iter().collect();
    let mut points: usize = taken.iter().map(|job| job.points.len()).sum();
    while !taken.is_empty()
        && taken.len() < REQUESTS
        && points < POINTS
        && let Ok(job) = jobs.try_recv()
    {
        points += job.points.len();
        taken.push(job);
    }
    taken
}

/// Writes them in one statement, which waits for nobody: a run that somebody else writes to is waited for apart.
async fn write(pool: &PgPool, alone: &Arc<Semaphore>, jobs: Vec<Job>) {
    let written = append(pool, &jobs, false).await;
    for job in jobs {
        match &written {
            Ok(versions) => match versions.get(&job.run) {
                Some(version) => job.answer(Ok(Some(*version))),
                None => _ = tokio::spawn(write_alone(pool.clone(), Arc::clone(alone), job)),
            },
            Err(error) => job.answer(Err(error.clone())),
        }
    }
}

async fn write_alone(pool: PgPool, alone: Arc<Semaphore>, job: Job) {
    // Nobody closes it.
    let Ok(_permit) = alone.acquire().await else { return job.answer(Err(Error::internal())) };
    let written = append(&pool, std::slice::from_ref(&job), true).await;
    let version = written.map(|versions| versions.get(&job.run).copied());
    job.answer(version);
}

async fn append(pool: &PgPool, jobs: &[Job], waits: bool) -> Result<HashMap<RunKey, i64>> {
    let appends: Vec<Append<'_>> = jobs.iter().map(|job| Append { run: job.run, points: &job.points }).collect();
    let mut conn = pool.acquire().await.map_err(store::Error::from)?;
    Ok(metric::append(&mut conn, &appends, waits).await?)
}
