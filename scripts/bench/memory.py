"""Samples the memory of a process and of all that it started until it is told to stop (TERM), and prints the peak.

usage: memory.py PID     (prints: BYTES PROCESSES BYTES_OF_JOBS)
What processes share is counted once (PSS). The last figure is the part, at that peak, of processes that MLflow keeps for
jobs in the background, which serve no request: so that anybody can take it off.
"""

import re
import signal
import sys
import threading
from pathlib import Path

ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())


def tree(root: int) -> list[int]:
    """The process, and all below it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name in brackets may have spaces in it.
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def look() -> tuple[int, int, int]:
    total = count = jobs = 0
    for process in tree(int(sys.argv[1])):
        try:
            pss = int(re.search(r"^Pss: *(\d+) kB", Path(f"/proc/{process}/smaps_rollup").read_text(), re.M)[1]) * 1024
            command = Path(f"/proc/{process}/cmdline").read_text()
        except OSError:
            continue
        total, count, jobs = total + pss, count + 1, jobs + pss * ("mlflow.server.jobs" in command)
    return total, count, jobs


peak = look()
while not ended.wait(0.5):
    peak = max(peak, look())
print(*peak)
