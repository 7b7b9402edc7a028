"""`slipway demo`: the whole loop on a fresh installation, twice."""

from walks import STATES, Reader, free_address, states, walk


def test_the_loop_is_walked_twice(folder, serve):
    url, data_dir = free_address(), folder("slipway")
    code, first, told = walk(url, data_dir)
    assert code == 0, told
    assert first["ok"] is True and first["url"] == url
    assert states(first) == STATES
    assert first["stations"]["server"] == {"id": url, "state": "started"}
    for station in first["stations"].values():
        assert station.get("page", url).startswith(url)

    url = serve(data_dir)
    code, second, told = walk(url, data_dir)
    assert code == 0, told
    assert states(second) == STATES
    assert second["stations"]["server"]["state"] == "running"
    assert "resolved alert #1 of the walk before; withdrew its candidate, promotion #2" in told
    for station in ("pipeline_run", "model_version", "promotion", "deployment", "alert", "retraining", "candidate"):
        assert second["stations"][station]["id"] != first["stations"][station]["id"], station

    reader = Reader(url, data_dir)
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
