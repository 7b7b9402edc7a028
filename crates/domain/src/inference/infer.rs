//! The Open Inference Protocol v2 over REST.

use super::{
    MAX_ELEMENTS, MAX_INPUTS, MAX_ROWS,
    read::{Read, checked_shape},
    tensor::{Datatype, Shape, Tensor, TensorSpec},
};
use crate::error::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The most characters of a request's id, which is recorded with the prediction.
const MAX_ID: usize = 256;

/// A request to a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InferRequest {
    /// The client's name for the request, given back in the response.
    pub id: Option<String>,
    /// What the client wants to be known beside the inputs.
    pub parameters: BTreeMap<String, Parameter>,
    /// What the model is asked about.
    pub inputs: Vec<Tensor>,
    /// The outputs that are wanted; empty means all.
    pub outputs: Vec<String>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a parameter is a text, a number, true or false")]
pub enum Parameter {
    /// `true` or `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct InferResponse {
    /// The model that answered.
    pub model_name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_version: Option<String>,
    /// The request's id, or ours when it had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it says, in the order of the model, or of the request when that names outputs.
    pub outputs: Vec<Tensor>,
}

/// What a model takes and gives, as the protocol tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelMetadata {
    /// The model's name.
    pub name: String,
    /// The versions that answer.
    pub versions: Vec<String>,
    /// The format of the model.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
}

impl ModelMetadata {
    /// The protocol's name for ONNX models.
    pub const ONNX: &'static str = "onnx_onnxv1";
}

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerMetadata {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The protocol's extensions that it offers.
    pub extensions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with \"inputs\"")]
struct WireRequest {
    id: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    inputs: Vec<WireInput>,
    #[serde(default)]
    outputs: Vec<WireOutput>,
}

#[derive(Deserialize)]
#[serde(expecting = "an input with \"name\", \"shape\", \"datatype\" and \"data\"")]
struct WireInput {
    name: String,
    shape: Vec<i64>,
    datatype: String,
    data: Option<Read>,
}

#[derive(Deserialize)]
#[serde(expecting = "an output with \"name\"")]
struct WireOutput {
    name: String,
}

