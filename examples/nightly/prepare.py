"""Step 2: refuses digits that nobody should learn from, and sets a fifth of the others aside to measure on."""

import os
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

DARKEST = 16
LEAST = 1000


def problems(digits):
    """What is wrong with the digits, a sentence each."""
    found = []
    if len(digits) < LEAST:
        found.append(f"There are {len(digits)} digits; at least {LEAST} are needed.")
    if empty := int(digits.isna().sum().sum()):
        found.append(f"{empty} values are missing.")
    pixels = digits.drop(columns="digit")
    if not pixels.stack().between(0, DARKEST).all():
        found.append(f"A pixel is not between 0 and {DARKEST}.")
    if missing := set(range(10)) - set(digits["digit"]):
        found.append(f"There is no example of {', '.join(map(str, sorted(missing)))}.")
    return found


def main():
    digits = pd.read_csv(Path(os.environ["INPUT_DIGITS"]) / "digits.csv")
    if found := problems(digits):
        raise SystemExit("\n".join(found))
    seed = int(os.environ["SLIPWAY_SEED"])
    train, evaluation = train_test_split(digits, test_size=0.2, stratify=digits["digit"], random_state=seed)
    out = Path(os.environ["OUTPUT_PARTS"])
    out.mkdir()
    for name, part in {"train": train, "evaluation": evaluation}.items():
        # The number of a row names it, so that two models can be compared digit by digit.
        part.to_csv(out / f"{name}.csv", index_label="row_id")
        print(f"{name}: {len(part)} digits")


if __name__ == "__main__":
    main()
