"""The scripts of the demo, as its steps see them: in a directory of their own, told what to do by the environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo"
sys.path.insert(0, str(DEMO))


@pytest.fixture(scope="session")
def steps(tmp_path_factory):
    """Runs a step's script with a tracking server made of files, and gives what it said."""
    folder = tmp_path_factory.mktemp("steps")
    for script in DEMO.glob("*.py"):
        shutil.copy(script, folder)
    params = {"INSTRUMENT": "as-delivered", "SEED": "10", "EPOCHS": "40", "LEARNING_RATE": "0.003", "PROMOTE": "", "COMMIT": ""}

    def run(script, *, expect=0, **variables):
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
        }
        env |= {f"PARAM_{name}": value for name, value in params.items()} | variables
        done = subprocess.run(
            [sys.executable, script], cwd=folder, env=env, text=True, timeout=120, capture_output=True, check=False
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.folder = folder
    return run


@pytest.fixture(scope="session")
def trained(steps):
    """The folder after fetch, train, evaluate and register."""
    steps("fetch.py", OUTPUT_SAMPLES="samples")
    steps("train.py", INPUT_SAMPLES="samples", OUTPUT_MODEL="model", SLIPWAY_PIPELINE_RUN="7", PARAM_COMMIT="9f03a71")
    steps("evaluate.py", INPUT_SAMPLES="samples", INPUT_MODEL="model", OUTPUT_SCORES="scores.json")
    steps("register.py", INPUT_MODEL="model", INPUT_SCORES="scores.json", OUTPUT_VERSION="version.json")
    return steps.folder
