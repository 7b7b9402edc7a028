//! Golden rows: inputs that lie among a version's files, with the answers that its maker got. They are replayed in the
//! engine that will serve the version, so that a difference between the two is found before anybody relies on it.

use super::gate::{Finding, Verdict};
use crate::{
    digest::Digest,
    error::Error,
    inference::{Datatype, InferRequest, Invocation, Tensor, TensorSpec, shortest},
};
use serde_json::{Map, Value, json};

/// The files that may hold golden rows, the best first: ours, with answers, and the two that MLflow writes for a model
/// that is logged with an input example, without.
pub const FILES: [&str; 3] = ["golden.json", "serving_input_example.json", "input_example.json"];

/// The most bytes that such a file is read with.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Rows to be replayed.
#[derive(Debug, Clone)]
pub struct Golden {
    file: &'static str,
    ask: Ask,
    expected: Vec<Expected>,
}

#[derive(Debug, Clone)]
enum Ask {
    /// Typed tensors, in the form of the Open Inference Protocol.
    Tensors(InferRequest),
    /// Columns or rows, in the form of MLflow's `/invocations`.
    Table(Invocation),
}

/// What one output must be, in row-major order.
#[derive(Debug, Clone)]
struct Expected {
    /// None: the first output.
    output: Option<String>,
    values: Vec<Value>,
}

impl Golden {
    /// Reads one of [`FILES`].
    ///
    /// `golden.json` is an object with `inputs` and `outputs`. Inputs are tensors of the Open Inference Protocol
    /// (`[{"name", "shape", "datatype", "data"}]`), or whatever `/invocations` takes: columns by name, rows, a data
    /// frame. Outputs are tensors with `name` and `data`, values by the output's name, or a list for the first output.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(file: &'static str, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |error: Error| Error::invalid(format!("{file} cannot be replayed: {}", error.message));
        let value: Value = serde_json::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("{file} is not well-formed JSON: line {}, column {}.", error.line(), error.column()))
        })?;
        let mut object = match value {
            Value::Object(object) if file == "input_example.json" && object.contains_key("data") => {
                Map::from_iter([("dataframe_split".to_owned(), Value::Object(object))])
            }
            Value::Object(object) if file == "input_example.json" && !object.contains_key("inputs") => {
                Map::from_iter([("inputs".to_owned(), Value::Object(object))])
            }
            Value::Object(object) => object,
            rows => Map::from_iter([("inputs".to_owned(), rows)]),
        };
        let outputs = object.remove("outputs").unwrap_or(Value::Null);
        let typed =
            object.get("inputs").and_then(|inputs| inputs.get(0)).is_some_and(|first| first.get("datatype").is_some());
        let body = Value::Object(object).to_string();
        let ask = if typed {
            Ask::Tensors(InferRequest::parse(body.as_bytes()).map_err(wrong)?)
        } else {
            Ask::Table(Invocation::parse(body.as_bytes()).map_err(wrong)?)
        };
        let expected = expected(outputs).ok_or_else(|| {
            wrong(Error::invalid("its outputs are neither tensors with name and data, nor values by name, nor a list."))
        })?;
        Ok(Self { file, ask, expected })
    }

    /// What to ask a model that takes and gives these. `features` are the names of its columns, see
    /// [`Invocation::into_request`].
    ///
    /// # Errors
    /// Says which name, type or shape the model does not take.
    pub fn request(
        &self,
        inputs: &[TensorSpec],
        outputs: &[TensorSpec],
        features: &[String],
    ) -> Result<InferRequest, Error> {
        let request = match &self.ask {
            Ask::Tensors(request) => request.clone(),
            Ask::Table(table) => table.clone().into_request(inputs, features)?,
        };
        request.check(inputs, outputs)?;
        Ok(request)
    }

    /// Holds what the engine answered against what was recorded. `digest` names the version's files, so that the
    /// finding says what it was made of.
    #[must_use]
    pub fn compare(&self, answer: &[Tensor], tolerance: f64, digest: &Digest) -> Finding {
        let rows = answer.first().map_or(0, Tensor::rows);
        let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
        let limit = format!("within {tolerance} on {rows}");
        let evidence = |largest: Option<f64>| json!({ "file": self.file, "digest": digest, "largest_difference": largest, "tolerance": tolerance });
        let fail = |measured: String, reason: String| Finding {
            verdict: Verdict::Fail,
            measured,
            limit: limit.clone(),
            reason,
            evidence: evidence(None),
        };
        if let Some(tensor) = answer.iter().find(|tensor| !is_finite(tensor))
            && self.expected.is_empty()
        {
            let reason = format!("Output \"{}\" has values that are not numbers.", tensor.name);
            return fail("not a number".to_owned(), reason);
        }
        let mut largest = 0.0_f64;
        for expected in &self.expected {
            match expected.largest_difference(answer) {
                Ok(difference) => largest = largest.max(difference),
                Err(reason) => return fail("different".to_owned(), reason),
            }
        }
        if self.expected.is_empty() {
            return Finding {
                verdict: Verdict::Pass,
                measured: "answers".to_owned(),
                limit: format!("an answer to {rows}"),
                reason: format!("It answers {}, which records no answers to compare with.", self.file),
                evidence: evidence(None),
            };
        }
        let pass = largest <= tolerance;
        Finding {
            verdict: if pass { Verdict::Pass } else { Verdict::Fail },
            measured: format!("differs by {}", short(largest)),
            limit,
            reason: format!(
                "The serving engine answers {} {}.",
                self.file,
                if pass { "as was recorded" } else { "differently from what was recorded" }
            ),
            evidence: evidence(Some(largest)),
        }
    }
}

