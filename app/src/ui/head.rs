//! The head of a page: where one is, what this is and how it stands, what can be done, and the pages beside it.

use leptos::prelude::*;

/// A step on the way to this page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crumb {
    /// Its name.
    pub name: String,
    /// Where it is; none for this page.
    pub href: Option<String>,
}

impl Crumb {
    /// A page above this one.
    pub fn to(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self { name: name.into(), href: Some(href.into()) }
    }

    /// This page.
    pub fn here(name: impl Into<String>) -> Self {
        Self { name: name.into(), href: None }
    }
}

/// The way to this page.
#[component]
pub fn Crumbs(
    /// From the top down.
    items: Vec<Crumb>,
) -> impl IntoView {
    view! {
        <nav class="crumbs" aria-label="Breadcrumb">
            <ol>
                {items
                    .into_iter()
                    .map(|item| match item.href {
                        Some(href) => view! { <li><a href=href>{item.name}</a></li> }.into_any(),
                        None => view! { <li aria-current="page">{item.name}</li> }.into_any(),
                    })
                    .collect_view()}
            </ol>
        </nav>
    }
}

/// The title of a page, with its state, actions and a line of facts.
#[component]
pub fn PageHead(
    /// What this is.
    #[prop(into)]
    title: AnyView,
    /// How it stands.
    #[prop(optional)]
    badge: Option<AnyView>,
    /// What can be done, the primary last.
    #[prop(optional)]
    actions: Option<AnyView>,
    /// Facts: who, when, from what. Each is one element.
    #[prop(optional)]
    meta: Option<AnyView>,
    /// Whether title, state and facts change by themselves.
    #[prop(optional)]
    live: bool,
) -> impl IntoView {
    view! {
        <header class="page-head" id="page-head" data-live=live.then_some("")>
            <h1><span>{title}</span>{badge}</h1>
            {actions.map(|actions| view! { <div class="actions">{actions}</div> })}
            {meta.map(|meta| view! { <div class="meta">{meta}</div> })}
        </header>
    }
}

/// A page beside this one, or a part of this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tab {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub href: String,
    /// How many there are, or a word like it.
    pub note: Option<String>,
    /// Whether it is shown.
    pub current: bool,
}

impl Tab {
    /// A tab that is not shown.
    pub fn new(name: impl Into<String>, href: impl Into<String>) -> Self {
        Self { name: name.into(), href: href.into(), note: None, current: false }
    }

    /// The same with a count.
    #[must_use]
    pub fn count(mut self, count: impl std::fmt::Display) -> Self {
        self.note = Some(count.to_string());
        self
    }

    /// The same, shown when this holds.
    #[must_use]
    pub fn current(mut self, current: bool) -> Self {
        self.current = current;
        self
    }
}

/// Tabs: pages of one object, or with `sticky` the parts of a long page.
#[component]
pub fn Tabs(
    /// Of what.
    #[prop(into)]
    label: String,
    /// The tabs.
    items: Vec<Tab>,
    /// Whether they are parts of this page and stay in view.
    #[prop(optional)]
    sticky: bool,
) -> impl IntoView {
    let current = if sticky { "true" } else { "page" };
    view! {
        <nav class=if sticky { "tabs sticky" } else { "tabs" } aria-label=label>
            {items
                .into_iter()
                .map(|tab| {
                    view! {
                        <a href=tab.href aria-current=tab.current.then_some(current)>
                            {tab.name}
                            {tab.note.map(|note| view! { <span class="n">{note}</span> })}
                        </a>
                    }
                })
                .collect_view()}
        </nav>
    }
}

/// A choice of a few that the address holds, such as graph or Gantt.
#[component]
pub fn Choice(
    /// Of what.
    #[prop(into)]
    label: String,
    /// Word, address, and whether it is chosen.
    items: Vec<(String, String, bool)>,
) -> impl IntoView {
    view! {
        <nav class="seg" aria-label=label>
            {items
                .into_iter()
                .map(|(word, href, current)| view! { <a href=href aria-current=current.then_some("true")>{word}</a> })
                .collect_view()}
        </nav>
    }
}
