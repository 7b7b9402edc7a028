//! The form that asks for a promotion.

use crate::ui::prelude::*;
use leptos::prelude::*;

/// What the form offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPage {
    /// Versions that can be asked for: `model/7` and the words for it.
    pub versions: Vec<(String, String)>,
    /// The environments, with what each asks for.
    pub environments: Vec<(String, String)>,
}

/// Asks for a promotion. Sends `subject` (`model/version`), `environment`, `comment` and `do` to `promotions`.
#[component]
pub fn Request(
    /// The addresses of the workspace.
    links: Links,
    /// What can be chosen.
    page: RequestPage,
    /// What was chosen and typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let (action, back) = (links.promotions(), links.promotions());
    let body = if page.versions.is_empty() {
        view! {
            <Empty
                symbol=Symbol::Cube
                title="No version can be promoted yet"
                text="Log an ONNX model with MLflow and register it; then it can be brought to an environment."
                command="mlflow.onnx.log_model(model, name=\"model\", registered_model_name=\"churn\")"
            />
        }
        .into_any()
    } else {
        view! {
            <Body>
                <form class="stack" method="post" action=action>
                    <FormErrors draft=draft.clone() fields=&["subject", "environment", "comment"]/>
                    <SelectField label="Version" name="subject" options=page.versions draft=draft.clone()/>
                    <SelectField
                        label="Environment"
                        name="environment"
                        options=page.environments
                        hint="Its policy says which gates run and who must agree."
                        draft=draft.clone()
                    />
                    <TextArea label="Why" name="comment" hint="What is better, and what approvers should look at." optional=true draft/>
                    <div class="form">
                        <div class="go">
                            <Button text="Request promotion" kind=Kind::Primary name="do" value="request"/>
                            <Button text="Save as draft" name="do" value="draft"/>
                            <ButtonLink text="Cancel" href=back/>
                        </div>
                    </div>
                </form>
            </Body>
        }
        .into_any()
    };
    view! {
        <Crumbs items=vec![Crumb::to("Promotions", links.promotions()), Crumb::here("New")]/>
        <PageHead title="Request a promotion".into_any()/>
        <div class="narrow mt-4"><Panel title="What goes where" id="request">{body}</Panel></div>
    }
}
