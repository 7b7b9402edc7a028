//! Files that the real compiler wrote (`end2end/kfp/pipelines.py`), read as pipelines of ours, and these written again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use domain::{
    document::Document,
    pipeline::{ExecutorKind, PipelineSpec},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn compiled() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn import(source: &str) -> kfp::Imported {
    kfp::import(source, ExecutorKind::Docker).unwrap_or_else(|errors| panic!("{errors}\n{source}"))
}

fn same(name: &str, found: &PipelineSpec, expected: &PipelineSpec) {
    let (found_text, expected_text) = (found.to_yaml(), expected.to_yaml());
    let only = |these: &str, those: &str| -> Vec<String> {
        these.lines().filter(|line| !those.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    let (more, less) = (only(&found_text, &expected_text), only(&expected_text, &found_text));
    assert!(found == expected, "{name}: found\n{}\ninstead of\n{}", more.join("\n"), less.join("\n"));
}

#[test]
fn what_was_compiled_is_a_pipeline_here() {
    let all = compiled();
    assert_eq!(all.len(), 9);
    for (name, source) in all {
        assert!(kfp::is_compiled(&source), "{name}");
        let imported = import(&source);
        assert!(!kfp::is_compiled(&imported.source), "{name}");
        // The code is the compiler's; what is around it is ours.
        let text: String = imported
            .source
            .lines()
            .filter(|line| !line.starts_with("                    "))
            .collect::<Vec<_>>()
            .join("\n");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn what_was_compiled_is_the_same_after_it_was_exported() {
    for (name, source) in compiled() {
        let imported = import(&source).spec;
        let exported = kfp::export(&imported, None).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let again = import(&exported.source).spec;
        same(&name, &again, &imported);
    }
}

/// Everything that both know.
const OURS: &str = r#"
name: ours
description: A pipeline of ours.
executor: docker
image: python:3.12
cache: true
params:
  rate: 0.5
  rows: { type: integer, default: 10, description: "How many?" }
  kind: { type: string, default: tree, choices: [tree, linear] }
  regions: [north, south]
  day: { type: string }
env: { DAY: "${{ params.day }}", PLAIN: "$${{ no }}" }
files:
  run.py: "import os\nprint(os.environ)\n"
steps:
  list:
    description: Which there are.
    command: 'echo "[1, 2]" > "$OUTPUT_ALL"; echo 0.9 > score'
    outputs: { all: { path: all.json, type: value }, score: { path: score, type: value }, text: { path: t, type: value } }
    retries: { count: 2, backoff: 30s }
    timeout: 15m
    resources: { cpu: 0.5, memory: 512Mi, gpu: 1 }
  region:
    map: { region: params.regions }
    max_parallel: 2
    steps:
      fetch: { command: [python, run.py, "--region=${{ params.region }}", "--all=${{ outputs.rows }}"], outputs: { rows: rows.csv } }
      train:
        command: [train, "${{ inputs.rows }}", inputs/all]
        params: { name: "${{ params.kind }}-${{ params.region }}", same: "${{ params.rate }}", fixed: [1, 2] }
        inputs: { rows: fetch.rows, all: list.all, text: list.text }
        outputs: { model: models/model.onnx, kept: { path: kept, type: dataset, name: "kept-${{ params.region }}" }, m: { path: m.json, type: metrics } }
        env: { KIND: "${{ params.kind }}" }
    outputs: { models: train.model }
  each:
    map: { number: list.all }
    if: inputs.score > 0.8 && params.rate > 0.1
    inputs: { score: list.score }
    command: echo "$PARAM_NUMBER" > n
    outputs: { n: { path: n, type: value } }
  twice: { matrix: { try: [a, b] }, command: "true", needs: list }
  branch:
    steps:
      high: { if: inputs.score > 0.5, inputs: { score: list.score }, command: touch high, outputs: { out: high } }
      low: { if: "!(inputs.score > 0.5)", inputs: { score: list.score }, command: touch low, outputs: { out: low }, image: "alpine:3" }
    outputs: { out: [high.out, low.out] }
  use: { command: cat inputs/out, inputs: { out: branch.out, ns: each.n }, trigger_rule: all_done, needs: [twice] }
finally:
  clean: { command: "true" }
"#;

#[test]
fn a_pipeline_of_ours_is_the_same_after_it_was_exported_and_imported() {
    let ours = PipelineSpec::parse(OURS).unwrap();
    let exported = kfp::export(&ours, None).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(exported.notes, Vec::<String>::new());
    assert!(kfp::is_compiled(&exported.source));
    let again = import(&exported.source);
    same("ours", &again.spec, &ours);
}

#[test]
fn what_has_no_place_there_is_told() {
    let ours = |steps: &str| PipelineSpec::parse(&format!("name: x\npriority: low\nsteps: {steps}")).unwrap();
    let problems = |steps: &str| kfp::export(&ours(steps), Some("alpine")).unwrap_err().join("\n");
    let notes = |steps: &str| kfp::export(&ours(steps), Some("alpine")).unwrap().notes;
    assert_eq!(
        kfp::export(&ours("{ a: { command: x } }"), None).unwrap_err(),
        ["Step \"a\" names no image, and Kubeflow Pipelines runs every step in a container; give one."]
    );
    assert_eq!(
        notes("{ a: { command: x, pool: big, limits: gpu, executor: docker, retries: { count: 1, jitter: 0 } } }"),
        [
            "The priority is left out.",
            "\"pool\" of step a is left out.",
            "\"limits\" of step a is left out.",
            "\"executor\" of step a is left out.",
            "The jitter of the retries of step a is left out."
        ]
    );
    let many =
        "{ a: { matrix: { x: [1, 2] }, command: x, outputs: { o: o } }, b: { command: y, inputs: { all: a.o } } }";
    assert!(problems(many).contains("takes the files of all instances of \"a\""));
    assert!(
        problems("{ a: { command: x }, b: { command: y, needs: a, if: \"steps.a == 'failed'\" } }")
            .contains("it asks how other steps ended")
    );
    assert!(
        problems("{ a: { command: x, inputs: { d: { dataset: rows } } } }")
            .contains("is a dataset rows@latest, which has no place")
    );
    assert!(problems("{ a: { command: \"echo '{{$}}'\" } }").contains("which Kubeflow Pipelines would fill in"));
    assert!(
        problems("{ a: { params: { p: 1 }, steps: { b: { command: x } } } }")
            .contains("has params for the steps inside of it")
    );
    let optional =
        PipelineSpec::parse("name: x\nparams: { p: { type: string, optional: true } }\nsteps: { a: { command: x } }")
            .unwrap();
    assert!(kfp::export(&optional, Some("alpine")).unwrap_err()[0].contains("sees the optional param \"p\""));
    let text = "{ a: { command: x, outputs: { o: { path: o, type: value } } }, b: { command: y, inputs: { o: a.o }, if: \"inputs.o == 'x'\" } }";
    assert!(problems(text).contains("compare it with a number or a truth value"));
}

/// Every part of a value, by its path.
fn parts(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    let step = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| parts(value, &step(key), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| parts(value, &step(&index.to_string()), found));
        }
        _ => {}
    }
}

#[test]
fn a_file_with_anything_in_it_is_read_or_refused() {
    let junk = [
        json!(null),
        json!(-3),
        json!("x"),
        json!("{{$.nothing}}"),
        json!([]),
        json!({ "x": { "y": [1.5] } }),
        json!("\u{1}é\n"),
    ];
    let mut refused = 0;
    for (name, source) in compiled() {
        let document = &Document::read_all(&source).unwrap()[0];
        let mut all = Vec::new();
        parts(document.value(), "", &mut all);
        for (index, path) in all.iter().enumerate().skip(1) {
            let mut value = document.value().clone();
            *value.pointer_mut(path).unwrap() = junk[index % junk.len()].clone();
            match kfp::import(&value.to_string(), ExecutorKind::Docker) {
                Ok(imported) => {
                    assert_eq!(PipelineSpec::parse(&imported.source).unwrap(), imported.spec, "{name} {path}")
                }
                Err(problems) => {
                    refused += 1;
                    let told = problems.to_string();
                    assert!(!told.is_empty() && !told.contains("\u{1}"), "{name} {path}: {told}");
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn components_that_stand_in_themselves_end() {
    let tasks: Vec<String> = (0..40).map(|task| format!("t{task}: {{ componentRef: {{ name: comp-a }} }}")).collect();
    let dag = format!("dag: {{ tasks: {{ {} }} }}", tasks.join(", "));
    let source = format!(
        "pipelineInfo: {{ name: x }}\nschemaVersion: 2.1.0\nroot: {{ {dag} }}\ncomponents: {{ comp-a: {{ {dag} }} }}\n"
    );
    let told = kfp::import(&source, ExecutorKind::Docker).unwrap_err().to_string();
    assert!(told.contains("The pipeline has more than 500 tasks"), "{told}");
}

/// A pipeline of one task with these inputs, each a text.
fn of_texts(inputs: impl Iterator<Item = (String, String)>) -> Result<kfp::Imported, String> {
    let inputs: Vec<(String, String)> = inputs.collect();
    let given: Value = inputs
        .iter()
        .map(|(name, text)| (name.clone(), json!({ "runtimeValue": { "constant": text } })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let definitions: Value = inputs
        .iter()
        .map(|(name, _)| (name.clone(), json!({ "parameterType": "STRING" })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let source = json!({
        "pipelineInfo": { "name": "x" },
        "schemaVersion": "2.1.0",
        "deploymentSpec": { "executors": { "exec-a": { "container": { "image": "alpine", "command": ["true"] } } } },
        "components": { "comp-a": { "executorLabel": "exec-a", "inputDefinitions": { "parameters": definitions } } },
        "root": { "dag": { "tasks": { "a": {
            "componentRef": { "name": "comp-a" },
            "inputs": { "parameters": given },
        } } } },
    });
    kfp::import(&source.to_string(), ExecutorKind::Docker).map_err(|problems| problems.to_string())
}

fn naming(names: &[String]) -> String {
    names.iter().map(|name| format!("{{{{$.inputs.parameters['{name}']}}}}")).collect()
}

#[test]
fn texts_that_are_made_of_each_other_end() {
    let of = |name: &str, names: &[&str]| {
        (name.to_owned(), naming(&names.iter().map(ToString::to_string).collect::<Vec<_>>()))
    };
    for circle in [vec![of("p", &["p"])], vec![of("p", &["q"]), of("q", &["p", "p"])]] {
        let told = of_texts(circle.into_iter()).unwrap_err();
        assert!(told.contains("its input \"p\": it is made of itself"), "{told}");
    }
    // Each of three of each other's three, so deep that nobody could write it out.
    let deep = (0..14).flat_map(|level| {
        let next: Vec<String> = (0..3).map(|one| format!("p{}-{one}", level + 1)).collect();
        (0..3).map(move |one| (format!("p{level}-{one}"), if level < 13 { naming(&next) } else { "x".to_owned() }))
    });
    let told = of_texts(deep).unwrap_err();
    assert!(told.contains("of more than 1000 other values"), "{told}");
    assert!(of_texts([of("p", &["q", "q"]), ("q".to_owned(), "x".to_owned())].into_iter()).is_ok());
}

#[test]
fn outputs_that_are_those_of_each_other_end() {
    let component = json!({
        "outputDefinitions": { "artifacts": { "o": { "artifactType": { "schemaTitle": "system.Model" } } } },
        "dag": {
            "tasks": { "t": { "componentRef": { "name": "comp-a" } }, "u": { "componentRef": { "name": "comp-a" } } },
            "outputs": { "artifacts": { "o": { "artifactSelectors": [
                { "producerSubtask": "t", "outputArtifactKey": "o" },
                { "producerSubtask": "u", "outputArtifactKey": "o" },
            ] } } },
        },
    });
    let source = json!({
        "pipelineInfo": { "name": "x" },
        "schemaVersion": "2.1.0",
        "components": { "comp-a": component },
        "root": { "dag": { "tasks": { "a": { "componentRef": { "name": "comp-a" } } } } },
    });
    let told = kfp::import(&source.to_string(), ExecutorKind::Docker).unwrap_err().to_string();
    assert!(told.contains("more than 500 tasks") || told.contains("too deep in each other"), "{told}");
}
