//! Asking again what was recorded: the columns of a prediction as a request to another model.

use super::{
    infer::{InferRequest, listed},
    invocations::Invocation,
    tensor::TensorSpec,
};
use crate::error::Error;
use serde_json::{Map, Value, json};

/// The request that was recorded as these columns, as [`super::columns`] writes them, for a model that takes these
/// inputs. It is not checked yet.
///
/// `names` are the columns of its one matrix by its signature, as [`super::feature_names`] tells them; `order` are those of
/// the model that was asked, because JSON objects keep no order. A column that the model does not take is left out.
///
/// # Errors
/// Says what the model takes that was not recorded, or has another type.
pub fn asked_again(
    features: &Map<String, Value>,
    inputs: &[TensorSpec],
    names: &[String],
    order: &[String],
) -> Result<InferRequest, Error> {
    let mut tensors = Map::new();
    for spec in inputs {
        let rows = match (features.get(&spec.name), matrix(features, &spec.name)) {
            (Some(column), _) => shaped(column, spec)?,
            (None, Some(columns)) => woven(&columns, spec),
            (None, None) if inputs.len() == 1 => woven(&by_name(features, spec, names, order)?, spec),
            (None, None) => {
                let message = format!("The model takes {}; \"{}\" was not recorded.", listed(inputs), spec.name);
                return Err(Error::invalid(message));
            }
        };
        tensors.insert(spec.name.clone(), rows);
    }
    Invocation::parse(json!({ "inputs": tensors }).to_string().as_bytes())?.into_request(inputs, &[])
}

/// The columns `name[0]`, `name[1]` …
fn matrix<'a>(features: &'a Map<String, Value>, name: &str) -> Option<Vec<&'a Value>> {
    let columns: Vec<&Value> = (0..).map_while(|at| features.get(&format!("{name}[{at}]"))).collect();
    (!columns.is_empty()).then_some(columns)
}

/// The columns of a model that takes one matrix.
fn by_name<'a>(
    features: &'a Map<String, Value>,
    spec: &TensorSpec,
    names: &[String],
    order: &[String],
) -> Result<Vec<&'a Value>, Error> {
    if !names.is_empty() {
        let column = |name: &String| {
            features.get(name).ok_or_else(|| {
                Error::invalid(format!("The model takes the column \"{name}\", which was not recorded."))
            })
        };
        return names.iter().map(column).collect();
    }
    if !order.is_empty()
        && let Some(columns) = order.iter().map(|name| features.get(name)).collect::<Option<Vec<_>>>()
    {
        return Ok(columns);
    }
    let bracket = features.keys().next().and_then(|name| name.rsplit_once('['));
    if let Some(columns) = bracket.and_then(|(name, _)| matrix(features, name))
        && columns.len() == features.len()
    {
        return Ok(columns);
    }
    match features.values().next() {
        Some(column) if features.len() == 1 => Ok(vec![column]),
        _ => Err(Error::invalid(format!(
            "The model takes {spec} and names no columns, so what was recorded has no order; log it with a signature."
        ))),
    }
}

/// Rows of one matrix from its columns; a list where the model takes one, and the only column is no matrix.
fn woven(columns: &[&Value], spec: &TensorSpec) -> Value {
    if let ([column], 1) = (columns, spec.shape.len()) {
        return (*column).clone();
    }
    let rows = columns.iter().filter_map(|column| column.as_array()).map(Vec::len).max().unwrap_or(0);
    let cell = |column: &Value, row: usize| column.get(row).cloned().unwrap_or_default();
    (0..rows).map(|row| columns.iter().map(|column| cell(column, row)).collect::<Value>()).collect()
}

/// The rows of one column, nested as the model takes them. Lists are recorded flat.
fn shaped(column: &Value, spec: &TensorSpec) -> Result<Value, Error> {
    let rows = column.as_array().map(Vec::as_slice).unwrap_or_default();
    let inner = spec.shape.get(1..).unwrap_or_default();
    let row = |value: &Value| {
        let flat = match value {
            Value::Array(items) => items.clone(),
            single => vec![single.clone()],
        };
        if let ([single], []) = (flat.as_slice(), inner) {
            return Ok(single.clone());
        }
        let axes = axes(inner, flat.len()).ok_or_else(|| {
            Error::invalid(format!("The model takes {spec}; \"{}\" was recorded with another shape.", spec.name))
        })?;
        Ok(nested(flat, &axes))
    };
    rows.iter().map(row).collect()
}

