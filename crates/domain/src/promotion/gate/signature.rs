//! Whether a version takes what the champion takes, and gives what it gives.

use super::{Finding, Verdict, held};
use crate::model::{Signature, SignatureField};
use serde_json::json;

/// Whether whoever calls the champion can call the version instead: each input is taken with the same or a wider type, no
/// other is required, and the outputs are the same. `champion` is none when there is none; signatures are none when an
/// MLmodel file does not say them.
#[must_use]
pub fn signature_compatible(ours: Option<&Signature>, champion: Option<(&str, Option<&Signature>)>) -> Finding {
    let Some((title, theirs)) = champion else {
        return Finding {
            verdict: Verdict::Pass,
            measured: "–".to_owned(),
            limit: "no champion yet".to_owned(),
            reason: "Nothing serves in this environment yet, so nobody relies on a signature.".to_owned(),
            evidence: json!({ "champion": null }),
        };
    };
    let limit = format!("can take the place of {title}");
    let says = |signature: Option<&Signature>| {
        signature.is_some_and(|signature| !signature.inputs.is_empty() && !signature.outputs.is_empty())
    };
    let (Some(ours), Some(theirs)) = (ours.filter(|_| says(ours)), theirs.filter(|_| says(theirs))) else {
        let who = if says(ours) { title } else { "The version" };
        let reason = format!("{who} has no signature of inputs and outputs; log the model with an input example.");
        return Finding::inconclusive(limit, reason);
    };
    let mut broken = Vec::new();
    let mut unclear = Vec::new();
    for (at, wanted) in theirs.inputs.iter().enumerate() {
        let name = named(wanted, at);
        match find(&ours.inputs, wanted, at) {
            None if wanted.optional => {}
            None => broken.push(format!("input {name} is not taken any more")),
            Some(given) => match takes(given, wanted) {
                Some(true) if wanted.optional && !given.optional => {
                    broken.push(format!("input {name} is required now"))
                }
                Some(true) => {}
                Some(false) => broken.push(format!("input {name} was {} and is {}", words(wanted), words(given))),
                None => unclear.push(format!("what is in the {} of input {name}", wanted.dtype)),
            },
        }
    }
    for (at, given) in ours.inputs.iter().enumerate() {
        if !given.optional && find(&theirs.inputs, given, at).is_none() {
            broken.push(format!("input {} is new, and required", named(given, at)));
        }
    }
    for (at, wanted) in theirs.outputs.iter().enumerate() {
        let name = named(wanted, at);
        match find(&ours.outputs, wanted, at) {
            None => broken.push(format!("output {name} is not given any more")),
            Some(given) if is_nested(&given.dtype) && given.dtype == wanted.dtype => {
                unclear.push(format!("what is in the {} of output {name}", wanted.dtype));
            }
            Some(given) if kind(&given.dtype) != kind(&wanted.dtype) || !fits(&wanted.shape, &given.shape) => {
                broken.push(format!("output {name} was {} and is {}", words(wanted), words(given)));
            }
            Some(_) => {}
        }
    }
    for (at, given) in ours.outputs.iter().enumerate() {
        if find(&theirs.outputs, given, at).is_none() {
            broken.push(format!("output {} is new", named(given, at)));
        }
    }
    let evidence = json!({ "champion": title, "broken": broken, "unclear": unclear });
    if broken.is_empty() && !unclear.is_empty() {
        return Finding::inconclusive(limit, format!("It is not known here {}.", unclear.join(", "))).with(evidence);
    }
    let pass = broken.is_empty();
    let mut reason = if pass { "inputs are taken, and outputs are the same".to_owned() } else { broken.join("; ") };
    if let Some(first) = reason.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Finding {
        verdict: held(pass),
        measured: if pass { "compatible" } else { "not compatible" }.to_owned(),
        limit,
        reason: reason + ".",
        evidence,
    }
}

/// The field of the same name; of those without a name the one in the same place.
fn find<'a>(fields: &'a [SignatureField], wanted: &SignatureField, at: usize) -> Option<&'a SignatureField> {
    match &wanted.name {
        Some(_) => fields.iter().find(|field| field.name == wanted.name),
        None => fields.get(at).filter(|field| field.name.is_none()),
    }
}

