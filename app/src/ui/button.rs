//! Buttons, and links that look like them. One primary to a page; the rest plain or ghost.

use super::{
    field,
    icon::{Icon, Symbol},
};
use leptos::prelude::*;

/// How loud a button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The one thing to do here.
    Primary,
    /// Another thing to do.
    #[default]
    Plain,
    /// Destroys, stops or refuses.
    Danger,
    /// In a bar of many.
    Ghost,
}

/// How large a button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// 28 pixels.
    #[default]
    Normal,
    /// The decision, as wide as its form.
    Block,
}

fn class(kind: Kind, size: Size) -> String {
    let kind = match kind {
        Kind::Primary => " primary",
        Kind::Plain => "",
        Kind::Danger => " danger",
        Kind::Ghost => " ghost",
    };
    let size = match size {
        Size::Normal => "",
        Size::Block => " lg block",
    };
    format!("btn{kind}{size}")
}

/// A button that sends its form, or opens what `opens` names.
#[component]
pub fn Button(
    /// What it does, as a verb.
    #[prop(into)]
    text: String,
    /// How loud.
    #[prop(optional)]
    kind: Kind,
    /// How large.
    #[prop(optional)]
    size: Size,
    /// A symbol before the text.
    #[prop(optional, into)]
    symbol: Option<Symbol>,
    /// The popover that it opens or closes. Without one, the button sends its form.
    #[prop(optional, into)]
    opens: Option<String>,
    /// The popover that it closes.
    #[prop(optional, into)]
    closes: Option<String>,
    /// The name of the value it sends.
    #[prop(optional, into)]
    name: Option<String>,
    /// The value it sends.
    #[prop(optional, into)]
    value: Option<String>,
    /// Whether it sends the form though fields are missing: a way out.
    #[prop(optional)]
    novalidate: bool,
    /// Why it cannot be pressed now. The button stays, and says so.
    #[prop(optional, into)]
    because: Option<String>,
) -> impl IntoView {
    let target = opens.clone().or_else(|| closes.clone());
    let is_submit = target.is_none();
    let action = closes.is_some().then_some("hide");
    let disabled = because.is_some();
    view! {
        <button
            class=class(kind, size)
            type=if is_submit && !disabled { "submit" } else { "button" }
            popovertarget=target
            popovertargetaction=action
            name=name
            value=value
            formnovalidate=novalidate
            aria-disabled=disabled.then_some("true")
            title=because
        >
            {symbol.map(|symbol| view! { <Icon symbol=symbol/> })}
            {text}
        </button>
    }
}

/// A link that is an action: it goes to where the thing is done.
#[component]
pub fn ButtonLink(
    /// What it does, as a verb.
    #[prop(into)]
    text: String,
    /// Where.
    #[prop(into)]
    href: String,
    /// How loud.
    #[prop(optional)]
    kind: Kind,
    /// A symbol before the text.
    #[prop(optional, into)]
    symbol: Option<Symbol>,
) -> impl IntoView {
    view! {
        <a class=class(kind, Size::Normal) href=href>
            {symbol.map(|symbol| view! { <Icon symbol=symbol/> })}
            {text}
        </a>
    }
}

/// A form that is one button: an action without input, such as "Cancel run".
#[component]
pub fn Act(
    /// Where it is sent.
    #[prop(into)]
    action: String,
    /// What it does, as a verb.
    #[prop(into)]
    text: String,
    /// How loud.
    #[prop(optional)]
    kind: Kind,
    /// A symbol before the text.
    #[prop(optional, into)]
    symbol: Option<Symbol>,
    /// Values it sends along.
    #[prop(optional)]
    values: Vec<(&'static str, String)>,
) -> impl IntoView {
    view! {
        <form class="inline" method="post" action=action>
            {field::hidden(values)}
            <button class=class(kind, Size::Normal) type="submit">
                {symbol.map(|symbol| view! { <Icon symbol=symbol/> })}
                {text}
            </button>
        </form>
    }
}
