"""Step 4: measures the model on digits that it has never seen. Only one that is good enough becomes a version."""

import json
import os
import shutil
from pathlib import Path

import mlflow
import onnxruntime
import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, recall_score


def read(model, digits):
    """What the model reads in each row, by the engine that will serve it."""
    session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
    return session.run(["label"], {"pixels": digits.drop(columns="digit").to_numpy("float32")})[0]


def scores(target, prediction):
    return {
        "accuracy": accuracy_score(target, prediction),
        "f1": f1_score(target, prediction, average="macro"),
        "worst_recall": recall_score(target, prediction, average=None).min(),
    }


def main():
    model = Path(os.environ["INPUT_MODEL"])
    digits = pd.read_csv(Path(os.environ["INPUT_PARTS"]) / "evaluation.csv", index_col="row_id")
    answers = pd.DataFrame({"target": digits["digit"], "prediction": read(model, digits)})
    found = scores(answers["target"], answers["prediction"])
    print("\n".join(f"{name}: {value:.4f}" for name, value in found.items()))
    Path(os.environ["OUTPUT_SCORES"]).write_text(json.dumps(found))
    answers.to_csv(os.environ["OUTPUT_ANSWERS"])
    with mlflow.start_run():
        # What gates that compare two versions row by row look at.
        mlflow.log_text(answers.to_csv(), "evaluation.csv")
    least = float(os.environ["PARAM_LEAST_ACCURACY"])
    if found["accuracy"] < least:
        raise SystemExit(f"The accuracy is {found['accuracy']:.4f} and should be {least} at least: this model is no version.")
    shutil.copytree(model, os.environ["OUTPUT_MODEL"])


if __name__ == "__main__":
    main()
