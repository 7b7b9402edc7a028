//! The schema for editors.

use super::*;

/// Editors check by the schema what is refused here in words.
#[test]
fn the_schema_knows_the_same_keys_and_accepts_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for file in [TRAIN, WIDE] {
        let file = json_of(file);
        let wrong: Vec<String> =
            validator.iter_errors(&file).map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
    for (wrong, right) in [
        ("command:", "comand:"),
        ("max_parallel: 4", "max_parallel: 0"),
        ("executor: docker", "executor: lambda"),
        ("all: list.data", "all: list"),
    ] {
        assert!(!validator.is_valid(&json_of(&WIDE.replace(wrong, right))), "{right}");
    }
    let keys = |at: &str| schema.pointer(at).unwrap().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let told = problems("nothing: 1\nname: x\nsteps: {a: {command: x}}\n");
    assert!(told.contains("Unknown key"), "{told}");
    for key in keys("/properties") {
        assert!(!problems(&format!("{key}: {{}}\n")).contains("Unknown key"), "{key}");
    }
    for key in keys("/$defs/step/properties") {
        let file = format!("name: x\nsteps: [{{name: a, {key}: {{}}}}]\n");
        let told = PipelineSpec::parse(&file).map_err(|errors| errors.to_string()).err().unwrap_or_default();
        assert!(!told.contains("Unknown key"), "{key}");
    }
}

/// YAML as the JSON that an editor checks. Only what the files above need.
fn json_of(yaml: &str) -> serde_json::Value {
    fn of(node: &crate::yaml::Node) -> serde_json::Value {
        use crate::yaml::{Meaning, Yaml};
        match &node.yaml {
            Yaml::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => serde_json::Value::Null,
                Meaning::Bool(value) => value.into(),
                #[allow(clippy::cast_possible_truncation)]
                Meaning::Number(number) if number.fract() == 0.0 => (number as i64).into(),
                Meaning::Number(number) => number.into(),
                Meaning::Text(text) | Meaning::Unclear(text) => text.into(),
            },
            Yaml::List(items) => items.iter().map(|item| of(item)).collect(),
            Yaml::Map(entries) => {
                let text =
                    |key: &crate::yaml::Node| of(key).as_str().map_or_else(|| of(key).to_string(), str::to_owned);
                entries.iter().map(|(key, value)| (text(key), of(value))).collect()
            }
        }
    }
    of(&crate::yaml::read(yaml).unwrap())
}
