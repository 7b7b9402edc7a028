"""Webhooks: set up by the client, delivered by a worker, checked as MLflow's documentation tells receivers to."""

import base64
import hashlib
import hmac
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import mlflow
import pytest
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent, WebhookStatus
from mlflow.exceptions import MlflowException

SECRET = "a secret of both"
PATIENCE = 60


class Receiver:
    """A service on this machine that is told things."""

    def __init__(self):
        self.received = queue.Queue()
        self.answers = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.put((self.headers, body.decode()))
                status = 200 if receiver.answers.empty() else receiver.answers.get()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        """The next delivery, once its signature is checked: its headers and what it says."""
        headers, body = self.received.get(timeout=PATIENCE)
        signed = f"{headers['X-MLflow-Delivery-Id']}.{headers['X-MLflow-Timestamp']}.{body}"
        digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        assert headers["X-MLflow-Signature"] == f"v1,{base64.b64encode(digest).decode()}"
        assert abs(time.time() - int(headers["X-MLflow-Timestamp"])) < 300
        return headers, json.loads(body)


@pytest.fixture(scope="module")
def keeper(sending) -> str:
    """A token of somebody who may set up webhooks there."""
    return sending.person("keeper", "admin", scope="admin")


@pytest.fixture
def client(sending, keeper, monkeypatch):
    """Their client."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", keeper)
    mlflow.set_tracking_uri(sending.url)
    mlflow.set_registry_uri(sending.url)
    return mlflow.MlflowClient()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_a_webhook_lives_as_the_client_says(client, receiver):
    made = client.create_webhook(
        name="ci",
        url=receiver.url,
        events=["model_version.created", WebhookEvent(WebhookEntity.MODEL_VERSION_TAG, WebhookAction.SET)],
        description="tells CI",
        secret=SECRET,
    )
    assert (made.status, made.description, made.secret) == (WebhookStatus.ACTIVE, "tells CI", None)
    assert [str(event) for event in made.events] == ["model_version.created", "model_version_tag.set"]
    read = client.get_webhook(made.webhook_id)
    assert (read.name, read.url, read.creation_timestamp) == ("ci", receiver.url, made.creation_timestamp)
    others = [client.create_webhook(name=f"more-{n}", url=receiver.url, events=["prompt.created"]) for n in range(2)]
    first = client.list_webhooks(max_results=2)
    assert [hook.name for hook in first] == ["more-1", "more-0"]
    assert [hook.name for hook in client.list_webhooks(max_results=2, page_token=first.token)] == ["ci"]

    changed = client.update_webhook(made.webhook_id, name="cd", status=WebhookStatus.DISABLED)
    assert (changed.name, changed.status, changed.url) == ("cd", WebhookStatus.DISABLED, receiver.url)
    assert changed.last_updated_timestamp >= made.last_updated_timestamp
    for hook in [made, *others]:
        client.delete_webhook(hook.webhook_id)
    with pytest.raises(MlflowException) as refused:
        client.get_webhook(made.webhook_id)
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert list(client.list_webhooks()) == []


def test_an_example_is_sent_at_once(client, receiver):
    hook = client.create_webhook("trial", receiver.url, ["registered_model.created"], secret=SECRET)
    went = client.test_webhook(hook.webhook_id)
    assert (went.success, went.response_status, went.error_message) == (True, 200, None)
    _, told = receiver.next()
    assert (told["entity"], told["data"]["name"]) == ("registered_model", "example_model")
    receiver.answers.put(500)
    went = client.test_webhook(hook.webhook_id, WebhookEvent.from_str("prompt_tag.set"))
    assert (went.success, went.response_status) == (False, 500)
    assert receiver.next()[1]["entity"] == "prompt_tag"
    client.delete_webhook(hook.webhook_id)


def test_what_happens_is_delivered_again_until_it_is_taken(client, receiver):
    events = [
        "registered_model.created",
        "model_version.created",
        "model_version_tag.set",
        "model_version_tag.deleted",
        "model_version_alias.created",
        "model_version_alias.deleted",
    ]
    hook = client.create_webhook("all", receiver.url, events, secret=SECRET)
    receiver.answers.put(503)
    client.create_registered_model("told", tags={"team": "red"}, description="whom it concerns")
    first, again = receiver.next(), receiver.next()
    assert first[1] == again[1]
    assert first[0]["X-MLflow-Delivery-Id"] == again[0]["X-MLflow-Delivery-Id"]
    assert first[1]["workspace"] == "default"
    assert first[1]["data"] == {"name": "told", "tags": {"team": "red"}, "description": "whom it concerns"}

    run = client.create_run("0")
    client.create_model_version("told", f"runs:/{run.info.run_id}/model", run.info.run_id, tags={"a": "1"})
    _, told = receiver.next()
    assert (told["entity"], told["action"]) == ("model_version", "created")
    assert told["data"] == {
        "name": "told",
        "version": "1",
        "source": f"runs:/{run.info.run_id}/model",
        "run_id": run.info.run_id,
        "tags": {"a": "1"},
        "description": None,
    }
    for act, entity, action in [
        (lambda: client.set_model_version_tag("told", "1", "k", "v"), "model_version_tag", "set"),
        (lambda: client.delete_model_version_tag("told", "1", "k"), "model_version_tag", "deleted"),
        (lambda: client.set_registered_model_alias("told", "champion", "1"), "model_version_alias", "created"),
        (lambda: client.delete_registered_model_alias("told", "champion"), "model_version_alias", "deleted"),
    ]:
        act()
        _, told = receiver.next()
        assert (told["entity"], told["action"], told["data"]["name"]) == (entity, action, "told")
    client.delete_webhook(hook.webhook_id)


def test_prompts_are_told_of_as_prompts(client, receiver):
    events = ["prompt.created", "prompt_version.created", "prompt_alias.created", "model_version.created"]
    hook = client.create_webhook("prompts", receiver.url, events, secret=SECRET)
    mlflow.genai.register_prompt(name="greeting", template="Hello {{name}}!")
    told = {message["entity"]: message for _, message in (receiver.next() for _ in range(2))}
    assert set(told) == {"prompt", "prompt_version"}
    assert told["prompt"]["data"]["name"] == "greeting"
    assert "mlflow.prompt.is_prompt" not in told["prompt"]["data"]["tags"]
    assert told["prompt_version"]["data"]["template"] == "Hello {{name}}!"
    mlflow.genai.set_prompt_alias("greeting", alias="production-ready", version=1)
    assert receiver.next()[1]["data"] == {"name": "greeting", "alias": "production-ready", "version": "1"}
    client.delete_webhook(hook.webhook_id)


def test_the_client_is_refused_in_mlflows_codes(client, server, administrator, contributor, monkeypatch):
    for name, url in [("No Name", "https://1.1.1.1/"), ("ci", "ftp://1.1.1.1/"), ("ci", "https://u:p@1.1.1.1/")]:
        with pytest.raises(MlflowException) as refused:
            client.create_webhook(name, url, ["prompt.created"])
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    # The other server sends to nobody inside.
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", administrator)
    strict = mlflow.MlflowClient(server.url, server.url)
    for url in ["https://127.0.0.1/", "https://localhost/", "http://1.1.1.1/", "https://[::ffff:10.0.0.1]/"]:
        with pytest.raises(MlflowException) as refused:
            strict.create_webhook("ci", url, ["prompt.created"])
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    with pytest.raises(MlflowException) as refused:
        strict.list_webhooks()
    assert refused.value.error_code == "PERMISSION_DENIED"