/// Whether a finding of a golden gate is about these files.
#[must_use]
pub fn is_about(finding: &Finding, digest: &Digest) -> bool {
    finding.evidence.get("digest").and_then(Value::as_str) == Some(digest.as_str())
}

/// What was not to be found out, and why.
#[must_use]
pub fn unknown(tolerance: f64, reason: impl Into<String>) -> Finding {
    Finding::inconclusive(format!("within {tolerance}"), reason)
}

/// The version could not be loaded or did not answer.
#[must_use]
pub fn refused(tolerance: f64, reason: impl Into<String>, digest: &Digest) -> Finding {
    Finding {
        verdict: Verdict::Fail,
        measured: "no answer".to_owned(),
        limit: format!("within {tolerance}"),
        reason: reason.into(),
        evidence: json!({ "digest": digest }),
    }
}

impl Expected {
    /// The largest difference between numbers, or what is different that is no number.
    fn largest_difference(&self, answer: &[Tensor]) -> Result<f64, String> {
        let found = match &self.output {
            Some(name) => answer.iter().find(|tensor| tensor.name == *name),
            None => answer.first(),
        };
        let Some(tensor) = found else {
            return Err(match &self.output {
                Some(name) => format!("The model gives no output \"{name}\"."),
                None => "The model gives no output.".to_owned(),
            });
        };
        let (recorded, given) = (self.values.len(), tensor.data.len());
        if recorded != given {
            return Err(format!("Output \"{}\" has {given} values, {recorded} were recorded.", tensor.name));
        }
        let mut largest = 0.0_f64;
        for (at, recorded) in self.values.iter().enumerate() {
            let given = tensor.data.json_at(at);
            let difference = match (recorded.as_f64(), given.as_f64()) {
                // Who records an FP32 may write it in full, or by its shortest decimal as it is here.
                (Some(recorded), Some(given)) if tensor.data.datatype() == Datatype::Fp32 => {
                    (shortest(recorded as f32) - given).abs()
                }
                (Some(recorded), Some(given)) => (recorded - given).abs(),
                _ if *recorded == given => 0.0,
                _ => {
                    return Err(format!(
                        "Value {at} of output \"{}\" is {given}, {recorded} was recorded.",
                        tensor.name
                    ));
                }
            };
            largest = largest.max(difference);
        }
        Ok(largest)
    }
}

/// Reads `outputs`; none when it has no form that is known.
fn expected(outputs: Value) -> Option<Vec<Expected>> {
    let flat = |value: &Value| {
        let mut values = Vec::new();
        flatten(value, &mut values).then_some(values)
    };
    match &outputs {
        Value::Null => Some(Vec::new()),
        Value::Array(tensors) if tensors.first().is_some_and(Value::is_object) => tensors
            .iter()
            .map(|tensor| {
                let output = Some(tensor.get("name")?.as_str()?.to_owned());
                Some(Expected { output, values: flat(tensor.get("data")?)? })
            })
            .collect(),
        Value::Object(named) => named
            .iter()
            .map(|(name, values)| {
                // MLflow's own word for the only thing that a model gives.
                let output = Some(name.clone()).filter(|name| name != "predictions");
                Some(Expected { output, values: flat(values)? })
            })
            .collect(),
        Value::Array(_) => Some(vec![Expected { output: None, values: flat(&outputs)? }]),
        _ => None,
    }
}

