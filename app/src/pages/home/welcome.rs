//! The home of a workspace where nothing has happened yet: the next step, with its command.

use super::example::{AskAgain, Example, ExampleWalk};
use crate::{islands::LiveRegion, ui::prelude::*};
use domain::id::WorkspaceId;
use leptos::prelude::*;

/// How far a new workspace has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomePage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub workspace: String,
    /// Where MLflow's clients log to: the address of the workspace.
    pub tracking_uri: String,
    /// The reader's newest token, by name.
    pub token: Option<String>,
    /// Whether a run was logged.
    pub has_run: bool,
    /// Whether a pipeline was stored.
    pub has_pipeline: bool,
    /// Whether a promotion was requested.
    pub has_promotion: bool,
    /// Whether the reader may store pipelines.
    pub may_write_pipelines: bool,
    /// How far the example has come, when it was loaded lately.
    pub example: Option<ExampleWalk>,
    /// Whether the reader may load the example, and it is not being loaded.
    pub may_load_example: bool,
}

impl WelcomePage {
    /// How many of the four steps are done.
    fn done(&self) -> u8 {
        [self.token.is_some(), self.has_run, self.has_pipeline, self.has_promotion].map(u8::from).into_iter().sum()
    }
}

/// The home of a workspace where nothing is tracked yet. Sends to `example`.
#[component]
pub fn Welcome(
    /// The addresses of the workspace.
    links: Links,
    /// How far it has come.
    page: WelcomePage,
) -> impl IntoView {
    let done = page.done();
    let topics = ["runs", "promotions", "pipeline_runs", "example"].map(|noun| format!("{noun}:{}", page.workspace_id));
    let log_a_run = format!(
        "export MLFLOW_TRACKING_URI={}\nexport MLFLOW_TRACKING_TOKEN=…   # the token you just made\npython train.py",
        page.tracking_uri
    );
    let events = links.events(&topics);
    let goes_on = page.example.as_ref().is_some_and(|walk| walk.goes_on);
    let (tokens, example) = (links.to("settings/tokens"), links.to("example"));
    let environments = links.environments();
    let (pipelines, pipelines_text) = if page.may_write_pipelines {
        (links.to("pipelines/new"), "Write a pipeline")
    } else {
        (links.pipelines(), "What a pipeline is")
    };
    view! {
        <PageHead
            title=format!("Welcome to {}", page.workspace).into_any()
            meta=view! { <span>"From the first run to a model in production: four steps, about ten minutes"</span> }.into_any()
        />
        <div class="with-aside mt-4">
            <Panel
                title="First steps"
                id="first-steps"
                note=format!("{done} of 4 done")
                actions=view! { <Meter share=f64::from(done) / 4.0 short=true/> }.into_any()
                live=true
            >
                <ol class="steps">
                    <Step number=1 title="Create a token" done=page.token.is_some()>
                        {match page.token {
                            Some(name) => {
                                view! { <p>"Token "<code>{name}</code>" is yours. Its secret was shown once."</p> }.into_any()
                            }
                            None => {
                                view! {
                                    <p>"Programs sign in with it: a training script, a notebook, CI."</p>
                                    <ButtonLink text="Create a token" href=tokens symbol=Symbol::Key/>
                                }
                                    .into_any()
                            }
                        }}
                    </Step>
                    <Step number=2 title="Log a run" done=page.has_run waits="Listening for the first run">
                        <p>"Every MLflow client works as it is. Point it here and train what you have."</p>
                        <Command text=log_a_run/>
                    </Step>
                    <Step number=3 title="Put training in a pipeline" done=page.has_pipeline>
                        <p>"Steps live in a file, so each model says what made it, and production can ask for the next one."</p>
                        <ButtonLink text=pipelines_text href=pipelines symbol=Symbol::Pipe/>
                    </Step>
                    <Step number=4 title="Promote a version" done=page.has_promotion>
                        <p>
                            "Staging and production are there and protected: gates run by themselves, people agree, and only then the alias moves."
                        </p>
                        <ButtonLink text="What production asks for" href=environments symbol=Symbol::Shield/>
                    </Step>
                </ol>
            </Panel>
            <aside class="stack" aria-label="Status">
                {match page.example {
                    Some(walk) => {
                        view! { <Example links=links.clone() walk may_load=page.may_load_example/> }.into_any()
                    }
                    None if page.may_load_example => {
                        view! {
                            <Panel title="Rather look around first?" id="example" live=true>
                                <Body tight=true>
                                    <p class="muted">
                                        "Walks one real model around the whole loop: trained by a pipeline, promoted through gates, served, watched until it drifts."
                                    </p>
                                    <Act action=example text="Load the example"/>
                                </Body>
                            </Panel>
                        }
                            .into_any()
                    }
                    None => ().into_any(),
                }}
                <Panel title="In production" id="board">
                    <Empty
                        symbol=Symbol::Promote
                        title="Nothing is in production yet"
                        text="A model appears here once a promotion to an environment is approved."
                    />
                </Panel>
            </aside>
        </div>
        {goes_on.then(|| view! { <AskAgain/> })}
        <LiveRegion events/>
    }
}

/// One of the first steps.
#[component]
fn Step(
    number: u8,
    title: &'static str,
    done: bool,
    #[prop(optional)] waits: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    let mark = if done {
        view! { <span class="no done tone" data-s="pass"><Icon symbol=Symbol::Pass/></span> }.into_any()
    } else {
        view! { <span class="no">{number}</span> }.into_any()
    };
    let state = match waits {
        _ if done => Some((State::Passed, "Done")),
        Some(word) => Some((State::Running, word)),
        None => None,
    };
    view! {
        <li>
            {mark}
            <div>
                <h3>{title}{state.map(|(state, word)| view! { <StateMark state word/> })}</h3>
                {children()}
            </div>
        </li>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::fragment, samples};

    #[test]
    fn a_new_workspace_says_the_next_step_with_its_command() {
        let page = WelcomePage { tracking_uri: "http://127.0.0.1:3000/w/new-lab".into(), ..samples::welcome() };
        let html = fragment(|| view! { <Welcome links=Links::new("new-lab") page/> });
        assert!(html.contains("MLFLOW_TRACKING_URI=http://127.0.0.1:3000/w/new-lab"), "{html}");
        for line in ["export MLFLOW_TRACKING_TOKEN=", "python train.py"] {
            assert!(html.contains(line), "{line}");
        }
        assert!(html.contains("1 of 4 done") && html.contains(r#"action="/w/new-lab/example""#), "{html}");
    }

    #[test]
    fn the_example_on_its_way_is_shown_without_scripts_too() {
        let page = WelcomePage { example: Some(samples::walk()), may_load_example: false, ..samples::welcome() };
        let html = fragment(|| view! { <Welcome links=Links::new("lab") page/> });
        assert!(html.contains("<noscript><meta ") && html.contains(r#"http-equiv="refresh""#), "{html}");
        assert!(html.contains("The example") && !html.contains("Load the example"), "{html}");
    }
}
