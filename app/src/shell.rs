//! The document around every page: head, top bar, navigation, and what starts the islands.

use crate::{
    islands::Palette,
    links::Links,
    ui::{
        avatar::Avatar,
        icon::{Brand, Icon, Symbol, SymbolSheet},
        panel::Callout,
        state::Tone,
        time::Now,
    },
};
use chrono::{DateTime, Utc};
use leptos::{hydration::HydrationScripts, nonce::use_nonce, prelude::*};
use std::collections::BTreeMap;

/// Where a page loads its style, scripts and WebAssembly from: addresses that name their content, so that browsers may
/// keep them for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assets {
    /// The style sheet.
    pub css: String,
    /// The script of every page: keys, copying, menus.
    pub ui_js: String,
    /// The chart library, loaded by pages that draw.
    pub chart_js: String,
    /// The name of glue and WebAssembly, without `.js` and `_bg.wasm`.
    pub bundle: String,
}

impl Assets {
    /// The folder they are served from.
    pub const FOLDER: &'static str = "pkg";

    /// From `site/manifest.json`: logical name to hashed name. None when a file is missing from it.
    #[must_use]
    pub fn from_manifest(names: &BTreeMap<String, String>) -> Option<Self> {
        let file = |name: &str| names.get(name).map(|file| format!("/{}/{file}", Self::FOLDER));
        Some(Self {
            css: file("main.css")?,
            ui_js: file("ui.js")?,
            chart_js: file("chart.js")?,
            bundle: names.get("slipway.js")?.strip_suffix(".js")?.to_owned(),
        })
    }
}

/// What the reader prefers, from a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All of them, in the order the account menu shows.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The name in the cookie and the form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Reads the name; anything else is the system's.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text).unwrap_or_default()
    }

    fn symbol(self) -> Symbol {
        match self {
            Self::System => Symbol::Screen,
            Self::Light => Symbol::Sun,
            Self::Dark => Symbol::Moon,
        }
    }
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserChip {
    /// Their name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What they are here, in words: `contributor, approver`.
    pub roles: String,
}

/// A workspace in the switcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceChip {
    /// Its name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
}

/// A section of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What waits, what serves, what runs.
    Home,
    /// Experiments and their runs.
    Experiments,
    /// Pipelines and their runs.
    Pipelines,
    /// The registry.
    Models,
    /// Requests to bring a version into an environment.
    Promotions,
    /// Environments and their policies.
    Environments,
    /// What serves.
    Deployments,
    /// What somebody should look at.
    Alerts,
    /// Members, tokens, sessions.
    Settings,
}

impl Section {
    /// The groups of the navigation, each with the letter that follows `g`.
    const GROUPS: [(&'static str, &'static [(Section, &'static str, Symbol, &'static str, char)]); 4] = [
        ("", &[(Section::Home, "Home", Symbol::Home, "", 'h')]),
        (
            "Build",
            &[
                (Section::Experiments, "Experiments", Symbol::Flask, "experiments", 'e'),
                (Section::Pipelines, "Pipelines", Symbol::Pipe, "pipelines", 'l'),
            ],
        ),
        (
            "Release",
            &[
                (Section::Models, "Models", Symbol::Cube, "models", 'm'),
                (Section::Promotions, "Promotions", Symbol::Promote, "promotions", 'p'),
                (Section::Environments, "Environments", Symbol::Layers, "environments", 'v'),
            ],
        ),
        (
            "Operate",
            &[
                (Section::Deployments, "Deployments", Symbol::Live, "deployments", 'd'),
                (Section::Alerts, "Alerts", Symbol::Bell, "alerts", 'a'),
            ],
        ),
    ];
}

/// What waits, for the numbers in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Promotions that wait for people.
    pub promotions: i64,
    /// Alerts that are not resolved.
    pub alerts: i64,
    /// What waits for the reader.
    pub mine: i64,
}

