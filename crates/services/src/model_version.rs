//! Versions of registered models. A version is the files that its source had when it was registered.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, experiment,
    model::{check_description, remove_alias, tag_details, tags},
    page_rows,
    webhook::tell_webhooks,
};
use domain::{
    Error, ErrorKind, Page,
    artifact_root::ArtifactAddress,
    audit::{Object, ObjectKind},
    id::{ModelVersionId, RunId},
    inference::feature_names,
    log_key::is_of_model,
    model::{ModelVersion, Stage, VersionFile, VersionRow, VersionTable},
    page,
    promotion::{GoldenRows, MAX_SHOWN_BYTES, golden},
    search,
    webhook::Happening,
};
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

/// The most metrics of a table of versions.
const SHOWN_METRICS: usize = 3;

/// Which page of which versions.
#[derive(Debug, Clone)]
pub struct VersionSearch<'a> {
    /// A filter in the search language; empty for none. Prompts are left out unless it says something about them.
    pub filter: &'a str,
    /// Entries of an order; without any, the last changed first.
    pub order: &'a [String],
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most versions of the page.
    pub limit: usize,
}

/// A version with its files.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionDetail {
    /// The version.
    pub version: ModelVersion,
    /// Its files, by path.
    pub files: Vec<VersionFile>,
}

