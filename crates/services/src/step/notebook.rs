//! Notebooks that steps run: what a worker tells of them, and what is read of them.

use super::{Claimed, FileTrouble};
use crate::{Artifact, Ctx, Result, Services, artifact, blocking, boxed};
use artifacts::Artifacts;
use bytes::Bytes;
use domain::{
    Digest, Error, ErrorKind,
    id::StepAttemptId,
    notebook::{NotebookDiff, NotebookProgress, StepNotebook},
    pipeline::{NOTEBOOK_OUTPUT, NOTEBOOK_PROGRAM, ParamValue},
    pipeline_run::Sameness,
    step::{Step, StepAttempt, StepOutput},
};
use std::collections::BTreeMap;

/// The program that runs notebooks, in Python: a step brings its own.
const PROGRAM: &str = include_str!("notebook.py");

/// Where the program reads the params.
const PARAMS: &str = ".slipway/params.json";

/// Where the program tells how far it has come.
pub const NOTEBOOK_PROGRESS: &str = ".slipway/progress.json";

/// The largest notebook that is kept, in bytes.
pub const MAX_NOTEBOOK: u64 = 64 << 20;

/// A notebook to be run: paths in the step's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotebookWork {
    /// Where it lies.
    pub source: String,
    /// Where the executed one is written.
    pub executed: String,
}

impl NotebookWork {
    pub(super) fn of(step: &domain::pipeline::StepSpec) -> Option<Self> {
        let (source, executed) = step.notebook()?;
        Some(Self { source: source.to_owned(), executed: executed.to_owned() })
    }

    /// The files that running it takes, besides the step's own.
    pub(super) fn files(values: &BTreeMap<String, ParamValue>) -> [(String, String); 2] {
        let params: serde_json::Map<String, serde_json::Value> =
            values.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        [
            (NOTEBOOK_PROGRAM.to_owned(), PROGRAM.to_owned()),
            (PARAMS.to_owned(), serde_json::Value::Object(params).to_string()),
        ]
    }
}

/// What a notebook is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotebookAgainst {
    /// Itself, before it was run.
    Source,
    /// The one that the same step executed in another run: its number, and the try; the last one when none is given.
    Run(i64, Option<i32>),
}

impl Services {
    /// Notes that a try is about to run this notebook, as it is before.
    ///
    /// # Errors
    /// When the artifact store or the database does not answer.
    #[boxed]
    pub async fn begin_notebook(
        &self,
        held: &Claimed,
        path: &str,
        source: Option<Vec<u8>>,
    ) -> std::result::Result<(), FileTrouble> {
        let ours =
            |error: &dyn std::fmt::Display| FileTrouble::Ours(format!("its notebook could not be noted ({error})"));
        let source = match source {
            Some(bytes) => Some(self.artifacts.put_bytes(bytes).await.map_err(|error| ours(&error))?.digest),
            None => None,
        };
        let noted = async {
            let mut conn = self.conn().await?;
            Ok::<_, Error>(store::step::notebook::begin(&mut conn, held.attempt_id, path, source.as_ref()).await?)
        };
        noted.await.map_err(|error| ours(&error))
    }

