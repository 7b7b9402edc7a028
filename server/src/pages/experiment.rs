//! The pages of experiments.

use super::{
    Form, PageResult, View,
    chosen::Chosen,
    form::{can_mend, is_shown_again},
    run::about,
};
use crate::{access::Access, extract::Path, router::Routes};
use app::{
    pages::experiment::{ExperimentPage, List, Runs, ShownRuns, TagRuns, WrongFilter},
    shell::Section,
    ui::{
        field::Draft,
        query::{Address, Sort},
    },
};
use axum::{
    http::Method,
    response::{IntoResponse as _, Redirect},
};
use domain::{
    Error, ErrorKind, Page,
    audit::ObjectKind,
    experiment::{LifecycleStage, NOTE_TAG, ViewType},
    id::{ExperimentId, RunId},
    permission::Permission,
    run_table::{MAX_COLUMNS, MAX_PINNED, RunColumn},
    search,
    values::TagValue,
};
use leptos::prelude::*;
use services::{Ctx, ExperimentSearch, NewExperiment, RunGroupSearch, RunTableSearch, RunsChange, Services};
use std::collections::BTreeSet;

const SECTION: Option<Section> = Some(Section::Experiments);
/// How many experiments or runs a page shows.
const ROWS: usize = 50;
/// How many events the page of one shows.
const EVENTS: usize = 10;
/// How many groups of runs a page shows, and how many metrics it sums up.
const GROUPS: usize = 200;
const GROUP_METRICS: usize = 6;
/// How many metrics, params and tags are offered where nothing can be asked for while somebody types.
const USUAL: usize = 30;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .page(Method::GET, "/experiments", read, list)
        .page(Method::POST, "/experiments", write, create)
        .page(Method::GET, "/experiments/{id}", read, show)
        .page(Method::POST, "/experiments/{id}", write, change_one)
        .page(Method::POST, "/experiments/{id}/selected", read, choose)
        .page(Method::GET, "/experiments/{id}/tag", write, tag)
        .page(Method::POST, "/experiments/{id}/runs", write, change)
}

async fn list(view: View, chosen: Chosen) -> PageResult {
    list_page(view, chosen, None).await
}

/// All experiments; when a new one was refused, with what was typed.
async fn list_page(view: View, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "name");
    let sort = Sort::parse(chosen.get("sort").unwrap_or("-updated"));
    let key = match sort.key.as_str() {
        "name" => "name",
        "created" => "creation_time",
        _ => "last_update_time",
    };
    let order = [sort.order(key)];
    let search = ExperimentSearch {
        view: view_type(&chosen),
        filter: &filter,
        order: &order,
        page_token: chosen.get("page_token"),
        limit: ROWS,
    };
    let (page, error) = shown(view.services().experiment_summaries(ctx, &search).await, || Page {
        items: Vec::new(),
        next_page_token: None,
    })?;
    let (links, address) = (view.links.clone(), chosen.address(view.links.experiments()));
    let tracking_uri = format!("{}{}", view.public_url(), view.links.home());
    let (experiments, next) = (page.items, page.next_page_token);
    let may_write = ctx.may(Permission::WriteTracking);
    let (refusal, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    let body = move || view! { <List links address experiments next tracking_uri error may_write draft/> };
    view.form_page(refusal.as_ref(), "Experiments", SECTION, body).await
}

