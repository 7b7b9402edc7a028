//! Models: the list, the page of one with its versions and what serves, and the page of a version.

mod detail;
mod version;

pub use detail::{Detail, ModelPage};
pub use version::{Lineage as VersionLineage, Version, VersionPage};

use crate::{format, ui::prelude::*};
use domain::{
    deployment::Endpoint,
    model::{Model, ModelSummary},
};
use leptos::prelude::*;

/// Models, by name.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`.
    address: Address,
    /// One page of them.
    models: Vec<ModelSummary>,
    /// The key of the next page.
    next: Option<String>,
    /// Everything that serves.
    endpoints: Vec<Endpoint>,
    /// What is wrong with the filter.
    #[prop(optional_no_strip)]
    error: Option<String>,
) -> impl IntoView {
    let shown = models.len();
    let filtered = address.get("q").is_some();
    let body = if models.is_empty() && !filtered && error.is_none() {
        view! {
            <Panel title="Models" id="models">
                <Empty
                    symbol=Symbol::Cube
                    title="No model is registered yet"
                    text="Register what a run logged, and every further version gets a number, a digest and a history."
                    command="mlflow.register_model(\"models:/<model id>\", \"churn\")"
                />
            </Panel>
        }
        .into_any()
    } else {
        let rows = models
            .into_iter()
            .map(|summary| view! { <ListRow links=links.clone() endpoints=endpoints.clone() summary/> })
            .collect_view();
        let error = error.unwrap_or_default();
        let error = (!error.is_empty()).then_some(error);
        view! {
            <FilterBar
                label="Filter models"
                address=address.clone()
                placeholder="name LIKE 'churn%' or tags.team = 'risk'"
                error
            />
            <Table label="Models" roomy=true keys=true>
                <thead>
                    <tr>
                        <Head label="Model"/>
                        <Head label="Serves"/>
                        <Head label="Aliases"/>
                        <Head label="Newest" num=true/>
                        <Head label="Registered"/>
                        <Head label="Versions" num=true/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address shown next one="model" many="models" keys=true/>
        }
        .into_any()
    };
    view! {
        <PageHead title="Models".into_any()/>
        <div class="mt-4">{body}</div>
    }
}

#[component]
fn ListRow(links: Links, summary: ModelSummary, endpoints: Vec<Endpoint>) -> impl IntoView {
    let ModelSummary { model, versions, latest, latest_at } = summary;
    let href = links.model(&model.name);
    let first_line = model.description.lines().next().unwrap_or_default().to_owned();
    view! {
        <tr>
            <th scope="row"><a class="strong" href=href>{model.name.clone()}</a><span class="sub ellipsis">{first_line}</span></th>
            <td><Serving links=links.clone() model=model.clone() endpoints/></td>
            <td><Aliases model/></td>
            <td class="num mono">{latest.map_or_else(|| "–".to_owned(), |version| format!("v{version}"))}</td>
            <td>{match latest_at {
                Some(at) => view! { <When at/> }.into_any(),
                None => view! { <span class="none">"–"</span> }.into_any(),
            }}</td>
            <td class="num">{format::integer(versions)}</td>
        </tr>
    }
}

/// Which version of a model serves where.
#[component]
fn Serving(links: Links, model: Model, endpoints: Vec<Endpoint>) -> impl IntoView {
    let live: Vec<_> = endpoints.into_iter().filter(|endpoint| endpoint.deployment.model_id == model.id).collect();
    if live.is_empty() {
        return view! { <span class="none">"–"</span> }.into_any();
    }
    live.into_iter()
        .map(|endpoint| {
            let deployment = endpoint.deployment;
            let href = links.endpoint(&deployment.environment, &deployment.model);
            view! {
                <span class="serves">
                    <StateShape state=State::Live word="Live"/>
                    <a href=href>{format!("{} v{}", deployment.environment, deployment.version)}</a>
                </span>
            }
        })
        .collect_view()
        .into_any()
}

/// The aliases of a model with the versions they point at.
#[component]
fn Aliases(model: Model) -> impl IntoView {
    let tags =
        model.aliases.iter().map(|(alias, version)| view! { <Tag text=format!("@{alias} v{version}") mono=true/> });
    view! { <span class="tags">{tags.collect_view()}</span> }
}
