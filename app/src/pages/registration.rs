//! The form that registers a model of a run.

use crate::ui::prelude::*;
use domain::{
    experiment::{Experiment, LifecycleStage},
    names::RegisteredModelName,
    registration::RunModel,
    run::RunInfo,
};
use leptos::prelude::*;

/// What the form offers.
#[derive(Debug, Clone)]
pub struct RegisterPage {
    /// The run.
    pub run: RunInfo,
    /// Its experiment.
    pub experiment: Experiment,
    /// Its models that can be registered.
    pub found: Vec<RunModel>,
    /// Names of registered models, to choose from.
    pub models: Vec<String>,
}

/// Registers a model of a run. Sends `source`, `name` and `description` to `runs/{id}/register`.
#[component]
pub fn Register(
    /// The addresses of the workspace.
    links: Links,
    /// What can be chosen.
    page: RegisterPage,
    /// What was chosen and typed, and why it was refused.
    #[prop(optional)]
    draft: Draft,
) -> impl IntoView {
    let RegisterPage { run, experiment, found, models } = page;
    let back = links.run(&run.id);
    let body = if run.lifecycle_stage == LifecycleStage::Deleted {
        view! {
            <Empty
                symbol=Symbol::Cube
                title="This run is deleted"
                text="Restore it; then its models can be registered."
                command=format!("mlflow runs restore --run-id {}", run.id.simple())
            >
                <ButtonLink text="Back to the run" href=back/>
            </Empty>
        }
        .into_any()
    } else if found.is_empty() {
        view! {
            <Empty
                symbol=Symbol::Cube
                title="This run has no model to register"
                text="A model can be registered once it is logged whole: with its files, and an MLmodel among them. MLflow's log_model does that."
                command=format!(
                    "with mlflow.start_run(run_id=\"{}\"):\n    mlflow.onnx.log_model(model, name=\"model\")",
                    run.id.simple(),
                )
            >
                <ButtonLink text="Back to the run" href=back/>
            </Empty>
        }
        .into_any()
    } else {
        view! { <Fields action=links.register(&run.id) back found models draft/> }.into_any()
    };
    view! {
        <Crumbs items=vec![
            Crumb::to("Experiments", links.experiments()),
            Crumb::to(experiment.name, links.experiment(experiment.id)),
            Crumb::to(run.name.clone(), links.run(&run.id)),
            Crumb::here("Register"),
        ]/>
        <PageHead title="Register a model".into_any()/>
        <div class="narrow mt-4"><Panel title=format!("From the run {}", run.name) id="register">{body}</Panel></div>
    }
}

#[component]
fn Fields(action: String, back: String, found: Vec<RunModel>, models: Vec<String>, draft: Draft) -> impl IntoView {
    let said = |one: &RunModel| format!("{} · {}", one.name, one.source);
    let which = match found.as_slice() {
        [only] => {
            let (name, source) = (only.name.clone(), only.source.clone());
            let error = draft.error("source").map(str::to_owned);
            view! {
                <input type="hidden" name="source" value=source.clone()/>
                <Facts>
                    <Fact name="Model">{name}</Fact>
                    <Fact name="Path"><code class="breaks">{source}</code></Fact>
                </Facts>
                {error.map(|error| view! { <Callout tone=Tone::Fail alert=true>{error}</Callout> })}
            }
            .into_any()
        }
        several => {
            let options = several.iter().map(|one| (one.source.clone(), said(one))).collect();
            view! {
                <SelectField
                    label="Model"
                    name="source"
                    options
                    hint="What the run logged: its name, and where it lies."
                    draft=draft.clone()
                />
            }
            .into_any()
        }
    };
    view! {
        <Body>
            <form class="stack" method="post" action=action>
                <FormErrors draft=draft.clone() fields=&["source", "name", "description"]/>
                {which}
                <TextField
                    label="Registered model"
                    name="name"
                    autocomplete="off"
                    max=RegisteredModelName::MAX
                    hint="One that is there gets a further version; a new name makes a model. No slash and no colon."
                    choices=models
                    draft=draft.clone()
                />
                <TextArea
                    label="Description"
                    name="description"
                    hint="What is to be known of this version."
                    optional=true
                    draft
                />
                <div class="form">
                    <div class="go">
                        <Button text="Register" kind=Kind::Primary/>
                        <ButtonLink text="Cancel" href=back/>
                    </div>
                </div>
            </form>
        </Body>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    fn html(page: RegisterPage, draft: Draft) -> String {
        fragment(move || view! { <Register links=Links::new("lab") page draft/> })
    }

    #[test]
    fn each_of_several_models_is_named_by_name_and_path() {
        let page = samples::registration();
        let run = page.run.id.simple();
        let html = html(page, Draft::default());
        for part in [
            format!(r#"action="/w/lab/runs/{run}/register""#),
            "<select".to_owned(),
            "classifier · models:/m-".to_owned(),
            format!("calibrated · runs:/{run}/folds/calibrated"),
            r#"<datalist id="name-choices">"#.to_owned(),
            r#"value="wine-quality""#.to_owned(),
        ] {
            assert!(html.contains(&part), "{part} in {html}");
        }
    }

    #[test]
    fn a_single_model_is_not_asked_for() {
        let mut page = samples::registration();
        page.found.truncate(1);
        let html = html(page, Draft::default());
        assert!(
            !html.contains("<select") && html.contains(r#"type="hidden" name="source" value="models:/m-"#),
            "{html}"
        );
    }

    #[test]
    fn what_was_typed_stands_beside_why_it_was_refused() {
        let draft = Draft::of([("name", "a/b"), ("description", "Better on <b>reds</b>.")])
            .refused(&domain::Error::invalid_field("name", "Names hold no slash."));
        let html = html(samples::registration(), draft);
        for part in [r#"value="a/b""#, "Names hold no slash.", "Better on &lt;b>reds&lt;/b>."] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_run_with_nothing_to_register_says_how_to_log_a_model() {
        let page = RegisterPage { found: Vec::new(), ..samples::registration() };
        assert!(html(page, Draft::default()).contains("mlflow.onnx.log_model"));
        let mut page = samples::registration();
        page.run.lifecycle_stage = LifecycleStage::Deleted;
        let html = html(page, Draft::default());
        assert!(html.contains("This run is deleted") && !html.contains("<form"), "{html}");
    }
}
