//! The latest predictions, with what was asked and answered in the first row of each.

use crate::{format, ui::prelude::*};
use domain::{Page, deployment::Prediction};
use leptos::prelude::*;
use serde_json::Value;

/// The latest predictions.
#[component]
pub(super) fn Predictions(predictions: Page<Prediction>, address: Address) -> impl IntoView {
    let Page { items, next_page_token } = predictions;
    let shown = items.len();
    if items.is_empty() && address.get("page_token").is_none() {
        return view! {
            <Panel title="Predictions" id="predictions">
                <Body><p class="muted">"Every answered request is kept here, with its id, its inputs and its output."</p></Body>
            </Panel>
        }
        .into_any();
    }
    let rows = items.into_iter().map(|prediction| view! { <Line prediction/> }).collect_view();
    view! {
        <section class="stack tight" id="predictions" aria-labelledby="h-predictions">
            <h2 class="section-title" id="h-predictions">
                "Predictions "<span class="n">"newest first, first row of each"</span>
            </h2>
            <Table label="Predictions" keys=true>
                <thead>
                    <tr>
                        <Head label="When"/>
                        <Head label="Answer"/>
                        <Head label="Output"/>
                        <Head label="Inputs"/>
                        <Head label="Rows" num=true/>
                        <Head label="Took" num=true/>
                        <Head label="Version" num=true/>
                        <Head label="Id"/>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </Table>
            <Pager address=address shown next=next_page_token one="prediction" many="predictions"/>
        </section>
    }
    .into_any()
}

#[component]
fn Line(prediction: Prediction) -> impl IntoView {
    let shape = match prediction.status {
        200..=299 => State::Passed,
        400..=499 => State::Warning,
        _ => State::Failed,
    };
    let (inputs, output) = (first_row(&prediction.features), first_row(&prediction.output));
    let took = format::latency(f64::from(prediction.latency_us) / 1000.0);
    let id = prediction.id.to_string();
    let asked = prediction.request_id.map(|request| format!("request {request}"));
    view! {
        <tr>
            <th scope="row"><When at=prediction.at/></th>
            <td><StateMark state=shape word=prediction.status.to_string()/></td>
            <td class="values"><span class="mono ellipsis strong" title=output.clone()>{dashed(&output)}</span></td>
            <td class="values wider"><span class="mono ellipsis" title=inputs.clone()>{dashed(&inputs)}</span></td>
            <td class="num">{format::integer(prediction.rows.into())}</td>
            <td class="num">{took}</td>
            <td class="num">{format!("v{}", prediction.version)}</td>
            <td>
                <span class="digest" title=asked>
                    <code title=id.clone()>{id.get(24..).unwrap_or(&id).to_owned()}</code>
                    <CopyButton text=id label="Copy prediction id"/>
                </span>
            </td>
        </tr>
    }
}

fn dashed(text: &str) -> String {
    if text.is_empty() { format::NONE.to_owned() } else { text.to_owned() }
}

/// `alcohol 9.4, pH 3.51`: the first value of every column; one column's value alone.
fn first_row(columns: &Value) -> String {
    let Some(columns) = columns.as_object() else { return String::new() };
    let one = columns.len() == 1;
    let cell = |(name, cells): (&String, &Value)| {
        let value = cells.as_array().and_then(|cells| cells.first()).map(short)?;
        Some(if one { value } else { format!("{name} {value}") })
    };
    columns.iter().filter_map(cell).collect::<Vec<_>>().join(", ")
}

fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // As it was sent, while that is short.
        Value::Number(number) => match (number.to_string(), number.as_f64()) {
            (text, Some(value)) if text.len() > 8 => format::number(value),
            (text, _) => text,
        },
        Value::Array(values) => format!("[{}]", values.iter().map(short).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_row_is_told_by_name() {
        assert_eq!(first_row(&json!({"alcohol": [9.4, 10.0], "pH": [3.51]})), "alcohol 9.4, pH 3.51");
        assert_eq!(first_row(&json!({"label": ["six"]})), "six");
        assert_eq!(first_row(&json!({"p": [[0.25, 0.75]]})), "[0.25, 0.75]");
        assert_eq!(first_row(&json!({})), "");
    }
}
