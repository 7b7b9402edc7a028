//! A notebook while its step runs, looked at from outside of Python: how far it has come, what there is of it, and whether
//! the program that runs it still lives.

use domain::notebook::NotebookProgress;
use executors::{Ended, Mask, StepDir, StepFiles};
use serde::Deserialize;
use services::{Claimed, FileTrouble, MAX_NOTEBOOK, NOTEBOOK_PROGRESS, NotebookWork, Services};
use std::{borrow::Cow, path::PathBuf, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often the notebook is looked at.
const LOOK: Duration = Duration::from_millis(400);
/// After so many looks without a sign of life, the program that runs it is given up: it gives one every second. Looks are
/// counted, not time: a machine that slept has not waited.
const SILENT: u32 = 450;
/// The most bytes of what a program says of its progress.
const MOST_PROGRESS: u64 = 64 << 10;
/// The most bytes of a notebook that are stored while it runs: no more are shown.
const MOST_LIVE: u64 = 8 << 20;
/// So many bytes of a notebook may be stored a second while it runs: a large one is stored more seldom.
const LIVE_RATE: u64 = 512 << 10;
/// How long storing a look may take. What could not be stored is old by then.
const STORING: Duration = Duration::from_secs(10);
/// How often storing the executed notebook is tried.
const TRIES: u32 = 20;

/// What the program says.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Told {
    cells: i32,
    done: i32,
    cell: i32,
    turn: i32,
    name: String,
    /// Milliseconds since 1970.
    since: Option<i64>,
    failure: String,
    is_whole: bool,
    pulse: u64,
    revision: u64,
}

impl Told {
    /// As it is stored: a step may write anything where its program writes this.
    fn progress(&self) -> NotebookProgress {
        let short = |text: &str, most: usize| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
        NotebookProgress {
            cells: self.cells.clamp(0, 100_000),
            done: self.done.clamp(0, 100_000),
            cell: self.cell.clamp(0, 100_000),
            turn: self.turn.clamp(0, 100_000),
            name: short(&self.name, 80),
            since: self.since.and_then(chrono::DateTime::from_timestamp_millis),
            failure: short(&self.failure, 400),
        }
    }
}

/// How long nothing was heard of a program.
#[derive(Debug, Default)]
struct Silence {
    pulse: u64,
    looks: u32,
}

impl Silence {
    /// Whether it must be given up. Before its first sign of life, and after its last word, there is nothing to wait for.
    fn is_too_long(&mut self, told: &Told) -> bool {
        self.looks = if told.pulse == self.pulse { self.looks + 1 } else { 0 };
        self.pulse = told.pulse;
        self.looks >= SILENT && told.pulse > 0 && !told.is_whole && told.failure.is_empty()
    }
}

/// The notebook of a try.
pub(super) struct Notebook<'a> {
    services: &'a Services,
    held: &'a Claimed,
    work: &'a NotebookWork,
    files: StepFiles,
    mask: Mask,
    /// Ends the step when its program does not answer any more.
    hung: CancellationToken,
}

impl<'a> Notebook<'a> {
    pub(super) fn new(
        services: &'a Services,
        held: &'a Claimed,
        work: &'a NotebookWork,
        dir: &StepDir,
        mask: Mask,
        hung: CancellationToken,
    ) -> Self {
        Self { services, held, work, files: dir.files(), mask, hung }
    }

    /// Notes what is about to be run.
    pub(super) async fn begin(&self) -> Result<(), FileTrouble> {
        let source = self.read(&self.work.source, MAX_NOTEBOOK).await;
        self.services.begin_notebook(self.held, &self.work.source, source).await
    }

    /// Looks at it until its command has ended.
    pub(super) async fn follow(&self, ended: &CancellationToken) {
        let (mut stored, mut silence) = (0, Silence::default());
        // What the database has; none when that is not known.
        let mut noted = Some(NotebookProgress::default());
        let mut next_live = Instant::now();
        loop {
            tokio::select! {
                () = ended.cancelled() => return,
                () = sleep(LOOK) => {}
            }
            let told = self.told().await;
            if silence.is_too_long(&told) {
                tracing::warn!(step = %self.held.name, "the program of a notebook gives no sign of life; it is ended");
                self.hung.cancel();
                return;
            }
            let wants_live = told.revision != stored && Instant::now() >= next_live;
            let live = if wants_live { self.read(&self.work.executed, MOST_LIVE).await } else { None };
            let progress = told.progress();
            let is_news = live.is_some() || noted.as_ref() != Some(&progress);
            if let Some(bytes) = &live {
                next_live = Instant::now() + Duration::from_millis(bytes.len() as u64 * 1000 / LIVE_RATE);
            }
            if wants_live {
                stored = told.revision;
            }
            if is_news {
                let storing = timeout(STORING, self.services.note_notebook(self.held, &progress, live)).await;
                if matches!(storing, Ok(Ok(()))) {
                    noted = Some(progress);
                } else {
                    tracing::debug!(step = %self.held.name, "how far a notebook has come could not be stored");
                    (stored, noted) = (0, None);
                }
            }
        }
    }

