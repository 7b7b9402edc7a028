//! What a step can be and do.

use super::*;

#[test]
fn steps_have_steps_of_their_own_and_see_those_around_them() {
    let spec = parse(WIDE);
    assert_eq!(spec.graph().layers(), [vec!["list"], vec!["region", "tell"], vec!["best"]]);
    let train = spec.step(&["region", "train"]).unwrap();
    assert_eq!(train.combinations().len(), 6);
    assert_eq!(spec.executor_of(train), Some(ExecutorKind::Docker));
    assert_eq!(spec.image_of(train), Some("python:3.11-slim"));
    assert_eq!(train.resources, Resources { cpu: Some(0.5), memory_bytes: Some(512 << 20), gpu: 1 });
    assert!(spec.steps["tell"].finally && !spec.steps["best"].finally);
    let items = BTreeMap::from([
        ("region".to_owned(), ParamValue::Text("north".to_owned())),
        ("depth".to_owned(), ParamValue::Whole(5)),
        ("rate".to_owned(), ParamValue::Fraction(0.2)),
    ]);
    let place = ["region", "train"];
    let run = spec.invocation(&place, &spec.values(&place, &BTreeMap::new(), &items)).unwrap();
    assert_eq!(run.argv, ["train", "north", "0.2"]);
    assert_eq!(run.env["PARAM_TITLE"], "north/5");
    assert_eq!(run.env["PARAM_KINDS"], r#"["tree","linear"]"#);
    assert_eq!(spec.invocation(&["region"], &BTreeMap::new()), None);
    let read: PipelineSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
    assert_eq!(read, spec);
}

#[test]
fn what_is_wrong_in_nested_steps_is_told_where_it_stands() {
    let wrong = |from: &str, to: &str| problems(&WIDE.replace(from, to));
    assert!(
        wrong("rows: fetch.rows", "rows: fetch.row")
            .contains("Step \"fetch\" has no output \"row\"; did you mean \"rows\"?")
    );
    assert!(wrong("rows: fetch.rows", "rows: region.model").contains("is inside of \"region\""));
    assert!(
        wrong("model: train.model", "model: trane.model").contains("There is no step \"trane\" inside of \"region\"")
    );
}

#[test]
fn what_new_keys_cannot_be_is_told() {
    let step = |line: &str| {
        problems(&format!(
            "name: x\nparams: {{n: 1}}\nsteps:\n  a:\n    command: x\n    outputs: {{o: o}}\n  b:\n    command: y\n    {line}\n"
        ))
    };
    for (line, message) in [
        ("map: { i: a.o }", "\"a.o\" is a file; to map over its list, write \"o: { path: …, type: value }\""),
        ("map: { i: params.m }", "There is no param \"m\""),
        ("map: { i: a, j: b }", "A map has one entry"),
        ("map: { i: here }", "A list is named as params.NAME or step.output"),
        ("matrix: { i: [] }", "at least one value"),
        ("matrix: { i: 3 }", "at least one value"),
        ("max_parallel: 3", "is for steps with a matrix or a map"),
        ("if: metrics.x > 1", "There is no metrics; known are params, inputs, steps"),
        ("if: '1 +'", "Line 1, column 4"),
        ("trigger_rule: all", "A trigger rule is one of all_success, all_done"),
        ("executor: lambda", "An executor is one of process, docker, kubernetes"),
        ("image: 'a b'", "is no name of an image"),
        ("resources: { memory: lots }", "is no amount of memory; write 512Mi or 4Gi"),
        ("resources: { gpu: 0.5 }", "\"gpu\" is a whole number"),
        ("resources: { gpu: 65 }", "\"gpu\" is a number from 0 to 64"),
        ("resources: { cpu: -1 }", "\"cpu\" is a number from 0.01"),
        ("retries: { count: 1, factor: 0.5 }", "\"factor\" is a number from 1 to 10"),
        ("outputs: { o: { path: x, type: image } }", "An output's type is one of file, value, metrics, dataset, model"),
        ("steps: { c: { command: z } }", "has a command or steps of its own, not both"),
    ] {
        assert!(step(line).contains(message), "{line}: {}", step(line));
    }
    assert!(
        problems("name: x\nsteps: {a: {command: x, needs: b}}\nfinally: {b: {command: y}}\n")
            .contains("runs when all others have ended")
    );
    assert!(
        problems("name: x\nsteps: {a: {command: x}}\nfinally: {a: {command: y}}\n").contains("two steps called \"a\"")
    );
    assert!(
        problems("name: x\nparams: {n: {type: integer, default: 0.5}}\nsteps: {a: {command: x}}\n")
            .contains("The default must be a whole number")
    );
    assert!(
        problems("name: x\nparams: {n: {type: number, choices: [1, a]}}\nsteps: {a: {command: x}}\n")
            .contains("The choice \"a\" must be a number")
    );
    let deep = format!("name: x\nsteps: {}{{command: x}}{}\n", "{a: {steps: ".repeat(9) + "{a: ", "}".repeat(19));
    assert!(problems(&deep).contains("8 deep and not deeper"));
    let circle = "name: x\nsteps:\n  a: {steps: {c: {command: x, inputs: {i: b.o}, outputs: {o: o}}}, outputs: {o: c.o}}\n  b: {command: y, inputs: {i: a.o}, outputs: {o: o}}\n";
    assert!(problems(circle).contains("wait for each other: a → b → a"));
}

#[test]
fn secrets_are_named_as_a_list_or_by_variable_and_only_names_are_kept() {
    let spec = parse(
        "name: x\nsecrets: [SHARED, B]\nsteps:\n  a: { command: x, env: { B: own }, secrets: { TOKEN: HF_TOKEN } }\n  g: { steps: { b: { command: x, secrets: [KEY] } } }\n",
    );
    let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(variable, name)| ((*variable).to_owned(), (*name).to_owned())).collect()
    };
    assert_eq!(spec.secrets, pairs(&[("B", "B"), ("SHARED", "SHARED")]));
    assert_eq!(spec.secrets_of(&spec.steps["a"]), pairs(&[("SHARED", "SHARED"), ("TOKEN", "HF_TOKEN")]));
    let named = spec.all_secrets();
    let named: Vec<String> = named.iter().map(|(who, name)| format!("{who}: {name}")).collect();
    assert_eq!(named, ["The pipeline: B", "The pipeline: SHARED", "Step \"a\": HF_TOKEN", "Step \"b\": KEY"]);
    // What a file says that names no secrets is what it said before there were any.
    let plain = parse("name: x\nsteps: { a: { command: x } }\n");
    assert!(!serde_json::to_string(&plain).unwrap().contains("secrets"));
}

