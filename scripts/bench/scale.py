"""Asks a server with the experiment of scale.sql for what people ask, and prints how long the answers take.

usage: scale.py URL EXPERIMENT     (an API token in $TOKEN; in $COOKIE a session, for the pages)
Questions are asked one after the other, or by $CLIENTS at once.
"""

import http.client
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

url, experiment = urlsplit(sys.argv[1]), sys.argv[2]
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
    print(f"{name:44} p50 {at(0.5):6.1f} ms, p95 {at(0.95):6.1f} ms, longest {times[-1]:6.1f} ms of {len(times)}")


def search(number, text, order=(), limit=100):
    body = {"experiment_ids": [experiment], "filter": text, "order_by": list(order), "max_results": limit}
    return ("POST", "/api/2.0/mlflow/runs/search", body)


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
curves = [("GET", f"/api/v1/runs/{run}/series?key=loss&points=1000") for run in long_runs]
began = time.perf_counter()
with ThreadPoolExecutor(4) as threads:
    list(threads.map(lambda question: ask(connect(), *question), curves))
print(f"{'a chart of ' + str(len(curves)) + ' curves, 4 at once':44} {1000 * (time.perf_counter() - began):6.1f} ms")
measure("log-batch of 100 points, one client", [
    ("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": long_runs[n % 20], "metrics": [
        {"key": f"m{i % 10}", "value": i / 100, "timestamp": 1_800_000_000_000 + n, "step": 1000 * n + i}
        for i in range(100)]}) for n in range(300)], clients=1)

if cookie := os.environ.get("COOKIE"):
    pages = {"Cookie": cookie}
    filter_ = quote("metrics.m1 > 0.5 and params.p1 = '3'")
    for name, query in [("", ""), (", filtered", f"?q={filter_}"), (", by a metric", "?sort=-metrics.m2")]:
        measure(f"runs page{name}: first byte", [
            ("GET", f"/experiments/{experiment}{query}", None, pages) for _ in range(40)], clients=1, first_byte=True)
