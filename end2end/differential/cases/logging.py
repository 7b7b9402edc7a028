"""What is logged to a run: metrics and their histories, params, tags, batches, inputs, outputs."""

from exchange import get, post

NOBODY = "0" * 32


def metric(name: str, key: str = "m", run: str = "$log", **more) -> object:
    return post(f"metric {name}", "runs/log-metric", {"run_id": run, "key": key, "timestamp": 1, **more})


def without(name: str, *gone: str) -> object:
    body = {"run_id": "$log", "key": "m", "value": 1, "timestamp": 1}
    return post(f"metric {name}", "runs/log-metric", {key: each for key, each in body.items() if key not in gone}, says=True)


def batch(name: str, says: bool = False, run: str = "$batch", **more) -> object:
    return post(f"batch {name}", "runs/log-batch", {"run_id": run, **more}, says=says)


def point(key: str, value: object, timestamp: object = 1, step: object = 0, **more) -> dict:
    return {"key": key, "value": value, "timestamp": timestamp, "step": step, **more}


def pairs(count: int, key: str = "k") -> list[dict]:
    return [{"key": f"{key}{number}", "value": "v"} for number in range(count)]


def dataset(name: object = "grapes", digest: object = "4f1a", tags: object = None, **more) -> dict:
    made = {"dataset": {"name": name, "digest": digest, "source_type": "code", "source": "{}", **more}}
    return made if tags is None else {**made, "tags": tags}


GOOD_INPUTS = ("", "again", "with another context", "without tags", "of nothing", "of an empty list")

