"""MLflow's own server beside ours, both empty, and every request sent to both, in the order in which they are listed."""

import os
import socket
import subprocess
import time
import urllib.request
from urllib.parse import urlsplit

import pytest

from exchange import MLFLOW, Answer, Asked
from program import CHECKOUT, Server, admin, environment, reachable


@pytest.fixture(scope="session")
def slipway(tmp_path_factory):
    running = Server.start(reachable(tmp_path_factory.mktemp("slipway")), "--no-worker")
    person = ("--email", "tester@slipway.test")
    admin(running.data_dir, "create-user", *person, "--role", "contributor", "--password-stdin", stdin="a long enough password")
    token = admin(running.data_dir, "create-token", *person, "--name", "tests", "--scope", "write")
    yield Asked(running.url, token)
    running.stop()


@pytest.fixture(scope="session")
def database():
    """A database beside those of the other tests. MLflow's default, SQLite, compares texts in its own way."""
    server = os.environ.get("SLIPWAY_TEST_DATABASE_URL")
    assert server, "MLflow needs a PostgreSQL server: make test-mlflow, or scripts/test-postgres.sh python -m pytest …"
    name = f"mlflow_{os.getpid()}"
    programs = subprocess.check_output([CHECKOUT / "scripts/postgres-bin.sh"], text=True).strip()

    def run(command: str) -> None:
        subprocess.run([f"{programs}/psql", "--quiet", "--set", "ON_ERROR_STOP=1", server, "--command", command], check=True)

    run(f"create database {name}")
    yield urlsplit(server)._replace(scheme="postgresql+psycopg2", path=f"/{name}").geturl()
    run(f"drop database {name} with (force)")


@pytest.fixture(scope="session")
def mlflow(database, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [MLFLOW, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", folder / "artifacts"]
    # It would keep seven processes for jobs.
    variables = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", MLFLOW_DISABLE_TELEMETRY="true")
    log = folder / "server.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=variables, cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=10).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield Asked(url)
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="session")
def answers(mlflow, slipway) -> dict[str, tuple[Answer, Answer]]:
    """MLflow's answer and ours to each request, by its name. All are sent, whichever tests were chosen: later ones speak
    of what earlier ones made."""
    from cases import CASES

    return {case.name: (mlflow.ask(case), slipway.ask(case)) for case in CASES}
