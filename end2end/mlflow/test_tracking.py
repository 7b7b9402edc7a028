"""Runs as people log them: params, metrics, tags, data sets, files."""

import math

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def test_a_run_is_logged_and_read_back(tracking, tmp_path):
    plot = tmp_path / "Übersicht 1.txt"
    plot.write_text("a curve")
    frame = pd.DataFrame({"age": [31, 47], "left": [0, 1]})
    with mlflow.start_run(run_name="first", description="how it began", tags={"team": "cellar"}) as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({f"p{n}": n for n in range(150)})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"acc": 0.9, "nan": math.nan, "inf": math.inf}, step=1)
        mlflow.set_tag("stage", "trial")
        mlflow.log_input(mlflow.data.from_pandas(frame, name="people"), context="training")
        mlflow.log_artifact(str(plot), "plots")
        mlflow.log_text("hello", "notes/a.md")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_table({"question": ["q"], "answer": ["a"]}, "table.json")

    read = mlflow.get_run(run.info.run_id)
    assert (read.info.status, read.info.run_name) == ("FINISHED", "first")
    assert read.info.end_time >= read.info.start_time
    assert read.info.artifact_uri.startswith("mlflow-artifacts:/")
    assert read.data.params["depth"] == "3" and len(read.data.params) == 151
    assert read.data.metrics["loss"] == pytest.approx(0.05)
    assert read.data.metrics["acc"] == 0.9
    assert math.isnan(read.data.metrics["nan"])
    assert read.data.metrics["inf"] == pytest.approx(1.7976931348623157e308)
    assert read.data.tags["team"] == "cellar" and read.data.tags["mlflow.note.content"] == "how it began"
    dataset = read.inputs.dataset_inputs[0]
    assert dataset.dataset.name == "people"
    assert [(tag.key, tag.value) for tag in dataset.tags] == [("mlflow.data.context", "training")]

    history = tracking.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == list(range(20))
    assert sorted(entry.path for entry in tracking.list_artifacts(run.info.run_id)) == [
        "config.json",
        "notes",
        "plots",
        "table.json",
    ]
    assert [entry.path for entry in tracking.list_artifacts(run.info.run_id, "plots")] == ["plots/Übersicht 1.txt"]
    assert mlflow.artifacts.load_text(f"{read.info.artifact_uri}/notes/a.md") == "hello"
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/config.json") == {"a": [1, 2]}
    folder = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="", dst_path=tmp_path / "all")
    assert (tmp_path / "all" / "plots" / "Übersicht 1.txt").read_text() == "a curve" and folder
    assert mlflow.load_table("table.json", run_ids=[run.info.run_id])["answer"].tolist() == ["a"]


def test_a_large_file_goes_and_comes_whole(tracking, tmp_path):
    big = tmp_path / "big.bin"
    big.write_bytes(np.random.default_rng(7).bytes(30_000_000))
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(big))
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="big.bin", dst_path=tmp_path / "got")
    assert open(got, "rb").read() == big.read_bytes()


def test_a_batch_and_what_may_not_change(tracking):
    with mlflow.start_run() as run:
        run_id = run.info.run_id
        metrics = [Metric("m", float(n), 1_700_000_000_000 + n, n) for n in range(2500)]
        tracking.log_batch(run_id, metrics=metrics[:900], params=[Param("p", "1")], tags=[RunTag("t", "x")])
        mlflow.log_metrics({"other": 1.0})
        tracking.log_param(run_id, "p", "1")
        with pytest.raises(MlflowException, match="Changing param values is not allowed") as refused:
            tracking.log_param(run_id, "p", "2")
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
        with pytest.raises(MlflowException, match="Names may only contain"):
            tracking.log_metric(run_id, "a@b", 1.0)
        tracking.delete_tag(run_id, "t")
    assert "t" not in tracking.get_run(run_id).data.tags
    assert len(tracking.get_metric_history(run_id, "m")) == 900


def test_asynchronous_logging_loses_nothing(tracking):
    with mlflow.start_run() as run:
        waits = [mlflow.log_metric("m", n, step=n, synchronous=False) for n in range(100)]
        waits.append(mlflow.log_params({"a": 1}, synchronous=False))
        for wait in waits:
            wait.wait()
    assert len(tracking.get_metric_history(run.info.run_id, "m")) == 100


def test_nested_runs_know_their_parent(tracking):
    with mlflow.start_run() as parent:
        with mlflow.start_run(nested=True) as child:
            pass
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id


def test_runs_are_searched(tracking):
    experiment = mlflow.get_experiment_by_name("test_runs_are_searched")
    for n in range(5):
        with mlflow.start_run(run_name=f"run-{n}"):
            mlflow.log_metric("acc", n / 10)
            mlflow.log_param("kind", "even" if n % 2 == 0 else "odd")
    found = mlflow.search_runs(
        filter_string="metrics.acc > 0.05 AND params.kind = 'even'", order_by=["metrics.acc DESC"]
    )
    assert found["tags.mlflow.runName"].tolist() == ["run-4", "run-2"]
    assert found["metrics.acc"].tolist() == [0.4, 0.2]
    # What MLflow itself cannot: OR.
    either = tracking.search_runs([experiment.experiment_id], "metrics.acc = 0.1 OR attributes.run_name = 'run-3'")
    assert {run.info.run_name for run in either} == {"run-1", "run-3"}
    paged, token = [], None
    while True:
        page = tracking.search_runs(
            [experiment.experiment_id], order_by=["attributes.start_time ASC"], max_results=2, page_token=token
        )
        paged += [run.info.run_name for run in page]
        token = page.token
        if not token:
            break
    assert paged == [f"run-{n}" for n in range(5)]
    with pytest.raises(MlflowException) as refused:
        tracking.search_runs([experiment.experiment_id], "metrics.acc > 'x'")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_runs_and_experiments_are_put_away_and_brought_back(tracking):
    experiment = mlflow.get_experiment_by_name("test_runs_and_experiments_are_put_away_and_brought_back")
    with mlflow.start_run() as run:
        pass
    run_id, experiment_id = run.info.run_id, experiment.experiment_id
    tracking.delete_run(run_id)
    assert tracking.get_run(run_id).info.lifecycle_stage == "deleted"
    assert tracking.search_runs([experiment_id]) == []
    assert len(tracking.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)) == 1
    with pytest.raises(MlflowException, match="must be in the 'active' state"):
        tracking.log_metric(run_id, "a", 1)
    tracking.restore_run(run_id)
    tracking.log_metric(run_id, "a", 1)

    tracking.rename_experiment(experiment_id, "renamed")
    tracking.set_experiment_tag(experiment_id, "team", "cellar")
    tracking.delete_experiment(experiment_id)
    assert tracking.get_experiment(experiment_id).lifecycle_stage == "deleted"
    with pytest.raises(MlflowException) as refused:
        tracking.create_experiment("renamed")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    tracking.restore_experiment(experiment_id)
    found = tracking.search_experiments(filter_string="tags.team = 'cellar'")
    assert [experiment.name for experiment in found] == ["renamed"]
    assert tracking.get_experiment_by_name("none") is None


def test_the_default_experiment_is_there(server, contributor, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    client = mlflow.MlflowClient(server.url)
    assert client.get_experiment("0").name == "Default"
    run = client.create_run("0")
    assert client.get_run(run.info.run_id).info.experiment_id == client.get_experiment_by_name("Default").experiment_id
