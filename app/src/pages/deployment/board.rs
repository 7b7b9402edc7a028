//! The board: a row to each model, a column to each environment, and how the one nearest to production does.

use super::share;
use crate::{chart::spark::Spark, format, ui::prelude::*};
use domain::{
    deployment::{Deployment, Endpoint},
    environment::Environment,
};
use leptos::prelude::*;

/// From this share of errors on, an endpoint fails.
const MANY_ERRORS: f64 = 0.01;

/// One model's row: what serves of it in each environment, and how the last of them does.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardRow {
    /// The model.
    pub model: String,
    /// What serves, by environment.
    pub cells: Vec<Option<Endpoint>>,
    /// Production's endpoint, or the one nearest to it.
    pub main: Endpoint,
}

/// Endpoints as rows of models and columns of environments, the models with the most traffic first.
#[must_use]
pub fn board(environments: &[Environment], endpoints: Vec<Endpoint>) -> Vec<BoardRow> {
    let mut rows: Vec<BoardRow> = Vec::new();
    // Environments come in the order of promotion: the last is production, or as near as it gets.
    for (column, environment) in environments.iter().enumerate() {
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.deployment.environment_id == environment.id) {
            let model = &endpoint.deployment.model;
            let at = rows.iter().position(|row| &row.model == model).unwrap_or_else(|| {
                let cells = vec![None; environments.len()];
                rows.push(BoardRow { model: model.clone(), cells, main: endpoint.clone() });
                rows.len() - 1
            });
            rows[at].cells[column] = Some(endpoint.clone());
            rows[at].main = endpoint.clone();
        }
    }
    rows.sort_by(|a, b| b.main.traffic.requests.cmp(&a.main.traffic.requests).then_with(|| a.model.cmp(&b.model)));
    rows
}

/// How an endpoint does, as a shape and a word.
pub(in crate::pages) fn health(endpoint: &Endpoint) -> (State, &'static str) {
    let errors = share(endpoint.traffic.errors, endpoint.traffic.requests);
    match (errors, endpoint.drifted) {
        (Some(errors), _) if errors > MANY_ERRORS => (State::Failed, "live, failing"),
        (_, Some(true)) => (State::Warning, "live, drifted"),
        _ => (State::Live, "live"),
    }
}

/// What serves where.
#[component]
pub fn Board(
    /// The addresses of the workspace.
    links: Links,
    /// The environments, in the order of promotion.
    environments: Vec<Environment>,
    /// What serves.
    endpoints: Vec<Endpoint>,
) -> impl IntoView {
    let rows = board(&environments, endpoints);
    if rows.is_empty() {
        let models = links.models();
        return view! {
            <Panel title="What serves where" id="board" live=true>
                <Empty
                    symbol=Symbol::Live
                    title="Nothing serves yet"
                    text="A version serves once its promotion to an environment is approved. Ask for one on the version's page."
                >
                    <ButtonLink text="See the models" href=models symbol=Symbol::Cube/>
                </Empty>
            </Panel>
        }
        .into_any();
    }
    let count = |n: usize, one: &str, many: &str| format::count(i64::try_from(n).unwrap_or_default(), one, many);
    let note = format!(
        "{}, {}",
        count(rows.len(), "model", "models"),
        count(environments.len(), "environment", "environments")
    );
    let heads = environments
        .iter()
        .map(|environment| {
            let href = links.environment(&environment.name);
            view! { <th scope="col"><a class="quiet" href=href>{format::capitalised(&environment.name)}</a></th> }
        })
        .collect_view();
    let lines = rows.into_iter().map(|row| view! { <BoardLine links=links.clone() row/> }).collect_view();
    view! {
        <Panel title="What serves where" id="board" note live=true>
            <Table label="Table of what serves" class="board">
                <thead>
                    <tr>
                        <Head label="Model" class="pin"/>
                        {heads}
                        <Head label="Requests, 24 h"/>
                        <Head label="p99" num=true/>
                        <Head label="Errors" num=true/>
                        <Head label="Drift"/>
                    </tr>
                </thead>
                <tbody>{lines}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

#[component]
fn BoardLine(links: Links, row: BoardRow) -> impl IntoView {
    let main = row.main;
    let home = links.endpoint(&main.deployment.environment, &row.model);
    let cells = row
        .cells
        .into_iter()
        .map(|cell| match cell {
            None => view! { <td><span class="none">{format::NONE}</span></td> }.into_any(),
            Some(endpoint) => view! { <td><Cell links=links.clone() endpoint/></td> }.into_any(),
        })
        .collect_view();
    let of = if main.deployment.environment == domain::environment::PRODUCTION {
        None
    } else {
        Some(format!("figures of {}", main.deployment.environment))
    };
    view! {
        <tr id=format!("board-{}", row.model)>
            <th scope="row" class="pin">
                <a class="strong ellipsis model" href=home title=row.model.clone()>{row.model.clone()}</a>
                {of.map(|of| view! { <span class="sub">{of}</span> })}
            </th>
            {cells}
            <Doing endpoint=main counted=true/>
        </tr>
    }
}

/// How an endpoint does, in four cells: its requests, drawn and, when they are to be `counted`, in all; latency, errors,
/// drift.
#[component]
pub(in crate::pages) fn Doing(endpoint: Endpoint, #[prop(optional)] counted: bool) -> impl IntoView {
    let (state, _) = health(&endpoint);
    let traffic = endpoint.traffic;
    let none = || view! { <span class="none">{format::NONE}</span> }.into_any();
    let errors = match share(traffic.errors, traffic.requests) {
        None => none(),
        Some(share) => {
            view! { <span class=(share > MANY_ERRORS).then_some("bad")>{format::percent(share)}</span> }.into_any()
        }
    };
    // Requests of an hour are far below what loses digits.
    #[allow(clippy::cast_precision_loss)]
    let values: Vec<f64> = traffic.series.iter().map(|n| *n as f64).collect();
    let tone = if matches!(state, State::Failed | State::Warning) { state.tone() } else { Tone::Idle };
    let drift = match (endpoint.drifted, endpoint.drift_share) {
        (Some(drifted), Some(share)) => {
            let state = if drifted { State::Failed } else { State::Passed };
            view! { <StateMark state word=format::percent(share)/> }.into_any()
        }
        _ => none(),
    };
    let requests = match (traffic.requests > 0, counted) {
        (false, _) => view! { <span class="muted">"no requests"</span> }.into_any(),
        (true, false) => view! { <Spark values of="requests an hour" tone/> }.into_any(),
        (true, true) => {
            view! {
                <span class="requests"><Spark values of="requests an hour" tone/><span class="muted">{format::integer(traffic.requests)}</span></span>
            }
            .into_any()
        }
    };
    let latency = traffic.p99_ms.map_or_else(none, |ms| format::latency(ms).into_any());
    view! {
        <td>{requests}</td>
        <td class="num">{latency}</td>
        <td class="num">{errors}</td>
        <td>{drift}</td>
    }
}

#[component]
fn Cell(links: Links, endpoint: Endpoint) -> impl IntoView {
    let (state, word) = health(&endpoint);
    let Deployment { environment, model, version, live_at, created_at, created_by, rollback_of, .. } =
        endpoint.deployment;
    let href = links.endpoint(&environment, &model);
    let how = if rollback_of.is_some() { "rolled back by " } else { "by " };
    view! {
        <div class="cell">
            <span class="v">
                <StateShape state word/>
                <a class="quiet" href=href>{format!("v{version}")}</a>
            </span>
            <span class="sub"><When at=live_at.unwrap_or(created_at)/>", "{how}{created_by}</span>
        </div>
    }
}
