"""Models as people log, register and load them."""

import mlflow
import numpy as np
import onnx
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

REQUIREMENTS = ["scikit-learn"]


@pytest.fixture(scope="module")
def iris():
    data = load_iris(as_frame=True)
    return data.data, data.target


def log_tree(frame, target, **options):
    """A small tree in the active run, and what MLflow says of it."""
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(frame, target)
    info = mlflow.sklearn.log_model(
        model,
        name="tree",
        signature=infer_signature(frame, model.predict(frame)),
        input_example=frame.head(2),
        serialization_format="cloudpickle",
        pip_requirements=REQUIREMENTS,
        **options,
    )
    return model, info


def test_a_model_is_logged_registered_aliased_and_loaded(tracking, iris):
    frame, target = iris
    with mlflow.start_run() as run:
        mlflow.log_metric("acc", 0.9)
        model, info = log_tree(frame, target, registered_model_name="iris")
    expected = model.predict(frame)

    read = tracking.get_run(run.info.run_id)
    assert [output.model_id for output in read.outputs.model_outputs] == [info.model_id]
    logged = mlflow.get_logged_model(info.model_id)
    assert logged.status == "READY" and logged.source_run_id == run.info.run_id
    # What the run measured at this step is said of the model too.
    assert {metric.key: metric.value for metric in logged.metrics} == {"acc": 0.9}

    version = tracking.get_model_version("iris", "1")
    assert (version.status, version.run_id, version.source) == ("READY", run.info.run_id, f"models:/{info.model_id}")
    tracking.set_registered_model_alias("iris", "champion", "1")
    assert tracking.get_model_version_by_alias("iris", "champion").version == "1"
    for uri in [
        "models:/iris@champion",
        "models:/iris/1",
        "models:/iris/latest",
        f"models:/{info.model_id}",
        f"runs:/{run.info.run_id}/tree",
    ]:
        assert (mlflow.pyfunc.load_model(uri).predict(frame) == expected).all(), uri
    assert (mlflow.sklearn.load_model("models:/iris@champion").predict(frame) == expected).all()
    assert mlflow.models.get_model_info("models:/iris/1").signature.inputs.input_names() == list(frame.columns)

    # Once more, from the run.
    again = mlflow.register_model(f"runs:/{run.info.run_id}/tree", "iris", tags={"why": "again"})
    assert (again.version, again.run_id) == ("2", run.info.run_id) and again.tags == {"why": "again"}
    tracking.copy_model_version("models:/iris/1", "iris-copy")
    assert (mlflow.pyfunc.load_model("models:/iris-copy/1").predict(frame) == expected).all()
    assert "mlflow.modelVersions" in mlflow.get_logged_model(info.model_id).tags


def test_an_onnx_model_is_logged_and_loaded(tracking):
    features, target = load_wine(return_X_y=True)
    features = features.astype(np.float32)
    model = LogisticRegression(max_iter=5000).fit(features, target)
    converted = to_onnx(model, features[:1], options={"zipmap": False})
    with mlflow.start_run():
        info = mlflow.onnx.log_model(
            converted,
            name="wine",
            signature=infer_signature(features, model.predict(features)),
            registered_model_name="wine",
            pip_requirements=["onnxruntime"],
        )
    tracking.set_registered_model_alias("wine", "challenger", "1")
    loaded = mlflow.pyfunc.load_model("models:/wine@challenger").predict(features)
    assert (loaded["label"] == model.predict(features)).all()
    onnx.checker.check_model(mlflow.onnx.load_model(info.model_uri))


