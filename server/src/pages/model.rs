//! The pages of models: the list, one with its versions, its aliases, its card, and its versions.

use super::{
    Form, PageResult, View,
    chosen::Chosen,
    comment::{self, COMMENTS},
    experiment::{plain_or_filter, shown},
    files,
    form::can_mend,
};
use crate::{access::Access, extract::Path, preview::prose, router::Routes};
use app::{
    pages::{
        files::FilesPage,
        model::{
            AliasEdit, Aliases, AliasesPage, Asked, Card, CardEdit, CardLead, CardPage, Compare, ComparePage,
            Described, Detail, List, ModelPage, NewModel as NewModelForm, OUTLINE, ShownCard, Version, VersionLineage,
            VersionPage, VersionPart,
        },
    },
    shell::Section,
    ui::{field::Draft, query::Sort},
};
use axum::http::Method;
use domain::{
    Error, ErrorKind, Page,
    as_of::AsOf,
    audit::ObjectKind,
    comment::Subject,
    deployment::Deployment,
    environment::PRODUCTION,
    model_card::ModelCard,
    permission::Permission,
    preview::Block,
    promotion::{Promotion, PromotionState},
    text_diff::TextDiff,
};
use leptos::prelude::*;
use services::{Ctx, DeploymentFilter, FilesOf, ModelSearch, NewModel, PromotionFilter, Services, blocking, no_card};

const SECTION: Option<Section> = Some(Section::Models);
/// How many models, promotions or moves a page shows.
const ROWS: usize = 50;
/// How many versions the page of a model shows.
const VERSIONS: usize = 20;
/// How many versions an alias can be set to on its page: the newest. Clients reach the others.
const CHOSEN_VERSIONS: usize = 500;
/// How many events and moves the page of one shows beside the rest.
const FEW: usize = 8;

pub(crate) fn routes(routes: Routes) -> Routes {
    let (read, write) = (Access::Needs(Permission::Read), Access::Needs(Permission::WriteRegistry));
    routes
        .page(Method::GET, "/models", read, list)
        .page(Method::POST, "/models", write, create)
        .page(Method::GET, "/models/{model}", read, show)
        .page(Method::GET, "/models/{model}/aliases", read, show_aliases)
        .page(Method::POST, "/models/{model}/aliases", write, set_alias)
        .page(Method::POST, "/models/{model}/aliases/{alias}/delete", write, delete_alias)
        .page(Method::GET, "/models/{model}/card", read, show_card)
        .page(Method::POST, "/models/{model}/card", write, save_card)
        .page(Method::GET, "/models/{model}/versions/compare", read, compare)
        .page(Method::GET, "/models/{model}/versions/{version}", read, show_version)
        .stream("/models/{model}/versions/{version}/shown", read, files::of_version)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    // A page of its own would take the address of a model with this name.
    if chosen.get("new").is_some() {
        ctx.require(Permission::WriteRegistry)?;
        return new_model(view, Draft::default(), None).await;
    }
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "name");
    let sort = Sort::parse(chosen.get("sort").unwrap_or("-changed"));
    let key = match sort.key.as_str() {
        "name" => "name",
        "created" => "creation_timestamp",
        _ => "last_updated_timestamp",
    };
    let order = [sort.order(key)];
    let search = ModelSearch { filter: &filter, order: &order, page_token: chosen.get("page_token"), limit: ROWS };
    let found = async {
        let page = view.services().model_summaries(ctx, &search).await?;
        Ok((page, view.services().count_models(ctx, &filter).await?))
    };
    let ((page, total), error) = shown(found.await, || (Page { items: Vec::new(), next_page_token: None }, 0))?;
    let endpoints = view.services().endpoints(ctx).await?;
    let links = view.links.clone();
    let address = chosen.address(links.models());
    let (models, next) = (page.items, page.next_page_token);
    let may_write = ctx.may(Permission::WriteRegistry);
    view.page("Models", SECTION, move || view! { <List links address models total next endpoints error may_write/> })
        .await
}

async fn new_model(view: View, draft: Draft, refused: Option<Error>) -> PageResult {
    let links = view.links.clone();
    let body = move || view! { <NewModelForm links draft/> };
    view.form_page(refused.as_ref(), "New model", SECTION, body).await
}

