"""Versions of registered models: create, read, update, delete, tags, aliases, stages."""

from exchange import delete, get, patch, post


OF_MODEL = {"source": "models:/$model", "model_id": "$model"}


def create(case: str, source: object = None, **more) -> object:
    of = OF_MODEL if source is None else {"source": source}
    return post(f"version {case}", "model-versions/create", {"name": "wine", **of, **more})


def stage(case: str, version: object, stage: object, **more) -> object:
    return post(f"stage {case}", "model-versions/transition-stage", {"name": "wine", "version": version, "stage": stage, **more})


CASES = [
    create("create of a logged model", description="first", tags=[{"key": "t", "value": "x"}]),
    create("create of a logged model again"),
    create("create of a run", "runs:/$files/model", run_id="$files", run_link="http://example.org/run"),
    create("create of a file's address", "$uri/model", run_id="$files"),
    # From here on some are made by one of the two alone, and numbers differ.
    post("model of odd versions", "registered-models/create", {"name": "odd wine"}),
    *[
        create(f"create {name}", source, name="odd wine", **more)
        for name, source, more in [
            ("with a tag twice", None, {"tags": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}),
            ("of a run without files", "runs:/$log/model", {"run_id": "$log"}),
            ("of a registered version", "models:/wine/1", {}),
            ("of a run without its id", "runs:/$files/model", {}),
            ("of a file's address without a run", "$uri/model", {}),
            ("of another run", "runs:/$files/model", {"run_id": "$log"}),
            ("of a run that is none", f"runs:/{'0' * 32}/model", {"run_id": "0" * 32}),
            ("of a model that is none", f"models:/m-{'0' * 32}", {"model_id": f"m-{'0' * 32}"}),
            ("of another model", None, {"model_id": "$bareModel"}),
            ("of a logged model by its source alone", "models:/$model", {}),
            ("of a bucket", "s3://bucket/model", {}),
            ("of a file", "file:///etc", {}),
            ("of a path", "/etc", {}),
            ("of an address", "http://example.org/model", {}),
            ("outside", "$uri/../../x", {"run_id": "$files"}),
            ("outside, written otherwise", "$uri/%2e%2e/%2e%2e/x", {"run_id": "$files"}),
            ("of an empty source", "", {}),
            ("with a number for a source", 1, {}),
            ("with a wrong tag", None, {"tags": [{"key": "a@b", "value": "x"}]}),
        ]
    ],
    post("version create without a source", "model-versions/create", {"name": "wine"}, says=True),
    post("version create without a name", "model-versions/create", {"source": "models:/$model"}, says=True),
    post("version create of no model", "model-versions/create", {"name": "none", **OF_MODEL}),
    get("version get", "model-versions/get", {"name": "wine", "version": "1"}),
    get("version get of a run", "model-versions/get", {"name": "wine", "version": "3"}),
    get("version get of nobody", "model-versions/get", {"name": "wine", "version": "99"}, says=True),
    get("version get of no model", "model-versions/get", {"name": "none", "version": "1"}),
    get("version get of 0", "model-versions/get", {"name": "wine", "version": "0"}),
    get("version get of -1", "model-versions/get", {"name": "wine", "version": "-1"}),
    get("version get of words", "model-versions/get", {"name": "wine", "version": "first"}),
    get("version get of a fraction", "model-versions/get", {"name": "wine", "version": "1.0"}),
    get("version get of 01", "model-versions/get", {"name": "wine", "version": "01"}),
    get("version get without a version", "model-versions/get", {"name": "wine"}, says=True),
    get("version get without a name", "model-versions/get", {"version": "1"}, says=True),
    post("version with a number for a version", "model-versions/set-tag", {"name": "wine", "version": 1, "key": "a", "value": "b"}, says=True),
    get("version download uri", "model-versions/get-download-uri", {"name": "wine", "version": "1"}),
    get("version download uri of nobody", "model-versions/get-download-uri", {"name": "wine", "version": "99"}),
    patch("version update", "model-versions/update", {"name": "wine", "version": "1", "description": "better"}),
    patch("version update with nothing", "model-versions/update", {"name": "wine", "version": "1"}),
    patch("version update of nobody", "model-versions/update", {"name": "wine", "version": "99", "description": "x"}),
    patch("version update without a version", "model-versions/update", {"name": "wine", "description": "x"}, says=True),
    # Tags
    post("version tag", "model-versions/set-tag", {"name": "wine", "version": "1", "key": "t", "value": "1"}),
    post("version tag without a value", "model-versions/set-tag", {"name": "wine", "version": "1", "key": "empty"}),
    post("version tag without a key", "model-versions/set-tag", {"name": "wine", "version": "1", "value": "1"}, says=True),
    post("version tag without a version", "model-versions/set-tag", {"name": "wine", "key": "t", "value": "1"}, says=True),
    post("version tag with a wrong key", "model-versions/set-tag", {"name": "wine", "version": "1", "key": "a@b", "value": "1"}),
    post("version tag of nobody", "model-versions/set-tag", {"name": "wine", "version": "99", "key": "t", "value": "1"}),
    delete("version tag deleted", "model-versions/delete-tag", {"name": "wine", "version": "1", "key": "empty"}),
    delete("version tag deleted twice", "model-versions/delete-tag", {"name": "wine", "version": "1", "key": "empty"}),
    delete("version tag deleted of nobody", "model-versions/delete-tag", {"name": "wine", "version": "99", "key": "t"}),
    get("version get with its tags", "model-versions/get", {"name": "wine", "version": "1"}),
    # Aliases
    post("alias set", "registered-models/alias", {"name": "wine", "alias": "best", "version": "1"}),
    post("alias set again", "registered-models/alias", {"name": "wine", "alias": "best", "version": "1"}),
    post("alias moved", "registered-models/alias", {"name": "wine", "alias": "best", "version": "2"}),
    post("alias of another", "registered-models/alias", {"name": "wine", "alias": "Best", "version": "1"}),
    post("alias of a protected environment", "registered-models/alias", {"name": "odd wine", "alias": "production", "version": "1"}),
    *[post(f"alias named {alias!r}", "registered-models/alias", {"name": "odd wine", "alias": alias, "version": "1"}) for alias in ["latest", "LATEST", "v1", "V12", "version1", "1", "a b", "a/b", "a.b", "é", "a-b_c"]],
    post("alias with a name of 255", "registered-models/alias", {"name": "odd wine", "alias": "a" * 255, "version": "1"}),
    post("alias with a name of 256", "registered-models/alias", {"name": "odd wine", "alias": "a" * 256, "version": "1"}),
    post("alias without a name", "registered-models/alias", {"name": "wine", "version": "1"}, says=True),
    post("alias without a version", "registered-models/alias", {"name": "wine", "alias": "x"}, says=True),
    post("alias of a version that is none", "registered-models/alias", {"name": "wine", "alias": "x", "version": "99"}),
    post("alias of a version of words", "registered-models/alias", {"name": "wine", "alias": "x", "version": "first"}),
    post("alias of no model", "registered-models/alias", {"name": "none", "alias": "x", "version": "1"}),
    get("alias get", "registered-models/alias", {"name": "wine", "alias": "best"}),
    get("alias get of latest", "registered-models/alias", {"name": "wine", "alias": "latest"}),
    get("alias get of none", "registered-models/alias", {"name": "wine", "alias": "none"}, says=True),
    get("alias get of no model", "registered-models/alias", {"name": "none", "alias": "best"}),
    get("alias get without one", "registered-models/alias", {"name": "wine"}, says=True),
    delete("alias deleted", "registered-models/alias", {"name": "wine", "alias": "best"}),
    delete("alias deleted twice", "registered-models/alias", {"name": "wine", "alias": "best"}),
    delete("alias deleted of no model", "registered-models/alias", {"name": "none", "alias": "best"}),
    get("model get with aliases", "registered-models/get", {"name": "wine"}),
    # Stages
    stage("none to archived", "1", "Archived"),
    stage("in small letters", "1", "archived"),
    stage("to none", "1", "None"),
    stage("that nobody knows", "1", "Testing"),
    stage("of nobody", "99", "Archived"),
    stage("to staging", "1", "Staging", name="odd wine"),
    stage("to production", "1", "Production", name="odd wine"),
    stage("archiving others", "1", "Archived", archive_existing_versions=True),
    stage("with a text for true", "1", "Archived", archive_existing_versions="true"),
    post("stage without a stage", "model-versions/transition-stage", {"name": "wine", "version": "1"}, says=True),
    post("stage without a version", "model-versions/transition-stage", {"name": "wine", "stage": "Archived"}, says=True),
    post("latest versions", "registered-models/get-latest-versions", {"name": "wine"}),
    get("latest versions by GET", "registered-models/get-latest-versions", {"name": "wine"}),
    post("latest versions of stages", "registered-models/get-latest-versions", {"name": "wine", "stages": ["Archived", "None"]}),
    post("latest versions of a stage in small letters", "registered-models/get-latest-versions", {"name": "wine", "stages": ["archived"]}),
    post("latest versions of a stage nobody knows", "registered-models/get-latest-versions", {"name": "wine", "stages": ["Testing"]}),
    post("latest versions of nobody", "registered-models/get-latest-versions", {"name": "none"}),
    post("latest versions without a name", "registered-models/get-latest-versions", {}, says=True),
    # What a registered model's model says of it
    get("logged model with its versions", "logged-models/$model"),
    # Delete
    create("create to delete"),
    post("alias of a version to delete", "registered-models/alias", {"name": "wine", "alias": "doomed", "version": "4"}),
    delete("version delete", "model-versions/delete", {"name": "wine", "version": "4"}),
    delete("version delete twice", "model-versions/delete", {"name": "wine", "version": "4"}),
    delete("version delete of words", "model-versions/delete", {"name": "wine", "version": "first"}),
    delete("version delete without a version", "model-versions/delete", {"name": "wine"}, says=True),
    get("version get of a deleted one", "model-versions/get", {"name": "wine", "version": "4"}),
    get("alias get of a deleted version", "registered-models/alias", {"name": "wine", "alias": "doomed"}),
    create("create after a deletion"),
    get("model get after all", "registered-models/get", {"name": "wine"}),
]