impl Services {
    /// The version of this number.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn model_version(&self, ctx: &Ctx, model: &str, version: i32) -> Result<ModelVersion> {
        find(&mut *self.conn().await?, ctx, model, version).await
    }

    /// The version of this number, with its files.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn version_detail(&self, ctx: &Ctx, model: &str, version: i32) -> Result<VersionDetail> {
        let mut conn = self.conn().await?;
        let version = find(&mut conn, ctx, model, version).await?;
        let files = store::model_version::files(&mut conn, version.id).await?;
        Ok(VersionDetail { version, files })
    }

    /// The golden rows of a version as a table; none when it has none that a page shows. What cannot be replayed is told in
    /// a sentence.
    ///
    /// # Errors
    /// `Unavailable` when the artifact store does not answer.
    #[boxed]
    pub async fn version_golden_rows(
        &self,
        version: &ModelVersion,
        files: &[VersionFile],
    ) -> Result<Option<std::result::Result<GoldenRows, String>>> {
        let named = |name: &'static str| Some((name, files.iter().find(|file| file.path == name)?));
        let Some((name, file)) = golden::FILES.into_iter().find_map(named) else { return Ok(None) };
        let features = version.signature.as_ref().map(feature_names).unwrap_or_default();
        match self.artifacts.get_bytes(&file.digest, MAX_SHOWN_BYTES).await {
            Ok(bytes) => Ok(Some(GoldenRows::read(name, &bytes, &features).map_err(|error| error.message))),
            Err(artifacts::Error::TooLarge { .. }) => Ok(Some(Err(format!(
                "{name} is larger than what is shown of golden rows; the gate replays it all the same."
            )))),
            Err(error @ artifacts::Error::Store(_)) => Err(crate::artifact::of_store(error)),
            Err(error) => {
                tracing::warn!(%error, digest = %file.digest, "golden rows cannot be read");
                Ok(Some(Err(format!("{name} cannot be read from the artifact store."))))
            }
        }
    }

    /// Who registered a version, by name; none when it was Slipway itself.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn registered_by(&self, version: &ModelVersion) -> Result<Option<String>> {
        let names = store::model_version::creators(&mut *self.conn().await?, &[version.id]).await?;
        Ok(names.into_values().next())
    }

    /// A page of a model's versions as a table, newest first, with metrics of their runs.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn version_table(
        &self,
        ctx: &Ctx,
        model: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<VersionTable> {
        let page = self.model_versions(ctx, model, page_token, limit).await?;
        let mut conn = self.conn().await?;
        let better = crate::policy::better_in_production(&mut conn, ctx).await?;
        let model = crate::model::find(&mut conn, ctx, model).await?;
        let total = store::model_version::count(&mut conn, model.id).await?;
        let ids: Vec<ModelVersionId> = page.items.iter().map(|version| version.id).collect();
        let creators = store::model_version::creators(&mut conn, &ids).await?;
        let runs: BTreeSet<RunId> = page.items.iter().filter_map(|version| version.run_id).collect();
        let runs: Vec<RunId> = runs.into_iter().collect();
        let stamps = store::run::stamps(&mut conn, ctx.workspace_id(), &runs).await?;
        let runs = self.load_runs(&mut conn, &stamps).await?;
        let present: BTreeSet<&String> =
            runs.iter().flat_map(|run| &run.metrics).map(|metric| &metric.key).filter(|key| is_of_model(key)).collect();
        let mut metric_keys: Vec<String> = better.keys().filter(|key| present.contains(*key)).cloned().collect();
        // Without gates that ask for any, some of those that the runs have.
        metric_keys.extend(present.into_iter().filter(|key| !better.contains_key(*key)).cloned());
        metric_keys.truncate(SHOWN_METRICS);
        let known: BTreeMap<RunId, (String, BTreeMap<String, f64>)> = runs
            .iter()
            .map(|run| {
                let shown = run.metrics.iter().filter(|metric| metric_keys.contains(&metric.key));
                (run.info.id, (run.info.name.clone(), shown.map(|metric| (metric.key.clone(), metric.value)).collect()))
            })
            .collect();
        let row = |version: ModelVersion| {
            let (run, metrics) = match version.run_id.and_then(|run| known.get(&run)) {
                Some((name, metrics)) => (Some(name.clone()), metrics.clone()),
                None => (None, BTreeMap::new()),
            };
            VersionRow { created_by: creators.get(&version.id).cloned(), version, run, metrics }
        };
        let rows = page.items.into_iter().map(row).collect();
        Ok(VersionTable { rows, metric_keys, total, next_page_token: page.next_page_token })
    }

    /// Where clients download a version from: the files that it was registered with, whatever became of the run or logged
    /// model that they are from. What its source said, when it has none of ours.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn version_download_uri(&self, ctx: &Ctx, model: &str, version: i32) -> Result<String> {
        let mut conn = self.conn().await?;
        let version = find(&mut conn, ctx, model, version).await?;
        if version.digest.is_some() {
            return Ok(ArtifactAddress::Version(version.id).uri());
        }
        // It had none when it was registered, and may have some now.
        Ok(match store::model_version::folder(&mut conn, version.id).await? {
            Some((root, folder)) if folder.is_empty() => root.uri(),
            Some((root, folder)) => format!("{}/{folder}", root.uri()),
            None => version.source,
        })
    }

    /// The links that clients gave of these versions' runs, by version.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn version_run_links(&self, versions: &[ModelVersion]) -> Result<BTreeMap<ModelVersionId, String>> {
        let ids: Vec<ModelVersionId> = versions.iter().map(|version| version.id).collect();
        Ok(store::model_version::run_links(&mut *self.conn().await?, &ids).await?)
    }

    /// A page of versions.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn search_model_versions(&self, ctx: &Ctx, wanted: &VersionSearch<'_>) -> Result<Page<ModelVersion>> {
        let after: Option<store::keyset::Place> = wanted.page_token.map(page::decode).transpose()?;
        let search = store::model_version::Search {
            workspace: ctx.workspace_id(),
            filter: search::version_filter(wanted.filter)?,
            order: search::version_order(wanted.order)?,
        };
        let mut conn = self.conn().await?;
        let found = store::model_version::search(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        Ok(experiment::to_page(found))
    }

    /// A page of a model's versions, newest first.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn model_versions(
        &self,
        ctx: &Ctx,
        model: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<ModelVersion>> {
        let below: Option<i32> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let model = crate::model::find(&mut conn, ctx, model).await?;
        let rows = page_rows(limit + 1);
        let versions = store::model_version::of_model(&mut conn, ctx.workspace_id(), model.id, below, rows).await?;
        Ok(Page::cut(versions, limit, |version| version.version))
    }

    /// The newest version of each stage, of these models.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn latest_versions(&self, ctx: &Ctx, models: &[domain::model::Model]) -> Result<Vec<ModelVersion>> {
        let ids: Vec<_> = models.iter().map(|model| model.id).collect();
        let mut conn = self.conn().await?;
        Ok(store::model_version::latest_of_stages(&mut conn, ctx.workspace_id(), &ids).await?)
    }

    /// Says something about a version.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the text is too long.
    #[boxed]
    pub async fn describe_version(
        &self,
        ctx: &Ctx,
        model: &str,
        version: i32,
        description: &str,
    ) -> Result<ModelVersion> {
        check_description(description)?;
        let mut tx = self.begin().await?;
        let before = locked(&mut tx, ctx, model, version).await?;
        if before.description == description {
            return Ok(before);
        }
        store::model_version::set_description(&mut tx, before.id, description).await?;
        self.version_event(
            &mut tx,
            ctx,
            &before,
            "model_version.described",
            "described",
            serde_json::json!({
                "description": description,
            }),
        )
        .await?;
        let after = find(&mut tx, ctx, model, version).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Moves a version to one of MLflow's stages; with `archive_others`, other versions leave that stage.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong stage, or when versions of a stage that is not active shall be archived;
    /// `Forbidden` when an environment of the stage's name is protected, with the address of the promotion.
    #[boxed]
    pub async fn move_to_stage(
        &self,
        ctx: &Ctx,
        model: &str,
        version: i32,
        stage: &str,
        archive_others: bool,
    ) -> Result<ModelVersion> {
        let stage = parse_stage(stage)?;
        if archive_others && !matches!(stage, Stage::Staging | Stage::Production) {
            return Err(Error::invalid_field(
                "stage",
                format!(
                    "Model version transition cannot archive existing model versions because '{}' is not an Active stage. \
                     Valid stages are ['Staging', 'Production']",
                    stage.as_str()
                ),
            ));
        }
        let mut tx = self.begin().await?;
        let before = locked(&mut tx, ctx, model, version).await?;
        let environment = stage.as_str().to_lowercase();
        if store::model::is_protected(&mut tx, ctx.workspace_id(), &environment).await? {
            drop(tx);
            return Err(self.refuse_or_request(ctx, &before, &environment).await?);
        }
        let archived = store::model_version::set_stage(&mut tx, &before, stage, archive_others).await?;
        if before.stage != stage || !archived.is_empty() {
            let verb = format!("moved to the stage {}", stage.as_str());
            let details = serde_json::json!({ "from": before.stage, "to": stage, "archived": archived });
            self.version_event(&mut tx, ctx, &before, "model_version.stage_moved", &verb, details).await?;
        }
        let after = find(&mut tx, ctx, model, version).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Deletes a version with its aliases. Its number is never given again.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` while it is in a protected environment.
    #[boxed]
    pub async fn delete_model_version(&self, ctx: &Ctx, model: &str, version: i32) -> Result<()> {
        let mut tx = self.begin().await?;
        let found = crate::model::locked(&mut tx, ctx, model).await?;
        let before = find(&mut tx, ctx, model, version).await?;
        self.refuse_protected(&mut tx, ctx, &found, Some(version), "deleted").await?;
        for alias in &before.aliases {
            remove_alias(&mut tx, &found, alias, ctx.actor().name()).await?;
        }
        store::model_version::delete(&mut tx, &before).await?;
        let details = serde_json::json!({ "aliases": before.aliases, "digest": before.digest });
        self.version_event(&mut tx, ctx, &before, "model_version.deleted", "deleted", details).await?;
        commit(tx).await
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong tag.
    #[boxed]
    pub async fn set_version_tag(&self, ctx: &Ctx, model: &str, version: i32, key: &str, value: &str) -> Result<()> {
        let tags = tags(&[(key.to_owned(), value.to_owned())])?;
        let mut tx = self.begin().await?;
        let found = locked(&mut tx, ctx, model, version).await?;
        if found.tags.get(key).is_some_and(|before| before == value) {
            return Ok(());
        }
        store::model_version::set_tags(&mut tx, found.id, &tags).await?;
        let verb = format!("set the tag {key} of");
        self.version_event(&mut tx, ctx, &found, "model_version.tag_set", &verb, tag_details(key, Some(value))).await?;
        let model = crate::model::find(&mut tx, ctx, model).await?;
        tell_webhooks(&mut tx, &model, &Happening::VersionTagSet { version, key, value }).await?;
        commit(tx).await
    }

    /// Removes a tag of a version. Removing nothing is no mistake.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_version_tag(&self, ctx: &Ctx, model: &str, version: i32, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let found = locked(&mut tx, ctx, model, version).await?;
        if !store::model_version::delete_tag(&mut tx, found.id, key).await? {
            return Ok(());
        }
        let verb = format!("removed the tag {key} of");
        self.version_event(&mut tx, ctx, &found, "model_version.tag_deleted", &verb, tag_details(key, None)).await?;
        let model = crate::model::find(&mut tx, ctx, model).await?;
        tell_webhooks(&mut tx, &model, &Happening::VersionTagDeleted { version, key }).await?;
        commit(tx).await
    }

    /// Writes an event of a version, which is on its model's timeline too: `verb churn v7`.
    async fn version_event(
        &self,
        conn: &mut PgConnection,
        ctx: &Ctx,
        version: &ModelVersion,
        action: &'static str,
        verb: &str,
        details: serde_json::Value,
    ) -> Result<()> {
        Event::new(action, object(version), format!("{verb} {}", version.title()))
            .related(Object::new(ObjectKind::Model, version.model_id, &version.model))
            .details(details)
            .write(conn, ctx)
            .await
    }
}

/// Reads a stage's name, in any case.
///
/// # Errors
/// `Invalid`, with the names there are.
pub fn parse_stage(name: &str) -> Result<Stage> {
    Stage::parse(name).ok_or_else(|| {
        let shown: String = name.chars().take(100).collect();
        let names = Stage::ALL.map(Stage::as_str).join(", ");
        Error::invalid_field("stage", format!("Invalid Model Version stage: {shown}. Value must be one of {names}."))
    })
}

/// The version of this number.
pub(crate) async fn find(conn: &mut PgConnection, ctx: &Ctx, model: &str, version: i32) -> Result<ModelVersion> {
    store::model_version::by_number(conn, ctx.workspace_id(), model, version).await?.ok_or_else(|| {
        let message = format!("Model Version (name={model}, version={version}) not found");
        Error::new(ErrorKind::NotFound, message)
    })
}

/// The version as it stands until the transaction ends: nobody else changes its model meanwhile.
async fn locked(conn: &mut PgConnection, ctx: &Ctx, model: &str, version: i32) -> Result<ModelVersion> {
    let found = find(conn, ctx, model, version).await?;
    store::model::lock(conn, found.model_id).await?;
    let now = find(conn, ctx, model, version).await?;
    if now.id == found.id { Ok(now) } else { Err(crate::model::name_moved(model)) }
}

/// The version as history names it.
pub(crate) fn object(version: &ModelVersion) -> Object {
    Object::new(ObjectKind::ModelVersion, version.id, version.title())
}