#[test]
fn secrets_that_cannot_be_given_are_refused() {
    let told = |line: &str| problems(&format!("name: x\nsteps:\n  a: {{ command: x, {line} }}\n"));
    assert!(told("secrets: KEY").contains("Secrets are a list of names"));
    assert!(told("secrets: [a-b]").contains("\"a-b\" is no name of a secret"));
    assert!(told("secrets: { a-b: KEY }").contains("\"a-b\" cannot name a variable"));
    assert!(told("secrets: { SLIPWAY_X: KEY }").contains("reserved"));
    assert!(told("secrets: [KEY, KEY]").contains("stands twice in secrets"));
    assert!(told("env: { KEY: x }, secrets: [KEY]").contains("both a secret and in \"env\""));
    assert!(told("secrets: [[KEY]]").contains("must be a text"));
    let many: Vec<String> = (0..51).map(|index| format!("K{index}")).collect();
    assert!(told(&format!("secrets: [{}]", many.join(", "))).contains("at most 50 secrets"));
    let group = problems("name: x\nsteps: { g: { secrets: [KEY], steps: { a: { command: x } } } }\n");
    assert!(group.contains("belongs to the steps inside"), "{group}");
}

#[test]
fn a_step_asks_people_by_the_rules_of_policies() {
    let short =
        parse("name: x\nsteps: { a: { approval: {} }, b: { approval: { approvals: 2, expires_after: 2d } } }\n");
    let asks = short.steps["a"].approval().unwrap();
    assert_eq!((asks.rules.len(), asks.rules[0].approvals, asks.rules[0].name.as_str()), (1, 1, "approvers"));
    assert_eq!(short.steps["b"].approval().unwrap().rules[0].approvals, 2);
    let json = serde_json::to_value(&short.steps["a"]).unwrap();
    assert_eq!(json["approval"]["expires_after"], serde_json::Value::Null, "what is not said is not in the digest");
    let spec: PipelineSpec = serde_json::from_value(serde_json::to_value(&short).unwrap()).unwrap();
    assert_eq!(spec, short);

    let told = |line: &str| problems(&format!("name: x\nsteps:\n  a: {{ {line} }}\n"));
    assert!(told("approval: { approvals: 0 }").contains("\"approvals\" is a whole number from 1 to 20"));
    assert!(told("approval: { rules: [] }").contains("asks somebody"));
    assert!(
        told("approval: { rules: [{ name: r }] }").contains("Missing field `eligible`"),
        "{}",
        told("approval: { rules: [{ name: r }] }")
    );
    assert!(told("approval: { rules: [{ name: r, eligible: {} }] }").contains("say who counts"));
    assert!(
        told("approval: { rules: [{ name: r, eligible: { roles: [approver] }, distinct_from: [trainer] }] }")
            .contains("says nothing of a step")
    );
    assert!(told("approval: { who: me }").contains("Unknown key \"who\" in an approval"));
    assert!(told("approval: {}, command: x").contains("take the others away"));
    assert!(told("approval: {}, timeout: 1h").contains("\"timeout\" is for steps with a command"));
    assert!(told("approval: {}, outputs: { x: y }").contains("gives nothing on"));
}

