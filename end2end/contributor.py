"""A server whose steps find the Python of these tests, and what a contributor does with it: commands, pipelines, runs."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Self
from urllib.parse import quote

from program import Server, admin, environment, program, reachable

PASSWORD = "a long enough password"


class ContributorsServer(Server):
    """A server of these tests, and somebody who may start pipelines."""

    token = ""

    @classmethod
    def begin(cls, folder: Path, *options: str) -> Self:
        """Starts it in this folder, and makes the contributor."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        names = ",".join(filter(None, ["PATH", os.environ.get("SLIPWAY_STEP_ENV", "")]))
        server = cls.start(reachable(folder), *options, PATH=path, SLIPWAY_STEP_ENV=names)
        email = "engineer@slipway.test"
        admin(folder, "create-user", "--email", email, "--role", "contributor", "--password-stdin", stdin=PASSWORD)
        server.token = admin(folder, "create-token", "--email", email, "--name", "tests", "--scope", "write")
        return server

    def slipway(self, *arguments, stdin=None, fails=False) -> str:
        """A command that talks to the server, or to nobody; what it prints, and what it says when it fails."""
        env = environment(SLIPWAY_URL=self.url, SLIPWAY_TOKEN=self.token)
        command = [program(), *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, env=env, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def answer(self, path, body=None) -> bytes:
        """What the API answers, to a POST when there is a body."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def get(self, path):
        """An answer in JSON."""
        return json.loads(self.answer(path))

    def download(self, path) -> str:
        """The text of a file that the API gives."""
        return self.answer(path).decode()

    def run(self, name, *options, fails=False):
        """Runs a pipeline to its end."""
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

    def output(self, step, name="output"):
        """What is known of an output that a step gave on."""
        found = {given["name"]: given for given in self.steps[step]["outputs"]}
        assert name in found, (self.steps[step], self.log(step))
        return found[name]

    def value(self, step, name="output"):
        """A value that a step gave on."""
        return self.output(step, name).get("value")

    def file(self, step, output):
        """A file that a step gave on."""
        return self.server.download(f"pipeline-runs/{self.number}/steps/{quote(step, safe='')}/outputs/{output}")

    def log(self, step):
        """All that a step's last try said."""
        attempts = self.steps[step]["attempts"]
        lines = self.server.get(f"pipeline-runs/{self.number}/steps/{quote(step, safe='')}/attempts/{attempts}/log")["items"]
        return "\n".join(line["text"] for line in lines)
