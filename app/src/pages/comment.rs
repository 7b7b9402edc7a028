//! What people say of a run or a version: the comments, oldest first, and a form for one more. Works without scripts.

use super::files::prose;
use crate::{links::FileLinks, ui::prelude::*};
use domain::{comment::Comment, id::CommentId, preview::Block};
use leptos::prelude::*;

/// A comment as it is read.
#[derive(Debug, Clone)]
pub struct ShownComment {
    /// The comment.
    pub comment: Comment,
    /// What its Markdown says.
    pub blocks: Vec<Block>,
    /// Whether the reader wrote it, and so may take it back.
    pub is_own: bool,
}

/// The comments on something.
#[derive(Debug, Clone, Default)]
pub struct CommentList {
    /// How many there are.
    pub total: i64,
    /// A page of them, where they are shown.
    pub shown: Vec<ShownComment>,
    /// Where the next page begins.
    pub next_page_token: Option<String>,
    /// Whether the reader may write one.
    pub may_write: bool,
    /// What was typed, and what is wrong with it.
    pub draft: Draft,
}

/// The comments on something, with the form that sends one to `comments` below its page.
#[component]
pub(super) fn All(
    /// The page of what they are about.
    here: String,
    /// Its files, which comments may show and name.
    files: FileLinks,
    /// Where those are looked at.
    artifacts: Address,
    /// This page, with the place in the list.
    address: Address,
    /// What it is: `run`, `version`.
    noun: &'static str,
    /// The comments.
    comments: CommentList,
) -> impl IntoView {
    let CommentList { shown, next_page_token, may_write, draft, .. } = comments;
    let is_empty = shown.is_empty();
    let remove = |id: CommentId| {
        view! {
            <form class="push" method="post" action=format!("{here}/comments/{id}/delete")>
                <Button text="Delete" kind=Kind::Ghost/>
            </form>
        }
    };
    let items = shown
        .into_iter()
        .map(|ShownComment { comment, blocks, is_own }| {
            let is_changed = comment.updated_at > comment.created_at;
            view! {
                <article class="panel" id=format!("comment-{}", comment.id)>
                    <header>
                        <Avatar name=comment.author.clone() size=AvatarSize::Small/>
                        <b>{comment.author}</b>
                        <span class="note n">
                            <When at=comment.created_at/>
                            {is_changed.then_some(", changed since")}
                        </span>
                        {is_own.then(|| remove(comment.id))}
                    </header>
                    <div class="body doc said">{prose(blocks, &files, &artifacts)}</div>
                </article>
            }
        })
        .collect_view();
    let more = next_page_token.map(|token| {
        let href = address.with("page_token", token).href();
        view! { <div><ButtonLink text="Later comments" href/></div> }
    });
    view! {
        <div class="stack talk" id="comments" data-live="">
            {items}
            {is_empty.then(|| view! { <p class="muted">{format!("Nobody has said anything of this {noun} yet.")}</p> })}
            {more}
        </div>
        {may_write.then(|| {
            let errors = draft.clone();
            view! {
                <form class="panel talk mt-4" method="post" action=format!("{here}/comments") aria-labelledby="h-comment">
                    <header><h2 id="h-comment">"Say something"</h2></header>
                    <div class="body stack">
                        <FormErrors draft=errors fields=&["text"]/>
                        <TextArea
                            label="Comment"
                            name="text"
                            draft
                            rows=4
                            hint="Markdown: lists, tables, code, links. Raw HTML is left out."
                        />
                        <div class="buttons"><Button text="Comment" kind=Kind::Primary/></div>
                    </div>
                </form>
            }
        })}
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        pages::model::{Version, VersionPage},
        render::fragment,
        samples::models,
        ui::prelude::*,
    };
    use domain::Error;
    use leptos::prelude::*;

    fn html(page: VersionPage) -> String {
        fragment(move || {
            let address = Address::new("/w/lab/models/wine/versions/14", [("tab".to_owned(), "comments".to_owned())]);
            view! { <Version links=Links::new("lab") address page/> }
        })
    }

    #[test]
    fn a_version_is_talked_about_on_a_tab_that_counts() {
        let html = html(models::version_page());
        for part in [
            r#"Comments<span class="n">2</span>"#,
            "Then the slice wants more data before production.",
            r#"action="/w/lab/models/wine-quality-classifier/versions/14/comments""#,
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert_eq!(html.matches("/delete\"").count(), 1, "one's own is taken back: {html}");
    }

    #[test]
    fn a_comment_that_was_refused_is_still_there_and_who_may_not_write_is_not_asked() {
        let mut page = models::version_page();
        page.comments.draft = Draft::of([("text", "so far")]).refused(&Error::invalid_field("text", "Too long."));
        let refused = html(page);
        assert!(refused.contains("so far</textarea>") && refused.contains("Too long."), "{refused}");
        let mut page = models::version_page();
        page.comments.may_write = false;
        assert!(!html(page).contains("<textarea"));
    }
}
