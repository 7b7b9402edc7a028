"""Things from their beginning to their end, as MlflowClient has them, and what asks much of a server at once."""

import subprocess
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests
import xgboost
from mlflow.entities import Metric, ViewType
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_wine

MLFLOW_SERVER = Path.home() / ".cache/slipway/mlflow-server/bin/python"


def test_autolog_of_xgboost_is_undisturbed(tracking):
    features, target = load_wine(return_X_y=True, as_frame=True)
    mlflow.xgboost.autolog(registered_model_name="boosted")
    try:
        with mlflow.start_run() as run:
            data = xgboost.DMatrix(features, target)
            options = {"objective": "multi:softprob", "num_class": 3, "eval_metric": "mlogloss"}
            model = xgboost.train(options, data, num_boost_round=15, evals=[(data, "train")])
    finally:
        mlflow.xgboost.autolog(disable=True)
    read = tracking.get_run(run.info.run_id)
    assert read.info.status == "FINISHED" and read.data.params["num_boost_round"] == "15"
    history = tracking.get_metric_history(run.info.run_id, "train-mlogloss")
    assert [point.step for point in history] == list(range(15))
    loaded = mlflow.xgboost.load_model("models:/boosted/1")
    assert np.allclose(loaded.predict(data), model.predict(data))
    # The version is of the model that the run wrote, and the model knows it.
    [output] = read.outputs.model_outputs
    version = tracking.get_model_version("boosted", "1")
    assert (version.run_id, version.source) == (run.info.run_id, f"models:/{output.model_id}")
    assert '"boosted"' in mlflow.get_logged_model(output.model_id).tags["mlflow.modelVersions"]


def test_thousands_of_points_are_logged_in_the_background(tracking, server, contributor):
    mlflow.config.enable_async_logging(True)
    try:
        with mlflow.start_run() as run:
            for step in range(3000):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_param("depth", 3)
            mlflow.set_tag("team", "cellar")
        mlflow.flush_async_logging()
    finally:
        mlflow.config.enable_async_logging(False)
    assert len(tracking.get_metric_history(run.info.run_id, "loss")) == 3000
    read = tracking.get_run(run.info.run_id)
    assert (read.data.params, read.data.tags["team"]) == ({"depth": "3"}, "cellar")
    # As charts of several runs are read.
    query = {"run_ids": [run.info.run_id], "metric_key": "loss", "max_results": 100}
    headers = {"Authorization": f"Bearer {contributor}"}
    path = f"{server.url}/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
    sampled = requests.get(path, params=query, headers=headers, timeout=30).json()["metrics"]
    assert (len(sampled), sampled[0]["step"], sampled[-1]["step"]) == (100, 0, 2999)


def test_an_experiment_lives(tracking):
    client = tracking
    experiment = client.create_experiment("a life", tags={"team": "cellar"})
    client.rename_experiment(experiment, "another life")
    client.set_experiment_tag(experiment, "stage", "old")
    client.delete_experiment_tag(experiment, "team")
    assert client.get_experiment_by_name("another life").tags == {"stage": "old"}
    assert client.get_experiment(experiment).workspace == "default"
    with pytest.raises(MlflowException) as refused:
        client.create_experiment("another life")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    names = [found.name for found in client.search_experiments(ViewType.DELETED_ONLY)]
    assert "another life" in names
    client.restore_experiment(experiment)
    for wrong in ["-1", "99999999999999999999999"]:
        with pytest.raises(MlflowException) as refused:
            client.get_experiment(wrong)
        assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_run_lives(tracking):
    client = tracking
    experiment = client.create_experiment("a run's life")
    run = client.create_run(experiment, run_name="first", tags={"a": "1"}).info.run_id
    client.log_batch(run, metrics=[Metric("m", value, 1, step) for step, value in enumerate([1.0, 2.0])])
    client.log_param(run, "p", 1)
    client.update_run(run, status="RUNNING", name="second")
    client.set_terminated(run, "FAILED")
    client.delete_tag(run, "a")
    read = client.get_run(run)
    assert (read.info.status, read.info.run_name, read.data.metrics) == ("FAILED", "second", {"m": 2.0})
    assert "a" not in read.data.tags
    client.delete_run(run)
    assert client.search_runs([experiment]) == []
    with pytest.raises(MlflowException):
        client.log_metric(run, "m", 3)
    client.restore_run(run)
    assert [found.info.run_id for found in client.search_runs([experiment], "metrics.m > 1")] == [run]


