//! The card of a model: read, written, looked at before it is saved, and what changed when.

use super::parts::{Part, Top};
use crate::{format, pages::files::prose, ui::prelude::*};
use domain::{
    Page,
    model::Model,
    model_card::{ModelCard, ModelCardEntry},
    preview::Block,
    text_diff::TextDiff,
};
use leptos::prelude::*;

/// A card, with its prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCard {
    /// The card.
    pub card: ModelCard,
    /// What its Markdown says.
    pub blocks: Vec<Block>,
}

/// A card that is being written.
#[derive(Debug, Clone, Default)]
pub struct CardEdit {
    /// What was typed, and what is wrong with it. The field is `text`.
    pub draft: Draft,
    /// The number of the card that it will replace.
    pub instead_of: Option<i32>,
    /// How it will look, when that was asked for.
    pub preview: Option<Vec<Block>>,
    /// What somebody else saved meanwhile: who, and what is different from there to what was typed.
    pub meanwhile: Option<(ModelCard, TextDiff)>,
}

/// What the page shows.
#[derive(Debug, Clone)]
pub struct CardPage {
    /// The model.
    pub model: Model,
    /// The number of the card in force.
    pub latest: Option<i32>,
    /// The card that is shown.
    pub shown: Option<ShownCard>,
    /// Two that are compared, and what is different.
    pub compared: Option<(i32, i32, TextDiff)>,
    /// The one that is being written.
    pub edit: Option<CardEdit>,
    /// All there were, newest first.
    pub history: Page<ModelCardEntry>,
    /// Whether the reader may write it.
    pub may_write: bool,
}

/// What a card should say, to begin with.
pub const OUTLINE: &str = "## What it is for\n\n\n## What it is not for\n\n\n## Data\n\n\n## How well it does, and where not\n\n\n## Owners\n\n";

/// The card of a model.
#[component]
pub fn Card(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `number` is an older card, `a` and `b` two to compare, `edit` writes.
    address: Address,
    /// What it shows.
    page: CardPage,
) -> impl IntoView {
    let model = page.model.clone();
    let here = links.card(&model.name);
    let has_card = page.latest.is_some();
    let writes = page.edit.is_some();
    let edit = (page.may_write && !writes).then(|| {
        let text = if has_card { "Edit card" } else { "Write card" };
        view! { <ButtonLink text href=format!("{here}?edit=1") kind=Kind::Primary/> }.into_any()
    });
    let main = match (page.edit.clone(), page.compared.clone(), page.shown.clone()) {
        (Some(edit), ..) => view! { <Editor here=here.clone() edit/> }.into_any(),
        (None, Some((a, b, diff)), _) => {
            view! { <Compared here=here.clone() a b diff/> }.into_any()
        }
        (None, None, Some(shown)) => view! { <Shown here=here.clone() shown latest=page.latest may_write=page.may_write/> }.into_any(),
        (None, None, None) => view! {
            <div class="panel">
                <Empty
                    symbol=Symbol::File
                    title="No card yet"
                    text="A card says what the model is for and not for, which data it saw, how well it does and where not, and who answers for it. It is Markdown, and every version of it is kept."
                />
            </div>
        }
        .into_any(),
    };
    let none = page.history.items.is_empty();
    view! {
        <Top links=links.clone() model part=Part::Card has_card actions=edit/>
        {if none {
            main
        } else {
            view! {
                <div class="with-aside">
                    <div class="stack">{main}</div>
                    <aside class="stack" aria-label="History of the card"><Versions here address page/></aside>
                </div>
            }
                .into_any()
        }}
    }
}

/// A card as it reads.
#[component]
fn Shown(here: String, shown: ShownCard, latest: Option<i32>, may_write: bool) -> impl IntoView {
    let ShownCard { card, blocks } = shown;
    let is_old = latest.is_some_and(|latest| latest != card.number);
    let was = card.number;
    let note = view! { {format!("version {was}, saved by {} ", card.author)}<When at=card.created_at/> };
    view! {
        {is_old
            .then(|| {
                let compare = format!("{here}?a={was}&b={}", latest.unwrap_or_default());
                view! {
                    <Callout symbol=Symbol::Undo>
                        "This is version "{was}". "<a href=here.clone()>{format!("Version {} is in force", latest.unwrap_or_default())}</a>
                        "; "<a href=compare>"what changed since"</a>
                        {may_write
                            .then(|| {
                                let again = format!("{here}?number={was}&edit=1");
                                view! { "; "<a href=again>"start again from it"</a> }
                            })}
                        "."
                    </Callout>
                }
            })}
        <section class="panel" id="card" aria-labelledby="h-card">
            <header><h2 id="h-card">"Card"</h2><span class="note">{note}</span></header>
            {if blocks.is_empty() {
                view! { <div class="body"><p class="muted">"This version is empty: the card was taken away."</p></div> }.into_any()
            } else {
                view! { <div class="body doc">{prose::alone(blocks)}</div> }.into_any()
            }}
        </section>
    }
}

/// Two cards against each other.
#[component]
fn Compared(here: String, a: i32, b: i32, diff: TextDiff) -> impl IntoView {
    let (added, removed) = (diff.added, diff.removed);
    let turn = format!("{here}?a={b}&b={a}");
    view! {
        <Panel
            title=format!("Card, version {a} → {b}")
            id="changes"
            lead=view! { <DiffCount added removed/> }.into_any()
            actions=view! { <ButtonLink text="Turn around" href=turn kind=Kind::Ghost/> }.into_any()
        >
            <Diff diff label=format!("Changes from version {a} to {b} of the card")/>
        </Panel>
    }
}