async fn create(view: View, form: Form) -> PageResult {
    let made = async {
        let name = model_name(&form)?;
        let description = form.lines("description").trim().to_owned();
        let new = NewModel { name, description, ..NewModel::default() };
        view.services().create_model(view.ctx()?, new).await
    };
    match made.await {
        Ok(model) => {
            let notice = format!("The model {} is made. Its first version comes from a run.", model.name);
            view.done(&view.links.model(&model.name), notice).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            new_model(view, draft, Some(error)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The name of a registered model in a form.
pub(super) fn model_name(form: &Form) -> Result<String, Error> {
    match form.text("name") {
        "" => Err(Error::invalid_field("name", "Say the model's name.")),
        name => Ok(name.to_owned()),
    }
}

async fn show(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let model = services.model(ctx, &name).await?;
    let versions = services.version_table(ctx, &name, chosen.get("page_token"), VERSIONS).await?;
    let mut endpoints = services.endpoints(ctx).await?;
    endpoints.retain(|endpoint| endpoint.deployment.model_id == model.id);
    let filter = PromotionFilter {
        states: PromotionState::open().collect(),
        model: Some(name.clone()),
        ..PromotionFilter::default()
    };
    let in_production = endpoints.iter().find(|endpoint| endpoint.deployment.environment == PRODUCTION);
    let newest = versions.rows.first().map(|row| row.version.version);
    let described = match in_production.map(|endpoint| endpoint.deployment.version).or(newest) {
        Some(number) => describe(&view, &name, number).await?,
        None => None,
    };
    let card = services.model_card(ctx, &name, None).await?.filter(|card| !card.text.is_empty());
    let page = ModelPage {
        environments: services.environments(ctx).await?.into_iter().map(|one| one.environment).collect(),
        promotions: services.promotions(ctx, &filter, None, ROWS).await?.items,
        moves: services.alias_history(ctx, &name, None, None, FEW).await?.items,
        card: match card {
            Some(card) => Some(lead(card).await?),
            None => None,
        },
        events: view.history(ObjectKind::Model, model.id, FEW).await?,
        may_request: ctx.may(Permission::RequestPromotion),
        may_write: ctx.may(Permission::WriteRegistry),
        described,
        versions,
        endpoints,
        model,
    };
    let links = view.links.clone();
    let address = chosen.address(links.model(&name));
    view.page(name, SECTION, move || view! { <Detail links address page/> }).await
}

/// What a version takes and gives. None when it was deleted meanwhile.
async fn describe(view: &View, model: &str, number: i32) -> Result<Option<Described>, Error> {
    let detail = match view.services().version_detail(view.ctx()?, model, number).await {
        Ok(detail) => detail,
        Err(Error { kind: ErrorKind::NotFound, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let golden = view.services().version_golden_rows(&detail.version, &detail.files).await?;
    Ok(Some(Described { version: number, signature: detail.version.signature, golden }))
}

/// The beginning of a card: what its first heading is followed by.
async fn lead(card: ModelCard) -> Result<CardLead, Error> {
    let blocks = prose(&card.text).await?;
    let blocks = blocks.into_iter().filter(|block| !matches!(block, Block::Heading(..))).take(1).collect();
    Ok(CardLead { number: card.number, author: card.author, at: card.created_at, blocks })
}

async fn show_aliases(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    aliases(view, name, chosen, None).await
}

/// The page of a model's aliases; when a change of one was refused, with what was typed.
async fn aliases(view: View, name: String, chosen: Chosen, refused: Option<(Error, AliasEdit)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let model = services.model(ctx, &name).await?;
    // A moment is typed by a person, who sees at once what is wrong with it.
    let (asked, as_of) = match chosen.get("as_of").map(AsOf::parse) {
        None => (None, None),
        Some(Ok(as_of)) => (Some(Asked::At(as_of.last())), Some(as_of)),
        Some(Err(error)) => (Some(Asked::Refused(error.message)), None),
    };
    let now = services.aliases_as_of(ctx, &name, None).await?;
    let then = match &as_of {
        Some(as_of) => services.aliases_as_of(ctx, &name, Some(as_of)).await?,
        None => now.clone(),
    };
    let may_write = ctx.may(Permission::WriteRegistry);
    let versions = services.model_versions(ctx, &name, None, if may_write { CHOSEN_VERSIONS } else { 1 }).await?.items;
    let (error, edit) = refused.unzip();
    let edit = edit.unwrap_or_else(|| {
        // A line of the table leads here, to move the alias that it is about.
        let set = chosen.get("set").unwrap_or_default();
        let at = now.iter().find(|one| one.alias == set).and_then(|one| one.version);
        let version = at.map(|version| ("version", version.to_string()));
        AliasEdit { draft: Draft::of([("alias", set.to_owned())].into_iter().chain(version)), promotion: None }
    });
    let environments = services.environments(ctx).await?;
    let page = AliasesPage {
        has_card: services.model_card(ctx, &name, None).await?.is_some_and(|card| !card.text.is_empty()),
        ever: services.aliases_ever(ctx, &name).await?,
        history: services.alias_history(ctx, &name, chosen.get("alias"), chosen.get("page_token"), ROWS).await?,
        versions: versions.into_iter().map(|version| version.version).collect(),
        protected: environments.into_iter().map(|one| one.environment.name.to_lowercase()).collect(),
        may_write,
        may_request: ctx.may(Permission::RequestPromotion),
        model,
        asked,
        then,
        now,
        edit,
    };
    let links = view.links.clone();
    let address = chosen.address(links.aliases(&name));
    let title = format!("Aliases of {name}");
    let body = move || view! { <Aliases links address page/> };
    view.form_page(error.as_ref(), title, SECTION, body).await
}

async fn set_alias(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    // As it is written everywhere, also by people.
    let alias = form.text("alias").trim_start_matches('@').to_owned();
    let set = async {
        let version: i32 =
            form.text("version").parse().map_err(|_| Error::invalid_field("version", "Choose a version."))?;
        view.services().set_alias(view.ctx()?, &name, &alias, version).await?;
        Ok(version)
    };
    match set.await {
        Ok(version) => {
            let notice = format!("@{alias} points at v{version}.");
            view.done(&view.links.aliases(&name), notice).await
        }
        Err(error) => alias_refused(view, name, &form, error).await,
    }
}

async fn delete_alias(view: View, Path((name, alias)): Path<(String, String)>, form: Form) -> PageResult {
    match view.services().delete_alias(view.ctx()?, &name, &alias).await {
        Ok(()) => view.done(&view.links.aliases(&name), format!("@{alias} is removed.")).await,
        Err(error) => alias_refused(view, name, &form, error).await,
    }
}

async fn alias_refused(view: View, name: String, form: &Form, mut error: Error) -> PageResult {
    if !can_mend(&error) {
        return Err(error.into());
    }
    // The refusal of a protected alias ends with the address of its promotion, which clients are sent to as well.
    let message = error.message.clone();
    let promotion = match message.split_once(view.public_url()) {
        Some((text, path)) if error.kind == ErrorKind::Forbidden && path.starts_with("/w/") => {
            text.trim_end().clone_into(&mut error.message);
            Some(path.to_owned())
        }
        _ => None,
    };
    let edit = AliasEdit { draft: form.refused(&error), promotion };
    aliases(view, name, Chosen::default(), Some((error, edit))).await
}

/// The number of a card in the address.
fn number(chosen: &Chosen, name: &str) -> Result<Option<i32>, Error> {
    let wrong = |_| Error::invalid_field(name, "The versions of a card are numbered 1, 2, 3.");
    chosen.get(name).map(|text| text.parse().map_err(wrong)).transpose()
}

/// The page of a card, without what is written.
async fn card_page(view: &View, name: &str, chosen: &Chosen) -> Result<CardPage, Error> {
    let ctx = view.ctx()?;
    let services = view.services();
    let latest = services.model_card(ctx, name, None).await?;
    let latest_number = latest.as_ref().map(|card| card.number);
    let card = match number(chosen, "number")? {
        Some(number) => Some(services.model_card(ctx, name, Some(number)).await?.ok_or_else(|| no_card(name, number))?),
        None => latest,
    };
    let shown = match card {
        Some(card) => Some(ShownCard { blocks: prose(&card.text).await?, card }),
        None => None,
    };
    let compared = match (number(chosen, "a")?, number(chosen, "b")?) {
        (Some(a), Some(b)) => Some((a, b, services.model_card_diff(ctx, name, a, b).await?)),
        _ => None,
    };
    Ok(CardPage {
        model: services.model(ctx, name).await?,
        latest: latest_number,
        shown,
        compared,
        edit: None,
        history: services.model_cards(ctx, name, chosen.get("page_token"), ROWS).await?,
        may_write: ctx.may(Permission::WriteRegistry),
    })
}

async fn show_card(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let mut page = card_page(&view, &name, &chosen).await?;
    if chosen.get("edit").is_some() {
        view.ctx()?.require(Permission::WriteRegistry)?;
        let text = match &page.shown {
            Some(shown) if !shown.card.text.is_empty() => shown.card.text.clone(),
            _ => OUTLINE.to_owned(),
        };
        page.edit =
            Some(CardEdit { draft: Draft::of([("text", text)]), instead_of: page.latest, ..CardEdit::default() });
    }
    let links = view.links.clone();
    let address = chosen.address(links.card(&name));
    view.page(format!("Card of {name}"), SECTION, move || view! { <Card links address page/> }).await
}

async fn save_card(view: View, Path(name): Path<String>, form: Form) -> PageResult {
    let text = form.lines("text");
    let instead_of = form.seen().map(|seen| seen.parse::<i32>()).transpose();
    let instead_of = instead_of
        .map_err(|_| Error::invalid("The form does not say which card it is to replace; open the page again."))?;
    let (links, chosen) = (view.links.clone(), Chosen::default());
    let address = chosen.address(links.card(&name));
    let title = format!("Card of {name}");
    let draft = Draft::of([("text", text.clone())]);
    if form.text("do") == "preview" {
        let mut page = card_page(&view, &name, &chosen).await?;
        page.edit = Some(CardEdit { draft, instead_of, preview: Some(prose(&text).await?), meanwhile: None });
        return view.page(title, SECTION, move || view! { <Card links address page/> }).await;
    }
    match view.services().save_model_card(view.ctx()?, &name, &text, instead_of).await {
        Ok(card) => {
            let notice = if card.text.is_empty() {
                "The card is taken away. Its versions stay.".to_owned()
            } else {
                format!("Version {} of the card is saved.", card.number)
            };
            view.done(&links.card(&name), notice).await
        }
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let mut page = card_page(&view, &name, &chosen).await?;
            // Somebody else's is what is replaced next, now that it has been seen.
            let meanwhile = match &page.shown {
                Some(shown) if error.kind == ErrorKind::Conflict => {
                    let (theirs, mine) = (shown.card.clone(), text);
                    let before = theirs.text.clone();
                    let diff = blocking(move || TextDiff::of(&before, &mine)).await?;
                    Some((theirs, diff))
                }
                _ => None,
            };
            let instead_of = if meanwhile.is_some() { page.latest } else { instead_of };
            page.edit = Some(CardEdit { draft: draft.refused(&error), instead_of, preview: None, meanwhile });
            view.refused(&error, title, SECTION, move || view! { <Card links address page/> }).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn compare(view: View, Path(name): Path<String>, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    view.services().model(ctx, &name).await?;
    let asked = (chosen.get("a").unwrap_or_default().to_owned(), chosen.get("b").unwrap_or_default().to_owned());
    let pair = asked.0.parse::<i32>().ok().zip(asked.1.parse::<i32>().ok());
    let compared = match pair {
        None => Err("Say the numbers of two versions, such as 12 and 14.".to_owned()),
        Some((a, b)) => match view.services().compare_versions(ctx, &name, a, b).await {
            Ok(both) => Ok(Box::new((both.a, both.b, both.diff))),
            Err(Error { kind: ErrorKind::NotFound, .. }) => {
                Err(format!("{name} has no version {a} or no version {b}, or one of them was deleted."))
            }
            Err(error) => return Err(error.into()),
        },
    };
    let links = view.links.clone();
    let missing = pair.is_some() && compared.is_err();
    let page = ComparePage { model: name.clone(), asked, compared };
    let title = format!("Compare versions of {name}");
    let body = move || view! { <Compare links page/> };
    if missing {
        let error = Error::new(ErrorKind::NotFound, String::new());
        return view.refused(&error, title, SECTION, body).await;
    }
    view.page(title, SECTION, body).await
}

/// Where a version was to go, and where it went: the last few promotions and deployments of it.
pub(super) async fn went_to(
    services: &Services,
    ctx: &Ctx,
    model: &str,
    version: i32,
    most: usize,
) -> Result<(Vec<Promotion>, Vec<Deployment>), Error> {
    let (model, version) = (Some(model.to_owned()), Some(version));
    let filter = PromotionFilter { model: model.clone(), version, ..PromotionFilter::default() };
    let promotions = services.promotions(ctx, &filter, None, most).await?.items;
    let filter = DeploymentFilter { model, version, ..DeploymentFilter::default() };
    Ok((promotions, services.deployments(ctx, &filter, None, most).await?.items))
}

async fn show_version(view: View, Path((name, number)): Path<(String, i32)>, chosen: Chosen) -> PageResult {
    version_page(view, name, number, chosen, None).await
}

/// The page of a version; when a comment was refused, with what was typed.
pub(super) async fn version_page(
    view: View,
    name: String,
    number: i32,
    chosen: Chosen,
    refused: Option<(Error, Draft)>,
) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let detail = services.version_detail(ctx, &name, number).await?;
    let address = chosen.address(view.links.version(&name, number));
    let part = VersionPart::of(&address);
    // What another tab shows is not looked up.
    let lineage = match detail.version.run_id {
        Some(run) if part == VersionPart::Overview => match services.run_detail(ctx, run).await {
            Ok(run) => {
                let pipeline_run = run.lineage.pipeline_run.map(|(_, pipeline, number)| (pipeline, number));
                VersionLineage { run: Some(run.run), pipeline_run }
            }
            Err(Error { kind: ErrorKind::NotFound, .. }) => VersionLineage::default(),
            Err(error) => return Err(error.into()),
        },
        _ => VersionLineage::default(),
    };
    let (promotions, deployments) = went_to(services, ctx, &name, number, ROWS).await?;
    let before = domain::page::encode(&number);
    let previous = services.model_versions(ctx, &name, Some(&before), 1).await?.items.first().map(|v| v.version);
    let (mut looked_at, mut events, mut golden) = (FilesPage::default(), Vec::new(), None);
    let (refusal, draft) = refused.unzip();
    let mut said = None;
    match part {
        VersionPart::Overview => {
            events = view.history(ObjectKind::ModelVersion, detail.version.id, ROWS).await?;
            golden = services.version_golden_rows(&detail.version, &detail.files).await?;
        }
        VersionPart::Files => {
            let of = FilesOf::Version(name.clone(), number);
            looked_at = files::look(services, ctx, &of, &chosen, true).await?;
        }
        VersionPart::Comments => {
            said = Some(services.version_comments(ctx, &name, number, chosen.get("page_token"), COMMENTS).await?);
        }
    }
    let about = Subject::ModelVersion(detail.version.id);
    let comments = comment::list(&view, about, said, draft.unwrap_or_default()).await?;
    let (has_frame, is_missing) = (looked_at.has_frame(), looked_at.missing.is_some());
    let page = VersionPage {
        comments,
        looked_at,
        lineage,
        promotions,
        deployments,
        champion: services.champion_of_model(ctx, &name).await?,
        golden,
        created_by: services.registered_by(&detail.version).await?,
        previous,
        events,
        files: detail.files,
        may_request: ctx.may(Permission::RequestPromotion),
        version: detail.version,
    };
    let links = view.links.clone();
    let (title, view) = (page.version.title(), view.with_frame(has_frame));
    let body = move || view! { <Version links address page/> };
    view.form_page(refusal.or_else(|| is_missing.then(files::no_file)).as_ref(), title, SECTION, body).await
}
