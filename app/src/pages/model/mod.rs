//! Models: the list, the page of one with its versions and what serves, where its aliases pointed when, its card, the
//! page of a version, and two versions beside each other.

mod aliases;
mod card;
pub(in crate::pages) mod compare;
mod detail;
mod new;
mod parts;
mod signature;
mod version;

pub use aliases::{AliasEdit, Aliases, AliasesPage, Asked};
pub use card::{Card, CardEdit, CardPage, OUTLINE, ShownCard};
pub use compare::{Compare, ComparePage};
pub use detail::{CardLead, Described, Detail, ModelPage};
pub use new::NewModel;
pub use version::{Lineage as VersionLineage, Part as VersionPart, Version, VersionPage};

use crate::{format, ui::prelude::*};
use domain::{
    deployment::Endpoint,
    model::{Model, ModelSummary},
};
use leptos::prelude::*;
use parts::{Running, runs_in};

/// Models, by name or by when they changed.
#[component]
pub fn List(
    /// The addresses of the workspace.
    links: Links,
    /// This page, with what was chosen: `q`, `sort`.
    address: Address,
    /// One page of them.
    models: Vec<ModelSummary>,
    /// How many the filter leaves.
    total: i64,
    /// The key of the next page.
    next: Option<String>,
    /// Everything that serves.
    endpoints: Vec<Endpoint>,
    /// What is wrong with the filter.
    #[prop(optional_no_strip)]
    error: Option<String>,
    /// Whether whoever looks may make models.
    #[prop(optional)]
    may_write: bool,
) -> impl IntoView {
    let shown = models.len();
    let filtered = address.get("q").is_some();
    let sort = Sort::parse(address.get("sort").unwrap_or("-changed"));
    let error = error.filter(|error| !error.is_empty());
    let new = may_write.then(|| {
        let href = links.new_model();
        view! { <ButtonLink text="New model" href kind=Kind::Primary symbol=Symbol::Plus/> }.into_any()
    });
    let mut actions = None;
    let body = if models.is_empty() && !filtered && error.is_none() {
        view! {
            <Panel title="Models" id="models">
                <Empty
                    symbol=Symbol::Cube
                    title="No model is registered yet"
                    text="Register what a run logged, and every further version gets a number, a digest and a history."
                    command="mlflow.register_model(\"models:/<model id>\", \"churn\")"
                >
                    {new}
                </Empty>
            </Panel>
        }
        .into_any()
    } else {
        actions = new;
        let suggestions = suggestions(&models);
        let [by_name, by_change, by_making] = [address.clone(), address.clone(), address.clone()];
        let (nothing, refused) = (models.is_empty() && error.is_none(), error.is_some());
        let rows = models
            .into_iter()
            .map(|summary| view! { <ListRow links=links.clone() endpoints=endpoints.clone() summary/> })
            .collect_view();
        view! {
            <FilterBar
                label="Filter models"
                address=address.clone()
                placeholder="churn, or name LIKE 'churn%' and tags.team = 'risk'"
                suggestions
                error
            />
            {if refused {
                ().into_any()
            } else if nothing {
                view! {
                    <div class="panel">
                        <Empty symbol=Symbol::Search title="No model is like that" text="Names are found by a part of them, tags by tags.team = 'risk'.">
                            <ButtonLink text="All models" href=address.without("q").href()/>
                        </Empty>
                    </div>
                }
                    .into_any()
            } else {
                view! {
                    <Table label="Models" roomy=true keys=true>
                        <thead>
                            <tr>
                                <SortHead label="Model" key="name" address=by_name sort=sort.clone()/>
                                <Head label="Runs in"/>
                                <Head label="Aliases"/>
                                <Head label="Newest version"/>
                                <Head label="Versions" num=true/>
                                <SortHead label="Changed" key="changed" address=by_change sort=sort.clone() descending=true/>
                                <SortHead label="Made" key="created" address=by_making sort descending=true/>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </Table>
                    <Pager address shown total next one="model" many="models" keys=true/>
                }
                    .into_any()
            }}
        }
        .into_any()
    };
    view! {
        <PageHead title="Models".into_any() actions=actions.into_any()/>
        <div class="mt-4">{body}</div>
    }
}

