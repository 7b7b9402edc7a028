"""What running a pipeline costs, when its steps do nothing.

usage: pipeline.py URL PSQL...    of the server with the process id in $SERVER, with the administrator's token in $TOKEN
The peers' figures were measured on two cores with each step a process of its own that runs `true`, from the trigger to the
end of the run; the second of each pair is with their settings tuned for speed.
"""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

url, psql = urlsplit(sys.argv[1]), sys.argv[2:]
ROUNDS = int(os.environ.get("ROUNDS", "20"))
STEPS = int(os.environ.get("STEPS", "10000"))
IDLE = float(os.environ.get("IDLE", "20"))
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
server = int(os.environ["SERVER"])


def ask(method, path, body=None, kind="application/json"):
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": kind}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in (200, 201):
        sys.exit(f"{method} {path}: {answer.status} {text[:500]!r}")
    return json.loads(text)


def sql(query):
    return subprocess.run([*psql, "--command", query], check=True, capture_output=True, text=True).stdout.split("\n")


def store(text):
    ask("PUT", "/api/v1/pipelines", text.encode(), "application/yaml")


def run(name, look=0.005):
    """Seconds from the request to the end of the run, as a client sees it."""
    began = time.perf_counter()
    number = ask("POST", f"/api/v1/pipelines/{name}/runs", "{}")["number"]
    while True:
        state = ask("GET", f"/api/v1/pipeline-runs/{number}")["run"]["state"]
        if state not in ("queued", "running"):
            break
        time.sleep(look)
    took = time.perf_counter() - began
    if state != "succeeded":
        sys.exit(f"{name} #{number}: {state}")
    return number, took


def tree(root):
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            children.setdefault(int(stat.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            continue
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def cpu(process):
    """Seconds of processor time, with that of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def pss(process):
    return int(re.search(r"^Pss: *(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)[1]) / 1024


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def in_sequence(count):
    steps = "".join(f"  s{n:02}:\n    command: [\"true\"]\n" + (f"    needs: s{n - 1:02}\n" if n else "") for n in range(count))
    return f"name: sequence\nsteps:\n{steps}"


def fan(count):
    middle = "".join(f"  m{n:02}:\n    command: [\"true\"]\n    needs: first\n" for n in range(count))
    needs = ", ".join(f"m{n:02}" for n in range(count))
    return f"name: fan\nsteps:\n  first:\n    command: [\"true\"]\n{middle}  last:\n    command: [\"true\"]\n    needs: [{needs}]\n"


store(in_sequence(10))
store(fan(20))
for name in ("sequence", "fan"):
    run(name)  # the first of each warms caches

row("what", "Slipway", "at most", "Airflow 3.3", "Prefect 3.8", "Dagster 1.13")
row("---", "---", "---", "---", "---", "---")
for name, what, bound, peers in (
    ("sequence", "10 steps in sequence", 0.5, ("10.8 s (2.2)", "7.3 s (3.1)", "18.5 s (10)")),
    ("fan", "1 → 20 → 1 steps", 0.8, ("5.3 s (2.7)", "6.8 s (2.9)", "26 s (14.7)")),
):
    times = sorted(run(name)[1] for _ in range(ROUNDS))
    row(what, f"{statistics.median(times):.2f} s (worst of {ROUNDS}: {times[-1]:.2f})", f"{bound} s", *peers)

latency = sorted(
    float(value)
    for value in sql("""
        select extract(epoch from a.spawned_at - a.ready_at) * 1000
        from step_attempts a
        join steps s on s.id = a.step_id
        join pipeline_runs r on r.id = s.run_id
        join pipelines p on p.id = r.pipeline_id
        where p.name = 'sequence'""")
    if value
)
at = lambda share: latency[min(len(latency) - 1, int(share * len(latency)))]
row("ready → spawned, one after the other", f"p50 {at(0.5):.0f} ms, p95 {at(0.95):.0f} ms", "25 and 100 ms", "", "", "")

store(f"""
name: wide
steps:
  each:
    matrix:
      a: [{", ".join(map(str, range(100)))}]
      b: [{", ".join(map(str, range(STEPS // 100)))}]
    command: ["true"]
""")
before = cpu(server)
number, took = run("wide", look=0.5)
# What the steps themselves took is none of ours: `true` is started as often by a loop of the shell.
alone = time.perf_counter()
spent = os.times().children_user + os.times().children_system
subprocess.run(["sh", "-c", f"i=0; while [ $i -lt {STEPS} ]; do env true; i=$((i+1)); done"], check=True)
loop = os.times().children_user + os.times().children_system - spent
ours = cpu(server) - before
row(f"{STEPS} steps at once", f"{took:.0f} s; {1000 * ours / STEPS:.1f} ms of processor time a step (a shell's loop: {1000 * loop / STEPS:.1f})", "5 ms", "", "", "")

time.sleep(5)
before = sum(cpu(process) for process in tree(server))
time.sleep(IDLE)
used = sum(cpu(process) for process in tree(server)) - before
row("idle", f"{sum(map(pss, tree(server))):.0f} MiB, {100 * used / IDLE:.2f} % of a core", "100 MiB, 1 %", "", "", "")
