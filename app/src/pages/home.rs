//! The workspace's home: what waits for the reader, what is in production, what runs, what is wrong, what happened. And
//! the home of a workspace where nothing has happened yet: the next step, with its command.

use crate::{chart::spark::Spark, islands::LiveRegion, pages::pipeline_run::state::of_run, ui::prelude::*};
use domain::{
    audit::AuditEvent,
    deployment::{Deployment, DeploymentState, Endpoint},
    environment::Environment,
    id::WorkspaceId,
    monitor::{Alert, AlertState},
    pipeline_run::{PipelineRunState, PipelineRunSummary},
    promotion::Promotion,
};
use leptos::prelude::*;

/// What the home page shows.
#[derive(Debug, Clone)]
pub struct HomePage {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// Promotions that the reader may decide on, oldest first.
    pub waiting: Vec<Promotion>,
    /// The workspace's environments, in the order of promotion.
    pub environments: Vec<Environment>,
    /// What serves in each.
    pub endpoints: Vec<Endpoint>,
    /// Pipeline runs that have not ended, newest first.
    pub running: Vec<PipelineRunSummary>,
    /// Alerts that are not resolved, newest first.
    pub alerts: Vec<Alert>,
    /// What happened last, newest first.
    pub activity: Vec<AuditEvent>,
    /// Whether the reader may invite members.
    pub may_invite: bool,
    /// Whether the reader may start pipelines.
    pub may_run: bool,
}

/// The home of a workspace.
#[component]
pub fn Home(
    /// The addresses of the workspace.
    links: Links,
    /// What it shows.
    page: HomePage,
) -> impl IntoView {
    let topics =
        ["promotions", "deployments", "pipeline_runs", "alerts"].map(|noun| format!("{noun}:{}", page.workspace_id));
    let waits = match page.waiting.len() {
        0 => "Nothing waits for you".to_owned(),
        1 => "1 thing waits for you".to_owned(),
        many => format!("{many} things wait for you"),
    };
    let open = page.alerts.len();
    let alerts = (open > 0).then(|| {
        let word = if open == 1 { "1 alert open".to_owned() } else { format!("{open} alerts open") };
        view! { <span><StateMark state=State::Warning word/></span> }
    });
    let actions = view! {
        {page.may_invite.then(|| view! { <ButtonLink text="Invite" href=links.to("settings/members")/> })}
        {page.may_run.then(|| view! { <ButtonLink text="New pipeline run" href=links.pipelines() kind=Kind::Primary/> })}
    };
    let events = links.events(&topics);
    let audit = links.to("audit");
    let history = links.clone();
    view! {
        <PageHead
            title="Home".into_any()
            actions=actions.into_any()
            meta=view! { <span>{now().format("%A %-d %B").to_string()}</span><span>{waits}</span>{alerts} }.into_any()
            live=true
        />
        <div class="with-aside mt-4">
            <div class="stack">
                <WaitingForYou links=links.clone() promotions=page.waiting/>
                <Board links=links.clone() environments=page.environments endpoints=page.endpoints/>
                <RunningNow links=links.clone() runs=page.running/>
            </div>
            <aside class="stack" aria-label="Alerts and activity">
                <Alerts links=links.clone() alerts=page.alerts/>
                <Panel
                    title="Activity"
                    id="activity"
                    actions=view! { <a href=audit>"Audit"</a> }.into_any()
                    live=true
                >
                    {if page.activity.is_empty() {
                        view! { <Body><p class="muted">"What people and pipelines do here appears here."</p></Body> }.into_any()
                    } else {
                        view! { <Body><Timeline events=page.activity links=history/></Body> }.into_any()
                    }}
                </Panel>
            </aside>
        </div>
        <LiveRegion events/>
    }
}