impl InferRequest {
    /// Reads a request and checks it in itself: types are known, shapes fit the data, nothing exceeds the limits.
    ///
    /// # Errors
    /// Says what is wrong, and of which input; `field` points at it.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let wire: WireRequest = read_object(body)?;
        if wire.id.as_ref().is_some_and(|id| id.contains('\0') || id.chars().nth(MAX_ID).is_some()) {
            let text = format!("A request's id has at most {MAX_ID} characters, none of them NUL.");
            return Err(Error::invalid_field("/id", text));
        }
        if wire.inputs.len() > MAX_INPUTS {
            return Err(Error::invalid_field("/inputs", format!("A request has at most {MAX_INPUTS} inputs.")));
        }
        let total: usize = wire.inputs.iter().map(|input| input.data.as_ref().map_or(0, Read::len)).sum();
        if total > MAX_ELEMENTS {
            return Err(Error::invalid_field("/inputs", format!("A request holds at most {MAX_ELEMENTS} values.")));
        }
        let inputs = wire
            .inputs
            .into_iter()
            .enumerate()
            .map(|(at, input)| {
                input.into_tensor().map_err(|(part, text)| Error::invalid_field(format!("/inputs/{at}/{part}"), text))
            })
            .collect::<Result<_, _>>()?;
        let outputs = wire.outputs.into_iter().map(|output| output.name).collect();
        Ok(Self { id: wire.id, parameters: wire.parameters, inputs, outputs })
    }

    /// Checks that the model takes these inputs and gives these outputs.
    ///
    /// # Errors
    /// Says which name, type or shape is wrong, and what the model takes.
    pub fn check(&self, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> Result<(), Error> {
        let refuse =
            |at: usize, part: &str, text: String| Err(Error::invalid_field(format!("/inputs/{at}{part}"), text));
        for (at, tensor) in self.inputs.iter().enumerate() {
            let name = &tensor.name;
            let Some(spec) = inputs.iter().find(|spec| spec.name == *name) else {
                return refuse(at, "/name", format!("The model has no input \"{name}\"; it takes {}.", listed(inputs)));
            };
            if self.inputs[..at].iter().any(|earlier| earlier.name == *name) {
                return refuse(at, "/name", format!("Input \"{name}\" is given twice."));
            }
            let datatype = tensor.data.datatype();
            if datatype != spec.datatype {
                return refuse(
                    at,
                    "/datatype",
                    format!("Input \"{name}\" is {datatype}, the model takes {}.", spec.datatype),
                );
            }
            if !spec.takes(&tensor.shape) {
                let (given, taken) = (Shape(&tensor.shape), Shape(&spec.shape));
                return refuse(at, "/shape", format!("Input \"{name}\" has shape {given}, the model takes {taken}."));
            }
            if tensor.rows() > MAX_ROWS {
                return refuse(
                    at,
                    "/shape",
                    format!("Input \"{name}\" has {} rows; a request has at most {MAX_ROWS}.", tensor.rows()),
                );
            }
        }
        if let Some(missing) = inputs.iter().find(|spec| !self.inputs.iter().any(|tensor| tensor.name == spec.name)) {
            return Err(Error::invalid_field("/inputs", format!("Input {missing} is missing.")));
        }
        self.check_rows(inputs)?;
        for (at, name) in self.outputs.iter().enumerate() {
            if !outputs.iter().any(|spec| spec.name == *name) {
                let text = format!("The model has no output \"{name}\"; it gives {}.", listed(outputs));
                return Err(Error::invalid_field(format!("/outputs/{at}/name"), text));
            }
        }
        Ok(())
    }

    /// Inputs whose first axis has any length are rows of one table.
    fn check_rows(&self, inputs: &[TensorSpec]) -> Result<(), Error> {
        let free = |tensor: &&Tensor| {
            inputs.iter().any(|spec| spec.name == tensor.name && spec.shape.first().is_some_and(|length| *length < 0))
        };
        let mut tensors = self.inputs.iter().filter(free);
        let Some(first) = tensors.next() else {
            return Ok(());
        };
        match tensors.find(|other| other.rows() != first.rows()) {
            None => Ok(()),
            Some(other) => Err(Error::invalid_field(
                "/inputs",
                format!(
                    "Input \"{}\" has {} rows and input \"{}\" has {}.",
                    first.name,
                    first.rows(),
                    other.name,
                    other.rows()
                ),
            )),
        }
    }

    /// The same request about one of its rows; none when its tensors have not as many rows as each other, or no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<Self> {
        let inputs = self.inputs.iter().map(|tensor| tensor.row(row).filter(|_| tensor.rows() == self.rows()));
        let inputs = inputs.collect::<Option<_>>()?;
        Some(Self { id: self.id.clone(), parameters: self.parameters.clone(), inputs, outputs: self.outputs.clone() })
    }

    /// How many rows are asked about.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.inputs.first().map_or(0, Tensor::rows)
    }
}

impl WireInput {
    /// The typed tensor, or which member is wrong and why.
    fn into_tensor(self) -> Result<Tensor, (&'static str, String)> {
        let what = format!("Input \"{}\"", self.name);
        let datatype = match self.datatype.as_str() {
            "FP16" => {
                return Err(("datatype", format!("{what} is FP16, which JSON does not carry; send FP32.")));
            }
            name => Datatype::parse(name)
                .ok_or_else(|| ("datatype", format!("{what} has the unknown datatype \"{name}\".")))?,
        };
        let data = self.data.ok_or_else(|| ("data", format!("{what} has no data; only data in the JSON is read.")))?;
        let shape = checked_shape(&self.shape, &data, &what).map_err(|text| ("shape", text))?;
        let data = data.into_typed(datatype, &what).map_err(|text| ("data", text))?;
        Ok(Tensor { name: self.name, shape, data })
    }
}

/// `"a" (FP32 [-1,1]), "b" (BYTES [-1,1])`, shortened when there are many.
pub(super) fn listed(specs: &[TensorSpec]) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<String> = specs.iter().take(SHOWN).map(ToString::to_string).collect();
    if specs.len() > SHOWN {
        names.push(format!("and {} more", specs.len() - SHOWN));
    }
    names.join(", ")
}

/// Reads a body that has to be an object: serde would also take a list of its members.
pub(super) fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if body.trim_ascii_start().starts_with(b"[") {
        return Err(Error::invalid("The request is a list; it has to be an object."));
    }
    serde_json::from_slice(body).map_err(|error| {
        let problem = if error.is_data() { "The request is not understood" } else { "The body is not JSON" };
        Error::invalid(format!("{problem}: {error}."))
    })
}
