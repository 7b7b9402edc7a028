"""What the training of the demo gives, and what the walk and the server's gates rely on."""

import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pytest
from scipy.stats import ks_2samp

import cells
import fetch
import network

SEED = 10


@pytest.fixture(scope="module")
def parts():
    """The split of both instruments."""
    return {name: fetch.split(cells.measure(cells.load(), name), SEED) for name in cells.INSTRUMENTS}


@pytest.fixture(scope="module")
def models(parts):
    """A network for each instrument, as the pipeline trains it."""

    def fit(train):
        return network.fit(cells.features(train), train[cells.LABEL], seed=SEED, epochs=40, learning_rate=0.003)

    return {name: fit(split["train"]) for name, split in parts.items()}


@pytest.fixture
def tracking(trained, monkeypatch):
    """MLflow's client over what the steps logged."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((trained / "mlruns").as_uri())
    yield mlflow.MlflowClient()
    mlflow.set_tracking_uri(before)


def accuracy(model, part):
    answers = network.predict(model, cells.features(part))
    return (np.array(answers["label"]) == part[cells.LABEL]).mean()


def drifted(reference, current):
    """The share of features that the server's monitor would call drifted."""
    reference, current = cells.features(reference), cells.features(current)
    return np.mean([ks_2samp(reference[column], current[column]).pvalue <= 0.05 for column in reference])


def answer(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(["label", "probability"], session.run(["label", "probability"], {"measurements": x})))


def test_no_sample_is_in_two_parts(parts):
    for split in parts.values():
        rows = pd.concat(split.values())
        assert len(rows) == 569
        assert rows.index.is_unique


def test_both_instruments_measure_the_same_patients(parts):
    for part in ("train", "evaluation", "held_out"):
        before, after = (parts[name][part] for name in cells.INSTRUMENTS)
        assert before.index.equals(after.index)
        assert before[cells.LABEL].equals(after[cells.LABEL])


def test_every_measurement_is_known_to_change_or_to_stay():
    quantities = {column.removeprefix("mean_") for column in cells.features(cells.load()) if column.startswith("mean_")}
    assert quantities == set(cells.RECALIBRATED) | set(cells.UNCHANGED)


def test_an_unknown_instrument_is_refused():
    with pytest.raises(SystemExit, match="as-delivered or recalibrated"):
        cells.measure(cells.load(), "borrowed")


def test_traffic_drifts_when_the_instrument_is_recalibrated_and_not_before(parts):
    train = parts["as-delivered"]["train"]
    assert drifted(train, parts["as-delivered"]["held_out"]) < 0.2
    assert drifted(train, parts["recalibrated"]["held_out"]) > 0.55
    assert drifted(parts["recalibrated"]["train"], parts["recalibrated"]["held_out"]) < 0.2


def test_what_was_trained_before_is_worse_on_the_recalibrated_instrument_and_what_is_trained_again_is_not(parts, models):
    before = accuracy(models["as-delivered"], parts["as-delivered"]["evaluation"])
    assert before >= 0.95
    assert accuracy(models["as-delivered"], parts["recalibrated"]["evaluation"]) < 0.9
    assert accuracy(models["recalibrated"], parts["recalibrated"]["evaluation"]) >= before


def test_training_again_gives_the_same(parts, models):
    train = parts["as-delivered"]["train"]
    again = network.fit(cells.features(train), train[cells.LABEL], seed=SEED, epochs=40, learning_rate=0.003)
    x = cells.features(parts["as-delivered"]["held_out"])
    assert network.predict(again, x) == network.predict(models["as-delivered"], x)


def test_the_graph_answers_as_scikit_learn_does(parts, models, tmp_path):
    x = cells.features(pd.concat(parts["recalibrated"].values())).to_numpy()
    model = models["as-delivered"]
    path = tmp_path / "model.onnx"
    path.write_bytes(network.to_graph(model, x.shape[1]).SerializeToString())
    found, expected = answer(path, x), network.predict(model, x)
    assert found["label"].tolist() == expected["label"]
    assert found["probability"].shape == (len(x), 1)
    assert np.abs(found["probability"][:, 0] - expected["probability"]).max() < 1e-5


def test_golden_rows_of_the_logged_model_are_answered_by_its_graph(trained, tracking):
    files = mlflow.artifacts.download_artifacts(json.loads((trained / "model/logged.json").read_text())["model_uri"])
    golden = json.loads(open(f"{files}/golden.json").read())
    rows = golden["dataframe_split"]
    assert rows["columns"] == list(cells.features(cells.load()).columns)
    found = answer(f"{files}/model.onnx", np.array(rows["data"], dtype=np.float32))
    assert found["label"].tolist() == golden["outputs"]["label"]
    assert np.abs(found["probability"][:, 0] - golden["outputs"]["probability"]).max() < 1e-5


