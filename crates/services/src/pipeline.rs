//! Pipelines: keeping the versions of a file, and finding them.

use crate::{Ctx, Event, Result, Services, boxed, commit};
use domain::{
    Error, Page,
    audit::{Object, ObjectKind},
    page,
    pipeline::{ExecutorKind, FileErrors, Pipeline, PipelineSpec, PipelineSummary, PipelineVersion},
    pipeline_run::Code,
};

/// The most versions in a page of them: each has a whole file.
const MAX_VERSIONS: usize = 100;

/// A pipeline's file that says what it should: it can be stored.
#[derive(Debug, Clone)]
pub struct PipelineFile {
    source: String,
    spec: PipelineSpec,
    code: Option<(Code, Option<Vec<u8>>)>,
}

impl PipelineFile {
    /// Reads a file. What Kubeflow Pipelines compiled becomes a file of ours, whose steps run in containers of Docker.
    ///
    /// # Errors
    /// With every problem of the file and where it is.
    pub fn read(source: String) -> std::result::Result<Self, FileErrors> {
        Self::read_for(source, ExecutorKind::Docker)
    }

    /// The same, for steps of Kubeflow Pipelines that are to run there.
    ///
    /// # Errors
    /// With every problem of the file and where it is.
    pub fn read_for(source: String, executor: ExecutorKind) -> std::result::Result<Self, FileErrors> {
        if kfp::is_compiled(&source) {
            let kfp::Imported { spec, source, .. } = kfp::import(&source, executor)?;
            return Ok(Self { source, spec, code: None });
        }
        let spec = PipelineSpec::parse(&source)?;
        Ok(Self { source, spec, code: None })
    }

    /// The same, stored from this code: runs that are started without one have it. What was changed after the commit is beside
    /// it, as a patch.
    #[must_use]
    pub fn with_code(self, code: (Code, Option<Vec<u8>>)) -> Self {
        Self { code: Some(code), ..self }
    }

    /// What it says.
    #[must_use]
    pub fn spec(&self) -> &PipelineSpec {
        &self.spec
    }
}

/// A version, and whether it was new.
#[derive(Debug)]
pub struct StoredPipeline {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The version that the file is.
    pub version: PipelineVersion,
    /// Whether there was none that says the same.
    pub is_new: bool,
}

impl Services {
    /// Stores a file as a version of the pipeline that it names. A file that says the same as one that was stored before
    /// is that version, which then is the newest again. `instead_of` is the newest that whoever stores it has seen.
    ///
    /// # Errors
    /// `Conflict` when another is the newest meanwhile.
    #[boxed]
    pub async fn store_pipeline(
        &self,
        ctx: &Ctx,
        file: PipelineFile,
        instead_of: Option<i32>,
    ) -> Result<StoredPipeline> {
        let PipelineFile { source, spec, code } = file;
        let code = match code {
            Some((code, patch)) => Some(self.keep_code(code, patch.as_deref()).await?),
            None => None,
        };
        let mut tx = self.begin().await?;
        let pipeline = store::pipeline::find_or_insert(&mut tx, ctx.workspace_id(), &spec.name).await?;
        let newest = store::pipeline::version(&mut tx, pipeline.id, None).await?;
        if let (Some(seen), Some(newest)) = (instead_of, &newest)
            && seen != newest.number
            && newest.digest != spec.digest()
        {
            return Err(Error::conflict(format!(
                "Somebody stored version {} of this pipeline since you opened version {seen}. Look at what it says, and \
                 store yours again.",
                newest.number
            )));
        }
        let newest = newest.map(|version| (version.id, version.code));
        let known = store::pipeline::renew_version(&mut tx, pipeline.id, &spec.digest(), code.as_ref()).await?;
        let is_new = known.is_none();
        let version = match known {
            Some(version) => version,
            None => {
                let actor = ctx.actor();
                store::pipeline::insert_version(&mut tx, pipeline.id, &source, &spec, code.as_ref(), actor.name())
                    .await?
            }
        };
        let (newest, code_before) = newest.unzip();
        let is_newest = newest == Some(version.id);
        if !is_newest || code_before.flatten() != version.code {
            let what = match (is_new, is_newest) {
                (true, _) => "stored",
                (false, true) => "stored from other code",
                (false, false) => "went back to",
            };
            let summary = format!("{what} version {} of the pipeline {}", version.number, pipeline.name);
            Event::new("pipeline.stored", object(&pipeline), summary)
                .details(
                    serde_json::json!({ "version": version.number, "digest": version.digest, "code": version.code }),
                )
                .write(&mut tx, ctx)
                .await?;
        }
        commit(tx).await?;
        Ok(StoredPipeline { pipeline, version, is_new })
    }

