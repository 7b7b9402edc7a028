"""What people ask of pipelines, of a server that has many runs and steps.

usage: pages.py prepare URL    stores pipelines and starts what waits
       pages.py measure URL    the pages of a session in $COOKIE, and the lists of the API
The token in $TOKEN is an administrator's. A time is that to the first byte; sizes are as sent, without compression.
"""

import http.client
import json
import math
import os
import sys
import time
from urllib.parse import urlsplit

what, url = sys.argv[1], urlsplit(sys.argv[2])
STEPS = int(os.environ.get("STEPS", "10000"))
WAITING = int(os.environ.get("WAITING", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "20"))
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
token = {"Authorization": f"Bearer {os.environ['TOKEN']}"}


def ask(method, path, body=None, headers=token):
    """The answer, and the milliseconds to its first byte."""
    began = time.perf_counter()
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    took = 1000 * (time.perf_counter() - began)
    text = answer.read()
    if answer.status not in (200, 201):
        sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
    return text, took


def store(text):
    ask("PUT", "/api/v1/pipelines", text.encode(), {**token, "Content-Type": "application/yaml"})


def start(name):
    ask("POST", f"/api/v1/pipelines/{name}/runs", b"{}", {**token, "Content-Type": "application/json"})


def layered(name, steps, width):
    """Steps in layers, each waiting for one or two of the layer before."""
    lines = [f"name: {name}", "steps:"]
    for n in range(steps):
        layer, at = divmod(n, width)
        needs = sorted({f"s{layer - 1:02}-{(3 * at + more) % width:02}" for more in range(1 + n % 2)}) if layer else []
        lines.append(f"  s{layer:02}-{at:02}: {{ command: 'true', needs: {json.dumps(needs)} }}")
    return "\n".join(lines)


def prepare():
    side = math.isqrt(STEPS)
    values = json.dumps(list(range(side)))
    store(f"name: wide\nsteps:\n  all:\n    matrix: {{ a: {values}, b: {values} }}\n    command: 'true'\n")
    store(layered("layered", 500, 25))
    store(layered("readable", 200, 20))
    store("name: short\nsteps:\n  only:\n    command: 'true'\n")
    for name in ("wide", "layered", "readable"):
        start(name)
    for _ in range(WAITING):
        start("short")


def tell(name, size, times):
    times = sorted(times)
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"{name:58} p50 {at(0.5):7.1f} ms, p95 {at(0.95):7.1f} ms, {size / 1024:7.0f} KiB")


def measure():
    page = {"Cookie": os.environ["COOKIE"]}
    run = "/w/default/pipeline-runs"
    pages = {
        f"a run of {STEPS:,} steps": f"{run}/1",
        "  over time": f"{run}/1?view=gantt",
        "  the last of its instances": f"{run}/1?step=all.{STEPS - 1}",
        "  those that failed": f"{run}/1?step=all&inside=failed",
        "  the end of a long log": f"{run}/1?step=all.0",
        "  the middle of a long log": f"{run}/1?step=all.0&line=500000",
        "  a word in a long log": f"{run}/1?step=all.0&find=step+150000",
        "a run of 500 steps at the top": f"{run}/2",
        "a run of 200 steps at the top": f"{run}/3",
        "all runs": run,
        "  those that wait": f"{run}?state=queued",
        "  those that ended badly": f"{run}?state=failed",
        "  those with a text": f"{run}?q=rows%3D1500",
        "  those with a text that none has": f"{run}?q=nowhere",
        "pipelines": "/w/default/pipelines",
        "a pipeline": "/w/default/pipelines/short",
        "workers": "/w/default/workers",
        "the first page": "/w/default/",
    }
    api = {
        "the API: a run": "/api/v1/pipeline-runs/1",
        "the API: its steps": "/api/v1/pipeline-runs/1/steps?limit=100",
        "the API: all runs": "/api/v1/pipeline-runs",
        "the API: the queue": "/api/v1/workers",
    }
    for some, headers in ((pages, page), (api, token)):
        for name, path in some.items():
            size = len(ask("GET", path, headers=headers)[0])
            tell(name, size, [ask("GET", path, headers=headers)[1] for _ in range(ROUNDS)])


{"prepare": prepare, "measure": measure}[what]()
