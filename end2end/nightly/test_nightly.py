"""The nightly example on the real program: five steps, what they leave behind, the next night, and the same night again."""

import datetime
import json
import re
import time
import zoneinfo

import pytest

from contributor import Run
from example import SCHEDULE, STEPS, bundle, script, written
from program import CHECKOUT


def tracked(server):
    """The tracked runs of the pipeline's experiment, by name; those of the first night, where later ones have the same."""
    experiments = {each["experiment"]["name"]: each["experiment"]["id"] for each in server.get("experiments")["items"]}
    found = server.get(f"runs?experiment_id={experiments['digits']}")["items"]
    return {run["info"]["name"]: run for run in found}


def test_both_variants_are_files_without_fault_that_differ_in_where_they_run(server):
    for options in [(), ("--image", "digits:1")]:
        server.slipway("pipeline", "lint", "-", stdin=bundle(*options))
    assert bundle("--image", "digits:1").replace("\nexecutor: docker\nimage: digits:1\n", "") == bundle()


def test_it_pins_what_these_tests_install():
    def pins(*names):
        lines = "\n".join((CHECKOUT / name).read_text() for name in names)
        return set(re.findall(r"^[\w.-]+==.+$", lines, flags=re.MULTILINE))

    own = pins("examples/nightly/requirements.txt")
    assert len(own) == 9
    assert own <= pins("scripts/requirements-test.txt", "demo/requirements.txt")


def test_all_five_steps_succeed(night):
    assert night.states() == dict.fromkeys(STEPS, "succeeded"), [night.log(step) for step in STEPS]


def test_the_digits_are_a_version_of_a_dataset(server, night):
    version = server.get("datasets/digits/versions/1")
    assert (version["files"], version["message"]) == (1, f"digits #{night.number}, step fetch")
    rows = server.download("datasets/digits/versions/1/files/digits.csv").splitlines()
    assert len(rows) == 1798 and rows[0].endswith("pixel_7_7,digit")


def test_what_is_logged_is_nested_under_the_run_of_the_night(server, night):
    runs = tracked(server)
    # MLflow writes ids without the hyphens.
    outer = runs[f"digits #{night.number}"]["info"]["id"].replace("-", "")
    for step in ("train", "evaluate"):
        assert runs[step]["tags"]["mlflow.parentRunId"] == outer
        assert runs[step]["info"]["status"] == "FINISHED"
    assert runs["train"]["params"] == {"trees": "100", "depth": "12", "seed": "10"}
    logged = {metric["key"]: metric["value"] for metric in runs["evaluate"]["metrics"]}
    assert logged == pytest.approx(night.value("evaluate", "scores"))
    assert logged["accuracy"] >= 0.95


def test_the_model_is_a_version_of_the_run_that_measured_it(server, night):
    version = server.get("models/digit-reader/versions/1")["version"]
    evaluated = tracked(server)["evaluate"]["info"]["id"]
    assert version["run_id"] == evaluated
    assert "onnx" in version["flavors"] and version["signature"]["inputs"][0]["name"] == "pixels"
    rows = server.download(f"runs/{evaluated}/artifacts/content?path=evaluation.csv").splitlines()
    assert rows[0] == "row_id,target,prediction" and len(rows) == 361


def test_what_gates_ask_for_is_with_the_version(server, night):
    asked = {"model": "digit-reader", "version": 1, "environment": "production", "comment": "It reads digits."}
    number = json.loads(server.answer("promotions", asked))["number"]
    deadline = time.monotonic() + 120
    while (found := server.get(f"promotions/{number}"))["promotion"]["state"] == "gates_running":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    verdicts = {gate["spec"]["kind"]: gate["finding"]["verdict"] for gate in found["gates"]}
    assert verdicts == dict.fromkeys(["metric_threshold", "better_than_champion", "golden_row"], "pass"), found["gates"]


def test_the_notebook_ran_without_a_fault_and_shows_the_score(server, night):
    place = f"pipeline-runs/{night.number}/steps/report/attempts/1/notebook"
    about = server.get(place)
    assert (about["done"], about["failure"]) == (about["cells"], "")
    text, kinds = written(server.get(f"{place}/content"))
    assert f"accuracy {night.value('evaluate', 'scores')['accuracy']:.4f}, and 0.95 is asked for" in text
    assert kinds == {"stream", "text/plain", "text/html", "image/svg+xml"}
    # The page shows all of it, and what a browser is given of the drawing is a picture.
    page = server.download(f"{place}/html")
    assert "data:image/svg+xml" in page and "Digit by digit" in page


def test_a_night_with_the_same_digits_runs_nothing_but_the_look(server, night):
    again = server.run("digits")
    assert again.states() == dict.fromkeys(STEPS, "succeeded")
    assert "cache" not in again.steps["fetch"]
    for step in STEPS[1:]:
        assert again.steps[step]["cache"]["outcome"] == "hit", (step, again.steps[step])
    assert [version["number"] for version in server.get("datasets/digits/versions")["items"]] == [1]


def test_a_model_that_is_not_good_enough_becomes_no_version(server, night):
    before = server.get("models/digit-reader")
    number = server.slipway(
        "pipeline", "rerun", night.number, "--from", "evaluate", "-p", "least-accuracy=0.999"
    ).strip()
    server.slipway("pipeline", "watch", number, fails=True)
    strict = Run(server, number)
    assert strict.states() == dict.fromkeys(STEPS[:3], "succeeded") | {"evaluate": "failed", "report": "skipped"}
    assert all(strict.steps[step]["carried_from"] for step in STEPS[:3])
    assert "should be 0.999 at least: this model is no version." in strict.log("evaluate")
    assert server.get("models/digit-reader") == before


def test_a_param_out_of_bounds_starts_nothing(server, night):
    said = server.slipway("pipeline", "run", "digits", "-p", "trees=7", fails=True)
    assert "trees" in said and "25" in said, said


def test_the_night_is_reproduced(server, night):
    number = server.slipway("pipeline", "reproduce", night.number, "--wait").strip()
    verdict = server.get(f"pipeline-runs/{number}")["run"]["verdict"]
    # The executed notebook has in it when its cells ran; all else is the same bytes.
    assert (verdict["sameness"], verdict["steps"], verdict["outputs"]) == ("within_tolerance", 5, 7)
    assert [(each["step"], each["output"]) for each in verdict["differences"]] == [("report", "notebook")]


def test_it_starts_at_three_where_it_is_night(server, night):
    server.answer("schedules", SCHEDULE)
    schedule = server.get("schedules/nightly")
    assert (schedule["pipeline"], schedule["enabled"]) == ("digits", True)
    fires = datetime.datetime.fromisoformat(schedule["next_fire"]).astimezone(zoneinfo.ZoneInfo("Europe/Berlin"))
    assert (fires.hour, fires.minute) == (3, 0)


def test_digits_that_nobody_should_learn_from_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTPUT_DIGITS", "digits")
    script("fetch").main()
    prepare = script("prepare")
    digits = prepare.pd.read_csv("digits/digits.csv")
    assert prepare.problems(digits) == []
    few = digits[~digits["digit"].isin([3, 7])].head(500)
    assert prepare.problems(few) == ["There are 500 digits; at least 1000 are needed.", "There is no example of 3, 7."]
    assert prepare.problems(digits.assign(pixel_0_0=17)) == ["A pixel is not between 0 and 16."]
    digits.loc[:3, "pixel_0_0"] = None
    assert "4 values are missing." in prepare.problems(digits)