    /// Keeps what was executed, whatever became of it. Answers with how far it had come.
    pub(super) async fn keep(&self, dir: &StepDir) -> NotebookProgress {
        let progress = self.told().await.progress();
        let executed = self.read_unmasked(&self.work.executed, MAX_NOTEBOOK).await;
        let masked = executed.as_deref().and_then(|bytes| match self.mask.apply(bytes) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        });
        if let Some(masked) = &masked
            && let Ok(place) = dir.output(&self.work.executed)
            && let Err(error) = replace(place, masked.clone()).await
        {
            tracing::warn!(%error, step = %self.held.name, "the executed notebook could not be written without its secrets");
        }
        let executed: Option<bytes::Bytes> = masked.or(executed).map(Into::into);
        let mut wait = Duration::from_millis(50);
        for _ in 0..TRIES {
            match self.services.keep_notebook(self.held, &progress, executed.clone()).await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "an executed notebook could not be stored; trying again"),
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
        count(&progress);
        progress
    }

    async fn told(&self) -> Told {
        let told = self.read(NOTEBOOK_PROGRESS, MOST_PROGRESS).await;
        told.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// A file of the step without its secrets; none when it is not there or no text.
    async fn read(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let text = String::from_utf8(self.read_unmasked(path, most).await?).ok()?;
        Some(self.mask.hide(text).into_bytes())
    }

    async fn read_unmasked(&self, path: &str, most: u64) -> Option<Vec<u8>> {
        let (files, path) = (self.files.clone(), path.to_owned());
        tokio::task::spawn_blocking(move || files.read(&path, most).ok()).await.ok()?
    }
}

/// Writes a file anew. Blocks elsewhere.
async fn replace(place: PathBuf, bytes: Vec<u8>) -> std::io::Result<()> {
    tokio::task::spawn_blocking(move || {
        std::fs::remove_file(&place)?;
        std::fs::write(&place, bytes)
    })
    .await?
}

fn count(progress: &NotebookProgress) {
    let done = u64::try_from(progress.done).unwrap_or_default();
    metrics::counter!("slipway_notebook_cells_total", "outcome" => "succeeded").increment(done);
    if !progress.failure.is_empty() {
        metrics::counter!("slipway_notebook_cells_total", "outcome" => "failed").increment(1);
    }
}

/// Why the try ended, with the cell that it was at.
pub(super) fn reason(ended: &Ended, progress: &NotebookProgress) -> String {
    match (ended, progress.at()) {
        (Ended::Exited(0), _) => ended.to_string(),
        (Ended::Exited(_), _) if !progress.failure.is_empty() => progress.failure.clone(),
        (Ended::Exited(_) | Ended::Killed(_) | Ended::OutOfMemory { .. } | Ended::TimedOut, Some(cell)) => {
            format!("{ended} in {cell}")
        }
        _ => ended.to_string(),
    }
}

/// Why a try was ended whose program did not answer any more.
pub(super) fn hung(progress: &NotebookProgress) -> String {
    match progress.at() {
        Some(cell) => format!("the program that runs its notebook gave no sign of life any more in {cell}"),
        None => "the program that runs its notebook gave no sign of life any more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(failure: &str) -> NotebookProgress {
        NotebookProgress {
            cells: 12,
            turn: 5,
            name: "fit".to_owned(),
            failure: failure.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn the_cell_at_which_it_ended_is_told() {
        let failed = progress("cell 5 of 12 (\"fit\") failed: ValueError: no rows");
        assert_eq!(reason(&Ended::Exited(1), &failed), failed.failure);
        let died = progress("its kernel died in cell 5 of 12 (\"fit\")");
        let out = Ended::OutOfMemory { peak: 1 << 30, limit: Some(1 << 30) };
        assert_eq!(reason(&out, &died), "killed: out of memory at 1.0 of 1.0 GiB in cell 5 of 12 (\"fit\")");
        assert_eq!(reason(&Ended::TimedOut, &progress("")), "timed out in cell 5 of 12 (\"fit\")");
        assert_eq!(reason(&Ended::Exited(2), &NotebookProgress::default()), "exit status 2");
        assert_eq!(reason(&Ended::Cancelled, &progress("")), "cancelled");
    }

    #[test]
    fn a_program_is_given_up_when_its_pulse_stops_and_not_before_it_began_or_after_it_ended() {
        let looks = |told: Told| {
            let mut silence = Silence::default();
            (0..SILENT * 2).find(|_| silence.is_too_long(&told))
        };
        assert_eq!(looks(Told { pulse: 7, ..Told::default() }), Some(SILENT));
        assert_eq!(looks(Told::default()), None);
        assert_eq!(looks(Told { pulse: 7, is_whole: true, ..Told::default() }), None);
        assert_eq!(looks(Told { pulse: 7, failure: "x".to_owned(), ..Told::default() }), None);
        let mut silence = Silence::default();
        assert!(
            (1..SILENT * 3).all(|pulse| !silence.is_too_long(&Told { pulse: u64::from(pulse / 2), ..Told::default() }))
        );
    }

    #[test]
    fn whatever_a_step_writes_as_its_progress_is_bounded() {
        let told: Told = serde_json::from_str(
            "{\"cells\": -1, \"cell\": 2000000000, \"name\": \"a\\u0000\\u001b[31m\", \"since\": 9223372036854775807}",
        )
        .unwrap();
        let progress = told.progress();
        assert_eq!(
            (progress.cells, progress.cell, progress.name.as_str(), progress.since),
            (0, 100_000, "a[31m", None)
        );
    }
}
