//! A run's files: a folder at a time, and how to get them back.

use crate::ui::prelude::*;
use domain::{id::RunId, run::ArtifactEntry};
use leptos::prelude::*;

/// The files of one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The folder's path; empty for the root.
    pub folder: String,
    /// What is in it, folders first.
    pub entries: Vec<ArtifactEntry>,
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The folder: links to folders below and above, files to save.
#[component]
pub(super) fn Files(links: Links, address: Address, run: RunId, files: Listing) -> impl IntoView {
    let total: i64 = files.entries.iter().filter_map(|entry| entry.size).sum();
    let count = files.entries.len();
    let note = match count {
        0 => None,
        _ => Some(format!(
            "{}, {}",
            format::count(i64::try_from(count).unwrap_or_default(), "entry", "entries"),
            format::bytes(u64::try_from(total).unwrap_or_default())
        )),
    };
    let up = files.folder.rsplit_once('/').map_or(String::new(), |(above, _)| above.to_owned());
    let above = (!files.folder.is_empty()).then(|| {
        let href = if up.is_empty() { address.without("path").href() } else { address.with("path", up).href() };
        view! { <a class="leaf" href=href><Icon symbol=Symbol::Folder/><span>".."</span></a> }
    });
    let title = if files.folder.is_empty() { "Artifacts".to_owned() } else { format!("Artifacts, {}", files.folder) };
    let body = if files.entries.is_empty() {
        view! { <Body><p class="muted">"No file is here."</p></Body> }.into_any()
    } else {
        let rows = files
            .entries
            .into_iter()
            .map(|entry| {
                let name = base(&entry.path);
                if entry.is_dir {
                    let href = address.with("path", entry.path).href();
                    view! { <a class="leaf" href=href><Icon symbol=Symbol::Folder/><span>{name}</span></a> }.into_any()
                } else {
                    let size = u64::try_from(entry.size.unwrap_or_default()).unwrap_or_default();
                    view! {
                        <a class="leaf" href=links.artifact(&run, &entry.path) download="">
                            <Icon symbol=Symbol::File/>
                            <span>{name}</span>
                            <span class="end">{format::bytes(size)}</span>
                        </a>
                    }
                    .into_any()
                }
            })
            .collect_view();
        view! { <div class="body tree">{above}{rows}</div> }.into_any()
    };
    match note {
        Some(note) => view! { <Panel title id="artifacts" note live=true>{body}</Panel> }.into_any(),
        None => view! { <Panel title id="artifacts" live=true>{body}</Panel> }.into_any(),
    }
}

/// How to get the files back.
#[component]
pub(super) fn Load(run: RunId, files: Listing) -> impl IntoView {
    let path = if files.folder.is_empty() { String::new() } else { format!("/{}", files.folder) };
    view! {
        <Panel title="Get them back" id="load">
            <Body tight=true>
                <p class="muted">"Every MLflow client can."</p>
                <Command text=format!("mlflow.artifacts.download_artifacts(\"runs:/{}{path}\")", run.simple())/>
            </Body>
        </Panel>
    }
}