async fn create(view: View, form: Form) -> PageResult {
    let name = form.text("name");
    let new = NewExperiment { name: name.to_owned(), ..NewExperiment::default() };
    let created = match name {
        "" => Err(no_name("name")),
        _ => view.services().create_experiment(view.ctx()?, new).await,
    };
    match created {
        Ok(experiment) => {
            view.done(&view.links.experiment(experiment.id), format!("The experiment {name} is there.")).await
        }
        Err(error) if can_mend(&error) => {
            let draft = form.refused(&error);
            list_page(view, Chosen::default(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

fn no_name(field: &str) -> Error {
    Error::invalid_field(field, "An experiment has a name: write one.")
}

/// A word alone is looked for in the names, which the search language calls so; anything else is a filter.
pub(super) fn plain_or_filter(text: &str, name: &str) -> String {
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
    let is_filter = [" like ", " ilike ", " is ", " in "].iter().any(|word| text.to_lowercase().contains(word));
    // In a pattern `_` stands for any character, unless a backslash says that it is meant itself.
    if is_word && !is_filter { format!("{name} ILIKE '%{}%'", text.replace('_', "\\_")) } else { text.to_owned() }
}

/// What was found, or nothing and what is wrong with what was typed: a person sees at once how to mend it.
pub(super) fn shown<T>(found: Result<T, Error>, nothing: impl FnOnce() -> T) -> Result<(T, Option<String>), Error> {
    match found {
        Ok(found) => Ok((found, None)),
        Err(error) if error.kind == ErrorKind::Invalid => Ok((nothing(), Some(error.message))),
        Err(error) => Err(error),
    }
}

async fn show(view: View, Path(id): Path<ExperimentId>, chosen: Chosen) -> PageResult {
    experiment_page(view, id, chosen, None).await
}

/// What a form changes of an experiment.
async fn change_one(view: View, Path(id): Path<ExperimentId>, form: Form) -> PageResult {
    let back = form.back();
    match changed_one(&view, id, &form).await {
        Ok(notice) => view.done(&back.address(view.links.experiment(id)).href(), notice).await,
        Err(error) if is_shown_again(&form) && can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            experiment_page(view, id, back, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Does it, and says what was done.
async fn changed_one(view: &View, id: ExperimentId, form: &Form) -> Result<String, Error> {
    let (services, ctx) = (view.services(), view.ctx()?);
    match form.text("do") {
        "rename" => {
            let name = form.text("new_name");
            if name.is_empty() {
                return Err(no_name("new_name"));
            }
            services.rename_experiment(ctx, id, name).await.map_err(|error| match error.kind {
                ErrorKind::AlreadyExists => error.in_field("new_name"),
                _ => error,
            })?;
            Ok(format!("The experiment is called {name} now."))
        }
        "note" => {
            let note = form.lines("note");
            let note = note.trim();
            if !note.is_empty() {
                TagValue::for_experiment(note, "note")?;
                services.set_experiment_tag(ctx, id, NOTE_TAG, note).await?;
                return Ok("The note is saved.".to_owned());
            }
            if services.experiment(ctx, id).await?.tags.contains_key(NOTE_TAG) {
                services.delete_experiment_tag(ctx, id, NOTE_TAG).await?;
            }
            Ok("The experiment has no note any more.".to_owned())
        }
        "delete" => {
            if services.experiment(ctx, id).await?.lifecycle_stage == LifecycleStage::Active {
                services.delete_experiment(ctx, id).await?;
            }
            Ok("The experiment is deleted, with its runs.".to_owned())
        }
        "restore" => {
            if services.experiment(ctx, id).await?.lifecycle_stage == LifecycleStage::Deleted {
                services.restore_experiment(ctx, id).await?;
            }
            Ok("The experiment is restored, with its runs.".to_owned())
        }
        _ => Err(Error::invalid("The form does not say what to do with the experiment.")),
    }
}

/// The page of an experiment; when one of its forms was refused, with what was typed.
async fn experiment_page(view: View, id: ExperimentId, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let experiment = services.experiment(ctx, id).await?;
    let address = chosen.address(view.links.experiment(id));
    let mut columns: Vec<RunColumn> = chosen.all("col").map(str::parse).collect::<Result<_, _>>()?;
    let mut no_column = None;
    // The buttons of the columns' disclosure, and what is typed there, come here first.
    if let Some(change) = chosen.get("change").and_then(|change| change.split_once(':')) {
        return Ok(Redirect::to(&with_columns(&changed(&address, &mut columns, change), &columns)).into_response());
    }
    if let Some(typed) = chosen.get("add") {
        match added(services, ctx, id, &columns, typed).await {
            Ok(columns) => return Ok(Redirect::to(&with_columns(&address, &columns)).into_response()),
            Err(error) if error.kind == ErrorKind::Invalid => no_column = Some((typed.to_owned(), error.message)),
            Err(error) => return Err(error.into()),
        }
    }
    let filter = plain_or_filter(chosen.get("q").unwrap_or_default(), "attributes.run_name");
    let wrong = search::run_filter(&filter).err().map(|wrong| WrongFilter {
        message: wrong.message,
        at: Some(wrong.position).filter(|_| chosen.get("q") == Some(&filter)),
    });
    let columns = Some(columns).filter(|columns| !columns.is_empty());
    // The runs of an experiment that is put away are put away with it.
    let runs = match experiment.lifecycle_stage {
        LifecycleStage::Active => view_type(&chosen),
        LifecycleStage::Deleted => ViewType::DeletedOnly,
    };
    let (shown, error) = match wrong {
        Some(wrong) => (ShownRuns::Nothing, Some(wrong)),
        None => {
            let found = match chosen.get("group") {
                Some(by) => groups(services, ctx, id, &chosen, (&filter, runs), by.parse()?).await,
                None => table(services, ctx, id, &chosen, (&filter, runs), columns).await,
            };
            let (shown, message) = shown(found, || ShownRuns::Nothing)?;
            (shown, message.map(|message| WrongFilter { message, at: None }))
        }
    };
    let (refusal, draft) = refused.unzip();
    let page = ExperimentPage {
        about: about(&experiment.tags).await?,
        draft: draft.unwrap_or_default(),
        events: view.history(ObjectKind::Experiment, experiment.id, EVENTS).await?,
        champion: services.champion(ctx, experiment.id).await?,
        keys: services.count_run_keys(ctx, experiment.id).await?,
        usual: services.usual_run_columns(ctx, id, USUAL).await?,
        experiment,
        shown,
        filter,
        no_column,
        may_write: ctx.may(Permission::WriteTracking),
    };
    let links = view.links.clone();
    let address = address.dropping(&["add", "change"]);
    let title = page.experiment.name.clone();
    let body = move || view! { <Runs links address page error/> };
    view.form_page(refusal.as_ref(), title, SECTION, body).await
}

/// Those in use, or those put away.
fn view_type(chosen: &Chosen) -> ViewType {
    if chosen.get("view") == Some("deleted") { ViewType::DeletedOnly } else { ViewType::ActiveOnly }
}

/// The order that the address asks for, in the search language.
fn order(chosen: &Chosen) -> Result<String, Error> {
    let sort = Sort::parse(chosen.get("sort").unwrap_or("-start_time"));
    let column: RunColumn = sort.key.parse()?;
    Ok(sort.order(&column.order()))
}

async fn table(
    services: &Services,
    ctx: &Ctx,
    id: ExperimentId,
    chosen: &Chosen,
    (filter, view): (&str, ViewType),
    columns: Option<Vec<RunColumn>>,
) -> Result<ShownRuns, Error> {
    let search = RunTableSearch {
        experiment_id: id,
        view,
        filter,
        order: &[order(chosen)?],
        columns,
        curve: chosen.get("curve"),
        page_token: chosen.get("page_token"),
        limit: ROWS,
    };
    services.run_table(ctx, &search).await.map(ShownRuns::Table)
}

async fn groups(
    services: &Services,
    ctx: &Ctx,
    id: ExperimentId,
    chosen: &Chosen,
    (filter, view): (&str, ViewType),
    by: RunColumn,
) -> Result<ShownRuns, Error> {
    let sort = Sort::parse(chosen.get("order").unwrap_or("-count"));
    let metrics = chosen.all("col").filter_map(|column| column.strip_prefix("metrics.").map(ToOwned::to_owned));
    let metrics: Vec<String> = metrics.take(GROUP_METRICS).collect();
    let search = RunGroupSearch {
        experiment_id: id,
        view,
        filter,
        by,
        metrics: Some(metrics).filter(|metrics| !metrics.is_empty()),
        sort: (sort.key.parse()?, sort.descending),
        limit: GROUPS,
    };
    services.run_groups(ctx, &search).await.map(ShownRuns::Groups)
}

/// The page with these columns, where their disclosure is open.
fn with_columns(address: &Address, columns: &[RunColumn]) -> String {
    let address = address.dropping(&["add", "change"]).with_all("col", columns.iter().map(ToString::to_string));
    format!("{}#column-add", address.href())
}

/// Does what a button of a column says; one that is not there stays away.
fn changed(address: &Address, columns: &mut Vec<RunColumn>, (change, name): (&str, &str)) -> Address {
    let at = columns.iter().position(|column| column.to_string() == name);
    let pins = || address.all("pin").filter(|pin| *pin != name).map(ToOwned::to_owned).collect::<Vec<_>>();
    match (change, at) {
        ("left", Some(at)) if at > 0 => columns.swap(at, at - 1),
        ("right", Some(at)) if at + 1 < columns.len() => columns.swap(at, at + 1),
        ("remove", Some(at)) => {
            columns.remove(at);
            return address.with_all("pin", pins());
        }
        ("unpin", _) => return address.with_all("pin", pins()),
        ("pin", Some(_)) => {
            // The last pinned give way to it.
            let kept = pins().into_iter().take(MAX_PINNED - 1);
            return address.with_all("pin", kept.chain([name.to_owned()]));
        }
        ("draw", Some(_)) => {
            return name.strip_prefix("metrics.").map_or_else(|| address.clone(), |key| address.with("curve", key));
        }
        ("flat", _) => return address.without("curve"),
        _ => {}
    }
    address.clone()
}

/// The columns, with those that somebody means by what they typed.
async fn added(
    services: &Services,
    ctx: &Ctx,
    id: ExperimentId,
    columns: &[RunColumn],
    typed: &str,
) -> Result<Vec<RunColumn>, Error> {
    let mut all = columns.to_vec();
    for column in services.run_columns_named(ctx, id, typed).await? {
        if !all.contains(&column) {
            all.push(column);
        }
    }
    if all.len() > MAX_COLUMNS {
        return Err(Error::invalid(format!("A table shows at most {MAX_COLUMNS} columns; take some away first.")));
    }
    Ok(all)
}

/// The runs that a form names.
fn selected(form: &Form) -> Result<BTreeSet<RunId>, Error> {
    let runs: Result<BTreeSet<RunId>, _> = form.all("run").map(str::parse).collect();
    runs.map_err(|_| Error::invalid("The form names something that is no run."))
}

/// What the page showed that a form was sent from.
fn shown_before(view: &View, id: ExperimentId, form: &Form) -> Address {
    form.back().address(view.links.experiment(id))
}

/// Leads to what is done with the selected runs and changes nothing: comparing them, a file of them, or the form that tags
/// them.
async fn choose(view: View, Path(id): Path<ExperimentId>, form: Form) -> PageResult {
    let runs = selected(&form)?;
    let back = shown_before(&view, id, &form);
    if runs.is_empty() {
        return view.done(&back.href(), "No run was selected.").await;
    }
    let named = runs.iter().map(|run| ("run".to_owned(), run.simple()));
    let to = match form.text("act") {
        "compare" => Address::new(view.links.to("runs/compare"), named),
        "tag" => {
            let back = ("back".to_owned(), back.query());
            Address::new(format!("{}/tag", view.links.experiment(id)), named.chain([back]))
        }
        format @ ("csv" | "parquet") => {
            let format = ("format".to_owned(), format.to_owned());
            let columns = back.all("col").map(|column| ("col".to_owned(), column.to_owned()));
            let kept = [("sort", "sort"), ("view", "view")].into_iter();
            let kept = kept.filter_map(|(from, to)| Some((to.to_owned(), back.get(from)?.to_owned())));
            let pairs: Vec<_> = [format].into_iter().chain(kept).chain(columns).chain(named).collect();
            Address::new(view.links.to(&format!("api/v1/experiments/{id}/runs/export")), pairs)
        }
        _ => return Err(Error::invalid("The form does not say what to do with the runs.").into()),
    };
    Ok(Redirect::to(&to.href()).into_response())
}

/// The form that tags runs.
async fn tag(view: View, Path(id): Path<ExperimentId>, chosen: Chosen) -> PageResult {
    let experiment = view.services().experiment(view.ctx()?, id).await?;
    let links = view.links.clone();
    let runs: Vec<String> = chosen.all("run").map(ToOwned::to_owned).collect();
    let back = chosen.get("back").unwrap_or_default().to_owned();
    view.page("Tag runs", SECTION, move || view! { <TagRuns links experiment runs back/> }).await
}

async fn change(view: View, Path(id): Path<ExperimentId>, form: Form) -> PageResult {
    let runs = selected(&form)?;
    let back = shown_before(&view, id, &form);
    let change = match form.text("act") {
        "delete" => RunsChange::Delete,
        "restore" => RunsChange::Restore,
        "tag" => RunsChange::Tag { key: form.text("key").to_owned(), value: form.raw("value").to_owned() },
        _ => return Err(Error::invalid("The form does not say what to do with the runs.").into()),
    };
    if runs.is_empty() {
        return view.done(&back.href(), "No run was selected.").await;
    }
    let ctx = view.ctx()?;
    let changed = match view.services().change_runs(ctx, id, &runs, &change).await {
        Err(error) if change_is_tag(&change) && error.kind == ErrorKind::Invalid => {
            let experiment = view.services().experiment(ctx, id).await?;
            let (links, draft, back) = (view.links.clone(), form.refused(&error), back.query());
            let runs: Vec<String> = runs.iter().map(RunId::simple).collect();
            return view
                .refused(&error, "Tag runs", SECTION, move || view! { <TagRuns links experiment runs back draft/> })
                .await;
        }
        changed => changed?,
    };
    let many = |done: &str| match changed {
        1 => format!("1 run is {done}."),
        many => format!("{many} runs are {done}."),
    };
    let notice = match (&change, changed) {
        (RunsChange::Delete, 0) => "Nothing changed: they were deleted before.".to_owned(),
        (RunsChange::Restore, 0) => "Nothing changed: they were in use already.".to_owned(),
        (RunsChange::Delete, _) => many("deleted"),
        (RunsChange::Restore, _) => many("restored"),
        (RunsChange::Tag { .. }, _) => many("tagged"),
    };
    view.done(&back.href(), notice).await
}

fn change_is_tag(change: &RunsChange) -> bool {
    matches!(change, RunsChange::Tag { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_is_looked_for_in_names() {
        assert_eq!(plain_or_filter("wine", "name"), "name ILIKE '%wine%'");
        assert_eq!(plain_or_filter("run_1", "name"), "name ILIKE '%run\\_1%'");
        assert_eq!(plain_or_filter("name = 'wine'", "name"), "name = 'wine'");
        assert_eq!(plain_or_filter("", "name"), "");
    }

    #[test]
    fn a_column_is_moved_pinned_and_taken_away() {
        let here = Address::new("/e", [("pin".to_owned(), "status".to_owned())]);
        let mut columns: Vec<RunColumn> =
            ["status", "metrics.a:b", "params.c"].map(|name| name.parse().unwrap()).to_vec();
        let names = |columns: &[RunColumn]| columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        changed(&here, &mut columns, ("left", "metrics.a:b"));
        assert_eq!(names(&columns), "metrics.a:b status params.c");
        changed(&here, &mut columns, ("left", "metrics.a:b"));
        changed(&here, &mut columns, ("right", "params.c"));
        changed(&here, &mut columns, ("right", "none"));
        assert_eq!(names(&columns), "metrics.a:b status params.c");
        assert_eq!(changed(&here, &mut columns, ("pin", "params.c")).href(), "/e?pin=status&pin=params.c");
        assert_eq!(changed(&here, &mut columns, ("draw", "metrics.a:b")).href(), "/e?pin=status&curve=a%3Ab");
        assert_eq!(changed(&here, &mut columns, ("remove", "status")).href(), "/e");
        assert_eq!(names(&columns), "metrics.a:b params.c");
    }
}
