"""Turns what the bench measured into one table, and fails when a bound is missed.

usage: report.py RESULTS [OUT.md] CONNECTIONS SLIPWAY MLFLOW POSTGRES     (the versions in words)
"""

import datetime
import os
import platform
import sys
from pathlib import Path

# What is compared, and how many times better it must be.
RATES = [
    ("log-metric", "log a metric", 40),
    ("log-batch", "log a batch of 100 points", 25),
    ("search", "search runs by metric and param, 100 sorted by metric", 60),
    ("history", "history of 10,000 points", 40),
    ("get-run", "get a run", 50),
]
MEMORY, DISK = 20, 6

results, *out, connections, slipway, mlflow, postgres = sys.argv[1:]
lines = [line.split() for line in Path(results).read_text(encoding="utf-8").splitlines()]


def measured(side: str, what: str) -> list[list[str]]:
    return [rest for first, second, *rest in lines if (first, second) == (side, what)]


def rate(side: str, workload: str) -> tuple[float, str, int]:
    rounds = [tuple(map(float, row[1:])) for row in measured(side, "rate") if row[0] == workload]
    each, p50, p99, _ = max(rounds)
    if each == 0:
        sys.exit(f"{side} answered not once to {workload}: the rounds are too short for it (SECONDS_EACH).")
    refused = int(sum(bad for *_, bad in rounds))
    words = f"; {refused} refused" if refused else ""
    return each, f"{each:,.1f}/s ({p50:.1f} / {p99:.1f} ms{words})", refused


def memory(side: str) -> tuple[float, str]:
    [(size, processes, jobs)] = measured(side, "memory")
    of_jobs = f", {int(jobs) / 1e6:,.0f} MB of it job queues" if int(jobs) else ""
    return int(size), f"{int(size) / 1e6:,.0f} MB ({processes} process{'' if processes == '1' else 'es'}{of_jobs})"


def disk(side: str) -> tuple[float, str]:
    [(size,)], points = measured(side, "disk"), sum(int(row[0]) for row in measured(side, "points"))
    return int(size) / points, f"{int(size) / points:,.1f} B ({points:,} points)"


# What, MLflow's, ours, how many times better, how many there must be, and whether there are.
rows = []
for workload, title, bound in RATES:
    (theirs, their_words, _), (ours, our_words, refused) = rate("mlflow", workload), rate("slipway", workload)
    times = ours / theirs
    # A server that refuses is quick: what we refuse is a miss, and what MLflow refuses only makes it quicker, and is told.
    rows.append((title, their_words, our_words, times, bound, times >= bound and not refused))
for title, of, bound in [("memory under this load", memory, MEMORY), ("disk for a metric point", disk, DISK)]:
    (theirs, their_words), (ours, our_words) = of("mlflow"), of("slipway")
    rows.append((title, their_words, our_words, theirs / ours, bound, theirs / ours >= bound))

cells = [["", "MLflow", "Slipway", "times better", "bound", "met"]]
cells += [[title, theirs, ours, f"{times:.1f}", str(bound), "yes" if met else "NO"] for title, theirs, ours, times, bound, met in rows]
widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
ruled = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in cells]
ruled.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")

cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
memory_size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
where = (
    f"{slipway}, {mlflow}, {postgres} (durable, shared by both); {cpu}, {os.cpu_count()} cores, {memory_size:.0f} GiB, "
    f"{platform.system()} {platform.release().split('-')[0]}, {datetime.date.today()}."
)
how = (
    f"Requests a second over {connections} connections that stay open, in the best round, with p50 / p99. Load, database and "
    "server are on the same cores."
)
print("\n" + "\n".join(ruled) + f"\n\n{where}\n{how}")
if out:
    Path(out[0]).write_text("\n".join(["# Beside MLflow", where, how, "", *ruled]) + "\n", encoding="utf-8")
missed = [title for title, *_, met in rows if not met]
if missed:
    sys.exit("Missed: " + "; ".join(missed))
