//! Two versions of a model held against each other.

use crate::{Ctx, Result, Services, artifact, boxed, model_version, task::blocking};
use artifacts::Error as Trouble;
use domain::{
    model::VersionFile,
    run::Run,
    version_diff::{ENVIRONMENT_FILES, MAX_ENVIRONMENT_BYTES, VersionDiff, VersionSide},
};
use std::collections::BTreeMap;

/// Two versions, and what is different between them.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedVersions {
    /// The first.
    pub a: VersionSide,
    /// The second.
    pub b: VersionSide,
    /// What is different, from the first to the second.
    pub diff: VersionDiff,
}

impl Services {
    /// Holds one version of a model against another: files, signature, environment files, and what their runs logged.
    ///
    /// # Errors
    /// `NotFound` without such a model or version.
    #[boxed]
    pub async fn compare_versions(&self, ctx: &Ctx, model: &str, a: i32, b: i32) -> Result<ComparedVersions> {
        let (a, b) = (self.version_side(ctx, model, a).await?, self.version_side(ctx, model, b).await?);
        let better = crate::policy::better_in_production(&mut *self.conn().await?, ctx).await?;
        blocking(move || {
            let diff = VersionDiff::of(&a, &b, &better);
            ComparedVersions { a, b, diff }
        })
        .await
    }

    async fn version_side(&self, ctx: &Ctx, model: &str, number: i32) -> Result<VersionSide> {
        let (version, files) = {
            let mut conn = self.conn().await?;
            let version = model_version::find(&mut conn, ctx, model, number).await?;
            let files = store::model_version::files(&mut conn, version.id).await?;
            (version, files)
        };
        let run = match version.run_id {
            // A run that is not there any more says nothing.
            Some(run) => self.runs(ctx, &[run]).await?.pop().map(|run| Run::clone(&run)),
            None => None,
        };
        let mut texts = BTreeMap::new();
        for file in files.iter().filter(|file| ENVIRONMENT_FILES.contains(&file.path.as_str())) {
            if let Some(text) = self.small_text(file).await? {
                texts.insert(file.path.clone(), text);
            }
        }
        Ok(VersionSide { version, files, run, texts })
    }

    /// The text of a file; none when it is too large, no text or not there.
    async fn small_text(&self, file: &VersionFile) -> Result<Option<String>> {
        match self.artifacts.get_bytes(&file.digest, MAX_ENVIRONMENT_BYTES).await {
            Ok(bytes) => Ok(String::from_utf8(bytes.to_vec()).ok()),
            Err(error @ Trouble::Store(_)) => Err(artifact::of_store(error)),
            Err(_) => Ok(None),
        }
    }
}
