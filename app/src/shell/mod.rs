//! The document around every page: head, top bar, navigation, and what starts the islands.

mod frame;

use crate::ui::{
    icon::{Brand, Symbol, SymbolSheet},
    panel::Callout,
    time::Now,
};
use chrono::{DateTime, Utc};
use frame::Frame;
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
    /// Datasets and their versions.
    Datasets,
    /// The registry.
    Models,
    /// Requests to bring a version into an environment.
    Promotions,
    /// Environments and their policies.
    Environments,
    /// When nothing is deployed, or only then.
    Freezes,
    /// What a version needs to enter an environment.
    Policies,
    /// What serves.
    Deployments,
    /// What somebody should look at.
    Alerts,
    /// Who did what, when.
    Audit,
    /// Members, tokens, sessions.
    Settings,
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

/// The icon of browser tabs, to be served as `/favicon.svg`.
pub const FAVICON: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20" fill="#00668a">"##,
    r#"<style>@media(prefers-color-scheme:dark){svg{fill:#4cc2e0}}</style>"#,
    r#"<path d="M1 18.5 19 11.6v6.9Z" opacity=".55"/>"#,
    r#"<path d="M2 13.3 17.6 7.3c-.5 2.3-1.7 3.7-3.7 4.5l-7.4 2.8c-2 .7-3.5.3-4.5-1.3Z"/>"#,
    r#"<path d="M8.8 2.2h1.7v6.3l-1.7.7Z"/></svg>"#,
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        links::Links,
        pages::{experiment, home, run, trouble::Trouble},
        render::{Rendered, render},
        samples,
        ui::query::Address,
    };

    fn chrome() -> Chrome {
        let lab = WorkspaceChip { slug: "lab".into(), name: "Wine lab".into() };
        Chrome {
            assets: Assets {
                css: "/pkg/main.1.css".into(),
                ui_js: "/pkg/ui.1.js".into(),
                chart_js: "/pkg/chart.1.js".into(),
                bundle: "slipway.1".into(),
            },
            title: "Home".into(),
            here: "/w/lab?x=1".into(),
            theme: Theme::System,
            user: Some(UserChip {
                name: "Data scientist".into(),
                email: "d@example.com".into(),
                roles: "viewer".into(),
            }),
            workspaces: vec![lab.clone()],
            workspace: Some(lab),
            section: Some(Section::Home),
            counts: Counts { promotions: 3, alerts: 0, mine: 0 },
            notice: None,
            now: samples::moment(),
            version: "0.1.0",
        }
    }

    fn page<V: IntoView + 'static>(chrome: Chrome, view: impl FnOnce() -> V + Send + 'static) -> Rendered {
        render(move || view! { <Document chrome>{view()}</Document> })
    }

    #[test]
    fn a_page_starts_its_islands_under_its_own_nonce() {
        let Rendered { html, nonce } =
            page(chrome(), || view! { <home::Home links=Links::new("lab") page=samples::home()/> });
        assert!(html.starts_with("<!DOCTYPE html><html lang=\"en\""), "{}", &html[..200]);
        assert_eq!(html.matches("<script").count(), 2, "the keys and what starts the islands");
        assert_eq!(html.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
        assert!(html.contains(r#"<leptos-island data-component="LiveRegion_"#), "{html}");
        for file in ["/pkg/slipway.1.js", "/pkg/slipway.1_bg.wasm", "/pkg/main.1.css", "/pkg/ui.1.js"] {
            assert!(html.contains(file), "{file}");
        }
    }

    #[test]
    fn no_page_needs_inline_styles_or_handlers() {
        let links = || Links::new("lab");
        let pages = [
            page(chrome(), move || view! { <home::Home links=links() page=samples::home()/> }),
            page(chrome(), move || view! { <home::Welcome links=links() page=samples::welcome()/> }),
            page(chrome(), move || {
                view! { <experiment::Runs links=links() address=Address::default() page=samples::runs() error=None/> }
            }),
            page(
                chrome(),
                move || view! { <run::Detail links=links() address=Address::default() page=samples::run()/> },
            ),
            page(chrome(), move || {
                view! { <Trouble status=404 error=domain::Error::not_found("model", "x") links=Some(links())/> }
            }),
        ];
        for Rendered { html, .. } in pages {
            // Attributes follow a space; texts have theirs escaped or are not followed by an equals sign and a quote.
            for forbidden in [" style=\"", " onclick=\"", " onload=\"", " onsubmit=\"", " onchange=\"", "javascript:"] {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
        }
    }

    #[test]
    fn the_chosen_theme_is_on_the_page_before_it_is_painted() {
        let dark = page(Chrome { theme: Theme::Dark, ..chrome() }, || ());
        assert!(dark.html.contains(r#"<html lang="en" data-theme="dark">"#), "{}", &dark.html[..120]);
        let system = page(chrome(), || ());
        assert!(!system.html.contains("data-theme"));
    }

    #[test]
    fn numbers_stand_in_the_navigation_only_where_something_waits() {
        let html = page(chrome(), || ()).html;
        assert!(html.contains(r#"Promotions<span class="n">3</span>"#), "{html}");
        assert!(html.contains("Alerts</a>"), "{html}");
    }

    #[test]
    fn nobody_signed_in_sees_no_navigation() {
        let html = page(Chrome { workspace: None, user: None, ..chrome() }, || ()).html;
        assert!(!html.contains("class=\"nav\"") && html.contains("class=\"door\""), "{html}");
    }

    #[test]
    fn a_manifest_without_a_file_is_no_manifest() {
        let names = |names: &[(&str, &str)]| names.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let all = [
            ("main.css", "main.1.css"),
            ("ui.js", "ui.2.js"),
            ("chart.js", "chart.3.js"),
            ("slipway.js", "slipway.4.js"),
        ];
        assert_eq!(Assets::from_manifest(&names(&all)).map(|assets| assets.bundle), Some("slipway.4".to_owned()));
        assert_eq!(Assets::from_manifest(&names(&all[1..])), None);
    }
}