/// What the frame of a page shows.
#[derive(Debug, Clone)]
pub struct Chrome {
    /// Style, scripts, WebAssembly.
    pub assets: Assets,
    /// The page's title, without the product's name.
    pub title: String,
    /// The address of this page, path and query: where a change of theme comes back to.
    pub here: String,
    /// Light or dark.
    pub theme: Theme,
    /// Who is signed in.
    pub user: Option<UserChip>,
    /// The workspace in use.
    pub workspace: Option<WorkspaceChip>,
    /// All workspaces of the reader, for the switcher.
    pub workspaces: Vec<WorkspaceChip>,
    /// The section the page belongs to.
    pub section: Option<Section>,
    /// The numbers of the navigation.
    pub counts: Counts,
    /// What just happened, told once after a redirect.
    pub notice: Option<String>,
    /// The moment the page is rendered at.
    pub now: DateTime<Utc>,
    /// Slipway's version.
    pub version: &'static str,
}

/// The document: with the navigation when a workspace is in use, bare before anybody is signed in.
#[component]
pub fn Document(
    /// What the frame shows.
    chrome: Chrome,
    /// The page.
    children: Children,
) -> impl IntoView {
    provide_context(Now(chrome.now));
    provide_context(chrome.assets.clone());
    let theme = (chrome.theme != Theme::System).then(|| chrome.theme.as_str());
    let options =
        LeptosOptions::builder().output_name(chrome.assets.bundle.clone()).site_pkg_dir(Assets::FOLDER).build();
    let title = format!("{} · Slipway", chrome.title);
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover"/>
                <meta name="color-scheme" content="light dark"/>
                <title>{title}</title>
                <link rel="icon" type="image/svg+xml" href="/favicon.svg"/>
                <link rel="stylesheet" href=chrome.assets.css.clone()/>
                <script type="module" src=chrome.assets.ui_js.clone() nonce=use_nonce()></script>
                <HydrationScripts options islands=true/>
            </head>
            <body>
                <SymbolSheet/>
                {match chrome.workspace.clone() {
                    Some(workspace) => view! { <Frame chrome workspace>{children()}</Frame> }.into_any(),
                    None => view! { <Door chrome>{children()}</Door> }.into_any(),
                }}
            </body>
        </html>
    }
}

/// The frame of a page outside any workspace.
#[component]
fn Door(chrome: Chrome, children: Children) -> impl IntoView {
    view! {
        <div class="door">
            <header><a class="brand" href="/" aria-label="Slipway"><Brand/><span>"Slipway"</span></a></header>
            <main id="main">
                {chrome.notice.map(|notice| view! { <Callout symbol=Symbol::Pass>{notice}</Callout> })}
                {children()}
            </main>
            <footer>"Slipway "{chrome.version}</footer>
        </div>
    }
}

/// The frame of a page of a workspace.
#[component]
fn Frame(chrome: Chrome, workspace: WorkspaceChip, children: Children) -> impl IntoView {
    let links = Links::new(workspace.slug.clone());
    view! {
        <a class="skip" href="#main">"Skip to content"</a>
        <div class="shell">
            <TopBar chrome=chrome.clone() workspace=workspace.clone() links=links.clone()/>
            <Navigation chrome=chrome.clone() links=links.clone()/>
            <main class="page" id="main" tabindex="-1">
                {chrome
                    .notice
                    .map(|notice| {
                        view! {
                            <div class="notice" role="status">
                                <Callout tone=Tone::Pass symbol=Symbol::Pass>{notice}</Callout>
                            </div>
                        }
                    })}
                {children()}
            </main>
        </div>
        <JumpTo links=links.clone()/>
        <Keys links/>
    }
}

