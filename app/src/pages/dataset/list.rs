//! All datasets.

use super::{Checks, size};
use crate::ui::prelude::*;
use domain::dataset::DatasetSummary;
use leptos::prelude::*;

/// The datasets of the workspace.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page: `q` is what names have in them.
    address: Address,
    /// Those to show, by name.
    datasets: Vec<DatasetSummary>,
    /// How many there are with such a name.
    total: i64,
    /// The key of the next page.
    next: Option<String>,
    /// Whether the reader may make datasets.
    may_write: bool,
) -> impl IntoView {
    let new = format!("{}?new=1", links.datasets());
    let is_filtered = address.get("q").is_some();
    let is_empty = datasets.is_empty() && address.get("page_token").is_none();
    let shown = datasets.len();
    let table = if is_empty && !is_filtered {
        let new = new.clone();
        view! {
            <section class="panel" aria-labelledby="none-yet">
                <h2 class="sr" id="none-yet">"All datasets"</h2>
                <Empty
                    symbol=Symbol::Folder
                    title="No dataset yet"
                    text="A dataset is files in versions: each version is named by its content and never changes. Push a folder, or upload files here."
                    command="slipway data push wine data/wine"
                >
                    {may_write.then(|| view! { <ButtonLink text="New dataset" href=new symbol=Symbol::Plus/> })}
                </Empty>
            </section>
        }
        .into_any()
    } else {
        let rows = datasets.into_iter().map(|summary| view! { <Summary links=links.clone() summary/> }).collect_view();
        let address = address.clone();
        view! {
            <Table label="Datasets" roomy=true keys=true id="datasets">
                <thead>
                    <tr>
                        <Head label="Dataset"/>
                        <Head label="Latest"/>
                        <Head label="Checks"/>
                        <Head label="Files" num=true/>
                        <Head label="Size" num=true/>
                        <Head label="Made"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown total next one="dataset" many="datasets" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead
            title="Datasets".into_any()
            actions=may_write
                .then(|| view! { <ButtonLink text="New dataset" href=new kind=Kind::Primary symbol=Symbol::Plus/> })
                .into_any()
        />
        <div class="mt-4 stack">
            {(!is_empty || is_filtered)
                .then(|| view! { <FilterBar label="Filter datasets" address=address.clone() placeholder="A part of the name"/> })}
            {table}
        </div>
    }
}

#[component]
fn Summary(links: Links, summary: DatasetSummary) -> impl IntoView {
    let DatasetSummary { dataset, latest } = summary;
    let first = dataset.description.lines().next().unwrap_or_default().to_owned();
    let rest = match latest {
        None => view! { <td colspan="5"><span class="none">"No version yet"</span></td> }.into_any(),
        Some(version) => {
            let href = links.dataset_version(&dataset.name, version.number);
            view! {
                <td><a class="quiet" href=href>{format!("v{}", version.number)}</a></td>
                <td><Checks state=version.checks/></td>
                <td class="num">{format::integer(version.files)}</td>
                <td class="num">{size(version.bytes)}</td>
                <td><When at=version.created_at/><span class="sub ellipsis">{version.author}</span></td>
            }
            .into_any()
        }
    };
    view! {
        <tr>
            <th scope="row">
                <a class="strong" href=links.dataset(&dataset.name)>{dataset.name.clone()}</a>
                <span class="sub ellipsis">{first}</span>
            </th>
            {rest}
        </tr>
    }
}
