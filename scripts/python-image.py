"""Writes what an image with Python is made of, from this machine and not from a registry: this Python, the packages that
a file of requirements names with all that these need, pip, and the libraries of the system that any of it needs.

    python-image.py FOLDER REQUIREMENTS
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Of the standard library and of packages: what no step needs.
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "ensurepip", "lib2to3", "site-packages", "dist-packages"}


def distributions(requirements):
    """The packages that are installed here for these requirements."""
    left, found = list(requirements), {}
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        extras = wanted.extras | {""}
        if found.setdefault(name, set()) >= extras:
            continue
        found[name] |= extras
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                left.append(needed)
    return [importlib.metadata.distribution(name) for name in sorted(found)]


def copy(source: Path, target: Path):
    """With its time, by which Python knows whether what it compiled is fresh."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def libraries(files):
    """The libraries of the system that these files load, where they look for them."""
    done = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    found = re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", done.stdout, flags=re.MULTILINE)
    return {Path(os.path.abspath(path)) for path in found}


def main(folder: Path, requirements: Path):
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python, library = folder / "usr/local/bin" / version, folder / "usr/local/lib" / version
    copy(Path(os.path.realpath(sys.executable)), python)
    for name in ("python3", "python"):
        (python.parent / name).symlink_to(version)

    def leave_out(_, names):
        return [name for name in names if name in LEFT_OUT or name.startswith("config-")]

    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=leave_out)
    packages = library / "site-packages"
    # Debian's Python calls it otherwise.
    (library / "dist-packages").symlink_to("site-packages")
    lines = [line for line in requirements.read_text().splitlines() if line and not line.startswith("#")]
    wanted = [Requirement(line) for line in [*lines, "pip"]]
    for distribution in distributions(wanted):
        for file in distribution.files or []:
            source = Path(file.locate())
            if ".." not in file.parts and not LEFT_OUT.intersection(file.parts) and source.is_file():
                copy(source, packages / file)

    own = [python, *(path for path in folder.rglob("*.so*") if path.is_file())]
    for path in libraries(own):
        # Packages load some from their own folders.
        if not path.is_relative_to(folder):
            copy(path, folder / path.relative_to("/"))
    (folder / "tmp").mkdir(exist_ok=True)


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
