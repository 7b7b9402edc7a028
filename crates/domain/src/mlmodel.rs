//! What an MLmodel file says of the model beside it: its flavours and its signature. Clients write the file; here it is
//! only read, and a file that is broken or strange says nothing rather than being refused.

use crate::model::{Signature, SignatureField};
use granit_parser::{Event, Parser};
use serde_json::Value;

/// The most bytes of a file that is read. MLflow writes one of a few kilobytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The most flavours and fields that are taken from a file.
const MAX_ENTRIES: usize = 10_000;

/// What an MLmodel file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MlModel {
    /// The flavours that the model can be loaded as, sorted: `onnx`, `python_function`, `sklearn`.
    pub flavors: Vec<String>,
    /// What the model takes and gives, when the file says it.
    pub signature: Option<Signature>,
}

impl MlModel {
    /// Reads a file. What cannot be understood is left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut found = Found::default();
        let mut flavors = found.walk(text).unwrap_or_default();
        flavors.sort_unstable();
        flavors.dedup();
        let signature = found.inputs.map(|inputs| Signature {
            inputs: fields(&inputs),
            outputs: found.outputs.map(|outputs| fields(&outputs)).unwrap_or_default(),
        });
        Self { flavors, signature }
    }
}

/// The two texts of the signature.
#[derive(Default)]
struct Found {
    inputs: Option<String>,
    outputs: Option<String>,
}

/// A list or mapping that is being read.
struct Open {
    is_map: bool,
    /// In a mapping: the key whose value comes next, unless a key comes next.
    key: Option<String>,
}

impl Found {
    /// Goes through the file's events, without unfolding aliases, and gives the keys of `flavors`. None when the file is
    /// not YAML; what stood before the mistake does not count.
    fn walk(&mut self, text: &str) -> Option<Vec<String>> {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: 64,
            block_nesting_limit: 64,
        };
        let mut open: Vec<Open> = Vec::new();
        let mut flavors = Vec::new();
        let mut signature = Self::default();
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, _) = event.ok()?;
            match event {
                Event::Scalar(text, ..) => {
                    let path: Vec<&str> = open.iter().filter_map(|open| open.key.as_deref()).collect();
                    match (expects_key(&open), &path[..]) {
                        (true, ["flavors"]) if open.len() == 2 && flavors.len() < MAX_ENTRIES => {
                            flavors.push(text.clone().into_owned());
                        }
                        (false, ["signature", "inputs"]) => signature.inputs = Some(text.clone().into_owned()),
                        (false, ["signature", "outputs"]) => signature.outputs = Some(text.clone().into_owned()),
                        _ => {}
                    }
                    step(&mut open, Some(text.into_owned()));
                }
                Event::Alias(_) => step(&mut open, None),
                Event::MappingStart(..) => open.push(Open { is_map: true, key: None }),
                Event::SequenceStart(..) => open.push(Open { is_map: false, key: None }),
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                    step(&mut open, None);
                }
                _ => {}
            }
        }
        *self = signature;
        Some(flavors)
    }
}

fn expects_key(open: &[Open]) -> bool {
    open.last().is_some_and(|last| last.is_map && last.key.is_none())
}

/// A node was read: it is the key whose value comes next, or the value, after which a key comes.
fn step(open: &mut [Open], text: Option<String>) {
    if let Some(last) = open.last_mut().filter(|last| last.is_map) {
        last.key = match last.key {
            None => Some(text.unwrap_or_default()),
            Some(_) => None,
        };
    }
}

/// The fields of a signature's text: a JSON list of columns or tensors.
fn fields(text: &str) -> Vec<SignatureField> {
    let Ok(Value::Array(entries)) = serde_json::from_str(text) else { return Vec::new() };
    entries.iter().take(MAX_ENTRIES).filter_map(field).collect()
}

fn field(entry: &Value) -> Option<SignatureField> {
    let name = entry["name"].as_str().map(ToOwned::to_owned);
    // Clients before 2.9 wrote the opposite.
    let optional = entry["required"] == false || entry["optional"] == true;
    match entry["type"].as_str()? {
        "tensor" => {
            let spec = &entry["tensor-spec"];
            let shape = spec["shape"].as_array()?.iter().map(Value::as_i64).collect::<Option<Vec<_>>>()?;
            let dtype = format!("tensor({})", spec["dtype"].as_str()?);
            Some(SignatureField { name, dtype, shape: Some(shape), optional })
        }
        dtype => Some(SignatureField { name, dtype: dtype.to_owned(), shape: None, optional }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKLEARN: &str = r#"
artifact_path: mlflow-artifacts:/1/models/m-1/artifacts
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
  sklearn:
    code: null
    pickled_model: model.pkl
model_id: m-1
signature:
  inputs: '[{"type": "double", "name": "age", "required": true}, {"type": "string",
    "name": "plan", "required": true}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: null
type_hint: null
"#;

    #[test]
    fn flavours_and_signature_are_read() {
        let read = MlModel::read(SKLEARN);
        assert_eq!(read.flavors, ["python_function", "sklearn"]);
        let signature = read.signature.unwrap();
        let inputs: Vec<_> =
            signature.inputs.iter().map(|field| (field.name.as_deref().unwrap(), field.dtype.as_str())).collect();
        assert_eq!(inputs, [("age", "double"), ("plan", "string")]);
        assert_eq!(
            signature.outputs,
            [SignatureField { name: None, dtype: "tensor(int64)".to_owned(), shape: Some(vec![-1]), optional: false }]
        );
    }

    #[test]
    fn keys_of_the_same_name_elsewhere_mean_nothing() {
        let read =
            MlModel::read("metadata:\n  flavors: {a: 1}\n  signature: {inputs: '[]'}\nlist: [flavors, {b: 1}]\n");
        assert_eq!(read, MlModel::default());
    }

    #[test]
    fn a_broken_file_says_nothing() {
        for text in [
            "",
            "flavors:\n  onnx: {}\n :",
            "flavors: [",
            "- a\n- b",
            "\0",
            "just text",
            "flavors: {onnx: {}}\nsignature: {inputs: '[', outputs: 7}\n---\n%bad",
            &"[".repeat(100_000),
        ] {
            let read = MlModel::read(text);
            assert!(read.flavors.is_empty() && read.signature.is_none(), "{text:.40}");
        }
    }

    #[test]
    fn a_signature_that_cannot_be_understood_has_no_fields() {
        let read = MlModel::read("flavors: {onnx: {}}\nsignature: {inputs: '{\"a\": 1}', outputs: '[7, {}]'}\n");
        assert_eq!(read.flavors, ["onnx"]);
        assert_eq!(read.signature, Some(Signature::default()));
    }

    #[test]
    fn aliases_are_not_unfolded() {
        let bomb = format!(
            "a: &a [x, x]\n{}flavors: {{onnx: *z}}\n",
            (0..60)
                .map(|n| {
                    let before = if n == 0 { "a".to_owned() } else { format!("b{}", n - 1) };
                    let name = if n == 59 { "z".to_owned() } else { format!("b{n}") };
                    format!("{name}: &{name} [*{before}, *{before}]\n")
                })
                .collect::<String>()
        );
        assert_eq!(MlModel::read(&bomb).flavors, ["onnx"]);
    }
}
