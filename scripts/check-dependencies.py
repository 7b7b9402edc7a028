"""Reads `cargo metadata` and says what about the dependencies breaks a rule of the project.

- Directions: which of our crates may use which (ARCHITECTURE.md).
- Kept out: which big dependency may be named by which of our crates.
- One copy: crates whose types meet across crates and must not be there twice.
- Licences: every crate and npm package that we build with must be under one of the licences below.
"""

import json
import re
import subprocess
import sys

LAYERS = {"artifacts", "executors", "export", "outbound", "serving", "store"}
MAY_USE = {
    "docker": {"domain", "executors"},
    "domain": set(),
    "artifacts": {"domain"},
    "chain": {"domain"},
    "executors": {"domain"},
    "export": set(),
    "kfp": {"domain"},
    "kubernetes": {"executors"},
    "manifest": set(),
    "outbound": {"domain"},
    "preview": {"domain"},
    "serving": {"domain"},
    "points": {"domain"},
    "store": {"chain", "domain", "points"},
    "services": {"chain", "domain", "kfp", "manifest", "preview"} | LAYERS,
    "app": {"domain"},
    "frontend": {"app"},
    "server": {"app", "chain", "docker", "domain", "kfp", "kubernetes", "manifest", "preview", "services"} | LAYERS,
    "testkit": set(),
}
ONLY_IN_TESTS = {"testkit"}
ONLY_IN = {
    "axum": {"server"},
    "bollard": {"docker"},
    "kube": {"kubernetes"},
    "leptos": {"app", "frontend", "server"},
    "leptos_axum": {"server"},
    "object_store": {"artifacts"},
    "ort": {"serving"},
    "parquet": {"export", "preview"},
}
ONE_COPY = {"axum", "axum-core", "hyper", "leptos", "reqwest", "rustls", "sqlx", "sqlx-core", "tokio"}

LICENCES = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
}
# Crates that give a licence file instead of a name; somebody has read it.
READ = {"apalis-postgres": "MIT"}

problems: list[str] = []


def allowed(expression: str) -> bool:
    """Whether an SPDX expression can be met with LICENCES alone."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)

    def either() -> bool:
        met = both()
        while tokens and tokens[0] in ("OR", "/"):
            tokens.pop(0)
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one() -> bool:
        name = tokens.pop(0)
        if name == "(":
            met = either()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            name += " WITH " + tokens[1]
            del tokens[:2]
        return name in LICENCES

    return either()


def read_metadata() -> dict:
    host = re.search(r"host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True)).group(1)
    return json.loads(
        subprocess.check_output(
            ["cargo", "metadata", "--locked", "--format-version", "1",
             "--filter-platform", host, "--filter-platform", "wasm32-unknown-unknown"],
            text=True,
        )
    )  # fmt: skip


metadata = read_metadata()
ours = set(metadata["workspace_members"])
our_names = {package["name"] for package in metadata["packages"] if package["id"] in ours}
versions: dict[str, set[str]] = {}

for package in metadata["packages"]:
    name = package["name"]
    versions.setdefault(name, set()).add(package["version"])
    licence = package["license"] or READ.get(name)
    if licence is None or not allowed(licence):
        problems.append(f"licence: {name} {package['version']} is under {licence or 'an unnamed licence'}")
    if package["id"] not in ours:
        continue
    if name not in MAY_USE:
        problems.append(f"direction: {name} is new; say in scripts/check-dependencies.py what it may use")
        continue
    for dependency in package["dependencies"]:
        used, in_tests = dependency["name"], dependency["kind"] == "dev"
        if used in our_names and used not in MAY_USE[name] and not (in_tests and used in ONLY_IN_TESTS):
            problems.append(f"direction: {name} must not use {used}" + (" outside tests" if used in ONLY_IN_TESTS else ""))
        if name not in ONLY_IN.get(used, {name}) and not in_tests:
            problems.append(f"kept out: {name} must not use {used}, only {', '.join(sorted(ONLY_IN[used]))}")

for name in sorted(ONE_COPY):
    if len(versions.get(name, ())) > 1:
        problems.append(f"one copy: {name} is there in {', '.join(sorted(versions[name]))} (cargo tree -i {name})")

with open("package-lock.json", encoding="utf-8") as file:
    for path, package in json.load(file)["packages"].items():
        if not allowed(package.get("license", "none")):
            problems.append(f"licence: npm {path.removeprefix('node_modules/')} is under {package.get('license')}")

print("\n".join(problems))
sys.exit(bool(problems))
