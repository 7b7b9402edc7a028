"""Step 3: measures the new model on samples that it has never seen, and the one in production on the same."""

import json
import os
import pickle
from pathlib import Path

import mlflow
import numpy as np
import onnxruntime
import pandas as pd
from mlflow.exceptions import MlflowException
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_score, recall_score
from sklearn.metrics import roc_auc_score

import cells
import network
from register import MODEL

ENVIRONMENT = "production"


def scores(y, label, probability):
    """What is asked of a screening: above all, whether it misses malignant cells (recall)."""
    return {
        "accuracy": float(accuracy_score(y, label)),
        "recall": float(recall_score(y, label)),
        "precision": float(precision_score(y, label)),
        "f1": float(f1_score(y, label)),
        "roc_auc": float(roc_auc_score(y, probability)),
        "log_loss": float(log_loss(y, np.clip(probability, 1e-7, 1 - 1e-7))),
    }


def champion():
    """The version in production, as a function of rows to labels, with its title; none when nothing serves."""
    client = mlflow.MlflowClient()
    try:
        version = client.get_model_version_by_alias(MODEL, ENVIRONMENT)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    graph = mlflow.onnx.load_model(f"models:/{MODEL}/{version.version}")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    def labels(x):
        return session.run(["label"], {"measurements": x.to_numpy()})[0]

    return labels, f"{MODEL} v{version.version}"


def main():
    samples, model_dir = Path(os.environ["INPUT_SAMPLES"]), Path(os.environ["INPUT_MODEL"])
    logged = json.loads((model_dir / "logged.json").read_text())
    model = pickle.loads((model_dir / "model.pickle").read_bytes())
    evaluation = pd.read_csv(samples / "evaluation.csv")
    x, y = cells.features(evaluation), evaluation[cells.LABEL]
    answers = network.predict(model, x)
    result = {"metrics": scores(y, answers["label"], answers["probability"]), "champion": None}
    if serving := champion():
        labels, title = serving
        result["champion"] = title
        result["metrics"]["champion_accuracy"] = float(accuracy_score(y, labels(x)))

    with mlflow.start_run(run_id=logged["run_id"]):
        mlflow.log_metrics(result["metrics"])
        dataset = mlflow.data.from_pandas(evaluation, name="cells-evaluation", targets=cells.LABEL)
        mlflow.log_input(dataset, context="evaluation")
        matrix = confusion_matrix(y, answers["label"]).tolist()
        mlflow.log_dict({"rows": "truth", "columns": "answer", "benign, malignant": matrix}, "confusion.json")

    Path(os.environ["OUTPUT_SCORES"]).write_text(json.dumps(result))
    print(f"on {len(y)} samples that it has never seen:")
    for key, value in result["metrics"].items():
        print(f"  {key:18} {value:.4f}")
    print(f"in production: {result['champion'] or 'nothing yet'}")


if __name__ == "__main__":
    main()
