"""`slipway demo`: the whole loop on a fresh installation, twice, and how it says that it cannot."""

import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
import requests
from conftest import environment, program

PASSWORD = "a long enough password"
STATES = {
    "policy": "in_force",
    "pipeline": "stored",
    "pipeline_run": "succeeded",
    "model_version": "ready",
    "promotion": "live",
    "approval": "approved",
    "deployment": "live",
    "traffic": "ok",
    "trigger": "enabled",
    "alert": "open",
    "retraining": "succeeded",
    "candidate": "awaiting_approval",
}


def free_address():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def walk(url, data_dir, timeout=300, **variables):
    """Walks, and gives the exit code, the last line of standard output, and what was told."""
    command = [program(), "demo", "--url", url, "--data-dir", data_dir]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, env=environment(**variables), check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    return done.returncode, json.loads(lines[0]), done.stderr


def states(line):
    return {station: reached["state"] for station, reached in line["stations"].items() if station in STATES}


class Reader:
    """An administrator who looks at what a walk has left."""

    def __init__(self, url, data_dir):
        def admin(*arguments, stdin=""):
            command = [program(), "admin", *arguments, "--data-dir", data_dir]
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, env=environment())
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        email = ["--email", "administrator@slipway.test"]
        admin("create-user", *email, "--role", "admin", "--password-stdin", stdin=PASSWORD)
        self.url = url
        self.token = admin("create-token", *email, "--name", "tests", "--scope", "admin")

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.token}"}
        response = requests.get(f"{self.url}{path}", headers=headers, timeout=30)
        response.raise_for_status()
        return response.json()

    def all(self, path):
        return self.get(path)["items"]


def test_the_loop_is_walked_twice(folder, serve):
    url, data_dir = free_address(), folder("slipway")
    code, first, told = walk(url, data_dir)
    assert code == 0, told
    assert first["ok"] is True and first["url"] == url
    assert states(first) == STATES
    assert first["stations"]["server"] == {"id": url, "state": "started"}
    for station in first["stations"].values():
        assert station.get("page", url).startswith(url)

    url = serve(data_dir)
    code, second, told = walk(url, data_dir)
    assert code == 0, told
    assert states(second) == STATES
    assert second["stations"]["server"]["state"] == "running"
    assert "resolved alert #1 of the walk before; withdrew its candidate, promotion #2" in told
    for station in ("pipeline_run", "model_version", "promotion", "deployment", "alert", "retraining", "candidate"):
        assert second["stations"][station]["id"] != first["stations"][station]["id"], station

    reader = Reader(url, data_dir)
    promotions = {each["number"]: (each["version"], each["state"]) for each in reader.all("/api/v1/promotions")}
    assert promotions == {
        1: (1, "superseded"),
        2: (2, "withdrawn"),
        3: (3, "live"),
        4: (4, "awaiting_approval"),
    }
    requested = {each["number"]: each["requester"] for each in reader.all("/api/v1/promotions")}
    assert requested == {1: "Data scientist", 2: "Pipelines", 3: "Data scientist", 4: "Pipelines"}
    decision = reader.get("/api/v1/promotions/3")["decisions"]
    assert [(each["user_name"], each["verdict"]) for each in decision] == [("Risk approver", "approve")]
    alerts = {each["number"]: (each["state"], each["handled_by"]) for each in reader.all("/api/v1/alerts")}
    assert alerts == {1: ("resolved", "On-call operator"), 2: ("open", None)}
    runs = {each["run"]["number"]: each["run"] for each in reader.all("/api/v1/pipeline-runs")}
    assert {number: (run["cause"], run["state"]) for number, run in runs.items()} == {
        1: ("api", "succeeded"),
        2: ("trigger", "succeeded"),
        3: ("api", "succeeded"),
        4: ("trigger", "succeeded"),
    }
    # Everybody is there once.
    names = sorted(each["user"]["name"] for each in reader.all("/api/v1/members"))
    assert names == [
        "Data scientist",
        "On-call operator",
        "Pipelines",
        "Platform admin",
        "Risk approver",
        "administrator",
    ]

    # The candidate knows what the one that serves makes of the instrument as it is now.
    metrics = {each["key"]: each for each in reader.get("/api/v1/promotions/4")["metrics"]}
    assert metrics["accuracy"]["candidate"] >= metrics["accuracy"]["champion"] >= 0.95
    assert metrics["champion_accuracy"]["candidate"] < 0.9


def test_the_example_of_an_empty_workspace_walks_by_one_click(folder, serve):
    data_dir = folder("example")
    url = serve(data_dir)
    reader = Reader(url, data_dir)
    with requests.Session() as browser:
        form = {"email": "administrator@slipway.test", "password": PASSWORD}
        assert browser.post(f"{url}/sign-in", data=form, timeout=30).ok
        assert "Load the example" in browser.get(f"{url}/w/default", timeout=30).text
        loaded = browser.post(f"{url}/w/default/example", timeout=30)
        assert loaded.ok
        assert "Load the example" not in loaded.text
        # Asking twice starts it once.
        assert browser.post(f"{url}/w/default/example", timeout=30).ok
        deadline = time.monotonic() + 200
        states = []
        while states[:1] != ["awaiting_approval"] or len(states) < 2:
            assert time.monotonic() < deadline, states
            time.sleep(0.5)
            states = [each["state"] for each in reader.all("/api/v1/promotions")]
    assert states == ["awaiting_approval", "live"]
    assert len(reader.all("/api/v1/pipeline-runs")) == 2


def test_a_server_elsewhere_that_is_not_there_is_not_started_here(tmp_path):
    code, line, told = walk("http://slipway.invalid", tmp_path)
    assert (code, line["ok"], line["failed"], line["stations"]) == (1, False, "server", {})
    assert "start it, or leave --url away" in told
    assert not (tmp_path / "postgres").exists()


def test_a_python_environment_without_the_packages_is_told(folder, tmp_path, serve):
    data_dir = folder("python")
    code, line, told = walk(serve(data_dir), data_dir, SLIPWAY_DEMO_PYTHON=str(tmp_path))
    assert (code, line["failed"]) == (1, "python")
    assert f"a Python environment in {tmp_path} with the packages" in told


def test_a_server_with_another_database_is_told(folder, serve):
    code, line, told = walk(serve(folder("one")), folder("other"))
    assert (code, line["failed"]) == (1, "people")
    assert "name its own with --data-dir or --database-url" in told
    assert "401" in line["seen"]


def test_an_interrupted_walk_stops_the_server_that_it_started(folder):
    url, data_dir = free_address(), folder("interrupted")
    command = [program(), "demo", "--url", url, "--data-dir", data_dir]
    walking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    told = ""
    while not re.search(r"✓ Pipeline  ", told):
        line = walking.stderr.readline()
        assert line, told
        told += line
    os.kill(walking.pid, signal.SIGINT)
    out, rest = walking.communicate(timeout=90)
    assert walking.returncode == 1
    line = json.loads(out)
    assert line["seen"] == "an interruption", told + rest
    assert line["stations"]["pipeline"]["state"] == "stored"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/healthz", timeout=5)
    assert not (data_dir / "postgres" / "data" / "postmaster.pid").exists()
