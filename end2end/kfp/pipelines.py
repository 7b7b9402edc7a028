"""Pipelines of Kubeflow Pipelines, which its own compiler writes into files:

    ~/.cache/slipway/python-test/bin/python end2end/kfp/pipelines.py crates/kfp/fixtures

Run it when the version of kfp changes, and commit what it writes. Their Python needs kfp where it runs, and takes nothing
from the network.
"""

import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

from kfp import compiler, dsl
from kfp.dsl import Artifact, Dataset, Input, Metrics, Model, Output

IMAGE = "python:3.12-slim"


def component(function):
    """A component of this function."""
    return dsl.component(function, base_image=IMAGE, install_kfp_package=False)


# Containers: every placeholder that a command may have.
@dsl.container_component
def shout(
    text: str,
    times: int,
    said: dsl.OutputPath(str),
    numbers: dsl.OutputPath(list),
    paper: Output[Artifact],
    tail: str = None,
):
    return dsl.ContainerSpec(
        image="alpine:3.20",
        command=[
            "sh",
            "-ec",
            'printf %s "$0" > "$1"; echo "[$2, 2]" > "$3"; paper=$4; shift 4; mkdir "$paper"; printf "%s\\n" "$@" > "$paper/words"',
        ],
        args=[
            text,
            said,
            times,
            numbers,
            paper.path,
            dsl.IfPresentPlaceholder(input_name="tail", then=["--tail", tail], else_=["--none"]),
            dsl.ConcatPlaceholder(["<", text, ">"]),
        ],
    )


@dsl.container_component
def read(paper: Input[Artifact], words: dsl.OutputPath(str), whole: dsl.OutputPath(dict)):
    return dsl.ContainerSpec(
        image="alpine:3.20",
        command=["sh", "-ec", 'cat "$0/words" > "$1"; printf %s "$2" > "$3"', paper.path, words],
        args=[dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER, whole],
    )


@dsl.pipeline(name="containers", description="Commands in containers.")
def containers(text: str = "it's \"quoted\" $HOME"):
    said = shout(text=text, times=3)
    shout(text=said.outputs["said"], times=4, tail="end")
    read(paper=said.outputs["paper"])


# Functions of Python: values of every type.
@component
def all_types(
    text: str,
    whole: int,
    number: float,
    flag: bool,
    items: List[str],
    fields: Dict[str, int],
    default: str = "as written",
) -> NamedTuple(
    "Outputs", [("text", str), ("whole", int), ("number", float), ("flag", bool), ("items", list), ("fields", dict)]
):
    from collections import namedtuple

    assert (type(text), type(whole), type(number), type(flag)) == (str, int, float, bool), locals()
    assert default == "as written", default
    outputs = namedtuple("Outputs", ["text", "whole", "number", "flag", "items", "fields"])
    return outputs(text.upper(), whole + 1, number * 2, not flag, items + ["more"], dict(fields, more=1))


@component
def describe(given: dict, words: str, note: Optional[str] = None) -> str:
    return f"{words} {sorted(given)}" + (f" ({note})" if note is not None else "")


@dsl.pipeline(name="values", description="Values of every type.")
def values(
    text: str = "a text",
    whole: int = 41,
    number: float = 2,
    flag: bool = False,
    items: List[str] = ["x", "y"],
    fields: Dict[str, int] = {"k": 1},
    note: Optional[str] = None,
) -> str:
    first = all_types(text=text, whole=whole, number=number, flag=flag, items=items, fields=fields)
    second = all_types(
        text=first.outputs["text"],
        whole=first.outputs["whole"],
        number=first.outputs["number"],
        flag=first.outputs["flag"],
        items=first.outputs["items"],
        fields=first.outputs["fields"],
    )
    words = f"{first.outputs['whole']} of {text}:"
    return describe(given=second.outputs["fields"], words=words, note=note).output


# Artifacts with metadata, one and many.
@component
def prepare(rows: int, data: Output[Dataset]):
    with open(data.path, "w") as file:
        file.write("row\n" * rows)
    data.metadata["rows"] = rows


@component
def train(data: Input[Dataset], model: Output[Model], metrics: Output[Metrics]) -> float:
    with open(data.path) as file:
        lines = len(file.readlines())
    assert lines == data.metadata["rows"], data.metadata
    model.metadata["framework"] = "none"
    import os

    os.mkdir(model.path)
    with open(os.path.join(model.path, "weights"), "w") as file:
        file.write(str(lines))
    metrics.log_metric("accuracy", 0.9)
    return 0.9


