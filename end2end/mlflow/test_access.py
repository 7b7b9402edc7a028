"""How clients say who they are, and which workspace they mean."""

import logging

import mlflow
import pytest
import requests
from mlflow.exceptions import MlflowException


@pytest.fixture(scope="module")
def laboratory(server, administrator):
    """A second workspace, of the administrator alone."""
    answer = requests.post(
        f"{server.url}/api/v1/workspaces",
        json={"slug": "laboratory", "name": "Laboratory"},
        headers={"Authorization": f"Bearer {administrator}"},
        timeout=10,
    )
    assert answer.status_code == 201, answer.text
    return "laboratory"


def test_a_token_is_the_password_of_basic(server, contributor, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anybody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", contributor)
    assert mlflow.MlflowClient(server.url).get_experiment("0").name == "Default"


def test_without_a_token_nobody_is_let_in(server, monkeypatch):
    client = mlflow.MlflowClient(server.url)
    with pytest.raises(MlflowException) as refused:
        client.get_experiment("0")
    assert refused.value.error_code == "UNAUTHENTICATED"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "slipway_wrong")
    with pytest.raises(MlflowException) as refused:
        client.get_experiment("0")
    assert refused.value.error_code == "UNAUTHENTICATED"


def test_a_viewers_token_only_reads(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", server.person("reader", "viewer"))
    client = mlflow.MlflowClient(server.url)
    client.get_experiment("0")
    with pytest.raises(MlflowException) as refused:
        client.create_experiment("not mine to make")
    assert refused.value.error_code == "PERMISSION_DENIED"


def test_the_address_may_name_the_workspace(server, administrator, laboratory, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", administrator)
    uri = f"{server.url}/w/{laboratory}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.set_experiment("in the laboratory")
    with mlflow.start_run() as run:
        mlflow.log_text("inside", "notes/a.txt")
        mlflow.log_metric("acc", 1)
    # Files go and come below the same prefix.
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/a.txt") == "inside"
    client = mlflow.MlflowClient()
    assert [entry.path for entry in client.list_artifacts(run.info.run_id, "notes")] == ["notes/a.txt"]
    client.create_registered_model("laboratory-model")
    client.create_model_version("laboratory-model", f"runs:/{run.info.run_id}/notes", run.info.run_id)
    assert mlflow.artifacts.load_text("models:/laboratory-model/1/a.txt") == "inside"
    # It is not there without the prefix.
    with pytest.raises(MlflowException) as refused:
        mlflow.MlflowClient(server.url).get_run(run.info.run_id)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException):
        mlflow.MlflowClient(f"{server.url}/w/nowhere").get_experiment("0")


def test_the_client_may_name_the_workspace(server, administrator, laboratory, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", administrator)
    mlflow.set_tracking_uri(server.url)
    client = mlflow.MlflowClient()
    outside = client.get_experiment("0").experiment_id
    mlflow.set_workspace(laboratory)
    try:
        inside = mlflow.MlflowClient().get_experiment("0").experiment_id
        assert inside != outside
        run = mlflow.MlflowClient().create_run("0")
        mlflow.MlflowClient().log_text(run.info.run_id, "inside", "a.txt")
    finally:
        mlflow.set_workspace(None)
    with pytest.raises(MlflowException):
        client.get_run(run.info.run_id)


def test_a_workspace_of_others_is_closed(server, contributor, laboratory, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    with pytest.raises(MlflowException) as refused:
        mlflow.MlflowClient(f"{server.url}/w/{laboratory}").get_experiment("0")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_traces_that_are_not_kept_disturb_nobody(tracking, caplog):
    caplog.set_level(logging.WARNING)

    @mlflow.trace
    def double(x):
        return 2 * x

    with mlflow.start_run() as run:
        assert double(21) == 42
        mlflow.log_metric("after", 1)
    mlflow.flush_trace_async_logging()
    assert tracking.get_run(run.info.run_id).data.metrics == {"after": 1.0}