/// The form. Looking at it first saves nothing, and needs no scripts.
#[component]
fn Editor(here: String, edit: CardEdit) -> impl IntoView {
    let CardEdit { draft, instead_of, preview, meanwhile } = edit;
    let number = instead_of.map_or(1, |number| number + 1);
    let leave = here.clone();
    // What somebody else changed is told above, with the difference.
    let errors = if meanwhile.is_some() { Draft::default() } else { draft.clone() };
    view! {
        {meanwhile
            .map(|(card, diff)| {
                let (added, removed) = (diff.added, diff.removed);
                view! {
                    <Callout alert=true tone=Tone::Warn>
                        {format!("{} saved version {} while you were writing. ", card.author, card.number)}
                        "Nothing of yours is lost, and nothing of theirs: below is what saving would change of their version."
                    </Callout>
                    <Panel
                        title=format!("From version {} to what you typed", card.number)
                        id="meanwhile"
                        lead=view! { <DiffCount added removed/> }.into_any()
                    >
                        <Diff diff label="What saving would change"/>
                    </Panel>
                }
            })}
        <form class="panel card-form" id="edit" method="post" action=here aria-labelledby="h-edit">
            <header><h2 id="h-edit">{format!("Version {number} of the card")}</h2></header>
            <div class="body stack">
                <FormErrors draft=errors fields=&["text"]/>
                <input type="hidden" name="instead_of" value=instead_of.map(|number| number.to_string()).unwrap_or_default()/>
                <TextArea
                    label="Text"
                    name="text"
                    draft
                    rows=18
                    mono=true
                    hint="Markdown: headings, lists, tables, code, links. Raw HTML and pictures are left out."
                />
                <div class="buttons">
                    <Button text="Preview" name="do" value="preview"/>
                    <Button text="Save card" kind=Kind::Primary name="do" value="save"/>
                    <ButtonLink text="Leave" href=leave kind=Kind::Ghost/>
                </div>
            </div>
        </form>
        {preview
            .map(|blocks| {
                view! {
                    <section class="panel" id="preview" aria-labelledby="h-preview">
                        <header><h2 id="h-preview">"Preview"</h2><span class="note">"not saved yet"</span></header>
                        {if blocks.is_empty() {
                            view! { <div class="body"><p class="muted">"Nothing: saving this takes the card away."</p></div> }.into_any()
                        } else {
                            view! { <div class="body doc">{prose::alone(blocks)}</div> }.into_any()
                        }}
                    </section>
                }
            })}
    }
}

/// All there were; two of them can be compared.
#[component]
fn Versions(here: String, address: Address, page: CardPage) -> impl IntoView {
    let shown =
        page.shown.as_ref().map(|shown| shown.card.number).filter(|_| page.edit.is_none() && page.compared.is_none());
    let entries = page.history.items;
    let newest = entries.first().map(|entry| entry.number);
    let second = entries.get(1).map(|entry| entry.number);
    let (a, b) = page.compared.as_ref().map_or((second, newest), |(a, b, _)| (Some(*a), Some(*b)));
    let several = entries.len() > 1;
    let count = entries.len();
    let rows = entries
        .into_iter()
        .map(|entry| {
            let number = entry.number;
            let href = format!("{here}?number={number}");
            let radio = |name: &'static str, label: String, checked: bool| {
                view! { <input type="radio" name=name value=number.to_string() aria-label=label checked=checked/> }
            };
            let words = if entry.characters == 0 {
                "taken away".to_owned()
            } else {
                format::count(i64::from(entry.characters), "character", "characters")
            };
            view! {
                <li aria-current=(shown == Some(number)).then_some("true")>
                    {several.then(|| view! {
                        <span class="pair">
                            {radio("a", format!("Compare from version {number}"), a == Some(number))}
                            {radio("b", format!("Compare to version {number}"), b == Some(number))}
                        </span>
                    })}
                    <Avatar name=entry.author.clone()/>
                    <div class="grow">
                        <div class="ellipsis"><a class="t" href=href>{format!("Version {number}")}</a></div>
                        <div class="sub ellipsis">{format!("{}, {words}", entry.author)}</div>
                    </div>
                    <span class="end"><When at=entry.created_at/></span>
                </li>
            }
        })
        .collect_view();
    let next = page.history.next_page_token;
    view! {
        <form class="panel" method="get" action=here aria-labelledby="h-versions">
            <header>
                <h2 id="h-versions">"Versions"</h2>
                <span class="note n">{page.latest}</span>
                {several.then(|| view! { <div class="push actions"><Button text="Compare"/></div> })}
            </header>
            <ul class="list link">{rows}</ul>
        </form>
        {next.map(|next| view! { <Pager address shown=count next=Some(next) one="version" many="versions"/> })}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples::models};

    fn html(page: CardPage) -> String {
        fragment(move || {
            view! { <Card links=Links::new("lab") address=Address::new("/w/lab/models/wine/card", []) page/> }
        })
    }

    #[test]
    fn a_card_that_was_refused_keeps_what_was_typed_and_shows_what_somebody_else_changed() {
        let html = html(models::card_conflict());
        for part in [
            "Grown in two valleys.",
            "saved version 3 while you were writing",
            r#"name="instead_of" value="3""#,
            "Removed: ",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn who_may_not_write_is_not_asked_to() {
        let page = CardPage { may_write: false, ..models::card() };
        assert!(!html(page).contains("Edit card"));
        assert!(html(models::card()).contains("Edit card"));
    }
}