def test_the_run_has_curves_params_data_and_the_reference(trained, tracking):
    run = tracking.get_run(json.loads((trained / "version.json").read_text())["run_id"])
    for curve in ("train_loss", "validation_loss", "validation_accuracy"):
        history = tracking.get_metric_history(run.info.run_id, curve)
        assert [point.step for point in history] == list(range(1, 41))
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "10"
    assert run.data.metrics["accuracy"] >= 0.95
    assert run.data.tags["mlflow.source.git.commit"] == "9f03a71"
    assert run.data.tags["slipway.pipeline_run"] == "7"
    contexts = {tag.value for read in run.inputs.dataset_inputs for tag in read.tags if tag.key == "mlflow.data.context"}
    assert contexts == {"training", "evaluation"}
    names = {file.path for file in tracking.list_artifacts(run.info.run_id)}
    assert {"reference.csv", "confusion.json", "traffic"} <= names
    reference = pd.read_csv(mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="reference.csv"))
    assert list(reference.columns) == list(cells.features(cells.load()).columns)


def test_the_traffic_carries_the_answers_that_the_model_gave(trained, tracking):
    run_id = json.loads((trained / "version.json").read_text())["run_id"]
    model = pickle.loads((trained / "model/model.pickle").read_bytes())
    for part in ("held_out", "recalibrated"):
        file = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f"traffic/{part}.json")
        traffic = json.loads(open(file).read())
        assert len(traffic["dataframe_split"]["data"]) == 114
        answers = network.predict(model, traffic["dataframe_split"]["data"])
        assert answers["label"] == traffic["outputs"]["label"]
        # The order in which sums are taken depends on how the numbers lie in memory.
        assert answers["probability"] == pytest.approx(traffic["outputs"]["probability"], rel=1e-5)


def test_the_logged_model_loads_back_and_names_what_it_gives(trained, tracking):
    version = json.loads((trained / "version.json").read_text())
    loaded = mlflow.pyfunc.load_model(f"models:/{version['model']}/{version['version']}")
    answers = loaded.predict(cells.features(cells.load()).head(4))
    assert list(answers.columns) == ["label", "probability"]
    assert len(answers) == 4


def test_registering_again_finds_what_was_registered(steps, trained):
    before = json.loads((trained / "version.json").read_text())
    steps("register.py", INPUT_MODEL="model", INPUT_SCORES="scores.json", OUTPUT_VERSION="again.json")
    assert json.loads((trained / "again.json").read_text()) == before


class Promotions(BaseHTTPRequestHandler):
    """Answers requests for promotion with what the test put into `status` and `answer`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(self.server.answer).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def promotions():
    server = HTTPServer(("127.0.0.1", 0), Promotions)
    server.asked, server.status, server.answer = [], 201, {"number": 3}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def propose(steps, server, **variables):
    url = f"http://127.0.0.1:{server.server_port}"
    files = {"INPUT_VERSION": "version.json", "INPUT_SCORES": "scores.json"}
    return steps("propose.py", SLIPWAY_URL=url, SLIPWAY_TOKEN="secret", **files, **variables)


def test_a_version_is_proposed_with_its_reasons(steps, trained, promotions):
    said = propose(steps, promotions, PARAM_PROMOTE="production")
    assert "requested promotion #3" in said
    [(path, authorization, body)] = promotions.asked
    assert (path, authorization) == ("/api/v1/promotions", "Bearer secret")
    assert {**body, "comment": ""} == {"model": "cell-screening", "version": 1, "environment": "production", "comment": ""}
    assert body["comment"].startswith("Accuracy 0.9")


def test_nobody_is_asked_unless_told_to(steps, trained, promotions):
    assert "nobody is asked" in propose(steps, promotions)
    assert promotions.asked == []


def test_a_try_after_one_that_asked_is_content(steps, trained, promotions):
    promotions.status, promotions.answer = 409, {"detail": "Promotion #3 asks for cell-screening v1 already."}
    assert "asks for cell-screening v1 already" in propose(steps, promotions, PARAM_PROMOTE="production")


def test_a_refusal_fails_the_step_with_its_reason(steps, trained, promotions):
    promotions.status, promotions.answer = 403, {"detail": "You may not request promotions."}
    said = propose(steps, promotions, PARAM_PROMOTE="production", expect=1)
    assert "The promotion was refused: You may not request promotions." in said


def test_what_serves_is_measured_on_the_same_samples(steps, trained, tracking):
    version = json.loads((trained / "version.json").read_text())
    tracking.set_registered_model_alias(version["model"], "production", str(version["version"]))
    steps("evaluate.py", INPUT_SAMPLES="samples", INPUT_MODEL="model", OUTPUT_SCORES="beside.json")
    scores = json.loads((trained / "beside.json").read_text())
    assert scores["champion"] == "cell-screening v1"
    # It is the same model.
    assert scores["metrics"]["champion_accuracy"] == scores["metrics"]["accuracy"]