#[component]
fn WaitingForYou(links: Links, promotions: Vec<Promotion>) -> impl IntoView {
    let count = promotions.len();
    view! {
        <Panel title="Waiting for you" id="waiting" note=count.to_string() live=true>
            {if promotions.is_empty() {
                view! { <Body><p class="muted">"Nothing waits for your decision."</p></Body> }.into_any()
            } else {
                view! {
                    <Rows>
                        {promotions
                            .into_iter()
                            .map(|promotion| {
                                let why = promotion.comment.lines().next().unwrap_or_default().to_owned();
                                let sub = if why.is_empty() {
                                    format!("Requested by {}", promotion.requester)
                                } else {
                                    format!("{}: {why}", promotion.requester)
                                };
                                view! {
                                    <Row
                                        title=promotion.title()
                                        href=links.promotion(promotion.number)
                                        state=view! { <StateMark state=State::Waiting word="Approve"/> }.into_any()
                                        sub=sub.into_any()
                                        end=view! { <When at=promotion.created_at/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                }
                    .into_any()
            }}
        </Panel>
    }
}

/// One model's row of the board: what serves of it in each environment, and how production does.
#[derive(Debug, Clone, PartialEq)]
struct BoardRow {
    model: String,
    cells: Vec<Option<Deployment>>,
    /// Production's endpoint, or the one nearest to it.
    main: Endpoint,
}

/// Endpoints as rows of models and columns of environments, the models with the most traffic first.
fn board(environments: &[Environment], endpoints: Vec<Endpoint>) -> Vec<BoardRow> {
    let mut rows: Vec<BoardRow> = Vec::new();
    for environment in environments {
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.deployment.environment_id == environment.id) {
            let model = &endpoint.deployment.model;
            let at = rows.iter().position(|row| &row.model == model).unwrap_or_else(|| {
                rows.push(BoardRow {
                    model: model.clone(),
                    cells: vec![None; environments.len()],
                    main: endpoint.clone(),
                });
                rows.len() - 1
            });
            let column = environments.iter().position(|other| other.id == environment.id).unwrap_or_default();
            rows[at].cells[column] = Some(endpoint.deployment.clone());
            // Environments come in the order of promotion: the last is production, or as near as it gets.
            rows[at].main = endpoint.clone();
        }
    }
    rows.sort_by(|a, b| b.main.traffic.requests.cmp(&a.main.traffic.requests).then_with(|| a.model.cmp(&b.model)));
    rows
}

/// How an endpoint does, as a state and a word.
fn health(endpoint: &Endpoint) -> (State, &'static str) {
    // Requests of a day are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let errors = endpoint.traffic.errors as f64 / endpoint.traffic.requests.max(1) as f64;
    match endpoint.deployment.state {
        DeploymentState::Failed => (State::Failed, "failed"),
        DeploymentState::Deploying => (State::Rolling, "deploying"),
        DeploymentState::Retired => (State::Skipped, "retired"),
        DeploymentState::Live if errors > 0.01 => (State::Failed, "live, failing"),
        DeploymentState::Live if endpoint.drifted == Some(true) => (State::Warning, "live, drifted"),
        DeploymentState::Live => (State::Live, "live"),
    }
}

#[component]
fn Board(links: Links, environments: Vec<Environment>, endpoints: Vec<Endpoint>) -> impl IntoView {
    let places = environments.len();
    let rows = board(&environments, endpoints);
    let models = rows.len();
    let note = format!(
        "{}, {}",
        format::count(i64::try_from(models).unwrap_or_default(), "model", "models"),
        format::count(i64::try_from(places).unwrap_or_default(), "environment", "environments")
    );
    let actions = view! { <a href=links.environments()>"All environments"</a> }.into_any();
    if rows.is_empty() {
        return view! {
            <Panel title="In production" id="board" actions live=true>
                <Empty
                    symbol=Symbol::Promote
                    title="Nothing serves yet"
                    text="A model appears here once a promotion to an environment is approved."
                >
                    <ButtonLink text="See the models" href=links.models()/>
                </Empty>
            </Panel>
        }
        .into_any();
    }
    view! {
        <Panel title="In production" id="board" note actions live=true>
            <Table label="What serves where" class="board">
                <thead>
                    <tr>
                        <Head label="Model"/>
                        {environments
                            .iter()
                            .map(|environment| view! { <Head label=capital(&environment.name)/> })
                            .collect_view()}
                        <Head label="Requests, 24 h"/>
                        <Head label="p99" num=true/>
                        <Head label="Errors" num=true/>
                        <Head label="Drift"/>
                    </tr>
                </thead>
                <tbody>{rows.into_iter().map(|row| view! { <BoardLine links=links.clone() row/> }).collect_view()}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

#[component]
fn BoardLine(links: Links, row: BoardRow) -> impl IntoView {
    let main = row.main;
    let (state, _) = health(&main);
    let traffic = main.traffic.clone();
    let errors = (traffic.requests > 0).then(|| {
        // As in `health`.
        #[allow(clippy::cast_precision_loss)]
        let share = traffic.errors as f64 / traffic.requests as f64;
        view! { <span class=(share > 0.01).then_some("bad")>{format::percent(share)}</span> }
    });
    // Requests of a slice of time: far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let series: Vec<f64> = traffic.series.iter().map(|n| *n as f64).collect();
    let tone = if matches!(state, State::Failed | State::Warning) { state.tone() } else { Tone::Idle };
    let drift = match (main.drifted, main.drift_share) {
        (Some(drifted), Some(share)) => {
            let state = if drifted { State::Failed } else { State::Passed };
            view! { <StateMark state word=format::percent(share)/> }.into_any()
        }
        _ => view! { <span class="none">{format::NONE}</span> }.into_any(),
    };
    view! {
        <tr id=format!("board-{}", row.model)>
            <th scope="row">
                <a class="strong" href=links.model(&row.model)>{row.model.clone()}</a>
                <span class="sub">{main.deployment.environment.clone()}</span>
            </th>
            {row
                .cells
                .into_iter()
                .map(|cell| {
                    let serving = cell.map(|deployment| {
                        let (state, word) = if deployment.id == main.deployment.id {
                            health(&main)
                        } else {
                            (State::Live, "live")
                        };
                        let since = deployment.live_at.unwrap_or(deployment.created_at);
                        let how = match deployment.rollback_of {
                            Some(_) => "rolled back ".to_owned(),
                            None => String::new(),
                        };
                        view! {
                            <div class="cell">
                                <span class="v">
                                    <StateShape state word/>
                                    <a class="quiet" href=links.version(&deployment.model, deployment.version)>
                                        {format!("v{}", deployment.version)}
                                    </a>
                                </span>
                                <span class="sub">{how}<When at=since/></span>
                            </div>
                        }
                    });
                    view! {
                        <td>
                            {match serving {
                                Some(serving) => serving.into_any(),
                                None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                            }}
                        </td>
                    }
                })
                .collect_view()}
            <td>
                {if traffic.requests > 0 {
                    view! { <Spark values=series of="requests" tone/> }.into_any()
                } else {
                    view! { <span class="muted">"no requests"</span> }.into_any()
                }}
            </td>
            <td class="num">
                {match traffic.p99_ms {
                    Some(ms) => format::latency(ms).into_any(),
                    None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                }}
            </td>
            <td class="num">
                {match errors {
                    Some(errors) => errors.into_any(),
                    None => view! { <span class="none">{format::NONE}</span> }.into_any(),
                }}
            </td>
            <td>{drift}</td>
        </tr>
    }
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

#[component]
fn RunningNow(links: Links, runs: Vec<PipelineRunSummary>) -> impl IntoView {
    let count = runs.len();
    view! {
        <Panel
            title="Running now"
            id="running"
            note=count.to_string()
            actions=view! { <a href=links.pipelines()>"All pipelines"</a> }.into_any()
            live=true
        >
            {if runs.is_empty() {
                view! { <Body><p class="muted">"No pipeline runs."</p></Body> }.into_any()
            } else {
                view! {
                    <Rows>
                        {runs
                            .into_iter()
                            .map(|summary| {
                                let run = summary.run;
                                let (state, word) = of_run(run.state);
                                // Steps of a run are few.
                                #[allow(clippy::cast_precision_loss)]
                                let share = summary.steps_ended as f64 / summary.steps_total.max(1) as f64;
                                let began = run.started_at.unwrap_or(run.created_at);
                                let sub = format!(
                                    "{} of {} ended, started by {}",
                                    format::integer(summary.steps_ended),
                                    format::count(summary.steps_total, "step", "steps"),
                                    run.started_by_name,
                                );
                                let more = (run.state != PipelineRunState::Queued)
                                    .then(|| view! { <Progress share fixed=true/> });
                                view! {
                                    <Row
                                        title=format!("{} #{}", run.pipeline_name, run.number)
                                        href=links.pipeline_run(run.number)
                                        state=view! { <StateMark state word/> }.into_any()
                                        sub=sub.into_any()
                                        more=more.into_any()
                                        end=view! { <Took from=began to=None/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                }
                    .into_any()
            }}
        </Panel>
    }
}

#[component]
fn Alerts(links: Links, alerts: Vec<Alert>) -> impl IntoView {
    let open = alerts.len();
    view! {
        <Panel
            title="Alerts"
            id="alerts"
            note=format!("{open} open")
            actions=view! { <a href=links.alerts()>"All alerts"</a> }.into_any()
            live=true
        >
            {if alerts.is_empty() {
                view! { <Body><p class="muted">"No alert is open."</p></Body> }.into_any()
            } else {
                view! {
                    <Rows>
                        {alerts
                            .into_iter()
                            .map(|alert| {
                                let (state, word) = match alert.state {
                                    AlertState::Open => (State::Failed, "open"),
                                    AlertState::Acknowledged => (State::Warning, "acknowledged"),
                                    AlertState::Resolved => (State::Passed, "resolved"),
                                };
                                view! {
                                    <Row
                                        title=alert.summary.clone()
                                        href=links.alert(alert.number)
                                        state=view! { <StateShape state word/> }.into_any()
                                        sub=format!("{} v{} in {}", alert.model, alert.version, alert.environment).into_any()
                                        end=view! { <When at=alert.opened_at/> }.into_any()
                                    />
                                }
                            })
                            .collect_view()}
                    </Rows>
                }
                    .into_any()
            }}
        </Panel>
    }
}

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
    let topics = ["runs", "promotions", "pipeline_runs"].map(|noun| format!("{noun}:{}", page.workspace_id));
    let log_a_run = format!(
        "export MLFLOW_TRACKING_URI={}\nexport MLFLOW_TRACKING_TOKEN=…   # the token you just made\npython train.py",
        page.tracking_uri
    );
    let events = links.events(&topics);
    let (tokens, write, example) = (links.to("settings/tokens"), links.to("pipelines/new"), links.to("example"));
    let environments = links.environments();
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
                        <ButtonLink text="Write a pipeline" href=write symbol=Symbol::Pipe/>
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
                <Panel title="In production" id="board">
                    <Empty
                        symbol=Symbol::Promote
                        title="Nothing is in production yet"
                        text="A model appears here once a promotion to an environment is approved."
                    />
                </Panel>
                {page
                    .may_load_example
                    .then(|| {
                        view! {
                            <Panel title="Rather look around first?" id="example">
                                <Body tight=true>
                                    <p class="muted">
                                        "Walks one real model around the whole loop: trained by a pipeline, promoted through gates, served, watched until it drifts."
                                    </p>
                                    <Act action=example text="Load the example"/>
                                </Body>
                            </Panel>
                        }
                    })}
            </aside>
        </div>
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
    fn a_model_has_one_row_with_a_cell_for_each_environment() {
        let page = samples::home();
        let rows = board(&page.environments, page.endpoints);
        let shown: Vec<String> = rows
            .iter()
            .map(|row| {
                let cells: Vec<String> = row
                    .cells
                    .iter()
                    .map(|cell| cell.as_ref().map_or("–".to_owned(), |d| format!("v{}", d.version)))
                    .collect();
                format!("{}: {} of {}", row.model, cells.join(" "), row.main.deployment.environment)
            })
            .collect();
        assert_eq!(shown, ["wine-quality: v14 v12 of production", "digits: v31 – of staging"]);
    }

    #[test]
    fn home_names_what_waits_and_links_to_it() {
        let html = fragment(|| view! { <Home links=Links::new("lab") page=samples::home()/> });
        assert!(html.contains(r#"href="/w/lab/promotions/87""#), "{html}");
        assert!(html.contains("wine-quality v14 → production"), "{html}");
    }

    #[test]
    fn a_new_workspace_says_the_next_step_with_its_command() {
        let page = WelcomePage {
            workspace_id: WorkspaceId::new(),
            workspace: "New lab".into(),
            tracking_uri: "http://127.0.0.1:3000/w/new-lab".into(),
            token: Some("laptop".into()),
            has_run: false,
            has_pipeline: false,
            has_promotion: false,
            may_load_example: true,
        };
        let html = fragment(|| view! { <Welcome links=Links::new("new-lab") page/> });
        assert!(html.contains("MLFLOW_TRACKING_URI=http://127.0.0.1:3000/w/new-lab"), "{html}");
        assert!(html.contains("1 of 4 done") && html.contains(r#"action="/w/new-lab/example""#), "{html}");
    }
}
