"""Fills a tracking server with runs, through its API alone, and writes what the workloads need to know of them.

usage: seed.py URL RUNS FILE     (the API token in $TOKEN, when the server wants one)
How many points it sent is added to $RESULTS, as a line of $SIDE.
Each run has 20 parameters and 20 metrics of 5 points; the first has a metric of 10,000 points besides.
"""

import http.client
import json
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

url, count, file = urlsplit(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
headers = {"Content-Type": "application/json"}
if os.environ.get("TOKEN"):
    headers["Authorization"] = f"Bearer {os.environ['TOKEN']}"
connections = threading.local()


def post(path: str, body: dict) -> dict:
    if not hasattr(connections, "one"):
        connections.one = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connections.one.request("POST", f"/api/2.0/mlflow/{path}", json.dumps(body), headers)
    answer = connections.one.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"{path}: {answer.status} {text[:300]!r}")
    return json.loads(text)


def add_run(number: int) -> str:
    chance = random.Random(number)
    began = 1_700_000_000_000 + number * 1000
    run = post("runs/create", {"experiment_id": experiment, "start_time": began, "run_name": f"run-{number}"})
    run_id = run["run"]["info"]["run_id"]
    params = [{"key": f"p{key}", "value": str(chance.randrange(10))} for key in range(20)]
    metrics = [
        {"key": f"m{key}", "value": chance.random(), "timestamp": began + step, "step": step}
        for key in range(20)
        for step in range(5)
    ]
    post("runs/log-batch", {"run_id": run_id, "params": params, "metrics": metrics})
    post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": began + 5000})
    return run_id


experiment = post("experiments/create", {"name": f"bench {time.time_ns()}"})["experiment_id"]
began = time.monotonic()
with ThreadPoolExecutor(8) as threads:
    runs = list(threads.map(add_run, range(count)))
took = time.monotonic() - began
# It was idle while the threads worked, and a server may have closed it: the next call opens it anew.
connections.one.close()
for first in range(0, 10_000, 1000):
    points = [
        {"key": "loss", "value": 1 / (1 + step), "timestamp": 1_700_000_000_000 + step, "step": step}
        for step in range(first, first + 1000)
    ]
    post("runs/log-batch", {"run_id": runs[0], "metrics": points})
with open(file, "w", encoding="utf-8") as out:
    json.dump({"experiment": experiment, "runs": runs}, out)
with open(os.environ["RESULTS"], "a", encoding="utf-8") as results:
    print(os.environ["SIDE"], "points", 100 * count + 10_000, file=results)
print(f"seed        {count} runs in {took:.1f} s, {3 * count / took:.0f} calls/s")