@component
def evaluate(model: Input[Model], metrics: Input[Metrics], all: Input[List[Dataset]]) -> dict:
    with open(model.path + "/weights") as file:
        weights = file.read()
    texts = [open(data.path).read() for data in all]
    return {
        "weights": weights,
        "framework": model.framework,
        "accuracy": metrics.metadata["accuracy"],
        "rows": [data.metadata["rows"] for data in all],
        "lines": [text.count("\n") for text in texts],
    }


@dsl.pipeline(name="artifacts")
def artifacts(rows: int = 5):
    data = prepare(rows=rows)
    trained = train(data=data.outputs["data"])
    trained.set_display_name("Train a model").set_cpu_limit("500m").set_memory_limit("1Gi")
    with dsl.ParallelFor([1, 2, 3], parallelism=2) as count:
        many = prepare(rows=count)
    evaluate(
        model=trained.outputs["model"], metrics=trained.outputs["metrics"], all=dsl.Collected(many.outputs["data"])
    )


# Conditions.
@component
def score(value: float) -> float:
    return value


@component
def say(text: str) -> str:
    print(text)
    return text


@dsl.pipeline(name="conditions")
def conditions(value: float = 0.7, who: str = "good"):
    scored = score(value=value)
    with dsl.If(scored.output > 0.9, name="great"):
        great = say(text="great")
    with dsl.Elif(scored.output > 0.5, name="good"):
        good = say(text="good")
        with dsl.If(good.output == who):
            say(text=f"as {who} as said")
    with dsl.Else():
        bad = say(text="bad")
    say(text=dsl.OneOf(great.output, good.output, bad.output))
    with dsl.If(who == "nobody"):
        say(text="never")


# Loops.
@component
def count(to: int) -> List[int]:
    return list(range(to))


@component
def pair(left: int, right: str) -> str:
    return f"{left}{right}"


@component
def join(texts: List[str]) -> str:
    return " ".join(texts)


@dsl.pipeline(name="loops")
def loops(to: int = 2, letters: List[str] = ["a", "b"]):
    numbers = count(to=to)
    with dsl.ParallelFor(numbers.output, parallelism=2) as number:
        with dsl.ParallelFor(letters) as letter:
            pair(left=number, right=letter)
    with dsl.ParallelFor([{"n": 1, "s": 4}, {"n": 2, "s": 5}]) as item:
        counted = count(to=item.n)
    with dsl.ParallelFor(letters) as letter:
        texts = say(text=f"<{letter}>")
    join(texts=dsl.Collected(texts.output))
    say(text=str(counted is not None))


# What runs in the end.
@component
def fail(text: str):
    raise RuntimeError(text)


@component
def account(status: dsl.PipelineTaskFinalStatus, who: str = "nobody") -> dict:
    return {"state": status.state, "message": status.error_message, "task": status.pipeline_task_name, "who": who}


@dsl.pipeline(name="endings")
def endings(who: str = "World"):
    last = account(who=who)
    with dsl.ExitHandler(last, name="guarded"):
        said = say(text=who)
        fail(text=said.output)


@dsl.pipeline(name="good-endings")
def good_endings(who: str = "World"):
    last = account()
    with dsl.ExitHandler(last):
        say(text=who)
    say(text="beside it")


# Retries.
@component
def flaky(text: str) -> str:
    import os

    if os.environ["SLIPWAY_ATTEMPT"] == "1":
        raise RuntimeError("the first try fails")
    return text + os.environ["GREETING"]


@dsl.pipeline(name="retries")
def retries():
    flaky(text="again").set_retry(2, "1s", 1.5, "60s").set_env_variable("GREETING", "!").set_caching_options(False)


# Pipelines in pipelines.
@dsl.pipeline
def inner(text: str = "nobody", times: int = 2) -> str:
    said = say(text=f"<{text}>")
    count(to=times)
    return said.output


@dsl.pipeline(name="nested")
def nested(who: str = "World"):
    first = inner(text=who)
    second = inner(text=f"{first.output}, {who}", times=1).after(first)
    say(text=second.output)


PIPELINES = [containers, values, artifacts, conditions, loops, endings, good_endings, retries, nested]


def compile_all(folder: Path) -> list[Path]:
    """Compiles each into a file, and gives these."""
    paths = [folder / f"{pipeline.name}.yaml" for pipeline in PIPELINES]
    for pipeline, path in zip(PIPELINES, paths):
        compiler.Compiler().compile(pipeline, str(path))
    return paths


if __name__ == "__main__":
    compile_all(Path(sys.argv[1]))
