"""Pipelines of Kubeflow Pipelines, compiled by its own compiler, run on our engine."""

import json

from program import CHECKOUT


def test_what_is_kept_was_compiled_by_the_real_compiler(compiled):
    kept = CHECKOUT / "crates/kfp/fixtures"
    names = sorted(path.name for path in compiled.iterdir())
    assert names == sorted(path.name for path in kept.iterdir())
    for name in names:
        assert (compiled / name).read_text() == (kept / name).read_text(), name


def test_commands_get_their_placeholders_and_give_values_and_artifacts(run):
    text = "it's \"quoted\" $HOME {{$.pipeline_root}}"
    done = run("containers", "-p", f"text={text}")
    assert done.value("shout", "said") == text, done.log("shout")
    assert done.value("shout", "numbers") == [3, 2]
    assert done.value("read", "words") == f"--none\n<{text}>\n"
    assert done.value("shout-2", "said") == text and done.value("shout-2", "numbers") == [4, 2]
    told = done.value("read", "whole")
    paper = told["inputs"]["artifacts"]["paper"]["artifacts"][0]
    assert paper["type"] == {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
    assert told["outputs"]["parameters"]["words"]["outputFile"].endswith("/work/kfp/words")


def test_values_have_their_types_on_the_way(run):
    done = run("values", "-p", "text=words", "-p", "flag=true")
    assert done.value("all-types-2", "text") == "WORDS"
    assert (done.value("all-types-2", "whole"), done.value("all-types-2", "number")) == (43, 8)
    assert done.value("all-types-2", "flag") is True
    assert done.value("all-types-2", "items") == ["x", "y", "more", "more"]
    assert done.value("describe") == "42 of words: ['k', 'more']"
    done = run("values", "-p", "note=given")
    assert done.value("describe") == "42 of a text: ['k', 'more'] (given)"


def test_artifacts_go_on_with_their_metadata_one_and_many(run):
    done = run("artifacts", "-p", "rows=4")
    assert done.value("train", "metrics-about") == {"metadata": {"accuracy": 0.9}}
    # The numbers among them are metrics of the tracked run of the step.
    assert done.value("train", "metrics-numbers") == {"accuracy": 0.9}
    runs = done.server.get(f"pipeline-runs/{done.number}")
    assert runs["run"]["state"] == "succeeded"
    assert done.file("prepare", "data") == "row\n" * 4
    expected = {"weights": "4", "framework": "none", "accuracy": 0.9, "rows": [1, 2, 3], "lines": [1, 2, 3]}
    assert done.value("evaluate") == expected, done.log("evaluate")


def test_one_branch_runs_and_its_output_is_the_one_that_goes_on(run):
    branches = "condition-branches-1"
    for value, taken, text in [(0.95, "condition-2/say", "great"), (0.7, "condition-3/say-2", "good"), (0.1, "condition-5/say-4", "bad")]:
        done = run("conditions", "-p", f"value={value}")
        said = {name: state for name, state in done.states().items() if name.startswith(branches)}
        assert said[f"{branches}/{taken}"] == "succeeded", said
        assert done.value("say-5") == text
        inner = f"{branches}/condition-3/condition-4/say-3"
        assert (said.get(inner) == "succeeded") == (text == "good"), said
        assert done.steps["condition-6"]["state"] == "skipped"
    assert done.steps[f"{branches}/condition-2"]["state"] == "skipped"


def test_loops_run_for_each_entry_also_one_in_the_other(run):
    done = run("loops")
    outer = [name for name, step in done.steps.items() if step["kind"] == "command" and name.endswith("/pair")]
    assert sorted(done.value(name) for name in outer) == ["0a", "0b", "1a", "1b"]
    counts = [done.value(name) for name in done.steps if name.endswith("/count-2")]
    assert counts == [[0], [0, 1]]
    assert done.value("join") == "<a> <b>"


def test_what_runs_in_the_end_is_told_how_it_came(run):
    done = run("endings", "-p", "who=me", fails=True)
    states = done.states()
    assert states["exit-handler-1/fail"] == "failed" and states["account"] == "succeeded", states
    said = done.value("account")
    assert (said["state"], said["task"], said["who"]) == ("FAILED", "exit-handler-1", "me")
    assert "exit-handler-1/fail failed" in said["message"]
    done = run("good-endings")
    assert done.value("account") == {"state": "SUCCEEDED", "message": None, "task": "exit-handler-1", "who": "nobody"}


def test_a_failed_try_is_repeated(run):
    done = run("retries")
    assert done.value("flaky") == "again!"
    assert done.steps["flaky"]["attempts"] == 2


def test_a_pipeline_in_a_pipeline_gets_what_it_is_given(run):
    done = run("nested")
    assert done.value("say") == "<<World>, World>"
    assert done.value("inner/count") == [0, 1] and done.value("inner-2/count") == [0]


def test_an_imported_file_is_one_of_ours(server, compiled, tmp_path):
    ours = tmp_path / "ours.yaml"
    ours.write_text(server.slipway("pipeline", "import", compiled / "loops.yaml"))
    assert ours.read_text().startswith("# From Kubeflow Pipelines, compiled by kfp-2.")
    assert "executor: docker\n" in ours.read_text()
    server.slipway("pipeline", "lint", ours, compiled / "loops.yaml")
    server.slipway("pipeline", "apply", ours)
    server.slipway("pipeline", "apply", compiled / "loops.yaml")
    versions = server.get("pipelines/loops/versions")["items"]
    assert len([version for version in versions if version["spec"].get("executor") == "docker"]) == 1


def test_an_answer_that_breaks_its_promise_fails_the_step(server, compiled):
    text = (compiled / "containers.yaml").read_text().replace("echo \"[$2, 2]\"", "echo nonsense").replace("containers", "broken")
    server.slipway("pipeline", "apply", "-", "--executor", "process", stdin=text)
    done = server.run("broken", fails=True)
    assert done.steps["shout"]["reason"] == "The output \"numbers\" of the step is no LIST."


def test_what_has_no_place_here_is_refused_and_named(server, tmp_path):
    from kfp import compiler, dsl
    from kfp.dsl import Dataset, Input

    from pipelines import component, say

    @component
    def use(data: Input[Dataset]) -> str:
        return data.uri

    workspace = dsl.pipeline_config.WorkspaceConfig(size="1Gi")

    @dsl.pipeline(name="imports", pipeline_config=dsl.pipeline_config.PipelineConfig(workspace=workspace))
    def imports(data: Input[Dataset]):
        fetched = dsl.importer(artifact_uri="gs://bucket/data", artifact_class=Dataset)
        use(data=fetched.output)
        use(data=data)
        say(text=dsl.WORKSPACE_PATH_PLACEHOLDER).set_accelerator_type("google.com/tpu").set_accelerator_limit(1)
        say(text="x").set_retry(50)

    compiler.Compiler().compile(imports, str(tmp_path / "imports.yaml"))
    said = server.slipway("pipeline", "import", tmp_path / "imports.yaml", fails=True)
    for part in [
        'The pipeline takes the artifact "data"',
        'The setting "workspace" of the whole pipeline is not supported here.',
        'Task "importer" (component "comp-importer"): an importer takes an artifact from any address',
        '"{{$.workspace_path}}" is not supported here',
        "it is tried again 50 times; at most 20 are allowed here",
    ]:
        assert part in said, said
    refused = server.slipway("pipeline", "apply", tmp_path / "imports.yaml", fails=True)
    assert "importer" in refused, refused


def test_the_lists_of_what_is_not_understood_do_not_break_the_server(server):
    for text in [
        "pipelineInfo: {name: x}\nroot: 3\nschemaVersion: 2.1.0\n",
        "pipelineInfo: {name: x}\nschemaVersion: 3.0.0\nroot: {}\n",
        "pipelineInfo: {name: x}\nschemaVersion: 2.1.0\nroot: {dag: {tasks: {a: {componentRef: {name: b}}}}}\n",
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n",
        json.dumps({"pipelineInfo": {"name": "x"}, "schemaVersion": "2.1.0", "root": {"dag": {"tasks": {}}}}),
    ]:
        said = server.slipway("pipeline", "apply", "-", stdin=text, fails=True)
        assert "line" in said, said
