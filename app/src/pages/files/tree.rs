//! Folders and files: links, those of open folders below them. Without a script, and by every key that goes from link to link.

use super::FilesPage;
use crate::{links::FileLinks, ui::prelude::*};
use domain::artifact_tree::{MAX_ARCHIVE, MAX_ARCHIVE_FILES, PAGE, TreeEntry, TreePage};
use leptos::prelude::*;

/// How much there is: `9 files, 7.9 MiB`.
fn amount(page: &TreePage) -> String {
    format!("{}, {}", format::count(page.files, "file", "files"), format::bytes(page.size.unsigned_abs()))
}

/// The tree, with how much there is in all.
#[component]
pub(super) fn Tree(links: FileLinks, address: Address, page: FilesPage, live: bool) -> impl IntoView {
    let root = page.open.first().cloned().unwrap_or_default();
    let note = amount(&root);
    let fits = root.files <= MAX_ARCHIVE_FILES && root.size <= MAX_ARCHIVE;
    let all = fits.then(|| {
        view! {
            <a class="icon-btn tip" href=links.archive("") download="" aria-label="Download all as zip" data-tip="Download all as zip">
                <Icon symbol=Symbol::Download/>
            </a>
        }
        .into_any()
    });
    let chosen = page.file.as_ref().map(|file| file.path.to_string());
    let chosen = chosen.or_else(|| page.open.last().map(|folder| folder.folder.clone())).unwrap_or_default();
    view! {
        <Panel title="Files" id="tree" note live actions=all.into_any()>
            <nav class="body tree" aria-label="Files">
                <Level address open=page.open chosen/>
            </nav>
        </Panel>
    }
}

/// The first of the open folders, and those within it.
#[component]
fn Level(address: Address, open: Vec<TreePage>, chosen: String) -> impl IntoView {
    let mut open = open.into_iter();
    let Some(page) = open.next() else { return ().into_any() };
    let within: Vec<TreePage> = open.collect();
    let opened = within.first().map(|page| page.folder.clone());
    let (before, shown, total) = (page.before, page.entries.len(), page.total);
    let rows = page
        .entries
        .into_iter()
        .map(|entry| {
            let is_open = opened.as_ref() == Some(&entry.path);
            let below = is_open.then(|| {
                view! { <Level address=address.clone() open=within.clone() chosen=chosen.clone()/> }.into_any()
            });
            let is_chosen = entry.path == chosen;
            view! { <li><Leaf address=address.clone() entry is_open is_chosen/>{below}</li> }
        })
        .collect_view();
    let shown = i64::try_from(shown).unwrap_or(i64::MAX);
    let here = match page.folder.is_empty() {
        true => address.without("path").without("from"),
        false => address.with("path", page.folder.clone()).without("from"),
    };
    let earlier = (before > 0).then(|| {
        view! {
            <li class="pages">
                <span>{format!("{} earlier", format::integer(before))}</span>
                <a href=here.href()>"First"</a>
            </li>
        }
    });
    let later = (shown < total).then(|| {
        let text = if before == 0 {
            format!("{} of {}", format::integer(shown), format::integer(total))
        } else {
            format!(
                "{} to {} of {}",
                format::integer(before + 1),
                format::integer(before + shown),
                format::integer(total)
            )
        };
        let step = i64::try_from(PAGE).unwrap_or(i64::MAX).min(total - before - shown);
        let next = page.next.map(|from| here.with("from", from).href());
        view! {
            <li class="pages">
                <span>{text}</span>
                {next.map(|href| view! { <a href=href>{format!("Next {}", format::integer(step))}</a> })}
            </li>
        }
    });
    view! { <ul>{earlier}{rows}{later}</ul> }.into_any()
}

/// A folder or file. The link of a folder that is chosen closes it.
#[component]
fn Leaf(address: Address, entry: TreeEntry, is_open: bool, is_chosen: bool) -> impl IntoView {
    let name = entry.name().to_owned();
    let target = match (entry.is_dir && is_chosen, entry.path.rsplit_once('/')) {
        (false, _) => address.with("path", entry.path.clone()),
        (true, Some((above, _))) => address.with("path", above),
        (true, None) => address.without("path"),
    };
    let expanded = entry.is_dir.then_some(if is_open { "true" } else { "false" });
    let symbol = if entry.is_dir { Symbol::Folder } else { Symbol::File };
    let title = name.clone();
    view! {
        <a
            class=if entry.is_dir { "leaf dir" } else { "leaf" }
            href=target.href()
            aria-expanded=expanded
            aria-current=is_chosen.then_some("page")
            title=title
        >
            <Icon symbol/>
            <span>{name}</span>
            <span class="end">{format::bytes(entry.size.unsigned_abs())}</span>
        </a>
    }
}

/// What is right at the root, as a part of another page.
#[component]
pub fn Glance(
    /// The page on which the files are looked at.
    address: Address,
    /// What is there.
    page: FilesPage,
) -> impl IntoView {
    const MOST: usize = 12;
    let root = page.open.into_iter().next().unwrap_or_default();
    let more = root.total - i64::try_from(root.entries.len().min(MOST)).unwrap_or_default();
    let is_empty = root.files == 0;
    let note = if is_empty { String::new() } else { amount(&root) };
    let leaves = root
        .entries
        .into_iter()
        .take(MOST)
        .map(|entry| view! { <Leaf address=address.clone() entry is_open=false is_chosen=false/> })
        .collect_view();
    let all = address.href();
    view! {
        <Panel title="Artifacts" id="artifacts" note live=true>
            {if is_empty {
                view! { <Body><p class="muted">"It logged no files."</p></Body> }.into_any()
            } else {
                view! {
                    <div class="body tree">
                        {leaves}
                        {(more > 0)
                            .then(|| view! { <a class="leaf more" href=all>{format::count(more, "more entry", "more entries")}</a> })}
                    </div>
                }
                    .into_any()
            }}
        </Panel>
    }
}
