"""Step 3: grows a forest that reads digits, logs how good it gets, and writes it down for the engine that serves."""

import json
import os
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

AT_ONCE = 25


def grow(x, y, trees, depth, seed):
    """Grows the forest, and logs after every 25 trees how many of the digits the trees that did not see them get right."""
    forest = RandomForestClassifier(max_depth=depth, oob_score=True, warm_start=True, random_state=seed)
    for grown in [*range(AT_ONCE, trees, AT_ONCE), trees]:
        forest.set_params(n_estimators=grown).fit(x, y)
        mlflow.log_metric("oob_accuracy", forest.oob_score_, step=grown)
        print(f"{grown} trees: {forest.oob_score_:.4f} of the digits out of the bag are right", flush=True)
    return forest


def save(forest, x, out):
    """Writes the forest as an ONNX model, with rows and their answers that the serving engine has to repeat."""
    pixels = x.shape[1]
    options = {id(forest): {"zipmap": False}}
    onnx_model = to_onnx(forest, initial_types=[("pixels", FloatTensorType([None, pixels]))], options=options)
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float32"), (-1, pixels), "pixels")]),
        outputs=Schema(
            [
                TensorSpec(np.dtype("int64"), (-1,), "label"),
                TensorSpec(np.dtype("float32"), (-1, len(forest.classes_)), "probabilities"),
            ]
        ),
    )
    # MLflow would put the time and a number by chance into it; so the same forest is the same files.
    about = Model(utc_time_created="1970-01-01", model_uuid=None)
    mlflow.onnx.save_model(
        onnx_model,
        out,
        mlflow_model=about,
        signature=signature,
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=["onnxruntime", "numpy", "pandas"],
    )
    golden = {
        "inputs": [{"name": "pixels", "shape": [10, pixels], "datatype": "FP32", "data": x[:10].ravel().tolist()}],
        "outputs": {"label": forest.predict(x[:10]).tolist()},
    }
    (Path(out) / "golden.json").write_text(json.dumps(golden))


def main():
    trees, depth = int(os.environ["PARAM_TREES"]), int(os.environ["PARAM_DEPTH"])
    seed = int(os.environ["SLIPWAY_SEED"])
    train = pd.read_csv(Path(os.environ["INPUT_PARTS"]) / "train.csv", index_col="row_id")
    x, y = train.drop(columns="digit").to_numpy("float32"), train["digit"].to_numpy()
    # Server, token, experiment and the run that it is nested under come from the step's environment.
    with mlflow.start_run():
        mlflow.log_params({"trees": trees, "depth": depth, "seed": seed})
        forest = grow(x, y, trees, depth, seed)
    save(forest, x, os.environ["OUTPUT_MODEL"])


if __name__ == "__main__":
    main()
