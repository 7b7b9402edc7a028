"""Prints the pipeline's file with the scripts and the notebook in it, as Slipway takes it.

    python bundle.py | slipway pipeline apply -
    python bundle.py --image digits:1 | slipway pipeline apply -     its steps run in containers of this image
"""

import argparse
from pathlib import Path

HERE = Path(__file__).resolve().parent


def bundle(image=None):
    """The whole file. What requirements.txt names is a part of it: with other packages it is another version."""
    parts = [(HERE / "pipeline.yaml").read_text()]
    if image:
        parts.append(f"\nexecutor: docker\nimage: {image}\n")
    parts.append("\nfiles:\n")
    code = [*HERE.glob("*.py"), *HERE.glob("*.ipynb"), HERE / "requirements.txt"]
    for path in sorted(code):
        if path != Path(__file__).resolve():
            parts.append(f"  {path.name}: |\n")
            parts.extend(f"    {line}" if line.strip() else line for line in path.read_text().splitlines(keepends=True))
    return "".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", help="run the steps in containers of this image")
    print(bundle(parser.parse_args().image), end="")
