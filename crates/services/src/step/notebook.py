"""Runs a notebook, as the command of a step: notebook.py SOURCE EXECUTED.

Beside this file lie params.json, which it reads, and progress.json, which it writes: how far it has come, for the
worker. The executed notebook is written after every cell, and every second while a cell writes, so that it is there
however this ends. Nothing here keeps time: a notebook that hangs is ended from outside.
"""

import asyncio
import atexit
import json
import keyword
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

OWN = Path(__file__).resolve().parent
PROGRESS = OWN / "progress.json"
# Of what one cell writes, so many bytes are kept; a loop that prints without end must not take all memory.
MOST_OUTPUT = 8 << 20
# How often what changed is written.
EVERY = 1.0

try:
    import nbformat
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
except ImportError as error:
    missing = error.name or "nbclient"
    sentence = (
        f"Python has no module {missing} for its notebook; install nbclient and ipykernel beside {sys.executable}"
    )
    PROGRESS.write_text(json.dumps({"failure": sentence, "is_whole": True}))
    sys.exit(f"{sentence}: pip install nbclient ipykernel")


class Refused(Exception):
    """It cannot be run; the sentence says why."""


def say(text: str) -> None:
    print(text, flush=True)


def plain(text: str) -> str:
    """Without the sequences that colour a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def first_line(source: str, most: int = 60) -> str:
    """How a cell begins."""
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    line = line.lstrip("#").strip() or line
    return line if len(line) <= most else line[: most - 1] + "…"


def write(path: Path, text: str) -> None:
    """Whole or not at all: somebody may read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    os.replace(new, path)


class Run:
    """A notebook, how far it has come, and where that is written."""

    def __init__(self, notebook, executed: Path):
        self.notebook = notebook
        self.executed = executed
        self.code = [at for at, cell in enumerate(notebook.cells) if is_code(cell)]
        self.state = {
            "cells": len(self.code),
            "done": 0,
            "cell": 0,
            "turn": 0,
            "name": "",
            "since": None,
            "failure": "",
            "is_whole": False,
            "pulse": 0,
            "revision": 0,
        }
        self.is_changed = True
        self.rests_until = 0.0
        self.began = time.monotonic()

    def save(self) -> None:
        if self.is_changed:
            self.is_changed = False
            began = time.monotonic()
            # Its form is checked where it is read, and not each time it is written.
            write(self.executed, nbformat.v4.writes(self.notebook))
            self.state["revision"] += 1
            # Writing takes a tenth of the time at most: many quick cells are written together.
            self.rests_until = time.monotonic() + 9 * (time.monotonic() - began)
        self.tell()

    def tell(self) -> None:
        self.state["pulse"] += 1
        write(PROGRESS, json.dumps(self.state))

    def label(self) -> str:
        """`[3/12]`: the cell among those of code."""
        return f"[{self.state['turn']}/{self.state['cells']}]"

    def place(self) -> str:
        """The same in words."""
        if not self.state["turn"]:
            return "the start of its kernel"
        return f'cell {self.state["turn"]} of {self.state["cells"]} ("{self.state["name"]}")'

    def starts(self, cell, at: int) -> None:
        if not is_code(cell):
            return
        self.began = time.monotonic()
        self.state |= {
            "cell": at + 1,
            "turn": self.code.index(at) + 1,
            "name": first_line(cell.source),
            "since": int(time.time() * 1000),
        }
        say(f"\x1b[34m{self.label()}\x1b[0m {self.state['name']}")
        self.is_changed = True
        self.tell()

    def ends(self, is_well: bool) -> None:
        self.state["done"] += is_well
        took = time.monotonic() - self.began
        if took >= 1:
            say(f"\x1b[2m{self.label()} took {took:.1f} s\x1b[0m")
        self.is_changed = True
        if time.monotonic() >= self.rests_until:
            self.save()

    def fails(self, sentence: str) -> None:
        self.state["failure"] = sentence[:400]
        self.is_changed = True
        self.save()


def is_code(cell) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip())


class Client(NotebookClient):
    """Runs the cells, and follows what they write."""

    run: Run
    written = 0

    def process_message(self, msg, cell, cell_index):
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            self.written += len(content["text"])
            stream = sys.stderr if content["name"] == "stderr" else sys.stdout
            print(content["text"], end="", file=stream, flush=True)
            if self.written > MOST_OUTPUT:
                if self.written - len(content["text"]) <= MOST_OUTPUT:
                    content["text"] = f"\n… more than {MOST_OUTPUT >> 20} MiB; the rest is left out.\n"
                else:
                    return None
        if kind in ("stream", "display_data", "execute_result", "update_display_data", "clear_output", "error"):
            self.run.is_changed = True
        return super().process_message(msg, cell, cell_index)

    async def async_execute_cell(self, cell, cell_index, *arguments, **more):
        self.written = 0
        return await super().async_execute_cell(cell, cell_index, *arguments, **more)


