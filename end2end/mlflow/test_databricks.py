"""Requests for a stage and comments, by the SDK whose dialect they are."""

import os
import time

import mlflow
import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service.ml import ActivityAction, ActivityType

STAGE = "Staging"


@pytest.fixture
def people(sending, monkeypatch):
    """A contributor and an approver, of a server that works on promotions too."""
    for name in [name for name in os.environ if name.startswith("DATABRICKS_")]:
        monkeypatch.delenv(name)

    def sdk(token):
        return WorkspaceClient(host=sending.url, token=token, auth_type="pat", config_file="/dev/null")

    # Nothing but people's word is needed.
    administrator = {"Authorization": f"Bearer {sending.person('sets-rules', 'admin', scope='admin')}"}
    policy = {"gates": [], "rule": {"approvals": 1}}
    answer = requests.put(f"{sending.url}/api/v1/environments/staging/policy", json=policy, headers=administrator, timeout=10)
    assert answer.ok, answer.text
    contributor = sending.person("asks", "contributor")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    mlflow.set_tracking_uri(sending.url)
    mlflow.set_registry_uri(sending.url)
    return sdk(contributor).model_registry, sdk(sending.person("decides", "approver")).model_registry


def test_a_stage_is_asked_for_and_commented_on(people):
    from skl2onnx import to_onnx
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression

    asks, decides = people
    features, target = load_wine(return_X_y=True)
    features = features.astype("float32")
    model = to_onnx(LogisticRegression(max_iter=5000).fit(features, target), features[:1], options={"zipmap": False})
    mlflow.set_experiment("asked for")
    with mlflow.start_run():
        signature = mlflow.models.infer_signature(features, target)
        mlflow.onnx.log_model(model, name="wine", signature=signature, registered_model_name="asked")

    made = asks.create_transition_request(name="asked", version="1", stage=STAGE, comment="better").request
    assert (str(made.to_stage), made.comment) == (STAGE, "better")
    deadline = time.monotonic() + 60
    while True:
        [open_request] = list(decides.list_transition_requests(name="asked", version="1"))
        assert open_request.activity_type == ActivityType.REQUESTED_TRANSITION
        try:
            rejected = decides.reject_transition_request(name="asked", version="1", stage=STAGE, comment="Too slow.")
            break
        except DatabricksError as refused:
            # Its gates have not run.
            assert "promotions/1" in str(refused) and time.monotonic() < deadline, refused
            time.sleep(0.2)
    assert (rejected.activity.activity_type, rejected.activity.comment) == (ActivityType.REJECTED_REQUEST, "Too slow.")
    assert list(asks.list_transition_requests(name="asked", version="1")) == []

    again = asks.create_transition_request(name="asked", version="1", stage=STAGE).request
    assert ActivityAction.CANCEL_TRANSITION_REQUEST in again.available_actions
    taken_back = asks.delete_transition_request(name="asked", version="1", stage=STAGE, creator=again.user_id)
    assert taken_back.activity.activity_type == ActivityType.CANCELLED_REQUEST

    comment = decides.create_comment(name="asked", version="1", comment="*Nice*").comment
    assert decides.update_comment(id=comment.id, comment="Nicer").comment.comment == "Nicer"
    with pytest.raises(DatabricksError):
        asks.delete_comment(id=comment.id)
    decides.delete_comment(id=comment.id)
