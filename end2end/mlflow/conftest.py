"""The built program, started for these tests alone, and people with tokens for it."""

import os

# Before mlflow is imported: it looks at these once.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING_")]:
    del os.environ[name]

import mlflow
import pytest

from program import reachable
from tested import Tested


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests."""
    running = Tested.start(reachable(tmp_path_factory.mktemp("slipway")), "--no-worker")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def sending(tmp_path_factory):
    """Another, which works on jobs too, and whose webhooks may send to this machine."""
    running = Tested.start(reachable(tmp_path_factory.mktemp("sending")), "--webhook-allow-private")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def contributor(server) -> str:
    """A token of somebody who may log and register."""
    return server.person("data-scientist", "contributor")


@pytest.fixture(scope="session")
def administrator(server) -> str:
    """A token of somebody who may everything but decide."""
    return server.person("administrator", "admin", scope="admin")


@pytest.fixture
def tracking(server, contributor, monkeypatch, request):
    """MLflow's client, pointed at the server as the contributor, with an experiment named after the test."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    mlflow.set_experiment(request.node.name)
    yield mlflow.MlflowClient()
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.sklearn.autolog(disable=True)
