"""A request as data, the two servers that answer it, and what is left of an answer when that is taken away in which the
two must differ: ids, the time, the roots of artifacts, names made up by chance."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

MLFLOW = Path.home() / ".cache/slipway/mlflow-server/bin/mlflow"


@dataclass(frozen=True)
class Case:
    """A request. A text `$name` in it stands for what an earlier one saved under this name."""

    name: str
    method: str
    # Below /api/2.0/mlflow, or from the root when it begins with a slash.
    path: str
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    # What is kept of the answer, by where it stands in it: {"run": "run.info.run_id"}. Of a root of files, `uri`, also what
    # its address is below `artifacts/`: `uriPath`.
    save: dict[str, str] = field(default_factory=dict)
    # Whether clients show the message, so that it must be MLflow's own.
    says: bool = False

    def __str__(self) -> str:
        sent = self.raw if self.raw is not None else "" if self.body is None else json.dumps(self.body)
        return f"{self.method} {self.path} {self.query or ''} {shortened(sent)}"


def post(name: str, path: str, body: Any = None, **more: Any) -> Case:
    return Case(name, "POST", path, {} if body is None and "raw" not in more else body, **more)


def patch(name: str, path: str, body: Any, **more: Any) -> Case:
    return Case(name, "PATCH", path, body, **more)


def delete(name: str, path: str, body: Any = None, **more: Any) -> Case:
    return Case(name, "DELETE", path, body, **more)


def get(name: str, path: str, query: dict[str, Any] | None = None, **more: Any) -> Case:
    return Case(name, "GET", path, query=query or {}, **more)


def put(name: str, path: str, raw: bytes, **more: Any) -> Case:
    return Case(name, "PUT", path, raw=raw, **more)


@dataclass(frozen=True)
class Answer:
    """What one server said."""

    status: int
    # JSON, or the text when it is none.
    body: Any
    # What was saved up to now, by name.
    saved: dict[str, str]
    headers: dict[str, str]

    @property
    def error_code(self) -> str | None:
        return self.body.get("error_code") if isinstance(self.body, dict) else None

    @property
    def code(self) -> str:
        """The status, and the code of an error."""
        return f"{self.status} {self.error_code}" if self.error_code else str(self.status)


class Asked:
    """One of the two servers, and what it was told to remember."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.saved: dict[str, str] = {}
        self.session = requests.Session()
        # Redirects and the environment's proxies are no part of this.
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def filled(self, value: Any) -> Any:
        """The value with `$name` replaced."""
        match value:
            case str():
                return re.sub(r"\$(\w+)", lambda found: self.saved.get(found[1], found[0]), value)
            case list():
                return [self.filled(each) for each in value]
            case dict():
                return {key: self.filled(each) for key, each in value.items()}
        return value

    def ask(self, case: Case) -> Answer:
        path = self.filled(case.path)
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        data, headers = case.raw, dict(case.headers)
        if data is None and case.body is not None:
            # As clients write it: also NaN, which is no JSON.
            data = json.dumps(self.filled(case.body)).encode()
            headers.setdefault("Content-Type", "application/json")
        elif data is not None:
            data = self.filled(data.decode("latin-1")).encode("latin-1")
        query = self.filled(case.query)
        try:
            answer = self.session.request(case.method, self.url + path, params=query, data=data, headers=headers, timeout=30)
        except requests.ConnectionError as error:
            return Answer(0, f"no answer: {error}", dict(self.saved), {})
        try:
            body = answer.json()
        except ValueError:
            body = answer.text
        for name, place in case.save.items():
            found = body
            for part in place.split("."):
                found = found[int(part)] if isinstance(found, list) else found.get(part, {})
            if isinstance(found, str):
                self.saved[name] = found
                # Where a root is in the API of files.
                if found.startswith("mlflow-artifacts:/"):
                    self.saved[f"{name}Path"] = found.removeprefix("mlflow-artifacts:/")
        return Answer(answer.status_code, body, dict(self.saved), {key.lower(): value for key, value in answer.headers.items()})


# "clumsy-whale-123"
MADE_UP = re.compile(r"[a-z]+-[a-z]+-\d{1,4}")
# Somewhere in MLflow's default root, or in ours.
ROOT = re.compile(r"mlflow-artifacts:/[^$'\"\s]*")
# An id that no later request speaks of. That of nobody is in requests.
ID = re.compile(r"\b(?!0{32})[0-9a-f]{32}\b")
# Lists of these have no order.
UNORDERED = {"tags": "key", "params": "key", "aliases": "alias", "latest_versions": "current_stage", "files": "path"}
HOUR = 3_600_000


