"""The samples: 30 measurements of cell nuclei for each of 569 patients, and whether the cells were malignant.

The Breast Cancer Wisconsin (Diagnostic) data set, which scikit-learn ships.
"""

import pandas as pd
from sklearn.datasets import load_breast_cancer

LABEL = "malignant"

# What the recalibrated instrument shows, as a multiple of what it showed before: it enlarges by 15 %, so lengths grow
# by that and areas by its square; and it is sharper, so that contrast and every notch of an outline count for more.
ENLARGED = 1.15
RECALIBRATED = {
    "radius": ENLARGED,
    "perimeter": ENLARGED,
    "area": ENLARGED**2,
    "texture": 1.25,
    "smoothness": 1.2,
    "concavity": 1.3,
    "concave_points": 1.25,
}
# Ratios of lengths stay what they were.
UNCHANGED = ("compactness", "symmetry", "fractal_dimension")

INSTRUMENTS = ("as-delivered", "recalibrated")


def load() -> pd.DataFrame:
    """All samples as they were first measured, with the label as last column."""
    raw = load_breast_cancer(as_frame=True)
    samples = raw.data.rename(columns=lambda name: name.replace(" ", "_"))
    # The original calls malignant 0.
    return samples.assign(**{LABEL: raw.target == 0})


def measure(samples: pd.DataFrame, instrument: str) -> pd.DataFrame:
    """The same samples as this instrument shows them."""
    if instrument not in INSTRUMENTS:
        raise SystemExit(f"The param instrument is {instrument!r}; it can be {' or '.join(INSTRUMENTS)}.")
    if instrument == "as-delivered":
        return samples
    factors = {column: factor(column) for column in features(samples)}
    return samples.assign(**{column: samples[column] * by for column, by in factors.items()})


def features(samples: pd.DataFrame) -> pd.DataFrame:
    """The measurements alone, as the model takes them."""
    return samples.drop(columns=LABEL, errors="ignore").astype("float32")


def factor(column: str) -> float:
    """How much larger a measurement is on the recalibrated instrument."""
    quantity = column.removeprefix("mean_").removeprefix("worst_").removesuffix("_error")
    return RECALIBRATED.get(quantity, 1.0)
