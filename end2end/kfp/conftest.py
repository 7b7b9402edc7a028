"""A server whose workers run steps with the Python of these tests, and somebody who may start pipelines."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from program import Server, admin, environment, program, reachable

PASSWORD = "a long enough password"


class Tested(Server):
    """The server of these tests, and what a contributor does with it."""

    # Not what its name makes the runner think.
    __test__ = False
    token = ""

    def person(self):
        """Makes somebody, who does all that follows."""
        email = "engineer@slipway.test"
        admin(self.data_dir, "create-user", "--email", email, "--role", "contributor", "--password-stdin", stdin=PASSWORD)
        self.token = admin(self.data_dir, "create-token", "--email", email, "--name", "tests", "--scope", "write")

    def slipway(self, *arguments, stdin=None, fails=False) -> str:
        """A command that talks to the server, or to nobody; what it prints, and what it says when it fails."""
        env = environment(SLIPWAY_URL=self.url, SLIPWAY_TOKEN=self.token)
        command = [program(), *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, env=env, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def get(self, path):
        """What the API answers."""
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def download(self, path) -> str:
        """The text of a file that the API gives."""
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def run(self, name, *options, fails=False):
        """Runs a pipeline to its end; the number of the run."""
        number = self.slipway("pipeline", "run", name, *options).strip()
        self.slipway("pipeline", "watch", number, fails=fails)
        return Run(self, number)


class Run:
    """A run that has ended."""

    def __init__(self, server, number):
        self.server, self.number = server, number
        found = server.get(f"pipeline-runs/{number}/steps?limit=1000")["items"]
        self.steps = {step["name"]: step for step in found}

    def states(self):
        """How each command ended."""
        return {name: step["state"] for name, step in self.steps.items() if step["kind"] == "command"}

    def value(self, step, output="output"):
        """A value that a step gave on."""
        found = {given["name"]: given.get("value") for given in self.steps[step]["outputs"]}
        assert output in found, (self.steps[step], self.log(step))
        return found[output]

    def file(self, step, output):
        """A file that a step gave on."""
        return self.server.download(f"pipeline-runs/{self.number}/steps/{quote(step, safe='')}/outputs/{output}")

    def log(self, step):
        """All that a step's last try said."""
        attempts = self.steps[step]["attempts"]
        lines = self.server.get(f"pipeline-runs/{self.number}/steps/{quote(step, safe='')}/attempts/{attempts}/log")["items"]
        return "\n".join(line["text"] for line in lines)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    names = ",".join(filter(None, ["PATH", os.environ.get("SLIPWAY_STEP_ENV", "")]))
    folder = reachable(tmp_path_factory.mktemp("slipway"))
    running = Tested.start(folder, "--steps", "4", PATH=path, SLIPWAY_STEP_ENV=names)
    running.person()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Where the pipelines of these tests lie, compiled now."""
    from pipelines import compile_all

    folder = tmp_path_factory.mktemp("compiled")
    compile_all(folder)
    return folder


@pytest.fixture
def run(server, compiled):
    """Stores a compiled pipeline and runs it to its end."""

    def run(name, *options, fails=False):
        server.slipway("pipeline", "apply", compiled / f"{name}.yaml", "--executor", "process")
        return server.run(name, *options, fails=fails)

    return run