def normal(answer: Answer, value: Any = ..., where: str = "") -> Any:
    """The body of an answer without what must differ."""
    value = answer.body if value is ... else value
    match value:
        case dict():
            # Newer servers of MLflow add these two to an error; no client reads them.
            shown = {key: each for key, each in value.items() if key not in ("sqlstate", "error_class")}
            return {key: normal(answer, each, key) for key, each in shown.items()}
        case list():
            items = [normal(answer, each, where) for each in value]
            key = UNORDERED.get(where)
            if where == "metrics" and len({item.get("key") for item in items}) == len(items):
                key = "key"
            return sorted(items, key=lambda item: str(item.get(key) if isinstance(item, dict) else item)) if key else items
        case bool():
            return value
        case int() | float():
            return "<now>" if abs(value - time.time() * 1000) < HOUR else value
        case str() if where == "next_page_token":
            return "<token>"
        case str() if where == "experiment_id" and value.isdecimal() and value not in answer.saved.values():
            # When one of the two refused to make an experiment, the next ones have other numbers.
            return "<number>"
        case str():
            return normal_text(answer, value, where)
    return value


def normal_text(answer: Answer, text: str, where: str) -> str:
    for name, saved in sorted(answer.saved.items(), key=lambda pair: -len(pair[1])):
        # A short one, an experiment's number, would be found in anything.
        if len(saved) > 8:
            text = text.replace(saved, f"${name}")
        elif where == "experiment_id" and text == saved:
            return f"${name}"
    if MADE_UP.fullmatch(text):
        return "<made up>"
    return ID.sub("<id>", ROOT.sub("mlflow-artifacts:…/", text))


@dataclass(frozen=True)
class Difference:
    """One place where two answers are not the same."""

    # As ".runs[0].info.status".
    path: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}: MLflow {shortened(self.theirs)}, Slipway {shortened(self.ours)}"

    def is_of(self, field: str, theirs: Any, ours: Any) -> bool:
        """Whether it is this field that differs in this way; `field` is how the path ends, without places in lists."""
        plain = re.sub(r"\[\d+\]", "", self.path)
        return plain.endswith(f".{field}") and (self.theirs, self.ours) == (theirs, ours)


NOTHING = "(nothing)"


def differences(theirs: Answer, ours: Answer, says: bool) -> list[Difference]:
    """In what two answers to one request differ; nothing when they are the same."""
    # Where MLflow answers with a page of its web server, a code is no difference.
    if theirs.status != ours.status or (theirs.error_code and theirs.error_code != ours.error_code):
        return [Difference("status", theirs.code, ours.code)]
    if theirs.status >= 400 and not says:
        # A message for people may be better than MLflow's, but it must be there.
        return [] if message(ours) else [Difference("message", message(theirs), message(ours))]
    return list(unlike("", normal(theirs), normal(ours)))


def message(answer: Answer) -> str:
    return answer.body.get("message", "") if isinstance(answer.body, dict) else str(answer.body)


def shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 600 else f"{text[:600]}…"


def unlike(path: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    match theirs, ours:
        case dict(), dict():
            for key in sorted({*theirs, *ours}):
                yield from unlike(f"{path}.{key}", theirs.get(key, NOTHING), ours.get(key, NOTHING))
        case list(), list() if len(theirs) == len(ours):
            for index, pair in enumerate(zip(theirs, ours)):
                yield from unlike(f"{path}[{index}]", *pair)
        case list(), list():
            # What only one of them found.
            names, others = [named(item) for item in theirs], [named(item) for item in ours]
            for index, (name, item) in enumerate(zip(names, theirs)):
                if name not in others:
                    yield Difference(f"{path}[{index}]", item, NOTHING)
                else:
                    yield from unlike(f"{path}[{index}]", item, ours[others.index(name)])
            for index, (name, item) in enumerate(zip(others, ours)):
                if name not in names:
                    yield Difference(f"{path}[{index}]", NOTHING, item)
        case _ if theirs != ours:
            yield Difference(path or "body", theirs, ours)


def named(item: Any) -> str:
    """What an item of a list goes by."""
    if not isinstance(item, dict):
        return str(item)
    item = item.get("info", item)
    ids = [item.get(key, "") for key in ("key", "run_name", "name", "version", "path", "step", "timestamp", "value")]
    return str(ids) if any(ids) else str(item)
