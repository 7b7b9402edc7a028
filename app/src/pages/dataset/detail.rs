//! The page of a dataset: its versions, what is expected of them, and the form that makes one.

use super::{Checks, Upload, size};
use crate::ui::prelude::*;
use domain::{
    Page,
    audit::AuditEvent,
    dataset::{Dataset, DatasetVersion},
};
use leptos::prelude::*;

/// What the page shows.
#[derive(Debug, Clone)]
pub struct DetailPage {
    /// The dataset.
    pub dataset: Dataset,
    /// Its versions, newest first.
    pub versions: Page<DatasetVersion>,
    /// What happened to it, newest first.
    pub events: Vec<AuditEvent>,
    /// Whether the reader may change it.
    pub may_write: bool,
}

/// The page of a dataset.
#[component]
pub fn Detail(
    /// The addresses of the workspace.
    links: Links,
    /// This page.
    address: Address,
    /// What it shows.
    page: DetailPage,
    /// What was typed into a form of it, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let DetailPage { dataset, versions, events, may_write } = page;
    let name = dataset.name.clone();
    let Page { items, next_page_token } = versions;
    let shown = items.len();
    let push = format!("slipway data push {name} PATH");
    let rows = items.into_iter().map(|version| view! { <VersionRow links=links.clone() version/> }).collect_view();
    let table = if shown == 0 && address.get("page_token").is_none() {
        view! {
            <Empty symbol=Symbol::Folder title="No version yet" text="Push a folder, or upload files with the form beside." command=push/>
        }
        .into_any()
    } else {
        view! {
            <Table label="Versions" keys=true>
                <thead>
                    <tr>
                        <Head label="Version"/>
                        <Head label="Checks"/>
                        <Head label="Files" num=true/>
                        <Head label="Size" num=true/>
                        <Head label="Made"/>
                        <Head label="Message"/>
                        <Head label="Compare" quiet=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown total=dataset.versions next=next_page_token one="version" many="versions" keys=true/>
        }
        .into_any()
    };
    let described = dataset.description.clone();
    view! {
        <Crumbs items=vec![Crumb::to("Datasets", links.datasets()), Crumb::here(name.clone())]/>
        <PageHead
            title=name.clone().into_any()
            meta=view! {
                <span>"Made by " {dataset.author.clone()} " " <When at=dataset.created_at/></span>
            }
                .into_any()
        />
        <div class="with-aside mt-4">
            <div class="stack">
                {(!described.is_empty()).then(|| view! { <Prose text=described/> })}
                <Panel title="Versions" id="versions" note=format::integer(dataset.versions)>{table}</Panel>
                <Expectations links=links.clone() dataset=dataset.clone() may_write draft=draft.clone()/>
                <Happened events links=links.clone()/>
            </div>
            <aside class="stack" aria-label="Making a version">
                {may_write.then(|| view! { <Upload links name draft/> })}
            </aside>
        </div>
    }
}

#[component]
fn VersionRow(links: Links, version: DatasetVersion) -> impl IntoView {
    let href = links.dataset_version(&version.dataset, version.number);
    let before = version.number - 1;
    let diff = (before > 0).then(|| format!("{href}/diff?from={before}"));
    view! {
        <tr>
            <th scope="row"><a class="strong" href=href>{format!("v{}", version.number)}</a></th>
            <td><Checks state=version.checks/></td>
            <td class="num">{format::integer(version.files)}</td>
            <td class="num">{size(version.bytes)}</td>
            <td><When at=version.created_at/><span class="sub ellipsis">{version.author}</span></td>
            <td><span class="ellipsis">{version.message}</span></td>
            <td>{diff.map(|href| view! { <a href=href>{format!("Since v{before}")}</a> })}</td>
        </tr>
    }
}

/// What is expected of each version; for those who may, as JSON to be changed.
#[component]
fn Expectations(links: Links, dataset: Dataset, may_write: bool, draft: Draft) -> impl IntoView {
    let count = dataset.expectations.len();
    let rows = dataset
        .expectations
        .iter()
        .map(|one| {
            let of = one.files.clone().unwrap_or_else(|| "every table".to_owned());
            view! { <li>{one.describe()} <span class="muted">{format!(" in {of}")}</span></li> }
        })
        .collect_view();
    let source = serde_json::to_string_pretty(&dataset.expectations).unwrap_or_default();
    let draft = match draft.value("expectations") {
        Some(_) => draft,
        None => Draft::of([("expectations", source.as_str()), ("description", dataset.description.as_str())]),
    };
    let (action, is_open) = (links.dataset(&dataset.name), draft.error("expectations").is_some());
    let lines = u32::try_from(source.lines().count()).unwrap_or(u32::MAX).clamp(4, 30);
    view! {
        <Panel title="What is expected" id="expectations" note=format::integer(i64::try_from(count).unwrap_or(i64::MAX))>
            <Body>
                {match count {
                    0 => view! { <p class="muted">"Nothing is expected of the tables of this dataset."</p> }.into_any(),
                    _ => view! { <ul>{rows}</ul> }.into_any(),
                }}
                {may_write
                    .then(|| {
                        view! {
                            <details open=is_open>
                                <summary>"Change"</summary>
                                <form class="stack" method="post" action=action>
                                    <FormErrors draft=draft.clone() fields=&["description", "expectations"]/>
                                    <TextArea label="Description" name="description" optional=true draft=draft.clone()/>
                                    <TextArea
                                        label="Expectations"
                                        name="expectations"
                                        hint="JSON: [{\"rule\": \"not_null\", \"column\": \"age\"}]. Rules: schema, row_count, not_null, unique, range, regex, allowed_values."
                                        rows=lines
                                        mono=true
                                        draft
                                    />
                                    <div class="form"><div class="go"><Button text="Save" kind=Kind::Primary/></div></div>
                                </form>
                            </details>
                        }
                    })}
            </Body>
        </Panel>
    }
}