fn named(field: &SignatureField, at: usize) -> String {
    field.name.as_ref().map_or_else(|| (at + 1).to_string(), |name| format!("\"{name}\""))
}

fn words(field: &SignatureField) -> String {
    match &field.shape {
        Some(shape) => format!("{} {shape:?}", field.dtype),
        None => field.dtype.clone(),
    }
}

/// What is known of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Signed(u32),
    Unsigned(u32),
    Float(u32),
    Other(&'a str),
}

/// Whether it is a tensor, and of what. Columns are named as MLflow's `DataType` names them, tensors as numpy does.
fn kind(dtype: &str) -> (bool, Kind<'_>) {
    let inner = dtype.strip_prefix("tensor(").and_then(|rest| rest.strip_suffix(')'));
    let name = inner.unwrap_or(dtype);
    let bits = |prefix: &str| name.strip_prefix(prefix).and_then(|bits| bits.parse().ok());
    let kind = match name {
        "integer" => Kind::Signed(32),
        "long" => Kind::Signed(64),
        "float" => Kind::Float(32),
        "double" => Kind::Float(64),
        "bool" => Kind::Other("boolean"),
        "str" | "object" if inner.is_some() => Kind::Other("string"),
        other => bits("uint")
            .map(Kind::Unsigned)
            .or_else(|| bits("int").map(Kind::Signed))
            .or_else(|| bits("float").map(Kind::Float))
            .unwrap_or(Kind::Other(other)),
    };
    (inner.is_some(), kind)
}

/// Types that hold others, which are not kept.
fn is_nested(dtype: &str) -> bool {
    matches!(dtype, "array" | "object" | "map" | "sparse_vector")
}

/// Whether whatever fits `wanted` can be given to `field`; none when it cannot be told.
fn takes(field: &SignatureField, wanted: &SignatureField) -> Option<bool> {
    let ((tensor, wide), (was_tensor, narrow)) = (kind(&field.dtype), kind(&wanted.dtype));
    if field.dtype == "any" {
        return Some(true);
    }
    if is_nested(&field.dtype) && field.dtype == wanted.dtype {
        return None;
    }
    let wider = match (wide, narrow) {
        (a, b) if a == b => true,
        (Kind::Signed(a), Kind::Signed(b))
        | (Kind::Unsigned(a), Kind::Unsigned(b))
        | (Kind::Float(a), Kind::Float(b)) => a >= b,
        (Kind::Signed(a), Kind::Unsigned(b)) => a > b,
        // A float holds the whole numbers of its significand exactly: 11, 24 and 53 bits (IEEE 754).
        (Kind::Float(bits), Kind::Signed(whole)) => whole <= exact(bits),
        (Kind::Float(bits), Kind::Unsigned(whole)) => whole <= exact(bits),
        _ => false,
    };
    Some(tensor == was_tensor && wider && fits(&field.shape, &wanted.shape))
}

fn exact(bits: u32) -> u32 {
    match bits {
        16 => 11,
        32 => 24,
        64 => 53,
        _ => 0,
    }
}

