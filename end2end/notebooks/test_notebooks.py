"""Notebooks as steps, with the real nbclient and a real kernel."""

from ipynb import PATH, cell, notebook, outputs


def test_params_go_behind_the_cell_with_the_tag(slipway):
    source = notebook(
        cell("rate = 0.1\nrows = []\nname = None", "parameters"),
        cell("print(rate, rows, name)"),
    )
    number = slipway.start(
        "params", source, params={"rate": 0.25, "rows": [1, 2], "name": 'it\'s "x" \\ $(id)', "with-dash": True}
    )
    step = slipway.ended(number)
    assert step["state"] == "succeeded", slipway.log(number)
    executed = slipway.notebook(number, "/content")
    assert [cell["metadata"]["tags"] for cell in executed["cells"]] == [["parameters"], ["injected-parameters"], []]
    assert "with_dash = True" in "".join(executed["cells"][1]["source"])
    assert outputs(executed) == '0.25 [1, 2] it\'s "x" \\ $(id)\n'
    # The same file is what the step gives on.
    assert step["outputs"][0]["digest"] == slipway.notebook(number)["executed"]
    assert "[2/3] Parameters" in slipway.log(number).replace("\x1b[34m", "").replace("\x1b[0m", "")
    diff = slipway.notebook(number, "/diff")
    assert (diff["added"], diff["removed"], diff["changed"], diff["outputs"]) == (1, 0, 0, 1)


def test_cells_are_seen_while_they_run(slipway):
    source = notebook(
        cell("print('first')"),
        cell("import os, time\nprint('second', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.1)"),
        cell("print('third')"),
    )
    number = slipway.start("live", source, step={"timeout": "3m"})

    def at_second():
        about = slipway.notebook(number)
        return about if about["turn"] == 2 and about["since"] else None

    about = slipway.until("the second cell does not run", at_second)
    assert (about["cells"], about["done"], about["executed"]) == (3, 1, None)
    live = slipway.until(
        "what the second cell wrote is not seen",
        lambda: (found := slipway.notebook(number, "/content")) and "second" in outputs(found) and found,
    )
    assert outputs(live) == "first\nsecond\n"
    # A cancelled run keeps what there is.
    slipway.call("POST", f"pipeline-runs/{number}/cancel", {})
    assert slipway.ended(number)["state"] == "cancelled"
    assert outputs(slipway.notebook(number, "/content")) == "first\nsecond\n"
    assert slipway.notebook(number)["executed"]


def test_a_cell_that_fails_is_named_and_the_notebook_is_kept(slipway):
    number = slipway.start(
        "failing", notebook(cell("print('before')"), cell("# check the rows\nraise ValueError('no rows')"), cell("1"))
    )
    step = slipway.ended(number)
    assert (step["state"], step["reason"]) == (
        "failed",
        'cell 2 of 3 ("check the rows") failed: ValueError: no rows',
    )
    executed = slipway.notebook(number, "/content")
    assert outputs(executed) == "before\n"
    assert executed["cells"][1]["outputs"][0]["ename"] == "ValueError"
    assert executed["cells"][2]["execution_count"] is None
    assert "ValueError" in slipway.log(number)


def test_a_kernel_that_dies_ends_the_step_at_once(slipway):
    number = slipway.start(
        "dying", notebook(cell("print('before')"), cell("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    )
    step = slipway.ended(number)
    assert step["state"] == "failed"
    assert step["reason"] == 'its kernel died in cell 2 of 2 ("import os, signal")'
    assert outputs(slipway.notebook(number, "/content")) == "before\n"


def test_a_notebook_that_hangs_is_ended_from_outside(slipway):
    number = slipway.start(
        "hanging",
        notebook(cell("print('before')"), cell("import time\ntime.sleep(600)")),
        step={"timeout": "8s"},
    )
    step = slipway.ended(number)
    assert (step["state"], step["reason"]) == ("failed", 'timed out in cell 2 of 2 ("import time")')
    assert outputs(slipway.notebook(number, "/content")) == "before\n"


def test_a_kernel_that_needs_too_much_memory_is_told(slipway):
    number = slipway.start(
        "large",
        notebook(cell("print('before')"), cell("rows = bytearray(900 * 2**20)\nimport time\ntime.sleep(60)")),
        step={"resources": {"memory": "500Mi"}, "timeout": "1m"},
    )
    step = slipway.ended(number)
    assert step["state"] == "failed"
    assert step["reason"].startswith("killed: out of memory") and "in cell 2 of 2" in step["reason"], step["reason"]
    assert outputs(slipway.notebook(number, "/content")) == "before\n"


def test_output_without_end_is_cut(slipway):
    number = slipway.start(
        "flooding", notebook(cell("for _ in range(400): print('x' * 50_000)"), cell("print('after')"))
    )
    assert slipway.ended(number)["state"] == "succeeded"
    text = outputs(slipway.notebook(number, "/content"))
    assert len(text) < 9 << 20 and "the rest is left out" in text and text.endswith("after\n")


def test_the_token_of_the_step_is_in_no_notebook(slipway):
    number = slipway.start("secret", notebook(cell("import os\nprint(os.environ['SLIPWAY_TOKEN'])")))
    step = slipway.ended(number)
    assert step["state"] == "succeeded"
    assert outputs(slipway.notebook(number, "/content")) == "***\n"
    given = slipway.get(f"pipeline-runs/{number}/steps/report/outputs/notebook")
    assert outputs(given) == "***\n"


def test_without_nbclient_the_step_says_what_to_install(slipway):
    number = slipway.start(
        "missing", notebook(cell("1")), step={"env": {"PATH": "/usr/bin:/bin", "PYTHONNOUSERSITE": "1"}}
    )
    step = slipway.ended(number)
    assert step["state"] == "failed"
    assert "has no module" in step["reason"] and "install nbclient and ipykernel" in step["reason"], step["reason"]


def test_a_kernel_that_is_not_there_is_told(slipway):
    source = notebook(cell("1"), kernel="julia-1.11")
    source["metadata"]["kernelspec"]["language"] = "julia"
    number = slipway.start("kernels", source)
    assert 'the kernel "julia-1.11" of its notebook is not installed' in slipway.ended(number)["reason"]


def test_what_is_no_notebook_is_told(slipway):
    number = slipway.start("broken", {"cells": "none"})
    assert "is no notebook that can be read" in slipway.ended(number)["reason"]


def test_a_notebook_comes_from_another_step(slipway):
    first = notebook(cell("print('one')"))
    number = slipway.start(
        "chained",
        first,
        steps={
            "make": {"command": "cp report.ipynb made.ipynb", "outputs": {"made": "made.ipynb"}},
            "report": {
                "notebook": "inputs/it",
                "inputs": {"it": "make.made"},
                "env": {"PATH": PATH},
                "outputs": {"notebook": "again.ipynb"},
            },
        },
    )
    slipway.ended(number)
    assert outputs(slipway.notebook(number, "/content")) == "one\n"
    assert outputs(slipway.get(f"pipeline-runs/{number}/steps/report/outputs/notebook")) == "one\n"
