//! Registered models and their aliases. An alias that an environment of the workspace protects moves by a promotion and
//! no other way.

use crate::{
    Ctx, Event, Result, Services, boxed, commit, environment, experiment, link::Links, page_rows, policy,
    promotion::NewPromotion, webhook::tell_webhooks,
};
use chrono::Utc;
use domain::{
    Error, ErrorKind, Page,
    as_of::AsOf,
    audit::{Object, ObjectKind},
    environment::Sight,
    experiment::Champion,
    id::ModelId,
    model::{AliasMove, Model, ModelSummary, ModelVersion},
    names::{AliasName, RegisteredModelName, TagKey},
    page,
    permission::Permission,
    policy::{Action, AliasMoves},
    search,
    values::TagValue,
    webhook::Happening,
};
use std::collections::BTreeMap;
use store::{PgConnection, keyset::Place};

/// A model to be made.
#[derive(Debug, Clone, Default)]
pub struct NewModel {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Tags by key.
    pub tags: Vec<(String, String)>,
}

/// Which page of which models.
#[derive(Debug, Clone)]
pub struct ModelSearch<'a> {
    /// A filter in the search language; empty for none. Prompts are left out unless it says something about them.
    pub filter: &'a str,
    /// Entries of an order; without any, by name.
    pub order: &'a [String],
    /// The page's token; none for the first page.
    pub page_token: Option<&'a str>,
    /// The most models of the page.
    pub limit: usize,
}

impl Default for ModelSearch<'_> {
    fn default() -> Self {
        Self { filter: "", order: &[], page_token: None, limit: 100 }
    }
}

/// A model with its versions and the history of its aliases.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDetail {
    /// The model.
    pub model: Model,
    /// A page of its versions, newest first.
    pub versions: Page<ModelVersion>,
    /// As many of the last moves of its aliases, newest first.
    pub alias_moves: Vec<AliasMove>,
}

/// The most characters of a description.
const MAX_DESCRIPTION: usize = 5000;

impl Services {
    /// Makes a model.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `Invalid` for a wrong name, tag or description.
    #[boxed]
    pub async fn create_model(&self, ctx: &Ctx, new: NewModel) -> Result<Model> {
        let new = new.check()?;
        let mut tx = self.begin().await?;
        let model = create(&mut tx, ctx, new).await?;
        commit(tx).await?;
        Ok(model)
    }

