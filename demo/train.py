"""Step 2: trains the network, and logs to MLflow everything that another needs to judge, repeat and serve it."""

import json
import os
import pickle
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

import cells
import network

EXPERIMENT = "cell-screening"
GOLDEN_ROWS = 10


def answered(model, x):
    """Rows with the answers that they get here, for the serving engine to be compared with."""
    rows = {"columns": list(x.columns), "data": x.to_numpy(dtype=float).tolist()}
    return {"dataframe_split": rows, "outputs": network.predict(model, x)}


def tags():
    """What made the run, as far as the step is told."""
    known = {
        "mlflow.source.git.commit": os.environ.get("PARAM_COMMIT"),
        "slipway.pipeline_run": os.environ.get("SLIPWAY_PIPELINE_RUN"),
        "instrument": os.environ["PARAM_INSTRUMENT"],
    }
    return {key: value for key, value in known.items() if value}


def signature(columns):
    """What the model takes and gives, column by column."""
    return ModelSignature(
        inputs=Schema([ColSpec("float", name) for name in columns]),
        outputs=Schema([ColSpec("long", "label"), ColSpec("float", "probability")]),
    )


def log_model(model, x):
    """Logs the network as ONNX with what is needed to trust it, and says where it is."""
    logged = mlflow.onnx.log_model(
        network.to_graph(model, x.shape[1]),
        name="model",
        signature=signature(x.columns),
        input_example=x.head(3),
        onnx_execution_providers=["CPUExecutionProvider"],
        pip_requirements=["onnxruntime", "numpy", "pandas"],
    )
    Path("golden.json").write_text(json.dumps(answered(model, x.head(GOLDEN_ROWS))))
    mlflow.MlflowClient().log_model_artifact(logged.model_id, "golden.json")
    return logged.model_uri


def main():
    samples = Path(os.environ["INPUT_SAMPLES"])
    out = Path(os.environ["OUTPUT_MODEL"])
    out.mkdir()
    seed, epochs = int(os.environ["PARAM_SEED"]), int(os.environ["PARAM_EPOCHS"])
    learning_rate = float(os.environ["PARAM_LEARNING_RATE"])
    train = pd.read_csv(samples / "train.csv")
    x, y = cells.features(train), train[cells.LABEL]

    mlflow.set_experiment(EXPERIMENT)
    name = f"network, instrument {os.environ['PARAM_INSTRUMENT']}"
    with mlflow.start_run(run_name=name, tags=tags()) as run:
        mlflow.log_params(
            {"instrument": os.environ["PARAM_INSTRUMENT"], "seed": seed, "epochs": epochs}
            | {"learning_rate": learning_rate, "hidden_units": 16, "batch_size": 32, "alpha": 0.01}
        )
        dataset = mlflow.data.from_pandas(train, name="cells-train", targets=cells.LABEL)
        mlflow.log_input(dataset, context="training")

        def each_epoch(epoch, metrics):
            mlflow.log_metrics(metrics, step=epoch)
            if epoch % 5 == 0 or epoch == 1:
                shown = "  ".join(f"{key} {value:.4f}" for key, value in metrics.items())
                print(f"epoch {epoch:3}/{epochs}  {shown}", flush=True)

        model = network.fit(x, y, seed=seed, epochs=epochs, learning_rate=learning_rate, each_epoch=each_epoch)
        # What production's traffic is held against.
        x.to_csv("reference.csv", index=False)
        mlflow.log_artifact("reference.csv")
        # Patients of tomorrow, with the answers to expect: as the instrument shows them, and once it is recalibrated.
        for part in ("held_out", "recalibrated"):
            rows = cells.features(pd.read_csv(samples / f"{part}.csv"))
            mlflow.log_dict(answered(model, rows), f"traffic/{part}.json")
        model_uri = log_model(model, x)

    (out / "model.pickle").write_bytes(pickle.dumps(model))
    (out / "logged.json").write_text(json.dumps({"run_id": run.info.run_id, "model_uri": model_uri}))
    print(f"logged run {run.info.run_id} with {model_uri}")


if __name__ == "__main__":
    main()