/// What may be typed next: the names that are shown, and filters by their tags.
fn suggestions(models: &[ModelSummary]) -> Vec<String> {
    let quoted = |text: &str| text.replace('\'', "''");
    let plain = |key: &&String| key.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
    let mut all: Vec<String> =
        models.iter().map(|summary| format!("name = '{}'", quoted(&summary.model.name))).collect();
    let tags = models.iter().flat_map(|summary| &summary.model.tags);
    all.extend(
        tags.filter(|(key, value)| plain(key) && value.chars().count() <= 40)
            .map(|(key, value)| format!("tags.{key} = '{}'", quoted(value))),
    );
    all.sort();
    all.dedup();
    all.truncate(100);
    all
}

#[component]
fn ListRow(links: Links, summary: ModelSummary, endpoints: Vec<Endpoint>) -> impl IntoView {
    let ModelSummary { model, versions, latest, latest_at, latest_by } = summary;
    let href = links.model(&model.name);
    let first_line = model.description.lines().next().unwrap_or_default().to_owned();
    let live = runs_in(&endpoints, model.id);
    let newest = match (latest, latest_at) {
        (Some(version), Some(at)) => {
            let href = links.version(&model.name, version);
            view! {
                <a class="mono strong" href=href>{format!("v{version}")}</a>
                <span class="sub"><When at/>{latest_by.map(|name| format!(" by {name}"))}</span>
            }
            .into_any()
        }
        _ => view! { <span class="none">"–"</span> }.into_any(),
    };
    view! {
        <tr>
            <th scope="row" class="model-name">
                <a class="strong ellipsis" href=href title=model.name.clone()>{model.name.clone()}</a>
                <span class="sub ellipsis">{first_line}</span>
            </th>
            <td><Running links=links.clone() live=live.clone()/></td>
            <td><FreeAliases model=model.clone() live/></td>
            <td>{newest}</td>
            <td class="num">{format::integer(versions)}</td>
            <td><When at=model.updated_at/></td>
            <td><When at=model.created_at/></td>
        </tr>
    }
}

/// The aliases of a model that no environment is named after: what those run is said beside them.
#[component]
fn FreeAliases(model: Model, live: Vec<domain::deployment::Deployment>) -> impl IntoView {
    let is_free = |alias: &str, version: i32| {
        !live.iter().any(|deployment| deployment.environment == alias && deployment.version == version)
    };
    let free: Vec<String> = model
        .aliases
        .iter()
        .filter(|(alias, version)| is_free(alias, **version))
        .map(|(alias, version)| format!("@{alias} v{version}"))
        .collect();
    if free.is_empty() {
        return view! { <span class="none">"–"</span> }.into_any();
    }
    let more = free.len().saturating_sub(3);
    let title = free.join(", ");
    let tags = free.into_iter().take(3).map(|text| view! { <Tag text mono=true/> }).collect_view();
    view! { <span class="tags" title=title>{tags}{(more > 0).then(|| view! { <span class="muted">{format!("{more} more")}</span> })}</span> }
        .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples::models};

    #[test]
    fn a_row_says_what_each_environment_runs_and_names_other_aliases_alone() {
        let html = fragment(|| {
            let (models, endpoints) = models::list();
            let address = Address::new("/w/lab/models", []);
            view! { <List links=Links::new("lab") address models total=213 next=Some("ab".into()) endpoints error=None/> }
        });
        for part in
            ["production v12", "staging v14", "@champion v12", "50 of 213 models", "name = &#x27;", "by Data scientist"]
        {
            let part = part.replace("&#x27;", "'");
            assert!(html.contains(&part), "{part} in {html}");
        }
        assert!(!html.contains("@production"), "{html}");
    }

    #[test]
    fn a_filter_that_finds_nothing_says_so_and_leads_back() {
        let html = fragment(|| {
            let address = Address::new("/w/lab/models", [("q".to_owned(), "zz".to_owned())]);
            view! { <List links=Links::new("lab") address models=vec![] total=0 next=None endpoints=vec![] error=None/> }
        });
        assert!(html.contains("No model is like that") && html.contains(r#"href="/w/lab/models""#), "{html}");
    }
}
