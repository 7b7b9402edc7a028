"""What running a pipeline costs, when its steps do nothing. Fails when a bound is missed.

usage: pipeline.py URL PSQL...    of the server with the process id in $SERVER, with the administrator's token in $TOKEN
The peers' figures were measured on two cores with each step a process of its own that runs `true`, from the trigger to the
end of the run; the second of each pair is with their settings tuned for speed.
"""

import http.client
import json
import os
import re
import shutil
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


def cpu_of_all():
    """Seconds of processor time of the server and all that it started."""
    return sum(cpu(process) for process in tree(server))


def pss(process):
    return int(re.search(r"^Pss: *(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)[1]) / 1024


missed = []


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def bounded(what, said, *bounds, peers=("", "", "")):
    """A row of what was measured: pairs of a figure and what it may be at most; `said` has them in words."""
    if any(figure > most for figure, most in bounds):
        missed.append(what)
        said = f"**{said}**"
    row(what, said, ", ".join(f"{most:g}" for _, most in bounds), *peers)


def share(sorted_values, part):
    return sorted_values[min(len(sorted_values) - 1, int(part * len(sorted_values)))]


def milliseconds(pipeline, since, until, cached=False):
    """From one moment of each try to another, in order."""
    values = sql(f"""
        select extract(epoch from {until} - {since}) * 1000
        from step_attempts a
        join steps s on s.id = a.step_id
        join pipeline_runs r on r.id = s.run_id
        join pipelines p on p.id = r.pipeline_id
        where p.name = '{pipeline}' {"and s.cache ->> 'outcome' = 'hit'" if cached else ""}""")
    return sorted(float(value) for value in values if value)


def in_sequence(count):
    steps = "".join(f"  s{n:02}:\n    command: [\"true\"]\n" + (f"    needs: s{n - 1:02}\n" if n else "") for n in range(count))
    return f"name: sequence\nsteps:\n{steps}"


def kept(count):
    step = '    command: ["sh", "-c", "echo {n} > out"]\n    outputs: { out: out }\n'
    steps = "".join(
        f"  s{n:02}:\n{step.replace('{n}', str(n))}" + (f"    needs: s{n - 1:02}\n" if n else "") for n in range(count)
    )
    return f"name: kept\ncache: true\nsteps:\n{steps}"


def fan(count):
    middle = "".join(f"  m{n:02}:\n    command: [\"true\"]\n    needs: first\n" for n in range(count))
    needs = ", ".join(f"m{n:02}" for n in range(count))
    return f"name: fan\nsteps:\n  first:\n    command: [\"true\"]\n{middle}  last:\n    command: [\"true\"]\n    needs: [{needs}]\n"


# Says 10,000 lines a second, in tenths, by the clock: what cannot be taken holds it up, and is seen in how long it took.
LINES, TALK = 10_000, 10
TALKER = f"""
import sys, time
began = time.monotonic()
for tenth in range({10 * TALK}):
    sys.stdout.write("".join(f"line {{tenth}} {{n}} loss 0.123456 accuracy 0.987654\\n" for n in range({LINES // 10})))
    sys.stdout.flush()
    time.sleep(max(0.0, began + (tenth + 1) / 10 - time.monotonic()))
print("took", time.monotonic() - began)
"""

store(in_sequence(10))
store(fan(20))
for name in ("sequence", "fan"):
    run(name)  # the first of each warms caches

row("what", "Slipway", "at most", "Airflow 3.3 (tuned)", "Prefect 3.8 (tuned)", "Dagster 1.13 (tuned)")
row("---", "---", "---", "---", "---", "---")
for name, what, bound, peers in (
    ("sequence", "10 steps in sequence, s", 0.5, ("10.8 (2.2)", "7.3 (3.1)", "18.5 (10)")),
    ("fan", "1 → 20 → 1 steps, s", 0.8, ("5.3 (2.7)", "6.8 (2.9)", "26 (14.7)")),
):
    times = sorted(run(name)[1] for _ in range(ROUNDS))
    middle = statistics.median(times)
    bounded(what, f"{middle:.2f} (worst of {ROUNDS}: {times[-1]:.2f})", (middle, bound), peers=peers)

latency = milliseconds("sequence", "a.ready_at", "a.spawned_at")
p50, p95 = share(latency, 0.5), share(latency, 0.95)
bounded("ready → spawned, p50 and p95, ms", f"{p50:.0f}, {p95:.0f}", (p50, 25), (p95, 100))

indented = TALKER.replace("\n", "\n    ")
store(f"name: talker\nfiles:\n  talk.py: |{indented}\nsteps:\n  talk:\n    command: [python3, talk.py]\n")
number = ask("POST", "/api/v1/pipelines/talker/runs", "{}")["number"]
talker = f"/api/v1/pipeline-runs/{number}"
log = f"{talker}/steps/talk/attempts/1/log?after="
while not sql(f"select 1 from step_attempts where log_lines > {LINES} limit 1")[0]:
    if ask("GET", talker)["run"]["state"] == "failed":
        sys.exit("the step that talks failed")
    time.sleep(0.05)
beside = []
while ask("GET", talker)["run"]["state"] == "running":
    beside.append(run("sequence")[1])
# Slipway's own first line is before them.
last = ask("GET", f"{log}{LINES * TALK + 1}")["items"]
if not last or not last[0]["text"].startswith("took "):
    sys.exit(f"the log of {LINES * TALK} lines is not whole: {last}")
took, middle = float(last[0]["text"].split()[1]), statistics.median(beside)
bounded(f"a log of {LINES:,} lines a second for {TALK} s, all stored: until they were said, s", f"{took:.1f}", (took, 1.05 * TALK))
bounded("10 steps in sequence beside it, s", f"{middle:.2f} (worst of {len(beside)}: {max(beside):.2f})", (middle, 0.5))

store(kept(10))
run("kept")  # runs them
for _ in range(ROUNDS):
    run("kept")
hits = milliseconds("kept", "a.ready_at", "a.ended_at", cached=True)
if len(hits) != 10 * ROUNDS:
    sys.exit(f"{len(hits)} of {10 * ROUNDS} steps were cached")
p50, p95 = share(hits, 0.5), share(hits, 0.95)
bounded("a cache hit, from ready to its end, p50 (p95), ms", f"{p50:.1f} ({p95:.1f})", (p50, 10))

store(f"""
name: wide
steps:
  each:
    matrix:
      a: [{", ".join(map(str, range(100)))}]
      b: [{", ".join(map(str, range(STEPS // 100)))}]
    command: ["true"]
""")
before = cpu_of_all()
number, took = run("wide", look=0.5)
# What `true` itself takes is none of ours, and is in the figure all the same: a loop of the shell says how much that is.
# Meanwhile the last supervisors are reaped.
spent = os.times().children_user + os.times().children_system
subprocess.run(["sh", "-c", f"i=0; while [ $i -lt {STEPS} ]; do {shutil.which('true')}; i=$((i+1)); done"], check=True)
loop = 1000 * (os.times().children_user + os.times().children_system - spent) / STEPS
each = 1000 * (cpu_of_all() - before) / STEPS
said = f"{each:.1f} ({took:.0f} s in all; `true` itself, in a loop of the shell: {loop:.1f})"
bounded(f"{STEPS} steps at once: our processor time a step, ms", said, (each, 5))

time.sleep(5)
before = cpu_of_all()
time.sleep(IDLE)
used = cpu_of_all() - before
memory, busy = sum(map(pss, tree(server))), 100 * used / IDLE
bounded("idle: memory (PSS), MiB, and a core, %", f"{memory:.0f}, {busy:.2f}", (memory, 100), (busy, 1))
if missed:
    sys.exit("missed: " + "; ".join(missed))
