"""The example of an empty workspace: the same loop, by one click."""

import time

import requests

from walks import PASSWORD, Reader


def test_the_example_of_an_empty_workspace_walks_by_one_click(folder, serve):
    data_dir = folder("example")
    url = serve(data_dir)
    reader = Reader(url, data_dir)
    with requests.Session() as browser:
        form = {"email": "administrator@slipway.test", "password": PASSWORD}
        assert browser.post(f"{url}/sign-in", data=form, timeout=30).ok
        assert "Load the example" in browser.get(f"{url}/w/default", timeout=30).text
        loaded = browser.post(f"{url}/w/default/example", timeout=30)
        assert loaded.ok
        assert "Load the example" not in loaded.text
        # Asking twice starts it once.
        assert browser.post(f"{url}/w/default/example", timeout=30).ok
        deadline = time.monotonic() + 1500
        states = []
        while states[:1] != ["awaiting_approval"] or len(states) < 2:
            assert time.monotonic() < deadline, states
            time.sleep(0.5)
            states = [each["state"] for each in reader.all("/api/v1/promotions")]
    assert states == ["awaiting_approval", "live"]
    assert len(reader.all("/api/v1/pipeline-runs")) == 2