/// Whether each length that `narrow` has is one of `wide`; -1 is any.
fn fits(wide: &Option<Vec<i64>>, narrow: &Option<Vec<i64>>) -> bool {
    match (wide, narrow) {
        (None, None) => true,
        (Some(wide), Some(narrow)) => {
            wide.len() == narrow.len() && wide.iter().zip(narrow).all(|(w, n)| *w < 0 || w == n)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::Verdict::{Fail, Inconclusive, Pass};

    fn field(name: &str, dtype: &str) -> SignatureField {
        let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
        let name = (!name.is_empty()).then(|| name.to_owned());
        let (dtype, shape) = match dtype.split_once('[') {
            Some((dtype, shape)) => {
                let shape = shape.trim_end_matches(']').split(',').map(|length| length.parse().unwrap()).collect();
                (dtype, Some(shape))
            }
            None => (dtype, None),
        };
        SignatureField { name, dtype: dtype.to_owned(), shape, optional }
    }

    fn signature(inputs: &[(&str, &str)], outputs: &[(&str, &str)]) -> Signature {
        let fields = |all: &[(&str, &str)]| all.iter().map(|(name, dtype)| field(name, dtype)).collect();
        Signature { inputs: fields(inputs), outputs: fields(outputs) }
    }

    #[test]
    fn inputs_may_grow_wider_and_nothing_may_be_asked_for_that_was_not() {
        for (ours, theirs, verdict) in [
            (&[("a", "double")][..], &[("a", "double")][..], Pass),
            (&[("a", "double")], &[("a", "float")], Pass),
            (&[("a", "double")], &[("a", "integer")], Pass),
            (&[("a", "long")], &[("a", "integer")], Pass),
            (&[("a", "float")], &[("a", "double")], Fail),
            (&[("a", "float")], &[("a", "integer")], Fail),
            (&[("a", "double")], &[("a", "long")], Fail),
            (&[("a", "string")], &[("a", "double")], Fail),
            (&[("a", "boolean")], &[("a", "boolean")], Pass),
            (&[("a", "array")], &[("a", "array")], Inconclusive),
            (&[("a", "any")], &[("a", "string")], Pass),
            (&[("b", "double")], &[("a", "double")], Fail),
            (&[("b", "double"), ("a", "double")], &[("a", "double"), ("b", "double")], Pass),
            (&[("a", "double"), ("b", "double")], &[("a", "double")], Fail),
            (&[("a", "double"), ("b?", "double")], &[("a", "double")], Pass),
            (&[("a", "double")], &[("a", "double"), ("b?", "double")], Pass),
            (&[("a", "double")], &[("a?", "double")], Fail),
            (&[("a?", "double")], &[("a", "double")], Pass),
            (&[("", "tensor(float32)[-1,4]")], &[("", "tensor(float32)[-1,4]")], Pass),
            (&[("", "tensor(float64)[-1,-1]")], &[("", "tensor(float32)[-1,4]")], Pass),
            (&[("", "tensor(float32)[-1,4]")], &[("", "tensor(float32)[-1,5]")], Fail),
            (&[("", "tensor(float32)[1,4]")], &[("", "tensor(float32)[-1,4]")], Fail),
            (&[("", "tensor(int16)[-1]")], &[("", "tensor(uint8)[-1]")], Pass),
            (&[("", "tensor(uint16)[-1]")], &[("", "tensor(int8)[-1]")], Fail),
            (&[("a", "double")], &[("", "tensor(float64)[-1]")], Fail),
        ] {
            let (ours, theirs) = (signature(ours, &[("y", "long")]), signature(theirs, &[("y", "long")]));
            let found = signature_compatible(Some(&ours), Some(("iris v1", Some(&theirs))));
            assert_eq!(found.verdict, verdict, "{ours:?} {theirs:?}: {}", found.reason);
        }
    }

    #[test]
    fn outputs_stay_as_they_are() {
        for (ours, theirs, verdict) in [
            (&[("y", "long")][..], &[("y", "long")][..], Pass),
            (&[("y", "double")], &[("y", "long")], Fail),
            (&[("y", "long"), ("p", "double")], &[("y", "long")], Fail),
            (&[("p", "double")], &[("y", "long"), ("p", "double")], Fail),
            (&[("", "tensor(int64)[-1]")], &[("", "tensor(int64)[-1]")], Pass),
            (&[("", "tensor(int64)[-1,2]")], &[("", "tensor(int64)[-1,3]")], Fail),
            (&[("y", "map")], &[("y", "map")], Inconclusive),
        ] {
            let (ours, theirs) = (signature(&[("a", "double")], ours), signature(&[("a", "double")], theirs));
            let found = signature_compatible(Some(&ours), Some(("iris v1", Some(&theirs))));
            assert_eq!(found.verdict, verdict, "{ours:?} {theirs:?}: {}", found.reason);
        }
    }

    #[test]
    fn without_a_champion_it_passes_and_without_a_signature_it_cannot_be_told() {
        let known = signature(&[("a", "double")], &[("y", "long")]);
        let half = signature(&[("a", "double")], &[]);
        let found = |ours, theirs| signature_compatible(ours, theirs).verdict;
        assert_eq!(found(None, None), Pass);
        for (ours, theirs) in
            [(None, Some(&known)), (Some(&known), None), (Some(&half), Some(&known)), (Some(&known), Some(&half))]
        {
            assert_eq!(found(ours, Some(("iris v1", theirs))), Inconclusive);
        }
    }
}
