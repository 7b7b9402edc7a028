//! How to call an endpoint: commands to paste, with a request of the right names, types and shapes.

use crate::ui::{prelude::*, query::encode};
use domain::inference::{Datatype, TensorSpec};
use leptos::prelude::*;
use serde_json::{Value, json};

/// An example with more values than this is cut, and would be refused; nobody types an image.
const MOST_VALUES: usize = 4096;

/// What a caller of an endpoint has to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The address of the workspace, for clients.
    pub base: String,
    /// The environment; none for production, whose addresses name none.
    pub environment: Option<String>,
    /// The model.
    pub model: String,
    /// What it takes; empty when this process has not loaded it.
    pub inputs: Vec<TensorSpec>,
    /// The names of the columns, where the version's signature tells them.
    pub features: Vec<String>,
    /// A row that was answered lately, by column.
    pub sample: Option<Value>,
}

impl Call {
    fn prefix(&self) -> String {
        match &self.environment {
            Some(environment) => format!("{}/environments/{}", self.base, encode(environment)),
            None => self.base.clone(),
        }
    }

    /// The first value that was sent for a column lately.
    fn sampled(&self, column: &str) -> Option<Value> {
        self.sample.as_ref()?.get(column)?.as_array()?.first().cloned()
    }

    /// A request of the Open Inference Protocol with one row, its keys in the order in which one reads them.
    fn infer(&self) -> String {
        let tensor = |spec: &TensorSpec| {
            let shape: Vec<i64> = spec.shape.iter().map(|axis| if *axis < 0 { 1 } else { *axis }).collect();
            let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(1).clamp(1, MOST_VALUES);
            let named = count == self.features.len() && self.inputs.len() == 1;
            let column = |at: usize| match (named, count) {
                (true, _) => self.features[at].clone(),
                (false, 1) => spec.name.clone(),
                (false, _) => format!("{}[{at}]", spec.name),
            };
            let data: Vec<Value> =
                (0..count).map(|at| self.sampled(&column(at)).unwrap_or_else(|| blank(spec.datatype))).collect();
            let (name, datatype) = (json!(spec.name), spec.datatype);
            format!(r#"{{"name":{name},"shape":{},"datatype":"{datatype}","data":{}}}"#, json!(shape), json!(data))
        };
        format!(r#"{{"inputs":[{}]}}"#, self.inputs.iter().map(tensor).collect::<Vec<_>>().join(","))
    }

    /// A request in MLflow's form with one row.
    fn invocation(&self) -> Value {
        let width = |spec: &TensorSpec| {
            usize::try_from(spec.shape.iter().skip(1).filter(|axis| **axis > 0).product::<i64>())
                .unwrap_or(1)
                .clamp(1, MOST_VALUES)
        };
        if !self.features.is_empty() {
            let datatype = self.inputs.first().map_or(Datatype::Fp64, |spec| spec.datatype);
            let row: Vec<Value> =
                self.features.iter().map(|name| self.sampled(name).unwrap_or_else(|| blank(datatype))).collect();
            return json!({ "dataframe_split": { "columns": self.features, "data": [row] } });
        }
        match self.inputs.as_slice() {
            [spec] => {
                let row: Vec<Value> = (0..width(spec))
                    .map(|at| self.sampled(&format!("{}[{at}]", spec.name)).unwrap_or_else(|| blank(spec.datatype)))
                    .collect();
                json!({ "instances": [row] })
            }
            specs => {
                let columns: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
                let row: Vec<Value> =
                    specs.iter().map(|spec| self.sampled(&spec.name).unwrap_or_else(|| blank(spec.datatype))).collect();
                json!({ "dataframe_split": { "columns": columns, "data": [row] } })
            }
        }
    }
}

fn blank(datatype: Datatype) -> Value {
    match datatype {
        Datatype::Bool => json!(false),
        Datatype::Fp32 | Datatype::Fp64 => json!(0.5),
        Datatype::Bytes => json!("text"),
        _ => json!(0),
    }
}

fn curl(address: &str, body: &str) -> String {
    // In single quotes, where a quote ends the text.
    let body = body.replace('\'', "'\\''");
    format!(
        "curl {address} \\\n  -H \"Authorization: Bearer $SLIPWAY_TOKEN\" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{body}'"
    )
}

/// The commands.
#[component]
pub(super) fn HowToCall(call: Call) -> impl IntoView {
    let (prefix, model) = (call.prefix(), encode(&call.model));
    if call.inputs.is_empty() {
        return view! {
            <Panel title="Call it" id="call">
                <Body>
                    <p class="muted">"This process has not loaded the model, so it cannot tell what it takes. Ask for it:"</p>
                    <Command text=format!("curl {prefix}/v2/models/{model} -H \"Authorization: Bearer $SLIPWAY_TOKEN\"")/>
                </Body>
            </Panel>
        }
        .into_any();
    }
    let infer = curl(&format!("{prefix}/v2/models/{model}/infer"), &call.infer());
    let invoke = curl(&format!("{prefix}/v2/models/{model}/invocations"), &call.invocation().to_string());
    let takes = call.inputs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    view! {
        <Panel title="Call it" id="call" note="from a shell; a token of scope read is enough">
            <Body>
                <p class="muted">"It takes "<span class="mono">{takes}</span></p>
                <h3 class="section-title">"Open Inference Protocol v2"</h3>
                <Command text=infer/>
                <h3 class="section-title">"As MLflow's scoring server"</h3>
                <Command text=invoke/>
                <p class="muted">
                    "The answer's header "<code>"x-prediction-id"</code>" names the prediction, to find it here and to label it later."
                </p>
            </Body>
        </Panel>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::inference::{InferRequest, Invocation};

    fn call(inputs: Vec<TensorSpec>, features: &[&str], sample: Option<Value>) -> Call {
        Call {
            base: "http://127.0.0.1:3000/w/lab".into(),
            environment: None,
            model: "wine".into(),
            inputs,
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            sample,
        }
    }

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.into(), datatype, shape: shape.to_vec() }
    }

    #[test]
    fn the_examples_are_requests_that_the_model_takes() {
        let matrix = vec![spec("X", Datatype::Fp32, &[-1, 3])];
        let columns = vec![spec("age", Datatype::Fp32, &[-1, 1]), spec("plan", Datatype::Bytes, &[-1, 1])];
        for call in [
            call(matrix.clone(), &["a", "b", "c"], Some(json!({"a": [1.5], "b": [2.0], "c": [3.0]}))),
            call(matrix, &[], None),
            call(columns, &[], Some(json!({"age": [41.0], "plan": ["it's gold"]}))),
        ] {
            let request = InferRequest::parse(call.infer().as_bytes()).unwrap();
            request.check(&call.inputs, &[]).unwrap();
            let invocation = Invocation::parse(call.invocation().to_string().as_bytes()).unwrap();
            invocation.into_request(&call.inputs, &call.features).unwrap().check(&call.inputs, &[]).unwrap();
        }
    }

    #[test]
    fn a_row_that_was_answered_lately_is_the_example() {
        let call = call(
            vec![spec("X", Datatype::Fp32, &[-1, 2])],
            &["alcohol", "pH"],
            Some(json!({"alcohol": [9.4], "pH": [3.5]})),
        );
        assert_eq!(call.infer(), r#"{"inputs":[{"name":"X","shape":[1,2],"datatype":"FP32","data":[9.4,3.5]}]}"#);
        assert_eq!(call.invocation()["dataframe_split"]["data"], json!([[9.4, 3.5]]));
    }

    #[test]
    fn a_quote_in_the_data_does_not_end_the_command() {
        assert!(curl("http://x", r#"{"a":"it's"}"#).ends_with(r#"-d '{"a":"it'\''s"}'"#));
    }
}
