//! Comments on runs, model versions and promotions. History tells that somebody commented, and never what they wrote: who deletes a
//! comment is to be rid of it.

use crate::{
    Ctx, Event, Result, Services, blocking, boxed, commit, now, page_rows,
    promotion::{mail_mentioned, no_promotion},
};
use domain::{
    Error, ErrorKind, Page,
    audit::{Object, ObjectKind},
    comment::{Comment, Subject, check_text, mentioned},
    id::{CommentId, ModelVersionId, PromotionId, RunId},
    page,
    promotion::Promotion,
};
use std::collections::BTreeSet;
use store::PgConnection;

impl Services {
    /// The comments on a run, oldest first.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn run_comments(
        &self,
        ctx: &Ctx,
        id: RunId,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Comment>> {
        let mut conn = self.conn().await?;
        crate::run::find(&mut conn, ctx, id).await?;
        comments(&mut conn, ctx, Subject::Run(id), page_token, limit).await
    }

    /// The comments on a version, oldest first.
    ///
    /// # Errors
    /// `NotFound` without such a version; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn version_comments(
        &self,
        ctx: &Ctx,
        model: &str,
        version: i32,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Comment>> {
        let mut conn = self.conn().await?;
        let version = crate::model_version::find(&mut conn, ctx, model, version).await?;
        comments(&mut conn, ctx, Subject::ModelVersion(version.id), page_token, limit).await
    }

    /// The comments on a promotion, oldest first.
    ///
    /// # Errors
    /// `NotFound` without such a promotion; `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn promotion_comments(
        &self,
        ctx: &Ctx,
        number: i64,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Comment>> {
        let mut conn = self.conn().await?;
        let promotion = promotion_of(&mut conn, ctx, number).await?;
        comments(&mut conn, ctx, Subject::Promotion(promotion.id), page_token, limit).await
    }

    /// How many comments there are on something; none on what is not of this workspace.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn count_comments(&self, ctx: &Ctx, subject: Subject) -> Result<i64> {
        Ok(store::comment::count(&mut *self.conn().await?, ctx.workspace_id(), subject).await?)
    }

    /// Says something of a run.
    ///
    /// # Errors
    /// `NotFound` without such a run; `Invalid` for a text that is none.
    #[boxed]
    pub async fn comment_on_run(&self, ctx: &Ctx, id: RunId, text: &str) -> Result<Comment> {
        self.create_comment(ctx, Subject::Run(id), text).await
    }

    /// Says something of a version.
    ///
    /// # Errors
    /// `NotFound` without such a version; `Invalid` for a text that is none.
    #[boxed]
    pub async fn comment_on_version(&self, ctx: &Ctx, model: &str, version: i32, text: &str) -> Result<Comment> {
        let version = crate::model_version::find(&mut *self.conn().await?, ctx, model, version).await?;
        self.create_comment(ctx, Subject::ModelVersion(version.id), text).await
    }

    /// Says something of a promotion.
    ///
    /// # Errors
    /// `NotFound` without such a promotion; `Invalid` for a text that is none.
    #[boxed]
    pub async fn comment_on_promotion(&self, ctx: &Ctx, number: i64, text: &str) -> Result<Comment> {
        let promotion = promotion_of(&mut *self.conn().await?, ctx, number).await?;
        self.create_comment(ctx, Subject::Promotion(promotion.id), text).await
    }

    async fn create_comment(&self, ctx: &Ctx, subject: Subject, text: &str) -> Result<Comment> {
        let text = check_text(text)?;
        let Some(user) = ctx.user() else { return Err(Error::internal()) };
        let now = now();
        let comment = Comment {
            id: CommentId::new(),
            author_id: user.id,
            author: user.name.clone(),
            text: text.to_owned(),
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.begin().await?;
        let event = event(&mut tx, ctx, subject, "comment.created", "commented on", comment.id).await?;
        store::comment::insert(&mut tx, ctx.workspace_id(), subject, &comment).await?;
        event.write(&mut tx, ctx).await?;
        if let Subject::Promotion(id) = subject {
            mention(&mut tx, ctx, id, &comment).await?;
            store::event::notify(&mut tx, &format!("promotion:{id}")).await?;
        }
        commit(tx).await?;
        Ok(comment)
    }

    /// Gives one's own comment another text. The same again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` for a comment of somebody else; `Invalid` for a text that is none.
    #[boxed]
    pub async fn update_comment(&self, ctx: &Ctx, id: CommentId, text: &str) -> Result<Comment> {
        let text = check_text(text)?;
        let mut tx = self.begin().await?;
        let (mut comment, subject) = own(&mut tx, ctx, id).await?;
        if comment.text == text {
            return Ok(comment);
        }
        text.clone_into(&mut comment.text);
        comment.updated_at = now();
        store::comment::update(&mut tx, &comment).await?;
        if let Subject::Promotion(id) = subject {
            mention(&mut tx, ctx, id, &comment).await?;
        }
        event(&mut tx, ctx, subject, "comment.updated", "changed a comment on", id).await?.write(&mut tx, ctx).await?;
        commit(tx).await?;
        Ok(comment)
    }

    /// Deletes one's own comment.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted already; `Forbidden` for a comment of somebody else.
    #[boxed]
    pub async fn delete_comment(&self, ctx: &Ctx, id: CommentId) -> Result<()> {
        let mut tx = self.begin().await?;
        let (_, subject) = own(&mut tx, ctx, id).await?;
        store::comment::delete(&mut tx, id).await?;
        event(&mut tx, ctx, subject, "comment.deleted", "deleted a comment on", id).await?.write(&mut tx, ctx).await?;
        commit(tx).await
    }
}

