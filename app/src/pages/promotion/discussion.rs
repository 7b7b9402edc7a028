//! What was said of a promotion among what happened to it, oldest first, and the form to say more.

use super::detail::PromotionPage;
use crate::{
    pages::{comment::ShownComment, files::prose},
    ui::{prelude::*, timeline::Event},
};
use domain::{
    comment::{Piece, pieces},
    preview::{Block, Inline},
};
use leptos::prelude::*;

/// What is told in a timeline: an event, or a comment.
enum Told {
    Event(Box<domain::audit::AuditEvent>),
    Said(Box<ShownComment>),
}

/// The discussion. Its form sends `text` to `promotions/{number}/comments`.
#[component]
pub(super) fn Discussion(page: PromotionPage, links: Links, draft: Draft) -> impl IntoView {
    let number = page.detail.promotion.number;
    let here = links.promotion(number);
    let (said, happened) = (page.comments.len(), page.events.len());
    let people = page.people;
    let comments = page.comments.into_iter().map(|comment| (comment.comment.created_at, Told::Said(Box::new(comment))));
    // That somebody commented is told by the comment itself.
    let events = page.events.into_iter().filter(|event| !event.action.starts_with("comment."));
    let mut all: Vec<_> = events.map(|event| (event.at, Told::Event(Box::new(event)))).chain(comments).collect();
    all.sort_by_key(|(at, _)| *at);
    let rows = all
        .into_iter()
        .map(|(_, told)| match told {
            Told::Event(event) => view! { <Event event=*event links=links.clone() here=true/> }.into_any(),
            Told::Said(said) => view! { <Said said=*said here=here.clone() people=people.clone()/> }.into_any(),
        })
        .collect_view();
    let me = page.me.name;
    let form = page.may.comment.then(|| {
        let action = format!("{here}/comments");
        view! {
            <li class="write">
                <Avatar name=me/>
                <div class="comment">
                    <form method="post" action=action>
                        <input type="hidden" name="do" value="comment"/>
                        <FormErrors draft=draft.clone() fields=&["text"]/>
                        <TextArea label="Comment" name="text" placeholder="Say what you found, or mention somebody with @" draft/>
                        <div><Button text="Comment"/></div>
                    </form>
                </div>
            </li>
        }
    });
    let count = |n: usize, one: &str, many: &str| format::count(i64::try_from(n).unwrap_or_default(), one, many);
    let words = format!("{}, {}", count(said, "comment", "comments"), count(happened, "event", "events"));
    view! {
        <section id="discussion" aria-labelledby="h-discussion">
            <h2 class="section-title" id="h-discussion">"Discussion"<span class="n">{words}</span></h2>
            <ol class="timeline">{rows}{form}</ol>
        </section>
    }
}

#[component]
fn Said(said: ShownComment, here: String, people: Vec<String>) -> impl IntoView {
    let ShownComment { comment, blocks, is_own } = said;
    let is_changed = comment.updated_at > comment.created_at;
    let remove = is_own.then(|| {
        view! {
            <form class="push" method="post" action=format!("{here}/comments/{}/delete", comment.id)>
                <Button text="Delete" kind=Kind::Ghost/>
            </form>
        }
    });
    view! {
        <li id=format!("comment-{}", comment.id)>
            <Avatar name=comment.author.clone()/>
            <article class="comment">
                <header>
                    <b>{comment.author}</b>
                    <span>"commented "<When at=comment.created_at/>{is_changed.then_some(", changed since")}</span>
                    {remove}
                </header>
                <div class="text doc said">{prose::alone(mentioned(blocks, &people))}</div>
            </article>
        </li>
    }
}

/// The same prose with `@` and somebody's name stressed, where it stands in text.
fn mentioned(blocks: Vec<Block>, people: &[String]) -> Vec<Block> {
    blocks
        .into_iter()
        .map(|block| match block {
            Block::Paragraph(parts) => Block::Paragraph(in_line(parts, people)),
            Block::Quote(inner) => Block::Quote(mentioned(inner, people)),
            Block::List(start, items) => {
                Block::List(start, items.into_iter().map(|item| mentioned(item, people)).collect())
            }
            other => other,
        })
        .collect()
}

fn in_line(parts: Vec<Inline>, people: &[String]) -> Vec<Inline> {
    parts
        .into_iter()
        .flat_map(|part| match part {
            Inline::Text(text) => split(&text, people),
            Inline::Emphasis(inner) => vec![Inline::Emphasis(in_line(inner, people))],
            Inline::Strong(inner) => vec![Inline::Strong(in_line(inner, people))],
            other => vec![other],
        })
        .collect()
}

/// A text, with those who are mentioned stressed.
fn split(text: &str, people: &[String]) -> Vec<Inline> {
    pieces(text, people)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => Inline::Text(text.to_owned()),
            Piece::Name(name) => Inline::Strong(vec![Inline::Text(format!("@{name}"))]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_is_mentioned_is_stressed_and_others_are_not() {
        let people = ["Ada", "Ada Lovelace", "é"].map(str::to_owned);
        let text = |text: &str| Inline::Text(text.to_owned());
        let strong = |name: &str| Inline::Strong(vec![text(name)]);
        assert_eq!(
            split("ask @Ada Lovelace, or @Ada.", &people),
            [text("ask "), strong("@Ada Lovelace"), text(", or "), strong("@Ada"), text("."),]
        );
        assert_eq!(split("@Adam and a@b", &people), [text("@Adam and a@b")]);
        assert_eq!(split("@é", &people), [strong("@é")]);
    }
}
