//! What the pages of things that start pipelines have in common: the list beside the form that makes one, and the panels of
//! forms.

use super::{Around, Part};
use crate::ui::prelude::*;
use chrono::{DateTime, Utc};
use leptos::prelude::*;

/// A page of all of one sort: their list, and beside it the form that makes one.
#[component]
pub(in crate::pages) fn AllOf(
    links: Links,
    part: Part,
    /// What they are, for those who hear the page.
    title: &'static str,
    /// The form, for those who may make one.
    form: Option<AnyView>,
    /// What the form does, for those who hear the page.
    makes: &'static str,
    /// The list, with what filters it and its pager.
    children: Children,
) -> impl IntoView {
    let is_alone = form.is_none();
    view! {
        <PageHead title="Pipelines".into_any()/>
        <Around links part/>
        <div class=if is_alone { "stack" } else { "with-aside" }>
            <section aria-labelledby="h-all">
                <h2 class="sr" id="h-all">{title}</h2>
                {children()}
            </section>
            {form.map(|form| view! { <aside class="stack" aria-label=makes>{form}</aside> })}
        </div>
    }
}

/// The field that narrows a list to what starts one pipeline.
#[component]
pub(in crate::pages) fn OfPipeline(address: Address, pipelines: Vec<String>) -> impl IntoView {
    view! {
        <FilterBar label="Of the pipeline" address name="pipeline" placeholder="Pipeline" suggestions=pipelines/>
    }
}

/// A panel with a form that is sent as a whole.
#[component]
pub(in crate::pages) fn FormPanel(
    title: &'static str,
    id: &'static str,
    /// Where it is sent.
    action: String,
    /// What the button says.
    go: &'static str,
    /// The fields that show their own errors.
    own: &'static [&'static str],
    draft: Draft,
    /// What `do` says, where an address takes several forms.
    #[prop(optional)]
    act: Option<&'static str>,
    /// The fields.
    children: Children,
) -> impl IntoView {
    view! {
        <Panel title=title id=id>
            <Body>
                <form class="stack" method="post" action=action>
                    {act.map(|act| view! { <input type="hidden" name="do" value=act/> })}
                    <FormErrors draft fields=own/>
                    {children()}
                    <Button text=go kind=Kind::Primary/>
                </form>
            </Body>
        </Panel>
    }
}

/// Who made it and when, in the head of its page.
#[component]
pub(in crate::pages) fn MadeBy(name: String, at: DateTime<Utc>) -> impl IntoView {
    view! { <span><Avatar name=name.clone() size=AvatarSize::Small/>{name}" made it "<When at/></span> }
}

/// What it runs, in the head of its page.
#[component]
pub(in crate::pages) fn Starts(links: Links, pipeline: String) -> impl IntoView {
    view! { <span><Icon symbol=Symbol::Pipe/>"Starts "<a href=links.pipeline(&pipeline)>{pipeline.clone()}</a></span> }
}
