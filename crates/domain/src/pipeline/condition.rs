//! The condition of a step: an expression over params, values that other steps gave, and what became of them.

use super::value::ParamValue;
use crate::{
    expression::{self, of_json},
    pipeline_run::StepState,
};
use cel::Value as CelValue;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// What a condition knows of: `params` by name, `inputs` of the step that are values, and the states of the `steps` that it
/// waited for.
pub const VARIABLES: [&str; 3] = ["params", "inputs", "steps"];

/// Reads a condition.
///
/// # Errors
/// What is wrong with it and where; a sentence.
pub fn check(condition: &str) -> Result<(), String> {
    expression::check(condition, &VARIABLES)
}

/// What a condition is evaluated over.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Every param that the step sees.
    pub params: BTreeMap<String, ParamValue>,
    /// Its inputs: a value, or nothing for files.
    pub inputs: BTreeMap<String, Value>,
    /// The steps that it waited for.
    pub steps: BTreeMap<String, StepState>,
}

/// Whether a condition holds.
///
/// # Errors
/// Whatever cannot be evaluated, or is neither true nor false; a sentence.
pub fn holds(condition: &str, known: &Known) -> Result<bool, String> {
    expression::evaluate(condition, &VARIABLES, |name, _| {
        let entries: HashMap<String, CelValue> = match name {
            "params" => {
                known.params.iter().map(|(name, value)| (name.clone(), of_json(&Value::from(value.clone())))).collect()
            }
            "inputs" => known.inputs.iter().map(|(name, value)| (name.clone(), of_json(value))).collect(),
            _ => known.steps.iter().map(|(name, state)| (name.clone(), CelValue::from(state.as_str()))).collect(),
        };
        Ok(entries.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_numbers_compare_with_others() {
        let inputs = BTreeMap::from([("one".to_owned(), json!(1)), ("half".to_owned(), json!(0.5))]);
        let known = Known { inputs, ..Known::default() };
        for condition in [
            "inputs.one > 0.5",
            "inputs.one >= 1.0",
            "inputs.one == 1.0",
            "inputs.half < 1",
            "inputs.half != 1",
            "0.5 < inputs.one",
            "int(inputs.one) == 1",
        ] {
            assert_eq!(holds(condition, &known), Ok(true), "{condition}");
        }
    }

    #[test]
    fn a_condition_looks_at_params_values_and_states() {
        let known = Known {
            params: BTreeMap::from([("deploy".to_owned(), ParamValue::Bool(true))]),
            inputs: BTreeMap::from([("accuracy".to_owned(), json!(0.93)), ("model".to_owned(), Value::Null)]),
            steps: BTreeMap::from([("train".to_owned(), StepState::Failed)]),
        };
        assert_eq!(holds("params.deploy && inputs.accuracy > 0.9", &known), Ok(true));
        assert_eq!(holds("steps.train == 'succeeded'", &known), Ok(false));
        assert_eq!(
            holds("inputs.accuracy", &known).unwrap_err(),
            "The expression gives a float, neither true nor false."
        );
        assert_eq!(holds("params.gone", &known).unwrap_err(), "There is no \"gone\".");
        assert!(
            check("metrics.accuracy > 1")
                .unwrap_err()
                .starts_with("there is no metrics; known are params, inputs, steps")
        );
    }
}
