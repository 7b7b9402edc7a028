"""The same requests to MLflow's own server and to ours: the status, the code of an error and the body must be the same, save
what DIFFERENT_ON_PURPOSE lists, which is what docs/mlflow.md says, and what DEFECTS lists, which is to be mended. An entry that
is no longer true fails as well.

To add a request, add a line to a list in cases/."""

import pytest

from cases import CASES
from exchange import MLFLOW, differences, shortened
from known import DELIBERATE, FIELDS_ON_PURPOSE, KNOWN_DEFECTS, KNOWN_FIELDS
from program import CHECKOUT

if not MLFLOW.exists():
    pytest.skip("MLflow's server is not installed: make test-mlflow", allow_module_level=True)

NAMES = [case.name for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_both_answer_the_same(case, answers):
    theirs, ours = answers[case.name]
    found = [difference for difference in differences(theirs, ours, case.says) if field_of(difference) is None]
    shown = f"{case}\nMLflow  {said(theirs)}\nSlipway {said(ours)}\n" + "\n".join(map(str, found))
    # Whatever is asked, nothing here breaks: clients repeat a 5xx for minutes.
    if ours.status >= 500 and ours.status != 501:
        pytest.fail(shown, pytrace=False)
    if case.name in KNOWN_DEFECTS:
        if not found:
            pytest.fail(f"This defect is mended: take it out of DEFECTS.\n{shown}", pytrace=False)
        pytest.xfail(f"{KNOWN_DEFECTS[case.name]}\n{shown}")
    if case.name in DELIBERATE:
        row, expected = DELIBERATE[case.name]
        if not found or ours.code != expected:
            pytest.fail(f"This is to differ ({row}), with {expected} of ours. See docs/mlflow.md.\n{shown}", pytrace=False)
    elif found:
        pytest.fail(shown, pytrace=False)


def said(answer):
    return f"{answer.code} {shortened(answer.body)}"


def field_of(difference):
    """The entry of KNOWN_FIELDS that is this difference."""
    return next((field for field in KNOWN_FIELDS if difference.is_of(*field)), None)


def test_each_field_that_is_known_to_differ_does(answers):
    cases = {case.name: case for case in CASES}
    found = [each for name, pair in answers.items() for each in differences(*pair, cases[name].says)]
    mended = [field for field in KNOWN_FIELDS if not any(difference.is_of(*field) for difference in found)]
    assert not mended, "These fields are the same now: take them out of KNOWN_FIELDS."


def test_each_name_is_given_once():
    assert sorted({*NAMES}) == sorted(NAMES)
    assert {*DELIBERATE, *KNOWN_DEFECTS} <= {*NAMES}, {*DELIBERATE, *KNOWN_DEFECTS} - {*NAMES}
    assert not {*DELIBERATE} & {*KNOWN_DEFECTS}


@pytest.mark.parametrize("row", sorted({row for row, _ in DELIBERATE.values()} | {*FIELDS_ON_PURPOSE}))
def test_what_differs_is_documented(row):
    assert row in (CHECKOUT / "docs/mlflow.md").read_text(encoding="utf-8")
