"""The whole loop twice on one installation: by one click in its empty workspace, then by `slipway demo`."""

import time

import requests

from walks import PASSWORD, STATES, Reader, states, walk


def load_the_example(url):
    """What an administrator does in a browser without scripts."""
    with requests.Session() as browser:
        form = {"email": "administrator@slipway.test", "password": PASSWORD}
        assert browser.post(f"{url}/sign-in", data=form, timeout=30).ok
        assert "Load the example" in browser.get(f"{url}/w/default", timeout=30).text
        loaded = browser.post(f"{url}/w/default/example", timeout=30)
        assert loaded.ok
        assert "Load the example" not in loaded.text
        # Asking twice starts it once.
        assert browser.post(f"{url}/w/default/example", timeout=30).ok


def test_the_loop_is_walked_twice(folder, serve):
    data_dir = folder("slipway")
    url = serve(data_dir)
    reader = Reader(url, data_dir)
    load_the_example(url)
    deadline = time.monotonic() + 1500
    reached = []
    while reached[:1] != ["awaiting_approval"] or len(reached) < 2:
        assert time.monotonic() < deadline, reached
        time.sleep(0.5)
        reached = [each["state"] for each in reader.all("/api/v1/promotions")]
    assert reached == ["awaiting_approval", "live"]
    assert len(reader.all("/api/v1/pipeline-runs")) == 2

    code, line, told = walk(url, data_dir)
    assert code == 0, told
    assert line["ok"] is True and line["url"] == url
    assert states(line) == STATES
    stations = line["stations"]
    assert stations["server"] == {"id": url, "state": "running"}
    for station in stations.values():
        assert station.get("page", url).startswith(url)
    assert "resolved alert #1 of the walk before; withdrew its candidate, promotion #2" in told
    numbers = {"pipeline_run": 3, "promotion": 3, "alert": 2, "retraining": 4, "candidate": 4}
    assert {station: stations[station]["id"] for station in numbers} == numbers

    promotions = {each["number"]: (each["version"], each["state"]) for each in reader.all("/api/v1/promotions")}
    assert promotions == {
        1: (1, "superseded"),
        2: (2, "withdrawn"),
        3: (3, "live"),
        4: (4, "awaiting_approval"),
    }
    requested = {each["number"]: each["requester"] for each in reader.all("/api/v1/promotions")}
    assert requested == {1: "Data scientist", 2: "Pipelines", 3: "Data scientist", 4: "Pipelines"}
    decision = reader.get("/api/v1/promotions/3")["decisions"]
    assert [(each["user_name"], each["verdict"]) for each in decision] == [("Risk approver", "approve")]
    alerts = {each["number"]: (each["state"], each["handled_by"]) for each in reader.all("/api/v1/alerts")}
    assert alerts == {1: ("resolved", "On-call operator"), 2: ("open", None)}
    runs = {each["run"]["number"]: each["run"] for each in reader.all("/api/v1/pipeline-runs")}
    assert {number: (run["cause"], run["state"]) for number, run in runs.items()} == {
        1: ("api", "succeeded"),
        2: ("trigger", "succeeded"),
        3: ("api", "succeeded"),
        4: ("trigger", "succeeded"),
    }
    # Everybody is there once.
    names = sorted(each["user"]["name"] for each in reader.all("/api/v1/members"))
    assert names == [
        "Data scientist",
        "On-call operator",
        "Pipelines",
        "Platform admin",
        "Risk approver",
        "administrator",
    ]

    # The candidate knows what the one that serves makes of the instrument as it is now.
    metrics = {each["key"]: each for each in reader.get("/api/v1/promotions/4")["metrics"]}
    assert metrics["accuracy"]["candidate"] >= metrics["accuracy"]["champion"] >= 0.95
    assert metrics["champion_accuracy"]["candidate"] < 0.9
