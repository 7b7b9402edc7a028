"""What people ask of promotions, of a server that has many.

usage: promotion.py prepare URL    a model of which version 1 serves in production, and $ASKED promotions that await two people
       promotion.py measure URL    the pages of a session in $COOKIE, and the votes of the tokens in $FIRST and $SECOND
The token in $TOKEN is an administrator's, the one in $REQUESTER somebody else's.
"""

import http.client
import json
import os
import pathlib
import sys
import time
from urllib.parse import urlsplit

what, url = sys.argv[1], urlsplit(sys.argv[2])
ASKED = int(os.environ.get("ASKED", "200"))
PROMOTIONS = int(os.environ.get("PROMOTIONS", "10000"))
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)


def ask(method, path, body=None, token="TOKEN", headers=None):
    """The answer, and the milliseconds to its end."""
    headers = headers or {"Authorization": f"Bearer {os.environ[token]}", "Content-Type": "application/json"}
    body = body if body is None or isinstance(body, bytes) else json.dumps(body)
    began = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    took = 1000 * (time.perf_counter() - began)
    if answer.status not in (200, 201):
        sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
    return text, took


def api(method, path, body=None, token="TOKEN"):
    return json.loads(ask(method, path, body, token)[0] or "{}")


def until(what, is_so):
    deadline = time.monotonic() + 300
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not happen")
        time.sleep(0.2)


def prepare():
    mlflow = "/api/2.0/mlflow"
    run = api("POST", f"{mlflow}/runs/create", {"experiment_id": "0", "start_time": 1_700_000_000_000})["run"]["info"]
    metrics = [{"key": f"m{n}", "value": n / 7, "timestamp": 1_700_000_000_000, "step": 0} for n in range(20)]
    metrics.append({"key": "accuracy", "value": 0.9, "timestamp": 1_700_000_000_000, "step": 0})
    params = [{"key": f"p{n}", "value": str(n)} for n in range(20)]
    api("POST", f"{mlflow}/runs/log-batch", {"run_id": run["run_id"], "metrics": metrics, "params": params})
    folder = run["artifact_uri"].replace("mlflow-artifacts:/", "/api/2.0/mlflow-artifacts/artifacts/") + "/model"
    ask("PUT", f"{folder}/MLmodel", b"flavors:\n  onnx:\n    data: model.onnx\n")
    ask("PUT", f"{folder}/model.onnx", pathlib.Path("crates/serving/fixtures/classifier.onnx").read_bytes())
    api("POST", f"{mlflow}/registered-models/create", {"name": "wine"})
    for _ in range(ASKED + 1):
        source = f"runs:/{run['run_id']}/model"
        api("POST", f"{mlflow}/model-versions/create", {"name": "wine", "source": source, "run_id": run["run_id"]})
    policy = lambda approvals: {
        "order": "skip",
        "gates": [{"kind": "metric_threshold", "metric": "accuracy", "threshold": 0.5}],
        "rule": {"approvals": approvals},
    }
    promote = lambda version: api(
        "POST", "/api/v1/promotions", {"model": "wine", "version": version, "environment": "production"}, "REQUESTER")
    api("PUT", "/api/v1/environments/production/policy", policy(0))
    promote(1)
    until("version 1 live", lambda: api("GET", "/api/v1/promotions/1")["promotion"]["state"] == "live")
    api("PUT", "/api/v1/environments/production/policy", policy(2))
    # So that what is agreed on stays where it is.
    day = 24 * 3600
    iso = lambda seconds: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    api("POST", "/api/v1/freezes", {
        "name": "Measuring", "kind": "deny", "schedule": {"kind": "dates", "from": iso(-day), "to": iso(7 * day)},
        "selector": {"environments": ["production"]}, "reason": "Nothing is to be deployed."})
    for version in range(2, ASKED + 2):
        promote(version)
    until("all gates", lambda: not api("GET", "/api/v1/promotions?state=gates_running")["items"])


def tell(name, times, bound):
    times = sorted(times)
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"{name:58} p50 {at(0.5):6.1f} ms, p95 {at(0.95):6.1f} ms, longest {times[-1]:6.1f} ms (bound {bound} ms)")


def measure():
    page = {"Cookie": os.environ["COOKIE"]}
    numbers = range(2, ASKED + 2)
    get = lambda path: ask("GET", path, headers=page)[1]
    pages = {
        "the evidence page, awaiting": [f"/w/default/promotions/{number}" for number in numbers],
        "the evidence page, ended": [f"/w/default/promotions/{ASKED + 1 + PROMOTIONS * n // 200}" for n in range(1, 201)],
        "the list of promotions": ["/w/default/promotions"] * 100,
        "the list of those that are live": ["/w/default/promotions?state=live"] * 100,
        "the board of environments": ["/w/default/environments"] * 100,
        "an environment": ["/w/default/environments/production"] * 100,
        "the first page": ["/w/default/"] * 100,
        "a model": ["/w/default/models/model-042"] * 100,
        "the history": ["/w/default/audit"] * 100,
    }
    for name, paths in pages.items():
        get(paths[0])
        tell(name, [get(path) for path in paths], 100)
    digests = {}
    for number in numbers:
        digests[number] = api("GET", f"/api/v1/promotions/{number}")["promotion"]["subject_digest"]
    for who, name in (("FIRST", "a vote, the first of two"), ("SECOND", "a vote, the last of two")):
        votes = []
        for number in numbers:
            body = {"verdict": "approve", "comment": "Looked at it.", "subject_digest": digests[number]}
            votes.append(ask("POST", f"/api/v1/promotions/{number}/decisions", body, who)[1])
        tell(name, votes, 20)


{"prepare": prepare, "measure": measure}[what]()
