"""Finding registered models and versions."""

from exchange import get, post

IS_PROMPT = "mlflow.prompt.is_prompt"


def tagged(value: str) -> list[dict[str, str]]:
    return [{"key": IS_PROMPT, "value": value}]


CASES = [
    post("search model one", "registered-models/create", {"name": "search one", "tags": [{"key": "team", "value": "Cellar"}]}),
    post("search model two", "registered-models/create", {"name": "Search_two", "tags": [{"key": "team", "value": "cask"}, {"key": "a.b", "value": "dot"}]}),
    post("search version one", "model-versions/create", {"name": "search one", "source": "runs:/$files/model", "run_id": "$files", "tags": [{"key": "ok", "value": "Yes"}]}),
    post("search version two", "model-versions/create", {"name": "search one", "source": "models:/$model", "model_id": "$model", "tags": [{"key": "ok", "value": "no"}]}),
    post("search version three", "model-versions/create", {"name": "Search_two", "source": "models:/$model", "model_id": "$model"}),
    get("models all", "registered-models/search"),
    get("models, first page", "registered-models/search", {"max_results": "2"}, save={"rmPage": "next_page_token"}),
    get("models, second page", "registered-models/search", {"max_results": "2", "page_token": "$rmPage"}),
    *[get(f"models with {most}", "registered-models/search", {"max_results": most}) for most in ["0", "-1", "1000", "1001", "many"]],
    get("models with a wrong token", "registered-models/search", {"page_token": "nonsense"}),
    *[
        get(f"models where {filter}", "registered-models/search", {"filter": filter})
        for filter in [
            "name = 'search one'",
            "name != 'search one'",
            "name LIKE 'Search%'",
            "name LIKE 'search%'",
            "name ILIKE 'SEARCH%'",
            "name LIKE '%h_one'",
            "name ILIKE '%\\_two'",
            "name IN ('wine', 'search one')",
            "attribute.name = 'wine'",
            "tags.team = 'Cellar'",
            "tag.team != 'Cellar'",
            "tags.team LIKE 'C%'",
            "tags.team ILIKE 'C%'",
            "tags.`a.b` = 'dot'",
            "tags.team IS NULL",
            "name LIKE 'search%' AND tags.team = 'Cellar'",
            "name = 'wine' OR name = 'search one'",
            "tags.`mlflow.prompt.is_prompt` = 'true'",
            "tags.`mlflow.prompt.is_prompt` != 'true'",
            "tag.`mlflow.prompt.is_prompt` = 'false'",
            "name = 'greet'",
            "name = 'greet' AND tags.`mlflow.prompt.is_prompt` = 'true'",
            "colour = 'red'",
            "name = 1",
            "name > 'a'",
            "name =",
            "version = 1",
        ]
    ],
    *[
        get(f"models by {order}", "registered-models/search", {"order_by": order, "filter": "name ILIKE 'search%'"})
        for order in [["name"], ["name DESC"], ["timestamp"], ["last_updated_timestamp DESC"], ["creation_timestamp"], ["colour"], ["name", "name"], ["name SIDEWAYS"]]
    ],
    get("versions all", "model-versions/search", {"order_by": ["name", "version_number"]}),
    get("versions, first page", "model-versions/search", {"max_results": "2", "order_by": ["name"]}, save={"mvPage": "next_page_token"}),
    get("versions, second page", "model-versions/search", {"max_results": "2", "order_by": ["name"], "page_token": "$mvPage"}),
    *[get(f"versions with {most}", "model-versions/search", {"max_results": most, "filter": "name = 'search one'"}) for most in ["0", "-1", "10000", "200000", "200001", "many"]],
    get("versions with a wrong token", "model-versions/search", {"page_token": "nonsense"}),
    *[
        get(f"versions where {filter}", "model-versions/search", {"filter": filter, "order_by": ["name", "version_number"]})
        for filter in [
            "name = 'search one'",
            "name != 'wine'",
            "name LIKE 'search%'",
            "name ILIKE 'search%'",
            "name IN ('search one')",
            "run_id = '$files'",
            "run_id IN ('$files', 'x')",
            "run_id IN ()",
            "run_id != '$files'",
            "run_id LIKE '%'",
            "source_path = 'models:/$model'",
            "source_path LIKE 'runs:%'",
            "version_number = 1",
            "version_number > 1",
            "version_number >= 1 AND name = 'search one'",
            "version_number != 1 AND name = 'search one'",
            "version_number = '1'",
            "version_number = 1.5",
            "version_number LIKE '1'",
            "tags.ok = 'Yes'",
            "tags.ok LIKE 'y%'",
            "tags.ok ILIKE 'y%'",
            "tags.ok != 'Yes'",
            "tags.ok IS NULL",
            "name = 'greet'",
            "tags.`mlflow.prompt.is_prompt` = 'true'",
            "status = 'READY'",
            "current_stage = 'None'",
            "name = 'search one' OR name = 'wine'",
            "colour = 'red'",
        ]
    ],
    *[
        get(f"versions by {order}", "model-versions/search", {"order_by": order, "filter": "name ILIKE 'search%'"})
        for order in [["name DESC", "version_number DESC"], ["version_number", "name"], ["creation_timestamp", "name", "version_number"], ["last_updated_timestamp"], ["colour"], ["name", "name"]]
    ],
]

# What is a prompt: a model by its own tag, versions by theirs.
CASES += [
    post("model whose version is a prompt", "registered-models/create", {"name": "mixed"}),
    post("version that is a prompt, of a model that is none", "model-versions/create", {"name": "mixed", "source": "dummy-source", "tags": tagged("true")}),
    post("version beside one that is a prompt", "model-versions/create", {"name": "mixed", "source": "models:/$model", "model_id": "$model"}),
    post("model that is a prompt", "registered-models/create", {"name": "outer", "tags": tagged("true")}),
    post("version that is none, of a prompt", "model-versions/create", {"name": "outer", "source": "models:/$model", "model_id": "$model"}),
    post("model that is a prompt in capitals", "registered-models/create", {"name": "loud", "tags": tagged("TRUE")}),
    *[
        get(f"{what}: {name} {comparison}".strip(), f"{path}/search", {"filter": f"name = '{name}'" + (f" AND tags.`{IS_PROMPT}` {comparison}" if comparison else "")})
        for what, path, all_names in [("models", "registered-models", ["mixed", "outer", "loud"]), ("versions", "model-versions", ["mixed", "outer"])]
        for name in all_names
        for comparison in ["", "= 'true'", "!= 'true'", "= 'TRUE'", "= 'false'", "!= 'false'"]
    ],
]
