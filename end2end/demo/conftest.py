"""The scripts of the demo as its steps see them, in a directory of their own and told what to do by the environment; and
the built program, to walk with."""

import os
import shutil
import subprocess
import sys

import pytest

from program import CHECKOUT, Server, reachable, step_environment
from walks import DEMO_ENV

DEMO = CHECKOUT / "demo"
sys.path.insert(0, str(DEMO))


@pytest.fixture(scope="session")
def steps(tmp_path_factory):
    """Runs a step's script with a tracking server made of files, and gives what it said."""
    folder = tmp_path_factory.mktemp("steps")
    for script in DEMO.glob("*.py"):
        shutil.copy(script, folder)
    params = {"INSTRUMENT": "as-delivered", "SEED": "10", "EPOCHS": "40", "LEARNING_RATE": "0.003", "PROMOTE": "", "COMMIT": ""}

    def run(script, *, expect=0, **variables):
        env = step_environment() | {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        env |= {f"PARAM_{name}": value for name, value in params.items()} | variables
        done = subprocess.run(
            [sys.executable, script], cwd=folder, env=env, text=True, timeout=300, capture_output=True, check=False
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


@pytest.fixture
def folder(tmp_path_factory):
    """Makes folders that a private database can live in."""

    def make(name):
        return reachable(tmp_path_factory.mktemp(name))

    return make


@pytest.fixture
def serve():
    """Starts `slipway serve` on a data folder, until the end of the test, and gives its address."""
    running = []

    def start(data_dir):
        running.append(Server.start(data_dir, **DEMO_ENV))
        return running[-1].url

    yield start
    for server in running:
        server.stop()
