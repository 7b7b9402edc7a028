"""A server, and the pipelines of these tests on it."""

import pytest

from contributor import ContributorsServer


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests."""
    running = ContributorsServer.begin(tmp_path_factory.mktemp("slipway"), "--steps", "4")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Where the pipelines of these tests lie, compiled now."""
    from pipelines import compile_all

    folder = tmp_path_factory.mktemp("compiled")
    compile_all(folder)
    return folder


@pytest.fixture
def run(server, compiled):
    """Stores a compiled pipeline and runs it to its end."""

    def run(name, *options, fails=False):
        server.slipway("pipeline", "apply", compiled / f"{name}.yaml", "--executor", "process")
        return server.run(name, *options, fails=fails)

    return run