    /// The pipelines, by name.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn pipelines(&self, ctx: &Ctx, page_token: Option<&str>, limit: usize) -> Result<Page<PipelineSummary>> {
        let after: Option<String> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let rows =
            store::pipeline::list(&mut conn, ctx.workspace_id(), None, after.as_deref(), limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |row| row.pipeline.name.clone()))
    }

    /// The pipeline of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline(&self, ctx: &Ctx, name: &str) -> Result<PipelineSummary> {
        let mut conn = self.conn().await?;
        let mut found = store::pipeline::list(&mut conn, ctx.workspace_id(), Some(name), None, 1).await?;
        found.pop().ok_or_else(|| Error::not_found("pipeline", name))
    }

    /// The versions of a pipeline's file, highest number first.
    ///
    /// # Errors
    /// `NotFound` without such a pipeline, `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn pipeline_versions(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<PipelineVersion>> {
        let before: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, MAX_VERSIONS);
        let mut conn = self.conn().await?;
        let pipeline = find(&mut conn, ctx, name).await?;
        let versions = store::pipeline::versions(&mut conn, pipeline.id, before, limit as i64 + 1).await?;
        Ok(Page::cut(versions, limit, |version| version.number))
    }

    /// A version of a pipeline's file; the one that was stored last when no number is given.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn pipeline_version(&self, ctx: &Ctx, name: &str, number: Option<i32>) -> Result<PipelineVersion> {
        let mut conn = self.conn().await?;
        let pipeline = find(&mut conn, ctx, name).await?;
        version(&mut conn, &pipeline, number).await
    }

    /// What was changed after the commit that a version was stored from, as a patch.
    ///
    /// # Errors
    /// `NotFound` without such a version, or when nothing was changed, or it was not kept.
    #[boxed]
    pub async fn pipeline_version_patch(&self, ctx: &Ctx, name: &str, number: i32) -> Result<Vec<u8>> {
        let version = self.pipeline_version(ctx, name, Some(number)).await?;
        let what = format!("version {number} of the pipeline {name}");
        self.patch_of(version.code.as_ref(), &what).await
    }
}

pub(crate) fn object(pipeline: &Pipeline) -> Object {
    Object::new(ObjectKind::Pipeline, pipeline.id, &pipeline.name)
}

pub(crate) async fn find(conn: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Pipeline> {
    store::pipeline::by_name(conn, ctx.workspace_id(), name)
        .await?
        .ok_or_else(|| Error::not_found("pipeline", name.chars().take(64).collect::<String>()))
}

pub(crate) async fn version(
    conn: &mut store::PgConnection,
    pipeline: &Pipeline,
    number: Option<i32>,
) -> Result<PipelineVersion> {
    let missing = || {
        let name = &pipeline.name;
        let message = match number {
            Some(number) => format!("Pipeline \"{name}\" has no version {number}."),
            None => format!("Pipeline \"{name}\" has no version."),
        };
        Error::new(domain::ErrorKind::NotFound, message).in_field("version")
    };
    store::pipeline::version(conn, pipeline.id, number).await?.ok_or_else(missing)
}