def test_a_registered_model_lives(tracking):
    client = tracking
    with mlflow.start_run() as run:
        mlflow.log_text("x", "model/MLmodel")
    client.create_registered_model("a life", tags={"team": "cellar"}, description="first")
    made = client.create_model_version("a life", f"runs:/{run.info.run_id}/model", run.info.run_id, description="one")
    assert (made.version, made.run_id) == ("1", run.info.run_id)
    # Whoever names a source must say whose it is.
    for wrong in [dict(), dict(run_id=client.create_run("0").info.run_id)]:
        with pytest.raises(MlflowException) as refused:
            client._get_registry_client().store.create_model_version("a life", f"runs:/{run.info.run_id}/model", **wrong)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    client.update_model_version("a life", "1", "better")
    client.set_model_version_tag("a life", "1", "ok", "yes")
    client.set_registered_model_alias("a life", "best", "1")
    client.transition_model_version_stage("a life", "1", "Archived")
    read = client.get_model_version_by_alias("a life", "best")
    assert (read.description, read.tags, read.current_stage) == ("better", {"ok": "yes"}, "Archived")
    client.rename_registered_model("a life", "another life")
    assert client.get_registered_model("another life").aliases == {"best": "1"}
    client.delete_registered_model_alias("another life", "best")
    client.delete_model_version("another life", "1")
    client.delete_registered_model("another life")
    with pytest.raises(MlflowException) as refused:
        client.get_registered_model("another life")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException) as refused:
        client.get_registered_model("a/b")
    assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_workspaces_are_made_and_listed(server, administrator, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", administrator)
    mlflow.set_tracking_uri(server.url)
    made = mlflow.create_workspace("cellar", "The cellar")
    assert (made.name, made.description) == ("cellar", "The cellar")
    assert {"default", "cellar"} <= {workspace.name for workspace in mlflow.list_workspaces()}
    assert mlflow.update_workspace("cellar", description="Below").description == "Below"
    assert mlflow.get_workspace("cellar").description == "Below"
    with pytest.raises(MlflowException) as refused:
        mlflow.delete_workspace("cellar")
    assert refused.value.error_code == "NOT_IMPLEMENTED"
    with pytest.raises(MlflowException) as refused:
        mlflow.get_workspace("nowhere")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_files_are_found_by_their_run_and_their_version(tracking, server, contributor):
    """As scripts fetch them that know MLflow's pages."""
    with mlflow.start_run() as run:
        mlflow.log_text("flavors: {}", "model/MLmodel")
    tracking.create_registered_model("fetched")
    tracking.create_model_version("fetched", f"runs:/{run.info.run_id}/model", run.info.run_id)
    headers = {"Authorization": f"Bearer {contributor}"}
    for path in [
        f"get-artifact?run_uuid={run.info.run_id}&path=model/MLmodel",
        "model-versions/get-artifact?name=fetched&version=1&path=MLmodel",
    ]:
        answer = requests.get(f"{server.url}/{path}", headers=headers, timeout=10)
        assert (answer.status_code, answer.text) == (200, "flavors: {}"), path
        assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.skipif(not MLFLOW_SERVER.exists(), reason="the whole of MLflow is not installed: make test-mlflow")
def test_a_classifier_is_evaluated(tracking, server, contributor):
    """By the whole of MLflow: the small client cannot."""
    program = """
import mlflow
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
features, target = load_wine(return_X_y=True, as_frame=True)
mlflow.set_experiment("evaluated")
with mlflow.start_run() as run:
    model = LogisticRegression(max_iter=5000).fit(features, target)
    info = mlflow.sklearn.log_model(model, name="model", serialization_format="cloudpickle", pip_requirements=["scikit-learn"])
    found = mlflow.models.evaluate(
        info.model_uri, features.assign(label=target), targets="label", model_type="classifier",
        evaluator_config={"log_explainer": False, "log_model_explainability": False},
    )
print(run.info.run_id, found.metrics["accuracy_score"])
"""
    variables = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_TOKEN": contributor, "HOME": str(Path.home()), "PATH": "/usr/bin"}
    done = subprocess.run([MLFLOW_SERVER, "-c", program], capture_output=True, text=True, timeout=300, env=variables)
    assert done.returncode == 0, done.stderr
    run, accuracy = done.stdout.split()[-2:]
    read = tracking.get_run(run)
    assert read.data.metrics["accuracy_score"] == pytest.approx(float(accuracy))
    assert read.inputs.dataset_inputs and "confusion_matrix.png" in {entry.path for entry in tracking.list_artifacts(run)}
