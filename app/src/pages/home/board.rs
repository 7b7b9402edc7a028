//! The board: what serves of each model in each environment, and how production does.

use crate::{chart::spark::Spark, ui::prelude::*};
use domain::{
    deployment::{Deployment, DeploymentState, Endpoint},
    environment::Environment,
};
use leptos::prelude::*;

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
pub(super) fn Board(links: Links, environments: Vec<Environment>, endpoints: Vec<Endpoint>) -> impl IntoView {
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
                <a class="strong model ellipsis" href=links.model(&row.model)>{row.model.clone()}</a>
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

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
}