    /// Notes how far a notebook has come, and what there is of it, and tells open pages.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn note_notebook(
        &self,
        held: &Claimed,
        progress: &NotebookProgress,
        live: Option<Vec<u8>>,
    ) -> Result<()> {
        let live = match live {
            Some(bytes) => {
                let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                Some((
                    blocking(move || zstd::encode_all(bytes.as_slice(), 1)).await?.map_err(|_| Error::internal())?,
                    size,
                ))
            }
            None => None,
        };
        let mut conn = self.conn().await?;
        let live = live.as_ref().map(|(bytes, size)| (bytes.as_slice(), *size));
        store::step::notebook::note(&mut conn, held.attempt_id, progress, live).await?;
        Ok(store::event::notify(&mut conn, &store::event::of_run(held.run_id)).await?)
    }

    /// Stores the executed notebook of a try, whatever became of it. Its end is recorded after this.
    ///
    /// # Errors
    /// When the artifact store or the database does not answer.
    #[boxed]
    pub async fn keep_notebook(
        &self,
        held: &Claimed,
        progress: &NotebookProgress,
        executed: Option<Bytes>,
    ) -> Result<()> {
        let executed = match executed {
            Some(bytes) => {
                let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                Some((self.artifacts.put_bytes(bytes).await.map_err(artifact::of_store)?.digest, size))
            }
            None => None,
        };
        let mut conn = self.conn().await?;
        let kept = executed.as_ref().map(|(digest, size)| (digest, *size));
        Ok(store::step::notebook::keep(&mut conn, held.attempt_id, progress, kept).await?)
    }

    /// The notebook of a try, with the try's id.
    ///
    /// # Errors
    /// `NotFound`, also when the step runs no notebook.
    #[boxed]
    pub async fn step_notebook(
        &self,
        ctx: &Ctx,
        run: i64,
        step: &str,
        attempt: i32,
    ) -> Result<(StepAttemptId, StepNotebook)> {
        let found = self.step_attempt(ctx, run, step, attempt).await?;
        let of = self.step(ctx, run, step).await?;
        match self.notebook_of(ctx, &of, &found).await? {
            Some(notebook) => Ok((found.id, notebook)),
            None => Err(no_notebook(&format!("Try {attempt} of this step has run no notebook."))),
        }
    }

    /// The notebook of a try of a step, if it runs one. Of a try that ran nothing, because the step gave again what it had
    /// given before, it is the one of then.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn notebook_of(&self, ctx: &Ctx, step: &Step, attempt: &StepAttempt) -> Result<Option<StepNotebook>> {
        let mut conn = self.conn().await?;
        let own = store::step::notebook::find(&mut conn, attempt.id).await?;
        let given =
            step.outputs.iter().find(|output| output.name == NOTEBOOK_OUTPUT && output.path.ends_with(".ipynb"));
        match (own, given) {
            (None, Some(given)) if attempt.number == step.attempts => {
                Ok(store::step::notebook::executed(&mut conn, ctx.workspace_id(), &given.digest).await?)
            }
            (own, _) => Ok(own),
        }
    }

    /// The bytes of the executed notebook, as far as it has come; none when nothing was written.
    ///
    /// # Errors
    /// When the artifact store or the database does not answer.
    #[boxed]
    pub async fn notebook_content(&self, attempt: StepAttemptId, notebook: &StepNotebook) -> Result<Option<Bytes>> {
        if let Some(digest) = &notebook.executed {
            return read(&self.artifacts, digest).await.map(Some);
        }
        let live = store::step::notebook::live(&mut *self.conn().await?, attempt).await?;
        let Some(live) = live else {
            // Its end may have been recorded meanwhile.
            let now = store::step::notebook::find(&mut *self.conn().await?, attempt).await?;
            let now = now.and_then(|notebook| notebook.executed);
            return match now {
                Some(digest) => read(&self.artifacts, &digest).await.map(Some),
                None => Ok(None),
            };
        };
        let plain = blocking(move || zstd::decode_all(live.as_slice())).await?.map_err(|_| Error::internal())?;
        Ok(Some(plain.into()))
    }

    /// The executed notebook as a file to download.
    ///
    /// # Errors
    /// `NotFound` when it is no blob yet.
    #[boxed]
    pub async fn notebook_file(&self, notebook: &StepNotebook) -> Result<Option<Artifact>> {
        let Some(digest) = notebook.executed.clone() else { return Ok(None) };
        let size = u64::try_from(notebook.size.unwrap_or_default()).unwrap_or_default();
        Ok(Some(Artifact { name: notebook_name(&notebook.path), digest, size }))
    }

    /// The notebook of a try as it was before.
    ///
    /// # Errors
    /// `NotFound` when it was not there.
    #[boxed]
    pub async fn notebook_source(&self, notebook: &StepNotebook) -> Result<Bytes> {
        match &notebook.source {
            Some(digest) => read(&self.artifacts, digest).await,
            None => Err(no_notebook("The notebook was not there when the step began.")),
        }
    }

    /// The executed notebook of a try against another.
    ///
    /// # Errors
    /// `NotFound` without one of them; `Invalid` when one of them is no notebook.
    #[boxed]
    pub async fn compare_notebook(
        &self,
        ctx: &Ctx,
        run: i64,
        step: &str,
        attempt: i32,
        against: &NotebookAgainst,
    ) -> Result<NotebookDiff> {
        let (id, notebook) = self.step_notebook(ctx, run, step, attempt).await?;
        let executed = self.notebook_content(id, &notebook).await?;
        let executed = executed.ok_or_else(|| no_notebook("Nothing of the executed notebook was written yet."))?;
        let before = match against {
            NotebookAgainst::Source => self.notebook_source(&notebook).await?,
            NotebookAgainst::Run(other, number) => {
                let number = match number {
                    Some(number) => *number,
                    None => {
                        let tries = self.step_attempts(ctx, *other, step).await?;
                        let last = tries.last().map(|attempt| attempt.number);
                        last.ok_or_else(|| no_notebook(&format!("Step \"{step}\" did not run in run #{other}.")))?
                    }
                };
                let (id, notebook) = self.step_notebook(ctx, *other, step, number).await?;
                let content = self.notebook_content(id, &notebook).await?;
                content.ok_or_else(|| no_notebook(&format!("Run #{other} has written no notebook.")))?
            }
        };
        compare_notebooks(before, executed).await
    }

    /// How alike two executed notebooks of other bytes are, which they always have: when each cell ran is in them. None when
    /// they are too large to be compared, or one of them is no notebook.
    pub(crate) async fn notebook_sameness(
        &self,
        before: &StepOutput,
        after: &StepOutput,
    ) -> Result<Option<(Sameness, String)>> {
        let most = i64::try_from(preview::wanted(domain::preview::Kind::Notebook)).unwrap_or(i64::MAX);
        if before.is_folder || after.is_folder || before.size > most || after.size > most {
            return Ok(None);
        }
        let (before, after) =
            (read(&self.artifacts, &before.digest).await?, read(&self.artifacts, &after.digest).await?);
        let (one, other) = (before.clone(), after.clone());
        match blocking(move || preview::notebook::is_same(&one, &other)).await? {
            None => Ok(None),
            Some(true) => {
                let how = "The same cells, and the same came of them; only when they ran is other.".to_owned();
                Ok(Some((Sameness::WithinTolerance, how)))
            }
            Some(false) => {
                let how = compare_notebooks(before, after).await?.first();
                // What is long is not shown, and counts.
                let how = how.unwrap_or_else(|| "Something else came of a cell that writes much.".to_owned());
                Ok(Some((Sameness::Diverged, how)))
            }
        }
    }

    /// A notebook among the files of a version of a pipeline, against that of another version.
    ///
    /// # Errors
    /// `NotFound` when one of the versions has no such file; `Invalid` when it is no notebook.
    #[boxed]
    pub async fn compare_pipeline_notebook(
        &self,
        ctx: &Ctx,
        pipeline: &str,
        path: &str,
        before: i32,
        after: i32,
    ) -> Result<NotebookDiff> {
        let mut texts = Vec::new();
        for number in [before, after] {
            let version = self.pipeline_version(ctx, pipeline, Some(number)).await?;
            let text = version.spec.files.get(path).cloned();
            let shown: String = path.chars().take(64).collect();
            texts.push(text.ok_or_else(|| {
                no_notebook(&format!("Version {number} of pipeline \"{pipeline}\" has no file \"{shown}\"."))
            })?);
        }
        let after = texts.pop().unwrap_or_default();
        compare_notebooks(texts.pop().unwrap_or_default().into(), after.into()).await
    }
}

/// What a notebook is called when it is saved.
fn notebook_name(path: &str) -> String {
    format!("{}.ipynb", path.rsplit('/').next().unwrap_or_default().trim_end_matches(".ipynb"))
}

/// What is different from one notebook to another.
///
/// # Errors
/// `TooLarge`; `Invalid` when one of them is no notebook.
pub async fn compare_notebooks(before: Bytes, after: Bytes) -> Result<NotebookDiff> {
    let most = usize::try_from(preview::wanted(domain::preview::Kind::Notebook)).unwrap_or(usize::MAX);
    if before.len() > most || after.len() > most {
        let message = format!("Notebooks of more than {} MiB are not compared.", most >> 20);
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let diff = blocking(move || preview::notebook::diff(&before, &after)).await?;
    diff.ok_or_else(|| Error::invalid("One of the two is no notebook of format 4, so they cannot be compared."))
}

async fn read(artifacts: &Artifacts, digest: &Digest) -> Result<Bytes> {
    artifacts.get_bytes(digest, MAX_NOTEBOOK).await.map_err(artifact::of_store)
}

fn no_notebook(message: &str) -> Error {
    Error::new(ErrorKind::NotFound, message.to_owned())
}
