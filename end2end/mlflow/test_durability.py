"""What was acknowledged is there after `kill -9`, in the middle of the logging of several clients at once."""

import json
import signal
import threading
import urllib.error
import urllib.request

import pytest

from program import reachable
from tested import Tested

CLIENTS = 4
ROUNDS = 3


def ask(server, token: str, path: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(
        f"{server.url}/api/2.0/mlflow/{path}",
        json.dumps(body).encode() if body is not None else None,
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("batch", [1, 50])
def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(tmp_path_factory, batch):
    folder = reachable(tmp_path_factory.mktemp("durable"))
    server = Tested.start(folder)
    token = server.person("data-scientist", "contributor")
    runs = [ask(server, token, "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"] for _ in range(2)]
    acknowledged: dict[str, set[int]] = {run: set() for run in runs}
    next_step = iter(range(10**9))
    lock = threading.Lock()

    def log(running) -> None:
        """Logs until the server is gone, and notes what it said yes to."""
        while True:
            with lock:
                steps = [next(next_step) for _ in range(batch)]
            run = runs[steps[0] // batch % len(runs)]
            points = [{"key": "loss", "value": step / 2, "timestamp": step, "step": step} for step in steps]
            try:
                if batch == 1:
                    ask(running, token, "runs/log-metric", {"run_id": run, **points[0]})
                else:
                    ask(running, token, "runs/log-batch", {"run_id": run, "metrics": points})
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                return
            with lock:
                acknowledged[run].update(steps)

    try:
        for _ in range(ROUNDS):
            wanted = sum(map(len, acknowledged.values())) + 600 * batch
            clients = [threading.Thread(target=log, args=[server]) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            while sum(map(len, acknowledged.values())) < wanted and any(client.is_alive() for client in clients):
                clients[0].join(0.01)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait(timeout=60)
            for client in clients:
                client.join(120)
            assert sum(map(len, acknowledged.values())) >= wanted, "the server ended by itself"
            server = Tested.start(folder)
        for run in runs:
            history = ask(server, token, f"metrics/get-history?run_id={run}&metric_key=loss")["metrics"]
            steps = [point["step"] for point in history]
            assert len(steps) == len(set(steps)), "a point is there twice"
            assert acknowledged[run] <= set(steps)
            assert all(point["value"] == point["step"] / 2 for point in history)
            latest = ask(server, token, f"runs/get?run_id={run}")["run"]["data"]["metrics"][0]
            assert latest["step"] == max(steps)
    finally:
        server.stop()
