"""Step 1: gets the digits of tonight, as a version of the data set "digits".

Here they are the 1,797 handwritten digits that scikit-learn ships, 8 by 8 pixels each. This is the file to change for
digits of your own.
"""

import os
from pathlib import Path

from sklearn.datasets import load_digits


def main():
    digits = load_digits(as_frame=True).frame.astype(int).rename(columns={"target": "digit"})
    out = Path(os.environ["OUTPUT_DIGITS"])
    out.mkdir()
    digits.to_csv(out / "digits.csv", index=False)
    print(f"{len(digits)} digits of {len(digits.columns) - 1} pixels")


if __name__ == "__main__":
    main()
