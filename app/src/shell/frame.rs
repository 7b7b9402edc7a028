//! The frame of a workspace's pages: top bar, account, navigation, palette, keys.

use super::{Chrome, Section, Theme, UserChip, WorkspaceChip};
use crate::{
    islands::Palette,
    links::Links,
    ui::{
        avatar::Avatar,
        icon::{Brand, Icon, Symbol},
        panel::Callout,
        state::Tone,
    },
};
use leptos::prelude::*;

/// A line of the navigation.
struct Entry {
    section: Section,
    name: &'static str,
    symbol: Symbol,
    /// Its path below the workspace's home.
    path: &'static str,
    /// The letter that follows `g`.
    key: char,
}

const fn entry(section: Section, name: &'static str, symbol: Symbol, path: &'static str, key: char) -> Entry {
    Entry { section, name, symbol, path, key }
}

/// The groups of the navigation.
const GROUPS: [(&str, &[Entry]); 5] = [
    ("", &[entry(Section::Home, "Home", Symbol::Home, "", 'h')]),
    (
        "Build",
        &[
            entry(Section::Experiments, "Experiments", Symbol::Flask, "experiments", 'e'),
            entry(Section::Pipelines, "Pipelines", Symbol::Pipe, "pipelines", 'l'),
            entry(Section::Datasets, "Datasets", Symbol::Folder, "datasets", 't'),
        ],
    ),
    (
        "Release",
        &[
            entry(Section::Models, "Models", Symbol::Cube, "models", 'm'),
            entry(Section::Promotions, "Promotions", Symbol::Promote, "promotions", 'p'),
            entry(Section::Environments, "Environments", Symbol::Layers, "environments", 'v'),
            entry(Section::Freezes, "Freezes", Symbol::Wait, "freezes", 'f'),
        ],
    ),
    (
        "Operate",
        &[
            entry(Section::Deployments, "Deployments", Symbol::Live, "deployments", 'd'),
            entry(Section::Alerts, "Alerts", Symbol::Bell, "alerts", 'a'),
        ],
    ),
    (
        "Govern",
        &[
            entry(Section::Policies, "Policies", Symbol::Shield, "policies", 'y'),
            entry(Section::Audit, "Audit", Symbol::List, "audit", 'u'),
        ],
    ),
];

/// The frame of a page of a workspace.
#[component]
pub(super) fn Frame(chrome: Chrome, workspace: WorkspaceChip, children: Children) -> impl IntoView {
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
                <hr/>
                <a href=links.to("settings/workspaces")><Icon symbol=Symbol::Sliders/>"All workspaces"</a>
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
            {GROUPS
                .into_iter()
                .map(|(title, sections)| {
                    view! {
                        {(!title.is_empty()).then(|| view! { <p class="nav-title">{title}</p> })}
                        <ul>
                            {sections
                                .iter()
                                .map(|entry| {
                                    let href = if entry.path.is_empty() { links.home() } else { links.to(entry.path) };
                                    view! {
                                        <li>
                                            <a href=href aria-current=current(entry.section) data-go=entry.key.to_string()>
                                                <Icon symbol=entry.symbol/>
                                                {entry.name}
                                                {number(entry.section)
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
                <p>
                    "Slipway "{chrome.version}" · "
                    <button type="button" popovertarget="keys"><kbd>"?"</kbd>" keys"</button>
                </p>
            </div>
        </nav>
    }
}

/// Jump to anything: `⌘K`, the button in the top bar and `/` open it. Without scripts it leads to the search page.
#[component]
fn JumpTo(links: Links) -> impl IntoView {
    view! {
        <section class="palette" id="palette" popover="" role="dialog" aria-label="Jump to anything">
            <form method="get" action=links.search()>
                <Icon symbol=Symbol::Search/>
                <input
                    type="text"
                    inputmode="search"
                    name="q"
                    placeholder="Run, model, pipeline, experiment"
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
    let go = GROUPS
        .into_iter()
        .flat_map(|(_, sections)| sections.iter())
        .map(|entry| (format!("g {}", entry.key), format!("Go to {}", entry.name)))
        .chain([("g s".to_owned(), "Go to Settings".to_owned())]);
    let all: Vec<(String, String)> = [
        ("⌘ K", "Jump to anything"),
        ("/", "Filter this list, or search"),
        ("j k", "Next row, previous row"),
        ("x", "Select the row"),
        ("↵", "Open the row"),
        ("d", "To the decision"),
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
                <label class="check"><input type="checkbox" checked data-single-keys/><span>"Keys without Ctrl or ⌘"</span></label>
                <button class="btn" type="button" popovertarget="keys" popovertargetaction="hide">"Close"</button>
            </footer>
        </section>
    }
}
