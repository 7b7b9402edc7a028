"""Walks by the built program, and who looks at what they have left."""

import json
import socket
import subprocess
import sys

import requests

from program import admin, environment, program

# The training runs in the environment of these tests.
DEMO_ENV = {"SLIPWAY_DEMO_PYTHON": sys.prefix, "SLIPWAY_MONITOR_INTERVAL": "1"}
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


def walk(url, data_dir, **variables):
    """Walks, and gives the exit code, the last line of standard output, and what was told."""
    command = [program(), "demo", "--url", url, "--data-dir", data_dir]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=1500, env=environment(**(DEMO_ENV | variables)), check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout + done.stderr
    return done.returncode, json.loads(lines[0]), done.stderr


def states(line):
    return {station: reached["state"] for station, reached in line["stations"].items() if station in STATES}


class Reader:
    """An administrator who looks at what a walk has left."""

    def __init__(self, url, data_dir):
        email = ["--email", "administrator@slipway.test"]
        admin(data_dir, "create-user", *email, "--role", "admin", "--password-stdin", stdin=PASSWORD)
        self.url = url
        self.token = admin(data_dir, "create-token", *email, "--name", "tests", "--scope", "admin")

    def get(self, path):
        headers = {"Authorization": f"Bearer {self.token}"}
        response = requests.get(f"{self.url}{path}", headers=headers, timeout=30)
        response.raise_for_status()
        return response.json()

    def all(self, path):
        return self.get(path)["items"]
