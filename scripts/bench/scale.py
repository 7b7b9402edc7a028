"""Asks a server with the experiment of scale.sql for what people ask, and prints how long the answers take.

usage: scale.py URL [EXPERIMENT]     (an API token in $TOKEN; in $COOKIE a session, for the pages)
Without an experiment it measures what an empty database takes for a batch, to hold the full one against.
Questions are asked one after the other, or by $CLIENTS at once.
"""

import http.client
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

url, experiment = urlsplit(sys.argv[1]), (sys.argv[2:] or [None])[0]
token = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"}


def ask(connection, method, path, body=None, headers=token):
    """The answer, and the milliseconds to its first byte and to its end."""
    began = time.perf_counter()
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    first = time.perf_counter()
    text = answer.read()
    ended = time.perf_counter()
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status} {text[:300]!r}")
    return text, 1000 * (first - began), 1000 * (ended - began)


def connect():
    return http.client.HTTPConnection(url.hostname, url.port, timeout=60)


def measure(name, questions, clients=int(os.environ.get("CLIENTS", "1")), first_byte=False):
    """Asks the questions, and prints the median, the 95th percentile and the longest of their times."""

    def some(part):
        connection = connect()
        return [ask(connection, *question)[1 if first_byte else 2] for question in part]

    with ThreadPoolExecutor(clients) as threads:
        times = sorted(t for part in threads.map(some, [questions[n::clients] for n in range(clients)]) for t in part)
    at = lambda share: times[min(len(times) - 1, int(share * len(times)))]
    print(f"{name:44} p50 {at(0.5):6.2f} ms, p95 {at(0.95):6.2f} ms, longest {times[-1]:6.1f} ms of {len(times)}")


def search(number, text, order=(), limit=100):
    body = {"experiment_ids": [experiment], "filter": text, "order_by": list(order), "max_results": limit}
    return ("POST", "/api/2.0/mlflow/runs/search", body)


def mlflow(path, body):
    return json.loads(ask(connect(), "POST", f"/api/2.0/mlflow/{path}", body)[0])


def log_batches(where, runs):
    """Batches of 100 points of ten metrics, one after the other: to runs that have these metrics. The first two hundred
    warm up a process that has just started, and are not counted."""
    batches = [
        ("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": runs[n % len(runs)], "metrics": [
            {"key": f"m{i % 10}", "value": i / 100, "timestamp": 1_800_000_000_000 + n, "step": 1000 * n + i}
            for i in range(100)]}) for n in range(2200)]
    connection = connect()
    for batch in batches[:200]:
        ask(connection, *batch)
    measure(f"log-batch of 100 points, {where}", batches[200:], clients=1)


def new_runs(experiment_id, number):
    return [mlflow("runs/create", {"experiment_id": experiment_id})["run"]["info"]["run_id"] for _ in range(number)]


if experiment is None:
    log_batches("nothing else there", new_runs("0", 20))
    sys.exit()

log_batches("all this there", new_runs(experiment, 20))
by_metric = ["metrics.m2 DESC"]
measure("search: metric, param, by metric", [
    search(n, f"metrics.m1 > 0.{n % 10} and params.p1 = '{n % 7}'", by_metric) for n in range(200)])
measure("search: rare, by metric", [
    search(n, f"metrics.m1 > 0.999 and params.p1 = '{n % 7}'", by_metric) for n in range(100)])
measure("search: newest", [search(n, "") for n in range(200)])
measure("search: a tag, by a param", [search(n, f"tags.team = 'team-{n % 9}'", ["params.p3 ASC"]) for n in range(100)])
measure("search: name like, newest", [search(n, f"attributes.run_name LIKE '%{n % 90 + 10}7'") for n in range(100)])

connection = connect()
longest = json.loads(ask(connection, *search(0, "metrics.loss > 0", (), 20))[0])["runs"]
long_runs = [run["info"]["run_id"] for run in longest]
print(f"{len(long_runs)} runs with a curve of 100,000 points")
compared = "&".join(f"run={run}" for run in long_runs)
measure(f"a chart of {len(long_runs)} curves of 100,000 points", [
    ("GET", f"/api/v1/runs/series?{compared}&key=loss&points=1000")] * 20, clients=1)

[wide] = new_runs(experiment, 1)
for at in range(0, 12_000, 1000):
    mlflow("runs/log-batch", {"run_id": wide, "metrics": [
        {"key": f"layer{n // 100}/w{n % 100}", "value": n / 7, "timestamp": 1_800_000_000_000, "step": step}
        for step in (0, 1) for n in range(at + 500 * step, at + 500 * step + 500)]})

if cookie := os.environ.get("COOKIE"):
    pages = {"Cookie": cookie}
    filter_ = quote("metrics.m1 > 0.5 and params.p1 = '3'")
    for name, query in [("", ""), (", filtered", f"?q={filter_}"), (", by a metric", "?sort=-metrics.m2")]:
        measure(f"runs page{name}: first byte", [
            ("GET", f"/experiments/{experiment}{query}", None, pages) for _ in range(40)], clients=1, first_byte=True)
    for name, path in [
        ("page of a run of 12,000 metrics", f"/runs/{wide}"),
        ("its metrics", f"/runs/{wide}?tab=metrics"),
        (f"page that compares {len(long_runs)} such runs", f"/runs/compare?{compared}"),
    ]:
        measure(f"{name}: whole", [("GET", path, None, pages) for _ in range(20)], clients=1)
