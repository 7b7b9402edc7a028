"""The nightly example, as whoever copied it has it."""

import importlib.util
import json
import subprocess
import sys

from program import CHECKOUT

EXAMPLE = CHECKOUT / "examples/nightly"
STEPS = ["fetch", "prepare", "train", "evaluate", "report"]
SCHEDULE = json.loads((EXAMPLE / "schedule.json").read_text())


def bundle(*options) -> str:
    """The pipeline's file with its code, as its README says to make it."""
    command = [sys.executable, EXAMPLE / "bundle.py", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def script(name):
    """A script of its steps, under a name that no other module has."""
    spec = importlib.util.spec_from_file_location(f"nightly_{name}", EXAMPLE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(notebook) -> tuple[str, set[str]]:
    """What the cells of an executed notebook printed, and the kinds of all that came of them."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    text = "".join("".join(output.get("text", "")) for output in outputs)
    kinds = {kind for output in outputs for kind in output.get("data", {output["output_type"]: None})}
    return text, kinds
