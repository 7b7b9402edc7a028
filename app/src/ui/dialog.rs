//! What floats: the question before something is destroyed, and menus. All work without scripts.

use super::{
    button::{Button, Kind},
    field::{Draft, TextField},
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
    /// What has to be typed, where much is lost. Sent as `confirm`.
    #[prop(optional, into)]
    phrase: Option<String>,
    /// Values it sends along.
    #[prop(optional)]
    values: Vec<(&'static str, String)>,
    /// What was typed, when it was sent and refused.
    #[prop(optional)]
    draft: Draft,
    /// What is destroyed, and for how long it can be restored.
    children: Children,
) -> impl IntoView {
    let heading = format!("{id}-title");
    let field = format!("{id}-confirm");
    view! {
        <section class="dialog" id=id.clone() popover="" role="dialog" aria-labelledby=heading.clone()>
            <form method="post" action=action>
                <header><h2 id=heading.clone()>{title}</h2></header>
                <div class="body">
                    {children()}
                    {phrase
                        .map(|phrase| {
                            view! {
                                <TextField
                                    label=format!("Type “{phrase}” to confirm")
                                    name="confirm"
                                    id=field
                                    autocomplete="off"
                                    draft
                                />
                            }
                        })}
                    {values
                        .into_iter()
                        .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
                        .collect_view()}
                </div>
                <footer>
                    <Button text=keep closes=id.clone()/>
                    <Button text=go kind=Kind::Danger/>
                </footer>
            </form>
        </section>
    }
}

/// What else can be done with a thing: a disclosure that opens in place.
#[component]
pub fn More(
    /// Of what.
    #[prop(into)]
    label: String,
    /// Links and buttons of class `item`.
    children: Children,
) -> impl IntoView {
    view! {
        <details class="more">
            <summary class="icon-btn" aria-label=label><Icon symbol=Symbol::More/></summary>
            <div class="menu">{children()}</div>
        </details>
    }
}
