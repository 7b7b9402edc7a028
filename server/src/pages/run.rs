//! The pages of tracked runs.

use super::{
    Form, PageResult, View,
    chosen::Chosen,
    comment::{self, COMMENTS},
    files,
    form::{can_mend, is_shown_again},
    model::went_to,
};
use crate::{access::Access, extract::Path, preview, router::Routes};
use app::{
    chart::look::Look,
    pages::run::{Board, Compare, ComparePage, Detail, MOST_RUNS, Part, RunPage},
    shell::Section,
    ui::{prelude::Draft, query::Address},
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    comment::Subject,
    experiment::NOTE_TAG,
    id::RunId,
    permission::Permission,
    preview::Block,
    values::{CLIENTS_TAGS, TagValue},
};
use leptos::prelude::*;
use services::{Ctx, Curves, FilesOf, RunChange, RunsChange, Services};
use std::collections::{BTreeMap, BTreeSet};

const SECTION: Option<Section> = Some(Section::Experiments);
/// About how many points of a curve are drawn of one run.
const POINTS: usize = 300;
/// How many promotions and deployments the page names.
const ROWS: usize = 20;
/// How many logged models the page names.
const MODELS: usize = 200;
/// How many events the page tells of.
const EVENTS: usize = 100;

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let write = Access::Needs(Permission::WriteTracking);
    routes
        .page(Method::GET, "/runs/compare", read, compare)
        .page(Method::GET, "/runs/{run_id}", read, show)
        .page(Method::POST, "/runs/{run_id}", write, change)
        .stream("/runs/{run_id}/shown", read, files::of_run)
}

async fn show(view: View, Path(id): Path<RunId>, chosen: Chosen) -> PageResult {
    run_page(view, id, chosen, None).await
}

