"""Step 4: registers the model, once: a step that is tried again finds what it registered before."""

import json
import os
from pathlib import Path

import mlflow

MODEL = "cell-screening"


def registered(client, run_id):
    """The version that this run has already, if any."""
    found = client.search_model_versions(f"run_id = '{run_id}'")
    return next((version for version in found if version.name == MODEL), None)


def main():
    logged = json.loads((Path(os.environ["INPUT_MODEL"]) / "logged.json").read_text())
    metrics = json.loads(Path(os.environ["INPUT_SCORES"]).read_text())["metrics"]
    client = mlflow.MlflowClient()
    version = registered(client, logged["run_id"])
    if version is None:
        version = mlflow.register_model(
            logged["model_uri"], MODEL, tags={"instrument": os.environ["PARAM_INSTRUMENT"]}
        )
    accuracy, recall = metrics["accuracy"], metrics["recall"]
    about = f"Measured by the instrument {os.environ['PARAM_INSTRUMENT']}: accuracy {accuracy:.4f}, recall {recall:.4f}."
    client.update_model_version(MODEL, version.version, description=about)
    result = {"model": MODEL, "version": int(version.version), "run_id": logged["run_id"]}
    Path(os.environ["OUTPUT_VERSION"]).write_text(json.dumps(result))
    print(f"{MODEL} v{version.version}: {about}")


if __name__ == "__main__":
    main()
