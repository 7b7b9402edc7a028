"""The nightly example in containers of a real engine, in the image that its Dockerfile makes: make test-docker."""

import os

import pytest

from contributor import Run
from example import STEPS, bundle, written

IMAGE = os.environ.get("SLIPWAY_TEST_NIGHTLY_IMAGE", "")
pytestmark = pytest.mark.skipif(not IMAGE, reason="needs a Docker engine with the example's image: make test-docker")


@pytest.fixture(scope="module")
def contained(server, night):
    """The run of a night in containers, after one by processes."""
    server.slipway("pipeline", "apply", "-", stdin=bundle("--image", IMAGE))
    return server.run("digits")


def test_the_same_five_steps_succeed_in_containers_of_the_image(server, contained):
    assert contained.states() == dict.fromkeys(STEPS, "succeeded"), [contained.log(step) for step in STEPS]
    for step in STEPS:
        [attempt] = server.get(f"pipeline-runs/{contained.number}/steps/{step}/attempts")["items"]
        assert attempt["executor"] == "docker" and "sha256:" in attempt["image"], attempt


def test_they_give_the_same_bytes_as_by_processes(server, night, contained):
    for step, output in [("fetch", "digits"), ("prepare", "parts"), ("evaluate", "scores"), ("evaluate", "answers")]:
        assert contained.output(step, output)["digest"] == night.output(step, output)["digest"], (step, output)
    # Beside the model lies which packages it was built with, which an image has others of.
    graphs = [
        server.answer(f"models/digit-reader/versions/{run.output('evaluate', 'model')['version']['number']}/files/content?path=model.onnx")
        for run in (night, contained)
    ]
    assert graphs[0] == graphs[1]


def test_they_leave_behind_what_they_should(server, night, contained):
    assert contained.output("fetch", "digits")["version"]["number"] == 1
    made = contained.output("evaluate", "model")["version"]
    version = server.get(f"models/digit-reader/versions/{made['number']}")["version"]
    run = server.get(f"runs/{version['run_id']}")["run"]
    outer = server.get(f"runs/{run['tags']['mlflow.parentRunId']}")["run"]
    assert (run["info"]["name"], outer["info"]["name"]) == ("evaluate", f"digits #{contained.number}")
    place = f"pipeline-runs/{contained.number}/steps/report/attempts/1/notebook"
    assert server.get(place)["failure"] == ""
    text, kinds = written(server.get(f"{place}/content"))
    assert f"accuracy {contained.value('evaluate', 'scores')['accuracy']:.4f}" in text
    assert "image/svg+xml" in kinds and "error" not in kinds


def test_the_night_is_reproduced_in_the_same_image(server, contained):
    number = server.slipway("pipeline", "reproduce", contained.number, "--wait").strip()
    verdict = server.get(f"pipeline-runs/{number}")["run"]["verdict"]
    assert verdict["sameness"] == "within_tolerance"
    assert [(each["step"], each["output"]) for each in verdict["differences"]] == [("report", "notebook")]
    assert Run(server, number).states() == dict.fromkeys(STEPS, "succeeded")