#[component]
fn TopBar(chrome: Chrome, workspace: WorkspaceChip, links: Links) -> impl IntoView {
    let waiting = chrome.counts.mine;
    let inbox =
        if waiting == 0 { "Waiting for you: nothing".to_owned() } else { format!("Waiting for you: {waiting}") };
    view! {
        <header class="topbar">
            <button class="icon-btn only-narrow" type="button" popovertarget="nav" aria-label="Open navigation">
                <Icon symbol=Symbol::Menu/>
            </button>
            <a class="brand" href=links.home() aria-label="Slipway, home"><Brand/><span>"Slipway"</span></a>
            <span class="slash only-wide" aria-hidden="true">"/"</span>
            <button
                class="switcher"
                type="button"
                popovertarget="workspaces"
                aria-label=format!("Switch workspace, now {}", workspace.name)
            >
                <span class="ellipsis">{workspace.name.clone()}</span>
                <Icon symbol=Symbol::ChevronDown/>
            </button>
            <nav class="menu from-start" id="workspaces" popover="" aria-label="Workspaces">
                {chrome
                    .workspaces
                    .iter()
                    .map(|other| {
                        let here = other.slug == workspace.slug;
                        view! {
                            <a href=Links::new(other.slug.clone()).home() aria-current=here.then_some("true")>
                                {other.name.clone()}
                                {here.then(|| view! { <span class="end"><Icon symbol=Symbol::Check/></span> })}
                            </a>
                        }
                    })
                    .collect_view()}
            </nav>
            <button class="search" type="button" popovertarget="palette">
                <Icon symbol=Symbol::Search/>
                <span>"Search or jump to"</span>
                <kbd>"⌘K"</kbd>
            </button>
            <span class="offline" id="offline" role="status" hidden>
                <Icon symbol=Symbol::Offline/>
                <span>"Reconnecting"</span>
            </span>
            <a class="icon-btn" href=format!("{}#waiting", links.home()) aria-label=inbox>
                <Icon symbol=Symbol::Inbox/>
                {(waiting > 0).then(|| view! { <span class="count" aria-hidden="true">{waiting}</span> })}
            </a>
            {chrome.user.map(|user| view! { <Account user theme=chrome.theme here=chrome.here links/> })}
        </header>
    }
}

/// The account menu: who one is, light or dark, the way out.
#[component]
fn Account(user: UserChip, theme: Theme, here: String, links: Links) -> impl IntoView {
    view! {
        <button class="icon-btn" type="button" popovertarget="account" aria-label=format!("Your account, {}", user.name)>
            <Avatar name=user.name.clone()/>
        </button>
        <div class="menu from-end" id="account" popover="">
            <p class="who"><b>{user.name}</b>{user.email}<br/>{user.roles}</p>
            <hr/>
            <a href=links.to("settings/account")><Icon symbol=Symbol::Sliders/>"Account and sessions"</a>
            <a href=links.to("settings/tokens")><Icon symbol=Symbol::Key/>"Your tokens"</a>
            <hr/>
            <p class="label" id="theme-label">"Theme"</p>
            <form method="post" action="/preferences/theme" aria-labelledby="theme-label">
                <input type="hidden" name="next" value=here/>
                <div class="seg">
                    {Theme::ALL
                        .into_iter()
                        .map(|choice| {
                            view! {
                                <button
                                    type="submit"
                                    name="theme"
                                    value=choice.as_str()
                                    aria-pressed=if choice == theme { "true" } else { "false" }
                                >
                                    <Icon symbol=choice.symbol()/>
                                    {match choice {
                                        Theme::System => "System",
                                        Theme::Light => "Light",
                                        Theme::Dark => "Dark",
                                    }}
                                </button>
                            }
                        })
                        .collect_view()}
                </div>
            </form>
            <hr/>
            <form method="post" action="/sign-out">
                <button class="item" type="submit"><Icon symbol=Symbol::Leave/>"Sign out"</button>
            </form>
        </div>
    }
}

#[component]
fn Navigation(chrome: Chrome, links: Links) -> impl IntoView {
    let number = |section: Section| match section {
        Section::Promotions => Some((chrome.counts.promotions, false)),
        Section::Alerts => Some((chrome.counts.alerts, true)),
        _ => None,
    };
    let current = |section: Section| (chrome.section == Some(section)).then_some("page");
    view! {
        <nav class="nav" id="nav" popover="" aria-label="Workspace">
            {Section::GROUPS
                .into_iter()
                .map(|(title, sections)| {
                    view! {
                        {(!title.is_empty()).then(|| view! { <p class="nav-title">{title}</p> })}
                        <ul>
                            {sections
                                .iter()
                                .map(|(section, name, symbol, path, key)| {
                                    let href = if path.is_empty() { links.home() } else { links.to(path) };
                                    view! {
                                        <li>
                                            <a href=href aria-current=current(*section) data-go=key.to_string()>
                                                <Icon symbol=*symbol/>
                                                {*name}
                                                {number(*section)
                                                    .filter(|(count, _)| *count > 0)
                                                    .map(|(count, hot)| {
                                                        view! { <span class=if hot { "n hot" } else { "n" }>{count}</span> }
                                                    })}
                                            </a>
                                        </li>
                                    }
                                })
                                .collect_view()}
                        </ul>
                    }
                })
                .collect_view()}
            <div class="nav-foot">
                <a href=links.to("settings/members") aria-current=current(Section::Settings) data-go="s">
                    <Icon symbol=Symbol::Sliders/>
                    "Settings"
                </a>
                <p>"Slipway "{chrome.version}" · "<kbd>"?"</kbd>" keys"</p>
            </div>
        </nav>
    }
}