def with_parameters(notebook, params: dict) -> None:
    """Puts the params behind the cell with the tag "parameters", as papermill does, or before everything."""
    cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    names = {name: name.replace("-", "_") for name in params}
    usable = {
        name: variable
        for name, variable in names.items()
        if variable.isidentifier() and not keyword.iskeyword(variable)
    }
    for name in params.keys() - usable.keys():
        say(f"The param {name} is no name of a variable; it is in the environment alone.")
    if usable:
        lines = ["# Parameters", *(f"{variable} = {params[name]!r}" for name, variable in sorted(usable.items()))]
        new = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})
        if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
            new.pop("id", None)
        tagged = [at for at, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
        cells.insert(tagged[0] + 1 if tagged else 0, new)
    notebook.cells = cells


def read(path: Path):
    try:
        notebook = nbformat.read(path, as_version=4)
    except FileNotFoundError:
        raise Refused(f"the notebook {path} is not there") from None
    except Exception as error:  # whatever a file can be that is none
        raise Refused(f"{path} is no notebook that can be read: {first_line(str(error), 200)}") from None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # What came of it elsewhere is not what comes of it here.
            cell.outputs, cell.execution_count = [], None
            cell.metadata.pop("execution", None)
    return notebook


def kernel_of(notebook) -> str:
    """The kernel that the notebook names, where it is installed; for Python, the one that is."""

    spec = notebook.metadata.get("kernelspec", {})
    wanted, language = spec.get("name", "python3"), spec.get("language", "python")
    known = KernelSpecManager().find_kernel_specs()
    if wanted in known:
        return wanted
    if language == "python" and "python3" in known:
        say(f'The kernel "{wanted}" is not installed; python3 is taken.')
        return "python3"
    if not known:
        raise Refused("no kernel is installed for its notebook; install ipykernel")
    raise Refused(f'the kernel "{wanted}" of its notebook is not installed; there are {", ".join(sorted(known))}')


def kernel_manager(kernel: str) -> AsyncKernelManager:
    """Talks to the kernel through sockets in a directory of this user alone, where their paths are short enough; else
    through the loopback."""
    for folder in (None, "/tmp"):
        try:
            own = tempfile.mkdtemp(prefix="kernel-", dir=folder)
        except OSError:
            continue
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        if len(own) <= 90:
            return AsyncKernelManager(kernel_name=kernel, transport="ipc", ip=f"{own}/socket")
    return AsyncKernelManager(kernel_name=kernel)


async def execute(run: Run, kernel: str) -> int:
    client = Client(
        run.notebook,
        km=kernel_manager(kernel),
        timeout=None,
        startup_timeout=120,
        record_timing=True,
        coalesce_streams=True,
        resources={"metadata": {"path": os.getcwd()}},
        on_cell_start=lambda cell, cell_index: run.starts(cell, cell_index),
        on_cell_executed=lambda cell, cell_index, execute_reply: run.ends(execute_reply["content"]["status"] == "ok"),
    )
    client.run = run

    async def follow():
        while True:
            await asyncio.sleep(EVERY)
            run.save()

    def ended_from_outside(number):
        run.save()
        say("The notebook is ended from outside; what it has so far is kept.")
        os._exit(128 + number)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ended_from_outside, signal.SIGTERM)
    following = asyncio.ensure_future(follow())
    try:
        await client.async_execute(cleanup_kc=True)
    except CellExecutionError as error:
        failure = f"{error.ename}: {first_line(plain(str(error.evalue)), 200)}"
        outputs = run.notebook.cells[run.state["cell"] - 1].outputs
        traces = ["\n".join(output.traceback) for output in outputs if output.output_type == "error"]
        print(traces[-1] if traces else failure, file=sys.stderr, flush=True)
        run.fails(f"{run.place()} failed: {failure}")
        return 1
    except DeadKernelError:
        run.fails(f"its kernel died in {run.place()}")
    except CellControlSignal as error:
        run.fails(f"it stopped in {run.place()}: {first_line(str(error), 200)}")
    except NoSuchKernel as error:
        run.fails(f"the kernel {error.name} of its notebook is not installed")
    except Exception as error:  # a client that fails is told as one sentence, not as a trace of ours
        run.fails(
            f"its notebook could not go on in {run.place()}: {type(error).__name__}: {first_line(str(error), 200)}"
        )
    else:
        run.state |= {"is_whole": True, "since": None, "cell": 0, "turn": 0, "name": ""}
        run.is_changed = True
        run.save()
        return 0
    finally:
        following.cancel()
    print(f"The notebook failed: {run.state['failure']}.", file=sys.stderr, flush=True)
    return 1


def main(source: str, executed: str) -> int:
    params = json.loads((OWN / "params.json").read_text(encoding="utf-8"))
    try:
        notebook = read(Path(source))
        kernel = kernel_of(notebook)
        language = notebook.metadata.get("kernelspec", {}).get("language", "python")
        if language == "python":
            with_parameters(notebook, params)
        elif params:
            say(f"Params are put into notebooks in Python alone, not in {language}; they are in the environment.")
    except Refused as error:
        write(PROGRESS, json.dumps({"failure": str(error), "is_whole": True}))
        print(f"{error}.", file=sys.stderr, flush=True)
        return 1
    run = Run(notebook, Path(executed))
    run.save()
    return asyncio.run(execute(run, kernel))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
