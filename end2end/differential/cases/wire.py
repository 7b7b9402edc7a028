"""How requests are written: bodies, their types, addresses, methods."""

from exchange import Case, delete, get, patch, post

JSON = {"Content-Type": "application/json"}
GET_RUN = "/api/2.0/mlflow/runs/get?run_id=$log"

CASES = [
    post("an empty body", "experiments/create", raw=b"", headers=JSON, says=True),
    post("a body of spaces", "experiments/create", raw=b"  ", headers=JSON, says=True),
    post("a body that is no JSON", "experiments/create", raw=b"{", headers=JSON),
    post("a body of null", "experiments/create", raw=b"null", headers=JSON, says=True),
    post("a body that is a list", "experiments/create", raw=b"[]", headers=JSON),
    post("a body that is a number", "experiments/create", raw=b"7", headers=JSON),
    post("a body that is a text", "experiments/create", raw=b'"x"', headers=JSON),
    post("a body without a type", "experiments/create", raw=b'{"name": "typeless"}', says=True),
    post("a body of another type", "experiments/create", raw=b'{"name": "plain"}', headers={"Content-Type": "text/plain"}, says=True),
    post("a form", "experiments/create", raw=b"name=form", headers={"Content-Type": "application/x-www-form-urlencoded"}, says=True),
    post("a type with a charset", "experiments/create", raw=b'{"name": "charset"}', headers={"Content-Type": "application/json; charset=utf-8"}),
    post("a type in capitals", "experiments/create", raw=b'{"name": "capitals"}', headers={"Content-Type": "Application/JSON"}),
    post("a body that is no UTF-8", "experiments/create", raw=b'{"name": "\xff"}', headers=JSON),
    post("a NUL in a text", "experiments/create", {"name": "a\0b"}),
    post("half of a surrogate pair", "experiments/create", raw=b'{"name": "\\ud800"}', headers=JSON),
    post("a key twice in a body", "experiments/create", raw=b'{"name": "twice one", "name": "twice two"}', headers=JSON, save={"twice": "experiment_id"}),
    get("which of a key twice counts", "experiments/get", {"experiment_id": "$twice"}),
    post("a body with NaN", "runs/log-metric", raw=b'{"run_id": "$log", "key": "bare", "value": NaN, "timestamp": 1}', headers=JSON),
    post("a query with a POST", "/api/2.0/mlflow/experiments/create?name=query", raw=b"", headers=JSON, says=True),
    Case("a GET with a body", "GET", "experiments/get", {"experiment_id": "0"}),
    get("a GET with a value twice", f"{GET_RUN}&run_id={'0' * 32}"),
    get("a GET below ajax-api", "/ajax-api/2.0/mlflow/experiments/get", {"experiment_id": "0"}),
    get("a GET below api 3.0", "/api/3.0/mlflow/experiments/get", {"experiment_id": "0"}),
    get("a GET below the old preview", "/api/2.0/preview/mlflow/experiments/get", {"experiment_id": "0"}),
    get("an address that is none", "/api/2.0/mlflow/experiments/fly"),
    get("an address with a slash at its end", "/api/2.0/mlflow/experiments/get/", {"experiment_id": "0"}),
    get("the old list of experiments", "/api/2.0/mlflow/experiments/list"),
    delete("a method that is none", "experiments/create", {"name": "x"}),
    patch("another method that is none", "runs/update", {"run_id": "$log"}),
    get("traces", "traces", {"experiment_ids": ["0"]}),
    post("traces of 3.0", "/api/3.0/mlflow/traces/search", {"locations": []}),
    get("webhooks", "webhooks"),
    get("the version", "/version"),
    get("the health", "/health"),
    post("both spellings in an object inside", "runs/outputs", {"run_id": "$log", "models": [{"model_id": "a", "modelId": "b"}]}, says=True),
    post("both spellings, the same", "runs/search", {"experiment_ids": ["$exp"], "experimentIds": ["$exp"]}, says=True),
    post("objects in camel case", "runs/log-inputs", {"runId": "$log", "datasets": [{"dataset": {"name": "c", "digest": "1", "sourceType": "code", "source": "{}"}}]}),
    post("a deep body", "experiments/create", raw=b'{"name": ' + b"[" * 200 + b"]" * 200 + b"}", headers=JSON),
]
