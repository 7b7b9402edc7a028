//! What people say of runs, versions and promotions: the forms on their pages, and what these show of it.

use super::{Form, PageResult, View, chosen::Chosen, form::can_mend, model, promotion, run};
use crate::{access::Access, extract::Path, preview, router::Routes};
use app::{
    pages::comment::{CommentList, ShownComment},
    ui::field::Draft,
};
use axum::http::Method;
use domain::{
    Error, ErrorKind, Page,
    comment::{Comment, Subject},
    id::{CommentId, RunId},
    permission::Permission,
};

/// How many comments a page of them has.
pub(super) const COMMENTS: usize = 50;

pub(crate) fn routes(routes: Routes) -> Routes {
    let comment = Access::Needs(Permission::Comment);
    routes
        .page(Method::POST, "/runs/{run_id}/comments", comment, on_run)
        .page(Method::POST, "/runs/{run_id}/comments/{comment_id}/delete", comment, off_run)
        .page(Method::POST, "/models/{model}/versions/{version}/comments", comment, on_version)
        .page(Method::POST, "/models/{model}/versions/{version}/comments/{comment_id}/delete", comment, off_version)
        .page(Method::POST, "/promotions/{number}/comments", comment, on_promotion)
        .page(Method::POST, "/promotions/{number}/comments/{comment_id}/delete", comment, off_promotion)
}

/// Where the comments are, of what has its page here.
fn comments_of(page: &str) -> String {
    format!("{page}?tab=comments")
}

/// The same as an address says it, for a page in answer to a form.
fn chosen() -> Chosen {
    Chosen::of([("tab", "comments")])
}

async fn on_run(view: View, Path(id): Path<RunId>, form: Form) -> PageResult {
    match view.services().comment_on_run(view.ctx()?, id, form.text("text")).await {
        Ok(_) => said(&view, &view.links.run(&id)).await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            run::run_page(view, id, chosen(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn on_version(view: View, Path((name, number)): Path<(String, i32)>, form: Form) -> PageResult {
    match view.services().comment_on_version(view.ctx()?, &name, number, form.text("text")).await {
        Ok(_) => said(&view, &view.links.version(&name, number)).await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            model::version_page(view, name, number, chosen(), Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn on_promotion(view: View, Path(number): Path<i64>, form: Form) -> PageResult {
    match view.services().comment_on_promotion(view.ctx()?, number, form.text("text")).await {
        Ok(_) => view.done(&discussion_of(&view.links.promotion(number)), "Your comment is there.").await,
        Err(error) if can_mend(&error) && error.kind != ErrorKind::NotFound => {
            let draft = form.refused(&error);
            promotion::detail(view, number, Some((error, draft))).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a promotion is talked about.
fn discussion_of(page: &str) -> String {
    format!("{page}#discussion")
}

async fn off_promotion(view: View, Path((number, comment)): Path<(i64, CommentId)>) -> PageResult {
    view.services().delete_comment(view.ctx()?, comment).await?;
    view.done(&discussion_of(&view.links.promotion(number)), "Your comment is deleted.").await
}

async fn said(view: &View, page: &str) -> PageResult {
    view.done(&comments_of(page), "Your comment is there.").await
}

async fn off_run(view: View, Path((id, comment)): Path<(RunId, CommentId)>) -> PageResult {
    take_back(&view, comment, &view.links.run(&id)).await
}

async fn off_version(view: View, Path((name, number, comment)): Path<(String, i32, CommentId)>) -> PageResult {
    take_back(&view, comment, &view.links.version(&name, number)).await
}

async fn take_back(view: &View, comment: CommentId, page: &str) -> PageResult {
    view.services().delete_comment(view.ctx()?, comment).await?;
    view.done(&comments_of(page), "Your comment is deleted.").await
}

/// The comments on something: how many, and where they are shown this page of them, as they are read.
pub(super) async fn list(
    view: &View,
    subject: Subject,
    page: Option<Page<Comment>>,
    draft: Draft,
) -> Result<CommentList, Error> {
    let ctx = view.ctx()?;
    let total = view.services().count_comments(ctx, subject).await?;
    let Some(page) = page else { return Ok(CommentList { total, ..CommentList::default() }) };
    let next_page_token = page.next_page_token;
    let shown = self::shown(view, page.items).await?;
    let may_write = ctx.may(Permission::Comment);
    Ok(CommentList { total, shown, next_page_token, may_write, draft })
}

/// Comments, as they are read.
pub(super) async fn shown(view: &View, comments: Vec<Comment>) -> Result<Vec<ShownComment>, Error> {
    let reader = view.ctx()?.user().map(|user| user.id);
    let blocks = preview::prose_of_each(comments.iter().map(|comment| comment.text.clone()).collect()).await?;
    let shown = comments.into_iter().zip(blocks).map(|(comment, blocks)| {
        let is_own = Some(comment.author_id) == reader;
        ShownComment { comment, blocks, is_own }
    });
    Ok(shown.collect())
}
