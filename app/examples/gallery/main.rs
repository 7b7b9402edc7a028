//! Writes every page and every component, with example values, as HTML files to look at:
//!
//! ```sh
//! cargo run -p app --features samples --example gallery -- OUT
//! ```
//!
//! Style and scripts are those of `site/manifest.json` when that exists, so serve the folder beside `site/pkg`.

mod components;
mod models;
mod operate;
mod pages;
mod promotions;

pub(crate) use app::samples::moment;
use app::{
    render::render,
    shell::{Assets, Chrome, Counts, Document, Section, Theme, UserChip, WorkspaceChip},
};
use leptos::prelude::*;
use std::{fs, io, path::Path};

fn assets() -> Assets {
    let manifest = fs::read_to_string("site/manifest.json").ok().and_then(|text| serde_json::from_str(&text).ok());
    manifest.and_then(|names| Assets::from_manifest(&names)).unwrap_or_else(|| Assets {
        css: "/pkg/main.css".into(),
        ui_js: "/pkg/ui.js".into(),
        chart_js: "/pkg/chart.js".into(),
        bundle: "slipway".into(),
    })
}

/// The frame of an example page.
pub(crate) fn chrome(title: &str, section: Option<Section>) -> Chrome {
    let lab = WorkspaceChip { slug: "wine-lab".into(), name: "Wine lab".into() };
    Chrome {
        assets: assets(),
        title: title.into(),
        here: "/w/wine-lab".into(),
        theme: Theme::System,
        user: Some(UserChip {
            name: "Product approver".into(),
            email: "product@example.com".into(),
            roles: "approver".into(),
        }),
        workspaces: vec![lab.clone(), WorkspaceChip { slug: "kiosk".into(), name: "Kiosk".into() }],
        workspace: Some(lab),
        section,
        counts: Counts { promotions: 3, alerts: 2, mine: 3 },
        notice: None,
        now: moment(),
        version: "0.1.0",
    }
}

/// Writes one page.
pub(crate) fn page<V: IntoView + 'static>(
    out: &Path,
    name: &str,
    chrome: Chrome,
    view: impl FnOnce() -> V + Send + 'static,
) -> io::Result<()> {
    let page = render(move || {
        view! { <Document chrome>{view()}</Document> }
    });
    fs::write(out.join(format!("{name}.html")), page.html)
}

fn main() -> io::Result<()> {
    let out = std::env::args().nth(1).unwrap_or_else(|| "gallery".into());
    let out = Path::new(&out);
    fs::create_dir_all(out)?;
    components::write(out)?;
    models::write(out)?;
    pages::write(out)?;
    promotions::write(out)?;
    operate::write(out)
}
