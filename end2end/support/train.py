"""Trains a small classifier on scikit-learn's wine data, logs it with MLflow's client, and registers it.

usage: train.py [--model NAME] [--register] [--promote ENVIRONMENT] [--shifted]
Prints one line of JSON: run_id, run_name, version.
"""

import argparse
import json
import os
import pathlib
import tempfile
import urllib.request

import mlflow
import numpy
import pandas
from mlflow.models import infer_signature
from skl2onnx import to_onnx
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="wine-cultivar")
    parser.add_argument("--register", action="store_true")
    parser.add_argument("--promote")
    parser.add_argument("--shifted", action="store_true")
    options = parser.parse_args()

    data = load_wine(as_frame=True)
    features, target = data.data.astype(numpy.float32), data.target
    if options.shifted:
        features = pandas.concat([features, features * 1.5])
        target = pandas.concat([target, target])
    train_x, test_x, train_y, test_y = train_test_split(features, target, test_size=0.3, random_state=7, stratify=target)

    mlflow.set_experiment("wine")
    with mlflow.start_run() as run:
        mlflow.log_params({"model": "logistic regression", "test_size": 0.3, "shifted": options.shifted})
        mlflow.log_input(mlflow.data.from_pandas(train_x, name="wine-train"), context="training")
        for step, rounds in enumerate(range(5, 205, 5)):
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=rounds, tol=1e-9))
            model.fit(train_x.to_numpy(), train_y)
            mlflow.log_metric("val_log_loss", log_loss(test_y, model.predict_proba(test_x.to_numpy())), step=step)
        mlflow.log_metric("accuracy", accuracy_score(test_y, model.predict(test_x.to_numpy())))
        onnx = to_onnx(model, train_x.to_numpy()[:1], options={"zipmap": False}, target_opset=17)
        signature = infer_signature(test_x, pandas.DataFrame({"label": model.predict(test_x.to_numpy())}))
        with tempfile.TemporaryDirectory() as folder:
            reference = pathlib.Path(folder) / "reference.csv"
            train_x.to_csv(reference, index=False)
            mlflow.log_artifact(str(reference))
        logged = mlflow.onnx.log_model(
            onnx,
            name="model",
            signature=signature,
            input_example=test_x.head(3),
            # Else the client loads the model in another process to find out, which takes longer than the training.
            pip_requirements=["onnxruntime"],
        )
        version = None
        if options.register or options.promote:
            version = int(mlflow.register_model(logged.model_uri, options.model).version)
        if options.promote:
            request = urllib.request.Request(
                os.environ["MLFLOW_TRACKING_URI"] + "/api/v1/promotions",
                data=json.dumps({"model": options.model, "version": version, "environment": options.promote, "comment": "Retrained"}).encode(),
                headers={"authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "content-type": "application/json"},
            )
            urllib.request.urlopen(request, timeout=30).read()
    print(json.dumps({"run_id": run.info.run_id, "run_name": run.info.run_name, "version": version}))


if __name__ == "__main__":
    main()
