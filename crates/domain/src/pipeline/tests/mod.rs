//! Files as users write them, right and wrong.

mod hostile;
mod schema;
mod step;

use super::*;
use serde_json::json;
use std::collections::BTreeMap;

const TRAIN: &str = r#"
# Trains a classifier on a table that ships with scikit-learn.
name: wine-quality
description: Train, compare, register.
params:
  learning-rate: 0.1
  rounds: 200
  model: wine
  balanced: false
files:
  train.py: |
    import os
    print(os.environ["PARAM_ROUNDS"])
  lib/__init__.py:
env:
  MODEL: ${{ params.model }}
  THREADS: 2
steps:
  prepare:
    command: [python, -m, wine.prepare, --out, "${{ outputs.dataset }}"]
    outputs:
      dataset: data/train.csv
  train:
    command:
      - python
      - train.py
      - --rate=${{ params.learning-rate }}
      - ${{ inputs.data }}
    inputs:
      data: prepare.dataset
    outputs:
      model: model.onnx
    params:
      rounds: 50
      note: for ${{ params.model }}
    timeout: 1h30m
    retries: { count: 2, backoff: 30s }
    pool: large
  report:
    command: |
      echo "rounds: $PARAM_ROUNDS" > report.txt
      wc -l "$INPUT_MODEL"
    needs: prepare
    inputs: { model: train.model }
"#;

const WIDE: &str = r#"
name: wide
params:
  rows: { type: integer, default: 100, minimum: 1, description: How many rows. }
  kinds: [tree, linear]
executor: docker
image: python:3.11-slim
priority: high
steps:
  list:
    command: echo '["north", "south"]' > "$OUTPUT_REGIONS"
    outputs:
      regions: { path: regions.json, type: value }
      data: data.csv
  region:
    map: { region: list.regions }
    max_parallel: 4
    steps:
      fetch:
        command: fetch "$PARAM_REGION"
        inputs: { all: list.data }
        outputs: { rows: { path: rows.json, type: value } }
      train:
        matrix: { rate: [0.1, 0.2], depth: [3, 5, 7] }
        command: [train, "${{ params.region }}", "${{ params.rate }}"]
        inputs: { rows: fetch.rows }
        outputs: { model: model.onnx }
        params: { title: "${{ params.region }}/${{ params.depth }}" }
        resources: { cpu: 0.5, memory: 512Mi, gpu: 1 }
        limits: [licences]
    outputs:
      model: train.model
  best:
    if: params.rows > 10 && steps.region == "succeeded"
    command: best
    inputs: { models: region.model }
    executor: process
    retries: { count: 3, backoff: 5s, factor: 3, max: 1m, jitter: 0 }
finally:
  tell:
    command: tell
    inputs: { rows: list.regions }
"#;