/// What a form changes of a run.
async fn change(view: View, Path(id): Path<RunId>, form: Form) -> PageResult {
    let back = form.back();
    match changed(&view, id, &form).await {
        Ok(notice) => view.done(&back.address(view.links.run(&id)).href(), notice).await,
        Err(error) if is_shown_again(&form) && can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            run_page(view, id, back, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Does it, and says what was done.
async fn changed(view: &View, id: RunId, form: &Form) -> Result<String, Error> {
    let (services, ctx) = (view.services(), view.ctx()?);
    match form.text("do") {
        "rename" => {
            let name = form.text("run_name");
            if name.is_empty() {
                return Err(Error::invalid_field("run_name", "A run has a name: write one."));
            }
            let change = RunChange { name: Some(name.to_owned()), ..RunChange::default() };
            services.update_run(ctx, id, change).await?;
            Ok(format!("The run is called {name} now."))
        }
        "note" => {
            let note = form.lines("note");
            let note = note.trim();
            if note.is_empty() {
                untag(services, ctx, id, NOTE_TAG).await?;
                return Ok("The run has no note any more.".to_owned());
            }
            // A client's is cut; who types one is told.
            if TagValue::for_run(note, "note")?.was_truncated() {
                let (most, has) = (TagValue::MAX_RUN, note.chars().count());
                let message = format!("The note of a run has at most {most} characters; this one has {has}.");
                return Err(Error::invalid_field("note", message));
            }
            services.set_run_tag(ctx, id, NOTE_TAG, note).await?;
            Ok("The note is saved.".to_owned())
        }
        "tag" => {
            let key = form.text("key");
            if key.is_empty() {
                return Err(Error::invalid_field("key", "A tag has a key: write one."));
            }
            if key.starts_with(CLIENTS_TAGS) {
                let message = format!(
                    "Tags that begin with {CLIENTS_TAGS} are for clients, and not shown here; choose another key."
                );
                return Err(Error::invalid_field("key", message));
            }
            let experiment = services.run(ctx, id).await?.info.experiment_id;
            let change = RunsChange::Tag { key: key.to_owned(), value: form.raw("value").to_owned() };
            services.change_runs(ctx, experiment, &BTreeSet::from([id]), &change).await?;
            Ok(format!("The tag {key} is set."))
        }
        "untag" => {
            let key = form.raw("key");
            untag(services, ctx, id, key).await?;
            Ok(format!("The tag {key} is removed."))
        }
        "delete" => {
            services.delete_run(ctx, id).await?;
            Ok("The run is deleted.".to_owned())
        }
        "restore" => {
            services.restore_run(ctx, id).await?;
            Ok("The run is restored.".to_owned())
        }
        _ => Err(Error::invalid("The form does not say what to do with the run.")),
    }
}

/// Removes a tag. One that is not there any more was to go.
async fn untag(services: &Services, ctx: &Ctx, id: RunId, key: &str) -> Result<(), Error> {
    services.run(ctx, id).await?;
    match services.delete_run_tag(ctx, id, key).await {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The page of a run; when one of its forms was refused, with what was typed.
pub(super) async fn run_page(view: View, id: RunId, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let address = chosen.address(view.links.run(&id));
    let part = Part::of(&address);
    let detail = services.run_detail(ctx, id).await?;
    // What another part of the page shows is not looked up.
    let champion = match part {
        Part::Overview | Part::Metrics => services.champion(ctx, detail.experiment.id).await?,
        _ => None,
    };
    let lengths = match part {
        Part::Overview | Part::Metrics | Part::System => services.metric_lengths(ctx, &[id]).await?,
        _ => BTreeMap::default(),
    };
    let board = RunPage::board(part, &address, &detail.run, &lengths, champion.as_ref());
    let board = drawn(services, ctx, &[id], &address, board, POINTS).await?;
    let (mut promotions, mut deployments) = (Vec::new(), Vec::new());
    if part == Part::Overview {
        for (model, version) in &detail.lineage.versions {
            let (asked, served) = went_to(services, ctx, model, *version, ROWS).await?;
            promotions.extend(asked);
            deployments.extend(served);
        }
    }
    promotions.sort_by_key(|promotion| std::cmp::Reverse(promotion.number));
    deployments.sort_by_key(|deployment| std::cmp::Reverse(deployment.number));
    let looked_at = files::look(services, ctx, &FilesOf::Run(id), &chosen, part == Part::Artifacts).await?;
    let (has_frame, is_missing) = (looked_at.has_frame(), looked_at.missing.is_some());
    let models = match part {
        Part::Inputs => {
            let links = detail.run.model_inputs.iter().chain(&detail.run.model_outputs).take(MODELS);
            services.logged_models(ctx, &links.map(|link| link.model_id).collect::<Vec<_>>()).await?
        }
        _ => Vec::new(),
    };
    let may_register =
        ctx.may(Permission::WriteRegistry) && services.has_registrable_model(ctx, &detail.run.info).await?;
    let (refusal, draft) = refused.unzip();
    let draft = draft.unwrap_or_default();
    let said = match part {
        Part::Comments => Some(services.run_comments(ctx, id, chosen.get("page_token"), COMMENTS).await?),
        _ => None,
    };
    let comments = comment::list(&view, Subject::Run(id), said, draft.clone()).await?;
    let versions = match part {
        Part::Inputs => {
            let digests: Vec<&str> = detail.run.datasets.iter().map(|data| data.digest.as_str()).collect();
            services.dataset_versions_of_mlflow(ctx, &digests).await?
        }
        _ => Vec::new(),
    };
    let page = RunPage {
        comments,
        may_register,
        may_write: ctx.may(Permission::WriteTracking),
        draft,
        about: match part {
            Part::Overview => about(&detail.run.tags).await?,
            _ => Vec::new(),
        },
        events: match part {
            Part::Overview | Part::History => view.history(ObjectKind::Run, id, EVENTS).await?,
            _ => Vec::new(),
        },
        run: detail.run,
        experiment: detail.experiment,
        lineage: detail.lineage,
        promotions,
        deployments,
        lengths,
        board,
        champion,
        files: looked_at,
        models,
        tracking_url: format!("{}{}", view.public_url(), view.links.home()),
        versions: versions.into_iter().map(|known| (known.digest, known.dataset, known.number)).collect(),
    };
    let links = view.links.clone();
    let (title, view) = (page.run.info.name.clone(), view.with_frame(has_frame));
    let body = move || view! { <Detail links address page/> };
    view.form_page(refusal.or_else(|| is_missing.then(files::no_file)).as_ref(), title, SECTION, body).await
}

/// What people wrote about an experiment or a run, as it is read.
pub(super) async fn about(tags: &BTreeMap<String, String>) -> Result<Vec<Block>, Error> {
    match tags.get(NOTE_TAG).filter(|text| !text.trim().is_empty()) {
        Some(text) => preview::prose(text).await,
        None => Ok(Vec::new()),
    }
}

/// A board with the points of its charts, of the part of them that an address shows.
async fn drawn(
    services: &Services,
    ctx: &Ctx,
    runs: &[RunId],
    address: &Address,
    board: Board,
    points: usize,
) -> Result<Board, Error> {
    let keys = board.keys();
    if keys.is_empty() {
        return Ok(board);
    }
    let window = Look::of(address).window;
    let found = services.metric_series(ctx, runs, &Curves { keys: &keys, points, window }).await?;
    Ok(board.with(found))
}

async fn compare(view: View, chosen: Chosen) -> PageResult {
    let ctx = view.ctx()?;
    let services = view.services();
    let mut ids: Vec<RunId> = Vec::new();
    for text in chosen.all("run") {
        let id = text.parse().map_err(|_| Error::invalid("The address names something that is no run."))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > MOST_RUNS {
        return Err(
            Error::invalid(format!("At most {MOST_RUNS} runs are compared; the address names {}.", ids.len())).into()
        );
    }
    let runs = services.runs(ctx, &ids).await?;
    let ids: Vec<RunId> = runs.iter().map(|run| run.info.id).collect();
    let champion = match runs.first() {
        Some(run) => services.champion(ctx, run.info.experiment_id).await?,
        None => None,
    };
    let address = chosen.address(view.links.to("runs/compare"));
    let lengths = services.metric_lengths(ctx, &ids).await?;
    let board = match ids.len() {
        0 | 1 => Board::default(),
        _ => ComparePage::board(&address, &lengths, champion.as_ref()),
    };
    let board = drawn(services, ctx, &ids, &address, board, ComparePage::points(ids.len())).await?;
    let page = ComparePage { runs, lengths, board, champion };
    let links = view.links.clone();
    view.page("Compare runs", SECTION, move || view! { <Compare links address page/> }).await
}
