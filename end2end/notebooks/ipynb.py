"""Notebooks for these tests, and what came of them."""

import sys
import zlib
from pathlib import Path

# Where steps find the Python of these tests.
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


def cell(source: str, *tags: str) -> dict:
    """A cell of code."""
    return {
        "cell_type": "code",
        "id": f"c{zlib.crc32(source.encode())}",
        "metadata": {"tags": list(tags)},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def notebook(*cells: dict, kernel: str = "python3") -> dict:
    """A notebook of these cells."""
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "cells": list(cells),
    }


def outputs(executed: dict) -> str:
    """All text that cells wrote."""
    streams = [output for cell in executed["cells"] for output in cell.get("outputs", [])]
    return "".join("".join(output.get("text", "")) for output in streams)