/// Jump to anything: `⌘K`, the button in the top bar and `/` open it. Without scripts it leads to the search page.
#[component]
fn JumpTo(links: Links) -> impl IntoView {
    view! {
        <section class="palette" id="palette" popover="" role="dialog" aria-label="Jump to anything">
            <form method="get" action=links.to("search")>
                <Icon symbol=Symbol::Search/>
                <input
                    type="text"
                    inputmode="search"
                    name="q"
                    placeholder="Run, model, pipeline, promotion"
                    autocomplete="off"
                    spellcheck="false"
                    autofocus=true
                    role="combobox"
                    aria-label="Search or jump to anything"
                    aria-expanded="false"
                    aria-controls="palette-hits"
                />
            </form>
            <div role="listbox" id="palette-hits" aria-label="Found"></div>
            <p class="note" role="status">"↑ ↓ choose, ↵ open, Esc close"</p>
        </section>
        <Palette search=links.to("api/v1/search")/>
    }
}

/// What the keys do. `ui.ts` opens it; its list is here, beside the sections that it names.
#[component]
fn Keys(links: Links) -> impl IntoView {
    let go = Section::GROUPS
        .into_iter()
        .flat_map(|(_, sections)| sections.iter())
        .map(|(_, name, _, _, key)| (format!("g {key}"), format!("Go to {name}")))
        .chain([("g s".to_owned(), "Go to Settings".to_owned())]);
    let all: Vec<(String, String)> = [
        ("⌘ K", "Jump to anything"),
        ("/", "Filter this list, or search"),
        ("j k", "Next row, previous row"),
        ("x", "Select the row"),
        ("↵", "Open the row"),
        ("Esc", "Close what floats"),
        ("?", "Show these keys"),
    ]
    .into_iter()
    .map(|(keys, what)| (keys.to_owned(), what.to_owned()))
    .chain(go)
    .collect();
    view! {
        <section class="dialog" id="keys" popover="" role="dialog" aria-labelledby="keys-title" data-home=links.home()>
            <header><h2 id="keys-title">"Keys"</h2></header>
            <div class="body">
                <dl class="keys">
                    {all
                        .into_iter()
                        .map(|(keys, what)| {
                            let keys = keys
                                .split(' ')
                                .enumerate()
                                .map(|(at, key)| {
                                    let key = key.to_owned();
                                    view! { {(at > 0).then_some(" ")}<kbd>{key}</kbd> }
                                })
                                .collect_view();
                            view! { <div><dt>{what}</dt><dd>{keys}</dd></div> }
                        })
                        .collect_view()}
                </dl>
            </div>
            <footer>
                <button class="btn" type="button" popovertarget="keys" popovertargetaction="hide">"Close"</button>
            </footer>
        </section>
    }
}

/// The icon of browser tabs, to be served as `/favicon.svg`.
pub const FAVICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="#00668a">"##,
    r#"<style>@media(prefers-color-scheme:dark){svg{fill:#4cc2e0}}</style>"#,
    r#"<path d="M1 18.5 19 11.6v6.9Z" opacity=".55"/>"#,
    r#"<path d="M2 13.3 17.6 7.3c-.5 2.3-1.7 3.7-3.7 4.5l-7.4 2.8c-2 .7-3.5.3-4.5-1.3Z"/>"#,
    r#"<path d="M8.8 2.2h1.7v6.3l-1.7.7Z"/></svg>"#,
);