fn parse(source: &str) -> PipelineSpec {
    PipelineSpec::parse(source).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn an_optional_param_may_be_left_out() {
    let spec = PipelineSpec::parse(
        "name: x\nparams: { who: { type: string, optional: true }, n: { type: integer, optional: true } }\nsteps:\n  a: { command: [x, \"<${{ params.who }}>\"] }\n",
    )
    .unwrap();
    let of = |given: serde_json::Value| spec.resolve_params(&serde_json::from_value(given).unwrap());
    assert!(of(serde_json::json!({})).unwrap().is_empty());
    // As a form gives it.
    assert!(of(serde_json::json!({ "who": "", "n": "" })).unwrap().is_empty());
    assert_eq!(of(serde_json::json!({ "who": "me", "n": "3" })).unwrap().len(), 2);
    assert!(of(serde_json::json!({ "n": "x" })).is_err());
    let values = spec.values(&["a"], &BTreeMap::new(), &BTreeMap::new());
    let invocation = spec.invocation(&["a"], &values).unwrap();
    assert_eq!(invocation.argv, ["x", "<>"]);
    assert!(!invocation.env.contains_key("PARAM_WHO"));
    assert!(
        problems(
            "name: x\nparams: { a: { type: string, default: x, optional: true } }\nsteps: { a: { command: x } }\n"
        )
        .contains("can be left out anyway")
    );
    assert!(
        problems("name: x\nparams: { a: { type: string, optional: 3 } }\nsteps: { a: { command: x } }\n")
            .contains("\"optional\" is true or false")
    );
}

fn problems(source: &str) -> String {
    PipelineSpec::parse(source).unwrap_err().to_string()
}

/// A pipeline of one step, with these lines in it.
fn with_step(lines: &str) -> String {
    let lines = lines.replace('\n', "\n    ");
    format!("name: x\nsteps:\n  one:\n    {lines}\n")
}

#[test]
fn a_file_reads_as_what_it_says() {
    let spec = parse(TRAIN);
    insta::assert_json_snapshot!(spec, @r#"
    {
      "name": "wine-quality",
      "description": "Train, compare, register.",
      "params": {
        "balanced": false,
        "learning-rate": 0.1,
        "model": "wine",
        "rounds": 200
      },
      "files": {
        "lib/__init__.py": "",
        "train.py": "import os\nprint(os.environ[\"PARAM_ROUNDS\"])\n"
      },
      "env": {
        "MODEL": "${{ params.model }}",
        "THREADS": "2"
      },
      "steps": {
        "prepare": {
          "command": [
            "python",
            "-m",
            "wine.prepare",
            "--out",
            "${{ outputs.dataset }}"
          ],
          "outputs": {
            "dataset": "data/train.csv"
          }
        },
        "report": {
          "command": "echo \"rounds: $PARAM_ROUNDS\" > report.txt\nwc -l \"$INPUT_MODEL\"\n",
          "needs": [
            "prepare"
          ],
          "inputs": {
            "model": "train.model"
          }
        },
        "train": {
          "command": [
            "python",
            "train.py",
            "--rate=${{ params.learning-rate }}",
            "${{ inputs.data }}"
          ],
          "params": {
            "note": "for ${{ params.model }}",
            "rounds": 50
          },
          "inputs": {
            "data": "prepare.dataset"
          },
          "outputs": {
            "model": "model.onnx"
          },
          "timeout_seconds": 5400,
          "retries": {
            "count": 2,
            "backoff_seconds": 30
          },
          "pool": "large"
        }
      }
    }
    "#);
    assert_eq!(spec.graph().layers(), [["prepare"], ["train"], ["report"]]);
    assert_eq!(spec.graph().needs("report").collect::<Vec<_>>(), ["prepare", "train"]);
}

#[test]
fn a_spec_reads_back_from_its_json() {
    let spec = parse(TRAIN);
    let json = serde_json::to_value(&spec).unwrap();
    let read: PipelineSpec = serde_json::from_value(json).unwrap();
    assert_eq!(read, spec);
    assert_eq!(read.digest(), spec.digest());
}

#[test]
fn comments_order_and_spelling_do_not_change_the_digest() {
    let one = "name: a\nparams: {x: 1, y: 0.5}\nsteps:\n  b: {command: [true]}\n  c: {command: [false], needs: [b]}\n";
    let other = "# A comment.\nsteps:\n- command:\n  - \"false\"\n  name: c\n  needs: b\n  retries: 0\n  pool: default\n\
                 - {name: b, command: ['true'], retries: {count: 0, backoff: 5m}}\nparams:\n  y: 5.0e-1\n  x: 1.0\nname: 'a'\n";
    assert_eq!(parse(one).digest(), parse(other).digest());
    // Pinned: what is stored under a digest must be found under it for ever. Made with Python's hashlib from
    // {"name":"a","params":{"x":1,"y":0.5},"steps":{"b":{"command":["true"]},"c":{"command":["false"],"needs":["b"]}}}
    let pinned = "sha256:c87eaac4f07acbed8193163426bd1f857c22a4c287fe48e0ae5627fc183c7a8e";
    assert_eq!(parse(one).digest().as_str(), pinned);
}

#[test]
fn every_change_that_matters_changes_the_digest() {
    let digest = parse(TRAIN).digest();
    for (from, to) in [
        ("PARAM_ROUNDS", "PARAM_MODEL"),
        ("rounds: 50", "rounds: 51"),
        ("1h30m", "1h31m"),
        ("backoff: 30s", "backoff: 31s"),
        ("pool: large", "pool: small"),
        ("data/train.csv", "data/other.csv"),
        ("THREADS: 2", "THREADS: 2.0"),
        ("needs: prepare", "needs: train"),
        ("model: wine", "model: beer"),
    ] {
        assert!(TRAIN.contains(from), "{from}");
        assert_ne!(parse(&TRAIN.replace(from, to)).digest(), digest, "{from} -> {to}");
    }
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let source = "\
name: Wine
descripton: typo
params:
  rate:
  on: yes
  list: [1]
files:
  /etc/passwd: x
  ../up: x
  inputs/data: x
  a: x
  a/b: x
env:
  1BAD: x
  SLIPWAY_RUN: x
  NOTHING:
steps:
  fetch:
    comand: [true]
    timeout: 90
  Train:
    command: [true]
  train:
    command: []
    needs: [fetch, ftch, fetch, train]
    inputs:
      data: fetch.data
      more: fetch
    outputs:
      model: /abs
    timeout: soon
    retries: -1
    pool: Big
";
    insta::assert_snapshot!(problems(source), @r#"
    line 1, column 7: The pipeline's name must be 1 to 63 lower-case letters, digits, "-" or "_", beginning with a letter or digit; "Wine" is not.
    line 2, column 1: Unknown key "descripton" in the pipeline; did you mean "description"?
    line 4, column 7: A param needs a default: a text, a number, true or false, or "{ type: string }" when a run must give it.
    line 5, column 7: Write true or false, or "yes" in quotes for the text.
    line 8, column 3: The path "/etc/passwd" is absolute; give a path relative to the step's directory.
    line 9, column 3: The path "../up" leaves the step's directory; ".." is not allowed.
    line 10, column 3: "inputs/" holds the step's inputs; choose another path.
    line 12, column 3: "a/b" and "a" cannot both be files: one is the other's directory.
    line 14, column 3: "1BAD" cannot name a variable; use letters, digits and "_".
    line 15, column 3: "SLIPWAY_RUN" is set by Slipway; names with SLIPWAY_ are reserved.
    line 16, column 10: A variable has no value; write "" for an empty text.
    line 19, column 5: Unknown key "comand" in step "fetch"; did you mean "command"?
    line 19, column 5: Step "fetch" has no command.
    line 20, column 14: "timeout" needs a unit; write 90s for seconds or 90m for minutes.
    line 21, column 3: A step's name must be 1 to 63 lower-case letters, digits, "-" or "_", beginning with a letter or digit; "Train" is not.
    line 24, column 14: The command is empty; give a program and its arguments.
    line 25, column 20: There is no step "ftch" for "train" to need; did you mean "fetch"?
    line 25, column 26: "fetch" stands here twice.
    line 25, column 33: Step "train" needs itself.
    line 27, column 13: Step "fetch" has no output "data"; none is declared.
    line 28, column 13: An input is written as step.output, such as prepare.dataset.
    line 30, column 14: The path "/abs" is absolute; give a path relative to the step's directory.
    line 31, column 14: "soon" is not a span of time; write 90s, 15m or 1h30m.
    line 32, column 14: Retries are a whole number from 0 to 20.
    line 33, column 11: A pool's name must be 1 to 63 lower-case letters, digits, "-" or "_", beginning with a letter or digit; "Big" is not.
    "#);
}

#[test]
fn broken_yaml_has_a_line_and_a_column() {
    let errors = PipelineSpec::parse("name: x\nsteps:\n  a:\n    command: [echo, \"hi]\n").unwrap_err();
    assert_eq!(errors.0.len(), 1);
    insta::assert_snapshot!(errors.to_string(), @r#"
    line 4, column 21: This is not valid YAML: unclosed quote.
    "#);
    insta::assert_snapshot!(problems("name: x\nsteps:\n  a:\n   command: x\n  b: y\n c: z\n"), @r#"
    line 6, column 2: This is not valid YAML: while parsing a block mapping, did not find expected key.
    "#);
    insta::assert_snapshot!(problems("name: x: y\n"), @r#"
    line 1, column 8: This is not valid YAML: mapping values are not allowed in this context.
    "#);
    insta::assert_snapshot!(problems(&with_step("command: [python, --rate=${{ params.rate }}]")), @r#"
    line 4, column 31: This is not valid YAML: while parsing a flow sequence, expected ',' or ']' (in a list [a, b], write "${{ … }}" in quotes).
    "#);
    insta::assert_snapshot!(problems("- a\n- b\n"), @r#"
    line 1, column 1: The pipeline must be a mapping with the keys name, description, params, files, env, secrets, executor, image, priority, cache, seed, steps, finally.
    "#);
    insta::assert_snapshot!(problems("just text"), @r#"
    line 1, column 1: The pipeline must be a mapping with the keys name, description, params, files, env, secrets, executor, image, priority, cache, seed, steps, finally.
    "#);
    insta::assert_snapshot!(problems("# nothing\n"), @r#"
    line 1, column 1: The file is empty.
    "#);
    insta::assert_snapshot!(problems("name: x\nsteps:\n"), @r#"
    line 1, column 1: The pipeline has no steps; add "steps:" with at least one.
    "#);
    insta::assert_snapshot!(problems("name: x\nname: y\nsteps: {a: {command: [true]}, a: {command: [true]}}\n"), @r#"
    line 2, column 1: "name" stands twice in the pipeline.
    line 3, column 31: "a" stands twice in steps.
    "#);
}

#[test]
fn a_circle_is_told_once_by_the_names_on_it() {
    let source = "\
name: x
steps:
  start: {command: [true], needs: [loop-b]}
  loop-a: {command: [true], needs: [loop-c]}
  loop-b: {command: [true], inputs: {x: loop-a.out}}
  loop-c: {command: [true], needs: [loop-b, loop-a]}
  self: {command: [true], needs: [self]}
";
    insta::assert_snapshot!(problems(&source.replace("loop-a: {", "loop-a: {outputs: {out: o}, ")), @r#"
    line 5, column 41: These steps wait for each other: loop-a → loop-c → loop-b → loop-a. Each needs the next; take one of these needs or inputs away.
    line 7, column 35: Step "self" needs itself.
    "#);
}

#[test]
fn a_circle_of_all_steps_is_found() {
    let mut source = "name: x\nsteps:\n".to_owned();
    for step in 0..500 {
        source += &format!("  s{step}: {{command: [true], needs: [s{}]}}\n", (step + 1) % 500);
    }
    let told = problems(&source);
    assert!(
        told.contains("These steps wait for each other") && told.contains("(490 more)") && told.len() < 400,
        "{told}"
    );
}

#[test]
fn unknown_outputs_name_the_near_one() {
    let source = "\
name: x
steps:
  fetch: {command: [true], outputs: {dataset: d}}
  train: {command: [true], inputs: {a: fetch.datset, b: fech.dataset, c: train.x}}
";
    insta::assert_snapshot!(problems(source), @r#"
    line 4, column 40: Step "fetch" has no output "datset"; did you mean "dataset"?
    line 4, column 57: There is no step "fech" to take "fech.dataset" from; did you mean "fetch"?
    line 4, column 74: Step "train" takes its own output.
    "#);
}

#[test]
fn scripts_take_values_from_variables_only() {
    let both = with_step("command: |\n  echo hi\n  rm ${{ params.what }}\n");
    insta::assert_snapshot!(problems(&both), @r#"
    line 5, column 7: A script of the shell cannot contain "${{ … }}": a value pasted into it could run as code. Write "$PARAM_WHAT" instead.
    "#);
    let listed = with_step("command: [bash, -euc, \"echo ${{ inputs.data-set }}\"]");
    insta::assert_snapshot!(problems(&listed), @r#"
    line 4, column 27: A script of the shell cannot contain "${{ … }}": a value pasted into it could run as code. Write "$INPUT_DATA_SET" instead.
    "#);
    // An argument of the script is no script.
    parse(&format!("params: {{x: 1}}\n{}", with_step("command: [sh, -c, 'echo \"$1\"', sh, \"${{ params.x }}\"]")));
}

#[test]
fn placeholders_must_name_something() {
    let source = "\
name: x
params: {rate: 1}
env: {A: \"${{ params.rat }}\", B: \"${{ inputs.data }}\"}
steps:
  one:
    command: [a, \"${{ params.own }}\", \"${{ params.rate\", \"${{ secrets.x }}\", \"${{ outputs.model }}\"]
    params: {own: 1, other: \"${{ params.own }}\"}
    env: {C: \"${{ inputs.data }}\", D: \"$${{ params.none }}\"}
";
    insta::assert_snapshot!(problems(source), @r#"
    line 3, column 10: There is no param "rat"; did you mean "rate"?
    line 3, column 34: Only params can stand here: inputs and outputs belong to the command and the env of a step.
    line 6, column 39: "${{" is not closed by "}}"; write "$${{" for the characters themselves.
    line 6, column 58: "${{ secrets.x }}" is not known; there are params.NAME, inputs.NAME and outputs.NAME.
    line 6, column 78: There is no output "model"; none is declared.
    line 7, column 22: There is no param "own"; there is rate.
    line 8, column 14: There is no input "data"; none is declared.
    "#);
}

#[test]
fn names_that_would_be_one_variable_are_refused() {
    let source = "name: x\nparams: {a-b: 1, a_b: 2, c-d: 3}\nsteps:\n  one:\n    command: [true]\n    params: {c_d: 1, a-b: 3}\n    outputs: {m-1: a, m_1: b}\n";
    insta::assert_snapshot!(problems(source), @r#"
    line 2, column 18: "a-b" and "a_b" would both be PARAM_A_B; rename one.
    line 6, column 14: "c-d" and "c_d" would both be PARAM_C_D; rename one.
    line 6, column 22: "a_b" and "a-b" would both be PARAM_A_B; rename one.
    line 7, column 23: "m-1" and "m_1" would both be OUTPUT_M_1; rename one.
    "#);
}

#[test]
fn limits_are_told() {
    let mut many = "name: x\nsteps:\n".to_owned();
    for step in 0..=MAX_STEPS {
        many += &format!("  s{step}: {{command: [true]}}\n");
    }
    assert_eq!(problems(&many), "line 3, column 3: The pipeline has 501 steps; at most 500 are allowed.");
    let large = format!("name: x\n# {}\n", "x".repeat(MAX_FILE_BYTES));
    assert_eq!(
        problems(&large),
        "line 1, column 1: The file has 257 KiB; at most 256 are allowed. Keep data out of it."
    );
    let long = with_step(&format!("command: [echo, {}]", "x".repeat(100_001)));
    assert!(problems(&long).contains("longer than 100000 bytes"));
    for bad in [
        "timeout: 0s",
        "timeout: 8d",
        "retries: 21",
        "retries: 1.5",
        "retries: {backoff: 1s}",
        "retries: {count: 1, backoff: 2d}",
    ] {
        assert!(PipelineSpec::parse(&with_step(&format!("command: [true]\n{bad}"))).is_err(), "{bad}");
    }
    let unknown = (0..200).map(|key| format!("k{key}: 1\n")).collect::<String>();
    assert_eq!(PipelineSpec::parse(&unknown).unwrap_err().0.len(), 50);
}

#[test]
fn a_wrong_value_is_pointed_at() {
    let wrong: [(&str, &[&str]); 7] = [
        ("timeout", &["-1s", "1.5h", "s", "1h 30m", "30m1h", "99999999999999999999s", "[1s]", "{a: 1}"]),
        ("retries", &["-1", "1e9", "many", "[1]", "{count: -1}", "{count: 1, backoff: -1s}", "{count: 1, wait: 1s}"]),
        ("pool", &["\"a b\"", "A", "\u{e4}", "../x", "[a]", "\"\""]),
        ("needs", &["{a: 1}", "[[a]]", "\"a b\"", "1"]),
        ("inputs", &["text", "[a]", "{a: b}", "{a: b.c.d}", "{\"a b\": c.d}", "{a: [b]}"]),
        ("outputs", &["text", "{a: /b}", "{a: ../b}", "{a: inputs/b}", "{\"A\": b}", "{a: [b]}", "{a: \"b\\nc\"}"]),
        ("env", &["text", "{\"a b\": c}", "{SLIPWAY_A: b}", "{A: [b]}", "{\"\": b}"]),
    ];
    for (key, values) in wrong {
        for value in values {
            let source = with_step(&format!("command: [a]\n{key}: {value}"));
            let problems = PipelineSpec::parse(&source).expect_err(&source).0;
            assert!(problems.iter().all(|problem| problem.line == 5 && problem.column > 1), "{source}: {problems:?}");
        }
    }
}

#[test]
fn line_ends_of_other_systems_read_the_same() {
    assert_eq!(parse(&TRAIN.replace('\n', "\r\n")).digest(), parse(TRAIN).digest());
}

/// What the documentation shows must be right.
#[test]
fn the_example_of_the_documentation_is_a_pipeline() {
    let documentation = include_str!("../../../../../docs/pipelines.md");
    let example = documentation.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let spec = parse(example);
    assert_eq!(spec.graph().layers(), [["prepare"], ["train"], ["report"]]);
}

#[test]
fn aliases_save_typing() {
    let spec = parse(
        "name: x\nenv: &common {A: one}\nsteps:\n  a: {command: &c [echo, hi], env: *common}\n  b: {command: *c}\n",
    );
    assert_eq!(spec.steps["a"].env["A"], "one");
    assert_eq!(spec.steps["a"].work, spec.steps["b"].work);
    assert!(problems("name: x\nsteps: {a: {<<: {command: x}}}\n").contains("Merge keys are not supported"));
}

#[test]
fn a_process_gets_every_value() {
    let spec = parse(TRAIN);
    let params = spec
        .resolve_params(&BTreeMap::from([
            ("model".to_owned(), json!("$(rm -rf /)")),
            ("rounds".to_owned(), json!("300")),
        ]))
        .unwrap();
    let run = |place: &[&str]| spec.invocation(place, &spec.values(place, &params, &BTreeMap::new()));
    let train = run(&["train"]).unwrap();
    assert_eq!(train.argv, ["python", "train.py", "--rate=0.1", "inputs/data"]);
    insta::assert_json_snapshot!(train.env, @r#"
    {
      "INPUT_DATA": "inputs/data",
      "MODEL": "$(rm -rf /)",
      "OUTPUT_MODEL": "model.onnx",
      "PARAM_BALANCED": "false",
      "PARAM_LEARNING_RATE": "0.1",
      "PARAM_MODEL": "$(rm -rf /)",
      "PARAM_NOTE": "for $(rm -rf /)",
      "PARAM_ROUNDS": "50",
      "PYTHONHASHSEED": "0",
      "SLIPWAY_SEED": "0",
      "THREADS": "2"
    }
    "#);
    let report = run(&["report"]).unwrap();
    assert_eq!(report.argv[..2], ["/bin/sh", "-ec"]);
    assert!(report.argv[2].starts_with("echo \"rounds: $PARAM_ROUNDS\""));
    assert_eq!(report.env["PARAM_ROUNDS"], "300");
    assert_eq!(report.env["INPUT_MODEL"], "inputs/model");
    assert_eq!(run(&["prepare"]).unwrap().argv[4], "data/train.csv");
    assert_eq!(run(&["nothing"]), None);
}

#[test]
fn params_given_for_a_run_are_checked() {
    let spec = parse(TRAIN);
    let refuse = |name: &str, value: serde_json::Value| {
        let error = spec.resolve_params(&BTreeMap::from([(name.to_owned(), value)])).unwrap_err();
        format!("{}: {}", error.field.unwrap(), error.message)
    };
    assert_eq!(
        refuse("round", json!(1)),
        "params.round: Pipeline \"wine-quality\" has no param \"round\"; did you mean \"rounds\"?"
    );
    assert_eq!(refuse("rounds", json!("many")), "params.rounds: The param \"rounds\" must be a number.");
    assert_eq!(refuse("balanced", json!(1)), "params.balanced: The param \"balanced\" must be true or false.");
    let defaults: BTreeMap<String, ParamValue> =
        spec.params.iter().map(|(name, param)| (name.clone(), param.default.clone().unwrap())).collect();
    assert_eq!(spec.resolve_params(&BTreeMap::new()).unwrap(), defaults);
    let needed = parse("name: x\nparams: {day: {type: string}}\nsteps: {a: {command: x}}\n");
    let error = needed.resolve_params(&BTreeMap::new()).unwrap_err();
    assert_eq!(error.message, "The param \"day\" has no default; give a value.");
}

#[test]
fn names_are_lower_case_and_short() {
    for good in ["a", "0", "train-2", "a_b", &"a".repeat(63)] {
        assert!(is_name(good), "{good}");
    }
    for bad in ["", "-a", "_a", "A", "a.b", "a b", "ä", &"a".repeat(64)] {
        assert!(!is_name(bad), "{bad}");
    }
}

#[test]
fn paths_stay_in_the_directory() {
    for good in ["a", "a/b.txt", "a b", "..a", "a..b/c", "ä"] {
        assert_eq!(check_relative_path(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "/",
        "/a",
        "..",
        "a/..",
        "../a",
        "a/../b",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "a\nb",
        &"a".repeat(256),
    ] {
        assert!(check_relative_path(bad).is_err(), "{bad}");
    }
}