/// Notes whom a comment on a promotion mentions, and writes to those who were not mentioned in it before: other members who
/// see the promotion.
async fn mention(conn: &mut PgConnection, ctx: &Ctx, promotion: PromotionId, comment: &Comment) -> Result<()> {
    let mut people = BTreeSet::new();
    // Most comments mention nobody, and then nobody is looked up.
    if comment.text.contains('@') {
        let members = store::workspace::members(conn, ctx.workspace_id()).await?;
        let names: Vec<String> = members.iter().map(|member| member.user.name.clone()).collect();
        let text = comment.text.clone();
        let blocks = blocking(move || preview::prose(&text)).await?;
        let mentioned = mentioned(&blocks, &names);
        let others = members.iter().filter(|member| member.user.id != comment.author_id && !member.user.is_service);
        people.extend(others.filter(|member| mentioned.contains(member.user.name.as_str())).map(|m| m.user.id));
    }
    store::comment::set_mentioned(conn, comment.id, promotion, &people, comment.updated_at).await?;
    mail_mentioned(conn, promotion, &people, comment).await
}

async fn comments(
    conn: &mut PgConnection,
    ctx: &Ctx,
    subject: Subject,
    page_token: Option<&str>,
    limit: usize,
) -> Result<Page<Comment>> {
    let after: Option<CommentId> = page_token.map(page::decode).transpose()?;
    let limit = limit.clamp(1, page::MAX_PAGE);
    let rows = store::comment::list(conn, ctx.workspace_id(), subject, after, page_rows(limit + 1)).await?;
    Ok(Page::cut(rows, limit, |comment| comment.id))
}

/// The promotion of this number, when whoever asks sees it.
async fn promotion_of(conn: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<Promotion> {
    store::promotion::by_number(conn, &ctx.sight(), number).await?.ok_or_else(|| no_promotion(number))
}

/// A comment of whoever asks.
async fn own(conn: &mut PgConnection, ctx: &Ctx, id: CommentId) -> Result<(Comment, Subject)> {
    let found = store::comment::lock(conn, ctx.workspace_id(), id).await?;
    let (comment, subject) =
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, "There is no such comment in this workspace."))?;
    if ctx.user().is_none_or(|user| user.id != comment.author_id) {
        return Err(Error::forbidden(format!("Only {}, who wrote it, may change this comment.", comment.author)));
    }
    Ok((comment, subject))
}

/// An event of a comment, on the timeline of what it is about.
async fn event(
    conn: &mut PgConnection,
    ctx: &Ctx,
    subject: Subject,
    action: &'static str,
    verb: &str,
    id: CommentId,
) -> Result<Event> {
    let event = match subject {
        Subject::Run(run) => {
            let (_, info) = crate::run::find(conn, ctx, run).await?;
            Event::new(action, crate::run::object(&info), format!("{verb} {}", info.name))
        }
        Subject::ModelVersion(version) => of_version(conn, ctx, version, action, verb).await?,
        Subject::Promotion(id) => {
            let promotion = store::promotion::by_id(conn, id).await?.ok_or_else(Error::internal)?;
            let candidate = crate::promotion::candidate_of(conn, &promotion).await?;
            crate::promotion::event(action, &promotion, &candidate, format!("{verb} {}", promotion.title()))
        }
    };
    Ok(event.details(serde_json::json!({ "comment": id })))
}

/// The version may be deleted by now: who commented on it is to be rid of the comment all the same.
async fn of_version(
    conn: &mut PgConnection,
    ctx: &Ctx,
    id: ModelVersionId,
    action: &'static str,
    verb: &str,
) -> Result<Event> {
    let found = store::model_version::name_ever(conn, ctx.workspace_id(), id).await?;
    let (model, name, version) = found.ok_or_else(Error::internal)?;
    let title = format!("{name} v{version}");
    Ok(Event::new(action, Object::new(ObjectKind::ModelVersion, id, &title), format!("{verb} {title}"))
        .related(Object::new(ObjectKind::Model, model, &name)))
}
