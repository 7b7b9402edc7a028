//! What a version takes and gives, and its golden rows.

use crate::{format, ui::prelude::*};
use domain::{
    model::{Signature as Fields, SignatureField},
    promotion::GoldenRows,
};
use leptos::prelude::*;

/// The shape of a tensor, for people: `[any, 28, 28]`.
pub(super) fn shape(field: &SignatureField) -> Option<String> {
    let axis = |axis: &i64| if *axis < 0 { "any".to_owned() } else { axis.to_string() };
    field.shape.as_ref().map(|shape| format!("[{}]", shape.iter().map(axis).collect::<Vec<_>>().join(", ")))
}

/// What it takes and gives. `of` says of which version, where the page is not that version's.
#[component]
pub(super) fn Signature(signature: Option<Fields>, #[prop(optional_no_strip)] of: Option<String>) -> impl IntoView {
    let Some(signature) = signature else {
        return view! {
            <Panel title="Signature" id="signature" note=of.unwrap_or_default()>
                <Body>
                    <p class="muted">
                        "None was logged. Log the model with an input example, so that what it takes is known before it serves: "
                        <code>"mlflow.sklearn.log_model(model, input_example=X[:3])"</code>
                    </p>
                </Body>
            </Panel>
        }
        .into_any();
    };
    let note = format!("{} in, {} out", signature.inputs.len(), signature.outputs.len());
    let note = of.map_or_else(|| note.clone(), |of| format!("{of}: {note}"));
    let has_shapes = signature.inputs.iter().chain(&signature.outputs).any(|field| field.shape.is_some());
    let side = move |title: &'static str, fields: Vec<SignatureField>| {
        fields
            .into_iter()
            .enumerate()
            .map(move |(at, field)| {
                let shape = shape(&field);
                view! {
                    <tr>
                        <td class="muted">{(at == 0).then_some(title)}</td>
                        <th scope="row" class="mono">{field.name.unwrap_or_else(|| format!("[{at}]"))}</th>
                        <td class="mono">{field.dtype}</td>
                        {has_shapes.then(|| view! { <td class="mono"><Maybe text=shape/></td> })}
                    </tr>
                }
            })
            .collect_view()
    };
    view! {
        <Panel title="Signature" id="signature" note=note>
            <Table label="Signature" tall=true class="signature">
                <thead>
                    <tr>
                        <Head label="Side"/>
                        <Head label="Name"/>
                        <Head label="Type"/>
                        {has_shapes.then(|| view! { <Head label="Shape"/> })}
                    </tr>
                </thead>
                <tbody>{side("Takes", signature.inputs)}</tbody>
                <tbody>{side("Gives", signature.outputs)}</tbody>
            </Table>
        </Panel>
    }
    .into_any()
}

/// Golden rows: what a gate replays in the engine that will serve.
#[component]
pub(super) fn Golden(rows: Option<Result<GoldenRows, String>>) -> impl IntoView {
    let rows = match rows? {
        Ok(rows) => rows,
        Err(why) => {
            return Some(
                view! { <Panel title="Golden rows" id="golden"><Body><p class="muted">{why}</p></Body></Panel> }
                    .into_any(),
            );
        }
    };
    let total = i64::try_from(rows.total).unwrap_or(i64::MAX);
    let note = if rows.rows.len() < rows.total {
        format!("first {} of {}", rows.rows.len(), format::count(total, "row", "rows"))
    } else {
        format::count(total, "row", "rows")
    };
    let note = format!("{note} of {}", rows.file);
    let inputs = rows.inputs.len();
    let foot = if rows.outputs.is_empty() {
        "No answers were recorded: a gate asks whether the engine answers them at all."
    } else {
        "A gate asks the engine that will serve for each row, and holds its answer against what was recorded."
    };
    let head = |label: &String, first: bool| {
        view! { <Head label=label.clone() num=true class=if first { "edge mono" } else { "mono" }/> }
    };
    let heads = rows.inputs.iter().map(|name| head(name, false)).collect_view();
    let answers = rows.outputs.iter().enumerate().map(|(at, name)| head(name, at == 0)).collect_view();
    let groups = (!rows.outputs.is_empty()).then(|| {
        view! {
            <tr class="group">
                <th scope="colgroup" colspan=inputs.to_string()>"Inputs"</th>
                <th scope="colgroup" class="edge" colspan=rows.outputs.len().to_string()>"Recorded answers"</th>
            </tr>
        }
    });
    let body = rows
        .rows
        .into_iter()
        .map(|row| {
            let cells = row
                .into_iter()
                .enumerate()
                .map(|(at, cell)| {
                    let class = if at == inputs { "num mono edge" } else { "num mono" };
                    view! { <td class=class>{cell}</td> }
                })
                .collect_view();
            view! { <tr>{cells}</tr> }
        })
        .collect_view();
    Some(
        view! {
            <Panel title="Golden rows" id="golden" note=note foot=foot.into_any()>
                <Table label="Golden rows">
                    <thead>{groups}<tr>{heads}{answers}</tr></thead>
                    <tbody>{body}</tbody>
                </Table>
            </Panel>
        }
        .into_any(),
    )
}