CASES = [
    post("run to log to", "runs/create", {"experiment_id": "$exp", "run_name": "log", "start_time": 100}, save={"log": "run.info.run_id"}),
    # What only one of the two takes goes to a run that nobody reads.
    post("run to log odd things to", "runs/create", {"experiment_id": "$exp", "run_name": "odd", "start_time": 101}, save={"odd": "run.info.run_id"}),
    post("run to log half readable things to", "runs/create", {"experiment_id": "$exp", "run_name": "half", "start_time": 102}, save={"half": "run.info.run_id"}),
    metric("a number", value=0.5),
    metric("again", value=0.5),
    metric("of a later step", value=0.25, step=2),
    metric("of an earlier step", value=0.75, step=1, timestamp=99),
    metric("of a negative step", value=3, step=-7),
    metric("of the same step and a later time", value=0.1, step=2, timestamp=5),
    metric("of the same step and time, greater", value=0.9, step=2, timestamp=5),
    metric("of the same step and time, smaller", value=0.2, step=2, timestamp=5),
    metric("of a text", "text", value="1.5"),
    metric("of a whole number", "whole", value=7),
    metric("of true", "true", value=True),
    metric("of nought", "nought", value=0),
    metric("of a tiny number", "tiny", value=5e-324),
    metric("of a large number", "large", value=1.7976931348623157e308),
    metric("of a number beyond", "beyond", value="1e400"),
    metric("of NaN", "nan", value="NaN"),
    metric("of a bare NaN", "barenan", "$half", value=float("nan")),
    metric("of Infinity", "inf", value="Infinity"),
    metric("of -Infinity", "low", value="-Infinity"),
    metric("of inf", "word", "$odd", value="inf"),
    metric("of nan", "word", "$odd", value="nan"),
    metric("of words", "word", "$odd", value="much"),
    metric("of an empty text", "word", "$odd", value=""),
    metric("of a list", "word", "$odd", value=[1]),
    metric("of null", "word", "$odd", value=None),
    metric("with a text time", "texttime", value=1, timestamp="12"),
    metric("with a fraction for a time", "fractime", "$half", value=1, timestamp=12.7),
    metric("with a negative time", "word", "$odd", value=1, timestamp=-1),
    metric("with words for a time", "word", "$odd", value=1, timestamp="noon"),
    metric("with a time beyond", "word", "$odd", value=1, timestamp=2**63),
    metric("with a text step", "textstep", value=1, step="3"),
    metric("with a fraction for a step", "fracstep", value=1, step=3.0),
    metric("with a broken step", "brokenstep", "$half", value=1, step=3.5),
    metric("with words for a step", "word", "$odd", value=1, step="last"),
    metric("with the greatest step", "greatest", value=1, step=2**63 - 1),
    metric("with the least step", "least", value=1, step=-(2**63)),
    metric("with null for a step", "nullstep", value=1, step=None),
    without("without a value", "value"),
    without("without a key", "key"),
    without("without a time", "timestamp"),
    without("without a run", "run_id"),
    post("metric of nobody", "runs/log-metric", {"run_id": NOBODY, "key": "m", "value": 1, "timestamp": 1}, says=True),
    post("metric by the old name of an id", "runs/log-metric", {"run_uuid": "$log", "key": "old", "value": 1, "timestamp": 1}),
    post("metric with both names of an id", "runs/log-metric", {"run_uuid": "$log", "run_id": "$log", "key": "both", "value": 1, "timestamp": 1}),
    post("metric in camel case", "runs/log-metric", {"runId": "$odd", "key": "camel", "value": 1, "timestamp": 1}),
    *[
        post(f"metric named {str(key)[:30]!r}", "runs/log-metric", {"run_id": "$log", "key": key, "value": 1, "timestamp": 1}, says=True)
        for key in ["a@b", "a%b", "a(b)", "a,b", "a#b", "a\\b", "a\nb", "a//b", "a/../b", "/a", "a/", ".", "..", "../a", "./a", "k" * 251, 1]
    ],
    *[metric(f"named {str(key)[:30]!r} well", key, value=1) for key in ["a b", "a/b", "a.b", "a-b_c:d", "é日本", "k" * 250, " lead", "a..b", "..a"[1:]]],
    metric("of a dataset", "scored", value=1, dataset_name="grapes", dataset_digest="4f1a"),
    metric("of a dataset without a digest", "scored2", "$odd", value=1, dataset_name="grapes"),
    metric("of a model that is none", "modelled", "$odd", value=1, model_id="m-" + NOBODY),
    get("run with what was half readable", "runs/get", {"run_id": "$half"}),
    get("run with its metrics", "runs/get", {"run_id": "$log"}),
    # Histories
    *[
        get(f"history {name}", "metrics/get-history", {"run_id": "$log", **query})
        for name, query in {
            "of all points": {"metric_key": "m"},
            "of not-a-number": {"metric_key": "nan"},
            "of infinity": {"metric_key": "inf"},
            "of a key nobody logged": {"metric_key": "none"},
            "without a key": {},
            "of an empty key": {"metric_key": ""},
            "with 0": {"metric_key": "m", "max_results": "0"},
            "with -1": {"metric_key": "m", "max_results": "-1"},
            "with words": {"metric_key": "m", "max_results": "all"},
            "with 25000": {"metric_key": "m", "max_results": "25000"},
            "with 25001": {"metric_key": "m", "max_results": "25001"},
            "with a wrong token": {"metric_key": "m", "max_results": "3", "page_token": "nonsense"},
            "of a dataset": {"metric_key": "scored"},
        }.items()
    ],
    get("history, first page", "metrics/get-history", {"run_id": "$log", "metric_key": "m", "max_results": "3"}, save={"histPage": "next_page_token"}),
    get("history, second page", "metrics/get-history", {"run_id": "$log", "metric_key": "m", "max_results": "3", "page_token": "$histPage"}, save={"histPage2": "next_page_token"}),
    get("history, third page", "metrics/get-history", {"run_id": "$log", "metric_key": "m", "max_results": "3", "page_token": "$histPage2"}),
    get("history of nobody", "metrics/get-history", {"run_id": NOBODY, "metric_key": "m"}),
    get("history without a run", "metrics/get-history", {"metric_key": "m"}, says=True),
    get("history by the old name of an id", "metrics/get-history", {"run_uuid": "$log", "metric_key": "nan"}),
    get("bulk history", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", {"run_id": ["$log"], "metric_key": "m", "max_results": "100"}),
    get("bulk history by intervals", "metrics/get-history-bulk-interval", {"run_ids": ["$log"], "metric_key": "m", "max_results": "100"}),
    get("bulk history by intervals below ajax-api", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval", {"run_ids": ["$log"], "metric_key": "m", "start_step": "0", "end_step": "2"}),
    get("bulk history without runs", "metrics/get-history-bulk-interval", {"metric_key": "m"}, says=True),
    *[
        get(f"bulk history by intervals, {name}", "metrics/get-history-bulk-interval", {"run_ids": ["$log"], "metric_key": "m", **query}, says=True)
        for name, query in {
            "one point": {"max_results": "1"},
            "two points": {"max_results": "2"},
            "three points": {"max_results": "3"},
            "five points": {"max_results": "5"},
            "three of some steps": {"start_step": "0", "end_step": "2", "max_results": "3"},
            "one step": {"start_step": "2", "end_step": "2"},
            "negative steps": {"start_step": "-9", "end_step": "-1"},
            "no points": {"max_results": "0"},
            "too many points": {"max_results": "2501"},
            "points in words": {"max_results": "all"},
            "a beginning alone": {"start_step": "0"},
            "an end alone": {"end_step": "0"},
            "an end before the beginning": {"start_step": "2", "end_step": "1"},
            "of not-a-number": {"metric_key": "nan"},
            "of infinity": {"metric_key": "inf"},
            "of a key nobody logged": {"metric_key": "none"},
            "without a key": {"metric_key": ""},
            "of nobody": {"run_ids": [NOBODY]},
            "of nobody too": {"run_ids": [NOBODY, "$log"], "max_results": "2"},
            "of no run": {"run_ids": ["x"]},
            "of too many": {"run_ids": [NOBODY] * 101},
        }.items()
    ],
    *[
        get(f"bulk history {name}", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", query, says=True)
        for name, query in {
            "of no run": {"metric_key": "m"},
            "without a key": {"run_id": ["$log"]},
            "of nobody": {"run_id": [NOBODY], "metric_key": "m"},
            "of nobody too": {"run_id": [NOBODY, "$log"], "metric_key": "m", "max_results": "3"},
            "of too many": {"run_id": [NOBODY] * 101, "metric_key": "m"},
        }.items()
    ],
    # Params
    post("run for batches", "runs/create", {"experiment_id": "$exp", "run_name": "batch", "start_time": 200}, save={"batch": "run.info.run_id"}),
    *[
        post(f"param {name}", "runs/log-parameter", {"run_id": "$log", **body}, says=name not in ("of 6001", "of 6001 again"))
        for name, body in {
            "": {"key": "p", "value": "1"},
            "again": {"key": "p", "value": "1"},
            "changed": {"key": "p", "value": "2"},
            "without a value": {"key": "empty"},
            "of an empty text": {"key": "empty", "value": ""},
            "of null": {"key": "null", "value": None},
            "of a number": {"key": "num", "value": 1},
            "of true": {"key": "num", "value": True},
            "without a key": {"value": "1"},
            "of an empty key": {"key": "", "value": "1"},
            "of a number for a key": {"key": 1, "value": "1"},
            "of a wrong key": {"key": "a@b", "value": "1"},
            "of a key outside": {"key": "../a", "value": "1"},
            "of a key of 250": {"key": "k" * 250, "value": "1"},
            "of a key of 251": {"key": "k" * 251, "value": "1"},
            "of 6000": {"key": "p6000", "value": "v" * 6000},
            "of 6001": {"key": "p6001", "value": "v" * 6001},
            "of 6001 again": {"key": "p6001", "value": "v" * 6002},
            "of letters beyond": {"key": "é 日本", "value": "😀\n\t\"'"},
        }.items()
    ],
    post("param of nobody", "runs/log-parameter", {"run_id": NOBODY, "key": "p", "value": "1"}, says=True),
    # Tags
    *[
        post(f"tag {name}", "runs/set-tag", {"run_id": "$log", **body}, says=True)
        for name, body in {
            "": {"key": "t", "value": "1"},
            "changed": {"key": "t", "value": "2"},
            "without a value": {"key": "empty"},
            "of a number": {"key": "num", "value": 1},
            "without a key": {"value": "1"},
            "of a wrong key": {"key": "a@b", "value": "1"},
            "of a key of 251": {"key": "k" * 251, "value": "1"},
            "of 8000": {"key": "t8000", "value": "v" * 8000},
            "of 8001": {"key": "t8001", "value": "v" * 8001},
            "of the name": {"key": "mlflow.runName", "value": "named by a tag"},
            "of the user": {"key": "mlflow.user", "value": "eve"},
            "of a note": {"key": "mlflow.note.content", "value": "# A note"},
        }.items()
    ],
    post("tag deleted", "runs/delete-tag", {"run_id": "$log", "key": "t"}),
    post("tag deleted twice", "runs/delete-tag", {"run_id": "$log", "key": "t"}),
    post("tag deleted without a key", "runs/delete-tag", {"run_id": "$log"}, says=True),
    post("tag deleted of nobody", "runs/delete-tag", {"run_id": NOBODY, "key": "t"}),
    post("tag of nobody", "runs/set-tag", {"run_id": NOBODY, "key": "t", "value": "1"}, says=True),
    get("run with params and tags", "runs/get", {"run_id": "$log"}),
    # Batches
    batch("of everything", metrics=[point("a", 1, 5, 1), point("a", 2, 6, 2), point("b", "NaN")], params=[{"key": "p", "value": "1"}], tags=[{"key": "t", "value": "x"}]),
    batch("again", metrics=[point("a", 1, 5, 1), point("a", 2, 6, 2), point("b", "NaN")], params=[{"key": "p", "value": "1"}], tags=[{"key": "t", "value": "y"}]),
    batch("of nothing"),
    batch("of null", metrics=None, params=None, tags=None),
    batch("with a key of tags twice", tags=[{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]),
    batch("with a key of params twice", says=True, params=[{"key": "d", "value": "1"}, {"key": "d", "value": "2"}]),
    batch("with a key of params twice, the same", says=True, params=[{"key": "d", "value": "1"}, {"key": "d", "value": "1"}]),
    batch("with a point twice", metrics=[point("d", 1), point("d", 1)]),
    batch("with a param that changes", says=True, params=[{"key": "p", "value": "2"}]),
    batch("with two params that change", params=[{"key": "p", "value": "2"}, {"key": "q", "value": "1"}]),
    batch("of 1001 metrics", says=True, metrics=[point("m", 1, step=step) for step in range(1001)]),
    batch("of 1000 metrics", metrics=[point("thousand", 1, step=step) for step in range(1000)]),
    batch("of 101 params", says=True, params=pairs(101)),
    batch("of 100 params", params=pairs(100)),
    batch("of 101 tags", says=True, tags=pairs(101)),
    batch("of 1001 of all", says=True, metrics=[point("m", 1, step=step) for step in range(901)], tags=pairs(100, "x")),
    batch("with a wrong metric", says=True, metrics=[point("a@b", 1)]),
    batch("with a wrong metric after a good one", run="$odd", metrics=[point("good", 1), point("a@b", 1)]),
    batch("with a wrong param", says=True, params=[{"key": "a@b", "value": "1"}]),
    batch("with a wrong tag", says=True, tags=[{"key": "a@b", "value": "1"}]),
    batch("with a metric without a value", says=True, metrics=[{"key": "a", "timestamp": 1}]),
    batch("with a metric without a time", says=True, metrics=[{"key": "a", "value": 1}]),
    batch("with a metric without a key", says=True, metrics=[{"value": 1, "timestamp": 1}]),
    batch("with a metric without a step", metrics=[{"key": "stepless", "value": 1, "timestamp": 1}]),
    batch("with a metric of words", run="$odd", metrics=[point("a", "much")]),
    batch("with a metric of a negative time", run="$odd", metrics=[point("a", 1, -1)]),
    batch("with a metric of a text", metrics=[point("text", "1.5", "7", "3")]),
    batch("with a param without a value", params=[{"key": "valueless"}]),
    batch("with a param without a key", says=True, params=[{"value": "x"}]),
    batch("with a param of a number", run="$odd", params=[{"key": "num", "value": 1}]),
    batch("with a tag without a key", says=True, tags=[{"value": "x"}]),
    batch("with metrics that are no list", run="$odd", metrics="x"),
    batch("with metrics that are one", run="$odd", metrics=point("single", 1)),
    batch("with a metric that is no object", run="$odd", metrics=[1]),
    batch("with a long param", params=[{"key": "long", "value": "v" * 6001}]),
    batch("with a long tag", tags=[{"key": "long", "value": "v" * 8001}]),
    batch("with a long key", says=True, tags=[{"key": "k" * 251, "value": "v"}]),
    batch("with a name for the run", tags=[{"key": "mlflow.runName", "value": "batched"}]),
    batch("of nobody", says=True, run=NOBODY, tags=[{"key": "t", "value": "x"}]),
    batch("of a text id", run="no run", tags=[{"key": "t", "value": "x"}]),
    post("batch without a run", "runs/log-batch", {"tags": []}, says=True),
    post("batch by the old name of an id", "runs/log-batch", {"run_uuid": "$odd", "tags": []}),
    get("run with its batches", "runs/get", {"run_id": "$batch"}),
    get("history of a batch", "metrics/get-history", {"run_id": "$batch", "metric_key": "a"}),
    # Inputs and outputs
    post("run for inputs", "runs/create", {"experiment_id": "$exp", "run_name": "inputs", "start_time": 300}, save={"inputs": "run.info.run_id"}),
    *[
        post(f"inputs {name}", "runs/log-inputs", {"run_id": "$inputs" if name in GOOD_INPUTS else "$odd", **body})
        for name, body in {
            "": {"datasets": [dataset(tags=[{"key": "mlflow.data.context", "value": "train"}], schema="{}", profile="{}")]},
            "again": {"datasets": [dataset(tags=[{"key": "mlflow.data.context", "value": "train"}], schema="{}", profile="{}")]},
            "with another context": {"datasets": [dataset(tags=[{"key": "mlflow.data.context", "value": "eval"}])]},
            "without tags": {"datasets": [dataset("hops", "77")]},
            "of nothing": {},
            "of an empty list": {"datasets": []},
            "without a name": {"datasets": [{"dataset": {"digest": "1", "source_type": "code", "source": "{}"}}]},
            "without a digest": {"datasets": [{"dataset": {"name": "x", "source_type": "code", "source": "{}"}}]},
            "without a source": {"datasets": [{"dataset": {"name": "x", "digest": "1", "source_type": "code"}}]},
            "without a source type": {"datasets": [{"dataset": {"name": "x", "digest": "1", "source": "{}"}}]},
            "without a dataset": {"datasets": [{"tags": []}]},
            "of no list": {"datasets": "x"},
            "with a number for a name": {"datasets": [dataset(1)]},
            "with a name of 501": {"datasets": [dataset("n" * 501)]},
            "with a digest of 37": {"datasets": [dataset(digest="d" * 37)]},
            "with a tag twice": {"datasets": [dataset("twice", "1", tags=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}])]},
            "with a tag without a key": {"datasets": [dataset("keyless", "1", tags=[{"value": "1"}])]},
            "with a tag key of 256": {"datasets": [dataset("long", "1", tags=[{"key": "k" * 256, "value": "1"}])]},
            "with a tag of 501": {"datasets": [dataset("long", "2", tags=[{"key": "k", "value": "v" * 501}])]},
            "of a model that is none": {"models": [{"model_id": "m-" + NOBODY}]},
            "of a model without an id": {"models": [{}]},
        }.items()
    ],
    post("inputs without a run", "runs/log-inputs", {"datasets": []}, says=True),
    post("inputs of nobody", "runs/log-inputs", {"run_id": NOBODY, "datasets": [dataset()]}),
    get("run with its inputs", "runs/get", {"run_id": "$inputs"}),
    post("outputs of nothing", "runs/outputs", {"run_id": "$inputs"}),
    post("outputs of a model that is none", "runs/outputs", {"run_id": "$odd", "models": [{"model_id": "m-" + NOBODY, "step": 1}]}),
    post("outputs without a run", "runs/outputs", {"models": []}, says=True),
    # The old way to log a model
    post("run for models of the old way", "runs/create", {"experiment_id": "$exp", "run_name": "old way", "start_time": 301}, save={"old": "run.info.run_id"}),
    *[
        post(f"log-model {name}", "runs/log-model", {"run_id": "$old", **body})
        for name, body in {
            "": {"model_json": '{"artifact_path": "model", "flavors": {}, "utc_time_created": "2026-01-01 00:00:00", "run_id": "x"}'},
            "without a path": {"model_json": '{"flavors": {}, "utc_time_created": "2026-01-01 00:00:00", "run_id": "x"}'},
            "without JSON": {"model_json": "{"},
            "without anything": {},
            "of a list": {"model_json": "[]"},
        }.items()
    ],
    get("run with a model of the old way", "runs/get", {"run_id": "$old"}),
    *[
        post(f"datasets {name}", "/ajax-api/2.0/mlflow/experiments/search-datasets", body, says=True)
        for name, body in {
            "of nothing": {},
            "of no experiment": {"experiment_ids": []},
            "of one without any": {"experiment_ids": ["$exp2"]},
            "of too many": {"experiment_ids": ["1"] * 21},
        }.items()
    ],
]
