//! What several pages of models show: the head with its tabs, what runs where, and a move of an alias.

use crate::ui::prelude::*;
use domain::{
    deployment::{Deployment, Endpoint},
    id::ModelId,
    model::{AliasMove, Model},
};
use leptos::prelude::*;

/// What of a model answers requests, where.
pub(super) fn runs_in(endpoints: &[Endpoint], model: ModelId) -> Vec<Deployment> {
    endpoints.iter().map(|endpoint| &endpoint.deployment).filter(|live| live.model_id == model).cloned().collect()
}

/// Which version of a model runs where.
#[component]
pub(super) fn Running(links: Links, live: Vec<Deployment>) -> impl IntoView {
    if live.is_empty() {
        return view! { <span class="none">"–"</span> }.into_any();
    }
    let each = live
        .into_iter()
        .map(|deployment| {
            let href = links.endpoint(&deployment.environment, &deployment.model);
            view! {
                <span class="serves">
                    <StateShape state=State::Live word="Live:"/>
                    <a href=href>{format!("{} v{}", deployment.environment, deployment.version)}</a>
                </span>
            }
        })
        .collect_view();
    view! { <span class="runs-in">{each}</span> }.into_any()
}

/// Which of a model's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Overview,
    Aliases,
    Card,
}

/// The head of a model's pages.
#[component]
pub(super) fn Top(
    links: Links,
    model: Model,
    part: Part,
    /// Whether it has a card.
    has_card: bool,
    /// What can be done here.
    #[prop(optional_no_strip)]
    actions: Option<AnyView>,
) -> impl IntoView {
    let tags =
        model.tags.iter().map(|(key, value)| view! { <Tag text=format!("{key}={value}") mono=true/> }).collect_view();
    let tabs = vec![
        Tab::new("Overview", links.model(&model.name)).current(part == Part::Overview),
        Tab::new("Aliases", links.aliases(&model.name)).count(model.aliases.len()).current(part == Part::Aliases),
        Tab::new("Card", links.card(&model.name)).current(part == Part::Card),
    ];
    let tabs: Vec<Tab> =
        tabs.into_iter().map(|tab| if tab.name == "Card" && !has_card { tab.count("none") } else { tab }).collect();
    let description = model.description.clone();
    view! {
        <Crumbs items=vec![Crumb::to("Models", links.models()), Crumb::here(model.name.clone())]/>
        <PageHead
            title=view! { <span class="breaks">{model.name.clone()}</span> }.into_any()
            actions=actions.into_any()
            meta=view! {
                <span>"Made "<When at=model.created_at/></span>
                <span>"Changed "<When at=model.updated_at/></span>
                {tags}
            }
                .into_any()
        />
        {(!description.is_empty()).then(|| view! { <div class="mt-2 described"><Prose text=description/></div> })}
        <Tabs label="Model" items=tabs/>
    }
}

/// What moved an alias: a promotion, a rollback, or somebody by a client or a page.
#[component]
pub(super) fn Through(links: Links, one: AliasMove) -> impl IntoView {
    match one.cause {
        None => view! { <span class="muted">"Directly"</span> }.into_any(),
        Some(cause) => {
            let href = links.deployment(cause.deployment);
            if cause.is_rollback {
                return view! { <a href=href>{format!("Rollback, deployment #{}", cause.deployment)}</a> }.into_any();
            }
            match cause.promotion {
                Some(number) => {
                    view! { <a href=links.promotion(number)>{format!("Promotion #{number}")}</a> }.into_any()
                }
                None => view! { <a href=href>{format!("Deployment #{}", cause.deployment)}</a> }.into_any(),
            }
        }
    }
}

/// A version of a model as a link; struck out when it was deleted.
#[component]
pub(super) fn VersionLink(
    links: Links,
    model: String,
    version: Option<i32>,
    #[prop(optional)] deleted: bool,
) -> impl IntoView {
    match version {
        None => view! { <span class="none">"–"</span> }.into_any(),
        Some(version) if deleted => {
            view! { <span class="mono"><s>{format!("v{version}")}</s></span>" "<span class="muted">"deleted since"</span> }
                .into_any()
        }
        Some(version) => {
            view! { <a class="mono" href=links.version(&model, version)>{format!("v{version}")}</a> }.into_any()
        }
    }
}
