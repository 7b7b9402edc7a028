"""The first night of the example: its pipeline stored and run once, for all tests to look at."""

import os

import pytest

from contributor import ContributorsServer
from example import bundle


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests, whose worker uses the tests' Docker engine when there is one."""
    docker = ["--docker-socket", os.environ["SLIPWAY_TEST_DOCKER"]] if "SLIPWAY_TEST_DOCKER" in os.environ else []
    running = ContributorsServer.begin(tmp_path_factory.mktemp("nightly"), *docker)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def night(server):
    """The run of the first night."""
    server.slipway("pipeline", "apply", "-", stdin=bundle())
    return server.run("digits")
