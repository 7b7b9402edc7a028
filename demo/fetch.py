"""Step 1: gets the samples, and sets some aside before anybody trains on them."""

import os
from pathlib import Path

from sklearn.model_selection import train_test_split

import cells


def split(samples, seed):
    """60 % to train with, 20 % to evaluate on, 20 % that stand for the patients of tomorrow."""
    train, rest = train_test_split(samples, test_size=0.4, stratify=samples[cells.LABEL], random_state=seed)
    evaluation, held_out = train_test_split(rest, test_size=0.5, stratify=rest[cells.LABEL], random_state=seed)
    return {"train": train, "evaluation": evaluation, "held_out": held_out}


def main():
    instrument, seed = os.environ["PARAM_INSTRUMENT"], int(os.environ["PARAM_SEED"])
    out = Path(os.environ["OUTPUT_SAMPLES"])
    out.mkdir()
    samples = cells.load()
    print(f"{len(samples)} samples, {samples[cells.LABEL].sum()} of them malignant, by the instrument {instrument}")
    for name, part in split(cells.measure(samples, instrument), seed).items():
        part.to_csv(out / f"{name}.csv", index=False)
        print(f"{name}: {len(part)} samples, {part[cells.LABEL].mean():.0%} malignant")
    # The same patients as the instrument shows them once it has been recalibrated.
    shifted = split(cells.measure(samples, "recalibrated"), seed)["held_out"]
    shifted.to_csv(out / "recalibrated.csv", index=False)


if __name__ == "__main__":
    main()
