//! The pages of tracked runs.

use super::{Form, PageResult, View, chosen::Chosen, files, form::can_mend, model::went_to};
use crate::{access::Access, extract::Path, preview, router::Routes};
use app::{
    chart::look::Look,
    pages::run::{Board, Compare, ComparePage, Detail, MOST_RUNS, Part, RunComments, RunPage, ShownComment},
    shell::Section,
    ui::{prelude::Draft, query::Address},
};
use axum::http::Method;
use domain::{
    Error, ErrorKind,
    audit::ObjectKind,
    id::{CommentId, RunId},
    permission::Permission,
    preview::Block,
    run::Run,
};
use leptos::prelude::*;
use services::{Ctx, Curves, FilesOf, Services};
use std::collections::BTreeMap;

const SECTION: Option<Section> = Some(Section::Experiments);
/// About how many points of a curve are drawn of one run.
const POINTS: usize = 300;
/// How many promotions and deployments the page names.
const ROWS: usize = 20;
/// How many logged models the page names.
const MODELS: usize = 200;
/// How many events the page tells of.
const EVENTS: usize = 100;
/// How many comments a page of them has.
const COMMENTS: usize = 50;
/// The tag that is a run's description.
const NOTE: &str = "mlflow.note.content";

pub(crate) fn routes(routes: Routes) -> Routes {
    let read = Access::Needs(Permission::Read);
    let comment = Access::Needs(Permission::Comment);
    routes
        .page(Method::GET, "/runs/compare", read, compare)
        .page(Method::GET, "/runs/{run_id}", read, show)
        .page(Method::POST, "/runs/{run_id}/comments", comment, say)
        .page(Method::POST, "/runs/{run_id}/comments/{comment_id}/delete", comment, take_back)
        .stream("/runs/{run_id}/shown", read, files::of_run)
}

async fn show(view: View, Path(id): Path<RunId>, chosen: Chosen) -> PageResult {
    run_page(view, id, chosen, None).await
}

async fn say(view: View, Path(id): Path<RunId>, form: Form) -> PageResult {
    match view.services().comment_on_run(view.ctx()?, id, form.text("text")).await {
        Ok(_) => view.done(&comments_of(&view, id), "Your comment is there.").await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            let chosen = Chosen::of([("tab", "comments")]);
            run_page(view, id, chosen, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn take_back(view: View, Path((id, comment)): Path<(RunId, CommentId)>) -> PageResult {
    view.services().delete_comment(view.ctx()?, comment).await?;
    view.done(&comments_of(&view, id), "Your comment is deleted.").await
}

fn comments_of(view: &View, id: RunId) -> String {
    format!("{}?tab=comments", view.links.run(&id))
}

/// The comments on a run, as they are read.
async fn comments(view: &View, id: RunId, chosen: &Chosen, draft: Draft) -> Result<RunComments, Error> {
    let ctx = view.ctx()?;
    let page = view.services().run_comments(ctx, id, chosen.get("page_token"), COMMENTS).await?;
    let reader = ctx.user().map(|user| user.id);
    let blocks = preview::prose_of_each(page.items.iter().map(|comment| comment.text.clone()).collect()).await?;
    let shown = page.items.into_iter().zip(blocks).map(|(comment, blocks)| {
        let is_own = Some(comment.author_id) == reader;
        ShownComment { comment, blocks, is_own }
    });
    let may_write = ctx.may(Permission::Comment);
    Ok(RunComments { shown: shown.collect(), next_page_token: page.next_page_token, may_write, draft })
}

/// The page of a run; when a comment was refused, with what was typed.
async fn run_page(view: View, id: RunId, chosen: Chosen, refused: Option<(Error, Draft)>) -> PageResult {
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
    let may_register = ctx.may(Permission::WriteRegistry) && !services.registrable_models(ctx, id).await?.is_empty();
    let (refusal, draft) = refused.unzip();
    let comments = match part {
        Part::Comments => comments(&view, id, &chosen, draft.unwrap_or_default()).await?,
        _ => RunComments::default(),
    };
    let page = RunPage {
        comments,
        may_register,
        about: match part {
            Part::Overview => about(&detail.run).await?,
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
    };
    let links = view.links.clone();
    let (title, view) = (page.run.info.name.clone(), view.with_frame(has_frame));
    let body = move || view! { <Detail links address page/> };
    match refusal.or_else(|| is_missing.then(files::no_file)) {
        Some(error) => view.refused(&error, title, SECTION, body).await,
        None => view.page(title, SECTION, body).await,
    }
}

/// What people wrote about a run, as it is read.
async fn about(run: &Run) -> Result<Vec<Block>, Error> {
    match run.tags.get(NOTE).filter(|text| !text.trim().is_empty()) {
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