#[test]
fn a_step_runs_another_pipeline_by_name() {
    let spec = parse(
        "name: x\nsteps:\n  a: { pipeline: prepare, params: { day: 1 }, outputs: { rows: list.rows } }\n  b: { pipeline: { name: train, version: 3 }, inputs: {} }\n  c: { command: x, inputs: { rows: a.rows } }\n",
    );
    let named: Vec<_> =
        spec.sub_pipelines().into_iter().map(|(step, other)| (step, other.name.as_str(), other.version)).collect();
    assert_eq!(named, [("a", "prepare", None), ("b", "train", Some(3))]);
    let again: PipelineSpec = serde_json::from_value(serde_json::to_value(&spec).unwrap()).unwrap();
    assert_eq!(again, spec);
    let told = |line: &str| problems(&format!("name: x\nsteps:\n  a: {{ {line} }}\n"));
    assert!(told("pipeline: A B").contains("A pipeline's name must be"));
    assert!(told("pipeline: { version: 1 }").contains("has no name"));
    assert!(told("pipeline: { name: b, version: 0 }").contains("\"version\" is a number from 1"));
    assert!(told("pipeline: b, retries: 2").contains("\"retries\" is for steps with a command"));
    assert!(told("pipeline: b, outputs: { x: file.txt/a }").contains("name: step.output"));
}

const NOTEBOOK: &str = "name: n
files: { report.ipynb: '{}' }
steps:
  make: { command: [make], outputs: { made: out.ipynb } }
  report: { notebook: report.ipynb, params: { rows: 3 } }
  again: { notebook: inputs/made, inputs: { made: make.made }, outputs: { notebook: again.ipynb } }
  last: { command: [cat, inputs/it], inputs: { it: report.notebook } }
";

#[test]
fn a_step_with_a_notebook_runs_it_and_gives_the_executed_one_on() {
    let spec = PipelineSpec::parse(NOTEBOOK).unwrap();
    let (report, again) = (spec.step(&["report"]).unwrap(), spec.step(&["again"]).unwrap());
    assert_eq!(report.notebook(), Some(("report.ipynb", "executed/report.ipynb")));
    assert_eq!(again.notebook(), Some(("inputs/made", "again.ipynb")));
    let varies = NOTEBOOK.replace("{ notebook: again.ipynb }", "{ notebook: { path: again.ipynb, varies: true } }");
    let varies = PipelineSpec::parse(&varies).unwrap();
    let again_varies = varies.step(&["again"]).unwrap();
    assert_eq!(again_varies.notebook(), again.notebook());
    assert!(again_varies.outputs["notebook"].varies());
    let invocation =
        spec.invocation(&["report"], &spec.values(&["report"], &BTreeMap::new(), &BTreeMap::new())).unwrap();
    assert_eq!(invocation.argv, ["python3", ".slipway/notebook.py", "report.ipynb", "executed/report.ipynb"]);
    assert_eq!(invocation.env["PARAM_ROWS"], "3");
    assert_eq!(invocation.env["OUTPUT_NOTEBOOK"], "executed/report.ipynb");
    // What is stored says the same when it is read again.
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(json["steps"]["report"]["notebook"], "report.ipynb");
    assert_eq!(serde_json::from_value::<PipelineSpec>(json).unwrap(), spec);
}

#[test]
fn a_notebook_must_be_there_and_be_the_only_work_of_its_step() {
    let step = |step: &str| problems(&NOTEBOOK.replace("{ notebook: report.ipynb, params: { rows: 3 } }", step));
    for (said, wrong) in [
        (
            "There is no file \"reprot.ipynb\" among the pipeline's \"files\"; did you mean \"report.ipynb\"?",
            "{ notebook: reprot.ipynb }",
        ),
        (
            "There is no input \"mode\" to take the notebook from",
            "{ notebook: inputs/mode, inputs: { made: make.made } }",
        ),
        ("is no notebook; its name ends with .ipynb", "{ notebook: report.py }"),
        ("leaves the step's directory", "{ notebook: ../report.ipynb }"),
        (
            "has one of command, notebook, steps, approval, pipeline; take the others away.",
            "{ notebook: report.ipynb, command: [x] }",
        ),
        (
            "has one of command, notebook, steps, approval, pipeline; take the others away.",
            "{ notebook: report.ipynb, steps: { x: { command: [x] } } }",
        ),
        (
            "is the executed notebook",
            "{ notebook: report.ipynb, outputs: { notebook: { path: a.ipynb, type: value } } }",
        ),
        (
            "is a file of the pipeline and cannot be an output",
            "{ notebook: report.ipynb, outputs: { notebook: report.ipynb } }",
        ),
        ("is Slipway's own; choose another path", "{ notebook: report.ipynb, outputs: { x: .slipway/x } }"),
    ] {
        let found = step(wrong);
        assert!(found.contains(said), "{wrong}: {found}");
    }
}
