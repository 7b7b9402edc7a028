//! The form that makes a model.

use crate::ui::prelude::*;
use domain::names::RegisteredModelName;
use leptos::prelude::*;

/// Makes a model without a version. Sends `name` and `description` to `models`.
#[component]
pub fn NewModel(
    /// The addresses of the workspace.
    links: Links,
    /// What was typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let (action, back) = (links.models(), links.models());
    view! {
        <Crumbs items=vec![Crumb::to("Models", links.models()), Crumb::here("New")]/>
        <PageHead title="New model".into_any()/>
        <div class="narrow mt-4">
            <Panel title="What it is" id="new-model" note="Its versions come from runs">
                <Body>
                    <form class="stack" method="post" action=action>
                        <FormErrors draft=draft.clone() fields=&["name", "description"]/>
                        <TextField
                            label="Name"
                            name="name"
                            autocomplete="off"
                            max=RegisteredModelName::MAX
                            hint="As clients load it: models:/churn@champion. No slash and no colon."
                            focus=true
                            draft=draft.clone()
                        />
                        <TextArea
                            label="Description"
                            name="description"
                            hint="What it is for. Lists show the first line."
                            optional=true
                            draft
                        />
                        <div class="form">
                            <div class="go">
                                <Button text="Make model" kind=Kind::Primary/>
                                <ButtonLink text="Cancel" href=back/>
                            </div>
                        </div>
                    </form>
                </Body>
            </Panel>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fragment;

    #[test]
    fn a_name_that_was_refused_stands_there_with_the_reason() {
        let draft = Draft::of([("name", "churn"), ("description", "Who leaves.")])
            .refused(&domain::Error::already_exists("There is a model churn already.").in_field("name"));
        let html = fragment(|| view! { <NewModel links=Links::new("lab") draft/> });
        for part in [r#"action="/w/lab/models""#, r#"value="churn""#, "There is a model churn already.", "Who leaves."]
        {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
