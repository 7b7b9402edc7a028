"""Logged models: create, read, finalize, delete, tags, params, search."""

from exchange import delete, get, patch, post

NOBODY = "m-" + "0" * 32


def create(case: str, /, **more) -> object:
    return post(f"logged model {case}", "logged-models", {"experiment_id": "$exp", **more})


def search(name: str, **more) -> object:
    whole = {"experiment_ids": ["$models"], "order_by": [{"field_name": "name", "ascending": True}]}
    return post(f"logged models {name}", "logged-models/search", {**whole, **more})


CASES = [
    post(
        "logged model create",
        "logged-models",
        {"experiment_id": "$exp", "name": "net", "model_type": "sklearn", "source_run_id": "$log", "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "x"}]},
        save={"model": "model.info.model_id", "modelUri": "model.info.artifact_uri"},
    ),
    get("logged model get", "logged-models/$model"),
    post("logged model create with nothing", "logged-models", {"experiment_id": "$exp"}, save={"bareModel": "model.info.model_id"}),
    get("logged model get of nothing but a model", "logged-models/$bareModel"),
    post("logged model create without an experiment", "logged-models", {"name": "x"}, says=True),
    create("in no experiment", experiment_id="99999"),
    create("in a text experiment", experiment_id="abc"),
    create("in a deleted experiment", experiment_id="$gone"),
    create("of a run that is none", name="orphan", source_run_id="0" * 32),
    create("with an empty name", name=""),
    *[create(f"named {str(name)[:20]!r}", name=name) for name in ["a/b", "a:b", "a.b", "a%b", "a'b", 'a"b', "a b", "é日本", " ", 1]],
    create("with a name of 500", name="n" * 500),
    create("with a name of 501", name="n" * 501),
    create("with a name that is taken", name="net"),
    create("with a param without a value", name="x", params=[{"key": "p"}]),
    create("with a param without a key", name="x", params=[{"value": "p"}]),
    create("with a param twice", name="x", params=[{"key": "p", "value": "1"}, {"key": "p", "value": "2"}]),
    create("with a wrong param", name="x", params=[{"key": "a@b", "value": "1"}]),
    create("with a wrong tag", name="x", tags=[{"key": "a@b", "value": "1"}]),
    create("with a tag twice", name="x", tags=[{"key": "p", "value": "1"}, {"key": "p", "value": "2"}]),
    create("with a long param", name="x", params=[{"key": "p", "value": "v" * 6001}]),
    create("with params that are no list", name="x", params="p"),
    # Finalize
    patch("logged model finalize", "logged-models/$model", {"model_id": "$model", "status": "LOGGED_MODEL_READY"}),
    patch("logged model finalize by number", "logged-models/$bareModel", {"model_id": "$bareModel", "status": 3}),
    patch("logged model finalize without an id in the body", "logged-models/$bareModel", {"status": 2}),
    patch("logged model finalize with a status nobody knows", "logged-models/$bareModel", {"model_id": "$bareModel", "status": "NOPE"}),
    patch("logged model finalize with a number nobody knows", "logged-models/$bareModel", {"model_id": "$bareModel", "status": 77}),
    patch("logged model finalize without a status", "logged-models/$model", {"model_id": "$model"}, says=True),
    patch("logged model finalize of nobody", f"logged-models/{NOBODY}", {"model_id": NOBODY, "status": 2}),
    patch("logged model finalize of two", "logged-models/$model", {"model_id": "$bareModel", "status": 2}),
    get("logged model get of nobody", f"logged-models/{NOBODY}"),
    get("logged model get of another form", "logged-models/model"),
    # Tags and params
    patch("logged model tags", "logged-models/$model/tags", {"model_id": "$model", "tags": [{"key": "t", "value": "y"}, {"key": "u", "value": "1"}]}),
    patch("logged model tags of nothing", "logged-models/$model/tags", {"model_id": "$model"}),
    patch("logged model tags with a wrong key", "logged-models/$bareModel/tags", {"model_id": "$bareModel", "tags": [{"key": "a@b", "value": "y"}]}),
    patch("logged model tags without a value", "logged-models/$model/tags", {"model_id": "$model", "tags": [{"key": "empty"}]}),
    patch("logged model tags of nobody", f"logged-models/{NOBODY}/tags", {"tags": [{"key": "t", "value": "y"}]}),
    delete("logged model tag deleted", "logged-models/$model/tags/u"),
    delete("logged model tag deleted twice", "logged-models/$model/tags/u"),
    delete("logged model tag deleted of nobody", f"logged-models/{NOBODY}/tags/u"),
    post("logged model params", "logged-models/$model/params", {"model_id": "$model", "params": [{"key": "q", "value": "2"}]}),
    post("logged model params again", "logged-models/$model/params", {"model_id": "$model", "params": [{"key": "q", "value": "2"}]}),
    post("logged model for params", "logged-models", {"experiment_id": "$exp", "name": "params", "params": [{"key": "q", "value": "2"}]}, save={"paramModel": "model.info.model_id"}),
    post("logged model params changed", "logged-models/$paramModel/params", {"model_id": "$paramModel", "params": [{"key": "q", "value": "3"}]}),
    get("logged model get of one whose params were changed", "logged-models/$paramModel"),
    post("logged model params without an id in the body", "logged-models/$bareModel/params", {"params": [{"key": "r", "value": "2"}]}),
    post("logged model params of nobody", f"logged-models/{NOBODY}/params", {"model_id": NOBODY, "params": []}),
    post("logged model params of nobody, one", f"logged-models/{NOBODY}/params", {"model_id": NOBODY, "params": [{"key": "r", "value": "2"}]}),
    get("logged model get with all of it", "logged-models/$model"),
    # In runs
    post("metric of a model", "runs/log-metric", {"run_id": "$log", "key": "of model", "value": 0.5, "timestamp": 1, "step": 3, "model_id": "$model", "dataset_name": "grapes", "dataset_digest": "4f1a"}),
    post("batch with a metric of a model", "runs/log-batch", {"run_id": "$log", "metrics": [{"key": "batched of model", "value": 2, "timestamp": 1, "step": 1, "model_id": "$model"}]}),
    get("history of a metric of a model", "metrics/get-history", {"run_id": "$log", "metric_key": "of model"}),
    post("logged model for what is no number", "logged-models", {"experiment_id": "$exp", "name": "nan"}, save={"nanModel": "model.info.model_id"}),
    post("metric of a model that is no number", "runs/log-metric", {"run_id": "$odd", "key": "nan", "value": "NaN", "timestamp": 1, "model_id": "$nanModel"}),
    get("logged model get with what is no number", "logged-models/$nanModel"),
    post("outputs of a model", "runs/outputs", {"run_id": "$inputs", "models": [{"model_id": "$model", "step": 4}]}),
    post("outputs of a model again", "runs/outputs", {"run_id": "$inputs", "models": [{"model_id": "$model", "step": 4}]}),
    post("outputs of a model at another step", "runs/outputs", {"run_id": "$inputs", "models": [{"model_id": "$model", "step": 5}]}),
    post("inputs of a model", "runs/log-inputs", {"run_id": "$inputs", "models": [{"model_id": "$model"}]}),
    get("run with models", "runs/get", {"run_id": "$inputs"}),
    get("logged model get with metrics", "logged-models/$model"),
    get("logged model artifacts", "logged-models/$model/artifacts/directories"),
    get("logged model artifacts outside", "logged-models/$model/artifacts/directories", {"artifact_directory_path": "../.."}),
    # Delete
    post("logged model to delete", "logged-models", {"experiment_id": "$exp", "name": "dead"}, save={"deadModel": "model.info.model_id"}),
    delete("logged model delete", "logged-models/$deadModel"),
    delete("logged model delete twice", "logged-models/$deadModel"),
    delete("logged model delete of nobody", f"logged-models/{NOBODY}"),
    get("logged model get of a deleted one", "logged-models/$deadModel"),
    get("logged model get of a deleted one that may be", "logged-models/$deadModel", {"allow_deleted": "true"}),
    # Search
    post("experiment of models", "experiments/create", {"name": "models"}, save={"models": "experiment_id"}),
    post("run of models", "runs/create", {"experiment_id": "$models", "run_name": "models", "start_time": 1}, save={"modelRun": "run.info.run_id"}),
]
for name, kind, params, tags, value in [
    ("alpha", "sklearn", {"depth": "3"}, {"team": "Cellar"}, 0.9),
    ("beta", "xgboost", {"depth": "10"}, {"team": "Cask", "a.b": "dot"}, 0.5),
    ("gamma", "", {}, {}, 0.7),
    ("delta", "sklearn", {}, {}, None),
]:
    pairs = lambda values: [{"key": key, "value": each} for key, each in values.items()]
    CASES += [
        post(f"logged model {name} create", "logged-models", {"experiment_id": "$models", "name": name, "model_type": kind, "source_run_id": "$modelRun", "params": pairs(params), "tags": pairs(tags)}, save={f"m_{name}": "model.info.model_id"}),
    ]
    if value is not None:
        CASES += [post(f"logged model {name} metric", "runs/log-metric", {"run_id": "$modelRun", "key": "acc", "value": value, "timestamp": 1, "step": 1, "model_id": f"$m_{name}", "dataset_name": "grapes" if name == "alpha" else "", "dataset_digest": "4f1a" if name == "alpha" else ""})]
CASES += [
    patch("logged model alpha ready", "logged-models/$m_alpha", {"model_id": "$m_alpha", "status": 2}),
    search("all"),
    search("without experiments", experiment_ids=[]),
    post("logged models of nothing said", "logged-models/search", {}, says=True),
    search("of an experiment that is none", experiment_ids=["99999"]),
    search("of a text experiment", experiment_ids=["abc"]),
    search("with 0", max_results=0),
    search("with -1", max_results=-1),
    *[search(f"with {most}", max_results=most) for most in [10_001, 2**31 - 1, 2**31]],
    search("with a wrong token", page_token="nonsense"),
    post("logged models, first page", "logged-models/search", {"experiment_ids": ["$models"], "order_by": [{"field_name": "name"}], "max_results": 3}, save={"lmPage": "next_page_token"}),
    post("logged models, second page", "logged-models/search", {"experiment_ids": ["$models"], "order_by": [{"field_name": "name"}], "max_results": 3, "page_token": "$lmPage"}),
    post("logged models, the token of another search", "logged-models/search", {"experiment_ids": ["$models"], "filter": "name = 'alpha'", "order_by": [{"field_name": "name"}], "max_results": 3, "page_token": "$lmPage"}),
    search("of a dataset", filter="metrics.acc > 0", datasets=[{"dataset_name": "grapes", "dataset_digest": "4f1a"}]),
    search("of a dataset by name alone", filter="metrics.acc > 0", datasets=[{"dataset_name": "grapes"}]),
    search("of a dataset nobody used", filter="metrics.acc > 0", datasets=[{"dataset_name": "hops"}]),
    search("of a dataset, whatever the metric", datasets=[{"dataset_name": "grapes", "dataset_digest": "4f1a"}]),
    search("of a dataset by name alone, whatever the metric", datasets=[{"dataset_name": "grapes"}]),
    search("of a dataset that another has, whatever the metric", filter="name = 'beta'", datasets=[{"dataset_name": "grapes", "dataset_digest": "4f1a"}]),
    search("of a dataset nobody used, whatever the metric", datasets=[{"dataset_name": "hops", "dataset_digest": "1"}]),
    search("of two datasets, whatever the metric", filter="params.depth = '3'", datasets=[{"dataset_name": "hops", "dataset_digest": "1"}, {"dataset_name": "grapes", "dataset_digest": "4f1a"}]),
    search("of a dataset without a name", datasets=[{"dataset_digest": "4f1a"}]),
    *[
        search(f"where {filter}", filter=filter)
        for filter in [
            "name = 'alpha'",
            "attributes.name = 'alpha'",
            "name != 'alpha'",
            "name LIKE '%ta'",
            "name ILIKE 'AL%'",
            "name IN ('alpha', 'beta')",
            "name NOT IN ('alpha')",
            "model_type = 'sklearn'",
            "model_id = '$m_alpha'",
            "status = 'READY'",
            "status = 'LOGGED_MODEL_READY'",
            "status = 'PENDING'",
            "status != 'READY'",
            "status LIKE 'R%'",
            "status ILIKE 'r%'",
            "experiment_id = '$models'",
            "experiment_id != '$models'",
            "experiment_id IN ('$models', '0')",
            "experiment_id NOT IN ('$models')",
            "source_run_id = '$modelRun'",
            "lifecycle_stage = 'active'",
            "lifecycle_stage != 'active'",
            "artifact_location LIKE '%/models/%'",
            "status_message = 'x'",
            "status_message != 'x'",
            "creation_timestamp > 0",
            "creation_time > 0",
            "last_updated_timestamp > 0",
            "last_updated_time > 0",
            "creation_timestamp > 'x'",
            "metrics.acc > 0.5",
            "metrics.acc <= 0.5",
            "metrics.acc != 0.5",
            "metrics.acc > 'x'",
            "params.depth = '3'",
            "params.depth != '3'",
            "params.depth LIKE '1%'",
            "params.depth IN ('3')",
            "params.depth > '3'",
            "params.depth = 3",
            "tags.team = 'Cellar'",
            "tags.team ILIKE 'c%'",
            "tags.`a.b` = 'dot'",
            "name = 'alpha' AND metrics.acc > 0.5",
            "name = 'alpha' OR name = 'beta'",
            "colour = 'red'",
            "name =",
            "name = alpha",
            "name > 'a'",
        ]
    ],
    search("by id, of one", order_by=[{"field_name": "model_id"}], filter="name = 'alpha'"),
    *[
        search(f"by {order}", order_by=order)
        for order in [
            [{"field_name": "name", "ascending": False}],
            [{"field_name": "name"}],
            [{"field_name": "metrics.acc"}],
            [{"field_name": "metrics.acc", "ascending": False}],
            [{"field_name": "metrics.acc", "dataset_name": "grapes", "dataset_digest": "4f1a"}],
            [{"field_name": "metrics.acc", "dataset_name": "grapes"}],
            [{"field_name": "metrics.acc", "dataset_digest": "4f1a"}],
            [{"field_name": "name", "dataset_name": "grapes"}],
            [{"field_name": "creation_timestamp"}],
            [{"field_name": "creation_time", "ascending": False}],
            [{"field_name": "last_updated_timestamp"}],
            [{"field_name": "status"}, {"field_name": "name"}],
            [{"field_name": "model_type"}, {"field_name": "name"}],
            [{"field_name": "name", "ascending": False}, {"field_name": "name"}],
            [{"field_name": "metrics.acc"}, {"field_name": "metrics.acc", "ascending": False}],
            [{"field_name": "experiment_id"}, {"field_name": "name"}],
            [{"field_name": "params.depth"}],
            [{"field_name": "colour"}],
            [{"ascending": True}],
            [],
            ["name"],
        ]
    ],
]

# Of two experiments, with and without a run that made them.
CASES += [
    post("experiment of models without runs", "experiments/create", {"name": "models without runs"}, save={"sources": "experiment_id"}),
    post("logged model without a run", "logged-models", {"experiment_id": "$sources", "name": "loose"}),
    post("logged model with a run", "logged-models", {"experiment_id": "$sources", "name": "made", "source_run_id": "$modelRun"}),
    *[
        search(f"with and without runs where {filter}", experiment_ids=["$sources"], filter=filter)
        for filter in [
            "source_run_id = ''",
            "source_run_id != ''",
            "source_run_id != 'x'",
            "source_run_id != '$modelRun'",
            "source_run_id LIKE '%'",
            "source_run_id NOT IN ('$modelRun')",
        ]
    ],
    *[
        search(f"of two experiments by {field}, {'up' if up else 'down'}", experiment_ids=["$models", "$sources"], order_by=[{"field_name": field, "ascending": up}, {"field_name": "name"}])
        for field in ["source_run_id", "experiment_id"]
        for up in [True, False]
    ],
    search("of two experiments where one is meant", experiment_ids=["$models", "$sources"], filter="experiment_id = '$sources'"),
]
