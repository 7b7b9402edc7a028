"""The scripts of the demo as its steps see them, in a directory of their own and told what to do by the environment; and
the built program, to walk with."""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# Before mlflow is imported: it looks at these once.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
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
        env = {
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


def program() -> Path:
    """The slipway that is tested: SLIPWAY_BIN, or the one that cargo built last."""
    if "SLIPWAY_BIN" in os.environ:
        return Path(os.environ["SLIPWAY_BIN"])
    return Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target")) / "debug" / "slipway"


def environment(**more) -> dict[str, str]:
    """Ours without what would change the program; the training runs in the environment of these tests."""
    changing = ("SLIPWAY_", "MLFLOW_", "DATABASE_URL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(changing) or name == "SLIPWAY_STEP_ENV"
    }
    return kept | {"SLIPWAY_DEMO_PYTHON": sys.prefix, "SLIPWAY_MONITOR_INTERVAL": "1"} | more


@pytest.fixture
def folder(tmp_path_factory):
    """Makes folders that a private database can live in."""

    def make(name):
        made = tmp_path_factory.mktemp(name)
        # The database's own user must reach it.
        for each in [made, *made.parents][:3]:
            each.chmod(0o755)
        return made

    return make


@pytest.fixture
def serve():
    """Starts `slipway serve` on a data folder, until the end of the test, and gives its address."""
    running = []

    def start(data_dir):
        log = data_dir / "serve.log"
        with log.open("w") as file:
            command = [program(), "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir]
            server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment())
        running.append(server)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and server.poll() is None:
            if said := re.search(r"Slipway serves at (http://\S+)", log.read_text()):
                try:
                    urllib.request.urlopen(f"{said[1]}/readyz", timeout=5).close()
                    return said[1]
                except (urllib.error.URLError, TimeoutError):
                    pass
            time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{log.read_text()}")

    yield start
    for server in running:
        server.terminate()
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=10)