    /// The model of this name.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn model(&self, ctx: &Ctx, name: &str) -> Result<Model> {
        find(&mut *self.conn().await?, ctx, name).await
    }

    /// The model of this name, with a page of its versions and the last moves of its aliases.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a page token that is not of the model's versions.
    #[boxed]
    pub async fn model_detail(
        &self,
        ctx: &Ctx,
        name: &str,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<ModelDetail> {
        let versions = self.model_versions(ctx, name, page_token, limit).await?;
        let mut conn = self.conn().await?;
        let model = find(&mut conn, ctx, name).await?;
        let alias_moves = store::model::alias_moves(&mut conn, model.id, None, None, page_rows(limit)).await?;
        Ok(ModelDetail { model, versions, alias_moves })
    }

    /// A page of models.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn search_models(&self, ctx: &Ctx, wanted: &ModelSearch<'_>) -> Result<Page<Model>> {
        let (search, after) = wanted.parse(ctx)?;
        let mut conn = self.conn().await?;
        let found = store::model::search(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        Ok(experiment::to_page(found))
    }

    /// A page of models, with what the versions of each come to.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter, order or page token.
    #[boxed]
    pub async fn model_summaries(&self, ctx: &Ctx, wanted: &ModelSearch<'_>) -> Result<Page<ModelSummary>> {
        let (search, after) = wanted.parse(ctx)?;
        let mut conn = self.conn().await?;
        let found = store::model::summaries(&mut conn, &search, after.as_deref(), page_rows(wanted.limit)).await?;
        Ok(experiment::to_page(found))
    }

    /// How many models a filter leaves.
    ///
    /// # Errors
    /// `Invalid` for a wrong filter.
    #[boxed]
    pub async fn count_models(&self, ctx: &Ctx, filter: &str) -> Result<i64> {
        let (search, _) = ModelSearch { filter, ..ModelSearch::default() }.parse(ctx)?;
        Ok(store::model::count(&mut *self.conn().await?, &search).await?)
    }

    /// For each alias of a model that pointed at a version at a moment, the move that made it so, by alias. Without a
    /// moment, now.
    ///
    /// # Errors
    /// `NotFound` without such a model.
    #[boxed]
    pub async fn aliases_as_of(&self, ctx: &Ctx, name: &str, as_of: Option<&AsOf>) -> Result<Vec<AliasMove>> {
        let mut conn = self.conn().await?;
        let model = find(&mut conn, ctx, name).await?;
        Ok(store::model::aliases_as_of(&mut conn, model.id, as_of.map(AsOf::before)).await?)
    }

    /// A page of the moves of a model's aliases, or of one of them, newest first.
    ///
    /// # Errors
    /// `NotFound` without such a model, or when it never had this alias; `Invalid` for a wrong alias, or a page token that is
    /// not of this list.
    #[boxed]
    pub async fn alias_history(
        &self,
        ctx: &Ctx,
        name: &str,
        alias: Option<&str>,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<AliasMove>> {
        let alias = alias.map(AliasName::lookup).transpose()?;
        let alias = alias.as_ref().map(AliasName::as_str);
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        let mut conn = self.conn().await?;
        let model = find(&mut conn, ctx, name).await?;
        let moves = store::model::alias_moves(&mut conn, model.id, alias, before, page_rows(limit + 1)).await?;
        if let Some(alias) = alias.filter(|_| moves.is_empty() && before.is_none()) {
            return Err(Error::new(ErrorKind::NotFound, format!("The model {name} never had an alias {alias}.")));
        }
        Ok(Page::cut(moves, limit, |one| one.id))
    }

    /// The aliases that a model has, or had once, with how often each moved, by alias.
    ///
    /// # Errors
    /// `NotFound` without such a model.
    #[boxed]
    pub async fn aliases_ever(&self, ctx: &Ctx, name: &str) -> Result<Vec<(String, i64)>> {
        let mut conn = self.conn().await?;
        let model = find(&mut conn, ctx, name).await?;
        Ok(store::model::aliases_ever(&mut conn, model.id).await?)
    }

    /// What candidates of a model are held against: its version in production. None while there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn champion_of_model(&self, ctx: &Ctx, model: &str) -> Result<Option<Champion>> {
        let mut conn = self.conn().await?;
        let Some(production) = environment::production(&mut conn, ctx).await? else { return Ok(None) };
        let live = store::deployment::live_by_name(&mut conn, production.id, model).await?;
        let Some(live) = live else { return Ok(None) };
        let candidate = store::promotion::candidate(&mut conn, live.model_version_id).await?;
        let metrics = match candidate.and_then(|candidate| candidate.run_id) {
            Some(run) => store::promotion::metrics_of_run(&mut conn, run).await?,
            None => BTreeMap::new(),
        };
        let better = crate::policy::better_in(&mut conn, &production).await?;
        Ok(Some(Champion { model: live.model, version: live.version, metrics, better }))
    }

    /// Says what a model is for.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` when the text is too long.
    #[boxed]
    pub async fn describe_model(&self, ctx: &Ctx, name: &str, description: &str) -> Result<Model> {
        check_description(description)?;
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        if model.description == description {
            return Ok(model);
        }
        store::model::set_description(&mut tx, model.id, description).await?;
        Event::new("model.described", object(&model), format!("described {name}"))
            .details(serde_json::json!({ "description": description }))
            .write(&mut tx, ctx)
            .await?;
        let model = find(&mut tx, ctx, name).await?;
        commit(tx).await?;
        Ok(model)
    }

    /// Renames a model.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` when the name is taken; `Forbidden` while a version of it serves in a protected
    /// environment, whose callers know it by its name.
    #[boxed]
    pub async fn rename_model(&self, ctx: &Ctx, name: &str, new_name: &str) -> Result<Model> {
        let new_name = RegisteredModelName::parse(new_name, "new_name")?;
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        if model.name == new_name.as_str() {
            return Ok(model);
        }
        self.refuse_protected(&mut tx, ctx, &model, None, "renamed").await?;
        let after = Model { name: new_name.as_str().to_owned(), ..model.clone() };
        policy::refuse_escape(&mut tx, ctx, &model, &after).await?;
        store::model::rename(&mut tx, model.id, new_name.as_str())
            .await
            .map_err(|error| name_taken(error, new_name.as_str()))?;
        let renamed = find(&mut tx, ctx, new_name.as_str()).await?;
        Event::new("model.renamed", object(&renamed), format!("renamed the model {name} to {new_name}"))
            .details(serde_json::json!({ "from": name, "to": new_name.as_str() }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(renamed)
    }

    /// Deletes a model with its versions and aliases. Its name is free again.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` while a version of it serves in a protected environment.
    #[boxed]
    pub async fn delete_model(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        self.refuse_protected(&mut tx, ctx, &model, None, "deleted").await?;
        // Another one of its name would begin without its tags.
        let nothing = Model { name: String::new(), tags: BTreeMap::new(), ..model.clone() };
        policy::refuse_escape(&mut tx, ctx, &model, &nothing).await?;
        let actor = ctx.actor();
        let aliases = &model.aliases;
        for alias in aliases.keys() {
            remove_alias(&mut tx, &model, alias, actor.name()).await?;
        }
        store::model::delete(&mut tx, model.id).await?;
        Event::new("model.deleted", object(&model), format!("deleted the model {name} with its versions"))
            .details(serde_json::json!({ "aliases": aliases }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// Sets a tag of a model.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a wrong tag; `Forbidden` when a policy holds for the model by the tag's value, to whoever
    /// may not change policies.
    #[boxed]
    pub async fn set_model_tag(&self, ctx: &Ctx, name: &str, key: &str, value: &str) -> Result<()> {
        let tags = tags(&[(key.to_owned(), value.to_owned())])?;
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        if model.tags.get(key).is_some_and(|before| before == value) {
            return Ok(());
        }
        let mut after = model.clone();
        after.tags.insert(key.to_owned(), value.to_owned());
        policy::refuse_escape(&mut tx, ctx, &model, &after).await?;
        store::model::set_tags(&mut tx, model.id, &tags).await?;
        Event::new("model.tag_set", object(&model), format!("set the tag {key} of {name}"))
            .details(tag_details(key, Some(value)))
            .write(&mut tx, ctx)
            .await?;
        // With this tag it may be a prompt.
        let model = find(&mut tx, ctx, name).await?;
        tell_webhooks(&mut tx, &model, &Happening::TagSet { key, value }).await?;
        commit(tx).await
    }

    /// Removes a tag of a model. Removing nothing is no mistake.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` as in [`Services::set_model_tag`].
    #[boxed]
    pub async fn delete_model_tag(&self, ctx: &Ctx, name: &str, key: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        let mut after = model.clone();
        after.tags.remove(key);
        policy::refuse_escape(&mut tx, ctx, &model, &after).await?;
        if !store::model::delete_tag(&mut tx, model.id, key).await? {
            return Ok(());
        }
        Event::new("model.tag_deleted", object(&model), format!("removed the tag {key} of {name}"))
            .details(tag_details(key, None))
            .write(&mut tx, ctx)
            .await?;
        let model = find(&mut tx, ctx, name).await?;
        tell_webhooks(&mut tx, &model, &Happening::TagDeleted(key)).await?;
        commit(tx).await
    }

    /// Makes an alias point at a version. When it does already, nothing changes.
    ///
    /// # Errors
    /// `NotFound` without such a model or version; `Invalid` for a wrong alias; `Forbidden` when an environment protects
    /// it, with the address where its promotion is requested or under way.
    #[boxed]
    pub async fn set_alias(&self, ctx: &Ctx, name: &str, alias: &str, version: i32) -> Result<()> {
        let alias = AliasName::parse(alias)?;
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        let to = crate::model_version::find(&mut tx, ctx, name, version).await?;
        let before = store::model::alias(&mut tx, model.id, alias.as_str()).await?;
        if before.is_some_and(|(id, _)| id == to.id) {
            return Ok(());
        }
        if store::model::is_protected(&mut tx, ctx.workspace_id(), alias.as_str()).await? {
            drop(tx);
            return Err(self.refuse_or_request(ctx, &to, alias.as_str()).await?);
        }
        store::model::move_alias(&mut tx, model.id, alias.as_str(), Some(to.id), ctx.actor().name()).await?;
        tell_webhooks(&mut tx, &model, &Happening::AliasSet { alias: alias.as_str(), version }).await?;
        let summary = match before {
            Some((_, before)) => format!("moved @{alias} of {name} from v{before} to v{version}"),
            None => format!("set @{alias} of {name} to v{version}"),
        };
        Event::new("model.alias_moved", object(&model), summary)
            .related(crate::model_version::object(&to))
            .details(serde_json::json!({
                "alias": alias.as_str(),
                "from": before.map(|(_, version)| version),
                "to": version,
                "digest": to.digest,
            }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// Removes an alias. Removing nothing is no mistake.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a wrong alias; `Forbidden` when an environment protects it.
    #[boxed]
    pub async fn delete_alias(&self, ctx: &Ctx, name: &str, alias: &str) -> Result<()> {
        let alias = AliasName::lookup(alias)?;
        let mut tx = self.begin().await?;
        let model = locked(&mut tx, ctx, name).await?;
        let Some((_, version)) = store::model::alias(&mut tx, model.id, alias.as_str()).await? else {
            return Ok(());
        };
        let from = crate::model_version::find(&mut tx, ctx, name, version).await?;
        if store::model::is_protected(&mut tx, ctx.workspace_id(), alias.as_str()).await? {
            return Err(self.only_by_promotion(&mut tx, ctx, &from, alias.as_str()).await?);
        }
        remove_alias(&mut tx, &model, alias.as_str(), ctx.actor().name()).await?;
        Event::new("model.alias_removed", object(&model), format!("removed @{alias} of {name} from v{version}"))
            .related(crate::model_version::object(&from))
            .details(serde_json::json!({ "alias": alias.as_str(), "from": version }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await
    }

    /// The version that an alias points at; `latest` is the newest.
    ///
    /// # Errors
    /// `NotFound` without such a model; `Invalid` for a wrong alias, or one that points nowhere, as MLflow has it.
    #[boxed]
    pub async fn version_by_alias(&self, ctx: &Ctx, name: &str, alias: &str) -> Result<ModelVersion> {
        let alias = AliasName::lookup(alias)?;
        let mut conn = self.conn().await?;
        let model = find(&mut conn, ctx, name).await?;
        let version = if alias.as_str().eq_ignore_ascii_case("latest") {
            let newest = store::model_version::of_model(&mut conn, ctx.workspace_id(), model.id, None, 1).await?;
            return newest
                .into_iter()
                .next()
                .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Latest version not found for model {name}.")));
        } else {
            store::model::alias(&mut conn, model.id, alias.as_str()).await?
        };
        let (_, version) = version
            .ok_or_else(|| Error::invalid_field("alias", format!("Registered model alias {alias} not found.")))?;
        crate::model_version::find(&mut conn, ctx, name, version).await
    }

    /// Refuses to bring a version into a protected environment. Where the policies say so, the attempt asks for the promotion.
    pub(crate) async fn refuse_or_request(
        &self,
        ctx: &Ctx,
        version: &ModelVersion,
        environment: &str,
    ) -> Result<Error> {
        let mut conn = self.conn().await?;
        let refusal = self.only_by_promotion(&mut conn, ctx, version, environment).await?;
        let candidate = store::promotion::candidate(&mut conn, version.id).await?;
        let place = store::environment::by_name(&mut conn, &Sight::all(ctx.workspace_id()), environment).await?;
        let (Some(candidate), Some(place)) = (candidate, place) else { return Ok(refusal) };
        let policies = crate::promotion::in_force(&mut conn, &place, &candidate, Action::Promote).await?;
        drop(conn);
        if policies.alias_moves() != AliasMoves::Request || !ctx.may(Permission::RequestPromotion) {
            return Ok(refusal);
        }
        let new = NewPromotion {
            model: version.model.clone(),
            version: version.version,
            environment: place.name.clone(),
            comment: format!("Asked for by moving {environment} of {} to v{}.", version.model, version.version),
            draft: false,
            again: None,
        };
        Ok(match self.request_promotion(ctx, new).await {
            Ok(promotion) => Error::forbidden(format!(
                "{environment} of {} is protected and changes only by a promotion. Promotion #{} was requested for you: {}",
                version.model,
                promotion.number,
                self.promotion_address(ctx, promotion.number)
            )),
            // It is under way already, or cannot be: the refusal says so.
            Err(_) => refusal,
        })
    }

    /// The refusal of a move that only a promotion may make, with the address of the promotion or its form.
    pub(crate) async fn only_by_promotion(
        &self,
        conn: &mut PgConnection,
        ctx: &Ctx,
        version: &ModelVersion,
        environment: &str,
    ) -> Result<Error> {
        let links = Links { base: self.public_url(), slug: &ctx.workspace.slug };
        let open = store::model::open_promotion(conn, ctx.workspace_id(), version.id, environment).await?;
        Ok(Error::forbidden(match open {
            Some((_, number)) => format!(
                "{environment} of {} is protected and changes only by a promotion. Promotion #{number} of {} is under way: \
                 {}",
                version.model,
                version.title(),
                links.promotion(number)
            ),
            None => {
                let title = version.title();
                let request = if version.is_servable() {
                    format!("Request one of {title} here:")
                } else {
                    format!(
                        "{title} holds no ONNX model and so cannot be promoted; log one with mlflow.onnx.log_model. \
                         Promotions are requested here:"
                    )
                };
                format!(
                    "{environment} of {} is protected and changes only by a promotion. {request} {}",
                    version.model,
                    links.new_promotion(&version.model, version.version, environment)
                )
            }
        }))
    }

    /// Refuses when a protected alias points at the model, or at this version of it.
    pub(crate) async fn refuse_protected(
        &self,
        conn: &mut PgConnection,
        ctx: &Ctx,
        model: &Model,
        version: Option<i32>,
        verb: &str,
    ) -> Result<()> {
        let current = find(conn, ctx, &model.name).await?;
        for (alias, number) in &current.aliases {
            let is_meant = version.is_none_or(|version| version == *number);
            if is_meant && store::model::is_protected(conn, ctx.workspace_id(), alias).await? {
                return Err(Error::forbidden(format!(
                    "{} v{number} is in {alias}, which is protected; it cannot be {verb} while it is there.",
                    model.name
                )));
            }
        }
        Ok(())
    }
}

/// A model that may be made, unless its name is taken.
pub(crate) struct Checked {
    name: RegisteredModelName,
    description: String,
    tags: BTreeMap<String, String>,
}

impl NewModel {
    /// Checks what does not take the database.
    ///
    /// # Errors
    /// `Invalid` for a wrong name, tag or description.
    pub(crate) fn check(self) -> Result<Checked> {
        let name = RegisteredModelName::parse(&self.name, "name")?;
        check_description(&self.description)?;
        Ok(Checked { name, description: self.description, tags: tags(&self.tags)? })
    }
}

impl ModelSearch<'_> {
    fn parse(&self, ctx: &Ctx) -> Result<(store::model::Search, Option<Place>)> {
        let search = store::model::Search {
            workspace: ctx.workspace_id(),
            filter: search::model_filter(self.filter)?,
            order: search::model_order(self.order)?,
        };
        Ok((search, self.page_token.map(page::decode).transpose()?))
    }
}

/// Makes a model, and tells whoever is told of that.
///
/// # Errors
/// `AlreadyExists` when the name is taken.
pub(crate) async fn create(conn: &mut PgConnection, ctx: &Ctx, new: Checked) -> Result<Model> {
    let now = Utc::now();
    let model = Model {
        id: ModelId::new(),
        workspace_id: ctx.workspace_id(),
        name: new.name.into_string(),
        description: new.description,
        created_at: now,
        updated_at: now,
        tags: new.tags,
        aliases: BTreeMap::new(),
    };
    store::model::insert(conn, &model).await.map_err(|error| name_taken(error, &model.name))?;
    store::model::set_tags(conn, model.id, &model.tags).await?;
    Event::new("model.created", object(&model), format!("created the model {}", model.name)).write(conn, ctx).await?;
    tell_webhooks(conn, &model, &Happening::Created).await?;
    Ok(model)
}

/// The model of this name.
pub(crate) async fn find(conn: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<Model> {
    store::model::by_name(conn, ctx.workspace_id(), name)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("Registered Model with name={name} not found")))
}

/// The model as it stands until the transaction ends: nobody else changes it meanwhile, and what is found by its name is
/// its own.
///
/// # Errors
/// `NotFound`; `Conflict` when the name went to another model while this one was waited for.
pub(crate) async fn locked(conn: &mut PgConnection, ctx: &Ctx, name: &str) -> Result<Model> {
    let found = find(conn, ctx, name).await?;
    store::model::lock(conn, found.id).await?;
    let now = find(conn, ctx, name).await?;
    if now.id == found.id { Ok(now) } else { Err(name_moved(name)) }
}

/// The refusal of a change that waited for a model which has another name by now, while its name is another's.
pub(crate) fn name_moved(name: &str) -> Error {
    Error::conflict(format!("Another model was given the name {name} just now. Look at it, and try again."))
}

/// Takes an alias from a model, and tells whoever is told of that. The caller holds the model.
pub(crate) async fn remove_alias(conn: &mut PgConnection, model: &Model, alias: &str, by: &str) -> Result<()> {
    if store::model::move_alias(conn, model.id, alias, None, by).await? {
        tell_webhooks(conn, model, &Happening::AliasDeleted(alias)).await?;
    }
    Ok(())
}

/// The model as history names it.
pub(crate) fn object(model: &Model) -> Object {
    Object::new(ObjectKind::Model, model.id, &model.name)
}

pub(crate) fn check_description(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::invalid_field("description", "A description cannot hold the character NUL."));
    }
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(Error::invalid_field(
            "description",
            format!("A description has at most {MAX_DESCRIPTION} characters."),
        ));
    }
    Ok(())
}

pub(crate) fn tags(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    pairs
        .iter()
        .map(|(key, value)| {
            let key = TagKey::parse(key, "key")?;
            let value = TagValue::for_model(value, "value")?;
            Ok((key.into_string(), value.as_str().to_owned()))
        })
        .collect()
}

/// A tag in an event's details: long values are prompts and the like, and are cut.
pub(crate) fn tag_details(key: &str, value: Option<&str>) -> serde_json::Value {
    let value = value.map(|value| value.chars().take(500).collect::<String>());
    serde_json::json!({ "key": key, "value": value })
}

fn name_taken(error: store::Error, name: &str) -> Error {
    if error.is_duplicate_of("models_name") {
        return Error::already_exists(format!("Registered Model (name={name}) already exists.")).in_field("name");
    }
    error.into()
}
