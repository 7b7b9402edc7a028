"""Pipelines of ours, written as Kubeflow Pipelines' compiler would, and read by its own package."""

import yaml
from google.protobuf import json_format
from kfp import components
from kfp.pipeline_spec import pipeline_spec_pb2

OURS = """\
name: ours
description: A pipeline of ours.
params:
  rate: 0.5
  rows: { type: integer, default: 3 }
  regions: [north, south]
files:
  train.py: |
    import json, os
    rows = open(os.environ["INPUT_ROWS"]).read()
    os.makedirs(os.path.dirname(os.environ["OUTPUT_MODEL"]), exist_ok=True)
    with open(os.environ["OUTPUT_MODEL"], "w") as file:
        json.dump([os.environ["PARAM_NAME"], float(os.environ["PARAM_RATE"]), rows.count("row")], file)
    print(json.load(open("inputs/all")))
env: { GREETING: "it's ${{ params.rate }}" }
steps:
  list:
    command: |
      echo "[1, 2]" > "$OUTPUT_ALL"
      echo 0.9 > score
      echo "$GREETING" > greeting
    outputs: { all: { path: all.json, type: value }, score: { path: score, type: value }, greeting: greeting }
    retries: 1
    timeout: 15m
  region:
    map: { region: params.regions }
    max_parallel: 2
    steps:
      fetch:
        command: [sh, -ec, 'for i in 1 2 3; do echo "row $0"; done > "$1"', "${{ params.region }}", "${{ outputs.rows }}"]
        outputs: { rows: rows.csv }
      train:
        command: [python3, train.py]
        params: { name: "model of ${{ params.region }}" }
        inputs: { rows: fetch.rows, all: list.all }
        outputs: { model: models/model.json }
    outputs: { models: train.model }
  each:
    map: { number: list.all }
    if: inputs.score > params.rate
    inputs: { score: list.score }
    command: echo "$((PARAM_NUMBER * 2))" > n
    outputs: { n: { path: n, type: value } }
  branch:
    steps:
      high: { if: inputs.score > 0.5, inputs: { score: list.score }, command: echo high > out, outputs: { out: out } }
      low: { if: "!(inputs.score > 0.5)", inputs: { score: list.score }, command: echo low > out, outputs: { out: out } }
    outputs: { out: [high.out, low.out] }
  use:
    command: cat inputs/out inputs/ns > "$OUTPUT_ALL"
    inputs: { out: branch.out, ns: each.n }
    outputs: { all: all.txt }
finally:
  clean: { command: "true" }
"""


def exported(server, path, text=OURS, *options):
    """The file that it is there."""
    ours = path / "ours.yaml"
    ours.write_text(text)
    theirs = path / "theirs.yaml"
    theirs.write_text(server.slipway("pipeline", "export", ours, "--image", "python:3.12", *options))
    return theirs


def test_their_package_reads_what_we_write(server, tmp_path, compiled):
    files = [exported(server, tmp_path)]
    for each in compiled.iterdir():
        (tmp_path / each.stem).mkdir()
        files.append(exported(server, tmp_path / each.stem, server.slipway("pipeline", "import", each)))
    for path in files:
        spec, *platform = yaml.safe_load_all(path.read_text())
        # Every key and every type is one of theirs.
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        for document in platform:
            json_format.ParseDict(document, pipeline_spec_pb2.PlatformSpec())
        components.load_component_from_file(str(path))
    loaded = components.load_component_from_file(str(files[0]))
    assert loaded.name == "ours"
    assert {name: given.type for name, given in loaded.component_spec.inputs.items()} == {
        "rate": "Float",
        "rows": "Integer",
        "regions": "List",
    }
    tasks = loaded.pipeline_spec.root.dag.tasks
    assert tasks["clean"].trigger_policy.strategy == 2 and set(tasks["clean"].dependent_tasks) >= {"use", "region"}
    assert tasks["each"].trigger_policy.condition == (
        "inputs.parameter_values['score'] > inputs.parameter_values['pipelinechannel--rate']"
    )


def test_a_pipeline_of_theirs_may_use_one_of_ours(server, tmp_path):
    from kfp import compiler, dsl

    ours = components.load_component_from_file(str(exported(server, tmp_path)))

    @dsl.pipeline(name="theirs")
    def theirs(rate: float = 0.1):
        ours(rate=rate, rows=1, regions=["north"])

    path = tmp_path / "outer.yaml"
    compiler.Compiler().compile(theirs, str(path))
    assert "name: theirs" in server.slipway("pipeline", "import", path)


def test_what_we_write_does_the_same_there(server, tmp_path):
    """Once as the pipeline that it was, and once as any other of theirs: the containers do what our engine does else."""
    theirs = exported(server, tmp_path).read_text()
    for name, text in [("ours", theirs), ("foreign", theirs.replace("# A step of Slipway.", "# A step.").replace("ours", "foreign"))]:
        server.slipway("pipeline", "apply", "-", "--executor", "process", stdin=text)
        spec = server.get(f"pipelines/{name}/versions")["items"][0]["spec"]
        assert ("kfp" in spec["steps"]["list"]) == (name == "foreign")
        done = server.run(name)
        models = [done.file(step, "model") for step in done.steps if step.startswith("region.") and step.endswith("/train")]
        assert sorted(models) == ['["model of north", 0.5, 3]', '["model of south", 0.5, 3]'], models
        assert done.file("list", "greeting") == "it's 0.5\n"
        numbers = [step for step in done.states() if step.startswith("each.")]
        assert len(numbers) == 2 and done.states()["clean"] == "succeeded"
        assert "high" in done.file("use", "all"), done.file("use", "all")


def test_what_has_no_place_there_is_refused_and_named(server, tmp_path):
    ours = tmp_path / "ours.yaml"
    ours.write_text("name: x\nsteps: { a: { command: x }, b: { command: y, needs: a, if: \"steps.a == 'failed'\" } }\n")
    said = server.slipway("pipeline", "export", ours, fails=True)
    assert 'Step "a" names no image' in said and "it asks how other steps ended" in said, said