def test_the_registry_is_searched_and_changed(tracking):
    for name in ["search-a", "search-b"]:
        tracking.create_registered_model(name, tags={"team": name[-1]}, description="to be found")
    tracking.set_registered_model_tag("search-a", "x", "1")
    found = tracking.search_registered_models("name LIKE 'search-%'", order_by=["name DESC"], max_results=1)
    assert [model.name for model in found] == ["search-b"]
    rest = tracking.search_registered_models(
        "name LIKE 'search-%'", order_by=["name DESC"], max_results=1, page_token=found.token
    )
    assert [(model.name, model.tags) for model in rest] == [("search-a", {"team": "a", "x": "1"})]
    with pytest.raises(MlflowException) as refused:
        tracking.create_registered_model("search-a")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"
    tracking.rename_registered_model("search-b", "search-c")
    tracking.update_registered_model("search-c", "renamed")
    assert tracking.get_registered_model("search-c").description == "renamed"
    tracking.delete_registered_model_tag("search-a", "x")
    tracking.delete_registered_model("search-c")
    with pytest.raises(MlflowException) as refused:
        tracking.get_registered_model("search-c")
    assert refused.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_versions_are_tagged_found_and_deleted(tracking, iris):
    with mlflow.start_run() as run:
        log_tree(*iris, registered_model_name="tagged")
    tracking.set_model_version_tag("tagged", "1", "checked", "yes")
    tracking.update_model_version("tagged", "1", "the first")
    found = tracking.search_model_versions(f"run_id = '{run.info.run_id}'")
    assert [(version.name, version.version, version.tags, version.description) for version in found] == [
        ("tagged", "1", {"checked": "yes"}, "the first")
    ]
    assert [version.version for version in tracking.search_model_versions("tags.checked = 'yes'")] == ["1"]
    tracking.delete_model_version_tag("tagged", "1", "checked")
    tracking.delete_model_version("tagged", "1")
    assert tracking.search_model_versions("name = 'tagged'") == []


def test_a_protected_alias_answers_with_the_promotion_to_request(tracking, server, iris):
    with mlflow.start_run():
        log_tree(*iris, registered_model_name="guarded")
    for environment in ["production", "staging"]:
        link = f"{server.url}/w/default/promotions/new?model=guarded&version=1&environment={environment}"
        with pytest.raises(MlflowException) as refused:
            tracking.set_registered_model_alias("guarded", environment, "1")
        assert refused.value.error_code == "PERMISSION_DENIED" and refused.value.get_http_status_code() == 403
        assert link in refused.value.message
        with pytest.raises(MlflowException) as refused:
            tracking.transition_model_version_stage("guarded", "1", environment.capitalize())
        assert refused.value.error_code == "PERMISSION_DENIED" and link in refused.value.message
    tracking.set_registered_model_alias("guarded", "free", "1")
    tracking.delete_registered_model_alias("guarded", "free")
    assert tracking.get_registered_model("guarded").aliases == {}


def test_a_model_from_elsewhere_is_not_registered(tracking):
    tracking.create_registered_model("outside")
    for source in ["s3://bucket/model", "file:///etc", "/etc", "http://attacker.example/x"]:
        with pytest.raises(MlflowException) as refused:
            tracking.create_model_version("outside", source)
        assert refused.value.error_code == "INVALID_PARAMETER_VALUE"


def test_logged_models_are_searched_and_deleted(tracking, iris):
    with mlflow.start_run():
        _, info = log_tree(*iris, params={"depth": 2})
        mlflow.log_metric("acc", 0.8, model_id=info.model_id)
    experiment = mlflow.get_experiment_by_name("test_logged_models_are_searched_and_deleted")
    search = dict(experiment_ids=[experiment.experiment_id], output_format="list")
    found = mlflow.search_logged_models(filter_string="metrics.acc > 0.5 AND params.depth = '2'", **search)
    assert [model.model_id for model in found] == [info.model_id]
    ordered = mlflow.search_logged_models(order_by=[{"field_name": "metrics.acc", "ascending": False}], **search)
    assert [model.name for model in ordered] == ["tree"]
    mlflow.set_logged_model_tags(info.model_id, {"a": "b"})
    assert mlflow.get_logged_model(info.model_id).tags["a"] == "b"
    mlflow.delete_logged_model_tag(info.model_id, "a")
    tracking.delete_logged_model(info.model_id)
    assert mlflow.search_logged_models(**search) == []


def test_autolog_of_scikit_learn_is_undisturbed(tracking, iris):
    frame, target = iris
    mlflow.sklearn.autolog(log_input_examples=True, serialization_format="cloudpickle", silent=True)
    model = LogisticRegression(max_iter=500).fit(frame, target)
    run = mlflow.last_active_run()
    assert run.info.status == "FINISHED"
    assert run.data.params["max_iter"] == "500"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert run.inputs.dataset_inputs and run.outputs.model_outputs
    loaded = mlflow.sklearn.load_model(f"models:/{run.outputs.model_outputs[0].model_id}")
    assert (loaded.predict(frame) == model.predict(frame)).all()


def test_prompts_are_kept_beside_models(tracking):
    prompt = mlflow.genai.register_prompt("greeting", "Hello {{name}}")
    assert (prompt.name, prompt.version) == ("greeting", 1)
    assert mlflow.genai.load_prompt("greeting", version=1).format(name="Ada") == "Hello Ada"
    assert "greeting" not in [model.name for model in tracking.search_registered_models()]
