//! The board: what serves of each model in each environment, and how production does.

use crate::{
    format,
    pages::deployment::{BoardRow, Doing, board, health},
    ui::prelude::*,
};
use domain::{deployment::Endpoint, environment::Environment};
use leptos::prelude::*;

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
                            .map(|environment| view! { <Head label=format::capitalised(&environment.name)/> })
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
                    let serving = cell.map(|endpoint| {
                        let (state, word) = health(&endpoint);
                        let deployment = endpoint.deployment;
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
            <Doing endpoint=main/>
        </tr>
    }
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
                    .map(|cell| cell.as_ref().map_or("–".to_owned(), |one| format!("v{}", one.deployment.version)))
                    .collect();
                format!("{}: {} of {}", row.model, cells.join(" "), row.main.deployment.environment)
            })
            .collect();
        assert_eq!(shown, ["wine-quality: v14 v12 of production", "digits: v31 – of staging"]);
    }
}
