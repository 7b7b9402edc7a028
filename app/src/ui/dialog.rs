//! What floats: the question before something is destroyed, and menus. All work without scripts.

use super::{
    button::{Button, ButtonLink, Kind},
    field::{self, Draft, FormErrors},
    icon::{Icon, Symbol},
};
use leptos::prelude::*;

/// The question before something is destroyed. It says what, and what is lost; a [`Button`] with `opens` shows it.
#[component]
pub fn Confirm(
    /// Its id, which the button opens.
    #[prop(into)]
    id: String,
    /// The question: `Delete 3 runs?`
    #[prop(into)]
    title: String,
    /// Where the answer is sent.
    #[prop(into)]
    action: String,
    /// What the button says, as a verb with its object: `Delete 3 runs`.
    #[prop(into)]
    go: String,
    /// What the way out says: `Keep them`.
    #[prop(into)]
    keep: String,
    /// Values it sends along.
    #[prop(optional)]
    values: Vec<(&'static str, String)>,
    /// What is destroyed, and for how long it can be restored.
    children: Children,
) -> impl IntoView {
    view! { <Frame id title action go kind=Kind::Danger keep>{children()} {field::hidden(values)}</Frame> }
}

/// What floats over the page until it is answered or closed.
#[component]
fn Frame(
    id: String,
    title: String,
    action: String,
    go: String,
    kind: Kind,
    keep: String,
    children: Children,
) -> impl IntoView {
    let heading = format!("{id}-title");
    view! {
        <section class="dialog" id=id.clone() popover="" role="dialog" aria-labelledby=heading.clone()>
            <form method="post" action=action>
                <header><h2 id=heading.clone()>{title}</h2></header>
                <div class="body">{children()}</div>
                <footer>
                    <Button text=keep closes=id.clone()/>
                    <Button text=go kind/>
                </footer>
            </form>
        </section>
    }
}

/// A short form; a [`Button`] with `opens` shows it. One that was refused stands in the page, where nobody has to open it.
#[component]
pub fn Ask(
    /// Its id, which the button opens.
    #[prop(into)]
    id: String,
    /// What it does: `Rename this run`.
    #[prop(into)]
    title: String,
    /// Where it is sent.
    #[prop(into)]
    action: String,
    /// What the button says, as a verb.
    #[prop(into)]
    go: String,
    /// Where one leaves to when it was refused: the page without it.
    #[prop(into)]
    leave: String,
    /// What was typed, and what is wrong with it.
    draft: Draft,
    /// The fields that show their own errors.
    fields: &'static [&'static str],
    /// Values it sends along.
    #[prop(optional)]
    values: Vec<(&'static str, String)>,
    /// The fields.
    children: Children,
) -> impl IntoView {
    let values = field::hidden(values);
    if draft.is_refused() {
        let heading = format!("{id}-title");
        return view! {
            <form class="panel narrow mt-4" id=id method="post" action=action aria-labelledby=heading.clone()>
                <header><h2 id=heading.clone()>{title}</h2></header>
                <div class="body stack">
                    <FormErrors draft fields/>
                    {children()}
                    {values}
                    <div class="buttons">
                        <Button text=go kind=Kind::Primary/>
                        <ButtonLink text="Leave" href=leave kind=Kind::Ghost/>
                    </div>
                </div>
            </form>
        }
        .into_any();
    }
    view! { <Frame id title action go kind=Kind::Primary keep="Close".to_owned()>{children()} {values}</Frame> }
        .into_any()
}

/// What else can be done with a thing: a disclosure that opens in place.
#[component]
pub fn More(
    /// Of what.
    #[prop(into)]
    label: String,
    /// Whether it is open from the start.
    #[prop(optional)]
    open: bool,
    /// Links and buttons of class `item`.
    children: Children,
) -> impl IntoView {
    view! {
        <details class="more" open=open>
            <summary class="icon-btn" aria-label=label><Icon symbol=Symbol::More/></summary>
            <div class="menu">{children()}</div>
        </details>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, ui::field::TextField};
    use domain::error::Error;

    fn html(draft: Draft) -> String {
        fragment(move || {
            view! {
                <Ask id="rename" title="Rename" action="/a" go="Rename" leave="/b" draft=draft.clone() fields=&["name"]>
                    <TextField label="Name" name="name" draft/>
                </Ask>
            }
        })
    }

    #[test]
    fn a_form_that_was_refused_stands_in_the_page_and_needs_no_opening() {
        assert!(html(Draft::default()).contains("popover"), "{}", html(Draft::default()));
        let refused = html(Draft::of([("name", "x")]).refused(&Error::invalid_field("name", "Taken.")));
        assert!(
            !refused.contains("popover") && refused.contains("Taken.") && refused.contains(r#"href="/b""#),
            "{refused}"
        );
    }
}
