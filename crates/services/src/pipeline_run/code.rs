//! The code that runs and versions of pipelines are from, and what was changed after its commit.

use super::{Cause, by_number};
use crate::{Ctx, Error, Result, Services, artifact, boxed};
use domain::{
    ErrorKind,
    pipeline::PipelineVersion,
    pipeline_run::{Code, MAX_PATCH, RunCause},
};

impl Services {
    /// Checks what is said of code, and keeps the patch.
    pub(crate) async fn keep_code(&self, code: Code, patch: Option<&[u8]>) -> Result<Code> {
        let mut code = code.check()?;
        code.patch = None;
        if let Some(patch) = patch.filter(|patch| !patch.is_empty()) {
            if patch.len() > MAX_PATCH {
                let message = format!("A patch has at most {} KiB; leave it out.", MAX_PATCH / 1024);
                return Err(Error::invalid_field("code.patch", message));
            }
            code.patch = Some(self.artifacts.put_bytes(patch.to_vec()).await.map_err(artifact::of_store)?.digest);
            code.is_dirty = true;
        }
        Ok(code)
    }

    /// What was changed after the commit that a run was started from, as a patch.
    ///
    /// # Errors
    /// `NotFound` without such a run, or when nothing was changed, or it was not kept.
    #[boxed]
    pub async fn pipeline_run_patch(&self, ctx: &Ctx, number: i64) -> Result<Vec<u8>> {
        let run = by_number(&mut *self.conn().await?, ctx, number).await?;
        self.patch_of(run.code.as_ref(), &format!("pipeline run #{number}")).await
    }

    /// The patch of this code, which is that of `what`.
    pub(crate) async fn patch_of(&self, code: Option<&Code>, what: &str) -> Result<Vec<u8>> {
        let digest = code
            .and_then(|code| code.patch.as_ref())
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No patch was kept of {what}.")))?;
        let bytes = self.artifacts.get_bytes(digest, MAX_PATCH as u64).await.map_err(artifact::of_store)?;
        Ok(bytes.to_vec())
    }
}

/// The code of a run: that of its record when it does another again, else that which it is started from, else that which its
/// version was stored from. A run inside of another has the other's, unless its own version is of another repository.
pub(super) fn code_of<'a>(version: &'a PipelineVersion, cause: &Cause<'a>) -> Option<&'a Code> {
    if cause.reproduces.is_some() {
        return cause.code;
    }
    let elsewhere = |code: &&Code| {
        let around = cause.code.and_then(|around| around.repository.as_ref());
        cause.cause == RunCause::Step
            && around.is_some()
            && code.repository.is_some()
            && code.repository.as_ref() != around
    };
    version.code.as_ref().filter(elsewhere).or(cause.code).or(version.code.as_ref())
}