/// The length along each axis of so many values, when at most one of them is open.
fn axes(wanted: &[i64], values: usize) -> Option<Vec<usize>> {
    let known: usize = wanted.iter().filter_map(|length| usize::try_from(*length).ok()).product();
    let open = wanted.iter().filter(|length| **length < 0).count();
    let rest = values.checked_div(known)?;
    let fits = match open {
        0 => known == values,
        1 => known * rest == values,
        _ => false,
    };
    let axis = |length: &i64| usize::try_from(*length).unwrap_or(rest);
    (fits && !wanted.is_empty()).then(|| wanted.iter().map(axis).collect())
}

fn nested(flat: Vec<Value>, axes: &[usize]) -> Value {
    match axes {
        [] | [_] => Value::Array(flat),
        [_, inner @ ..] => {
            let width = inner.iter().product::<usize>().max(1);
            flat.chunks(width).map(|part| nested(part.to_vec(), inner)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Datatype, Tensor, TensorData, columns},
        *,
    };

    fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
        TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
    }

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
        Tensor { name: name.to_owned(), shape: shape.to_vec(), data: TensorData::Fp32(values.to_vec()) }
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    /// What was recorded of a request, asked of a model that takes these inputs.
    fn again(asked: &[Tensor], recorded: &[&str], inputs: &[TensorSpec], own: &[&str]) -> Result<Vec<Tensor>, Error> {
        let features = columns(asked, &names(recorded));
        let request = asked_again(&features, inputs, &names(own), &names(recorded))?;
        request.check(inputs, &[])?;
        Ok(request.inputs)
    }

    #[test]
    fn what_was_asked_is_asked_again_whatever_its_form() {
        let fp32 = Datatype::Fp32;
        let text = Tensor {
            name: "plan".to_owned(),
            shape: vec![2, 1],
            data: TensorData::Bytes(vec!["pro".to_owned(), "basic".to_owned()]),
        };
        for (asked, recorded, inputs) in [
            (vec![tensor("X", &[2, 2], &[1.0, 2.5, 3.0, 4.0])], &["b", "a"][..], vec![spec("X", fp32, &[-1, 2])]),
            (vec![tensor("X", &[2, 2], &[1.0, 2.5, 3.0, 4.0])], &[], vec![spec("X", fp32, &[-1, 2])]),
            (vec![tensor("X", &[2], &[0.1, 2.0])], &[], vec![spec("X", fp32, &[-1])]),
            (vec![tensor("X", &[2], &[0.1, 2.0])], &["a"], vec![spec("X", fp32, &[-1])]),
            (vec![tensor("X", &[2, 1], &[0.1, 2.0])], &["a"], vec![spec("X", fp32, &[-1, 1])]),
            (vec![tensor("X", &[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])], &[], vec![spec("X", fp32, &[-1, -1, 3])]),
            (
                vec![tensor("age", &[2, 1], &[1.0, 2.0]), text],
                &[],
                vec![spec("age", fp32, &[-1, 1]), spec("plan", Datatype::Bytes, &[-1, 1])],
            ),
        ] {
            assert_eq!(again(&asked, recorded, &inputs, recorded), Ok(asked.clone()), "{recorded:?} {inputs:?}");
        }
    }

    #[test]
    fn columns_go_by_the_names_of_the_model_that_is_asked() {
        let asked = [tensor("X", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
        let takes = [spec("input", Datatype::Fp32, &[-1, 2])];
        let found = again(&asked, &["a", "b", "c"], &takes, &["c", "a"]).unwrap();
        assert_eq!(found, [tensor("input", &[2, 2], &[3.0, 1.0, 6.0, 4.0])]);
        // One that names none takes them as they were.
        let takes = [spec("input", Datatype::Fp32, &[-1, 3])];
        let found = again(&asked, &["z", "b", "c"], &takes, &[]).unwrap();
        assert_eq!(found[0].data, asked[0].data);
        assert_eq!(again(&asked, &[], &takes, &[]).unwrap()[0].data, asked[0].data);
    }

    #[test]
    fn what_a_model_does_not_take_is_named() {
        let asked = [tensor("X", &[1, 2], &[1.0, 2.0])];
        let one = [spec("X2", Datatype::Fp32, &[-1, 3])];
        let two = [spec("age", Datatype::Fp32, &[-1]), spec("visits", Datatype::Int64, &[-1])];
        for (recorded, inputs, own, words) in [
            (&["a", "b"][..], &one[..], &["a", "b", "c"][..], "takes the column \"c\", which was not recorded"),
            (&["a", "b"], &one, &[], "Input \"X2\" has shape [1,2], the model takes [-1,3]"),
            (&["age", "b"], &two, &[], "\"visits\" was not recorded"),
        ] {
            let error = again(&asked, recorded, inputs, own).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
        let images = [tensor("X", &[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
        let error = again(&images, &[], &[spec("X", Datatype::Fp32, &[-1, 4])], &[]).unwrap_err();
        assert!(error.message.contains("was recorded with another shape"), "{}", error.message);
    }
}
