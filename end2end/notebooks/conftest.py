"""A server with a worker, and what its steps find as Python: that of these tests, which has nbclient."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from ipynb import PATH
from program import Server, admin, reachable

PASSWORD = "a long enough password"
# Far longer than anything here takes.
PATIENCE = 180


@dataclass
class Slipway:
    """A running server, as a contributor sees it."""

    server: Server
    token: str

    def call(self, method: str, path: str, body=None) -> bytes:
        """Sends a request, and gives what is answered."""
        request = urllib.request.Request(
            f"{self.server.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    def get(self, path: str):
        """An answer in JSON."""
        return json.loads(self.call("GET", path))

    def start(self, name: str, notebook, step: dict | None = None, **spec) -> int:
        """Stores a pipeline with this notebook as its one step "report", and starts it."""
        report = {"notebook": "report.ipynb", "env": {"PATH": PATH}} | (step or {})
        source = {"name": name, "files": {"report.ipynb": json.dumps(notebook)}, "steps": {"report": report}} | spec
        # JSON is YAML.
        self.call("PUT", "pipelines", {"source": json.dumps(source)})
        return json.loads(self.call("POST", f"pipelines/{name}/runs", {}))["number"]

    def until(self, what: str, look):
        """What `look` gives, once it gives something."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if found := look():
                    return found
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            time.sleep(0.1)
        raise AssertionError(what)

    def ended(self, number: int) -> dict:
        """The step of a run, once that has ended."""
        detail = self.until(
            f"run {number} does not end",
            lambda: (found := self.get(f"pipeline-runs/{number}"))["run"]["ended_at"] and found,
        )
        return detail["steps"][0]

    def notebook(self, number: int, rest: str = "", attempt: int = 1):
        """Of the notebook of a run: what is known of it."""
        return self.get(f"pipeline-runs/{number}/steps/report/attempts/{attempt}/notebook{rest}")

    def log(self, number: int) -> str:
        """What the step wrote."""
        lines = self.get(f"pipeline-runs/{number}/steps/report/attempts/1/log")["items"]
        return "\n".join(line["text"] for line in lines)


@pytest.fixture(scope="session")
def slipway(tmp_path_factory):
    """One server for all tests."""
    server = Server.start(reachable(tmp_path_factory.mktemp("notebooks")))
    email = "data-scientist@slipway.test"
    admin(server.data_dir, "create-user", "--email", email, "--role", "contributor", "--password-stdin", stdin=PASSWORD)
    yield Slipway(
        server, admin(server.data_dir, "create-token", "--email", email, "--name", "tests", "--scope", "write")
    )
    server.stop()
