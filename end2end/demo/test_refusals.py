"""`slipway demo` that cannot walk says why, and leaves nothing running."""

import json
import os
import re
import signal
import subprocess

import pytest
import requests

from program import environment, program
from walks import DEMO_ENV, free_address, walk


def test_a_server_elsewhere_that_is_not_there_is_not_started_here(tmp_path):
    code, line, told = walk("http://slipway.invalid", tmp_path)
    assert (code, line["ok"], line["failed"], line["stations"]) == (1, False, "server", {})
    assert "start it, or leave --url away" in told
    assert not (tmp_path / "postgres").exists()


def test_a_python_environment_without_the_packages_is_told(folder, tmp_path, serve):
    data_dir = folder("python")
    code, line, told = walk(serve(data_dir), data_dir, SLIPWAY_DEMO_PYTHON=str(tmp_path))
    assert (code, line["failed"]) == (1, "python")
    assert f"a Python environment in {tmp_path} with the packages" in told


def test_a_server_with_another_database_is_told(folder, serve):
    code, line, told = walk(serve(folder("one")), folder("other"))
    assert (code, line["failed"]) == (1, "people")
    assert "name its own with --data-dir or --database-url" in told
    assert "401" in line["seen"]


def test_an_interrupted_walk_stops_the_server_that_it_started(folder):
    url, data_dir = free_address(), folder("interrupted")
    command = [program(), "demo", "--url", url, "--data-dir", data_dir]
    walking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**DEMO_ENV))
    told = ""
    while not re.search(r"✓ Pipeline  ", told):
        line = walking.stderr.readline()
        assert line, told
        told += line
    os.kill(walking.pid, signal.SIGINT)
    out, rest = walking.communicate(timeout=90)
    assert walking.returncode == 1
    line = json.loads(out)
    assert line["seen"] == "an interruption", told + rest
    assert line["stations"]["server"] == {"id": url, "state": "started"}
    assert line["stations"]["pipeline"]["state"] == "stored"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/healthz", timeout=5)
    assert not (data_dir / "postgres" / "data" / "postmaster.pid").exists()