/// Adds what is in nested lists; false when there is an object among it.
fn flatten(value: &Value, into: &mut Vec<Value>) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| flatten(item, into)),
        Value::Object(_) => false,
        single => {
            into.push(single.clone());
            true
        }
    }
}

/// Whether a tensor has no missing value and no number that is none.
fn is_finite(tensor: &Tensor) -> bool {
    (0..tensor.data.len()).all(|at| !tensor.data.json_at(at).is_null())
}

/// `1.2e-7`, `0.25`, `0`.
fn short(value: f64) -> String {
    if value != 0.0 && value < 0.001 { format!("{value:.1e}") } else { super::gate::number(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::TensorData;
    use proptest::prelude::*;

    fn specs() -> (Vec<TensorSpec>, Vec<TensorSpec>) {
        let spec = |name: &str, shape: &[i64]| TensorSpec {
            name: name.to_owned(),
            datatype: Datatype::Fp32,
            shape: shape.to_vec(),
        };
        (vec![spec("X", &[-1, 2])], vec![spec("y", &[-1, 1])])
    }

    fn answer(values: &[f32]) -> Vec<Tensor> {
        vec![Tensor { name: "y".to_owned(), shape: vec![values.len(), 1], data: TensorData::Fp32(values.to_vec()) }]
    }

    fn read(file: &'static str, text: &str) -> Golden {
        Golden::parse(file, text.as_bytes()).unwrap()
    }

    #[test]
    fn each_form_of_golden_rows_asks_the_same() {
        let forms = [
            (
                "golden.json",
                r#"{"inputs": [{"name": "X", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}"#,
            ),
            ("golden.json", r#"{"inputs": {"a": [1, 3], "b": [2, 4]}, "outputs": [3, 7]}"#),
            ("golden.json", r#"{"inputs": [[1, 2], [3, 4]], "outputs": {"y": [[3], [7]]}}"#),
            ("serving_input_example.json", r#"{"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1], [4, 3]]}}"#),
            ("serving_input_example.json", r#"{"inputs": [[1, 2], [3, 4]]}"#),
            ("input_example.json", r#"{"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}"#),
            ("input_example.json", "[[1, 2], [3, 4]]"),
        ];
        let (inputs, outputs) = specs();
        let features = ["a".to_owned(), "b".to_owned()];
        for (file, text) in forms {
            let request = read(file, text).request(&inputs, &outputs, &features).unwrap();
            assert_eq!(request.inputs[0].data, TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0]), "{text}");
        }
    }

    #[test]
    fn each_form_of_recorded_answers_is_compared() {
        let digest = Digest::blake3([1; 32]);
        for outputs in
            [r#"[{"name": "y", "data": [3, 7]}]"#, r#"{"y": [[3], [7]]}"#, r#"{"predictions": [3, 7]}"#, "[3, 7]"]
        {
            let golden = read("golden.json", &format!(r#"{{"inputs": [[1, 2], [3, 4]], "outputs": {outputs}}}"#));
            assert_eq!(golden.compare(&answer(&[3.0, 7.000_01]), 1e-4, &digest).verdict, Verdict::Pass, "{outputs}");
            assert_eq!(golden.compare(&answer(&[3.0, 7.1]), 1e-4, &digest).verdict, Verdict::Fail, "{outputs}");
            assert_eq!(golden.compare(&answer(&[3.0]), 1e-4, &digest).verdict, Verdict::Fail, "{outputs}");
            assert_eq!(golden.compare(&answer(&[3.0, f32::NAN]), 1e-4, &digest).verdict, Verdict::Fail, "{outputs}");
        }
    }

    #[test]
    fn a_single_is_the_same_written_in_full_or_short() {
        let digest = Digest::blake3([1; 32]);
        for outputs in ["[0.2]", "[0.20000000298023224]"] {
            let golden = read("golden.json", &format!(r#"{{"inputs": [[1, 2]], "outputs": {outputs}}}"#));
            assert_eq!(golden.compare(&answer(&[0.2]), 0.0, &digest).verdict, Verdict::Pass, "{outputs}");
            assert_eq!(golden.compare(&answer(&[0.200_001]), 0.0, &digest).verdict, Verdict::Fail, "{outputs}");
        }
    }

    #[test]
    fn an_output_that_is_missing_or_no_number_is_named() {
        let digest = Digest::blake3([1; 32]);
        let golden = read("golden.json", r#"{"inputs": [[1, 2]], "outputs": {"label": ["stays"]}}"#);
        assert_eq!(golden.compare(&answer(&[1.0]), 0.1, &digest).reason, "The model gives no output \"label\".");
        let text =
            [Tensor { name: "label".to_owned(), shape: vec![1], data: TensorData::Bytes(vec!["leaves".to_owned()]) }];
        let finding = golden.compare(&text, 0.1, &digest);
        assert_eq!(finding.reason, "Value 0 of output \"label\" is \"leaves\", \"stays\" was recorded.");
    }

    #[test]
    fn without_recorded_answers_an_answer_will_do_unless_it_is_no_number() {
        let digest = Digest::blake3([1; 32]);
        let golden = read("input_example.json", "[[1, 2]]");
        let finding = golden.compare(&answer(&[3.0]), 1e-4, &digest);
        assert_eq!((finding.verdict, finding.measured.as_str()), (Verdict::Pass, "answers"));
        assert!(is_about(&finding, &digest));
        assert!(!is_about(&finding, &Digest::blake3([2; 32])));
        assert_eq!(golden.compare(&answer(&[f32::NAN]), 1e-4, &digest).verdict, Verdict::Fail);
    }

    /// A number as Postgres gives it back from JSONB: in full, without an exponent.
    fn without_exponent(number: &str) -> String {
        let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
        let exponent: i32 = exponent.parse().unwrap();
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let point = i32::try_from(whole.len()).unwrap() + exponent;
        let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
        let at = usize::try_from(point).unwrap_or(0);
        match digits.get(at..) {
            Some(rest) if at > 0 && !rest.is_empty() => format!("{sign}{}.{rest}", &digits[..at]),
            _ if at > 0 => format!("{sign}{digits}{}", zeros(point - i32::try_from(digits.len()).unwrap())),
            _ => format!("{sign}0.{}{digits}", zeros(-point)),
        }
    }

    #[test]
    fn numbers_are_written_without_an_exponent() {
        for (text, full) in [
            ("0.5", "0.5"),
            ("1e-7", "0.0000001"),
            ("-1.25e-2", "-0.0125"),
            ("1.5e3", "1500"),
            ("2e2", "200"),
            ("12", "12"),
        ] {
            assert_eq!(without_exponent(text), full, "{text}");
        }
    }

    proptest! {
        /// A finding that was stored is the one that was made: what people approved is not another thing afterwards.
        #[test]
        fn a_finding_keeps_its_digest_through_json(
            measured in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
            recorded in 0.0_f64..1.0,
            given in 0.0_f32..1.0,
        ) {
            for number in [measured, recorded, f64::from(given), (recorded - f64::from(given)).abs()] {
                let digest = Digest::blake3([1; 32]);
                let mut finding = refused(number.abs(), "", &digest);
                finding.evidence = json!({ "digest": digest, "largest_difference": number, "tolerance": number });
                let text = serde_json::to_string(&finding).unwrap();
                let read: Finding = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&read, &finding);
                prop_assert_eq!(Digest::of_json(&read).unwrap(), Digest::of_json(&finding).unwrap());

                let stored = format!(r#"{{"n": {}}}"#, without_exponent(&json!(number).to_string()));
                let stored: Value = serde_json::from_str(&stored).unwrap();
                prop_assert_eq!(Digest::of_json(&stored).unwrap(), Digest::of_json(&json!({ "n": number })).unwrap());
            }
        }
    }

    #[test]
    fn what_cannot_be_replayed_says_why() {
        for (text, words) in [
            ("{", "golden.json is not well-formed JSON: line 1, column 1."),
            (r#"{"outputs": [1]}"#, "golden.json cannot be replayed: A request has exactly one of"),
            (r#"{"inputs": [[1]], "outputs": "x"}"#, "golden.json cannot be replayed: its outputs are neither"),
            (r#"{"inputs": [[1]], "outputs": {"y": [{}]}}"#, "golden.json cannot be replayed: its outputs are neither"),
        ] {
            let error = Golden::parse("golden.json", text.as_bytes()).unwrap_err();
            assert!(error.message.starts_with(words), "{}", error.message);
        }
    }
}
