//! Panels, and what stands in them: facts, rows, callouts, nothing yet.

use super::{
    copy::Command,
    icon::{Icon, Symbol},
    state::Tone,
};
use leptos::prelude::*;

/// A panel: one hairline, a title, what belongs together.
#[component]
pub fn Panel(
    /// Its title.
    #[prop(into)]
    title: String,
    /// Its id, for links to it and updates in place.
    #[prop(into)]
    id: String,
    /// A few words beside the title, such as a count.
    #[prop(optional, into)]
    note: Option<String>,
    /// A state beside the title.
    #[prop(optional)]
    lead: Option<AnyView>,
    /// Links and buttons at the end of the title.
    #[prop(optional)]
    actions: Option<AnyView>,
    /// Small print.
    #[prop(optional)]
    foot: Option<AnyView>,
    /// Whether its content changes by itself.
    #[prop(optional)]
    live: bool,
    /// Its content: a `Body`, a table, a list.
    children: Children,
) -> impl IntoView {
    let heading = format!("h-{id}");
    let is_short = note.as_ref().is_some_and(|note| note.len() < 12);
    view! {
        <section class="panel" id=id aria-labelledby=heading.clone() data-live=live.then_some("")>
            <header>
                <h2 id=heading.clone()>{title}</h2>
                {lead}
                {note.map(|note| view! { <span class=if is_short { "note n" } else { "note" }>{note}</span> })}
                {actions.map(|actions| view! { <div class="push actions">{actions}</div> })}
            </header>
            {children()}
            {foot.map(|foot| view! { <footer>{foot}</footer> })}
        </section>
    }
}

/// The padded inside of a panel.
#[component]
pub fn Body(
    /// Whether its parts stand close together.
    #[prop(optional)]
    tight: bool,
    /// What stands in it.
    children: Children,
) -> impl IntoView {
    view! { <div class=if tight { "body stack tight" } else { "body stack" }>{children()}</div> }
}

/// A list of facts: [`Fact`]s.
#[component]
pub fn Facts(
    /// Whether it is in the smaller type.
    #[prop(optional)]
    small: bool,
    /// The facts.
    children: Children,
) -> impl IntoView {
    view! { <dl class=if small { "kv small" } else { "kv" }>{children()}</dl> }
}

/// One fact.
#[component]
pub fn Fact(
    /// Its name.
    #[prop(into)]
    name: String,
    /// Whether name and value are code.
    #[prop(optional)]
    mono: bool,
    /// Its value.
    children: Children,
) -> impl IntoView {
    let class = mono.then_some("mono");
    view! {
        <dt class=class>{breaks(&name)}</dt>
        <dd class=class>{children()}</dd>
    }
}

/// A name that may be broken after its parts, and within them only where one is too long.
fn breaks(name: &str) -> impl IntoView + use<> {
    let parts = name.split_inclusive(['.', '/', '_', '-']).map(str::to_owned);
    parts.map(|part| view! { {part}<wbr/> }).collect_view()
}

/// A list of [`Row`]s in a panel.
#[component]
pub fn Rows(
    /// The rows.
    children: Children,
) -> impl IntoView {
    view! { <ul class="list link">{children()}</ul> }
}

/// A row: its state, what it is about, why or since when, and how long.
#[component]
pub fn Row(
    /// What it is about.
    #[prop(into)]
    title: String,
    /// Where that is.
    #[prop(optional, into)]
    href: Option<String>,
    /// Why, or since when.
    #[prop(optional)]
    sub: Option<AnyView>,
    /// Its state, before it.
    #[prop(optional)]
    state: Option<AnyView>,
    /// What stands between the text and the end.
    #[prop(optional)]
    more: Option<AnyView>,
    /// A time or a number at the end.
    #[prop(optional)]
    end: Option<AnyView>,
) -> impl IntoView {
    view! {
        <li>
            {state}
            <div class="grow">
                <div class="ellipsis">
                    {match href {
                        Some(href) => view! { <a class="t" href=href>{title}</a> }.into_any(),
                        None => view! { <span class="t">{title}</span> }.into_any(),
                    }}
                </div>
                {sub.map(|sub| view! { <div class="sub ellipsis">{sub}</div> })}
            </div>
            {more}
            {end.map(|end| view! { <span class="end">{end}</span> })}
        </li>
    }
}

/// Something to know before going on.
#[component]
pub fn Callout(
    /// How urgent.
    #[prop(optional)]
    tone: Tone,
    /// Its symbol.
    #[prop(default = Symbol::Warn)]
    symbol: Symbol,
    /// Whether it just happened, so that screen readers say it at once.
    #[prop(optional)]
    alert: bool,
    /// What to know.
    children: Children,
) -> impl IntoView {
    view! {
        <div class="callout" data-s=tone.as_str() role=alert.then_some("alert")>
            <Icon symbol/>
            <div>{children()}</div>
        </div>
    }
}

/// Nothing here yet: what will stand here, and what to do, with a command to copy where there is one.
#[component]
pub fn Empty(
    /// A symbol of what will stand here.
    symbol: Symbol,
    /// What is missing.
    #[prop(into)]
    title: String,
    /// What makes it appear.
    #[prop(into)]
    text: String,
    /// The command that does it.
    #[prop(optional, into)]
    command: Option<String>,
    /// Buttons.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty">
            <Icon symbol/>
            <h3>{title}</h3>
            <p>{text}</p>
            {command.map(|command| view! { <Command text=command/> })}
            {children.map(|children| children())}
        </div>
    }
}
