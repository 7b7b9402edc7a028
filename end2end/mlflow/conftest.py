"""The built program, started for these tests alone, and people with tokens for it."""

import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

# Before mlflow is imported: it looks at these once.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "30"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
for name in [name for name in os.environ if name.startswith("MLFLOW_TRACKING_")]:
    del os.environ[name]

import mlflow
import pytest
import requests

CHECKOUT = Path(__file__).resolve().parents[2]
PASSWORD = "a long enough password"


def program() -> Path:
    """The slipway that is tested: SLIPWAY_BIN, or the one that cargo built last."""
    if "SLIPWAY_BIN" in os.environ:
        return Path(os.environ["SLIPWAY_BIN"])
    target = Path(os.environ.get("CARGO_TARGET_DIR", CHECKOUT / "target"))
    return target / "debug" / "slipway"


@dataclass
class Server:
    """A running Slipway."""

    url: str
    data_dir: Path

    def admin(self, *arguments: str, stdin: str = "") -> str:
        """Runs a command of the program beside the server, and gives what it printed."""
        command = [program(), "admin", *arguments, "--data-dir", self.data_dir]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env=environment())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def person(self, name: str, role: str, scope: str = "write") -> str:
        """Makes somebody with this role, and gives a token of theirs."""
        email = f"{name}@slipway.test"
        self.admin("create-user", "--email", email, "--role", role, "--password-stdin", stdin=PASSWORD)
        return self.admin("create-token", "--email", email, "--name", "tests", "--scope", scope)


def environment() -> dict[str, str]:
    """Ours without what would change the program: it runs its own database."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    kept.pop("DATABASE_URL", None)
    return kept


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests, with a private database, on a free port."""
    data_dir = tmp_path_factory.mktemp("slipway")
    # The database's own user must reach its folder.
    for folder in [data_dir, *data_dir.parents][:3]:
        folder.chmod(0o755)
    log = (data_dir / "server.log").open("w+")
    command = [program(), "serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir, "--no-worker"]
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment())
    try:
        yield Server(address_of(process, data_dir / "server.log"), data_dir)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def address_of(process: subprocess.Popen, log: Path) -> str:
    """The address that the server says, once it answers."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        said = re.search(r"Slipway serves at (http://\S+)", log.read_text())
        if said:
            url = said.group(1)
            try:
                if requests.get(f"{url}/readyz", timeout=5).ok:
                    return url
            except requests.ConnectionError:
                pass
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def contributor(server) -> str:
    """A token of somebody who may log and register."""
    return server.person("data-scientist", "contributor")


@pytest.fixture(scope="session")
def administrator(server) -> str:
    """A token of somebody who may everything but decide."""
    return server.person("administrator", "admin", scope="admin")


@pytest.fixture
def tracking(server, contributor, monkeypatch, request):
    """MLflow's client, pointed at the server as the contributor, with an experiment named after the test."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", contributor)
    mlflow.set_tracking_uri(server.url)
    mlflow.set_registry_uri(server.url)
    mlflow.set_experiment(request.node.name)
    yield mlflow.MlflowClient()
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.sklearn.autolog(disable=True)
